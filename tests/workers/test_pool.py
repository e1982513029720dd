"""Chunks in an executor: the same files, the same failures, whoever runs them; a pool of spawned processes shows it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from multiprocessing import resource_tracker
from typing import Any

import pytest

from pymyx.core import engine, workers
from pymyx.core.errors import PublishError, TreatmentError, UsageError
from pymyx.core.runner import run_treatment
from pymyx.core.work import versions

from ..conftest import SmallProject, snapshot, wait_for_the_end

DAY_WISE: dict[str, Any] = {"days": {"before": 0, "after": 0}, "input": {"format": "csv", "description": "anything"}}
COPY = """
import os, shutil, sys, time
def run(input_dir, output_dir, params):
    print("copies", os.environ["LANG"])
    for name in sorted(os.listdir(input_dir)):
        text = open(f"{input_dir}/{name}").read()
        if "boom" in text:
            raise ValueError(text)
        if "crash" in text:
            os.kill(os.getpid(), 11)
        if "slow" in text:
            time.sleep(60)
        if "folder" in text:
            os.mkdir(f"{output_dir}/folder")
        shutil.copy(f"{input_dir}/{name}", f"{output_dir}/{name}.parquet")
"""


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """The process that multiprocessing keeps beside this one is started in no project's folder."""
    resource_tracker.ensure_running()


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    """Two processes that were spawned."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        wait([executor.submit(time.sleep, 0.2) for _ in range(2)])  # both are started, and in no project's folder
        yield executor


@pytest.fixture
def station(project: SmallProject) -> SmallProject:
    """A project with a day-wise treatment, and 40 days of input: two chunks."""
    project.treatment("copy", COPY, **DAY_WISE)
    (project.input / "a.csv").unlink()
    for number in range(40):
        (project.input / name_of(number)).write_text(f"{number}\n", encoding="utf-8")
    return project


def name_of(number: int) -> str:
    return f"m_2026-{1 + number // 20:02}-{1 + number % 20:02}.csv"


def test_the_same_files_and_the_same_manifest(station: SmallProject, pool: Executor) -> None:
    """All is made as here, and nothing again; what is printed is shown; the runner's locale is the workers'."""
    run_treatment("copy", "data/in", "data/here")
    told: list[str] = []
    os.environ["LANG"], before = "xx_XX", os.environ.get("LANG")
    try:
        result = run_treatment("copy", "data/in", "data/out", executor=pool, show=told.append)
    finally:
        os.environ.pop("LANG")
        os.environ |= {"LANG": before} if before else {}
    assert told == ["copies xx_XX\n"] * 2
    assert (len(result.days), len(result.files)) == (40, 40)
    assert snapshot(station.output) == snapshot(station.root / "data" / "here")
    assert run_treatment("copy", "data/in", "data/out").days == ()
    assert station.statuses == ["copy start", "copy success"] * 2


def test_names_that_are_no_text(project: SmallProject, pool: Executor) -> None:
    """Names that are not UTF-8, of folders and of files, go to a worker and come back as they are."""
    project.treatment("copy", COPY, **DAY_WISE)
    folder = project.root / "data" / "caf\udce9"
    folder.mkdir()
    (folder / "caf\udce9_2026-01-01.csv").write_text("1\n", encoding="utf-8")
    run_treatment("copy", folder, "data/out", executor=pool)
    assert os.listdir(os.fsencode(project.output)) == [b"caf\xe9_2026-01-01.csv.parquet"]


def test_the_bad_day_is_told_from_good_ones(station: SmallProject, pool: Executor) -> None:
    """Chunks are halved as here; the error names the file and the line."""
    (station.input / name_of(7)).write_text("boom", encoding="utf-8")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out", executor=pool)
    raised, days = caught.value.faults
    assert raised.what == "treatment `copy` failed: ValueError: boom"
    assert raised.where == "treatments/copy/run.py:8, in run"
    assert days.what == "treatment `copy` failed for 1 of 40 days: 2026-01-08"
    assert len(os.listdir(station.output)) == 39


def test_crash_timeout_and_what_cannot_be_published(station: SmallProject, pool: Executor) -> None:
    """Each is told as here; the worker lives on."""
    for number in range(1, 40):
        (station.input / name_of(number)).unlink()
    for text, error, what in (
        ("crash", TreatmentError, r"treatment `copy` crashed after \d.\d s: SIGSEGV"),
        ("slow", TreatmentError, r"treatment `copy` was stopped after \d.\d s: its time was up \(0.5 s\)"),
        ("folder", PublishError, "the treatment left a folder in its output: `folder`"),
    ):
        (station.input / name_of(0)).write_text(text, encoding="utf-8")
        with pytest.raises(error, match=what):
            run_treatment("copy", "data/in", "data/out", executor=pool, timeout_s=0.5)
    assert not station.output.exists() or not os.listdir(station.output)


def test_input_is_hashed_where_it_is_read(station: SmallProject, pool: Executor) -> None:
    """What is gone by then is told; a terabyte of holes is not read by the runner to plan."""
    for number in range(1, 40):
        (station.input / name_of(number)).unlink()

    class Late(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            (station.input / name_of(0)).write_text("late\n", encoding="utf-8")
            return pool.submit(fn, *args, **kwargs)

    run_treatment("copy", "data/in", "data/out", executor=Late())
    assert (station.output / f"{name_of(0)}.parquet").read_text(encoding="utf-8") == "late\n"
    assert run_treatment("copy", "data/in", "data/out").days == ()


def test_two_attempts_of_one_chunk(station: SmallProject, pool: Executor) -> None:
    """An engine may run work twice: what one of them made is published, the other is ended, or comes too late."""
    first: list[Future[Any]] = []

    class Twice(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            first.append(pool.submit(fn, *args, **kwargs))
            return pool.submit(fn, *args, **kwargs)

    result = run_treatment("copy", "data/in", "data/out", executor=Twice(), jobs=1)
    assert len(result.files) == len(os.listdir(station.output)) == 40
    for future in first:
        assert isinstance(future.exception(30), FileNotFoundError | None)


def test_a_worker_that_would_make_other_results(station: SmallProject, pool: Executor) -> None:
    """Other versions, other code, or no folder: it says in what it differs, and runs nothing; the step names its days.

    So it does where the rest of what it is asked is not as it would have it.
    """

    class Otherwise(Executor):
        def __init__(self, old: str, new: str) -> None:
            self.old, self.new = old, new

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            assert self.old in args[0]
            return pool.submit(fn, args[0].replace(self.old, self.new), **kwargs)

    host = os.uname().nodename
    python = versions()["python"]
    for old, new, told in (
        (f'"python": "{python}"', '"python": "2.7"', f"python is {python} on {host}, 2.7 at the runner"),
        ("the code of pymyx", "the code of PyMyx", "the code of pymyx is .* missing at the runner"),
        (f'"{station.input}"', '"/nowhere"', f"/nowhere is not there on {host}"),
        ('"work": {', '"same": {"python": "4.0"}, "other": {', f"python is {python} on {host}, 4.0 at the runner"),
    ):
        with pytest.raises(TreatmentError) as caught:
            run_treatment("copy", "data/in", "data/out", executor=Otherwise(old, new))
        assert caught.value.exit_code == 1
        refused, days = caught.value.faults
        assert refused.what == "a worker does not run treatment `copy` as this machine would"
        assert len([line for line in refused.evidence if re.search(told, line)]) == 1
        assert days.what == "treatment `copy` failed for 40 of 40 days: 40 days (2026-01-01 to 2026-02-20)"
    assert not station.output.exists()


def test_no_worker(station: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told after a while; when the time of the step is up, it has failed."""

    class Nobody(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return Future()

    monkeypatch.setattr(workers, "NOTE_S", 0.0)
    monkeypatch.setattr(workers, "LOOK_S", 0.05)
    told: list[str] = []
    with pytest.raises(TreatmentError, match=r"was lost on its way: no worker took it in 0.2 s"):
        run_treatment("copy", "data/in", "data/out", executor=Nobody(), timeout_s=0.2, show=told.append)
    assert told == ["note: no worker has taken a chunk for 0 s; it is waited for, 0.2 s in all\n"]


def test_lost_work(station: SmallProject) -> None:
    """Whatever an engine raises in place of an answer, or to take no more, is told; nothing is published."""

    class Losing(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise ConnectionError("the scheduler is gone")

    with pytest.raises(TreatmentError) as caught:
        run_treatment("copy", "data/in", "data/out", executor=Losing())
    assert caught.value.faults[0].what == (
        "treatment `copy` was lost on its way: ConnectionError: the scheduler is gone"
    )
    assert not station.output.exists()


def test_a_worker_that_is_killed_ends_its_treatment(station: SmallProject) -> None:
    """The chunk is lost, and the pool with it; nothing runs on."""
    for number in range(1, 40):
        (station.input / name_of(number)).unlink()
    (station.input / name_of(0)).write_text("slow", encoding="utf-8")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:

        def kill() -> None:
            if any(station.root.rglob("try-*/scratch")):
                for pid in executor._processes:
                    os.kill(pid, signal.SIGKILL)

        with pytest.raises(TreatmentError, match="lost on its way: BrokenProcessPool"):
            run_treatment("copy", "data/in", "data/out", executor=executor, tick_s=0.1, progress=lambda *told: kill())
    wait_for_the_end(station.root)


def test_addresses_that_cannot_be(station: SmallProject) -> None:
    """They are told before anything runs."""
    for address in ("dask:", "ray://here"):
        with pytest.raises(UsageError) as caught:
            run_treatment("copy", "data/in", "data/out", executor=address)
        assert str(caught.value) == (
            f"executor is `{address}`\n  accepted: dask:ADDRESS, or dask:FILE that a scheduler wrote"
        )
    assert station.events == []
    assert not engine.is_open("tls://10.0.0.1:8786")
    assert not engine.is_open("tcp://127.0.0.1:8786") and not engine.is_open("tcp://[::1]:8786")
    assert engine.is_open("tcp://10.0.0.1:8786") and engine.is_open("tcp://node7:8786")
