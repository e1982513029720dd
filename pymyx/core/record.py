"""Remembers in the manifest how a run ended, for the status and for the next run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache

from pymyx.core.errors import PymyxError
from pymyx.core.incremental.facts import Survey
from pymyx.core.incremental.manifest import Success, manifest_path, write_manifest
from pymyx.core.incremental.publish import Target
from pymyx.core.logger import as_unicode, now

LIBRARIES = ("pymyx", "numpy", "pandas", "pyarrow")  # whose versions are recorded, not signed


def remember_stats(target: Target, found: Survey) -> None:
    """Record stats that are new, though the files are not: they need not be read next time.

    Where all is up to date, the error of an earlier run holds no more.
    """
    manifest = found.facts.manifest
    healed = manifest is not None and manifest.last_error is not None and not (found.plan.left or found.plan.late)
    if not manifest or (found.is_remembered(manifest) and not healed):
        return
    if healed:
        manifest.last_error = None
    found.remember(manifest)
    for made in manifest.days.values():
        made.outputs = {name: found.output_as_known(name, known) for name, known in made.outputs.items()}
    write_manifest(target.folder, manifest)


def record_success(target: Target, duration_ms: int) -> None:
    """Remember a success, and that no error holds any more."""
    target.manifest.last_error = None
    target.manifest.last_success = Success(ts=now(), duration_ms=duration_ms, versions=_versions())
    write_manifest(target.folder, target.manifest)


def record_failure(target: Target, error: BaseException) -> None:
    """Remember why it failed, for the status; that it cannot be remembered does not hide why.

    A folder that nothing was ever published to is not claimed by a failure.
    """
    if not manifest_path(target.folder).exists():
        return
    target.manifest.last_error = as_unicode(headline(error))
    with suppress(PymyxError):
        write_manifest(target.folder, target.manifest)


@cache
def _versions() -> dict[str, str]:
    """The versions of Python and of the libraries, by the names of their `dist-info`: reading it would take 10 ms."""
    versions = {"python": sys.version.partition(" ")[0]}
    for folder in filter(os.path.isdir, sys.path):
        for entry in os.listdir(folder):
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if name in LIBRARIES and entry.endswith(".dist-info"):
                versions.setdefault(name, version)
    return versions


def headline(error: BaseException) -> str:
    """An error on one line."""
    if isinstance(error, PymyxError):
        return error.headline
    return "interrupted (SIGINT)" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
