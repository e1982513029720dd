"""Runs one treatment: checks everything, plans, then `start`, children, publishing, `success` or `error`.

python -m pymyx.core.runner --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli.main import main

    main("runner")

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pymyx.core.chunks import Batch
from pymyx.core.contract.models import Days
from pymyx.core.contract.run_py import is_stub
from pymyx.core.contract.treatment import CheckedStep, load_treatment, merge_params
from pymyx.core.errors import Interrupted, PublishError, PymyxError, TreatmentError, UsageError
from pymyx.core.incremental.facts import Survey, survey
from pymyx.core.incremental.lock import locked
from pymyx.core.incremental.manifest import Manifest
from pymyx.core.incremental.plan import Plan, by_day
from pymyx.core.incremental.publish import Target, clear_pending
from pymyx.core.isolation.children import signals_held
from pymyx.core.logger import as_unicode, log_event
from pymyx.core.notes import late_data, set_aside_only, so_far, tell_beforehand, tell_of_removed, tell_of_taken
from pymyx.core.options import Options
from pymyx.core.places import check_input, check_output
from pymyx.core.project import Project, absolute, find_project, see_that_it_is_named
from pymyx.core.record import headline, record_failure, record_success, remember_stats
from pymyx.core.validator import check_grants
from pymyx.core.verify import verify


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
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Result:
    """Run the treatment `treatments/<name>/` of the project at `root` (default: around the working directory).

    It reads `input_dir` and its files appear in `output_dir` only if it succeeds (both are named from `data`, when that
    is given, as in a flow; else from the working directory); `params` go over its defaults. Only
    the days whose input, params, code or outputs changed are made again. `options` are those of
    `pymyx.core.options.Options`.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run, no event was logged.
        BusyError: another run holds the output folder; nothing was run.
        TreatmentError: it raised, crashed, or ended before `run` returned; the days that failed are as they were.
        PublishError: what it left cannot be published.
        LateDataError: there is new input for days whose other input files were archived.
    """
    chosen = Options(**options)
    project = find_project(root, data=data)
    step = checked_step(project, name, *_named_from(data, input_dir, output_dir), params or {})
    with locked(step.output_dir, project.shown(step.output_dir)) as lock:
        return execute(project, step, options=chosen, lock=lock)


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
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Planned:
    """What `run_treatment` would do; nothing is run, locked or written.

    Raises:
        UsageError: as `run_treatment`.
    """
    chosen = Options(**options)
    project = find_project(root, data=data)
    step = checked_step(project, name, *_named_from(data, input_dir, output_dir), params or {})
    return Planned(name, *folders_of(project, step), survey(project, step, chosen.choice).plan)


def _named_from(
    data: str | os.PathLike[str] | None, input_dir: str | os.PathLike[str], output_dir: str | os.PathLike[str]
) -> tuple[str | os.PathLike[str], str | os.PathLike[str]]:
    """Input and output folder, as they are named from the data root, where one is given."""
    see_that_it_is_named("input", input_dir)
    see_that_it_is_named("output", output_dir)
    return (input_dir, output_dir) if data is None else (absolute(data) / input_dir, absolute(data) / output_dir)


def checked_step(
    project: Project,
    name: str,
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any],
) -> CheckedStep:
    """A run of one treatment as a step, checked wholly; see `run_treatment`."""
    treatment = load_treatment(project, name)
    step = CheckedStep(treatment, absolute(input_dir), absolute(output_dir), merge_params(treatment, params, "params"))
    check_input(project, step.input_dir)
    check_output(project, step.input_dir, step.output_dir)
    check_grants(project, step)
    return step


def execute(project: Project, step: CheckedStep, *, options: Options, lock: int) -> Result:
    """Run a checked step; `lock` is the descriptor of its output folder's lock, which the caller holds."""
    found = survey(project, step, options.choice)
    target, plan, folders = _target(project, step, found), found.plan, folders_of(project, step)
    clear_pending(target)
    tell_beforehand(found, folders[0], target, options)
    stub = is_stub(project.treatments / step.treatment.name / "run.py")
    result = Result(step.treatment.name, *folders, 0, (), (), 0.0, 0, plan, stub)
    if plan.idle:
        remember_stats(target, found)
    else:
        try:
            result = replace(_make(project, step, found, target, plan, options, lock), stub=stub)
        except (TreatmentError, PublishError) as error:
            error.faults += late_data(plan, *folders).faults
            raise
    if options.verify:
        verify(project, step, target, plan, options, lock)
    if plan.late or plan.shrunk:
        raise late_data(plan, *folders)
    if failure := set_aside_only(step.treatment.name, target.manifest, target.shown):  # of an earlier run
        raise failure
    return result


def _make(
    project: Project,
    step: CheckedStep,
    found: Survey,
    target: Target,
    plan: Plan,
    options: Options,
    lock: int,
) -> Result:
    """Make what is stale, between `start` and `success` or `error`."""
    folders = folders_of(project, step)
    log = partial(log_event, project.log, treatment=step.treatment.name, input_dir=folders[0], output_dir=folders[1])
    if not plan.whole:
        target.manifest.days = by_day(target.manifest.days, step.treatment.days or Days(before=0, after=0))
    found.remember(target.manifest)
    batch = Batch(project, step, found.facts, plan, target, options, lock, found.odd)
    with signals_held():
        try:
            log(status="start")
        except PymyxError as error:
            raise UsageError(*error.faults) from error
        clock = Stopwatch()
        try:
            try:
                batch.run()
            finally:
                tell_of_removed(batch.removal.removed, options)
            record_success(target, clock.elapsed_ms)
            if failure := set_aside_only(step.treatment.name, target.manifest, target.shown):
                raise failure
        except BaseException as error:
            if isinstance(error, Interrupted):
                error.note(so_far(batch.days, plan, target))
            _log_error(log, error, clock.elapsed_ms)
            record_failure(target, error)
            raise
        duration_ms = clock.elapsed_ms
        log(status="success", duration_ms=duration_ms)
    files = tuple(name for one in batch.published for name in one.names)
    tell_of_taken([name for one in batch.published for name in one.taken], target, options)
    return Result(
        step.treatment.name,
        *folders,
        duration_ms,
        tuple(sorted(batch.days)),
        tuple(sorted(files)),
        batch.cpu_s,
        batch.peak_mb,
        plan,
    )


def folders_of(project: Project, step: CheckedStep) -> tuple[str, str]:
    """Input and output folder of a step, as messages name them."""
    return project.shown(step.input_dir), project.shown(step.output_dir)


def _target(project: Project, step: CheckedStep, found: Survey) -> Target:
    folders = folders_of(project, step)
    manifest = found.facts.manifest or Manifest(treatment=step.treatment.name, input_dir=as_unicode(folders[0]))
    return Target(step.output_dir, folders[1], manifest)


class Stopwatch:
    """Milliseconds since it was made, by a clock that nobody sets."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def elapsed_ms(self) -> int:
        """Whole milliseconds."""
        return round((time.monotonic() - self._started) * 1000)


def _log_error(log: Callable[..., None], error: BaseException, duration_ms: int) -> None:
    """Log the end of an execution that failed; that it cannot be logged does not hide why it failed."""
    try:
        log(status="error", duration_ms=duration_ms, error=headline(error))
    except PymyxError as unlogged:
        if isinstance(error, PymyxError):
            error.faults += unlogged.faults
