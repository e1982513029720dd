"""Prints 50 MB to stdout and 50 MB to stderr."""

import os


def run(input_dir, output_dir, params):
    for _ in range(500):
        os.write(1, b"x" * 99_999 + b"\n")
        os.write(2, b"y" * 99_999 + b"\n")
