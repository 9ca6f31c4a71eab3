"""What a program's context holds, by the type of the program and what it is attached to."""
