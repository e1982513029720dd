"""Ends the process as if all were well."""

import os


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os._exit(0)
