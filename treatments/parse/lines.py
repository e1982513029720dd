"""Decides once what shape a file has, and reads lines one by one: each becomes a row, or a reject that says why."""

import codecs
import csv
import gzip
import re
import zlib
from collections import Counter, namedtuple
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from stamps import BadLineError, format_of, instant_of, zone_of

BLANKS = " \t"
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
FLOATS = {mark: rf"[+-]?(?:\d+(?:[{mark}]\d+)?|[{mark}]\d+)(?:[eE][+-]?\d+)?" for mark in ".,"}  # by the decimal mark
VALUES = {mark: {"integer": INTEGER, "float": re.compile(text, re.ASCII)} for mark, text in FLOATS.items()}
NUMBER = {mark: re.compile(rf"(?:\w*:)?{text}", re.ASCII) for mark, text in FLOATS.items()}  # or after its (torn) key
KEY_VALUE = re.compile(r"([A-Za-z_]\w*)[ \t]*:(.*)", re.ASCII | re.DOTALL)
GZIP, UTF_16 = b"\x1f\x8b", (b"\xff\xfe", b"\xfe\xff")
BROKEN = b"\xed\xb2\x80"  # no UTF-8: put where bytes are not of the encoding stated, before what they are
DAY = 86_400 * 1_000_000_000  # nanoseconds

# a line (from 1; None: the whole file) that is no row, its field at fault (from 1, or None), why, and its text
Reject = namedtuple("Reject", "line column reason text")
# the names of the fields of a row in order, how many of them most rows have, the index of the header (-1: none),
# whether fields name their keys (those of most rows come first in names, then what else is declared), which lines are
# passed over, the header among them, and what to tell of them, by kind: the lines, from 1
Shape = namedtuple("Shape", "names width header keyed over noted")
# what lines that are not clean came to: rows by index, from 0 (nanoseconds since 1970, and a clean line in its place),
# rejects, what to tell, by kind (the lines, from 1), how many were passed over, and the names of the file's columns
Rest = namedtuple("Rest", "rows rejects noted passed names")


class RejectedFileError(Exception):
    """What is wrong with a whole file, and what would mend it."""


@dataclass(frozen=True)
class Lines:
    """The lines of a file, without their ends: bytes in which each ends with a newline, and where."""

    data: bytes
    ends: np.ndarray

    def __getitem__(self, index):
        return self.data[self.ends[index - 1] + 1 if index else 0 : self.ends[index]]

    def starting_with(self, text):
        """Which lines start with a text."""
        codes, starts = np.frombuffer(self.data, np.uint8), np.concatenate(([0], self.ends + 1))[:-1]
        found = np.ones(len(starts), bool)
        for offset, code in enumerate(text.encode()):
            found &= codes[np.minimum(starts + offset, len(codes) - 1)] == code
        return found

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


def form_of(params):
    """The format of the time stamps."""
    return format_of(params["timestamp_format"], bool(params["time_column"]), params["decimal"])


def times_of(params):
    """The names of the columns that a time stamp stands in, one or two."""
    return [name for name in (params["timestamp_column"], params["time_column"]) if name]


def _marked(error):
    """Decode what is not of the encoding as its bytes, escaped, after a mark that no line can have and be read."""
    text, end = codecs.backslashreplace_errors(error)
    return "\udc80" + text, end


codecs.register_error("marked", _marked)


def is_utf_8(encoding):
    """Whether a text encoding is UTF-8, by whatever name."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def shown(line, params):
    """A line as text, the bytes in it that are not of the encoding escaped."""
    line = line if is_utf_8(params["encoding"]) else line.replace(BROKEN, b"")
    return line.decode("utf-8", "backslashreplace")


def lines_of(path, params):
    """The lines of a file, and whether the last one has an end; raises RejectedFileError when it is no text."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RejectedFileError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if data[:2] == GZIP:
        raise RejectedFileError("it is compressed by gzip; name it .csv.gz")
    if data[:2] in UTF_16 and not codecs.lookup(params["encoding"]).name.startswith(("utf-16", "utf-32")):
        raise RejectedFileError('it is UTF-16; set "encoding": "utf-16", or save it as UTF-8')
    if not is_utf_8(params["encoding"]):
        data = data.decode(params["encoding"], "marked").encode("utf-8", "surrogatepass")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if re.match(rb"\s*<(!doctype|html|\?xml)", data[:200], re.IGNORECASE):
        raise RejectedFileError("it is an HTML page, no CSV")
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
    whole = data + b"\n" if data and not data.endswith(b"\n") else data
    return Lines(whole, np.flatnonzero(np.frombuffer(whole, np.uint8) == ord("\n"))), len(whole) == len(data)


def fields_of(line, params):
    """The fields of a line without quotes and blanks; raises BadLineError."""
    delimiter = params["delimiter"]
    try:
        text = line.decode("utf-8")
        fields = next(csv.reader([text], delimiter=delimiter, strict=True)) if '"' in text else text.split(delimiter)
        return [field.strip(BLANKS) for field in fields]
    except UnicodeDecodeError:
        name = "UTF-8" if is_utf_8(params["encoding"]) else params["encoding"]
        raise BadLineError(None, f"it is not {name}") from None
    except (csv.Error, StopIteration):
        raise BadLineError(None, 'a quote (") is not closed, or stands in the middle of a value') from None


