"""Nothing is lost in silence: state that is lost or forged, raw files that shrink, treatments that make nothing, grants."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.errors import ContractError, FlowStopped, LateDataError, PublishError, TreatmentError, UsageError
from pymyx.core.flow import run_flow
from pymyx.core.incremental.manifest import id_of, read_manifest
from pymyx.core.project import Project
from pymyx.core.runner import plan_treatment, run_treatment
from pymyx.core.status import description, status_of

from ..conftest import SmallProject, snapshot
from .test_incremental import CHAIN, COPY, DAY_WISE, copier, day, made, station, write

__all__ = ["copier", "station"]  # fixtures

PRUNE = "see what would go with --dry-run --prune, then let it go with --prune"
WHOLE: dict[str, Any] = {"input": {"format": "csv", "description": "anything"}}
# each file of the day to a result, or, where it says bad, to a file set aside, with a warning
SORTS = (
    "import os, warnings\n"
    "def run(input_dir, output_dir, params):\n"
    "    for name in os.listdir(input_dir):\n"
    "        with open(os.path.join(input_dir, name)) as file:\n            text = file.read()\n"
    "        if 'none' in text:\n            continue\n"
    "        mark = '_rejects__' if 'bad' in text else ''\n"
    "        if mark:\n            warnings.warn(f'{name} is bad')\n"
    "        with open(os.path.join(output_dir, mark + name + '.parquet'), 'w') as file:\n"
    "            file.write(text)\n"
)


def run_copy(**options: Any) -> tuple[str, ...]:
    return run_treatment("copy", "data/in", "data/out", **options).days


def told_by(**options: Any) -> str:
    shown: list[str] = []
    run_copy(show=shown.append, **options)
    return "".join(shown)


def manifest_of(project: SmallProject, name: str = "out") -> Path:
    return project.root / "data" / ".pymyx" / name / "manifest.json"


def lose(project: SmallProject, name: str = "out") -> None:
    shutil.rmtree(project.root / "data" / ".pymyx" / name)


# 1.1


def test_what_allow_read_names_is_signed(copier: SmallProject) -> None:
    """A changed, new or missing file that it may read makes all stale; one that is only touched does not, nor is it read twice."""
    (copier.root / "calibration").mkdir()
    copier.treatment("copy", COPY, **DAY_WISE, allow={"read": ["calibration", "gains.txt", "../elsewhere"]})
    write(copier, 1)
    assert run_copy() == (day(1),)
    for path in (copier.root / "calibration" / ".hidden", copier.root / "gains.txt"):
        path.write_text("1", encoding="utf-8")
        assert run_copy() == (day(1),)
        path.write_text("2", encoding="utf-8")
        assert run_copy() == (day(1),)
        os.utime(path, ns=(10**18, 10**18))
        assert run_copy() == ()
    granted = json.loads(manifest_of(copier).read_text(encoding="utf-8"))["granted"]
    assert sorted(granted) == ["calibration/.hidden", "gains.txt"]
    (copier.root / "gains.txt").unlink()
    assert run_copy() == (day(1),)
    assert description(Project(copier.root, copier.root / "data"), "copy")["unsigned"] == ["../elsewhere"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("treatments/..", "it holds the log"),
        ("data", "it holds the state `.pymyx`"),
        ("data/out", "it holds the output folder `data/out`"),
        ("data/out/x.parquet", "it holds the output folder `data/out`"),
        ("data/.pymyx/out", "it holds the state `.pymyx`"),
        ("pymyx.log", "it holds the log"),
        ("link", "it holds the output folder `data/out`"),
        ("../../tmp/..", "it holds the log"),
    ],
)
def test_a_grant_that_holds_what_a_run_writes_is_refused(copier: SmallProject, path: str, why: str) -> None:
    """It would make each run stale by itself."""
    copier.treatment("copy", COPY, **DAY_WISE)
    write(copier, 1)
    run_copy()
    (copier.root / "link").symlink_to("data/out")
    copier.treatment("copy", COPY, **DAY_WISE, allow={"read": ["calibration", path]})
    with pytest.raises(ContractError) as caught:
        run_copy()
    [fault] = caught.value.faults
    assert fault.what.startswith(f"treatment `copy` may not read `{path}`: {why}")
    assert fault.where == "treatments/copy/treatment.json, allow.read[1]"
    copier.flow({"treatment": "copy", "input": "in", "output": "out"})
    with pytest.raises(ContractError):
        run_flow("chain")


@pytest.mark.parametrize("path", ["", "/", "//", "."])
def test_a_grant_of_everything_is_no_grant(copier: SmallProject, path: str) -> None:
    """Nothing, the root of the disk and the project's are refused by the contract, and exit 2."""
    copier.treatment("copy", COPY, **DAY_WISE, allow={"read": [path]})
    done = copier.run("copy")
    assert done.returncode == 2
    assert f'error: `allow.read[0]` is "{path}" (string)\n' in done.stderr


