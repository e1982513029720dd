"""Reads one file line by line: every line becomes a row, or a reject that says why; nothing is guessed.

What is wrong with a whole file raises `RejectedFileError`; what is wrong with a line is kept in `rejects`.
"""

import csv
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from columns import DAY, declared, kinds

ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
KEY_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*:(.*)", re.ASCII | re.DOTALL)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT64 = range(-(2**63), 2**63)
TIMES = range(-9_223_372_036, 9_223_372_036)  # whole seconds that fit into nanoseconds of 64 bits
LONGEST_TEXT = 4_096  # characters of a line that is kept in the rejects


class RejectedFileError(Exception):
    """What is wrong with a whole file, and what would mend it."""


class Reject(NamedTuple):
    """A line (from 1; None: the whole file) that is no row, its field at fault (from 1, or None), why, and its text."""

    line: int | None
    column: int | None
    reason: str
    text: str

    def entry(self, file):
        """The line of the rejects file for it."""
        cut = {"truncated": True} if len(self.text) > LONGEST_TEXT else {}
        text = self.text[:LONGEST_TEXT]
        return {"file": file, "line": self.line, "column": self.column, "reason": self.reason, "text": text, **cut}


class Rows(NamedTuple):
    """What a file holds: `lines`, `instants` (nanoseconds since 1970, UTC) and `values` by column, one of each per row.

    `names` are the columns that the file has; `noted` is what its reader should be told, by kind: how often, and
    the first line; `found` is the number of lines that had to become a row or a reject.
    """

    names: list
    lines: list
    instants: list
    values: dict
    rejects: list
    noted: dict
    found: int


class _BadLineError(Exception):
    """The field at fault (from 1, or None), and why."""


def read_carefully(data, params, day):
    """The rows and rejects of the bytes of a file; raises RejectedFileError when it is no file of rows.

    `day` is the date in the file's name, if there is one: rows more than a day from it are a clock gone wrong.
    """
    noted = {}
    content = _content(enumerate(_lines(data), start=1), noted)
    if not content:
        return Rows([], [], [], {}, [], noted, 0)
    names, content, header, keyed = _shape(content, params, noted)
    width = _width(content, names, header, params) if not keyed else None
    ended = data.endswith((b"\n", b"\r"))
    return _rows(content, names, keyed, width, noted, params, day, of=len(content), ended=ended)


def read_left(lines, names, header, keyed, params, day, *, of, ended):
    """The rows and rejects of some numbered lines of a file, the others of which, `of` all, are known to be rows.

    None when so many of these are of another shape that the file's may be theirs.
    """
    noted = {}
    content = _content(lines, noted)
    if header:
        fields = _fields(header, params["delimiter"])
        _, content = _with_header([(1, header), *content], fields, params, noted)
    else:
        others = sum(_looks_keyed(line, params["delimiter"]) != keyed for _, line in content)
        if others * 2 >= of:
            return None
        names = [*dict.fromkeys([*names, *_all_keys(content, params["delimiter"])])] if keyed else names
    return _rows(content, names, keyed, len(names), noted, params, day, of=of, ended=ended)


def _content(lines, noted):
    """The lines that hold something, but for runs of NUL bytes, which are noted."""
    content = []
    for number, line in lines:
        if line and line.strip(b"\0") == b"":
            _note(noted, "lines of NUL bytes skipped", number)
        elif line.strip(b" \t"):
            content.append((number, line))
    return content


