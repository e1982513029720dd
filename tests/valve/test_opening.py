"""opening: counts become percent of each valve's own range, by the law and the polarity that the params say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ..recording import Rack, write_days
from .tables import DAY, apply, instants, oyster, read, write

NAME = f"bio_signal__{DAY}"


def flagged(folder: Path, values: dict[str, Any], *, seconds: Any = None, day: str = str(DAY), flags: Any = 1) -> None:
    """Write a day of counts with flags."""
    rows = len(next(iter(values.values())))
    ts = instants(day, range(rows) if seconds is None else seconds)
    each = {f"{name}_flag": np.broadcast_to(np.asarray(flags, "uint8"), rows) for name in values}
    write(folder, f"bio_signal__{day}", ts, **values, **each)


def gape(rows: int = 6_000) -> np.ndarray:
    """A true opening, 0 to 1: it closes fast and opens slowly, twice."""
    since = np.arange(rows) % 2_500
    return np.clip(np.where(since < 1_000, 1 - (since - 500) / 4, (since - 1_000) / 300), 0, 1)


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Turns the counts of valves on one day into opening; gives the table and the warnings."""

    def run(values: dict[str, Any], **params: Any) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
        flags = params.pop("flags", 1)
        flagged(tmp_path / "in", values, flags=flags)
        told = apply("opening", tmp_path / "in", tmp_path / "out", **params)
        return read(tmp_path / "out", "opening"), read(tmp_path / "out", "reference"), told

    return run


def test_linear(opened: Any) -> None:
    """Percent of the range between quantiles, cut to 0 and 100, float32, null where the flag says 4."""
    counts = 200 + 700 * gape()
    flags = np.ones(len(counts), np.uint8)
    flags[[3, 4, 5]] = [2, 3, 4]
    opening, reference, told = opened({"m0": counts}, flags=flags)
    assert list(opening) == ["ts", "m0"]
    assert (str(opening["ts"].dtype), str(opening["m0"].dtype)) == ("datetime64[ns, UTC]", "float32")
    assert list(opening["m0"].isna().to_numpy().nonzero()[0]) == [5]
    closed, widest = np.quantile(counts[flags != 4], [0.01, 0.99])
    expected = np.clip(100 * (counts - closed) / (widest - closed), 0, 100)
    assert np.allclose(opening["m0"].drop(5), np.delete(expected, 5), atol=1e-4)
    assert (
        reference.to_dict("records")
        == [
            {
                "valve": "m0",
                "closed": closed,
                "open": widest,
                "days": 1,
                "law": "linear",
                "state": "alive",
                "reason": None,
            }
        ]
        or reference["reason"].isna().all()
    )
    assert told == []


def test_null_is_null(opened: Any, tmp_path: Path) -> None:
    """Null in the file, not NaN."""
    counts = 200 + 700 * gape()
    opened({"m0": np.where(np.arange(len(counts)) < 7, np.nan, counts), "m1": counts * np.nan})
    table = pq.read_table(tmp_path / "out" / f"opening__{DAY}.parquet")
    assert [table[name].null_count for name in ("m0", "m1")] == [7, len(counts)]


@pytest.mark.parametrize("field", [27_000, -27_000])
def test_dipole(opened: Any, field: int) -> None:
    """A magnet 3 to 5 mm away: within 1 % of the truth, where the linear law is off by 20; both poles of it."""
    true = gape()
    counts = 512 + field / (3 + 2 * true) ** 3
    open_is = "low" if field > 0 else "high"
    opening, reference, _ = opened({"m0": counts}, law="dipole", no_field=512.0, open_is=open_is)
    assert np.abs(opening["m0"] - 100 * true).max() < 1
    assert reference["law"][0] == "dipole"
    linear, _, _ = opened({"m0": counts}, open_is=open_is)
    assert np.abs(linear["m0"] - 100 * true).max() > 15


