"""Runs one treatment inside a child process. Standard library only; imported by nobody, started by path.

The protocol, all of it:

    started as   python -I -B -X faulthandler -X utf8 shim.py, in a session of its own
    stdin        the job, one JSON object:
                     treatment_dir, input_dir, output_dir, params   what to run, on what; absolute paths
                     runner       number of the process that waits: when it is gone, all ends at once
                     sites        folders of installed packages that this interpreter would not look in itself
                     memory_mb    limit of a process's data, or null
                     deadline     when the treatment's time is up, by the monotonic clock
                     grace_s      seconds between SIGTERM and SIGKILL
                     confine      what the kernel is to keep it to (see kernel.confine), or null
                     report, keep descriptors: where to say what was used; what to hold open to the very end
    stderr       the outcome, one JSON object: schemas/outcome.schema.json
    report       {"cpu_s": seconds, "peak_mb": megabytes} of the treatment and all it started, and why it was
                 stopped: {"stopped": "timeout"} or ""
    stdout       whatever the treatment, and every library and process it uses, prints to descriptor 1 or 2
    exit code    0 after {"status": "success"}, 1 after {"status": "error"}
    SIGTERM      end the treatment: SIGTERM, the grace, SIGKILL

Success is stated, never inferred: a child that ends without an outcome has failed, whatever its exit code.

On Linux the shim forks once, before anything heavy is imported. The parent becomes the warden (warden.py); the child
is confined (kernel.py), then runs the treatment; what it raises is put into words by describe.py.

The treatment's imports are looked up in the standard library, then beside its run.py, then among the
installed packages; nothing of PyMyx is on the way. Its stdin is empty. When `run` has returned the
process ends at once: exit handlers are not run and threads are not waited for.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without `enum`: 4 of the 25 ms of an empty treatment
import os
import sys
import warnings

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> None:
    """Take the job, run the treatment, state the outcome, end: the life of a child."""
    # descriptors: the outcome keeps stderr for itself, what is printed to 1 or 2 goes to stdout, even by a C library
    outcome = os.dup(2)
    os.dup2(1, 2)
    # each line at once: after a crash nothing would write what a buffer still holds
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]

    # the job; then stdin is empty, so that no treatment waits for a user
    with open(0, encoding="utf-8", closefd=False) as stdin:
        job = from_json(stdin.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    # the warden: from here on this is its child; forked first, before there are threads or much memory
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started the runner may have ignored it: no status then
    kernel = sibling("warden").leave_behind(job) if sys.platform == "linux" else None
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the runner holds signals, and masks are inherited
    warnings.formatwarning = format_warning

    phase = "confine"
    try:
        import resource

        # what is installed, the user's own too, which -I leaves out
        sys.path += [folder for folder in job["sites"] if folder not in sys.path]
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would be as large as its memory
        if job["memory_mb"]:
            # data, not address space: that counts what is only reserved, of which pyarrow's threads need much
            resource.setrlimit(resource.RLIMIT_DATA, (job["memory_mb"] << 20, job["memory_mb"] << 20))
        if sys.platform == "linux":
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                file.write("500")  # when memory runs out, better this process than another
        if kernel and job["confine"]:
            kernel.confine(job["confine"], HERE)  # before a line of the treatment runs; it cannot be undone

        # by its own name, so that multiprocessing finds it again; its folder after the standard library, before others
        phase = "load"
        installed = [number for number, entry in enumerate(sys.path) if entry.endswith("-packages")]
        sys.path.insert(installed[0] if installed else len(sys.path), job["treatment_dir"])
        from run import run  # type: ignore[import-not-found]  # the treatment's

        phase = "run"
        run(job["input_dir"], job["output_dir"], job["params"])
        statement, code = b'{"status": "success"}', 0
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: run() has not returned
        statement, code = sibling("describe").describe(error, phase, job["treatment_dir"]), 1

    # the outcome, whole or not at all: until it is written the exit code says failure
    ending = 1
    try:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()  # type: ignore[union-attr]  # None is one of the things it may have become
            except Exception:  # noqa: S112  what the treatment did to its own streams is no reason to fail
                continue
        rest = b"\n" + statement + b"\n"
        while rest:
            rest = rest[os.write(outcome, rest) :]
        ending = code
    finally:
        os._exit(ending)  # not sys.exit: that would wait for threads, and run what the treatment left to be run


def from_json(text: str) -> Any:
    """`json.loads` without importing `json`, which imports `re`: 6 ms; its scanner is in C and needs neither."""
    from _json import make_scanner

    class Settings:
        strict, object_hook, object_pairs_hook = True, None, None
        parse_float, parse_int, parse_constant = float, int, None

    return make_scanner(Settings)(text, 0)[0]  # type: ignore[arg-type]  # any object with these attributes will do


def sibling(name: str) -> ModuleType:
    """A module beside this file, compiled once, and not left where a treatment's own of that name is looked for."""
    sys.path.insert(0, HERE)
    sys.dont_write_bytecode = False  # -B is for the treatment's folder; what is ours is compiled once
    try:
        return __import__(name)
    finally:
        sys.dont_write_bytecode = True
        sys.path.remove(HERE)
        for own in ("warden", "kernel", "describe"):
            sys.modules.pop(own, None)


def format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning as one line; one that is not meant for the user says what kind it is and where it arose."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return f"warning: {category.__name__}: {message} ({filename}:{lineno})\n"


if __name__ == "__main__":  # multiprocessing imports this file again, as __mp_main__
    main()
