"""Closes all descriptors."""

import os


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os.closerange(0, 1000)
