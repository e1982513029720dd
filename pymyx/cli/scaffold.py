"""Lays out what a user starts from: a project of their own, or a treatment in it. Nothing that is there is replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from pymyx.core.errors import Fault, UsageError
from pymyx.core.project import Project, absolute

PACKAGE = Path(__file__).parent.parent
CARRIED = PACKAGE / "project"  # in a wheel: what a project begins with
SOURCE = CARRIED if CARRIED.is_dir() else PACKAGE.parent
CONTENT = ("treatments", "flows", "schemas", "data")
CACHES = shutil.ignore_patterns("__pycache__", ".pymyx")

IGNORED = """# what runs leave: published files, state and the log
data/*/*
!data/*/.gitkeep
.pymyx/
pymyx.log
__pycache__/
.venv/
"""
WORKFLOW = """name: pymyx
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: python -m pip install pymyx
      - run: pymyx check --format github
"""
HOOKS = """repos:
  - repo: local
    hooks:
      - id: pymyx-check
        name: pymyx check
        entry: pymyx check
        language: python
        additional_dependencies: [pymyx]
        pass_filenames: false
        files: ^(treatments|flows)/
"""


def init_project(folder: str | os.PathLike[str], *, sample: bool = True) -> tuple[Path, list[str]]:
    """Lay out a project in `folder`, and return it with the names of what was made there.

    It gets treatments, a flow, schemas and data folders, with a sample recording unless not `sample`; files of its
    own of these names stay as they are, but treatments or flows that are there already are refused.

    Raises:
        UsageError: it is a project already, or cannot be written to.
    """
    root = absolute(folder)
    if root.exists() and not root.is_dir():
        raise UsageError(Fault(f"`{folder}` is no folder", hint="name a new or empty folder"))
    there = [name for name in CONTENT[:2] if (root / name).exists()]
    if there:
        hint = "name another folder: pymyx init DIR"
        raise UsageError(Fault(f"`{root}` is a project already: it has `{there[0]}/`", hint=hint))
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pymyx-init-", dir=root) as made:
            _lay_out(Path(made), sample=sample)
            moved = []
            for path in sorted(Path(made).iterdir()):
                if not (root / path.name).exists():
                    path.rename(root / path.name)
                    moved.append(path.name)
    except OSError as error:
        raise UsageError(Fault(f"`{root}` cannot be written to: {error.strerror}", str(error.filename))) from error
    return root, moved


def _lay_out(root: Path, *, sample: bool) -> None:
    for name in CONTENT[:3]:
        shutil.copytree(SOURCE / name, root / name, ignore=CACHES)
    for folder in _data_folders(SOURCE / "flows"):
        (root / "data" / folder).mkdir(parents=True)
        (root / "data" / folder / ".gitkeep").touch()
    if sample:
        for path in sorted((SOURCE / "data" / "00_raw").glob("sample_*.csv")):
            shutil.copyfile(path, root / "data" / "00_raw" / path.name)
    (root / ".gitignore").write_text(IGNORED, encoding="utf-8")
    (root / ".pre-commit-config.yaml").write_text(HOOKS, encoding="utf-8")
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / ".github" / "workflows" / "pymyx.yml").write_text(WORKFLOW, encoding="utf-8")


def _data_folders(flows: Path) -> list[str]:
    """The folders that the carried flows name."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in flows.glob("*.json")]
    return sorted({step[end] for one in documents for step in one["steps"] for end in ("input", "output")})


def new_treatment(project: Project, name: str) -> Path:
    """Write `treatments/<name>/`: a day-wise pandas treatment that validates, and copies until it is changed.

    Raises:
        UsageError: there is one of that name, the name cannot be one, or it cannot be written.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UsageError(
            Fault(f"`{name}` cannot be a treatment's name", evidence=("accepted: a lower-case name such as clean_v2",))
        )
    folder = project.treatments / name
    if os.path.lexists(folder):
        raise UsageError(Fault(f"there is a treatment `{name}` already", project.shown(folder), hint="name another"))
    try:
        project.treatments.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=project.treatments) as made:
            shutil.copytree(PACKAGE / "cli" / "template", Path(made) / name, ignore=CACHES)
            contract = Path(made) / name / "treatment.json"
            text = contract.read_text(encoding="utf-8")
            contract.write_text(text.replace('"name": "template"', f'"name": "{name}"'), encoding="utf-8")
            (Path(made) / name).rename(folder)
    except OSError as error:
        raise UsageError(
            Fault(f"`{project.shown(folder)}` cannot be written: {error.strerror}", str(error.filename))
        ) from error
    return folder
