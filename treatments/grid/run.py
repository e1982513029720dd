"""Puts valve opening and temperature on one regular grid of time, a whole UTC day a file; a bin is its mean."""

import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MEASURED, HELD, NONE = 1, 2, 9
DAY = pd.Timedelta(days=1)


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write grid__DAY for each day that has valves, those of its own file; reference__DAY stays as it is.

    A gap is a run of empty bins; one of at most `max_gap_s` between two values is held whole at the value before it, a
    longer one not at all, also over midnight. `coverage` is the share of the rows that a bin should have by the day's
    median period. Raises ValueError when a day is no whole number of bins.
    """
    period, longest = pd.Timedelta(seconds=params["period_s"]), pd.Timedelta(seconds=params["max_gap_s"])
    if period <= pd.Timedelta(0) or DAY % period:
        raise ValueError(f"param `period_s` is {params['period_s']}: a day is no whole number of such bins")
    if not pd.Timedelta(0) <= longest < DAY:
        raise ValueError(f"param `max_gap_s` is {params['max_gap_s']}: it must be less than a day, 86400")
    asked = os.environ.get("PYMYX_DAYS", "")
    for path in sorted(Path(input_dir).glob("*__????-??-??.parquet")):
        name, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        if name == "reference":
            shutil.copyfile(path, Path(output_dir) / path.name)
        if name != "opening":
            continue
        bins = pd.date_range(day, periods=DAY // period, freq=period, tz="UTC", unit="ns")
        valves, flags = _held(path, list(_rows(path)), bins, longest // period)
        air = path.with_name(f"{params['temperature_domain']}__{day}.parquet")
        temperature, _ = _held(air, [params["temperature"]], bins, longest // period)
        columns = {
            "ts": pa.array(bins),
            "coverage": _coverage(_rows(path).index, bins),
            "temperature": temperature[params["temperature"]],
        }
        columns |= {valve: valves[valve] for valve in valves} | {f"{valve}_flag": flags[valve] for valve in flags}
        _write(pa.table(columns), Path(output_dir) / f"grid__{day}.parquet")


def _held(path: Path, names: list[str], bins: pd.DatetimeIndex, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mean of each bin by column (float32), gaps of at most `most` bins held; and each bin's flag (uint8)."""
    domain, day, period = path.stem[:-12], np.datetime64(path.stem[-10:]), DAY // len(bins)
    days = [_rows(path.with_name(f"{domain}__{day + step}.parquet")) for step in (-1, 0, 1)]
    number = [(one.index - bins[0]) // period for one in days]
    near = [(each >= -most) & (each < len(bins) + most) for each in number]
    rows = pd.concat([one.reindex(columns=names)[kept] for one, kept in zip(days, near, strict=True)])
    means = rows.groupby(np.concatenate([each[kept] for each, kept in zip(number, near, strict=True)])).mean()
    means = means.reindex(range(-most, len(bins) + most))
    known, place = means.notna(), np.arange(len(means))[:, np.newaxis]
    last = np.maximum.accumulate(np.where(known, place, -1), axis=0)
    following = np.minimum.accumulate(np.where(known, place, len(means))[::-1], axis=0)[::-1]
    held = ~known & (last >= 0) & (following < len(means)) & (following - last - 1 <= most)
    values = means.where(~held, means.ffill()).astype("float32")
    flags = pd.DataFrame(np.select([known, held], [MEASURED, HELD], NONE).astype("uint8"), columns=names)
    own = slice(most, most + len(bins))
    return values.iloc[own], flags.iloc[own]


@lru_cache(maxsize=6)
def _rows(path: Path) -> pd.DataFrame:
    """A day's numbers by instant, null where a flag says that they are not to be used; none when there is no file."""
    if not path.exists():
        return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC"), dtype=float)
    rows = pd.read_parquet(path).set_index("ts").select_dtypes("number").astype(float)
    flags = [name for name in rows if name.endswith("_flag") and name.removesuffix("_flag") in rows]
    for flag in flags:
        rows[flag.removesuffix("_flag")] = rows[flag.removesuffix("_flag")].where(rows[flag] <= 3)
    return rows.drop(columns=flags)


def _coverage(instants: pd.DatetimeIndex, bins: pd.DatetimeIndex) -> np.ndarray:
    """The share (float32, 0 to 1) of the rows that are there of those that a bin has at the day's median period."""
    distinct, period = instants.unique(), DAY // len(bins)
    usual = (distinct[1:] - distinct[:-1]).to_series().median() if len(distinct) > 1 else period
    rows = np.bincount((distinct - bins[0]) // period, minlength=len(bins))
    return np.minimum(rows / max(1, period // usual), 1).astype("float32")


def _write(table: pa.Table, path: Path) -> None:
    """Write with the encodings that suit instants, slowly varying values and flags."""
    flags = [name for name in table.column_names if table[name].type == pa.uint8()]
    how = {name: "BYTE_STREAM_SPLIT" for name in table.column_names if name not in flags} | {
        "ts": "DELTA_BINARY_PACKED"
    }
    pq.write_table(table, path, compression="zstd", use_dictionary=flags, column_encoding=how)
