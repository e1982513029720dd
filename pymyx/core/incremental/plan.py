"""Decides which days of an output folder are to be made again, and why. Pure: facts in, plan out.

A day is made from the input files of its window: those of the days from `before` days before it to `after` days
after it. It is up to date when it was made from just these files, this code and these params, and its outputs
are as they were published. Hashes are compared for equality; nothing is ever "newer".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

from pymyx.core.contract.models import Days
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, UsageError, letting_go
from pymyx.core.incremental.facts import Facts, look, owned_manifest, refuse_lost_state
from pymyx.core.incremental.files import day_of
from pymyx.core.incremental.manifest import WHOLE, MadeDay, Manifest, results

MOST_NAMED = 5  # days in a message

Reason = Literal[
    "new",
    "input changed",
    "neighbour changed",
    "days changed",
    "params changed",
    "code changed",
    "output missing",
    "output changed",
    "forced",
    "orphan",
]
FEWEST, MOST = 10, 30  # days of a chunk where nothing is known of their time
WORTH_S = 2.0  # of work for a child: less, and starting it (0.4 s with pandas) costs too much beside


@dataclass(frozen=True)
class Choice:
    """Which days may be made, beyond what their state asks for: `first` and `last` are days, or nothing."""

    first: str = ""
    last: str = ""
    force: bool = False
    prune: bool = False

    def holds(self, day: str) -> bool:
        """Whether the day lies in the chosen range; the whole folder always does."""
        return day == WHOLE or ((not self.first or day >= self.first) and (not self.last or day <= self.last))


@dataclass(frozen=True)
class Plan:
    """What is to be done for one step, day by day; where it is run over its whole folder, `whole` stands for a day."""

    stale: dict[str, Reason]  # the days to make, in order
    gone: tuple[str, ...]  # days whose input is gone: their outputs are to be removed
    orphans: tuple[str, ...]  # frozen days: input files of theirs were archived, they stay as they are
    late: tuple[str, ...]  # orphans for which there is new data all the same
    left: tuple[str, ...]  # days that are stale, or gone, but not chosen
    windows: dict[str, dict[str, str]]  # the input files (name: hash) of each day to make
    filled: frozenset[str]  # days that have published files
    shrunk: dict[str, tuple[int, int]]  # raw files smaller than recorded, so they count as archived: bytes then and now
    unowned: tuple[str, ...]  # what no run owns in the output folder: its days, and the names of files of no day
    undated: tuple[str, ...]  # input files of no day, where the treatment could be run day by day without them
    lost: tuple[str, ...]  # days with results but no input file any more; `whole`, where some of its files are gone
    made: dict[str, MadeDay]  # what was made; by the day of its name also what a run over the whole folder made
    whole: bool  # whether the step is run over its whole folder
    idle: bool  # whether there is nothing to do

    def counted(self, days: Iterable[str]) -> list[str]:
        """Those of the days that are days to their user: that a file is of, read or written, not empty neighbours."""
        return [
            day for day in days if day == WHOLE or day in self.filled or day in map(day_of, self.windows.get(day, ()))
        ]

    @property
    def reasons(self) -> dict[str, Reason]:
        """Every day that is not up to date and chosen, with its reason, in order."""
        gone: dict[str, Reason] = dict.fromkeys(self.gone, "input changed")
        orphans: dict[str, Reason] = dict.fromkeys((*self.unowned, *self.orphans), "orphan")
        return dict(sorted((gone | orphans | self.stale).items()))


def plan_step(step: Step, choice: Choice, manifest: Manifest | None = None) -> tuple[Facts, Plan]:
    """Look at a step, and plan what is to be done; its `manifest` is read where nobody has read it.

    Raises:
        UsageError: as `owned_manifest` and `look`; or its state is lost; or the input folder is another one than
            before, and days that were made would go, or would be made from fewer files.
    """
    manifest = manifest or owned_manifest(step, force=choice.force)
    facts = look(step, manifest)
    plan = make_plan(facts, choice)
    if manifest.is_new and choice.force and plan.whole:  # without `force` owned_manifest has seen to it
        refuse_lost_state(step)
    if plan.lost and not choice.prune and "" != manifest.input_id != facts.input_id != "":
        source, shown = step.input_shown, step.output_shown
        what = f"`{source}` is not the folder that `{shown}` was made from: its manifest is another one"
        lost = "it would be made from fewer files" if plan.whole else f"it would lose {in_words(list(plan.lost))}"
        hint = f"is its disk mounted? put the folder back with its state; or, if it is meant so, {letting_go()}"
        note = f"nothing was made in `{shown}`: {lost}"
        raise UsageError(Fault(f"{what}, and files are gone", notes=(note,), hint=hint))
    return facts, plan


def make_plan(facts: Facts, choice: Choice) -> Plan:
    """Decide which days to make."""
    # what each day was made from; a file of no day is of every day's input, so the step runs over its whole folder
    undated = tuple(name for name in facts.inputs if not day_of(name)) if facts.days else ()
    whole = facts.days is None or not facts.inputs or bool(undated)
    looks = facts.days or Days(before=0, after=0)
    recorded = facts.manifest.days
    made = recorded if whole else _by_day(recorded, looks)

    # what there is to make them from; of a raw file that lost lines, what was made from it tells more
    shrunk = {
        name: sizes
        for name, sizes in facts.smaller.items()
        if day_of(name)
        and not (choice.prune and (whole or choice.holds(day_of(name))))
        and any(name in one.inputs for one in recorded.values())
    }
    inputs = {name: file.sha256 for name, file in facts.inputs.items() if name not in shrunk}
    own = {day_of(name) for name in inputs}

    # what was made from archived input cannot be made again as it was: it stays
    frozen = [day for day in sorted(made) if facts.raw and not choice.prune and _is_frozen(day, made[day], inputs, own)]
    unowned = {day_of(name) or name for name in facts.unowned}
    if whole and frozen:
        windows, reasons, gone = {WHOLE: {name: file.sha256 for name, file in facts.inputs.items()}}, {}, []
        used = {item for one in recorded.values() for item in one.inputs.items()}
        frozen, late = sorted(recorded), [] if inputs.items() <= used else [WHOLE]
    else:
        windows = {WHOLE: inputs} if whole else {}
        for name in () if whole else sorted(inputs):
            for day in _around(day_of(name), looks.after, looks.before):
                windows.setdefault(day, {})[name] = inputs[name]
        windows = dict(sorted(windows.items()))
        # files that no run made are not overwritten with what their neighbours' input gives
        kept = {*frozen, *(() if choice.prune or whole else unowned - own - made.keys())}
        reasons = {
            day: reason
            for day, window in windows.items()
            if day not in kept and (reason := _reason(day, window, made.get(day), facts, choice))
        }
        gone = [] if whole else [day for day in made if day not in windows and day not in frozen]
        late = [day for day in frozen if not windows.get(day, {}).items() <= made[day].inputs.items()]

    # what of what goes, or is made from less, has results to lose
    with_results = {day: one for day, one in made.items() if results(one.outputs)}
    if whole:
        lost = [WHOLE] if any(one.inputs.keys() - inputs.keys() for one in with_results.values()) else []
    else:
        lost = [
            day
            for day, one in with_results.items()
            if day not in own and (day in map(day_of, one.inputs) or not one.inputs.keys() & inputs.keys())
        ]
    stale = {day: reason for day, reason in reasons.items() if choice.holds(day)}
    chosen_gone = tuple(day for day in gone if choice.holds(day))
    return Plan(
        stale=stale,
        gone=chosen_gone,
        orphans=tuple(frozen),
        late=tuple(late),
        left=tuple(sorted(day for day in [*reasons, *gone] if not choice.holds(day))),
        windows=windows,
        filled=frozenset(recorded if whole and frozen else (day for day, one in made.items() if one.outputs)),
        shrunk=shrunk,
        unowned=tuple(sorted(unowned - reasons.keys())),
        undated=undated,
        lost=tuple(lost),
        made=made,
        whole=whole,
        idle=not stale and not chosen_gone,
    )


def _is_frozen(day: str, made: MadeDay, inputs: dict[str, str], own: set[str]) -> bool:
    """Whether an input file that it was made from was archived.

    A file of no day was everybody's: when it is gone, days that have files of their own are made from these.
    """
    missing = {day_of(name) for name in made.inputs.keys() - inputs.keys()}
    return bool(missing) and (missing != {""} or day not in own)


def split(days: list[str], jobs: int, day_s: float = 0.0) -> list[list[str]]:
    """The days in runs of about equal length, their number a multiple of `jobs` where that leaves each long enough.

    Long enough are ten days, or fewer where the seconds that one day last took (0: unknown) make them worth a child.
    """
    fewest = min(FEWEST, max(1, math.ceil(WORTH_S / day_s))) if day_s else FEWEST
    count = -(-len(days) // MOST)
    count = -(-count // jobs) * jobs
    count = max(1, min(count, len(days) // fewest))
    bounds = [len(days) * number // count for number in range(count + 1)]
    return [days[start:end] for start, end in pairwise(bounds)]


def context_of(days: Iterable[str], windows: dict[str, dict[str, str]], looks: Days) -> set[str]:
    """The days that a treatment may make along with those it is asked for, from the files of their windows."""
    made_from = {day_of(name) for day in days for name in windows[day]}
    return {other for day in made_from for other in _around(day, looks.after, looks.before)}


def late_faults(step: Step, plan: Plan) -> list[Fault]:
    """The faults of a plan that no success may hide: new input for frozen days, raw files smaller than they were."""
    faults = []
    for name, (before, now) in list(plan.shrunk.items())[:MOST_NAMED]:
        what = f"`{step.input_shown}/{name}` is smaller than it was: {before} bytes then, {now} now"
        note = f"it counts as archived: what was made from it in `{step.output_shown}` stays as it is"
        hint = f"put the whole file back; or {letting_go(f' --from {day_of(name)} --to {day_of(name)}')}"
        faults.append(Fault(what, notes=(note,), hint=hint))
    if len(plan.shrunk) > MOST_NAMED:
        more = len(plan.shrunk) - MOST_NAMED
        faults.append(Fault(f"{more} more files of `{step.input_shown}` are smaller than they were"))
    if plan.late:
        days = in_words(list(plan.late))
        what = f"there is new input for {days} of `{step.output_shown}`, made from input files that were archived"
        note = f"what was made then stays; `{step.input_shown}` is not what it was made from any more"
        hint = f"put the archived files back; or {letting_go()}"
        faults.append(Fault(what, notes=(note,), hint=hint))
    return faults


def in_words(days: list[str]) -> str:
    """Days for a message: all of a few, of many the first and the last."""
    if len(days) <= MOST_NAMED:
        return ", ".join(days)
    return f"{len(days)} days ({days[0]} to {days[-1]})"


def _around(day: str, before: int, after: int) -> list[str]:
    if not before and not after:  # most treatments look at one day alone, over years
        return [day]
    middle = date.fromisoformat(day).toordinal()
    # the calendar has a first and a last day
    numbers = range(max(1, middle - before), min(date.max.toordinal(), middle + after) + 1)
    return [date.fromordinal(number).isoformat() for number in numbers]


def _by_day(recorded: dict[str, MadeDay], looks: Days) -> dict[str, MadeDay]:
    """What was made, by day, also where a run over the whole folder made it.

    Each day then has the files of its name, made from the input of its window, and from all input of no day; files
    of no day stay with `whole`.
    """
    if WHOLE not in recorded:
        return recorded
    whole, days = recorded[WHOLE], {day: made for day, made in recorded.items() if day != WHOLE}
    for name, known in whole.outputs.items():
        day = day_of(name) or WHOLE
        part = days.get(day)
        if part is None:
            around = {"", *(() if day == WHOLE else _around(day, looks.before, looks.after))}
            inputs = {name: sha256 for name, sha256 in whole.inputs.items() if day == WHOLE or day_of(name) in around}
            part = whole.model_copy(update={"outputs": {}, "inputs": inputs})
        days[day] = part.model_copy(update={"outputs": {**part.outputs, name: known}})
    return days


def _reason(day: str, window: dict[str, str], made: MadeDay | None, facts: Facts, choice: Choice) -> Reason | None:
    """Why a day is to be made; the first reason that holds, from what its user changed to what happened to it."""
    if made is None:
        # of a treatment that lost its `days` no `whole` was ever made, yet its folder is not new
        by_days = facts.days is None and any(one.days for one in facts.manifest.days.values())
        return "days changed" if by_days else "new"
    if window != made.inputs:
        changed = {name for name, _ in window.items() ^ made.inputs.items()}
        if day == WHOLE or {day, ""} & set(map(day_of, changed)):
            return "input changed"
    # before the neighbours: other `days` change which files are of the window
    if made.days is not None and made.days != facts.looks:
        return "days changed"
    if window != made.inputs:
        return "neighbour changed"
    if made.params != facts.params:
        return "params changed"
    if made.code != facts.code:
        return "code changed"
    for name, known in made.outputs.items():
        found = facts.outputs.get(name)
        if not found or found.sha256 != known.sha256:
            return "output changed" if found else "output missing"
    return "forced" if choice.force and choice.holds(day) else None