def _holds_something(line):
    return bool(line.strip(b" \t") and line.strip(b"\0"))


def _bare_fields(line, params):
    """The fields of a line, whatever is wrong with it, without BOM, quotes and blanks."""
    fields = shown(line, params).split(params["delimiter"])
    if b'"' in line:
        with suppress(BadLineError):
            fields = fields_of(line, params)
    return [one.strip('\ufeff" \t') for one in fields]


def _names_columns(names, params):
    """Whether one of the names is that of a declared column or the timestamp's, in capitals or not."""
    known = {name.casefold() for name in (*times_of(params), *kinds(params))}
    return not known.isdisjoint(map(str.casefold, names))


def _passed_over(lines, params):
    """Which lines the params pass over, what to tell of them, and the index of the header, if `skip_to` states it."""
    number, header = len(lines.ends), None
    over = np.arange(number) < params["skip_lines"]
    noted = {"lines passed over, as skip_lines says": over.copy()}
    if params["skip_to"]:
        if not len(found := np.flatnonzero(lines.starting_with(params["skip_to"]) & ~over)):
            if any(map(_holds_something, map(lines.__getitem__, np.flatnonzero(~over).tolist()))):
                raise RejectedFileError(
                    f"none of its lines starts with {params['skip_to']!r}, as the param skip_to says"
                )
            return over, noted, None
        header = int(found[0])
        noted["lines passed over, as skip_to says"] = (np.arange(number) < header) & ~over
        over |= np.arange(number) < header
    if params["comment"]:
        comments = lines.starting_with(params["comment"]) & ~over
        comments[[header] if header is not None else []] = False
        noted["lines passed over, as comment says"] = comments
        over |= comments
    return over, noted, header


def shape_of(lines, params):
    """The shape of a file; raises RejectedFileError when it is no file of rows."""
    times, columns, form = times_of(params), params["columns"], form_of(params)
    declared = [*times, *kinds(params)]
    over, noted, header = _passed_over(lines, params)

    def shape(names, width, header, keyed=False):
        if header >= 0:
            units = ~over & (np.arange(len(over)) > header) & (np.arange(len(over)) <= header + params["unit_lines"])
            noted["lines passed over, as unit_lines says"] = units
            over[units] = over[header] = True
        told = {kind: (np.flatnonzero(which) + 1).tolist() for kind, which in noted.items() if which.any()}
        return Shape(names, width, header, keyed, over, told)

    content = (index for index in range(len(lines.ends)) if not over[index] and _holds_something(lines[index]))
    first, second = next(content, None), next(content, None)
    if first is None:
        return shape(times, len(times), -1)
    names = _bare_fields(lines[first], params)
    seems = next((mark for mark in ",\t;|" if len(names) == 1 and mark in names[0]), None)
    no_column = f"its header has no column `{times[0]}`: {';'.join(names)[:200]}"
    if columns:
        after = first if header is None else header + params["unit_lines"] + 1
        if seems and header is None and (second is None or seems in lines[second].decode("utf-8", "replace")):
            what = f"its lines have 1 field, expected {len(columns)}"
            raise RejectedFileError(f"{what}; its delimiter seems to be {seems!r}: set the param `delimiter`")
        names = _with_trailing(lines, after, columns, "the param `columns`", over, params)
        return shape(names, len(names), -1 if header is None else header)
    if header is not None or _names_columns(names, params):
        try:
            names = fields_of(lines[first], params)
        except BadLineError as bad:
            raise RejectedFileError(f"its first line cannot be read: {bad.args[1]}") from None
        while names and not names[-1]:
            names.pop()  # a delimiter at the end of the header: rows are held to it below
        if twice := [name for name in declared if names.count(name) > 1]:
            raise RejectedFileError(f"its header names {', '.join(twice)} twice")
        if missing := [name for name in times if name not in names]:
            raise RejectedFileError(f"its header has no column `{missing[0]}`: {';'.join(names)[:200]}")
        names = _with_trailing(lines, first + 1 + params["unit_lines"], names, "its header", over, params)
        return shape(names, len(names), first)
    if not form.first.fullmatch(names[0]):  # the line is damaged, if a row follows
        what = form.what.removeprefix("ISO 8601 ")
        reason = f"its first field {names[0][:100]!r} is no {what}, and its first line names no declared column"
        if seems:
            reason = f"{no_column}; its delimiter seems to be {seems!r}: set the param `delimiter`"
        elif len(list(filter(None, names))) > 1 and not any(map(NUMBER[params["decimal"]].fullmatch, names)):
            raise RejectedFileError(no_column)  # rows of columns that nobody knows would follow
        if second is None or not form.first.fullmatch(_bare_fields(lines[second], params)[0]):
            raise RejectedFileError(reason)
        first = second
    if (keys := _keys(lines, first, over, params)) is not None:
        names = [times[0], *keys, *(name for name in declared[1:] if name not in keys)]
        return shape(names, 1 + len(keys), -1, keyed=True)
    names = _with_trailing(lines, first, declared, "the declared columns", over, params)
    return shape(names, len(names), -1)


