"""Chunks at a real Dask scheduler with two workers: what holds when one of them, or the scheduler, is lost.

The tests share one cluster; what one of them ended is started again for the next.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pymyx.core import engine

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
QUIET = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1s", "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}
# `pymyx` of little patience: else all that some of these tests would do is wait
HASTY = "from pymyx.cli.main import main; from pymyx.core import engine, workers; {} = {}; main()"


class Cluster:
    """A scheduler and its workers, processes of this test; they know the project by the path that the runner does."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", **environment: str) -> None:
        self.folder, self.host = folder, host
        self.file = folder / "scheduler.json"
        self.environment = {**os.environ, **QUIET, "PYTHONPATH": str(REPO), **environment}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """Start a scheduler, which writes its address into the file."""
        self.file.unlink(missing_ok=True)
        words = ("scheduler", "--host", self.host, "--port", "0", "--no-dashboard", "--no-show")
        self.scheduler = self._started(*words, "--scheduler-file", str(self.file))

    def start_worker(self, **environment: str) -> None:
        """Start one more worker, of one thread."""
        words = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--local-directory", str(self.folder))
        self.workers.append(self._started("worker", "--scheduler-file", str(self.file), *words, **environment))

    def end_workers(self) -> None:
        """End all workers."""
        for worker in self.workers:
            kill(worker)
        self.workers.clear()

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

    def mend(self) -> None:
        """Start what has ended, until two workers are ready at the scheduler."""
        if self.scheduler.poll() is not None:
            self.end_workers()
            self.start_scheduler()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < 2:
            self.start_worker()
        self.until_ready()

    def end(self) -> None:
        """End all of its processes."""
        self.end_workers()
        kill(self.scheduler)


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster as the last test left it."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.end()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """Two workers at a scheduler."""
    shared_cluster.mend()
    return shared_cluster


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of a cluster and see it gone: until then it looks alive to who mends the cluster."""
    process.kill()
    process.wait()


def own_address() -> str:
    """An address of this machine beyond loopback; none is asked for anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to_nobody:
        try:
            to_nobody.connect(("192.0.2.1", 9))
            found = str(to_nobody.getsockname()[0])
        except OSError:
            found = "127.0.0.1"
    if found.startswith("127."):
        pytest.skip("this machine has no address beyond loopback")
    return found


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


def hasty_run(constant: str, seconds: float, *options: str) -> list[str]:
    """The command line of a run whose patience, a constant in a module of PyMyx, is of so many seconds."""
    program = HASTY.format(constant, seconds)
    return [sys.executable, "-c", program, "run", "copy", "--input", "data/in", "--output", "data/out", *options]


def told_by(station: SmallProject, argv: list[str]) -> tuple[int, str]:
    """The exit code of a command line, and what it says on stderr."""
    with station.started(argv) as process:
        _, told = process.communicate(timeout=50)
    return process.returncode, told


def wait_until(so: Callable[[], object]) -> None:
    patience_ends = time.monotonic() + 40
    while not so():
        assert time.monotonic() < patience_ends
        time.sleep(0.02)


@contextmanager
def at_work(
    station: SmallProject, cluster: Cluster, answer_s: float = engine.ANSWER_S
) -> Iterator[subprocess.Popen[str]]:
    """A run at the cluster, once both chunks have begun."""
    argv = hasty_run("engine.ANSWER_S", answer_s, "--executor", f"dask:{cluster.file}")
    with station.started(argv, subprocess.PIPE) as runner:
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
    write(station, 0, seconds=2)
    write(station, 39, seconds=2)
    with at_work(station, cluster) as runner:
        kill(worker_of(station, cluster))
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
    kill(sleeper)


def test_the_scheduler_is_killed(station: SmallProject, cluster: Cluster) -> None:
    """The step fails, and names its days; what was published stays. The next run is told that nobody answers."""
    write(station, 0, seconds=30)
    write(station, 39, seconds=30)
    with at_work(station, cluster, answer_s=2.0) as runner:
        kill(cluster.scheduler)
        _, told = runner.communicate(timeout=50)
    assert runner.returncode == 1
    assert "error: treatment `copy` was lost on its way: " in told
    assert "error: treatment `copy` failed for 40 of 40 days" in told
    wait_until(lambda: not treatments_of(station))
    code, told = told_by(station, hasty_run("engine.ANSWER_S", 0.5, "--executor", f"dask:{cluster.file}"))
    assert code == 2
    assert told.startswith(f"error: no Dask scheduler answers at `{cluster.file}`\n")
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
    cluster.end_workers()
    cluster.start_worker(PYTHONPATH=str(other))
    done = station.run("copy", "--executor", f"dask:{cluster.file}")
    cluster.end_workers()
    assert done.returncode == 1
    assert done.stderr.startswith("error: a worker does not run treatment `copy` as this machine would\n")
    assert "  the code of pymyx is " in done.stderr
    assert not station.output.exists()


def test_a_worker_without_the_folder(station: SmallProject, cluster: Cluster) -> None:
    """It names what it does not see, and nothing is run; as a path that differs, the working directory's serves."""
    here = "/proc/self/cwd"
    where = ("--root", here, "--input", f"{here}/data/in", "--output", f"{here}/data/out")
    done = station.pymyx("run", "copy", *where, "--executor", f"dask:{cluster.file}", "--jobs", "1")
    assert done.returncode == 1
    refused, days = done.stderr.split("error: ")[1:]
    assert refused.startswith("a worker does not run treatment `copy` as this machine would\n")
    assert f"\n  {here}/treatments/copy is not there on {os.uname().nodename}\n" in refused
    assert f"\n  {here}/data/in is not there on {os.uname().nodename}\n" in refused
    assert days.startswith("treatment `copy` failed for 40 of 40 days")
    assert not station.output.exists()


