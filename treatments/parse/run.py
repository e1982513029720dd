"""Parse logger CSV into typed parquet: one file per domain and UTC day, every value exactly as it was recorded.

Every line becomes a row or a reject, or is passed over and counted. What becomes of a file:

    its lines, and its shape, decided once                         lines.py
    its time stamps, in the format stated                          stamps.py
    clean lines, by one pattern of the whole line                  clean.py
    the other lines, one by one: a row, or a reject with a reason  lines.py
    both converted at once, in their order                         clean.py
    written by domain and UTC day, put together with other files   write.py
"""

import filecmp
import os
import re
import tempfile
import warnings
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from clean import TYPES, array_of, instants_of, rows_of
from lines import DAY, Reject, RejectedFileError, fields_of, kinds, lines_of, shape_of, shown, times_of
from stamps import EPOCH, format_of, zone_of
from write import put_together, write_pieces, write_rejects

# what came of a file: name, path, day, rejects, number of rows, columns, pieces, and what to tell, by kind: the lines
Result = namedtuple("Result", "name path day rejects rows names pieces noted", defaults=(0, (), (), {}))
READ, ALIKE = r"^[^._].*\.(csv|tsv|dat)(\.gz)?$", r"^[^._].*\.txt(\.gz)?$"


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Read all CSV files of `input_dir`, write `<domain>__<YYYY-MM-DD>.parquet` files to `output_dir`.

    They are *.csv, *.tsv and *.dat, each also .gz: `x.csv.gz` is called `x.csv`, and not read where that is there too.
    Each output has the timestamp column (timestamp[ns, UTC]), the domain's columns (int64 or float64), `domain`,
    and `device` where that is stated; its rows are in the order of time, those of one instant in the order of the
    files' names. What is no row goes to `_rejected__<YYYY-MM-DD>.jsonl`, by the day in its file's name.
    Raises ValueError when the params do not fit, and when there is no CSV file; never for what is in the files.
    """
    for fault in _faults(params):
        raise ValueError(fault)
    paths = sorted(Path(input_dir).iterdir())
    files = [path for path in paths if re.search(READ, path.name, re.I | re.S) and path.is_file()]
    files.sort(key=lambda path: (_name(path), path.name))
    if not files:
        alike = next((path.name for path in paths if re.search(ALIKE, path.name, re.I | re.S)), None)
        hint = f"; if {alike} is CSV, name it .csv" if alike else ""
        found = ", ".join(path.name for path in paths[:10]) or "nothing"
        raise ValueError(f"no CSV file in {input_dir}; found there: {found}{hint}")
    by_name = {_name(path): path for path in reversed(files)}  # of x.csv and x.csv.gz, the plain one
    packed = [path for path in files if by_name[_name(path)] != path]
    files = [path for path in files if path not in packed]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(pa.cpu_count()) as pool:
        results = list(pool.map(partial(_read, params=params, scratch=Path(scratch)), files))
        rows, doubled = put_together([piece for one in results for piece in one.pieces], Path(output_dir), params)
    write_rejects(results, Path(output_dir))
    for domain, columns in params["domains"].items():
        if rows[domain] != (due := sum(one.rows for one in results if not set(columns).isdisjoint(one.names))):
            raise RuntimeError(f"domain `{domain}`: {due} rows were read, {rows[domain]} written")
    told, unread = {}, [("files not read, as they are there without .gz, too", 1, path.name) for path in packed]
    for kind, times, first in [*_told(results, params), *doubled, *unread]:
        told.setdefault(kind, [0, first])[0] += times
    for kind, (times, first) in told.items():
        warnings.warn(f"{kind}: {times}, first: {first}")


def _faults(params):
    """What is wrong with the params, beyond their types."""
    delimiter, tz, nulls = params["delimiter"], params["tz"], params["null_values"]
    if len(delimiter) != 1:
        yield f"param `delimiter` must be one character, not {delimiter!r}"
    elif delimiter in '\0\r\n"-+.:_' or delimiter.isalnum() or not delimiter.isascii():
        yield f"param `delimiter` cannot be {delimiter!r}; use one that no value holds, such as ; or a tab"
    if not zone_of(tz):
        yield f"param `tz`: no time zone `{tz}`; use an IANA name such as Europe/Paris, or an offset such as +01:00"
    if not all(isinstance(word, str) for word in nulls):
        yield f"param `null_values` must be an array of strings, not {nulls!r}"
    yield from _format_faults(params)
    taken = [*times_of(params), "domain", *(["device"] if params["device"] else [])]
    for domain, columns in params["domains"].items():
        kind = params["types"].get(domain, "nothing")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", domain):
            yield f"param `domains`: {domain!r} cannot be part of a file name; use letters, digits, _ and -"
        if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
            yield f"param `domains`: `{domain}` must be an array of column names, not {columns!r}"
        if kind not in TYPES:
            yield f"param `types` must say integer or float for the domain `{domain}`; it says {kind}"
        taken += columns
        for name in (name for name in columns if taken.count(name) > 1):
            yield f"param `domains`: the column `{name}` of `{domain}` is taken already"


def _format_faults(params):
    """What is wrong with the params that state a format."""
    for name in ("skip_lines", "unit_lines"):
        if params[name] < 0:
            yield f"param `{name}` must be a number of lines, from 0, not {params[name]}"
    for name in ("skip_to", "comment"):
        if params[name] and (not params[name].strip() or re.search(r"[\r\n\0]", params[name])):
            yield f"param `{name}` must be what a line starts with, not {params[name]!r}"
    if params["decimal"] not in (".", ",") or params["decimal"] == params["delimiter"]:
        yield f"param `decimal` must be . or , and not the delimiter, not {params['decimal']!r}"
    if params["time_column"] == params["timestamp_column"]:
        yield f"param `time_column` must be another column than `timestamp_column`, not {params['time_column']!r}"
    try:
        format_of(params["timestamp_format"], bool(params["time_column"]), params["decimal"])
    except ValueError as error:
        yield f"param `timestamp_format`: {error}"
    try:
        if "0;\n".encode(params["encoding"], "strict").decode(params["encoding"], "marked") != "0;\n":
            raise LookupError
    except (LookupError, ValueError):
        yield f"param `encoding`: Python has no text encoding {params['encoding']!r}; use one such as utf-16 or latin-1"
    columns, needed = params["columns"], times_of(params)
    if columns and not all(isinstance(name, str) for name in columns):
        yield f"param `columns` must be an array of column names, not {columns!r}"
    elif columns:
        if missing := [name for name in needed if name not in columns]:
            yield f"param `columns` lacks `{missing[0]}`, the column of the time; it has: {', '.join(columns)}"
        declared = [name for names in params["domains"].values() if isinstance(names, list) for name in names]
        if twice := [name for name in (*needed, *declared) if columns.count(name) > 1]:
            yield f"param `columns` has `{twice[0]}` twice"
        if not set(columns) & set(declared):
            yield f"param `columns` has none of the columns of `domains`: {', '.join(map(str, declared))}"
    try:
        if params["device"] and not re.compile(params["device"]).groups:
            yield f"param `device`: {params['device']!r} has no group, such as in sensor_([0-9]+)"
    except re.error as error:
        yield f"param `device`: {params['device']!r} is no regular expression: {error}"
    if not params["dated_names"] and "PYMYX_DAYS" in os.environ:
        hint = "take `days` out of the project's treatments/parse/treatment.json"
        yield f"param `dated_names` is false, so that no file is of one day, and parse is run day by day; {hint}"


def _name(path):
    """The name of a file, whether it is compressed or not."""
    return re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)


def _dates_in(name):
    """The dates in a file's name; those before 1970 only where no other is, as the core has it."""
    dates = []
    for text in re.findall("(?=([0-9]{4}-[0-9]{2}-[0-9]{2}))", name):
        with suppress(ValueError):
            dates.append(date.fromisoformat(text))
    return [one for one in dates if one.year >= 1970] or dates


