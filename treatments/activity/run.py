"""What each valve did, by hour and by day, and its closures one by one, from its opening on a regular grid.

vod_pct is the time open and voa_pct the mean opening while open (Aquaculture 298:338, 2010, hal-00645621), both of the
time known. Counts hang on the threshold, so a closure has two of them (hysteresis) and a least length.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

INSTANT = pa.timestamp("ns", "UTC")
EVENTS = {"valve": pa.string(), "begin": INSTANT, "end": INSTANT, "duration_s": pa.float64(), "complete": pa.bool_()}
REFERENCE = {"closed": pa.float64(), "open": pa.float64(), "state": pa.string(), "reason": pa.string()}


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
        beside = [path.with_name(f"grid__{np.datetime64(day) + step}.parquet") for step in (-1, 1)]
        eve, own, morrow = (_opening(one) for one in (beside[0], path, beside[1]))
        if {len(eve), len(morrow)} - {0, len(own)}:
            raise ValueError(f"{path} and the days beside it have bins of other lengths; make all of them anew")
        around = pd.concat([one for one in (eve, own, morrow) if len(one)]).reindex(columns=own.columns)
        opening, period_s, rows = around.to_numpy(), 86_400 / len(own), slice(len(eve), len(eve) + len(own))
        closed = _closed(opening, period_s, params)
        micro = _micro_closures(opening, closed, period_s, params)
        measures = {name: each[rows] for name, each in _measures(opening, closed, micro, period_s).items()}
        tables = {
            name: _summed(measures, own, length, path, params) for name, length in (("hourly", "h"), ("daily", "D"))
        }
        for name, table in (tables | {"events": _events(around, closed, own.index)}).items():
            told = table.replace_schema_metadata({"params": json.dumps(params)})
            pq.write_table(told, Path(output_dir) / f"{name}__{day}.parquet", compression="zstd")


def _opening(path: Path) -> pd.DataFrame:
    """The opening of a day's valves in percent by bin; nothing when there is no file."""
    grid = pd.read_parquet(path).set_index("ts") if path.exists() else pd.DataFrame()
    return grid[[name for name in grid if f"{name}_flag" in grid]].astype(float)


def _closed(opening: np.ndarray, period_s: float, params: dict) -> np.ndarray:
    """Whether each valve is closed, bin by bin: from below `closed_below` until above `open_above`, for long enough.

    A gap ends a closure; what follows it is closed only if it is below `closed_below`.
    """
    known = ~np.isnan(opening)
    after_gap = known & ~np.vstack([np.zeros_like(known[:1]), known[:-1]])
    opens = (opening > params["open_above"]) | after_gap
    said = np.select([opening < params["closed_below"], opens], [1.0, 0.0], np.nan)
    closed = (pd.DataFrame(said).ffill().to_numpy() == 1) & known
    for valve in closed.T:
        for begin, end in _runs(valve):
            valve[begin:end] = (end - begin) * period_s >= params["least_closure_s"]
    return closed


