"""Proves `days`: makes some days again, each from its own window alone, and once the whole folder; compares them.

In a chunk a treatment sees the files of its neighbours too, so one whose `days` say too little may publish what is
right, and change it the next time. Only this shows it, or a treatment that makes other bytes each time.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import closing

from pymyx.core.chunks import Chunks
from pymyx.core.errors import Fault, TreatmentError, as_unicode
from pymyx.core.incremental.files import day_of
from pymyx.core.incremental.manifest import WHOLE
from pymyx.core.incremental.plan import in_words, split
from pymyx.core.incremental.stage import staged
from pymyx.core.isolation.children import signals_held
from pymyx.core.isolation.failure import treatment_error
from pymyx.core.work import Here

Files = dict[str, str]  # name: sha256


def verify(chunks: Chunks) -> None:
    """Prove as many of the days that are up to date as is asked, those first that failed to be proven before.

    A failure is logged, and remembered for the status until these days are proven, or made again.

    Raises:
        TreatmentError: days differ, or the treatment failed.
    """
    step, output, show = chunks.step, chunks.output, chunks.listener.show
    name, whole_only = step.treatment.name, chunks.plan.whole
    if step.treatment.allow.network:
        show(f"note: `{name}` may use the network (allow.network): it is not run again to verify it\n")
        return
    days = _drawn(chunks)
    if not days:
        show(f"note: `{output.shown}` has no day to verify: none that is up to date has files\n")
        return
    started, wrong = time.monotonic(), days
    try:
        with signals_held():
            alone = {} if whole_only else {day: _made_again(chunks, day).get(day, {}) for day in days}
            alone_s = time.monotonic() - started
            from_whole = _made_again(chunks, WHOLE)
        took = f"the whole folder took {time.monotonic() - started - alone_s:.1f} s"
        took = took if whole_only else f"{took}, each day alone {alone_s / len(days):.1f} s"
        faults, wrong = _compared(chunks, alone, {day: from_whole.get(day, {}) for day in days}, took)
        if faults:
            raise TreatmentError(*faults, treatment=name)
    except TreatmentError as error:
        output.manifest.unproven |= dict.fromkeys(wrong, as_unicode(error.headline))
        chunks.log_error(error.headline, started)
        raise
    if output.manifest.unproven:
        output.manifest.unproven = {day: why for day, why in output.manifest.unproven.items() if day not in days}
        output.write_manifest()
    how = "made again from the whole folder" if whole_only else "made again alone and from the whole folder"
    show(f"note: {how}, the same: {in_words(days)} ({took})\n")


def _drawn(chunks: Chunks) -> list[str]:
    """The days to prove: all that failed to be, then at random, those first that a run of all has at a chunk's edge."""
    manifest, plan, options = chunks.output.manifest, chunks.plan, chunks.options
    sure = [
        day
        for day, made in manifest.days.items()
        if day in plan.windows
        and day not in {*plan.orphans, *plan.left}
        and (day == WHOLE or made.outputs or day in map(day_of, made.inputs))
    ]
    if not sure:
        return []
    edges = {edge for run in split(sure, options.children, chunks.day_s) for edge in (run[0], run[-1])}
    in_order = sorted(random.sample(sure, len(sure)), key=lambda day: (day not in manifest.unproven, day not in edges))
    failed = [day for day in sure if day in manifest.unproven]
    return sorted(in_order[: max(options.verify, len(failed))])


def _made_again(chunks: Chunks, day: str) -> dict[str, Files]:
    """The files that come of the window of a day alone, or of the whole folder, by the day they are of.

    Raises:
        TreatmentError: the treatment failed.
        PublishError: what it left cannot be read.
    """
    step, plan, output, whole = chunks.step, chunks.plan, chunks.output, day == WHOLE
    names = None if whole else chunks.facts.on_disk(plan.windows[day])
    if whole and (unseen := chunks.facts.odd.keys() | {*chunks.facts.on_disk(plan.shrunk)}):
        names = sorted({*os.listdir(step.input_dir)} - unseen)
    show = chunks.listener.show
    with (
        staged(output.path.parent, output.shown) as stage,
        closing(Here(output.lock, lambda: None, 3600, show)) as children,
    ):
        # no places: what it reads was hashed by the run
        children.start(chunks.work_on(stage, {}, names, None if whole else [day], 1))
        work, done = children.wait()
    if not done.left:
        what = "its whole folder" if whole else f"{day} alone"
        unchanged = f"it was run from {what} to verify `{output.shown}`, which is left as it is"
        raise treatment_error(step, work.terms, done.ending, done.took_s, unchanged)
    files: dict[str, Files] = {}
    for name, kind in done.left.kinds.items():
        files.setdefault(WHOLE if plan.whole else day_of(name), {})[name] = done.left.hashes.get(name, kind)
    return files


def _compared(
    chunks: Chunks, alone: dict[str, Files], whole: dict[str, Files], took: str
) -> tuple[list[Fault], list[str]]:
    """What is wrong, and with which days: made alone otherwise than from the whole folder, or published otherwise."""
    name, shown, days = chunks.step.treatment.name, chunks.output.shown, chunks.output.manifest.days
    published = {day: {file: known.sha256 for file, known in days[day].outputs.items()} for day in whole}
    too_little = [day for day in alone if alone[day] != whole[day]]
    otherwise = [day for day in whole if day not in too_little and published[day] != whole[day]]
    notes, faults = ("what is published is left as it is", took), []
    if too_little:
        what = f"treatment `{name}` makes other files from the window of a day than from the whole folder"
        where = f"{shown}/{_first(alone, whole, too_little)}"
        hint = f"say more in `days` of treatments/{name}/treatment.json, or see what it does at random"
        faults.append(Fault(f"{what}: {in_words(too_little)}", where, notes=notes, hint=hint))
    if otherwise:
        what = f"treatment `{name}` makes other files now than are published: {in_words(otherwise)}"
        hint = "see what it does at random, or by the time; after an upgrade of a library, make all again with --force"
        faults.append(Fault(what, f"{shown}/{_first(published, whole, otherwise)}", notes=notes, hint=hint))
    return faults, sorted([*too_little, *otherwise])


def _first(these: dict[str, Files], those: dict[str, Files], days: list[str]) -> str:
    """The name of the first file that differs."""
    return min(file for file, _ in these[days[0]].items() ^ those[days[0]].items())
