"""Gives a child a private stage: a folder to write to, one to work in, and a view of the files it is to read.

The stage of `data/10_parsed` lies in `data/.pymyx/10_parsed/`, on the same file system, so that each file is
put in place by one atomic `os.replace`.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pymyx.core.errors import Fault, UsageError
from pymyx.core.incremental.manifest import state_dir


@dataclass(frozen=True)
class Stage:
    """What one child writes to: `output_dir` is published, `scratch_dir` (working folder, HOME, TMPDIR) is not.

    `view_dir` is empty at first, a place for links to what it is to read; `file_mode` is the mode that an ordinary
    new file gets here, whatever mode the treatment gives it.
    """

    output_dir: Path
    scratch_dir: Path
    view_dir: Path
    file_mode: int


def unwritable(shown: str, error: OSError) -> UsageError:
    """The error of an output folder beside which nothing can be written."""
    what = f"the output folder `{shown}` cannot be written to: {error.strerror}"
    return UsageError(Fault(what, str(error.filename), hint="make room, or make its parent folder writable"))


def other_places(output_dir: Path) -> list[Path]:
    """Where the state of an output folder would be, had the folder not been moved, linked to, or mounted over."""
    real = output_dir.resolve()
    beside = [
        folder.parent / ".pymyx" / folder.name for folder in (output_dir.parent.resolve() / output_dir.name, real)
    ]
    now = state_dir(output_dir)
    return [place for place in dict.fromkeys([*beside, real / ".pymyx"]) if place != now]


def see_that_it_is_real(state: Path, shown: str) -> None:
    """See that a state folder, as far as it is there, is a folder and no link: a stage is made of real folders of ours.

    Raises:
        UsageError: something else stands in its place.
    """
    for folder in (state.parent, state):
        kind = kind_of(folder)
        if ".pymyx" in (folder.name, folder.parent.name) and kind not in ("folder", "nothing"):
            what = f"the state of the output folder `{shown}` cannot be kept: a {kind} stands in its place"
            hint = "move it away: the state is kept in real folders, on the disk of the output folder"
            raise UsageError(Fault(what, str(folder), notes=("nothing was run",), hint=hint))


def clear_stages(output_dir: Path) -> None:
    """Remove the stages that killed runs left; to be called by who holds the lock. What is no folder is left alone."""
    for folder in state_dir(output_dir).glob("stage-*"):
        if kind_of(folder) == "folder":
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
        parts = output, scratch, view = folder / "output", folder / "scratch", folder / "view"
        for part in parts:
            part.mkdir()
        mode = stat.S_IMODE(output.stat().st_mode) & 0o666
    except OSError as error:
        raise unwritable(shown, error) from error
    try:
        yield Stage(output, scratch, view, mode)
    finally:
        _remove(folder)


def link_inputs(stage: Stage, files: Iterable[Path]) -> Path:
    """The stage's view, with a link to each of the files."""
    for file in files:
        (stage.view_dir / file.name).symlink_to(file)
    return stage.view_dir


def kind_of(path: Path) -> str:
    """The kind of thing that stands at `path`, or `nothing`."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return "nothing"
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        return "hard link"
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special file")


def kinds_in(folder: Path) -> dict[str, str]:
    """The kind of each thing in a folder, by name."""
    return {name: kind_of(folder / name) for name in sorted(os.listdir(folder))}


def make_ordinary(stage: Stage) -> None:
    """Give the files of a stage the mode of any new file here, whatever the treatment made of it: they are to be read.

    Raises:
        OSError: one of them cannot be changed.
    """
    stage.output_dir.chmod(0o700)
    for name, kind in kinds_in(stage.output_dir).items():
        if kind == "file":
            (stage.output_dir / name).chmod(stage.file_mode)


def _remove(folder: Path) -> None:
    """Remove a stage, however deep the treatment made it, also where it took its own rights to do so away.

    Nothing is recursive and little is held: what lies in a folder two levels down is moved up, until all is flat.
    """
    with suppress(OSError):
        folder.chmod(0o700)
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            while sum(_flatten(top, name) for name in _some_names(top)):
                pass
        finally:
            os.close(top)
        folder.rmdir()


def _flatten(top: int, name: str) -> bool:
    """Remove an entry of the folder `top`; the folders in it are moved to `top`. False when it could not be removed."""
    with suppress(OSError):
        if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
            os.unlink(name, dir_fd=top)
            return True
        os.chmod(name, 0o700, dir_fd=top)
        inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            while sum(_lift(inside, entry, top) for entry in _some_names(inside)):
                pass
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=top)
        return True
    return False


def _lift(inside: int, name: str, top: int) -> bool:
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=inside).st_mode):
            os.chmod(name, 0o700, dir_fd=inside)  # a folder that is moved is written to: its `..` changes
            os.rename(name, os.urandom(12).hex(), src_dir_fd=inside, dst_dir_fd=top)
        else:
            os.unlink(name, dir_fd=inside)
        return True
    return False


def _some_names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, 1000)]
