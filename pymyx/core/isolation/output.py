"""Holds the warnings of children back to the end of an execution, where equal ones are told once, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

MARK = "warning: "  # the shim begins each warning with it
MOST_HELD = 1000  # different warnings; who warns of each row anew shows the rest at once, and fills no memory

Show = Callable[[str], None]


class Warned:
    """What children print, shown at once, but for their warnings, which `tell` shows at the end."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._held: Counter[str] = Counter()

    def show(self, text: str) -> None:
        """Show whole lines, but hold the warnings among them back."""
        passed = []
        for line in text.split("\n"):
            if line.startswith(MARK) and (line in self._held or len(self._held) < MOST_HELD):
                self._held[line] += 1
            else:
                passed.append(line)
        if any(passed):  # else all that is left of a warning is its line end
            self._show("\n".join(passed))

    def tell(self) -> None:
        """Show the warnings that were held."""
        for line, times in self._held.items():
            self._show(f"{line}{f' ({times} times)' if times > 1 else ''}\n")
        self._held.clear()
