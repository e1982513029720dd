"""Runs the steps of a flow in their order; everything is checked before the first one starts.

python -m pymyx.core.flow --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli import main

    main("flow")

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from pymyx.core.confinement import Confine
from pymyx.core.errors import Fault, FlowStopped, PymyxError
from pymyx.core.lock import locked
from pymyx.core.project import find_project
from pymyx.core.relay import Show
from pymyx.core.runner import Options, Result, execute
from pymyx.core.validator import load_flow


def run_flow(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    memory_mb: int | None = None,
    confine: Confine = "auto",
    show: Show = lambda text: None,
    on_step: Callable[[int, int, Result], Any] = lambda number, steps, result: None,
) -> list[Result]:
    """Run `flows/<name>.json` of the project at `root` (default: around the working directory), and return its steps.

    Its folders are those of `data` (default: `data/` of the project). `timeout_s`, `memory_mb`, `confine` and `show`
    are those of `run_treatment`, for each step. `on_step` is called after each step with its number from 1, the
    number of steps, and its result.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run.
        BusyError: another run holds one of its output folders; nothing was run.
        FlowStopped: a step failed; its `__cause__` says why. The steps before it stay published.
    """
    options = Options(timeout_s, memory_mb, confine, show)
    project = find_project(root, data=data)
    steps = load_flow(project, name)
    results: list[Result] = []
    with ExitStack() as stack:
        targets = sorted(step.output_dir for step in steps)
        locks = {target: stack.enter_context(locked(target, project.shown(target))) for target in targets}
        for number, step in enumerate(steps, start=1):
            lock = locks[step.output_dir]
            try:
                result = execute(
                    project,
                    step.treatment,
                    step.input_dir,
                    step.output_dir,
                    step.params,
                    options=options,
                    lock=lock,
                )
            except PymyxError as error:
                raise _stopped(name, number, [step.treatment.name for step in steps], error) from error
            results.append(result)
            on_step(number, len(steps), result)
    return results


def _stopped(flow: str, number: int, treatments: list[str], error: PymyxError) -> FlowStopped:
    done, failed, not_run = treatments[: number - 1], treatments[number - 1], treatments[number:]
    parts = (("done", done), ("failed", [failed]), ("not run", not_run))
    fault = Fault(
        f"flow `{flow}` stopped at step {number}/{len(treatments)} `{failed}` (why: above)",
        evidence=("   ".join(f"{word}: {', '.join(names) or 'none'}" for word, names in parts),),
        hint="mend it, then run the flow again",
    )
    return FlowStopped(
        fault, flow=flow, step=number, done=done, failed=failed, not_run=not_run, exit_code=error.exit_code
    )
