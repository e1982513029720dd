"""Makes the stale days of one step: chunk by chunk, children side by side, good days told from bad ones.

A chunk that fails is halved, and its halves are run after all other chunks, until each bad day is alone; the good
ones are published. A load error, and time that is up, are not tried again, and three equal errors end it all: a
typo must not start a child for each day of a year.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field

from pymyx.core.child import Child, Ending, Order
from pymyx.core.confinement import rules
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.isolation import Children
from pymyx.core.manifest import Made, write_manifest
from pymyx.core.models import Days, Failure
from pymyx.core.options import Options
from pymyx.core.plan import Facts, Plan, context_of, in_words, split
from pymyx.core.project import Project
from pymyx.core.publish import Published, Target, publish
from pymyx.core.stage import Stage, show_only, staged
from pymyx.core.validator import CheckedStep
from pymyx.core.verdict import failed

MOST_EQUAL = 3  # errors, then no more is tried


@dataclass(frozen=True, eq=False)
class Piece:
    """Some of the days, for one child; `half_of` is the piece that failed with them."""

    days: list[str]
    half_of: Piece | None = None


@dataclass
class Batch:
    """What one execution makes.

    `published` and `days` are the files and days that are in place so far, `cpu_s` and `peak_mb` what the children
    used; `failures` are the pieces that failed and were not tried in halves.
    """

    project: Project
    step: CheckedStep
    facts: Facts
    plan: Plan
    target: Target
    options: Options
    lock: int
    published: list[Published] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    peak_mb: int = 0
    failures: dict[Piece, TreatmentError] = field(default_factory=dict)

    def run(self) -> None:
        """Make all stale days.

        Raises:
            TreatmentError: some of them failed; the others are published.
            PublishError: what a child left cannot be published.
        """
        stale = list(self.plan.stale)
        pieces = split(stale, self.options.children)
        self._started = time.monotonic()
        self._share = max(1, self.options.processors // min(self.options.children, len(pieces)))
        self._queue = deque(Piece(days) for days in pieces)
        self._at_work: dict[Child, tuple[Piece, Stage, Order, ExitStack]] = {}
        with ExitStack() as self._stages, Children(self._tell_progress, self.options.tick_s) as children:
            while self._queue or len(children):
                while self._queue and len(children) < self.options.children:
                    self._start(children, self._queue.popleft())
                self._take(*children.wait())
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
        timeout_s = self.options.timeout_of(self.step.treatment) - self._elapsed_s
        days = None if self.plan.whole else piece.days
        order = order_for(self.project, self.step, stage, names, days, self.options, self.lock, timeout_s, self._share)
        self._at_work[children.start(order)] = (piece, stage, order, stack)

    def _take(self, child: Child, ending: Ending) -> None:
        piece, stage, order, stack = self._at_work.pop(child)
        self.cpu_s += ending.cpu_s
        self.peak_mb = max(self.peak_mb, ending.peak_mb)
        with stack:
            if ending.succeeded:
                self._publish(piece, stage)
            else:
                self._note_failure(piece, order, ending)
        self._tell_progress()

    def _note_failure(self, piece: Piece, order: Order, ending: Ending) -> None:
        unchanged = f"nothing was published; `{self.target.shown}` is unchanged"
        if not self.plan.whole:
            unchanged = f"as before in `{self.target.shown}`: {in_words(piece.days)}"
        elapsed_ms = round(self._elapsed_s * 1000)
        self.failures[piece] = failed(self.project, self.step, order.job, ending, unchanged, elapsed_ms)
        self._try_again(piece, ending)

    def _publish(self, piece: Piece, stage: Stage) -> None:
        windows, looks = self.plan.windows, self.step.treatment.days or Days(before=0, after=0)
        made = {
            day: Made(code=self.facts.code, params=self.facts.params, inputs=windows[day], outputs={})
            for day in piece.days
        }
        context = set() if self.plan.whole else context_of(piece.days, windows, looks)
        self.published.append(publish(stage, self.target, made, context))
        self.days += piece.days
        if self._queue or self._at_work or self.failures:  # else the execution is done, and that is written at once
            write_manifest(self.target.folder, self.target.manifest)

    def _try_again(self, piece: Piece, ending: Ending) -> None:
        unloaded = isinstance(ending.outcome, Failure) and ending.outcome.phase != "run"
        if unloaded or self._is_hopeless():
            self._queue.clear()
        elif len(piece.days) > 1 and not ending.stopped:
            middle = len(piece.days) // 2
            self._queue += [Piece(piece.days[:middle], piece), Piece(piece.days[middle:], piece)]

    def _is_hopeless(self) -> bool:
        """Whether the same error came from three single days; or from any three pieces, while no day was made."""
        alike = Counter(_kind(error) for piece, error in self.failures.items() if len(piece.days) == 1 or not self.days)
        return any(times >= MOST_EQUAL for times in alike.values())

    def _failure(self) -> TreatmentError:
        """The error of the whole execution: each kind of error once, and which days it was."""
        first, *_ = self.failures.values()
        if self.plan.whole:
            return first
        kinds = {_kind(error): error for error in reversed(self.failures.values())}
        bad = sorted(day for piece in self.failures for day in piece.days)
        stale = list(self.plan.stale)
        untried = [day for day in stale if day not in bad and day not in self.days]
        made = (
            f"{in_words(sorted(self.days))} {'was' if len(self.days) == 1 else 'were'} published" if self.days else ""
        )
        stopped = f"{in_words(untried)} {'was' if len(untried) == 1 else 'were'} not tried" if untried else ""
        summary = Fault(
            f"treatment `{self.step.treatment.name}` failed for {len(bad)} of {len(stale)} days: {in_words(bad)}",
            notes=tuple(filter(None, (made, stopped))),
        )
        faults = [fault for error in reversed(kinds.values()) for fault in error.faults]
        first.faults = (*faults, *([summary] if len(stale) > 1 else []))
        return first

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _tell_progress(self) -> None:
        self.options.progress(self.step.treatment.name, len(self.days), len(self.plan.stale), self._elapsed_s)


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
        "confine": rules(project, treatment, source, stage, options.confine),
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
        replace=((str(stage.output_dir), str(step.output_dir)), (str(stage.view_dir), str(source))),
    )


def _kind(error: TreatmentError) -> tuple[object, ...]:
    """What makes two errors equal."""
    outcome = error.outcome or {}
    return (*(outcome.get(key) for key in ("type", "message", "file", "line")), error.signal, error.returncode)