# 1.2


def test_a_treatment_that_makes_nothing_takes_nothing_away(copier: SmallProject) -> None:
    """A folder that had results is never left with none, however many chunks there are; --prune lets them go."""
    for number in range(1, 29):
        write(copier, number)
    run_copy()
    before = snapshot(copier.output)
    copier.treatment("copy", "def run(input_dir, output_dir, params):\n    pass\n", **DAY_WISE)
    for _ in range(2):
        done = copier.run("copy", "--jobs", "2")
        assert (done.returncode, snapshot(copier.output)) == (1, before)
        assert done.stderr == (
            "error: `data/out` would be left without any result, treatment `copy` made none: "
            "28 days (2026-01-01 to 2026-01-28)\n"
            f"note: nothing was withdrawn\nhint: a wrong file name in its run.py, or in its params? if it is meant so, {PRUNE}\n"
        )
    assert copier.statuses[-2:] == ["copy start", "copy error"]
    assert told_by(prune=True) == (
        "warning: 28 published files removed: 28 days (2026-01-01 to 2026-01-28) (the treatment made none)\n"
    )
    assert os.listdir(copier.output) == []
    assert run_copy() == ()


def test_a_whole_folder_treatment_that_makes_nothing(copier: SmallProject) -> None:
    """The same where one child makes all."""
    copier.treatment("copy", COPY, **WHOLE)
    write(copier, 1)
    run_copy()
    before = snapshot(copier.output)
    copier.treatment("copy", "def run(input_dir, output_dir, params):\n    pass\n", **WHOLE)
    for _ in range(2):
        with pytest.raises(PublishError):
            run_copy()
        assert snapshot(copier.output) == before
    copier.treatment("copy", COPY, **WHOLE)
    assert run_copy() == ()


def test_results_that_go_are_told(copier: SmallProject) -> None:
    """How many, of which days, and why; where others stay it is no error."""
    copier.treatment("copy", SORTS, **DAY_WISE)
    for number in range(1, 31):
        write(copier, number)
    run_copy()
    for number in (1, 2):
        write(copier, number, "none".ljust(40))
    assert told_by() == "warning: 2 published files removed: 2026-01-01, 2026-01-02 (the treatment made none)\n"
    assert len(os.listdir(copier.output)) == 28
    assert run_copy() == ()


def test_results_whose_input_is_gone_are_told(station: SmallProject) -> None:
    """The same words, with the other cause; the last ones stay unless they are pruned."""
    (station.root / "treatments" / "split_days" / "run.py").write_text(
        COPY.replace(".parquet", "").replace("name + ''", "name[:-4] + '.parquet'"), encoding="utf-8"
    )
    station.treatment(
        "next",
        COPY.replace("name + '.parquet'", "name"),
        days={"before": 0, "after": 0},
        input={"format": "parquet", "description": "any"},
    )
    station.flow(CHAIN[0], {"treatment": "next", "input": "split", "output": "out"})
    run_flow("chain")
    (station.input / f"m_{day(1)}.csv").unlink()
    shown: list[str] = []
    run_flow("chain", show=shown.append, prune=True)
    assert (
        shown
        == [
            "warning: 1 published file removed: 2026-01-01 (their input is gone)\n",
            "warning: 1 published file removed: 2026-01-01 (their input is gone)\n",
        ]
        or "warning: 1 published file removed: 2026-01-01 (their input is gone)\n" in shown
    )
    for number in (2, 3, 4):
        (station.root / "data" / "split" / f"m_{day(number)}.parquet").rename(
            station.root / "data" / "split" / f"m_2026-03-{number:02}.parquet"
        )
    with pytest.raises(PublishError) as caught:
        run_treatment("next", "data/split", "data/out", to=day(28))
    assert "has no input for them any more: 2026-01-02, 2026-01-03, 2026-01-04" in str(caught.value)


