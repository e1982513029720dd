"""Looks at what a step finds: its manifest, its input files, its outputs, its code; reads only what has changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pymyx.core.contract.grants import signed_paths
from pymyx.core.contract.treatment import CheckedStep
from pymyx.core.errors import Fault, UsageError, letting_go
from pymyx.core.incremental.files import (
    ENDINGS,
    OUTPUT_ENDINGS,
    code_of,
    granted_files,
    input_files,
    output_files,
    unowned_files,
)
from pymyx.core.incremental.manifest import Known, Manifest, id_of, manifest_path, read_manifest
from pymyx.core.incremental.owner import owned_manifest, see_that_nothing_is_lost
from pymyx.core.incremental.plan import Choice, Facts, Plan, in_words, make_plan
from pymyx.core.project import Project


@dataclass(frozen=True)
class Survey:
    """What was found for one step: the facts, their plan, and the files they are from, with their stats.

    `granted` are the files beside the input folder that the treatment may read; `input_id` is the id of the input
    folder's manifest; `odd` are entries of the input folder that cannot be looked at, with the reason.
    """

    facts: Facts
    plan: Plan
    inputs: dict[str, Known]
    outputs: dict[str, Known]
    granted: dict[str, Known]
    input_id: str
    odd: dict[str, str]

    def remember(self, manifest: Manifest) -> None:
        """Put down in a manifest what was found; raw files that were archived are kept in mind."""
        manifest.inputs = self._inputs_to_remember(manifest)
        manifest.granted = self.granted
        manifest.input_id = self.input_id or manifest.input_id

    def is_remembered(self, manifest: Manifest) -> bool:
        """Whether that would change nothing."""
        return (
            bool(manifest.id)
            and manifest.inputs == self._inputs_to_remember(manifest)
            and manifest.granted == self.granted
            and self.input_id in ("", manifest.input_id)
            and all(self.output_as_known(name, known) == known for name, known in manifest.outputs.items())
        )

    def output_as_known(self, name: str, known: Known) -> Known:
        """An output file as found, where it is as it was published; else as it was recorded: it is still to be made."""
        found = self.outputs.get(name)
        return found if found and found.sha256 == known.sha256 else known

    def _inputs_to_remember(self, manifest: Manifest) -> dict[str, Known]:
        """The input files as found; those that count as archived as recorded: none comes back smaller unseen."""
        gone = manifest.inputs.keys() - self.inputs.keys() if self.facts.raw else set()
        used = {name for made in manifest.days.values() for name in made.inputs} if gone else set()
        absent = {name: manifest.inputs[name] for name in gone & used}
        shrunk = {name: manifest.inputs[name] for name in self.plan.shrunk}
        return dict(sorted({**self.inputs, **absent, **shrunk}.items()))


def survey(project: Project, step: CheckedStep, choice: Choice) -> Survey:
    """Look at the folders of a step, and plan what is to be done.

    Raises:
        UsageError: the output folder is that of another treatment or input folder, or of a newer PyMyx, or its state is
            lost; the input folder has lost its files, or is another one than before, or holds a known file that
            cannot be looked at.
    """
    manifest = owned_manifest(project, step, force=choice.force)
    known = manifest.inputs if manifest else {}
    inputs, odd = input_files(step.input_dir, ENDINGS[step.treatment.input.format], known)
    raw = not manifest_path(step.input_dir).exists()
    if known and not inputs:
        _see_that_it_is_rightly_empty(project, step, raw=raw)
    outputs = output_files(step.output_dir, manifest.outputs if manifest else {})
    ours = {**manifest.outputs, **manifest.pending} if manifest else {}
    days = step.treatment.days
    paths = signed_paths(project, step.treatment)
    granted, others = granted_files(project.root, paths, manifest.granted if manifest else {})
    code: list[Any] = [days.model_dump() if days else None, code_of(project.treatments / step.treatment.name)]
    if paths:
        code.append({**others, **{name: file.sha256 for name, file in granted.items()}})
    facts = Facts(
        manifest=manifest,
        inputs={name: file.sha256 for name, file in inputs.items()},
        outputs={name: file.sha256 for name, file in outputs.items()},
        code=_digest(code),
        params=_digest(step.params),
        days=days,
        raw=raw,
        sizes=_smaller(inputs, known) if raw else {},
        unowned=tuple(unowned_files(step.output_dir, OUTPUT_ENDINGS[step.treatment.output.format], ours)),
    )
    plan = make_plan(facts, choice)
    input_id = "" if raw else id_of(step.input_dir)
    if manifest is None and plan.whole:
        see_that_nothing_is_lost(project, step)
    if plan.lost and not choice.prune and manifest and "" != manifest.input_id != input_id != "":
        raise _another_folder(project, step, plan)
    return Survey(facts, plan, inputs, outputs, granted, input_id, odd)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _smaller(inputs: dict[str, Known], known: dict[str, Known]) -> dict[str, tuple[int, int]]:
    return {
        name: (known[name].size, file.size)
        for name, file in inputs.items()
        if name in known and file.size < known[name].size
    }


def _another_folder(project: Project, step: CheckedStep, plan: Plan) -> UsageError:
    source, shown = project.shown(step.input_dir), project.shown(step.output_dir)
    what = f"`{source}` is not the folder that `{shown}` was made from: its manifest is another one, and files are gone"
    lost = "it would be made from fewer files" if plan.whole else f"it would lose {in_words(list(plan.lost))}"
    note = f"nothing was made in `{shown}`: {lost}"
    hint = f"is its disk mounted? put the folder back with its state; or, if it is meant so, {letting_go()}"
    return UsageError(Fault(what, notes=(note,), hint=hint))


def _see_that_it_is_rightly_empty(project: Project, step: CheckedStep, *, raw: bool) -> None:
    """An input folder may lose all its files only when the treatment that writes it publishes none any more."""
    shown = project.shown(step.input_dir)
    writer = None if raw else read_manifest(step.input_dir, shown)
    if writer and not writer.outputs:
        return
    what = f"the input folder `{shown}` had {step.treatment.input.format} files and now has none"
    hint = "is its disk mounted? put the files back"
    raise UsageError(Fault(what, notes=("nothing was run; what was made from them stays",), hint=hint))
