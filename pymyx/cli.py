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
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from pymyx.core.errors import Fault, FlowStopped, Interrupted, PymyxError, UsageError

if TYPE_CHECKING:
    from pymyx.core.runner import Result

EXITS = """exit codes: 0 done; 1 a treatment failed; 2 wrong use, contract, project or missing
input folder: nothing was run; 75 another run holds the folder; 130 interrupted; 143 terminated"""


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
    parser = _parser(
        "runner", "Run one treatment: it reads the input folder, its files appear in the output folder.", example
    )
    parser.add_argument("--treatment", required=True, metavar="NAME", help="its folder's name in treatments/")
    parser.add_argument("--input", required=True, metavar="DIR", help="the folder it reads")
    parser.add_argument("--output", required=True, metavar="DIR", help="the folder its files are published to")
    parser.add_argument(
        "--params", default="{}", metavar="JSON", help="params that replace its defaults: one JSON object"
    )
    _add_run_options(parser)
    options = parser.parse_args()
    from pymyx.core.isolation import orphans_adopted
    from pymyx.core.runner import run_treatment

    params = _params(options.params)
    with orphans_adopted():
        result = run_treatment(options.treatment, options.input, options.output, params, **_run_options(options))
    _say(_summary(result))
    return 0


def _flow() -> int:
    example = "--flow valvometry_daily"
    parser = _parser("flow", "Run the steps of a flow, in their order, between folders of the data root.", example)
    parser.add_argument("--flow", required=True, metavar="NAME", help="its file's name in flows/, without .json")
    parser.add_argument("--data", metavar="DIR", help="the data root (default: data/ of the project)")
    _add_run_options(parser)
    options = parser.parse_args()
    from pymyx.core.flow import run_flow
    from pymyx.core.isolation import orphans_adopted

    def on_step(number: int, steps: int, result: Result) -> None:
        _say(f"{number}/{steps} {_summary(result)}")

    with orphans_adopted():
        results = run_flow(options.flow, data=options.data, on_step=on_step, **_run_options(options))
    _say(f"flow {options.flow} done: {len(results)} steps, {sum(one.duration_ms for one in results) / 1000:.2f} s")
    return 0


def _validator() -> int:
    example = "treatments/parse flows/valvometry_daily.json"
    parser = _parser(
        "validator", "Check treatment.json, run.py and flow files by meaning and against schemas/.", example
    )
    parser.add_argument("path", nargs="*", metavar="PATH", help="a project, treatment or flow (default: this project)")
    options = parser.parse_args()
    from pymyx.core.validator import check

    checked, faults = check(options.path, root=options.root)
    for fault in faults:
        _show(f"error: {fault}\n\n")
    faulty = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
    _say(f"{checked} contract file{'' if checked == 1 else 's'} checked: {faulty if faults else 'no fault'}")
    return 2 if faults else 0


_COMMANDS: dict[str, Callable[[], int]] = {"runner": _runner, "flow": _flow, "validator": _validator}


def _parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    prog = f"python -m pymyx.core.{command}"
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"example: {prog} {example}\n\n{EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--root", metavar="DIR", help="the project's root (default: around the working directory)")
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that runner and flow share."""
    parser.add_argument(
        "--timeout-s", type=float, metavar="S", help="stop a treatment after S seconds (default: 21600)"
    )
    parser.add_argument("--memory-mb", type=int, metavar="MB", help="limit the data of one process (default: no limit)")
    parser.add_argument(
        "--confine",
        default="auto",
        metavar="MODE",
        help="auto: the kernel keeps it to its contract as far as it can (default); require: in full; off",
    )


def _run_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those options for the core."""
    names = ("root", "timeout_s", "memory_mb", "confine")
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
    files = f"{len(result.files)} file{'' if len(result.files) == 1 else 's'}"
    took = f"{result.duration_ms / 1000:.2f} s ({result.cpu_s:.2f} s of processor, {result.peak_mb} MB)"
    return f"{result.treatment}: {result.input_dir} -> {result.output_dir}  {took}  {files}"


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
    if isinstance(error, FlowStopped) and isinstance(error.__cause__, PymyxError):
        _report(error.__cause__)
    for fault in error.faults:
        _show(f"error: {fault}\n")
