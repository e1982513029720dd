"""One run at a time on an output folder: a kernel lock, gone with the last process that holds it, even by kill -9."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymyx.core.contract.treatment import Step
from pymyx.core.errors import BusyError, Fault
from pymyx.core.incremental.facts import owned_manifest
from pymyx.core.incremental.manifest import Output, state_dir
from pymyx.core.incremental.stage import remove_stage, see_that_it_is_real, unwritable

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


@contextmanager
def locked(step: Step, *, force: bool) -> Iterator[Output]:
    """Hold the lock of a step's output folder, remove the stages that a killed run left there, read the manifest.

    A child that inherits the lock's descriptor holds the lock too, to its own end. Where the system or the file system
    knows no such lock, nothing is held and nothing removed.

    Raises:
        BusyError: another run holds it; says which process, since when.
        UsageError: the lock file cannot be written, the state is not kept in a folder; or as `owned_manifest`.
    """
    shown, state = step.output_shown, state_dir(step.output_dir)
    see_that_it_is_real(state, shown)
    try:
        state.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(str(state / "lock"), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unwritable(shown, error) from error
    try:
        try:
            # the kernel gives it back however its holders end, so no stale lock is ever to be broken
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            one = _told(os.pread(descriptor, 400, 0).decode("ascii", "replace"))
            on = f" on {one['host']}" if one["host"] else ""
            by = f"process {one['pid'] or 'unknown'}{on}, since {one['since'] or 'just now'}"
            what = f"another run holds the output folder `{shown}`: {by}"
            raise BusyError(Fault(what, notes=("nothing was run",), hint="wait for it to end, or end it")) from None
        except OSError:
            pass  # some disks know no locks; a stage there may be that of a run at work, so none is removed
        else:
            # the file is written and never replaced: the lock is that of its inode
            os.ftruncate(descriptor, 0)
            # the disk may be that of several machines
            text = f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {os.uname().nodename}"
            os.pwrite(descriptor, text.encode("ascii", "replace"), 0)
            for stage in state.glob("stage-*"):
                remove_stage(stage)
        yield Output(step.output_dir, shown, descriptor, owned_manifest(step, force=force), state / "manifest.json")
    finally:
        os.close(descriptor)


def holder(output_dir: Path, locks: str | None = None) -> dict[str, Any] | None:
    """Who holds the lock of an output folder, since when, by the text of /proc/locks.

    None when nobody does, or the system does not tell.
    """
    try:
        with open(state_dir(output_dir) / "lock", opener=_opened, encoding="ascii", errors="replace") as file:
            place = _place(file.fileno())
            text = file.read(400)
        # to try the lock would take it: a run that starts meanwhile would be refused
        locks = Path("/proc/locks").read_text(encoding="ascii") if locks is None else locks
    except OSError:
        return None
    held = [line.split() for line in locks.splitlines() if "FLOCK" in line]
    if not any(word.endswith(place) for words in held for word in words):
        return None
    return _told(text)


def _told(text: str) -> dict[str, Any]:
    """What a lock file says of its holder: `pid`, `since` and `host`; None for what is not told."""
    pid, since, host, *_ = [*text.split(" "), "", ""]
    return {"pid": int(pid) if pid.isdigit() else None, "since": since or None, "host": host or None}


def _place(descriptor: int) -> str:
    """An open file as /proc/locks names it, by disk and inode: `fd:01:567`; `:567` where the disk is not told."""
    inode = os.fstat(descriptor).st_ino
    # by the mount: on some disks (btrfs, overlays) the st_dev of a file is a number of its own
    told = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines())
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        mount, _, disk, *_ = line.split()
        if mount == told["mnt_id"].strip():
            major, minor = map(int, disk.split(":"))
            return f"{major:02x}:{minor:02x}:{inode}"
    return f":{inode}"


def _opened(path: str, flags: int) -> int:
    """Open a lock file; it must be a regular file."""
    # not through a link, which would have us write elsewhere; not waiting, as for the other end of a pipe
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return descriptor


def network_disk(folder: Path, mounts: str | None = None) -> str:
    """The kind of network file system that a folder lies on, by the text of /proc/mounts; nothing for a local one."""
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
    # most machines have none, and need not resolve the folder
    if not any(f" {kind} " in mounts for kind in NETWORK):
        return ""
    fields = (line.split(" ") for line in mounts.splitlines())
    # of two on one place the later one is seen
    kinds = {Path(place.replace("\\040", " ")): kind for _, place, kind, *_ in fields}
    real = folder.resolve()
    kind = next((kinds[place] for place in (real, *real.parents) if place in kinds), "")
    return kind if kind in NETWORK else ""
