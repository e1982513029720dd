"""Two runs on one output folder: the second says who holds it, since when, and does nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest

from pymyx.core.errors import BusyError
from pymyx.core.flow import run_flow
from pymyx.core.incremental.lock import holder, network_disk
from pymyx.core.runner import run_treatment

from ..conftest import SmallProject


@pytest.fixture
def busy(project: SmallProject) -> Iterator[subprocess.Popen[str]]:
    """A runner that is at work on `data/out`."""
    project.misbehaving("sleeps")
    project.treatment("double")
    with project.run_at_work("sleeps") as runner:
        yield runner


def test_the_second_run(project: SmallProject, busy: subprocess.Popen[str]) -> None:
    """It exits 75, names the process and the time, and logs nothing."""
    done = project.run("double")
    assert (done.returncode, done.stdout) == (75, "")
    assert re.fullmatch(
        rf"error: another run holds the output folder `data/out`: process {busy.pid} on {os.uname().nodename}, since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n"
        "note: nothing was run\nhint: wait for it to end, or end it\n",
        done.stderr,
    )
    assert project.statuses == ["sleeps start"]
    busy.terminate()
    busy.communicate(timeout=50)
    assert project.run("double").returncode == 0


def test_other_folders_are_free(project: SmallProject, busy: subprocess.Popen[str]) -> None:
    """The lock is that of one output folder; by whatever way it is named."""
    assert busy.poll() is None
    run_treatment("double", "data/in", "data/other")
    (project.root / "data" / "link").symlink_to("out")
    project.output.mkdir()
    with pytest.raises(BusyError):
        run_treatment("double", "data/in", "data/link")


def test_a_flow_takes_all_its_locks_first(project: SmallProject, busy: subprocess.Popen[str]) -> None:
    """A folder that is held keeps even the first step from running."""
    assert busy.poll() is None
    project.flow(
        {"treatment": "double", "input": "in", "output": "a"}, {"treatment": "double", "input": "a", "output": "out"}
    )
    done = project.cli("flow", "--flow", "chain")
    assert (done.returncode, done.stdout) == (75, "")
    assert "another run holds the output folder `data/out`" in done.stderr
    assert project.statuses == ["sleeps start"]
    assert not (project.root / "data" / "a").exists()


def test_locks_are_let_go(project: SmallProject) -> None:
    """After a run, failed or not, the folder is free, within the same process too."""
    project.treatment("double")
    project.misbehaving("raises")
    project.flow({"treatment": "double", "input": "in", "output": "out"})
    assert project.run("raises").returncode == 1
    run_flow("chain")
    run_treatment("double", "data/in", "data/out")
    run_flow("chain")


def test_network_disks_are_known() -> None:
    """A folder on a network disk is told by the mount that it lies on."""
    mounts = "/dev/vda / ext4 rw 0 0\nserver:/data /mnt/my\\040data nfs4 rw 0 0\n/dev/vdb /mnt/my\\040data/local xfs rw 0 0\n"
    assert network_disk(Path("/mnt/my data/10_parsed"), mounts) == "nfs4"
    assert network_disk(Path("/mnt/my data/local/10_parsed"), mounts) == ""
    assert network_disk(Path("/mnt"), mounts) == ""
    assert network_disk(Path.cwd(), Path("/proc/mounts").read_text(encoding="utf-8")) == ""


def test_a_treatment_cannot_free_the_lock(project: SmallProject) -> None:
    """The lock's descriptor never reaches the treatment, nor can it open the lock file."""
    code = (
        "import fcntl, os\ndef run(input_dir, output_dir, params):\n"
        "    for number in range(3, 100):\n        try:\n            fcntl.flock(number, fcntl.LOCK_UN)\n"
        "        except OSError:\n            continue\n    print('asleep', flush=True)\n    import time\n    time.sleep(600)\n"
    )
    project.treatment("frees", code)
    with project.run_at_work("frees") as runner:
        with pytest.raises(BusyError):
            run_treatment("frees", "data/in", "data/out")
        assert runner.poll() is None


def test_a_lock_of_the_same_number_on_another_disk(project: SmallProject, busy: subprocess.Popen[str]) -> None:
    """It is not the folder's: two disks number their files alike."""
    assert holder(project.output) == {"pid": busy.pid, "since": ANY, "host": os.uname().nodename}
    locks = Path("/proc/locks").read_text(encoding="ascii")
    assert holder(project.output, locks)
    inode = (project.root / "data" / ".pymyx" / "out" / "lock").stat().st_ino
    elsewhere = re.sub(rf"\w+:\w+:{inode}\b", f"7f:7f:{inode}", locks)
    assert elsewhere != locks
    assert holder(project.output, elsewhere) is None
