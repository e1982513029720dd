"""Child processes at work side by side: relay what they print, wait for their ends, stop them.

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
from types import TracebackType

from pymyx.core.isolation.child import Child, Ending, Order

GRACE_S = 3.0  # between SIGTERM and SIGKILL; the shim's warden keeps to the same
SWEEP_S = 6.0  # that a warden may take to stop and kill all that a treatment started, however much that is
HEED_S = 1.0  # at most, until a signal that came just before the wait began is heeded
LOOK_S = 0.02  # between two looks at a child, where the system does not tell of its end
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Children:
    """Children at work; to be used in a `with`, at whose end those that still run are ended, whatever happened.

    `tick` is called every `tick_s` seconds while they are waited for.
    """

    def __init__(self, tick: Callable[[], None] = lambda: None, tick_s: float = 3600.0) -> None:
        self._at_work: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._tick, self._tick_s, self._ticked = tick, tick_s, time.monotonic()

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._at_work)
        while self._at_work:
            self._end(self._at_work[-1])
        self._selector.close()

    def __len__(self) -> int:
        return len(self._at_work)

    def start(self, order: Order) -> Child:
        """Start one more.

        Raises:
            TreatmentError: the interpreter cannot be started.
        """
        child = Child(order)
        self._at_work.append(child)
        self._selector.register(child.relay.pipe, selectors.EVENT_READ)
        if child.exit_fd is not None:
            self._selector.register(child.exit_fd, selectors.EVENT_READ)
        return child

    def wait(self) -> tuple[Child, Ending]:
        """Relay what they print until one of them has ended, or is stopped: its time is up, or it printed too much."""
        look_s = HEED_S if all(child.exit_fd is not None for child in self._at_work) else LOOK_S
        while True:
            left_s = min(child.left_s for child in self._at_work)
            with _signals_taken():
                ready = {key.fileobj for key, _ in self._selector.select(max(0, min(look_s, self._tick_s, left_s)))}
            if ready or time.monotonic() - self._ticked >= self._tick_s:
                self._ticked = time.monotonic()
                self._tick()
            for child in self._at_work:
                pipe = child.relay.pipe
                if pipe in ready and not child.relay.read():
                    self._selector.unregister(pipe)
                if child.has_ended():  # also one that is past its time: what it made in time counts
                    return child, self._end(child)
                if child.fault:
                    child.stopped = child.fault
                    _stop([child])
                    return child, self._end(child)

    def _end(self, child: Child) -> Ending:
        self._at_work.remove(child)
        for watched in (child.relay.pipe, child.exit_fd):
            if watched is not None and watched in self._selector.get_map():
                self._selector.unregister(watched)
        return child.end()


def _stop(children: list[Child]) -> None:
    """Ask children to end, and give them their time to do so; who is still there then is killed when it is reaped."""
    for child in children:
        child.ask_to_end()
    asked = time.monotonic()
    for child in children:
        patience_s = GRACE_S + (SWEEP_S if child.exit_fd is not None else 1)
        child.has_ended(max(0, asked + patience_s - time.monotonic()))


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the end, so that they cannot strike in the middle of a clean-up.

    `Children.wait` takes them while it waits. A signal that came in the meantime strikes at the end.
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
            while left := Path("/proc/thread-self/children").read_text(encoding="ascii").split():
                children = [int(pid) for pid in left]
                for signum in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: it starts no other meanwhile
                    for pid in children:
                        os.kill(pid, signum)
                for pid in children:
                    os.waitpid(pid, 0)
