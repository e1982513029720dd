"""Asks for input."""

import sys


def run(input_dir, output_dir, params):
    assert sys.stdin.read() == ""
    try:
        input("your name? ")
    except EOFError:
        return
    raise AssertionError("somebody answered")