def _device(name, params):
    """The device in a file's name, or an empty text when the param `device` states none."""
    if not params["device"]:
        return ""
    match = re.search(params["device"], name)
    if not match or not match[1]:
        raise RejectedFileError(f"no device is in its name: the param `device` is {params['device']!r}")
    return match[1].encode("utf-8", "backslashreplace").decode()


def _read(path, params, scratch):
    """Read one file and leave its rows in `scratch`, by domain and day."""
    name, column = _name(path), params["timestamp_column"]
    dates = _dates_in(name) if params["dated_names"] else []
    day = dates[-1] if dates else None
    middle = (day - EPOCH.date()).days if day else 0
    days = range(middle - 1, middle + 2) if day else ()
    try:
        device = _device(name, params)
        lines, ended = lines_of(path, params)
        shape = shape_of(lines, params)
        table, indexes, rest = rows_of(lines, shape, params, days)
        if kinds(params).keys().isdisjoint(rest.names) and (shape.header >= 0 or shape.keyed):
            what, has = "keys" if shape.keyed else "columns", f"it has: {', '.join(rest.names):.200}"
            raise RejectedFileError(f"none of its {what} is declared; {has}; declared are: {', '.join(kinds(params))}")
        on = instants_of(table, column) // DAY
        near = (on >= days[0]) & (on <= days[-1]) if days else on == on
        off = _clock_gone_wrong(lines, indexes[~near].tolist(), len(indexes) + len(rest.rejects), dates, shape, params)
    except RejectedFileError as rejected:
        return Result(name, path, day, [Reject(None, None, str(rejected), "")])
    if off:
        table, indexes = table.take(array_of(np.flatnonzero(near), pa.int64())), indexes[near]
    noted = _noted(table, indexes, shape, rest, params, day, cut=-1 if ended else len(lines.ends) - 1)
    if "rows out of order" in noted:
        table = table.take(array_of(np.argsort(instants_of(table, column), kind="stable"), pa.int64()))
    rejects, passed = sorted([*rest.rejects, *off], key=lambda reject: reject.line), rest.passed + int(shape.over.sum())
    parts = (len(lines.ends), len(indexes), len(rejects), passed)
    if parts[0] != sum(parts[1:]):
        raise RuntimeError(f"{path}: lines, rows, rejects, lines passed over do not add up: {parts}")
    pieces = list(write_pieces(table, name, device, params, scratch))
    return Result(name, path, day, rejects, len(indexes), rest.names, pieces, noted)


