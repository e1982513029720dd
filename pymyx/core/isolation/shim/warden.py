"""The warden of a treatment: waits for it, ends it when told to, and leaves no process of it behind. Linux only.

It runs in the shim's process, the treatment in a fork of it. Everything the treatment starts, however detached,
ends up a child of the warden, who is their subreaper. When the treatment has ended, or its time is up, the warden
kills what is left, says what was used, and ends as the treatment ended: by the same signal, or with the same exit code.
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

GRACE_S = 3.0  # between SIGTERM and SIGKILL


def leave_behind(job: dict[str, Any]) -> ModuleType:
    """Fork: the parent stays behind as the warden of what comes; only the child returns, with the kernel's part."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD])
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    follow(job["runner"], signal.SIGTERM)
    warden = os.getpid()
    child = os.fork()
    if child:
        guard(child, job)
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


def guard(child: int, job: dict[str, Any]) -> NoReturn:
    """Be the warden: wait for the child, or for the word or the time to end it; leave no process; end as it ended.

    The runner keeps the time as well, but may be stopped, or stand still because nobody reads what it shows.
    """
    tally = Tally(child)
    deadline, asked, stopped = job["deadline"], False, ""
    while tally.status is None:
        woken = signal.sigtimedwait([signal.SIGTERM, signal.SIGCHLD], max(0, min(3600, deadline - time.monotonic())))
        reap(tally)
        late = time.monotonic() >= deadline
        if tally.status is not None or os.getppid() != job["runner"] or (late and asked):
            break
        if not asked and (late or (woken and woken.si_signo == signal.SIGTERM)):
            ask(child)
            asked, stopped, deadline = True, "timeout" if late else "", time.monotonic() + GRACE_S
    sweep(tally)
    used = (tally.cpu_s, tally.peak_kb // 1024, stopped.encode())
    os.write(job["report"], b'{"cpu_s": %.3f, "peak_mb": %d, "stopped": "%s"}' % used)
    status = tally.status or 0
    if os.WIFSIGNALED(status):
        import faulthandler

        faulthandler.disable()  # the treatment's own has spoken
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [os.WTERMSIG(status)])
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


class Tally:
    """What is known of those that have ended: how the treatment did, and what all of them used."""

    def __init__(self, child: int) -> None:
        self.child = child
        self.status: int | None = None
        self.cpu_s = 0.0
        self.peak_kb = 0

    def take(self, pid: int, status: int, usage: Any) -> None:
        """Take account of one that was reaped."""
        self.cpu_s += usage.ru_utime + usage.ru_stime
        self.peak_kb = max(self.peak_kb, usage.ru_maxrss)
        if pid == self.child:
            self.status = status


def ask(child: int) -> None:
    """Ask the treatment and its process group to end."""
    os.kill(child, signal.SIGTERM)
    try:
        os.killpg(child, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):  # it has not made its own yet
        return


def reap(tally: Tally) -> None:
    """Reap whatever has ended."""
    try:
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            tally.take(*ended)
    except ChildProcessError:
        return


def sweep(tally: Tally) -> None:
    """Kill and reap every descendant; the orphans of those that die become our children in turn.

    All are stopped before the first is killed: what goes on starting processes while it is being killed is never done.
    """
    while tree := stop_tree():
        for pid in tree:
            os.kill(pid, signal.SIGKILL)
        for pid in tree:
            try:
                tally.take(*os.wait4(pid, 0))
            except ChildProcessError:  # not ours yet
                continue


def stop_tree() -> list[int]:
    """Stop every descendant, until a look at all of them finds no new one; parents come before their children."""
    before: set[int] = set()
    while True:
        tree = [pid for pid in children("self") if stop(pid)]
        for parent in tree:  # it grows as it is gone through
            tree += [pid for pid in children(str(parent)) if stop(pid)]
        if before.issuperset(tree):
            return tree
        before = set(tree)


def stop(pid: int) -> bool:
    """Stop a process, and all of its group at one stroke; False when it is gone, or not ours to stop."""
    try:
        os.kill(pid, signal.SIGSTOP)
        group = os.getpgid(pid)
        if group != os.getpgrp():
            os.killpg(group, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def children(pid: str) -> list[int]:
    """The children of a process; none when it is gone, or the kernel does not tell."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        return found
    return found
