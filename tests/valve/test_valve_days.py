"""The valve treatments day by day: byte for byte as from scratch, whatever the order of days; and days that are odd."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ..conftest import REPO, SmallProject
from .tables import CHAIN, DAY, apply, contract, flow, instants, make_slow, read, tell_days, write

DAYS = [DAY + timedelta(days=number) for number in (0, 1, 2, 7)]  # the last is seven, and six, days after others
EVERY_S = 10
FOLDERS = dict(zip(CHAIN, ("21_flagged", "26_opening", "31_grid", "41_activity"), strict=True))


def counts(day: date) -> dict[str, Any]:
    """A day of two valves, every 10 s, in which each treatment has to look over midnight."""
    number, random = (day - DAY).days, np.random.RandomState(day.toordinal())
    seconds = np.arange(0.0, 86_400, EVERY_S)
    since = (seconds + 86_400 * number) % 28_500  # it closes every 7.9 h for an hour, over the first two midnights too
    gape = np.clip(np.where(since < 3_600, 1 - since / 4, (since - 3_600) / 300), 0, 1)
    closed = 150 if number == 1 else 200  # what is closed does not depend on the day after
    widest = {0: 900, 1: 850}.get(number, 800)  # what is open depends on the days before
    m0 = np.rint(closed + (widest - closed) * gape + random.normal(0, 2, len(seconds)))
    m1 = np.where((seconds < 5_000) | (seconds > 83_000), 640, m0)  # flat over midnight
    m0[-1] += 2_000  # a spike in the last row, seen from the next day
    kept = (seconds >= 10) & (seconds < 86_390)  # 10 or 20 s without a value, held
    kept[-1] = number % 2 == 0
    return {"ts": instants(day, seconds[kept]), "m0": m0[kept].astype(int), "m1": m1[kept].astype(int)}


def parsed(folder: Path, day: date, rows: slice = slice(None)) -> None:
    """Write what parse would have made of a day."""
    columns = {name: values[rows] for name, values in counts(day).items()}
    write(folder, f"bio_signal__{day}", **columns)
    write(folder, f"environment__{day}", columns["ts"], outdoor_temp=np.linspace(8, 12, len(columns["ts"])))


def files(folder: Path) -> dict[str, bytes]:
    """Every published file, by its name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole chain made at once, from all days, by folder."""
    root = tmp_path_factory.mktemp("scratch")
    for day in DAYS:
        parsed(root / "10_parsed", day)
    for name, source in zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False):
        apply(name, root / source, root / FOLDERS[name], **PARAMS.get(name, {}))
    return root


PARAMS: dict[str, dict[str, Any]] = {"flag": {"spike_within_s": 20.0}, "grid": {"max_gap_s": 30.0}}


def by_windows(name: str, source: Path, target: Path, before: int, after: int) -> dict[str, bytes]:
    """What a treatment makes of each day, when it sees only the days around it."""
    made: dict[str, bytes] = {}
    for day in DAYS:
        window = [day + timedelta(days=step) for step in range(-before, after + 1)]
        view = target / f"view_{day}"
        view.mkdir(parents=True)
        for path in source.glob("*.parquet"):
            if date.fromisoformat(path.stem[-10:]) in window:
                (view / path.name).symlink_to(path)
        apply(name, view, target / f"made_{day}", **PARAMS.get(name, {}))
        made |= {one: data for one, data in files(target / f"made_{day}").items() if one[-18:-8] == str(day)}
    return made


@pytest.mark.parametrize("name", CHAIN)
def test_days_is_what_a_day_needs(scratch: Path, tmp_path: Path, name: str) -> None:
    """With the days that treatment.json names each day is as from the whole folder; with one less on a side, some differ."""
    source = scratch / dict(zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False))[name]
    expected, days = files(scratch / FOLDERS[name]), contract(name)["days"]
    assert by_windows(name, source, tmp_path / "declared", **days) == expected
    for side in ("before", "after"):
        if days[side]:
            fewer = {**days, side: days[side] - 1}
            assert by_windows(name, source, tmp_path / side, **fewer) != expected
    assert by_windows(name, source, tmp_path / "none", 0, 0) != expected


@pytest.fixture
def station(project: SmallProject) -> SmallProject:
    """A project with the valve treatments, each of which tells the days it is asked for."""
    steps: list[dict[str, Any]] = []
    for name, source in zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False):
        shutil.copytree(REPO / "treatments" / name, project.root / "treatments" / name)
        tell_days(project, name)
        steps.append({"treatment": name, "input": source, "output": FOLDERS[name], "params": PARAMS.get(name, {})})
    project.flow(*steps, name="valves")
    return project


def test_late_grown_and_one_at_a_time(station: SmallProject, scratch: Path) -> None:
    """Some days, then one alone, then a late and a grown one in two chunks: all is as from scratch, and every day verifies."""
    raw = station.root / "data" / "10_parsed"
    first, late, grown, alone = DAYS
    for day in (first, grown):
        parsed(raw, day, slice(0, 4_500) if day == grown else slice(None))
    flow(station, "valves")
    parsed(raw, alone)
    flow(station, "valves")
    for day in (late, grown):
        parsed(raw, day)
    for name in CHAIN:
        make_slow(station, FOLDERS[name])
    assert flow(station, "valves", "--jobs", "2").count("asked:") == 2 * len(CHAIN)
    for name in CHAIN:
        assert files(station.root / "data" / FOLDERS[name]) == files(scratch / FOLDERS[name])

    def verified(name: str) -> str:
        source = dict(zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False))[name]
        folders = ("--input", f"data/{source}", "--output", f"data/{FOLDERS[name]}")
        params = ("--params", json.dumps(PARAMS.get(name, {})))
        options = ("--treatment", name, *folders, *params, "--verify", str(len(DAYS)))
        return station.cli("runner", *options, timeout=250).stderr

    with ThreadPoolExecutor(2) as pool:
        for told in pool.map(verified, CHAIN):
            assert "note: made again alone and from the whole folder, the same: " in told
            assert told.count("asked:") == len(DAYS) + 1  # each day alone, and all of them


def test_odd_days(tmp_path: Path) -> None:
    """Nulls where there is nothing to say, never a crash, and a warning for what was thrown out."""
    day = [DAY + timedelta(days=number) for number in range(12)]
    columns = [counts(one) for one in day]
    source = tmp_path / "10_parsed"
    for number in (0, 10):
        parsed(source, day[number])
    parsed(source, day[1], slice(100, 101))
    parsed(source, day[2], slice(100, 110))
    write(source, f"bio_signal__{day[3]}", columns[3]["ts"], m0=columns[3]["m0"])
    write(source, f"bio_signal__{day[4]}", columns[4]["ts"], m0=np.nan, m1=columns[4]["m1"])
    write(source, f"bio_signal__{day[5]}", columns[5]["ts"][[100] * 50], m0=np.arange(50), m1=np.arange(50))
    write(source, f"environment__{day[6]}", columns[6]["ts"], outdoor_temp=10.0)  # 7 to 9: nothing at all
    told = {}
    for name, folder in zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False):
        told[name] = apply(name, tmp_path / folder, tmp_path / FOLDERS[name])
    assert told == {
        "flag": [f"rows of an instant that has one already, flagged 4: bio_signal__{day[5]} 49"],
        "opening": [],
        "grid": [],
        "activity": [],
    }
    daily = {
        path.stem[-10:]: pd.read_parquet(path).set_index("valve")
        for path in (tmp_path / "41_activity").glob("daily__*")
    }
    assert sorted(daily) == [str(day[number]) for number in (0, 1, 2, 3, 4, 5, 10)]
    grid = {path.stem[-10:]: pd.read_parquet(path) for path in (tmp_path / "31_grid").glob("grid__*")}
    assert {len(one) for one in grid.values()} == {8_640}
    for number, known in ((1, 1), (2, 10), (5, 1)):
        assert grid[str(day[number])]["m0"].notna().sum() == known
        assert daily[str(day[number])]["vod_pct"].isna().all()
        assert (daily[str(day[number])]["known_pct"] > 0).all()
    assert list(daily[str(day[3])].index) == ["m0"]
    assert daily[str(day[3])]["vod_pct"].notna().all()
    assert list(daily[str(day[4])]["known_pct"]) == [0, pytest.approx(100, abs=0.1)]
    assert list(daily[str(day[4])]["state"]) == ["no value", "alive"]
    assert daily[str(day[10])]["vod_pct"].notna().all()


def made(root: Path, tables: dict[str, dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """The tables of activity, made from tables of counts by day, with one calibration for all."""
    for day, columns in tables.items():
        write(root / "10_parsed", f"bio_signal__{day}", **columns)
    params: dict[str, dict[str, Any]] = {**PARAMS, "opening": {"calibration": {"m0": [200, 900], "m1": [200, 900]}}}
    for name, source in zip(CHAIN, ("10_parsed", *FOLDERS.values()), strict=False):
        apply(name, root / source, root / FOLDERS[name], **params.get(name, {}))
    return {name: read(root / "41_activity", name) for name in ("hourly", "daily", "events")}


def test_what_must_stay_equal(tmp_path: Path) -> None:
    """Doubled files and an added empty valve change nothing; 12 h later, the same closures are 12 h later."""
    tables = {str(day): counts(day) for day in DAYS[:2]}
    plain = made(tmp_path / "plain", tables)
    twice = {day: {name: values.repeat(2) for name, values in columns.items()} for day, columns in tables.items()}
    doubled = made(tmp_path / "doubled", twice)
    empty = made(tmp_path / "empty", {day: {**columns, "m2": np.nan} for day, columns in tables.items()})
    for name in plain:
        pd.testing.assert_frame_equal(plain[name], doubled[name])
        kept = empty[name][empty[name]["valve"] != "m2"].reset_index(drop=True)
        pd.testing.assert_frame_equal(plain[name], kept, check_dtype=False)  # counts with nulls
    shift = pd.Timedelta(hours=12)
    whole = {name: np.concatenate([columns[name] for columns in tables.values()]) for name in ("m0", "m1")}
    ts = pd.DatetimeIndex(np.concatenate([columns["ts"] for columns in tables.values()]), name="ts") + shift
    later = {}
    for day in (str(one) for one in DAYS[:3]):
        rows = ts.strftime("%F") == day
        later[day] = {"ts": ts[rows], **{name: values[rows] for name, values in whole.items()}}
    events = made(tmp_path / "later", later)["events"]
    assert len(plain["events"]) >= 10
    for one in ("begin", "end"):
        plain["events"][one] += shift
    order = ["valve", "begin"]
    expected, found = (rows.sort_values(order, ignore_index=True) for rows in (plain["events"], events))
    pd.testing.assert_frame_equal(expected, found)


def test_the_flow_is_that_of_the_treatments() -> None:
    """Folders and order; the stubs' folders stay the user's."""
    steps = json.loads((REPO / "flows" / "valve_activity.json").read_text(encoding="utf-8"))["steps"]
    chained = [(step["treatment"], step["input"], step["output"]) for step in steps[:5]]
    sources = ("10_parsed", *FOLDERS.values())
    expected = [(name, source, FOLDERS[name]) for name, source in zip(CHAIN, sources, strict=False)]
    assert chained == [("parse", "00_raw", "10_parsed"), *expected]
