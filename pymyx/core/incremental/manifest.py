"""What PyMyx remembers of an output folder: manifest.json, in the folder's state, replaced as a whole by one rename."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from pymyx.core.errors import Fault, PublishError, UsageError

WHOLE = "whole"  # stands for a day where a step is run over its whole folder at once
NUMBER = 2  # of this form; number 1 had no ids, and is read as one without
LARGEST = 1 << 28  # bytes of a manifest: of hundreds of thousands of files
LONGEST = 255  # bytes of a file's name

_HEAD = re.compile(rb'\{"manifest":\s*2,\s*"id":\s*"([0-9a-f]{16})"')

Id = Annotated[str, Field(pattern="^([0-9a-f]{16})?$")]
Whole64 = Annotated[int, Field(ge=-(2**63), lt=2**64)]


@dataclass(slots=True)
class KnownFile:
    """What is known of a file.

    `stat` (size in bytes, modification and change time in ns, inode) tells that the file is still the one of
    `sha256`; all but the size are 0 when it was so young, or from the future, that a later change might not show in
    it. Null where nothing is known but the hash. Of a compressed input file `sha256` is the hash and `unpacked` the
    size in bytes of its content.
    """

    stat: tuple[Whole64, Whole64, Whole64, Whole64] | None
    sha256: str
    unpacked: Annotated[int, Field(ge=0, lt=2**63)] | None = None

    @property
    def size(self) -> int:
        """In bytes, of its content; 0 where it is not known."""
        return self.unpacked if self.unpacked is not None else self.stat[0] if self.stat else 0


class MadeDay(BaseModel, defer_build=True):
    """How one day was made: from which code, params and input files (name: sha256), and what came of it."""

    code: str
    params: str
    inputs: dict[str, str]
    outputs: dict[str, KnownFile]
    warning: str = ""  # the first one of the child that made it, where files were set aside
    # how far it looked, before and after: nothing for the whole folder, null where that is not known
    days: Annotated[list[Whole64], Field(max_length=2)] | None = None


class LastSuccess(BaseModel, defer_build=True):
    """The last execution that succeeded; `day_s` are the seconds that a child took for each day, 0 if unknown."""

    ts: str
    duration_ms: Whole64
    versions: dict[str, str]
    day_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Manifest(BaseModel, defer_build=True):
    """What an output folder was made from, and by which treatment."""

    manifest: Literal[2] = 2  # the number of this form; a reader refuses a higher one than it knows
    id: Id = ""  # drawn when it is first written
    treatment: str  # the name of the one that writes the folder
    input_dir: str  # the folder it reads, relative to the project's root where it lies under it
    input_id: Id = ""  # that of the manifest of that folder, where it had one
    last_success: LastSuccess | None = None  # null before the first
    last_error: str | None = None  # why the last execution failed; null when it succeeded
    inputs: dict[str, KnownFile] = {}  # as last seen; of a raw folder also archived ones that some day was made from
    granted: dict[str, KnownFile] = {}  # what its treatment may read beside them, by path relative to the root
    days: dict[str, MadeDay] = {}  # what was made, by day (`2026-01-20`), or `whole`
    pending: dict[str, str] = {}  # files that a run is putting in place (name: sha256)
    unproven: dict[str, str] = {}  # days that failed to be verified, with the error, until proven or made again
    is_new: Annotated[bool, Field(exclude=True)] = False  # not written: none could be read when the run began

    @property
    def outputs(self) -> dict[str, KnownFile]:
        """All files that it owns."""
        return {name: known for made in self.days.values() for name, known in made.outputs.items()}

    @property
    def used(self) -> set[str]:
        """The input files that something was made from."""
        return {name for made in self.days.values() for name in made.inputs}

    @property
    def set_aside_only(self) -> list[str]:
        """The files that it owns, sorted, where none of them is a result."""
        names = sorted(self.outputs)
        return [] if results(names) else names


@dataclass
class Output:
    """The output folder of a step while a run holds its lock."""

    folder: Path
    shown: str  # how messages name it
    lock: int  # the descriptor of its lock
    manifest: Manifest  # kept up to date in memory until it is written to `path`
    path: Path

    def write_manifest(self) -> None:
        """Replace the manifest, atomically; a first one is given its id.

        Its bytes are on the disk when this returns; should its name be lost with the power, the one before is there.

        Raises:
            PublishError: it cannot be written.
        """
        new = self.path.with_name("manifest.json.new")
        self.manifest.id = self.manifest.id or os.urandom(8).hex()
        text = self.manifest.model_dump_json()
        if "\ufffd" in text:  # pydantic put it in place of what is not UTF-8 in a name
            text = json.dumps(self.manifest.model_dump(), separators=(",", ":"))
        try:
            new.unlink(missing_ok=True)  # it may be a link: what it leads to is not ours to write
            with new.open("xb") as file:
                file.write(text.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())  # else a power cut could leave the new name with none of its bytes
            os.replace(new, self.path)  # a reader, or a run after a kill, meets the old manifest or the new one
        except OSError as error:
            what = f"the manifest cannot be written: {error.strerror}"
            hint = "make room, then run it again: it repairs what was left half done"
            raise PublishError(Fault(what, str(self.path), hint=hint)) from error


def state_dir(output_dir: Path) -> Path:
    """The folder that keeps what PyMyx knows of an output folder: beside it, or inside where that is another disk."""
    real = output_dir.resolve()
    # a stage must be on the disk of the folder: no rename leads from one disk to another
    if real.is_dir() and real.stat().st_dev != real.parent.stat().st_dev:
        return real / ".pymyx"
    return real.parent / ".pymyx" / real.name


def manifest_path(output_dir: Path) -> Path:
    """Where the manifest of an output folder is."""
    return state_dir(output_dir) / "manifest.json"


def results(names: Iterable[str]) -> list[str]:
    """The results among an output folder's files; a file whose name starts with `_` is set aside."""
    return [name for name in names if name[0] != "_"]


