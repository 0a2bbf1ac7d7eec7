"""The demonstration: the capacity model, the crowd's books, and the command."""
