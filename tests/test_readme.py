"""The README cannot lie: its commands are run as they stand there, and the sample is what the generator writes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pymyx.core.logger import read_events

from .conftest import REPO
from .recording import write_sample

README = (REPO / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`((?:python3|\.venv/bin/\w+) [^`]+)`", README)
MEANT = {".venv/bin/python": [sys.executable], ".venv/bin/pymyx": [sys.executable, "-m", "pymyx"]}


def in_clone(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the README in a clone; this interpreter stands in for the virtual environment it sets up."""
    _, _, last = command.rpartition(" && ")
    words = shlex.split(last)
    words = [*MEANT[words[0]], *words[1:]]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_length() -> None:
    """At most 20 lines, all told."""
    assert len(README.splitlines()) <= 20


def test_commands_that_set_up() -> None:
    """Both need nothing but Python: they make their own virtual environment, and install this checkout into it."""
    setups = [command for command in COMMANDS if command.startswith("python3")]
    assert [command.rpartition(" && ")[2] for command in setups] == [
        ".venv/bin/pymyx flow valvometry_daily",
        ".venv/bin/python -m pytest -q",
    ]
    for command, extra in zip(setups, (".", "'.[test]'"), strict=True):
        assert command.startswith(f"python3 -m venv .venv && .venv/bin/python -m pip install -q -e {extra} && ")


def test_the_flow_on_the_sample(repo_copy: Callable[[], Path]) -> None:
    """The first command ends with 4 parquet files, 10 events, and nothing that git would show as changed."""
    root = repo_copy()
    done = in_clone(COMMANDS[0], root)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    days = ("2026-01-20", "2026-01-21")
    names = [f"{domain}__{day}.parquet" for domain in ("bio_signal", "environment") for day in days]
    assert sorted(path.name for path in (root / "data" / "10_parsed").glob("[!.]*")) == names
    events = list(read_events(root / "pymyx.log"))
    assert [event["status"] for event in events] == ["start", "success"] * 5
    assert [line.rpartition("  ")[2] for line in done.stdout.splitlines()[:5]] == ["4 files", *["stub"] * 4]
    rows = sum(
        len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in (root / "data" / "00_raw").glob("*.csv")
    )
    for domain in ("bio_signal", "environment"):
        frames = [pd.read_parquet(root / "data" / "10_parsed" / f"{domain}__{day}.parquet") for day in days]
        assert sum(map(len, frames)) == rows
        assert [set(frame["ts"].dt.strftime("%Y-%m-%d")) for frame in frames] == [{day} for day in days]
    ignored = subprocess.run(
        ["git", "status", "--porcelain"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    assert "data/" not in ignored
    assert "pymyx.log" not in ignored


def test_the_other_commands(repo_copy: Callable[[], Path]) -> None:
    """Run a treatment, run a flow, ask for the status, create a treatment, which runs, and check it all."""
    root = repo_copy()
    assert in_clone(".venv/bin/pymyx flow valve_activity", root).returncode == 0  # `status` asks for every flow
    others = [command for command in COMMANDS if command.startswith(".venv")]
    assert [command.split()[1] for command in others] == ["run", "flow", "status", "--help", "new", "check"]
    for command in others:
        done = in_clone(command, root)
        assert done.returncode == 0, done.stderr
    run = ".venv/bin/pymyx run my_step --input data/10_parsed --output data/20_mine"
    assert in_clone(run, root).stdout.endswith("  2 days: 2026-01-20, 2026-01-21  4 files\n")


def test_the_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    """Two files of one device on either side of a midnight, under 2.5 MB; `python -m tests.recording` writes them."""
    for path in write_sample(tmp_path):
        assert path.read_bytes() == (REPO / "data" / "00_raw" / path.name).read_bytes()
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_500_000


def test_the_sample_is_realistic(tmp_path: Path) -> None:
    """A fixed sub-second phase, lost samples, one gap, valve closures."""
    frame = pd.concat(pd.read_csv(path, sep=";", parse_dates=["ts"]) for path in write_sample(tmp_path))
    assert set(frame["ts"].dt.microsecond) == {142_308}
    seconds = frame["ts"].diff().dt.total_seconds().dropna()
    assert 1.0 <= seconds.mean() <= 1.12
    assert (seconds > 60).sum() == 1
    assert 0.002 < 1 - len(frame) / (28_800 - 240) < 0.06
    for number in range(12):
        values = frame[f"m{number}"]
        assert values.dtype == "int64"
        assert values.min() < values.median() - 500
