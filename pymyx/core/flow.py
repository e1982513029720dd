"""Runs the steps of a flow in their order; everything is checked before the first one starts.

python -m pymyx.core.flow --help
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli.main import main

    main("flow")

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, FlowStopped, LateDataError, PublishError, PymyxError, TreatmentError, counted
from pymyx.core.incremental.lock import locked
from pymyx.core.incremental.plan import plan_step
from pymyx.core.options import options_and_listener
from pymyx.core.project import AnyPath, find_project
from pymyx.core.runner import Planned, Result, connected, execute
from pymyx.core.validator import load_flow

SKIPPED = (TreatmentError, PublishError, LateDataError)  # what a flow that is to keep going goes on past


def run_flow(
    name: str,
    *,
    root: AnyPath | None = None,
    data: AnyPath | None = None,
    on_start: Callable[[int, int, str], Any] = lambda number, steps, treatment: None,
    on_step: Callable[[int, int, Result], Any] = lambda number, steps, result: None,
    **options: Any,
) -> list[Result]:
    """Run `flows/<name>.json` of the project at `root` (default: around the working directory), and return its steps.

    Its folders are those of `data` (default: `data/` of the project). `on_start` is called before each step with its
    number from 1, the number of steps, and its treatment's name; `on_step` after it, with its result. `options` are
    those of `pymyx.core.options.Options` and `Listener`, for each step.

    Raises:
        UsageError: something is wrong that could be seen beforehand; nothing was run.
        BusyError: another run holds one of its output folders; nothing was run.
        FlowStopped: a step failed; its `__cause__` says why. The steps before it stay published, and with
            `keep_going` those after it that could be run.
    """
    chosen, listener = options_and_listener(options)
    project = find_project(root, data=data)
    steps = load_flow(project, name)
    results: dict[int, Result] = {}
    failures: dict[int, PymyxError] = {}
    with ExitStack() as stack:
        # all locks before the first step, in sorted order: two flows never wait for each other, nor half run
        in_order = sorted(steps, key=lambda step: step.output_dir)
        outputs = {step.output_dir: stack.enter_context(locked(step, force=chosen.force)) for step in in_order}
        chosen = stack.enter_context(connected(chosen, listener))
        for number, step in enumerate(steps, start=1):
            on_start(number, len(steps), step.treatment.name)
            try:
                results[number] = execute(step, outputs[step.output_dir], chosen, listener)
            except PymyxError as error:
                failures[number] = error
                readable = number == len(steps) or steps[number].input_dir.is_dir()  # what the next step reads
                if not (chosen.keep_going and isinstance(error, SKIPPED) and readable):
                    break
            else:
                on_step(number, len(steps), results[number])
    if failures:
        raise _stopped(name, steps, list(results), failures) from failures[min(failures)]
    return list(results.values())


def plan_flow(name: str, *, root: AnyPath | None = None, data: AnyPath | None = None, **options: Any) -> list[Planned]:
    """What `run_flow` would do, step by step, as far as can be told now; nothing is run, locked or written.

    Raises:
        UsageError: as `run_flow`.
    """
    chosen, _ = options_and_listener(options)
    changing: set[Path] = set()
    planned = []
    for step in load_flow(find_project(root, data=data), name):
        plan = plan_step(step, chosen.choice)[1] if step.input_dir.is_dir() else None
        may_change = step.reads(changing)
        if may_change or plan is None or not plan.idle:
            changing.add(step.output_dir)
        planned.append(Planned(step.treatment.name, step.input_shown, step.output_shown, plan, may_change))
    return planned


def _stopped(flow: str, steps: list[Step], done: list[int], failures: dict[int, PymyxError]) -> FlowStopped:
    names = {number: step.treatment.name for number, step in enumerate(steps, start=1)}
    last = max([*done, *failures])
    parts = {
        "done": [names[number] for number in done],
        "failed": [names[number] for number in failures],
        "not run": [name for number, name in names.items() if number > last],
    }
    what = f"stopped at step {last}/{len(steps)} `{names[last]}`"
    if last not in failures or len(failures) > 1:
        what = f"went on past {counted(len(failures), 'failed step')} of {len(steps)}"
    fault = Fault(
        f"flow `{flow}` {what} (why: above)",
        evidence=("   ".join(f"{word}: {', '.join(part) or 'none'}" for word, part in parts.items()),),
        hint="mend it, then run the flow again",
    )
    facts = {word.replace(" ", "_"): part for word, part in parts.items()}
    exit_code = failures[max(failures)].exit_code
    return FlowStopped(fault, flow=flow, step=last, **facts, errors=tuple(failures.values()), exit_code=exit_code)
