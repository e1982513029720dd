"""What a run costs when little or nothing changed: beside make and doit on the same chain, and on ever longer histories.

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
from itertools import pairwise
from pathlib import Path

REPO = Path(__file__).parent.parent.parent
FOLDERS = ["raw", *(f"step_{number}" for number in range(1, 6))]
DOMAINS = ("bio", "env")
SETTLED_S = 4  # after so long the stat of a file is trusted: nothing is read that has not changed

COPY = """import os, shutil

def run(input_dir, output_dir, params):
    for name in os.listdir(input_dir):
        if not name.startswith("_"):
            target = name.replace(".csv", ".parquet")
            shutil.copyfile(os.path.join(input_dir, name), os.path.join(output_dir, target))
"""
NOTHING = "def run(input_dir, output_dir, params):\n    pass\n"
MEDIAN = """import os
import pandas as pd

def run(input_dir, output_dir, params):
    for name in sorted(os.listdir(input_dir)):
        table = pd.read_parquet(os.path.join(input_dir, name))
        table.rolling(301, center=True).median().to_parquet(os.path.join(output_dir, name))
"""
DODO = """from pathlib import Path
FOLDERS = {folders}
def task_copy():
    for source, target in zip(FOLDERS, FOLDERS[1:]):
        for path in sorted(Path(source).iterdir()):
            made = f"{{target}}/{{path.stem}}.parquet"
            yield {{"name": made, "file_dep": [str(path)], "targets": [made], "actions": [f"cp {{path}} {{made}}"]}}
