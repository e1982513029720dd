"""Child processes: start the shim, feed it its job, relay its output, wait, stop it, and tell how it ended.

Job and outcome travel in files without a name (no pipe that could block), the output through one pipe that is
read while the child lives; once it has ended nothing more is waited for, whoever still holds the pipe.
"""

from __future__ import annotations

import codecs
import json
import os
import select
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.models import Failure, Outcome, Success

SHIM = Path(__file__).parent / "shim" / "shim.py"
GRACE_S = 3.0  # between SIGTERM and SIGKILL
LONGEST_STATEMENT = 1_000_000  # bytes of an outcome; the shim's own never come near it
KEPT = 8_000  # characters of output kept from the head, and from the tail
HELD = (signal.SIGINT, signal.SIGTERM)
PASSED = ("PATH", "LANG", "TZ")  # environment variables, beside LC_*

Show = Callable[[str], None]


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
        outcome: what it stated, or None if it stated nothing that is an outcome.
        statement: the raw text on its stderr; with no outcome, what the interpreter said instead.
        returncode: its exit code, negative for a signal.
        output: head and tail of what it printed.
    """

    outcome: Success | Failure | None
    statement: str
    returncode: int
    output: str

    @property
    def succeeded(self) -> bool:
        """Whether both proofs of success are there: the outcome that says so, and exit code 0."""
        return isinstance(self.outcome, Success) and self.returncode == 0


def run_child(job: dict[str, Any], *, scratch_dir: Path, show: Show, replace: tuple[str, str] = ("", "")) -> Ending:
    """Run one job (see `shim/shim.py`) in a fresh interpreter, and wait for its end.

    `show` is called with its output, whole lines of text; there and in what is returned, `replace[0]` is
    replaced by `replace[1]`. Whatever interrupts the wait, the child and its process group are stopped first.

    Raises:
        TreatmentError: the interpreter cannot be started.
    """
    with _nameless_file() as stderr:
        with _start(job, scratch_dir, stderr) as process:
            assert process.stdout
            relay = _Relay(process.stdout, show, replace)
            try:
                _attend(process, relay)
            except BaseException:
                _stop(process)
                raise
            finally:
                _reap(process)
            relay.finish()
        stderr.seek(0)
        statement = stderr.read(LONGEST_STATEMENT).decode("utf-8", "replace").replace(*replace)
    return Ending(_outcome(statement), statement, process.returncode, relay.kept)


def _start(job: dict[str, Any], scratch_dir: Path, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        with _nameless_file() as stdin:
            stdin.write(json.dumps({**job, "sites": _sites()}, allow_nan=False).encode())
            stdin.seek(0)
            return subprocess.Popen(
                [sys.executable, "-I", "-B", "-X", "faulthandler", "-X", "utf8", str(SHIM)],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(scratch_dir),
                cwd=scratch_dir,
                start_new_session=True,
            )
    except OSError as error:
        name = Path(job["treatment_dir"]).name
        raise TreatmentError(Fault(f"treatment `{name}` did not start: {error}"), treatment=name) from error


def _nameless_file() -> IO[bytes]:
    """A file without a name, in memory where the system has that: on a full disk an outcome could not be stated."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pymyx"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the end, so that they cannot strike in the middle of a clean-up.

    `run_child` takes them while it waits. A signal that came in the meantime strikes at the end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _signals_taken() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Relay:
    """Shows what a child prints, whole lines at a time, and keeps its head and tail: bounded, whatever is printed."""

    def __init__(self, pipe: IO[bytes], show: Show, replace: tuple[str, str]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe
        self._show = show
        self._replace = replace
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = ""
        self._head = ""
        self._tail = ""
        self._length = 0

    def read(self) -> bool:
        """Relay what is there now; False when nothing will ever come again."""
        try:
            data = os.read(self._pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        self._feed(self._decode(data))
        return bool(data)

    def finish(self) -> None:
        """Relay what the pipe still holds. Who still writes to it is not waited for."""
        for _ in range(64):
            self.read()
        self._feed(self._decode(b"", True))
        self._pass_on(self._line and self._line + "\n")

    @property
    def kept(self) -> str:
        """Head and tail of all that was shown."""
        left_out = self._length - len(self._head) - len(self._tail)
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
        text = text.replace(*self._replace)
        self._show(text)
        self._length += len(text)
        room = KEPT - len(self._head)
        self._head += text[:room]
        self._tail = (self._tail + text[room:])[-KEPT:]


def _attend(process: subprocess.Popen[bytes], relay: _Relay) -> None:
    """Relay the output until the child has ended, and reap it, its process group with it."""
    assert process.stdout
    with selectors.DefaultSelector() as selector, _exit_of(process) as ended:
        selector.register(process.stdout, selectors.EVENT_READ)
        if ended is not None:
            selector.register(ended, selectors.EVENT_READ)
        patience = None if ended is not None else 0.02  # no pidfd here: look again and again
        while True:
            with _signals_taken():
                ready = [key.fileobj for key, _ in selector.select(patience)]
            if process.stdout in ready and not relay.read():
                selector.unregister(process.stdout)
            if ended in ready or (ended is None and process.poll() is not None):
                return


@contextmanager
def _exit_of(process: subprocess.Popen[bytes]) -> Iterator[int | None]:
    """A descriptor that is readable once the process has ended, where the system has such a thing (Linux)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the child and its process group to end, and kill them after the grace period."""
    with suppress(ProcessLookupError), _exit_of(process) as ended:
        os.killpg(process.pid, signal.SIGTERM)
        if ended is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
        else:
            select.select([ended], [], [], GRACE_S)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group, while the unreaped child keeps its number, then reap the child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(scratch_dir: Path) -> dict[str, str]:
    """The few variables a treatment sees; its HOME and TMPDIR are its own, and gone when it ends."""
    passed = {key: value for key, value in os.environ.items() if key in PASSED or key.startswith("LC_")}
    return {**passed, "HOME": str(scratch_dir), "TMPDIR": str(scratch_dir)}


def _sites() -> list[str]:
    """The folders of installed packages that this interpreter looks in, the user's own (`pip install --user`) too."""
    return [folder for folder in sys.path if folder.endswith("-packages")]


def _outcome(statement: str) -> Success | Failure | None:
    try:
        return Outcome.model_validate_json(statement).root
    except ValidationError:
        return None
