"""Polars: the whole folder at once."""

import sys
from pathlib import Path

import polars as pl

SENSORS = [f"m{number}" for number in range(12)]
DOMAINS = {"bio_signal": SENSORS, "environment": ["outdoor_temp"]}
source, target = map(Path, sys.argv[1:])
schema = {"ts": pl.String, **dict.fromkeys(SENSORS, pl.Int64), "outdoor_temp": pl.Float64}
stamp = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns", time_zone="UTC")
frame = pl.read_csv(source / "*.csv", separator=";", schema=schema).with_columns(stamp).sort("ts", maintain_order=True)
for (day,), part in frame.group_by(pl.col("ts").dt.date(), maintain_order=True):
    for domain, columns in DOMAINS.items():
        part.select("ts", *columns, pl.lit(domain).alias("domain")).write_parquet(target / f"{domain}__{day}.parquet")
