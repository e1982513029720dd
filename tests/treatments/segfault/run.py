"""Reads memory that is not there."""

import ctypes


def _read(address):
    return ctypes.string_at(address)


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    _read(0)
