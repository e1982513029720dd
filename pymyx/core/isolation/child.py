"""One child process: start the shim with its job, show what it prints, and tell how it ended.

Job and outcome travel in files without a name, the output through one pipe that is read while the child lives. Once
the child has ended nothing more is waited for, whoever still holds the pipe.
"""

from __future__ import annotations

import codecs
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
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ValidationError

from pymyx.core.contract.models import Failure, Outcome, Success
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.isolation.confinement import Confine, rules
from pymyx.core.isolation.output import Show

SHIM = Path(__file__).parent / "shim" / "shim.py"
GRACE_S = 3.0  # between SIGTERM and SIGKILL
KEPT = 8_000  # characters of the output that are kept from its head, and from its tail
LONGEST_STATEMENT = 1_000_000  # bytes of an outcome; the shim's own never come near it
# why a child was stopped: nothing where it ended by itself; on another machine it may be lost, or be refused
Stopped = Literal["", "timeout", "output", "lost", "refused"]


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    outcome: Success | Failure | None  # what it stated; None for nothing that is an outcome
    statement: str  # the raw text on its stderr; with no outcome, what the interpreter said instead
    returncode: int  # its exit code, negative for a signal
    output: str  # head and tail of what it printed
    stopped: Stopped  # why, or nothing; where it was lost or refused, the statement says more
    cpu_s: float  # seconds of processor that it used
    peak_mb: int  # the highest memory of one of its processes
    succeeded: bool  # whether both proofs are there: the outcome that says so, and exit code 0


@dataclass(frozen=True)
class Terms:
    """On what terms a child is run, wherever that is.

    The `days` that it is asked for are told as PYMYX_DAYS (`2026-01-19,2026-01-20`): their neighbours in its input
    folder it may leave out. None, and no such variable, when it is asked for all.
    """

    timeout_s: float
    memory_mb: int | None  # that one of its processes may use
    confine: Confine  # how far the kernel is to keep it in
    days: list[str] | None
    processors: int  # its share of them
    locale: dict[str, str] | None = None  # its variables LANG, LC_* and TZ; None for those of this process


@dataclass(frozen=True)
class Order:
    """What one child is to do, where, and on what terms."""

    step: Step  # the treatment and its params; its folders stand for those below in all that is shown
    input_dir: Path  # the folder it reads: that of the step, or a view of some of its files
    output_dir: Path  # the private folder it writes to
    scratch_dir: Path  # its working folder, HOME and TMPDIR
    terms: Terms
    keep: int  # a descriptor that stays open to its very end
    show: Show  # called with what it prints, whole lines of text


