"""Writes a file, then raises through a helper of its own."""


def _inner(values):
    return values["speed"]


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    _inner({"a": 1})
