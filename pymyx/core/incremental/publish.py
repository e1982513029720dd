"""Moves what a child left on its stage into place, file by file, and remembers it in the manifest.

First the intent is written down, then each file is put in place by one atomic rename, then the manifest is
replaced. A run that is killed in between is seen by the next one: what was put in place and is owned by no
day is removed, a day whose files are not those it was recorded with is made again.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pymyx.core.errors import Fault, PublishError, letting_go
from pymyx.core.incremental.files import UNREADABLE, day_of, hash_of, hashes_of, stat_key
from pymyx.core.incremental.manifest import WHOLE, KnownFile, MadeDay, Output, results
from pymyx.core.incremental.plan import Plan, in_words
from pymyx.core.incremental.stage import kind_of, left_on

Cause = Literal["the treatment made none", "the treatment made fewer", "their input is gone"]


@dataclass(frozen=True)
class Published:
    """What was published."""

    names: tuple[str, ...]  # of the files
    replaced_foreign: tuple[str, ...]  # those of the names where a file lay that no run owned
    days: tuple[str, ...]  # that are made now


@dataclass(frozen=True)
class Left:
    """What a child left in `folder`: the kind of each thing by name, of each file its sha256 and size in bytes."""

    folder: Path
    kinds: dict[str, str]
    hashes: dict[str, str]
    sizes: dict[str, int]


def take_stock(folder: Path, file_mode: int) -> Left:
    """See what a child left, give its files their mode, and flush them: a power cut then leaves no empty file.

    Raises:
        PublishError: some of it cannot be read, or is not on the disk.
    """
    try:
        kinds = left_on(folder, file_mode)
        files = {name: str(folder / name) for name, kind in kinds.items() if kind == "file"}
        hashes = hashes_of(files)
        for place in files.values():
            flush_to_disk(place)
        sizes = {name: os.path.getsize(place) for name, place in files.items()}
    except OSError as error:
        what = f"what it wrote cannot be read, or kept: {error.strerror}"
        raise PublishError(Fault(what, str(error.filename or folder))) from error
    return Left(folder, kinds, hashes, sizes)


def publish(left: Left, removal: Removal, made: dict[str, MadeDay], context: set[str]) -> Published:
    """Publish the files of the days `made`, and record them with their outputs; drop those of `context` days.

    The manifest is brought up to date in memory; until the caller writes it, the intent on the disk stands for it.

    Everything that can be found wrong is found before the first file is moved. A file of the same name is replaced, or
    left alone where it has the same bytes; old outputs of these days that are no longer made are removed; no
    other file is touched. `whole` stands for all days there are. Where no result was made at all, and the folder may
    be left with none, old results stay, and their days stay recorded as they were made: stale; the `removal` holds
    them. Files set aside are published all the same.

    Raises:
        PublishError: what was left holds something that is not a regular file, or of a day that was not asked for; or a
            file cannot be put in place.
    """
    # what is there to publish, and with which bytes
    output, manifest = removal.output, removal.output.manifest
    unchanged = f"nothing was published; `{output.shown}` is unchanged"
    files = _by_day(output, left.kinds, made, context)
    hashes = {name: left.hashes[name] for names in files.values() for name in names}
    if unread := [name for name, sha256 in hashes.items() if sha256 == UNREADABLE]:
        raise PublishError(Fault(f"the output `{unread[0]}` cannot be read", notes=(unchanged,)))

    # what of it moves, what goes, what stays
    owned = manifest.outputs
    same = {name: known for name in hashes if (known := _same(output.folder / name, hashes[name], owned.get(name)))}
    moving = [name for name in hashes if name not in same]
    foreign = tuple(name for name in moving if name not in owned and os.path.lexists(output.folder / name))
    before = manifest.days if WHOLE in made else {day: manifest.days[day] for day in made if day in manifest.days}
    old = [name for one in before.values() for name in one.outputs]
    made_now = results(hashes)
    held: dict[str, MadeDay] = {}
    for day, one in before.items() if not made_now and removal.unsure else ():
        if names := results(one.outputs):
            held[day] = one.model_copy(update={"outputs": {name: one.outputs[name] for name in names}})

    try:
        output.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unpublished(output, error, unchanged) from error
    # the intent is on the disk, with its name, as the bytes are: a kill then shows which files are half a day's
    if moving:
        manifest.pending = {name: hashes[name] for name in moving}
        output.write_manifest()
        flush_to_disk(output.path.parent)

    # each file is replaced in one step, so a reader meets the old one or the new one, never a part
    moved = 0
    try:
        for name in moving:
            os.replace(left.folder / name, output.folder / name)
            moved += 1
        if moving:
            flush_to_disk(output.folder)  # a manifest that outlived these names would have them made again
    except OSError as error:
        note = f"{moved} of {len(moving)} files were put in place; run it again to complete them"
        raise _unpublished(output, error, note) from error
    # after the new ones: a kill in between leaves a file too many, never a day without any
    _remove(output, {*old} - hashes.keys() - owned_by(held))

    # the manifest in memory says so
    records = dict(held)
    for day, names in files.items():
        # no stat: it is racy now; the next look hashes the file once, and remembers its stat
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

    # which results went, of days that have fewer now; all files of no day count as those of one
    removal.held |= {day: made.get(day) or records[day] for day in held}
    if old and not held:
        has, had = Counter(map(day_of, made_now)), Counter(map(day_of, results(old)))
        for name in sorted({*results(old)} - {*made_now}):
            if has[day := day_of(name)] < had[day]:
                why: Cause = "the treatment made fewer" if has[day] else "the treatment made none"
                removal.removed.append((day or name, why))
    days = () if WHOLE in made and held else tuple(day for day in made if day not in held)
    removal.done |= {*days}
    return Published(tuple(sorted(hashes)), foreign, days)


def _by_day(output: Output, kinds: dict[str, str], made: dict[str, MadeDay], context: set[str]) -> dict[str, list[str]]:
    """The names on the stage, by the day that they belong to."""
    files: dict[str, list[str]] = {day: [] for day in made}
    faults, asked = [], sorted(made)
    unchanged = (f"nothing was published; `{output.shown}` is unchanged",)
    for name, kind in kinds.items():
        day = WHOLE if WHOLE in made else day_of(name)
        place = output.folder / name
        if kind != "file":
            what = f"the treatment left a {kind} in its output: `{name}`"
            faults.append(Fault(what, notes=unchanged, hint="leave regular files only, in no sub-folder"))
        elif os.path.isdir(place) and not os.path.islink(place):  # a rename would replace the link to one
            what, where = f"the output `{name}` would replace a folder", f"{output.shown}/{name}"
            faults.append(Fault(what, where, notes=unchanged, hint="move that folder away"))
        elif day in made:
            files[day].append(name)
        elif day not in context:  # it saw the files of these days, and cannot know that it was not asked for them
            what = f"the treatment left a file of {f'the day {day}' if day else 'no day'}: `{name}`"
            why = f"it was run for {asked[0]}" + (f" to {asked[-1]}" if len(asked) > 1 else "")
            why += "; with `days` declared, each output belongs to one of these days, by the date in its name"
            hint = "put its day in the name, as <domain>__<YYYY-MM-DD>.parquet; or remove `days` from treatment.json"
            faults.append(Fault(what, notes=(why, f"`{output.shown}` is unchanged for these days"), hint=hint))
    if faults:
        raise PublishError(*faults)
    return files


def _same(path: Path, sha256: str, known: KnownFile | None) -> KnownFile | None:
    """What is known of the file in place, if it has these bytes already."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    # a link to the same bytes, or a second name of them, is replaced: they could be changed through another path
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        return None
    if known and known.sha256 == sha256 and known.stat == stat_key(status):
        return known
    return KnownFile(stat=None, sha256=sha256) if hash_of(path) == sha256 else None


