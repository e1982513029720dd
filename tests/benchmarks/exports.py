"""`export_postgres` beside COPY by psycopg and `DataFrame.to_sql`, `export_csv` beside pandas' and Arrow's own CSV.

Each way puts the same days in place of the same days, one transaction a day, in a table of its own with an index on
the time, of one server. All are run in turn, again and again, and medians are compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.exports.postgres import PASSWORD, Postgres, running_postgres
from tests.recording import write_days

TREATMENTS = Path(__file__).parent.parent.parent / "treatments"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks exports", description=__doc__)
    parser.add_argument("--days", type=int, default=5, metavar="N", help="days of 86,400 rows (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times each is run (default: 3)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = _days(root / "days", options.days)
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        width = pq.read_schema(files[0]).names
        size = f"{rows:,} rows of {len(width) - 1} values and a timestamp, {options.days} days"
        print(f"{size}, {options.rounds} rounds, {os.cpu_count()} processors")
        with running_postgres() as server:
            os.environ.update(server.environment())
            print("to PostgreSQL (at least 1.0 x COPY of rows, 10 x to_sql)")
            ways = _database_ways(server, root, files)
            _print(ways, rows, options.rounds)
            _see_that_all_are_equal(server, list(ways))
        print("to CSV")
        _print(_csv_ways(root, files), rows, options.rounds)


def _days(folder: Path, days: int) -> list[Path]:
    """Whole days of a recording as parquet files, as parse leaves them, but all columns in one domain."""
    folder.mkdir()
    raw = folder.parent / "raw"
    raw.mkdir()
    options = pa.csv.ParseOptions(delimiter=";")
    types = pa.csv.ConvertOptions(column_types={"ts": pa.timestamp("ns", "UTC")})
    files = []
    for path in write_days(raw, days=days):
        files.append(folder / f"valves__{path.stem[-10:]}.parquet")
        pq.write_table(pa.csv.read_csv(path, parse_options=options, convert_options=types), files[-1])
    return files


def _treatment(name: str) -> tuple[Callable[[str, str, dict[str, Any]], None], dict[str, Any]]:
    """The function of a treatment, and its default params."""
    spec = importlib.util.spec_from_file_location(name, TREATMENTS / name / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contract = json.loads((TREATMENTS / name / "treatment.json").read_text(encoding="utf-8"))
    return module.run, {key: param["default"] for key, param in contract["params"].items()}


def _database_ways(server: Postgres, root: Path, files: list[Path]) -> dict[str, Callable[[], object]]:
    """Each way, by its name; the number in the name of its table is its place here."""
    import psycopg
    import sqlalchemy

    run, defaults = _treatment("export_postgres")
    receipts = root / "receipts"
    receipts.mkdir()
    place = f"@/postgres?host={server.folder}&port={server.port}"
    connection = psycopg.connect(autocommit=False)
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://station:{quote(PASSWORD, safe='')}{place}")

    def export(table: str) -> None:
        run(str(files[0].parent), str(receipts), {**defaults, "table": table})

    def copy(table: str, fill: Callable[[psycopg.Copy, pa.Table], object], how: str) -> None:
        for path in files:
            read = pq.ParquetFile(path).read()
            names = ", ".join(read.column_names)
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table} WHERE ts >= %s AND ts < %s", _bounds(path))
                with cursor.copy(f"COPY {table} ({names}) FROM STDIN {how}") as sink:
                    fill(sink, read)

    def rows(sink: psycopg.Copy, read: pa.Table) -> None:
        for row in zip(*read.to_pydict().values(), strict=True):
            sink.write_row(row)

    def text(sink: psycopg.Copy, read: pa.Table) -> None:
        buffer = io.BytesIO()
        pa.csv.write_csv(read, buffer, pa.csv.WriteOptions(include_header=False))
        sink.write(buffer.getbuffer())

    def to_sql(table: str) -> None:
        for path in files:
            frame = pd.read_parquet(path)
            with engine.begin() as begun:
                begin, end = _bounds(path)
                where = sqlalchemy.text(f"DELETE FROM {table} WHERE ts >= :begin AND ts < :end")
                begun.execute(where, {"begin": begin, "end": end})
                frame.to_sql(table, begun, if_exists="append", index=False)

    for number in range(4):
        export(f"way_{number}")
    return {
        "export_postgres": lambda: export("way_0"),
        "COPY of rows, psycopg": lambda: copy("way_1", rows, ""),
        "COPY of Arrow's CSV, psycopg": lambda: copy("way_2", text, "(FORMAT csv)"),
        "DataFrame.to_sql": lambda: to_sql("way_3"),
    }


def _bounds(path: Path) -> tuple[datetime, datetime]:
    begin = datetime.fromisoformat(path.stem[-10:]).replace(tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def _see_that_all_are_equal(server: Postgres, names: list[str]) -> None:
    for number, name in list(enumerate(names))[1:]:
        differ = f"SELECT count(*) FROM (TABLE way_0 EXCEPT TABLE way_{number}) AS differ"
        counted = f"SELECT (SELECT count(*) FROM way_0) - (SELECT count(*) FROM way_{number})"
        if server.sql(differ) + server.sql(counted) != "0\n0\n":
            raise SystemExit(f"{name} did not put the same rows into its table")


def _csv_ways(root: Path, files: list[Path]) -> dict[str, Callable[[], object]]:
    run, defaults = _treatment("export_csv")
    written = root / "written"
    written.mkdir()
    with_point, with_comma = defaults, {**defaults, "delimiter": ";", "decimal": ","}

    def by_arrow() -> None:
        for path in files:
            pa.csv.write_csv(pq.ParquetFile(path).read(), written / f"{path.stem}.csv")

    def by_pandas() -> None:
        for path in files:
            pd.read_parquet(path).to_csv(written / f"{path.stem}.csv", index=False)

    return {
        "export_csv": lambda: run(str(files[0].parent), str(written), with_point),
        "export_csv, decimal comma": lambda: run(str(files[0].parent), str(written), with_comma),
        "pyarrow.csv.write_csv": by_arrow,
        "DataFrame.to_csv": by_pandas,
    }


def _print(ways: dict[str, Callable[[], object]], rows: int, rounds: int) -> None:
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            costs[name].append(time.perf_counter() - started)
    first = statistics.median(next(iter(costs.values())))
    for name, each in costs.items():
        took = statistics.median(each)
        print(f"  {name:30}{rows / took:12,.0f} rows/s   {took / first:6.2f} x its time")
