"""Who gets what: turns one request into one decision, and remembers the passes a worker has seen."""
