"""Lays out what a user starts from: a project of their own, or a treatment in it. Nothing that is there is replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from pymyx.core.contract.models import NAME
from pymyx.core.errors import Fault, UsageError
from pymyx.core.project import AnyPath, Project, absolute

TEMPLATE = Path(__file__).parent / "template"
CARRIED = Path(__file__).parent.parent / "project"  # in a wheel: what a project begins with
SOURCE = CARRIED if CARRIED.is_dir() else CARRIED.parent.parent
CACHES = shutil.ignore_patterns("__pycache__", ".pymyx")


def init_project(folder: AnyPath, *, sample: bool = True) -> tuple[Path, list[str]]:
    """Lay out a project in `folder`, and return it with the names of what was made there.

    It gets treatments, a flow, schemas and data folders, and with `sample` a sample recording. Files that it has of
    these names stay as they are, but treatments or flows that are there already are refused.

    Raises:
        UsageError: it is a project already, or cannot be written to.
    """
    root = absolute(folder)
    if root.exists() and not root.is_dir():
        raise UsageError(Fault(f"`{folder}` is not a folder", hint="name a new or empty folder"))
    for name in ("treatments", "flows"):
        if (root / name).exists():
            hint = "name another folder: pymyx init DIR"
            raise UsageError(Fault(f"`{root}` is a project already: it has `{name}/`", hint=hint))
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pymyx-init-", dir=root) as made:
            _lay_out(Path(made), sample=sample)
            names = sorted(name for name in os.listdir(made) if not (root / name).exists())
            for name in names:
                (Path(made) / name).rename(root / name)
    except OSError as error:
        raise UsageError(Fault(f"`{root}` cannot be written to: {error.strerror}", str(error.filename))) from error
    return root, names


def _lay_out(root: Path, *, sample: bool) -> None:
    shutil.copytree(TEMPLATE / "project", root, dirs_exist_ok=True)
    for name in ("treatments", "flows", "schemas"):
        shutil.copytree(SOURCE / name, root / name, ignore=CACHES)
    flows = [json.loads(path.read_text(encoding="utf-8")) for path in (SOURCE / "flows").glob("*.json")]
    for folder in {step[end] for flow in flows for step in flow["steps"] for end in ("input", "output")}:
        (root / "data" / folder).mkdir(parents=True)
        (root / "data" / folder / ".gitkeep").touch()
    for path in (SOURCE / "data" / "00_raw").glob("sample_*.csv") if sample else ():
        shutil.copyfile(path, root / "data" / "00_raw" / path.name)


def new_treatment(project: Project, name: str) -> Path:
    """Write `treatments/<name>/`: a day-wise pandas treatment that validates, and copies until it is changed.

    Raises:
        UsageError: there is one of that name, the name cannot be one, or it cannot be written.
    """
    if not re.fullmatch(NAME, name):
        accepted = ("accepted: a lower-case name such as clean_v2",)
        raise UsageError(Fault(f"`{name}` cannot be a treatment's name", evidence=accepted))
    folder = project.treatments / name
    if os.path.lexists(folder):
        raise UsageError(Fault(f"there is a treatment `{name}` already", project.shown(folder), hint="name another"))
    try:
        project.treatments.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=project.treatments) as made:
            written = shutil.copytree(TEMPLATE / "treatment", Path(made) / name, ignore=CACHES)
            text = (written / "treatment.json").read_text(encoding="utf-8")
            text = text.replace('"name": "template"', f'"name": "{name}"')
            (written / "treatment.json").write_text(text, encoding="utf-8")
            written.rename(folder)
    except OSError as error:
        what = f"`{project.shown(folder)}` cannot be written: {error.strerror}"
        raise UsageError(Fault(what, str(error.filename))) from error
    return folder
