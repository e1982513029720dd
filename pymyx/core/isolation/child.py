"""One child process: start the shim with its job, hear what it says, and tell how it ended.

Job and outcome travel in files without a name (no pipe that could block), the output through one pipe that is
read while the child lives; once it has ended nothing more is waited for, whoever still holds the pipe.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from pymyx.core.contract.models import Failure, Outcome, Success
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.isolation.confinement import Confine, rules
from pymyx.core.isolation.output import Relay, Show

SHIM = Path(__file__).parent / "shim" / "shim.py"
LONGEST_STATEMENT = 1_000_000  # bytes of an outcome; the shim's own never come near it
MOST_OUTPUT = 1 << 30  # bytes; who prints more is stopped
PASSED = ("PATH", "LANG", "TZ")  # environment variables, beside LC_*


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
        outcome: what it stated, or None if it stated nothing that is an outcome.
        statement: the raw text on its stderr; with no outcome, what the interpreter said instead.
        returncode: its exit code, negative for a signal.
        output: head and tail of what it printed.
        stopped: why it was stopped, or nothing: `timeout` or `output`.
        cpu_s, peak_mb: what it used: seconds of processor, and the highest memory of one process.
    """

    outcome: Success | Failure | None
    statement: str
    returncode: int
    output: str
    stopped: str
    cpu_s: float
    peak_mb: int

    @property
    def succeeded(self) -> bool:
        """Whether both proofs of success are there: the outcome that says so, and exit code 0."""
        return isinstance(self.outcome, Success) and self.returncode == 0 and not self.stopped


@dataclass
class Order:
    """What one child is to do, and how.

    Attributes:
        step: the treatment and its params; its folders stand for those below in all that is shown.
        input_dir: the folder it reads: that of the step, or a view of some of its files.
        output_dir: the private folder it writes to.
        scratch_dir: its working folder, HOME and TMPDIR.
        timeout_s, memory_mb: seconds it may take; megabytes that one of its processes may use, or None.
        confine: how far the kernel is to keep it in.
        keep: a descriptor that stays open to its very end.
        days: those it is asked for, told as PYMYX_DAYS; None when it is asked for all that is in its input folder.
        processors: its share of them.
        show: called with what it prints, whole lines of text.
    """

    step: Step
    input_dir: Path
    output_dir: Path
    scratch_dir: Path
    timeout_s: float
    memory_mb: int | None
    confine: Confine
    keep: int
    days: list[str] | None = None
    processors: int = 1
    show: Show = lambda text: None

    @cached_property
    def rules(self) -> dict[str, Any] | None:
        """What the kernel is to keep it to; None for nothing."""
        return rules(self.step, [self.input_dir], [self.output_dir, self.scratch_dir], self.confine)

    @property
    def job(self) -> dict[str, Any]:
        """What the shim is told of it."""
        return {
            "treatment_dir": str(self.step.code_dir),
            "input_dir": str(self.input_dir),
            "output_dir": str(self.output_dir),
            "params": self.step.params,
            "memory_mb": self.memory_mb,
            "timeout_s": self.timeout_s,
            "confine": self.rules,
        }

    @property
    def real_paths(self) -> list[tuple[str, str]]:
        """What stands in a text for its private folders, and the real folder of each."""
        given = {self.output_dir: self.step.output_dir, self.input_dir: self.step.input_dir}
        return [(form, str(real)) for path, real in given.items() if path != real for form in _forms(str(path))]


