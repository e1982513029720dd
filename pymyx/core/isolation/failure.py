"""Tells in words how a treatment failed: what it raised, what ended it, or what it left unsaid."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymyx.core.contract.grants import refusal
from pymyx.core.contract.models import Failure, Raised
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, TreatmentError, as_unicode
from pymyx.core.isolation.child import Ending, Terms
from pymyx.core.isolation.confinement import rules
from pymyx.core.project import Project

NATIVE = "comes from native code, not from a Python exception"
DIED_OF = {  # why, by the name of the signal
    **{name: f"{name} {NATIVE}" for name in ("SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")},
    "SIGSEGV": f"a segmentation fault {NATIVE}",
    # no guess: a limit of a container and a neighbour's kill look the same from here
    "SIGKILL": "SIGKILL comes from outside: from the kernel when memory runs out, or from whoever sent it",
}
MOST_LINES = 30  # of a traceback
VERBS = {"confine": "could not be confined", "load": "could not be loaded", "run": "failed"}
MISSING = "(?:No such file or directory|Failed to open|non-existent directory)"
SHARED = "multiprocessing|shared_memory|(?:shm|sem|msg)get|mq_open|sysv_ipc|posix_ipc"
NETWORK = r"(?i)\bconnect|connection|resolv(e|ing)|name resolution|name or service|gaierror|unreachable"
MISTAKES = {"AttributeError", "KeyError", "NameError", "TypeError"}  # that speak of code, whatever its names mean
RELATIONS = {"cause": "because of", "context": "while handling"}


def treatment_error(step: Step, terms: Terms, ending: Ending, duration_s: float, unchanged: str) -> TreatmentError:
    """The error that an ending other than success stands for; `unchanged` is the note on what it leaves as it was."""
    name = step.treatment.name
    failure = ending.outcome if isinstance(ending.outcome, Failure) else None
    died = signal.Signals(-ending.returncode) if ending.returncode < 0 else None
    it, after = f"treatment `{name}`", f"after {duration_s:.1f} s"
    used = f"it used {ending.cpu_s:.1f} s of processor and at most {ending.peak_mb} MB of memory"
    said = tuple(ending.statement.strip().splitlines()[:MOST_LINES])

    # the first that holds: who was stopped also died of a signal, who raised also ended with exit code 1
    if ending.stopped == "timeout":
        what = f"{it} was stopped {after}: its time was up ({terms.timeout_s:g} s)"
        fault = Fault(what, notes=(used, unchanged), hint=_more(name, "timeout_s"))
    elif ending.stopped == "output":
        fault = Fault(f"{it} was stopped {after}: it printed more than 1 GiB", notes=(used, unchanged))
    elif ending.stopped == "lost":
        hint = "see the logs of the scheduler and of its workers, then run it again"
        fault = Fault(f"{it} was lost on its way: {ending.statement}", notes=(unchanged,), hint=hint)
    elif ending.stopped == "refused":
        hint = "let all machines have the same Python, libraries and PyMyx, and see the project under the same path"
        fault = Fault(f"a worker does not run {it} as this machine would", "", said, (unchanged,), hint)
    elif failure:
        fault = _raised(step, terms, failure, unchanged)
    elif died:
        what = f"{it} crashed {after}: {died.name} ({(signal.strsignal(died) or '').lower()})"
        why = DIED_OF.get(died.name, "")
        where = _last_line(step, ending.output) if NATIVE in why else ""
        folders = f"--input {step.input_shown} --output scratch"
        alone = f"run it alone: python -m pymyx.core.runner --treatment {name} {folders}"
        fault = Fault(what, where, notes=(*filter(None, [why]), used, unchanged), hint=alone)
    elif said and not ending.outcome:
        what = f"{it} did not run: its interpreter ended with exit code {ending.returncode}"
        fault = Fault(what, evidence=said, notes=(unchanged,))
    else:
        why = "something in it ended the process, as os._exit() does, or closed its descriptors"
        what = f"{it} ended before run() returned (exit code {ending.returncode})"
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


def _raised(step: Step, terms: Terms, failure: Failure, unchanged: str) -> Fault:
    """What was raised, where, what led to it, and how to mend it where that is known."""
    project, name = step.project, step.treatment.name
    evidence = [
        f"{RELATIONS[link.relation]}: {link.type}: {_relative(project, link.message)}"
        + (f" (at {place})" if (place := _place(project, link)) else "")
        for link in failure.chain
    ]
    if failure.traceback.count('File "') > 1 or "  | " in failure.traceback:  # one frame says no more than `at`
        trace = _relative(project, failure.traceback).splitlines()
        left_out = len(trace) - MOST_LINES
        mark = f"… ({left_out} lines left out) …"
        evidence += trace if left_out <= 0 else [*trace[:5], mark, *trace[5 - MOST_LINES :]]
    what = f"{VERBS[failure.phase]}: {failure.type}: {_relative(project, failure.message)}".rstrip(": ")
    note, hint = _mending(step, terms, failure)
    notes = (*failure.notes, *filter(None, [note]), unchanged)
    return Fault(f"treatment `{name}` {what}", _place(project, failure), tuple(evidence), notes, hint)


def _mending(step: Step, terms: Terms, failure: Failure) -> tuple[str, str]:
    """A note and a hint for failures whose way out is known: a missing package, a limit, a refusal of the kernel."""
    name, memory_mb = step.treatment.name, terms.memory_mb
    # also of what led to it: many libraries raise an error of their own in place of the system's
    types = [one.type for one in (failure, *failure.chain)]
    told = "\n".join([one.message for one in (failure, *failure.chain)])
    missing = re.match(r"No module named '([\w.]+)'", failure.message)
    if missing:
        return "", f"install the package that provides `{missing[1]}`: {sys.executable} -m pip install …"
    if memory_mb and any(re.search(r"Memory(Error|Exception)$", one) for one in types):  # numpy's, pyarrow's too
        return f"its limit is {memory_mb} MB of data (memory_mb)", _more(name, "memory_mb")
    if failure.type == "KeyError" and "environ" in failure.traceback:
        variable = failure.message.strip("'\"")
        if variable in step.treatment.allow.env:
            hint = f"set it where PyMyx is started (a cron line has few variables): export {variable}=…"
            return f"`{variable}` is granted (allow.env), but it is not set here", hint
        seen = variable in os.environ  # else no grant would help
        grant = _grant(name, f'"env": ["{variable}"]')
        return ("a treatment sees few environment variables", grant) if seen else ("", "")
    absent = re.search(rf"{MISSING}.*?['\"](/[^'\"]+)['\"]", told)
    if absent and Path(as_unicode(str(step.output_dir))) in Path(absent[1]).parents:
        return "output_dir is private, empty at first and flat: write files straight into it", ""
    kept_to = None
    with suppress(OSError):  # a folder may be gone by now
        kept_to = rules(step, [], [], terms.confine)
    return _permission(step, kept_to, types, told, failure.traceback) if kept_to else ("", "")


def _permission(step: Step, kept_to: dict[str, Any], types: list[str], told: str, traceback: str) -> tuple[str, str]:
    """A note and a hint for what the kernel refused; `types` and `told` are what was raised, and what led to it."""
    project, name = step.project, step.treatment.name
    refused = "PermissionError" in types or "Permission denied" in told
    if "/dev/shm" in told or re.search(SHARED, f"{told}{traceback}"):  # noqa: S108  not a temp file
        return "", _grant(name, '"shared_memory": true') if refused else ""
    speaks = re.search(NETWORK, "\n".join([*types, told])) and not set(types) & MISTAKES
    if not kept_to["network"] and (speaks or ("Permission denied" in told and "socket" in traceback)):
        return "a treatment has no network", _grant(name, '"network": true')
    path = re.search(r"""(?:Permission denied|Failed to open).*?['"](/[^'"]+)['"]""", told)
    if "PermissionError" not in types or not path:
        return "", ""
    readable = any(Path(path[1]).is_relative_to(one) for one in kept_to["read"])
    if readable or not os.path.lexists(path[1]):
        return "a treatment writes to output_dir only; what it reads is never changed", ""
    note = "a treatment reads its input folder and its own, and writes to output_dir only"
    beside = f"put the file into treatments/{name}/"
    granted = project.shown(Path(path[1]))
    if why := refusal(project, granted, step.output_dir):
        return f"{note}; `{granted}` cannot be granted: {why}", beside
    grant = _grant(name, f'"read": ["{granted}"]')
    return note, f"{grant}; or {beside}"


def _more(name: str, limit: str) -> str:
    option = f"--{limit.replace('_', '-')}"
    return f"give it more: limits.{limit} in treatments/{name}/treatment.json, or {option}, the stricter counts"


def _grant(name: str, permission: str) -> str:
    return f'if it needs that, grant it in treatments/{name}/treatment.json: "allow": {{{permission}}}'


def _place(project: Project, one: Raised) -> str:
    if not one.file:
        return ""
    shown = _relative(project, project.shown(Path(one.file)))
    return f"{shown}:{one.line}" + (f", in {one.function}" if one.function else "")


def _last_line(step: Step, output: str) -> str:
    """The last line of the treatment's own that Python's faulthandler found on the stack of a crash."""
    as_dumped = str(step.code_dir).encode("ascii", "backslashreplace").decode()
    last = re.search(rf'File "{re.escape(as_dumped)}/([^"]+)", line (\d+) in (\S+)', output)
    if not last:
        return ""
    return f"{step.project.shown(step.code_dir / last[1])}:{last[2]}, in {last[3]} (last Python line before the crash)"


def _relative(project: Project, text: str) -> str:
    """`text` with the paths of the project relative to its root, as all messages name them."""
    if project.root.name:  # if it is `/`, each path would lose that
        for root in {str(project.root), as_unicode(str(project.root))}:
            text = text.replace(f"{root}/", "")
    return text
