"""Looks at what there is of a step: its manifest, input files, outputs, code; reads only files that have changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymyx.core.contract.grants import signed_paths
from pymyx.core.contract.models import Days
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, UsageError, as_unicode, counted
from pymyx.core.incremental import files
from pymyx.core.incremental.manifest import KnownFile, Manifest, id_of, manifest_path, read_manifest, state_dir


@dataclass(frozen=True)
class Facts:
    """What there is of a step, and what is remembered of it; files stand by their names.

    An input file that nothing was made from yet is `UNREAD`, until a child is about to read it. The input folder is
    `raw` where no treatment made it: files that are gone from there were archived, not revoked.
    """

    manifest: Manifest  # of the output folder
    inputs: dict[str, KnownFile]
    outputs: dict[str, KnownFile]  # those of the known ones that are there
    granted: dict[str, KnownFile]  # what the treatment may read beside its input, by path relative to the root
    code: str  # the hash of the treatment's code, its `days` and what is granted
    params: str  # their hash
    days: Days | None  # how far a day looks; None: at the whole folder
    looks: list[int]  # the same as it is recorded, `before` and `after`; nothing for the whole folder
    raw: bool
    input_id: str  # that of the input folder's manifest; nothing for a raw folder
    smaller: dict[str, tuple[int, int]]  # raw files that are smaller than recorded: sizes in bytes then and now
    packed: dict[str, str]  # compressed input files: their names on the disk; all else names them without `.gz`
    odd: dict[str, str]  # entries of the input folder that are passed over, with the reason
    unowned: tuple[str, ...]  # files of the output's format in the output folder that no run owns

    def on_disk(self, names: Iterable[str]) -> list[str]:
        """Input files by their names on the disk, sorted."""
        return sorted(self.packed.get(name, name) for name in names)

    def remember(self, manifest: Manifest, shrunk: dict[str, tuple[int, int]]) -> bool:
        """Put down what was found; whether that changes anything."""
        before = manifest.model_copy(deep=False)
        # archived raw files are kept in mind, `shrunk` ones as they were: none comes back smaller unseen
        gone = manifest.inputs.keys() - self.inputs.keys() if self.raw else set()
        used = manifest.used if gone else set()
        kept = {name: manifest.inputs[name] for name in (gone & used) | shrunk.keys()}
        read = {name: one for name, one in self.inputs.items() if one.sha256}
        manifest.inputs = dict(sorted({**read, **kept}.items()))
        manifest.granted = self.granted
        manifest.input_id = self.input_id or manifest.input_id
        changed = False
        for made in manifest.days.values():
            for name, known in made.outputs.items():
                found = self.outputs.get(name)
                # an output with other bytes stays recorded as it was published: it is still to be made
                if found and found.sha256 == known.sha256 and found != known:
                    made.outputs[name], changed = found, True
        return changed or not manifest.id or manifest != before


def look(step: Step, manifest: Manifest) -> Facts:
    """Look at the folders of a step, by the manifest of its output folder.

    Raises:
        UsageError: the input folder has lost its files, or holds a known file that cannot be looked at.
    """
    # what is remembered
    known = manifest.inputs
    input_id = id_of(step.input_dir)
    raw = input_id is None

    # what is to be read
    read_endings = files.ENDINGS[step.treatment.input.format]
    inputs, packed, odd = files.input_files(step.input_dir, read_endings, known, manifest.used)
    if known and not inputs:
        _refuse_emptied_input(step, raw=raw)
    smaller = {
        name: (known[name].size, file.size)
        for name, file in inputs.items()
        if raw and name in known and file.size < known[name].size
    }

    # what it is made with; what a treatment may read beside its input is signed with its code
    days, allow = step.treatment.days, step.treatment.allow
    code: list[Any] = [days.model_dump() if days else None, files.code_of(step.code_dir)]
    granted: dict[str, KnownFile] = {}
    if allow.read and (paths := signed_paths(step.project, step.treatment)):
        granted, others = files.granted_files(step.project.root, paths, manifest.granted)
        code.append({**others, **{name: file.sha256 for name, file in granted.items()}})

    # what was made
    owned, made_endings = manifest.outputs, files.OUTPUT_ENDINGS[step.treatment.output.format]
    return Facts(
        manifest=manifest,
        inputs=inputs,
        outputs=files.output_files(step.output_dir, owned) if owned else {},
        granted=granted,
        code=digest_of(code),
        params=digest_of(step.params),
        days=days,
        looks=[days.before, days.after] if days else [],
        raw=raw,
        input_id=input_id or "",
        smaller=smaller,
        packed=packed,
        odd=odd,
        unowned=tuple(files.unowned_files(step.output_dir, made_endings, {*owned, *manifest.pending})),
    )


def digest_of(value: Any) -> str:
    """The SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _refuse_emptied_input(step: Step, *, raw: bool) -> None:
    """An input folder may lose all its files only when the treatment that writes it publishes none any more."""
    writer = None if raw else read_manifest(step.input_dir, step.input_shown)
    if writer and not writer.outputs:
        return
    what = f"the input folder `{step.input_shown}` had {step.treatment.input.format} files and now has none"
    hint = "is its disk mounted? put the files back"
    raise UsageError(Fault(what, notes=("nothing was run; what was made from them stays",), hint=hint))


