"""Holds the warnings of children back to the end of an execution, where equal ones are told once, with their number."""

from __future__ import annotations

from collections import Counter

from pymyx.core.isolation.output import Show

MARK = "warning: "  # how the shim begins one
MOST_HELD = 1000  # different ones; more are shown as they come


class Warned:
    """What children say on the way to whoever is shown it."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._held: Counter[str] = Counter()

    def show(self, text: str) -> None:
        """Pass whole lines on, but for the warnings among them."""
        passed = [line for line in text.split("\n") if not self._hold(line)]
        if any(passed):
            self._show("\n".join(passed))

    def tell(self) -> None:
        """Show the warnings that were held."""
        for line, times in self._held.items():
            self._show(f"{line}{f' ({times} times)' if times > 1 else ''}\n")
        self._held.clear()

    def _hold(self, line: str) -> bool:
        if not line.startswith(MARK) or (line not in self._held and len(self._held) >= MOST_HELD):
            return False
        self._held[line] += 1
        return True
