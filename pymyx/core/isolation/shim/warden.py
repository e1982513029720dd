"""The warden of a treatment: waits for it, ends it when told to, and leaves no process of it behind. Linux only.

It runs in the shim's process, the treatment in a fork of it. Everything the treatment starts, however detached,
ends up a child of the warden, who is their subreaper. When the treatment has ended, or its time is up, the warden
kills what is left, says what was used, and ends as the treatment ended: by the same signal, or with the same exit code.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # see shim.py
import os
import time

import kernel

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, NoReturn


def leave_behind(job: dict[str, Any]) -> ModuleType:
    """Fork: the parent stays behind as the warden of what comes; only the child returns, with the kernel's part."""
    # blocked, signals wait until the warden asks for them: none is lost, none ends it before its sweep
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD])
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # of what detaches itself this becomes the parent, so it is found
    follow(job["runner"], signal.SIGTERM)  # not SIGKILL: it has to sweep
    warden = os.getpid()
    child = os.fork()
    if child:
        guard(child, job)
    os.setsid()  # its process group is its own: what it does to it does not reach the warden
    follow(warden, signal.SIGKILL)
    for descriptor in (job["report"], *job["keep"]):  # who has the lock's could free the lock
        os.close(descriptor)
    return kernel  # type: ignore[no-any-return]  # mypy cannot find it


def follow(parent: int, signum: int) -> None:
    """Get a signal when the parent ends; end now if it has ended already, before the kernel was told."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def guard(child: int, job: dict[str, Any]) -> NoReturn:
    """Be the warden: wait for the child, or for the word or the time to end it; leave no process; end as it ended.

    The runner keeps the time as well, but may be stopped, or stand still because nobody reads what it shows.
    """
    # wait; at the word or the time ask it to end, once, and give it the grace
    ended = Ended(child)
    deadline, asked, stopped = job["deadline"], False, ""
    while ended.status is None:
        left_s = max(0, min(3600, deadline - time.monotonic()))  # the kernel refuses a wait that is too long
        woken = signal.sigtimedwait([signal.SIGTERM, signal.SIGCHLD], left_s)
        ended.reap()
        late = time.monotonic() >= deadline
        if ended.status is not None or os.getppid() != job["runner"] or (late and asked):
            break
        if not asked and (late or (woken and woken.si_signo == signal.SIGTERM)):
            os.kill(child, signal.SIGTERM)
            if os.getpgid(child) == child:  # else it has not made its own group yet
                os.killpg(child, signal.SIGTERM)
            asked, stopped, deadline = True, "timeout" if late else "", time.monotonic() + job["grace_s"]

    # kill and reap every descendant; the orphans of those that die become our children in turn
    while tree := stop_tree():
        for pid in tree:
            os.kill(pid, signal.SIGKILL)
        for pid in tree:
            ended.reap(pid)

    # say what was used, and end as it ended: the runner reads from our status how the treatment died
    used = (ended.cpu_s, ended.peak_kb // 1024, stopped.encode())
    os.write(job["report"], b'{"cpu_s": %.3f, "peak_mb": %d, "stopped": "%s"}' % used)
    code = os.waitstatus_to_exitcode(ended.status or 0)
    if code < 0:
        import faulthandler

        faulthandler.disable()  # the treatment's own has spoken
        if -code != signal.SIGKILL:  # which nobody can handle or block
            signal.signal(-code, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        os.kill(os.getpid(), -code)
    os._exit(code)


class Ended:
    """What is known of those that have ended: the status of the treatment, and what all of them used."""

    def __init__(self, child: int) -> None:
        self.child = child
        self.status: int | None = None
        self.cpu_s = 0.0
        self.peak_kb = 0

    def reap(self, one: int | None = None) -> None:
        """Reap one that was killed, or whatever has ended."""
        try:
            # never a blocking wait for any: what is still alive may wait for ever
            while (found := os.wait4(one or -1, 0 if one else os.WNOHANG))[0]:
                pid, status, usage = found
                self.cpu_s += usage.ru_utime + usage.ru_stime
                self.peak_kb = max(self.peak_kb, usage.ru_maxrss)
                if pid == self.child:
                    self.status = status
                if one:
                    return
        except ChildProcessError:  # none is left, or this one is not ours yet
            return


def stop_tree() -> list[int]:
    """Stop every descendant, until a look at all of them finds no new one; parents come before their children.

    All are stopped before the first is killed: what goes on starting processes while it is being killed is never done.
    """
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
        if group != os.getpgrp():  # ours: the warden would stop itself
            os.killpg(group, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def children(pid: str) -> list[int]:
    """The children of a process; none when it is gone, or the kernel does not tell."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # each thread has its own
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        return found
    return found
