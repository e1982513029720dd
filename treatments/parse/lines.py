"""Decides once what shape a file has, and reads lines one by one: each becomes a row, or a reject that says why."""

import csv
import gzip
import re
import zlib
from collections import Counter, namedtuple
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

BLANKS = " \t"
ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?[0-5]\d)?", re.ASCII)
STAMP = "timestamp such as 2026-01-20T09:07:58Z"
DECIMAL = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
VALUES = {"integer": re.compile(r"[+-]?\d+", re.ASCII), "float": re.compile(DECIMAL, re.ASCII)}
NUMBER = re.compile(rf"(?:\w*:)?{DECIMAL}", re.ASCII)  # alone or after its key, which may be torn
KEY_VALUE = re.compile(r"([A-Za-z_]\w*)[ \t]*:(.*)", re.ASCII | re.DOTALL)
UTF_16 = "it is UTF-16; save it as UTF-8"
NO_TEXT = {b"\xff\xfe": UTF_16, b"\xfe\xff": UTF_16, b"\x1f\x8b": "it is compressed by gzip; name it .csv.gz"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400 * 1_000_000_000  # nanoseconds
TIMES = range(-9_223_372_036, 9_223_372_036)  # whole seconds that fit into nanoseconds of 64 bits

# a line (from 1; None: the whole file) that is no row, its field at fault (from 1, or None), why, and its text
Reject = namedtuple("Reject", "line column reason text")
# the names of the fields of a row in order, how many of them most rows have, the index of the header (-1: none), and
# whether fields name their keys: those of most rows come first in names, then what else is declared
Shape = namedtuple("Shape", "names width header keyed")
# what lines that are not clean came to: rows by index, from 0 (nanoseconds since 1970, and a clean line in its place),
# rejects, what to tell, by kind (the lines, from 1), how many were passed over, and the names of the file's columns
Rest = namedtuple("Rest", "rows rejects noted passed names")


class RejectedFileError(Exception):
    """What is wrong with a whole file, and what would mend it."""


class BadLineError(Exception):
    """The field at fault (from 1, or None), and why the line is no row."""


@dataclass(frozen=True)
class Lines:
    """The lines of a file, without their ends: bytes in which each ends with a newline, and where."""

    data: bytes
    ends: np.ndarray

    def __getitem__(self, index):
        return self.data[self.ends[index - 1] + 1 if index else 0 : self.ends[index]]

    def matching(self, pattern):
        """Which lines match a regular expression that RE2 knows, their ends included."""
        import pyarrow.compute as pc  # here, as wholly clean files need none of it: 30 ms

        buffers = [None, pa.py_buffer(np.concatenate(([0], self.ends + 1))), pa.py_buffer(self.data)]
        texts = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self.ends), buffers)
        bits = np.frombuffer(pc.match_substring_regex(texts, pattern).buffers()[1], np.uint8)
        return np.unpackbits(bits, count=len(self.ends), bitorder="little").astype(bool)


def kinds(params):
    """`integer` or `float` for each column of the domains, in the order in which a file without a header has them."""
    return {name: params["types"][domain] for domain, names in params["domains"].items() for name in names}


def zone_of(tz):
    """The time zone of an IANA name or a fixed offset such as +01:00; None for any other text, as `localtime` is."""
    if re.fullmatch(r"[+-](?:0\d|1[0-4]):[0-5]\d", tz, re.ASCII):
        return timezone(timedelta(hours=int(tz[:3]), minutes=int(tz[0] + tz[4:])))
    try:
        return None if re.match("localtime|posix|right|Factory", tz) else ZoneInfo(tz)
    except (ValueError, OSError, LookupError):
        return None


def lines_of(path):
    """The lines of a file, and whether the last one has an end; raises RejectedFileError when it is no text."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RejectedFileError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if reason := NO_TEXT.get(data[:2]):
        raise RejectedFileError(reason)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if re.match(rb"\s*<(!doctype|html|\?xml)", data[:200], re.IGNORECASE):
        raise RejectedFileError("it is an HTML page, no CSV")
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
    whole = data if data.endswith(b"\n") else data + b"\n"
    return Lines(whole, np.flatnonzero(np.frombuffer(whole, np.uint8) == ord("\n"))), len(whole) == len(data)


def fields_of(line, params):
    """The fields of a line without quotes and blanks; raises BadLineError."""
    delimiter = params["delimiter"]
    try:
        text = line.decode("utf-8")
        fields = next(csv.reader([text], delimiter=delimiter, strict=True)) if '"' in text else text.split(delimiter)
        return [field.strip(BLANKS) for field in fields]
    except UnicodeDecodeError:
        raise BadLineError(None, "it is not UTF-8") from None
    except (csv.Error, StopIteration):
        raise BadLineError(None, 'a quote (") is not closed, or stands in the middle of a value') from None


def _holds_something(line):
    return bool(line.strip(b" \t") and line.strip(b"\0"))


def _bare_fields(line, params):
    """The fields of a line, whatever is wrong with it, without BOM, quotes and blanks."""
    return [one.strip('\ufeff" \t') for one in line.decode("utf-8", "backslashreplace").split(params["delimiter"])]


def _names_columns(names, params):
    """Whether one of the names is that of a declared column or the timestamp's, in capitals or not."""
    known = {name.casefold() for name in (params["timestamp_column"], *kinds(params))}
    return not known.isdisjoint(map(str.casefold, names))


