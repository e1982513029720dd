"""Moves what a child left on its stage into place, file by file, and remembers it in the manifest.

First the intent is written down, then each file is put in place by one atomic rename, then the manifest is
replaced. A run that is killed in between is seen by the next one: what was put in place and is owned by no
day is removed, a day whose files are not those it was recorded with is made again.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pymyx.core.errors import Fault, PublishError, letting_go
from pymyx.core.incremental.files import UNREADABLE, day_of, hash_of, stat_key
from pymyx.core.incremental.manifest import WHOLE, KnownFile, MadeDay, Output, manifest_path, results
from pymyx.core.incremental.plan import Plan, in_words
from pymyx.core.incremental.stage import Stage, kind_of, kinds_in, make_ordinary

Cause = Literal["the treatment made none", "the treatment made fewer", "their input is gone"]


@dataclass(frozen=True)
class Published:
    """What was published.

    `names` are those of the days' files, `replaced_foreign` those of them that replaced a file no run owned; `held` are
    the days that keep their results though none were made; `removed` are the results that went, by day (or name, where
    they are of no day), each with its cause.
    """

    names: tuple[str, ...]
    replaced_foreign: tuple[str, ...]
    held: tuple[str, ...]
    removed: tuple[tuple[str, Cause], ...]


def publish(stage: Stage, output: Output, made: dict[str, MadeDay], context: set[str], *, keep: bool) -> Published:
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
    # what is there to publish, and with which bytes
    manifest, unchanged = output.manifest, f"nothing was published; `{output.shown}` is unchanged"
    files = _staged_files(stage, output, made, context)
    hashes = {name: hash_of(stage.output_dir / name) for names in files.values() for name in names}
    if unread := [name for name, sha256 in hashes.items() if sha256 == UNREADABLE]:
        raise PublishError(Fault(f"the output `{unread[0]}` cannot be read", notes=(unchanged,)))

    # what of it moves, what goes, what stays
    owned = manifest.outputs
    same = {name: known for name in hashes if (known := _same(output, name, hashes[name], owned.get(name)))}
    before = manifest.days if WHOLE in made else {day: manifest.days[day] for day in made if day in manifest.days}
    made_now = results(hashes)
    held = _results_of(before) if keep and not made_now else {}
    old = [name for one in before.values() for name in one.outputs]
    moving = [name for name in hashes if name not in same]
    foreign = tuple(name for name in moving if name not in owned and os.path.lexists(output.folder / name))

    # the bytes are on the disk, then the intent, before the first name is changed: a power cut leaves no empty file
    try:
        for name in moving:
            flush_to_disk(stage.output_dir / name)
        output.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot publish to `{output.shown}`: {error.strerror}"
        raise PublishError(Fault(what, str(error.filename), notes=(unchanged,))) from error
    if moving:
        manifest.pending = {name: hashes[name] for name in moving}
        output.write_manifest()
        flush_to_disk(manifest_path(output.folder).parent)

    # each file is replaced in one step, so a reader meets the old one or the new one, never a part
    _move(stage.output_dir, output, moving)
    _remove(output, [name for name in old if name not in hashes and name not in owned_by(held)])

    # the manifest in memory says so
    records = dict(held)
    for day, names in files.items():
        outputs = {name: same.get(name) or KnownFile(stat=None, sha256=hashes[name]) for name in names}
        warning = made[day].warning if set(names) - set(made_now) else ""
        if day in held:
            outputs = {**held[day].outputs, **outputs}
            records[day] = held[day].model_copy(update={"outputs": outputs, "warning": warning})
        else:
            code = "" if day == WHOLE and held else made[day].code  # held: not what the folder was made by, so stale
            records[day] = made[day].model_copy(update={"outputs": outputs, "warning": warning, "code": code})
    manifest.days = dict(sorted({**({} if WHOLE in made else manifest.days), **records}.items()))
    manifest.unproven = {day: why for day, why in manifest.unproven.items() if day not in made and WHOLE not in made}
    manifest.pending = {}
    removed = () if held else tuple(_fewer(results(old), made_now))
    return Published(tuple(sorted(hashes)), foreign, tuple(held), removed)


def _staged_files(stage: Stage, output: Output, made: dict[str, MadeDay], context: set[str]) -> dict[str, list[str]]:
    """The names on the stage, by the day they are of."""
    stage.output_dir.chmod(0o700)  # whatever the treatment made of it
    files: dict[str, list[str]] = {day: [] for day in made}
    faults = []
    for name, kind in kinds_in(stage.output_dir).items():
        if name.startswith(".nfs"):  # what NFS leaves of a file that was removed while it was open
            continue
        day = WHOLE if WHOLE in made else day_of(name)
        fault = _name_fault(output, name, kind)
        if fault or day in made:
            faults += [fault] if fault else []
            files.setdefault(day, []).append(name)
        elif day not in context:
            faults.append(_day_fault(output, name, day, sorted(made)))
    if faults:
        raise PublishError(*faults)
    try:
        make_ordinary(stage)
    except OSError as error:
        raise PublishError(Fault(f"what it wrote cannot be read: {error.strerror}", str(error.filename))) from error
    return files


def _name_fault(output: Output, name: str, kind: str) -> Fault | None:
    unchanged = (f"nothing was published; `{output.shown}` is unchanged",)
    if kind != "file":
        hint = "leave regular files only, in no sub-folder"
        return Fault(f"the treatment left a {kind} in its output: `{name}`", notes=unchanged, hint=hint)
    if os.path.isdir(output.folder / name) and not os.path.islink(output.folder / name):
        what = f"the output `{name}` would replace a folder"
        return Fault(what, f"{output.shown}/{name}", notes=unchanged, hint="move that folder away")
    return None


def _day_fault(output: Output, name: str, day: str, asked: list[str]) -> Fault:
    what = f"the treatment left a file of {f'the day {day}' if day else 'no day'}: `{name}`"
    asked_for = f"it was run for {asked[0]}" + (f" to {asked[-1]}" if len(asked) > 1 else "")
    why = f"{asked_for}; with `days` declared, each output belongs to one of these days, by the date in its name"
    hint = "put its day in the name, as <domain>__<YYYY-MM-DD>.parquet; or remove `days` from treatment.json"
    return Fault(what, notes=(why, f"`{output.shown}` is unchanged for these days"), hint=hint)


def _same(output: Output, name: str, sha256: str, known: KnownFile | None) -> KnownFile | None:
    """What is known of the file in place, if it has these bytes already."""
    path = output.folder / name
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        return None
    if known and known.sha256 == sha256 and known.stat == stat_key(status):
        return known
    return KnownFile(stat=None, sha256=sha256) if hash_of(path) == sha256 else None


def owned_by(days: dict[str, MadeDay]) -> set[str]:
    """The outputs of days."""
    return {name for made in days.values() for name in made.outputs}


def _results_of(days: dict[str, MadeDay]) -> dict[str, MadeDay]:
    """Those days that have results, with nothing else."""
    found = {}
    for day, made in days.items():
        if names := results(made.outputs):
            found[day] = made.model_copy(update={"outputs": {name: made.outputs[name] for name in names}})
    return found


def _fewer(before: Iterable[str], after: list[str]) -> Iterator[tuple[str, Cause]]:
    """The results that went, of days that have fewer now; all files of no day count as those of one."""
    left = Counter(map(day_of, after))
    names = list(before)
    had = Counter(map(day_of, names))
    for name in sorted(set(names) - set(after)):
        day = day_of(name)
        if left[day] < had[day]:
            yield day or name, "the treatment made fewer" if left[day] else "the treatment made none"


def _move(staged: Path, output: Output, names: list[str]) -> None:
    """Put files of the stage in place."""
    moved = 0
    try:
        for name in names:
            os.replace(staged / name, output.folder / name)
            moved += 1
        if names:
            flush_to_disk(output.folder)
    except OSError as error:
        note = f"{moved} of {len(names)} files were put in place; run it again to complete them"
        raise _unpublished(output, error, note) from error


def _remove(output: Output, names: Iterable[str]) -> None:
    """Remove files from the output folder; a folder of such a name is not ours."""
    gone = False
    try:
        for name in names:
            if kind_of(output.folder / name) != "folder":
                (output.folder / name).unlink(missing_ok=True)
                gone = True
        if gone:
            flush_to_disk(output.folder)
    except OSError as error:
        raise _unpublished(output, error, "run it again to complete it") from error


def _unpublished(output: Output, error: OSError, note: str) -> PublishError:
    what = f"cannot publish to `{output.shown}`: {error.strerror}"
    return PublishError(Fault(what, str(error.filename2 or error.filename), notes=(note,)))


def flush_to_disk(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_pending(output: Output) -> None:
    """Remove the files that a killed run had put in place, where no day owns them."""
    manifest = output.manifest
    if not manifest.pending:
        return
    owned = manifest.outputs
    for name, sha256 in manifest.pending.items():
        path = output.folder / name
        if name not in owned and kind_of(path) == "file" and hash_of(path) == sha256:
            path.unlink()
    manifest.pending = {}
    output.write_manifest()


@dataclass
class Removal:
    """What one execution removes: results that are not made any more, or whose input is gone; never, unasked, all.

    While it is not sure that the folder will have results in the end, days that make none keep theirs (`held`: how they
    were made in truth). `removed` are the results that went, by day (or name, where of no day), with the cause.
    """

    output: Output
    plan: Plan
    prune: bool
    held: dict[str, MadeDay] = field(default_factory=dict)
    removed: list[tuple[str, Cause]] = field(default_factory=list)

    def __post_init__(self) -> None:
        days = self.output.manifest.days if self.plan.whole else ()
        self._at_risk = {*self.plan.stale, *self.plan.gone, *days}

    @property
    def unsure(self) -> bool:
        """Whether the folder may be left without results by what is yet to be made."""
        return not self._results_stay(self._at_risk)

    def note(self, days: list[str], made: dict[str, MadeDay], published: Published) -> list[str]:
        """Take note of what was published for `days`; those that are made now, and not held."""
        self.removed += published.removed
        self.held |= {day: made.get(day) or self.output.manifest.days[day] for day in published.held}
        done = [] if self.plan.whole and published.held else [day for day in days if day not in published.held]
        self._at_risk -= {*done}
        return done

    def settle(self, treatment: str) -> list[str]:
        """Remove what was held, and what is of days whose input is gone; the days that were held and are made now.

        Raises:
            PublishError: that would be all results there are, and nothing was removed; or a file cannot be.
        """
        days = self.output.manifest.days
        leaving = {day: days[day] for day in {*self.held, *self.plan.gone}}
        going = results(owned_by(leaving))
        if going and not self._results_stay(leaving):
            labels = in_words(sorted({day_of(name) or name for name in going}))
            why = "made none" if self.held else "has no input for them any more"
            what = f"`{self.output.shown}` would be left without any result, treatment `{treatment}` {why}: {labels}"
            hint = f"a wrong file name in its run.py, or in its params? if it is meant so, {letting_go()}"
            raise PublishError(Fault(what, notes=("nothing was withdrawn",), hint=hint))

        not_made = results(name for day in self.held for name in days[day].outputs)
        _remove(self.output, not_made)
        for day, made in self.held.items():  # recorded now as they were made: with what was set aside, and no more
            aside = {name: known for name, known in days[day].outputs.items() if name not in not_made}
            days[day] = made.model_copy(update={"outputs": aside})
        self.removed += [(day_of(name) or name, "the treatment made none") for name in not_made]

        gone = {day: days.pop(day) for day in self.plan.gone}
        withdrawn = sorted(owned_by(gone) - owned_by(days))
        _remove(self.output, withdrawn)
        self.removed += [(day_of(name) or name, "their input is gone") for name in results(withdrawn)]
        return list(self.held)

    def _results_stay(self, leaving: Iterable[str]) -> bool:
        """Whether the folder will have results whatever becomes of the days `leaving`; or need not have any."""
        days = {day: made for day, made in self.output.manifest.days.items() if day not in leaving}
        return self.prune or bool(results(owned_by(days)))
