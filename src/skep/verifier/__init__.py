"""The verifier: abstract interpretation of one program, with a reason for every verdict."""
