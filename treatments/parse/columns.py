"""What the params say of columns: which there are, of what kind, and the day that nanoseconds are counted in."""

DAY = 86_400 * 1_000_000_000  # nanoseconds


def declared(params):
    """The columns of a file without a header: the timestamp, then those of the domains in their order."""
    return [params["timestamp_column"], *kinds(params)]


def kinds(params):
    """`integer` or `float` for each column of the domains, in their order."""
    return {name: params["types"][domain] for domain, names in params["domains"].items() for name in names}
