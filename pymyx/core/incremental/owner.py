"""Sees to it that an output folder is that of the step that is to write to it, and that its state is not lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pymyx.core.contract.treatment import CheckedStep
from pymyx.core.errors import Fault, UsageError
from pymyx.core.incremental.files import ENDINGS, OUTPUT_ENDINGS, day_of, unowned_files
from pymyx.core.incremental.manifest import Manifest, manifest_path, read_manifest
from pymyx.core.incremental.stage import other_places, state_dir
from pymyx.core.logger import as_unicode
from pymyx.core.project import Project


def owned_manifest(project: Project, step: CheckedStep, *, force: bool) -> Manifest | None:
    """The manifest of a step's output folder; None for a folder that nothing was made in yet.

    Where there is none, but files of the output's format, it was lost: with `force` such a folder is begun anew by a
    treatment that makes days.

    Raises:
        UsageError: the folder is that of another treatment or input folder, or of a newer PyMyx, or its state is lost.
    """
    manifest = read_manifest(step.output_dir, project.shown(step.output_dir))
    if manifest:
        _see_that_it_is_ours(project, step, manifest)
    elif not (force and step.treatment.days and not _has_undated_input(step)):
        see_that_nothing_is_lost(project, step)
    return manifest


def _has_undated_input(step: CheckedStep) -> bool:
    """Whether it would be run over its whole folder all the same."""
    ending = ENDINGS[step.treatment.input.format]
    return any(not day_of(name) for name in unowned_files(step.input_dir, ending, ()))


def see_that_nothing_is_lost(project: Project, step: CheckedStep) -> None:
    """See that a folder without a manifest never had one.

    Raises:
        UsageError: it seems to have had one; says where it may be, and the ways out.
    """
    ending = OUTPUT_ENDINGS[step.treatment.output.format]
    files = unowned_files(step.output_dir, ending, ())
    elsewhere = [place for place in other_places(step.output_dir) if (place / "manifest.json").is_file()]
    if not files and not elsewhere:
        return
    shown, path = project.shown(step.output_dir), manifest_path(step.output_dir)
    state = "cannot be read as one" if os.path.lexists(path) else "is missing"
    holds = f"holds {len(files)} {ending[0]} file{'' if len(files) == 1 else 's'}" if files else "holds no file"
    old = [*elsewhere, *_left_behind(step)][:1]
    raise UsageError(
        Fault(
            f"the output folder `{shown}` {holds}, but its manifest {state}",
            project.shown(path),
            tuple(f"an older state lies at {project.shown(place)}" for place in old),
            ("nothing was run: what was made from archived input could be overwritten",),
            f"{_way_back(project, step, old)}; or {_way_on(step, shown)}",
        )
    )


def _way_back(project: Project, step: CheckedStep, old: list[Path]) -> str:
    place = project.shown(state_dir(step.output_dir))
    if old:
        return f"put back its state: move `{project.shown(old[0])}` to `{place}`, or the folder to where it was"
    return f"put back its state, `{place}` (`cp data/*` leaves `.pymyx` behind)"


def _way_on(step: CheckedStep, shown: str) -> str:
    if step.treatment.days:
        return "run it with --force: it makes anew the days that the input has, and leaves other files as they are"
    return f"move the folder away, and all is made anew: mv {shown} {shown}_old"


def _left_behind(step: CheckedStep) -> list[Path]:
    """States beside it that this treatment wrote, and whose folders are gone: one of them may have been moved here."""
    beside = state_dir(step.output_dir).parent
    found = []
    for path in sorted(beside.glob("*/manifest.json")):
        if not (beside.parent / path.parent.name).exists():
            try:
                treatment = json.loads(path.read_bytes())["treatment"]
            except (OSError, ValueError, RecursionError, LookupError, TypeError):
                continue
            found += [path.parent] if treatment == step.treatment.name else []
    return found


def _see_that_it_is_ours(project: Project, step: CheckedStep, manifest: Manifest) -> None:
    shown = project.shown(step.output_dir)
    hint = (
        f"write to another folder; or, to give it up, remove it and `{project.shown(manifest_path(step.output_dir))}`"
    )
    if manifest.treatment != step.treatment.name:
        what = f"the output folder `{shown}` is that of treatment `{manifest.treatment}`, not `{step.treatment.name}`"
        raise UsageError(Fault(what, notes=("a folder has one writer; nothing was run",), hint=hint))
    source = as_unicode(project.shown(step.input_dir))
    if manifest.input_dir != source:
        what = f"the output folder `{shown}` was made from `{manifest.input_dir}`, not from `{source}`"
        raise UsageError(Fault(what, notes=("nothing was run",), hint=hint))
