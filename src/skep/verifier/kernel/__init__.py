"""What lies in the kernel: its types, and pointers to objects of them."""
