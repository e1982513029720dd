"""Reads the clean lines of a file at once. What a clean line is, is one regular expression; the others go one by one.

pyarrow would accept in silence what is no value here (`0x10`, `18.`, `inf`, `09:07Z`). A line that matches holds none
of these, and pyarrow refuses none that does. Rows read one by one come as clean lines too, and are converted with them.
"""

import re
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.csv
from lines import Lines, Rest, kinds, read_rest

INSTANT = pa.timestamp("ns", tz="UTC")
TYPES = {"integer": pa.int64(), "float": pa.float64()}
BYTES = b"0123456789-.:TZ\n"  # with the delimiter: what wholly clean files consist of
SHORT_LINE = 300  # bytes: a float in less cannot become zero, or infinite, for want of digits
LONG_LINE, BLOCK = 1 << 16, 1 << 19  # bytes: the longest line, and what pyarrow converts at once
CACHED, KEYED_LINES = 1 << 17, 1 << 12  # bytes that are looked at, and lines whose keys are taken out, at once
LONG, SHORT = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])", "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
FEBRUARY, LEAP_YEAR = "02-(0[1-9]|1[0-9]|2[0-8])", "((19|20|21)(0[48]|[2468][048]|[13579][26])|2000)"
DATE = f"((19|20|21)[0-9][0-9]-({LONG}|{SHORT}|{FEBRUARY})|{LEAP_YEAR}-02-29)"  # each of three centuries, no other
STAMP = DATE + r"[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
NUMBERS = {"integer": "-?[0-9]{1,18}", "float": r"-?([0-9]{1,18}(\.[0-9]{1,18})?|\.[0-9]{1,18})"}  # none overflows


def instants_of(table, column):
    """The timestamps of a table as integers: nanoseconds since 1970, UTC."""
    return np.from_dlpack(table[column].combine_chunks().view(pa.int64()))


