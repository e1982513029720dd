"""Puts valve opening and temperature on one regular grid of time, a UTC day a file; a bin is the mean of its values.

A gap is a run of empty bins. One of at most `max_gap_s` between two values is held whole, at the value before it; a
longer one stays empty as a whole (a fill with a limit would hold the beginning of every gap: pandas#36352).
"""

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

    Gaps are held over midnight too. `coverage` is the share, 0 to 1, of the rows that are there of those that a bin
    has at the day's median period. Raises ValueError for a period, or a gap, that does not fit a day.
    """
    period, longest = pd.Timedelta(seconds=params["period_s"]), pd.Timedelta(seconds=params["max_gap_s"])
    if period <= pd.Timedelta(0) or DAY % period:
        raise ValueError(f"param `period_s` is {params['period_s']}: a day is no whole number of such bins")
    if not pd.Timedelta(0) <= longest < DAY:
        raise ValueError(f"param `max_gap_s` is {params['max_gap_s']}: it must be less than a day, 86400")
    asked, temperature = os.environ.get("PYMYX_DAYS", ""), params["temperature"]
    for path in sorted(Path(input_dir).glob("*__????-??-??.parquet")):
        name, day = path.stem.rsplit("__", 1)
        if name == "reference":
            shutil.copyfile(path, Path(output_dir) / path.name)
        if name != "opening" or (asked and day not in asked.split(",")):
            continue
        bins = pd.date_range(day, periods=DAY // period, freq=period, tz="UTC", unit="ns")
        weather, most = path.with_name(f"{params['temperature_domain']}__{day}.parquet"), longest // period
        valves, flags = _held(path, list(_rows(path)), bins, most)
        air, _ = _held(weather, [temperature], bins, most)
        slow = {"coverage": _coverage(_rows(path).index, bins), "temperature": air[temperature], **valves}
        few = {f"{valve}_flag": flags[valve] for valve in flags}
        table = pa.table({name: pa.array(each) for name, each in ({"ts": bins} | slow | few).items()})
        target = Path(output_dir) / f"grid__{day}.parquet"
        how = {"ts": "DELTA_BINARY_PACKED", **dict.fromkeys(slow, "BYTE_STREAM_SPLIT")}
        pq.write_table(table, target, compression="zstd", use_dictionary=list(few), column_encoding=how)


def _held(path: Path, names: list[str], bins: pd.DatetimeIndex, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mean of each bin by column (float32), gaps of at most `most` bins held; and each bin's flag (uint8)."""
    day, period, parts = np.datetime64(path.stem[-10:]), DAY // len(bins), []
    for file in (path.with_name(f"{path.stem[:-12]}__{day + step}.parquet") for step in (-1, 0, 1)):
        number = (_rows(file).index - bins[0]) // period
        near = (number >= -most) & (number < len(bins) + most)
        parts.append(_rows(file)[near].set_axis(number[near]).reindex(columns=names))
    rows = pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=names, dtype=float)])
    means = rows.groupby(rows.index).mean().reindex(range(-most, len(bins) + most))
    known, place = means.notna().to_numpy(), np.arange(len(means))[:, np.newaxis]
    last = np.maximum.accumulate(np.where(known, place, -1))
    after = np.minimum.accumulate(np.where(known, place, len(means))[::-1])[::-1]
    held = ~known & (last >= 0) & (after < len(means)) & (after - last - 1 <= most)
    values = means.where(~held, means.ffill()).astype("float32")
    flags = np.select([known, held], [MEASURED, HELD], NONE).astype("uint8")
    own = slice(most, most + len(bins))
    return values[own], pd.DataFrame(flags[own], columns=names)


@lru_cache(maxsize=6)
def _rows(path: Path) -> pd.DataFrame:
    """A day's numbers by instant, null where a flag says that they are not good; nothing when there is no file."""
    if not path.exists():
        return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC"))
    rows = pd.read_parquet(path).set_index("ts").select_dtypes("number").astype(float)
    flags = [name for name in rows if name.endswith("_flag") and name.removesuffix("_flag") in rows]
    for flag in flags:
        rows[flag.removesuffix("_flag")] = rows[flag.removesuffix("_flag")].where(rows[flag] <= 3)
    return rows.drop(columns=flags)


def _coverage(instants: pd.DatetimeIndex, bins: pd.DatetimeIndex) -> np.ndarray:
    """The share (float32) of the rows of each bin that are there."""
    at, period = instants.unique().asi8 - bins[0].value, (DAY // len(bins)).value
    usual = np.median(np.diff(at)) if len(at) > 1 else period
    rows = np.bincount(at // period, minlength=len(bins))
    return np.minimum(rows / max(1, period // usual), 1).astype("float32")
