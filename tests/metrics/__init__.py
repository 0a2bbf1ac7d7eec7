"""Counters, their sums, and what a scrape looks like."""
