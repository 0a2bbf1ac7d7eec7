"""The product from outside: real processes, real sockets, what a student sees."""
