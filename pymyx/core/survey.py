"""Looks at what a step finds: its manifest, its input files, its outputs, its code; reads only what has changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pymyx.core.errors import Fault, UsageError
from pymyx.core.folder import ENDINGS, code_of, input_files, output_files
from pymyx.core.logger import as_unicode
from pymyx.core.manifest import Known, Manifest, manifest_path, read_manifest
from pymyx.core.plan import Choice, Facts, Plan, make_plan
from pymyx.core.project import Project
from pymyx.core.validator import CheckedStep


@dataclass(frozen=True)
class Survey:
    """What was found for one step: the plan's facts, and the files they are from, with their stats."""

    facts: Facts
    inputs: dict[str, Known]
    outputs: dict[str, Known]

    def plan(self, choice: Choice) -> Plan:
        """What is to be done."""
        return make_plan(self.facts, choice)


def survey(project: Project, step: CheckedStep) -> Survey:
    """Look at the folders of a step.

    Raises:
        UsageError: the output folder is that of another treatment or input folder, or of a newer PyMyx; or the
            input folder has lost all its files.
    """
    shown = project.shown(step.output_dir)
    manifest = read_manifest(step.output_dir, shown)
    if manifest:
        _see_that_it_is_ours(project, step, manifest, shown)
    known = manifest.inputs if manifest else {}
    inputs = input_files(step.input_dir, ENDINGS[step.treatment.input.format], known)
    raw = not manifest_path(step.input_dir).exists()
    if known and not inputs:
        _see_that_it_is_rightly_empty(project, step, raw=raw)
    outputs = output_files(step.output_dir, manifest.outputs if manifest else {})
    days = step.treatment.days
    facts = Facts(
        manifest=manifest,
        inputs={name: file.sha256 for name, file in inputs.items()},
        outputs={name: file.sha256 for name, file in outputs.items()},
        code=_digest([days.model_dump() if days else None, code_of(project.treatments / step.treatment.name)]),
        params=_digest(step.params),
        days=days,
        raw=raw,
    )
    return Survey(facts, inputs, outputs)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _see_that_it_is_ours(project: Project, step: CheckedStep, manifest: Manifest, shown: str) -> None:
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


def _see_that_it_is_rightly_empty(project: Project, step: CheckedStep, *, raw: bool) -> None:
    """An input folder may lose all its files only when the treatment that writes it publishes none any more."""
    shown = project.shown(step.input_dir)
    writer = None if raw else read_manifest(step.input_dir, shown)
    if writer and not writer.outputs:
        return
    what = f"the input folder `{shown}` had {step.treatment.input.format} files and now has none"
    hint = "is its disk mounted? put the files back"
    raise UsageError(Fault(what, notes=("nothing was run; what was made from them stays",), hint=hint))
