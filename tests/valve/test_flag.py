"""flag: the flags of QARTOD, in words of seconds; nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from .tables import DAY, apply, instants, read, write

NAME = f"bio_signal__{DAY}"
NEXT = "bio_signal__2026-01-21"


@pytest.fixture
def flagged(tmp_path: Path) -> Any:
    """Writes values of one valve by second of the day, flags them, returns the flags."""

    def flag(values: Any, seconds: Any = None, **params: Any) -> list[int]:
        seconds = np.arange(len(values)) if seconds is None else seconds
        write(tmp_path / "in", NAME, instants(DAY, seconds), m0=values)
        apply("flag", tmp_path / "in", tmp_path / "out", **params)
        return [int(one) for one in read(tmp_path / "out", "bio_signal")["m0_flag"]]

    return flag


def test_columns_stay_as_they_are(tmp_path: Path) -> None:
    """Values, types, nulls and metadata of parse, then the flags, uint8; words get none."""
    m0 = pd.array([900, None, 2**53 + 1], dtype="Int64")
    path = write(tmp_path / "in", NAME, instants(DAY, [0, 1, 2]), m0=m0, m1=[1.5, np.nan, 3.0])
    apply("flag", tmp_path / "in", tmp_path / "out")
    before, after = pq.read_table(path), pq.read_table(tmp_path / "out" / path.name)
    assert after.column_names == ["ts", "m0", "m1", "domain", "m0_flag", "m1_flag"]
    assert after.select(before.column_names).equals(before)
    assert after.schema.metadata == before.schema.metadata
    assert [str(after[f"{name}_flag"].type) for name in ("m0", "m1")] == ["uint8"] * 2
    assert after["m0_flag"].to_pylist() == [1, 9, 4]


def test_gross_range(flagged: Any) -> None:
    """The ends of a span are inside; the rails of the ADC lie outside what is likely."""
    spans = {"fail_span": {"bio_signal": [0, 1023]}, "suspect_span": {"bio_signal": [1, 1022]}, "spike_above": {}}
    assert flagged([-1, 0, 1, 1022, 1023, 1024, np.nan], **spans) == [4, 3, 1, 1, 3, 4, 9]


def test_spikes(flagged: Any) -> None:
    """One value alone, up or down, is one; a closing valve is none, nor is what stands beside nothing, or too far from it."""
    assert flagged([900, 900, 1450, 900, 900]) == [1, 1, 3, 1, 1]
    assert flagged([2900, 2900, 900, 2900, 2900]) == [1, 1, 4, 1, 1]
    assert flagged([3900, 3000, 2100, 1200, 300]) == [1] * 5
    assert flagged([900, 900, 2450, np.nan, 900]) == [1, 1, 1, 9, 1]
    assert flagged([900, 900, 2450, 900, 900], seconds=[0, 1, 2, 5.5, 6]) == [1] * 5
    assert flagged([900, 900, 2450, 900, 900], seconds=[0, 1, 2, 5, 6]) == [1, 1, 4, 1, 1]


def test_flat_line(flagged: Any) -> None:
    """In seconds since the last change, both ends inside, over nulls and lost rows, but not over a gap."""
    flat = {"flat_s": {"bio_signal": [10, 20]}}
    assert flagged([5, *[7] * 25], **flat) == [1] * 11 + [3] * 10 + [4] * 5
    assert flagged([5, 7, np.nan, 7, 7], seconds=[0, 1, 5, 11, 21], **flat) == [1, 1, 9, 3, 4]
    assert flagged([5, 7, 7, 7], seconds=[0, 1, 61.5, 72], **flat) == [1, 1, 1, 3]
    assert flagged([5, 7, 7, 7], seconds=[0, 1, 61, 72], **flat) == [1, 1, 4, 4]


def test_flat_line_before_1970(tmp_path: Path) -> None:
    """A logger whose clock was never set is tested as any other."""
    write(tmp_path / "in", "bio_signal__1969-12-31", instants("1969-12-31", [0, 1, 12]), m0=[5, 7, 7])
    apply("flag", tmp_path / "in", tmp_path / "out", flat_s={"bio_signal": [10, 20]})
    assert list(read(tmp_path / "out", "bio_signal")["m0_flag"]) == [1, 1, 3]


def test_a_domain_without_tests(tmp_path: Path) -> None:
    """2, not evaluated; 9 where there is nothing."""
    write(tmp_path / "in", f"water__{DAY}", instants(DAY, [0, 1]), salinity=[35.1, np.nan])
    apply("flag", tmp_path / "in", tmp_path / "out")
    assert list(read(tmp_path / "out", "water")["salinity_flag"]) == [2, 9]


def test_over_midnight(tmp_path: Path) -> None:
    """A spike in the last row of a day, and a line that was flat before midnight, are seen with the days beside them."""
    write(
        tmp_path / "in",
        NAME,
        instants(DAY, [*range(82_700, 86_399), 86_399]),
        m0=[*[700] * 3_699, 700],
        m1=[*[700] * 3_699, 2_000],
    )
    write(tmp_path / "in", NEXT, instants("2026-01-21", [0, 1]), m0=[700, 701], m1=[700, 700])
    apply("flag", tmp_path / "in", tmp_path / "out")
    flags = read(tmp_path / "out", "bio_signal")
    assert list(flags["m0_flag"][-3:]) == [3, 3, 1]
    assert list(flags["m1_flag"][-3:]) == [4, 1, 1]


def test_repeated_instants(tmp_path: Path) -> None:
    """The first is tested, as if the others were not there; they fail, and are counted, once for the run."""
    values = np.array([900, 901, 2450, 900, 905])
    for name in (NAME, NEXT):
        write(tmp_path / "once", name, instants(name[-10:], range(5)), m0=values)
        write(tmp_path / "twice", name, instants(name[-10:], np.repeat(range(5), 2)), m0=np.repeat(values, 2))
    assert apply("flag", tmp_path / "once", tmp_path / "out_once") == []
    told = apply("flag", tmp_path / "twice", tmp_path / "out_twice")
    assert told == [f"rows of an instant that has one already, flagged 4: {NAME} 5, {NEXT} 5"]
    once, twice = (read(tmp_path / f"out_{one}", "bio_signal")["m0_flag"].to_numpy() for one in ("once", "twice"))
    assert list(once[:5]) == [1, 1, 4, 1, 1]
    assert list(twice[::2]) == list(once)
    assert set(twice[1::2]) == {4}


def test_ignore(tmp_path: Path) -> None:
    """From an instant to another, that one excluded, or for ever; one valve; the reason goes with the day's file."""
    for name in (NAME, NEXT):
        write(tmp_path / "in", name, instants(name[-10:], range(4)), m0=[1, 2, 3, np.nan], m1=[1, 2, 3, 4])
    spans = [
        {"valve": "m0", "from": "2026-01-20T00:00:01Z", "to": "2026-01-20T01:00:03+01:00", "reason": "cleaned"},
        {"valve": "m0", "from": "2026-01-21T00:00:02Z", "reason": "dead"},
    ]
    apply("flag", tmp_path / "in", tmp_path / "out", ignore=spans)
    flags = read(tmp_path / "out", "bio_signal")
    assert list(flags["m0_flag"]) == [1, 4, 4, 9, 1, 1, 4, 9]
    assert set(flags["m1_flag"]) == {1}
    told = [pq.read_schema(tmp_path / "out" / f"{name}.parquet").metadata.get(b"ignored") for name in (NAME, NEXT)]
    assert told == [b'{"m0": ["cleaned"]}', b'{"m0": ["dead"]}']


