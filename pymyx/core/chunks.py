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
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymyx.core.contract.models import Days, Failure
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, PublishError, PymyxError, TreatmentError, counted
from pymyx.core.incremental.facts import Facts
from pymyx.core.incremental.manifest import MadeDay, Output
from pymyx.core.incremental.plan import Plan, context_of, in_words, late_faults, split
from pymyx.core.incremental.publish import Left, Published, Removal, publish
from pymyx.core.incremental.stage import Stage, staged
from pymyx.core.isolation.child import Terms
from pymyx.core.isolation.failure import treatment_error
from pymyx.core.isolation.output import MARK, Show, Warned
from pymyx.core.options import Listener, Options
from pymyx.core.work import Done, Here, Work

if TYPE_CHECKING:
    from pymyx.core.workers import Workers

LONGEST_WARNING = 500  # characters of one that is remembered
MOST_EQUAL = 3  # errors, then no more is tried
MOST_SHOWN = 5  # errors


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some of the days, for one child; `half_of` is the chunk that failed with them."""

    days: list[str]
    half_of: Chunk | None = None


@dataclass
class Chunks:
    """What one execution makes."""

    step: Step
    facts: Facts
    plan: Plan
    output: Output
    options: Options
    listener: Listener
    log: Callable[..., None]  # `log_event` of this step
    day_s: float  # seconds that a child last took for each day; 0: unknown
    published: list[Published] = field(default_factory=list)  # the files that are in place so far
    days: list[str] = field(default_factory=list)  # the days that are
    cpu_s: float = 0.0  # what the children used
    peak_mb: int = 0
    failures: dict[Chunk, TreatmentError] = field(default_factory=dict)  # of those that were not tried in halves

    def make(self) -> None:
        """Make all stale days, and withdraw those that are gone.

        start a child for each chunk > wait > publish, or halve > settle what goes > raise what failed

        Raises:
            TreatmentError: some of them failed; the others are published.
            PublishError: what a child left cannot be published; or no result would be left of those there were.
        """
        step, plan, output, started = self.step, self.plan, self.output, time.monotonic()
        stale, at_once = list(plan.stale), self.options.children
        runs = split(stale, at_once, self.day_s) if stale else []
        self._child_s = 0.0
        self._queue = deque(Chunk(days) for days in runs)
        self._slow: set[Chunk] = set()  # of more days than there was time for
        self._unpublished: list[str] = []  # days that were made, and cannot be published
        self._removal = Removal(output, plan, self.options.prune)
        side_by_side = min(at_once, len(runs))
        to_make = set(plan.counted(stale))
        warned = Warned(self.listener.show)
        show = warned.show if len(stale) > 1 else self.listener.show
        at_work: dict[Work, tuple[Chunk, ExitStack]] = {}

        def tell_progress() -> None:
            made = len(to_make.intersection(self.days))
            self.listener.progress(step.treatment.name, made, len(to_make), time.monotonic() - started)

        try:
            with ExitStack() as stages, closing(self._workplace(tell_progress, show)) as children:
                stages.callback(warned.tell)
                while self._queue or at_work:
                    # a child for each chunk, on a stage of its own, as many at once as may be
                    while self._queue and len(at_work) < at_once:
                        chunk = self._queue.popleft()
                        self.failures.pop(chunk.half_of, None)  # type: ignore[arg-type]  # None is none of them
                        stack = ExitStack()
                        stage = stack.enter_context(staged(output.path.parent, output.shown))
                        stages.push(stack)
                        places, names = self._inputs_of(chunk)
                        work = self.work_on(stage, places, names, None if plan.whole else chunk.days, side_by_side)
                        children.start(work)
                        at_work[work] = (chunk, stack)

                    # the first one to end: its files are published, or it is told why not
                    work, done = children.wait()
                    chunk, stack = at_work.pop(work)
                    self._take_note(done)
                    with stack:
                        if done.left:
                            self._publish(chunk, done.left, done)
                            if self._queue or at_work or self.failures:  # else it is written at once, with the success
                                output.write_manifest()
                        else:
                            self._note_failure(chunk, work.terms, done)
                    tell_progress()

            # what goes is settled at the end: only now it is sure that results stay
            nothing_left: tuple[Fault, ...] = ()
            try:
                self.days += self._removal.settle(step.treatment.name)
            except PublishError as error:
                if not self.failures:
                    raise
                nothing_left = error.faults
            if self.failures:
                raise self._failure((*nothing_left, *late_faults(step, plan)))
            if self.days and not plan.whole:
                self.day_s = round(self._child_s / len(self.days), 3) or self.day_s
        except PublishError as error:
            failed = self._failure(()).faults if self.failures else ()
            raise PublishError(*error.faults, *failed, *late_faults(step, plan)) from error
        finally:
            self._tell_of_removed()

    def work_on(
        self, stage: Stage, places: dict[str, str], names: list[str] | None, days: list[str] | None, side_by_side: int
    ) -> Work:
        """What a child is to do on a stage, by the options, of so many `side_by_side`."""
        terms = self.options.terms_for(self.step.treatment, days, side_by_side)
        known = {name: self.facts.inputs[name] for name in places}
        return Work(self.step, stage, terms, places, known, names)

    def _workplace(self, tick: Callable[[], None], show: Show) -> Here | Workers:
        """Where children are run: here, or at the executor."""
        executor, tick_s = self.options.executor, self.listener.tick_s
        if executor is None or isinstance(executor, str):
            return Here(self.output.lock, tick, tick_s, show)
        from pymyx.core.workers import Workers

        return Workers(executor, tick, tick_s, show)

    def _inputs_of(self, chunk: Chunk) -> tuple[dict[str, str], list[str] | None]:
        """The input files of its days, by name with that on the disk; and what a child sees: None for the folder."""
        wanted = sorted({name for day in chunk.days for name in self.plan.windows[day]})
        places = {name: self.facts.packed.get(name, name) for name in wanted}
        if not self.plan.whole:
            return places, sorted(places.values())
        if self.facts.odd:  # passed over: what is there but for them
            return places, sorted({*os.listdir(self.step.input_dir)} - self.facts.odd.keys())
        return places, None

    def _take_note(self, done: Done) -> None:
        """Keep what a child used, and what it read: it is known from now on."""
        self.cpu_s += done.ending.cpu_s
        self.peak_mb = max(self.peak_mb, done.ending.peak_mb)
        self._child_s += done.took_s
        self.facts.inputs.update(done.inputs)
        manifest = self.output.manifest
        manifest.inputs = dict(sorted({**manifest.inputs, **done.inputs}.items()))
        for name, why in done.passed_over.items():
            if self.facts.odd.setdefault(name, why) == why:
                self.listener.show(f"warning: `{self.step.input_shown}/{name}` is passed over: {why}\n")

    def _publish(self, chunk: Chunk, left: Left, done: Done) -> None:
        windows, looks = self.plan.windows, self.step.treatment.days or Days(before=0, after=0)
        warnings = (line.removeprefix(MARK) for line in done.ending.output.splitlines() if line.startswith(MARK))
        warning = next(warnings, "")[:LONGEST_WARNING]
        made = {
            day: MadeDay(
                code=self.facts.code,
                params=self.facts.params,
                inputs={name: done.inputs[name].sha256 for name in windows[day] if name in done.inputs},
                outputs={},
                warning=warning,
                days=self.facts.looks,
            )
            for day in chunk.days
        }
        context = set() if self.plan.whole else context_of(chunk.days, windows, looks)
        self._unpublished = chunk.days
        published = publish(left, self._removal, made, context)
        self._unpublished = []
        self.published.append(published)
        self.days += published.days

    def _note_failure(self, chunk: Chunk, terms: Terms, done: Done) -> None:
        """Keep why a chunk failed; put its halves, or its days, at the end of the queue, or give all up."""
        unchanged = f"nothing was published; `{self.output.shown}` is unchanged"
        if not self.plan.whole:  # of several days, that is told of all at the end
            unchanged = "" if len(self.plan.stale) > 1 else "; ".join(self.left_as_it_was(chunk.days))
        ending = done.ending
        self.failures[chunk] = treatment_error(self.step, terms, ending, done.took_s, unchanged)
        unloaded = isinstance(ending.outcome, Failure) and ending.outcome.phase != "run"
        timed_out, alone = ending.stopped == "timeout", len(chunk.days) == 1
        if timed_out and not alone:
            self._slow.add(chunk)
        if unloaded or (timed_out and alone) or self._is_hopeless():
            self._queue.clear()
        elif timed_out:
            single = [Chunk([day], chunk) for day in chunk.days]
            if len(self._slow) >= MOST_EQUAL and not self.days:  # no other chunk will do better
                self._queue.extendleft(reversed(single))
            else:
                self._queue.extend(single)
        elif not alone and not ending.stopped:
            middle = len(chunk.days) // 2
            self._queue += [Chunk(chunk.days[:middle], chunk), Chunk(chunk.days[middle:], chunk)]

    def _is_hopeless(self) -> bool:
        """Whether the same error came from three single days; or from any three chunks, while no day was made."""
        alike = Counter(
            self._kind(error)
            for chunk, error in self.failures.items()
            if chunk not in self._slow and (len(chunk.days) == 1 or not self.days)
        )
        return any(times >= MOST_EQUAL for times in alike.values())

    def _kind(self, error: TreatmentError) -> tuple[object, ...]:
        """What makes two errors equal; while no day was made, not what they say, as that may name a file or day."""
        outcome = error.outcome or {}
        keys = ("type", "message", "file", "line") if self.days else ("type", "file", "line")
        return (*map(outcome.get, keys), error.signal, error.returncode)

    def _failure(self, others: tuple[Fault, ...]) -> TreatmentError:
        """The error of the whole execution: each kind of error once, which days it was, and the `others`."""
        kinds: dict[tuple[object, ...], TreatmentError] = {}
        for chunk in sorted(self.failures, key=lambda chunk: chunk.days):
            kinds.setdefault(self._kind(self.failures[chunk]), self.failures[chunk])
        first, *_ = shown = list(kinds.values())[:MOST_SHOWN]
        faults = [fault for error in (shown if not self.plan.whole else [first]) for fault in error.faults]
        stale = list(self.plan.stale)
        if not self.plan.whole and len(stale) > 1:
            bad = sorted(day for chunk in self.failures for day in chunk.days)
            untried = [day for day in stale if day not in {*bad, *self.days, *self._removal.held, *self._unpublished}]
            named = self.plan.counted(bad)
            notes = [
                _were(self.plan.counted(sorted(self.days)), "published"),
                _were(self.plan.counted(untried), "not tried"),
                *self.left_as_it_was(sorted([*bad, *untried])),
            ]
            if len(kinds) > len(shown):
                notes.append(f"{len(kinds) - len(shown)} more errors, each another one, are not shown")
            days = len(self.plan.counted(stale))
            what = f"treatment `{self.step.treatment.name}` failed for {len(named)} of {days} days"
            faults.append(Fault(f"{what}: {in_words(named)}", notes=tuple(filter(None, notes))))
        return TreatmentError(
            *faults, *others, **{name: value for name, value in vars(first).items() if name != "faults"}
        )

    def log_error(self, headline: str, started: float) -> None:
        """Log why it failed, and write the manifest that says so; that this cannot be done hides nothing.

        A folder that nothing was ever published to is not claimed by a failure.
        """
        try:
            self.log(status="error", duration_ms=round((time.monotonic() - started) * 1000), error=headline)
        except PymyxError as unlogged:
            self.listener.show(f"error: {unlogged}\n")
        if self.output.path.exists():
            with suppress(PymyxError):
                self.output.write_manifest()

    def left_as_it_was(self, days: list[str]) -> list[str]:
        """What is so of days that were not made: some have published files, of others there is nothing."""
        known = self.output.manifest.days
        kept = [day for day in days if day in known and known[day].outputs]
        others = [day for day in self.plan.counted(days) if day not in kept]
        return [
            *([f"unchanged in `{self.output.shown}`: {in_words(kept)}"] if kept else []),
            *([f"nothing was published for {in_words(others)}"] if others else []),
        ]

    def _tell_of_removed(self) -> None:
        """Say which results went, and why."""
        removed = self._removal.removed
        for cause in dict.fromkeys(cause for _, cause in removed):
            went = [label for label, each in removed if each == cause]
            many = counted(len(went), "published file")
            self.listener.show(f"warning: {many} removed: {in_words(sorted(set(went)))} ({cause})\n")


def _were(days: list[str], what: str) -> str:
    return f"{in_words(days)} {'was' if len(days) == 1 else 'were'} {what}" if days else ""
