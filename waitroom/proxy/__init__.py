"""HTTP/1.1 between a client and a backend: requests, responses, tunnels and the connections they use."""
