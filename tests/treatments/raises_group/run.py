"""Raises an exception group."""


def run(input_dir, output_dir, params):
    raise ExceptionGroup("two at once", [ValueError("one"), TypeError("two")])
