"""The warden of a treatment: waits for it, ends it when told to, and leaves no process of it behind. Linux only.

It runs in the shim's process, the treatment in a fork of it. Everything the treatment starts, however detached,
ends up a child of the warden, who is their subreaper. When the treatment has ended the warden kills what is left,
says what was used, and ends as the treatment ended: by the same signal, or with the same exit code.
"""

from __future__ import annotations

import os
import time

import kernel

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    import signal
    from types import ModuleType
    from typing import Any, NoReturn
else:
    import _signal as signal  # see shim.py

FOREVER = float("inf")
GRACE_S = 3.0  # between SIGTERM and SIGKILL


def leave_behind(job: dict[str, Any]) -> ModuleType:
    """Fork: the parent stays behind as the warden of what comes; only the child returns, with the kernel's part."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    follow(job["runner"], signal.SIGTERM)
    warden = os.getpid()
    child = os.fork()
    if child:
        guard(child, job["runner"], job["report"])
    os.setsid()  # its process group is its own: what it does to it does not reach the warden
    follow(warden, signal.SIGKILL)
    for descriptor in (job["report"], *job["keep"]):
        os.close(descriptor)
    return kernel  # type: ignore[no-any-return]  # mypy cannot find it


def follow(parent: int, signum: int) -> None:
    """Get a signal when the parent ends; end now if it has ended already."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def guard(child: int, runner: int, report: int) -> NoReturn:
    """Be the warden: wait for the child, or for the word to end it; leave no process behind; end as it ended."""
    used = [0.0, 0]
    status, deadline = None, FOREVER
    while status is None:
        woken = signal.sigtimedwait([signal.SIGTERM, signal.SIGCHLD], max(0, min(3600, deadline - time.monotonic())))
        if time.monotonic() >= deadline or (woken and os.getppid() != runner):
            kill(child, signal.SIGKILL)
            deadline = FOREVER
        elif woken and woken.si_signo == signal.SIGTERM:
            kill(child, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_S
        status = reap_until(child, used)
    sweep(used)
    os.write(report, b'{"cpu_s": %.3f, "peak_mb": %d}' % (used[0], used[1] // 1024))
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
