"""Runs one treatment inside a child process. Standard library only; imported by nobody, started by path.

The protocol, all of it:

    started as   python -I -B -X faulthandler -X utf8 shim.py
    stdin        the job, one JSON object: treatment_dir, input_dir, output_dir (absolute paths), params,
                 sites (folders of installed packages that this interpreter would not look in by itself)
    stderr       the outcome, one JSON object: schemas/outcome.schema.json
    stdout       whatever the treatment, and every library and process it uses, prints to descriptor 1 or 2
    exit code    0 after {"status": "success"}, 1 after {"status": "error"}

Success is stated, never inferred: a child that ends without an outcome has failed, whatever its exit code.
The treatment's imports are looked up in the standard library, then beside its run.py, then among the
installed packages; nothing of PyMyx is on the way. Its stdin is empty. When `run` has returned the
process ends at once: exit handlers are not run and threads are not waited for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    Run = Callable[[str, str, dict[str, Any]], None]

LONGEST_TEXT = 10_000  # characters of one message
LONGEST_TRACEBACK = 50_000  # characters
MOST = 20  # notes of an exception, exceptions of a chain


def main() -> None:
    """Take the job, run the treatment, state the outcome, end."""
    outcome = os.dup(2)
    os.dup2(1, 2)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # always text
    with open(0, "rb", closefd=False) as stdin:
        job = json.load(stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    warnings.formatwarning = format_warning
    statement = execute(job)
    end(outcome, statement)


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Run the treatment and say how it ended, as an outcome."""
    phase = "load"
    try:
        run = load(job["treatment_dir"], job["sites"])
        phase = "run"
        run(job["input_dir"], job["output_dir"], job["params"])
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: run() has not returned
        return describe(error, phase, job["treatment_dir"])
    return {"status": "success"}


def load(treatment_dir: str, sites: list[str]) -> Run:
    """The function `run` of run.py, imported by its own name so that multiprocessing can find it again."""
    for folder in sites:
        if folder not in sys.path:
            sys.path.append(folder)
    installed = [number for number, entry in enumerate(sys.path) if entry.endswith("-packages")]
    sys.path.insert(installed[0] if installed else len(sys.path), treatment_dir)
    from run import run  # type: ignore[import-not-found]  # the treatment's

    return run  # type: ignore[no-any-return]


def describe(error: BaseException, phase: str, home: str) -> dict[str, Any]:
    """The error outcome of an exception; never raises, however hostile the exception is."""
    try:
        import traceback

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


def format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as one line; one that is not meant for the user says what kind it is and where it arose."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return f"warning: {category.__name__}: {message} ({filename}:{lineno})\n"


def end(outcome: int, statement: dict[str, Any]) -> None:
    """State the outcome and end the process; without a whole statement the exit code says failure too."""
    code = 1
    try:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()  # type: ignore[union-attr]  # None is one of the things it may have become
            except Exception:  # noqa: S112  what the treatment did to its own streams is no reason to fail
                continue
        rest = b"\n" + json.dumps(statement).encode() + b"\n"
        while rest:
            rest = rest[os.write(outcome, rest) :]
        code = 0 if statement["status"] == "success" else 1
    finally:
        os._exit(code)


if __name__ == "__main__":  # multiprocessing imports this file again, as __mp_main__
    main()
