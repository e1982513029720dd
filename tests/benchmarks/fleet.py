"""What many devices cost, side by side and at a Dask scheduler with two workers; and what 1,000 would cost in a year.

All are whole processes, run in turn; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.recording import write_days

REPO = Path(__file__).parent.parent.parent
STATIONS, DAYS, MANY = 8, 10, 10_000
MEDIAN = """import os
import pandas as pd

def run(input_dir, output_dir, params):
    for name in sorted(os.listdir(input_dir)):
        table = pd.read_parquet(os.path.join(input_dir, name)).select_dtypes("number")
        table.rolling(301, center=True).median().to_parquet(os.path.join(output_dir, name))
"""


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks fleet", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times each is run (default: 3)")
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _project(root)
        write_days(root / "data" / "raw", days=30)
        parse_s = _dask(root, rounds)
        _devices(root, rounds)
        plan_s = _planning(root / "many")
    print("a year of 1,000 stations, computed from these")
    print(f"  parse, one processor: {parse_s * 2 / 30 * 365_000 / 3600:.1f} h (30 days on two took {parse_s:.2f} s)")
    print(f"  planning, from nothing: {plan_s / MANY * 365_000:.0f} s in all")


def _project(root: Path) -> None:
    shutil.copytree(REPO / "treatments" / "parse", root / "treatments" / "parse")
    median = root / "treatments" / "median"
    median.mkdir()
    (median / "run.py").write_text(MEDIAN, encoding="utf-8")
    reads = {"format": "parquet", "description": "anything"}
    contract = {"name": "median", "version": "1.0.0", "description": "A rolling median.", "input": reads}
    contract |= {"output": reads, "params": {}, "days": {"before": 0, "after": 0}}
    (median / "treatment.json").write_text(json.dumps(contract), encoding="utf-8")
    (root / "flows").mkdir()
    steps = [
        {"treatment": "parse", "input": "raw", "output": "parsed"},
        {"treatment": "median", "input": "parsed", "output": "median"},
    ]
    flow = {"name": "two", "version": "1.0.0", "description": "Parse and a pandas step.", "steps": steps}
    (root / "flows" / "two.json").write_text(json.dumps(flow), encoding="utf-8")


def _dask(root: Path, rounds: int) -> float:
    """Local children against workers; the seconds that parse takes here."""
    file = root / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # one processor for each child, as two of them get here; Dask's nanny, which is left out, sets it so
    place = {"cwd": root, "env": {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}, **quiet}
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    started = [subprocess.Popen([*dask, "scheduler", *words], **place)]
    try:
        words = ["--scheduler-file", str(file), "--no-dashboard", "--no-nanny", "--nthreads", "1"]
        started += [subprocess.Popen([*dask, "worker", *words], **place) for _ in range(2)]
        time.sleep(4)  # for the workers to be there
        took_s = 0.0
        for name, source, output, most in (("parse", "raw", "parsed", 1.20), ("median", "parsed", "median", 1.10)):
            run = ["run", name, "--input", f"data/{source}", "--output", f"data/{output}", "--jobs", "2", "--force"]
            _cost(root, *run)  # what it reads is settled, and in the cache
            ways: dict[str, Callable[[], float]] = {
                "--jobs 2": lambda run=run: _cost(root, *run),  # type: ignore[misc]
                "Dask, two workers": lambda run=run: _cost(root, *run, "--executor", f"dask:{file}"),  # type: ignore[misc]
            }
            took = _compared(f"{name}, 30 days (at most {most:.2f})", ways, rounds)
            took_s = took_s or took
        return took_s
    finally:
        for process in started:
            process.kill()
            process.wait()


def _devices(root: Path, rounds: int) -> None:
    stations = [root / "stations" / f"s{number}" for number in range(STATIONS)]
    names = sorted((root / "data" / "raw").iterdir())[:DAYS]
    for station in stations:
        (station / "raw").mkdir(parents=True)
        for name in names:
            shutil.copy(name, station / "raw")

    def forget() -> None:
        # once it is known how long a day takes, ten days may be worth two children, and a loop uses both processors
        for station in stations:
            for made in (".pymyx", "parsed", "median"):
                shutil.rmtree(station / made, ignore_errors=True)

    def loop() -> float:
        forget()
        return sum(_cost(root, "flow", "two", "--jobs", "2", "--data", str(one)) for one in stations)

    def side_by_side() -> float:
        forget()
        return _cost(root, "flow", "two", "--jobs", "2", "--data", *map(str, stations))

    ways: dict[str, Callable[[], float]] = {"a loop, --jobs 2": loop, "--data s0 … s7 --jobs 2": side_by_side}
    what = f"{STATIONS} stations x {DAYS} days, parse and median, made for the first time (at most 0.65)"
    _compared(what, ways, max(1, rounds - 1))


def _planning(root: Path) -> float:
    """The seconds that a plan of many unknown days takes."""
    from pymyx.core.runner import plan_treatment

    (root / "in").mkdir(parents=True)
    for number in range(MANY):
        (root / "in" / f"m_{date(1999, 1, 1) + timedelta(number)}.csv").write_bytes(b"x" * 100_000)
    took = []
    for _ in range(3):
        started = time.perf_counter()
        plan_treatment("parse", root / "in", root / "out", root=root.parent)
        took.append(time.perf_counter() - started)
    print(f"planning {MANY:,} days that are not known, 1 GB: {statistics.median(took) * 1e3:.0f} ms")
    return statistics.median(took)


def _compared(title: str, ways: dict[str, Callable[[], float]], rounds: int) -> float:
    """Print the medians of the ways, with their ratio to the first, which is returned."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(way())
    medians = {name: statistics.median(each) for name, each in took.items()}
    first = next(iter(medians.values()))
    print(f"{title}, {rounds} rounds")
    for name, seconds in medians.items():
        print(f"  {name:26} {seconds:7.2f} s {seconds / first:6.2f}", flush=True)
    return first


def _cost(root: Path, *words: str) -> float:
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    argv = [sys.executable, "-m", "pymyx", *words, "--quiet"]
    subprocess.run(argv, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