def array_of(values, kind):
    """Integers as a column of a pyarrow type, without nulls; pyarrow's own way imports pandas first, in 0.2 s."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def rows_of(lines, shape, params, days):
    """The rows of a file as a table of its declared columns, the lines they stand in, from 0, and the rest."""
    clean = np.arange(len(lines.ends)) > shape.header
    if _looks_clean(lines, shape, params):
        with suppress(pa.ArrowInvalid):  # the pattern tells which line that is of
            return *_convert(lines, shape, clean, {}, params), Rest({}, [], {}, 0, shape.names)
    clean &= lines.matching(_pattern(shape, params)) & (np.diff(lines.ends, prepend=-1) <= LONG_LINE)
    others = [index for index in np.flatnonzero(~clean).tolist() if index != shape.header]
    rest = read_rest(lines, others, shape, params, days)
    table, indexes = _convert(lines, shape, clean, rest.rows, params)
    return table.select([name for name in table.column_names if name in rest.names]), indexes, rest


def _looks_clean(lines, shape, params):
    """Whether bytes and counts alone say that each line after the header is a row, or one that pyarrow refuses."""
    start, usual = int(lines.ends[0]) + 1 if shape.header == 0 else 0, BYTES + params["delimiter"].encode()
    codes, counts = np.frombuffer(lines.data, np.uint8)[start:], np.zeros(3, np.int64)
    for at in range(0, len(codes), CACHED):
        block, after = codes[at : at + CACHED], codes[at + 1 : at + 1 + CACHED]
        bare_points = (block[: len(after)] == ord(".")) & (after - np.uint8(ord("0")) > 9)
        counts += [np.count_nonzero(each) for each in (block == ord("Z"), block == ord(":"), bare_points)]
    return (
        {params["timestamp_column"], *kinds(params)}.issuperset(shape.names)
        and lines.data.translate(None, usual) == lines.data[:start].translate(None, usual)
        and np.diff(lines.ends, prepend=-1).max() <= SHORT_LINE
        and counts.tolist() == [times * (len(lines.ends) - (shape.header == 0)) for times in (1, 2, 0)]
    )


def _pattern(shape, params):
    """What a clean line is, as a regular expression."""
    known, delimiter, fields = kinds(params), re.escape(params["delimiter"]), []
    plain = [word for word in params["null_values"] if re.fullmatch(r"[!#-9;-~]+", word)]
    nulls = "".join(f"|{re.escape(word)}" for word in plain if params["delimiter"] not in word)
    text = rf'[^\x00-\x08\x0a-\x1f"\x7f-\xff{delimiter}]*'
    for name in shape.names[: shape.width]:
        value = f"({NUMBERS[known[name]]}{nulls})?" if name in known else text
        fields.append(STAMP if name == params["timestamp_column"] else f"{name}:{value}" if shape.keyed else value)
    return f"^{delimiter.join(fields)}\n"


def _convert(lines, shape, clean, rows, params):
    """Clean lines and other `rows` in their order as a table, and their indexes; ArrowInvalid if one is not clean."""
    column, known = params["timestamp_column"], kinds(params)
    if shape.keyed:
        lines = _without_keys(lines, shape, clean, params)
    runs = np.flatnonzero(np.diff(clean, prepend=False, append=False)).reshape(-1, 2)  # first, and one after the last
    edges = np.concatenate(([0], lines.ends + 1))[runs].tolist()
    parts = {first: memoryview(lines.data)[slice(*edge)] for (first, _), edge in zip(runs.tolist(), edges, strict=True)}
    parts |= {index: line for index, (_, line) in rows.items()}
    body = b"".join(parts[first] for first in sorted(parts)) if len(parts) != 1 else next(iter(parts.values()))
    columns = {str(place): name for place, name in enumerate(shape.names) if name in known or name == column}
    types = {place: TYPES.get(known.get(name), INSTANT) for place, name in columns.items()}
    if not len(body):
        return pa.schema([(columns[place], types[place]) for place in types]).empty_table(), np.empty(0, np.int64)
    read = pa.csv.ReadOptions(column_names=[*map(str, range(len(shape.names)))], use_threads=False, block_size=BLOCK)
    parse = pa.csv.ParseOptions(delimiter=params["delimiter"], quote_char=False)
    nulls = ["", *(word for word in params["null_values"] if ":" not in word)]
    convert = pa.csv.ConvertOptions(column_types=types, null_values=nulls, include_columns=[*columns])
    table = pa.csv.read_csv(pa.BufferReader(body), read, parse, convert).rename_columns([*columns.values()])
    indexes = np.flatnonzero(clean)
    if rows:
        indexes = np.sort(np.concatenate((indexes, list(rows))))
        instants = instants_of(table, column).copy()
        instants[np.searchsorted(indexes, list(rows))] = [instant for instant, _ in rows.values()]
        table = table.set_column(table.column_names.index(column), column, array_of(instants, INSTANT))
    if table.num_rows != len(indexes):
        raise pa.ArrowInvalid(f"{len(indexes)} rows became {table.num_rows}")
    return table, indexes


def _without_keys(lines, shape, clean, params):
    """The lines, the clean ones among them without their keys, and as many fields as there are names."""
    delimiter, lengths, data = params["delimiter"].encode(), np.diff(lines.ends, prepend=-1), bytearray()
    starts = np.concatenate(([0], lines.ends + 1))
    for first in range(0, len(clean), KEYED_LINES):
        good = clean[first : first + KEYED_LINES]
        codes = np.frombuffer(lines.data, np.uint8)[starts[first] : starts[first + len(good)]]
        marks = codes == ord(delimiter)
        if not good.all():
            marks &= np.repeat(good, lengths[first : first + len(good)])
        kept, after = np.ones(len(codes), bool), np.flatnonzero(marks).reshape(int(good.sum()), shape.width - 1)
        for name, places in zip(shape.names[1:], np.ascontiguousarray(after.T), strict=False):
            for offset in range(1, len(name) + 2):
                kept[places + offset] = False
        data += codes[kept].tobytes().replace(b"\n", delimiter * (len(shape.names) - shape.width) + b"\n")
    return Lines(data, np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")))
