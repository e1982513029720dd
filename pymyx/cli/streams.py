"""Writes to stdout and stderr, also when these are closed, full or slow, or when nobody reads them.

Text that cannot be written is lost, and `finish` says so; the work goes on. After a signal that asks to end, a write
waits for a reader a second at most. Control characters are shown escaped: a treatment's text cannot steer a terminal.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time

STDOUT, STDERR = 1, 2
ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
LOOK_S = 0.1  # while nobody reads: between two looks for a blocked signal
PATIENCE_S = 1.0  # after a signal, for a reader that does not read
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_deaf: set[int] = set()  # streams that nothing can be written to any more
_lost: list[str] = []  # why text was lost
_patience_ends: list[float] = []


def prepare() -> None:
    """Open the standard streams that are closed, so that no file that is opened later becomes one of them."""
    for descriptor in (0, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number; writing to it fails


def hurry() -> None:
    """From now on, wait for readers no longer than a second in all."""
    _patience_ends.append(time.monotonic() + PATIENCE_S)


def say(text: str) -> None:
    """Write text and a line end to stdout, carriage returns escaped."""
    _write(STDOUT, f"{visible(text)}\n".replace("\r", r"\r"))


def show(text: str) -> None:
    """Write text to stderr; carriage returns pass, since progress bars use them."""
    _write(STDERR, visible(text))


def draw(text: str) -> None:
    """Write to the terminal at stderr, control characters and all."""
    _write(STDERR, text)


def visible(text: str) -> str:
    """`text` with control characters escaped, but for line ends and tabs."""
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def finish(code: int) -> int:
    """Say what could not be written, and return the exit code: a failure, if anything was lost."""
    if not _lost:
        return code
    show(f"error: the output cannot be written: {_lost[0]}\n")
    return code or 1


def _write(descriptor: int, text: str) -> None:
    stream = sys.stdout if descriptor == STDOUT else sys.stderr
    rest = text.encode(stream.encoding if stream else "utf-8", "backslashreplace")
    try:
        while rest and descriptor not in _deaf and _has_room(descriptor):
            try:
                rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
            except BlockingIOError:  # another process that shares it made it so, and filled it
                time.sleep(LOOK_S)
    except OSError as error:
        _deaf.add(descriptor)
        if not isinstance(error, BrokenPipeError):  # the reader has read enough: no reason to fail
            _lost.append(error.strerror or str(error))


def _has_room(descriptor: int) -> bool:
    """Wait until a little can be written at once; False when a signal asks to end before that."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while not poll.poll(LOOK_S * 1000):
        if ENDS & signal.sigpending() or (_patience_ends and time.monotonic() > _patience_ends[0]):
            return False
    return True