def _runs(states: np.ndarray) -> np.ndarray:
    """Begin and end (exclusive) of each run of true states: (runs, 2)."""
    return np.flatnonzero(np.diff(states.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)


def _micro_closures(opening: np.ndarray, closed: np.ndarray, period_s: float, params: dict) -> np.ndarray:
    """Where an open valve begins to fall by `dip` within `dip_s`, not closing; again once it falls less than half."""
    fall, unbroken = np.zeros_like(opening), ~np.isnan(opening)
    for back in range(1, int(params["dip_s"] // period_s) + 1):
        earlier = np.roll(opening, back, axis=0)
        earlier[:back] = np.nan
        unbroken = unbroken & ~np.isnan(earlier)
        fall = np.where(unbroken, np.maximum(fall, earlier - opening), fall)
    said = np.select([fall >= params["dip"], fall < params["dip"] / 2], [1.0, 0.0], np.nan)
    falling, begun = pd.DataFrame(said).ffill().to_numpy() == 1, np.zeros_like(closed)
    for valve in range(closed.shape[1]):
        for begin, end in _runs(falling[:, valve]):
            begun[begin, valve] = not closed[begin:end, valve].any()
    return begun


def _measures(opening: np.ndarray, closed: np.ndarray, micro: np.ndarray, period_s: float) -> dict[str, np.ndarray]:
    """What is summed up: (bins, valves) each; steps are against the bin before, null beside a gap."""
    known, step = ~np.isnan(opening), np.diff(opening, axis=0, prepend=np.nan)
    is_open = known & ~closed
    closed_before, open_before = (np.vstack([np.zeros_like(one[:1]), one[:-1]]) for one in (closed, is_open))
    return {
        "known": known,
        "open": is_open,
        "all": np.nan_to_num(opening),
        "while_open": np.where(is_open, opening, 0),
        "closures": closed & open_before,
        "openings": is_open & closed_before,
        "micro_closures": micro,
        "moved_pct": np.nan_to_num(np.abs(step)),
        "closing_max_pct_s": np.fmax(-step / period_s, 0),
        "opening_max_pct_s": np.fmax(step / period_s, 0),
    }


def _summed(measures: dict[str, np.ndarray], own: pd.DataFrame, length: str, path: Path, params: dict) -> pa.Table:
    """A row for each valve and hour ("h") or day ("D"): measures, null where too little is known, and reference."""
    spans = own.index.floor(length)
    starts = np.flatnonzero(~spans.duplicated())
    sums = {name: np.add.reduceat(each.astype(float), starts, axis=0) for name, each in measures.items()}
    most = {name: np.maximum.reduceat(measures[name], starts, axis=0) for name in measures if name.endswith("_s")}
    bins = np.diff(starts, append=len(own))[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        shares = {
            "vod_pct": 100 * sums["open"] / sums["known"],
            "mean_pct": sums["all"] / sums["known"],
            "voa_pct": sums["while_open"] / sums["open"],
        }
    counts = {name: sums[name] for name in ("closures", "openings", "micro_closures")}
    little = sums["known"] / bins < params["least_known"]
    columns = {
        "ts": pa.array(np.tile(spans[starts], own.shape[1]), INSTANT),
        "valve": pa.array(np.repeat(own.columns, len(starts)), pa.string()),
    }
    columns["known_pct"] = pa.array((100 * sums["known"] / bins).T.ravel())
    for name, each in (shares | counts | {"moved_pct": sums["moved_pct"]} | most).items():
        column = pa.array(each.T.ravel(), mask=(little | np.isnan(each)).T.ravel())
        columns[name] = column.cast(pa.int32()) if name in counts else column
    file = path.with_name(f"reference__{path.stem[-10:]}.parquet")
    reference = {row["valve"]: row for row in pq.read_table(file).to_pylist()} if file.exists() else {}
    for name, kind in REFERENCE.items():
        columns[name] = pa.array([reference.get(valve.as_py(), {}).get(name) for valve in columns["valve"]], kind)
    return pa.table(columns)


def _events(opening: pd.DataFrame, closed: np.ndarray, own: pd.DatetimeIndex) -> pa.Table:
    """The closures that begin within `own`, by valve and time."""
    events, period = [], own[1] - own[0]
    known = opening.notna().to_numpy()
    for number, valve in enumerate(opening):
        for begin, end in _runs(closed[:, number]):
            if own[0] <= opening.index[begin] <= own[-1]:
                seen = begin > 0 and end < len(closed) and known[begin - 1, number] and known[end, number]
                times = opening.index[begin], opening.index[end - 1] + period
                events.append((valve, *times, (times[1] - times[0]).total_seconds(), bool(seen)))
    columns = zip(*events, strict=True) if events else [[]] * len(EVENTS)
    return pa.table(dict(zip(EVENTS, columns, strict=True)), pa.schema(EVENTS))
