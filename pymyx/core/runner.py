"""Runs one treatment: checks everything, then `start`, a child on a private stage, publishing, `success` or `error`.

python -m pymyx.core.runner --treatment NAME --input DIR --output DIR [--params JSON]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pymyx.core.errors import Interrupted, PymyxError, UsageError
from pymyx.core.isolation import Show, run_child, signals_held
from pymyx.core.logger import log_event
from pymyx.core.project import Project, absolute, find_project
from pymyx.core.publish import publish, staged
from pymyx.core.treatments import load_treatment, merge_params
from pymyx.core.validator import check_input, check_output
from pymyx.core.verdict import failed


@dataclass(frozen=True)
class Result:
    """One successful execution; `files` are the names of the files that were published."""

    treatment: str
    input_dir: str
    output_dir: str
    duration_ms: int
    files: tuple[str, ...]


def run_treatment(
    name: str,
    input_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    params: dict[str, Any] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    show: Show = lambda text: None,
) -> Result:
    """Run the treatment `treatments/<name>/` of the project at `root` (default: around the working directory).

    It reads `input_dir` and its files appear in `output_dir` only if it succeeds; `params` go over its defaults.
    `show` is called with what it prints, whole lines of text.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run, no event was logged.
        TreatmentError: it raised, crashed, or ended before `run` returned; its output folder is unchanged.
        PublishError: what it left cannot be published.
    """
    project = find_project(root)
    treatment = load_treatment(project, name)
    merged = merge_params(treatment, params or {}, "params")
    source, target = absolute(input_dir), absolute(output_dir)
    check_input(project, source)
    check_output(project, source, target)
    return execute(project, name, source, target, merged, show=show)


def execute(
    project: Project, name: str, input_dir: Path, output_dir: Path, params: dict[str, Any], *, show: Show
) -> Result:
    """Run a treatment whose contract, params and folders (absolute paths) have been checked; see `run_treatment`."""
    folders = (project.shown(input_dir), project.shown(output_dir))
    log = partial(log_event, project.log, treatment=name, input_dir=folders[0], output_dir=folders[1])
    job = {"treatment_dir": str(project.treatments / name), "input_dir": str(input_dir), "params": params}
    with signals_held(), staged(output_dir, folders[1]) as stage:
        try:
            log(status="start")
        except PymyxError as error:
            raise UsageError(*error.faults) from error
        clock = Stopwatch()
        try:
            ending = run_child(
                {**job, "output_dir": str(stage.output_dir)},
                scratch_dir=stage.scratch_dir,
                show=show,
                replace=(str(stage.output_dir), str(output_dir)),
            )
            if not ending.succeeded:
                raise failed(project, name, input_dir, output_dir, ending, clock.elapsed_ms)
            files = publish(stage, output_dir, folders[1])
        except BaseException as error:
            if isinstance(error, Interrupted):
                error.note(f"nothing was published; `{folders[1]}` is unchanged")
            _log_error(log, error, clock.elapsed_ms)
            raise
        duration_ms = clock.elapsed_ms
        log(status="success", duration_ms=duration_ms)
    return Result(name, *folders, duration_ms, tuple(files))


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


if __name__ == "__main__":
    from pymyx.cli import main

    main("runner")
