"""What the kernel is to keep a treatment to: its contract, as paths to read and to write, and no network.

`shim/kernel.py` carries it out, inside the child; `children.py` tells what it protects from.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, UsageError

Confine = Literal["require", "auto", "off"]

FULL_ABI = 6  # of Landlock: files, their truncation, TCP, signals (Linux 6.12)
SINCE = {1: "access to files", 3: "truncation of files", FULL_ABI: "signals to other processes"}
SHARED_MEMORY = [Path("/dev/shm")]  # noqa: S108  a permission, not a temporary file
LANDLOCK = 444  # number of its first system call, which creates a ruleset
FILTERED = ("x86_64", "aarch64")  # machines that the filter of system calls is written for, as its tables list them


def rules(step: Step, read: list[Path], write: list[Path], confine: Confine) -> dict[str, Any] | None:
    """The rules that `kernel.confine` takes for one child, or None where nothing is to be confined.

    It may read the step's input folder and the treatment's own (with what links in there point to), what `allow.read`
    names, and `read`; and write to `write`.
    """
    if confine == "off" or sys.platform != "linux":
        return None
    allow, own = step.treatment.allow, [step.input_dir, step.code_dir]
    for folder in (step.input_dir, step.code_dir):
        with os.scandir(folder) as entries:  # a link is followed to its target only: beside it lies what is not granted
            own += [Path(os.path.realpath(entry.path)) for entry in entries if entry.is_symlink()]
    granted = [step.project.root / path for path in allow.read]
    return {
        "landlock": [LANDLOCK, landlock_abi()],
        "machine": _machine(),
        "root": str(step.project.root.resolve()),
        "read": [str(path) for path in (*own, *granted, *read)],
        "write": [str(path) for path in (*write, *(SHARED_MEMORY if allow.shared_memory else []))],
        "network": allow.network,
        "shared_memory": allow.shared_memory,
    }


def shortfall(confine: Confine) -> str:
    """What this system cannot keep a treatment from, in words; nothing when it can confine in full, or need not.

    Raises:
        UsageError: `confine` is none of the three words, or is `require` and the shortfall is not nothing.
    """
    if confine not in get_args(Confine):
        accepted = (f"accepted: {', '.join(get_args(Confine))}",)
        raise UsageError(Fault(f"confine is `{confine}`", evidence=accepted))
    if confine == "off":
        return ""
    missing = [what for since, what in SINCE.items() if landlock_abi() < since]
    if _machine() is None:
        missing.append("network")
    if not missing:
        return ""
    what = f"this system cannot keep treatments from: {', '.join(missing)}"
    if confine == "require":
        raise UsageError(Fault(what, hint="run it where Linux is 6.12 or newer, or with --confine auto"))
    return what


@cache
def landlock_abi() -> int:
    """The version of Landlock that the kernel offers; 0 for none."""
    if sys.platform != "linux":
        return 0
    import ctypes

    version = 1  # with this flag nothing is created, the version is told
    return max(0, int(ctypes.CDLL(None).syscall(LANDLOCK, None, ctypes.c_size_t(0), version)))


def _machine() -> int | None:
    """The place of this machine among those whose system calls can be filtered; None where they cannot."""
    known = sys.platform == "linux" and os.uname().machine in FILTERED
    wide = sys.maxsize > 2**32  # a 32-bit Python on a 64-bit kernel makes calls by other numbers
    has_filter = known and wide and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
    return FILTERED.index(os.uname().machine) if has_filter else None
