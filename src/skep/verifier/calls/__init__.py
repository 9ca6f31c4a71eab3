"""What may be called and with what: the program's own functions, helpers, functions of the kernel, callbacks."""
