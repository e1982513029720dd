"""Gives every value a QARTOD flag in `<column>_flag`: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing.

Gross range, spike and flat line of QARTOD (U.S. IOOS, manuals for real-time quality control); the worst of them wins.
Spike is the differential rule: a closing valve may fall by a quarter of its range in a second, and is no spike.
"""

import json
import os
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9
SECOND = 1_000_000_000  # ns
NEVER = (-np.inf, np.inf)
TESTS = {"fail_span": NEVER, "suspect_span": NEVER, "spike_above": (np.inf, np.inf), "flat_s": (np.inf, np.inf)}
DELTA, SPLIT = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"  # for sorted instants and slow values, as parse writes them
ENCODINGS = {"int64": DELTA, "timestamp[ns, tz=UTC]": DELTA, "double": SPLIT}


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write each table as it is, and its flags after it; the tests look over midnight into the days beside it.

    Of several rows of one instant the first is tested, the others fail. What `ignore` names fails, and its reasons
    stand in the file's metadata. Raises ValueError for a table of several devices, and for params that do not fit.
    """
    ignored, asked, repeated = _ignored(params["ignore"]), os.environ.get("PYMYX_DAYS", ""), []
    for path in sorted(Path(input_dir).glob("[!._]*__????-??-??.parquet")):
        domain, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        table, first, own = _read(path)
        eve, morrow = (_read(path.with_name(f"{domain}__{np.datetime64(day) + step}.parquet"))[2] for step in (-1, 1))
        back_s = _pair(params, "flat_s", domain)[1] + params["flat_gap_s"]
        eve = eve[eve.index >= pd.Timestamp(day, tz="UTC") - pd.Timedelta(seconds=min(back_s, 86_400))]
        around = pd.concat([rows for rows in (eve, own, morrow[:1]) if len(rows)] or [own])
        reasons = {}
        for name in own:
            flags = np.full(len(table), FAIL, np.uint8)
            flags[first] = _flags(around[name], domain, params)[len(eve) : len(eve) + len(own)]
            for _, begin, end, reason in ignored[ignored["valve"] == name].itertuples(index=False):
                within = table["ts"].to_pandas().between(begin, end, inclusive="left")
                if within.any():
                    flags[within] = FAIL
                    reasons.setdefault(name, []).append(reason)
            flags[table[name].is_null(nan_is_null=True)] = MISSING
            table = table.append_column(f"{name}_flag", pa.array(flags))
        if reasons:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), "ignored": json.dumps(reasons)})
        how = {field.name: ENCODINGS[str(field.type)] for field in table.schema if str(field.type) in ENCODINGS}
        few = [name for name in table.column_names if name not in how]
        pq.write_table(table, Path(output_dir) / path.name, compression="zstd", use_dictionary=few, column_encoding=how)
        if not first.all():
            repeated.append(f"{path.stem} {np.count_nonzero(~first)}")
    if repeated:
        warnings.warn(f"rows of an instant that has one already, flagged 4: {', '.join(repeated)}")


def _flags(column: pd.Series, domain: str, params: dict) -> np.ndarray:
    """The worst flag of each value of a column, by distinct instants in order."""
    at, values = column.index.asi8, column.to_numpy()
    least, greatest = _pair(params, "fail_span", domain)
    fail = (values < least) | (values > greatest)
    least, greatest = _pair(params, "suspect_span", domain)
    suspect = (values < least) | (values > greatest)
    # spike: how far a value stands above, or below, both its neighbours
    rise, near = np.diff(values), np.diff(at) <= params["spike_within_s"] * SECOND
    alone = (rise[:-1] * rise[1:] < 0) & near[:-1] & near[1:]
    height = np.where(alone, np.minimum(np.abs(rise[:-1]), np.abs(rise[1:])), 0)
    suspect[1:-1] |= height > _pair(params, "spike_above", domain)[0]
    fail[1:-1] |= height > _pair(params, "spike_above", domain)[1]
    # flat line: how long since it last changed, or since a gap
    known, (doubtful, wrong) = ~np.isnan(values), _pair(params, "flat_s", domain)
    at, values = at[known], values[known]
    changed = (np.diff(values, prepend=np.nan) != 0) | (np.diff(at, prepend=at[:1]) > params["flat_gap_s"] * SECOND)
    unchanged = at - np.maximum.accumulate(np.where(changed, at, at[:1]))
    suspect[known] |= unchanged >= doubtful * SECOND
    fail[known] |= unchanged >= wrong * SECOND
    tested = any(domain in params[test] for test in TESTS)
    flags = np.full(len(column), GOOD if tested else NOT_EVALUATED, np.uint8)
    flags[suspect], flags[fail] = SUSPECT, FAIL
    return flags


def _pair(params: dict, test: str, domain: str) -> tuple[float, float]:
    """The two limits of a test for a domain; those that nothing exceeds when it names none."""
    pair = params[test].get(domain, TESTS[test])
    if len(pair) != 2 or pair[0] > pair[1] or (test == "flat_s" and domain in params[test] and pair[1] > 86_400):
        hint = "the smaller first, flat_s at most a day, 86400"
        raise ValueError(f"param `{test}`: `{domain}` must be two numbers, {hint}; not {pair!r}")
    return pair


def _ignored(entries: list) -> pd.DataFrame:
    """The spans to ignore: valve, from, to, reason."""
    spans = pd.DataFrame(entries, columns=["valve", "from", "to", "reason"])
    if spans[["valve", "from", "reason"]].isna().any(axis=None):
        form = '{"valve": "m3", "from": "2026-01-20T09:00:00Z", "to": "2026-01-20T10:00:00Z", "reason": "cleaned"}'
        raise ValueError(f"param `ignore`: write each as {form}, not {entries!r}")
    ends = spans[["from", "to"]].apply(pd.to_datetime, utc=True, format="ISO8601")
    return spans.assign(**{"from": ends["from"], "to": ends["to"].fillna(pd.Timestamp("2200-01-01", tz="UTC"))})


@lru_cache(maxsize=3)
def _read(path: Path) -> tuple[pa.Table, np.ndarray, pd.DataFrame]:
    """A day's table, which rows are the first of their instant, and the numbers of those by instant; or nothing."""
    table = pq.read_table(path) if path.exists() else pa.table({"ts": pa.array([], pa.timestamp("ns", "UTC"))})
    if "device" in table.column_names and len(devices := table["device"].unique()) > 1:
        names = ", ".join(map(str, devices.to_pylist()))
        raise ValueError(
            f"{path} has rows of several devices ({names}); give each a data folder of its own: --data DIR"
        )
    rows = table.to_pandas().set_index("ts").select_dtypes("number").astype(float)
    first = ~rows.index.duplicated()
    return table, first, rows if first.all() else rows[first]
