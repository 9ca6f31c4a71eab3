"""CPUs as threads, runs of one packet or a million, captures."""
