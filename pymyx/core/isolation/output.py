"""Shows what children print while they print it, and keeps head and tail for the report of a crash."""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Callable
from typing import IO

KEPT = 8_000  # characters kept from the head, and from the tail

MARK = "warning: "  # how the shim begins one
MOST_HELD = 1000  # different ones; more are shown as they come

Show = Callable[[str], None]


class Relay:
    """Relays a pipe, whole lines of text at a time; bounded in memory, whatever is printed.

    `length` is the number of bytes read so far. What is shown is what `reword` makes of the text.
    """

    def __init__(self, pipe: IO[bytes], show: Show, reword: Callable[[str], str]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self.length = 0  # bytes read
        self._show = show
        self._reword = reword
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = ""
        self._head = ""
        self._tail = ""
        self._shown = 0

    def read(self) -> bool:
        """Relay what is there now; False when nothing will ever come again."""
        try:
            data = os.read(self.pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        self.length += len(data)
        self._feed(self._decode(data))
        return bool(data)

    def finish(self) -> None:
        """Relay what the pipe still holds. Who still writes to it is not waited for."""
        for _ in range(64):  # of 64 kB: more than a pipe holds
            before = self.length
            self.read()
            if self.length == before:
                break
        self._feed(self._decode(b"", True))
        self._pass_on(self._line and self._line + "\n")

    @property
    def kept(self) -> str:
        """Head and tail of all that was shown."""
        left_out = self._shown - len(self._head) - len(self._tail)
        return self._head + (f"\n… ({left_out:,} characters left out) …\n" if left_out else "") + self._tail

    def _feed(self, text: str) -> None:
        self._line += text
        end = max(self._line.rfind("\n"), self._line.rfind("\r")) + 1
        if not end and len(self._line) > KEPT:
            end = len(self._line)
        self._pass_on(self._line[:end])
        self._line = self._line[end:]

    def _pass_on(self, text: str) -> None:
        if not text:
            return
        text = self._reword(text)
        self._show(text)
        self._shown += len(text)
        room = KEPT - len(self._head)
        self._head += text[:room]
        self._tail = (self._tail + text[room:])[-KEPT:]


class Warned:
    """Holds the warnings of children back to the end of an execution, where equal ones are told once, counted."""

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
