"""Streams: what lasts. Tunnels, events, large bodies, and connections that only want to be there."""
