"""Several devices: `--data` with several folders, each a flow of its own, side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pymyx.cli.devices import names_of, run_each, summed_up
from pymyx.core.options import Options

from ..conftest import REPO, SmallProject, heed_interrupts, processes_of, wait_for_the_end

COPY = """
import os, shutil
def run(input_dir, output_dir, params):
    for name in os.listdir(input_dir):
        text = open(f"{input_dir}/{name}").read()
        if "boom" in text:
            raise ValueError(text)
        print(f"{text}, {os.environ['OMP_NUM_THREADS']} threads")
        shutil.copy(f"{input_dir}/{name}", f"{output_dir}/{name}.parquet")
"""


@pytest.fixture
def fleet(project: SmallProject) -> SmallProject:
    """A project with a flow of one step, and three devices in `stations/`."""
    project.treatment("copy", COPY, input={"format": "csv", "description": "anything"})
    project.flow({"treatment": "copy", "input": "in", "output": "out"})
    for name in ("s1", "s2", "s3"):
        folder = project.root / "stations" / name / "in"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(f"of {name}", encoding="utf-8")
    return project


ROOTS = ("stations/s1", "stations/s2", "stations/s3")


def processors() -> int:
    """Those that this process may use."""
    return Options().processors


def test_each_device_is_a_flow_of_its_own(fleet: SmallProject) -> None:
    """All are made, each line behind its device; the last line sums up; a second run has nothing to do.

    The devices at work share the processors.
    """
    done = fleet.pymyx("flow", "chain", "--data", *ROOTS, "--jobs", "2")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "flow chain: 3 done")
    for name in ("s1", "s2", "s3"):
        assert (fleet.root / "stations" / name / "out" / "a.csv.parquet").read_text(encoding="utf-8") == f"of {name}"
        assert f"{name}: 1/1 copy:\n" in done.stderr
        assert f"{name}: of {name}, {max(1, processors() // 2)} threads\n" in done.stderr
        assert f"{name}: 1/1 copy: stations/{name}/in -> stations/{name}/out  " in done.stdout
    assert sorted(fleet.statuses) == ["copy start"] * 3 + ["copy success"] * 3
    again = fleet.pymyx("flow", "chain", "--data", *ROOTS, "--quiet")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(fleet.events) == 6


def test_a_device_that_fails_stops_nobody(fleet: SmallProject) -> None:
    """The others are made; the failed ones are named, in the order given; the exit code is the worst: 1, 2, 75."""
    (fleet.root / "stations" / "s2" / "in" / "a.csv").write_text("boom", encoding="utf-8")
    (fleet.root / "stations" / "notes.txt").touch()
    done = fleet.pymyx("flow", "chain", "--data", "stations/notes.txt", *ROOTS, "--jobs", "2", "--quiet")
    assert (done.returncode, done.stdout) == (1, "flow chain: 2 done, 2 failed: notes.txt, s2\n")
    assert "s2: error: treatment `copy` failed: ValueError: boom\n" in done.stderr
    assert f"notes.txt: error: the data root `{fleet.root}/stations/notes.txt` is not a folder\n" in done.stderr
    told = fleet.pymyx("status", "chain", "--data", "stations/notes.txt", *ROOTS)
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        f"notes.txt: the data root `{fleet.root}/stations/notes.txt` is not a folder",
        "s2: chain 1/1 copy: stale, 1 day to make",
        "2 up to date, 2 not: notes.txt, s2",
    ]
    document = json.loads(fleet.pymyx("status", "chain", "--json", "--data", *ROOTS).stdout)
    assert (document["up_to_date"], list(document["devices"])) == (False, ["s1", "s2", "s3"])
    assert [one["up_to_date"] for one in document["devices"].values()] == [True, False, True]


def test_wrong_options_are_told_once(fleet: SmallProject) -> None:
    """What is wrong for all is no business of each device."""
    done = fleet.pymyx("flow", "chain", "--data", *ROOTS, "--jobs", "0")
    assert (done.returncode, done.stderr) == (2, "error: jobs is 0\n  accepted: children at once, at least 1\n")


def test_what_is_so_of_the_system_is_told_once(fleet: SmallProject) -> None:
    """An older kernel confines no device in full; that is no news of any of them."""
    argv = ["-m", "tests.without_landlock", sys.executable, "-m", "pymyx", "flow", "chain", "--data", *ROOTS]
    with fleet.started([sys.executable, *argv]) as process:
        _, told = process.communicate(timeout=50)
    assert process.returncode == 0
    assert told.count("note: this system cannot keep treatments from: ") == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_all(fleet: SmallProject, signum: int, code: int) -> None:
    """Every device's flow is ended as it is alone: an error event each, no stage and no process left."""
    fleet.misbehaving("sleeps")
    fleet.flow({"treatment": "sleeps", "input": "in", "output": "out"})
    argv = [sys.executable, "-m", "pymyx", "flow", "chain", "--data", *ROOTS, "--jobs", "2"]
    with fleet.started(argv) as process:
        assert process.stderr
        asleep = 0
        while asleep < 2:
            asleep += process.stderr.readline().endswith("asleep\n")
        process.send_signal(signum)
        _, told = process.communicate(timeout=50)
    assert process.returncode == code
    assert "error: interrupted" in told or "error: terminated" in told
    assert sorted(fleet.statuses) == ["sleeps error"] * 2 + ["sleeps start"] * 2


