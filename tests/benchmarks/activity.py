"""From parsed rows to what the animals did, beside plain pandas doing the same as one script; and an hourly run.

Each is a whole process with all that it starts; all are run in turn, again and again, and medians are compared.
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
from pathlib import Path

import pandas as pd

from tests.recording import write_days

REPO = Path(__file__).parent.parent.parent
CHAIN = {"flag": "21_flagged", "opening": "26_opening", "grid": "31_grid", "activity": "41_activity"}
PEER = Path(__file__).parent / "peers" / "valve_pandas.py"
LOAD = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[1] + '/run.py')"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks activity", description=__doc__)
    parser.add_argument("--days", type=int, default=30, metavar="N", help="days of 86,400 rows (default: 30)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times each is run (default: 3)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("treatments", "flows"):
            shutil.copytree(REPO / name, root / name)
        raw = write_days(root / "data" / "00_raw", days=options.days)
        print(f"{options.days} days of 86,400 x 12, {options.rounds} rounds, {os.cpu_count()} processors")
        _beside_pandas(root, options.rounds)
        _hourly(root, raw[-1], options.rounds)


def _beside_pandas(root: Path, rounds: int) -> None:
    parsed, plain = root / "data" / "10_parsed", root / "plain"
    _run(root, "parse", root / "data" / "00_raw", parsed)
    plain.mkdir()
    costs: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, source in zip(CHAIN, ("10_parsed", *CHAIN.values()), strict=False):
            costs.setdefault(name, []).append(_run(root, name, root / "data" / source, root / "data" / CHAIN[name]))
        costs.setdefault("plain pandas", []).append(_cost([sys.executable, str(PEER), str(parsed), str(plain)], root))
    _see_that_both_say_the_same(root)
    print(f"  {'one child each':20}{'wall':>9}{'CPU':>9}{'memory':>10}")
    medians = {
        name: {key: statistics.median(one[key] for one in each) for key in each[0]} for name, each in costs.items()
    }
    for name, one in medians.items():
        print(f"  {name:20}{one['wall_s']:7.2f} s{one['cpu_s']:7.2f} s{one['peak_mb']:7.0f} MB")
    for key in ("wall_s", "cpu_s"):
        together = sum(medians[name][key] for name in CHAIN)
        print(f"  the four take {together / medians['plain pandas'][key]:.2f} of plain pandas' {key} (at most 0.8)")
    print(
        f"  most memory of a child, with its parent: {max(medians[name]['peak_mb'] for name in CHAIN):.0f} MB (at most 450)"
    )


def _see_that_both_say_the_same(root: Path) -> None:
    for path in (root / "data" / "41_activity").glob("daily__*.parquet"):
        ours, theirs = pd.read_parquet(path).set_index("valve"), pd.read_parquet(root / "plain" / path.name)
        pd.testing.assert_frame_equal(ours[theirs.columns.drop("valve")], theirs.set_index("valve"), check_names=False)


def _hourly(root: Path, last: Path, rounds: int) -> None:
    flow = [sys.executable, "-m", "pymyx.core.flow", "--flow", "valve_activity", "--root", str(root)]
    steps = json.loads((root / "flows" / "valve_activity.json").read_text(encoding="utf-8"))["steps"]
    folders = [str(root / "treatments" / step["treatment"]) for step in steps]
    lines = last.read_text(encoding="utf-8").splitlines(keepends=True)
    whole, hourly, loaded = [], [], []
    for _ in range(rounds):
        for folder in (root / "data").iterdir():
            if folder.name != "00_raw":
                shutil.rmtree(folder)
        last.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
        whole.append(_cost(flow, root))
        last.write_text("".join(lines[: len(lines) // 2 + 3_600]), encoding="utf-8")
        hourly.append(_cost(flow, root))
        each = [_cost([sys.executable, "-I", "-B", "-c", LOAD, folder], root) for folder in folders]
        loaded.append({key: sum(one[key] for one in each) for key in ("wall_s", "cpu_s")})
    print(f"  the flow, {len(steps)} steps: all days, then one that grew by an hour (at most 0.12 of it);")
    print("  and of that, what it takes to start Python for each step and import what it imports (pandas, pyarrow, …)")
    for key in ("wall_s", "cpu_s"):
        all_of_it, grown, imports = (statistics.median(one[key] for one in each) for each in (whole, hourly, loaded))
        of_it = f"{grown / all_of_it:.2f} of it; imports {imports:.2f} s, {imports / grown:.2f} of that"
        print(f"  {key}: {all_of_it:.2f} s, {grown:.2f} s, {of_it}")


def _run(root: Path, name: str, source: Path, target: Path) -> dict[str, float]:
    folders = ["--input", str(source), "--output", str(target)]
    module = [sys.executable, "-m", "pymyx.core.runner", "--root", str(root), "--treatment", name, *folders]
    return _cost([*module, "--jobs", "1", "--force"], root)


def _cost(command: list[str], root: Path) -> dict[str, float]:
    # compiled once, as where it is installed, whatever the environment of this run says
    compiled = {"PYTHONPYCACHEPREFIX": str(root / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = {**os.environ, "PYTHONPATH": str(REPO), **compiled}
    usage = [sys.executable, "-I", "-S", str(Path(__file__).parent / "usage.py")]
    done = subprocess.run([*usage, *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed\n{done.stderr}")
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took
