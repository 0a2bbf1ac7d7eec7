"""What an operator copies from `deploy`: each file is run here, or held to the law of its own tools."""
