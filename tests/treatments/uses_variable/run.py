"""Reads an environment variable."""

import os


def run(input_dir, output_dir, params):
    assert os.environ["STATION_TOKEN"] == "secret"
