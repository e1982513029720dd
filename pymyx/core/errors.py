"""Every error a user can meet, in one tree: what happened, where, the evidence, and how to mend it.

    PymyxError                exit code 1
    ├── UsageError            2    wrong option, project or folder: nothing was run
    │   └── ContractError     2    a treatment.json, run.py, flow or param breaks its contract: nothing was run
    ├── BusyError             75   another run holds the output folder: nothing was run
    ├── TreatmentError        1    the treatment failed, whatever the reason in its code or its data
    ├── PublishError          1    the treatment succeeded, but its files could not be put in place
    ├── LateDataError         1    new input for days whose other files were archived, or a raw file shrank
    ├── FlowStopped           that of the step that failed
    └── Interrupted           129 (SIGHUP), 130 (SIGINT) or 143 (SIGTERM)

Facts stand in attributes, texts in `faults`; `str(error)` is the whole text.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, in the parts of a message; a part that says nothing is empty."""

    what: str
    where: str = ""
    evidence: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at {self.where}")
        lines += [f"  {line}" for line in self.evidence]
        lines += [f"note: {note}" for note in self.notes if note]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """What and where, as one line: what the log keeps."""
        return f"{self.what} (at {self.where})" if self.where else self.what


class PymyxError(Exception):
    """Base of all errors of PyMyx; holds at least one `Fault`, and the facts that its class declares."""

    exit_code = 1

    def __init__(self, *faults: Fault, **facts: Any) -> None:
        super().__init__(*faults)
        self.faults = faults
        vars(self).update(facts)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)

    @property
    def headline(self) -> str:
        """What and where of every fault, as one line."""
        return "; ".join(fault.headline for fault in self.faults)


class UsageError(PymyxError):
    """A wrong option, project or folder; nothing was run."""

    exit_code = 2


class ContractError(UsageError):
    """A treatment.json, run.py, flow or param breaks its contract; nothing was run. Holds every fault found."""


class BusyError(PymyxError):
    """Another run holds the output folder; nothing was run."""

    exit_code = 75


class TreatmentError(PymyxError):
    """The treatment failed.

    Attributes:
        treatment: the treatment's name.
        outcome: the error outcome that the child stated (`schemas/outcome.schema.json`), or None if it died without.
        signal: the name of the signal that ended it (`SIGSEGV`), or None.
        returncode: the exit code of the child, negative for a signal, or None if it could not be started.
        output: head and tail of what it printed.
        cpu_s, peak_mb: what it used: seconds of processor, and the highest memory of one process.
    """

    treatment: str
    outcome: dict[str, object] | None = None
    signal: str | None = None
    returncode: int | None = None
    output: str = ""
    cpu_s: float = 0.0
    peak_mb: int = 0


class PublishError(PymyxError):
    """The treatment succeeded, but what it wrote could not be put in place."""


class LateDataError(PymyxError):
    """There is new input for days whose other input files were archived, or a raw file shrank; what was made stays."""


class FlowStopped(PymyxError):  # noqa: N818  the name says what happened
    """A flow stopped at a step, or went on past failed ones; its exit code is that of the last one that failed.

    Attributes:
        flow: the flow's name.
        step: the number of the last step that was tried, from 1.
        done, failed, not_run: names of treatments, in the order of the steps.
        errors: why the failed ones failed, in the same order.
    """

    flow: str
    step: int
    done: list[str]
    failed: list[str]
    not_run: list[str]
    errors: tuple[PymyxError, ...]


class Interrupted(PymyxError):  # noqa: N818  the name says what happened
    """The runner was told to stop by the signal `signum`; `signal` is its name, `note` says how far it came."""

    def __init__(self, signum: int, note: str = "") -> None:
        self.signum = signum
        self.signal = signal.Signals(signum).name
        self.exit_code = 128 + signum
        word = {signal.SIGHUP: "hung up", signal.SIGINT: "interrupted"}.get(signal.Signals(signum), "terminated")
        super().__init__(Fault(f"{word} ({self.signal})", notes=(note,) if note else ()))


def did_you_mean(word: object, accepted: Iterable[str]) -> str:
    """The hint that names the accepted word nearest to `word`, or nothing when none is near."""
    from difflib import get_close_matches

    near = get_close_matches(str(word), list(accepted), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def none_of(accepted: Collection[str], name: str, what: str, where: str = "") -> Fault:
    """The fault of a `name` that is none of those accepted: it lists them, and names the nearest one."""
    return Fault(what, where, (f"accepted: {listed(accepted)}",), hint=did_you_mean(name, accepted))


def listed(names: Iterable[str]) -> str:
    """`names` for a message, sorted; `(none)` when there are none."""
    return ", ".join(sorted(names)) or "(none)"


def first_of(names: Sequence[str], most: int) -> str:
    """The first of `names` for a message, with `…` for those that are left out."""
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


def letting_go(days: str = "") -> str:
    """How to let results go, for a hint: never without a look at what would; `days` are further options."""
    return f"see what would go with --dry-run --prune{days}, then let it go with --prune{days}"


def counted(number: int, noun: str) -> str:
    """`1 day`, `2 days`, `12,377 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def as_unicode(text: str) -> str:
    """`text` with all bytes escaped that are not Unicode, as in a file name that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
