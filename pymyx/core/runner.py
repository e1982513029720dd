"""Runs one treatment: checks everything, then `start`, a child on a private stage, publishing, `success` or `error`.

python -m pymyx.core.runner --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli import main

    main("runner")

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pymyx.core.confinement import Confine, rules, shortfall
from pymyx.core.errors import Fault, Interrupted, PymyxError, UsageError
from pymyx.core.isolation import run_child, signals_held
from pymyx.core.lock import locked
from pymyx.core.logger import log_event
from pymyx.core.models import Treatment
from pymyx.core.project import Project, absolute, find_project
from pymyx.core.publish import publish, staged
from pymyx.core.relay import Show
from pymyx.core.treatments import load_treatment, merge_params
from pymyx.core.validator import check_input, check_output
from pymyx.core.verdict import failed

Number = TypeVar("Number", int, float)

LONGEST_S = 21_600.0  # seconds that a treatment may take, where nothing is said
_SAID: set[str] = set()  # what this process has told about its system, once
LEAST_MB = 512  # megabytes: below, pyarrow hangs when it is imported


@dataclass(frozen=True)
class Result:
    """One successful execution.

    `files` are the names of the files that were published; `cpu_s` is what the treatment and all it started
    used of the processors, `peak_mb` the highest memory of one of its processes.
    """

    treatment: str
    input_dir: str
    output_dir: str
    duration_ms: int
    files: tuple[str, ...]
    cpu_s: float
    peak_mb: int


@dataclass(frozen=True)
class Options:
    """How treatments are run; raises UsageError when it is made with a limit or word that cannot be."""

    timeout_s: float | None = None
    memory_mb: int | None = None
    confine: Confine = "auto"
    show: Show = lambda text: None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise UsageError(Fault(f"timeout_s is {self.timeout_s:g}", evidence=("accepted: seconds, more than 0",)))
        if self.memory_mb is not None and self.memory_mb < LEAST_MB:
            accepted = (f"accepted: megabytes, at least {LEAST_MB}",)
            raise UsageError(Fault(f"memory_mb is {self.memory_mb}", evidence=accepted, notes=("pyarrow hangs below",)))
        missing = shortfall(self.confine)
        if missing and missing not in _SAID:
            _SAID.add(missing)
            self.show(f"note: {missing}\n")


def run_treatment(
    name: str,
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    memory_mb: int | None = None,
    confine: Confine = "auto",
    show: Show = lambda text: None,
) -> Result:
    """Run the treatment `treatments/<name>/` of the project at `root` (default: around the working directory).

    It reads `input_dir` and its files appear in `output_dir` only if it succeeds; `params` go over its defaults.
    It is stopped after `timeout_s` seconds (default: 21,600) and gets no more than `memory_mb` megabytes of data
    in one process (default: no limit); what its treatment.json says there counts where it is stricter.
    `confine` says how far the kernel is to keep it to its contract (`isolation.py` tells what that means): `auto`,
    as far as it can; `require`, in full or not at all; `off`. `show` is called with what it prints, whole
    lines of text.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run, no event was logged.
        BusyError: another run holds the output folder; nothing was run.
        TreatmentError: it raised, crashed, or ended before `run` returned; its output folder is unchanged.
        PublishError: what it left cannot be published.
    """
    options = Options(timeout_s, memory_mb, confine, show)
    project = find_project(root)
    treatment = load_treatment(project, name)
    merged = merge_params(treatment, params or {}, "params")
    source, target = absolute(input_dir), absolute(output_dir)
    check_input(project, source)
    check_output(project, source, target)
    with locked(target, project.shown(target)) as lock:
        return execute(project, treatment, source, target, merged, options=options, lock=lock)


def execute(
    project: Project,
    treatment: Treatment,
    input_dir: Path,
    output_dir: Path,
    params: dict[str, Any],
    *,
    options: Options,
    lock: int,
) -> Result:
    """Run a treatment whose contract, params and folders (absolute paths) have been checked; see `run_treatment`.

    `lock` is the descriptor of the output folder's lock, which the caller holds.
    """
    name, limits = treatment.name, treatment.limits
    folders = (project.shown(input_dir), project.shown(output_dir))
    log = partial(log_event, project.log, treatment=name, input_dir=folders[0], output_dir=folders[1])
    with signals_held(), staged(output_dir, folders[1]) as stage:
        job = {
            "treatment_dir": str(project.treatments / name),
            "input_dir": str(input_dir),
            "output_dir": str(stage.output_dir),
            "params": params,
            "memory_mb": _stricter(limits.memory_mb, options.memory_mb),
            "confine": rules(project, treatment, input_dir, stage, options.confine),
        }
        try:
            log(status="start")
        except PymyxError as error:
            raise UsageError(*error.faults) from error
        clock = Stopwatch()
        try:
            ending = run_child(
                job,
                scratch_dir=stage.scratch_dir,
                timeout_s=_stricter(limits.timeout_s, options.timeout_s) or LONGEST_S,
                env=treatment.allow.env,
                keep=lock,
                show=options.show,
                replace=(str(stage.output_dir), str(output_dir)),
            )
            if not ending.succeeded:
                raise failed(project, name, job, ending, output_dir, clock.elapsed_ms)
            files = publish(stage, output_dir, folders[1])
        except BaseException as error:
            if isinstance(error, Interrupted):
                error.note(f"nothing was published; `{folders[1]}` is unchanged")
            _log_error(log, error, clock.elapsed_ms)
            raise
        duration_ms = clock.elapsed_ms
        log(status="success", duration_ms=duration_ms)
    return Result(name, *folders, duration_ms, tuple(files), ending.cpu_s, ending.peak_mb)


def _stricter(declared: Number | None, given: Number | None) -> Number | None:
    return min((one for one in (declared, given) if one is not None), default=None)


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
    if isinstance(error, PymyxError):
        text = error.headline
    elif isinstance(error, KeyboardInterrupt):
        text = "interrupted (SIGINT)"
    else:
        text = f"{type(error).__name__}: {error}"
    try:
        log(status="error", duration_ms=duration_ms, error=text)
    except PymyxError as unlogged:
        if isinstance(error, PymyxError):
            error.faults += unlogged.faults
