"""Chunks at a real Dask scheduler with two workers: what holds when one of them, or the scheduler, is lost."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..conftest import REPO, SmallProject, heed_interrupts, processes_of, snapshot

pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dask]'")

DAY_WISE: dict[str, Any] = {"days": {"before": 0, "after": 0}, "input": {"format": "csv", "description": "anything"}}
COPY = """
import os, shutil, time
def run(input_dir, output_dir, params):
    for name in sorted(os.listdir(input_dir)):
        text = open(f"{input_dir}/{name}").read()
        time.sleep(float(text.split()[1]))
        shutil.copy(f"{input_dir}/{name}", f"{output_dir}/{name}.parquet")
"""
QUIET = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s", "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}


class Cluster:
    """A scheduler and its workers, processes of this test; they know the project by the path that the runner does."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.folder = folder
        self.environment = {**os.environ, **QUIET, "PYTHONPATH": str(REPO)}
        scheduler = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        self.scheduler = self._started(*scheduler, "--scheduler-file", str(self.file))
        self.workers = [self.worker(), self.worker()]

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """One more worker, of one thread."""
        words = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--local-directory", str(self.folder))
        return self._started("worker", "--scheduler-file", str(self.file), *words, **environment)

    def _started(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=heed_interrupts,  # noqa: PLW1509  no other thread is running
        )

    def until_ready(self, workers: int = 2) -> None:
        """Wait for the scheduler and so many workers."""
        from distributed import Client

        wait_until(self.file.exists)
        with Client(scheduler_file=str(self.file), set_as_default=False, timeout=30) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(workers, timeout=30)

    def end(self) -> None:
        """End all of its processes."""
        for process in (self.scheduler, *self.workers):
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers at a scheduler."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture
def station(project: SmallProject) -> SmallProject:
    """A project with a day-wise treatment; each file says how many seconds it takes."""
    project.treatment("copy", COPY, **DAY_WISE)
    (project.input / "a.csv").unlink()
    for number in range(40):
        write(project, number)
    return project


def write(station: SmallProject, number: int, seconds: float = 0.0) -> None:
    name = f"m_2026-{1 + number // 20:02}-{1 + number % 20:02}.csv"
    (station.input / name).write_text(f"{number} {seconds}\n", encoding="utf-8")


def wait_until(so: Callable[[], object]) -> None:
    patience_ends = time.monotonic() + 40
    while not so():
        assert time.monotonic() < patience_ends
        time.sleep(0.02)


@contextmanager
def at_work(station: SmallProject, cluster: Cluster, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run at the cluster, once both chunks have begun."""
    argv = station.argv("runner", "--treatment", "copy", "--input", "data/in", "--output", "data/out", *options)
    with station.started([*argv, "--executor", f"dask:{cluster.file}"], subprocess.PIPE) as runner:
        try:
            wait_until(lambda: len(treatments_of(station)) == 2 or runner.poll() is not None)
            assert runner.poll() is None, runner.communicate()
            yield runner
        finally:
            runner.kill()


def on_stages(station: SmallProject, what: str = "") -> list[str]:
    """The stages, or what is on them; they may go while one looks."""
    return glob.glob(f"{station.root}/data/.pymyx/out/stage-*{what}")


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def treatments_of(station: SmallProject) -> list[int]:
    """The treatments at work, by their processes: each a warden and its child, of whom the child is told."""
    pids = [int(line.partition(":")[0]) for line in processes_of(station.root) if "/shim/shim.py" in line]
    return [pid for pid in pids if parent_of(pid) in pids]


def worker_of(station: SmallProject, cluster: Cluster) -> subprocess.Popen[bytes]:
    """A worker that has a treatment at work."""
    runners = {parent_of(parent_of(pid)) for pid in treatments_of(station)}
    return next(worker for worker in cluster.workers if worker.pid in runners)


def test_the_same_bytes(station: SmallProject, cluster: Cluster) -> None:
    """All is made as on this machine; the log and the manifest are the runner's."""
    assert station.run("copy").returncode == 0
    before = snapshot(station.output)
    shutil.rmtree(station.output)
    shutil.rmtree(station.root / "data" / ".pymyx")
    done = station.run("copy", "--executor", f"dask:{cluster.file}")
    assert (done.returncode, done.stderr) == (0, "")
    assert snapshot(station.output) == before
    assert station.run("copy").stdout.startswith("copy: data/in -> data/out  up to date")
    assert station.statuses == ["copy start", "copy success"] * 2


def test_a_worker_is_killed(station: SmallProject, cluster: Cluster) -> None:
    """Its treatment goes with it; another worker makes the chunk; nothing is missing, nothing is left."""
    write(station, 0, seconds=3)
    write(station, 39, seconds=3)
    with at_work(station, cluster) as runner:
        worker_of(station, cluster).kill()
        _, told = runner.communicate(timeout=50)
    assert (runner.returncode, told) == (0, "")
    assert len(os.listdir(station.output)) == 40


def test_a_frozen_worker_wakes(station: SmallProject, cluster: Cluster) -> None:
    """Its chunk is given to another; it finds its stage gone when it wakes, and what it made is not published."""
    write(station, 0, seconds=2)
    write(station, 39, seconds=2)
    with at_work(station, cluster) as runner:
        sleeper = worker_of(station, cluster)
        sleeper.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: len(on_stages(station, "/try-*")) >= 3 or runner.poll() is not None)
            _, told = runner.communicate(timeout=50)
        finally:
            sleeper.send_signal(signal.SIGCONT)
    assert (runner.returncode, told) == (0, "")
    assert len(os.listdir(station.output)) == 40
    wait_until(lambda: not treatments_of(station) and not on_stages(station))