STRUCK = """
import os, signal, subprocess, sys

class Struck(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen = Struck
from pymyx.cli.main import main
main()
"""


def test_a_signal_that_comes_while_a_device_is_started_ends_it_too(fleet: SmallProject) -> None:
    """It strikes only once the device is known, so that none runs on."""
    fleet.misbehaving("sleeps")
    fleet.flow({"treatment": "sleeps", "input": "in", "output": "out"})
    argv = [sys.executable, "-c", STRUCK, "flow", "chain", "--data", *ROOTS, "--jobs", "2"]
    done = subprocess.run(
        argv,
        cwd=fleet.root,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
        preexec_fn=heed_interrupts,
    )
    assert done.returncode == 143
    assert processes_of(fleet.root) == []


def test_devices_end_with_a_parent_that_is_killed(fleet: SmallProject) -> None:
    """They end as at any SIGTERM: the stages are cleared, the errors logged."""
    fleet.misbehaving("sleeps")
    fleet.flow({"treatment": "sleeps", "input": "in", "output": "out"})
    argv = [sys.executable, "-m", "pymyx", "flow", "chain", "--data", *ROOTS, "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen(
        argv, cwd=fleet.root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stderr
        asleep = 0
        while asleep < 2:
            asleep += process.stderr.readline().endswith("asleep\n")
        process.kill()
    wait_for_the_end(fleet.root, patience_s=30)
    assert sorted(fleet.statuses) == ["sleeps error"] * 2 + ["sleeps start"] * 2


def test_a_device_that_cannot_be_started_stops_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """It has failed, and says why."""
    codes = run_each({"a": ["/nowhere/python"], "b": [sys.executable, "-c", "print('here')"]}, 2)
    assert codes == {"a": 1, "b": 0}
    assert capfd.readouterr() == ("b: here\n", "a: error: it cannot be started: No such file or directory\n")


def test_a_line_without_an_end_fills_no_memory(capfd: pytest.CaptureFixture[str]) -> None:
    """What is too long for a line is shown in parts."""
    assert run_each({"a": [sys.executable, "-c", "print('x' * 300_000, end='')"]}, 1) == {"a": 0}
    lines = [line.removeprefix("a: ") for line in capfd.readouterr().out.splitlines()]
    assert "".join(lines) == "x" * 300_000
    assert max(map(len, lines)) < 200_000


def test_names_of_devices() -> None:
    """A device is named by its folder, by the path where two are alike; a folder that is given twice is one."""
    assert names_of(["a/s1", "b/s1", "a/s2", "a/s2/"]) == {"a/s1": "a/s1", "b/s1": "b/s1", "a/s2": "s2"}
    assert names_of([str(Path("x")), "./x"]) == {"x": "x"}


def test_the_worst_exit_code() -> None:
    """A failure outweighs wrong use, and that a busy folder; a death by signal is a failure."""
    assert summed_up({"a": 0, "b": 75}) == ("1 done, 1 busy: b", 75)
    assert summed_up({"a": 2, "b": 75, "c": 0}) == ("1 done, 1 failed: a, 1 busy: b", 2)
    assert summed_up({"a": 2, "b": -9}) == ("0 done, 2 failed: a, b", 1)
