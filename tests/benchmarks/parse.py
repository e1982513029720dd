"""`parse` through the runner, beside the same job written with pandas, Polars and DuckDB, and a read-only floor.

Each is a whole process; all are run in turn, again and again, and medians are compared. What differs from
round to round is the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.recording import write_days

REPO = Path(__file__).parent.parent.parent
PEERS = {
    "Polars, whole folder": "polars_folder",
    "Polars, file by file": "polars_files",
    "DuckDB": "duckdb_",
    "pandas": "pandas_",
    "pyarrow, reading only": "floor",
}


class Cost(NamedTuple):
    """What one command took, with all the processes it started; see `usage.py`."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output_mb: float


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks parse", description=__doc__)
    parser.add_argument("--days", type=int, default=30, metavar="N", help="days of 86,400 rows (default: 30)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times each is run (default: 5)")
    parser.add_argument("--before", type=Path, metavar="DIR", help="another treatments/parse, measured beside")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(REPO / "treatments" / "parse", root / "parse" / "treatments" / "parse")
        ours = ["parse"]
        if options.before:
            ours.append("before")
            shutil.copytree(options.before, root / "before" / "treatments" / "parse")
        days = _recording(root / "days", options.days)
        size = sum(path.stat().st_size for path in days) / 1e6
        print(f"{options.days} days, {size:.0f} MB, {options.rounds} rounds, {os.cpu_count()} processors")
        costs = _measure(root, root / "days", [*ours, *PEERS], options.rounds)
        _print(costs)
        few = options.days // 3 or 1
        changes = {"clean": _clean, "0.1 % of lines damaged": _damage, "key:value": _keyed, "quoted": _quoted}
        for name, change in (changes | STAMPS).items():
            _recording(root / name, few, change)
        variants: dict[str, dict[str, list[Cost]]] = {}
        for name in [*changes, *STAMPS]:
            of_new_params = name in STAMPS  # which an older parse may not have
            measured = _measure(
                root, root / name, ["parse"] if of_new_params else ours, options.rounds, FORMATS.get(name)
            )
            for one, each in measured.items():
                variants.setdefault(one, {})[name] = each
        for one, costs_of_it in variants.items():
            print(f"{one}, {few} days")
            _print(costs_of_it)
        _recording(root / "many", 4 * options.days)
        many = _measure(root, root / "many", ["parse"], 1)["parse"]
        peak = statistics.median(cost.peak_mb for cost in costs["parse"])
        print(
            f"parse, peak memory: {peak:.0f} MB for {options.days} days, {many[0].peak_mb:.0f} MB for {4 * options.days}"
        )


def _clean(line: str, chance: random.Random) -> str:
    return line


def _damage(line: str, chance: random.Random) -> str:
    if chance.random() >= 0.001:
        return line
    place = chance.randrange(len(line) - 1)
    return chance.choice([line[:place] + "\n", line[:place] + "#" + line[place + 1 :], line.replace(";", ";12.0", 1)])


def _keyed(line: str, chance: random.Random) -> str:
    stamp, *values = line.rstrip("\n").split(";")
    names = [*(f"m{number}" for number in range(12)), "outdoor_temp"]
    fields = [f"{name}:{value}" for name, value in zip(names, values, strict=True)]
    return ";".join([stamp, *fields]) + "\n" if stamp != "ts" else ""


def _quoted(line: str, chance: random.Random) -> str:
    return '"' + line.rstrip("\n").replace(";", '";"') + '"\n'


def _day_first(line: str, chance: random.Random) -> str:
    return _stamped(line, lambda moment: f"{moment:{FORMATS['strptime']}}")


def _epoch(line: str, chance: random.Random) -> str:
    return _stamped(line, lambda moment: f"{moment.timestamp():.6f}")


def _stamped(line: str, written: Callable[[datetime], str]) -> str:
    stamp, _, values = line.partition(";")
    return f"{written(datetime.fromisoformat(stamp))};{values}"


FORMATS = {"strptime": "%d/%m/%Y %H:%M:%S.%f", "epoch": "epoch_s"}
STAMPS = {"strptime": _day_first, "epoch": _epoch}


def _recording(folder: Path, days: int, change: Callable[[str, random.Random], str] = _clean) -> list[Path]:
    folder.mkdir()
    files = write_days(folder, days=days)
    chance = random.Random(7)
    for path in files if change is not _clean else []:
        head, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        first = head if change is not _keyed else ""
        path.write_text(first + "".join(change(line, chance) for line in lines), encoding="utf-8")
    return files


def _measure(
    root: Path, source: Path, names: list[str], rounds: int, stamps: str | None = None
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            output = root / "outputs" / name
            shutil.rmtree(output.parent, ignore_errors=True)
            output.mkdir(parents=True)
            folders = ["--input", str(source), "--output", str(output)]
            project = ["--root", str(root / name), "--treatment", "parse"]
            command = [sys.executable, "-m", "pymyx.core.runner", *project, *folders]
            command += ["--params", json.dumps({"timestamp_format": stamps})] if stamps else []
            if name in PEERS:
                peer = Path(__file__).parent / "peers" / f"{PEERS[name]}.py"
                command = [sys.executable, str(peer), str(source), str(output)]
            costs[name].append(_cost(command, output))
    return costs


def _cost(command: list[str], output: Path) -> Cost:
    # compiled once, as where it is installed, whatever the environment of this run says
    compiled = {"PYTHONPYCACHEPREFIX": f"{output.parent.parent}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, "PYTHONPATH": str(REPO), **compiled}
    usage = [sys.executable, "-I", "-S", str(Path(__file__).parent / "usage.py")]
    done = subprocess.run([*usage, *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed; are the peers installed? pip install -e '.[bench]'\n{done.stderr}")
    took = json.loads(done.stdout.splitlines()[-1])
    size = sum(path.stat().st_size for path in output.glob("*.parquet")) / 1e6
    return Cost(took["wall_s"], took["cpu_s"], took["peak_mb"], size)


def _print(costs: dict[str, list[Cost]]) -> None:
    first, *_ = costs
    ours = statistics.median(cost.wall_s for cost in costs[first])
    print(f"{'':26}{'wall':>9}{'CPU':>9}{'memory':>10}{'output':>10}   {first} takes")
    for name, each in costs.items():
        wall, cpu, memory, size = (statistics.median(part) for part in zip(*each, strict=True))
        print(f"{name:26}{wall:7.2f} s{cpu:7.2f} s{memory:7.0f} MB{size:7.1f} MB   {ours / wall:.2f} of it")
