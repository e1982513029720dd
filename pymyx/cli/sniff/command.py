"""The command: read the samples, propose, try it out, tell, and write a flow where one is asked for."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymyx.cli.sniff.evidence import Proposal, proposal_text
from pymyx.cli.sniff.header import declared
from pymyx.cli.sniff.order import order_of
from pymyx.cli.sniff.proposal import propose
from pymyx.cli.sniff.sample import Sample, read_sample
from pymyx.cli.sniff.trial import readable, trial_text, try_out
from pymyx.core.contract.models import FOLDER, NAME, Treatment
from pymyx.core.contract.treatment import load_treatment
from pymyx.core.errors import Fault, PymyxError, UsageError, counted
from pymyx.core.incremental.files import ENDINGS, is_of
from pymyx.core.isolation.output import Show
from pymyx.core.project import Project, absolute
from pymyx.core.validator import check_flow, flow_names, read_flow

WIDEST = 96  # characters of a line of JSON


def sniff(project: Project, files: Sequence[str], flow: str | None, say: Show, show: Show) -> None:
    """Propose the params of the project's parse for `files`; `say` gets the JSON of it, `show` what there is to tell.

    With `flow` it writes `flows/<flow>.json`, one step that parses with them.

    Raises:
        UsageError: a file cannot be read, the flow is there already, or the project's parse does not fit.
        PymyxError: nothing can be proposed, or what is proposed leaves the order of day and month open.
    """
    treatment = load_treatment(project, "parse")
    paths = [Path(name) for name in files]
    _see_that_names_differ(paths)
    if flow:
        _see_that_it_can_be_written(project, flow, paths)
    samples = [read_sample(path) for path in paths]
    defaults = {name: param.default for name, param in treatment.params.items()}
    proposal = propose(samples, defaults)
    _see_that_parse_has_them(treatment, proposal)
    _note_what_stands_in_the_way(treatment, samples, proposal)
    show(proposal_text(samples, proposal))
    params = proposal.params
    ways = [{**params, "timestamp_format": how} for how in proposal.choices] or [params]
    trials = [try_out(project, samples, way) for way in ways]
    ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")  # a `°` would be no JSON there
    say(json_text(params, ascii_only=ascii_only))
    chosen = {**defaults, **params}
    columns = [chosen["timestamp_column"], "device", *declared(chosen)]
    for way, trial in zip(ways, trials, strict=True):
        show(trial.said + trial_text(trial, columns, f"by {way['timestamp_format']}, " if proposal.choices else ""))
    if proposal.choices:
        raise left_open(proposal, flow)
    if flow:
        show(_write(project, flow, paths, samples, params))


def _see_that_names_differ(paths: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(readable(re.sub(r"(?i)\.gz$", "", path.name)), path)
        if other is not path:
            what = f"`{other}` and `{path}` are one input file by their names"
            raise UsageError(Fault(what, hint="name each file once, and sniff those of different folders apart"))


def _see_that_parse_has_them(treatment: Treatment, proposal: Proposal) -> None:
    needed = {*proposal.params, *(["timestamp_format"] if proposal.choices else [])}
    missing = sorted(needed - treatment.params.keys())
    if missing:
        what = f"these files need what the project's parse {treatment.version} has no param for: {', '.join(missing)}"
        hint = "take treatments/parse of this PyMyx: pymyx init DIR lays it out"
        raise UsageError(Fault(what, "treatments/parse/treatment.json", hint=hint))


def _note_what_stands_in_the_way(treatment: Treatment, samples: list[Sample], proposal: Proposal) -> None:
    """Note what a run with these params would stop at."""
    if treatment.days and not proposal.params.get("dated_names", True):
        hint = "take `days` out of treatments/parse/treatment.json"
        proposal.notes.append(f"a parse that runs day by day refuses dated_names false: {hint}")
    for name in (sample.name for sample in samples if readable(sample.name) != sample.name):
        proposal.notes.append(f"parse does not read `{name}` by that name: rename it to {readable(name)}")


def left_open(proposal: Proposal, flow: str | None) -> PymyxError:
    """The error of timestamps whose day and month may be either way round."""
    year = len({order_of(how).index("Y") for how in proposal.choices}) > 1
    parts, line = ("day, month and year", "") if year else ("day and month", "a line with a day above 12, or ")
    ways = " or ".join(f'"timestamp_format": "{how}"' for how in proposal.choices)
    what = f"the order of {parts} is ambiguous: no line decides it"
    evidence = (f"{line}rows that go on over midnight, would decide it",)
    notes = (f"flows/{flow}.json is not written",) if flow else ()
    return PymyxError(Fault(what, proposal.doubt, evidence, notes, f"add {ways}, or sniff a file that decides it"))


def _see_that_it_can_be_written(project: Project, flow: str, paths: list[Path]) -> None:
    path = project.flows / f"{flow}.json"
    if not re.fullmatch(NAME, flow):
        accepted = ("accepted: a lower-case name such as pier_hobo",)
        raise UsageError(Fault(f"`{flow}` cannot be a flow's name", evidence=accepted))
    if path.exists() or path.is_symlink():
        raise UsageError(Fault(f"there is a flow `{flow}` already", project.shown(path), hint="name another"))
    for name in flow_names(project):
        other, _ = read_flow(project, name)
        if other and f"10_{flow}" in [step.output for step in other.steps]:
            what = f"the flow `{name}` writes `10_{flow}` already, and a folder has one writer"
            raise UsageError(Fault(what, f"flows/{name}.json", hint="name the new flow otherwise"))
    if len({absolute(one).parent for one in paths}) > 1:
        raise UsageError(Fault("the files lie in different folders, and a step reads one", hint="put them into one"))


def _write(project: Project, flow: str, paths: list[Path], samples: list[Sample], params: dict[str, Any]) -> str:
    """Write the flow, and say what is to be done next."""
    folder = absolute(paths[0]).parent
    source = folder.relative_to(project.data).as_posix() if folder.is_relative_to(project.data) else ""
    inside = re.fullmatch(FOLDER, source)
    if not inside:
        source = f"00_{flow}"
    names = samples[0].name if len(samples) == 1 else f"{samples[0].name} and {len(samples) - 1} more"
    document = {
        "$schema": "../schemas/flow.schema.json",
        "name": flow,
        "version": "0.1.0",
        "description": f"Parses files such as {names}, as pymyx sniff proposed.",
        "steps": [{"treatment": "parse", "input": source, "output": f"10_{flow}", "params": params}],
    }
    path = project.flows / f"{flow}.json"
    try:
        project.flows.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(json_text(document) + "\n")
    except OSError as error:
        raise UsageError(Fault(f"`{project.shown(path)}` cannot be written: {error.strerror}")) from error
    _, faults = check_flow(project, flow)
    if faults:
        path.unlink()
        raise UsageError(*faults)
    shown = project.shown(project.data / source)
    if inside:
        files = counted(sum(is_of(ENDINGS["csv"], name) for name in os.listdir(folder)), "file")
        return f"made flows/{flow}.json, which reads {files} of {shown}; now: pymyx flow {flow}\n"
    return f"made flows/{flow}.json; put the files into {shown}, then: pymyx flow {flow}\n"


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
