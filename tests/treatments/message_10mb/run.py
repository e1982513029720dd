"""Raises an exception with a message of 10 MB."""


def run(input_dir, output_dir, params):
    raise ValueError("x" * 10_000_000 + "the end")
