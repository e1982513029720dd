"""Looks at the files of a folder: which there are, of which day each is, and what is in them, as hashes.

A file is read only when its stat differs from the one it is known by; the cost is of files, not of rows.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path

from pymyx.core.errors import Fault, UsageError
from pymyx.core.manifest import Known

RACY_NS = 3_000_000_000  # a file changed so short a time ago may change again without a trace (git calls it racy)
ENDINGS = {"csv": (".csv", ".csv.gz"), "parquet": (".parquet",)}
WORTH_THREADS = 1 << 24  # bytes to hash; sha256 of large blocks lets other threads run
UNREADABLE = "unreadable"  # in place of a hash

_DATE = re.compile(r"(?=([0-9]{4}-[0-9]{2}-[0-9]{2}))")


@lru_cache(maxsize=1 << 16)
def day_of(name: str) -> str:
    """The day of a file: the last `YYYY-MM-DD` in its name that is a date, or nothing."""
    for text in reversed(_DATE.findall(name)):
        try:
            date.fromisoformat(text)
        except ValueError:
            continue
        return str(text)
    return ""


def input_files(folder: Path, ending: tuple[str, ...], known: dict[str, Known]) -> dict[str, Known]:
    """The input files of a folder: regular files of that `ending`, links followed, none that starts with `_` or `.`.

    Raises:
        UsageError: the folder cannot be read.
    """

    def is_input(name: str) -> bool:
        return name[0] not in "_." and name.lower().endswith(ending)

    try:
        with os.scandir(folder) as entries:
            chosen = [(entry.name, entry.path) for entry in entries if is_input(entry.name)]
    except OSError as error:
        raise UsageError(Fault(f"the input folder cannot be read: {error.strerror}", str(folder))) from error
    return _looked_at(sorted(chosen), known, follow=True)


def output_files(folder: Path, known: dict[str, Known]) -> dict[str, Known]:
    """Those of the known files that are there."""
    return _looked_at(((name, f"{folder}/{name}") for name in known), known, follow=False)


def code_of(folder: Path) -> dict[str, str]:
    """The hashes of a treatment's files, by path: every regular file but treatment.json, caches and hidden files."""
    hashes = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "." and name != "__pycache__"]
        for name in names:
            path = Path(place, name)
            if name[0] != "." and path != folder / "treatment.json" and path.is_file():
                hashes[path.relative_to(folder).as_posix()] = hash_of(path)
    return hashes


def hash_of(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file, in hexadecimal; `unreadable` when it may not be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise
    except OSError:  # the treatment will say why
        return UNREADABLE


def _looked_at(paths: Iterable[tuple[str, str]], known: dict[str, Known], *, follow: bool) -> dict[str, Known]:
    found: dict[str, Known] = {}
    unknown: list[tuple[str, str, os.stat_result, int]] = []
    for name, path in paths:
        try:
            status = os.stat(path, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):  # gone since it was listed, or a link to nothing
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        one = known.get(name)
        if one and one.stat == mark_of(status):
            found[name] = one
        else:
            unknown.append((name, path, status, time.time_ns()))
    hashes = _hashes([path for _, path, _, _ in unknown], sum(status.st_size for _, _, status, _ in unknown))
    for (name, _, status, now_ns), sha256 in zip(unknown, hashes, strict=True):
        settled = max(status.st_mtime_ns, status.st_ctime_ns) + RACY_NS < now_ns
        if sha256:
            found[name] = Known(stat=mark_of(status) if settled and sha256 != UNREADABLE else None, sha256=sha256)
    return dict(sorted(found.items()))


def mark_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """What a file that has not changed has not changed in."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _hashes(paths: list[str], size: int) -> Iterable[str]:
    """The hashes of files, of `size` bytes in all; nothing for one that is gone."""
    if size < WORTH_THREADS:
        return map(_hash_if_there, paths)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_hash_if_there, paths))


def _hash_if_there(path: str) -> str:
    try:
        return hash_of(path)
    except FileNotFoundError:
        return ""
