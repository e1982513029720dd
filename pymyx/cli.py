"""The command lines: parse arguments, make one core call, print, exit. Nothing else prints or exits.

What was done goes to stdout; what the treatments print, and errors, go to stderr.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from pymyx.core.errors import Fault, FlowStopped, Interrupted, PymyxError, UsageError
from pymyx.progress import Progress

if TYPE_CHECKING:
    from pymyx.core.runner import Planned, Result

EXITS = "exit codes: 0 done, 1 failed, 2 wrong use, 75 busy, 130 interrupted, 143 ended"


def main(command: str) -> NoReturn:
    """Run `python -m pymyx.core.<command>` with the arguments of this process, and exit."""
    if os.name != "posix":
        sys.exit("error: PyMyx runs on Linux, and with less isolation on macOS; on Windows use WSL")
    gc.disable()  # what is imported is kept to the end, which comes soon: 10 ms less
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how a child ended
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # always text
    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup and `&` ask for
            signal.signal(signum, _interrupt)
    try:
        code = _COMMANDS[command]()
    except PymyxError as error:
        _report(error)
        code = error.exit_code
    os._exit(code)  # all is written and nothing runs: taking the modules apart would take 18 ms


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # one is enough: the clean-up that follows takes seconds at most
    raise Interrupted(signum)


def _runner() -> int:
    example = "--treatment parse --input data/00_raw --output data/10_parsed"
    usage = "--treatment NAME --input DIR --output DIR [options]"
    parser = _parser("runner", usage, "Run one treatment: what it makes of a folder appears in another.", example)
    parser.add_argument("--treatment", required=True, metavar="NAME", help="its folder's name in treatments/")
    parser.add_argument("--input", required=True, metavar="DIR", help="the folder it reads")
    parser.add_argument("--output", required=True, metavar="DIR", help="the folder its files are published to")
    parser.add_argument("--params", default="{}", metavar="JSON", help="params over its defaults: one JSON object")
    _add_run_options(parser)
    options = parser.parse_args()
    from pymyx.core.isolation import orphans_adopted
    from pymyx.core.runner import plan_treatment, run_treatment

    source, target, params = options.input, options.output, _params(options.params)
    if options.dry_run:
        _say(_plan_text(plan_treatment(options.treatment, source, target, params, **_run_options(options))))
        return 0
    with orphans_adopted(), Progress(_show) as progress:
        how = {**_run_options(options), **progress.options}
        result = run_treatment(options.treatment, source, target, params, **how)
    _say(_summary(result))
    return 0


def _flow() -> int:
    example = "--flow valvometry_daily"
    description = "Run the steps of a flow, in their order, between folders of the data root."
    parser = _parser("flow", "--flow NAME [options]", description, example)
    parser.add_argument("--flow", required=True, metavar="NAME", help="its file's name in flows/, without .json")
    parser.add_argument("--data", metavar="DIR", help="the data root (default: data/ of the project)")
    _add_run_options(parser)
    parser.add_argument("--keep-going", action="store_true", help="go on with the next steps when some days failed")
    options = parser.parse_args()
    from pymyx.core.flow import plan_flow, run_flow
    from pymyx.core.isolation import orphans_adopted

    def on_step(number: int, steps: int, result: Result) -> None:
        _say(f"{number}/{steps} {_summary(result)}")

    if options.dry_run:
        plans = plan_flow(options.flow, data=options.data, **_run_options(options))
        for number, plan in enumerate(plans, start=1):
            _say(f"{number}/{len(plans)} {_plan_text(plan)}")
        return 0
    with orphans_adopted(), Progress(_show) as progress:
        how = {"keep_going": options.keep_going, **_run_options(options), **progress.options}
        results = run_flow(options.flow, data=options.data, on_step=on_step, **how)
    _say(f"flow {options.flow} done: {len(results)} steps, {sum(one.duration_ms for one in results) / 1000:.2f} s")
    return 0


def _validator() -> int:
    example = "treatments/parse flows/valvometry_daily.json"
    description = "Check treatment.json, run.py and flow files by meaning and against schemas/."
    parser = _parser("validator", "[PATH ...] [--root DIR]", description, example)
    parser.add_argument("path", nargs="*", metavar="PATH", help="a project, treatment or flow (default: this project)")
    options = parser.parse_args()
    from pymyx.core.validator import check

    checked, faults = check(options.path, root=options.root)
    for fault in faults:
        _show(f"error: {fault}\n\n")
    _say(f"{_counted(checked, 'contract file')} checked: {_counted(len(faults), 'fault') if faults else 'no fault'}")
    return 2 if faults else 0


_COMMANDS: dict[str, Callable[[], int]] = {"runner": _runner, "flow": _flow, "validator": _validator}


def _parser(command: str, usage: str, description: str, example: str) -> argparse.ArgumentParser:
    prog = f"python -m pymyx.core.{command}"
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        usage=f"{prog} {usage}",
        epilog=f"example: {prog} {example}\n{EXITS}",
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=22, width=80),
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("--help", "-h", action="help", help=argparse.SUPPRESS)
    parser.add_argument("--root", metavar="DIR", help="the project's root (default: found upwards from here)")
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that runner and flow share."""
    add = parser.add_argument
    add("--from", dest="from_", metavar="DAY", help="make only days from this one on (ISO date or instant)")
    add("--to", metavar="DAY", help="make only days up to this one, and this one")
    add("--force", action="store_true", help="make days again that are up to date")
    add("--dry-run", action="store_true", help="tell what would be made, and why; run nothing")
    add("--jobs", type=int, metavar="N", help="children at once (default: the processors)")
    add("--prune", action="store_true", help="let go what was made from archived input")
    add("--verify", type=int, default=0, metavar="N", help="make all from the whole folder, compare N days")
    add("--timeout-s", type=float, metavar="S", help="stop a treatment after S seconds (default: 21600)")
    add("--memory-mb", type=int, metavar="MB", help="limit the data of one process")
    add("--confine", default="auto", metavar="HOW", help="keep it to its contract: auto (default), require, off")


