"""What `parse` must make of a folder, worked out apart from it: plain Python, one character after the other.

Written from the table of inputs that parse was built by, with neither its code nor the libraries that it uses.
It knows one way of reading, is slow, and says nothing of wording: rows, rejects by place and text, and counts.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import zlib
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
BLANKS = " \t"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Reject = tuple[str, int | None, int | None, str]  # file, line, field, text


class Expected(NamedTuple):
    """The rows of each `<domain>__<day>`, the rejects, and how often there was what is counted."""

    rows: dict[str, list[tuple[Any, ...]]]
    rejects: list[Reject]
    counts: dict[str, int]


class NoRowError(Exception):
    """The field at fault, from 1, or None."""


class NoFileError(Exception):
    """The whole file is rejected."""


class Layout(NamedTuple):
    """How the rows of a file are laid out; `first` is the place of the first line that its shape is seen by."""

    names: list[str]
    keyed: bool
    header: bool
    first: int


def expected(files: dict[str, bytes], params: dict[str, Any]) -> Expected:
    """What parse must make of files, by name."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    rejects: list[Reject] = []
    counts = dict.fromkeys(("nul", "header", "empty", "unended", "doubled"), 0)
    for name in sorted(files, key=unpacked):
        own = dict.fromkeys(counts, 0)
        try:
            kept, refused, columns = one_file(name, files[name], params, own)
        except NoFileError:
            rejects.append((unpacked(name), None, None, ""))
            continue
        rejects += [(unpacked(name), *reject) for reject in refused]
        for kind, times in own.items():
            counts[kind] += times
        for domain, declared in params["domains"].items():
            if not any(column in columns for column in declared):
                continue
            for instant, values in kept:
                date_of = EPOCH.date() + timedelta(days=instant // (86_400 * 10**9))
                row = (instant, *(values.get(column) for column in declared))
                rows.setdefault(f"{domain}__{date_of}", []).append(row)
    doubled: dict[str, int] = {}
    for output, each in rows.items():
        each.sort(key=lambda row: row[0])
        day = output.rpartition("__")[2]
        doubled[day] = max(doubled.get(day, 0), len(each) - len({row[0] for row in each}))
    counts["doubled"] = sum(doubled.values())
    return Expected(rows, rejects, counts)


def unpacked(name: str) -> str:
    """The name of a file, whether it is compressed or not."""
    return name[:-3] if name.lower().endswith(".gz") else name


def one_file(
    name: str, data: bytes, params: dict[str, Any], counts: dict[str, int]
) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, int | None, str]], set[str]]:
    """Rows, rejects and columns of one file."""
    if name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise NoFileError from None
    lines, ended = split_lines(data)
    content = []
    for number, line in lines:
        if line and not line.replace(b"\0", b""):
            counts["nul"] += 1
        elif line.replace(b" ", b"").replace(b"\t", b""):
            content.append((number, line))
    if not content:
        return [], [], set()
    layout = layout_of(content, params)
    width = None if layout.keyed else width_of(content[layout.first :], layout, params)
    kept: list[tuple[int, dict[str, Any]]] = []
    refused: list[tuple[int, int | None, str]] = []
    columns, empty, clock = set(layout.names), dict[int, int](), 0
    own = layout.names if layout.header else declared_of(params)
    day = day_of(name)
    for number, line in content[layout.header :]:  # a damaged first line is a line like any other
        try:
            fields = fields_of(line, params["delimiter"])
            row = by_key(fields, layout, columns) if layout.keyed else by_place(fields, layout, width)
            place, stamp = row[params["timestamp_column"]]
            instant = instant_of(stamp, place, params["tz"])
            if day and abs(instant // (86_400 * 10**9) - (day - EPOCH.date()).days) > 1:
                clock += 1
                refused.append((number, place, shown(line)))
                continue
            kinds = kinds_of(params)
            values = {
                column: value_of(*row[column], kinds[column], params["null_values"])
                for column in row
                if column in kinds
            }
        except NoRowError as bad:
            known = header_again(bare(line, params), own, params)
            if known == "other":
                raise NoFileError from None
            if known == "same":
                counts["header"] += 1
            else:
                refused.append((number, bad.args[0], shown(line)))
            continue
        kept.append((instant, values))
        empty[number] = sum(value is None for value in values.values())
        if not ended and number == lines[-1][0]:
            counts["unended"] += 1
    if layout.keyed and not set(columns) & set(kinds_of(params)):
        raise NoFileError
    if clock * 2 > len(kept) + len(refused):
        raise NoFileError
    counts["empty"] += sum(empty.values())
    return kept, refused, columns


def split_lines(data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """The numbered lines of the bytes of a file, and whether the last one has an end."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b")):
        raise NoFileError
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    start = data[:200].lstrip(b" \t\n\r\x0b\x0c").lower()
    if start.startswith((b"<html", b"<!doctype", b"<?xml")):
        raise NoFileError
    lines, line, at = [], bytearray(), 0
    while at < len(data):
        if data[at] in b"\r\n":
            lines.append(bytes(line))
            line.clear()
            at += data[at : at + 2] == b"\r\n"
        else:
            line.append(data[at])
        at += 1
    ended = not line
    if line:
        lines.append(bytes(line))
    return list(enumerate(lines, start=1)), ended


def layout_of(content: list[tuple[int, bytes]], params: dict[str, Any]) -> Layout:
    """Names and shape; raises NoFileError."""
    words = bare(content[0][1], params)
    if names_any(words, params):
        try:
            names = fields_of(content[0][1], params["delimiter"])
        except NoRowError:
            raise NoFileError from None
        while names and not names[-1]:
            names.pop()
        declared = declared_of(params)
        if params["timestamp_column"] not in names or any(names.count(name) > 1 for name in declared):
            raise NoFileError
        if not set(names) & set(declared[1:]):
            raise NoFileError
        return Layout(names, False, True, 1)
    first = 0
    if not stamp_parts(words[0]):
        filled = [word for word in words if word]
        if len(words) == 1 and any(mark in words[0] for mark in ",\t;|"):
            filled = []  # another delimiter, or damage
        if len(filled) > 1 and not any(holds_number(word) for word in filled):
            raise NoFileError  # a header of names that nobody declared
        if len(content) < 2 or not stamp_parts(bare(content[1][1], params)[0]):
            raise NoFileError
        first = 1
    keyed = 0
    for _, line in content[first:]:
        fields = shown_whole(line).split(params["delimiter"])
        keyed += len(fields) > 1 and key_of(fields[1].strip(BLANKS)) is not None
    if keyed * 2 > len(content) - first:
        return Layout([params["timestamp_column"]], True, False, first)
    return Layout(declared_of(params), False, False, first)


def width_of(content: list[tuple[int, bytes]], layout: Layout, params: dict[str, Any]) -> int:
    """The number of fields of a row; raises NoFileError where all have too many."""
    expected_width, widths, trailing = len(layout.names), [], True
    for _, line in content:
        try:
            fields = fields_of(line, params["delimiter"])
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


def declared_of(params: dict[str, Any]) -> list[str]:
    return [params["timestamp_column"], *kinds_of(params)]


def kinds_of(params: dict[str, Any]) -> dict[str, str]:
    return {name: params["types"][domain] for domain, names in params["domains"].items() for name in names}


def shown_whole(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def shown(line: bytes) -> str:
    return shown_whole(line)[:4096]


def bare(line: bytes, params: dict[str, Any]) -> list[str]:
    fields = shown_whole(line).split(params["delimiter"])
    if b'"' in line:
        with contextlib.suppress(NoRowError):
            fields = fields_of(line, params["delimiter"])
    return [field.strip('\ufeff" \t') for field in fields]


def names_any(words: list[str], params: dict[str, Any]) -> bool:
    known = {name.casefold() for name in declared_of(params)}
    return any(word.casefold() in known for word in words)


def fields_of(line: bytes, delimiter: str) -> list[str]:
    """The fields of a line: what begins with a quote goes to the next single one, which ends the field."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise NoRowError(None) from None
    fields, at = [], 0
    while True:
        field = ""
        if text[at : at + 1] == '"':
            at += 1
            while True:
                if at >= len(text):
                    raise NoRowError(None)
                if text[at] == '"' and text[at + 1 : at + 2] == '"':
                    field, at = field + '"', at + 2
                elif text[at] == '"':
                    at += 1
                    break
                else:
                    field, at = field + text[at], at + 1
            if at < len(text) and text[at] != delimiter:
                raise NoRowError(None)
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
        raise NoRowError(None)
    return {name: (place + 1, fields[place]) for place, name in enumerate(layout.names)}


def by_key(fields: list[str], layout: Layout, columns: set[str]) -> dict[str, tuple[int, str]]:
    row = {layout.names[0]: (1, fields[0])}
    pairs = [key_of(field) for field in fields[1:]]
    columns |= {pair[0] for pair in pairs if pair}
    for place, pair in enumerate(pairs, start=2):
        if pair is None or pair[0] in row:
            raise NoRowError(place)
        row[pair[0]] = (place, pair[1])
    return row


def key_of(field: str) -> tuple[str, str] | None:
    """Key and value of a field, or None."""
    key, colon, value = field.partition(":")
    key = key.rstrip(BLANKS)
    plain = bool(key) and key[0] in LETTERS and all(one in LETTERS + DIGITS for one in key)
    return (key, value.strip(BLANKS)) if colon and plain else None


def holds_number(word: str) -> bool:
    """Whether a field is a number, alone or after a key, the beginning of which may be missing."""
    key, colon, value = word.rpartition(":")
    if colon and not all(one.isascii() and (one.isalnum() or one == "_") for one in key):
        return False
    return number_parts(value) is not None


def number_parts(text: str) -> tuple[str, str, str] | None:
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
    whole, point, fraction = mantissa.partition(".")
    if (point and not fraction) or not (whole or fraction):
        return None
    return (whole, fraction, exponent) if all(one in DIGITS for one in whole + fraction) else None


def value_of(place: int, text: str, kind: str, nulls: list[str]) -> int | float | None:
    if not text or text in nulls:
        return None
    parts = number_parts(text)
    if parts is None:
        raise NoRowError(place)
    whole, fraction, exponent = parts
    if kind == "integer":
        if fraction or "." in text or "e" in text or "E" in text:
            raise NoRowError(place)
        digits = whole.lstrip("0")
        number = int(digits or "0") if len(digits) < 20 else 2**64
        number = -number if text[0] == "-" else number
        if not -(2**63) <= number < 2**63:
            raise NoRowError(place)
        return number
    if len(exponent.lstrip("+-0")) > 5:
        zero = not (whole + fraction).strip("0")
        if not zero:
            raise NoRowError(place)
        return -0.0 if text[0] == "-" else 0.0
    value = float(text)
    exact_zero = not (whole + fraction).strip("0")
    if math.isinf(value) or (value == 0 and not exact_zero):
        raise NoRowError(place)
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


def instant_of(text: str, place: int, tz: str) -> int:
    parts = stamp_parts(text)
    if parts is None:
        raise NoRowError(place)
    day, time, fraction, offset = parts
    hour, minute, second = int(time[:2]), int(time[3:5]), int(time[6:])
    try:
        local = datetime(int(day[:4]), int(day[5:7]), int(day[8:]), hour, minute, second)
        if offset == "Z":
            moment = local.replace(tzinfo=UTC)
        elif offset:
            moment = local.replace(tzinfo=fixed(offset))
        elif tz[0] in "+-":
            moment = local.replace(tzinfo=fixed(tz))
        else:
            moment = local.replace(tzinfo=ZoneInfo(tz))
            if moment.astimezone(UTC).astimezone(ZoneInfo(tz)).replace(tzinfo=None) != local:
                raise NoRowError(place)  # it does not exist
            if moment.astimezone(UTC) != moment.replace(fold=1).astimezone(UTC):
                raise NoRowError(place)  # it stands for two
        seconds = (moment - EPOCH) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise NoRowError(place) from None
    instant = int(seconds) * 10**9 + int(Fraction("0." + (fraction or "0")) * 10**9)
    if not -(2**63) < instant < 2**63 or abs(int(seconds)) > 9_223_372_036:
        raise NoRowError(place)
    return instant


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
