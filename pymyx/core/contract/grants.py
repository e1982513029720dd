"""What a treatment may read beyond its folders, as paths: those under the root are signed with its code."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pymyx.core.contract.models import Treatment
from pymyx.core.errors import Fault
from pymyx.core.project import Project


def signed_paths(project: Project, treatment: Treatment) -> list[Path]:
    """The granted paths that lie under the root, absolute and normal."""
    paths = dict.fromkeys(_absolute(project, path) for path in treatment.allow.read)
    return [path for path in paths if path.is_relative_to(project.root)]


def reads_granted(project: Project, treatment: Treatment, folders: Iterable[Path]) -> bool:
    """Whether one of the granted paths is, holds or lies in one of these folders."""
    granted = [Path(os.path.realpath(path)) for path in signed_paths(project, treatment)]
    real = [Path(os.path.realpath(folder)) for folder in folders] if granted else []
    return any(one.is_relative_to(path) or path.is_relative_to(one) for path in granted for one in real)


def unsigned(project: Project, treatment: Treatment) -> list[str]:
    """The granted paths that lie outside the root, as the contract names them: nobody sees a change there."""
    return [path for path in treatment.allow.read if not _absolute(project, path).is_relative_to(project.root)]


def grant_faults(project: Project, treatment: Treatment, output_dir: Path | None = None) -> list[Fault]:
    """The grants that hold, or lie in, what a run writes: the output folder, its state, the log.

    They would make each run stale by itself.
    """
    faults, own = [], f"treatments/{treatment.name}/"
    notes = ("what it may read is signed with its code: a run would make its own result stale",)
    for number, path in enumerate(treatment.allow.read):
        if why := refusal(project, path, output_dir):
            what, where = f"treatment `{treatment.name}` may not read `{path}`: {why}", f"{own}treatment.json"
            hint = f"name the files that it needs, or put them into {own}"
            faults.append(Fault(what, f"{where}, allow.read[{number}]", notes=notes, hint=hint))
    return faults


def refusal(project: Project, granted: str, output_dir: Path | None) -> str:
    """Why a path may not be granted to what writes `output_dir`; nothing where it may."""
    path = _absolute(project, granted)
    real = Path(os.path.realpath(path))
    if Path(os.path.realpath(project.log)).is_relative_to(real):
        return "it holds the log `pymyx.log`"
    if ".pymyx" in path.parts or os.path.lexists(path / ".pymyx"):
        return "it holds the state `.pymyx` of output folders"
    if output_dir:
        output = Path(os.path.realpath(output_dir))
        if output.is_relative_to(real) or real.is_relative_to(output):
            return f"it holds the output folder `{project.shown(output_dir)}`, or lies in it"
    return ""


def _absolute(project: Project, granted: str) -> Path:
    return Path(os.path.abspath(project.root / granted))
