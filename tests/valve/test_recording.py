"""The generator of recordings: what an animal is goes on from day to day, and what it did is known."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ..conftest import REPO
from ..recording import ADC, Animal, Rack, main, write_day, write_days

DAY = date(2026, 1, 20)
NOON_S = (DAY - date(1970, 1, 1)).days * 86_400 + 43_200


def test_a_day_is_the_same_in_any_recording(tmp_path: Path) -> None:
    """Its bytes hang on its date and its device alone; another device has other animals."""
    write_days(tmp_path / "two" / "deep", days=2)
    for name, rack in (("one.csv", Rack()), ("other.csv", Rack("oyster-2"))):
        write_day(tmp_path / name, DAY + timedelta(days=1), rack)
    ours = (tmp_path / "two" / "deep" / "mussel-1_2026-01-21.csv").read_bytes()
    assert (tmp_path / "one.csv").read_bytes() == ours
    assert (tmp_path / "other.csv").read_bytes() != ours


def test_nothing_jumps_at_midnight() -> None:
    """Levels, drift and closures go on: a day and the next, cut anywhere, are one line."""
    seconds = np.arange(NOON_S, NOON_S + 86_400).astype(float)
    for number in range(12):
        animal = Animal(f"mussel-1 m{number} alive")
        halves = [animal.counts(part) for part in np.split(seconds, 2)]
        assert np.array_equal(np.concatenate(halves), animal.counts(seconds))


@pytest.mark.parametrize("number", range(12))
def test_rhythm(number: int) -> None:
    """Over a month its hourly mean swings with its own period, a day or a tide, and less with the other."""
    animal = Animal(f"mussel-1 m{number} alive")
    seconds = np.arange(NOON_S, NOON_S + 28 * 86_400, 600).astype(float)
    gape = animal.gape(seconds) - animal.gape(seconds).mean()
    power = {period_s: abs(np.exp(2j * np.pi * seconds / period_s) @ gape) for period_s in (86_400, 44_712)}
    assert max(power, key=power.__getitem__) == animal.period_s


def test_truth() -> None:
    """By a plain walk along the gape, second by second: below 10 % until above 15 %."""
    rack = Rack()
    expected = []
    for sensor, animal in rack.animals(DAY).items():
        start_s = NOON_S - 43_200
        closed, begin = False, 0
        for second, gape in enumerate(animal.gape(np.arange(start_s - 3_600, start_s + 86_400 + 43_200).astype(float))):
            if not closed and gape < 0.10:
                closed, begin = True, second
            if closed and gape > 0.15:
                closed = False
                expected += [(sensor, begin - 3_600, second - 3_600)] if 3_600 <= begin < 90_000 else []
    found = [(sensor, begin - NOON_S + 43_200, end - NOON_S + 43_200) for sensor, begin, end in rack.truth(DAY, 1)]
    assert len(found) > 40
    assert [sensor for sensor, *_ in found] == [sensor for sensor, *_ in sorted(expected)]
    assert (
        max(
            abs(a - b)
            for one, two in zip(found, sorted(expected), strict=True)
            for a, b in zip(one[1:], two[1:], strict=True)
        )
        <= 1
    )


def test_kinds(tmp_path: Path) -> None:
    """Dead: only noise; never closing; saturated: at the rail; swapped: other levels from a day on; both polarities."""
    kinds = {"m0": "dead", "m1": "never_closing", "m2": "saturated", "m3": "swapped"}
    for open_is in ("high", "low"):
        rack = Rack(kinds=kinds, swap=DAY + timedelta(days=1), open_is=open_is)
        first, second = (pd.read_csv(path, sep=";") for path in write_days(tmp_path / open_is, days=2, rack=rack))
        if open_is == "low":
            first, second = ADC - first.drop(columns="ts"), ADC - second.drop(columns="ts")
        assert np.ptp(first["m0"]) < 30
        assert first["m1"].min() > 400
        assert (first["m2"] == ADC).mean() > 0.5
        assert first["m3"].min() < 150
        assert second["m3"].min() > 280
        assert second["m3"].max() < 750
        assert second["m5"].median() > 600


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It makes a missing folder, and says what it did not understand."""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "tests.recording", str(tmp_path / "a" / "b"), "--days", "1", "--kind", "m3=dead"]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 files, 6,")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["_truth.csv", "mussel-1_2026-01-20.csv"]
    truth = pd.read_csv(tmp_path / "a" / "b" / "_truth.csv", sep=";", parse_dates=["begin", "end"])
    assert list(truth) == ["sensor", "begin", "end"]
    assert "m3" not in set(truth["sensor"])
    assert (truth["end"] > truth["begin"]).all()
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--kind", "m3=drunk"])
    assert (
        "m3=drunk: accepted are m0 to m11, and alive, dead, never_closing, saturated, swapped"
        in capsys.readouterr().err
    )
