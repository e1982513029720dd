"""Child processes at work side by side: show what they print, wait for their ends, stop them.

One loop on the main thread serves them all; no thread reads for it.

What is protected from a treatment, honestly. On Linux 6.12 or newer, in full: it reads its input folder, its own
folder, Python and what is installed, fonts, and what `allow.read` names; it writes to its stage and a scratch folder
that is removed; it opens no network, signals nobody outside, sets nobody's limits or priorities but its own, reaches
no keyring, no memory and no queue of others, sees none of the runner's environment; whatever it starts is kept to the
same, and ended with it. So raw data, other results, flows and the log cannot be read or changed by it, and a crash, a
hang, a flood of output, a fork bomb or a success it prints harm nothing.

What stays open. It can say that it succeeded without `run` having returned: who looks for the descriptor of the
outcome in /proc/self/fd, writes a success there and calls os._exit(0) is believed. It can use all processors, and the
disk of its stage; memory is limited per process, and only when a limit is set; until its time is up it can fork to the
system's limit, which slows down all that its user runs. It can see that files exist, and change mode and times of
files that its user owns; it can read whatever lies in the folders above. With `allow.network` it reaches every socket
that its user can, also those of this machine; with `allow.shared_memory` what others keep in /dev/shm and in System V
memory. Run by root it keeps root's other powers (loading a module, setting the clock): run PyMyx as an ordinary user.
Escape sequences are made visible where the command line writes; who calls `run_treatment` gets them as they are.
Landlock and seccomp are one kernel's word, no virtual machine: what a kernel bug lets through is let through. On older
kernels less is kept back, and elsewhere nothing but the clean end of the process group; `confinement.shortfall` says
what. `confine="off"` keeps nothing back, and then a treatment can stop or kill its own warden.

One price: a process that a treatment starts sets limits and priorities of itself by the number 0, not by its own.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pymyx.core.isolation.child import GRACE_S, Child, Ending, Order

MOST_OUTPUT = 1 << 30  # bytes; who prints more is stopped
SWEEP_S = 6.0  # that a warden may take to stop and kill all that a treatment started, however much that is
HEED_S = 1.0  # at most, until a signal that came just before the wait began is heeded
LOOK_S = 0.02  # between two looks at a child, where the system does not tell of its end
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Children:
    """Children at work; to be closed in the end, whatever happened.

    `tick` is called every `tick_s` seconds while they are waited for, and when one of them printed something.
    """

    def __init__(self, tick: Callable[[], None] = lambda: None, tick_s: float = 3600.0) -> None:
        self._at_work: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._tick, self._tick_s, self._ticked = tick, tick_s, time.monotonic()

    def close(self) -> None:
        """End those that still run."""
        _stop(self._at_work)
        while self._at_work:
            self._end(self._at_work[-1])
        self._selector.close()

    def start(self, order: Order) -> Child:
        """Start one more.

        Raises:
            TreatmentError: the interpreter cannot be started.
        """
        child = Child(order)
        self._at_work.append(child)
        self._selector.register(child.pipe, selectors.EVENT_READ)
        if child.exit_fd is not None:
            self._selector.register(child.exit_fd, selectors.EVENT_READ)
        return child

    def wait(self) -> tuple[Child, Ending]:
        """Show what they print until one of them has ended, or is stopped: its time is up, or it printed too much."""
        look_s = HEED_S if all(child.exit_fd is not None for child in self._at_work) else LOOK_S
        while True:
            # asleep until one prints or ends, but no longer than to the next deadline or tick
            left_s = min(child.deadline for child in self._at_work) - time.monotonic()
            # signals strike here alone, where nothing is half done; all else that the caller does holds them
            with signals_held(held=False):
                ready = {key.fileobj for key, _ in self._selector.select(max(0, min(look_s, self._tick_s, left_s)))}

            # what they print is shown; then the progress again, which that has removed from a terminal
            due = time.monotonic() - self._ticked >= self._tick_s
            for child in self._at_work:
                if child.pipe in ready and child.read():
                    due = True
                elif child.pipe in ready:
                    self._selector.unregister(child.pipe)  # closed: it would be ready for ever
            if due:
                self._ticked = time.monotonic()
                self._tick()

            # the first that has ended; also one that is past its time: what it made in time counts
            for child in self._at_work:
                late, flooding = time.monotonic() >= child.deadline, child.printed > MOST_OUTPUT
                unsure = late or flooding or child.exit_fd is None
                if child.exit_fd in ready or (unsure and child.has_ended()):
                    return child, self._end(child)
                if late or flooding:
                    child.stopped = "timeout" if late else "output"
                    _stop([child])
                    return child, self._end(child)

    def _end(self, child: Child) -> Ending:
        self._at_work.remove(child)
        for watched in (child.pipe, child.exit_fd):
            if watched is not None and watched in self._selector.get_map():
                self._selector.unregister(watched)  # before it is closed: its number may soon be another's
        return child.end()


def _stop(children: list[Child]) -> None:
    """Ask children to end, and give them their time to do so; who is still there then is killed when it is reaped."""
    asked = time.monotonic()
    for child in children:
        # on Linux the group is its warden, who sees to all that the treatment started; elsewhere all that stayed in it
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGTERM)
    for child in children:
        patience_s = GRACE_S + (SWEEP_S if child.exit_fd is not None else 1)
        child.has_ended(max(0, asked + patience_s - time.monotonic()))


@contextmanager
def signals_held(*, held: bool = True) -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the end, so that they cannot strike in the middle of a clean-up.

    One that came in the meantime strikes at the end; or inside, while they are let through again (`held=False`), as
    `Children.wait` does while it sleeps.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
            # again and again: the children of those that die become ours in turn
            while left := Path("/proc/thread-self/children").read_text(encoding="ascii").split():
                children = [int(pid) for pid in left]
                for signum in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: it starts no other meanwhile
                    for pid in children:
                        os.kill(pid, signum)
                for pid in children:
                    os.waitpid(pid, 0)
