"""Kills its whole process group."""

import os
import signal


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os.killpg(0, signal.SIGKILL)
