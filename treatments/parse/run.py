"""Parse logger CSV into typed parquet: one file per domain and UTC day, every value exactly as it was recorded.

A clean file is read at once (quickly.py), any other line by line (carefully.py). The rule above all: every line
becomes a row or a reject; the two are counted at the end of every run.
"""

import filecmp
import gzip
import json
import re
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from arrays import first_null, from_list, from_numpy, to_numpy
from carefully import Reject, RejectedFileError, read_carefully, read_left
from columns import DAY, declared, kinds
from pieces import put_together, write_pieces
from quickly import INSTANT, TYPES, read_quickly


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Read all CSV files of `input_dir`, write `<domain>__<YYYY-MM-DD>.parquet` files to `output_dir`.

    Each output has the timestamp column (timestamp[ns, UTC]), the domain's columns (int64 or float64) and
    `domain`; its rows are in the order of time, those of one instant in the order of the files' names. What
    is no row goes to `_rejected__<YYYY-MM-DD>.jsonl`, by the day in its file's name.
    Raises ValueError when the params do not fit, when there is no CSV file, and when nothing at all could be read.
    """
    try:
        _check(params)
        files = _csv_files(Path(input_dir))
        with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(pa.cpu_count()) as pool:
            read = partial(_read, params=params, scratch=Path(scratch))
            results = list(pool.map(read, range(len(files)), files))
            _see_that_something_was_read(results)
            written = put_together(results, Path(output_dir), params)
        _write_rejects(results, Path(output_dir))
        _see_that_nothing_is_lost(results, written, params)
        _warn(results)
    except _RefusedError as refused:
        raise ValueError(str(refused)) from None


class _RefusedError(Exception):
    """What is wrong with the params or the data, in words that need no traceback."""


class _Result(NamedTuple):
    """What came of one file: `found` lines, of them `rows`, the others in `rejects`; `noted` is what to tell."""

    path: Path
    found: int
    rows: int
    pieces: list
    rejects: list
    noted: dict
    missing: tuple
    extra: tuple
    size: int


def _check(params):
    """See that the params fit together, beyond their types."""
    if len(params["delimiter"]) != 1:
        raise _RefusedError(f"param `delimiter` must be one character, not {params['delimiter']!r}")
    try:
        ZoneInfo(params["tz"])
    except (ValueError, OSError, LookupError):
        hint = "use an IANA name such as Europe/Paris"
        raise _RefusedError(f"param `tz`: no time zone `{params['tz']}`; {hint}") from None
    if not all(isinstance(word, str) for word in params["null_values"]):
        raise _RefusedError(f"param `null_values` must be an array of strings, not {params['null_values']!r}")
    taken = {params["timestamp_column"], "domain"}
    for domain, columns in params["domains"].items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", domain):
            hint = "use letters, digits, _ and -"
            raise _RefusedError(f"param `domains`: {domain!r} cannot be part of a file name; {hint}")
        if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
            raise _RefusedError(f"param `domains`: `{domain}` must be an array of column names, not {columns!r}")
        if params["types"].get(domain) not in TYPES:
            said = params["types"].get(domain, "nothing")
            raise _RefusedError(f"param `types` must say integer or float for the domain `{domain}`; it says {said}")
        for name in columns:
            if name in taken:
                raise _RefusedError(f"param `domains`: the column `{name}` of `{domain}` is taken already")
            taken.add(name)


def _csv_files(folder):
    """The CSV files of a folder, by name: regular files, links followed, neither hidden nor set aside with `_`."""
    names = sorted(path.name for path in folder.iterdir())
    files = [folder / name for name in names if re.search(r"^[^._].*\.csv(\.gz)?$", name, re.IGNORECASE | re.DOTALL)]
    files = [path for path in files if path.is_file()]
    if not files:
        raise _RefusedError(f"no CSV file in {folder}; found there: {', '.join(names[:10]) or 'nothing'}")
    return files


def _read(number, path, params, scratch):
    """Read one file and leave its rows in `scratch`, by domain and day."""
    try:
        data = _bytes(path)
        day = _day_of(path)
        table, numbers, rejects, noted, found = _table(data, params, day)
    except RejectedFileError as rejected:
        return _Result(path, 1, 0, [], [Reject(None, None, str(rejected), "")], {}, (), (), 0)
    column = params["timestamp_column"]
    missing = tuple(name for name in declared(params) if name not in table.column_names) if found else ()
    extra = tuple(name for name in table.column_names if name not in declared(params))
    if not day and table.num_rows:
        _note_far_days(table[column], numbers, noted)
    table = _in_order(table, column, numbers, noted)
    pieces = list(write_pieces(table, number, path, params, scratch))
    return _Result(path, found, table.num_rows, pieces, rejects, noted, missing, extra, len(data))


def _bytes(path):
    try:
        with path.open("rb") as file:
            data = file.read()
        return gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    except (OSError, EOFError) as error:
        raise RejectedFileError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _day_of(path):
    """The last date in a file's name, or None."""
    for text in reversed(re.findall(r"(?=(\d{4}-\d\d-\d\d))", path.name, re.ASCII)):
        try:
            return date.fromisoformat(text)
        except ValueError:
            continue
    return None


