"""What people see: tables of results and maps, and the same as JSON."""
