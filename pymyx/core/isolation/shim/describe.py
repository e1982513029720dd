"""Describes an exception as an error outcome, whatever it is and does. Runs inside the child, when there is one."""

from __future__ import annotations

import os
import traceback

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

LONGEST_TEXT = 10_000  # characters of one message
LONGEST_TRACEBACK = 50_000  # characters
MOST = 20  # notes of an exception, exceptions of a chain


def describe(error: BaseException, phase: str, home: str) -> dict[str, Any]:
    """The error outcome of an exception; never raises, however hostile the exception is."""
    try:
        trace = "".join(cut(part) for part in traceback.format_exception(type(error), error, own_part(error, home)))
        return {
            "status": "error",
            "phase": phase,
            **raised(error, home),
            "traceback": cut(trace, LONGEST_TRACEBACK),
            "chain": chain(error, home),
        }
    except BaseException as second:
        message = f"(it cannot be described: {type(second).__name__})"
        facts = {"type": type(error).__name__, "message": message, "file": None, "line": None, "function": None}
        return {"status": "error", "phase": phase, **facts, "notes": [], "traceback": "", "chain": []}


def own_part(error: BaseException, home: str) -> TracebackType | None:
    """The traceback from its first frame in the treatment's own folder on."""
    trace = error.__traceback__
    while trace and not is_own(trace.tb_frame.f_code.co_filename, home):
        trace = trace.tb_next
    return trace


def is_own(file: str, home: str) -> bool:
    """Whether a file lies in the treatment's own folder."""
    return file.startswith(home + os.sep)


def raised(error: BaseException, home: str) -> dict[str, Any]:
    """What an exception is, and the last line of the treatment's own files that it came through."""
    kind = type(error)
    place: tuple[str | None, int | None, str | None] = (None, None, None)
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        if is_own(code.co_filename, home):
            place = (code.co_filename, trace.tb_lineno, code.co_name)
        trace = trace.tb_next
    message = safe_text(error)
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
    while len(links) < MOST:
        relation = "context" if error.__cause__ is None else "cause"
        hidden = error.__suppress_context__
        before = (None if hidden else error.__context__) if error.__cause__ is None else error.__cause__
        if before is None or id(before) in seen:
            break
        error = before
        seen.add(id(error))
        links.append({"relation": relation, **raised(error, home)})
    return links


def safe_text(error: BaseException) -> str:
    """The text of an exception, or what its `__str__` did instead."""
    try:
        return str(error)
    except BaseException as second:
        return f"(its __str__ raised {type(second).__name__})"


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text` as valid Unicode, its middle left out when it is longer than `longest` characters."""
    if len(text) > longest:
        text = f"{text[: longest // 2]}\n… (cut: {len(text):,} characters in all) …\n{text[-longest // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
