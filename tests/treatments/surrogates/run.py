"""Raises an exception whose message is no valid Unicode."""


def run(input_dir, output_dir, params):
    raise ValueError("bad name: caf\udce9")
