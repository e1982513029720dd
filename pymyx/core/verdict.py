"""Tells in words how a treatment failed: what it raised, what ended it, or what it left unsaid."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from pymyx.core.child import Ending
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.models import Failure, Raised
from pymyx.core.project import Project
from pymyx.core.validator import CheckedStep

NATIVE = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
MOST_LINES = 30  # of a traceback
VERBS = {"confine": "could not be confined", "load": "could not be loaded", "run": "failed"}
RELATIONS = {"cause": "because of", "context": "while handling"}


def failed(
    project: Project, step: CheckedStep, job: dict[str, Any], ending: Ending, unchanged: str, duration_ms: int
) -> TreatmentError:
    """The error that an ending other than success stands for.

    `job` is what the child was given, `unchanged` the note on what it leaves as it was.
    """
    name = step.treatment.name
    failure = ending.outcome if isinstance(ending.outcome, Failure) else None
    died = signal.Signals(-ending.returncode) if ending.returncode < 0 else None
    after = f"treatment `{name}` {{}} after {duration_ms / 1000:.1f} s"
    used = f"it used {ending.cpu_s:.1f} s of processor and at most {ending.peak_mb} MB of memory"
    if ending.stopped == "timeout":
        hint = (
            f"give it more: limits.timeout_s in treatments/{name}/treatment.json, or --timeout-s, the stricter counts"
        )
        fault = Fault(f"{after.format('was stopped')}: its time was up", notes=(used, unchanged), hint=hint)
    elif ending.stopped == "output":
        fault = Fault(f"{after.format('was stopped')}: it printed more than 1 GiB", notes=(used, unchanged))
    elif failure:
        fault = _raised(project, name, job, failure, unchanged)
    elif died:
        fault = _crashed(project, step, died, ending, after.format("crashed"), (used, unchanged))
    elif ending.statement.strip() and not ending.outcome:
        text = tuple(ending.statement.strip().splitlines()[:MOST_LINES])
        what = f"treatment `{name}` did not run: its interpreter ended with exit code {ending.returncode}"
        fault = Fault(what, evidence=text, notes=(unchanged,))
    else:
        what = f"treatment `{name}` ended before run() returned (exit code {ending.returncode})"
        why = "something in it ended the process, as os._exit() does, or closed its descriptors"
        fault = Fault(what, notes=(why, unchanged))
    return TreatmentError(
        fault,
        treatment=name,
        outcome=failure.model_dump() if failure else None,
        signal=died.name if died else None,
        returncode=ending.returncode,
        output=ending.output,
        cpu_s=ending.cpu_s,
        peak_mb=ending.peak_mb,
    )


def _raised(project: Project, name: str, job: dict[str, Any], failure: Failure, unchanged: str) -> Fault:
    evidence = [f"{RELATIONS[link.relation]}: {_in_words(project, link)}" for link in failure.chain]
    trace = _relative(project, failure.traceback).splitlines()
    if failure.traceback.count('File "') > 1 or "  | " in failure.traceback:  # one frame says no more than `at`
        left_out = len(trace) - MOST_LINES
        mark = f"… ({left_out} lines left out) …"
        evidence += trace if left_out <= 0 else [*trace[:5], mark, *trace[5 - MOST_LINES :]]
    note, hint = _mending(project, name, job, failure)
    return Fault(
        f"treatment `{name}` {VERBS[failure.phase]}: {failure.type}: {_relative(project, failure.message)}".rstrip(
            ": "
        ),
        _place(project, failure),
        tuple(evidence),
        (*failure.notes, *([note] if note else []), unchanged),
        hint,
    )


def _mending(project: Project, name: str, job: dict[str, Any], failure: Failure) -> tuple[str, str]:
    """A note and a hint for failures whose way out is known: a missing package, a limit, a refusal of the kernel."""
    types = [one.type for one in (failure, *failure.chain)]
    told = "\n".join([one.message for one in (failure, *failure.chain)])
    missing = re.match(r"No module named '([\w.]+)'", failure.message)
    if missing:
        return "", f"install the package that provides `{missing[1]}`: {sys.executable} -m pip install …"
    if "MemoryError" in types and job["memory_mb"]:
        return f"its limit is {job['memory_mb']} MB of data (memory_mb)", ""
    variable = failure.message.strip("'\"")
    if failure.type == "KeyError" and "os.environ" in failure.traceback and variable in os.environ:
        return "a treatment sees few environment variables", _grant(name, f'"env": ["{variable}"]')
    if not job["confine"]:
        return "", ""
    if "/dev/shm" in told or re.search("multiprocessing|shared_memory", failure.traceback):  # noqa: S108  not a temp file
        return "", _grant(name, '"shared_memory": true') if "PermissionError" in types else ""
    if "socket.gaierror" in types or ("Permission denied" in told and "socket" in failure.traceback):
        return "a treatment has no network", _grant(name, '"network": true')
    refused = re.search(r"""(?:Permission denied|Failed to open).*?['"](/[^'"]+)['"]""", told)
    if "PermissionError" not in types or not refused:
        return "", ""
    readable = any(Path(refused[1]).is_relative_to(path) for path in job["confine"]["read"])
    if readable or not os.path.lexists(refused[1]):
        return "a treatment writes to output_dir only; what it reads is never changed", ""
    note = "a treatment reads its input folder and its own, and writes to output_dir only"
    grant = _grant(name, f'"read": ["{project.shown(Path(refused[1]))}"]')
    return note, f"{grant}; or put the file into treatments/{name}/"


def _grant(name: str, permission: str) -> str:
    return f'if it needs that, grant it in treatments/{name}/treatment.json: "allow": {{{permission}}}'


def _in_words(project: Project, one: Raised) -> str:
    place = _place(project, one)
    return f"{one.type}: {_relative(project, one.message)}" + (f" (at {place})" if place else "")


def _place(project: Project, one: Raised) -> str:
    if not one.file:
        return ""
    return f"{project.shown(Path(one.file))}:{one.line}" + (f", in {one.function}" if one.function else "")


def _crashed(
    project: Project,
    step: CheckedStep,
    died: signal.Signals,
    ending: Ending,
    what: str,
    notes: tuple[str, ...],
) -> Fault:
    words = (signal.strsignal(died) or "").lower()
    where = ""
    if died.name in NATIVE:
        subject = f"a {words}" if died == signal.SIGSEGV else died.name
        notes = (f"{subject} comes from native code, not from a Python exception", *notes)
        own = rf'File "({re.escape(str(project.treatments / step.treatment.name))}/[^"]+)", line (\d+) in (\S+)'
        last = re.search(own, ending.output)
        if last:
            where = f"{project.shown(Path(last[1]))}:{last[2]}, in {last[3]} (last Python line before the crash)"
    elif died == signal.SIGKILL:
        notes = ("SIGKILL comes from outside: from the kernel when memory runs out, or from whoever sent it", *notes)
    name, folder = step.treatment.name, project.shown(step.input_dir)
    alone = f"python -m pymyx.core.runner --treatment {name} --input {folder} --output scratch"
    return Fault(f"{what}: {died.name} ({words})", where, notes=notes, hint=f"run it alone: {alone}")


def _relative(project: Project, text: str) -> str:
    """`text` with the paths of the project relative to its root, as all messages name them."""
    return text.replace(f"{project.root}/", "") if project.root.name else text
