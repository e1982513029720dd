"""Makes the stale days of one step: chunk by chunk, children side by side, good days told from bad ones.

A chunk that fails is halved, and its halves are run after all other chunks, until each bad day is alone; the good
ones are published. A chunk whose time is up is run day by day, once: each day then has the time of a child. A load
error, a single day whose time is up, and three equal errors end it all: a typo must not start a child for each day
of a year.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from pymyx.core.contract.models import Days, Failure
from pymyx.core.contract.treatment import CheckedStep
from pymyx.core.errors import Fault, PublishError, TreatmentError
from pymyx.core.incremental.manifest import Made, write_manifest
from pymyx.core.incremental.plan import Facts, Plan, context_of, in_words, split
from pymyx.core.incremental.publish import Published, Target, publish
from pymyx.core.incremental.removal import Removal
from pymyx.core.incremental.stage import Stage, show_only, staged
from pymyx.core.isolation.child import Child, Ending, Order
from pymyx.core.isolation.children import Children
from pymyx.core.isolation.confinement import rules
from pymyx.core.isolation.failure import failed
from pymyx.core.isolation.warned import Warned
from pymyx.core.logger import as_unicode
from pymyx.core.options import Options
from pymyx.core.project import Project

LONGEST_WARNING = 500  # characters of one that is remembered
MOST_EQUAL = 3  # errors, then no more is tried
MOST_SHOWN = 5  # errors


@dataclass(frozen=True, eq=False)
class Piece:
    """Some of the days, for one child; `half_of` is the piece that failed with them."""

    days: list[str]
    half_of: Piece | None = None


@dataclass
class Batch:
    """What one execution makes.

    `published` and `days` are the files and days that are in place so far, `cpu_s` and `peak_mb` what the children
    used; `failures` are the pieces that failed and were not tried in halves; `removal` sees to the results that go.
    `odd` are entries of the input folder that no treatment is to see.
    """

    project: Project
    step: CheckedStep
    facts: Facts
    plan: Plan
    target: Target
    options: Options
    lock: int
    odd: dict[str, str] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    peak_mb: int = 0
    failures: dict[Piece, TreatmentError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.removal = Removal(self.target, self.plan, self.options.prune)

    def run(self) -> None:
        """Make all stale days, and withdraw those that are gone.

        Raises:
            TreatmentError: some of them failed; the others are published.
            PublishError: what a child left cannot be published; or no result would be left of those there were.
        """
        stale = list(self.plan.stale)
        pieces = split(stale, self.options.children) if stale else []
        self._started = time.monotonic()
        self._share = max(1, self.options.processors // max(1, min(self.options.children, len(pieces))))
        self._queue = deque(Piece(days) for days in pieces)
        self._at_work: dict[Child, tuple[Piece, Stage, Order, ExitStack]] = {}
        self._slow: set[Piece] = set()  # of more days than there was time for
        self._warned = Warned(self.options.show)
        with ExitStack() as self._stages, Children(self._tell_progress, self.options.tick_s) as children:
            self._stages.callback(self._warned.tell)
            while self._queue or len(children):
                while self._queue and len(children) < self.options.children:
                    self._start(children, self._queue.popleft())
                self._take(*children.wait())
        try:
            self.days += self.removal.settle(self.step.treatment.name)
        except PublishError as error:
            if not self.failures:
                raise
            failure = self._failure()
            failure.faults += error.faults
            raise failure from error
        if self.failures:
            raise self._failure()

    def _start(self, children: Children, piece: Piece) -> None:
        if piece.half_of:
            self.failures.pop(piece.half_of, None)
        stack = ExitStack()
        stage = stack.enter_context(staged(self.target.folder, self.target.shown))
        self._stages.push(stack)
        windows = self.plan.windows
        names = None if self.plan.whole else sorted({name for day in piece.days for name in windows[day]})
        if self.odd and names is None:  # they cannot be looked at: what is there but for them
            names = sorted({*os.listdir(self.step.input_dir)} - self.odd.keys())
        timeout_s = self.options.timeout_of(self.step.treatment)
        days = None if self.plan.whole else piece.days
        order = order_for(self.project, self.step, stage, names, days, self.options, self.lock, timeout_s, self._share)
        if len(self.plan.stale) > 1:
            order = replace(order, show=self._warned.show)
        self._at_work[children.start(order)] = (piece, stage, order, stack)

    def _take(self, child: Child, ending: Ending) -> None:
        piece, stage, order, stack = self._at_work.pop(child)
        self.cpu_s += ending.cpu_s
        self.peak_mb = max(self.peak_mb, ending.peak_mb)
        with stack:
            if ending.succeeded:
                self._publish(piece, stage, _first_warning(ending.output))
            else:
                self._note_failure(piece, order, ending, round((time.monotonic() - child.started) * 1000))
        self._tell_progress()

    def _note_failure(self, piece: Piece, order: Order, ending: Ending, duration_ms: int) -> None:
        unchanged = f"nothing was published; `{self.target.shown}` is unchanged"
        if not self.plan.whole:  # of several days, that is told of all at the end
            unchanged = "" if len(self.plan.stale) > 1 else "; ".join(self._left_as_it_was(piece.days))
        self.failures[piece] = failed(self.project, self.step, order.job, ending, unchanged, duration_ms)
        self._try_again(piece, ending)

    def _publish(self, piece: Piece, stage: Stage, warning: str) -> None:
        windows, looks = self.plan.windows, self.step.treatment.days or Days(before=0, after=0)
        made = {
            day: Made(code=self.facts.code, params=self.facts.params, inputs=windows[day], outputs={}, warning=warning)
            for day in piece.days
        }
        context = set() if self.plan.whole else context_of(piece.days, windows, looks)
        published = publish(stage, self.target, made, context, keep=self.removal.unsure)
        self.published.append(published)
        self.days += self.removal.note(piece.days, made, published)
        if self._queue or self._at_work or self.failures:  # else the execution is done, and that is written at once
            write_manifest(self.target.folder, self.target.manifest)

    def _try_again(self, piece: Piece, ending: Ending) -> None:
        unloaded = isinstance(ending.outcome, Failure) and ending.outcome.phase != "run"
        timed_out, alone = ending.stopped == "timeout", len(piece.days) == 1
        if timed_out and not alone:
            self._slow.add(piece)
        if unloaded or (timed_out and alone) or self._is_hopeless():
            self._queue.clear()
        elif timed_out:
            single = [Piece([day], piece) for day in piece.days]
            if len(self._slow) >= MOST_EQUAL and not self.days:  # no other chunk will do better
                self._queue.extendleft(reversed(single))
            else:
                self._queue.extend(single)
        elif not alone and not ending.stopped:
            middle = len(piece.days) // 2
            self._queue += [Piece(piece.days[:middle], piece), Piece(piece.days[middle:], piece)]

    def _is_hopeless(self) -> bool:
        """Whether the same error came from three single days; or from any three pieces, while no day was made."""
        alike = Counter(
            self._kind(error)
            for piece, error in self.failures.items()
            if piece not in self._slow and (len(piece.days) == 1 or not self.days)
        )
        return any(times >= MOST_EQUAL for times in alike.values())

    def _kind(self, error: TreatmentError) -> tuple[object, ...]:
        """What makes two errors equal; while no day was made, not what they say, as that may name a file or day."""
        outcome = error.outcome or {}
        keys = ("type", "message", "file", "line") if self.days else ("type", "file", "line")
        return (*map(outcome.get, keys), error.signal, error.returncode)

    def _failure(self) -> TreatmentError:
        """The error of the whole execution: each kind of error once, and which days it was."""
        kinds: dict[tuple[object, ...], TreatmentError] = {}
        for piece in sorted(self.failures, key=lambda piece: piece.days):
            kinds.setdefault(self._kind(self.failures[piece]), self.failures[piece])
        first, *_ = shown = list(kinds.values())[:MOST_SHOWN]
        if self.plan.whole:
            return first
        stale = list(self.plan.stale)
        bad = sorted(day for piece in self.failures for day in piece.days)
        untried = [day for day in stale if day not in {*bad, *self.days, *self.removal.held}]
        counted = self.plan.counted
        named = counted(bad)
        notes = [
            _were(counted(sorted(self.days)), "published"),
            _were(counted(untried), "not tried"),
            *self._left_as_it_was(sorted([*bad, *untried])),
        ]
        if len(kinds) > len(shown):
            notes.append(f"{len(kinds) - len(shown)} more errors, each another one, are not shown")
        what = f"treatment `{self.step.treatment.name}` failed for {len(named)} of {len(counted(stale))} days"
        summary = Fault(f"{what}: {in_words(named)}", notes=tuple(filter(None, notes)))
        first.faults = (*(fault for error in shown for fault in error.faults), *([summary] if len(stale) > 1 else []))
        return first

    def _left_as_it_was(self, days: list[str]) -> list[str]:
        """What is so of days that were not made: some have published files, of others there is nothing."""
        known = self.target.manifest.days
        kept = [day for day in days if day in known and known[day].outputs]
        others = [day for day in self.plan.counted(days) if day not in kept]
        return [
            *([f"unchanged in `{self.target.shown}`: {in_words(kept)}"] if kept else []),
            *([f"nothing was published for {in_words(others)}"] if others else []),
        ]

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _tell_progress(self) -> None:
        counted = self.plan.counted
        made, days = len(counted(self.days)), len(counted(self.plan.stale))
        self.options.progress(self.step.treatment.name, made, days, self._elapsed_s)


def order_for(
    project: Project,
    step: CheckedStep,
    stage: Stage,
    names: list[str] | None,
    days: list[str] | None,
    options: Options,
    lock: int,
    timeout_s: float,
    processors: int,
) -> Order:
    """What a child is to do for a step: `days` from a view of the input files `names`, or all of the input folder."""
    treatment, source = step.treatment, step.input_dir
    job = {
        "treatment_dir": str(project.treatments / treatment.name),
        "input_dir": str(source if names is None else show_only(stage, [source / name for name in names])),
        "output_dir": str(stage.output_dir),
        "params": step.params,
        "memory_mb": options.memory_of(treatment),
        "timeout_s": timeout_s,
        "confine": rules(
            project, treatment, source, stage.view_dir, [stage.output_dir, stage.scratch_dir], options.confine
        ),
    }
    return Order(
        job,
        days=days,
        scratch_dir=stage.scratch_dir,
        timeout_s=timeout_s,
        env=treatment.allow.env,
        processors=processors,
        keep=lock,
        show=options.show,
        real_paths=((str(stage.output_dir), str(step.output_dir)), (str(stage.view_dir), str(source))),
    )


def _were(days: list[str], what: str) -> str:
    return f"{in_words(days)} {'was' if len(days) == 1 else 'were'} {what}" if days else ""


def _first_warning(output: str) -> str:
    """The first warning in what a child printed, as far as that was kept."""
    mark = "warning: "
    warnings = (line.removeprefix(mark) for line in output.splitlines() if line.startswith(mark))
    return as_unicode(next(warnings, "")[:LONGEST_WARNING])
