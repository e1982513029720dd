"""What `parse` must make of a folder, worked out apart from it: plain Python, one character after the other.

Written from the table of inputs that parse was built by, with neither its code nor the libraries that it uses.
It knows one way of reading, is slow, and says nothing of wording: rows, rejects by place and text, and counts.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zlib
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
BLANKS = " \t"
QUOTE = 'a quote (") is not closed, or stands in the middle of a value'
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]  # fmt: skip
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
RANGES = {"m": (1, 12), "d": (1, 31), "H": (0, 23), "I": (1, 12), "M": (0, 59), "S": (0, 59), "j": (0, 999)}

Reject = tuple[str, int | None, int | None, str, str]  # file, line, field, text, how the reason begins


class Expected(NamedTuple):
    """The rows of each `<domain>__<day>`, the rejects, and how often there was what is counted."""

    rows: dict[str, list[tuple[Any, ...]]]
    rejects: list[Reject]
    counts: dict[str, int]


class NoRowError(Exception):
    """The field at fault, from 1, or None, and how the reason begins."""


class NoFileError(Exception):
    """The whole file is rejected."""


class Line(NamedTuple):
    """A line as text, bytes that are not of its encoding escaped, and whether it has such bytes."""

    text: str
    broken: bool


class Layout(NamedTuple):
    """How the rows of a file are laid out; `first` is the number of the first line that its shape is seen by."""

    names: list[str]
    keyed: bool
    header: int | None
    first: int


def expected(files: dict[str, bytes], params: dict[str, Any]) -> Expected:
    """What parse must make of files, by name."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    rejects: list[Reject] = []
    kinds = ("nul", "header", "empty", "unended", "doubled", "skip_lines", "skip_to", "comment", "unit_lines")
    counts = dict.fromkeys(kinds, 0)
    for name in sorted(files, key=unpacked):
        own = dict.fromkeys(counts, 0)
        try:
            device = device_of(unpacked(name), params["device"])
            kept, refused, columns = one_file(name, files[name], params, own)
        except NoFileError:
            rejects.append((unpacked(name), None, None, "", ""))
            continue
        rejects += [(unpacked(name), *reject) for reject in refused]
        for kind, times in own.items():
            counts[kind] += times
        for domain, declared in params["domains"].items():
            if not any(column in columns for column in declared):
                continue
            for instant, values in kept:
                date_of = EPOCH.date() + timedelta(days=instant // (86_400 * 10**9))
                row = (instant, *(values.get(column) for column in declared), *device)
                rows.setdefault(f"{domain}__{date_of}", []).append(row)
    doubled: dict[str, int] = {}
    for output, each in rows.items():
        each.sort(key=lambda row: row[0])
        day = output.rpartition("__")[2]
        ones = {(row[0], row[-1] if params["device"] else "") for row in each}
        doubled[day] = max(doubled.get(day, 0), len(each) - len(ones))
    counts["doubled"] = sum(doubled.values())
    return Expected(rows, rejects, counts)


def unpacked(name: str) -> str:
    """The name of a file, whether it is compressed or not."""
    return name[:-3] if name.lower().endswith(".gz") else name


def device_of(name: str, pattern: str) -> tuple[str, ...]:
    """The value of the column `device`, if there is one."""
    if not pattern:
        return ()
    found = re.search(pattern, name)
    if not found or not found.group(1):
        raise NoFileError
    return (found.group(1),)


def one_file(
    name: str, data: bytes, params: dict[str, Any], counts: dict[str, int]
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, int | None, str, str]], set[str]]:
    """Rows, rejects and columns of one file."""
    if name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise NoFileError from None
    lines, ended = split_lines(data, params["encoding"])
    over, stated = passed_over(lines, params)
    content = [(number, line) for number, line in lines if number not in over and holds_something(line)]
    kept: list[tuple[int, dict[str, Any]]] = []
    refused: list[tuple[int, int | None, str, str]] = []
    columns, empty, clock = set[str](), dict[int, int](), 0
    if content:
        layout = layout_of(content, stated, params)
        if layout.header:
            units = range(layout.header + 1, layout.header + 1 + params["unit_lines"])
            over |= {number: "unit_lines" for number, _ in lines if number in units and number not in over}
            over[layout.header] = ""
            content = [(number, line) for number, line in content if number not in over]
        seen_by = [one for one in content if one[0] >= layout.first]
        width = None if layout.keyed else width_of(seen_by, layout, params)
        columns = set(layout.names)
    for _, line in ((number, line) for number, line in lines if number not in over):
        counts["nul"] += bool(line.text) and not line.text.strip("\0")
    for kind in over.values():
        if kind:  # not the header
            counts[kind] += 1
    day = day_of(name) if params["dated_names"] else None
    for number, line in content:  # a damaged first line is a line like any other
        own = layout.names if layout.header or params["columns"] else declared_of(params)
        try:
            fields = fields_of(line, params)
            row = by_key(fields, layout, columns) if layout.keyed else by_place(fields, layout, width)
            place, stamp = stamp_of(row, params)
            instant = instant_of(stamp, place, params)
            if day and abs(instant // (86_400 * 10**9) - (day - EPOCH.date()).days) > 1:
                clock += 1
                refused.append((number, place, line.text[:4096], "clock: "))
                continue
            kinds = kinds_of(params)
            values = {column: value_of(*row[column], kinds[column], params) for column in row if column in kinds}
        except NoRowError as bad:
            again = any(line.text == other.text for place, other in lines if place in over)
            known = "same" if again else header_again(bare(line, params), own, params)
            if known == "other":
                raise NoFileError from None
            if known == "same":
                counts["header"] += 1
            else:
                reason = "it is the beginning of a header" if known else bad.args[1]
                refused.append((number, bad.args[0], line.text[:4096], reason))
            continue
        kept.append((instant, values))
        empty[number] = sum(value is None for value in values.values())
        if not ended and number == lines[-1][0]:
            counts["unended"] += 1
    if content and layout.keyed:
        shown = [key_of(field) for _, line in content for field in bare(line, params)]
        if not {*columns, *(pair[0] for pair in shown if pair)} & set(kinds_of(params)):
            raise NoFileError
    if clock * 2 > len(kept) + len(refused):
        raise NoFileError
    counts["empty"] += sum(empty.values())
    passed = len(over) + sum(number not in over and not holds_something(line) for number, line in lines)
    assert len(lines) == len(kept) + len(refused) + passed + counts["header"]
    return kept, refused, columns


def split_lines(data: bytes, encoding: str) -> tuple[list[tuple[int, Line]], bool]:
    """The numbered lines of the bytes of a file, and whether the last one has an end."""
    if data.startswith(b"\x1f\x8b") or (
        data.startswith((b"\xff\xfe", b"\xfe\xff")) and not encoding.startswith("utf-16")
    ):
        raise NoFileError
    marks = decoded(data, encoding)
    if marks and marks[0] == ("\ufeff", False):
        marks = marks[1:]
    start = "".join(text for text, _ in marks[:200]).lstrip(" \t\n\r\x0b\x0c").lower()
    if start.startswith(("<html", "<!doctype", "<?xml")):
        raise NoFileError
    lines, line, at = [], list[tuple[str, bool]](), 0
    while at < len(marks):
        if marks[at][0] in ("\r", "\n"):
            lines.append(line)
            line = []
            at += [text for text, _ in marks[at : at + 2]] == ["\r", "\n"]
        else:
            line.append(marks[at])
        at += 1
    ended = not line
    lines += [line] if line else []
    whole = [Line("".join(text for text, _ in one), any(broken for _, broken in one)) for one in lines]
    return list(enumerate(whole, start=1)), ended


def decoded(data: bytes, encoding: str) -> list[tuple[str, bool]]:
    """The characters of a file, or the escapes of bytes that are none, and which of both it is."""
    if encoding.startswith("utf-16"):
        order: Literal["little", "big"] = "big" if encoding == "utf-16-be" else "little"
        if encoding == "utf-16" and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            order, data = ("little" if data[0] == 0xFF else "big"), data[2:]
        return utf_16(data, order)
    if encoding not in ("utf-8", "utf-8-sig"):
        return [one for byte in data for one in one_byte(byte, encoding)]
    marks, at = list[tuple[str, bool]](), 0
    while at < len(data):
        length = next((many for many in (1, 2, 3, 4) if is_utf_8(data[at : at + many])), 0)
        marks.append((data[at : at + length].decode(), False) if length else (f"\\x{data[at]:02x}", True))
        at += length or 1
    return marks


def one_byte(byte: int, encoding: str) -> list[tuple[str, bool]]:
    try:
        return [(bytes([byte]).decode(encoding), False)]
    except UnicodeDecodeError:
        return [(f"\\x{byte:02x}", True)]


def is_utf_8(data: bytes) -> bool:
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def utf_16(data: bytes, order: Literal["little", "big"]) -> list[tuple[str, bool]]:
    marks, at = list[tuple[str, bool]](), 0
    while at < len(data):
        unit, after = (int.from_bytes(data[place : place + 2], order) for place in (at, at + 2))
        if at + 1 == len(data):
            marks.append((f"\\x{data[at]:02x}", True))
        elif 0xD800 <= unit < 0xDC00 and at + 4 <= len(data) and 0xDC00 <= after < 0xE000:
            marks.append((chr(0x10000 + (unit - 0xD800) * 0x400 + after - 0xDC00), False))
            at += 2
        elif 0xD800 <= unit < 0xE000:
            marks += [(f"\\x{byte:02x}", True) for byte in data[at : at + 2]]
        else:
            marks.append((chr(unit), False))
        at += 2
    return marks


def holds_something(line: Line) -> bool:
    return bool(line.text.strip(BLANKS)) and bool(line.text.strip("\0"))


def passed_over(lines: list[tuple[int, Line]], params: dict[str, Any]) -> tuple[dict[int, str], int | None]:
    """Which lines the params pass over, by what, and the number of the header that `skip_to` states."""
    over = {number: "skip_lines" for number, _ in lines[: params["skip_lines"]]}
    header = None
    if params["skip_to"]:
        rest = [(number, line) for number, line in lines if number not in over]
        header = next((number for number, line in rest if line.text.startswith(params["skip_to"])), None)
        if header is None and any(holds_something(line) for _, line in rest):
            raise NoFileError
        if header is None:
            return over, None
        over |= {number: "skip_to" for number, _ in rest if number < header}
    for number, line in lines:
        if params["comment"] and number not in over and number != header and line.text.startswith(params["comment"]):
            over[number] = "comment"
    return over, header


def layout_of(content: list[tuple[int, Line]], stated: int | None, params: dict[str, Any]) -> Layout:
    """Names and shape; raises NoFileError."""
    words = bare(content[0][1], params)
    declared = declared_of(params)
    if params["columns"]:
        marks = [mark for mark in ",\t;|" if len(words) == 1 and mark in words[0]]
        if marks and stated is None and (len(content) < 2 or marks[0] in content[1][1].text):
            raise NoFileError  # another delimiter
        return Layout(list(params["columns"]), False, stated, content[0][0])
    if stated is not None or names_any(words, params):
        try:
            names = fields_of(content[0][1], params)
        except NoRowError:
            raise NoFileError from None
        while names and not names[-1]:
            names.pop()
        if not set(times_of(params)) <= set(names) or any(names.count(name) > 1 for name in declared):
            raise NoFileError
        if not set(names) & set(kinds_of(params)):
            raise NoFileError
        return Layout(names, False, content[0][0], content[0][0])
    first = 0
    if not begins(words[0], params):
        filled = [word for word in words if word]
        if len(words) == 1 and any(mark in words[0] for mark in ",\t;|"):
            filled = []  # another delimiter, or damage
        if len(filled) > 1 and not any(holds_number(word, params["decimal"]) for word in filled):
            raise NoFileError  # a header of names that nobody declared
        if len(content) < 2 or not begins(bare(content[1][1], params)[0], params):
            raise NoFileError
        first = 1
    keyed = 0
    for _, line in content[first:]:
        fields = line.text.split(params["delimiter"])
        keyed += len(fields) > 1 and key_of(fields[1].strip(BLANKS)) is not None
    if keyed * 2 > len(content) - first:
        return Layout([params["timestamp_column"]], True, None, content[first][0])
    return Layout(declared, False, None, content[first][0])


def width_of(content: list[tuple[int, Line]], layout: Layout, params: dict[str, Any]) -> int:
    """The number of fields of a row; raises NoFileError where all have too many."""
    expected_width, widths, trailing = len(layout.names), [], True
    for _, line in content:
        try:
            fields = fields_of(line, params)
        except NoRowError:
            continue
        if names_any(bare(line, params), params):
            continue
        widths.append(len(fields))
        trailing = trailing and len(fields) == expected_width + 1 and not fields[-1]
    if widths and trailing:
        return expected_width + 1
    if widths and min(widths) > expected_width:
        raise NoFileError
    return expected_width


def header_again(words: list[str], own: list[str], params: dict[str, Any]) -> str:
    """Whether a line that is no row is the `same` header, a `torn` one, an `other` one, or none."""
    if not names_any(words, params):
        return ""
    while not words[-1]:
        words.pop()
    while not own[-1]:
        own = own[:-1]
    ours, theirs = [name.casefold() for name in own], [word.casefold() for word in words]
    twins = len(set(ours)) < len(ours)
    if ours == theirs and not twins:
        return "same"
    if (
        len(theirs) > len(ours)
        or theirs[:-1] != ours[: len(theirs) - 1]
        or not ours[len(theirs) - 1].startswith(theirs[-1])
    ):
        return "other"
    whole = len(theirs) == len(ours)
    return "other" if whole and names_any(words[-1:], params) else "torn"


def times_of(params: dict[str, Any]) -> list[str]:
    return [params["timestamp_column"], *([params["time_column"]] if params["time_column"] else [])]


def declared_of(params: dict[str, Any]) -> list[str]:
    return [*times_of(params), *kinds_of(params)]


def kinds_of(params: dict[str, Any]) -> dict[str, str]:
    return {name: params["types"][domain] for domain, names in params["domains"].items() for name in names}


def bare(line: Line, params: dict[str, Any]) -> list[str]:
    fields = line.text.split(params["delimiter"])
    if '"' in line.text:
        with contextlib.suppress(NoRowError):
            fields = fields_of(line, params)
    return [field.strip('\ufeff" \t') for field in fields]


def names_any(words: list[str], params: dict[str, Any]) -> bool:
    known = {name.casefold() for name in declared_of(params)}
    return any(word.casefold() in known for word in words)


def fields_of(line: Line, params: dict[str, Any]) -> list[str]:
    """The fields of a line: what begins with a quote goes to the next single one, which ends the field."""
    text, delimiter, encoding = line.text, params["delimiter"], params["encoding"]
    if line.broken:
        raise NoRowError(None, f"it is not {'UTF-8' if encoding in ('utf-8', 'utf-8-sig') else encoding}")
    fields, at = [], 0
    while True:
        field = ""
        if text[at : at + 1] == '"':
            at += 1
            while True:
                if at >= len(text):
                    raise NoRowError(None, QUOTE)
                if text[at] == '"' and text[at + 1 : at + 2] == '"':
                    field, at = field + '"', at + 2
                elif text[at] == '"':
                    at += 1
                    break
                else:
                    field, at = field + text[at], at + 1
            if at < len(text) and text[at] != delimiter:
                raise NoRowError(None, QUOTE)
        else:
            while at < len(text) and text[at] != delimiter:
                field, at = field + text[at], at + 1
        fields.append(field.strip(BLANKS))
        if at >= len(text):
            return fields
        at += 1
        if at == len(text):
            return [*fields, ""]


def by_place(fields: list[str], layout: Layout, width: int | None) -> dict[str, tuple[int, str]]:
    if len(fields) != width:
        raise NoRowError(None, f"{len(fields)} fields, expected {width}")
    return {name: (place + 1, fields[place]) for place, name in enumerate(layout.names)}


def by_key(fields: list[str], layout: Layout, columns: set[str]) -> dict[str, tuple[int, str]]:
    row = {layout.names[0]: (1, fields[0])}
    pairs = [key_of(field) for field in fields[1:]]
    columns |= {pair[0] for pair in pairs if pair}
    for place, pair in enumerate(pairs, start=2):
        if pair is None:
            raise NoRowError(place, f"{fields[place - 1][:100]!r} is no key:value")
        if pair[0] in row:
            raise NoRowError(place, f"the key `{pair[0]}` stands twice")
        row[pair[0]] = (place, pair[1])
    return row


def key_of(field: str) -> tuple[str, str] | None:
    """Key and value of a field, or None."""
    key, colon, value = field.partition(":")
    key = key.rstrip(BLANKS)
    plain = bool(key) and key[0] in LETTERS and all(one in LETTERS + DIGITS for one in key)
    return (key, value.strip(BLANKS)) if colon and plain else None


def stamp_of(row: dict[str, tuple[int, str]], params: dict[str, Any]) -> tuple[int, str]:
    """Where the time stamp of a row begins, and its text."""
    for name in times_of(params):
        if name not in row:
            raise NoRowError(None, f"the key `{name}` is missing")
    return row[params["timestamp_column"]][0], " ".join(row[name][1] for name in times_of(params))


def holds_number(word: str, decimal: str) -> bool:
    """Whether a field is a number, alone or after a key, the beginning of which may be missing."""
    key, colon, value = word.rpartition(":")
    if colon and not all(one.isascii() and (one.isalnum() or one == "_") for one in key):
        return False
    return number_parts(value, decimal) is not None


def number_parts(text: str, decimal: str) -> tuple[str, str, str] | None:
    """The digits before and after the point, and the exponent, of a decimal number."""
    body = text[1:] if text[:1] in ("+", "-") else text
    mantissa, exponent = body, ""
    for mark in "eE":
        if mark in body:
            mantissa, _, exponent = body.partition(mark)
            bare_exponent = exponent[1:] if exponent[:1] in ("+", "-") else exponent
            if not bare_exponent or not all(one in DIGITS for one in bare_exponent):
                return None
            break
    whole, point, fraction = mantissa.partition(decimal)
    if (point and not fraction) or not (whole or fraction):
        return None
    return (whole, fraction, exponent) if all(one in DIGITS for one in whole + fraction) else None


def value_of(place: int, text: str, kind: str, params: dict[str, Any]) -> int | float | None:
    if not text or text in params["null_values"]:
        return None
    parts = number_parts(text, params["decimal"])
    no_value = NoRowError(place, f"{text[:100]!r} is no {kind}")
    if parts is None:
        raise no_value
    whole, fraction, exponent = parts
    if kind == "integer":
        if fraction or params["decimal"] in text or "e" in text or "E" in text:
            raise no_value
        digits = whole.lstrip("0")
        number = int(digits or "0") if len(digits) < 20 else 2**64
        number = -number if text[0] == "-" else number
        if not -(2**63) <= number < 2**63:
            raise NoRowError(place, f"{text[:100]!r} is beyond int64")
        return number
    zero = not (whole + fraction).strip("0")
    if zero:
        return -0.0 if text[0] == "-" else 0.0
    value = float(text.replace(",", ".")) if len(exponent.lstrip("+-0")) <= 5 else math.inf
    if math.isinf(value) or value == 0:
        raise NoRowError(place, f"{text[:100]!r} is beyond the range of a float")
    return value


def stamp_parts(text: str) -> tuple[str, str, str, str] | None:
    """Date, time, fraction and offset of an ISO 8601 timestamp."""
    shape = "dddd-dd-dd?dd:dd:dd"
    if len(text) < len(shape) or text[10] not in "T ":
        return None
    for mark, one in zip(shape, text, strict=False):
        if (mark == "d" and one not in DIGITS) or (mark in "-:" and one != mark):
            return None
    rest, fraction = text[19:], ""
    if rest.startswith("."):
        rest = rest[1:]
        while rest and rest[0] in DIGITS:
            fraction, rest = fraction + rest[0], rest[1:]
        if not 1 <= len(fraction) <= 9:
            return None
    if rest not in ("", "Z"):
        digits = rest[1:3] + rest[-2:]
        plain = len(rest) == 5 or (len(rest) == 6 and rest[3] == ":")
        if rest[0] not in "+-" or not plain or not all(one in DIGITS for one in digits) or digits[2] > "5":
            return None
    return text[:10], text[11:19], fraction, rest


def begins(text: str, params: dict[str, Any]) -> bool:
    """Whether a field has the shape of the first of a row without a header."""
    how, apart = params["timestamp_format"], bool(params["time_column"])
    if how == "iso8601":
        return stamp_parts(f"{text}T00:00:00" if apart else text) is not None
    if how.startswith("epoch_"):
        return epoch_parts(text, how, params["decimal"]) is not None
    date_part = how if not apart else how[: min(how.find(f" %{one}") for one in "HI" if f" %{one}" in how)]
    return looks(date_part, text)


def epoch_parts(text: str, how: str, decimal: str) -> Fraction | None:
    """Nanoseconds, where a text is a number with no more digits than those have."""
    body = text[1:] if text[:1] in ("+", "-") else text
    whole, point, fraction = body.partition(decimal)
    power = {"epoch_s": 9, "epoch_ms": 6, "epoch_us": 3}[how]
    if not all(one in DIGITS for one in whole + fraction) or not whole + fraction or len(fraction) > power:
        return None
    if point and not fraction:
        return None
    if len(whole) > 100:
        return Fraction(10**100)
    return Fraction(int(text[0] == "-") * -2 + 1) * int(whole + fraction.ljust(power, "0"))


def looks(pattern: str, text: str) -> bool:
    """Whether a text has the shape of a strptime pattern: one character after the other, the longest number each time."""
    at, place = 0, 0
    while place < len(pattern):
        if pattern[place] == " ":
            start = at
            while text[at : at + 1] in (" ", "\t"):
                at += 1
            if at == start:
                return False
            place += 1
            continue
        if pattern[place] != "%":
            if text[at : at + 1] != pattern[place]:
                return False
            at, place = at + 1, place + 1
            continue
        beside = pattern[max(place - 2, 0) : place - 1] == "%" or pattern[place + 2 : place + 4] in (
            "%m",
            "%d",
            "%H",
            "%M",
            "%S",
        )
        length = length_of(pattern[place + 1], text[at:], fixed_width=beside)
        if not length:
            return False
        at, place = at + length, place + 2
    return at == len(text)


def length_of(key: str, text: str, *, fixed_width: bool) -> int:
    """How many characters of a text a directive takes; 0 where it does not fit."""
    names = {"b": [name[:3] for name in MONTHS], "B": MONTHS, "a": [name[:3] for name in WEEKDAYS], "A": WEEKDAYS}
    if key in names:
        return next((len(one) for one in names[key] if text[: len(one)].lower() == one.lower()), 0)
    if key == "p":
        return 2 if text[:2] in ("AM", "PM", "am", "pm", "aM", "Am", "pM", "Pm") else 0
    if key == "z":
        if text[:1] == "Z":
            return 1
        colon = text[3:4] == ":"
        digits = text[1:3] + text[3 + colon : 5 + colon]
        plain = text[:1] in ("+", "-") and len(digits) == 4 and all(one in DIGITS for one in digits)
        return 5 + colon if plain and digits[2] <= "5" else 0
    most = {"Y": 4, "y": 2, "j": 3, "f": 9}.get(key, 2)
    number = ""
    for one in text[:most]:
        if one not in DIGITS:
            break
        number += one
    if not number or ((key in "Yy" or (fixed_width and key != "f")) and len(number) < most):
        return 0
    low, high = RANGES.get(key, (0, 10**9))
    return len(number) if low <= int(number) <= high else 0


def instant_of(text: str, place: int, params: dict[str, Any]) -> int:
    how = params["timestamp_format"]
    nothing = NoRowError(place, f"{text[:100]!r} is no ")
    if how.startswith("epoch_"):
        number = epoch_parts(text, how, params["decimal"])
        if number is None:
            raise nothing
        if not -9_223_372_036 <= number / 10**9 < 9_223_372_036:
            raise NoRowError(place, f"{text[:100]!r} is no time that exists")
        return int(number)
    if how == "iso8601":
        parts = stamp_parts(text)
        if parts is None:
            raise nothing
        day, time, fraction, offset = parts
        stamp, pattern = f"{day} {time}", "%Y-%m-%d %H:%M:%S"
        if offset:
            stamp, pattern = f"{stamp} {offset}", f"{pattern} %z"
    else:
        if not looks(how, text):
            raise nothing
        stamp, pattern, fraction = text, how, ""
        if ".%f" in how:  # strptime knows six digits, and a fraction ends where the digits do
            before, _, after = text.rpartition(".")
            fraction = after[: len(after) - len(after.lstrip(DIGITS))]
            stamp, pattern = before + after[len(fraction) :], how.replace(".%f", "")
    no_time = NoRowError(place, f"{text!r} is no time that exists")
    try:
        moment = datetime.strptime(stamp, pattern)
        if moment.tzinfo is None:
            moment = only_one(moment, params["tz"], text, place)
        seconds = (moment - EPOCH) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise no_time from None
    if abs(int(seconds)) > 9_223_372_036 or int(seconds) == 9_223_372_036:
        raise no_time
    return int(seconds) * 10**9 + int(Fraction("0." + (fraction or "0")) * 10**9)


def only_one(local: datetime, tz: str, text: str, place: int) -> datetime:
    """The instant of a local time; raises NoRowError where there is none, or there are two."""
    if tz[0] in "+-":
        return local.replace(tzinfo=fixed(tz))
    moment = local.replace(tzinfo=ZoneInfo(tz))
    if moment.astimezone(UTC).astimezone(ZoneInfo(tz)).replace(tzinfo=None) != local:
        raise NoRowError(place, f"{text!r} does not exist in {tz}")
    if moment.astimezone(UTC) != moment.replace(fold=1).astimezone(UTC):
        raise NoRowError(place, f"{text!r} stands for two times in {tz}")
    return moment


def fixed(offset: str) -> timezone:
    length = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-length if offset[0] == "-" else length)


def day_of(name: str) -> date | None:
    """The last date in a file's name, of those from 1970 on if there is one."""
    early = None
    for at in range(len(name) - 10, -1, -1):
        text = name[at : at + 10]
        if text[4] == "-" and text[7] == "-" and all(text[place] in DIGITS for place in (0, 1, 2, 3, 5, 6, 8, 9)):
            try:
                day = date(int(text[:4]), int(text[5:7]), int(text[8:]))
            except ValueError:
                continue
            if day.year >= 1970:
                return day
            early = early or day
    return early
