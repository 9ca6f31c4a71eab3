"""What lies on the stack: spilled registers, bytes, and the objects that the kernel keeps there."""
