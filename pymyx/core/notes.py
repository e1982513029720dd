"""What is said of a run beside its result: what its plan means, what its disk is, how far it came."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pymyx.core.errors import Fault, LateDataError, TreatmentError, letting_go
from pymyx.core.incremental.facts import Survey
from pymyx.core.incremental.files import day_of
from pymyx.core.incremental.lock import network_disk
from pymyx.core.incremental.manifest import Manifest, is_result, manifest_path
from pymyx.core.incremental.plan import MOST_NAMED, Plan, in_words
from pymyx.core.incremental.publish import Cause, Target
from pymyx.core.options import Options

_SAID: set[str] = set()  # what this process has told about its disks


def tell_beforehand(found: Survey, input_dir: str, target: Target, options: Options) -> None:
    """Say what the user should know before a plan is carried out."""
    _tell_of_damage(found.facts.manifest, target, options)
    _tell_of_input(found, input_dir, options)
    _tell_of_plan(found.plan, target, options)
    _tell_of_disk(target, options)


def _tell_of_plan(plan: Plan, target: Target, options: Options) -> None:
    """Say what the user should know of a plan before it is carried out."""
    edited = [day for day, reason in plan.stale.items() if reason == "output changed"]
    if edited:
        options.show(
            f"note: files in `{target.shown}` are not as they were published, made again: {in_words(edited)}\n"
        )
    if plan.whole and plan.stale and (options.from_ or options.to):
        options.show("note: it looks at its whole folder, so it runs over the whole, whatever --from and --to say\n")
    if plan.undated:
        names = ", ".join(plan.undated[:MOST_NAMED]) + (", …" if len(plan.undated) > MOST_NAMED else "")
        options.show(f"note: it runs over the whole folder while input files are of no day: {names}\n")
    if plan.orphans:
        what = f"`{target.shown}` keeps what was made from archived input files"
        options.show(f"note: {what} (orphan): {in_words(list(plan.orphans))}\n")
    if plan.unowned:
        what = f"`{target.shown}` keeps files that no run made, as far as is known"
        options.show(f"note: {what} (orphan): {in_words(list(plan.unowned))}\n")


def _tell_of_input(found: Survey, folder: str, options: Options) -> None:
    """Say which entries of the input folder are passed over, and which files of no day are smaller than before."""
    for name, why in found.odd.items():
        options.show(f"warning: `{folder}/{name}` is passed over: {why}\n")
    for name, (before, now) in found.facts.sizes.items():
        if not day_of(name):
            options.show(f"warning: `{folder}/{name}` is smaller than before: {before} bytes then, {now} now\n")


def tell_of_removed(removed: list[tuple[str, Cause]], options: Options) -> None:
    """Say which results went, and why."""
    for cause in dict.fromkeys(cause for _, cause in removed):
        went = [label for label, each in removed if each == cause]
        many = "1 published file" if len(went) == 1 else f"{len(went)} published files"
        options.show(f"warning: {many} removed: {in_words(sorted(set(went)))} ({cause})\n")


def set_aside_only(treatment: str, manifest: Manifest, shown: str) -> TreatmentError | None:
    """The error of a folder that owns files set aside and no others: the step has failed, whatever it says."""
    names = sorted(manifest.outputs)
    if not names or any(map(is_result, names)):
        return None
    first = next((made.warning for _, made in sorted(manifest.days.items()) if made.warning), "")
    what = f"treatment `{treatment}` made no result, it set all aside{first and f': {first}'}"
    many = "1 file" if len(names) == 1 else f"{len(names)} files"
    note = f"{many} set aside in `{shown}` tell{'s' if len(names) == 1 else ''} more"
    return TreatmentError(Fault(what, f"{shown}/{names[0]}", notes=(note,)), treatment=treatment)


def _tell_of_damage(manifest: Manifest | None, target: Target, options: Options) -> None:
    """Say that what was remembered is lost."""
    path = manifest_path(target.folder)
    if manifest is None and path.exists():
        options.show(f"note: the manifest of `{target.shown}` is damaged, all is made again: {path}\n")


def _tell_of_disk(target: Target, options: Options) -> None:
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
    """The error of new input for days that are frozen, and of raw files that are smaller than they were."""
    faults = [_shrunk(name, sizes, input_dir, output_dir) for name, sizes in plan.shrunk.items()]
    if len(faults) > MOST_NAMED:
        more = Fault(f"{len(faults) - MOST_NAMED} more files of `{input_dir}` are smaller than they were")
        faults[MOST_NAMED:] = [more]
    if plan.late:
        faults.append(_late(plan, input_dir, output_dir))
    return LateDataError(*faults)


def _shrunk(name: str, sizes: tuple[int, int], input_dir: str, output_dir: str) -> Fault:
    day = day_of(name)
    what = f"`{input_dir}/{name}` is smaller than it was: {sizes[0]} bytes then, {sizes[1]} now"
    note = f"it counts as archived: what was made from it in `{output_dir}` stays as it is"
    hint = f"put the whole file back; or {letting_go(f' --from {day} --to {day}')}"
    return Fault(what, notes=(note,), hint=hint)


def _late(plan: Plan, input_dir: str, output_dir: str) -> Fault:
    days = in_words(list(plan.late))
    what = f"there is new input for {days} of `{output_dir}`, made from input files that were archived"
    note = f"what was made then stays; `{input_dir}` is not what it was made from any more"
    hint = f"put the archived files back; or {letting_go()}"
    return Fault(what, notes=(note,), hint=hint)
