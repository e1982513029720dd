"""Checks the folders that a step is to read and to write, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pymyx.core.contract.models import Flow
from pymyx.core.contract.reading import read_contract
from pymyx.core.errors import Fault, UsageError, did_you_mean
from pymyx.core.project import Project


def check_input(project: Project, input_dir: Path, where: str = "", others: Iterable[Path] = ()) -> None:
    """See that an input folder exists; `where` is what names it, `others` are folders that may be meant.

    Raises:
        UsageError: it does not, or is no folder; says which step of which flow writes it, when one does.
    """
    if input_dir.is_dir():
        return
    shown = project.shown(input_dir)
    what = f"the input folder `{shown}` {'is no folder' if os.path.lexists(input_dir) else 'is missing'}"
    writer = _writer(project, input_dir)
    if writer:
        flow, number, treatment = writer
        note = f"it is written by step {number} `{treatment}` of flow `{flow}`"
        data = "" if project.data == project.root / "data" else f" --data {project.shown(project.data)}"
        hint = f"python -m pymyx.core.flow --flow {flow}{data}"
        raise UsageError(Fault(what, where, notes=(note,), hint=hint))
    hint = _near_folder(project, input_dir, others, from_data=bool(where)) or "create it and put the input files there"
    raise UsageError(Fault(what, where, notes=("no flow writes it",), hint=hint))


def _near_folder(project: Project, folder: Path, others: Iterable[Path], *, from_data: bool) -> str:
    """The hint that names the folder nearest to one that is missing, as a flow names it or as messages do."""
    beside: Iterable[Path] = ()
    with suppress(OSError):
        beside = [path for path in folder.parent.iterdir() if path.name[0] not in "._" and path.is_dir()]

    def named(path: Path) -> str:
        inside = from_data and path.is_relative_to(project.data)
        return path.relative_to(project.data).as_posix() if inside else project.shown(path)

    return did_you_mean(named(folder), {named(path) for path in (*beside, *others)})


def check_output(project: Project, input_dir: Path, output_dir: Path) -> None:
    """See that a treatment may write to `output_dir`.

    Raises:
        UsageError: it is no folder, is read-only, holds the project, is part of its code or of its state, or lies
            inside the input folder, whose files are never touched.
    """
    shown = project.shown(output_dir)
    real, own = output_dir.resolve(), [folder.resolve() for folder in (project.treatments, project.flows)]
    if project.root.resolve().is_relative_to(real) or ".pymyx" in real.parts or any(map(real.is_relative_to, own)):
        what = f"the output folder `{shown}` holds the project, or is part of its code or state"
        raise UsageError(Fault(what, hint="name a folder of its own, such as data/10_parsed"))
    if os.path.lexists(output_dir) and not output_dir.is_dir():
        raise UsageError(Fault(f"the output folder `{shown}` is no folder", hint="name another with --output DIR"))
    if output_dir.is_dir() and not os.access(output_dir, os.W_OK | os.X_OK):
        raise UsageError(Fault(f"the output folder `{shown}` is read-only", hint="make it writable, or name another"))
    if output_dir.resolve().is_relative_to(input_dir.resolve()):
        raise UsageError(
            Fault(
                f"the output folder `{shown}` lies inside the input folder `{project.shown(input_dir)}`",
                notes=("an input folder is never written to",),
                hint="write to a folder beside it",
            )
        )


def flow_names(project: Project) -> list[str]:
    """The names of the project's flows: the JSON files in `flows/` that are not hidden."""
    return [name.removesuffix(".json") for name in project.names_in(project.flows) if name.endswith(".json")]


def _writer(project: Project, folder: Path) -> tuple[str, int, str] | None:
    """The flow, number and treatment of the step that writes `folder`, if one does."""
    for name in flow_names(project):
        flow, _ = read_contract(project.flows / f"{name}.json", name, Flow)
        for number, step in enumerate(flow.steps if flow else [], start=1):
            if (project.data / step.output).resolve() == folder.resolve():
                return name, number, step.treatment
    return None
