"""What an operator and Prometheus see of us: metrics, health, and later the API and dashboard."""
