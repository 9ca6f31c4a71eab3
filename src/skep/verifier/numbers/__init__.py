"""What is known of a number: bits and ranges, what arithmetic does to them and what comparisons teach."""
