"""Reads the clean lines of a file at once. What a clean line is, is one regular expression; the others go one by one.

pyarrow would accept in silence what is no value here (`0x10`, `18.`, `inf`, `09:07Z`). A line that matches holds none
of these, and pyarrow refuses none that does. Rows read one by one come as clean lines too, and are converted with them.
"""

import re
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.csv
from lines import Lines, Rest, form_of, kinds, read_rest, times_of
from stamps import EPOCH_DIGITS, TIMES, instants_at, zone_of

INSTANT = pa.timestamp("ns", tz="UTC")
TYPES = {"integer": pa.int64(), "float": pa.float64()}
BYTES = b"0123456789-.\n"  # with the delimiter, and the marks of ISO 8601: what wholly clean files consist of
SHORT_LINE = 300  # bytes: a float in less cannot become zero, or infinite, for want of digits
LONG_LINE, BLOCK = 1 << 16, 1 << 19  # bytes: the longest line, and what pyarrow converts at once
CACHED, KEYED_LINES = 1 << 17, 1 << 12  # bytes that are looked at, and lines whose keys are taken out, at once
LONG, SHORT = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])", "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
FEBRUARY, LEAP_YEAR = "02-(0[1-9]|1[0-9]|2[0-8])", "((19|20|21)(0[48]|[2468][048]|[13579][26])|2000)"
DATE = f"((19|20|21)[0-9][0-9]-({LONG}|{SHORT}|{FEBRUARY})|{LEAP_YEAR}-02-29)"  # each of three centuries, no other
STAMP = DATE + r"[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
BEYOND_ASCII = (  # one character of UTF-8, by the table of its well-formed bytes in the Unicode Standard (3-7)
    r"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    r"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
INTEGER, FLOAT = "-?[0-9]{1,18}", "-?([0-9]{1,18}([{0}][0-9]{1,18})?|[{0}][0-9]{1,18})"  # none overflows


def instants_of(table, column):
    """The timestamps of a table as integers: nanoseconds since 1970, UTC."""
    return np.from_dlpack(table[column].combine_chunks().view(pa.int64()))


def array_of(values, kind):
    """Integers as a column of a pyarrow type, without nulls; pyarrow's own way imports pandas first, in 0.2 s."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def rows_of(lines, shape, params, days):
    """The rows of a file as a table of its declared columns, the lines they stand in, from 0, and the rest."""
    form, candidates, bare = form_of(params), ~shape.over, _without_quotes(lines, params)
    if _looks_clean(bare, shape, form, params):
        with suppress(pa.ArrowInvalid):  # the pattern tells which line that is of
            return *_convert(bare, shape, candidates, None, {}, params), Rest({}, [], {}, 0, shape.names)
    candidates &= np.diff(lines.ends, prepend=-1) <= LONG_LINE
    clean, instants = _clean_lines(bare, shape, candidates, form, params)
    others = np.flatnonzero(~clean & ~shape.over).tolist()
    rest = read_rest(lines, others, shape, params, days)
    table, indexes = _convert(bare, shape, clean, instants, rest.rows, params)
    return table.select([name for name in table.column_names if name in rest.names]), indexes, rest


def _without_quotes(lines, params):
    """The lines, those among them without quotes whose quoted fields hold neither a quote nor a delimiter."""
    if b'"' not in lines.data:
        return lines
    delimiter = re.escape(params["delimiter"])
    field = f'([^"{delimiter}\n]*|"[^"{delimiter}\n]*")'
    plain = lines.matching(f"^{field}({delimiter}{field})*\n")
    codes = np.frombuffer(lines.data, np.uint8)
    kept = (codes != ord('"')) | np.repeat(~plain, np.diff(lines.ends, prepend=-1))
    data = codes[kept].tobytes()
    return Lines(data, np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def _looks_clean(lines, shape, form, params):
    """Whether bytes and counts alone say that each line after the header is a row, or one that pyarrow refuses."""
    if (form.name != "iso8601" and form.name not in EPOCH_DIGITS) or params["time_column"] or params["decimal"] != ".":
        return False
    if (head := int(np.count_nonzero(shape.over))) == len(shape.over) or shape.over[head:].any():
        return False  # lines are passed over elsewhere than at the beginning
    start, of_time = int(lines.ends[head - 1]) + 1 if head else 0, (1, 2) if form.name == "iso8601" else (0, 0)
    usual = BYTES + params["delimiter"].encode() + (b"TZ:" if any(of_time) else b"")
    codes, counts = np.frombuffer(lines.data, np.uint8)[start:], np.zeros(3, np.int64)
    for at in range(0, len(codes), CACHED):
        block, after = codes[at : at + CACHED], codes[at + 1 : at + 1 + CACHED]
        bare_points = (block[: len(after)] == ord(".")) & (after - np.uint8(ord("0")) > 9)
        counts += [np.count_nonzero(each) for each in (block == ord("Z"), block == ord(":"), bare_points)]
    return (
        {params["timestamp_column"], *kinds(params)}.issuperset(shape.names)
        and lines.data.translate(None, usual) == lines.data[:start].translate(None, usual)
        and np.diff(lines.ends, prepend=-1)[head:].max() <= SHORT_LINE
        and counts.tolist() == [times * (len(lines.ends) - head) for times in (*of_time, 0)]
    )


def _clean_lines(lines, shape, candidates, form, params):
    """Which lines are clean, and the instants of these where pyarrow does not read their stamps."""
    if form.name in EPOCH_DIGITS:
        most, digits, mark = 19 - EPOCH_DIGITS[form.name] - 1, EPOCH_DIGITS[form.name], re.escape(params["decimal"])
        epoch = f"-?([0-9]{{1,{most}}}|[1-8][0-9]{{{most}}})({mark}[0-9]{{1,{digits}}})?"
        if any(re.fullmatch(epoch, word) for word in params["null_values"]):
            return np.zeros(len(candidates), bool), np.empty(0, np.int64)  # no word stands for no stamp
        return candidates & lines.matching(_pattern(shape, [epoch], params)), None
    plain = form.name == "iso8601" and not params["time_column"]
    if plain:
        stamp = STAMP.replace("[T ]", "T") if params["delimiter"] == " " else STAMP
        clean = candidates & lines.matching(_pattern(shape, [stamp], params))
        if np.count_nonzero(clean) * 2 > np.count_nonzero(candidates):
            return clean, None  # else most stamps may be without an offset
    texts, places = form.clean(params["delimiter"]), [shape.names.index(name) for name in times_of(params)]
    if not texts or max(places) >= shape.width:
        return np.zeros(len(candidates), bool), np.empty(0, np.int64)
    found = candidates & lines.matching(_pattern(shape, texts, params))
    if plain and np.count_nonzero(found) <= np.count_nonzero(clean):
        return clean, None
    starts = _starts(lines, shape, found, params)
    instants, fine = instants_at(np.frombuffer(lines.data, np.uint8), starts, form, zone_of(params["tz"]))
    found[found] = fine
    return found, instants[fine]


def _starts(lines, shape, clean, params):
    """Where the fields of the stamps of clean lines begin."""
    first, times = np.concatenate(([0], lines.ends + 1))[:-1], times_of(params)
    places = [shape.names.index(name) for name in times]
    if not any(places):
        return [first[clean]]
    marks = np.frombuffer(lines.data, np.uint8) == ord(params["delimiter"])
    if not clean.all():
        marks &= np.repeat(clean, np.diff(lines.ends, prepend=-1))
    after = np.flatnonzero(marks).reshape(-1, shape.width - 1)
    keys = [len(name) + 1 if shape.keyed else 0 for name in times]
    return [after[:, place - 1] + 1 + key if place else first[clean] for place, key in zip(places, keys, strict=True)]


def _pattern(shape, stamps, params):
    """What a clean line is, as a regular expression; `stamps` are those of the fields of its stamp."""
    known, delimiter, fields = kinds(params), re.escape(params["delimiter"]), []
    numbers = {"integer": INTEGER, "float": FLOAT.replace("{0}", params["decimal"])}
    plain = [word for word in params["null_values"] if re.fullmatch(r"[!#-9;-~]+", word)]
    nulls = "".join(f"|{re.escape(word)}" for word in plain if params["delimiter"] not in word)
    text = rf'([^\x00-\x08\x0a-\x1f"\x7f-\xff{delimiter}]|{BEYOND_ASCII})*'
    times = dict(zip(times_of(params), stamps, strict=True))
    for place, name in enumerate(shape.names[: shape.width]):
        value = times.get(name) or (f"({numbers[known[name]]}{nulls})?" if name in known else text)
        fields.append(f"{name}:{value}" if shape.keyed and place else value)
    return f"^{delimiter.join(fields)}\n"


def _convert(lines, shape, clean, instants, rows, params):
    """Clean lines and other `rows` in their order as a table, and their indexes; ArrowInvalid if one is not clean.

    `instants` are those of the clean lines, where they are known.
    """
    column, known, form = params["timestamp_column"], kinds(params), form_of(params)
    if shape.keyed:
        lines = _without_keys(lines, shape, clean, params)
    runs = np.flatnonzero(np.diff(clean, prepend=False, append=False)).reshape(-1, 2)  # first, and one after the last
    edges = np.concatenate(([0], lines.ends + 1))[runs].tolist()
    parts = {first: memoryview(lines.data)[slice(*edge)] for (first, _), edge in zip(runs.tolist(), edges, strict=True)}
    parts |= {index: line for index, (_, line) in rows.items()}
    body = b"".join(parts[first] for first in sorted(parts)) if len(parts) != 1 else next(iter(parts.values()))
    wanted = known.keys() | ({column} if instants is None else set())
    columns = {str(place): name for place, name in enumerate(shape.names) if name in wanted}
    of_stamps = pa.decimal128(38, EPOCH_DIGITS[form.name]) if form.name in EPOCH_DIGITS else INSTANT
    types = {place: TYPES.get(known.get(name), of_stamps) for place, name in columns.items()}
    fields = [(name, TYPES.get(known.get(name), INSTANT)) for name in columns.values()]
    if not len(body):
        fields += [] if column in wanted else [(column, INSTANT)]
        return pa.schema(fields).empty_table(), np.empty(0, np.int64)
    table, indexes = None, np.flatnonzero(clean)
    if columns:
        names = [*map(str, range(len(shape.names)))]
        read = pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=BLOCK)
        parse = pa.csv.ParseOptions(delimiter=params["delimiter"], quote_char=False)
        nulls, mark = ["", *(word for word in params["null_values"] if ":" not in word)], params["decimal"]
        convert = pa.csv.ConvertOptions(
            column_types=types, null_values=nulls, include_columns=[*columns], decimal_point=mark
        )
        table = pa.csv.read_csv(pa.BufferReader(body), read, parse, convert).rename_columns([*columns.values()])
        if table.num_rows != len(indexes) + len(rows):
            raise pa.ArrowInvalid(f"{len(indexes) + len(rows)} rows became {table.num_rows}")
    if instants is None and form.name not in EPOCH_DIGITS and not rows:
        return table, indexes
    every = np.sort(np.concatenate((indexes, np.array([*rows], np.int64))))
    if instants is not None:
        found = np.empty(len(every), np.int64)
        found[np.searchsorted(every, indexes)] = instants
    else:
        found = (_of_decimals if form.name in EPOCH_DIGITS else instants_of)(table, column).copy()
    found[np.searchsorted(every, np.array([*rows], np.int64))] = [instant for instant, _ in rows.values()]
    stamps = array_of(found, INSTANT)
    if table is None:
        return pa.table([stamps], names=[column]), every
    table = table.drop_columns([column]) if column in wanted else table
    return table.add_column(0, column, stamps), every


def _of_decimals(table, column):
    """Epoch stamps, read exactly, as nanoseconds; ArrowInvalid if one is missing or no time that exists."""
    stamps = table[column].combine_chunks()
    halves = np.frombuffer(stamps.buffers()[1], np.int64)[: 2 * len(stamps)].reshape(-1, 2)
    seconds = halves[:, 0] // 1_000_000_000
    if stamps.null_count or ((halves[:, 0] >> 63) != halves[:, 1]).any():
        raise pa.ArrowInvalid("a stamp is missing, or beyond 64 bits")
    if (seconds < TIMES.start).any() or (seconds >= TIMES.stop).any():
        raise pa.ArrowInvalid("a stamp is no time that exists")
    return halves[:, 0]


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