def test_no_worker(station: SmallProject, cluster: Cluster) -> None:
    """That is told once, after a while; when the time of the step is up, it has failed, and nothing was run."""
    cluster.end_workers()
    options = ("--executor", f"dask:{cluster.file}", "--timeout-s", "1")
    code, told = told_by(station, hasty_run("workers.NOTE_S", 0.5, *options))
    assert code == 1
    note, lost, days = told.split("error: ")
    assert note == "note: no worker has taken a chunk for 0.5 s; it is waited for, 1 s in all\n"
    assert lost.startswith("treatment `copy` was lost on its way: no worker took it in 1 s\n")
    assert days.startswith("treatment `copy` failed for 40 of 40 days")
    assert station.statuses == ["copy start", "copy error"]
    assert not station.output.exists()


def test_devices_side_by_side_at_one_scheduler(station: SmallProject, cluster: Cluster) -> None:
    """Each is a flow of its own, and hands its chunks to the same workers."""
    station.flow({"treatment": "copy", "input": "in", "output": "out"})
    roots = [station.root / "stations" / name for name in ("s1", "s2", "s3")]
    for root in roots:
        shutil.copytree(station.input, root / "in")
    (roots[1] / "in" / "m_2026-01-01.csv").write_text("boom", encoding="utf-8")
    words = ("--data", *map(str, roots), "--jobs", "2", "--executor", f"dask:{cluster.file}")
    done = station.pymyx("flow", "chain", *words)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "flow chain: 2 done, 1 failed: s2"
    assert "s2: error: treatment `copy` failed for 1 of 40 days: 2026-01-01\n" in done.stderr
    assert [len(os.listdir(root / "out")) for root in roots] == [40, 39, 40]
    assert sorted(station.statuses) == ["copy error", *["copy start"] * 3, *["copy success"] * 2]


def test_plain_tcp_beyond_loopback(station: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is told once that nothing is encrypted, and how to mend it, whatever the number of steps and of devices."""
    station.flow(
        {"treatment": "copy", "input": "in", "output": "out"},
        {"treatment": "copy", "input": "in", "output": "out-2"},
    )
    other = shutil.copytree(station.input, station.root / "other" / "in").parent
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), own_address())
    try:
        cluster.start_worker()
        wait_until(cluster.file.exists)
        done = station.pymyx("flow", "chain", "--executor", f"dask:{cluster.file}")
        both = station.pymyx("flow", "chain", "--data", "data", str(other), "--executor", f"dask:{cluster.file}")
    finally:
        cluster.end()
    assert (done.returncode, both.returncode) == (0, 0)
    note = (
        rf"note: `tcp://{re.escape(cluster.host)}:\d+` is not encrypted: whoever reaches it runs code on every worker; "
        r"use tls:// \(Dask's distributed.comm.tls\)\n"
    )
    assert re.fullmatch(note, done.stderr)
    assert re.fullmatch(note, both.stderr)


def test_tls(station: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With certificates, which Dask's own settings name, all is made and nothing is told; without, nobody answers."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("cluster")
    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=pymyx")
    files = ("-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(["openssl", "req", *made, *files], cwd=folder, check=True, capture_output=True)
    tls = {"CA_FILE": "cert.pem"} | {
        f"{who}__{what}": f"{what.lower()}.pem" for who in ("SCHEDULER", "WORKER", "CLIENT") for what in ("CERT", "KEY")
    }
    settings = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(folder / file) for name, file in tls.items()}
    cluster = Cluster(folder, f"tls://{own_address()}", **settings)
    try:
        cluster.start_worker()
        wait_until(cluster.file.exists)
        done = station.run("copy", "--executor", f"dask:{cluster.file}", env=settings)
        code, told = told_by(station, hasty_run("engine.ANSWER_S", 0.5, "--executor", f"dask:{cluster.file}"))
    finally:
        cluster.end()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(os.listdir(station.output)) == 40
    assert code == 2
    assert told.startswith(f"error: no Dask scheduler answers at `{cluster.file}`\n")


def test_nobody_at_the_address(station: SmallProject) -> None:
    """Exit 2, and nothing was run: no event, no output."""
    code, told = told_by(station, hasty_run("engine.ANSWER_S", 0.5, "--executor", "dask:tcp://127.0.0.1:9"))
    assert code == 2
    assert told.startswith("error: no Dask scheduler answers at `tcp://127.0.0.1:9`\n")
    assert (station.events, station.output.exists()) == ([], False)
    assert engine.ANSWER_S < 10


def test_nobody_at_the_address_of_several_devices(station: SmallProject) -> None:
    """That is told once, and no device is tried."""
    station.flow({"treatment": "copy", "input": "in", "output": "out"})
    program = HASTY.format("engine.ANSWER_S", 0.5)
    words = ("flow", "chain", "--data", "data", "treatments", "--executor", "dask:tcp://127.0.0.1:9")
    code, told = told_by(station, [sys.executable, "-c", program, *words])
    assert code == 2
    assert told.count("error: no Dask scheduler answers at `tcp://127.0.0.1:9`\n") == 1
    assert "data: " not in told
    assert station.events == []