def _table(data, params, day):
    """The rows of a file as a table of its columns, their lines, its rejects, what to tell, and the lines found."""
    quick = read_quickly(data, params)
    if quick is None or not (day is None or _is_near(quick.table[params["timestamp_column"]], day)):
        return _line_by_line(data, params, day)
    noted = _empty_cells(quick, params)
    if not quick.left:
        return quick.table, quick.numbers, [], noted, quick.table.num_rows
    names, of = quick.table.column_names, quick.table.num_rows + len(quick.left)
    ended = data.endswith((b"\n", b"\r"))
    rows = read_left(quick.left, names, quick.header, quick.keyed, params, day, of=of, ended=ended)
    if rows is None:
        return _line_by_line(data, params, day)
    table = pa.concat_tables([quick.table, _as_table(rows, params)], promote_options="default")
    numbers = np.concatenate((quick.numbers, np.array(rows.lines, np.int64)))
    order = np.argsort(numbers, kind="stable")
    for kind, (times, line) in rows.noted.items():
        before, first = noted.get(kind, (0, line))
        noted[kind] = (before + times, min(first, line))
    return (
        table.take(from_numpy(order, pa.int64())).combine_chunks(),
        numbers[order],
        rows.rejects,
        noted,
        quick.table.num_rows + rows.found,
    )


def _line_by_line(data, params, day):
    rows = read_carefully(data, params, day)
    return _as_table(rows, params), np.array(rows.lines, np.int64), rows.rejects, rows.noted, rows.found


def _empty_cells(quick, params):
    """What there is to note of empty cells: how many, and the first line."""
    columns = [quick.table[name] for name in quick.table.column_names if name in declared(params)]
    holed = [column for column in columns if column.null_count]
    if not holed:
        return {}
    first = min(map(first_null, holed))
    return {"empty cells, now null": (sum(column.null_count for column in holed), int(quick.numbers[first]))}


def _as_table(rows, params):
    column, known = params["timestamp_column"], kinds(params)
    instants = from_list(rows.instants, INSTANT)
    columns = {name: from_list(values, TYPES[known[name]]) for name, values in rows.values.items()}
    columns |= {name: pa.nulls(len(instants)) for name in rows.names if name not in known and name != column}
    return pa.table({column: instants, **columns})


def _is_near(instants, day):
    """Whether all instants lie at most one UTC day from `day`."""
    nanoseconds = to_numpy(instants)
    middle = (day - date(1970, 1, 1)).days
    return len(nanoseconds) == 0 or middle - 1 <= nanoseconds.min() // DAY <= nanoseconds.max() // DAY <= middle + 1


def _in_order(table, column, numbers, noted):
    """The rows in the order of time, those of one instant as they were; notes what was out of order or double."""
    instants = to_numpy(table[column])
    back = np.diff(instants) < 0
    if back.any():
        noted["rows out of order"] = (int(back.sum()), int(numbers[np.argmax(back) + 1]))
        order = np.argsort(instants, kind="stable")
        table, instants = table.take(from_numpy(order, pa.int64())), instants[order]
    same = int((np.diff(instants) == 0).sum())
    if same:
        noted["rows of an instant that has one already"] = (same, None)
    return table


