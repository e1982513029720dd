"""What PyMyx remembers of an output folder: manifest.json, in the folder's state, replaced as a whole by one rename."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pymyx.core.errors import Fault, PublishError, UsageError
from pymyx.core.stage import state_dir

WHOLE = "whole"  # stands for a day where a step is run over its whole folder at once


class Known(BaseModel):
    """What is known of a file.

    `stat` (size in bytes, modification and change time in ns, inode) tells that the file is still the one of
    `sha256`; null when it was so young, or from the future, that a later change might not show in it.
    """

    model_config = ConfigDict(defer_build=True)

    stat: tuple[int, int, int, int] | None
    sha256: str


class Made(BaseModel):
    """How one day was made: from which code, params and input files (name: sha256), and what came of it."""

    model_config = ConfigDict(defer_build=True)

    code: str
    params: str
    inputs: dict[str, str]
    outputs: dict[str, Known]


class Success(BaseModel):
    """The last execution that succeeded."""

    model_config = ConfigDict(defer_build=True)

    ts: str
    duration_ms: int
    versions: dict[str, str]


class Manifest(BaseModel):
    """What an output folder was made of, by whom.

    Attributes:
        manifest: the number of this form; a reader refuses a higher one than it knows.
        treatment: the name of the treatment that writes the folder.
        input_dir: the folder it reads, relative to the project's root where it lies under it.
        last_success: null before the first.
        last_error: why the last execution failed; null when it succeeded.
        inputs: the input files, as last seen.
        days: what was made, by day (`2026-01-20`), or `whole`.
        pending: files that are just being put in place (name: sha256).
    """

    model_config = ConfigDict(defer_build=True)

    manifest: Literal[1] = 1
    treatment: str
    input_dir: str
    last_success: Success | None = None
    last_error: str | None = None
    inputs: dict[str, Known] = {}
    days: dict[str, Made] = {}
    pending: dict[str, str] = {}

    @property
    def outputs(self) -> dict[str, Known]:
        """All files that it owns."""
        return {name: known for made in self.days.values() for name, known in made.outputs.items()}


def manifest_path(output_dir: Path) -> Path:
    """Where the manifest of an output folder is; an input folder that has one there is some treatment's output."""
    return state_dir(output_dir) / "manifest.json"


def read_manifest(output_dir: Path, shown: str) -> Manifest | None:
    """The manifest of an output folder; None when there is none, or it is damaged: then all is made again.

    Raises:
        UsageError: it was written by a newer PyMyx, or may not be read.
    """
    path = manifest_path(output_dir)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(Fault(f"the manifest of `{shown}` cannot be read: {error.strerror}", str(path))) from error
    try:
        document = json.loads(text)  # names that are no UTF-8 are escaped in a way that only this can read
    except ValueError:
        return None
    _see_that_it_is_not_newer(document, path, shown)
    try:
        return Manifest.model_validate(document)
    except ValidationError:
        return None


def _see_that_it_is_not_newer(document: Any, path: Path, shown: str) -> None:
    number = document.get("manifest") if isinstance(document, dict) else None
    if isinstance(number, int) and number > 1:
        what = f"the output folder `{shown}` was written by a newer PyMyx: its manifest is number {number}"
        raise UsageError(Fault(what, str(path), ("accepted: up to 1",), hint="upgrade PyMyx"))


def write_manifest(output_dir: Path, manifest: Manifest) -> None:
    """Replace the manifest of an output folder, atomically.

    Its bytes are on the disk when this returns; should its name be lost with the power, the one before is there.

    Raises:
        PublishError: it cannot be written.
    """
    path = manifest_path(output_dir)
    new = path.with_name("manifest.json.new")
    try:
        with new.open("wb") as file:
            file.write(_as_json(manifest) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        hint = "make room, then run it again: it repairs what was left half done"
        raise PublishError(Fault(f"the manifest cannot be written: {error.strerror}", str(path), hint=hint)) from error


def _as_json(manifest: Manifest) -> bytes:
    text = manifest.model_dump_json()
    if "\ufffd" in text:  # put by pydantic in place of what is no UTF-8 in a name
        text = json.dumps(manifest.model_dump(), separators=(",", ":"))
    return text.encode()


def flush_to_disk(path: Path) -> None:
    """See that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