def _clock_gone_wrong(lines, indexes, of, dates, shape, params):
    """Rejects for the rows that are more than a day from the last of the dates in the file's name."""
    *others, day = dates or [None]
    named = f"{day}, the last of the dates in its name, after {', '.join(map(str, others))}" if others else str(day)
    if len(indexes) * 2 > of:
        what = f"{len(indexes)} of its {of} rows are more than a day from {named}"
        raise RejectedFileError(f"{what}; a dump of many days wants a name without a date")
    named += "" if others else ", the day of the file's name"
    place, rejects = shape.names.index(params["timestamp_column"]), []
    for index in indexes:
        reason = f"clock: {fields_of(lines[index], params)[place]!r} is more than a day from {named}"
        rejects.append(Reject(index + 1, place + 1, reason, shown(lines[index], params)))
    return rejects


def _noted(table, indexes, shape, rest, params, day, cut):
    """What there is to note of the rows of a file, by kind: the lines; `cut` is the index of a line without an end."""
    instants, empty = instants_of(table, params["timestamp_column"]), np.zeros(len(indexes), np.int64)
    for name in shape.names[: shape.width]:
        if name in table.column_names and table[name].null_count:
            empty += np.from_dlpack(table[name].is_null().combine_chunks().cast(pa.uint8()))
    empty[np.isin(indexes, [*rest.rows]) if rest.rows else []] = 0  # noted already
    days, back = instants // DAY, np.diff(instants, prepend=instants[:1]) < 0
    far = np.abs(days - np.median(days)) > 366 if len(days) and not day else np.zeros(len(days), bool)
    named = ", ".join(str(np.datetime64(day, "D")) for day in sorted({*days[far].tolist()})[:5])
    numbered = {
        "empty cells, now null": empty,
        f"rows far from the others in time, kept ({named})": far,
        "last lines without an end, which may be cut": indexes == cut,
        "rows out of order": back,
    }
    found = {kind: [*rest.noted.get(kind, []), *np.repeat(indexes + 1, each)] for kind, each in numbered.items()}
    return shape.noted | rest.noted | {kind: sorted(each) for kind, each in found.items() if each}


def _told(results, params):
    """What the user should know: kind, how often, and where first."""
    seen, known = {}, {*times_of(params), *kinds(params)}
    for one in results:
        name, missing = one.name, [column for column in kinds(params) if column not in one.names]
        for line, _, reason, _ in one.rejects[:1]:
            what, place = ("rows", f"{name}:{line}") if line else ("files", name)
            yield f"{what} rejected, see _rejected*.jsonl", len(one.rejects), f"{place}: {reason}"
        if not one.rows and not one.rejects:
            yield "files without rows", 1, name
        for kind, numbers in one.noted.items():
            yield kind, len(numbers), f"{name}:{numbers[0]}"
        for domain, columns in params["domains"].items() if one.names and (one.rows or one.rejects) else ():
            if set(columns) <= set(missing):
                yield f"files without any column of the domain `{domain}`, which gets no rows of them", 1, name
            elif absent := [column for column in columns if column in missing]:
                yield f"files without the columns {', '.join(absent)}, which are null", 1, name
        if extra := [column for column in dict.fromkeys(one.names) if column and column not in known and one.rows]:
            yield f"files with columns that no domain names, not written ({', '.join(extra)})", 1, name
        alike = seen.setdefault((one.rows, len(one.rejects)), [])
        if twin := next((path for path in alike if one.rows and filecmp.cmp(path, one.path, shallow=False)), None):
            yield "files that are another's copy, byte for byte, all rows kept", 1, f"{_name(twin)} = {name}"
        alike.append(one.path)