def owned_manifest(step: Step, *, force: bool) -> Manifest:
    """The manifest of a step's output folder; a new one where nothing was made yet.

    Where there is none, but files of the output's format, it was lost: with `force` such a folder is begun anew by a
    treatment that makes days.

    Raises:
        UsageError: the folder is that of another treatment or input folder, or of a newer PyMyx, or its state is lost.
    """
    shown, source = step.output_shown, as_unicode(step.input_shown)
    manifest = read_manifest(step.output_dir, shown)
    if manifest is None:
        # a file of no day has it run over its whole folder all the same, which could not leave other files as they are
        names = files.unowned_files(step.input_dir, files.ENDINGS[step.treatment.input.format], ()) if force else []
        if not (force and step.treatment.days and all(map(files.day_of, names))):
            refuse_lost_state(step)
        return Manifest(treatment=step.treatment.name, input_dir=source, is_new=True)
    # two writers of one folder would each remove what the other makes
    what, notes = "", ("nothing was run",)
    if manifest.treatment != step.treatment.name:
        what = f"the output folder `{shown}` is that of treatment `{manifest.treatment}`, not `{step.treatment.name}`"
        notes = ("a folder has one writer; nothing was run",)
    elif manifest.input_dir != source:
        what = f"the output folder `{shown}` was made from `{manifest.input_dir}`, not from `{source}`"
    if what:
        state = step.project.shown(manifest_path(step.output_dir))
        hint = f"write to another folder; or, to give it up, remove it and `{state}`"
        raise UsageError(Fault(what, notes=notes, hint=hint))
    return manifest


def refuse_lost_state(step: Step) -> None:
    """See that an output folder without a manifest never had one.

    Raises:
        UsageError: it seems to have had one; says where it may be, and the ways out.
    """
    ending, state = files.OUTPUT_ENDINGS[step.treatment.output.format], state_dir(step.output_dir)
    lying = files.unowned_files(step.output_dir, ending, ())
    # where its state would be, had the folder not been moved, linked to, or mounted over
    real, named = step.output_dir.resolve(), step.output_dir.parent.resolve() / step.output_dir.name
    places = [*(folder.parent / ".pymyx" / folder.name for folder in (named, real)), real / ".pymyx"]
    old = [place for place in places if place != state and (place / "manifest.json").is_file()]
    if not lying and not old:
        return
    # or it was moved here from beside: a state that this treatment wrote, and whose folder is gone
    for path in sorted(state.parent.glob("*/manifest.json")):
        with suppress(OSError, ValueError, RecursionError, LookupError, TypeError):  # it only lends a hint
            is_gone = not (state.parent.parent / path.parent.name).exists()
            if is_gone and json.loads(path.read_bytes())["treatment"] == step.treatment.name:
                old.append(path.parent)
    project, shown, path = step.project, step.output_shown, state / "manifest.json"
    what = "cannot be read as one" if os.path.lexists(path) else "is missing"
    holds = f"holds {counted(len(lying), f'{ending[0]} file')}" if lying else "holds no file"
    back = f"put back its state, `{project.shown(state)}` (`cp data/*` leaves `.pymyx` behind)"
    if old:
        back = f"put back its state: move `{project.shown(old[0])}` to `{project.shown(state)}`"
        back += ", or the folder to where it was"
    on = f"move the folder away, and all is made anew: mv {shown} {shown}_old"
    if step.treatment.days:
        on = "run it with --force: it makes anew the days that the input has, and leaves other files as they are"
    what = f"the output folder `{shown}` {holds}, but its manifest {what}"
    evidence = tuple(f"an older state lies at {project.shown(place)}" for place in old[:1])
    notes = ("nothing was run: what was made from archived input could be overwritten",)
    raise UsageError(Fault(what, project.shown(path), evidence, notes, f"{back}; or {on}"))
