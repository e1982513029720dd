"""Puts proposals and what came of them into text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pymyx.cli.sniff.evidence import Because, Proposal
from pymyx.cli.sniff.sample import Sample
from pymyx.cli.sniff.trial import Trial
from pymyx.core.errors import counted

WIDEST = 96  # characters of a line of JSON
MOST_NAMED = 3  # files
LONGEST = 36  # characters of a value or a name in a line of talk


def json_text(value: Any, *, ascii_only: bool = False, indent: str = "") -> str:
    """JSON of which what is short stands on one line."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    short = len(indent + text) <= WIDEST and (indent or not isinstance(value, dict))
    if not value or not isinstance(value, dict | list) or short:
        return text
    deeper = indent + "  "
    if isinstance(value, list):
        parts = [json_text(part, ascii_only=ascii_only, indent=deeper) for part in value]
    else:
        parts = [
            f"{json.dumps(key, ensure_ascii=ascii_only)}: {json_text(part, ascii_only=ascii_only, indent=deeper)}"
            for key, part in value.items()
        ]
    first, last = "[]" if isinstance(value, list) else "{}"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{last}"


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
    return _short(json.dumps(one.value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _columns(told: list[Because]) -> Iterable[tuple[str, str, str]]:
    """Each column of numbers with its type; integers that follow each other together."""
    for why, group in groupby(told, key=lambda one: one.why):
        first, *rest = [one.value for one in group]
        yield "column", _short(f"{first} … {rest[-1]}" if rest else first), why


def trial_text(trial: Trial, columns: Iterable[str], title: str = "") -> str:
    """The first rows as parse read them, a column a line, those named first; and its first rejects."""
    lines = [f"{title}parse reads {counted(trial.rows, 'row')}; the first {len(trial.first)}:"]
    if trial.first:
        names = sorted(trial.first[0], key=[*columns, *trial.first[0]].index)
        rows = [[_short(name), *(_cell(row.get(name)) for row in trial.first)] for name in names]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [
            "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows
        ]
    more = f"; the first {len(trial.rejects)}:" if trial.rejects else ""
    lines.append(f"it rejects {counted(trial.rejected, 'line')}{more}")
    for one in trial.rejects:
        column = f", field {one['column']}" if one["column"] else ""
        place = f"line {one['line']}{column}" if one["line"] else "the whole file"
        lines += [f"  {one['file']}, {place}: {one['reason']}", *([f"    {one['text'][:100]}"] if one["text"] else [])]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
