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

# a link that a treatment put in the place of a folder leads out of the stage
REAL_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@dataclass(frozen=True)
class Stage:
    """What one child writes to."""

    folder: Path  # the three below lie in it
    output_dir: Path  # is published
    scratch_dir: Path  # its working folder, HOME and TMPDIR
    view_dir: Path  # empty at first, a place for links to what it is to read
    file_mode: int  # of an ordinary new file here, whatever mode the treatment gives its own


def unwritable(shown: str, error: OSError) -> UsageError:
    """The error of an output folder beside which nothing can be written."""
    what = f"the output folder `{shown}` cannot be written to: {error.strerror}"
    return UsageError(Fault(what, str(error.filename), hint="make room, or make its parent folder writable"))


def see_that_it_is_real(state: Path, shown: str) -> None:
    """See that a state folder, as far as it is there, is a real folder of ours.

    Raises:
        UsageError: something else stands in its place.
    """
    for folder in (state.parent, state):
        kind = kind_of(folder)
        # above `.pymyx` the folders are the user's, and may be links; a link below it would take stages elsewhere
        if ".pymyx" in (folder.name, folder.parent.name) and kind not in ("folder", "nothing"):
            what = f"the state of the output folder `{shown}` cannot be kept: a {kind} stands in its place"
            hint = "move it away: the state is kept in real folders, on the disk of the output folder"
            raise UsageError(Fault(what, str(folder), notes=("nothing was run",), hint=hint))


@contextmanager
def staged(state: Path, shown: str) -> Iterator[Stage]:
    """A new stage in the state of the output folder `shown`, removed with all it holds in the end.

    Raises:
        UsageError: none can be made there.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        stage = new_stage(state, "stage-")
    except OSError as error:
        raise unwritable(shown, error) from error
    try:
        yield stage
    finally:
        remove_stage(stage.folder)


def new_stage(inside: Path, prefix: str) -> Stage:
    """A new stage in the folder `inside`, with a name that begins with `prefix`.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=inside))
    parts = output, scratch, view = folder / "output", folder / "scratch", folder / "view"
    for part in parts:
        part.mkdir()
    # what the umask, or the folder's default rights, leave of a new folder's mode; data is never executable
    return Stage(folder, output, scratch, view, stat.S_IMODE(output.stat().st_mode) & 0o666)


def link_inputs(stage: Stage, files: Iterable[Path]) -> Path:
    """The stage's view, with a link to each of the files."""
    for file in files:
        (stage.view_dir / file.name).symlink_to(file)
    return stage.view_dir


def kind_of(path: Path) -> str:
    """The kind of thing that stands at `path`, or `nothing`."""
    try:
        status = path.lstat()  # a link is a thing of its own: what it leads to may be anybody's
    except FileNotFoundError:
        return "nothing"
    # a file with a second name could be changed through that one after it was published
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        return "hard link"
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special file")


def left_on(folder: Path, file_mode: int) -> dict[str, str]:
    """The kind of each thing that a treatment left in its output, by name; the files get an ordinary new file's mode.

    Raises:
        OSError: the mode of one of them cannot be changed.
    """
    folder.chmod(0o700)  # the treatment may have taken even our rights away
    kinds = {name: kind_of(folder / name) for name in sorted(os.listdir(folder))}
    for name, kind in kinds.items():
        # others are to read what is published; a mode is set on files alone, as it would follow a link
        if kind == "file":
            (folder / name).chmod(file_mode)
    # `.nfs…` is what NFS leaves of a file that was removed while it was open
    return {name: kind for name, kind in kinds.items() if not name.startswith(".nfs")}


def remove_stage(folder: Path) -> None:
    """Remove a stage, also where the treatment took its own rights to do so away; anything but a folder stays."""
    if kind_of(folder) != "folder":
        return
    with suppress(OSError):  # what cannot be removed is tried again by the next run
        folder.chmod(0o700)
        top = os.open(folder, REAL_FOLDER)
        try:
            _empty(top, top)
        finally:
            os.close(top)
        folder.rmdir()


def _empty(folder: int, top: int) -> None:
    """Remove all in the open folder `top`; of a folder in it, remove the files and move the folders up to `top`.

    A treatment may nest folders deeper than Python recurses and than a path may be long: so nothing goes deeper here.
    """
    removed = True
    while removed:
        removed = False
        with os.scandir(folder) as entries:
            # a treatment may leave millions of names, and each round brings up more
            names = [entry.name for entry in islice(entries, 1000)]
        for name in names:
            with suppress(OSError):
                if not stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    os.unlink(name, dir_fd=folder)
                else:
                    os.chmod(name, 0o700, dir_fd=folder)  # to move a folder is to write to it: its `..` changes
                    if folder == top:
                        inside = os.open(name, REAL_FOLDER, dir_fd=top)
                        try:
                            _empty(inside, top)
                        finally:
                            os.close(inside)
                        os.rmdir(name, dir_fd=top)
                    else:
                        os.rename(name, os.urandom(12).hex(), src_dir_fd=folder, dst_dir_fd=top)
                removed = True
