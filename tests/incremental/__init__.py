"""What was made from what: only what changed is made again, and published whole."""
