"""Lets results go that are not made any more, or whose input is gone; never, unasked, all that a folder has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pymyx.core.errors import Fault, PublishError, letting_go
from pymyx.core.incremental.files import day_of
from pymyx.core.incremental.manifest import Made, is_result
from pymyx.core.incremental.plan import Plan, in_words
from pymyx.core.incremental.publish import Cause, Published, Target, move, owned_by


@dataclass
class Removal:
    """What one execution removes.

    While it is not sure that the folder will have results in the end, days that make none keep theirs (`held`: how they
    were made in truth). `removed` are the results that went, by day (or name, where of no day), with the cause.
    """

    target: Target
    plan: Plan
    prune: bool
    held: dict[str, Made] = field(default_factory=dict)
    removed: list[tuple[str, Cause]] = field(default_factory=list)

    def __post_init__(self) -> None:
        days = self.target.manifest.days if self.plan.whole else ()
        self._at_risk = {*self.plan.stale, *self.plan.gone, *days}

    @property
    def unsure(self) -> bool:
        """Whether the folder may be left without results by what is yet to be made."""
        return not self._results_stay(self._at_risk)

    def note(self, days: list[str], made: dict[str, Made], published: Published) -> list[str]:
        """Take note of what was published for `days`; those that are made now, and not held."""
        self.removed += published.removed
        self.held |= {day: made.get(day) or self.target.manifest.days[day] for day in published.held}
        done = [] if self.plan.whole and published.held else [day for day in days if day not in published.held]
        self._at_risk -= {*done}
        return done

    def settle(self, treatment: str) -> list[str]:
        """Remove what was held, and what is of days whose input is gone; the days that were held and are made now.

        Raises:
            PublishError: that would be all results there are, and nothing was removed; or a file cannot be.
        """
        leaving = {*self.held, *self.plan.gone}
        days = {day: self.target.manifest.days[day] for day in leaving}
        results = list(filter(is_result, owned_by(days)))
        if results and not self._results_stay(leaving):
            raise self._nothing_left(treatment, results)
        self._let_go()
        self._withdraw()
        return list(self.held)

    def _results_stay(self, leaving: Iterable[str]) -> bool:
        """Whether the folder will have results whatever becomes of the days `leaving`; or need not have any."""
        days = {day: made for day, made in self.target.manifest.days.items() if day not in leaving}
        return self.prune or any(map(is_result, owned_by(days)))

    def _let_go(self) -> None:
        """Remove the results of the days that were held, and record them as they were made."""
        names = [name for day in self.held for name in self.target.manifest.days[day].outputs if is_result(name)]
        move(None, self.target, [], names)
        for day, made in self.held.items():
            outputs = self.target.manifest.days[day].outputs
            aside = {name: known for name, known in outputs.items() if not is_result(name)}
            self.target.manifest.days[day] = made.model_copy(update={"outputs": aside})
        self.removed += [(day_of(name) or name, "the treatment made none") for name in names]

    def _withdraw(self) -> None:
        """Remove the outputs of the days whose input is gone, and forget the days."""
        gone = {day: self.target.manifest.days.pop(day) for day in self.plan.gone}
        names = owned_by(gone) - owned_by(self.target.manifest.days)
        move(None, self.target, [], sorted(names))
        self.removed += [(day_of(name) or name, "their input is gone") for name in names if is_result(name)]

    def _nothing_left(self, treatment: str, results: list[str]) -> PublishError:
        labels = in_words(sorted({day_of(name) or name for name in results}))
        why = "made none" if self.held else "has no input for them any more"
        return PublishError(
            Fault(
                f"`{self.target.shown}` would be left without any result, treatment `{treatment}` {why}: {labels}",
                notes=("nothing was withdrawn",),
                hint=f"a wrong file name in its run.py, or in its params? if it is meant so, {letting_go()}",
            )
        )
