"""Raises while it is loaded."""

LIMIT = int("many")


def run(input_dir, output_dir, params):
    pass
