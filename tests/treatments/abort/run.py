"""Aborts, as native code that gives up does."""

import os


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os.abort()
