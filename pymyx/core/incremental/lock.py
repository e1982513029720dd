"""One run at a time on an output folder: a kernel lock, gone with the last process that holds it, even by kill -9."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymyx.core.errors import BusyError, Fault
from pymyx.core.incremental.manifest import state_dir
from pymyx.core.incremental.stage import clear_stages, see_that_it_is_real, unwritable


def holder(output_dir: Path) -> dict[str, Any] | None:
    """Who holds the lock of an output folder, since when; None when nobody does, or the system does not tell.

    The lock itself is not touched: a run that starts meanwhile would find it taken.
    """
    try:
        with open(state_dir(output_dir) / "lock", opener=_unlinked, encoding="ascii", errors="replace") as file:
            inode = f":{os.fstat(file.fileno()).st_ino}"
            text = file.read(200)
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    if not any("FLOCK" in words and any(word.endswith(inode) for word in words) for words in locks):
        return None
    pid, _, since = text.partition(" ")
    return {"pid": int(pid) if pid.isdigit() else None, "since": since or None}


def _unlinked(path: str, flags: int) -> int:
    """Open a lock file, never through a link, and never waiting for who writes to a pipe."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return descriptor


NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


@contextmanager
def locked(output_dir: Path, shown: str) -> Iterator[int]:
    """Hold the lock of `output_dir`, and clear the stages that a killed run left there; yields its descriptor.

    A child that inherits the descriptor holds the lock too, to its own end. Where the system or the file system
    knows no such lock, nothing is held and nothing cleared.

    Raises:
        BusyError: another run holds it; says which process, since when.
        UsageError: the lock file cannot be written, or the state's folder is none.
    """
    path = state_dir(output_dir) / "lock"
    see_that_it_is_real(path.parent, shown)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _unlinked(str(path), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unwritable(shown, error) from error
    try:
        if _take(descriptor, shown):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode(), 0)
            clear_stages(output_dir)
        yield descriptor
    finally:
        os.close(descriptor)


def network_disk(folder: Path, mounts: str | None = None) -> str:
    """The kind of network file system that a folder lies on, by the text of /proc/mounts; nothing for a local one."""
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8")
        except OSError:
            return ""
    if not any(f" {kind} " in mounts for kind in NETWORK):
        return ""
    kinds = {}
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        kinds[Path(place.replace("\\040", " "))] = kind
    real = folder.resolve()
    kind = next((kinds[place] for place in (real, *real.parents) if place in kinds), "")
    return kind if kind in NETWORK else ""


def _take(descriptor: int, shown: str) -> bool:
    """Take the lock; False where there is no such thing."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(shown, os.pread(descriptor, 200, 0).decode("ascii", "replace")) from None
    except (ImportError, OSError):
        return False
    return True


def _busy(shown: str, holder: str) -> BusyError:
    pid, _, since = holder.partition(" ")
    what = f"another run holds the output folder `{shown}`: process {pid or 'unknown'}, since {since or 'just now'}"
    return BusyError(Fault(what, notes=("nothing was run",), hint="wait for it to end, or end it"))
