"""Calls sys.exit() with what its params say."""

import sys


def run(input_dir, output_dir, params):
    sys.exit({"none": None, "0": 0}.get(params["code"], params["code"]))