def id_of(folder: Path) -> str | None:
    """The id of a folder's manifest; nothing for one that cannot be read, None where there is none."""
    try:
        # of its first bytes: the flow of a year has large ones, and each step asks for that of its input
        found = _HEAD.match(_content(manifest_path(folder), 100))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return ""
    return found[1].decode() if found else ""


def read_manifest(output_dir: Path, shown: str) -> Manifest | None:
    """The manifest of an output folder; None when there is none, or what is there is not one.

    Raises:
        UsageError: it was written by a newer PyMyx, or may not be read.
    """
    path = manifest_path(output_dir)
    try:
        text = _content(path, LARGEST)
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise UsageError(Fault(f"the manifest of `{shown}` cannot be read: {error.strerror}", str(path))) from error
    try:
        manifest: Manifest | None = Manifest.model_validate_json(text)
    except ValidationError:
        manifest = _read_otherwise(text, path, shown)
    if manifest is None or not _is_sound(manifest):
        return None
    manifest.is_new = False
    return manifest


def _read_otherwise(text: bytes, path: Path, shown: str) -> Manifest | None:
    """A manifest of another number, or with escapes of names that are not UTF-8, which pydantic's reader refuses."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    number = document.get("manifest") if isinstance(document, dict) else None
    if isinstance(number, int) and number > NUMBER:
        what = f"the output folder `{shown}` was written by a newer PyMyx: its manifest is number {min(number, 10**9)}"
        raise UsageError(Fault(what, str(path), (f"accepted: up to {NUMBER}",), hint="upgrade PyMyx")) from None
    try:
        return Manifest.model_validate(_from_number_1(document) if number == 1 else document)
    except ValidationError:
        return None


def _from_number_1(document: dict[str, Any]) -> dict[str, Any]:
    """A manifest of number 1, which named compressed input files with their `.gz`."""

    def unpacked(inputs: Any) -> Any:
        return {name.removesuffix(".gz"): one for name, one in inputs.items()} if isinstance(inputs, dict) else inputs

    days = document.get("days")
    for made in days.values() if isinstance(days, dict) else ():
        if isinstance(made, dict):
            made["inputs"] = unpacked(made.get("inputs"))
    return {**document, "manifest": NUMBER, "inputs": unpacked(document.get("inputs", {}))}


def _is_sound(manifest: Manifest) -> bool:
    """Whether each name is that of a file in a folder, each day a day, and each text can be shown."""
    made, success = manifest.days.values(), manifest.last_success
    names = {*manifest.inputs, *manifest.pending, *manifest.outputs}
    names.update(*(one.inputs for one in made), *(path.split("/") for path in manifest.granted))
    days = {*manifest.days, *manifest.unproven} - {WHOLE}
    texts = [manifest.treatment, manifest.input_dir, manifest.last_error or "", *manifest.unproven.values()]
    try:
        for text in [*texts, *(one.warning for one in made), success.ts if success else ""]:
            text.encode()
        # a manifest may be edited, or come from elsewhere: no name in it may lead out of its folder
        return all(
            name not in ("", ".", "..") and "/" not in name and "\0" not in name and len(os.fsencode(name)) <= LONGEST
            for name in names
        ) and all(date.fromisoformat(day).isoformat() == day for day in days)
    except ValueError:  # a name or text that cannot be encoded, or what is not a date
        return False


def _content(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file.

    Raises:
        ValueError: it is a link or not a regular file, or reaches the bound of a whole manifest.
    """
    try:
        # not through a link: it could lead to any file; not waiting, as for the other end of a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise ValueError("a link") from error
        raise
    with open(descriptor, "rb") as file:
        # asked of what is open: the name may stand for another file by now
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size >= LARGEST:
            raise ValueError("not a manifest")
        return file.read(most)
