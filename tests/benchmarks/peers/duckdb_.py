"""DuckDB: one table of the folder, then one COPY per domain and day."""

import sys
from pathlib import Path

import duckdb

SENSORS = [f"m{number}" for number in range(12)]
DOMAINS = {"bio_signal": SENSORS, "environment": ["outdoor_temp"]}
source, target = map(Path, sys.argv[1:])
types = {"ts": "TIMESTAMPTZ", **dict.fromkeys(SENSORS, "BIGINT"), "outdoor_temp": "DOUBLE"}
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(f"CREATE TABLE raw AS SELECT * FROM read_csv('{source}/*.csv', delim=';', header=true, columns={types})")
for (day,) in db.execute("SELECT DISTINCT ts::DATE FROM raw ORDER BY 1").fetchall():
    for domain, columns in DOMAINS.items():
        rows = f"SELECT ts, {', '.join(columns)}, '{domain}' AS domain FROM raw WHERE ts::DATE = '{day}' ORDER BY ts"
        db.execute(f"COPY ({rows}) TO '{target}/{domain}__{day}.parquet' (FORMAT parquet)")
