"""Parse logger CSV into typed parquet: one file per domain and UTC day, every value exactly as it was recorded."""

import csv
import gzip
import re
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

INSTANT = pa.timestamp("ns", tz="UTC")
ISO_8601 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
NUMBERS = {
    "integer": (r"^[+-]?[0-9]+$", pa.int64()),
    "float": (r"^[+-]?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?$", pa.float64()),
}


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Read all CSV files of `input_dir`, write `<domain>__<YYYY-MM-DD>.parquet` files to `output_dir`.

    Each output has the timestamp column (timestamp[ns, UTC]), the domain's columns (int64 or float64) and
    `domain`; its rows are in the order of time, those of one instant in the order of the files' names.
    Raises ValueError for the first thing that cannot be read, with its file, line, column and value.
    """
    try:
        _check(params)
        with tempfile.TemporaryDirectory() as spool:
            pieces = {}  # (domain, day) -> the rows that each file has for it, on disk: a year need not fit in memory
            for number, path in enumerate(_csv_files(Path(input_dir))):
                for domain, day, table in _read(path, params):
                    piece = Path(spool) / f"{domain}__{day}__{number}.arrow"
                    _spool(table, piece)
                    pieces.setdefault((domain, day), []).append(piece)
            for (domain, day), files in pieces.items():
                table = pa.concat_tables(map(_unspool, files))
                table = table.take(pc.sort_indices(table[params["timestamp_column"]]))  # a stable sort
                pq.write_table(table, Path(output_dir) / f"{domain}__{day}.parquet", compression="zstd")
    except _RefusedError as refused:
        raise ValueError(str(refused)) from None


class _RefusedError(Exception):
    """What is wrong with the params or the data, in words that need no traceback."""


class _BadValueError(Exception):
    """The row (from 0) of a value that cannot be read, and what is wrong with it."""


class _Source(NamedTuple):
    """What a file holds, still as text: `text` has one string column per name, one row per line after `header`."""

    path: Path
    header: int  # the number of its line, 0 when there is none
    text: pa.Table


def _check(params):
    """See that the params fit together, beyond their types."""
    if len(params["delimiter"]) != 1:
        raise _RefusedError(f"param `delimiter` must be one character, not {params['delimiter']!r}")
    try:
        _local(pa.array(["2026-01-20T12:00:00"]), params["tz"])
    except pa.ArrowInvalid:
        hint = "use an IANA name such as Europe/Paris"
        raise _RefusedError(f"param `tz`: no time zone `{params['tz']}`; {hint}") from None
    taken = {params["timestamp_column"], "domain"}
    for domain, columns in params["domains"].items():
        if not re.fullmatch(r"[A-Za-z0-9_-]+", domain):
            raise _RefusedError(
                f"param `domains`: {domain!r} cannot be part of a file name; use letters, digits, _ and -"
            )
        if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
            raise _RefusedError(f"param `domains`: `{domain}` must be an array of column names, not {columns!r}")
        if params["types"].get(domain) not in NUMBERS:
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


def _read(path, params):
    """The rows of one file: a domain, a UTC day, and its table, for each."""
    source = _read_text(path, params)
    if source is None:
        warnings.warn(f"{path.name} holds no rows")
        return
    column, names = params["timestamp_column"], source.text.column_names
    declared = _declared(params)
    missing = [name for name in declared if name not in names]
    extra = [name for name in names if name not in declared]
    if missing:
        warnings.warn(f"{path.name} lacks {', '.join(missing)}: null, or no rows for a domain of which it has nothing")
    if extra:
        warnings.warn(f"{path.name} has columns that no domain names; they are not written: {', '.join(extra)}")
    instants = _converted(source, column, lambda texts: _instants(texts, params["tz"]))
    days = pc.floor_temporal(instants, unit="day").cast(pa.timestamp("ns")).cast(pa.date32())
    for domain, columns in params["domains"].items():
        if set(columns) <= set(missing):
            continue
        kind = params["types"][domain]
        arrays = [
            pa.nulls(len(days), NUMBERS[kind][1])
            if name in missing
            else _converted(source, name, lambda texts, kind=kind: _numbers(texts, kind))
            for name in columns
        ]
        label = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(days)), [domain])
        table = pa.table([instants, *arrays, label], names=[column, *columns, "domain"])
        for day in pc.unique(days):
            yield domain, str(day), table.filter(pc.equal(days, day))


def _declared(params):
    """The columns of a file without a header: the timestamp, then those of the domains in their order."""
    return [params["timestamp_column"], *(name for columns in params["domains"].values() for name in columns)]


def _read_text(path, params):
    """A file as a `_Source`, or None when it has no rows."""
    number, first = next(_lines(path), (0, ""))
    fields = _split(first, params["delimiter"])
    has_header = not re.search(ISO_8601, fields[0])
    rows = sum(1 for _ in _lines(path)) - has_header
    if rows < 1:
        return None
    names = _declared(params)
    if has_header:
        names = fields
        _check_header(path, names, number, params)
    options = {
        "read_options": pa.csv.ReadOptions(column_names=names, skip_rows=number if has_header else 0),
        "parse_options": pa.csv.ParseOptions(delimiter=params["delimiter"]),
        "convert_options": pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    }
    try:
        with _open(path, "rb") as file:
            text = pa.csv.read_csv(file, **options)
    except pa.ArrowInvalid as error:
        raise _RefusedError(f"{path}{_why(path, names, params) or f': {error}'}") from None
    if text.num_rows != rows:  # a quoted value ran over the ends of lines
        raise _RefusedError(f'{path}: {rows} lines gave {text.num_rows} rows; is there a quote (") that is not closed?')
    return _Source(path, number if has_header else 0, text)


def _open(path, mode, **options):
    """A file, unpacked when its name ends with .gz."""
    return (gzip.open if path.name.lower().endswith(".gz") else open)(path, mode, **options)


def _lines(path):
    """Number (from 1) and text of the lines of a file that are not empty; what is no UTF-8 as lone surrogates."""
    with _open(path, "rt", encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if line != "\n":
                yield number, line.removesuffix("\n")


def _split(line, delimiter):
    """The fields of a line."""
    try:
        fields = next(csv.reader([line], delimiter=delimiter)) or [""]
    except csv.Error:
        fields = line.split(delimiter)
    return [field.strip(" \t") for field in fields]


def _check_header(path, names, number, params):
    """See that a header names the timestamp column, and no column twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _RefusedError(f"{path}:{number}: the header names {', '.join(twice)} twice")
    if params["timestamp_column"] not in names:
        hint = _other_delimiter(names, params)
        raise _RefusedError(f"{path}:{number}: no column `{params['timestamp_column']}` in the header: {names}{hint}")


