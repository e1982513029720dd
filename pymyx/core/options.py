"""How treatments are run: limits, confinement, which days, how many children at once; and who is told of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from pymyx.core.contract.models import LEAST_MB, LONGEST_S, Treatment
from pymyx.core.errors import Fault, UsageError
from pymyx.core.incremental.plan import Choice
from pymyx.core.isolation.child import Terms
from pymyx.core.isolation.confinement import Confine, shortfall
from pymyx.core.isolation.output import Show

if TYPE_CHECKING:
    from concurrent.futures import Executor

Progress = Callable[[str, int, int, float], None]

SAID: set[str] = set()  # what this process has told about its system, once


@dataclass(frozen=True)
class Options:
    """How treatments are run; runner and flow take the same.

    Attributes:
        timeout_s: a treatment is stopped after so many seconds (default: 21,600).
        memory_mb: one process of a treatment gets no more megabytes of data (default: no limit); what its
            treatment.json says of both counts where it is stricter.
        confine: how far the kernel is to keep it to its contract (`isolation/children.py` tells): `auto`, as
            far as it can; `require`, in full or not at all; `off`.
        from_, to: make only the days from the one to the other: ISO dates or instants, rounded out to UTC days.
        force: make days again that are up to date.
        jobs: children at once (default: the processors that this process may use, or the threads of the workers).
        executor: where children are run, in place of this machine: `dask:ADDRESS` of a scheduler, or `dask:FILE` that
            one wrote; or any `concurrent.futures.Executor`, whose workers are started by spawn, not by fork.
        prune: let what was made from archived input files go.
        keep_going: of a flow: go on with the next steps when some days failed.
        verify: prove `days`: make so many days again alone, and the whole folder, and compare.

    Raises:
        UsageError: one of them is a value that cannot be.
    """

    timeout_s: float | None = None
    memory_mb: int | None = None
    confine: Confine = "auto"
    from_: str | None = None
    to: str | None = None
    force: bool = False
    jobs: int | None = None
    executor: str | Executor | None = None
    prune: bool = False
    keep_going: bool = False
    verify: int = 0
    children: int = field(init=False)  # at once
    choice: Choice = field(init=False)
    shortfall: str = field(init=False)

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not 0 < self.timeout_s < inf:
            raise _refused(f"timeout_s is {self.timeout_s:g}", "seconds, more than 0")
        if self.memory_mb is not None and self.memory_mb < LEAST_MB:
            raise _refused(f"memory_mb is {self.memory_mb}", f"megabytes, at least {LEAST_MB}", "pyarrow hangs below")
        if self.jobs is not None and self.jobs < 1:
            raise _refused(f"jobs is {self.jobs}", "children at once, at least 1")
        if isinstance(self.executor, str) and (self.executor[:5] != "dask:" or len(self.executor) == 5):
            raise _refused(f"executor is `{self.executor}`", "dask:ADDRESS, or dask:FILE that a scheduler wrote")
        if self.verify < 0:
            raise _refused(f"verify is {self.verify}", "a number of days")
        first, last = _day_of("from", self.from_), _day_of("to", self.to)
        if first and last and first > last:
            raise _refused(f"from is {self.from_} and to is {self.to}", "the earlier one first")
        object.__setattr__(self, "children", self.jobs or self.processors)
        object.__setattr__(self, "choice", Choice(first, last, force=self.force, prune=self.prune))
        object.__setattr__(self, "shortfall", shortfall(self.confine))

    @property
    def processors(self) -> int:
        """The processors that this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def share_of(self, children: int) -> int:
        """Processors for each of so many children; OMP_NUM_THREADS bounds it: so one of several devices has its own."""
        told = os.environ.get("OMP_NUM_THREADS", "")
        most = int(told) if told.isascii() and told.isdigit() else self.processors
        return max(1, min(most, self.processors // max(1, children)))

    def terms_for(self, treatment: Treatment, days: list[str] | None, children: int) -> Terms:
        """On what terms one of so many children of a treatment is run; the stricter limit counts."""
        timeouts = [one for one in (treatment.limits.timeout_s, self.timeout_s) if one is not None]
        memories = [one for one in (treatment.limits.memory_mb, self.memory_mb) if one is not None]
        timeout_s, memory_mb = min(timeouts, default=float(LONGEST_S)), min(memories, default=None)
        return Terms(timeout_s, memory_mb, self.confine, days, self.share_of(children))


def _refused(what: str, accepted: str, *notes: str) -> UsageError:
    return UsageError(Fault(what, evidence=(f"accepted: {accepted}",), notes=notes))


def _day_of(which: str, text: str | None) -> str:
    """The UTC day of a date or instant; nothing for none."""
    if text is None:
        return ""
    try:
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
        instant = datetime.fromisoformat(text)
        return (instant.astimezone(UTC) if instant.tzinfo else instant).date().isoformat()
    except (ValueError, OverflowError):
        accepted = "a date such as 2026-01-20, or an instant such as 2026-01-20T06:00:00Z"
        raise _refused(f"{which} is `{text}`", accepted) from None


@dataclass(frozen=True)
class Listener:
    """Who is told of a run while it goes on.

    Attributes:
        show: called with what treatments print, and with notes: whole lines of text.
        progress: called every `tick_s` seconds with the treatment's name, the days made, the days to make, and the
            seconds since the start.
    """

    show: Show = lambda text: None
    progress: Progress = lambda treatment, made, days, elapsed_s: None
    tick_s: float = 3600.0

    def show_once(self, note: str) -> None:
        """Show a note, unless this process has shown it before: it is about the system, not about a run."""
        if note not in SAID:
            SAID.add(note)
            self.show(f"note: {note}\n")


def options_and_listener(given: dict[str, Any]) -> tuple[Options, Listener]:
    """What a caller of `run_treatment` or `run_flow` gave, apart; the options' own notes are told.

    Raises:
        UsageError: an option is a value that cannot be.
    """
    listening = {field.name for field in fields(Listener)}
    listener = Listener(**{name: value for name, value in given.items() if name in listening})
    options = Options(**{name: value for name, value in given.items() if name not in listening})
    first, last = options.choice.first, options.choice.last
    for which, text, day in (("from", options.from_, first), ("to", options.to, last)):
        if text and text != day:
            listener.show(f"note: {which} {text} is taken as the whole day {day} (UTC)\n")
    if options.shortfall:
        listener.show_once(options.shortfall)
    return options, listener
