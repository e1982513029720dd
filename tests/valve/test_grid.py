"""grid: means on whole UTC days; short gaps are held whole, long ones not at all, and what was held is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from .tables import DAY, apply, instants, read, write

NEXT = "2026-01-21"


def opening(folder: Path, seconds: Any, day: Any = DAY, **valves: Any) -> None:
    """Write opening__DAY."""
    ts = instants(day, seconds)
    pd.DataFrame({"ts": ts, **valves}).to_parquet(_made(folder) / f"opening__{day}.parquet", index=False)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def gridded(tmp_path: Path) -> Any:
    """Puts one valve on the grid; gives the day's table."""

    def run(seconds: Any, values: Any, **params: Any) -> pd.DataFrame:
        opening(tmp_path / "in", seconds, m0=np.asarray(values, "float32"))
        apply("grid", tmp_path / "in", tmp_path / "out", **params)
        return read(tmp_path / "out", "grid")

    return run


def test_columns(gridded: Any, tmp_path: Path) -> None:
    """All bins of the day; the type of each column; null is null."""
    grid = gridded([0, 1, 35], [40, 60, 80])
    assert {name: str(kind) for name, kind in grid.dtypes.items()} == {
        "ts": "datetime64[ns, UTC]",
        "coverage": "float32",
        "temperature": "float32",
        "m0": "float32",
        "m0_flag": "uint8",
    }
    assert len(grid) == 8_640
    assert list(grid["ts"].dt.strftime("%T")[[0, 1, 8_639]]) == ["00:00:00", "00:00:10", "23:59:50"]
    assert list(grid["m0"][:4]) == [50, 50, 50, 80]
    assert list(grid["m0_flag"][:5]) == [1, 2, 2, 1, 9]
    table = pq.read_table(tmp_path / "out" / f"grid__{DAY}.parquet")
    assert [table[name].null_count for name in ("temperature", "m0", "m0_flag")] == [8_640, 8_636, 0]


def test_mean_of_bins(gridded: Any) -> None:
    """As resample().mean() of pandas, which knows nothing of gaps."""
    random = np.random.RandomState(3)
    seconds = np.arange(0.142308, 86_400)[random.random_sample(86_400) >= 0.3]
    values = random.uniform(0, 100, len(seconds)).astype("float32")
    values[random.random_sample(len(seconds)) < 0.3] = np.nan
    grid = gridded(seconds, values, period_s=4.0, max_gap_s=0.0)
    expected = pd.Series(values.astype(float), instants(DAY, seconds)).resample("4s").mean()
    assert len(expected) == len(grid)
    assert np.allclose(grid["m0"], expected, atol=1e-4, equal_nan=True)
    assert list(grid["m0_flag"] == 1) == list(expected.notna())
    assert set(grid["m0_flag"]) == {1, 9}


@pytest.mark.parametrize(("empty", "held"), [(1, True), (2, True), (3, False), (30, False)])
def test_gaps(gridded: Any, empty: int, held: bool) -> None:
    """Up to `max_gap_s` it is held whole; a longer one is empty from its first bin on; none at the ends of a record."""
    grid = gridded([25, 25 + 10 * (empty + 1)], [70, 30])
    flags, values = list(grid["m0_flag"]), grid["m0"]
    inside = slice(3, 3 + empty)
    assert flags[:3] == [9, 9, 1]
    assert flags[inside] == [2 if held else 9] * empty
    assert (values[inside] == 70).all() if held else values[inside].isna().all()
    assert flags[3 + empty] == 1
    assert set(flags[4 + empty :]) == {9}


