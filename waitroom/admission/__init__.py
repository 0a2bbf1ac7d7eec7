"""The pure floor: tickets, order keys, routes, standings and estimates. No clock, no loop, no store."""