def _keys(lines, first, over, params):
    """The keys that most lines have from `first` on, or None where most lines are not of keys."""
    delimiter, blanks = re.escape(params["delimiter"]), f"[{BLANKS.replace(params['delimiter'], '')}]*"
    keyed = lines.matching(rf"^[^{delimiter}\n]*{delimiter}{blanks}[A-Za-z_][A-Za-z_0-9]*{blanks}:") & ~over
    keyed[:first] = False
    number = int(keyed.sum())
    blank = lines.matching(r"^([ \t]*|\x00+)\n") | over
    if not number or (number * 2 <= len(keyed) and number * 2 <= (~blank[first:]).sum()):
        return None
    sample = [_bare_fields(lines[index], params)[1:] for index in np.flatnonzero(keyed)[:20]]
    seen = Counter(tuple(field.partition(":")[0].rstrip(BLANKS) for field in fields) for fields in sample)
    keys = max(seen, key=seen.get)
    return [key for key in dict.fromkeys(keys) if KEY_VALUE.fullmatch(f"{key}:")]


def _with_trailing(lines, first, names, what, over, params):
    """The names of the fields of every row: with an empty one, where all rows end with a delimiter."""
    trailing, longer = [], 0
    for index in range(first, len(lines.ends)):
        if over[index] or not _holds_something(line := lines[index]):
            continue
        with suppress(BadLineError):
            fields = fields_of(line, params)
            if len(fields) == len(names) + 1 and not fields[-1]:
                trailing = [""]
            elif not _names_columns(fields, params):
                longer = longer or len(fields)
                if len(fields) <= len(names):
                    return [*names]
    if longer:
        raise RejectedFileError(f"every row is longer than {what}: {longer} fields, expected {len(names)}")
    return [*names, *trailing]


def read_rest(lines, indexes, shape, params, days):
    """Read lines one by one, rows of other days than those not further. Raises RejectedFileError for another header."""
    times, nulls, zone, known = times_of(params), params["null_values"], zone_of(params["tz"]), kinds(params)
    form, decimal = form_of(params), params["decimal"]
    rows, rejects, noted, passed, names = {}, [], {}, 0, shape.names[: shape.width]
    above = {lines[index] for index in np.flatnonzero(shape.over).tolist()}  # stand again in files put together
    for index in indexes:
        line = lines[index]
        if not _holds_something(line):
            passed += 1
            if line.strip(BLANKS.encode()):
                noted.setdefault("lines of NUL bytes skipped", []).append(index + 1)
            continue
        try:
            row = _by_name(fields_of(line, params), shape, names)
            if missing := [name for name in times if name not in row]:
                raise BadLineError(None, f"the key `{missing[0]}` is missing")
            stamp = " ".join(row[name][1] for name in times)
            instant = instant_of(row[times[0]][0], stamp, form, zone)
            looked_at = row.keys() & known if not days or instant // DAY in days else ()
            values = {name: _value(*row[name], known[name], nulls, decimal) for name in row if name in looked_at}
        except BadLineError as bad:
            header, text = _header_again(line, shape, params), shown(line, params)
            header = "repeated" if line in above else header
            if header == "another":
                raise RejectedFileError(f"another header stands at line {index + 1}: {text:.200}") from None
            if header == "repeated":
                passed += 1
                noted.setdefault("repeated headers skipped", []).append(index + 1)
            else:
                reason = "it is the beginning of a header" if header else bad.args[1]
                rejects.append(Reject(index + 1, bad.args[0], reason, text))
            continue
        fields = [form.stand_in if name == times[0] else values.get(name, "") for name in shape.names]
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


def _value(place, text, kind, nulls, decimal):
    """A value as pyarrow reads it, empty for null."""
    if not text or text in nulls:
        return ""
    if not VALUES[decimal][kind].fullmatch(text):
        raise BadLineError(place, f"{text[:100]!r} is no {kind}")
    if kind == "integer":
        digits = "-" * (text[0] == "-") + (text.lstrip("+-0") or "0")
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise BadLineError(place, f"{text[:100]!r} is beyond int64")
        return digits
    number = float(text.replace(",", "."))
    if number in (float("inf"), float("-inf")) or (number == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise BadLineError(place, f"{text[:100]!r} is beyond the range of a float")
    return repr(number).replace(".", decimal)


def _header_again(line, shape, params):
    """What a line that is no row is as a header: a `repeated` one, one `cut` short, `another`, or nothing."""
    names = _bare_fields(line, params)
    if not _names_columns(names, params):
        return ""
    own = shape.names if shape.header >= 0 or params["columns"] else [*times_of(params), *kinds(params)]
    own, names = ("\n".join(map(str.casefold, each)).rstrip("\n") for each in (own, names))
    another = names.count("\n") == own.count("\n") and _names_columns(names.split("\n")[-1:], params)
    if names == own and len(set(own.split("\n"))) > own.count("\n"):
        return "repeated"
    return "cut" if own.startswith(names) and not another else "another"
