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
PAIRS = ("fail_span", "suspect_span", "spike_above", "flat_s")


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write each table as it is, and its flags after it; the tests look over midnight into the days beside it.

    Of several rows of one instant the first is tested, the others fail. What `ignore` names fails, and its reasons
    stand in the file's metadata. Raises ValueError for a table of several devices, and for params that do not fit.
    """
    spans, asked, repeated = _checked(params), os.environ.get("PYMYX_DAYS", ""), {}
    for path in sorted(Path(input_dir).glob("[!._]*__????-??-??.parquet")):
        domain, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        table, first, own = _read(path)
        eve, morrow = (_read(path.with_name(f"{domain}__{np.datetime64(day) + step}.parquet"))[2] for step in (-1, 1))
        around = pd.concat([rows for rows in (eve, own, morrow) if len(rows)] or [own])
        reasons = {}
        for name in own:
            flags = np.full(len(table), FAIL, np.uint8)
            flags[first] = _flags(around[name], domain, params)[len(eve) : len(eve) + len(own)]
            for valve, begin, end, reason in spans:
                rows = slice(*np.searchsorted(table["ts"], [begin, end]))
                if valve == name and rows.start < rows.stop:
                    flags[rows] = FAIL
                    reasons.setdefault(name, []).append(reason)
            flags[table[name].is_null(nan_is_null=True).to_numpy()] = MISSING
            table = table.append_column(f"{name}_flag", pa.array(flags))
        if not first.all():
            repeated[path.stem] = int((~first).sum())
        metadata = {**(table.schema.metadata or {}), **({"ignored": json.dumps(reasons)} if reasons else {})}
        _write(table.replace_schema_metadata(metadata), Path(output_dir) / path.name)
    if repeated:
        counts = ", ".join(f"{name} {count}" for name, count in repeated.items())
        warnings.warn(f"rows of an instant that has one already, flagged 4: {counts}")


def _flags(column: pd.Series, domain: str, params: dict) -> np.ndarray:
    """The worst flag of each value (by distinct instants in order, NaN: none); `domain` may lack some of the tests."""
    at, values = column.index.asi8, column.to_numpy()
    suspect, fail = np.zeros(len(at), bool), np.zeros(len(at), bool)
    if domain in params["fail_span"]:
        fail |= ~column.between(*params["fail_span"][domain]).to_numpy()
    if domain in params["suspect_span"]:
        suspect |= ~column.between(*params["suspect_span"][domain]).to_numpy()
    if domain in params["spike_above"]:  # how far it stands above, or below, both neighbours
        rise, near = np.diff(values), np.diff(at) <= params["spike_within_s"] * SECOND
        alone = (rise[:-1] * rise[1:] < 0) & near[:-1] & near[1:]
        height = np.where(alone, np.minimum(np.abs(rise[:-1]), np.abs(rise[1:])), 0)
        suspect[1:-1] |= height > params["spike_above"][domain][0]
        fail[1:-1] |= height > params["spike_above"][domain][1]
    if domain in params["flat_s"]:  # seconds since the last change, or since the end of the last gap
        known = np.flatnonzero(~np.isnan(values))
        changed = (np.diff(values[known], prepend=np.nan) != 0) | (
            np.diff(at[known], prepend=0) > params["flat_gap_s"] * SECOND
        )
        since = at[known][np.maximum.accumulate(np.where(changed, np.arange(len(known)), 0))]
        suspect[known] |= at[known] - since >= params["flat_s"][domain][0] * SECOND
        fail[known] |= at[known] - since >= params["flat_s"][domain][1] * SECOND
    tested = any(domain in params[test] for test in PAIRS)
    return np.select([fail, suspect], [FAIL, SUSPECT], GOOD if tested else NOT_EVALUATED)


@lru_cache(maxsize=3)
def _read(path: Path) -> tuple[pa.Table, np.ndarray, pd.DataFrame]:
    """A day's table, which of its rows are the first of their instant, and their numbers by instant; or nothing."""
    if not path.exists():
        return pa.table({}), np.zeros(0, bool), pd.DataFrame()
    table = pq.read_table(path)
    devices = table["device"].unique().to_pylist() if "device" in table.column_names else []
    if len(devices) > 1:
        names = ", ".join(map(str, devices))
        raise ValueError(
            f"{path} has rows of several devices ({names}); give each a data folder of its own: --data DIR"
        )
    names = [
        field.name for field in table.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    rows = table.select(["ts", *names]).to_pandas().set_index("ts").astype(float)
    first = ~rows.index.duplicated()
    return table, first, rows[first]


def _checked(params: dict) -> list[tuple[str, pd.Timestamp, pd.Timestamp, str]]:
    """The spans of `ignore`; raises for what does not fit."""
    for test in PAIRS:
        for domain, pair in params[test].items():
            if not (isinstance(pair, list) and len(pair) == 2 and pair[0] <= pair[1]):
                raise ValueError(f"param `{test}`: `{domain}` must be two numbers, the smaller first, not {pair!r}")
            if test == "flat_s" and pair[1] > 86_400:
                raise ValueError(f"param `flat_s`: `{domain}` may look back a day, 86400 s, not {pair[1]}")
    spans = []
    for one in params["ignore"]:
        try:
            ends = [pd.Timestamp(one["from"]), pd.Timestamp(one.get("to") or "2200-01-01T00:00Z")]
            spans.append((one["valve"], *(end.tz_convert("UTC").to_datetime64() for end in ends), one["reason"]))
        except (KeyError, TypeError, ValueError) as error:
            hint = '{"valve": "m3", "from": "2026-01-20T09:00:00Z", "to": "2026-01-20T10:00:00Z", "reason": "cleaned"}'
            raise ValueError(f"param `ignore`: {one!r} does not fit ({error}); write it as {hint}") from None
    return spans


def _write(table: pa.Table, path: Path) -> None:
    """Write with the encodings that suit such columns: sorted instants, slowly varying values, words and flags."""
    kinds = {field.name: field.type for field in table.schema}
    few = [
        name
        for name, kind in kinds.items()
        if not (pa.types.is_timestamp(kind) or pa.types.is_int64(kind) or pa.types.is_floating(kind))
    ]
    how = {
        name: "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else "DELTA_BINARY_PACKED"
        for name, kind in kinds.items()
        if name not in few
    }
    pq.write_table(table, path, compression="zstd", use_dictionary=few, column_encoding=how)