def shape_of(lines, params):
    """The shape of a file; raises RejectedFileError when it is no file of rows."""
    column, declared = params["timestamp_column"], [params["timestamp_column"], *kinds(params)]
    content = (index for index in range(len(lines.ends)) if _holds_something(lines[index]))
    first, second = next(content, None), next(content, None)
    if first is None:
        return Shape([column], 1, -1, keyed=False)
    names = _bare_fields(lines[first], params)
    no_column = f"its header has no column `{column}`: {';'.join(names)[:200]}"
    if _names_columns(names, params):
        try:
            names = fields_of(lines[first], params)
        except BadLineError as bad:
            raise RejectedFileError(f"its first line cannot be read: {bad.args[1]}") from None
        while not names[-1]:
            names.pop()  # a delimiter at the end of the header: rows are held to it below
        if twice := [name for name in declared if names.count(name) > 1]:
            raise RejectedFileError(f"its header names {', '.join(twice)} twice")
        if column not in names:
            raise RejectedFileError(no_column)
        names = _with_trailing(lines, first + 1, names, "its header", params)
        return Shape(names, len(names), first, keyed=False)
    if not ISO_8601.fullmatch(names[0]):  # the line is damaged, if a row follows
        reason = f"its first field {names[0][:100]!r} is no {STAMP}, and its first line names no declared column"
        if seems := next((mark for mark in ",\t;|" if len(names) == 1 and mark in names[0]), None):
            reason = f"{no_column}; its delimiter seems to be {seems!r}: set the param `delimiter`"
        elif len(list(filter(None, names))) > 1 and not any(map(NUMBER.fullmatch, names)):
            raise RejectedFileError(no_column)  # what follows would be rows of columns that nobody knows
        if second is None or not ISO_8601.fullmatch(_bare_fields(lines[second], params)[0]):
            raise RejectedFileError(reason)
        first = second
    if (keys := _keys(lines, first, params)) is not None:
        names = [column, *keys, *(name for name in kinds(params) if name not in keys)]
        return Shape(names, 1 + len(keys), -1, keyed=True)
    names = _with_trailing(lines, first, declared, "the declared columns", params)
    return Shape(names, len(names), -1, keyed=False)


def _keys(lines, first, params):
    """The keys that most lines have from `first` on, or None where most lines are not of keys."""
    delimiter, blanks = re.escape(params["delimiter"]), f"[{BLANKS.replace(params['delimiter'], '')}]*"
    keyed = lines.matching(rf"^[^{delimiter}\n]*{delimiter}{blanks}[A-Za-z_][A-Za-z_0-9]*{blanks}:")
    keyed[:first] = False
    number = int(keyed.sum())
    if not number or (number * 2 <= len(keyed) and number * 2 <= (~lines.matching(r"^([ \t]*|\x00+)\n")[first:]).sum()):
        return None
    sample = [_bare_fields(lines[index], params)[1:] for index in np.flatnonzero(keyed)[:20]]
    seen = Counter(tuple(field.partition(":")[0].rstrip(BLANKS) for field in fields) for fields in sample)
    keys = max(seen, key=seen.get)
    return [*keys] if len(set(keys)) == len(keys) and all(KEY_VALUE.fullmatch(f"{key}:") for key in keys) else []


def _with_trailing(lines, first, names, what, params):
    """The names of the fields of every row: with an empty one, where all rows end with a delimiter."""
    trailing, longer = [], 0
    for line in filter(_holds_something, map(lines.__getitem__, range(first, len(lines.ends)))):
        with suppress(BadLineError):
            fields = fields_of(line, params)
            if len(fields) == len(names) + 1 and not fields[-1]:
                trailing = [""]
            elif not _names_columns(fields, params):
                longer = longer or len(fields)
                if len(fields) <= len(names):
                    return names
    if longer:
        raise RejectedFileError(f"every row is longer than {what}: {longer} fields, expected {len(names)}")
    return names + trailing


