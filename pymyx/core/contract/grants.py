"""What a treatment may read beyond its folders, as paths: those under the root are signed with its code."""

from __future__ import annotations

import os
from pathlib import Path

from pymyx.core.contract.models import Treatment
from pymyx.core.errors import Fault
from pymyx.core.project import Project


def signed_paths(project: Project, treatment: Treatment) -> list[Path]:
    """The granted paths that lie under the root, absolute and normal."""
    paths = [Path(os.path.abspath(project.root / path)) for path in treatment.allow.read]
    return [path for path in dict.fromkeys(paths) if path.is_relative_to(project.root)]


def unsigned(project: Project, treatment: Treatment) -> list[str]:
    """The granted paths that lie outside the root, as the contract names them: a change there is not seen."""
    signed = signed_paths(project, treatment)
    return [path for path in treatment.allow.read if Path(os.path.abspath(project.root / path)) not in signed]


def grant_faults(project: Project, treatment: Treatment, output_dir: Path | None = None) -> list[Fault]:
    """The grants that hold, or lie in, what a run writes: the output folder, the state of one, the log.

    They would make each run stale by itself.
    """
    if not treatment.allow.read:
        return []
    shown = project.shown(project.treatments / treatment.name / "treatment.json")
    faults = []
    for number, path in enumerate(treatment.allow.read):
        written = _written(project, Path(os.path.abspath(project.root / path)), output_dir)
        if written:
            faults.append(
                Fault(
                    f"treatment `{treatment.name}` may not read `{path}`: {written}",
                    f"{shown}, allow.read[{number}]",
                    notes=("what it may read is signed with its code: a run would make its own result stale",),
                    hint=f"name the files that it needs, or put them into treatments/{treatment.name}/",
                )
            )
    return faults


def _written(project: Project, path: Path, output_dir: Path | None) -> str:
    real = Path(os.path.realpath(path))
    if _real(project.log).is_relative_to(real):
        return "it holds the log `pymyx.log`"
    if ".pymyx" in path.parts or os.path.lexists(path / ".pymyx"):
        return "it holds the state `.pymyx` of output folders"
    if output_dir and (_real(output_dir).is_relative_to(real) or real.is_relative_to(_real(output_dir))):
        return f"it holds the output folder `{project.shown(output_dir)}`, or lies in it"
    return ""


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
