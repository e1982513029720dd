"""Which lines of a sample are rows, and what the others are: preamble, header, units, comments."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pymyx.cli.sniff.sample import Sample
from pymyx.cli.sniff.stamps import CLOCK, EPOCHS, Instants, is_absolute, readings
from pymyx.core.errors import Fault, PymyxError

DELIMITERS = (";", ",", "\t", "|", " ")
COMMENTS = ("#", "//", "%", ";", "!")
KEY_VALUE = re.compile(r"\s*([A-Za-z_]\w*)\s*:(.*)", re.ASCII | re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
NAMES_TIME = re.compile(
    r"time|date|datum|stamp|zeit|heure|fecha|hora|epoch|posix|unix|^(ts|tid|utc|gmt)\b", re.IGNORECASE
)
FEWEST = 0.5  # of the lines from the first row on, the part that has to be rows

Row = tuple[int, list[str]]  # the number of its line, and its fields


class Times(NamedTuple):
    """Where the time of a row stands: its column, and that of the time of day where it stands apart (or None)."""

    column: int
    clock: int | None

    def of(self, fields: Sequence[str]) -> str:
        """The text of a row's time."""
        return fields[self.column] if self.clock is None else f"{fields[self.column]} {fields[self.clock]}"


class Layout(NamedTuple):
    """What the lines of a sample are; a line stands for itself by its number."""

    delimiter: str
    keyed: bool  # whether rows are a time and key:value fields
    width: int  # fields of each row, where they are not keyed
    times: Times
    rows: list[Row]
    header: int = 0  # the line that names the columns
    names: Sequence[str] = ()  # those that the header gives them
    in_comment: bool = False  # whether the header is one of the comments
    preamble: int = 0  # lines above the header, or above the first row
    units: Sequence[int] = ()  # the lines between the header and the first row
    comment: str = ""  # what comments start with
    comments: Sequence[int] = ()

    @property
    def traits(self) -> dict[str, object]:
        """What files must be alike in to be read by the same params."""
        return {
            "delimiter": repr(self.delimiter),
            "rows": "a time and key:value fields" if self.keyed else "fields by place",
            "columns": self.names or f"{self.width}, without a header",
            "place of the time": " and ".join(f"field {place + 1}" for place in self.times if place is not None),
            "number of unit lines": len(self.units),
            "mark of comments": self.comment,
        }


def layout_of(sample: Sample) -> Layout:
    """Find the rows of a sample, by the delimiter that makes rows of most lines, and say what its other lines are.

    Raises:
        PymyxError: no line has a timestamp and something else.
    """
    lines = [(number, line) for number, line in enumerate(sample.lines, start=1) if line.strip(" \t\0")]
    layouts = [layout for delimiter in DELIMITERS if (layout := _by(delimiter, lines))]
    if not layouts:
        shown = tuple(f"{number}: {line[:100]}" for number, line in lines[:3])
        what = f"no line of `{sample.name}` has a timestamp and something beside it"
        raise PymyxError(Fault(what, evidence=shown, hint="a row of parse is a timestamp, then one field per sensor"))
    # the first of equals wins
    best = max(layouts, key=lambda one: (one.keyed or _has_numbers(one), len(one.rows), one.width))
    return _with_others_named(lines, best)


