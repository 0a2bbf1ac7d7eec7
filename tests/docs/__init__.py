"""What the docs say is true: commands run, links lead somewhere, the reference of settings is what the model makes."""
