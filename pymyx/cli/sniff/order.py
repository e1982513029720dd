"""Which of the ways to read a column of timestamps is right: by the stamps, else by what else is said in the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import pandas as pd

from pymyx.cli.sniff.stamps import Instants, read, ways

STATED = re.compile(
    r"\b(D{1,2}|M{1,2}|Y{2,4})[-/. ](D{1,2}|M{1,2}|Y{2,4})[-/. ](D{1,2}|M{1,2}|Y{2,4})\b", re.IGNORECASE
)
MOSTLY = 0.9  # of the rows, the part that has to lie at most a day from the day in their file's name


class Decision(NamedTuple):
    """The one value of `timestamp_format` that is right, or those that may be; and why."""

    formats: list[str]
    why: str


class Stamps(NamedTuple):
    """The timestamps of all rows."""

    texts: Sequence[str]
    places: Sequence[str]
    days: Sequence[date | None]  # in the name of the file of each
    files: Sequence[int]  # the number of the file of each
    title: str  # the name of their column
    year_first: bool  # whether the maker of the file is known to put it there


def decide(stamps: Stamps) -> Decision:
    """Decide how timestamps are to be read."""
    readings = {how: read(stamps.texts, how) for how in ways(stamps.texts)}
    most = max(instants.notna().sum() for instants in readings.values())
    fitting = [how for how, instants in readings.items() if instants.notna().sum() == most]
    if len(fitting) == 1:
        return Decision(fitting, _first(stamps, readings, fitting[0]))
    for decided, why in _by_other_signs(stamps, {how: readings[how] for how in fitting}):
        if len(decided) == 1:
            return Decision(decided, why)
    return Decision(fitting, _doubt(stamps, readings, fitting))


def _first(stamps: Stamps, readings: dict[str, Instants], chosen: str) -> str:
    """The first line that can be read in one way alone."""
    alone = readings[chosen].notna()
    others = [how for how in readings if how != chosen]
    for other in others:
        alone &= readings[other].isna()
    at = int(alone.argmax()) if alone.any() else int(readings[chosen].notna().argmax())
    also = f", which is none of {' and '.join(others)}" if others and alone.any() else ""
    return f"{stamps.places[at]}: `{stamps.texts[at]}`{also}"


def _by_other_signs(stamps: Stamps, readings: dict[str, Instants]) -> list[tuple[list[str], str]]:
    """What the column's name, the files' names, the rows at midnight and the maker decide, each with its why."""
    found = []
    stated = STATED.search(stamps.title)
    if stated:
        order = "".join(part[0].upper() for part in stated.groups())
        found.append(([how for how in readings if order_of(how) == order], f"the column's name says {stated[0]}"))
    if day := next((day for day in stamps.days if day), None):
        near = {how: are_near(instants, stamps.days) for how, instants in readings.items()}
        mostly = [how for how, rows in near.items() if rows and sum(rows) >= MOSTLY * len(rows)]
        found.append((mostly, f"the file's name says {day}, and the rows are of that day"))
    joints = {how: _joint(instants, stamps.files) for how, instants in readings.items()}
    whole = [how for how, at in joints.items() if at]
    if len(whole) == 1:
        at = joints[whole[0]]
        why = f"`{stamps.texts[at - 1]}` and `{stamps.texts[at]}` follow each other over midnight ({stamps.places[at]})"
        found.append((whole, why))
    if stamps.year_first:
        first = [how for how in readings if order_of(how).startswith("Y")]
        found.append((first, f"{stamps.places[0]}: `{stamps.texts[0]}`, the year first, as HOBOware writes it"))
    return found


def order_of(how: str) -> str:
    """The order of day, month and year in a pattern: `DMY`."""
    return "".join(part[-1].upper() for part in re.findall("%[dmyY]", how))


def are_near(instants: Instants, days: Sequence[date | None]) -> list[bool]:
    """Of the instants whose file's name says a day, whether they lie at most a day from it."""
    named = [(instant.date(), day) for instant, day in zip(instants, days, strict=True) if day and not pd.isna(instant)]
    return [abs((one - day).days) <= 1 for one, day in named]


def _joint(instants: Instants, files: Sequence[int]) -> int:
    """The first row that follows the one before it over midnight as rows follow each other by day; 0 for none."""
    dates, steps = instants.dt.date, instants.diff().dt.total_seconds()
    same_file = pd.Series(files).diff() == 0
    same_day = dates == dates.shift()
    usual = steps[same_day & (steps > 0)].median()
    joints = same_file & ~same_day & (steps > 0) & (steps <= 2 * usual)
    return int(joints.argmax()) if joints.any() else 0


def _doubt(stamps: Stamps, readings: dict[str, Instants], fitting: list[str]) -> str:
    """What the first line that can be read in several ways is by each, and what would decide it."""
    one, *others = (readings[how] for how in fitting)
    apart = (one != others[0]) & one.notna()
    for other in others:
        apart &= other.notna()
    if not apart.any():
        return f"{stamps.places[0]}: `{stamps.texts[0]}` is the same day by each"
    at = int(apart.argmax())
    meant = " or ".join(f"{instant:%-d %B %Y}" for instant in dict.fromkeys(readings[how][at] for how in fitting))
    return f"{stamps.places[at]}: `{stamps.texts[at]}` is {meant}"
