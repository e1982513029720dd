"""How texts are read as instants: ISO 8601, epoch numbers, or strptime patterns, and which of them fit a column."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence

import pandas as pd
from pandas.tseries.api import guess_datetime_format

ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
OFFSET = re.compile(r".*\d\d:\d\d(:\d\d)?(\.\d+)? ?(Z|[+-]\d\d:?\d\d)", re.ASCII)
EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}  # units in a second
YEARS_OF_EPOCHS = (946_684_800, 4_102_444_800)  # seconds since 1970 of 2000 and of 2100: a number beyond is another
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
DATE = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})", re.ASCII)
CLOCK = re.compile(r"\d{1,2}:\d\d(?P<seconds>:\d\d(?P<fraction>[.,]\d{1,6})?)?(?P<half>\s?[AP]M)?", re.ASCII | re.I)
AFTER_DATE = re.compile(rf"(?P<start>T|,? +|_|-)(?ai:{CLOCK.pattern})(?P<offset>(?P<blank> ?)(Z|[+-]\d\d:?\d\d))?")
COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}  # patterns of digits alone, by their number
WORDS = re.compile(r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|\d{8}[T _-]\d{6}", re.IGNORECASE)
LONG_MONTHS = re.compile(r"[a-z]{4}", re.IGNORECASE)
Instants = pd.Series  # of pandas timestamps, NaT for a text that cannot be read

LOOKED_AT = 400  # texts of a column that candidates are drawn from
SHAPES = 4  # of them, by what they are made of, that each give candidates


def read(texts: Sequence[str], how: str) -> Instants:
    """The instants of texts, NaT for one that cannot be read so; those without an offset are taken as UTC.

    `how` is a value of parse's `timestamp_format`.
    """
    series = pd.Series(list(texts), dtype="object")
    if how == "iso8601":
        fit = series.map(lambda text: bool(ISO_8601.fullmatch(text)))
        return pd.to_datetime(series.where(fit), format="ISO8601", utc=True, errors="coerce")
    if how in EPOCHS:
        fit = series.map(lambda text: bool(NUMBER.fullmatch(text)))
        seconds = pd.to_numeric(series.where(fit), errors="coerce").astype("float64") / EPOCHS[how]
        return pd.to_datetime(seconds.where(seconds.between(*YEARS_OF_EPOCHS)), unit="s", utc=True)
    return pd.to_datetime(series, format=how, utc=True, errors="coerce")


def readings(texts: Sequence[str]) -> dict[str, Instants]:
    """The texts of a column read by each `timestamp_format` that may read some of them, the best known first."""
    looked_at = texts[:: max(1, len(texts) // LOOKED_AT)]
    shapes = [re.sub(r"\d+", _length, text) for text in looked_at]
    of_shape = dict(zip(shapes, looked_at, strict=True))
    ways = [how for shape, _ in Counter(shapes).most_common(SHAPES) for how in _ways_of(of_shape[shape])]
    return {how: read(texts, how) for how in dict.fromkeys(ways)}


def is_absolute(how: str, texts: Sequence[str]) -> bool:
    """Whether timestamps say how far they are from UTC."""
    return how in EPOCHS or "%z" in how or any(map(OFFSET.fullmatch, texts[-LOOKED_AT:]))


def _length(digits: re.Match[str]) -> str:
    return "9" * min(len(digits[0]), 4) if len(digits[0]) < 8 else f"<{len(digits[0])}>"


def _ways_of(text: str) -> list[str]:
    if ISO_8601.fullmatch(text):
        return ["iso8601"]
    if NUMBER.fullmatch(text):
        low, high = YEARS_OF_EPOCHS
        epochs = [how for how, units in EPOCHS.items() if low <= float(text) / units <= high]
        return [*epochs, COMPACT[len(text)]] if len(text) in COMPACT else epochs
    date = DATE.match(text)
    clock = _clock_of(text[date.end() :]) if date else None
    if date and clock is not None:
        return [day + clock for day in _days_of(*date.group(1, 2, 3, 4))]
    if not WORDS.search(text):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the day cannot come first, or has to
        guesses = [guess_datetime_format(text, dayfirst=first) for first in (False, True)]
    short = not LONG_MONTHS.search(text)  # May is both
    return [guess.replace("%B", "%b") if short else guess for guess in dict.fromkeys(guesses) if guess]


def _days_of(first: str, mark: str, second: str, third: str) -> list[str]:
    """The orders of day, month and year that a date of three numbers may have."""
    if len(first) == 4:
        return [mark.join(("%Y", "%m", "%d"))]
    if len(third) == 4:
        return [mark.join(order) for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"))]
    if len(first) > 2 or len(third) != 2:
        return []
    orders = [("%d", "%m", "%y"), ("%m", "%d", "%y"), *([("%y", "%m", "%d")] if mark != "." else [])]
    return [mark.join(order) for order in orders]  # two digits of the year come first before no point


def _clock_of(text: str) -> str | None:
    """The pattern of what follows a date: nothing, or a time of day, perhaps with an offset; None for anything else."""
    if not text:
        return ""
    clock = AFTER_DATE.fullmatch(text)
    if not clock:
        return None
    pattern = "%I:%M" if clock["half"] else "%H:%M"
    pattern += ":%S" if clock["seconds"] else ""
    pattern += f"{clock['fraction'][0]}%f" if clock["fraction"] else ""
    pattern += re.sub("[ap]m", "%p", clock["half"], flags=re.I) if clock["half"] else ""
    return clock["start"] + pattern + (f"{clock['blank']}%z" if clock["offset"] else "")
