"""What each valve did, by hour and by day, and its closures one by one, from its opening on a regular grid.

vod_pct is the time open, voa_pct the mean opening while open (Aquaculture 298:338, 2010, hal-00645621), of the time
known. Counts hang on the threshold, so a closure has two (hysteresis) and a least length; speeds are between bins.
"""

import json
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

INSTANT, NUMBER, COUNT, WORD = pa.timestamp("ns", "UTC"), pa.float64(), pa.int32(), pa.string()
COUNTS = {"closures": COUNT, "openings": COUNT, "micro_closures": COUNT}
SHARES = dict.fromkeys(("known_pct", "vod_pct", "mean_pct", "voa_pct"), NUMBER)
MOVES = dict.fromkeys(("moved_pct", "closing_max_pct_s", "opening_max_pct_s"), NUMBER)
REFERENCE = {"closed": NUMBER, "open": NUMBER, "state": WORD, "reason": WORD}
SUMS = pa.schema({"ts": INSTANT, "valve": WORD, **SHARES, **COUNTS, **MOVES, **REFERENCE})
EVENTS = pa.schema({"valve": WORD, "begin": INSTANT, "end": INSTANT, "duration_s": NUMBER, "complete": pa.bool_()})


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write hourly__DAY, daily__DAY and events__DAY for each grid__DAY, read with the days beside it.

    An event is a closure that begins on the day; `complete` is false when its begin or its end was not seen, since a
    gap, or the end of what is read, cut it off. Raises ValueError for thresholds, or bins, that do not fit.
    """
    if params["closed_below"] > params["open_above"]:
        raise ValueError("param `closed_below` is above `open_above`: a valve would be open and closed at once")
    asked = os.environ.get("PYMYX_DAYS", "")
    for path in sorted(Path(input_dir).glob("grid__????-??-??.parquet")):
        day = path.stem[-10:]
        if asked and day not in asked.split(","):
            continue
        days = np.datetime64(day) + np.arange(-1, 2)
        eve, own, morrow = (_opening(path.with_name(f"grid__{one}.parquet")) for one in days)
        if {len(eve), len(morrow)} - {0, len(own)}:
            raise ValueError(f"{path} and the days beside it have bins of other lengths; make all of them anew")
        around = pd.concat([one for one in (eve, own, morrow) if len(one)]).reindex(columns=own.columns)
        opening, period_s = around.to_numpy(), 86_400 / len(own)
        closed = _closed(opening, period_s, params)
        measures = _measures(opening, closed, period_s, params)
        measures = {name: each[len(eve) : len(eve) + len(own)] for name, each in measures.items()}
        file = path.with_name(f"reference__{day}.parquet")
        reference = pd.read_parquet(file) if file.exists() else pd.DataFrame(columns=["valve", *REFERENCE])
        hourly, daily = (_summed(measures, own, span, params).merge(reference, "left", "valve") for span in ("h", "D"))
        events = _events(around, closed, own.index)
        for name, rows, schema in (("hourly", hourly, SUMS), ("daily", daily, SUMS), ("events", events, EVENTS)):
            table = pa.Table.from_pandas(rows, schema, preserve_index=False)
            table = table.replace_schema_metadata({"params": json.dumps(params)})
            pq.write_table(table, Path(output_dir) / f"{name}__{day}.parquet", compression="zstd")


@lru_cache(maxsize=3)
def _opening(path: Path) -> pd.DataFrame:
    """The opening of a day's valves in percent by bin; nothing when there is no file."""
    grid = pd.read_parquet(path).set_index("ts") if path.exists() else pd.DataFrame()
    return grid[[name for name in grid if f"{name}_flag" in grid]].astype(float)


def _closed(opening: np.ndarray, period_s: float, params: dict) -> np.ndarray:
    """Whether each valve is closed, by bin: from below `closed_below` until above `open_above`, and for long enough.

    A gap ends a closure; what follows it is closed only below `closed_below`.
    """
    known = ~np.isnan(opening)
    after_gap = known & ~_before(known)
    opens = (opening > params["open_above"]) | after_gap
    said = np.select([opening < params["closed_below"], opens], [1.0, 0.0], np.nan)
    closed = (pd.DataFrame(said).ffill().to_numpy() == 1) & known
    for valve in closed.T:
        for begin, end in _runs(valve):
            valve[begin:end] = (end - begin) * period_s >= params["least_closure_s"]
    return closed


