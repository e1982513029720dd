"""The `pymyx` command: arguments, one call of the core, text, exit code."""