# 1.3


def test_a_raw_file_that_shrinks_counts_as_archived(copier: SmallProject) -> None:
    """Its day stays as it was, each run says so and exits 1, until it is as large again, or is pruned."""
    for number in (1, 2):
        write(copier, number, f"{number}".rjust(100))
    run_copy()
    before = snapshot(copier.output)
    write(copier, 2, "2".rjust(40))
    for _ in range(2):
        done = copier.run("copy")
        assert (done.returncode, snapshot(copier.output)) == (1, before)
        options = "--prune --from 2026-01-02 --to 2026-01-02"
        assert done.stderr.endswith(
            "error: `data/in/m_2026-01-02.csv` is smaller than it was: 100 bytes then, 40 now\n"
            "note: it counts as archived: what was made from it in `data/out` stays as it is\n"
            f"hint: put the whole file back; or see what would go with --dry-run {options}, then let it go with {options}\n"
        )
    write(copier, 2, "3".rjust(99))
    with pytest.raises(LateDataError):
        run_copy()
    write(copier, 2, "4".rjust(100))
    assert run_copy() == (day(2),)
    write(copier, 2, "5".rjust(50))
    assert run_copy(prune=True, from_=day(2), to=day(2)) == (day(2),)
    assert run_copy() == ()


def test_a_raw_file_that_was_away_does_not_come_back_smaller(copier: SmallProject) -> None:
    """What is known of an archived file is kept in mind while something made from it is there."""
    for number in (1, 2):
        write(copier, number, f"{number}".rjust(100))
    run_copy()
    path = copier.input / f"m_{day(2)}.csv"
    path.unlink()
    assert run_copy() == ()
    path.write_text("2".rjust(40), encoding="utf-8")
    with pytest.raises(LateDataError):
        run_copy()
    assert "100 bytes then, 40 now" in status(copier, "copy")["error"]


def test_neighbours_of_a_file_that_shrinks(station: SmallProject) -> None:
    """Days that looked at it stay as well; others are made."""
    for number in (1, 2, 3, 4):
        write(station, number, f"{day(number)}T12:00:00Z;{number}\n{day(number)}T13:00:00Z;{number}\n")
    run_flow("chain")
    before = snapshot(station.root / "data" / "split")
    write(station, 4, f"{day(4)}T12:00:00Z;4\n")
    write(station, 1, f"{day(1)}T12:00:00Z;1\n{day(1)}T13:00:00Z;1\n{day(1)}T14:00:00Z;1\n")
    with pytest.raises(LateDataError):
        run_treatment("split_days", "data/in", "data/split")
    changed = {name for name, one in snapshot(station.root / "data" / "split").items() if before[name] != one}
    assert changed == {f"low__{day(1)}.parquet"}


def test_a_raw_file_that_shrinks_is_told_beside_a_failure(copier: SmallProject) -> None:
    """A day that fails does not hide it."""
    for number in (1, 2):
        write(copier, number, f"{number}".rjust(100))
    run_copy()
    write(copier, 1, "boom".rjust(100))
    write(copier, 2, "2")
    with pytest.raises(TreatmentError, match=r"(?s)boom.*100 bytes then, 1 now"):
        run_copy()


def test_a_raw_file_of_no_day_may_shrink(copier: SmallProject) -> None:
    """A file that is rotated is made again, with one warning."""
    copier.treatment("copy", COPY, **WHOLE)
    path = copier.input / "current.csv"
    path.write_text("1".rjust(100), encoding="utf-8")
    run_copy()
    path.write_text("2", encoding="utf-8")
    assert told_by() == "warning: `data/in/current.csv` is smaller than before: 100 bytes then, 1 now\n"
    assert (copier.output / "current.csv.parquet").read_text(encoding="utf-8") == "2"
    assert told_by() == ""


