"""skep: a home for BPF programs that needs neither root nor a kernel."""