def test_dipole_without_the_right_zero(opened: Any) -> None:
    """Counts beyond no_field give nothing, and say why; no warning of NumPy reaches the user."""
    counts = 512 + 27_000 / (3 + 2 * gape()) ** 3
    opening, reference, told = opened({"m0": counts}, law="dipole", no_field=0.0, open_is="high")
    assert opening["m0"].isna().all()
    assert list(reference["reason"]) == ["closed or open lies beyond no_field"]
    assert told == [f"valves without opening, dead or never moved by `least_range`, 20: m0 ({DAY} to {DAY})"]


def test_scale_and_polarity(opened: Any) -> None:
    """Other units give the same; so does a sensor turned round with `open_is` low; the wrong `open_is` is seen."""
    counts = 200 + 700 * gape() + np.random.RandomState(1).normal(0, 2, 6_000)
    opening, _, told = opened({"m0": counts, "m1": 3.5 * counts - 80})
    assert np.allclose(opening["m0"], opening["m1"], atol=1e-3)
    assert told == []
    turned, _, told = opened({"m0": 1_023 - counts}, open_is="low")
    assert np.allclose(turned["m0"], opening["m0"], atol=1e-3)
    assert told == []
    wrong, _, told = opened({"m0": counts}, open_is="low")
    assert np.allclose(wrong["m0"], 100 - opening["m0"], atol=1e-3)
    assert len(told) == 1
    assert told[0].startswith(
        "valves that close more slowly than they open, in % a second; `open_is` is low and probably wrong"
    )
    assert " m0 (" in told[0]


def test_an_added_null_column(opened: Any) -> None:
    """It changes nothing for the others, and has no value."""
    counts = 200 + 700 * gape()
    alone, _, _ = opened({"m0": counts})
    beside, reference, told = opened({"m0": counts, "m1": np.full(len(counts), np.nan)})
    assert alone["m0"].equals(beside["m0"])
    assert list(reference["state"]) == ["alive", "no value"]
    assert told == []


def test_dead_or_never_moved(opened: Any) -> None:
    """No opening rather than noise from 0 to 100; told once, with the valves."""
    noise = np.random.RandomState(1).normal(500, 2, 6_000)
    opening, reference, told = opened({"m0": noise, "m1": 200 + 700 * gape()})
    assert opening["m0"].isna().all()
    assert opening["m1"].notna().all()
    assert list(reference["state"]) == ["no opening", "alive"]
    assert reference["reason"][0] == "moved by 9 counts only"
    assert told == [f"valves without opening, dead or never moved by `least_range`, 20: m0 ({DAY} to {DAY})"]


def test_calibration(opened: Any) -> None:
    """It holds instead of quantiles, also for a valve that never closes; its order is the polarity."""
    noise = np.random.RandomState(1).normal(880, 2, 6_000)
    opening, reference, _ = opened({"m0": noise, "m1": noise}, calibration={"m0": [200, 900], "m1": [900, 200]})
    assert abs(opening["m0"].mean() - 97.14) < 0.1
    assert abs(opening["m1"].mean() - 2.86) < 0.1
    assert list(reference["days"]) == [0, 0]
    assert list(reference["closed"]) == [200, 900]


def test_ignored(tmp_path: Path) -> None:
    """A valve that flag was told to ignore all day says so, with the reason."""
    write(tmp_path / "parsed", NAME, instants(DAY, range(6_000)), m0=200 + 700 * gape(), m1=200 + 700 * gape())
    spans = [{"valve": "m0", "from": "2026-01-01T00:00:00Z", "reason": "lost magnet"}]
    spans += [{"valve": "m1", "from": "2026-01-20T00:00:00Z", "to": "2026-01-20T00:10:00Z", "reason": "cleaned"}]
    apply("flag", tmp_path / "parsed", tmp_path / "in", ignore=spans)
    apply("opening", tmp_path / "in", tmp_path / "out")
    reference = read(tmp_path / "out", "reference")
    assert list(reference["state"]) == ["ignored", "alive"]
    assert reference["reason"][0] == "lost magnet"