# 1.4


@pytest.mark.parametrize("how", ["missing", "emptied", "damaged", "forged"])
def test_state_that_is_lost_overwrites_nothing(copier: SmallProject, how: str) -> None:
    """Without its manifest a folder with results is not begun anew; with --force, days that the input has are."""
    for number in (1, 2):
        write(copier, number, f"whole {number}")
    run_copy()
    path = manifest_of(copier)
    (copier.input / f"m_{day(1)}.csv").unlink()
    texts = {"emptied": "", "damaged": path.read_text(encoding="utf-8")[:-20], "forged": "[" * 100_000}
    path.unlink()
    if how != "missing":
        path.write_text(texts[how], encoding="utf-8")
    write(copier, 2, "new")
    before = snapshot(copier.output)
    done = copier.run("copy")
    assert (done.returncode, snapshot(copier.output), len(copier.events)) == (2, before, 2)
    state = "is missing" if how == "missing" else "cannot be read as one"
    assert done.stderr == (
        f"error: the output folder `data/out` holds 2 .parquet files, but its manifest {state}\n"
        "  at data/.pymyx/out/manifest.json\n"
        "note: nothing was run: what was made from archived input could be overwritten\n"
        "hint: put back its state, `data/.pymyx/out` (`cp data/*` leaves `.pymyx` behind); or run it with --force: "
        "it makes anew the days that the input has, and leaves other files as they are\n"
    )
    done = copier.run("copy", "--force")
    assert done.returncode == 0
    assert "note: `data/out` keeps files that no run made, as far as is known (orphan): 2026-01-01\n" in done.stderr
    texts = {name: text.decode() for name, (_, text) in snapshot(copier.output).items()}
    assert texts == {f"m_{day(1)}.csv.parquet": "whole 1", f"m_{day(2)}.csv.parquet": "new"}
    assert run_copy() == ()
    planned = plan_treatment("copy", "data/in", "data/out").plan
    assert planned
    assert planned.reasons == {day(1): "orphan"}


def test_a_neighbour_of_nobody_is_not_overwritten(station: SmallProject) -> None:
    """A day that the input has no file of is not made over a file that is there, also later; unless it is pruned."""
    write(station, 3, f"{day(3)}T12:00:00Z;3\n{day(2)}T23:00:00Z;9\n")
    run_treatment("split_days", "data/in", "data/split")
    output = station.root / "data" / "split" / f"low__{day(2)}.parquet"
    before = output.read_bytes()
    assert before.count(b"\n") == 2
    (station.input / f"m_{day(2)}.csv").unlink()
    lose(station, "split")
    run_treatment("split_days", "data/in", "data/split", force=True)
    write(station, 3, f"{day(3)}T12:00:00Z;33\n{day(2)}T23:00:00Z;9\n")
    run_treatment("split_days", "data/in", "data/split")
    assert output.read_bytes() == before
    assert day(2) in run_treatment("split_days", "data/in", "data/split", prune=True).days


def test_a_whole_folder_step_without_its_state_is_refused_even_with_force(copier: SmallProject) -> None:
    """It would be made from what is left of the input."""
    copier.treatment("copy", COPY, **WHOLE)
    write(copier, 1)
    run_copy()
    lose(copier)
    for force in (False, True):
        with pytest.raises(UsageError) as caught:
            run_copy(force=force)
        assert caught.value.faults[0].hint.endswith(
            "or move the folder away, and all is made anew: mv data/out data/out_old"
        )
    copier.treatment("copy", COPY, **DAY_WISE)
    write(copier, 1, name="none").rename(copier.input / "undated.csv")
    with pytest.raises(UsageError):
        run_copy(force=True)


