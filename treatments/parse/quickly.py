"""Reads the clean lines of a file at once: the same rows as line by line, for whatever can be told cheaply to be clean.

pyarrow converts by types, and would accept in silence what is no value here (`0x10`, `18.`, `inf`, `09:07Z`). So
lines are held to the bytes that clean ones consist of, and their points, colons and `Z` are looked at: one that
passes can only be converted to what reading line by line gives. The others are left for that.
"""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from arrays import bits, to_numpy
from columns import declared, kinds

INSTANT = pa.timestamp("ns", tz="UTC")
TYPES = {"integer": pa.int64(), "float": pa.float64()}
CLEAN = b"0123456789-.:TZ\n"
STARTS = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
KEY = re.compile(rb"([A-Za-z_][A-Za-z_0-9]*):[^:]*")
BLOCK, LARGE_BLOCK = 1 << 17, 1 << 20  # bytes: what fits the nearest cache, and the one behind it
LONGEST_LINE = 300  # bytes: a float in less cannot become zero for want of digits
STAMP = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z"
FIELDS = {"integer": "(-?[0-9]{1,18})?", "float": r"(-?([0-9]+(\.[0-9]+)?|\.[0-9]+))?"}


class Quick(NamedTuple):
    """The clean lines of a file as a `table` of all its columns, with their numbers; `left` are the other lines."""

    table: pa.Table
    numbers: np.ndarray
    left: list
    header: bytes
    keyed: bool


class _Lines(NamedTuple):
    """Whole lines of bytes, each with the number that it has in its file."""

    body: bytes
    numbers: np.ndarray

    @property
    def codes(self):
        return np.frombuffer(self.body, np.uint8)

    @property
    def ends(self):
        return np.flatnonzero(self.codes == ord("\n"))


def read_quickly(data, params):
    """The clean lines of the bytes of a file, or None where its shape is none that is read at once."""
    data, delimiter = data.removeprefix(b"\xef\xbb\xbf"), params["delimiter"].encode()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b"\r" in data or delimiter in CLEAN or len(delimiter) != 1:
        return None
    start, header, names = 0, b"", declared(params)
    if not STARTS.match(data):
        start = data.find(b"\n") + 1
        header = data[: start - 1]
        names = header.decode("utf-8", "replace").split(params["delimiter"])
        plain = len(set(names)) == len(names) and all(re.fullmatch(r"\w+", name) for name in names)
        if not start or not plain or names[0] != params["timestamp_column"] or not STARTS.match(data, start):
            return None
    first = 2 if header else 1
    clean = CLEAN + delimiter
    if data.endswith(b"\n") and data.translate(None, clean) == header.translate(None, clean):
        number = _number_if_clean(np.frombuffer(data, np.uint8)[start:])
        table = _convert(pa.py_buffer(data).slice(start), number, names, params)
        if table is not None:
            return Quick(table, np.arange(first, first + number), [], header, False)
    keys = None if header else _keys(data[: data.find(b"\n")], delimiter)
    if keys:
        names = [params["timestamp_column"], *keys]
    blocks = list(_blocks(data, start, first))
    lines = _joined(_without_odd([_cleaned(block, keys, delimiter, len(names)) for block in blocks], names, params))
    table = _convert(pa.py_buffer(lines.body), len(lines.numbers), names, params)
    if table is None and lines.body:
        lines = _only(lines, _matching_lines(lines, names, params))
        table = _convert(pa.py_buffer(lines.body), len(lines.numbers), names, params)
    if table is None:
        return None
    left = [one for block in blocks for one in _others(block, lines.numbers)]
    rest = data[data.rfind(b"\n") + 1 :]
    if rest:
        left.append((int(blocks[-1].numbers[-1]) + 1, rest))
    return Quick(table, lines.numbers, left, header, bool(keys))


def _blocks(data, start, number):
    """The whole lines of the bytes of a file from `start` on, in large blocks; `number` is the first's."""
    last = data.rfind(b"\n") + 1
    while start < last:
        end = data.find(b"\n", start + LARGE_BLOCK) + 1 or last
        body = data[start:end]
        numbers = np.arange(number, number + body.count(b"\n"))
        yield _Lines(body, numbers)
        start, number = end, number + len(numbers)


def _cleaned(lines, keys, delimiter, width):
    """The clean ones of the lines, without their keys."""
    if keys:
        lines = _without_keys(lines, keys, delimiter)
    return _only(lines, _clean_lines(lines, delimiter, width))


def _joined(parts):
    """Lines that follow each other, as one."""
    numbers = np.concatenate([np.arange(0), *(part.numbers for part in parts)])
    return _Lines(b"".join(part.body for part in parts), numbers)


def _without_odd(parts, names, params):
    """The lines without those that have more points than most, or fewer, and do not match the pattern.

    A point in an integer hides nowhere else, and pyarrow would refuse all lines for one that has it.
    """
    odd = _joined([_only(part, _is_odd(part)) for part in parts])
    if not odd.body:
        return parts
    bad = odd.numbers[~_matching_lines(odd, names, params)]
    return [_only(part, ~np.isin(part.numbers, bad)) for part in parts] if len(bad) else parts


def _is_odd(lines):
    """Which lines have more points than most, or fewer."""
    counts = _counts(np.flatnonzero(lines.codes == ord(".")), lines.ends)
    return counts != np.bincount(counts, minlength=1).argmax()


