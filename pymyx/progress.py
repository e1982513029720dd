"""Shows how far a run is: one live line on a terminal, a plain line after each chunk elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pymyx.streams import STDERR, draw

TICK_S = 0.2
SHORTEST_S = 1.0  # of a run whose progress is worth a line


class Progress:
    """The progress of a run on stderr, to be used in a `with`; `options` are what the core is to call."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._live = os.isatty(STDERR)
        self._drawn = False
        self._told = (0, 0)

    @property
    def options(self) -> dict[str, Any]:
        """The options of a run that it is told by."""
        tick = {"tick_s": TICK_S} if self._live else {}
        return {"show": self._show, "progress": self._progress, **tick}

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def _progress(self, treatment: str, made: int, days: int, elapsed_s: float) -> None:
        text = f"{treatment}  {made}/{days} days  {elapsed_s:.0f} s"
        if self._live:
            draw(f"\r\x1b[K{text}")
            self._drawn = True
        elif elapsed_s >= SHORTEST_S and 0 < made < days and (made, days) != self._told:
            self._told = (made, days)
            self._write(f"{text}\n")

    def _show(self, text: str) -> None:
        self.clear()
        self._write(text)

    def clear(self) -> None:
        """Take the live line away."""
        if self._drawn:
            draw("\r\x1b[K")
            self._drawn = False
