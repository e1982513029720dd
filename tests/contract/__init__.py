"""What the JSON files may say, and the faults of those that say something else."""
