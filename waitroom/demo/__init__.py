"""A sample exam server that really collapses, a crowd, and the table that shows both."""
