"""pandas: file by file, days merged in memory."""

import sys
from pathlib import Path

import pandas as pd

SENSORS = [f"m{number}" for number in range(12)]
DOMAINS = {"bio_signal": SENSORS, "environment": ["outdoor_temp"]}
source, target = map(Path, sys.argv[1:])
types = {**dict.fromkeys(SENSORS, "int64"), "outdoor_temp": "float64"}
frames = [pd.read_csv(path, sep=";", dtype=types, parse_dates=["ts"]) for path in sorted(source.glob("*.csv"))]
frame = pd.concat(frames).sort_values("ts", kind="stable")
for day, part in frame.groupby(frame["ts"].dt.date):
    for domain, columns in DOMAINS.items():
        part[["ts", *columns]].assign(domain=domain).to_parquet(target / f"{domain}__{day}.parquet", index=False)
