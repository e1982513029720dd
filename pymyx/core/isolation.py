"""Child processes: start the shim, feed it its job, relay its output, wait, stop it, and tell how it ended.

Job and outcome travel in files without a name (no pipe that could block), the output through one pipe that is
read while the child lives; once it has ended nothing more is waited for, whoever still holds the pipe.

What is protected from a treatment, honestly. On Linux 6.12 or newer, in full: it reads its input folder, its own
folder, Python and what is installed, and what `allow.read` names; it writes to its stage and a scratch folder that
is removed; it opens no network, signals nobody outside, sees none of the runner's environment; whatever it
starts is kept to the same, and ended with it. So raw data, other results, flows and the log cannot be read or
changed by it, and a crash, a hang, a flood of output or a success it only claims harm nothing. Not protected: it
can use all processors, and the disk of its stage; memory is limited per process, and only when a limit is set; it can
fork until the system's limit; it can see that files exist, and change mode and times of files that its user owns;
it can read whatever lies in the folders above. Run by root it keeps root's other powers (loading a module, setting
the clock): run PyMyx as an ordinary user. Landlock and seccomp are one kernel's word, no virtual machine: what
a kernel bug lets through is let through. On older kernels less is kept back, and elsewhere nothing but the clean
end of the process group; `confinement.shortfall` says what.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.models import Failure, Outcome, Success
from pymyx.core.relay import Relay, Show

SHIM = Path(__file__).parent / "shim" / "shim.py"
GRACE_S = 3.0  # between SIGTERM and SIGKILL; the shim's warden keeps to the same
LONGEST_STATEMENT = 1_000_000  # bytes of an outcome; the shim's own never come near it
MOST_OUTPUT = 1 << 30  # bytes; who prints more is stopped
HELD = (signal.SIGINT, signal.SIGTERM)
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


def run_child(
    job: dict[str, Any],
    *,
    scratch_dir: Path,
    timeout_s: float,
    env: list[str],
    keep: int,
    show: Show,
    replace: tuple[str, str],
) -> Ending:
    """Run one job (see `shim/shim.py`) in a fresh interpreter, and wait for its end, at most `timeout_s` seconds.

    It sees a few variables of the environment, and those named in `env`; the descriptor `keep` stays open to its
    very end. `show` is called with its output, whole lines of text; there and in what is returned,
    `replace[0]` is replaced by `replace[1]`. Whatever interrupts the wait, all it started is ended first.

    Raises:
        TreatmentError: the interpreter cannot be started.
    """
    with _nameless_file() as stderr, _nameless_file() as report:
        ours = {"runner": os.getpid(), "sites": _sites(), "report": report.fileno(), "keep": [keep]}
        with _start({**job, **ours}, scratch_dir, env, stderr, (report.fileno(), keep)) as process:
            assert process.stdout
            relay = Relay(process.stdout, show, replace)
            try:
                stopped = _attend(process, relay, time.monotonic() + timeout_s)
            except BaseException:
                _stop(process)
                raise
            finally:
                peak_mb, cpu_s = _reap(process)
            relay.finish()
        statement = _content(stderr).replace(*replace)
        used = _content(report)
        if used:  # by the warden, who knows better: what it says does not count the runner's own memory
            peak_mb, cpu_s = json.loads(used)["peak_mb"], json.loads(used)["cpu_s"]
    return Ending(_outcome(statement), statement, process.returncode, relay.kept, stopped, cpu_s, peak_mb)


def _start(
    job: dict[str, Any], scratch_dir: Path, env: list[str], stderr: IO[bytes], pass_fds: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    try:
        with _nameless_file() as stdin:
            stdin.write(json.dumps(job, allow_nan=False).encode())
            stdin.seek(0)
            return subprocess.Popen(
                [sys.executable, "-I", "-B", "-X", "faulthandler", "-X", "utf8", str(SHIM)],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                pass_fds=pass_fds,
                env=_environment(scratch_dir, env),
                cwd=scratch_dir,
                start_new_session=True,
            )
    except OSError as error:
        name = Path(job["treatment_dir"]).name
        raise TreatmentError(Fault(f"treatment `{name}` did not start: {error}"), treatment=name) from error


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(LONGEST_STATEMENT).decode("utf-8", "replace")


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


def _attend(process: subprocess.Popen[bytes], relay: Relay, deadline: float) -> str:
    """Relay the output until the child has ended, or is stopped; says why it was stopped."""
    with selectors.DefaultSelector() as selector, _exit_of(process) as ended:
        selector.register(relay.pipe, selectors.EVENT_READ)
        if ended is not None:
            selector.register(ended, selectors.EVENT_READ)
        step = 3600.0 if ended is not None else 0.02  # no pidfd here: look again and again
        while True:
            left = deadline - time.monotonic()
            with _signals_taken():
                ready = [key.fileobj for key, _ in selector.select(max(0, min(step, left)))]
            if relay.pipe in ready and not relay.read():
                selector.unregister(relay.pipe)
            if ended in ready or (ended is None and process.poll() is not None):
                return ""
            if left <= 0 or relay.length > MOST_OUTPUT:
                _stop(process)
                return "timeout" if left <= 0 else "output"


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
    """Ask the child to end: on Linux its warden, who sees to all that it started; elsewhere its process group."""
    with suppress(ProcessLookupError), _exit_of(process) as ended:
        os.killpg(process.pid, signal.SIGTERM)
        if ended is not None:
            select.select([ended], [], [], GRACE_S + 1)
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)


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


def _environment(scratch_dir: Path, env: list[str]) -> dict[str, str]:
    """The few variables a treatment sees; its HOME and TMPDIR are its own, and gone when it ends."""
    passed = {key: value for key, value in os.environ.items() if key in (*PASSED, *env) or key.startswith("LC_")}
    return {**passed, "HOME": str(scratch_dir), "TMPDIR": str(scratch_dir)}


def _sites() -> list[str]:
    """The folders of installed packages that this interpreter looks in, the user's own (`pip install --user`) too."""
    return [folder for folder in sys.path if folder.endswith("-packages")]


def _outcome(statement: str) -> Success | Failure | None:
    try:
        return Outcome.model_validate_json(statement).root
    except ValidationError:
        return None


@contextmanager
def orphans_adopted() -> Iterator[None]:
    """Be the parent of descendants whose own is gone, and end them; for a process that is a runner and nothing else.

    A warden leaves no orphans, but a treatment that is not confined can kill its warden.
    """
    if sys.platform == "linux":
        import ctypes

        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
    try:
        yield
    finally:
        with suppress(OSError):
            while children := Path("/proc/thread-self/children").read_text(encoding="ascii").split():
                for pid in map(int, children):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