def days_of(folder: Path, levels: dict[str, tuple[float, float]]) -> None:
    """One day for each name, between a closed and an open level."""
    for day, (closed, widest) in levels.items():
        flagged(folder, {"m0": closed + (widest - closed) * gape()}, day=day)


def test_the_days_before(tmp_path: Path) -> None:
    """The outermost of the day and the six before it; none after it, and none of another animal."""
    days = [f"2026-01-{number}" for number in range(20, 29)]
    levels = dict.fromkeys(days, (300.0, 700.0))
    days_of(tmp_path / "in", {**levels, days[0]: (200, 900), days[8]: (100, 999)})
    apply("opening", tmp_path / "in", tmp_path / "out")
    reference = read(tmp_path / "out", "reference")
    assert list(reference["closed"].round()) == [200] * 7 + [300, 100]
    assert list(reference["open"].round()) == [900] * 7 + [700, 999]
    assert list(reference["days"]) == [1, 2, 3, 4, 5, 6, 7, 7, 7]
    apply("opening", tmp_path / "in", tmp_path / "since", since={"m0": days[3]})
    reference = read(tmp_path / "since", "reference")
    assert list(reference["closed"].round()) == [200] * 3 + [300] * 5 + [100]
    assert list(reference["days"]) == [1, 2, 3, 1, 2, 3, 4, 5, 6]


def test_other_domains_pass(tmp_path: Path) -> None:
    """Byte for byte."""
    flagged(tmp_path / "in", {"m0": 200 + 700 * gape()})
    path = write(tmp_path / "in", f"environment__{DAY}", instants(DAY, [0, 1]), outdoor_temp=[1.0, np.nan])
    apply("opening", tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_swapped_with_since(tmp_path: Path) -> None:
    """Another animal with its own levels: its opening is right from its first day on, once `since` says so."""
    rack = Rack(kinds={"m0": "swapped"})
    raw = pd.read_csv(write_days(tmp_path / "raw", days=4, rack=rack)[3], sep=";", parse_dates=["ts"])
    before = pd.read_csv(tmp_path / "raw" / "mussel-1_2026-01-22.csv", sep=";", parse_dates=["ts"])
    for day, rows in (("2026-01-22", before), ("2026-01-23", raw)):
        ts = pd.DatetimeIndex(rows["ts"]).as_unit("ns")
        write(tmp_path / "in", f"bio_signal__{day}", ts, m0=rows["m0"], m0_flag=np.ones(len(rows), np.uint8))
    animal = rack.animals(rack.swap)["m0"]
    true = animal.gape(pd.DatetimeIndex(raw["ts"]).as_unit("ns").asi8 / 1e9)
    true = 100 * true / np.quantile(true, 0.99)
    off = {}
    for name, since in (("with", {"m0": str(rack.swap)}), ("without", {})):
        apply("opening", tmp_path / "in", tmp_path / name, since=since)
        opening = pd.read_parquet(tmp_path / name / "opening__2026-01-23.parquet")["m0"]
        off[name] = float(np.abs(opening - np.clip(true, 0, 100)).median())
    assert off["with"] < 1
    assert off["without"] > 10


def test_the_oyster_turned_round(tmp_path: Path) -> None:
    """From one sample to the next it closes by 31.7, opens by 17.5 % a second: with the wrong `open_is` that is said, with the right one not."""
    rows = pd.read_csv(oyster(), sep=";", parse_dates=["ts"]).iloc[:-1]  # the last is of the next day
    ts = pd.DatetimeIndex(rows["ts"]).as_unit("ns")
    write(tmp_path / "in", NAME, ts, m0=rows["m0"], m0_flag=np.ones(len(rows), np.uint8))
    assert apply("opening", tmp_path / "in", tmp_path / "out") == []
    [told] = apply("opening", tmp_path / "in", tmp_path / "out", open_is="low")
    assert told.endswith(": m0 (17.5, 31.7)")