def read_rest(lines, indexes, shape, params, days):
    """Read lines one by one, rows of other days than those not further. Raises RejectedFileError for another header."""
    column, nulls, zone, known = params["timestamp_column"], params["null_values"], zone_of(params["tz"]), kinds(params)
    rows, rejects, noted, passed, names = {}, [], {}, 0, shape.names[: shape.width]
    for index in indexes:
        line = lines[index]
        if not _holds_something(line):
            passed += 1
            if line.strip(BLANKS.encode()):
                noted.setdefault("lines of NUL bytes skipped", []).append(index + 1)
            continue
        try:
            row = _by_name(fields_of(line, params), shape, names)
            instant = _instant(*row[column], zone)
            looked_at = row.keys() & known if not days or instant // DAY in days else ()
            values = {name: _value(*row[name], known[name], nulls) for name in row if name in looked_at}
        except BadLineError as bad:
            header, text = _header_again(line, shape, params), line.decode("utf-8", "backslashreplace")
            if header == "another":
                raise RejectedFileError(f"another header stands at line {index + 1}: {text:.200}") from None
            if header == "repeated":
                passed += 1
                noted.setdefault("repeated headers skipped", []).append(index + 1)
            else:
                reason = "it is the beginning of a header" if header else bad.args[1]
                rejects.append(Reject(index + 1, bad.args[0], reason, text))
            continue
        fields = ["1970-01-01T00:00:00Z" if name == column else values.get(name, "") for name in shape.names]
        rows[index] = (instant, (params["delimiter"].join(fields) + "\n").encode())
        for _ in (value for value in values.values() if not value):
            noted.setdefault("empty cells, now null", []).append(index + 1)
    return Rest(rows, rejects, noted, passed, names)


def _by_name(fields, shape, names):
    """Place and text of each field, by its name; a key that is new is added to `names`."""
    if not shape.keyed:
        if len(fields) != shape.width:
            raise BadLineError(None, f"{len(fields)} fields, expected {shape.width}")
        return dict(zip(shape.names, enumerate(fields, 1), strict=True))
    matches = [KEY_VALUE.fullmatch(field) for field in fields[1:]]
    names += dict.fromkeys(match[1] for match in matches if match and match[1] not in names)
    row = {shape.names[0]: (1, fields[0])}
    for place, match in enumerate(matches, start=2):
        if not match:
            raise BadLineError(place, f"{fields[place - 1][:100]!r} is no key:value, as most rows of this file are")
        if match[1] in row:
            raise BadLineError(place, f"the key `{match[1]}` stands twice")
        row[match[1]] = (place, match[2].strip(BLANKS))
    return row


def _instant(place, text, zone):
    """Nanoseconds since 1970, UTC."""
    if not (match := ISO_8601.fullmatch(text)):
        raise BadLineError(place, f"{text[:100]!r} is no ISO 8601 {STAMP}")
    day, time, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{(offset or '').replace('Z', '+00:00')}")
        moment = moment if offset else moment.replace(tzinfo=zone)
        before, after = moment.utcoffset(), moment.replace(fold=1).utcoffset()
        seconds = (moment - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        seconds = TIMES.stop
    if seconds not in TIMES or time >= "24":
        raise BadLineError(place, f"{text!r} is no time that exists")
    if before != after:
        what, way = ("does not exist", "forward") if before < after else ("stands for two times", "back")
        fixed = str(timezone(min(before, after))).removeprefix("UTC") or "UTC"
        hint = f"clocks go {way} then, for summer time; for one that never follows it, set the param `tz` to {fixed}"
        raise BadLineError(place, f"{text!r} {what} in {zone.key}: {hint}")
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _value(place, text, kind, nulls):
    """A value as pyarrow reads it, empty for null."""
    if not text or text in nulls:
        return ""
    if not VALUES[kind].fullmatch(text):
        raise BadLineError(place, f"{text[:100]!r} is no {kind}")
    if kind == "integer":
        digits = "-" * (text[0] == "-") + (text.lstrip("+-0") or "0")
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise BadLineError(place, f"{text[:100]!r} is beyond int64")
        return digits
    number = float(text)
    if number in (float("inf"), float("-inf")) or (number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise BadLineError(place, f"{text[:100]!r} is beyond the range of a float")
    return repr(number)


def _header_again(line, shape, params):
    """What a line that is no row is as a header: a `repeated` one, one `cut` short, `another`, or nothing."""
    names = _bare_fields(line, params)
    if not _names_columns(names, params):
        return ""
    own = shape.names if shape.header >= 0 else [params["timestamp_column"], *kinds(params)]
    own, names = ("\n".join(map(str.casefold, each)).rstrip("\n") for each in (own, names))
    another = names.count("\n") == own.count("\n") and _names_columns(names.split("\n")[-1:], params)
    if names == own and len(set(own.split("\n"))) > own.count("\n"):
        return "repeated"
    return "cut" if own.startswith(names) and not another else "another"