def _why(path, names, params):
    """The first line that is no row of these columns, in words; nothing when every line is one."""
    for number, line in _lines(path):
        fields = _split(line, params["delimiter"])
        if len(fields) != len(names):
            hint = _other_delimiter(fields, params)
            return f":{number}: {len(fields)} fields, expected {len(names)}: {line[:100]!r}{hint}"
        bad = next((place for place, field in enumerate(fields, start=1) if re.search("[\udc80-\udcff]", field)), 0)
        if bad:
            return f":{number}: column {bad} `{names[bad - 1]}`: {fields[bad - 1][:100]!r} is not UTF-8"
    return ""


def _other_delimiter(fields, params):
    """A hint for a line that is one field because it is delimited by something else."""
    seems = next((mark for mark in ",\t;|" if len(fields) == 1 and mark in fields[0]), None)
    return f"; the delimiter seems to be {seems!r}: set the param `delimiter`" if seems else ""


def _converted(source, name, convert):
    """A column of a source by a function that raises `_BadValueError`; says where in the file a bad value stands."""
    try:
        return convert(pc.utf8_trim(source.text[name].combine_chunks(), " \t"))
    except _BadValueError as bad:
        row, what = bad.args
        lines = (number for number, _ in _lines(source.path) if number > source.header)
        number = next(number for place, number in enumerate(lines) if place == row)
        column = source.text.column_names.index(name) + 1
        value = source.text[name][row].as_py()
        raise _RefusedError(f"{source.path}:{number}: column {column} `{name}`: {value[:100]!r} {what}") from None


def _instants(texts, tz):
    """ISO 8601 texts as instants; those without an offset are local times of the zone `tz`."""
    _match(texts, ISO_8601, "is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z")
    has_offset = pc.match_substring_regex(texts, OFFSET)
    with_offset = _cast(pc.if_else(has_offset, texts, None), lambda part: part.cast(INSTANT), "is no time that exists")
    naive = pc.if_else(has_offset, None, texts)
    return pc.coalesce(with_offset, _cast(naive, lambda part: _local(part, tz), f"is no single time in {tz}"))


def _local(texts, tz):
    """Local times as instants; raises for one that the zone skips or has twice."""
    naive = texts.cast(pa.timestamp("ns"))
    return naive.cast(INSTANT) if tz == "UTC" else pc.assume_timezone(naive, tz).cast(INSTANT)


def _numbers(texts, kind):
    """Texts as integers or floats, exactly; an empty one is null."""
    pattern, number = NUMBERS[kind]
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    _match(texts, pattern, f"is no {kind}")
    if kind == "integer":
        return _cast(pc.replace_substring_regex(texts, r"^\+", ""), lambda part: part.cast(number), "is beyond int64")
    numbers = texts.cast(number)
    lost = pc.or_(pc.is_inf(numbers), pc.and_(pc.equal(numbers, 0), pc.match_substring_regex(texts, "^[^eE]*[1-9]")))
    if pc.any(lost).as_py():
        raise _BadValueError(pc.index(lost, True).as_py(), "is beyond the range of a float")
    return numbers


def _match(texts, pattern, what):
    """See that every text that is not null matches."""
    row = pc.index(pc.match_substring_regex(texts, pattern), False).as_py()
    if row >= 0:
        raise _BadValueError(row, what)


def _cast(texts, cast, what):
    """`cast(texts)`; where that fails, halves them until the first text that fails stands alone."""
    try:
        return cast(texts)
    except pa.ArrowInvalid:
        start, end = 0, len(texts)
    while end - start > 1:
        middle = (start + end) // 2
        try:
            cast(texts[start:middle])
            start = middle
        except pa.ArrowInvalid:
            end = middle
    raise _BadValueError(start, what)


def _spool(table, path):
    """Keep a table on disk."""
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def _unspool(path):
    """A table that `_spool` kept."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
