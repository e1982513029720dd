"""Describes an exception as an error outcome, whatever it is and does. Runs inside the child, when there is one."""

from __future__ import annotations

import json
import os
import traceback

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from typing import Any

LONGEST_TEXT = 10_000  # characters of one message
LONGEST_TRACEBACK = 50_000  # characters
MOST = 20  # notes of an exception, exceptions of a chain


def describe(error: BaseException, phase: str, home: str) -> bytes:
    """The error outcome of an exception, as JSON; never raises, however hostile the exception is."""
    try:
        # the shim's own frames say nothing of the treatment: the traceback begins with the first file in its folder
        own = error.__traceback__
        while own and not is_own(own.tb_frame.f_code.co_filename, home):
            own = own.tb_next
        trace = "".join(cut(part) for part in traceback.format_exception(type(error), error, own))
        facts = {**raised(error, home), "traceback": cut(trace, LONGEST_TRACEBACK), "chain": chain(error, home)}
        return json.dumps({"status": "error", "phase": phase, **facts}).encode()
    except BaseException as second:
        message = f"(it cannot be described: {type(second).__name__})"
        place = {"file": None, "line": None, "function": None}
        facts = {"type": type(error).__name__, "message": message, **place, "notes": [], "traceback": "", "chain": []}
        return json.dumps({"status": "error", "phase": phase, **facts}).encode()


def is_own(file: str, home: str) -> bool:
    """Whether a file lies in the treatment's own folder."""
    return file.startswith(home + os.sep)


def raised(error: BaseException, home: str) -> dict[str, Any]:
    """What an exception is, and the last line of the treatment's own files that it came through."""
    kind = type(error)
    try:
        message = str(error)
    except BaseException as second:  # its class is the treatment's, so it may do anything
        message = f"(its __str__ raised {type(second).__name__})"
    place: tuple[str | None, int | None, str | None] = (None, None, None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_own(frame.f_code.co_filename, home):
            place = (frame.f_code.co_filename, line, frame.f_code.co_name)
    if isinstance(error, SyntaxError) and is_own(str(error.filename), home):
        place, message = (error.filename, error.lineno, None), str(error.msg)
    return {
        "type": cut(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"),
        "message": cut(message),
        "file": cut(place[0]) if place[0] else None,
        "line": place[1],
        "function": place[2],
        "notes": [cut(str(note)) for note in list(getattr(error, "__notes__", ()))[:MOST]],
    }


def chain(error: BaseException, home: str) -> list[dict[str, Any]]:
    """The exceptions that led to this one, nearest first, each with its relation to the one after it."""
    links: list[dict[str, Any]] = []
    seen = {id(error)}
    while len(links) < MOST:  # and never twice the same: a chain can be a ring
        relation = "context" if error.__cause__ is None else "cause"
        hidden = error.__suppress_context__
        before = (None if hidden else error.__context__) if error.__cause__ is None else error.__cause__
        if before is None or id(before) in seen:
            break
        error = before
        seen.add(id(error))
        links.append({"relation": relation, **raised(error, home)})
    return links


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text` as valid Unicode, its middle left out when it is longer than `longest` characters."""
    if len(text) > longest:
        text = f"{text[: longest // 2]}\n… (cut: {len(text):,} characters in all) …\n{text[-longest // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
