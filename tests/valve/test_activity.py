"""activity: what each valve did, against a plain loop over the bins, the truth of the generator, and a real oyster."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ..conftest import REPO
from ..recording import Rack, write_days
from .tables import CHAIN, DAY, apply, instants, oyster, read, write

PERIOD_S = 10


def grids(folder: Path, opening: dict[str, np.ndarray], first: date = DAY) -> None:
    """Write a long record of valves, by bins of 10 s, as whole days."""
    folder.mkdir(parents=True, exist_ok=True)
    days = len(next(iter(opening.values()))) // 8_640
    for number in range(days):
        day, rows = first + timedelta(days=number), slice(number * 8_640, (number + 1) * 8_640)
        columns = {valve: np.asarray(values[rows], "float32") for valve, values in opening.items()}
        flags = {f"{valve}_flag": np.where(np.isnan(values), 9, 1).astype("uint8") for valve, values in columns.items()}
        frame = pd.DataFrame({"ts": instants(day, np.arange(0, 86_400, PERIOD_S)), **columns, **flags})
        frame.to_parquet(folder / f"grid__{day}.parquet", index=False)


@pytest.fixture
def sums(tmp_path: Path) -> Any:
    """Sums up one valve, given by stretches of (opening, bins); what is not given is missing."""

    def run(*stretches: tuple[float, int], days: int = 1, **params: Any) -> dict[str, pd.DataFrame]:
        values = np.concatenate([np.full(bins, opening) for opening, bins in stretches])
        record = np.full(days * 8_640, np.nan)
        record[: len(values)] = values
        grids(tmp_path / "in", {"m0": record})
        apply("activity", tmp_path / "in", tmp_path / "out", **params)
        return {name: read(tmp_path / "out", name) for name in ("hourly", "daily", "events")}

    return run


def test_time_open(sums: Any) -> None:
    """Shares of the time known; the amplitude while open; null where less than half is known."""
    made = sums((80, 180), (2, 90), (40, 90), (90, 179))
    hour, little = made["hourly"].iloc[0], made["hourly"].iloc[1]
    assert (hour["known_pct"], hour["vod_pct"], hour["mean_pct"], hour["voa_pct"]) == (
        100,
        75,
        50.5,
        pytest.approx(200 / 3),
    )
    assert little["known_pct"] == pytest.approx(100 * 179 / 360)
    assert little.drop(["ts", "valve", "known_pct"]).isna().all()
    assert made["daily"].drop(columns=["ts", "valve", "known_pct"]).isna().all(axis=None)
    assert made["daily"]["known_pct"][0] == pytest.approx(100 * 539 / 8_640)
    assert sums((80, 180), (2, 90), (40, 90), (90, 179), least_known=0.0)["daily"]["vod_pct"][0] == pytest.approx(
        100 * 449 / 539
    )


def test_types(sums: Any, tmp_path: Path) -> None:
    """Counts are whole numbers or null; the params stand with each table; a day without closures has an empty table."""
    sums((80, 400))
    for name in ("hourly", "daily"):
        table = pq.read_table(tmp_path / "out" / f"{name}__{DAY}.parquet")
        assert table.column_names == [
            "ts", "valve", "known_pct", "vod_pct", "mean_pct", "voa_pct", "closures", "openings", "micro_closures",
            "moved_pct", "closing_max_pct_s", "opening_max_pct_s", "closed", "open", "state", "reason",
        ]  # fmt: skip
        assert [str(table[count].type) for count in ("closures", "openings", "micro_closures")] == ["int32"] * 3
    events = pq.read_table(tmp_path / "out" / f"events__{DAY}.parquet")
    assert [f"{field.name} {field.type}" for field in events.schema] == [
        "valve string", "begin timestamp[ns, tz=UTC]", "end timestamp[ns, tz=UTC]", "duration_s double", "complete bool",
    ]  # fmt: skip
    assert len(events) == 0
    assert json.loads(events.schema.metadata[b"params"])["closed_below"] == 10.0


def test_hysteresis_and_least_length(sums: Any) -> None:
    """Closed below 10 until above 15; what is closed for less than 60 s is open, and a micro-closure."""
    made = sums((80, 100), (12, 10), (9, 6), (12, 10), (14, 10), (80, 100), (5, 5), (80, 200))
    assert list(made["events"]["duration_s"]) == [260]
    assert list(made["events"]["complete"]) == [True]
    hours = made["hourly"].iloc[:1]
    assert list(hours["closures"]) == [1]
    assert list(hours["openings"]) == [1]
    assert list(hours["micro_closures"]) == [1 + 1]  # the fall to 12 % is one: it ends before it is closed


def test_gaps_are_no_closures(sums: Any) -> None:
    """A gap ends a closure, and begins none; what is cut off is not complete."""
    nothing = np.nan
    made = sums((80, 100), (2, 30), (nothing, 30), (2, 30), (80, 50), (nothing, 10), (80, 50), (2, 20))
    assert list(made["events"]["duration_s"]) == [300, 300, 200]
    assert list(made["events"]["complete"]) == [False, False, False]
    assert (made["hourly"]["closures"][0], made["hourly"]["openings"][0]) == (2, 1)


def test_over_midnight(sums: Any) -> None:
    """A closure counts once, on the day it begins, and is whole there; the opening counts on the day it opens."""
    made = sums((80, 8_600), (2, 100), (80, 8_580), days=2)
    assert list(made["daily"]["closures"]) == [1, 0]
    assert list(made["daily"]["openings"]) == [0, 1]
    assert list(made["events"]["duration_s"]) == [1_000]
    assert list(made["events"]["complete"]) == [True]
    assert list(made["events"]["begin"].dt.strftime("%F %T")) == ["2026-01-20 23:53:20"]


def test_shut_for_days(sums: Any) -> None:
    """It is one event, that leaves what is read and says so; the days after have none."""
    made = sums((80, 4_320), (2, 4 * 8_640), (80, 4_320), days=5)
    assert list(made["events"]["duration_s"]) == [86_400 * 1.5]
    assert list(made["events"]["complete"]) == [False]
    assert list(made["daily"]["closures"]) == [1, 0, 0, 0, 0]
    assert list(made["daily"]["openings"]) == [0, 0, 0, 0, 1]
    assert list(made["daily"]["vod_pct"]) == [50, 0, 0, 0, 50]


def test_micro_closures(sums: Any) -> None:
    """A fall by 5 % within 30 s while open; again only once it falls by less than half; a slow one is none."""
    slow = [(80 - number / 2, 1) for number in range(20)]
    made = sums((80, 20), (74, 20), (70, 20), (64, 1), (63, 1), (62, 1), (61, 1), (62, 20), *slow, (70.5, 200))
    assert made["hourly"]["micro_closures"][0] == 2
    assert sums((80, 20), (2, 20), (80, 20), (60, 20), (80, 150))["hourly"]["micro_closures"][0] == 1


def test_movement(sums: Any) -> None:
    """The sum of all steps, and the fastest of each way, in % a second; none over a gap."""
    made = sums((80, 20), (70, 20), (np.nan, 20), (20, 20), (45, 280))
    hour = made["hourly"].iloc[0]
    assert (hour["moved_pct"], hour["closing_max_pct_s"], hour["opening_max_pct_s"]) == (35, 1, 2.5)


def test_reference(sums: Any, tmp_path: Path) -> None:
    """What closed and open were, and the state of the valve, stand beside the measures."""
    known = {
        "valve": ["m0"],
        "closed": [200.0],
        "open": [900.0],
        "days": [7],
        "law": ["linear"],
        "state": ["no opening"],
        "reason": ["moved by 9 counts only"],
    }
    (tmp_path / "in").mkdir()
    pd.DataFrame(known).to_parquet(tmp_path / "in" / f"reference__{DAY}.parquet", index=False)
    made = sums((80, 400))
    for name in ("hourly", "daily"):
        row = made[name].iloc[0]
        assert (row["closed"], row["open"], row["state"], row["reason"]) == (
            200,
            900,
            "no opening",
            "moved by 9 counts only",
        )


@pytest.mark.parametrize(("params", "text"), [({"closed_below": 20.0}, "param `closed_below` is above `open_above`")])
def test_wrong_params(sums: Any, params: dict[str, float], text: str) -> None:
    """They are named."""
    with pytest.raises(ValueError, match=text):
        sums((80, 10), **params)


def test_bins_of_two_lengths(tmp_path: Path) -> None:
    """Days of another grid beside a day are not mixed with it."""
    grids(tmp_path / "in", {"m0": np.full(2 * 8_640, 80.0)})
    path = tmp_path / "in" / "grid__2026-01-21.parquet"
    pd.read_parquet(path).iloc[::2].to_parquet(path, index=False)
    with pytest.raises(ValueError, match="have bins of other lengths; make all of them anew"):
        apply("activity", tmp_path / "in", tmp_path / "out")


class Loop(NamedTuple):
    """What a plain loop over the bins of a record finds."""

    states: list[str]
    closures: list[tuple[int, int, bool]]
    micro: list[int]


def loop(values: np.ndarray) -> Loop:
    """The definitions, bin by bin, with no array in sight."""
    states: list[str] = []
    for value in map(float, values):
        before = states[-1] if states else "gap"
        if value != value:
            states.append("gap")
        elif value < 10:
            states.append("closed")
        elif value > 15 or before == "gap":
            states.append("open")
        else:
            states.append(before)
    closures, begin = [], 0
    for end in range(1, len(states) + 1):
        if end == len(states) or states[end] != states[begin]:
            if states[begin] == "closed" and (end - begin) * PERIOD_S >= 60:
                seen = begin > 0 and states[begin - 1] != "gap" and end < len(states) and states[end] != "gap"
                closures.append((begin, end, seen))
            elif states[begin] == "closed":
                states[begin:end] = ["open"] * (end - begin)
            begin = end
    closures = [
        (begin, end, begin > 0 and states[begin - 1] == "open" and end < len(states) and states[end] == "open")
        for begin, end, _ in closures
    ]
    micro, armed, started, spoiled = [], True, 0, False
    for number in range(len(values)):
        fall = 0.0
        for back in range(1, 4):
            if number - back < 0 or values[number - back] != values[number - back] or values[number] != values[number]:
                break
            fall = max(fall, float(values[number - back]) - float(values[number]))
        if not armed and fall < 2.5:
            armed = True
            micro += [] if spoiled else [started]
        if armed and fall >= 5:
            armed, started, spoiled = False, number, False
        spoiled = spoiled or (not armed and states[number] == "closed")
    return Loop(states, closures, micro + ([] if armed or spoiled else [started]))


def wandering(seed: int, bins: int) -> np.ndarray:
    """A record with everything: closures of all lengths, dips, hovering between the thresholds, gaps."""
    random = np.random.RandomState(seed)
    values, level = np.empty(bins), 80.0
    number = 0
    while number < bins:
        length = int(random.choice([1, 3, 5, 6, 7, 20, 90, 400]))
        level = float(
            random.choice(
                [2, 8, 11, 13, 16, 40, 70, 80, 95, np.nan], p=[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
            )
        )
        values[number : number + length] = level
        number += length
    noisy: np.ndarray = np.clip(values + random.normal(0, 1, bins), 0, 100).astype("float32")
    return noisy


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_a_plain_loop(tmp_path: Path, seed: int) -> None:
    """Over the whole record, since no closure here is longer than a day: every bin, closure and micro-closure is the same."""
    record = {"m0": wandering(seed, 3 * 8_640), "m1": wandering(seed + 10, 3 * 8_640)}
    grids(tmp_path / "in", record)
    apply("activity", tmp_path / "in", tmp_path / "out", least_known=0.0)
    hourly, events = read(tmp_path / "out", "hourly"), read(tmp_path / "out", "events")
    start = pd.Timestamp(DAY, tz="UTC")
    for valve, values in record.items():
        expected = loop(values)
        found = events[events["valve"] == valve]
        begins, ends = (((found[end] - start).dt.total_seconds() // PERIOD_S).astype(int) for end in ("begin", "end"))
        assert list(zip(begins, ends, found["complete"], strict=True)) == expected.closures
        assert len(expected.closures) > 50
        hours = hourly[hourly["valve"] == valve].sort_values("ts").reset_index()
        for hour in range(72):
            bins = range(hour * 360, (hour + 1) * 360)
            states = [expected.states[one] for one in bins]
            known = 360 - states.count("gap")
            row = hours.iloc[hour]
            assert row["known_pct"] == pytest.approx(100 * known / 360)
            if known:
                assert row["vod_pct"] == pytest.approx(100 * states.count("open") / known)
                assert row["mean_pct"] == pytest.approx(
                    sum(float(values[one]) for one in bins if values[one] == values[one]) / known, rel=1e-5
                )
                assert row["closures"] == sum(
                    begin in bins and begin > 0 and expected.states[begin - 1] == "open"
                    for begin, _, _ in expected.closures
                )
                assert row["openings"] == sum(
                    end in bins and expected.states[end] == "open"
                    for _, end, _ in expected.closures
                    if end < len(values)
                )
                assert row["micro_closures"] == sum(one in bins for one in expected.micro)
                steps = [
                    abs(float(values[one]) - float(values[one - 1]))
                    for one in bins
                    if one and values[one] == values[one] and values[one - 1] == values[one - 1]
                ]
                assert row["moved_pct"] == pytest.approx(sum(steps), rel=1e-5)


def chain(root: Path, raw: list[Path], *, valves: int = 12, **params: dict[str, Any]) -> None:
    """Take the first `valves` of raw files through the chain; params by treatment."""
    for path in raw:
        frame = pd.read_csv(path, sep=";", parse_dates=["ts"])
        frame = frame[frame["ts"].dt.floor("D") == pd.Timestamp(path.stem[-10:], tz="UTC")]
        ts = pd.DatetimeIndex(frame["ts"]).as_unit("ns")
        counts = {name: frame[name].to_numpy() for name in [f"m{number}" for number in range(valves)] if name in frame}
        write(root / "parsed", f"bio_signal__{path.stem[-10:]}", ts, **counts)
        if "outdoor_temp" in frame:
            write(root / "parsed", f"environment__{path.stem[-10:]}", ts, outdoor_temp=frame["outdoor_temp"].to_numpy())
    for name, source in zip(CHAIN, ("parsed", *CHAIN), strict=False):
        apply(name, root / source, root / name, **params.get(name, {}))


@pytest.mark.parametrize("open_is", ["high", "low"])
def test_the_truth_of_the_generator(tmp_path: Path, open_is: str) -> None:
    """Every closure is found, within a bin, and none is invented; a valve that is dead, or never closes, has none.

    Left out are those that the record cuts: at its two ends, and where the sensor was unplugged.
    """
    rack = Rack("mussel-7", {"m1": "dead", "m2": "never_closing", "m3": "saturated"}, open_is=open_is)
    ends = {valve: [one.closed, one.opened] for valve, one in rack.animals(DAY).items() if one.kind != "dead"}
    ends = ends if open_is == "high" else {valve: [1_023 - each for each in pair] for valve, pair in ends.items()}
    raw = write_days(tmp_path / "raw", days=2, rack=rack)
    chain(tmp_path, raw, opening={"open_is": open_is, "calibration": ends})
    found = read(tmp_path / "activity", "events")
    truth = pd.DataFrame(rack.truth(DAY, 2), columns=["valve", "begin", "end"])
    for one in ("begin", "end"):
        truth[one] = pd.to_datetime(truth[one], unit="s", utc=True)
    start, unplugged, stop = (pd.Timestamp(text, tz="UTC") for text in ("2026-01-20", "2026-01-20T12:00", "2026-01-22"))

    def uncut(rows: pd.DataFrame) -> pd.DataFrame:
        meets = (rows["begin"] <= unplugged + pd.Timedelta(seconds=240)) & (rows["end"] >= unplugged)
        return rows[(rows["begin"] > start) & (rows["end"] < stop) & ~meets].sort_values(["valve", "begin"])

    found, truth = uncut(found), uncut(truth)
    assert len(truth) > 60
    assert {"m1", "m2"}.isdisjoint(truth["valve"])
    assert "m3" in set(truth["valve"])
    assert list(found["valve"]) == list(truth["valve"])
    for one in ("begin", "end"):
        off = found[one].to_numpy() - truth[one].to_numpy()
        assert np.abs(off).max() <= np.timedelta64(PERIOD_S, "s")
    assert found["complete"].all()


def test_as_plain_pandas(tmp_path: Path) -> None:
    """The chain against another way to write it, the script that its speed is measured by: all numbers are the same."""
    chain(tmp_path, write_days(tmp_path / "raw", days=2), valves=3)
    (tmp_path / "plain").mkdir()
    script = REPO / "tests" / "benchmarks" / "peers" / "valve_pandas.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "parsed"), str(tmp_path / "plain")], check=True)
    compared = {"flag": ("bio_signal", "environment"), "grid": ("grid",), "activity": ("hourly", "daily", "events")}
    for treatment, names in compared.items():
        for path in [path for name in names for path in sorted((tmp_path / treatment).glob(f"{name}__*"))]:
            ours, theirs = pd.read_parquet(path), pd.read_parquet(tmp_path / "plain" / path.name)
            theirs = theirs.reset_index() if theirs.index.name else theirs.reset_index(drop=True)
            kept = [name for name in ours if name in theirs]
            assert len(kept) >= 3
            pd.testing.assert_frame_equal(ours[kept], theirs[kept], check_dtype=False)


def test_the_oyster(tmp_path: Path) -> None:
    """A day of a real one: open 69.0 % of the time; five closures of a minute or more, the longest of 3 h 21.7 min."""
    path = tmp_path / f"oyster_{DAY}.csv"
    shutil.copyfile(oyster(), path)
    bins = {"period_s": 2.0}  # it was read every 1.6 s, and its shortest closure takes a minute
    chain(tmp_path / "given", [path], opening={"calibration": {"m0": [1956, 4379]}}, grid=bins)
    events, daily = read(tmp_path / "given" / "activity", "events"), read(tmp_path / "given" / "activity", "daily")
    assert list(events["duration_s"]) == [2_746, 11_058, 828, 12_104, 62]
    assert events["complete"].all()
    assert daily["vod_pct"][0] == pytest.approx(69.0, abs=0.2)
    assert daily["closures"][0] == 5
    chain(tmp_path / "fitted", [path], grid=bins)
    events, daily = read(tmp_path / "fitted" / "activity", "events"), read(tmp_path / "fitted" / "activity", "daily")
    assert list(events["duration_s"]) == [2_746, 11_058, 828, 12_162, 62]
    assert daily["vod_pct"][0] == pytest.approx(69.0, abs=0.2)
    chain(tmp_path / "plain", [path])
    events, daily = read(tmp_path / "plain" / "activity", "events"), read(tmp_path / "plain" / "activity", "daily")
    assert list(events["duration_s"]) == [2_750, 11_090, 830, 12_160]
    assert daily["vod_pct"][0] == pytest.approx(69.0, abs=0.2)
    assert daily["known_pct"][0] == 100
