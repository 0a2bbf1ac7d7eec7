"""What an operator and Prometheus see of us: metrics, health, the admin API."""
