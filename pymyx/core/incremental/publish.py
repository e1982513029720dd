"""Moves what a child left on its stage into place, file by file, and remembers it in the manifest.

First the intent is written down, then each file is put in place by one atomic rename, then the manifest is
replaced. A run that is killed in between is seen by the next one: what was put in place and is owned by no
day is removed, a day whose files are not those it was recorded with is made again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pymyx.core.errors import Fault, PublishError
from pymyx.core.incremental.files import UNREADABLE, day_of, hash_of, mark_of
from pymyx.core.incremental.manifest import (
    WHOLE,
    Known,
    Made,
    Manifest,
    flush_to_disk,
    is_result,
    manifest_path,
    write_manifest,
)
from pymyx.core.incremental.stage import Stage, kind_of, make_ordinary


@dataclass(frozen=True)
class Target:
    """An output folder at work: where it is, how messages name it, and its manifest, which is kept up to date."""

    folder: Path
    shown: str
    manifest: Manifest


Cause = Literal["the treatment made none", "the treatment made fewer", "their input is gone"]


@dataclass(frozen=True)
class Published:
    """What was published.

    `names` are those of the days' files, `taken` those of them that replaced a file of nobody's; `held` are the days
    that keep their results though none were made; `removed` are the results that went, by day (or name, where they are
    of no day), each with its cause.
    """

    names: tuple[str, ...]
    taken: tuple[str, ...]
    held: tuple[str, ...]
    removed: tuple[tuple[str, Cause], ...]


def publish(stage: Stage, target: Target, made: dict[str, Made], context: set[str], *, keep: bool) -> Published:
    """Publish the files of the days `made`, and record them with their outputs; drop those of `context` days.

    The manifest is brought up to date in memory; until the caller writes it, the intent on the disk stands for it.

    Everything that can be found wrong is found before the first file is moved. A file of the same name is replaced, or
    left alone where it has the same bytes; old outputs of these days that are no longer made are removed; no
    other file is touched. `whole` stands for all days there are. With `keep`, where no result was made at all, old
    results stay, and their days stay recorded as they were made: stale. Files set aside are published all the same.

    Raises:
        PublishError: the stage holds something that is no regular file, or of a day that was not asked for; or a
            file cannot be put in place.
    """
    files = _staged_files(stage, target, made, context)
    owned = target.manifest.outputs
    outputs = {day: {name: _hash(stage, target, name) for name in names} for day, names in files.items()}
    wanted = {name: sha256 for each in outputs.values() for name, sha256 in each.items()}
    same = {name: known for name in wanted if (known := _same(target, name, wanted[name], owned.get(name)))}
    before = target.manifest.days if WHOLE in made else {day: target.manifest.days.get(day) for day in made}
    held = _results_of(before) if keep and not any(map(is_result, wanted)) else {}
    old = [name for one in before.values() if one for name in one.outputs]
    moving = [name for name in wanted if name not in same]
    taken = [name for name in moving if name not in owned and os.path.lexists(target.folder / name)]
    _declare(stage, target, moving, wanted)
    move(stage, target, moving, [name for name in old if name not in wanted and name not in owned_by(held)])
    records = {
        day: made[day].model_copy(
            update={
                "outputs": {name: same.get(name) or Known(stat=None, sha256=sha256) for name, sha256 in each.items()},
                "warning": made[day].warning if each.keys() - set(filter(is_result, each)) else "",
            }
        )
        for day, each in outputs.items()
    }
    kept = {} if WHOLE in made else target.manifest.days
    target.manifest.days = dict(sorted({**kept, **_with_held(records, held)}.items()))
    target.manifest.pending = {}
    removed = () if held else tuple(_fewer(filter(is_result, old), list(filter(is_result, wanted))))
    return Published(tuple(sorted(wanted)), tuple(taken), tuple(held), removed)


def owned_by(days: dict[str, Made]) -> set[str]:
    """The outputs of days."""
    return {name for made in days.values() for name in made.outputs}


def _results_of(days: Mapping[str, Made | None]) -> dict[str, Made]:
    """Those days that have results, with nothing else."""
    found = {}
    for day, made in days.items():
        results = {name: known for name, known in made.outputs.items() if is_result(name)} if made else {}
        if made and results:
            found[day] = made.model_copy(update={"outputs": results})
    return found


def _with_held(records: dict[str, Made], held: dict[str, Made]) -> dict[str, Made]:
    """The new records, but where results are held, the old ones, with what was set aside now."""
    mixed = dict(held)
    for day, record in records.items():
        if day in held:
            outputs = {**held[day].outputs, **record.outputs}
            mixed[day] = held[day].model_copy(update={"outputs": outputs, "warning": record.warning})
        elif day == WHOLE and held:
            mixed[day] = record.model_copy(update={"code": ""})  # it is not what the folder was made by: stale
        else:
            mixed[day] = record
    return mixed


def _fewer(before: Iterable[str], after: list[str]) -> Iterator[tuple[str, Cause]]:
    """The results that went, of days that have fewer now; all files of no day count as those of one."""
    left = Counter(map(day_of, after))
    names = list(before)
    had = Counter(map(day_of, names))
    for name in sorted(set(names) - set(after)):
        day = day_of(name)
        if left[day] < had[day]:
            yield day or name, "the treatment made fewer" if left[day] else "the treatment made none"


def clear_pending(target: Target) -> None:
    """Remove the files that a killed run had put in place, where no day owns them."""
    owned = target.manifest.outputs
    for name, sha256 in target.manifest.pending.items():
        path = target.folder / name
        if name not in owned and kind_of(path) == "file" and hash_of(path) == sha256:
            path.unlink()
    if target.manifest.pending:
        target.manifest.pending = {}
        write_manifest(target.folder, target.manifest)


def _staged_files(stage: Stage, target: Target, made: dict[str, Made], context: set[str]) -> dict[str, list[str]]:
    """The names on the stage, by the day they are of."""
    stage.output_dir.chmod(0o700)  # whatever the treatment made of it
    files: dict[str, list[str]] = {day: [] for day in made}
    faults = []
    for name in sorted(os.listdir(stage.output_dir)):
        if name.startswith(".nfs"):  # what NFS leaves of a file that was removed while it was open
            continue
        day = WHOLE if WHOLE in made else day_of(name)
        fault = _name_fault(stage, target, name)
        if fault or day in made:
            faults += [fault] if fault else []
            files.setdefault(day, []).append(name)
        elif day not in context:
            faults.append(_day_fault(target, name, day, sorted(made)))
    if faults:
        raise PublishError(*faults)
    try:
        make_ordinary(stage)
    except OSError as error:
        raise PublishError(Fault(f"what it wrote cannot be read: {error.strerror}", str(error.filename))) from error
    return files


def _hash(stage: Stage, target: Target, name: str) -> str:
    sha256 = hash_of(stage.output_dir / name)
    if sha256 == UNREADABLE:
        note = f"nothing was published; `{target.shown}` is unchanged"
        raise PublishError(Fault(f"the output `{name}` cannot be read", notes=(note,)))
    return sha256


def _name_fault(stage: Stage, target: Target, name: str) -> Fault | None:
    kind = kind_of(stage.output_dir / name)
    note = f"nothing was published; `{target.shown}` is unchanged"
    if kind != "file":
        return Fault(
            f"the treatment left a {kind} in its output: `{name}`",
            notes=(note,),
            hint="leave regular files only, in no sub-folder",
        )
    if kind_of(target.folder / name) == "folder":
        return Fault(
            f"the output `{name}` would replace a folder",
            f"{target.shown}/{name}",
            notes=(note,),
            hint="move that folder away",
        )
    return None


def _day_fault(target: Target, name: str, day: str, asked: list[str]) -> Fault:
    what = f"the treatment left a file of {f'the day {day}' if day else 'no day'}: `{name}`"
    asked_for = f"it was run for {asked[0]}" + (f" to {asked[-1]}" if len(asked) > 1 else "")
    why = f"{asked_for}; with `days` declared, each output belongs to one of these days, by the date in its name"
    hint = "put its day in the name, as <domain>__<YYYY-MM-DD>.parquet; or remove `days` from treatment.json"
    return Fault(what, notes=(why, f"`{target.shown}` is unchanged for these days"), hint=hint)


def _same(target: Target, name: str, sha256: str, known: Known | None) -> Known | None:
    """What is known of the file in place, if it has these bytes already."""
    path = target.folder / name
    if kind_of(path) != "file":
        return None
    if known and known.sha256 == sha256 and known.stat == mark_of(path.stat()):
        return known
    return Known(stat=None, sha256=sha256) if hash_of(path) == sha256 else None


def _declare(stage: Stage, target: Target, moving: list[str], wanted: dict[str, str]) -> None:
    """See that the files are on the disk, and write down which ones are about to be moved."""
    try:
        for name in moving:
            flush_to_disk(stage.output_dir / name)
        target.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        note = f"nothing was published; `{target.shown}` is unchanged"
        what = f"cannot publish to `{target.shown}`: {error.strerror}"
        raise PublishError(Fault(what, str(error.filename), notes=(note,))) from error
    if moving:
        target.manifest.pending = {name: wanted[name] for name in moving}
        write_manifest(target.folder, target.manifest)
        flush_to_disk(manifest_path(target.folder).parent)


def move(stage: Stage | None, target: Target, moving: list[str], old: list[str]) -> None:
    """Put files of the stage in place, then remove old ones.

    Raises:
        PublishError: one cannot be.
    """
    moved = 0
    try:
        for name in moving:
            assert stage
            os.replace(stage.output_dir / name, target.folder / name)
            moved += 1
        for name in old:
            if kind_of(target.folder / name) != "folder":
                (target.folder / name).unlink(missing_ok=True)
        if moving or old:
            flush_to_disk(target.folder)
    except OSError as error:
        note = f"{moved} of {len(moving)} files were put in place; run it again to complete them"
        where = str(error.filename2 or error.filename)
        raise PublishError(
            Fault(f"cannot publish to `{target.shown}`: {error.strerror}", where, notes=(note,))
        ) from error
