"""What a verification came to, for programs and for people: reports, costs, logs."""
