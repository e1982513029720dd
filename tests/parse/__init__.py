"""The treatment parse, against other readers of the same bytes."""