def owned_by(days: dict[str, MadeDay]) -> set[str]:
    """The outputs of days."""
    return {name for made in days.values() for name in made.outputs}


def _remove(output: Output, names: Iterable[str]) -> None:
    """Remove files from the output folder."""
    gone = False
    try:
        for name in names:
            if kind_of(output.folder / name) != "folder":  # no run published a folder
                (output.folder / name).unlink(missing_ok=True)
                gone = True
        if gone:
            flush_to_disk(output.folder)  # else a power cut brings a file back that no day owns any more
    except OSError as error:
        raise _unpublished(output, error, "run it again to complete it") from error


def _unpublished(output: Output, error: OSError, note: str) -> PublishError:
    what = f"cannot publish to `{output.shown}`: {error.strerror}"
    return PublishError(Fault(what, str(error.filename2 or error.filename or output.folder), notes=(note,)))


def flush_to_disk(path: str | os.PathLike[str]) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_pending(output: Output) -> None:
    """Remove the files that a killed run had put in place, where no day owns them."""
    manifest = output.manifest
    owned = manifest.outputs
    for name, sha256 in manifest.pending.items():
        path = output.folder / name
        # with other bytes it is another's: it was there before, or was put there since
        if name not in owned and kind_of(path) == "file" and hash_of(path) == sha256:
            path.unlink()
    manifest.pending = {}
    output.write_manifest()


@dataclass
class Removal:
    """What one execution removes: results that are not made any more, or whose input is gone; never, unasked, all.

    While it is not sure that the folder will have results in the end, days that make none keep theirs.
    """

    output: Output
    plan: Plan
    prune: bool
    done: set[str] = field(default_factory=set)  # the days that are made
    held: dict[str, MadeDay] = field(default_factory=dict)  # days that keep what they had: how they were made in truth
    removed: list[tuple[str, Cause]] = field(default_factory=list)  # results that went, by day, or name where of no day

    @property
    def unsure(self) -> bool:
        """Whether the folder may be left without results by what is yet to be made."""
        days = self.output.manifest.days if self.plan.whole else ()
        return not self._results_stay({*self.plan.stale, *self.plan.gone, *days} - self.done)

    def settle(self, treatment: str) -> list[str]:
        """Remove what was held, and what is of days whose input is gone; the days that were held and are made now.

        Raises:
            PublishError: that would be all results there are, and nothing was removed; or a file cannot be.
        """
        if not self.held and not self.plan.gone:
            return []
        days = self.output.manifest.days
        leaving = {day: days[day] for day in {*self.held, *self.plan.gone}}
        going = results(owned_by(leaving))
        # a folder that loses all at once is a wrong file name more often than it is meant
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
        withdrawn = sorted(owned_by(gone) - owned_by(days))  # what another day makes too is still its own
        _remove(self.output, withdrawn)
        self.removed += [(day_of(name) or name, "their input is gone") for name in results(withdrawn)]
        return list(self.held)

    def _results_stay(self, leaving: Iterable[str]) -> bool:
        """Whether the folder will have results whatever becomes of the days `leaving`; or need not have any."""
        days = {day: made for day, made in self.output.manifest.days.items() if day not in leaving}
        return self.prune or bool(results(owned_by(days)))
