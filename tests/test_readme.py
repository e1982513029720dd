"""The README cannot lie: its commands are run as they stand there, and the sample is what the generator writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pymyx.core.logger import last_events

from .conftest import REPO
from .recording import write_sample

README = (REPO / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`((?:python3|\.venv/bin/\w+) [^`]+)`", README)
MEANT = {".venv/bin/python": f"{sys.executable}", ".venv/bin/pymyx": f"{sys.executable} -m pymyx"}
NO_PICTURES = "matplotlib is not installed: it is the extra `plot`"


def in_clone(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the README in a clone; this interpreter stands in for the virtual environment it sets up."""
    (root / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    for name, words in MEANT.items():
        (root / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (root / name).chmod(0o755)
    command = re.sub(r"^python3 .* pip install \S+ \S+ \S+ && ", "", command)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(
        ["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_length() -> None:
    """At most 20 lines, all told."""
    assert len(README.splitlines()) <= 20


def test_commands_that_set_up() -> None:
    """Both need nothing but Python: they make their own virtual environment, and install this checkout into it."""
    setups = [command for command in COMMANDS if command.startswith("python3")]
    first = ".venv/bin/pymyx flow valvometry_daily && .venv/bin/pymyx flow valve_activity && ls data/9[12]_*/*"
    expected = {"'.[plot]'": first, "'.[test]'": ".venv/bin/python -m pytest -q"}
    installed = "python3 -m venv .venv && .venv/bin/python -m pip install -q -e "
    assert setups == [f"{installed}{extra} && {last}" for extra, last in expected.items()]


def test_both_flows_on_the_sample(repo_copy: Callable[[], Path]) -> None:
    """The first command names pictures and report; then nothing is stale, and nothing is new for git."""
    pytest.importorskip("matplotlib", reason=NO_PICTURES)
    root = repo_copy()
    done = in_clone(COMMANDS[0], root)
    assert (done.returncode, done.stderr) == (0, "")
    days = ("2026-01-20", "2026-01-21")
    names = [*(f"data/91_pictures/valves__{day}.png" for day in days), "data/92_report/report.html"]
    assert done.stdout.splitlines()[-3:] == names
    assert [(root / name).read_bytes()[:8] for name in names] == [b"\x89PNG\r\n\x1a\n"] * 2 + [b"<!doctyp"]
    events = last_events(root / "pymyx.log")
    assert [event["status"] for event in events] == ["start", "success"] * 11  # the second finds `parse` up to date
    assert in_clone(".venv/bin/pymyx status", root).returncode == 0
    ignored = ["git", "check-ignore", "--no-index", "--stdin"]
    told = subprocess.run(ignored, cwd=REPO, input="\n".join(names), capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == names


def test_a_flow_on_the_sample(repo_copy: Callable[[], Path]) -> None:
    """The flow of the seed, with no extra: 4 parquet files, 10 events, all rows, each in its day."""
    root = repo_copy()
    done = in_clone(".venv/bin/pymyx flow valvometry_daily", root)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    days = ("2026-01-20", "2026-01-21")
    names = [f"{domain}__{day}.parquet" for domain in ("bio_signal", "environment") for day in days]
    assert sorted(path.name for path in (root / "data" / "10_parsed").glob("[!.]*")) == names
    events = last_events(root / "pymyx.log")
    assert [event["status"] for event in events] == ["start", "success"] * 5
    assert [line.rpartition("  ")[2] for line in done.stdout.splitlines()[:5]] == ["4 files", *["stub"] * 4]
    rows = sum(
        len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in (root / "data" / "00_raw").glob("*.csv")
    )
    for domain in ("bio_signal", "environment"):
        frames = [pd.read_parquet(root / "data" / "10_parsed" / f"{domain}__{day}.parquet") for day in days]
        assert sum(map(len, frames)) == rows
        assert [set(frame["ts"].dt.strftime("%Y-%m-%d")) for frame in frames] == [{day} for day in days]


def test_the_other_commands(repo_copy: Callable[[], Path]) -> None:
    """Run a treatment, run a flow, ask for the status, create a treatment, which runs, and check it all."""
    root = repo_copy()
    others = [command for command in COMMANDS if command.startswith(".venv")]
    assert [command.split()[1] for command in others] == ["run", "flow", "status", "--help", "new", "check"]
    for command in others:
        done = in_clone(command, root)
        assert done.stderr == ""
        assert done.returncode == (1 if "status" in command else 0)  # it tells that the other flow has not been run
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
