"""What stands in the columns beside the time: integers, floats, or neither; and whether the table is a long one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from pymyx.cli.sniff.stamps import Instants
from pymyx.core.errors import counted

INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
WITH_SIGN = {
    sign: re.compile(rf"[+-]?\d*[{sign}]\d+(?:[eE][+-]?\d+)?", re.ASCII) for sign in (",", ".")
}  # by the decimal sign that numbers have
INT64 = range(-(2**63), 2**63)
MOST_DIGITS = 4_000  # of an integer, as Python converts no more than 4,300
MOSTLY = 0.5  # of the filled cells of a column of numbers, the part that is exceeded by numbers
ENTITIES = ("entity_id", "_field", "_measurement")  # as Home Assistant and InfluxDB export them
NAMES_ENTITY = re.compile(
    r"(sensor|entity|device|node|station|probe|channel|tag|topic|metric|series|variable|parameter|measurement|name|capteur)"
    r"([ _.-]?(id|no|nr|number|name|type|kind))?|id",
    re.IGNORECASE,
)

Cell = tuple[str, str]  # the place of a line, and the text of its field


class Column(NamedTuple):
    """What stands in a column."""

    kind: str  # `integer`, `float`, `text`, or `empty` when no cell has a value
    why: str  # what decided it
    odd: str = ""  # how many cells are not numbers, and the first


def decimal_of(columns: Iterable[Sequence[Cell]]) -> tuple[str, list[Cell]]:
    """The decimal sign of most numbers in columns, and the cells of those that have it."""
    cells = [cell for column in columns for cell in column]
    seen = {sign: [cell for cell in cells if number.fullmatch(cell[1])] for sign, number in WITH_SIGN.items()}
    sign = "," if len(seen[","]) > len(seen["."]) else "."
    return sign, seen[sign]


def column_of(cells: Sequence[Cell], nulls: Collection[str], decimal: str) -> Column:
    """What stands in a column; `nulls` are the words for no value."""
    filled = [(place, text) for place, text in cells if text and text not in nulls]
    if not filled:
        return Column("empty", f"no value in {counted(len(cells), 'row')}")
    kinds = [_kind(text, decimal) for _, text in filled]
    others = kinds.count("text")
    numbers = len(kinds) - others
    place, text = filled[kinds.index("text")] if others else ("", "")
    if numbers <= MOSTLY * len(kinds):
        return Column("text", f"{place}: `{text[:40]}`")
    odd = f"{others:,}, first {place}: `{text[:40]}`" if others else ""
    if "float" in kinds:
        return Column("float", "{}: `{}`".format(*filled[kinds.index("float")]), odd)
    return Column("integer", f"no decimals in {counted(numbers, 'value')} from {filled[0][0]} on", odd)


def _kind(text: str, decimal: str) -> str:
    if INTEGER.fullmatch(text):
        return "integer" if len(text) < MOST_DIGITS and int(text) in INT64 else "text"
    number = text.replace(",", ".") if decimal == "," and "." not in text else text
    return "float" if FLOAT.fullmatch(number) else "text"


def entity_in(
    columns: dict[str, list[Cell]], kinds: dict[str, Column], instants: Instants, files: pd.Series[int]
) -> tuple[str, bool]:
    """The column whose words name the entity, or the device, that each row is of, else nothing; and is it a long table.

    `columns` have a cell in each row; `instants` and `files` are the time of each row and the number of its file.

    Time stands still or begins anew where such a word changes, or the column's name tells it and the word changes
    from row to row. Words for a state do neither. In a long table, one entity a row, at most one other column of
    numbers varies.
    """
    varieties = {name: len({text for _, text in cells}) for name, cells in columns.items()}
    exported = bool({"state", "_value"} & columns.keys())
    known = [name for name in ENTITIES if name in columns]
    if known and exported:
        return max(known, key=varieties.__getitem__), True
    back = instants.diff().dt.total_seconds() <= 0
    for name, cells in columns.items():
        words = pd.Series([text for _, text in cells])
        named = bool(NAMES_ENTITY.fullmatch(name))
        if not (kinds[name].kind == "text" or (named and kinds[name].kind == "integer")):
            continue
        changes = (words != words.shift()) & (files == files.shift())
        several = 2 <= words.nunique() <= len(words) / 2
        if several and (back[changes].mean() > 0.5 or (named and changes.mean() > 0.25)):
            numbers = [varieties[one] for one in columns if one != name and kinds[one].kind in ("integer", "float")]
            return name, exported or (bool(numbers) and sum(number > 1 for number in numbers) <= 1)
    return "", False
