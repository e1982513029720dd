"""Tells in words how a treatment failed: what it raised, what ended it, or what it left unsaid."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from pymyx.core.contract.grants import refusal
from pymyx.core.contract.models import Failure, Raised
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.isolation.child import Ending, Order
from pymyx.core.project import Project

NATIVE = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT")
MOST_LINES = 30  # of a traceback
VERBS = {"confine": "could not be confined", "load": "could not be loaded", "run": "failed"}
MISSING = "(?:No such file or directory|Failed to open|non-existent directory)"
SHARED = "multiprocessing|shared_memory|(?:shm|sem|msg)get|mq_open|sysv_ipc|posix_ipc"
NETWORK = re.compile(
    r"\bconnect|connection|resolv(e|ing)|name resolution|name or service|gaierror|unreachable",
    re.IGNORECASE,
)
MISTAKES = {"AttributeError", "KeyError", "NameError", "TypeError"}  # that speak of code, whatever its names mean
RELATIONS = {"cause": "because of", "context": "while handling"}


def treatment_error(order: Order, ending: Ending, duration_s: float, unchanged: str) -> TreatmentError:
    """The error that an ending other than success stands for; `unchanged` is the note on what it leaves as it was."""
    name = order.step.treatment.name
    failure = ending.outcome if isinstance(ending.outcome, Failure) else None
    died = signal.Signals(-ending.returncode) if ending.returncode < 0 else None
    after = f"treatment `{name}` {{}} after {duration_s:.1f} s"
    used = f"it used {ending.cpu_s:.1f} s of processor and at most {ending.peak_mb} MB of memory"
    if ending.stopped == "timeout":
        hint = _more(name, "timeout_s")
        what = f"{after.format('was stopped')}: its time was up ({order.timeout_s:g} s)"
        fault = Fault(what, notes=(used, unchanged), hint=hint)
    elif ending.stopped == "output":
        fault = Fault(f"{after.format('was stopped')}: it printed more than 1 GiB", notes=(used, unchanged))
    elif failure:
        fault = _raised(order, failure, unchanged)
    elif died:
        fault = _crashed(order.step, died, ending, after.format("crashed"), (used, unchanged))
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


def _raised(order: Order, failure: Failure, unchanged: str) -> Fault:
    project, name = order.step.project, order.step.treatment.name
    evidence = [f"{RELATIONS[link.relation]}: {_in_words(project, link)}" for link in failure.chain]
    trace = _relative(project, failure.traceback).splitlines()
    if failure.traceback.count('File "') > 1 or "  | " in failure.traceback:  # one frame says no more than `at`
        left_out = len(trace) - MOST_LINES
        mark = f"… ({left_out} lines left out) …"
        evidence += trace if left_out <= 0 else [*trace[:5], mark, *trace[5 - MOST_LINES :]]
    note, hint = _mending(order, failure)
    return Fault(
        f"treatment `{name}` {VERBS[failure.phase]}: {failure.type}: {_relative(project, failure.message)}".rstrip(
            ": "
        ),
        _place(project, failure),
        tuple(evidence),
        (*failure.notes, *([note] if note else []), unchanged),
        hint,
    )


def _mending(order: Order, failure: Failure) -> tuple[str, str]:
    """A note and a hint for failures whose way out is known: a missing package, a limit, a refusal of the kernel."""
    step, name = order.step, order.step.treatment.name
    types = [one.type for one in (failure, *failure.chain)]
    told = "\n".join([one.message for one in (failure, *failure.chain)])
    missing = re.match(r"No module named '([\w.]+)'", failure.message)
    if missing:
        return "", f"install the package that provides `{missing[1]}`: {sys.executable} -m pip install …"
    if order.memory_mb and any(re.search(r"Memory(Error|Exception)$", one) for one in types):  # numpy's, pyarrow's too
        return f"its limit is {order.memory_mb} MB of data (memory_mb)", _more(name, "memory_mb")
    if failure.type == "KeyError" and "environ" in failure.traceback:
        return _variable(step, failure.message.strip("'\""))
    absent = re.search(rf"{MISSING}.*?['\"](/[^'\"]+)['\"]", told)
    if absent and step.output_dir in Path(absent[1]).parents:
        return "output_dir is private, empty at first and flat: write files straight into it", ""
    return _permission(order, types, told, failure.traceback) if order.rules else ("", "")


def _variable(step: Step, variable: str) -> tuple[str, str]:
    """A note and a hint for an environment variable that was looked for in vain."""
    if variable in step.treatment.allow.env:
        hint = f"set it where PyMyx is started (a cron line has few variables): export {variable}=…"
        return f"`{variable}` is granted (allow.env), but it is not set here", hint
    if variable not in os.environ:
        return "", ""
    return "a treatment sees few environment variables", _grant(step.treatment.name, f'"env": ["{variable}"]')


def _permission(order: Order, types: list[str], told: str, traceback: str) -> tuple[str, str]:
    """A note and a hint for what the kernel refused; `types` and `told` are what was raised, and what led to it."""
    project, name, kept_to = order.step.project, order.step.treatment.name, order.rules or {}
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
    if why := refusal(project, granted, order.step.output_dir):
        return f"{note}; `{granted}` cannot be granted: {why}", beside
    grant = _grant(name, f'"read": ["{granted}"]')
    return note, f"{grant}; or {beside}"


def _more(name: str, limit: str) -> str:
    option = f"--{limit.replace('_', '-')}"
    return f"give it more: limits.{limit} in treatments/{name}/treatment.json, or {option}, the stricter counts"


def _grant(name: str, permission: str) -> str:
    return f'if it needs that, grant it in treatments/{name}/treatment.json: "allow": {{{permission}}}'


def _in_words(project: Project, one: Raised) -> str:
    place = _place(project, one)
    return f"{one.type}: {_relative(project, one.message)}" + (f" (at {place})" if place else "")


def _place(project: Project, one: Raised) -> str:
    if not one.file:
        return ""
    return f"{project.shown(Path(one.file))}:{one.line}" + (f", in {one.function}" if one.function else "")


def _crashed(step: Step, died: signal.Signals, ending: Ending, what: str, notes: tuple[str, ...]) -> Fault:
    words = (signal.strsignal(died) or "").lower()
    where = ""
    if died.name in NATIVE:
        subject = f"a {words}" if died == signal.SIGSEGV else died.name
        notes = (f"{subject} comes from native code, not from a Python exception", *notes)
        as_dumped = str(step.code_dir).encode("ascii", "backslashreplace").decode()  # by faulthandler
        last = re.search(rf'File "{re.escape(as_dumped)}/([^"]+)", line (\d+) in (\S+)', ending.output)
        if last:
            file, line, function = step.project.shown(step.code_dir / last[1]), last[2], last[3]
            where = f"{file}:{line}, in {function} (last Python line before the crash)"
    elif died == signal.SIGKILL:
        notes = ("SIGKILL comes from outside: from the kernel when memory runs out, or from whoever sent it", *notes)
    name, folder = step.treatment.name, step.input_shown
    alone = f"python -m pymyx.core.runner --treatment {name} --input {folder} --output scratch"
    return Fault(f"{what}: {died.name} ({words})", where, notes=notes, hint=f"run it alone: {alone}")


def _relative(project: Project, text: str) -> str:
    """`text` with the paths of the project relative to its root, as all messages name them."""
    return text.replace(f"{project.root}/", "") if project.root.name else text
