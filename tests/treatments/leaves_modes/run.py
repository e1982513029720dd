"""Leaves files with odd modes, and folders that nobody may enter."""

import os


def run(input_dir, output_dir, params):
    for name, mode in (("private", 0o600), ("setuid", 0o4755), ("nobody", 0o000)):
        path = f"{output_dir}/{name}.parquet"
        open(path, "w").close()
        os.chmod(path, mode)
    os.makedirs("closed/deeper")
    os.chmod("closed", 0o000)
    os.chmod(output_dir, 0o500)