class Child:
    """A child at work; made by starting it.

    `deadline` is when its time is up, `printed` how many bytes it has printed so far; `exit_fd` is readable once it has
    ended, where the system has such a thing (Linux). Who stops it says why in `stopped`.

    Raises:
        TreatmentError: the interpreter cannot be started.
    """

    def __init__(self, order: Order) -> None:
        step, terms, scratch = order.step, order.terms, str(order.scratch_dir)
        self.started = time.monotonic()
        self.deadline = self.started + terms.timeout_s
        self.stopped: Stopped = ""
        self.printed = 0
        self._show = order.show
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._partial, self._head, self._tail, self._length = "", "", "", 0
        # a text spells a private folder as it is, in Python's quotes, or with escapes for what is not Unicode
        self._real_paths: list[tuple[str, str]] = []
        for path, real in ((str(order.output_dir), step.output_dir), (str(order.input_dir), step.input_dir)):
            escaped, shown = (text.encode("utf-8", "backslashreplace").decode() for text in (path, str(real)))
            if path != str(real):
                self._real_paths += [(form, shown) for form in {path, repr(path)[1:-1], escaped}]

        # few variables, so that no secret of its user reaches it; HOME and TMPDIR are gone when it ends
        passed = {"PATH", *step.treatment.allow.env}
        environment = {
            "OMP_NUM_THREADS": str(terms.processors),
            **{name: text for name, text in os.environ.items() if name in passed and not _is_locale(name)},
            **(own_locale() if terms.locale is None else terms.locale),
            **dict.fromkeys(("HOME", "TMPDIR"), scratch),
            **({} if terms.days is None else {"PYMYX_DAYS": ",".join(terms.days)}),
        }

        # job, outcome and usage are files, no pipes: neither side can block, or meet a pipe that is broken
        with ExitStack() as files, _nameless_file() as stdin:
            self._stderr, self._report = files.enter_context(_nameless_file()), files.enter_context(_nameless_file())
            job = {
                "treatment_dir": str(step.code_dir),
                "input_dir": str(order.input_dir),
                "output_dir": str(order.output_dir),
                "params": step.params,
                "memory_mb": terms.memory_mb,
                "confine": rules(step, [order.input_dir], [order.output_dir, order.scratch_dir], terms.confine),
                "deadline": self.deadline,
                "grace_s": GRACE_S,
                "runner": os.getpid(),
                "sites": _sites(),
                "report": self._report.fileno(),
                "keep": [order.keep],
            }
            stdin.write(json.dumps(job, allow_nan=False).encode())
            stdin.seek(0)
            try:
                self.process = subprocess.Popen(
                    # -I: nothing from the folder or the variables it is started in; -B: no bytecode beside run.py
                    [sys.executable, "-I", "-B", "-X", "faulthandler", "-X", "utf8", str(SHIM)],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    pass_fds=(self._report.fileno(), order.keep),
                    env=environment,
                    cwd=scratch,
                    start_new_session=True,  # Ctrl-C is for the runner, who ends it in order
                )
            except OSError as error:
                what = f"treatment `{step.treatment.name}` did not start: {error}"
                raise TreatmentError(Fault(what), treatment=step.treatment.name) from error
            self._files = files.pop_all()
        assert self.process.stdout
        self.pipe = self.process.stdout
        os.set_blocking(self.pipe.fileno(), False)  # one loop reads the pipes of all children
        self.exit_fd: int | None = None
        with suppress(AttributeError, OSError):
            self.exit_fd = os.pidfd_open(self.process.pid)

    def read(self) -> bool:
        """Show what it has printed by now, whole lines; False when nothing will ever come again."""
        try:
            data = os.read(self.pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        self.printed += len(data)
        self._hear(data)
        return bool(data)

    def has_ended(self, wait_s: float = 0.0) -> bool:
        """Whether it has ended, or does so within `wait_s`."""
        if self.exit_fd is not None:  # Popen.wait looks only every 50 ms
            poll = select.poll()
            poll.register(self.exit_fd, select.POLLIN)
            return bool(poll.poll(wait_s * 1000))
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(wait_s)
        return self.process.returncode is not None

    def end(self) -> Ending:
        """Reap it, killing what is left of it, and tell how it ended."""
        cpu_s, peak_mb = 0.0, 0
        if self.process.returncode is None:
            # what is left of its group is killed first: unreaped, it keeps its number from being another's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # macOS counts bytes, Linux kilobytes
            cpu_s, peak_mb = round(usage.ru_utime + usage.ru_stime, 3), usage.ru_maxrss // unit
        if self.exit_fd is not None:
            os.close(self.exit_fd)
        with self._files, self.pipe:
            for _ in range(64):  # of 64 kB: more than a pipe holds; who goes on writing to it is not waited for
                before = self.printed
                self.read()
                if self.printed == before:
                    break
            self._hear(b"", last=True)
            statement, report = (
                os.pread(file.fileno(), LONGEST_STATEMENT, 0).decode("utf-8", "replace")
                for file in (self._stderr, self._report)
            )
        # the warden knows better, where there is one: in ru_maxrss of a fork the runner's own memory counts
        used: dict[str, Any] = json.loads(report) if report else {"cpu_s": cpu_s, "peak_mb": peak_mb, "stopped": ""}
        stopped: Stopped = self.stopped or used["stopped"]
        outcome = None
        with suppress(ValidationError):  # what says nothing, or something else, has not succeeded
            stated = self._with_real_paths(statement, lambda path: json.dumps(path)[1:-1])  # JSON spells them its way
            outcome = Outcome.model_validate_json(stated).root
        left_out = self._length - len(self._head) - len(self._tail)
        return Ending(
            outcome=outcome,
            statement=self._with_real_paths(statement),
            returncode=self.process.returncode,
            output=self._head + (f"\n… ({left_out:,} characters left out) …\n" if left_out else "") + self._tail,
            stopped=stopped,
            cpu_s=used["cpu_s"],
            peak_mb=used["peak_mb"],
            succeeded=isinstance(outcome, Success) and self.process.returncode == 0 and not stopped,
        )

    def _hear(self, data: bytes, *, last: bool = False) -> None:
        """Show the lines that are whole now, and keep head and tail; bounded in memory, whatever is printed."""
        text = self._partial + self._decode(data, last)
        if last and text and text[-1] not in "\r\n":
            text += "\n"
        end = max(text.rfind("\n"), text.rfind("\r")) + 1 or (len(text) if len(text) > KEPT else 0)
        text, self._partial = text[:end], text[end:]
        if text:
            text = self._with_real_paths(text)
            self._show(text)
            self._length += len(text)
            room = KEPT - len(self._head)
            self._head += text[:room]
            self._tail = (self._tail + text[room:])[-KEPT:]

    def _with_real_paths(self, text: str, spelt: Callable[[str], str] = str) -> str:
        """`text` with the real folders in place of those that the child was given."""
        for form, real in self._real_paths:
            text = text.replace(spelt(form), spelt(real))
        return text


def own_locale() -> dict[str, str]:
    """The variables of this process that say in which language and time zone it works: LANG, LC_* and TZ."""
    return {name: text for name, text in os.environ.items() if _is_locale(name)}


def _is_locale(name: str) -> bool:
    return name in ("LANG", "TZ") or name.startswith("LC_")


def _sites() -> list[str]:
    """The folders of installed packages that this interpreter looks in, the user's own (`pip install --user`) too."""
    return [folder for folder in sys.path if folder.endswith("-packages")]


def _nameless_file() -> IO[bytes]:
    """A file without a name, in memory where the system has that: on a full disk an outcome could not be stated."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pymyx"), "w+b")
    return tempfile.TemporaryFile()