"""


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks incremental", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="times each is run (default: 9)")
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _hourly(root, rounds)
        _up_to_date(root / "365", rounds)
        _from_nothing(root / "nothing", rounds)
        _jobs(root / "jobs", 3)


def _hourly(root: Path, rounds: int) -> None:
    print(f"hourly run, one day grown: 5 steps, {len(DOMAINS)} domains, {rounds} rounds, {os.cpu_count()} processors")
    costs: dict[int, list[float]] = {30: [], 120: [], 365: []}
    for days in costs:
        _station(root / str(days), days)
        _flow(root / str(days))
    time.sleep(SETTLED_S)
    for days in costs:
        _flow(root / str(days))  # from now on the stats of all outputs are trusted
    for _ in range(rounds):
        for days, each in costs.items():
            with (root / str(days) / "data" / "raw" / _name(days - 1, DOMAINS[0])).open("a", encoding="utf-8") as file:
                file.write("more\n")
            each.append(_flow(root / str(days)))
    took = {days: statistics.median(each) for days, each in costs.items()}
    for days, seconds in took.items():
        print(f"  {days:4} days {seconds * 1e3:8.0f} ms")
    extra = (took[365] - took[30]) / 335 * 1e3
    print(
        f"  {extra:.2f} ms a day of history more (at most 0.5); 365 / 30 days: {took[365] / took[30]:.2f} (at most 1.3)"
    )


def _up_to_date(root: Path, rounds: int) -> None:
    time.sleep(SETTLED_S)
    _flow(root)
    data = root / "data"
    (data / "dodo.py").write_text(DODO.format(folders=FOLDERS), encoding="utf-8")
    (data / "Makefile").write_text(_makefile(data), encoding="utf-8")
    doit = [sys.executable, "-m", "doit", "-v", "0", "--reporter", "zero"]
    for command in (["make", "-s", "-j2"], doit):
        subprocess.run(command, cwd=data, check=True, stdout=subprocess.DEVNULL)
    ways: dict[str, Callable[[], float]] = {
        "PyMyx": lambda: _flow(root),
        "make": lambda: _cost(["make", "-s"], data),
        "doit": lambda: _cost(doit, data),
    }
    print(f"up to date: 5 steps, 365 days, {len(DOMAINS)} domains")
    _print(ways, rounds)


def _from_nothing(root: Path, rounds: int) -> None:
    _station(root, 1, NOTHING)

    def first_run() -> float:
        for name in (*FOLDERS[1:], ".pymyx"):
            shutil.rmtree(root / "data" / name, ignore_errors=True)
        return _flow(root)

    bare = [sys.executable, "-I", "-c", "pass"]
    print("5 steps that do nothing (at most 5 times 5 bare interpreters)")
    _print(
        {
            "PyMyx, from nothing": first_run,
            "PyMyx, up to date": lambda: _flow(root),
            "5 x python -I -c pass": lambda: sum(_cost(bare, root) for _ in range(5)),
        },
        rounds,
    )


def _jobs(root: Path, rounds: int) -> None:
    _project(root, {"median": MEDIAN}, [("median", "raw", "medians")], "parquet")
    make = (
        "import sys, numpy, pandas\n"
        "for name in sys.argv[1:]:\n"
        "    values = numpy.random.default_rng(7).normal(size=(86_400, 4)).cumsum(0)\n"
        "    pandas.DataFrame(values, columns=list('abcd')).to_parquet(name)\n"
    )
    days = [str(root / "data" / "raw" / _name(number, "bio", "parquet")) for number in range(40)]
    subprocess.run([sys.executable, "-c", make, *days], check=True)
    print("rolling median of 40 days in pandas, 4 columns (--jobs 2 at least 1.5 times faster)")
    _print({f"--jobs {jobs}": lambda jobs=jobs: _flow(root, "--force", "--jobs", str(jobs)) for jobs in (2, 1)}, rounds)  # type: ignore[misc]


def _print(ways: dict[str, Callable[[], float]], rounds: int) -> None:
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            costs[name].append(way())
    first = statistics.median(next(iter(costs.values())))
    for name, each in costs.items():
        print(f"  {name:24}{statistics.median(each) * 1e3:8.0f} ms   {first / statistics.median(each):6.2f} of it")


def _station(root: Path, days: int, code: str = COPY) -> None:
    """A project of five steps that copy day by day, and its recording."""
    steps = [(f"copy_{number}", FOLDERS[number - 1], FOLDERS[number]) for number in range(1, 6)]
    _project(root, {name: code for name, _, _ in steps}, steps, "csv")
    for number in range(days):
        for domain in DOMAINS:
            (root / "data" / "raw" / _name(number, domain)).write_text(f"{domain} {number}\n" * 20, encoding="utf-8")


def _project(root: Path, code: dict[str, str], steps: list[tuple[str, str, str]], reads: str) -> None:
    (root / "data" / "raw").mkdir(parents=True)
    (root / "flows").mkdir()
    about = {"version": "1.0.0", "description": "Of a benchmark."}
    for number, (name, text) in enumerate(code.items()):
        folder = root / "treatments" / name
        folder.mkdir(parents=True)
        (folder / "run.py").write_text(text, encoding="utf-8")
        formats = {
            "input": {"format": reads if not number else "parquet", "description": "any"},
            "output": {"format": "parquet", "description": "any"},
        }
        contract = {"name": name, **about, **formats, "params": {}, "days": {"before": 0, "after": 0}}
        (folder / "treatment.json").write_text(json.dumps(contract), encoding="utf-8")
    listed = [dict(zip(("treatment", "input", "output"), step, strict=True)) for step in steps]
    flow = {"name": "chain", **about, "steps": listed}
    (root / "flows" / "chain.json").write_text(json.dumps(flow), encoding="utf-8")


def _name(number: int, domain: str, ending: str = "csv") -> str:
    return f"{domain}__{date(2025, 1, 1) + timedelta(days=number)}.{ending}"


def _makefile(data: Path) -> str:
    """The chain as rules of make, one a file."""
    names = sorted(path.stem for path in (data / "raw").iterdir())
    rules = [f"all: {' '.join(f'{FOLDERS[-1]}/{name}.parquet' for name in names)}\n"]
    for source, target in pairwise(FOLDERS):
        ending = "csv" if source == "raw" else "parquet"
        rules += [f"{target}/{name}.parquet: {source}/{name}.{ending}\n\tcp $< $@\n" for name in names]
    return "".join(rules)


def _flow(root: Path, *options: str) -> float:
    # compiled once, as where it is installed, whatever the environment of this run says
    compiled = {"PYTHONPYCACHEPREFIX": str(root.parent / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-m", "pymyx.core.flow", "--flow", "chain", "--root", str(root), *options]
    return _cost(command, root, {**os.environ, "PYTHONPATH": str(REPO), **compiled})


def _cost(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