def _by(delimiter: str, lines: list[tuple[int, str]]) -> Layout | None:
    """The rows that a delimiter makes of lines, or None when it makes none."""
    split = [(number, fields_of(line, delimiter)) for number, line in lines if delimiter in line]
    if not split:
        return None
    keyed = sum(bool(KEY_VALUE.fullmatch("".join(fields[1:2]))) for _, fields in split) * 2 > len(split)
    width, times = 0, Times(0, None)
    if not keyed:
        width = Counter(len(fields) for _, fields in split).most_common(1)[0][0]
        split = [(number, fields) for number, fields in split if len(fields) == width]
        found = _times([fields for _, fields in split])
        if not found or width == 1:
            return None
        times = found
    rows = _rows(split, times)
    return Layout(delimiter, keyed, width, times, rows) if rows else None


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line, blanks around them stripped; a line whose quotes are at fault is split as it stands."""
    if '"' in line:
        try:
            return [field.strip(" \t") for field in next(csv.reader([line], delimiter=delimiter, strict=True))]
        except (csv.Error, StopIteration):
            pass
    return [field.strip(" \t") for field in line.split(delimiter)]


def _times(split: list[list[str]]) -> Times | None:
    """Where the time of most lines stands; of several places the one that is the surest to be an instant."""
    cells = [list(texts) for texts in zip(*split, strict=True)]
    ways = {place: way for place, texts in enumerate(cells) if (way := _way(texts))}
    clocks = [
        place for place, texts in enumerate(cells) if _part([bool(CLOCK.fullmatch(text)) for text in texts]) >= FEWEST
    ]
    spelled = [place for place, (how, _) in ways.items() if how not in EPOCHS and not cells[place][-1].isdigit()]
    numbers = [place for place in ways if place not in spelled]
    agreeing = [place for place in numbers if not spelled or _agree(ways[place][1], ways[spelled[0]][1])]
    found = []
    for place in [*spelled, *agreeing]:
        how, clock = ways[place][0], None
        if is_absolute(how, cells[place]):
            sure = 0
        elif how == "iso8601" or "%H" in how or "%I" in how:
            sure = 1
        elif clocks:
            sure, clock = 2, min(clocks, key=lambda one: (one < place, one))
        else:
            sure = 3
        stands_still = len(cells[place]) > 3 and len({*cells[place][len(cells[place]) // 2 :]}) == 1
        found.append((stands_still, sure, place, clock))
    return Times(*min(found)[2:]) if found else None


def _way(texts: list[str]) -> tuple[str, Instants] | None:
    """The way that most texts of a column can be read as times, with the instants; or None."""
    fitting = [
        (how, instants)
        for how, instants in readings(texts).items()
        if _part(instants.notna().tolist()) >= FEWEST and (how not in EPOCHS or _goes_on(instants.dropna()))
    ]
    return max(fitting, key=lambda one: one[1].count(), default=None)  # the first of equals


def _goes_on(instants: Instants) -> bool:
    """Whether numbers that may be times behave as times do: they change, and hardly ever go back."""
    steps = instants.diff().dropna().dt.total_seconds()
    return not len(steps) or (bool(steps.any()) and float((steps >= 0).mean()) >= 0.9)


def _part(fit: list[bool]) -> float:
    """The part of the lines that fit, of those from the first that does."""
    if True not in fit:
        return 0.0
    first = fit.index(True)
    return sum(fit) / (len(fit) - first)


def _agree(epochs: Instants, stamps: Instants) -> bool:
    """Whether two columns tell the same time, but for the offset of a time zone."""
    hours = (epochs - stamps).dropna().dt.total_seconds().abs() / 3600
    return bool(len(hours)) and float(hours.median()) <= 14.1


def _rows(split: list[Row], times: Times) -> list[Row]:
    """The lines that have a time where times stand."""
    texts = [times.of(fields) for _, fields in split]
    fit = zip(*(instants.notna() for instants in readings(texts).values()), strict=True)  # nothing where none may
    return [row for row, by_each in zip(split, fit, strict=False) if any(by_each)]


def _has_numbers(layout: Layout) -> bool:
    """Whether a column beside the time has numbers in most rows that have something there."""
    columns = zip(*(fields for _, fields in layout.rows), strict=True)
    beside = [[text for text in texts if text] for place, texts in enumerate(columns) if place not in layout.times]
    return any(_numbers(filled) * 2 > len(filled) for filled in beside)


def _numbers(fields: list[str]) -> int:
    return sum(bool(NUMBER.fullmatch(field)) for field in fields)


def _with_others_named(lines: list[tuple[int, str]], table: Layout) -> Layout:
    """Say what the lines are that are not rows."""
    rows, first = {number for number, _ in table.rows}, table.rows[0][0]
    comment, comments = _comments([(number, line) for number, line in lines if number not in rows], table)
    table = table._replace(comment=comment, comments=comments)
    head = [(number, line) for number, line in lines if number < first]
    rest = [(number, line) for number, line in head if number not in comments]
    header, names = (0, list[str]()) if table.keyed else _header(rest, table)
    if header:
        preamble = header - 1 if rest[0][0] < header else 0
        units = [number for number, line in rest if number > header and _is_text(line, table, width=table.width)]
        return table._replace(header=header, names=names, preamble=preamble, units=units)
    if not table.keyed:
        stripped = [(number, line.removeprefix(comment).strip()) for number, line in head if number in comments]
        header, names = _header(stripped[::-1], table)
    preamble = max((number for number, line in rest if _is_text(line, table)), default=0)
    return table._replace(header=header, names=names, in_comment=header > 0, preamble=preamble)


def _comments(others: list[tuple[int, str]], table: Layout) -> tuple[str, list[int]]:
    """What lines that are not rows start with, where it makes comments of them, and their numbers."""
    for mark in (one for one in COMMENTS if one != table.delimiter):
        marked = [
            number for number, line in others if line.startswith(mark) and not line.startswith(mark + table.delimiter)
        ]
        if len(marked) > 1 or (marked and marked[0] < table.rows[0][0]):  # one among the rows may be a damaged row
            return mark, marked
    return "", []


def _header(head: list[tuple[int, str]], table: Layout) -> tuple[int, list[str]]:
    """The first line that names the time where times stand, else the one above the rows that has the most names."""
    filled = 1 + max(place for _, fields in table.rows for place, field in enumerate(fields) if field)
    found = []
    for number, line in head:
        names = fields_of(line, table.delimiter)
        while len(names) > filled and not names[-1]:
            names.pop()
        if filled <= len(names) <= table.width and _numbers(names) * 2 < len(names):
            found.append((number, names))
    naming = [one for one in found if NAMES_TIME.search(one[1][table.times.column])]
    words = sorted(found, key=lambda one: len({*one[1]} - {""}))
    return (naming or words[-1:] or [(0, [])])[0]


def _is_text(line: str, table: Layout, width: int = 0) -> bool:
    """Whether a line above the rows was meant to stand there and is not a damaged row, of `width` fields if given."""
    fields = fields_of(line, table.delimiter)
    return "\0" not in line and _numbers(fields) * 2 < len(fields) and len(fields) == (width or len(fields))