def test_a_folder_that_moved_names_its_old_state(copier: SmallProject) -> None:
    """Under another name, or behind a link: where the state is that it had."""
    write(copier, 1)
    run_copy()
    elsewhere = copier.root / "disk" / "out"
    elsewhere.parent.mkdir()
    copier.output.rename(elsewhere)
    copier.output.symlink_to(elsewhere)
    with pytest.raises(UsageError) as caught:
        run_copy()
    assert caught.value.faults[0].evidence == ("an older state lies at data/.pymyx/out",)
    assert caught.value.faults[0].hint.startswith("put back its state: move `data/.pymyx/out` to `disk/.pymyx/out`, or")
    shutil.rmtree(elsewhere)
    elsewhere.mkdir()
    with pytest.raises(UsageError) as caught:  # empty, as a disk that is mounted over it
        run_copy()
    assert caught.value.faults[0].what == "the output folder `data/out` holds no file, but its manifest is missing"
    copier.output.unlink()
    elsewhere.rename(copier.output)
    copier.output.rename(copier.root / "data" / "renamed")
    write(copier, 1).rename(copier.root / "data" / "renamed" / "x.parquet")
    with pytest.raises(UsageError) as caught:
        run_treatment("copy", "data/in", "data/renamed")
    assert caught.value.faults[0].evidence == ("an older state lies at data/.pymyx/out",)


def test_a_folder_that_is_another_one_takes_no_days_away(station: SmallProject) -> None:
    """A first step whose disk is not mounted is made anew from what is left; the next one does not follow it."""
    run_flow("chain")
    first = id_of(station.root / "data" / "split")
    before = snapshot(station.root / "data" / "rolled") | snapshot(station.root / "data" / "totals")
    lose(station, "split")
    (station.root / "data" / "split").rename(station.root / "unmounted")
    (station.root / "data" / "split").mkdir()
    for number in (1, 2):
        (station.input / f"m_{day(number)}.csv").unlink()
    done = station.cli("flow", "--flow", "chain")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: `data/split` is not the folder that `data/rolled` was made from: its manifest is another one, and files are gone\n"
        "note: nothing was made in `data/rolled`: it would lose 2026-01-01, 2026-01-02\n"
    )
    assert id_of(station.root / "data" / "split") != first
    with pytest.raises(UsageError, match="it would lose"):
        run_treatment("rolling_mean", "data/split", "data/rolled", from_=day(3))
    shutil.copytree(station.root / "data" / "rolled", station.root / "kept")
    assert snapshot(station.root / "data" / "rolled") | snapshot(station.root / "data" / "totals") == before
    run_treatment("rolling_mean", "data/split", "data/rolled", prune=True)
    assert sorted(os.listdir(station.root / "data" / "rolled")) == [f"low__{day(number)}.parquet" for number in (3, 4)]


def test_a_whole_folder_step_is_not_made_from_fewer_files_of_another_folder(station: SmallProject) -> None:
    """The same for a step that is made as a whole; where nothing is gone, another id is taken as it is."""
    station.treatment("copy", COPY, **DAY_WISE)
    station.flow({"treatment": "copy", "input": "in", "output": "split"}, {**CHAIN[2], "input": "split"})
    run_flow("chain")
    lose(station, "split")
    run_treatment("copy", "data/in", "data/split", force=True)
    run_flow("chain")
    lose(station, "split")
    shutil.rmtree(station.root / "data" / "split")
    (station.input / f"m_{day(1)}.csv").unlink()
    with pytest.raises(FlowStopped) as caught:
        run_flow("chain")
    assert caught.value.exit_code == 2
    assert "it would be made from fewer files" in str(caught.value.errors[0])


def test_manifests_of_number_1_are_read_as_without_ids(station: SmallProject) -> None:
    """Nothing is made again; the first run that writes one gives it its id, and the next step records it."""
    run_flow("chain")
    for name in ("split", "rolled", "totals"):
        path = manifest_of(station, name)
        document = json.loads(path.read_text(encoding="utf-8"))
        assert (document["manifest"], len(document["id"])) == (2, 16)
        old = {key: one for key, one in document.items() if key not in ("id", "input_id", "granted")}
        path.write_text(json.dumps({**old, "manifest": 1}), encoding="utf-8")
    assert made(run_flow("chain")) == [(), (), ()]
    split, rolled = (read_manifest(station.root / "data" / name, "") for name in ("split", "rolled"))
    assert split
    assert rolled
    assert rolled.input_id == split.id != ""


