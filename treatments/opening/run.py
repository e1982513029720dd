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
WORDS = {"law": pa.string(), "state": pa.string(), "reason": pa.string()}
REFERENCE = pa.schema({"valve": pa.string(), "closed": pa.float64(), "open": pa.float64(), "days": pa.int64(), **WORDS})


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write opening__DAY and reference__DAY for each day of `domain`; the files of other domains stay as they are.

    Closed and open are the outermost of the quantiles of the day and of the days before it, each day's own.
    Raises ValueError for params that do not fit.
    """
    _check(params)
    asked, still, speeds = os.environ.get("PYMYX_DAYS", ""), {}, {}
    for path in sorted(Path(input_dir).glob("[!._]*__????-??-??.parquet")):
        domain, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        if domain != params["domain"]:
            shutil.copyfile(path, Path(output_dir) / path.name)
            continue
        references = [_reference(valve, path, params) for valve in list(_good(path)[0])]
        counts, _ = _good(path)
        opening = {one["valve"]: _opening(counts[one["valve"]], one, params) for one in references}
        for one in references:
            if one["state"] == "no opening":
                still.setdefault(one["valve"], []).append(day)
            speeds.setdefault(one["valve"], []).append(_fastest(counts.index, opening[one["valve"]]))
        _write(pa.table({"ts": pa.array(counts.index), **opening}), Path(output_dir) / f"opening__{day}.parquet")
        _write(pa.Table.from_pylist(references, REFERENCE), Path(output_dir) / f"reference__{day}.parquet")
    _warn(still, speeds, params)


def _reference(valve: str, path: Path, params: dict) -> dict:
    """Closed and open of a valve in counts on the day of `path`, how many days gave them, and in what state it is."""
    domain, day = path.stem[:-12], np.datetime64(path.stem[-10:])
    since = np.datetime64(params["since"].get(valve, "0001-01-01"))
    days = [day - back for back in range(DAYS_BEFORE + 1) if day < since or day - back >= since]
    sign = 1 if params["open_is"] == "high" else -1
    at = (params["closed_quantile"], params["open_quantile"])
    each = [_quantiles(path.with_name(f"{domain}__{one}.parquet"), at, sign).get(valve) for one in days]
    known = [ends for ends in each if ends]
    closed, widest = (
        sign * min((one for one, _ in known), default=np.nan),
        sign * max((one for _, one in known), default=np.nan),
    )
    if valve in params["calibration"]:
        known, (closed, widest) = [], params["calibration"][valve]
    counts, ignored = _good(path)
    state, reason = "alive", None
    if not counts[valve].notna().any():
        state, reason = ("ignored", ", ".join(ignored[valve])) if valve in ignored else ("no value", None)
    elif not np.isfinite(_gape(closed, params) + _gape(widest, params)):
        state, reason = "no opening", "closed or open lies beyond no_field"
    elif valve not in params["calibration"] and abs(widest - closed) < params["least_range"]:
        state, reason = "no opening", f"moved by {abs(widest - closed):.0f} counts only"
    return dict(zip(REFERENCE.names, (valve, closed, widest, len(known), params["law"], state, reason), strict=True))


def _opening(counts: pd.Series, reference: dict, params: dict) -> np.ndarray:
    """The opening of a valve in percent (float32); null unless it is alive."""
    closed, widest = _gape(reference["closed"], params), _gape(reference["open"], params)
    if reference["state"] != "alive":
        return np.full(len(counts), np.nan, "float32")
    return np.clip(100 * (_gape(counts, params) - closed) / (widest - closed), 0, 100).to_numpy("float32")


def _gape(counts, params: dict):
    """What grows, or falls, with the gape alone; none where the counts say that the magnet is infinitely far."""
    if params["law"] == "linear":
        return counts
    field = (counts - params["no_field"]) * (-1 if params["open_is"] == "high" else 1)
    return np.where(field > 0, field, np.nan) ** (-1 / 3)


@lru_cache(maxsize=1)
def _good(path: Path) -> tuple[pd.DataFrame, dict]:
    """The counts of a day by instant, null where the flag is not 1 to 3, none twice; and why valves are ignored."""
    table = pq.read_table(path)
    rows = table.to_pandas().drop_duplicates("ts").set_index("ts")
    flags = [name for name in rows if name.endswith("_flag") and name.removesuffix("_flag") in rows]
    good = {
        flag.removesuffix("_flag"): rows[flag.removesuffix("_flag")].astype(float).where(rows[flag] <= 3)
        for flag in flags
    }
    return pd.DataFrame(good, index=rows.index), json.loads((table.schema.metadata or {}).get(b"ignored", b"{}"))


@cache
def _quantiles(path: Path, at: tuple[float, float], sign: int) -> dict[str, tuple[float, float]]:
    """For each valve with a value on the day of `path`: its two quantiles, of the counts or of the counts negated."""
    counts = {valve: each.dropna() for valve, each in _good(path)[0].items()} if path.exists() else {}
    return {valve: tuple(np.quantile(each * sign, at)) for valve, each in counts.items() if len(each)}


def _fastest(instants: pd.DatetimeIndex, opening: np.ndarray) -> tuple[float, float]:
    """The fastest closing and opening in percent a second, between rows at most 3 s apart; 0 where there are none."""
    seconds = np.diff(instants.asi8) / 1e9
    speed = np.diff(opening)[seconds <= 3] / seconds[seconds <= 3]
    return max(0, np.nanmax(-speed, initial=0)), max(0, np.nanmax(speed, initial=0))


def _warn(still: dict, speeds: dict, params: dict) -> None:
    """Tell once which valves have no opening, and which open faster than they close, as no animal does."""
    if still:
        days = ", ".join(
            f"{valve} ({each[0]}{f' to {each[-1]}' if len(each) > 1 else ''})" for valve, each in still.items()
        )
        warnings.warn(f"valves without opening, dead or never moved by `least_range`: {days}")
    fastest = {valve: np.max(each, axis=0) for valve, each in speeds.items()}
    wrong = [
        f"{valve} ({closing:.1f} and {opens:.1f} %/s)"
        for valve, (closing, opens) in fastest.items()
        if opens > max(1.5 * closing, 1)
    ]
    if wrong:
        hint = f"it is {params['open_is']}; or are the ends of its calibration swapped?"
        warnings.warn(
            f"valves close more slowly than they open, so `open_is` is probably wrong, {hint} {', '.join(wrong)}"
        )


def _check(params: dict) -> None:
    """Raise for params that do not fit."""
    for name, accepted in (("law", ("linear", "dipole")), ("open_is", ("high", "low"))):
        if params[name] not in accepted:
            raise ValueError(f"param `{name}` is {params[name]!r}; accepted: {', '.join(accepted)}")
    if not 0 <= params["closed_quantile"] < params["open_quantile"] <= 1:
        raise ValueError("param `closed_quantile` must be less than `open_quantile`, both from 0 to 1")
    for valve, ends in params["calibration"].items():
        if not (isinstance(ends, list) and len(ends) == 2 and ends[0] != ends[1]):
            raise ValueError(
                f"param `calibration`: `{valve}` must be [closed, open], two different counts, not {ends!r}"
            )


def _write(table: pa.Table, path: Path) -> None:
    """Write with the encodings that suit sorted instants and slowly varying values."""
    few = [field.name for field in table.schema if pa.types.is_string(field.type)]
    how = {
        name: "DELTA_BINARY_PACKED" if name in ("ts", "days") else "BYTE_STREAM_SPLIT"
        for name in table.column_names
        if name not in few
    }
    pq.write_table(table, path, compression="zstd", use_dictionary=few, column_encoding=how)