class Child:
    """A child at work; made by starting it.

    Raises:
        TreatmentError: the interpreter cannot be started.
    """

    def __init__(self, order: Order) -> None:
        self.stopped = ""
        self._real_paths = order.real_paths
        self.started = time.monotonic()
        self._deadline = self.started + order.timeout_s
        with ExitStack() as files:
            self._stderr = files.enter_context(_nameless_file())
            self._report = files.enter_context(_nameless_file())
            self.process = _start(order, self._deadline, self._stderr, self._report)
            assert self.process.stdout
            self.relay = Relay(self.process.stdout, order.show, self._shown)
            self.exit_fd = _exit_of(self.process)
            self._files = files.pop_all()

    @property
    def left_s(self) -> float:
        """Seconds until its time is up."""
        return self._deadline - time.monotonic()

    @property
    def fault(self) -> str:
        """Why it is to be stopped: `timeout`, `output`, or nothing."""
        return "timeout" if self.left_s <= 0 else "output" if self.relay.length > MOST_OUTPUT else ""

    def has_ended(self, wait_s: float = 0.0) -> bool:
        """Whether it has ended, or does so within `wait_s`."""
        if self.exit_fd is not None:
            poll = select.poll()
            poll.register(self.exit_fd, select.POLLIN)
            return bool(poll.poll(wait_s * 1000))
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(wait_s)
        return self.process.returncode is not None

    def ask_to_end(self) -> None:
        """Ask it to end: on Linux its warden, who sees to all that it started; elsewhere its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def end(self) -> Ending:
        """Reap it, killing what is left of it, and tell how it ended."""
        peak_mb, cpu_s = _reap(self.process)
        if self.exit_fd is not None:
            os.close(self.exit_fd)
        with self._files, self.relay.pipe:
            self.relay.finish()
            statement = _content(self._stderr)
            used = _content(self._report)
        if used:  # by the warden, who knows better: what it says does not count the runner's own memory
            report = json.loads(used)
            peak_mb, cpu_s, self.stopped = report["peak_mb"], report["cpu_s"], self.stopped or report["stopped"]
        returncode = self.process.returncode
        outcome, raw = self._outcome(statement), self._shown(statement)
        return Ending(outcome, raw, returncode, self.relay.kept, self.stopped, cpu_s, peak_mb)

    def _outcome(self, statement: str) -> Success | Failure | None:
        """What it stated; its paths are replaced after it has been read, for JSON spells them in its own way."""
        try:
            outcome = Outcome.model_validate_json(statement).root
        except ValidationError:
            return None
        return (
            Failure.model_validate(_each_text(outcome.model_dump(), self._shown))
            if isinstance(outcome, Failure)
            else outcome
        )

    def _shown(self, text: str) -> str:
        """`text` with the real paths in place of those that the child was given."""
        for form, real in self._real_paths:
            text = text.replace(form, real)
        return text


def _start(order: Order, deadline: float, stderr: IO[bytes], report: IO[bytes]) -> subprocess.Popen[bytes]:
    told = {"report": report.fileno(), "keep": [order.keep], "deadline": deadline}
    ours = {"runner": os.getpid(), "sites": _sites(), **told}
    try:
        with _nameless_file() as stdin:
            stdin.write(json.dumps({**order.job, **ours}, allow_nan=False).encode())
            stdin.seek(0)
            return subprocess.Popen(
                [sys.executable, "-I", "-B", "-X", "faulthandler", "-X", "utf8", str(SHIM)],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=(report.fileno(), order.keep),
                env=_environment(order),
                cwd=order.scratch_dir,
                start_new_session=True,
            )
    except OSError as error:
        name = order.step.treatment.name
        raise TreatmentError(Fault(f"treatment `{name}` did not start: {error}"), treatment=name) from error


def _environment(order: Order) -> dict[str, str]:
    """The few variables a treatment sees; its HOME and TMPDIR are its own, and gone when it ends.

    PYMYX_DAYS names the days it is asked for, `2026-01-19,2026-01-20`: among their neighbours in its input folder
    it may leave those out. It is not set when it is asked for all.
    """
    passed = {name: text for name, text in os.environ.items() if name in PASSED or name.startswith("LC_")}
    granted = {name: os.environ[name] for name in order.step.treatment.allow.env if name in os.environ}
    share = {"OMP_NUM_THREADS": str(order.processors)}
    own = {"HOME": str(order.scratch_dir), "TMPDIR": str(order.scratch_dir)}
    days = {} if order.days is None else {"PYMYX_DAYS": ",".join(order.days)}
    return {**share, **passed, **granted, **own, **days}


def _sites() -> list[str]:
    """The folders of installed packages that this interpreter looks in, the user's own (`pip install --user`) too."""
    return [folder for folder in sys.path if folder.endswith("-packages")]


def _nameless_file() -> IO[bytes]:
    """A file without a name, in memory where the system has that: on a full disk an outcome could not be stated."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pymyx"), "w+b")
    return tempfile.TemporaryFile()


def _exit_of(process: subprocess.Popen[bytes]) -> int | None:
    """A descriptor that is readable once the process has ended, where the system has such a thing (Linux)."""
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return None


def _reap(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Kill what is left of the process group, while the unreaped child keeps its number, then reap the child.

    Returns the highest memory of one process in megabytes, and the seconds of processor.
    """
    if process.returncode is not None:
        return 0, 0.0
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, kilobytes here
    return usage.ru_maxrss // unit, round(usage.ru_utime + usage.ru_stime, 3)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(LONGEST_STATEMENT).decode("utf-8", "replace")


def _forms(path: str) -> set[str]:
    """How a path can stand in a text: as it is, in Python's quotes, or with what is no Unicode escaped."""
    return {path, repr(path)[1:-1], path.encode("utf-8", "backslashreplace").decode("utf-8")}


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A document with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(one, change) for one in value]
    return {key: _each_text(one, change) for key, one in value.items()} if isinstance(value, dict) else value
