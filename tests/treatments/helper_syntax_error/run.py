"""Imports a helper that is no Python."""

import broken


def run(input_dir, output_dir, params):
    pass