def _run_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those options for the core."""
    names = ("root", "timeout_s", "memory_mb", "confine", "from_", "to", "force", "jobs", "prune", "verify")
    return {"show": _show, **{name: getattr(options, name) for name in names}}


def _params(text: str) -> dict[str, object]:
    from pymyx.core.contract import found, parse_json

    document = parse_json(text, "--params")
    if document.faults:
        raise UsageError(*document.faults)
    if not isinstance(document.value, dict):
        accepted = ("""accepted: one JSON object, such as '{"delimiter": ","}'""",)
        raise UsageError(Fault(f"--params is {found(document.value)}", evidence=accepted))
    return document.value


def _summary(result: Result) -> str:
    step = f"{result.treatment}: {result.input_dir} -> {result.output_dir}"
    if result.plan.idle:
        return f"{step}  up to date"
    days = "" if result.plan.whole else f"  {_counted(len(result.days), 'day')}"
    took = f"{result.duration_ms / 1000:.2f} s ({result.cpu_s:.2f} s of processor, {result.peak_mb} MB)"
    return f"{step}  {took}{days}  {_counted(len(result.files), 'file')}"


def _plan_text(planned: Planned) -> str:
    """What a run would do for a step, and why."""
    step = f"{planned.treatment}: {planned.input_dir} -> {planned.output_dir}"
    may_change = "may change, with what the steps before it make"
    if planned.plan is None:
        return f"{step}  {may_change}"
    plan = planned.plan
    head = _counted(len(plan.stale) + len(plan.gone), "day") + " to make" if not plan.idle else "up to date"
    if plan.stale and plan.whole:
        head = "to make, over the whole folder"
    if planned.may_change:
        head = may_change if plan.idle else f"{head}; more {may_change}"
    lines = [f"{step}  {head}"]
    for reason, days in groupby(plan.reasons, key=plan.reasons.__getitem__):
        first, *rest = days
        lines.append(f"  {first}{f' to {rest[-1]} ({len(rest) + 1} days)' if rest else ''}  {reason}")
    if plan.left:
        lines.append(f"  stale, but not chosen: {_counted(len(plan.left), 'day')}")
    return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    _write(sys.stdout, f"{text}\n")


def _show(text: str) -> None:
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:  # who read it has enough: that is no reason to stop what is being done
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(error: PymyxError) -> None:
    for cause in error.errors if isinstance(error, FlowStopped) else ():
        _report(cause)
    for fault in error.faults:
        _show(f"error: {fault}\n")
