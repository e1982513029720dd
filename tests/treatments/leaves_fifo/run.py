"""Leaves a FIFO."""

import os


def run(input_dir, output_dir, params):
    os.mkfifo(output_dir + "/pipe.parquet")
