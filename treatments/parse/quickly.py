"""Reads one clean file at once: the same rows as line by line, or nothing where that cannot be told cheaply.

pyarrow converts by types, and would accept in silence what is no value here (`0x10`, `18.`, `inf`, `09:07Z`). So
the bytes are held to what a clean file consists of, and colons and `Z` are counted: a file that passes can only
be converted to what reading line by line gives.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.csv

INSTANT = pa.timestamp("ns", tz="UTC")
TYPES = {"integer": pa.int64(), "float": pa.float64()}
CLEAN = b"0123456789-.:TZ\r\n"
STARTS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
LONGEST_LINE = 300  # bytes: a float in less cannot become zero for want of digits


def read_quickly(data, params):
    """The rows of the bytes of a clean file as a table of all its columns, or None."""
    delimiter = params["delimiter"].encode()
    body, names = _without_header(data.removeprefix(b"\xef\xbb\xbf"), params)
    if names is None or delimiter in CLEAN or body.translate(None, CLEAN + delimiter) or not _is_regular(body):
        return None
    kinds = {name: params["types"][domain] for domain, columns in params["domains"].items() for name in columns}
    types = {name: TYPES[kinds.get(name, "float")] for name in names}
    types[params["timestamp_column"]] = INSTANT
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(body),
            read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 24),
            parse_options=pa.csv.ParseOptions(delimiter=params["delimiter"], quote_char=False),
            convert_options=pa.csv.ConvertOptions(column_types=types, null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
    whole = table.num_rows == body.count(b"\n") and not table[params["timestamp_column"]].null_count
    return table if whole and all(map(_is_finite, table.columns)) else None


def _without_header(data, params):
    """The bytes after the header, and the columns; None for these when the header is not plain."""
    if STARTS.match(data):
        return data, [params["timestamp_column"], *(name for names in params["domains"].values() for name in names)]
    first, _, body = data.partition(b"\n")
    names = first.decode("utf-8", "replace").rstrip("\r").split(params["delimiter"])
    plain = params["timestamp_column"] in names and len(set(names)) == len(names)
    plain = plain and all(re.fullmatch(r"\w+", name) for name in names)
    return body, names if plain and STARTS.match(body) else None


def _is_regular(body):
    """Whether every line ends, is short and not empty, has one `Z` and two colons, and every point a digit after it."""
    if not body.endswith(b"\n"):
        return False
    codes = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    lengths = np.diff(ends, prepend=-1)
    if lengths.min() < 2 or lengths.max() > LONGEST_LINE:
        return False
    if b"\r" in body and not (codes[ends - 1] == ord("\r")).all():
        return False
    if body.count(b"\r") not in (0, len(ends)):
        return False
    if np.count_nonzero(codes == ord("Z")) != len(ends) or np.count_nonzero(codes == ord(":")) != 2 * len(ends):
        return False
    after_points = codes[np.flatnonzero(codes == ord(".")) + 1]
    return bool(((after_points >= ord("0")) & (after_points <= ord("9"))).all())


def _is_finite(column):
    return not pa.types.is_floating(column.type) or not np.isinf(column.to_numpy()).any()
