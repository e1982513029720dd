"""Where the things of a project are: its treatments, flows, data, schemas and log."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pymyx.core.errors import Fault, UsageError

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Project:
    """A project by its root folder, an absolute path, and its data root, which flows name folders in.

    `treatments` (a folder each), `flows` (a JSON file each) and `schemas` are folders in its root; `log` has an event a
    line.
    """

    root: Path
    data: Path
    treatments: Path = field(init=False)
    flows: Path = field(init=False)
    schemas: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        for name in ("treatments", "flows", "schemas"):
            object.__setattr__(self, name, self.root / name)
        object.__setattr__(self, "log", self.root / "pymyx.log")

    def names_in(self, folder: Path) -> list[str]:
        """The names in one of its folders that do not start with `.` or `_`, sorted; none when the folder is missing.

        Raises:
            UsageError: the folder cannot be read.
        """
        try:
            return sorted(name for name in os.listdir(folder) if name[0] not in "._")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            what = f"the folder `{self.shown(folder)}` cannot be read: {error.strerror}"
            raise UsageError(Fault(what, hint="make it readable, or run as its owner")) from error

    def shown(self, path: Path) -> str:
        """`path` as messages and events name it: relative to the root, with `/`, where it lies under it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def absolute(path: AnyPath, name: str = "") -> Path:
    """`path` made absolute and normal against the working directory, its links not followed.

    Raises:
        UsageError: it has a `name` and is the empty text, which would be the working directory.
    """
    if name and not os.fspath(path):
        raise UsageError(Fault(f"{name} is an empty text", evidence=("accepted: a folder",)))
    return Path(os.path.abspath(path))


def folders_of(input_dir: AnyPath, output_dir: AnyPath, data: AnyPath | None) -> tuple[Path, Path]:
    """Input and output folder of a run, absolute; named from the data root where one is given, as in a flow.

    Raises:
        UsageError: one of them is the empty text.
    """
    folders = absolute(input_dir, "input"), absolute(output_dir, "output")
    return folders if data is None else (absolute(Path(data, input_dir)), absolute(Path(data, output_dir)))


def find_project(root: AnyPath | None = None, *, data: AnyPath | None = None, start: AnyPath = ".") -> Project:
    """Find the project: `root` if given, else the nearest folder upwards from `start` that is one.

    A folder is a project when it holds `treatments/` or `flows/`. `data` names another data root than `data/`.

    Raises:
        UsageError: there is no project, or `data` is not a folder.
    """
    try:
        folder = absolute(start) if root is None else absolute(root, "root")
        data_root = None if data is None else absolute(data, "data")
    except FileNotFoundError:
        raise UsageError(Fault("the working directory is gone", hint="change to the project's folder")) from None
    candidates = [folder] if root else [folder, *folder.parents]
    home = next((one for one in candidates if (one / "treatments").is_dir() or (one / "flows").is_dir()), None)
    if home is None:
        what = f"no PyMyx project {'at' if root else 'at or above'} `{folder}`"
        evidence = ("a project is a folder that holds `treatments/` or `flows/`",)
        hint = "change to the project's folder, or name it with --root DIR"
        raise UsageError(Fault(what, evidence=evidence, hint=hint))
    if data_root and not data_root.is_dir():
        what = f"the data root `{data_root}` is not a folder"
        raise UsageError(Fault(what, hint="name an existing folder with --data DIR"))
    return Project(home, data_root or home / "data")
