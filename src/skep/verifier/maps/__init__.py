"""What lies in maps and in what programs allocate: fields with rules of their own, and what may be done to them."""
