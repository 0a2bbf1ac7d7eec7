"""What an operator may write: the model of the YAML file, its loader, and every complaint about it."""
