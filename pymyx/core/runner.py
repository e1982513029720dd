"""Runs one treatment: checks everything, plans, then `start`, children, publishing, `success` or `error`.

python -m pymyx.core.runner --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli.main import main

    main("runner")

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymyx.core.chunks import Chunks
from pymyx.core.contract.run_py import is_stub
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import (
    Fault,
    Interrupted,
    LateDataError,
    PymyxError,
    TreatmentError,
    UsageError,
    as_unicode,
    counted,
    first_of,
)
from pymyx.core.incremental.files import ENDINGS, day_of, unread_files
from pymyx.core.incremental.lock import locked, network_disk
from pymyx.core.incremental.manifest import LastSuccess, Manifest, Output
from pymyx.core.incremental.plan import MOST_NAMED, Plan, in_words, late_faults, plan_step
from pymyx.core.incremental.publish import clear_pending
from pymyx.core.isolation.children import signals_held
from pymyx.core.logger import log_event, now
from pymyx.core.options import Listener, Options, options_and_listener
from pymyx.core.project import AnyPath, find_project, folders_of
from pymyx.core.validator import load_step
from pymyx.core.verify import verify
from pymyx.core.work import versions


@dataclass(frozen=True)
class Result:
    """One step that is up to date now.

    `days` are those that were made (`whole` for a whole folder; none when it was up to date before), `files` the
    names of the files that were published; `cpu_s` is what the treatment and all it started used of the
    processors, `peak_mb` the highest memory of one of its processes; a `stub` is a treatment that does nothing yet.
    """

    treatment: str
    input_dir: str
    output_dir: str
    duration_ms: int
    days: tuple[str, ...]
    files: tuple[str, ...]
    cpu_s: float
    peak_mb: int
    plan: Plan
    stub: bool = False


def run_treatment(
    name: str,
    input_dir: AnyPath,
    output_dir: AnyPath,
    params: dict[str, Any] | None = None,
    *,
    root: AnyPath | None = None,
    data: AnyPath | None = None,
    **options: Any,
) -> Result:
    """Run the treatment `treatments/<name>/` of the project at `root` (default: around the working directory).

    It reads `input_dir` and its files appear in `output_dir` only if it succeeds (both are named from `data`, when that
    is given, as in a flow; else from the working directory); `params` go over its defaults. Only
    the days whose input, params, code or outputs changed are made again. `options` are those of
    `pymyx.core.options.Options` and `Listener`.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run, no event was logged.
        BusyError: another run holds the output folder; nothing was run.
        TreatmentError: it raised, crashed, or ended before `run` returned; the days that failed are as they were.
        PublishError: what it left cannot be published.
        LateDataError: there is new input for days whose other input files were archived.
    """
    chosen, listener = options_and_listener(options)
    step = load_step(find_project(root, data=data), name, folders_of(input_dir, output_dir, data), params or {})
    with locked(step, force=chosen.force) as output, connected(chosen, listener) as reached:
        return execute(step, output, reached, listener)


def connected(options: Options, listener: Listener) -> AbstractContextManager[Options]:
    """The options with the executor at their address, if they have one; nothing of it is imported unless asked for.

    Raises:
        UsageError: nobody answers there.
    """
    if not isinstance(options.executor, str):
        return nullcontext(options)
    from pymyx.core import engine

    return engine.connected(options, listener)


@dataclass(frozen=True)
class Planned:
    """What a run would do for a step, now; `plan` is None where the folder it reads is yet to be written.

    `may_change`: the steps before it have something to do, so it may have more to do than its plan tells.
    """

    treatment: str
    input_dir: str
    output_dir: str
    plan: Plan | None
    may_change: bool = False


def plan_treatment(
    name: str,
    input_dir: AnyPath,
    output_dir: AnyPath,
    params: dict[str, Any] | None = None,
    *,
    root: AnyPath | None = None,
    data: AnyPath | None = None,
    **options: Any,
) -> Planned:
    """What `run_treatment` would do; nothing is run, locked or written.

    Raises:
        UsageError: as `run_treatment`.
    """
    chosen, _ = options_and_listener(options)
    step = load_step(find_project(root, data=data), name, folders_of(input_dir, output_dir, data), params or {})
    return Planned(name, step.input_shown, step.output_shown, plan_step(step, chosen.choice)[1])


def execute(step: Step, output: Output, options: Options, listener: Listener) -> Result:
    """Run a checked step, from what it finds to what it leaves; the caller holds the lock of its `output` folder.

    plan_step > clear_pending > tell > start event > Chunks.make > manifest > success or error event > verify
    """
    # what there is, and what is to be done; what a killed run had put in place, and no day owns, goes first
    name, shown, manifest = step.treatment.name, output.shown, output.manifest
    facts, plan = plan_step(step, options.choice, manifest)
    if manifest.pending:
        clear_pending(output)
    day_s = manifest.last_success.day_s if manifest.last_success else 0.0
    log = partial(log_event, step.project.log, treatment=name, input_dir=step.input_shown, output_dir=shown)
    chunks = Chunks(step, facts, plan, output, options, listener, log, day_s)
    _tell_of_plan(chunks)
    duration_ms = 0

    if plan.idle:
        # all is up to date: an earlier error holds no more, and stats that are new need not be read next time
        healed = manifest.last_error is not None and not (plan.left or plan.late or plan.shrunk)
        manifest.last_error = None if healed else manifest.last_error
        if not manifest.is_new and (facts.remember(manifest, plan.shrunk) or healed):
            output.write_manifest()
    else:
        manifest.days = plan.made
        facts.remember(manifest, plan.shrunk)
        with signals_held():  # one strikes while children are waited for, never in the middle of publishing
            try:
                log(status="start")
            except PymyxError as error:
                raise UsageError(*error.faults) from error
            started = time.monotonic()
            try:
                chunks.make()
                duration_ms = round((time.monotonic() - started) * 1000)
                manifest.last_error = None
                manifest.last_success = LastSuccess(
                    ts=now(), duration_ms=duration_ms, versions=versions(), day_s=chunks.day_s
                )
                output.write_manifest()
                if failure := set_aside_only(step, manifest):
                    raise failure
            except Interrupted as error:
                interrupted = Interrupted(error.signum, _so_far(chunks))
                _end_in_error(interrupted, chunks, started)
                raise interrupted from None
            except BaseException as error:
                _end_in_error(error, chunks, started)
                raise
            log(status="success", duration_ms=duration_ms)
        foreign = [file for one in chunks.published for file in one.replaced_foreign]
        if foreign:
            what = f"{counted(len(foreign), 'file')} that no run owned in `{shown}` replaced, first: {foreign[0]}"
            listener.show(f"note: {what}\n")

    # what no success may hide: `days` that say too little, archived input, a folder that only holds rejects
    if options.verify:
        verify(chunks)
    if plan.late or plan.shrunk:
        raise LateDataError(*late_faults(step, plan))
    if plan.idle and (failure := set_aside_only(step, manifest)):  # who made something has asked
        raise failure
    files = tuple(sorted(file for one in chunks.published for file in one.names))
    made = (duration_ms, tuple(sorted(chunks.days)), files, chunks.cpu_s, chunks.peak_mb)
    return Result(name, step.input_shown, shown, *made, plan, is_stub(step.code_dir / "run.py"))


def _end_in_error(error: BaseException, chunks: Chunks, started: float) -> None:
    """Log and remember why an execution failed."""
    headline = error.headline if isinstance(error, PymyxError) else f"{type(error).__name__}: {error}"
    if isinstance(error, KeyboardInterrupt):
        headline = "interrupted (SIGINT)"
    chunks.output.manifest.last_error = as_unicode(headline)
    chunks.log_error(headline, started)


def set_aside_only(step: Step, manifest: Manifest) -> TreatmentError | None:
    """The error of a folder that owns files set aside and no others: the step has failed, whatever it says."""
    names = manifest.set_aside_only
    if not names:
        return None
    first = next((made.warning for _, made in sorted(manifest.days.items()) if made.warning), "")
    what = f"treatment `{step.treatment.name}` made no result, it set all aside{first and f': {first}'}"
    verb = "tells" if len(names) == 1 else "tell"
    note = f"{counted(len(names), 'file')} set aside in `{step.output_shown}` {verb} more"
    fault = Fault(what, f"{step.output_shown}/{names[0]}", notes=(note,))
    return TreatmentError(fault, treatment=step.treatment.name)


def _so_far(chunks: Chunks) -> str:
    """How far a run came that was interrupted."""
    if not chunks.days:
        return f"nothing was published; `{chunks.step.output_shown}` is unchanged"
    made, stale = chunks.plan.counted(chunks.days), chunks.plan.counted(chunks.plan.stale)
    others = chunks.left_as_it_was([day for day in chunks.plan.stale if day not in chunks.days])
    return "; ".join([f"{len(made)} of {len(stale)} days were published", *others])


def _tell_of_plan(chunks: Chunks) -> None:
    """Say what the user should know before a plan is carried out."""
    facts, plan, options, listener = chunks.facts, chunks.plan, chunks.options, chunks.listener
    source, shown, notes = chunks.step.input_shown, chunks.output.shown, []
    if chunks.output.manifest.is_new and chunks.output.path.exists():
        notes.append(f"the manifest of `{shown}` is damaged, all is made again: {chunks.output.path}")
    for name, why in facts.odd.items():
        listener.show(f"warning: `{source}/{name}` is passed over: {why}\n")
    of_csv = chunks.step.treatment.input.format == "csv"
    if of_csv and (unread := unread_files(chunks.step.input_dir, ENDINGS["csv"])):
        names = first_of(unread, MOST_NAMED)
        notes.append(f"not read in `{source}`, where files of csv end with .csv, .tsv or .dat: {names}")
    for name, (before, now_) in facts.smaller.items():
        if not day_of(name):
            listener.show(f"warning: `{source}/{name}` is smaller than before: {before} bytes then, {now_} now\n")
    if edited := [day for day, reason in plan.stale.items() if reason == "output changed"]:
        notes.append(f"files in `{shown}` are not as they were published, made again: {in_words(edited)}")
    if plan.whole and plan.stale and (options.from_ or options.to):
        notes.append("it looks at its whole folder, so it runs over the whole, whatever --from and --to say")
    if plan.undated:
        names = first_of(plan.undated, MOST_NAMED)
        notes.append(f"it runs over the whole folder while input files are of no day: {names}")
    if plan.orphans:
        what = f"`{shown}` keeps what was made from archived input files"
        notes.append(f"{what} (orphan): {in_words(list(plan.orphans))}")
    if plan.unowned:
        what = f"`{shown}` keeps files that no run made, as far as is known"
        notes.append(f"{what} (orphan): {in_words(list(plan.unowned))}")
    for note in notes:
        listener.show(f"note: {note}\n")
    if kind := network_disk(chunks.output.folder):
        listener.show_once(f"on a network disk ({kind}) locks and file times may be weaker: run it from one machine")
