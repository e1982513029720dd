"""--verify: what it makes again, what it compares, what it says, and what is remembered of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.errors import FlowStopped, TreatmentError
from pymyx.core.flow import run_flow
from pymyx.core.project import find_project
from pymyx.core.runner import run_treatment
from pymyx.core.status import status_of

from ..conftest import MISBEHAVING, SmallProject, snapshot

ROLLED = {"treatment": "rolling_mean", "input": "in", "output": "out"}
PARQUET: dict[str, Any] = {"input": {"format": "parquet", "description": "anything"}, "days": {"before": 0, "after": 0}}
TO_EACH = (
    "import os\n"
    "def run(input_dir, output_dir, params):\n"
    "    for name in os.listdir(input_dir):\n"
    "        with open(os.path.join(output_dir, name), 'w') as file:\n"
)


def day(number: int) -> str:
    return f"2026-01-{number:02}"


@pytest.fixture
def rolling(project: SmallProject) -> SmallProject:
    """A project with a treatment that looks one day back, and says so, and four days of input."""
    shutil.copytree(MISBEHAVING / "rolling_mean", project.root / "treatments" / "rolling_mean")
    project.flow(ROLLED)
    (project.input / "a.csv").unlink()
    for number in (1, 2, 3, 4):
        path = project.input / f"low__{day(number)}.parquet"
        path.write_text(f"{day(number)}T12:00:00Z;{number}\n", encoding="utf-8")
    return project


def say_days(project: SmallProject, before: int) -> None:
    path = project.root / "treatments" / "rolling_mean" / "treatment.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    contract["days"]["before"] = before
    path.write_text(json.dumps(contract), encoding="utf-8")


def state_of(project: SmallProject) -> tuple[str, str | None]:
    [step] = status_of(find_project(project.root), "chain")["steps"]
    return step["state"], step["error"]


def run(project: SmallProject, name: str = "rolling_mean", **options: Any) -> list[str]:
    told: list[str] = []
    run_treatment(name, "data/in", "data/out", show=told.append, **options)
    return told


def failure(project: SmallProject, name: str = "rolling_mean", **options: Any) -> TreatmentError:
    with pytest.raises(TreatmentError) as caught:
        run(project, name, **options)
    return caught.value


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d+ s", "# s", text)


def test_wrong_days_in_one_chunk(rolling: SmallProject) -> None:
    """`days` that say too little are found, though all days were made by one child that saw all neighbours."""
    say_days(rolling, 0)
    run(rolling)
    before = snapshot(rolling.output)
    done = rolling.run("rolling_mean", "--verify", "9")
    assert done.returncode == 1
    assert without_times(done.stderr) == (
        "error: treatment `rolling_mean` makes other files from the window of a day than from the whole folder: "
        "2026-01-02, 2026-01-03, 2026-01-04\n"
        "  at data/out/low__2026-01-02.parquet\n"
        "note: what is published is left as it is\n"
        "note: the whole folder took # s, each day alone # s\n"
        "hint: say more in `days` of treatments/rolling_mean/treatment.json, or see what it does at random\n"
    )
    assert snapshot(rolling.output) == before


def test_right_days(rolling: SmallProject) -> None:
    """What is proven is said, with the time that it took; nothing is logged of it."""
    run(rolling)
    logged = rolling.events
    told = run(rolling, verify=9)
    days = ", ".join(map(day, (1, 2, 3, 4)))
    assert list(map(without_times, told)) == [
        f"note: made again alone and from the whole folder, the same: {days} (the whole folder took # s, each day alone # s)\n"
    ]
    assert rolling.events == logged


def test_each_day_is_made_alone(project: SmallProject) -> None:
    """A drawn day's child sees the files of its window and is asked for that day; then one sees all, asked for none."""
    code = (
        TO_EACH
        + "            file.write(name)\n    print(os.environ.get('PYMYX_DAYS'), *sorted(os.listdir(input_dir)))\n"
    )
    project.treatment("tells", code, **{**PARQUET, "days": {"before": 1, "after": 0}})
    for number in (1, 2):
        (project.input / f"{day(number)}.parquet").touch()
    (project.input / "a.csv").unlink()
    run(project, "tells")
    told = run(project, "tells", verify=2)
    one, two = (f"{day(number)}.parquet" for number in (1, 2))
    assert told[:-1] == [f"{day(1)} {one}\n", f"{day(2)} {one} {two}\n", f"None {one} {two}\n"]


def test_a_failure_is_logged_and_remembered(rolling: SmallProject) -> None:
    """An event tells it; the status says failed until a verify passes, whatever else finds all up to date."""
    say_days(rolling, 0)
    run(rolling)
    error = failure(rolling, verify=4)
    assert rolling.statuses == ["rolling_mean start", "rolling_mean success", "rolling_mean error"]
    assert rolling.events[-1]["error"] == error.headline
    assert state_of(rolling) == ("failed", error.headline)
    run(rolling)
    assert state_of(rolling) == ("failed", error.headline)
    failure(rolling, verify=1)  # they are drawn again first
    run_py = rolling.root / "treatments" / "rolling_mean" / "run.py"
    kept = run_py.read_text(encoding="utf-8")
    manifest = rolling.root / "data" / ".pymyx" / "out" / "manifest.json"
    assert list(json.loads(manifest.read_text(encoding="utf-8"))["unproven"]) == [day(2), day(3), day(4)]
    run_py.write_text(kept.replace("- 1", "- 0"), encoding="utf-8")
    run(rolling, from_=day(2), to=day(3))
    assert state_of(rolling) == ("failed", error.headline)
    run(rolling)
    assert state_of(rolling) == ("up to date", None)


