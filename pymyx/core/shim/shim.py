"""Runs one treatment inside a child process. Standard library only; imported by nobody, started by path.

The protocol, all of it:

    started as   python -I -B -X faulthandler -X utf8 shim.py, in a session of its own
    stdin        the job, one JSON object:
                     treatment_dir, input_dir, output_dir, params   what to run, on what; absolute paths
                     runner       number of the process that waits: when it is gone, all ends at once
                     sites        folders of installed packages that this interpreter would not look in itself
                     memory_mb    limit of a process's data, or null
                     confine      what the kernel is to keep it to (arguments of kernel.confine), or null
                     report, keep descriptors: where to say what was used; what to hold open to the very end
    stderr       the outcome, one JSON object: schemas/outcome.schema.json
    report       {"cpu_s": seconds, "peak_mb": megabytes}, of the treatment and all it started
    stdout       whatever the treatment, and every library and process it uses, prints to descriptor 1 or 2
    exit code    0 after {"status": "success"}, 1 after {"status": "error"}
    SIGTERM      end the treatment: SIGTERM, three seconds, SIGKILL

Success is stated, never inferred: a child that ends without an outcome has failed, whatever its exit code.

On Linux the shim forks once, before anything heavy is imported. The parent becomes the warden: everything the
treatment starts, however detached, ends up its child; when the treatment has ended it kills what is left, and then
ends as the treatment ended, by the same signal or exit code. The child is confined, then runs the treatment.

The treatment's imports are looked up in the standard library, then beside its run.py, then among the
installed packages; nothing of PyMyx is on the way. Its stdin is empty. When `run` has returned the
process ends at once: exit handlers are not run and threads are not waited for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, NoReturn

    Run = Callable[[str, str, dict[str, Any]], None]

HERE = os.path.dirname(os.path.abspath(__file__))
GRACE_S = 3.0  # between SIGTERM and SIGKILL


def main() -> None:
    """Take the job, run the treatment, state the outcome, end."""
    outcome = os.dup(2)
    os.dup2(1, 2)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # always text
    with open(0, "rb", closefd=False) as stdin:
        job = json.load(stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started the runner may have ignored it
    if sys.platform == "linux":
        leave_warden_behind(job)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    warnings.formatwarning = format_warning
    end(outcome, execute(job))


def sibling(name: str) -> ModuleType:
    """A module beside this file, not left where a treatment's own module of that name would be looked for."""
    sys.path.insert(0, HERE)
    try:
        module = __import__(name)
    finally:
        sys.path.remove(HERE)
    del sys.modules[name]
    return module


def leave_warden_behind(job: dict[str, Any]) -> None:
    """Fork: the parent stays behind as the warden of what comes; only the child returns."""
    kernel = sibling("kernel")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    follow(kernel, job["runner"], signal.SIGTERM)
    warden = os.getpid()
    child = os.fork()
    if child:
        guard(child, job["runner"], job["report"])
    os.setsid()  # its process group is its own: what it does to it does not reach the warden
    follow(kernel, warden, signal.SIGKILL)
    for descriptor in (job["report"], *job["keep"]):
        os.close(descriptor)


def follow(kernel: ModuleType, parent: int, signum: int) -> None:
    """Get a signal when the parent ends; end now if it has ended already."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def guard(child: int, runner: int, report: int) -> NoReturn:
    """Be the warden: wait for the child, or for the word to end it; leave no process behind; end as it ended."""
    used = [0.0, 0]
    status, deadline = None, float("inf")
    while status is None:
        woken = signal.sigtimedwait([signal.SIGTERM, signal.SIGCHLD], max(0, min(3600, deadline - time.monotonic())))
        if time.monotonic() >= deadline or (woken and os.getppid() != runner):
            kill(child, signal.SIGKILL)
            deadline = float("inf")
        elif woken and woken.si_signo == signal.SIGTERM:
            kill(child, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_S
        status = reap_until(child, used)
    sweep(used)
    os.write(report, json.dumps({"cpu_s": round(used[0], 3), "peak_mb": round(used[1] / 1024)}).encode())
    if os.WIFSIGNALED(status):
        import faulthandler

        faulthandler.disable()  # the treatment's own has spoken
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [os.WTERMSIG(status)])
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def kill(child: int, signum: int) -> None:
    """Signal the treatment and its process group."""
    os.kill(child, signum)
    try:
        os.killpg(child, signum)
    except (ProcessLookupError, PermissionError):  # it has not made its own yet
        return


def reap_until(child: int, used: list[float]) -> int | None:
    """Reap whatever has ended; the status of the child if it is among it."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if not pid:
            return None
        count(usage, used)
        if pid == child:
            return status


def sweep(used: list[float]) -> None:
    """Kill and reap every descendant; the orphans of those that die become our children in turn."""
    while True:
        try:
            with open("/proc/thread-self/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except OSError:  # this kernel does not tell
            return
        if not children:
            return
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            count(os.wait4(pid, 0)[2], used)


def count(usage: Any, used: list[float]) -> None:
    """Add what a process used: seconds of processor, and the peak of its memory in kB if that is the highest."""
    used[0] += usage.ru_utime + usage.ru_stime
    used[1] = max(used[1], usage.ru_maxrss)


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Run the treatment and say how it ended, as an outcome."""
    phase = "confine"
    try:
        sys.path += [folder for folder in job["sites"] if folder not in sys.path]
        limit(job["memory_mb"])
        if job["confine"]:
            sibling("kernel").confine(**job["confine"], code=[HERE])
        phase = "load"
        run = load(job["treatment_dir"])
        phase = "run"
        run(job["input_dir"], job["output_dir"], job["params"])
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: run() has not returned
        outcome: dict[str, Any] = sibling("describe").describe(error, phase, job["treatment_dir"])
        return outcome
    return {"status": "success"}


def limit(memory_mb: int | None) -> None:
    """Set limits of this process: of its data, in megabytes, and no core files."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb:
        # data, not address space: that counts what is only reserved, of which pyarrow's threads need much
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")  # when memory runs out, better this process than another


def load(treatment_dir: str) -> Run:
    """The function `run` of run.py, imported by its own name so that multiprocessing can find it again."""
    installed = [number for number, entry in enumerate(sys.path) if entry.endswith("-packages")]
    sys.path.insert(installed[0] if installed else len(sys.path), treatment_dir)
    from run import run  # type: ignore[import-not-found]  # the treatment's

    return run  # type: ignore[no-any-return]


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
