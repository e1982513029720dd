"""Reads time stamps in the format that the params state: one of any text, or those of clean lines at once.

A strptime pattern is cut into its parts once. From these come the regular expression for one stamp, that of clean
fields, and the walk over the bytes of many fields at once, digit by digit. Numbers are ASCII, names English.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = range(-9_223_372_036, 9_223_372_036)  # whole seconds that fit into nanoseconds of 64 bits
EPOCH_DIGITS = {"epoch_s": 9, "epoch_ms": 6, "epoch_us": 3}  # of a fraction, down to the nanosecond
MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SHORT = {"b": [name[:3] for name in MONTHS], "a": [name[:3] for name in WEEKDAYS]}
WORDS = {**SHORT, "B": MONTHS, "A": WEEKDAYS}
NUMBERS = {
    "Y": "[0-9]{4}",
    "y": "[0-9]{2}",
    "m": "(?:1[0-2]|0?[1-9])",
    "d": "(?:3[01]|[12][0-9]|0?[1-9])",
    "j": "[0-9]{1,3}",
    "H": "(?:2[0-3]|[01]?[0-9])",
    "I": "(?:1[0-2]|0?[1-9])",
    "M": "[0-5]?[0-9]",
    "S": "[0-5]?[0-9]",
    "f": "[0-9]{1,9}",
}
OTHERS = {"p": "[AaPp][Mm]", "z": "(?:Z|[+-][0-9]{2}:?[0-5][0-9])"}
ANY_CASE = {
    key: "|".join("".join(f"[{one.upper()}{one.lower()}]" for one in name) for name in names)
    for key, names in WORDS.items()
}
TEXTS = NUMBERS | OTHERS | {key: f"(?:{names})" for key, names in ANY_CASE.items()}
TIME = "HIMSfpz"  # the directives that a column of times may have, where date and time stand apart
ISO_DATE = r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
ISO_8601 = ISO_DATE + r"[T ](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d{1,9}))?(?P<z>Z|[+-]\d\d:?[0-5]\d)?"


class BadLineError(Exception):
    """The field at fault (from 1, or None), and why the line is no row."""


@dataclass(frozen=True)
class Format:
    """How time stamps are written: what to call them, one of them, its first field, and the parts of clean fields."""

    name: str
    what: str
    whole: re.Pattern
    first: re.Pattern
    parts: tuple = ()  # of each field (one, or two where date and time stand apart): directives such as %d, and text

    @property
    def stand_in(self):
        """What pyarrow reads in its place, where its instant is known."""
        return "1970-01-01T00:00:00Z" if self.name == "iso8601" else "0"

    def clean(self, delimiter):
        """A regular expression for each field of the stamps of clean lines; none where no line is clean."""
        texts = ["".join(map(_text_of, parts)) for parts in self.parts]
        inside = "".join("T " if part == "%T" else part for parts in self.parts for part in parts)
        return None if delimiter in inside or '"' in inside else texts


def zone_of(tz):
    """The time zone of an IANA name or a fixed offset such as +01:00; None for any other text, as `localtime` is."""
    if re.fullmatch(r"[+-](?:0\d|1[0-4]):[0-5]\d", tz, re.ASCII):
        return timezone(timedelta(hours=int(tz[:3]), minutes=int(tz[0] + tz[4:])))
    try:
        return None if re.match("localtime|posix|right|Factory", tz) else ZoneInfo(tz)
    except (ValueError, OSError, LookupError):
        return None


@cache
def format_of(name, apart, decimal):
    """The format that a param `timestamp_format` states; raises ValueError, which says what is wrong with it."""
    if name == "iso8601":
        what = "ISO 8601 timestamp such as 2026-01-20T09:07:58Z"
        parts = ("%Y", "-", "%0m", "-", "%0d"), ("%0H", ":", "%0M", ":", "%0S", "%?")
        if not apart:
            parts = ((*parts[0], "%T", *parts[1]),)
        return Format(name, what, _compiled(ISO_8601), _compiled(ISO_DATE if apart else ISO_8601), parts)
    if name in EPOCH_DIGITS:
        if apart:
            raise ValueError(f"`{name}` is one number: it cannot be joined from two columns, as `time_column` states")
        unit = {"epoch_s": "seconds", "epoch_ms": "milliseconds", "epoch_us": "microseconds"}[name]
        mark = re.escape(decimal)
        number = rf"(?P<sign>[+-]?)(?=[{mark}\d])(?P<whole>\d*)(?:{mark}(?P<fraction>\d{{1,{EPOCH_DIGITS[name]}}}))?"
        return Format(name, f"number of {unit} since 1970 ({name})", _compiled(number), _compiled(number))
    parts = tuple(re.findall(r"%.|[^%]|%$", name, re.DOTALL))
    _check(name, parts)
    fields = (parts,)
    if apart:
        times = [place for place, part in enumerate(parts) if part[0] == "%" and part[1:] in TIME]
        cut = max((place for place in range(times[0]) if parts[place] == " "), default=0) if times else 0
        if not cut or any(part[0] == "%" and part[1:] not in TIME for part in parts[cut:]):
            raise ValueError(f"`{name}` must be the date, a blank and the time, as date and time stand apart")
        fields = (parts[:cut], parts[cut + 1 :])
    fields = _fixed(fields)
    joined = [_named(field) for field in fields]
    what = f"time stamp of the format {name}"
    return Format(name, what, _compiled(r"[ \t]+".join(joined)), _compiled(joined[0]), fields)


def _compiled(text):
    return re.compile(text, re.ASCII)


def _check(name, parts):
    keys = [part[1:] for part in parts if part[0] == "%" and part != "%%"]
    if unknown := next((f"%{key}" for key in keys if key not in TEXTS), None):
        accepted = (
            f"iso8601, {', '.join(EPOCH_DIGITS)}, or a strptime pattern of {' '.join(f'%{key}' for key in TEXTS)}"
        )
        raise ValueError(f"`{name}` has `{unknown}`; accepted: {accepted}")
    if not keys:
        accepted = f"iso8601, {', '.join(EPOCH_DIGITS)}, or a strptime pattern such as %d/%m/%Y %H:%M:%S"
        raise ValueError(f"`{name}` is no format; accepted: {accepted}")
    for one in ("Yy", "mbBj", "d", "j", "HI", "M", "S", "f", "p", "z", "aA"):
        if len(found := [key for key in keys if key in one]) > 1:
            raise ValueError(f"`{name}` states one thing twice: %{found[0]} and %{found[1]}")
    given = set(keys)
    if not given & set("Yy") or not ("j" in given or ("d" in given and given & set("mbB"))) or {"d", "j"} <= given:
        raise ValueError(f"`{name}` states no date: it takes a year (%Y or %y), a month (%m or %b) and a day (%d)")
    if ("I" in given) != ("p" in given):
        raise ValueError(f"`{name}`: a clock of twelve hours takes both %I and %p")
    for larger, smaller in (("HI", "M"), ("M", "S"), ("S", "f")):
        if smaller in given and not given & set(larger):
            raise ValueError(f"`{name}` states %{smaller} without %{larger[0]}")
    for one, other in pairwise(parts):
        if one == "%f" and (other[1:] in NUMBERS or other.isdigit()):
            raise ValueError(f"`{name}`: a fraction (%f) has no end where a number follows")


def _fixed(fields):
    """The parts of fields, with the numbers beside other digits as %2d: all their digits are written."""
    return tuple(
        tuple(
            f"%0{part[1:]}" if part[1:] in NUMBERS and part[0] == "%" and _beside_digits(field, place) else part
            for place, part in enumerate(field)
        )
        for field in fields
    )


def _beside_digits(field, place):
    beside = field[max(place - 1, 0) : place] + field[place + 1 : place + 2]
    return any(part.isdigit() or (part[0] == "%" and part[1:] in NUMBERS) for part in beside)


def _text_of(part):
    """The regular expression of one part of a clean field."""
    if part == "%?":
        return r"(?:\.[0-9]{1,9})?"
    if part[0] != "%" or part == "%%":
        return re.escape(part[-1])
    if part == "%T":
        return "[T ]"
    text = TEXTS[part[-1]]
    if part[1] == "0" and part[-1] in "mdHIMS":
        return text.replace("?[", "[").replace("0?", "0")
    return text.replace("{1,3}", "{3}") if part[1] == "0" else text


def _named(field):
    """The regular expression of one field: a blank stands for several, each directive is a group of its name."""
    texts = {part: r"[ \t]+" if part == " " else _text_of(part) for part in field}
    groups = {part: f"(?P<{part[-1]}>{text})" for part, text in texts.items() if part[0] == "%" and part != "%%"}
    return "".join((texts | groups)[part] for part in field)


def instant_of(place, text, form, zone):
    """Nanoseconds since 1970, UTC; raises BadLineError."""
    if not (match := form.whole.fullmatch(text)):
        raise BadLineError(place, f"{text[:100]!r} is no {form.what}")
    parts = match.groupdict()
    if form.name in EPOCH_DIGITS:
        digits = (parts["whole"] or "0") + (parts["fraction"] or "").ljust(EPOCH_DIGITS[form.name], "0")
        instant = int(parts["sign"] + digits) if len(digits) < 1000 else TIMES.stop * 10**9
        if instant // 10**9 not in TIMES:
            raise BadLineError(place, f"{text[:100]!r} is no time that exists")
        return instant
    try:
        moment = _local(parts)
        offset = parts.get("z")
        moment = moment.replace(tzinfo=_offset(offset) if offset else zone)
        before, after = moment.utcoffset(), moment.replace(fold=1).utcoffset()
        seconds = (moment - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        seconds = TIMES.stop
    if seconds not in TIMES:
        raise BadLineError(place, f"{text!r} is no time that exists")
    if before != after:
        what, way = ("does not exist", "forward") if before < after else ("stands for two times", "back")
        fixed = str(timezone(min(before, after))).removeprefix("UTC") or "UTC"
        hint = f"clocks go {way} then, for summer time; for one that never follows it, set the param `tz` to {fixed}"
        raise BadLineError(place, f"{text!r} {what} in {zone.key}: {hint}")
    return seconds * 1_000_000_000 + int((parts.get("f") or "").ljust(9, "0"))


def _local(parts):
    """The time that the parts of a stamp say, without its fraction; raises ValueError when there is none."""
    year = int(parts["Y"]) if "Y" in parts else _century(int(parts["y"]))
    hour = int(parts.get("H") or 0) if "I" not in parts else int(parts["I"]) % 12 + 12 * (parts["p"][0] in "pP")
    clock = (hour, int(parts.get("M") or 0), int(parts.get("S") or 0))
    if "j" in parts:
        moment = datetime(year, 1, 1, *clock) + timedelta(days=int(parts["j"]) - 1)
        if moment.year != year:
            raise ValueError
        return moment
    name = parts.get("b") or parts.get("B")
    month = SHORT["b"].index(name[:3].capitalize()) + 1 if name else int(parts["m"])
    return datetime(year, month, int(parts["d"]), *clock)


def _century(year):
    return year + (1900 if year > 68 else 2000)  # as strptime has it, by POSIX


def _offset(text):
    if text == "Z":
        return UTC
    length = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-length if text[0] == "-" else length)


def instants_at(codes, starts, form, zone):
    """The instants of clean stamps in the bytes of a file, and whether each is one that exists, and one only.

    `starts` are the places of each field of the stamps, one array a field.
    """
    read = {}
    for start, parts in zip(starts, form.parts, strict=True):
        at = start
        for part in parts:
            at = _walk(codes, at, part, read)
    year = read["Y"] if "Y" in read else _century_of(read["y"])
    years = (year - 1970).astype("M8[Y]")
    if "j" in read:
        dates = years.astype("M8[D]") + (read["j"] - 1)
        fine = dates.astype("M8[Y]") == years
    else:
        months = years.astype("M8[M]") + (read["m"] - 1)
        dates = months.astype("M8[D]") + (read["d"] - 1)
        fine = dates.astype("M8[M]") == months
    hours = read["I"] % 12 + 12 * read["p"] if "I" in read else read.get("H", 0)
    clock = hours * 3600 + read.get("M", 0) * 60 + read.get("S", 0)
    seconds = dates.astype(np.int64) * 86_400 + clock
    fine &= (seconds > TIMES.start + 86_400) & (seconds < TIMES.stop - 86_400)
    if "z" in read:
        seconds -= read["z"]
        fine &= np.abs(read["z"]) < 86_400
    else:
        offsets, plain = _offsets(seconds, zone)
        seconds -= offsets
        fine &= plain
    return seconds * 1_000_000_000 + read.get("f", 0), fine


def _century_of(years):
    return np.where(years > 68, years + 1900, years + 2000)


def _walk(codes, at, part, read):
    """Read one part of each stamp at `at`; returns where the next begins."""
    key = part[-1]
    if part[0] != "%" or part in ("%%", "%T"):
        return at + len(part[-1].encode())
    if part == "%?":
        if not (some := codes[at] == ord(".")).any():
            return at
        value, end = _fraction(codes, at + 1)
        read["f"] = np.where(some, value, 0)
        return np.where(some, end, at)
    if key == "p":
        read["p"] = (codes[at] | 32) == ord("p")
        return at + 2
    if key == "z":
        numbers = [_digit(codes, at + 1) * 10 + _digit(codes, at + 2)]
        colon = codes[np.minimum(at + 3, len(codes) - 1)] == ord(":")
        zulu, rest = codes[at] == ord("Z"), np.minimum(at + 3 + colon, len(codes) - 2)
        numbers.append(_digit(codes, rest) * 10 + _digit(codes, rest + 1))
        length = numbers[0] * 3600 + numbers[1] * 60
        read["z"] = np.where(zulu, 0, np.where(codes[at] == ord("-"), -length, length))
        return np.where(zulu, at + 1, at + 5 + colon)
    if key in WORDS:
        letters = [(codes[at + offset] | 32).astype(np.int64) for offset in range(3)]
        found, known = letters[0] << 16 | letters[1] << 8 | letters[2], SHORT[key.lower()]
        place = np.zeros(len(at), np.int64)
        for number, name in enumerate(known):
            place[found == int.from_bytes(name.lower().encode(), "big")] = number
        read["m" if key in "bB" else "a"] = place + 1
        return at + np.array([*map(len, WORDS[key])])[place]
    if key == "f":
        read["f"], end = _fraction(codes, at)
        return end
    least, most = {"Y": (4, 4), "y": (2, 2), "j": (1, 3)}.get(key, (1, 2))
    value, at = _digit(codes, at), at + 1
    for count in range(1, most):
        digit = _digit(codes, at)
        if part[1] == "0" or count < least:
            value, at = value * 10 + digit, at + 1
        else:
            more = digit < 10
            value, at = np.where(more, value * 10 + digit, value), at + more
    read[key] = value
    return at


def _digit(codes, at):
    """The digits at some places; above 9 where there is none. What follows a stamp is read too, if it is short."""
    return (codes[np.minimum(at, len(codes) - 1)] - np.uint8(ord("0"))).astype(np.int64)


def _fraction(codes, at):
    """Up to nine digits as nanoseconds, and where they end."""
    value, going = np.zeros(len(at), np.int64), np.ones(len(at), bool)
    for _ in range(9):
        digit = _digit(codes, at)
        going &= digit < 10
        value, at = value * 10 + np.where(going, digit, 0), at + going
    return value, at


def _offsets(seconds, zone):
    """The offsets of local times, in seconds, and whether each stands for one instant; by quarters of an hour."""
    if (always := zone.utcoffset(None)) is not None:
        return always // timedelta(seconds=1), True
    seconds = seconds.clip(TIMES.start + 86_400, TIMES.stop - 86_400)
    quarters, place = np.unique(seconds // 900, return_inverse=True)
    offsets, plain = np.zeros(len(quarters), np.int64), np.zeros(len(quarters), bool)
    for number, quarter in enumerate(quarters.tolist()):
        first = EPOCH.replace(tzinfo=zone) + timedelta(seconds=quarter * 900)
        moments = [first, first + timedelta(seconds=899)]
        found = {moment.replace(fold=fold).utcoffset() for moment in moments for fold in (0, 1)}
        offsets[number] = min(found) // timedelta(seconds=1)
        plain[number] = len(found) == 1
    return offsets[place], plain[place]
