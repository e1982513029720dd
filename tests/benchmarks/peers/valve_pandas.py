"""Flags, opening, grid and activity of all days in one script of plain pandas, kept in memory from one to the next."""

# a script as its user would write it
# mypy: ignore-errors

import sys
from pathlib import Path

import numpy as np
import pandas as pd

DAY, PERIOD = pd.Timedelta(days=1), pd.Timedelta(seconds=10)


def main(source: str, target: str) -> None:
    """Write the four results of each day as one would: to_parquet."""
    flagged, openings, grids, quantiles = {}, {}, {}, {}
    days = sorted(path.stem[-10:] for path in Path(source).glob("bio_signal__*.parquet"))
    raw = {}
    for number, day in enumerate(days):
        for one in days[max(number - 1, 0) : number + 2]:
            if one not in raw:
                raw[one] = {name: pd.read_parquet(f"{source}/{name}__{one}.parquet") for name in SPANS}
        raw = {one: tables for one, tables in raw.items() if one in days[max(number - 1, 0) :]}
        for name in SPANS:
            flagged[name] = flags(day, {one: tables[name] for one, tables in raw.items()}, name)
            flagged[name].to_parquet(f"{target}/{name}__{day}.parquet", index=False)
        good = flagged["bio_signal"].drop_duplicates("ts").set_index("ts")
        valves = [name for name in good if f"{name}_flag" in good]
        good = good[valves].astype(float).where((good[[f"{name}_flag" for name in valves]] <= 3).to_numpy())
        quantiles[day] = good.quantile([0.01, 0.99])
        week = pd.concat([quantiles[one] for one in days[max(number - 6, 0) : number + 1]])
        closed, widest = week.min(), week.max()
        opening = (100 * (good - closed) / (widest - closed)).clip(0, 100).astype("float32")
        openings[day] = opening.loc[:, widest - closed >= 20].reindex(columns=opening.columns)
        openings[day].to_parquet(f"{target}/opening__{day}.parquet")
        air = flagged["environment"].drop_duplicates("ts").set_index("ts")
        openings[day] = openings[day].join(
            air["outdoor_temp"].where(air["outdoor_temp_flag"] <= 3).rename("temperature")
        )
        if number:
            grids[days[number - 1]] = grid(days[number - 1], openings, target)
        if number > 1:
            activity(days[number - 2], grids, target)
        openings = {one: opening for one, opening in openings.items() if one in days[max(number - 1, 0) :]}
    grids[days[-1]] = grid(days[-1], openings, target)
    for day in days[-2:]:
        activity(day, grids, target)


SPANS = {"bio_signal": ((0, 65535), (1, 65534), (500, 1000)), "environment": ((-40, 60), (-10, 50), (2, 5))}


