"""Writes the rows of files as pieces, by domain and UTC day, and puts the pieces of one day together."""

import json
import shutil
from collections import Counter, namedtuple
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from clean import TYPES, array_of, instants_of
from lines import DAY, kinds

ENCODINGS = {pa.float64(): "BYTE_STREAM_SPLIT"}  # the others are integers: see `python -m tests.benchmarks parse`
NULL = -(2**53)  # stands for no value where two are compared
LONGEST_TEXT = 4_096  # characters of a line that is kept in the rejects
# the rows that one file has for a domain and a day, in a parquet file, and the number of their different instants
Piece = namedtuple("Piece", "domain day source device path rows instants")


def write_pieces(table, source, device, params, scratch):
    """Write the rows of a file, sorted by time, by domain and day; a domain of which it has no column gets none."""
    column, length, folder = params["timestamp_column"], table.num_rows, scratch / source
    folder.mkdir()
    days = (instants := instants_of(table, column)) // DAY
    edges = [*np.flatnonzero(np.diff(days, prepend=days[:1] - 1)).tolist(), length]
    for domain, names in params["domains"].items():
        if set(names).isdisjoint(table.column_names):
            continue
        nulls = pa.nulls(length, TYPES[params["types"][domain]])
        arrays = [table[name] if name in table.column_names else nulls for name in names]
        offsets = pa.py_buffer(np.array([0, len(domain)], np.int32))
        words = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(domain.encode()))
        label = pa.DictionaryArray.from_arrays(array_of(np.zeros(length, np.int32), pa.int32()), words)
        part = pa.table([table[column], *arrays, label], names=[column, *names, "domain"])
        if params["device"]:
            part = part.append_column("device", pa.repeat(device, length))
        for start, end in pairwise(edges):
            day = str(np.datetime64(int(days[start]), "D"))
            path = folder / f"{domain}__{day}.parquet"
            _write(part.slice(start, end - start), path, [source])
            yield Piece(
                domain, day, source, device, path, end - start, 1 + np.count_nonzero(np.diff(instants[start:end]))
            )


def _write(table, path, sources):
    """Write one file, naming in its metadata the files that gave rows to it, and nothing of the run."""
    words = ["domain", *(["device"] if table.column_names[-1] == "device" else [])]
    encodings = {one.name: ENCODINGS.get(one.type, "DELTA_BINARY_PACKED") for one in [*table.schema][: -len(words)]}
    table = table.replace_schema_metadata({"sources": json.dumps(sources).encode("utf-8", "backslashreplace")})
    pq.write_table(table, path, compression="zstd", use_dictionary=words, column_encoding=encodings)


def put_together(pieces, output_dir, params):
    """Put pieces of one domain and day together; returns each domain's rows, and what to tell of doubled instants."""
    column, rows, instants, shared, doubled = params["timestamp_column"], Counter(), Counter(), Counter(), Counter()
    together, within, between = {}, [], []
    for piece in pieces:
        rows[piece.domain] += piece.rows
        instants[piece.domain, piece.source] += piece.instants
        within += [piece.source] if piece.rows > piece.instants else []
        together.setdefault((piece.domain, piece.day), []).append(piece)
    for (domain, day), parts in together.items():
        target, sources = output_dir / f"{domain}__{day}.parquet", [part.source for part in parts]
        if len(parts) == 1:
            shutil.move(parts[0].path, target)  # a rename, or a copy to another disk
            doubled[day] = max(doubled[day], parts[0].rows - parts[0].instants)
            continue
        table = pa.concat_tables([pq.read_table(part.path) for part in parts])
        order = np.argsort(instants_of(table, column), kind="stable")
        table = table.take(array_of(order, pa.int64())).combine_chunks()
        _write(table, target, sources)
        owners = np.repeat(np.arange(len(parts)), [part.rows for part in parts])[order]
        devices = np.unique([part.device for part in parts], return_inverse=True)[1][owners]
        by_device = np.lexsort((devices, times := instants_of(table, column)))  # in their order where one has all
        ones, others = by_device[:-1], by_device[1:]
        same = (times[ones] == times[others]) & (devices[ones] == devices[others])
        doubled[day] = max(doubled[day], np.count_nonzero(same))
        same &= owners[ones] != owners[others]
        ones, others = ones[same], others[same]
        pairs = [(sources[owners[one]], sources[owners[other]]) for one, other in zip(ones, others, strict=True)]
        between += [" and ".join(pair) for pair in pairs[:1]]
        if pairs:
            shared.update((domain, *pairs[place]) for place in np.flatnonzero(_differ(table, ones, others, params)))
    told = [("rows of an instant that has one already", doubled.total(), first) for first in [*between, *within][:1]]
    hint = "two devices want a data folder each, --data DIR, or the param `device`"
    kind = f"pairs of files with other values at the same instants ({hint})"
    pairs = [key[1:] for key, times in shared.items() if times * 2 > min(instants[key[:2]], instants[key[::2]])]
    told += [(kind, 1, f"{one} and {other}") for one, other in dict.fromkeys(pairs)]
    return rows, told


def _differ(table, ones, others, params):
    """Which rows have other values than others of the same table."""
    import pyarrow.compute as pc  # here, as most folders need none of it: 30 ms

    table = table.select([name for name in table.column_names if name in kinds(params)])
    ones, others = (table.take(array_of(each, pa.int64())).columns for each in (ones, others))
    differ = [pc.not_equal(one.fill_null(NULL), other.fill_null(NULL)) for one, other in zip(ones, others, strict=True)]
    return np.any([np.from_dlpack(one.combine_chunks().cast(pa.uint8())) for one in differ], axis=0)


def write_rejects(results, output_dir):
    """Write the rejects of files, by the day in the name of each."""
    by_day = {}
    for one in results:
        source = one.name.encode("utf-8", "backslashreplace").decode()
        for reject in one.rejects:
            entry = {"file": source, **reject._asdict(), "text": reject.text[:LONGEST_TEXT]}
            entry |= {"truncated": True} if len(reject.text) > LONGEST_TEXT else {}
            by_day.setdefault(one.day, []).append(json.dumps(entry, ensure_ascii=False) + "\n")
    for day, entries in by_day.items():
        (output_dir / f"_rejected{f'__{day}' if day else ''}.jsonl").write_text("".join(entries), encoding="utf-8")
