"""Prints bytes that are no text."""

import os


def run(input_dir, output_dir, params):
    os.write(1, b"caf\xe9 \xff\xfe \x00 end\n")
    os.write(1, "ü".encode()[:1])
