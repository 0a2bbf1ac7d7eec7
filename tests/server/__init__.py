"""Processes, sockets and the channel between them."""
