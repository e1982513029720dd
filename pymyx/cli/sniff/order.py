"""Which of the ways to read a column of timestamps is right: by the stamps, else by what else is said in the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import pandas as pd

from pymyx.cli.sniff.evidence import Found
from pymyx.cli.sniff.names import any_day_in
from pymyx.cli.sniff.stamps import Instants, readings

STATED = re.compile(
    r"\b(D{1,2}|M{1,2}|Y{2,4})[-/. ](D{1,2}|M{1,2}|Y{2,4})[-/. ](D{1,2}|M{1,2}|Y{2,4})\b", re.IGNORECASE
)
MOSTLY = 0.9  # of the rows, the part that has to lie at most a day from the day in their file's name


def decide(found: Found, texts: Sequence[str], title: str) -> tuple[list[str], str]:
    """Decide how the timestamps of all rows are to be read; `title` is the name of their column.

    Returns the one value of `timestamp_format` that is right, or those that may be; and why.
    """
    ways = readings(texts)
    fit = pd.DataFrame({how: instants.notna() for how, instants in ways.items()})
    told = [f"{place}: `{text}`" for (_, place, _), text in zip(found.rows, texts, strict=True)]
    most = fit.sum().max()
    fitting = {how: instants for how, instants in ways.items() if fit[how].sum() == most}
    if len(fitting) > 1:
        for decided, why in _by_other_signs(found, texts, title, fitting):
            if len(decided) == 1:
                return decided, why
        return [*fitting], _doubt(told, fitting)
    chosen, others = next(iter(fitting)), [how for how in ways if how not in fitting]
    alone = fit[chosen] & (fit.sum(axis="columns") == 1)  # the lines that can be read in this way only
    also = f", which is none of {' and '.join(others)}" if others and alone.any() else ""
    return [chosen], told[int((alone if alone.any() else fit[chosen]).argmax())] + also


def _by_other_signs(
    found: Found, texts: Sequence[str], title: str, ways: dict[str, Instants]
) -> list[tuple[list[str], str]]:
    """What the column's name, the files' names, the rows at midnight and the maker decide, each with its why."""
    signs = []
    stated = STATED.search(title)
    if stated:
        order = "".join(part[0].upper() for part in stated.groups())
        signs.append(([how for how in ways if order_of(how) == order], f"the column's name says {stated[0]}"))
    days = [any_day_in(sample.name) for sample in found.samples]
    if day := next(filter(None, days), None):
        near = {how: are_near(instants, [days[at] for at, _, _ in found.rows]) for how, instants in ways.items()}
        mostly = [how for how, rows in near.items() if rows and sum(rows) >= MOSTLY * len(rows)]
        signs.append((mostly, f"the file's name says {day}, and the rows are of that day"))
    joints = {how: _joint(instants, found.files) for how, instants in ways.items()}
    whole = [how for how, at in joints.items() if at]
    if len(whole) == 1:
        at = joints[whole[0]]
        why = f"`{texts[at - 1]}` and `{texts[at]}` follow each other over midnight ({found.rows[at][1]})"
        signs.append((whole, why))
    if "Plot Title" in found.samples[0].lines[0]:
        first = [how for how in ways if order_of(how).startswith("Y")]
        signs.append((first, f"{found.rows[0][1]}: `{texts[0]}`, the year first, as HOBOware writes it"))
    return signs


def order_of(how: str) -> str:
    """The order of day, month and year in a pattern: `DMY`."""
    return "".join(part[-1].upper() for part in re.findall("%[dmyY]", how))


def are_near(instants: Instants, days: Sequence[date | None]) -> list[bool]:
    """Of the instants whose file's name says a day, whether they lie at most a day from it."""
    named = [(instant.date(), day) for instant, day in zip(instants, days, strict=True) if day and not pd.isna(instant)]
    return [abs((one - day).days) <= 1 for one, day in named]


def _joint(instants: Instants, files: pd.Series[int]) -> int:
    """The first row that follows the one before it over midnight as rows follow each other by day; 0 for none."""
    dates, steps = instants.dt.date, instants.diff().dt.total_seconds()
    same_day = dates == dates.shift()
    usual = steps[same_day & (steps > 0)].median()
    joints = (files.diff() == 0) & ~same_day & (steps > 0) & (steps <= 2 * usual)
    return int(joints.argmax()) if joints.any() else 0


def _doubt(told: list[str], ways: dict[str, Instants]) -> str:
    """What the first line that can be read in several ways is by each."""
    by = pd.DataFrame(ways)
    apart = (by.iloc[:, 0] != by.iloc[:, 1]) & by.notna().all(axis="columns")
    if not apart.any():
        return f"{told[0]} is the same day by each"
    at = int(apart.argmax())
    return f"{told[at]} is {' or '.join(f'{instant:%-d %B %Y}' for instant in dict.fromkeys(by.loc[at]))}"
