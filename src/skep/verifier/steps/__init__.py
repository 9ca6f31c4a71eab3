"""What an instruction does to a state: one step for each, prepared once."""
