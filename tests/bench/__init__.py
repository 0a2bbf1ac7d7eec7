"""What the product costs, beside nginx, in one run on one machine."""