# 1.5


@pytest.mark.parametrize(
    "change",
    [
        {
            "days": {
                day(1): {
                    "code": "",
                    "params": "",
                    "inputs": {},
                    "outputs": {"../../keep": {"stat": None, "sha256": ""}},
                }
            }
        },
        {"unproven": {"../keep": "it differs"}},
        {"days": {"../keep": {"code": "", "params": "", "inputs": {}, "outputs": {}}}},
        {"days": {"2026-02-30": {"code": "", "params": "", "inputs": {}, "outputs": {}}}},
        {"pending": {"../../keep": ""}},
        {"pending": {"..": ""}},
        {"pending": {"": ""}},
        {"pending": {"x" * 256: ""}},
        {"pending": {"a\0b": ""}},
        {"pending": {"\ud800": ""}},
        {"inputs": {"/etc/passwd": {"stat": None, "sha256": ""}}},
        {"inputs": {"a": {"stat": [10**400, 0, 0, 0], "sha256": ""}}},
        {"granted": {"../x": {"stat": None, "sha256": ""}}},
        {"last_error": "\ud800"},
        {"id": "../../x"},
    ],
)
def test_names_in_a_manifest_do_not_reach_outside(copier: SmallProject, change: dict[str, Any]) -> None:
    """It is of unknown origin: what is no plain name, no day or out of bounds makes it unreadable, and nothing else."""
    write(copier, 1)
    run_copy()
    keep = copier.root / "keep"
    keep.write_text("mine", encoding="utf-8")
    document = json.loads(manifest_of(copier).read_text(encoding="utf-8"))
    manifest_of(copier).write_text(json.dumps({**document, **change}), encoding="utf-8")
    write(copier, 1, "none".ljust(50))
    done = copier.run("copy")
    assert done.returncode == 2
    assert "but its manifest cannot be read as one\n" in done.stderr
    assert keep.read_text(encoding="utf-8") == "mine"
    assert len(os.listdir(copier.output)) == 1


@pytest.mark.parametrize("name", ["manifest.json", "manifest.json.new", "lock", "stage-x", "", ".."])
def test_state_is_opened_without_following_links(copier: SmallProject, name: str) -> None:
    """A link in the place of a state file, a stage or a state folder leads nowhere; what it points to stays as it was."""
    write(copier, 1)
    run_copy()
    victim = copier.root / "victim"
    state = manifest_of(copier).parent
    if name in ("stage-x", "", ".."):
        victim.mkdir(mode=0o500)
        (victim / "f").touch() if os.geteuid() == 0 else None
    else:
        victim.write_text("mine", encoding="utf-8")
    place = state / name if name != ".." else state.parent
    if name in ("", ".."):
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(victim)
    before, mode = snapshot(victim) if victim.is_dir() else victim.read_bytes(), victim.stat().st_mode
    write(copier, 1, "more".rjust(50))
    done = copier.run("copy")
    assert (done.returncode, "Traceback" in done.stderr) == (
        0 if name in ("stage-x", "manifest.json.new") else 2,
        False,
    )
    assert (snapshot(victim) if victim.is_dir() else victim.read_bytes(), victim.stat().st_mode) == (before, mode)
    victim.chmod(0o700)
    if name == "stage-x":
        place.unlink()


@pytest.mark.parametrize("name", ["manifest.json", "lock"])
def test_state_files_that_are_pipes(copier: SmallProject, name: str) -> None:
    """They are waited for by nobody."""
    write(copier, 1)
    run_copy()
    path = manifest_of(copier).parent / name
    path.unlink()
    os.mkfifo(path)
    assert copier.run("copy").returncode == 2


# 1.6


def status(project: SmallProject, treatment: str) -> dict[str, Any]:
    project.flow({"treatment": treatment, "input": "in", "output": "out"})
    [step] = status_of(Project(project.root, project.root / "data"), "chain")["steps"]
    return dict(step)


