"""What is known at one place of one path: registers, the stack, what is held."""
