"""What it costs to run an empty treatment in isolation, beside other ways to run Python code in a fresh process.

All ways are run in turn, again and again, so that noise strikes them alike; ratios are between medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pymyx.core.isolation.confinement import shortfall
from pymyx.core.runner import run_treatment

REPO = Path(__file__).parent.parent.parent
EMPTY = "def run(input_dir, output_dir, params):\n    pass\n"
CONTRACT = {
    "name": "empty",
    "version": "1.0.0",
    "description": "Does nothing.",
    "input": {"format": "csv", "description": "anything"},
    "output": {"format": "parquet", "description": "nothing"},
    "params": {},
}


def empty() -> None:
    """What pebble runs."""


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks executor", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="times each way is run (default: 200)")
    parser.add_argument("--runs", type=int, default=1_000, metavar="N", help="runs to look for growth (default: 1000)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "treatments" / "empty").mkdir(parents=True)
        (root / "treatments" / "empty" / "run.py").write_text(EMPTY, encoding="utf-8")
        (root / "treatments" / "empty" / "treatment.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
        (root / "in").mkdir()
        print(f"empty treatment, {options.rounds} rounds, Python {sys.version.split()[0]}, {os.cpu_count()} processors")
        print(f"confinement: {shortfall('auto') or 'full'}")
        _compare(_ways(root), options.rounds)
        _growth(root, options.runs)


def _ways(root: Path) -> dict[str, Callable[[], object]]:
    """The ways to run it, by name; the first is what the others are compared with."""
    python, run_py = sys.executable, str(root / "treatments" / "empty" / "run.py")
    folders = ["--input", str(root / "in"), "--output", str(root / "out")]
    command = [python, "-m", "pymyx.core.runner", "--root", str(root), "--treatment", "empty", *folders, "--force"]
    # compiled once, as where it is installed, whatever the environment of this run says
    compiled = {"PYTHONPYCACHEPREFIX": str(root / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, "PYTHONPATH": str(REPO), **compiled}

    def treatment(confine: str) -> Callable[[], object]:
        return lambda: run_treatment("empty", root / "in", root / "out", root=root, confine=confine, force=True)

    ways: dict[str, Callable[[], object]] = {
        "python -I -c pass": lambda: subprocess.run([python, "-I", "-c", "pass"], check=True),
        'subprocess.run([python, "run.py"])': lambda: subprocess.run([python, run_py], check=True),
        "run_treatment, confined": treatment("auto"),
        "run_treatment, not confined": treatment("off"),
        "python -m pymyx.core.runner": lambda: subprocess.run(
            command, env=environment, check=True, capture_output=True
        ),
    }
    try:
        import multiprocessing

        import pebble
    except ImportError:
        print("pebble is not installed: pip install -e '.[bench]'")
        return ways
    spawned, forked = (
        pebble.concurrent.process(context=multiprocessing.get_context(how))(empty)  # type: ignore[call-overload, unused-ignore]
        for how in ("spawn", "fork")
    )
    return {
        **ways,
        "pebble, a fresh interpreter a call": lambda: spawned().result(),
        "pebble, a fork of the parent a call": lambda: forked().result(),
    }


def _compare(ways: dict[str, Callable[[], object]], rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - started) * 1000)
    base = statistics.median(next(iter(times.values())))
    print(f"{'':36}{'median':>10}{'p99':>10}{'ratio':>8}")
    for name, each in times.items():
        p99 = statistics.quantiles(each, n=100)[98]
        print(f"{name:36}{statistics.median(each):7.1f} ms{p99:7.1f} ms{statistics.median(each) / base:8.2f}")
    medians = [statistics.median(times[f"run_treatment, {way}"]) for way in ("confined", "not confined")]
    print(f"confinement itself: {medians[0] - medians[1]:.1f} ms")


def _growth(root: Path, runs: int) -> None:
    """Memory of this process after a tenth of the runs, and after all of them."""
    for number in range(1, runs + 1):
        run_treatment("empty", root / "in", root / "out", root=root)
        if number in (runs // 10, runs):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            kilobytes = [int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmHWM", "VmRSS"))]
            descriptors = len(os.listdir("/proc/self/fd"))
            print(
                f"parent after {number} runs: {kilobytes[1]} kB, at its peak {kilobytes[0]} kB, {descriptors} descriptors"
            )