def test_a_folder_of_nothing_but_files_set_aside_is_a_failure(copier: SmallProject) -> None:
    """They are published and recorded; every run says so and exits 1, also one that finds all up to date."""
    copier.treatment("copy", SORTS, **DAY_WISE)
    write(copier, 1, "bad")
    text = (
        f"error: treatment `copy` made no result, it set all aside: m_{day(1)}.csv is bad\n"
        f"  at data/out/_rejects__m_{day(1)}.csv.parquet\n"
        "note: 1 file set aside in `data/out` tells more\n"
    )
    first, second = copier.run("copy"), copier.run("copy")
    assert (first.returncode, first.stderr) == (1, f"warning: m_{day(1)}.csv is bad\n{text}")
    assert (second.returncode, second.stderr) == (1, text)
    assert copier.statuses == ["copy start", "copy error"]
    assert status(copier, "copy")["state"] == "failed"
    assert os.listdir(copier.output) == [f"_rejects__m_{day(1)}.csv.parquet"]
    write(copier, 2, "good")
    assert run_copy() == (day(2),)
    assert run_copy() == ()
    assert status(copier, "copy")["state"] == "up to date"


def test_a_folder_without_any_file_is_fine(copier: SmallProject) -> None:
    """A stub makes nothing."""
    copier.treatment("copy", "def run(input_dir, output_dir, params):\n    pass\n", **DAY_WISE)
    write(copier, 1)
    assert run_copy() == (day(1),)
    assert run_copy() == ()


@pytest.mark.parametrize("contract", [DAY_WISE, WHOLE])
def test_files_set_aside_are_published_where_results_are_kept(copier: SmallProject, contract: dict[str, Any]) -> None:
    """Where all would be set aside of what had results, these stay and the run fails."""
    copier.treatment("copy", SORTS, **contract)
    write(copier, 1, "good")
    run_copy()
    write(copier, 1, "bad now")
    for _ in range(2):
        with pytest.raises(PublishError):
            run_copy()
        assert sorted(os.listdir(copier.output)) == [f"_rejects__m_{day(1)}.csv.parquet", f"m_{day(1)}.csv.parquet"]
    write(copier, 1, "good again")
    run_copy()
    assert os.listdir(copier.output) == [f"m_{day(1)}.csv.parquet"]
    write(copier, 1, "bad once more")
    with pytest.raises(TreatmentError, match="is bad"):
        run_copy(prune=True)
    assert os.listdir(copier.output) == [f"_rejects__m_{day(1)}.csv.parquet"]


# 1.7


def test_an_undated_file_that_is_gone_leaves_a_folder_of_days(copier: SmallProject) -> None:
    """A note names it while it is there; then days are made by day again, those that only it made are orphans."""
    code = COPY.replace("name + '.parquet'", "name.replace('undated', 'm_2026-01-09') + '.parquet'")
    copier.treatment("copy", code, **DAY_WISE)
    for number in (1, 2):
        write(copier, number)
    stray = copier.input / "undated.csv"
    stray.write_text("stray", encoding="utf-8")
    assert told_by() == "note: it runs over the whole folder while input files are of no day: undated.csv\n"
    assert told_by() == "note: it runs over the whole folder while input files are of no day: undated.csv\n"
    stray.unlink()
    write(copier, 3)
    assert run_copy() == (day(1), day(2), day(3))
    result = run_treatment("copy", "data/in", "data/out")
    assert (result.days, result.plan.orphans) == ((), (day(9),))
    assert (copier.output / f"m_{day(9)}.csv.parquet").read_text(encoding="utf-8") == "stray"
    write(copier, 1, "grown".rjust(50))
    assert run_copy() == (day(1),)
    assert told_by(prune=True) == "warning: 1 published file removed: 2026-01-09 (their input is gone)\n"


def test_an_undated_file_that_is_gone_where_a_dated_one_was_archived(copier: SmallProject) -> None:
    """Its day stays frozen."""
    for number in (1, 2):
        write(copier, number)
    stray = copier.input / "undated.csv"
    stray.write_text("stray", encoding="utf-8")
    copier.treatment(
        "copy", COPY.replace("name + '.parquet'", "name.replace('undated', 'm_2026-01-09') + '.parquet'"), **DAY_WISE
    )
    run_copy()
    stray.unlink()
    (copier.input / f"m_{day(1)}.csv").unlink()
    result = run_treatment("copy", "data/in", "data/out")
    assert (result.days, result.plan.orphans) == ((day(2),), (day(1), day(9)))
    assert len(os.listdir(copier.output)) == 3