def flags(day: str, tables: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """The day's table with its flags."""
    fail_span, suspect_span, spike = SPANS[name]
    start = pd.Timestamp(day, tz="UTC")
    rows = pd.concat(tables.values(), ignore_index=True)
    rows = rows[rows["ts"].between(start - DAY / 2, start + DAY + pd.Timedelta(seconds=3))]
    first = ~rows["ts"].duplicated()
    ts = rows.loc[first, "ts"]
    gap = ts.diff() > pd.Timedelta(seconds=60)
    near = (ts.diff() <= pd.Timedelta(seconds=3)) & (-ts.diff(-1) <= pd.Timedelta(seconds=3))
    made = rows.copy()
    for column in rows.columns.difference(["ts", "domain"], sort=False):
        values = rows.loc[first, column]
        flag = pd.Series(1, values.index, "uint8")
        left, right = values.diff(), -values.diff(-1)
        height = np.minimum(left.abs(), right.abs()).where((left * right < 0) & near, 0)
        since = ts.where((values != values.shift()) | gap).ffill()
        flat = ts - since
        suspect = ~values.between(*suspect_span) | (height > spike[0]) | (flat >= pd.Timedelta(seconds=3600))
        fail = ~values.between(*fail_span) | (height > spike[1]) | (flat >= pd.Timedelta(seconds=43200))
        flag[suspect] = 3
        flag[fail] = 4
        flag[values.isna()] = 9
        made[f"{column}_flag"] = flag.reindex(rows.index, fill_value=4)
    return made[made["ts"].dt.floor("D") == start]


def grid(day: str, openings: dict[str, pd.DataFrame], target: str) -> pd.DataFrame:
    """The day's valves on bins of 10 s, gaps of two bins held."""
    start = pd.Timestamp(day, tz="UTC")
    bins = pd.date_range(start - 2 * PERIOD, start + DAY + PERIOD, freq=PERIOD)
    rows = pd.concat(openings.values()).loc[bins[0] : bins[-1] + PERIOD]
    means = rows.resample("10s").mean().reindex(bins)
    made, own = {}, openings[day]
    for name in means:
        known = means[name].notna()
        length = (~known).groupby(known.cumsum()).transform("sum")
        held = ~known & (length <= 2) & means[name].ffill().notna() & means[name].bfill().notna()
        made[name] = means[name].where(~held, means[name].ffill()).astype("float32")
        made[f"{name}_flag"] = pd.Series(np.select([known, held], [1, 2], 9), bins, "uint8")
    table = pd.DataFrame(made)
    usual = own.index.to_series().diff().median()
    table["coverage"] = (own.resample("10s").size().reindex(bins, fill_value=0) / (PERIOD // usual)).clip(upper=1)
    table = table.loc[start : start + DAY - PERIOD]
    table.to_parquet(f"{target}/grid__{day}.parquet")
    return table


def activity(day: str, grids: dict[str, pd.DataFrame], target: str) -> None:
    """The day's hours, its sum and its closures."""
    start = pd.Timestamp(day, tz="UTC")
    near = [f"{start + step * DAY:%Y-%m-%d}" for step in (-1, 0, 1)]
    rows = pd.concat([grids[one] for one in near if one in grids])
    hourly, daily, events = [], [], []
    for valve in [name for name in rows if f"{name}_flag" in rows and name != "temperature"]:
        opening = rows[valve].astype(float)
        known = opening.notna()
        said = pd.Series(
            np.select([opening < 10, (opening > 15) | (known & ~known.shift(fill_value=False))], [1, 0], np.nan),
            rows.index,
        )
        closed = (said.ffill() == 1) & known
        run = (closed != closed.shift()).cumsum()
        closed &= closed.groupby(run).transform("size") >= 6
        is_open = known & ~closed
        fall = opening.rolling(4, min_periods=1).max().where(known & known.shift(fill_value=False)) - opening
        falling = pd.Series(np.select([fall >= 5, ~(fall >= 2.5)], [1, 0], np.nan), rows.index).ffill() == 1
        dip = (falling != falling.shift()).cumsum()
        micro = falling & (dip != dip.shift()) & ~closed.groupby(dip).transform("any")
        step = opening.diff()
        measures = pd.DataFrame(
            {
                "known_pct": 100.0 * known,
                "vod_pct": (100.0 * is_open).where(known),
                "mean_pct": opening,
                "voa_pct": opening.where(is_open),
                "closures": closed & is_open.shift(fill_value=False),
                "openings": is_open & closed.shift(fill_value=False),
                "micro_closures": micro,
                "moved_pct": step.abs(),
                "closing_max_pct_s": (-step / 10).clip(lower=0),
                "opening_max_pct_s": (step / 10).clip(lower=0),
            }
        ).loc[start : start + DAY - PERIOD]
        how = dict.fromkeys(measures, "mean") | dict.fromkeys(
            ("closures", "openings", "micro_closures", "moved_pct"), "sum"
        )
        how |= {"closing_max_pct_s": "max", "opening_max_pct_s": "max"}
        for length, found in (("h", hourly), ("D", daily)):
            found.append(measures.groupby(measures.index.floor(length)).agg(how).assign(valve=valve))
        times = pd.Series(rows.index, rows.index)[closed]
        runs = times.groupby((closed != closed.shift()).cumsum()[closed])
        found = pd.DataFrame({"valve": valve, "begin": runs.min(), "end": runs.max() + PERIOD})
        events.append(found[found["begin"].dt.floor("D") == start])
    for name, tables in (("hourly", hourly), ("daily", daily)):
        table = pd.concat(tables)
        counts = ["closures", "openings", "micro_closures"]
        table[counts] = table[counts].astype("int32")
        table.to_parquet(f"{target}/{name}__{day}.parquet")
    pd.concat(events).to_parquet(f"{target}/events__{day}.parquet", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
