"""Runs one treatment: checks everything, plans, then `start`, children, publishing, `success` or `error`.

python -m pymyx.core.runner --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli import main

    main("runner")

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from pymyx.core.batch import Batch
from pymyx.core.errors import Interrupted, PublishError, PymyxError, TreatmentError, UsageError
from pymyx.core.isolation import signals_held
from pymyx.core.lock import locked
from pymyx.core.logger import as_unicode, log_event, now
from pymyx.core.manifest import Manifest, Success, manifest_path, write_manifest
from pymyx.core.models import Days
from pymyx.core.notes import late_data, set_aside_only, so_far, tell_beforehand, tell_of_removed, tell_of_taken
from pymyx.core.options import Options
from pymyx.core.plan import Plan, by_day
from pymyx.core.project import Project, absolute, find_project
from pymyx.core.publish import Target, clear_pending
from pymyx.core.survey import Survey, survey
from pymyx.core.treatments import load_treatment, merge_params
from pymyx.core.validator import CheckedStep, check_grants, check_input, check_output
from pymyx.core.verify import verify

LIBRARIES = ("pymyx", "numpy", "pandas", "pyarrow")  # whose versions are recorded, not signed


@dataclass(frozen=True)
class Result:
    """One step that is up to date now.

    `days` are those that were made (`whole` for a whole folder; none when it was up to date before), `files` the
    names of the files that were published; `cpu_s` is what the treatment and all it started used of the
    processors, `peak_mb` the highest memory of one of its processes.
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


def run_treatment(
    name: str,
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Result:
    """Run the treatment `treatments/<name>/` of the project at `root` (default: around the working directory).

    It reads `input_dir` and its files appear in `output_dir` only if it succeeds; `params` go over its defaults. Only
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
    project = find_project(root)
    step = checked_step(project, name, input_dir, output_dir, params or {})
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
    **options: Any,
) -> Planned:
    """What `run_treatment` would do; nothing is run, locked or written.

    Raises:
        UsageError: as `run_treatment`.
    """
    chosen = Options(**options)
    project = find_project(root)
    step = checked_step(project, name, input_dir, output_dir, params or {})
    return Planned(name, *folders_of(project, step), survey(project, step, chosen.choice).plan)


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
    result = Result(step.treatment.name, *folders, 0, (), (), 0.0, 0, plan)
    if plan.idle:
        _remember_stats(target, found)
    else:
        try:
            result = _make(project, step, found, target, plan, options, lock)
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
            _record_success(target, clock.elapsed_ms)
            if failure := set_aside_only(step.treatment.name, target.manifest, target.shown):
                raise failure
        except BaseException as error:
            if isinstance(error, Interrupted):
                error.note(so_far(batch.days, plan, target))
            _log_error(log, error, clock.elapsed_ms)
            _record_failure(target, error)
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


def _remember_stats(target: Target, found: Survey) -> None:
    """Record stats that are new, though the files are not: they need not be read next time."""
    manifest = found.facts.manifest
    if not manifest or found.is_remembered(manifest):
        return
    found.remember(manifest)
    for made in manifest.days.values():
        made.outputs = {name: found.output_as_known(name, known) for name, known in made.outputs.items()}
    write_manifest(target.folder, manifest)


def _record_success(target: Target, duration_ms: int) -> None:
    target.manifest.last_error = None
    target.manifest.last_success = Success(ts=now(), duration_ms=duration_ms, versions=_versions())
    write_manifest(target.folder, target.manifest)


def _record_failure(target: Target, error: BaseException) -> None:
    """Remember why it failed, for the status; that it cannot be remembered does not hide why.

    A folder that nothing was ever published to is not claimed by a failure.
    """
    if not manifest_path(target.folder).exists():
        return
    target.manifest.last_error = as_unicode(headline(error))
    with suppress(PymyxError):
        write_manifest(target.folder, target.manifest)


@cache
def _versions() -> dict[str, str]:
    """The versions of Python and of the libraries, by the names of their `dist-info`: reading it would take 10 ms."""
    versions = {"python": sys.version.partition(" ")[0]}
    for folder in filter(os.path.isdir, sys.path):
        for entry in os.listdir(folder):
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if name in LIBRARIES and entry.endswith(".dist-info"):
                versions.setdefault(name, version)
    return versions


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


def headline(error: BaseException) -> str:
    """An error on one line."""
    if isinstance(error, PymyxError):
        return error.headline
    return "interrupted (SIGINT)" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
