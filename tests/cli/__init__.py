"""The `pymyx` command, started as its user does."""
