"""Appends one event a line to pymyx.log, and reads them back; files of data loggers are read by treatments/parse."""

from __future__ import annotations

import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pymyx.core.contract.models import Event
from pymyx.core.errors import Fault, PymyxError, as_unicode


def log_event(
    log: Path,
    *,
    treatment: str,
    status: Literal["start", "success", "error"],
    input_dir: str,
    output_dir: str,
    duration_ms: int = 0,
    error: str | None = None,
) -> None:
    """Append one event (`schemas/event.schema.json`), stamped with the time now, in one write.

    Raises:
        PymyxError: the log cannot be written.
    """
    event = Event(
        ts=now(),
        treatment=treatment,
        status=status,
        input_dir=as_unicode(input_dir),
        output_dir=as_unicode(output_dir),
        duration_ms=duration_ms,
        error=None if error is None else as_unicode(error),
    )
    try:
        _append(log, event.model_dump_json().encode() + b"\n")
    except OSError as failure:
        what = f"the log cannot be written: {failure.strerror}"
        raise PymyxError(Fault(what, str(log), hint="make room, or make it writable")) from failure


def now() -> str:
    """The time now, as events tell it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_events(log: Path, number: int | None = None) -> list[dict[str, Any]]:
    """The last events of a log, or all, oldest first; torn lines are skipped, a missing log has none.

    Of a log of years only the last lines are parsed, where all of them are whole.
    """
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            lines = deque(file, maxlen=number)
            events = list(_parsed(lines))
            if len(events) < len(lines):
                file.seek(0)
                events = list(deque(_parsed(file), maxlen=number))
    except FileNotFoundError:
        return []
    return events


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    import jsonlines

    with jsonlines.Reader(lines) as reader:
        yield from reader.iter(type=dict, skip_invalid=True, skip_empty=True)


def _append(log: Path, line: bytes) -> None:
    with log.open("ab+", buffering=0) as file:
        # other writers wait until it is closed, so that none takes a half-written line for a torn one
        with suppress(OSError):  # no such lock on this disk: appends alone do not mix either
            fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            line = b"\n" + line  # the line before was torn
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