def _keys(line, delimiter):
    """The keys of a line of key:value fields, or None."""
    matches = [KEY.fullmatch(field) for field in line.split(delimiter)[1:]]
    keys = [match[1].decode() for match in matches if match]
    return keys if matches and len(keys) == len(matches) and len(set(keys)) == len(keys) else None


def _without_keys(lines, keys, delimiter):
    """The lines that have just these keys, in this order, without them."""
    codes, ends = lines.codes, lines.ends
    marks = np.flatnonzero(codes == delimiter[0])
    counts = _counts(marks, ends)
    alike = counts == len(keys)
    after = marks.reshape(-1, len(keys)) if alike.all() else marks[np.repeat(alike, counts)].reshape(-1, len(keys))
    good = np.ones(len(after), bool)
    for places, code in _key_places(after, keys):
        good &= codes[np.minimum(places, len(codes) - 1)] == code
    alike[alike] = good
    kept = np.ones(len(codes), bool) if alike.all() else np.repeat(alike, np.diff(ends, prepend=-1))
    for places, _ in _key_places(after if good.all() else after[good], keys):
        kept[places] = False
    return _Lines(codes[kept].tobytes(), lines.numbers[alike])


def _key_places(after, keys):
    """Each byte of the keys and their colons, and where it stands in each line, `after` which delimiters."""
    for key, marks in zip(keys, after.T, strict=True):
        for offset, code in enumerate(f"{key}:".encode(), start=1):
            yield marks + offset, code


def _only(lines, good):
    """Those of the lines that are good."""
    if good.all():
        return lines
    kept = np.repeat(good, np.diff(lines.ends, prepend=-1))
    return _Lines(lines.codes[kept].tobytes(), lines.numbers[good])


def _others(block, numbers):
    """The lines of a block, with their numbers, that are not among `numbers`, which are sorted."""
    first, last = np.searchsorted(numbers, (block.numbers[0], block.numbers[-1] + 1))
    if last - first == len(block.numbers):
        return []
    ends = block.ends
    missing = np.flatnonzero(~np.isin(block.numbers, numbers[first:last]))
    return [(int(block.numbers[at]), block.body[ends[at - 1] + 1 if at else 0 : ends[at]]) for at in missing]


def _number_if_clean(codes):
    """The number of lines, if all are clean by counts over all of them; 0 if not. In blocks that fit a cache."""
    number = stamps = colons = 0
    last = -1
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK]
        ends = np.flatnonzero(block == ord("\n"))
        if not len(ends):
            return 0
        lengths = ends[1:] - ends[:-1]
        across = ends[0] - last
        if min(across, lengths.min(initial=2)) < 2 or max(across, lengths.max(initial=2)) > LONGEST_LINE:
            return 0
        last = ends[-1] - BLOCK
        number += len(ends)
        stamps += np.count_nonzero(block == ord("Z"))
        colons += np.count_nonzero(block == ord(":"))
        after = codes[start + 1 : start + BLOCK + 1]  # the last code of all is the end of a line, never a point
        if ((block[: len(after)] == ord(".")) & (after - np.uint8(ord("0")) > 9)).any():
            return 0
    return number if stamps == number and colons == 2 * number else 0


def _clean_lines(lines, delimiter, width):
    """Which lines are clean, as far as bytes tell."""
    codes, ends = lines.codes, lines.ends
    lengths = np.diff(ends, prepend=-1)
    clean = (lengths > 1) & (lengths <= LONGEST_LINE)
    for code, number in ((delimiter[0], width - 1), (ord("Z"), 1), (ord(":"), 2)):
        clean &= _counts(np.flatnonzero(codes == code), ends) == number
    if lines.body.translate(None, CLEAN + delimiter):
        usual = np.zeros(256, bool)
        usual[list(CLEAN + delimiter)] = True
        clean[np.searchsorted(ends, np.flatnonzero(~usual[codes]))] = False
    points = np.flatnonzero(codes == ord("."))
    after = codes[points + 1]  # the last code of all is the end of a line, never a point
    clean[np.searchsorted(ends, points[(after < ord("0")) | (after > ord("9"))])] = False
    return clean


def _counts(places, ends):
    """How many of the places lie in each line."""
    return np.diff(np.searchsorted(places, ends), prepend=0)


def _matching_lines(lines, names, params):
    """Which lines pyarrow can convert but for days that do not exist: by a pattern of the whole line."""
    import pyarrow.compute as pc  # here, as clean files need none of it: 30 ms

    known = kinds(params)
    fields = [STAMP, *(FIELDS[known.get(name, "float")] for name in names[1:])]
    pattern = f"^{re.escape(params['delimiter']).join(fields)}\n$"
    offsets = np.concatenate(([0], lines.ends + 1)).astype(np.int64)
    texts = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(lines.body)]
    )
    return bits(pc.match_substring_regex(texts, pattern))


def _convert(body, number, names, params):
    """A buffer of a number of lines as a table, or None where one of them cannot be converted."""
    known = kinds(params)
    types = {name: TYPES[known.get(name, "float")] for name in names}
    types[params["timestamp_column"]] = INSTANT
    if not number:
        return None
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(body),
            read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 19),
            parse_options=pa.csv.ParseOptions(delimiter=params["delimiter"], quote_char=False),
            convert_options=pa.csv.ConvertOptions(column_types=types, null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
    whole = table.num_rows == number and not table[params["timestamp_column"]].null_count
    return table if whole and all(map(_is_finite, table.columns)) else None


def _is_finite(column):
    return not pa.types.is_floating(column.type) or not np.isinf(to_numpy(column)).any()
