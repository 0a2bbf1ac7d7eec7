"""A seeded world around the real product: real workers and the real library in virtual time, a crowd, faults, and
checkers apart from all of them."""