def test_a_verify_that_passes_clears_it(project: SmallProject) -> None:
    """What failed once, for a reason outside, is proven by the next verify, of so few days as it is asked for."""
    code = TO_EACH + "            file.write(os.environ.get('SALT', ''))\n"
    project.treatment("salted", code, allow={"env": ["SALT"]}, **PARQUET)
    project.flow({"treatment": "salted", "input": "in", "output": "out"})
    for number in (1, 2, 3):
        (project.input / f"{day(number)}.parquet").touch()
    run(project, "salted")
    done = project.run("salted", "--verify", "3", env={"SALT": "x"})
    assert done.returncode == 1
    assert without_times(done.stderr) == (
        "error: treatment `salted` makes other files now than are published: 2026-01-01, 2026-01-02, 2026-01-03\n"
        "  at data/out/2026-01-01.parquet\n"
        "note: what is published is left as it is\n"
        "note: the whole folder took # s, each day alone # s\n"
        "hint: see what it does at random, or by the time; after an upgrade of a library, make all again with --force\n"
    )
    assert state_of(project)[0] == "failed"
    told = run(project, "salted", verify=1)
    assert "the same: 2026-01-01, 2026-01-02, 2026-01-03 (" in told[-1]
    assert state_of(project) == ("up to date", None)


def test_a_treatment_that_fails_alone(project: SmallProject) -> None:
    """A day that cannot be made from its own window fails; the error says what was run, and is remembered."""
    code = TO_EACH + "            file.write('')\n    assert len(os.listdir(input_dir)) > 1\n"
    project.treatment("needs", code, **PARQUET)
    project.flow({"treatment": "needs", "input": "in", "output": "out"})
    for number in (1, 2):
        (project.input / f"{day(number)}.parquet").touch()
    run(project, "needs")
    [fault] = failure(project, "needs", verify=1).faults
    assert fault.what == "treatment `needs` failed: AssertionError"
    [note] = fault.notes
    assert re.fullmatch(r"it was run from 2026-01-0\d alone to verify `data/out`, which is left as it is", note)
    assert state_of(project)[0] == "failed"


def test_modes_are_made_ordinary(project: SmallProject) -> None:
    """An output that its treatment made unreadable is compared all the same."""
    code = TO_EACH + "            file.write('')\n        os.chmod(os.path.join(output_dir, name), 0)\n"
    project.treatment("shuts", code, **PARQUET)
    (project.input / f"{day(1)}.parquet").touch()
    run(project, "shuts")
    assert "the same: 2026-01-01 (" in run(project, "shuts", verify=1)[-1]


def test_days_without_files_are_not_drawn(project: SmallProject) -> None:
    """An empty neighbour proves nothing; and of many days those at a chunk's edge are drawn first."""
    project.treatment(
        "each", TO_EACH + "            file.write('')\n", **{**PARQUET, "days": {"before": 3, "after": 3}}
    )
    for number in range(10, 20):
        (project.input / f"{day(number)}.parquet").touch()
    run(project, "each")
    for _ in range(2):
        assert "the same: 2026-01-10, 2026-01-19 (" in run(project, "each", verify=2, jobs=1)[-1]
    assert "the same: 10 days (2026-01-10 to 2026-01-19) (" in run(project, "each", verify=99)[-1]


def test_a_whole_folder(project: SmallProject) -> None:
    """A treatment without `days` is made again once, and compared with what is published."""
    code = "import os\ndef run(input_dir, output_dir, params):\n    open(os.path.join(output_dir, 'a.parquet'), 'wb').write({})\n"
    project.treatment("same", code.format("b'1'"))
    run(project, "same")
    [told] = run(project, "same", verify=1)
    assert (
        without_times(told) == "note: made again from the whole folder, the same: whole (the whole folder took # s)\n"
    )
    project.treatment("random", code.format("os.urandom(9)"))
    with pytest.raises(TreatmentError) as caught:
        run_treatment("random", "data/in", "data/random", verify=1)
    assert caught.value.faults[0].what == "treatment `random` makes other files now than are published: whole"


def test_no_network_for_it(project: SmallProject) -> None:
    """A treatment that may use the network is not run a second time: it is no function of its input."""
    project.treatment("fetches", TO_EACH + "            file.write('')\n", allow={"network": True}, **PARQUET)
    (project.input / f"{day(1)}.parquet").touch()
    assert run(project, "fetches", verify=1) == [
        "note: `fetches` may use the network (allow.network): it is not run again to verify it\n"
    ]


def test_archived_days_are_not_drawn(rolling: SmallProject) -> None:
    """What was made from archived files cannot be made again, so it is not drawn; the days beside it are."""
    run(rolling)
    (rolling.input / f"low__{day(1)}.parquet").unlink()
    assert "the same: 2026-01-03, 2026-01-04 (" in run(rolling, verify=9)[-1]


def test_a_flow_is_verified_step_by_step(rolling: SmallProject) -> None:
    """A step that fails to be proven stops the flow; its folder is as it was."""
    say_days(rolling, 0)
    with pytest.raises(FlowStopped) as caught:
        run_flow("chain", verify=9)
    assert caught.value.failed == ["rolling_mean"]
    assert {path.name for path in Path(rolling.output).iterdir()} == {f"low__{day(n)}.parquet" for n in (1, 2, 3, 4)}


def test_nothing_to_verify(project: SmallProject) -> None:
    """Where all was made from archived files, there is nothing to draw, and that is said."""
    project.treatment(
        "each", TO_EACH + "            file.write('')\n", input={"format": "csv", "description": "anything"}
    )
    (project.input / "b.csv").touch()
    run(project, "each")
    (project.input / "b.csv").unlink()
    told = run(project, "each", verify=1)
    assert told[-1] == "note: `data/out` has no day to verify: none that is up to date has files\n"