def _note_far_days(instants, numbers, noted):
    """Note days that are more than a year from most of an undated file: a clock gone wrong, perhaps."""
    days = to_numpy(instants) // DAY
    far = np.abs(days - np.median(days)) > 366
    if far.any():
        named = ", ".join(str(np.datetime64(int(day), "D")) for day in np.unique(days[far])[:5])
        noted[f"rows far from the others in time, kept ({named})"] = (int(far.sum()), int(numbers[np.argmax(far)]))


def _write_rejects(results, output_dir):
    """Write the rejects, by the day in the name of the file that they are of."""
    for result in results:
        if result.rejects:
            day = _day_of(result.path)
            with open(output_dir / f"_rejected{f'__{day}' if day else ''}.jsonl", "a", encoding="utf-8") as file:
                for reject in result.rejects:
                    name = result.path.name.encode("utf-8", "backslashreplace").decode()
                    file.write(json.dumps(reject.entry(name), ensure_ascii=False) + "\n")


def _see_that_something_was_read(results):
    """Raise for a folder of which nothing could be read: neither a row, nor a file that rightly has none."""
    if any(result.rows or not result.rejects for result in results):
        return
    first = results[0].rejects[0]
    place = f"{results[0].path}:{first.line}" if first.line else str(results[0].path)
    column = f"column {first.column}: " if first.column else ""
    count = f"{len(results)} file{'' if len(results) == 1 else 's'}"
    text = f"\n  {first.text[:200]}" if first.text else ""
    raise _RefusedError(f"nothing could be read from {count}; first: {place}: {column}{first.reason}{text}")


def _see_that_nothing_is_lost(results, written, params):
    """Count: every line is a row or a reject, and every row is in the file of each domain that it has columns of."""
    for result in results:
        if result.found != result.rows + len(result.rejects):
            raise RuntimeError(
                f"{result.path}: {result.found} lines, {result.rows} rows, {len(result.rejects)} rejects"
            )
    for domain, names in params["domains"].items():
        due = sum(result.rows for result in results if not set(names) <= set(result.missing))
        if written[domain] != due:
            raise RuntimeError(f"domain `{domain}`: {due} rows were read, {written[domain]} written")


def _warn(results):
    """Tell what the user should know: one line per kind, with how often and where first."""
    warned = {}  # kind -> [times, first place]
    seen = {}  # size -> files
    for result in results:
        for kind, (times, line) in _told(result).items():
            entry = warned.setdefault(kind, [0, f"{result.path.name}:{line}" if line else result.path.name])
            entry[0] += times
        twin = next((path for path in seen.get(result.size, ()) if filecmp.cmp(path, result.path, shallow=False)), None)
        if twin and result.rows:
            warned.setdefault(
                "files that are another's copy, byte for byte, all rows kept", [0, f"{twin.name} = {result.path.name}"]
            )[0] += 1
        seen.setdefault(result.size, []).append(result.path)
    for kind, (times, first) in warned.items():
        warnings.warn(f"{kind}: {times}, first: {first}")


def _told(result):
    """What there is to tell of one file, by kind: how often, and the first line."""
    told = {}
    lines = [reject for reject in result.rejects if reject.line]
    if lines:
        told["rows rejected, see _rejected*.jsonl"] = (len(lines), f"{lines[0].line}: {lines[0].reason}")
    elif result.rejects:
        told["files rejected, see _rejected*.jsonl"] = (1, f" {result.rejects[0].reason}")
    elif not result.found:
        told["files without rows"] = (1, None)
    told |= result.noted
    if result.missing:
        told[f"files without the columns {', '.join(result.missing)}, which are null"] = (1, None)
    if result.extra:
        told[f"files with columns that no domain names, not written ({', '.join(result.extra)})"] = (1, None)
    return told
