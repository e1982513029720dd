"""Gives a treatment a private stage to write to, and moves what it left there into place, file by file.

The stage of `data/10_parsed` lies in `data/.pymyx/10_parsed/`, on the same file system, so that each file is
put in place by one atomic `os.replace`. On failure the output folder is as it was before.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymyx.core.errors import Fault, PublishError, UsageError


@dataclass(frozen=True)
class Stage:
    """What one execution writes to: `output_dir` is published, `scratch_dir` (working folder, HOME, TMPDIR) is not.

    `file_mode` is the mode that an ordinary new file gets here, whatever mode the treatment gives it.
    """

    output_dir: Path
    scratch_dir: Path
    file_mode: int


def state_dir(output_dir: Path) -> Path:
    """The folder that keeps what PyMyx knows of an output folder: beside it, or inside where that is another disk."""
    real = output_dir.resolve()
    if real.is_dir() and real.stat().st_dev != real.parent.stat().st_dev:
        return real / ".pymyx"
    return real.parent / ".pymyx" / real.name


def unwritable(shown: str, error: OSError) -> UsageError:
    """The error of an output folder beside which nothing can be written."""
    what = f"the output folder `{shown}` cannot be written to: {error.strerror}"
    return UsageError(Fault(what, str(error.filename), hint="make room, or make its parent folder writable"))


def clear_stages(output_dir: Path) -> None:
    """Remove the stages that killed runs left; to be called by who holds the lock."""
    for folder in state_dir(output_dir).glob("stage-*"):
        _remove(folder)


@contextmanager
def staged(output_dir: Path, shown: str) -> Iterator[Stage]:
    """A new stage for `output_dir`, removed with all it holds in the end.

    Raises:
        UsageError: none can be made there.
    """
    state = state_dir(output_dir)
    try:
        state.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="stage-", dir=state))
        (folder / "output").mkdir()
        (folder / "scratch").mkdir()
        mode = stat.S_IMODE((folder / "output").stat().st_mode) & 0o666
    except OSError as error:
        raise unwritable(shown, error) from error
    try:
        yield Stage(folder / "output", folder / "scratch", mode)
    finally:
        _remove(folder)


def publish(stage: Stage, output_dir: Path, shown: str) -> list[str]:
    """Move every file of the stage into `output_dir`, and return their names, sorted.

    Everything that can be found wrong is found before the first file is moved. A file of the same name is
    replaced; no other file is touched.

    Raises:
        PublishError: the stage holds something that is no regular file, or a file cannot be put in place.
    """
    stage.output_dir.chmod(0o700)  # whatever the treatment made of it
    names = sorted(os.listdir(stage.output_dir))
    faults = [fault for name in names if (fault := _name_fault(stage, output_dir, name, shown))]
    if faults:
        raise PublishError(*faults)
    try:
        for name in names:
            os.chmod(stage.output_dir / name, stage.file_mode)
            _flush_to_disk(stage.output_dir / name)
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        note = f"nothing was published; `{shown}` is unchanged"
        raise PublishError(
            Fault(f"cannot publish to `{shown}`: {error.strerror}", str(error.filename), notes=(note,))
        ) from error
    moved = 0
    try:
        for name in names:
            os.replace(stage.output_dir / name, output_dir / name)
            moved += 1
        _flush_to_disk(output_dir)
    except OSError as error:
        note = f"{moved} of {len(names)} files were put in place; run it again to complete them"
        raise PublishError(
            Fault(
                f"cannot publish to `{shown}`: {error.strerror}", str(error.filename2 or error.filename), notes=(note,)
            )
        ) from error
    return names


def _name_fault(stage: Stage, output_dir: Path, name: str, shown: str) -> Fault | None:
    kind = _kind(stage.output_dir / name)
    note = f"nothing was published; `{shown}` is unchanged"
    if kind != "file":
        return Fault(
            f"the treatment left a {kind} in its output: `{name}`",
            notes=(note,),
            hint="leave regular files only, in no sub-folder",
        )
    if _kind(output_dir / name) == "folder":
        return Fault(
            f"the output `{name}` would replace a folder",
            f"{shown}/{name}",
            notes=(note,),
            hint="move that folder away",
        )
    return None


def _kind(path: Path) -> str:
    """The kind of thing that stands at `path`, or `nothing`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return "nothing"
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        return "hard link"
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special file")


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a stage, also where the treatment took its own rights to do so away."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _open_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    folder.chmod(0o700)
    for path in folder.iterdir():
        if _kind(path) == "folder":
            _open_up(path)
