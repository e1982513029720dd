"""What the names of files tell: a day, and the device that wrote them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from pymyx.core.incremental.files import day_of

ANY_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T_-][0-9]{4,6}(?![0-9]))?|(?<![0-9])[0-9]{8}(?![0-9])(?:[T_-][0-9]{4,6}(?![0-9]))?"
)
WORD = re.compile(r"[A-Za-z0-9]+")
Span = tuple[float, float]  # the first and the last instant of a file, in seconds


def day_in(name: str) -> date | None:
    """The day that parse takes a name to say."""
    day = day_of(name)
    return date.fromisoformat(day) if day else None


def any_day_in(name: str) -> date | None:
    """The same, and else its last `YYYYMMDD`."""
    compact = re.sub(r"(?<![0-9])([0-9]{4})([0-9]{2})([0-9]{2})(?![0-9])", r"\1-\2-\3", name)
    return day_in(name) or day_in(compact)


def device_in(names: Sequence[str], spans: Sequence[Span]) -> tuple[str, list[str]]:
    """A regular expression whose group tells the devices of files apart by their names, and what it finds in each.

    Files that follow each other in time may be of one device, so only a word that differs wherever two files
    overlap tells devices. Nothing and nothing where there is none.
    """
    stems = [ANY_DATE.sub(lambda found: " " * len(found[0]), name.rpartition(".")[0] or name) for name in names]
    words = [list(WORD.finditer(stem)) for stem in stems]
    overlapping = [
        (one, other)
        for one in range(len(names))
        for other in range(one)
        if spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]
    ]
    if not overlapping or len({len(found) for found in words}) != 1:
        return "", []
    columns = [[found[0] for found in column] for column in zip(*words, strict=True)]
    telling = [
        place for place, column in enumerate(columns) if all(column[one] != column[other] for one, other in overlapping)
    ]
    if not telling:
        return "", []
    place = max(telling, key=lambda one: (len(set(columns[one])), one))
    for pattern in _patterns(names, words, columns, place):
        found = [match[1] if (match := re.search(pattern, name)) else "" for name in names]
        if all(value.endswith(word) for value, word in zip(found, columns[place], strict=True)):
            return pattern, found
    return "", []


def _patterns(
    names: Sequence[str], words: list[list[re.Match[str]]], columns: list[list[str]], place: int
) -> list[str]:
    """Regular expressions that may find the word of a place: by what stands before it, in it, or by its number."""
    found = []
    starts = {re.match(r"[A-Za-z]*", word)[0] for word in columns[place]}  # type: ignore[index]  # it always matches
    body = "[0-9]+" if all(word.lstrip("".join(starts)).isdigit() for word in columns[place]) else "[A-Za-z0-9]+"
    if len(starts) == 1 and "" not in starts and body == "[0-9]+":
        found.append(f"({starts.pop()}[0-9]+)")
    before = {name[: match[place].start()] for name, match in zip(names, words, strict=True)}
    leading = {re.search(r"(?:[A-Za-z]+[^A-Za-z0-9]*)?$", text)[0] for text in before}  # type: ignore[index]
    lead = re.sub(r"([][.^$*+?{}|()\\])", r"\\\1", leading.pop()) if len(leading) == 1 else ""
    if lead:
        found.append(f"({lead}{body})" if lead.endswith("-") else f"{lead}({body})")
    if place == 0 and all(match[0].start() == 0 for match in words):
        found.append(f"^({body})")
    numbers = {len(WORD.findall(text)) for text in before}
    if len(numbers) == 1:
        found.append(rf"^(?:[A-Za-z0-9]+[^A-Za-z0-9]+){{{numbers.pop()}}}({body})")
    return found
