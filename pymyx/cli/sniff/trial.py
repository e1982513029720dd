"""What is proposed, tried: the project's own parse is run on the samples, in a folder that is then thrown away."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pymyx.cli.sniff.evidence import short
from pymyx.cli.sniff.sample import Sample
from pymyx.core.errors import Fault, PymyxError, TreatmentError, counted
from pymyx.core.incremental.files import ENDINGS
from pymyx.core.isolation.children import orphans_adopted
from pymyx.core.project import Project
from pymyx.core.runner import run_treatment

SHOWN = 3  # rows, and rejects


class Trial(NamedTuple):
    """What parse made of the samples."""

    rows: int  # their number
    first: list[dict[str, Any]]  # the first of them in the order of time, by column
    rejected: int  # the number of entries of the rejects
    rejects: list[dict[str, Any]]  # the first of them
    said: str  # what parse warned of


def try_out(project: Project, samples: Sequence[Sample], params: dict[str, Any]) -> Trial:
    """Run the project's parse on samples; nothing of the project is touched, not even its log.

    Raises:
        PymyxError: parse failed, or made nothing of them.
    """
    with tempfile.TemporaryDirectory(prefix="pymyx-sniff-") as made:
        root = Path(made).resolve()
        raw, parsed = root / "data" / "raw", root / "data" / "parsed"
        raw.mkdir(parents=True)
        for sample in samples:
            (raw / readable(sample.name)).write_bytes(sample.data)
        code = root / "treatments" / "parse"
        shutil.copytree(project.treatments / "parse", code, ignore=shutil.ignore_patterns("__pycache__"))
        if not params.get("dated_names", True):
            contract = code / "treatment.json"  # parse refuses names that are not those of days when it runs day by day
            document = json.loads(contract.read_text(encoding="utf-8"))
            document.pop("days", None)
            contract.write_text(json.dumps(document), encoding="utf-8")
        said: list[str] = []
        try:
            with orphans_adopted():
                run_treatment("parse", raw, parsed, params, root=root, show=said.append)
        except TreatmentError as error:
            evidence = tuple(f"{one['file']}: {one['reason']}" for one in _rejects(parsed)[:SHOWN])
            what = "parse, run with what is proposed, read nothing"
            raise PymyxError(Fault(what, evidence=evidence or (error.faults[0].what,))) from None
        rejects = _rejects(parsed)
        return Trial(*_rows(parsed), len(rejects), rejects[:SHOWN], "".join(said))


def readable(name: str) -> str:
    """The name that a file needs for parse to read it: its own where that has the right ending."""
    return name if name.lower().endswith(ENDINGS["csv"]) else f"{name.rpartition('.')[0] or name}.csv"


def _rejects(parsed: Path) -> list[dict[str, Any]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(parsed.glob("_rejected*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def _rows(parsed: Path) -> tuple[int, list[dict[str, Any]]]:
    """How many rows there are, and the first of them: those of one day have the same order in all domains."""
    paths = sorted(parsed.glob("[!_.]*__*.parquet"), key=lambda path: path.stem.rpartition("__")[::-1])
    count, first = 0, list[dict[str, Any]]()
    for _, group in groupby(paths, key=lambda path: path.stem.rpartition("__")[2]):
        tables = [pq.read_table(path) for path in group]
        count += max(table.num_rows for table in tables)
        if len(first) < SHOWN:
            heads = [table.slice(0, SHOWN).drop_columns("domain").to_pylist() for table in tables]
            first += [
                {name: value for part in parts for name, value in part.items()} for parts in zip(*heads, strict=False)
            ]
    return count, first[:SHOWN]


def trial_text(trial: Trial, columns: Iterable[str], title: str = "") -> str:
    """The first rows as parse read them, a column a line, those named first; and its first rejects."""
    lines = [f"{title}parse reads {counted(trial.rows, 'row')}; the first {len(trial.first)}:"]
    if trial.first:
        names = sorted(trial.first[0], key=[*columns, *trial.first[0]].index)
        rows = [[short(name), *(_cell(row.get(name)) for row in trial.first)] for name in names]
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
