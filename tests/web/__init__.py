"""The student's page, in Python and in a real browser."""
