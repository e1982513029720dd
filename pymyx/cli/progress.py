"""Shows what a run says: each text under the name of its step, one live line on a terminal; or warnings alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pymyx.cli.streams import STDERR, draw

TICK_S = 0.2
WARNING = "warning: "


class Progress:
    """The progress of a run on stderr, used in a `with`; the core calls its `options`.

    With `quiet` it shows warnings only, and what a treatment printed that failed.
    """

    def __init__(self, write: Callable[[str], None], *, quiet: bool) -> None:
        self._write = write
        self._quiet = quiet
        self._live = os.isatty(STDERR) and not quiet
        self._drawn = False
        self._step = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options by which a run tells it what happens."""
        return {"show": self._show, **({"progress": self._progress, "tick_s": TICK_S} if self._live else {})}

    def on_start(self, number: int, steps: int, treatment: str) -> None:
        """Name the step before the next text that is shown."""
        self._step = f"{number}/{steps} {treatment}:\n"

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.clear()
        if self._quiet:
            for cause in getattr(error, "errors", (error,)):
                printed = getattr(cause, "output", "").splitlines(keepends=True)
                self._write("".join(line for line in printed if not line.startswith(WARNING)))

    def _progress(self, treatment: str, made: int, days: int, elapsed_s: float) -> None:
        draw(f"\r\x1b[K{treatment}  {made}/{days} days  {elapsed_s:.0f} s")
        self._drawn = True

    def _show(self, text: str) -> None:
        self.clear()
        if self._quiet:
            text = "".join(line for line in text.splitlines(keepends=True) if line.startswith(WARNING))
        if text:
            self._write(self._step + text)
            self._step = ""

    def clear(self) -> None:
        """Remove the live line."""
        if self._drawn:
            draw("\r\x1b[K")
            self._drawn = False