# 2.6


@pytest.mark.parametrize("kind", ["loop", "too long"])
@pytest.mark.parametrize("contract", [DAY_WISE, WHOLE])
def test_an_odd_link_is_passed_over(copier: SmallProject, kind: str, contract: dict[str, Any]) -> None:
    """An entry that cannot be looked at is not input, and is told; the others are made."""
    copier.treatment("copy", COPY, **contract)
    write(copier, 1)
    odd = copier.input / f"odd_{day(2)}.csv"
    odd.symlink_to(odd.name if kind == "loop" else "x" * 300)
    why = {"loop": "Too many levels of symbolic links", "too long": "File name too long"}[kind]
    assert told_by() == f"warning: `data/in/odd_{day(2)}.csv` is passed over: {why}\n"
    assert os.listdir(copier.output) == [f"m_{day(1)}.csv.parquet"]
    odd.unlink()


def test_a_known_input_that_cannot_be_looked_at(copier: SmallProject) -> None:
    """It is not taken for one that is gone: nothing is run."""
    path = write(copier, 1)
    write(copier, 2)
    run_copy()
    path.unlink()
    path.symlink_to(path.name)
    done = copier.run("copy")
    assert done.returncode == 2
    assert done.stderr == (
        "error: an input file cannot be looked at: Too many levels of symbolic links\n"
        f"  at {path}\nnote: nothing was run\nhint: mend it; or remove it, if it is to be gone\n"
    )
    path.unlink()
    path.symlink_to("nowhere")  # that is absence
    assert run_treatment("copy", "data/in", "data/out").plan.orphans == (day(1),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_inputs_that_may_not_be_read(copier: SmallProject) -> None:
    """A new file is passed over, a known one is an error."""
    path = write(copier, 1)
    path.chmod(0)
    write(copier, 2)
    assert "is passed over: it may not be read" in told_by()
    path.chmod(0o600)
    assert run_copy() == (day(1),)
    path.chmod(0)
    with pytest.raises(UsageError, match="it may not be read"):
        run_copy()


def test_links_in_a_treatments_folder_that_lead_around(copier: SmallProject) -> None:
    """They are followed once; that a link leads elsewhere is seen."""
    folder = copier.root / "treatments" / "copy"
    for name in ("a", "b", "c"):
        (folder / name).symlink_to(".")
    for number in range(24):
        (folder / f"d{number}").mkdir()
        for name in ("x", "y"):
            (folder / f"d{number}" / name).symlink_to(f"../d{number + 1}")
    (folder / "loop").symlink_to("loop")
    (folder / "d5" / "file.txt").write_text("5", encoding="utf-8")
    (folder / "z").symlink_to("d5")
    write(copier, 1)
    assert run_copy() == (day(1),)
    assert run_copy() == ()
    (folder / "z").unlink()
    (folder / "z").symlink_to("d6")
    assert run_copy() == (day(1),)


# 4.4


def test_whose_an_output_folder_is_is_checked_for_all_steps_first(station: SmallProject) -> None:
    """A flow that is refused at its last step has run none."""
    run_flow("chain")
    manifest_of(station, "totals").unlink()
    write(station, 5)
    log, before = station.events, snapshot(station.root / "data" / "split")
    with pytest.raises(
        UsageError, match="`data/totals` holds 1 .parquet file, but its manifest is missing".replace(".", "[.]")
    ):
        run_flow("chain")
    assert (station.events, snapshot(station.root / "data" / "split")) == (log, before)
    station.flow(
        *CHAIN[:2], {**CHAIN[2], "output": "rolled2"}, {"treatment": "total", "input": "rolled", "output": "x"}
    )
    run_flow("chain")
    write(station, 6)
    station.flow(*CHAIN[:2], {"treatment": "total", "input": "split", "output": "x"})
    log = station.events
    with pytest.raises(UsageError, match="was made from `data/rolled`, not from `data/split`"):
        run_flow("chain")
    assert station.events == log
