"""Counters shared by all workers through one memory map, and the catalogue of every metric."""
