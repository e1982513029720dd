"""Tells in words how a treatment failed: what it raised, the signal that ended it, or what it left unsaid."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.isolation import Ending
from pymyx.core.models import Failure, Raised
from pymyx.core.project import Project

NATIVE = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
MOST_LINES = 30  # of a traceback


def failed(
    project: Project, name: str, input_dir: Path, output_dir: Path, ending: Ending, duration_ms: int
) -> TreatmentError:
    """The error that an ending other than success stands for."""
    failure = ending.outcome if isinstance(ending.outcome, Failure) else None
    died = signal.Signals(-ending.returncode) if ending.returncode < 0 else None
    unchanged = f"nothing was published; `{project.shown(output_dir)}` is unchanged"
    if failure:
        fault = _raised(project, name, failure, unchanged)
    elif died:
        hint = (
            f"run it alone: python -m pymyx.core.runner --treatment {name}"
            f" --input {project.shown(input_dir)} --output scratch"
        )
        fault = _crashed(project, name, died, ending, duration_ms, (unchanged,), hint)
    elif ending.statement.strip() and not ending.outcome:
        text = tuple(ending.statement.strip().splitlines()[:MOST_LINES])
        what = f"treatment `{name}` did not run: its interpreter ended with exit code {ending.returncode}"
        fault = Fault(what, evidence=text, notes=(unchanged,))
    else:
        what = f"treatment `{name}` ended before run() returned (exit code {ending.returncode})"
        fault = Fault(
            what, notes=("something in it ended the process, as os._exit() does, or closed its descriptors", unchanged)
        )
    return TreatmentError(
        fault,
        treatment=name,
        outcome=failure.model_dump() if failure else None,
        signal=died.name if died else None,
        returncode=ending.returncode,
        output=ending.output,
    )


def _raised(project: Project, name: str, failure: Failure, unchanged: str) -> Fault:
    verb = "could not be loaded" if failure.phase == "load" else "failed"
    evidence = [f"{_RELATION[link.relation]}: {_in_words(project, link)}" for link in failure.chain]
    trace = _relative(project, failure.traceback).splitlines()
    if failure.traceback.count('File "') > 1 or "  | " in failure.traceback:  # one frame says no more than `at`
        left_out = len(trace) - MOST_LINES
        evidence += (
            trace if left_out <= 0 else [*trace[:5], f"… ({left_out} lines left out) …", *trace[5 - MOST_LINES :]]
        )
    missing = re.match(r"No module named '([\w.]+)'", failure.message)
    hint = f"install the package that provides `{missing[1]}`: {sys.executable} -m pip install …" if missing else ""
    return Fault(
        f"treatment `{name}` {verb}: {failure.type}: {_relative(project, failure.message)}".rstrip(": "),
        _place(project, failure),
        tuple(evidence),
        (*failure.notes, unchanged),
        hint,
    )


_RELATION = {"cause": "because of", "context": "while handling"}


def _in_words(project: Project, one: Raised) -> str:
    place = _place(project, one)
    message = _relative(project, one.message)
    return f"{one.type}: {message}" + (f" (at {place})" if place else "")


def _place(project: Project, one: Raised) -> str:
    if not one.file:
        return ""
    return f"{project.shown(Path(one.file))}:{one.line}" + (f", in {one.function}" if one.function else "")


def _crashed(
    project: Project,
    name: str,
    died: signal.Signals,
    ending: Ending,
    duration_ms: int,
    notes: tuple[str, ...],
    hint: str,
) -> Fault:
    words = (signal.strsignal(died) or "").lower()
    what = f"treatment `{name}` crashed after {duration_ms / 1000:.1f} s: {died.name} ({words})"
    where = ""
    if died.name in NATIVE:
        subject = f"a {words}" if died == signal.SIGSEGV else died.name
        notes = (f"{subject} comes from native code, not from a Python exception", *notes)
        last = re.search(
            rf'File "({re.escape(str(project.treatments / name))}/[^"]+)", line (\d+) in (\S+)', ending.output
        )
        if last:
            where = f"{project.shown(Path(last[1]))}:{last[2]}, in {last[3]} (last Python line before the crash)"
    elif died == signal.SIGKILL:
        notes = ("SIGKILL comes from outside: from the kernel when memory runs out, or from whoever sent it", *notes)
    return Fault(what, where, notes=notes, hint=hint)


def _relative(project: Project, text: str) -> str:
    """`text` with the paths of the project relative to its root, as all messages name them."""
    return text.replace(f"{project.root}/", "") if project.root.name else text
