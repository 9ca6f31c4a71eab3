"""Maps: the memory that programs share with each other and with people."""