def test_two_devices(tmp_path: Path) -> None:
    """A table with rows of two is refused, with the way out."""
    path = write(tmp_path / "in", NAME, instants(DAY, [0, 1]), m0=[1, 2], device=["a", "b"])
    with pytest.raises(ValueError) as caught:
        apply("flag", tmp_path / "in", tmp_path / "out")
    assert str(caught.value) == (
        f"{path} has rows of several devices (a, b); give each a data folder of its own: --data DIR"
    )
    write(tmp_path / "in", NAME, instants(DAY, [0, 1]), m0=[1, 2], device=["a", "a"])
    apply("flag", tmp_path / "in", tmp_path / "out")
    assert "device_flag" not in read(tmp_path / "out", "bio_signal")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "three": ({"fail_span": {"bio_signal": [0, 1, 2]}}, "param `fail_span`: `bio_signal` must be two numbers"),
    "turned": ({"spike_above": {"bio_signal": [9, 1]}}, "param `spike_above`: `bio_signal` must be two numbers"),
    "far": ({"flat_s": {"bio_signal": [60, 90_000]}}, "flat_s at most a day, 86400; not [60, 90000]"),
    "no valve": ({"ignore": [{"from": "2026-01-20T00:00:00Z", "reason": "x"}]}, "param `ignore`: write each as {"),
    "no time": ({"ignore": [{"valve": "m0", "from": "noon", "reason": "x"}]}, "noon"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_params(flagged: Any, kind: str) -> None:
    """They are named."""
    params, text = WRONG[kind]
    with pytest.raises(ValueError) as caught:
        flagged([1, 2], **params)
    assert text in str(caught.value)


def faulty(rows: int) -> np.ndarray:
    """Counts of a valve with every fault: beyond the range, spikes, flat lines, nulls."""
    random = np.random.RandomState(7)
    values = np.rint(800 - 300 * (np.sin(np.arange(rows) / 300) > 0.9) + random.normal(0, 3, rows))
    values[random.choice(rows, 30, replace=False)] = [1023, 0, 1024, -1, 2000, np.nan] * 5
    values[random.choice(rows, 20, replace=False)] += [200, 400, -200, -400] * 5
    for begin, length in ((1_000, 130), (2_000, 700), (4_000, 1_500), (8_800, 200)):
        values[begin : begin + length] = 640
    return values


SPANS: dict[str, Any] = {
    "fail_span": [0, 1023],
    "suspect_span": [1, 1022],
    "spike_above": [100, 300],
    "flat_s": [120, 600],
}


def ioos(values: np.ndarray, ts: pd.DatetimeIndex) -> np.ndarray:
    """The same three tests by ioos_qc, put together by its own precedence."""
    qartod = pytest.importorskip("ioos_qc.qartod", reason="ioos_qc is not installed: pip install -e '.[oracles]'")
    tests = [
        qartod.gross_range_test(values, SPANS["fail_span"], SPANS["suspect_span"]),
        qartod.spike_test(values, *SPANS["spike_above"], method="differential"),
        qartod.flat_line_test(values, ts.tz_localize(None).to_numpy(), *SPANS["flat_s"], tolerance=1e-9),
    ]
    flags: np.ndarray = np.asarray(qartod.qartod_compare(tests))
    return flags


def test_as_ioos_qc_on_regular_data(flagged: Any) -> None:
    """9,000 of 9,000 flags."""
    values = faulty(9_000)
    expected = ioos(values, instants(DAY, range(9_000)))
    flags = flagged(values, **{test: {"bio_signal": pair} for test, pair in SPANS.items()})
    assert {flag: flags.count(flag) for flag in (1, 3, 4, 9)} == {
        flag: list(expected).count(flag) for flag in (1, 3, 4, 9)
    }
    assert flags == list(expected)
    assert flags.count(3) > 100
    assert flags.count(4) > 100


def test_as_ioos_qc_on_lost_samples(flagged: Any) -> None:
    """Where they differ, ioos_qc counted points of a flat line, and flag the seconds of it."""
    kept = np.random.RandomState(8).random_sample(9_000) >= 0.02
    values, seconds = faulty(9_000)[kept], np.arange(9_000)[kept]
    expected = ioos(values, instants(DAY, seconds))
    flags = np.array(flagged(values, seconds, **{test: {"bio_signal": pair} for test, pair in SPANS.items()}))
    differ = np.flatnonzero(flags != expected)
    assert 0 < len(differ) < 100
    for row in differ:
        first = row
        while values[first - 1] == values[row]:
            first -= 1
        unchanged_s, points = seconds[row] - seconds[first], row - first
        by_seconds, by_points = (4 if each >= 600 else 3 if each >= 120 else 1 for each in (unchanged_s, points))
        assert (flags[row], expected[row]) == (by_seconds, by_points)