def test_the_scheduler_is_killed(station: SmallProject, cluster: Cluster) -> None:
    """The step fails, and names its days; what was published stays. The next run is told that nobody answers."""
    write(station, 0, seconds=30)
    write(station, 39, seconds=30)
    with at_work(station, cluster) as runner:
        cluster.scheduler.kill()
        _, told = runner.communicate(timeout=50)
    assert runner.returncode == 1
    assert "error: treatment `copy` was lost on its way: " in told
    assert "error: treatment `copy` failed for 40 of 40 days" in told
    wait_until(lambda: not treatments_of(station))
    again = station.run("copy", "--executor", f"dask:{cluster.file}")
    assert again.returncode == 2
    assert again.stderr.startswith(f"error: no Dask scheduler answers at `{cluster.file}`\n")
    assert station.statuses == ["copy start", "copy error"]


def test_ctrl_c(station: SmallProject, cluster: Cluster) -> None:
    """The run ends at once, the treatments soon after it; the workers live on."""
    write(station, 0, seconds=30)
    write(station, 39, seconds=30)
    with at_work(station, cluster) as runner:
        runner.send_signal(signal.SIGINT)
        runner.communicate(timeout=50)
    assert runner.returncode == 130
    wait_until(lambda: not treatments_of(station) and not on_stages(station))
    assert all(worker.poll() is None for worker in cluster.workers)
    write(station, 0)
    write(station, 39)
    assert station.run("copy", "--executor", f"dask:{cluster.file}").returncode == 0


def test_a_worker_is_not_as_the_runner(station: SmallProject, cluster: Cluster, tmp_path: Path) -> None:
    """Another code of PyMyx: the step fails, says in what they differ, and nothing is run."""
    other = tmp_path / "other"
    shutil.copytree(REPO / "pymyx", other / "pymyx", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "pymyx" / "core" / "errors.py").open("a", encoding="utf-8") as file:
        file.write("# another commit\n")
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    cluster.workers = [cluster.worker(PYTHONPATH=str(other))]
    cluster.until_ready(1)
    done = station.run("copy", "--executor", f"dask:{cluster.file}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: a worker does not run treatment `copy` as this machine would\n")
    assert "  the code of pymyx is " in done.stderr
    assert not station.output.exists()


def test_nobody_at_the_address(station: SmallProject) -> None:
    """Exit 2, and nothing was run: no event, no output."""
    done = station.run("copy", "--executor", "dask:tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Dask scheduler answers at `tcp://127.0.0.1:9`\n")
    assert (station.events, station.output.exists()) == ([], False)
