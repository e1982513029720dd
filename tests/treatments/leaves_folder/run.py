"""Leaves a folder, with a file in it."""

import os


def run(input_dir, output_dir, params):
    os.mkdir(output_dir + "/2026")
    open(output_dir + "/2026/a.parquet", "w").close()
    open(output_dir + "/b.parquet", "w").close()
