"""Leaves a link to a secret."""

import os


def run(input_dir, output_dir, params):
    os.symlink("/etc/passwd", output_dir + "/passwd.parquet")
