"""Looks at the files of a folder: which there are, which day each belongs to, and the hash of what is in it.

A file is read only when its stat differs from the one it is known by; the cost is of files, not of rows. An input file
that is not known at all makes its days stale whatever is in it: it is read when a child is about to read it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path

from pymyx.core.errors import Fault, UsageError
from pymyx.core.incremental.manifest import KnownFile

# a file that changed so short a time ago may change again within one tick of the disk's clock, and its stat would not
# show it (git calls it racy); FAT counts in 2 s
RACY_NS = 3_000_000_000
ENDINGS = {"csv": (".csv", ".tsv", ".dat", ".csv.gz", ".tsv.gz", ".dat.gz"), "parquet": (".parquet",)}
OUTPUT_ENDINGS = {**ENDINGS, "png": (".png",), "svg": (".svg",), "html": (".html",)}
WORTH_THREADS = 1 << 24  # bytes to hash; sha256 of large blocks lets other threads run
UNREADABLE = "unreadable"  # in place of a hash
UNREAD = KnownFile(stat=None, sha256="")  # an input file that is there, and was not read yet

_DATE = re.compile(r"(?=([0-9]{4}-[0-9]{2}-[0-9]{2}))")


@lru_cache(maxsize=1 << 16)
def day_of(name: str) -> str:
    """The day of a file: the last `YYYY-MM-DD` in its name that is a date, or nothing.

    One before 1970 counts only where no other is: beside another it is a number of something else.
    """
    days: list[str] = []
    for text in _DATE.findall(name):
        with suppress(ValueError):
            date.fromisoformat(text)
            days.append(text)
    days = [day for day in days if day >= "1970"] or days
    return days[-1] if days else ""


def input_files(
    folder: Path, ending: tuple[str, ...], known: dict[str, KnownFile], used: set[str]
) -> tuple[dict[str, KnownFile], dict[str, str], dict[str, str]]:
    """The input files of a folder: regular files of that `ending`, links followed, none that starts with `_` or `.`.

    One that is neither known nor `used` by what was made is not read: it is `UNREAD`.

    A file that was compressed is the one it was: its name is that without `.gz`, its hash that of its content; the
    second dict has, by that name, the one on the disk. The third has the entries that are passed over, each with the
    reason: they cannot be looked at (none of these is known), or are compressed and lie beside the plain file.

    Raises:
        UsageError: the folder, or a known file in it, cannot be read.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if is_of(ending, name))  # a plain file before its packed one
    except OSError as error:
        raise UsageError(Fault(f"the input folder cannot be read: {error.strerror}", str(folder))) from error
    on_disk: dict[str, str] = {}
    passed_over: dict[str, str] = {}
    for name in names:
        unpacked = name[:-3] if is_packed(name) else name
        if on_disk.get(unpacked) and not os.path.isfile(f"{folder}/{unpacked}"):
            on_disk[unpacked] = name  # a link to nothing, or a folder, stands for no file
        elif on_disk.setdefault(unpacked, name) != name:
            passed_over[name] = f"`{unpacked}` lies beside it, and is read"
    # links are followed: raw data often lies on another disk, and is linked to
    late = on_disk.keys() - known.keys() - used
    found, odd = _hashed(
        ((name, f"{folder}/{place}") for name, place in on_disk.items()), known, follow=True, late=late
    )
    for name, why in odd.items():
        if name in known:  # to pass over it would be to take it for archived or revoked
            hint = "mend it; or remove it, if it is to be gone"
            what = f"an input file cannot be looked at: {why}"
            raise UsageError(Fault(what, str(folder / on_disk[name]), notes=("nothing was run",), hint=hint))
        passed_over[on_disk[name]] = why
    return found, {name: place for name, place in on_disk.items() if name != place}, passed_over


def read_inputs(
    folder: Path, places: dict[str, str], known: dict[str, KnownFile]
) -> tuple[dict[str, KnownFile], dict[str, str]]:
    """The input files that a child is about to read, `places` by name on the disk, as they are by now.

    Beside them those that are passed over, by name on the disk with the reason. One that is `known` by what is in it
    is never: what became of it meanwhile is seen by the next look.
    """
    known = {name: known[name] for name in places if known[name].sha256}
    found, odd = _hashed(((name, f"{folder}/{place}") for name, place in places.items()), known, follow=True)
    found = {**known, **found}
    return found, {place: odd.get(name, "it is gone") for name, place in places.items() if name not in found}


def unread_files(folder: Path, ending: tuple[str, ...]) -> list[str]:
    """The files in an input folder that are not of its format by their names, hidden ones and those set aside apart."""
    with os.scandir(folder) as entries:
        return sorted(
            one.name for one in entries if one.name[0] not in "_." and not is_of(ending, one.name) and one.is_file()
        )


def is_packed(name: str) -> bool:
    """Whether a file of that name is compressed by gzip."""
    return name.lower().endswith(".gz")


def is_of(ending: tuple[str, ...], name: str) -> bool:
    """Whether a file of that name is one of a format's, and neither hidden nor set aside."""
    return name[0] not in "_." and name.lower().endswith(ending)


def output_files(folder: Path, known: dict[str, KnownFile]) -> dict[str, KnownFile]:
    """Those of the known files that are there; a link in the place of one is not what was published."""
    return _hashed(((name, f"{folder}/{name}") for name in known), known, follow=False)[0]