def _rows(content, names, keyed, width, noted, params, day, *, of, ended):
    """Every line as a row or a reject; `of` is the number of lines that the file has in all."""
    known = kinds(params)
    zone, nulls = ZoneInfo(params["tz"]), frozenset(params["null_values"])
    clock = 0
    rows = Rows(names, [], [], {name: [] for name in names if name in known}, [], noted, len(content))
    for number, line in content:
        try:
            fields = _fields(line, params["delimiter"])
            row = _by_key(fields, names[0]) if keyed else _by_place(fields, names, width)
            place, text = row[params["timestamp_column"]]
            instant = _instant(text, place, zone)
            if day and abs(instant // DAY - (day - EPOCH.date()).days) > 1:
                clock += 1
                raise _BadLineError(place, f"clock: {text!r} is more than a day from {day}, the day of the file's name")
            values = {name: _value(*row[name], known[name], nulls) if name in row else None for name in rows.values}
        except _BadLineError as bad:
            rows.rejects.append(Reject(number, *bad.args, _text(line)))
            continue
        rows.lines.append(number)
        rows.instants.append(instant)
        for name, value in values.items():
            rows.values[name].append(value)
            if value is None and name in row:
                _note(noted, "empty cells, now null", number)
    if clock * 2 > of:
        hint = "a dump of many days wants a name without a date"
        raise RejectedFileError(f"{clock} of its {of} rows are more than a day from {day}; {hint}")
    if not ended and rows.lines and rows.lines[-1] == content[-1][0]:
        _note(noted, "last lines without an end, which may be cut", rows.lines[-1])
    return rows


def _note(noted, kind, line):
    times, first = noted.get(kind, (0, line))
    noted[kind] = (times + 1, first)


def _lines(data):
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise RejectedFileError("it is UTF-16; save it as UTF-8")
    if data[:2] == b"\x1f\x8b":
        raise RejectedFileError("it is compressed by gzip; name it .csv.gz")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if re.match(rb"\s*<(!doctype|html|\?xml)", data[:200], re.IGNORECASE):
        raise RejectedFileError("it is an HTML page, no CSV")
    return re.split(b"\r\n|\r|\n", data)


def _text(line):
    return line.decode("utf-8", "backslashreplace")


def _fields(line, delimiter):
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _BadLineError(None, "it is not UTF-8") from None
    if '"' not in text:
        return [field.strip(" \t") for field in text.split(delimiter)]
    try:
        fields = next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise _BadLineError(None, 'a quote (") is not closed, or stands in the middle of a value') from None
    return [field.strip(" \t") for field in fields]


def _shape(content, params, noted):
    """The columns of a file, its lines without headers, the number of the header, and whether rows name their keys."""
    number, first = content[0]
    try:
        fields = _fields(first, params["delimiter"])
    except _BadLineError as bad:
        raise RejectedFileError(f"its first line cannot be read: {bad.args[1]}") from None
    if not ISO_8601.fullmatch(fields[0]):
        return (*_with_header(content, fields, params, noted), number, False)
    keyed = Counter(_looks_keyed(line, params["delimiter"]) for _, line in content)
    if keyed[True] > keyed[False]:
        return [params["timestamp_column"], *_all_keys(content, params["delimiter"])], content, 0, True
    return declared(params), content, 0, False


def _all_keys(content, delimiter):
    """The keys of the lines, in the order of their first appearance."""
    fields = (field for _, line in content for field in _text(line).split(delimiter)[1:])
    return list(dict.fromkeys(match[1] for match in map(KEY_VALUE.fullmatch, fields) if match))


def _looks_keyed(line, delimiter):
    second = line.split(delimiter.encode(), 2)[1:2]
    return bool(second) and bool(KEY_VALUE.fullmatch(_text(second[0])))


def _with_header(content, fields, params, noted):
    while len(fields) > 1 and not fields[-1]:
        fields = fields[:-1]  # a delimiter at the end of the header: rows are held to it below
    column = params["timestamp_column"]
    twice = sorted(name for name, times in Counter(fields).items() if times > 1)
    if twice:
        raise RejectedFileError(f"its header names {', '.join(twice)} twice")
    if column not in fields:
        seems = next((mark for mark in ",\t;|" if len(fields) == 1 and mark in fields[0]), None)
        hint = f"; its delimiter seems to be {seems!r}: set the param `delimiter`" if seems else ""
        raise RejectedFileError(f"its header has no column `{column}`: {';'.join(fields)[:200]}{hint}")
    place, header = fields.index(column), content[0][1].strip(b" \t")
    rest = []
    for number, line in content[1:]:
        if line.strip(b" \t") == header:
            _note(noted, "repeated headers skipped", number)
        elif column.encode() in line and _text(line).split(params["delimiter"])[place : place + 1] == [column]:
            raise RejectedFileError(f"another header stands at line {number}: {_text(line)[:200]}")
        else:
            rest.append((number, line))
    return fields, rest


def _width(content, names, header, params):
    """The number of fields of every row; one more than there are names where all end with a delimiter."""
    counts = Counter()
    for _, line in content:
        try:
            fields = _fields(line, params["delimiter"])
        except _BadLineError:
            continue
        counts[len(fields), not fields[-1]] += 1
    widths = {width for width, _ in counts}
    if len(names) + 1 in widths and all(width == len(names) + 1 and empty for width, empty in counts):
        return len(names) + 1
    if widths and all(width > len(names) for width in widths):
        wide, _ = max(counts, key=counts.get)
        what = "its header" if header else "the declared columns"
        raise RejectedFileError(f"every row is longer than {what}: {wide} fields, expected {len(names)}")
    return len(names)


def _by_place(fields, names, width):
    if len(fields) != width:
        raise _BadLineError(None, f"{len(fields)} fields, expected {width}")
    return {name: (place, field) for place, (name, field) in enumerate(zip(names, fields, strict=False), start=1)}


def _by_key(fields, column):
    row = {column: (1, fields[0])}
    for place, field in enumerate(fields[1:], start=2):
        match = KEY_VALUE.fullmatch(field)
        if not match:
            raise _BadLineError(place, f"{field[:100]!r} is no key:value, as most rows of this file are")
        if match[1] in row:
            raise _BadLineError(place, f"the key `{match[1]}` stands twice")
        row[match[1]] = (place, match[2].strip(" \t"))
    return row


def _instant(text, place, zone):
    match = ISO_8601.fullmatch(text)
    if not match:
        raise _BadLineError(place, f"{text[:100]!r} is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z")
    day, time, fraction, offset = match.groups()
    try:
        if time >= "24":
            raise ValueError
        local = datetime.fromisoformat(f"{day}T{time}")
        if offset:
            moment = datetime.fromisoformat(f"{day}T{time}{'+00:00' if offset == 'Z' else offset}")
        else:
            moment = local.replace(tzinfo=zone)
            if moment.utcoffset() != moment.replace(fold=1).utcoffset():
                raise _BadLineError(place, f"{text!r} is no single time in {zone.key}")
        seconds = (moment - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise _BadLineError(place, f"{text!r} is no time that exists") from None
    if seconds not in TIMES:
        raise _BadLineError(place, f"{text!r} is no time that exists")
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _value(place, text, kind, nulls):
    if not text or text in nulls:
        return None
    if kind == "integer":
        if not INTEGER.fullmatch(text):
            raise _BadLineError(place, f"{text[:100]!r} is no integer")
        if len(text.lstrip("+-0")) > 19 or int(text) not in INT64:
            raise _BadLineError(place, f"{text[:100]!r} is beyond int64")
        return int(text)
    if not FLOAT.fullmatch(text):
        raise _BadLineError(place, f"{text[:100]!r} is no float")
    number = float(text)
    if number in (float("inf"), float("-inf")) or (number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise _BadLineError(place, f"{text[:100]!r} is beyond the range of a float")
    return number
