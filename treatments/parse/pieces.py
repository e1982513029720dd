"""Writes the rows of files as pieces, by domain and UTC day, and puts the pieces of one day together."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from arrays import from_numpy, repeated, to_numpy
from columns import DAY
from quickly import TYPES


class Piece(NamedTuple):
    """The rows that one file has for a domain and a day, in a parquet file."""

    domain: str
    day: str
    path: Path
    rows: int


def write_pieces(table, number, path, params, scratch):
    """Write the rows of a file, by domain and day; a domain of which it has no column gets none."""
    column = params["timestamp_column"]
    if not table.num_rows:
        return
    days = to_numpy(table[column]) // DAY
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    for domain, names in params["domains"].items():
        if not set(names) & set(table.column_names):
            continue
        kind = TYPES[params["types"][domain]]
        arrays = [table[name] if name in table.column_names else pa.nulls(table.num_rows, kind) for name in names]
        label = repeated(domain, table.num_rows)
        part = pa.table([table[column], *arrays, label], names=[column, *names, "domain"])
        for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
            day = str(np.datetime64(int(days[start]), "D"))
            piece = Piece(domain, day, scratch / f"{domain}__{day}__{number}.parquet", int(end - start))
            _write(part.slice(start, end - start), piece.path, column, [path.name])
            yield piece


def _write(table, path, column, sources):
    """Write one file, naming in its metadata the files that gave rows to it, and nothing of the run.

    The encodings suit sorted timestamps and slowly varying values: see `python -m tests.benchmarks parse`.
    """
    encodings = {name: "DELTA_BINARY_PACKED" for name in table.column_names if pa.types.is_integer(table[name].type)}
    encodings |= {name: "BYTE_STREAM_SPLIT" for name in table.column_names if pa.types.is_floating(table[name].type)}
    names = json.dumps(sources).encode("utf-8", "backslashreplace")
    pq.write_table(
        table.replace_schema_metadata({"sources": names}),
        path,
        compression="zstd",
        use_dictionary=["domain"],
        column_encoding={column: "DELTA_BINARY_PACKED", **encodings},
    )


def put_together(results, output_dir, params):
    """Put the pieces in place, those of one domain and day as one file; returns how many rows each domain got."""
    pieces, written = {}, dict.fromkeys(params["domains"], 0)
    for result in results:
        for piece in result.pieces:
            pieces.setdefault((piece.domain, piece.day), []).append((piece, result.path.name))
            written[piece.domain] += piece.rows
    for (domain, day), parts in pieces.items():
        target = output_dir / f"{domain}__{day}.parquet"
        if len(parts) == 1:
            os.replace(parts[0][0].path, target)
            continue
        table = pa.concat_tables([pq.read_table(piece.path) for piece, _ in parts])
        order = np.argsort(to_numpy(table[params["timestamp_column"]]), kind="stable")
        _write(
            table.take(from_numpy(order, pa.int64())).combine_chunks(),
            target,
            params["timestamp_column"],
            [name for _, name in parts],
        )
    return written
