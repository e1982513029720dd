"""Replaces and closes its own streams."""

import sys


def run(input_dir, output_dir, params):
    print("to stdout", end="")
    sys.stdout.close()
    sys.stderr = None
