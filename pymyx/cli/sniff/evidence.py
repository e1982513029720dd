"""What is proposed and why, with the samples that it is taken from; and how that is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from pymyx.cli.sniff.layout import Layout
from pymyx.cli.sniff.sample import Sample
from pymyx.core.errors import Fault, PymyxError, counted

MOST_NAMED = 3  # files
LONGEST = 36  # characters of a value or a name in a line of talk


class Because(NamedTuple):
    """What a param is to be, and where that was seen."""

    param: str
    value: Any
    why: str


@dataclass
class Proposal:
    """What is proposed."""

    params: dict[str, Any] = field(default_factory=dict)  # in the end without those that are parse's defaults anyway
    because: list[Because] = field(default_factory=list)  # of each param, the default ones too
    notes: list[str] = field(default_factory=list)  # what its user should know
    choices: list[str] = field(default_factory=list)  # values of `timestamp_format`, left out, that fit equally well
    doubt: str = ""  # the line that shows it

    def say(self, param: str, value: Any, why: str) -> None:
        """Propose a value for a param."""
        self.params[param] = value
        self.because.append(Because(param, value, why))


@dataclass(frozen=True)
class Found:
    """The samples with their layouts, which are alike."""

    samples: list[Sample]
    layouts: list[Layout]

    @property
    def layout(self) -> Layout:
        """The first layout, which stands for all in what they are alike in."""
        return self.layouts[0]

    @cached_property
    def rows(self) -> list[tuple[int, str, list[str]]]:
        """Every row of every sample: the number of its sample, its place, its fields."""
        return [
            (at, self.place(number, at), fields)
            for at, layout in enumerate(self.layouts)
            for number, fields in layout.rows
        ]

    @cached_property
    def files(self) -> pd.Series[int]:
        """Of every row the number of its sample."""
        return pd.Series([at for at, _, _ in self.rows])

    def place(self, number: int, at: int = 0) -> str:
        """A line as it is told: with its file where there are several."""
        return f"{self.samples[at].name}:{number}" if len(self.samples) > 1 else f"line {number}"

    def lines(self, numbers: Sequence[int], at: int = 0) -> str:
        """Some lines as they are told: all of a few, else the first and the last."""
        if len(numbers) == 1:
            return self.place(numbers[0], at)
        told = [*map(str, numbers)] if len(numbers) <= 3 else [str(numbers[0]), "…", str(numbers[-1])]
        return ", ".join([self.place(numbers[0], at).replace("line ", "lines "), *told[1:]])


def see_that_they_are_alike(found: Found) -> None:
    """Raise for samples that no one set of params fits."""
    first = found.samples[0].name
    for sample, layout in zip(found.samples, found.layouts, strict=True):
        for what, one in found.layout.traits.items():
            other = layout.traits[what]
            if one != other and "" not in (one, other):  # a file may have no comments
                raise differing(what, {first: one, sample.name: other})
    encodings = {sample.encoding: sample.name for sample in found.samples if not sample.data.isascii()}
    if len(encodings) > 1:
        raise differing("encoding", {name: encoding for encoding, name in encodings.items()})


def differing(what: str, traits: dict[str, object]) -> PymyxError:
    """The error of files that no one set of params fits: what they differ in, and how each is."""
    files = " and ".join(f"`{name}`" for name in traits)
    told = f"{files} differ in their {what}: no one set of params fits {'both' if len(traits) == 2 else 'all'}"
    evidence = tuple(f"{name}: {', '.join(one) if isinstance(one, list) else one}" for name, one in traits.items())
    return PymyxError(Fault(told, "", evidence, hint="keep each kind in a folder of its own, and sniff each by itself"))


def proposal_text(samples: list[Sample], proposal: Proposal) -> str:
    """What is proposed, and from which lines it was taken."""
    lines = []
    for sample in samples[:MOST_NAMED]:
        part = f"its first {len(sample.data):,} bytes, " if sample.cut else ""
        lines.append(f"{sample.name}: {part}{counted(len(sample.lines) - (not sample.lines[-1]), 'line')}")
    if len(samples) > MOST_NAMED:
        lines.append(f"and {len(samples) - MOST_NAMED} more files")
    told = [(one.param, _value(one), one.why) for one in proposal.because if one.param != "domains"]
    told += list(_columns([one for one in proposal.because if one.param == "domains"]))
    wide = max(len(value) for _, value, _ in told)
    lines += [f"  {param:16}  {value:{wide}}  {why}" for param, value, why in told]
    lines += [f"note: {note}" for note in proposal.notes]
    return "\n".join(lines) + "\n"


def _value(one: Because) -> str:
    if isinstance(one.value, list):
        return f"{len(one.value)} names" if one.value else "none"
    return short(json.dumps(one.value, ensure_ascii=False))


def short(text: str) -> str:
    """A value or a name, cut to what a line of talk has room for."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _columns(told: Iterable[Because]) -> Iterable[tuple[str, str, str]]:
    """Each column of numbers with its type; integers that follow each other together."""
    for why, group in groupby(told, key=lambda one: one.why):
        first, *rest = [one.value for one in group]
        yield "column", short(f"{first} … {rest[-1]}" if rest else first), why
