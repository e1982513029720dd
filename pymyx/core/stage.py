"""Gives a child a private stage: a folder to write to, one to work in, and a view of the files it is to read.

The stage of `data/10_parsed` lies in `data/.pymyx/10_parsed/`, on the same file system, so that each file is
put in place by one atomic `os.replace`.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymyx.core.errors import Fault, UsageError


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


def show_only(stage: Stage, files: Iterable[Path]) -> Path:
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


def _remove(folder: Path) -> None:
    """Remove a stage, also where the treatment took its own rights to do so away."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _open_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    folder.chmod(0o700)
    for path in folder.iterdir():
        if kind_of(path) == "folder":
            _open_up(path)
