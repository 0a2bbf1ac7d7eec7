"""Whole mornings in virtual time: models of exam servers and of crowds, with the real line between them."""
