"""Ends the process with an exit code."""

import os


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os._exit(3)
