"""Settings: what an operator may write, and what is said about everything else."""
