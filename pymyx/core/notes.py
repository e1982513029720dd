"""What is said of a run beside its result: what its plan means, what its disk is, how far it came."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pymyx.core.errors import Fault, LateDataError
from pymyx.core.lock import network_disk
from pymyx.core.manifest import Manifest, manifest_path
from pymyx.core.options import Options
from pymyx.core.plan import Plan, in_words
from pymyx.core.publish import Target

_SAID: set[str] = set()  # what this process has told about its disks


def tell_of_plan(plan: Plan, target: Target, options: Options) -> None:
    """Say what the user should know of a plan before it is carried out."""
    edited = [day for day, reason in plan.stale.items() if reason == "output changed"]
    if edited:
        options.show(
            f"note: files in `{target.shown}` are not as they were published, made again: {in_words(edited)}\n"
        )
    if plan.whole and plan.stale and (options.from_ or options.to):
        options.show("note: it looks at its whole folder, so it runs over the whole, whatever --from and --to say\n")
    if plan.orphans:
        what = f"`{target.shown}` keeps what was made from archived input files"
        options.show(f"note: {what} (orphan): {in_words(list(plan.orphans))}\n")


def tell_of_damage(manifest: Manifest | None, target: Target, options: Options) -> None:
    """Say that what was remembered is lost."""
    path = manifest_path(target.folder)
    if manifest is None and path.exists():
        options.show(f"note: the manifest of `{target.shown}` is damaged, all is made again: {path}\n")


def tell_of_disk(target: Target, options: Options) -> None:
    """Say, once, that on a network disk less can be relied on."""
    with suppress(OSError):
        kind = network_disk(target.folder, Path("/proc/mounts").read_text(encoding="utf-8"))
        if kind and kind not in _SAID:
            _SAID.add(kind)
            options.show(
                f"note: on a network disk ({kind}) locks and file times may be weaker: run it from one machine\n"
            )


def tell_of_taken(names: list[str], target: Target, options: Options) -> None:
    """Say that files which no manifest owned were replaced."""
    if names:
        many = "1 file" if len(names) == 1 else f"{len(names)} files"
        options.show(f"note: {many} of nobody's in `{target.shown}` replaced, first: {names[0]}\n")


def so_far(days: list[str], plan: Plan, target: Target) -> str:
    """How far a run came that was interrupted."""
    if not days:
        return f"nothing was published; `{target.shown}` is unchanged"
    made, stale = plan.counted(days), plan.counted(plan.stale)
    return f"{len(made)} of {len(stale)} days were published; the others are as before"


def late_data(plan: Plan, input_dir: str, output_dir: str) -> LateDataError:
    """The error of new input for days that are frozen."""
    days = in_words(list(plan.late))
    what = f"there is new input for {days} of `{output_dir}`, made from input files that were archived"
    note = f"what was made then stays; `{input_dir}` is not what it was made from any more"
    hint = "put the archived files back, or let go of what was made from them: --prune"
    return LateDataError(Fault(what, notes=(note,), hint=hint))
