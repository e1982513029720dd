"""Turns counts into valve opening in percent: 100 (g(x) - g(closed)) / (g(open) - g(closed)), cut to 0 to 100.

g grows as the gape does: x itself, the counts (law linear), or |x - no_field|^(-1/3), the distance of a magnet whose
field falls with the third power of it (law dipole; why it matters: Guarini 2020, 10.1101/2020.12.20.423648).
"""

import json
import os
import shutil
import warnings
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DAYS_BEFORE = 6  # as in treatment.json; none after, so that a published day does not change because tomorrow came
REFERENCE = {"valve": pa.string(), "closed": pa.float64(), "open": pa.float64(), "days": pa.int64()}
REFERENCE |= {"law": pa.string(), "state": pa.string(), "reason": pa.string()}


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write opening__DAY and reference__DAY for each day of `domain`; the files of other domains stay as they are.

    Closed and open are the outermost of the quantiles of the day and of the days before it, each day's own, or those
    of `calibration`. Warns of valves that have no opening, and of those that open much faster than they close.
    """
    asked, still, speeds = os.environ.get("PYMYX_DAYS", ""), {}, {}
    for path in sorted(Path(input_dir).glob("[!._]*__????-??-??.parquet")):
        domain, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        if domain != params["domain"]:
            shutil.copyfile(path, Path(output_dir) / path.name)
            continue
        (counts, ignored), opening = _good(path), {}
        references = [_reference(valve, path, params, counts[valve], ignored) for valve in counts]
        for one in references:
            valve, closed, widest = one["valve"], _gape(one["closed"], params), _gape(one["open"], params)
            percent = 100 * (_gape(counts[valve], params) - closed) / (widest - closed)
            percent = np.clip(percent if one["state"] == "alive" else counts[valve] * np.nan, 0, 100)
            opening[valve] = pd.Series(percent, counts.index, "float32")
            speeds[valve] = np.maximum(speeds.get(valve, 0), _fastest(opening[valve]))
            still[valve] = [*still.get(valve, []), *([day] if one["state"] == "no opening" else [])]
        table = pa.Table.from_pylist(references, pa.schema(REFERENCE))
        pq.write_table(table, Path(output_dir) / f"reference__{day}.parquet", compression="zstd")
        how = {"ts": "DELTA_BINARY_PACKED", **dict.fromkeys(opening, "BYTE_STREAM_SPLIT")}
        table = pa.table({"ts": pa.array(counts.index), **{valve: pa.array(each) for valve, each in opening.items()}})
        target = Path(output_dir) / f"opening__{day}.parquet"
        pq.write_table(table, target, compression="zstd", use_dictionary=False, column_encoding=how)
    if any(still.values()):
        names = ", ".join(f"{valve} ({days[0]} to {days[-1]})" for valve, days in still.items() if days)
        least = f"`least_range`, {params['least_range']:g}"
        warnings.warn(f"valves without opening, dead or never moved by {least}: {names}")
    turned = {valve: each for valve, each in speeds.items() if each[1] > max(1.5 * each[0], 1)}
    if turned:
        names = ", ".join(f"{valve} ({closing:.1f}, {opens:.1f})" for valve, (closing, opens) in turned.items())
        hint = f"`open_is` is {params['open_is']} and probably wrong, or its calibration is turned"
        warnings.warn(f"valves that close more slowly than they open, in % a second; {hint}: {names}")


def _reference(valve: str, path: Path, params: dict, counts: pd.Series, ignored: dict) -> dict:
    """Closed and open of a valve in counts on the day of `path`, from how many days; its state, and why."""
    domain, day = path.stem[:-12], np.datetime64(path.stem[-10:])
    since = np.datetime64(params["since"].get(valve, "0001-01-01"))
    days = [day - back for back in range(DAYS_BEFORE + 1) if day < since or day - back >= since]
    sign = 1 if params["open_is"] == "high" else -1
    at = (params["closed_quantile"], params["open_quantile"])
    each = [_quantiles(path.with_name(f"{domain}__{one}.parquet"), at, sign).get(valve) for one in days]
    each = [] if valve in params["calibration"] else [ends for ends in each if ends]
    lows, highs = zip(*each, strict=True) if each else ([np.nan], [np.nan])
    closed, widest = params["calibration"].get(valve, (sign * min(lows), sign * max(highs)))
    state, reason = "alive", None
    if not counts.notna().any():
        state, reason = ("ignored", ", ".join(ignored[valve])) if valve in ignored else ("no value", None)
    elif not np.isfinite(_gape(closed, params) - _gape(widest, params)):
        state, reason = "no opening", "closed or open lies beyond no_field"
    elif abs(widest - closed) < (params["least_range"] if each else 1e-9):
        state, reason = "no opening", f"moved by {abs(widest - closed):.0f} counts only"
    return dict(zip(REFERENCE, (valve, closed, widest, len(each), params["law"], state, reason), strict=True))


def _gape(counts, params: dict):
    """What grows, or falls, with the gape alone; none where the counts say that the magnet is infinitely far."""
    if params["law"] == "linear":
        return counts
    field = (counts - params["no_field"]) * (-1 if params["open_is"] == "high" else 1)
    return np.where(field > 0, field, np.nan) ** (-1 / 3)


@lru_cache(maxsize=1)
def _good(path: Path) -> tuple[pd.DataFrame, dict]:
    """A day's counts by instant, null where the flag is not 1 to 3, no instant twice; why some valves are ignored."""
    table = pq.read_table(path)
    rows = table.to_pandas().set_index("ts")
    valves = [name for name in rows if f"{name}_flag" in rows]
    counts = rows[valves].astype(float).where((rows[[f"{name}_flag" for name in valves]] <= 3).to_numpy())
    return counts[~counts.index.duplicated()], json.loads((table.schema.metadata or {}).get(b"ignored", b"{}"))


@cache
def _quantiles(path: Path, at: tuple[float, float], sign: int) -> dict[str, tuple[float, float]]:
    """The two quantiles of each valve that has counts on the day of `path`, of the counts times `sign`."""
    counts = {valve: each.dropna() for valve, each in _good(path)[0].items()} if path.exists() else {}
    return {valve: tuple(np.quantile(each * sign, at)) for valve, each in counts.items() if len(each)}


def _fastest(opening: pd.Series) -> tuple[float, float]:
    """The fastest closing and opening of a valve, in % a second, between rows at most 3 s apart, or 0."""
    seconds = np.diff(opening.index.asi8) / 1e9
    speeds = np.diff(opening.to_numpy())[seconds <= 3] / seconds[seconds <= 3]
    return -np.fmin.reduce(speeds, initial=0), np.fmax.reduce(speeds, initial=0)