def unowned_files(folder: Path, ending: tuple[str, ...], owned: Iterable[str]) -> list[str]:
    """The files in an output folder that are of its format, and that no run owns."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(Fault(f"the output folder cannot be read: {error.strerror}", str(folder))) from error
    return sorted(name for name in {*names} - {*owned} if is_of(ending, name) and not os.path.isdir(folder / name))


def code_of(folder: Path) -> dict[str, str]:
    """The hashes of a treatment's files, by path: every regular file but treatment.json, caches and hidden files."""
    files, others = _files_below(folder, lambda name: name[0] != "." and name != "__pycache__")
    files.pop("treatment.json", None)
    return {**others, **hashes_of(files)}


def granted_files(
    root: Path, paths: Iterable[Path], known: dict[str, KnownFile]
) -> tuple[dict[str, KnownFile], dict[str, str]]:
    """The files that are granted, all in granted folders, by path relative to the root, and what stands in for others.

    A file is read when its stat is not the known one.
    """
    chosen: dict[str, str] = {}
    others: dict[str, str] = {}
    for path in paths:
        files, odd = _files_below(path, lambda name: True)
        base = path.relative_to(root).as_posix()
        chosen |= {f"{base}/{name}" if name else base: place for name, place in files.items()}
        others |= {f"{base}/{name}": what for name, what in odd.items()}
    found, unread = _hashed(sorted(chosen.items()), known, follow=True)
    return found, others | dict.fromkeys(unread, UNREADABLE)


def _files_below(top: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, str], dict[str, str]]:
    """The regular files in a folder and all below it, links followed, by relative path; nothing for `top` itself.

    Beside them, by path, what stands in for a folder that was met before by another path, and for what cannot be
    looked at.
    """
    files: dict[str, str] = {}
    others: dict[str, str] = {}
    met: dict[tuple[int, int], str] = {}
    ahead = [("", str(top))]
    while ahead:
        path, place = ahead.pop()
        try:
            status = os.stat(place)
            if stat.S_ISREG(status.st_mode):
                files[path] = place
            if not stat.S_ISDIR(status.st_mode):
                continue
            # a link `a -> .` leads to a folder in itself, without end
            first = met.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                others[path] = f"the folder `{first}`"
                continue
            names = sorted(filter(wanted, os.listdir(place)), reverse=True)
        except FileNotFoundError:  # gone since it was listed, or a link to nothing
            continue
        except OSError:
            others[path] = UNREADABLE
            continue
        ahead += [(f"{path}/{name}" if path else name, f"{place}/{name}") for name in names]
    return files, others


def hash_of(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file, in hexadecimal; `unreadable` when it may not be read, nothing when it is gone."""
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError:  # the treatment will say why
        return UNREADABLE


def hashes_of(places: dict[str, str]) -> dict[str, str]:
    """The hashes of files, by name; `places` are their paths."""
    return {name: hash_of(place) for name, place in places.items()}


def _hashed(
    paths: Iterable[tuple[str, str]], known: dict[str, KnownFile], *, follow: bool, late: Set[str] = frozenset()
) -> tuple[dict[str, KnownFile], dict[str, str]]:
    """The regular files among `paths`, those of `late` unread; and of those that cannot be looked at the reason."""
    found: dict[str, KnownFile] = {}
    odd: dict[str, str] = {}
    unknown: list[tuple[str, str, os.stat_result, int]] = []
    for name, path in paths:
        try:
            status = os.stat(path, follow_symlinks=follow)
        except FileNotFoundError:  # gone since it was listed, or a link to nothing
            continue
        except OSError as error:
            odd[name] = error.strerror or str(error)
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        one = known.get(name)
        if one and one.stat == stat_key(status):
            found[name] = one
        elif name in late and os.access(path, os.R_OK):
            found[name] = UNREAD
        elif name in late:
            odd[name] = "it may not be read"
        else:
            # stat and clock before the content: a change while it is read shows in the next stat, or is racy
            unknown.append((name, path, status, time.time_ns()))
    hash_one = _content_hash if follow else lambda path: (hash_of(path), None)
    hashes: Iterable[tuple[str, int | None]] = map(hash_one, [path for _, path, _, _ in unknown])
    if sum(status.st_size for _, _, status, _ in unknown) >= WORTH_THREADS:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            hashes = list(pool.map(hash_one, [path for _, path, _, _ in unknown]))
        finally:
            pool.shutdown(cancel_futures=True)  # after a signal the rest is not read
    for (name, _, status, now_ns), (sha256, unpacked) in zip(unknown, hashes, strict=True):
        if sha256 == UNREADABLE and follow:
            odd[name] = "it may not be read"
        elif sha256:
            # a stat that proves nothing is not kept, so the file is read again; a time to come never settles
            settled = max(status.st_mtime_ns, status.st_ctime_ns) + RACY_NS < now_ns
            mark = stat_key(status) if settled and sha256 != UNREADABLE else (status.st_size, 0, 0, 0)
            found[name] = KnownFile(stat=mark, sha256=sha256, unpacked=unpacked)
    return dict(sorted(found.items())), odd


def stat_key(status: os.stat_result) -> tuple[int, int, int, int]:
    """What of a file's stat stays the same while the file does."""
    # the change time too: a tool that puts the modification time back (`cp -p`, `touch -d`) cannot set that one
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _content_hash(path: str) -> tuple[str, int | None]:
    """The hash of a file, of a compressed one that of its content with its size in bytes."""
    if is_packed(path):
        import gzip
        import zlib

        try:
            with gzip.open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except (OSError, EOFError, zlib.error):
            pass  # it cannot be unpacked, the treatment will say why: it is known by its bytes as they are
    return hash_of(path), None