def _before(states: np.ndarray) -> np.ndarray:
    """The states one bin earlier; false before the first."""
    return np.vstack([np.zeros_like(states[:1]), states[:-1]])


def _runs(states: np.ndarray) -> np.ndarray:
    """Begin and end (exclusive) of each run of true states: (runs, 2)."""
    return np.flatnonzero(np.diff(states.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)


def _micro_closures(opening: np.ndarray, closed: np.ndarray, period_s: float, params: dict) -> np.ndarray:
    """Where an open valve has fallen by `dip` within `dip_s`, without closing; re-armed at half of it."""
    fall, unbroken = np.zeros_like(opening), ~np.isnan(opening)
    for back in range(1, int(params["dip_s"] // period_s) + 1):
        earlier = np.vstack([np.full_like(opening[:back], np.nan), opening[:-back]])
        unbroken &= ~np.isnan(earlier)
        fall = np.where(unbroken, np.maximum(fall, earlier - opening), fall)
    said = np.select([fall >= params["dip"], fall < params["dip"] / 2], [1.0, 0.0], np.nan)
    falling, begun = pd.DataFrame(said).ffill().to_numpy() == 1, np.zeros_like(closed)
    for valve in range(closed.shape[1]):
        for begin, end in _runs(falling[:, valve]):
            begun[begin, valve] = not closed[begin:end, valve].any()
    return begun


def _measures(opening: np.ndarray, closed: np.ndarray, period_s: float, params: dict) -> dict[str, np.ndarray]:
    """What is summed up, by bin and valve; a step is against the bin before, and null beside a gap."""
    known, step = ~np.isnan(opening), np.diff(opening, axis=0, prepend=np.nan)
    is_open = known & ~closed
    sums = {"known": known, "is_open": is_open, "opening": np.nan_to_num(opening)}
    sums |= {"while_open": np.where(is_open, opening, 0), "moved_pct": np.nan_to_num(np.abs(step))}
    sums |= {"closures": closed & _before(is_open), "openings": is_open & _before(closed)}
    sums |= {"micro_closures": _micro_closures(opening, closed, period_s, params)}
    speed = {"closing_max_pct_s": np.fmax(-step / period_s, 0), "opening_max_pct_s": np.fmax(step / period_s, 0)}
    return sums | speed


def _summed(measures: dict[str, np.ndarray], own: pd.DataFrame, span: str, params: dict) -> pd.DataFrame:
    """A row for each valve and hour ("h"), or day ("D"); null where less than `least_known` of it is known."""
    spans = own.index.floor(span)
    starts = np.flatnonzero(~spans.duplicated())
    sums = {name: np.add.reduceat(each.astype(float), starts, axis=0) for name, each in measures.items()}
    most = {name: np.maximum.reduceat(measures[name], starts, axis=0) for name in MOVES if name.endswith("_s")}
    share = sums["known"] / np.diff(starts, append=len(own))[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        sums |= {"vod_pct": 100 * sums["is_open"] / sums["known"], "mean_pct": sums["opening"] / sums["known"]}
        sums |= {"voa_pct": sums["while_open"] / sums["is_open"], "known_pct": 100 * share, **most}
    rows = pd.DataFrame({name: sums[name].T.ravel() for name in (*SHARES, *COUNTS, *MOVES)})
    rows.loc[share.T.ravel() < params["least_known"]] = np.nan
    ts, valve = np.tile(spans[starts], own.shape[1]), np.repeat(own.columns, len(starts))
    return rows.assign(ts=ts, valve=valve, known_pct=100 * share.T.ravel())


def _events(opening: pd.DataFrame, closed: np.ndarray, own: pd.DatetimeIndex) -> pd.DataFrame:
    """The closures that begin within `own`, by valve and time."""
    events, known, period = [], opening.notna().to_numpy(), own[1] - own[0]
    for number, valve in enumerate(opening):
        for begin, end in _runs(closed[:, number]):
            if own[0] <= opening.index[begin] <= own[-1]:
                seen = begin > 0 and end < len(known) and known[begin - 1, number] and known[end, number]
                times = opening.index[begin], opening.index[end - 1] + period
                events.append((valve, *times, (times[1] - times[0]).total_seconds(), bool(seen)))
    return pd.DataFrame(events, columns=EVENTS.names)
