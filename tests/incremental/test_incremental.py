"""Runs cost what changed: which days are made, why, what is said of it; what stays as it is when something goes wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.contract.models import Days
from pymyx.core.errors import BusyError, FlowStopped, LateDataError, PublishError, TreatmentError, UsageError
from pymyx.core.flow import plan_flow, run_flow
from pymyx.core.incremental.plan import context_of, split
from pymyx.core.project import find_project
from pymyx.core.runner import Result, plan_treatment, run_treatment
from pymyx.core.status import status_of

from ..conftest import MISBEHAVING, SmallProject, snapshot

CHAIN = [
    {"treatment": "split_days", "input": "in", "output": "split"},
    {"treatment": "rolling_mean", "input": "split", "output": "rolled"},
    {"treatment": "total", "input": "rolled", "output": "totals"},
]
DAY_WISE: dict[str, Any] = {"days": {"before": 0, "after": 0}, "input": {"format": "csv", "description": "anything"}}
COPY = (
    "import os, shutil\n"
    "def run(input_dir, output_dir, params):\n"
    "    for name in os.listdir(input_dir):\n"
    "        text = open(os.path.join(input_dir, name)).read()\n"
    "        if 'boom' in text:\n"
    "            raise ValueError(text)\n"
    "        shutil.copy(os.path.join(input_dir, name), os.path.join(output_dir, name + '.parquet'))\n"
)


def day(number: int) -> str:
    return f"2026-01-{number:02}"


@pytest.fixture
def station(project: SmallProject) -> SmallProject:
    """A project with a flow of a day-wise, a windowed and a whole-folder treatment, and four days of input."""
    for name in ("split_days", "rolling_mean", "total"):
        shutil.copytree(MISBEHAVING / name, project.root / "treatments" / name)
    project.flow(*CHAIN)
    (project.input / "a.csv").unlink()
    for number in (1, 2, 3, 4):
        write(project, number)
    return project


@pytest.fixture
def copier(project: SmallProject) -> SmallProject:
    """A project with a day-wise treatment that copies each file, and raises its text where that says boom."""
    project.treatment("copy", COPY, **DAY_WISE)
    (project.input / "a.csv").unlink()
    return project


def write(project: SmallProject, number: int, text: str = "", name: str = "m") -> Path:
    path = project.input / f"{name}_{day(number)}.csv"
    path.write_text(text or f"{day(number)}T12:00:00Z;{number}\n", encoding="utf-8")
    return path


def made(results: list[Result]) -> list[tuple[str, ...]]:
    return [result.days for result in results]


def reasons(**options: Any) -> dict[str, str]:
    plan = plan_treatment("split_days", "data/in", "data/split", **options).plan
    assert plan
    return dict(plan.reasons)


def test_what_changed_is_made_again_and_nothing_else(station: SmallProject) -> None:
    """A first run makes all; a second one nothing; a grown file its window; each downstream what follows from it."""
    first = run_flow("chain")
    assert made(first) == [("2025-12-31", *map(day, (1, 2, 3, 4, 5))), tuple(map(day, (1, 2, 3, 4, 5))), ("whole",)]
    before = {path: path.stat().st_mtime_ns for path in station.root.glob("data/[!.]*/*")}
    log = station.events
    assert made(run_flow("chain")) == [(), (), ()]
    assert station.events == log
    assert {path: path.stat().st_mtime_ns for path in before} == before
    write(station, 4, f"{day(4)}T12:00:00Z;4\n{day(4)}T13:00:00Z;70\n")
    assert made(run_flow("chain")) == [(day(3), day(4), day(5)), (day(4), day(5)), ("whole",)]
    changed = {path.name for path in before if path.stat().st_mtime_ns != before[path] and path.parent.name == "split"}
    assert changed == set()  # the rows of before are the same bytes; the new domain's file is new
    assert (station.root / "data" / "split" / f"high__{day(4)}.parquet").is_file()


def test_up_to_date_is_said(station: SmallProject) -> None:
    """A step that is up to date starts no child, logs nothing, and says so; an execution logs two events."""
    done = station.cli("flow", "--flow", "chain")
    assert done.returncode == 0, done.stderr
    assert re.sub(r"\d+\.\d+ s|\d+ MB", "#", done.stdout).splitlines()[0] == (
        "1/3 split_days: data/in -> data/split  # (# of processor, #)  4 days: 2026-01-01, 2026-01-02, 2026-01-03, 2026-01-04  4 files"
    )
    assert station.statuses == [f"{step['treatment']} {word}" for step in CHAIN for word in ("start", "success")]
    again = station.cli("flow", "--flow", "chain")
    assert again.stdout.splitlines()[:3] == [
        "1/3 split_days: data/in -> data/split  up to date",
        "2/3 rolling_mean: data/split -> data/rolled  up to date",
        "3/3 total: data/rolled -> data/totals  up to date",
    ]
    assert len(station.statuses) == 6
    for number in range(5, 13):
        write(station, number)
    assert "  9 days: 2026-01-04 to 2026-01-12  9 files\n" in station.cli("flow", "--flow", "chain").stdout


def test_reasons(station: SmallProject) -> None:
    """Each day that is stale has one reason, the first that is true."""
    assert set(reasons().values()) == {"new"}
    run_flow("chain")
    assert reasons() == {}
    assert set(reasons(force=True).values()) == {"forced"}
    write(station, 1, f"{day(1)}T12:00:00Z;9\n")
    assert reasons() == {"2025-12-31": "neighbour changed", day(1): "input changed", day(2): "neighbour changed"}
    run_flow("chain")
    (station.root / "data" / "split" / f"low__{day(2)}.parquet").unlink()
    (station.root / "data" / "split" / f"low__{day(3)}.parquet").write_text("edited", encoding="utf-8")
    assert reasons() == {day(2): "output missing", day(3): "output changed"}
    run_flow("chain")
    plan = plan_treatment("split_days", "data/in", "data/split", {"scale": 2}).plan
    assert plan
    assert set(plan.reasons.values()) == {"params changed"}
    (station.root / "treatments" / "split_days" / "helper.py").touch()
    assert set(reasons().values()) == {"code changed"}
    run_flow("chain")
    contract = station.root / "treatments" / "split_days" / "treatment.json"
    contract.write_text(contract.read_text(encoding="utf-8").replace("A real day", "Another day"), encoding="utf-8")
    assert reasons() == {}  # what it is called changes no byte
    (station.input / f"m_{day(2)}.csv").unlink()
    assert reasons() == {day(number): "orphan" for number in (1, 2, 3)}
    assert reasons(prune=True) == {day(1): "neighbour changed", day(2): "input changed", day(3): "neighbour changed"}


def test_dry_run(station: SmallProject) -> None:
    """--dry-run tells what a run would do, from the plan that the run would follow, and touches nothing."""
    before = snapshot(station.root)
    done = station.cli("flow", "--flow", "chain", "--dry-run")
    assert (done.returncode, done.stderr, snapshot(station.root)) == (0, "", before)
    assert done.stdout == (
        "1/3 split_days: data/in -> data/split  4 days to make\n"
        "  2026-01-01 to 2026-01-04 (4 days)  new\n"
        "2/3 rolling_mean: data/split -> data/rolled  may change, with what the steps before it make\n"
        "3/3 total: data/rolled -> data/totals  may change, with what the steps before it make\n"
    )
    run_flow("chain")
    write(station, 5)
    done = station.cli("flow", "--flow", "chain", "--dry-run", "--from", day(5), "--to", "2026-01-05T06:00:00+01:00")
    assert done.stderr == "note: to 2026-01-05T06:00:00+01:00 is taken as the whole day 2026-01-05 (UTC)\n"
    assert done.stdout == (
        "1/3 split_days: data/in -> data/split  1 day to make\n"
        "  2026-01-05  input changed\n"
        "  stale, but not chosen: 1 day\n"
        "2/3 rolling_mean: data/split -> data/rolled  may change, with what the steps before it make\n"
        "3/3 total: data/rolled -> data/totals  may change, with what the steps before it make\n"
    )
    planned = plan_flow("chain")
    assert [(one.plan is not None and one.plan.idle, one.may_change) for one in planned] == [
        (False, False), (True, True), (True, True),
    ]  # fmt: skip


def test_only_chosen_days(station: SmallProject) -> None:
    """--from and --to choose which days are made, never what they are made from; the others stay stale."""
    result = run_treatment("split_days", "data/in", "data/split", from_=day(2), to=day(3))
    assert result.days == (day(2), day(3))
    assert sorted(os.listdir(station.root / "data" / "split")) == [f"low__{day(2)}.parquet", f"low__{day(3)}.parquet"]
    done = station.cli(
        "runner",
        "--treatment",
        "split_days",
        "--input",
        "data/in",
        "--output",
        "data/split",
        "--to",
        day(3),
        "--from",
        day(3),
    )
    assert done.stdout.endswith("  nothing to make of the days chosen; stale: 2 days\n")
    assert run_treatment("split_days", "data/in", "data/split", from_="2026-01-03T23:59:59Z").days == (day(4), day(5))
    assert run_treatment("split_days", "data/in", "data/split", to=day(1)).days == ("2025-12-31", day(1))
    assert run_treatment("split_days", "data/in", "data/split").days == ()


def test_an_edited_output_of_a_day_that_is_not_chosen(copier: SmallProject) -> None:
    """It is not taken for what was published, and made again once it is chosen."""
    for number in (1, 2):
        write(copier, number)
    run_treatment("copy", "data/in", "data/out")
    (copier.output / f"m_{day(1)}.csv.parquet").write_text("edited", encoding="utf-8")
    assert run_treatment("copy", "data/in", "data/out", from_=day(2)).days == ()
    assert run_treatment("copy", "data/in", "data/out").days == (day(1),)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--from", "yesterday"], "from is `yesterday`\n  accepted: a date such as 2026-01-20, or an instant such as 2026-01-20T06:00:00Z"),
        (["--from", "2026-02-30"], "from is `2026-02-30`\n  accepted: a date such as 2026-01-20, or an instant such as 2026-01-20T06:00:00Z"),
        (["--from", day(2), "--to", day(1)], "from is 2026-01-02 and to is 2026-01-01\n  accepted: the earlier one first"),
        (["--jobs", "0"], "jobs is 0\n  accepted: children at once, at least 1"),
        (["--verify", "-1"], "verify is -1\n  accepted: a number of days"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(station: SmallProject, options: list[str], text: str) -> None:
    """They are refused before anything is looked at."""
    done = station.cli("flow", "--flow", "chain", *options)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {text}\n")
    assert station.events == []


def test_whole_folder_runs_say_that_days_cannot_be_chosen(station: SmallProject) -> None:
    """A step that looks at its whole folder, or has input of no day, runs whole when it is stale, and says so."""
    write(station, 1, name="none").rename(station.input / "undated.csv")
    done = station.cli(
        "runner", "--treatment", "split_days", "--input", "data/in", "--output", "data/split", "--from", day(3)
    )
    assert done.returncode == 0
    assert done.stderr == (
        "note: it looks at its whole folder, so it runs over the whole, whatever --from and --to say\n"
        "note: it runs over the whole folder while input files are of no day: undated.csv\n"
    )
    assert len(os.listdir(station.root / "data" / "split")) == 4
    (station.input / "undated.csv").unlink()
    write(station, 9)
    result = run_treatment("split_days", "data/in", "data/split", prune=True)
    assert result.days == ("2025-12-31", *map(day, (1, 2, 3, 4, 5, 8, 9, 10)))


def test_chunks() -> None:
    """One child for few days; then chunks of 10 to 30 days, as many as a multiple of the children at once."""
    days = [str(number) for number in range(1000)]
    for number in (1, 9, 19):
        assert len(split(days[:number], 4)) == 1
    assert [len(one) for one in split(days[:20], 2)] == [10, 10]
    assert [len(one) for one in split(days[:30], 2)] == [15, 15]
    assert [len(one) for one in split(days[:35], 8)] == [11, 12, 12]
    assert len(split(days[:365], 2)) == 14
    assert [len(one) for one in split(days[:10], 2, 0.85)] == [5, 5]
    assert [len(one) for one in split(days[:10], 2, 0.01)] == [10]
    assert [len(one) for one in split(days[:3], 2, 60)] == [1, 2]
    for number in range(1, 1000, 7):
        for jobs in (1, 2, 3, 8):
            parts = split(days[:number], jobs)
            assert [one for part in parts for one in part] == days[:number]
            assert max(map(len, parts)) <= 30
            assert len(parts) == 1 or min(map(len, parts)) >= 10
            assert len(parts) % jobs == 0 or number < 20 * jobs


def test_chunks_are_sized_by_the_time_of_a_day(copier: SmallProject) -> None:
    """How long a day took is remembered; where it makes fewer days worth a child, ten days are not one chunk."""
    code = COPY.replace("    for name in", "    print(os.environ['PYMYX_DAYS'])\n    for name in")
    copier.treatment("copy", code, **DAY_WISE)
    for number in range(1, 11):
        write(copier, number)
    shown: list[str] = []
    run_treatment("copy", "data/in", "data/out", jobs=2, show=shown.append)
    assert len(shown) == 1
    path = copier.root / "data" / ".pymyx" / "out" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    assert 0 < manifest["last_success"]["day_s"] < 5
    manifest["last_success"]["day_s"] = 0.85
    path.write_text(json.dumps(manifest), encoding="utf-8")
    run_treatment("copy", "data/in", "data/out", jobs=2, force=True, show=shown.append)
    assert sorted(text.count(",") for text in shown[1:]) == [4, 4]


def test_context_days() -> None:
    """The days that a child may make beside those it was asked for are those that its input files may lead to."""
    windows = {day(5): {f"a_{day(4)}": "", f"a_{day(5)}": "", f"a_{day(6)}": ""}}
    assert context_of([day(5)], windows, Days(before=1, after=1)) == set(map(day, (3, 4, 5, 6, 7)))
    windows = {day(5): {f"a_{day(4)}": "", f"a_{day(5)}": ""}}
    assert context_of([day(5)], windows, Days(before=1, after=0)) == set(map(day, (4, 5, 6)))


def test_the_result_does_not_depend_on_chunks(station: SmallProject) -> None:
    """However many children, at once or not: the same bytes."""
    for number in range(1, 29):
        write(station, number, f"{day(number)}T00:00:00Z;{number}\n{day(max(1, number - 1))}T23:00:00Z;{90 - number}\n")
    trees = []
    for jobs in (1, 2, 3):
        run_flow("chain", jobs=jobs, force=True)
        trees.append(
            {name: data for name, (_, data) in snapshot(station.root / "data").items() if ".pymyx" not in name}
        )
        for name in ("split", "rolled", "totals", ".pymyx"):
            shutil.rmtree(station.root / "data" / name)
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) > 28


def test_children_at_once(project: SmallProject) -> None:
    """Chunks run side by side, at most `jobs` at once, each told its share of the processors; one pair of events."""
    code = (
        "import os, time\n"
        "def run(input_dir, output_dir, params):\n"
        "    started = time.monotonic()\n    time.sleep(0.4)\n    ended = time.monotonic()\n"
        "    for name in os.listdir(input_dir):\n"
        "        with open(os.path.join(output_dir, name + '.parquet'), 'w') as file:\n"
        "            file.write(f\"{started} {ended} {os.environ['OMP_NUM_THREADS']}\")\n"
    )
    project.treatment("share", code, **DAY_WISE)
    (project.input / "a.csv").unlink()
    for number in range(1, 31):
        write(project, number)
    for jobs, most in ((1, 1), (2, 2), (3, 3)):
        run_treatment("share", "data/in", "data/out", jobs=jobs, force=True)
        seen = {path.read_text(encoding="utf-8") for path in project.output.iterdir()}
        spans = [tuple(map(float, one.split()[:2])) for one in seen]
        assert len(spans) == (1 if jobs == 1 else jobs)
        assert max(sum(start <= at < end for start, end in spans) for at, _ in spans) == most
        share = max(1, len(os.sched_getaffinity(0)) // most)
        assert {one.split()[2] for one in seen} == {str(share)}
    assert project.statuses == ["share start", "share success"] * 3


def test_a_bad_day_is_told_from_good_ones(copier: SmallProject) -> None:
    """The good days of its chunk are published; it keeps its old output and stays stale; the step fails."""
    for number in range(1, 13):
        write(copier, number)
    run_treatment("copy", "data/in", "data/out")
    old = (copier.output / f"m_{day(7)}.csv.parquet").read_bytes()
    for number in range(1, 13):
        write(copier, number, f"{'boom' if number == 7 else 'new'}\n".rjust(40, "."))
    done = copier.run("copy")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: treatment `copy` failed: ValueError: {35 * '.'}boom\n\n"
        "  at treatments/copy/run.py:6, in run\n"
        "error: treatment `copy` failed for 1 of 12 days: 2026-01-07\n"
        "note: 11 days (2026-01-01 to 2026-01-12) were published\n"
        "note: unchanged in `data/out`: 2026-01-07\n"
    )
    texts = {path.name: path.read_text(encoding="utf-8") for path in copier.output.iterdir()}
    assert texts.pop(f"m_{day(7)}.csv.parquet").encode() == old
    assert set(texts.values()) == {36 * "." + "new\n"}
    assert copier.statuses[-2:] == ["copy start", "copy error"]
    assert copier.events[-1]["error"].endswith("treatment `copy` failed for 1 of 12 days: 2026-01-07")
    planned = plan_treatment("copy", "data/in", "data/out").plan
    assert planned
    assert dict(planned.reasons) == {day(7): "input changed"}
    write(copier, 7, "mended\n".rjust(40, "."))
    assert run_treatment("copy", "data/in", "data/out").days == (day(7),)


def children_of(project: SmallProject, code: str, days: int, **contract: Any) -> int:
    """How many children a failing run starts."""
    project.treatment("fails", f"print('started', flush=True)\n{code}", **{**DAY_WISE, **contract})
    (project.input / "a.csv").unlink()
    for number in range(days):
        (project.input / f"m_{day(1 + number % 28)[:4]}-{1 + number // 28:02}-{1 + number % 28:02}.csv").touch()
    shown: list[str] = []
    with pytest.raises(TreatmentError):
        run_treatment("fails", "data/in", "data/out", show=shown.append, jobs=2)
    assert not project.output.exists() or not os.listdir(project.output)
    return "".join(shown).count("started\n")


def test_a_typo_does_not_start_a_child_for_each_day(project: SmallProject) -> None:
    """Three equal errors end it all."""
    assert children_of(project, "def run(input_dir, output_dir, params):\n    tpyo\n", 300) <= 4


def test_a_typo_of_few_days(project: SmallProject) -> None:
    """The same where there is one chunk to begin with."""
    assert children_of(project, "def run(input_dir, output_dir, params):\n    tpyo\n", 12) <= 7


def test_a_typo_whose_message_names_the_file(project: SmallProject) -> None:
    """While no day was made, errors are equal by type, file and line, whatever they say."""
    code = "import os\ndef run(input_dir, output_dir, params):\n    raise KeyError(sorted(os.listdir(input_dir))[0])\n"
    assert children_of(project, code, 28) <= 7


def test_an_output_that_cannot_be_published_hides_no_failure(project: SmallProject) -> None:
    """What failed before is told with it, and the days of each."""
    code = (
        "import os\n"
        "def run(input_dir, output_dir, params):\n"
        "    if os.environ['PYMYX_DAYS'] != '2026-01-02':\n"
        "        raise ValueError('boom')\n"
        "    os.mkdir(os.path.join(output_dir, 'folder'))\n"
    )
    project.treatment("nests", code, **DAY_WISE)
    (project.input / "a.csv").unlink()
    for number in (1, 2, 3, 4):
        write(project, number)
    with pytest.raises(PublishError) as caught:
        run_treatment("nests", "data/in", "data/out", jobs=1)
    left, raised, days = caught.value.faults
    assert left.what == "the treatment left a folder in its output: `folder`"
    assert raised.what == "treatment `nests` failed: ValueError: boom"
    assert days.what == "treatment `nests` failed for 3 of 4 days: 2026-01-01, 2026-01-03, 2026-01-04"
    assert days.notes == ("nothing was published for 2026-01-01, 2026-01-03, 2026-01-04",)


def test_at_most_five_errors_are_shown(copier: SmallProject) -> None:
    """Days that fail each in its own way are all counted, and five errors are shown."""
    code = COPY.replace("raise ValueError(text)", "raise type(text.strip(), (Exception,), {})('boom')")
    copier.treatment("copy", code, **DAY_WISE)
    write(copier, 1)
    for number in range(2, 11):
        write(copier, number, f"boom{number}\n")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out")
    *shown, summary = caught.value.faults
    assert [fault.what for fault in shown] == [
        f"treatment `copy` failed: run.boom{number}: boom" for number in range(2, 7)
    ]
    assert str(summary) == (
        "treatment `copy` failed for 9 of 10 days: 9 days (2026-01-02 to 2026-01-10)\n"
        "note: 2026-01-01 was published\n"
        "note: nothing was published for 9 days (2026-01-02 to 2026-01-10)\n"
        "note: 4 more errors, each another one, are not shown"
    )


def test_what_is_unchanged_is_told_truly(copier: SmallProject) -> None:
    """Only days that have published files are called unchanged; of all days that failed, not of the first."""
    for number in (1, 2):
        write(copier, number, "fine".ljust(40))
    run_treatment("copy", "data/in", "data/out")
    for number in (1, 2, 3):
        write(copier, number, f"boom {number}".ljust(40))
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out")
    assert str(caught.value.faults[-1]) == (
        "treatment `copy` failed for 3 of 3 days: 2026-01-01, 2026-01-02, 2026-01-03\n"
        "note: unchanged in `data/out`: 2026-01-01, 2026-01-02\n"
        "note: nothing was published for 2026-01-03"
    )
    assert not any("note: " in str(fault) for fault in caught.value.faults[:-1])
    for number in (1, 2):
        write(copier, number, "fine".ljust(40))
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out", from_=day(3))
    [fault] = caught.value.faults
    assert fault.notes == ("nothing was published for 2026-01-03",)


def test_empty_neighbours_are_counted_nowhere(station: SmallProject) -> None:
    """A day that no file is of, neither read nor written, is made with its neighbours and never counted."""
    done = station.cli("flow", "--flow", "chain", "--dry-run")
    assert done.stdout.splitlines()[:2] == [
        "1/3 split_days: data/in -> data/split  4 days to make",
        "  2026-01-01 to 2026-01-04 (4 days)  new",
    ]
    write(station, 4, f"{day(4)}T12:00:00Z;boom\n")
    with pytest.raises(FlowStopped) as caught:
        run_flow("chain")
    assert caught.value.errors[0].faults[-1].what == (
        "treatment `split_days` failed for 2 of 4 days: 2026-01-03, 2026-01-04"
    )


def test_equal_warnings_of_several_children_are_told_once(copier: SmallProject) -> None:
    """With their number; what else is printed is shown as it comes."""
    code = COPY + "    import warnings\n    print('at work')\n    warnings.warn('odd')\n    warnings.warn(name[2:12])\n"
    copier.treatment("copy", code, **DAY_WISE)
    for number in range(1, 29):
        write(copier, number)
    shown: list[str] = []
    run_treatment("copy", "data/in", "data/out", show=shown.append, jobs=2)
    lines = "".join(shown).splitlines()
    assert lines[:3] == ["at work", "at work", "warning: odd (2 times)"]
    assert len(lines) == 5


def test_load_errors_are_not_tried_again(project: SmallProject) -> None:
    """What cannot be loaded for one day cannot be for another."""
    code = "import no_such_package\ndef run(input_dir, output_dir, params):\n    pass\n"
    assert children_of(project, code, 300) <= 2


def test_time_that_is_up_ends_it_when_one_day_needs_more(project: SmallProject) -> None:
    """A treatment that never ends does not use up its time for each chunk, nor for each day."""
    code = "import time\ndef run(input_dir, output_dir, params):\n    time.sleep(60)\n"
    assert children_of(project, code, 300, limits={"timeout_s": 1}) <= 8


def test_a_chunk_whose_time_is_up_is_run_day_by_day(copier: SmallProject) -> None:
    """Its days get the time of one child each, once; the first that needs more ends it, so a backlog shrinks."""
    code = (
        COPY
        + "        if len(os.listdir(input_dir)) > 1 or 'slow' in text:\n            import time\n            time.sleep(60)\n"
    )
    copier.treatment("copy", code, **DAY_WISE, limits={"timeout_s": 2})
    for number in range(1, 8):
        write(copier, number, "slow\n" if number == 5 else "")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out", jobs=1)
    assert sorted(os.listdir(copier.output)) == [f"m_{day(number)}.csv.parquet" for number in (1, 2, 3, 4)]
    assert str(caught.value.faults[-1]) == (
        "treatment `copy` failed for 1 of 7 days: 2026-01-05\n"
        "note: 2026-01-01, 2026-01-02, 2026-01-03, 2026-01-04 were published\n"
        "note: 2026-01-06, 2026-01-07 were not tried\n"
        "note: nothing was published for 2026-01-05, 2026-01-06, 2026-01-07"
    )


def test_crashes_are_told_apart_too(project: SmallProject) -> None:
    """A day on which native code crashes is found like one that raises."""
    code = COPY.replace("raise ValueError(text)", "os.abort()")
    project.treatment("copy", code, **DAY_WISE)
    (project.input / "a.csv").unlink()
    for number in range(1, 9):
        write(project, number, "boom" if number == 3 else "fine")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out")
    assert caught.value.signal == "SIGABRT"
    assert caught.value.faults[-1].what == "treatment `copy` failed for 1 of 8 days: 2026-01-03"
    assert len(os.listdir(project.output)) == 7


@pytest.mark.parametrize(
    ("name", "what"),
    [("summary.parquet", "no day"), ("low__2026-03-01.parquet", "the day 2026-03-01")],
)
def test_files_of_other_days(project: SmallProject, name: str, what: str) -> None:
    """A day-wise treatment that leaves a file of no day, or of one it was not asked for, breaks its contract."""
    project.treatment(
        "strays",
        f"def run(input_dir, output_dir, params):\n    open(output_dir + '/{name}', 'w').close()\n",
        **DAY_WISE,
    )
    (project.input / "a.csv").unlink()
    write(project, 1)
    write(project, 2)
    with pytest.raises(PublishError) as caught:
        run_treatment("strays", "data/in", "data/out")
    assert str(caught.value) == (
        f"the treatment left a file of {what}: `{name}`\n"
        "note: it was run for 2026-01-01 to 2026-01-02; with `days` declared, each output belongs to one of these days, by the date in its name\n"
        "note: `data/out` is unchanged for these days\n"
        "hint: put its day in the name, as <domain>__<YYYY-MM-DD>.parquet; or remove `days` from treatment.json"
    )
    assert not project.output.exists() or not os.listdir(project.output)


def test_paths_are_those_of_the_real_folders(copier: SmallProject) -> None:
    """Where a view or a stage stands in a message, the real folder is shown."""
    code = "def run(input_dir, output_dir, params):\n    print(input_dir, output_dir)\n    raise ValueError(input_dir + ' ' + output_dir)\n"
    copier.treatment("copy", code, **DAY_WISE)
    write(copier, 1)
    done = copier.run("copy")
    assert done.stderr.startswith(
        f"{copier.input} {copier.output}\nerror: treatment `copy` failed: ValueError: data/in data/out\n"
    )
    assert [(event["input_dir"], event["output_dir"]) for event in copier.events] == [("data/in", "data/out")] * 2


def test_archived_input_freezes_its_days(station: SmallProject) -> None:
    """What was made from files that left a raw folder stays, whatever changes, until it is pruned."""
    run_flow("chain")
    before = snapshot(station.root / "data" / "split")
    (station.input / f"m_{day(1)}.csv").unlink()
    (station.root / "treatments" / "split_days" / "helper.py").touch()
    result = run_treatment("split_days", "data/in", "data/split")
    assert result.days == (day(3), day(4), day(5))
    assert result.plan.orphans == ("2025-12-31", day(1), day(2))
    assert snapshot(station.root / "data" / "split") == before
    done = station.cli("flow", "--flow", "chain")
    assert done.returncode == 0
    assert (
        done.stderr
        == "1/3 split_days:\nnote: `data/split` keeps what was made from archived input files (orphan): 2025-12-31, 2026-01-01, 2026-01-02\n"
    )
    write(station, 2, f"{day(2)}T12:00:00Z;33\n")
    with pytest.raises(LateDataError) as caught:
        run_treatment("split_days", "data/in", "data/split")
    assert str(caught.value) == (
        "there is new input for 2026-01-01, 2026-01-02 of `data/split`, made from input files that were archived\n"
        "note: what was made then stays; `data/in` is not what it was made from any more\n"
        "hint: put the archived files back; or see what would go with --dry-run --prune, then let it go with --prune"
    )
    assert run_treatment("split_days", "data/in", "data/split", prune=True).days == (day(1), day(2))
    assert sorted(os.listdir(station.root / "data" / "split")) == [
        f"low__{day(number)}.parquet" for number in (2, 3, 4)
    ]


def test_whole_folder_steps_freeze_as_a_whole(station: SmallProject) -> None:
    """A step that looks at its whole raw folder would lose what was archived: it stays as it is."""
    station.treatment("copy", COPY, input={"format": "csv", "description": "anything"})
    run_treatment("copy", "data/in", "data/out")
    before = snapshot(station.output)
    (station.input / f"m_{day(1)}.csv").unlink()
    (station.root / "treatments" / "copy" / "helper.py").touch()
    result = run_treatment("copy", "data/in", "data/out")
    assert (result.days, result.plan.orphans, snapshot(station.output)) == ((), ("whole",), before)
    write(station, 9)
    with pytest.raises(LateDataError):
        run_treatment("copy", "data/in", "data/out")
    assert run_treatment("copy", "data/in", "data/out", prune=True).days == ("whole",)
    assert len(os.listdir(station.output)) == 4


def test_deletions_propagate_in_derived_folders(station: SmallProject) -> None:
    """What a treatment does not make any more is not input any more; here nothing was archived."""
    run_flow("chain")
    write(station, 2, f"{day(2)}T12:00:00Z;80\n")
    run_flow("chain")
    for name in ("split", "rolled"):
        names = sorted(os.listdir(station.root / "data" / name))
        assert names == [f"high__{day(2)}.parquet", *(f"low__{day(number)}.parquet" for number in (1, 3, 4))]


def test_an_emptied_input_folder(station: SmallProject) -> None:
    """A folder that had files and has none is an unmounted disk, never a deletion, even with --prune."""
    run_flow("chain")
    before = snapshot(station.root / "data")
    shutil.rmtree(station.input)
    station.input.mkdir()
    before = {name: one for name, one in before.items() if not name.startswith("in/")}
    done = station.cli("flow", "--flow", "chain", "--prune")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: the input folder `data/in` had csv files and now has none\n"
        "note: nothing was run; what was made from them stays\nhint: is its disk mounted? put the files back\n"
    )
    assert {name: one for name, one in snapshot(station.root / "data").items() if not name.endswith("lock")} == {
        name: one for name, one in before.items() if not name.endswith("lock")
    }


def test_a_derived_folder_may_become_empty(station: SmallProject) -> None:
    """When the treatment that writes it has nothing to write any more."""
    run_flow("chain")
    code = station.root / "treatments" / "split_days" / "run.py"
    code.write_text("def run(input_dir, output_dir, params):\n    pass\n", encoding="utf-8")
    run_flow("chain", prune=True)
    assert [os.listdir(station.root / "data" / name) for name in ("split", "rolled", "totals")] == [[], [], []]
    assert made(run_flow("chain")) == [(), (), ()]


def test_a_folder_has_one_writer(station: SmallProject) -> None:
    """Another treatment, or another input folder, than the folder was made by is refused."""
    run_flow("chain")
    station.treatment("copy", COPY)
    shutil.copytree(station.input, station.root / "data" / "other")
    with pytest.raises(UsageError) as caught:
        run_treatment("copy", "data/in", "data/split")
    assert str(caught.value) == (
        "the output folder `data/split` is that of treatment `split_days`, not `copy`\n"
        "note: a folder has one writer; nothing was run\n"
        "hint: write to another folder; or, to give it up, remove it and `data/.pymyx/split/manifest.json`"
    )
    with pytest.raises(UsageError) as caught:
        run_treatment("split_days", "data/other", "data/split")
    assert (
        caught.value.faults[0].what == "the output folder `data/split` was made from `data/in`, not from `data/other`"
    )


def test_manifests_of_another_number(station: SmallProject) -> None:
    """One of a newer PyMyx is refused; one that is damaged, where nothing can be lost, means that all is made again."""
    run_flow("chain")
    path = station.root / "data" / ".pymyx" / "split" / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "manifest": 3}), encoding="utf-8")
    done = station.cli("flow", "--flow", "chain")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: the output folder `data/split` was written by a newer PyMyx: its manifest is number 3\n"
    )
    for text in ("", '{"manifest": 1, "treat', '{"manifest": 1}', "[]"):
        path.write_text(text, encoding="utf-8")
        for output in (station.root / "data" / "split").iterdir():
            output.unlink()
        told: list[str] = []
        assert len(run_treatment("split_days", "data/in", "data/split", show=told.append).days) == 6
        assert told == [f"note: the manifest of `data/split` is damaged, all is made again: {path}\n"]


def test_files_of_nobody(copier: SmallProject) -> None:
    """A name that a treatment makes is replaced, with a note when no manifest owned it; other files are never touched."""
    copier.output.mkdir()
    (copier.output / f"m_{day(1)}.csv.parquet").write_text("somebody's", encoding="utf-8")
    (copier.output / f"notes_{day(1)}.txt").write_text("mine", encoding="utf-8")
    write(copier, 1)
    done = copier.run("copy", "--force")
    assert done.returncode == 0
    assert done.stderr == f"note: 1 file that no run owned in `data/out` replaced, first: m_{day(1)}.csv.parquet\n"
    assert (copier.output / f"notes_{day(1)}.txt").read_text(encoding="utf-8") == "mine"


def test_a_project_that_moved(station: SmallProject) -> None:
    """Nothing is made again at another path."""
    run_flow("chain")
    elsewhere = station.root / "elsewhere"
    elsewhere.mkdir()
    for name in ("treatments", "flows", "data"):
        shutil.move(station.root / name, elsewhere / name)
    assert made(run_flow("chain", root=elsewhere)) == [(), (), ()]


def test_touched_files_are_read_once(station: SmallProject) -> None:
    """A file with a new stat and the same bytes makes nothing stale; its stat is remembered."""
    run_flow("chain")
    path = station.root / "data" / ".pymyx" / "split" / "manifest.json"
    old = time.time_ns() - 10**11
    os.utime(station.input / f"m_{day(1)}.csv", ns=(old, old))
    time.sleep(3.1)
    assert made(run_flow("chain")) == [(), (), ()]
    known = json.loads(path.read_text(encoding="utf-8"))
    assert known["inputs"][f"m_{day(1)}.csv"]["stat"][1] == old
    assert all(one["stat"] for made_day in known["days"].values() for one in made_day["outputs"].values())
    written = path.stat().st_mtime_ns
    run_flow("chain")
    assert path.stat().st_mtime_ns == written


def test_new_days_are_not_read_to_plan(copier: SmallProject) -> None:
    """They are stale whatever is in them: a terabyte is planned as fast as a line."""
    with write(copier, 1).open("r+b") as file:
        file.truncate(1 << 40)
    planned = plan_treatment("copy", "data/in", "data/out").plan
    assert planned
    assert planned.reasons == {day(1): "new"}


def test_input_that_changes_before_its_child_reads_it(copier: SmallProject) -> None:
    """A day is recorded with what its child read, not with what was there to plan; what is gone by then is told."""
    names = [f"m_2026-{1 + number // 20:02}-{1 + number % 20:02}.csv" for number in range(40)]
    for name in names:
        (copier.input / name).write_text("old", encoding="utf-8")
    code = COPY.replace(
        "def run(input_dir, output_dir, params):\n",
        "def run(input_dir, output_dir, params):\n"
        "    if os.environ['PYMYX_DAYS'].startswith('2026-01'):\n"
        f"        open('{copier.input}/{names[-1]}', 'w').write('new')\n"
        f"        os.remove('{copier.input}/{names[-2]}')\n",
    )
    copier.treatment("copy", code, **DAY_WISE)
    told: list[str] = []
    result = run_treatment("copy", "data/in", "data/out", jobs=1, confine="off", show=told.append)
    assert len(result.files) == len(names) - 1
    assert told == [f"warning: `data/in/{names[-2]}` is passed over: it is gone\n"]
    assert (copier.output / f"{names[-1]}.parquet").read_text(encoding="utf-8") == "new"
    assert run_treatment("copy", "data/in", "data/out", jobs=1, confine="off").days == ()


def test_input_that_changes_while_it_is_read(copier: SmallProject) -> None:
    """It is seen by the next run, which makes the day again."""
    code = COPY + "        open(os.path.join(input_dir, name), 'a').write('more')\n"
    copier.treatment("copy", code, **DAY_WISE)
    write(copier, 1, "old")
    for expected in ("old", "oldmore"):
        assert run_treatment("copy", "data/in", "data/out", confine="off").days == (day(1),)
        assert (copier.output / f"m_{day(1)}.csv.parquet").read_text(encoding="utf-8") == expected


def test_keep_going(station: SmallProject) -> None:
    """A flow goes on with the good days of a step, tells every failure in the end, and still exits 1."""
    write(station, 4, f"{day(4)}T12:00:00Z;boom\n")
    done = station.cli("flow", "--flow", "chain")
    assert done.returncode == 1
    assert (
        "flow `chain` stopped at step 1/3 `split_days` (why: above)\n  done: none   failed: split_days   not run: rolling_mean, total\n"
        in done.stderr
    )
    done = station.cli("flow", "--flow", "chain", "--keep-going")
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["2/3 rolling_mean", "3/3 total"]
    assert "treatment `split_days` failed for 2 of 2 days: 2026-01-03, 2026-01-04\n" in done.stderr
    assert done.stderr.endswith(
        "error: flow `chain` went on past 1 failed step of 3 (why: above)\n"
        "  done: rolling_mean, total   failed: split_days   not run: none\nhint: mend it, then run the flow again\n"
    )
    assert sorted(os.listdir(station.root / "data" / "rolled")) == [f"low__{day(number)}.parquet" for number in (1, 2)]
    with pytest.raises(FlowStopped) as caught:
        run_flow("chain", keep_going=True)
    assert (caught.value.done, caught.value.failed) == (["rolling_mean", "total"], ["split_days"])


def test_a_grant_that_an_earlier_step_writes(station: SmallProject) -> None:
    """What a step may read beside its input may change with the steps before: dry run and status say so, as of input."""
    (station.root / "data" / "more").mkdir()
    (station.root / "data" / "more" / f"m_{day(1)}.csv").write_text("1", encoding="utf-8")
    for read in ("data/split", f"data/split/low__{day(1)}.parquet"):
        station.treatment("copy", COPY, allow={"read": [read]}, **DAY_WISE)
        station.flow(CHAIN[0], {"treatment": "copy", "input": "more", "output": "copied"})
        run_flow("chain")
        assert [one.may_change for one in plan_flow("chain")] == [False, False]
        assert [one["state"] for one in status_of(find_project(), "chain")["steps"]] == ["up to date"] * 2
        write(station, 1, f"{day(1)}T12:00:00Z;{len(read)}\n")
        assert [one.may_change for one in plan_flow("chain")] == [False, True]
        assert [one["state"] for one in status_of(find_project(), "chain")["steps"]] == ["stale", "may change"]


def test_changed_days_are_the_reason(station: SmallProject) -> None:
    """A day that was made by other `days` says so, unless its own input changed too; made by unknown ones, it does not."""
    run_flow("chain")
    contract = station.root / "treatments" / "split_days" / "treatment.json"
    said = contract.read_text(encoding="utf-8")
    document = json.loads(said)
    for days in ({"before": 2, "after": 1}, {"before": 0, "after": 0}, {"before": 0, "after": 2}):
        contract.write_text(json.dumps({**document, "days": days}), encoding="utf-8")
        assert {reasons()[day(number)] for number in (1, 2, 3, 4)} == {"days changed"}
    write(station, 1, f"{day(1)}T12:00:00Z;9\n")
    assert [reasons()[day(number)] for number in (1, 2)] == ["input changed", "days changed"]
    write(station, 1)

    del document["days"]
    contract.write_text(json.dumps(document), encoding="utf-8")
    assert reasons() == {"whole": "days changed"}
    run_flow("chain")
    assert reasons() == {}
    contract.write_text(said, encoding="utf-8")
    assert {reasons()[day(number)] for number in (1, 2, 3, 4)} == {"days changed"}
    run_flow("chain")
    assert reasons() == {}

    path = station.root / "data" / ".pymyx" / "split" / "manifest.json"  # as one was written before this was recorded
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for one in manifest["days"].values():
        del one["days"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert reasons() == {}
    contract.write_text(
        said.replace('"before": 1', '"before": 0').replace('"after": 1', '"after": 0'), encoding="utf-8"
    )
    assert "days changed" not in reasons().values()
    assert reasons()


def test_a_shrunk_file_does_not_clear_the_error(copier: SmallProject) -> None:
    """A run that finds nothing to make, but a raw file smaller than it was, fails; an error from before holds on."""
    write(copier, 1, "whole\n")
    write(copier, 2, "good\n")
    run_treatment("copy", "data/in", "data/out")
    write(copier, 2, "boom\n")
    with pytest.raises(TreatmentError):
        run_treatment("copy", "data/in", "data/out")
    write(copier, 2, "good\n")
    write(copier, 1, "w\n")
    path = copier.root / "data" / ".pymyx" / "out" / "manifest.json"
    for _ in range(2):
        with pytest.raises(LateDataError):
            run_treatment("copy", "data/in", "data/out")
        assert "boom" in json.loads(path.read_text(encoding="utf-8"))["last_error"]
    write(copier, 1, "whole\n")
    write(copier, 2, "good\n")
    run_treatment("copy", "data/in", "data/out")
    assert json.loads(path.read_text(encoding="utf-8"))["last_error"] is None


def test_all_up_to_date_clears_the_error(station: SmallProject) -> None:
    """A day whose input is again what it was made from has failed no more: flow and status say the same."""
    write(station, 4, f"{day(4)}T12:00:00Z;1234\n")
    run_flow("chain")
    good = (station.input / f"m_{day(4)}.csv").read_bytes()
    write(station, 4, f"{day(4)}T12:00:00Z;boom\n")
    with pytest.raises(FlowStopped):
        run_flow("chain")
    (station.input / f"m_{day(4)}.csv").write_bytes(good)
    project = find_project()
    assert status_of(project, "chain")["steps"][0]["state"] == "failed"
    assert made(run_flow("chain")) == [(), (), ()]
    assert [step["state"] for step in status_of(project, "chain")["steps"]] == ["up to date"] * 3
    assert status_of(project, "chain")["up_to_date"] is True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle(copier: SmallProject, signum: int) -> None:
    """The chunks that are done stay; nothing is left running, no stage, no lock; the next run makes the rest."""
    code = (
        COPY
        + "    if any('2026-01-25' in name for name in os.listdir(input_dir)):\n        import time\n        print('asleep', flush=True)\n        time.sleep(params['s'])\n"
    )
    copier.treatment("copy", code, params={"s": {"type": "integer", "default": 60}}, **DAY_WISE)
    for number in range(1, 29):
        write(copier, number)
    arguments = ("--treatment", "copy", "--input", "data/in", "--output", "data/out", "--jobs", "2")
    with copier.at_work("runner", *arguments) as runner:
        deadline = time.monotonic() + 20
        while not copier.output.exists() or len(os.listdir(copier.output)) < 14:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(BusyError):
            run_treatment("copy", "data/in", "data/out")
        runner.send_signal(signum)
        _, told = runner.communicate(timeout=50)
    if signum == signal.SIGINT:
        assert (
            told
            == f"error: interrupted (SIGINT)\nnote: 14 of 28 days were published; nothing was published for 14 days ({day(15)} to {day(28)})\n"
        )
        assert copier.statuses == ["copy start", "copy error"]
    assert len(os.listdir(copier.output)) == 14
    deadline = time.monotonic() + 5
    while True:
        try:
            result = run_treatment("copy", "data/in", "data/out", {"s": 0})
            break
        except BusyError:  # the warden of what was killed still sweeps
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert len(result.days) == 28  # the params are others
    assert copier.stages == []


def test_no_progress_without_a_terminal(copier: SmallProject) -> None:
    """What cron mails or a log keeps has no line of how far a run was."""
    copier.treatment("copy", COPY + "    import time\n    time.sleep(1.1)\n", **DAY_WISE)
    for number in range(1, 29):
        write(copier, number)
    done = copier.run("copy", "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, "")


def test_progress_on_a_terminal(copier: SmallProject, pseudo_terminal: Callable[[list[str]], str]) -> None:
    """One live line, which is gone in the end."""
    copier.treatment("copy", COPY + "    import time\n    time.sleep(0.7)\n", **DAY_WISE)
    write(copier, 1)
    text = pseudo_terminal(copier.argv("runner", "--treatment", "copy", "--input", "data/in", "--output", "data/out"))
    assert "\r\x1b[Kcopy  0/1 days  0 s" in text
    assert text.rstrip().rpartition("\r")[2].startswith("\x1b[Kcopy: data/in -> data/out  0.")
