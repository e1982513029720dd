"""Raises while it handles another exception."""


def run(input_dir, output_dir, params):
    try:
        {}["missing"]
    except KeyError:
        raise ValueError("second")
