"""Writes a file, says so, and sleeps."""

import time


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    print("asleep", flush=True)
    time.sleep(600)