def test_gaps_over_midnight(tmp_path: Path) -> None:
    """20 s are held on both sides, 30 s on neither; each valve by itself."""
    opening(tmp_path / "in", [86_375, 86_385], m0=[1.0, 10], m1=[20.0, np.nan], m2=[30.0, np.nan])
    opening(tmp_path / "in", [5, 12], day=NEXT, m0=[np.nan, 50], m1=[np.nan, 60], m2=[70, 70.0])
    apply("grid", tmp_path / "in", tmp_path / "out")
    eve, morning = (pd.read_parquet(tmp_path / "out" / f"grid__{day}.parquet") for day in (DAY, NEXT))
    last, first = eve.iloc[-3:], morning.iloc[:2]
    assert [list(last[f"m{number}_flag"]) + list(first[f"m{number}_flag"]) for number in range(3)] == [
        [1, 1, 2, 2, 1],
        [1, 9, 9, 9, 1],
        [1, 2, 2, 1, 1],
    ]
    assert list(last["m0"]) + list(first["m0"]) == [1, 10, 10, 10, 50]


def test_coverage(tmp_path: Path) -> None:
    """Of distinct stamps, by the day's usual period: 1.6 s into 10 s has no gaps; half a bin is half."""
    seconds = np.arange(1, 3_600, 1.6)
    opening(tmp_path / "in", np.repeat(seconds, 2), m0=np.repeat(seconds, 2))
    opening(tmp_path / "in", [*range(10), *range(10, 20, 2), *range(20, 30)], day=NEXT, m0=np.ones(25))
    apply("grid", tmp_path / "in", tmp_path / "out")
    grid = read(tmp_path / "out", "grid")
    assert set(grid["coverage"][1:359]) == {1}
    assert set(grid["coverage"][361:8_640]) == {0}
    assert list(grid["coverage"][8_640:8_644]) == [1, 0.5, 1, 0]


def test_temperature(tmp_path: Path) -> None:
    """Joined where there is one, without what failed, held like a valve; another domain and column by params."""
    opening(tmp_path / "in", [1, 2], m0=[1.0, 2])
    flags = np.array([1, 3, 4, 1], "uint8")
    write(
        tmp_path / "in",
        f"environment__{DAY}",
        instants(DAY, [1, 2, 3, 25]),
        outdoor_temp=[10.0, 12, 99, 20],
        outdoor_temp_flag=flags,
    )
    write(tmp_path / "in", f"water__{DAY}", instants(DAY, [1]), t=[7.5])
    apply("grid", tmp_path / "in", tmp_path / "out")
    assert list(read(tmp_path / "out", "grid")["temperature"][:3]) == [11, 11, 20]
    apply("grid", tmp_path / "in", tmp_path / "out", temperature_domain="water", temperature="t")
    assert list(read(tmp_path / "out", "grid")["temperature"][:1]) == [7.5]


def test_files(tmp_path: Path) -> None:
    """The reference goes through as it is; a day with nothing but the environment has no grid; twelve valves in order."""
    opening(tmp_path / "in", [1], **{f"m{number}": [1.0] for number in range(12)})
    write(tmp_path / "in", f"environment__{NEXT}", instants(NEXT, [1]), outdoor_temp=[10.0])
    (tmp_path / "in" / f"reference__{DAY}.parquet").write_bytes(b"as it is")
    assert apply("grid", tmp_path / "in", tmp_path / "out") == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"grid__{DAY}.parquet",
        f"reference__{DAY}.parquet",
    ]
    assert (tmp_path / "out" / f"reference__{DAY}.parquet").read_bytes() == b"as it is"
    valves = [f"m{number}" for number in range(12)]
    expected = ["ts", "coverage", "temperature", *valves, *[f"{valve}_flag" for valve in valves]]
    assert list(read(tmp_path / "out", "grid")) == expected


@pytest.mark.parametrize(("params", "text"), [
    ({"period_s": 7.0}, "param `period_s` is 7.0: a day is no whole number of such bins"),
    ({"period_s": 0.0}, "param `period_s` is 0.0: a day is no whole number of such bins"),
    ({"max_gap_s": 86_400.0}, "param `max_gap_s` is 86400.0: it must be less than a day, 86400"),
])  # fmt: skip
def test_wrong_params(gridded: Any, params: dict[str, float], text: str) -> None:
    """They are named."""
    with pytest.raises(ValueError, match=text):
        gridded([0], [1], **params)
