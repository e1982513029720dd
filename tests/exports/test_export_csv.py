"""export_csv: what stands in a parquet file stands in its CSV, exactly, and is read back by whoever reads CSV."""

from __future__ import annotations

import csv
import importlib.util
import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ..conftest import REPO, SmallProject

EXPORT = REPO / "treatments" / "export_csv"
PARAMS = json.loads((EXPORT / "treatment.json").read_text(encoding="utf-8"))["params"]
DEFAULTS = {name: param["default"] for name, param in PARAMS.items()}
R_PARAMS = {"delimiter": ";", "decimal": ","}
INSTANT = pa.timestamp("ns", "UTC")
DAY = "bio__2026-01-20"

Export = Callable[..., dict[str, str]]


def instants(*texts: str | None) -> pa.Array:
    """Timestamps in UTC, as parse writes them."""
    return pa.array([None if text is None else pd.Timestamp(text).value for text in texts], INSTANT)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes tables as parquet files, by their names, exports them, and gives back the texts of all files."""
    spec = importlib.util.spec_from_file_location("export_csv", EXPORT / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given, written = tmp_path / "given", tmp_path / "written"

    def run(tables: dict[str, Any], **params: Any) -> dict[str, str]:
        for folder in (given, written):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for name, columns in tables.items():
            pq.write_table(pa.table(columns), given / f"{name}.parquet")
        module.run(str(given), str(written), {**DEFAULTS, **params})
        return {path.name: path.read_bytes().decode() for path in written.iterdir()}

    return run


def one(export: Export, table: dict[str, Any], **params: Any) -> str:
    """The CSV of one table."""
    return export({DAY: table}, **params)[f"{DAY}.csv"]


TABLE = {
    "ts": instants("2026-01-20T09:07:58.142308Z", "2026-01-20T09:07:59Z", None),
    "m0": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    "flag": pa.array([1, 4, 255], pa.uint8()),
    "temp": pa.array([18.94, 20.0, None]),
    "gape": pa.array([0.1, 1e-7, 16777216], pa.float32()),
    "odd": pa.array([float("nan"), float("inf"), float("-inf")]),
    "open": pa.array([True, False, None]),
    "day": pa.array([date(2026, 1, 20), None, date(1969, 12, 31)]),
    "at": pa.array([time_of_day(1, 2, 3), None, None]),
    "pH": pa.array([Decimal("8.10"), None, Decimal("-0.05")]),
    "none": pa.nulls(3),
    "domain": pa.array(["bio", "bio", None]).dictionary_encode(),
}


def test_every_kind_of_value(export: Export) -> None:
    """Integers stay integers, floats read back as floats, nulls are empty, instants have as many digits as needed."""
    assert one(export, TABLE) == (
        "ts,m0,flag,temp,gape,odd,open,day,at,pH,none,domain\n"
        "2026-01-20T09:07:58.142308Z,-9223372036854775808,1,18.94,0.1,NaN,TRUE,2026-01-20,01:02:03.000000,8.10,,bio\n"
        "2026-01-20T09:07:59.000000Z,,4,20.0,1e-7,Inf,FALSE,,,,,bio\n"
        ",9223372036854775807,255,,16777216.0,-Inf,,1969-12-31,,-0.05,,\n"
    )


def test_for_r_and_spreadsheets(export: Export) -> None:
    """With `;` and `,` only floats and decimals change."""
    first = one(export, TABLE, **R_PARAMS).splitlines()[1]
    assert first == (
        "2026-01-20T09:07:58.142308Z;-9223372036854775808;1;18,94;0,1;NaN;TRUE;2026-01-20;01:02:03.000000;8,10;;bio"
    )


@pytest.mark.parametrize(
    ("stamps", "written"),
    [
        (("2026-01-20T09:07:58Z", "2026-01-20T09:07:59Z"), "2026-01-20T09:07:58Z"),
        (("2026-01-20T09:07:58Z", "2026-01-20T09:07:59.5Z"), "2026-01-20T09:07:58.000Z"),
        (("2026-01-20T09:07:58.1Z", "2026-01-20T09:07:59.000001Z"), "2026-01-20T09:07:58.100000Z"),
        (("1969-12-31T23:59:59.999999999Z", "2026-01-20T09:07:59Z"), "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_digits_of_a_second(export: Export, stamps: tuple[str, ...], written: str) -> None:
    """All instants of a file have the same number of digits, so that one format reads them; the fewest that is exact."""
    text = one(export, {"ts": instants(*stamps)})
    assert text.splitlines()[1] == written
    assert pd.read_csv(StringIO(text), parse_dates=["ts"])["ts"].tolist() == list(map(pd.Timestamp, stamps))


def test_times_of_other_zones(export: Export) -> None:
    """An instant is told in UTC whatever zone its column names; a time without a zone gets none."""
    table = {"ts": instants("2026-07-01T12:00:00Z").cast(pa.timestamp("us", "Europe/Paris"))}
    assert one(export, table) == "ts\n2026-07-01T12:00:00Z\n"
    assert one(export, {"clock": pa.array([datetime(2026, 7, 1, 12)])}) == "clock\n2026-07-01T12:00:00\n"


def test_local_time_beside_utc(export: Export) -> None:
    """The two half past two of the night when summer time ends differ by their offset."""
    table = {"ts": instants("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", None), "m0": [1, 2, 3]}
    assert one(export, table, tz="Europe/Paris") == (
        "ts,ts_local,m0\n"
        "2026-10-25T00:30:00Z,2026-10-25T02:30:00+02:00,1\n"
        "2026-10-25T01:30:00Z,2026-10-25T02:30:00+01:00,2\n"
        ",,3\n"
    )


def test_a_format_of_ones_own(export: Export) -> None:
    """strftime's; a field that holds the delimiter is quoted."""
    table = {"ts": instants("2026-10-25T00:30:00.5Z", None)}
    assert one(export, table, timestamp_format="%d/%m/%Y, %H:%M:%S", tz="Europe/Paris") == (
        'ts,ts_local\n"25/10/2026, 00:30:00","25/10/2026, 02:30:00"\n,\n'
    )


def test_texts(export: Export) -> None:
    """Texts and names of columns are quoted where they need it; no text is not the empty text."""
    texts = ["plain", "a,b", 'say "so"', "two\nlines", "cr\r", "", None, " ä "]
    text = one(export, {"no,te": texts, "n": range(8)})
    assert text.startswith('"no,te",n\nplain,0\n"a,b",1\n"say ""so""",2\n')
    assert '\n"",5\n,6\n ä ,7\n' in text
    rows = list(csv.reader(StringIO(text, newline="")))
    assert [row[0] for row in rows] == ["no,te", *(text or "" for text in texts)]


def test_floats_round_trip(export: Export) -> None:
    """Any float, from random bits: pandas reads the same bits, and so does whoever reads the decimal comma."""
    chance = random.Random(16)
    doubles = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(5_000)]
    values = pa.array([value for value in doubles if value == value])
    singles = pa.array([struct.unpack("f", chance.randbytes(4))[0] for _ in range(len(values))], pa.float32())
    table = pa.table({"double": values, "single": singles})
    text = one(export, {"double": values, "single": singles})
    back = pd.read_csv(StringIO(text), dtype={"single": "float32"})
    assert pa.table(back, schema=table.schema).to_pandas().equals(table.to_pandas())
    comma = one(export, {"double": values}, **R_PARAMS).splitlines()[1:]
    assert [float(value.replace(",", ".")) for value in comma] == values.to_pylist()


def test_whole_floats_stay_floats_and_integers_integers(export: Export) -> None:
    """The types that pandas infers are those of the columns, as far as nulls let it."""
    text = one(export, {"integer": [1, 2, 10**15], "float": [1.0, 20.0, -0.0], "big": [1e20, 1e16, 123456789012.0]})
    assert [str(kind) for kind in pd.read_csv(StringIO(text)).dtypes] == ["int64", "float64", "float64"]


def test_columns(export: Export) -> None:
    """Those that are named, in that order, the timestamp first; a file that has none of them is left out."""
    tables = {
        DAY: {"ts": instants("2026-01-20"), "m0": [1], "m1": [2]},
        "air__2026-01-20": {"ts": instants("2026-01-20"), "temp": [1.5]},
    }
    assert export(tables, columns=["m1", "m0"]) == {f"{DAY}.csv": "ts,m1,m0\n2026-01-20T00:00:00Z,2,1\n"}
    assert one(export, tables[DAY], columns=["m1", "ts"]) == "m1,ts\n2,2026-01-20T00:00:00Z\n"
    with pytest.warns(UserWarning) as told:
        assert set(export(tables, columns=["temp", "mO"])) == {"air__2026-01-20.csv"}
    assert [str(warning.message) for warning in told] == ["param `columns`: no file of these days has mO"]


def test_no_rows(export: Export) -> None:
    """A file without rows becomes a header."""
    assert one(export, {"ts": instants(), "m0": pa.array([], pa.int64())}, tz="UTC") == "ts,ts_local,m0\n"


@pytest.mark.parametrize(
    ("params", "columns", "message"),
    [
        ({"decimal": ","}, {}, "params `delimiter` and `decimal` are both `,`; set the delimiter to `;`"),
        (
            {"timestamp_format": "iso"},
            {},
            "param `timestamp_format` is 'iso'; accepted: ISO8601, or a strftime format such as %d/%m/%Y %H:%M:%S",
        ),
        ({"tz": "Europe/Pari"}, {}, "param `tz`: no time zone `Europe/Pari`; use an IANA name such as Europe/Paris"),
        ({"columns": [7]}, {}, "param `columns` must be an array of column names, not of 7"),
        ({"columns": ["mO"]}, {}, "param `columns`: no file has mO; accepted: ts, m0"),
        (
            {"tz": "UTC"},
            {"ts_local": [1]},
            "param `tz`: the column `ts_local` is there already; leave it out by `columns`",
        ),
        (
            {},
            {"list": [[1, 2]]},
            "column `list` is of the type list<element: int64>, which no cell can hold; leave it out by `columns`",
        ),
    ],
)
def test_refused(export: Export, params: dict[str, Any], columns: dict[str, Any], message: str) -> None:
    """What does not fit is said with what does."""
    with pytest.raises(ValueError) as caught:
        one(export, {"ts": instants("2026-01-20"), "m0": [1], **columns}, **params)
    assert str(caught.value) == message


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_r_reads_it(export: Export, tmp_path: Path) -> None:
    """`read.csv2` finds the columns' types by itself: integers, numbers, logicals, nothing for null."""
    table = {
        "ts": instants("2026-01-20T09:07:58.142308Z", "2026-01-20T09:07:59Z", "2026-01-20T09:08:00Z"),
        "m0": pa.array([1, None, 2**31 - 1]),
        "temp": pa.array([0.1 + 0.2, None, 1e-300]),
        "odd": [float("nan"), float("inf"), float("-inf")],
        "open": [True, False, None],
        "note": ['say "so"; or', "two\nlines", "ä"],
    }
    one(export, table, **R_PARAMS)
    code = (
        f"x <- read.csv2('{tmp_path}/written/{DAY}.csv', encoding='UTF-8');"
        "cat(sapply(x, class), '\\n'); cat(sprintf('%.17g', x$temp), x$m0, x$odd, x$open, '\\n');"
        "cat(x$note, sep='|'); cat('\\n');"
        "cat(format(as.POSIXct(x$ts, format='%Y-%m-%dT%H:%M:%OSZ', tz='UTC'), '%H:%M:%OS6')[2])"
    )
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == (
        "character integer numeric numeric logical character \n"
        "0.30000000000000004 NA 1e-300 1 NA 2147483647 NaN Inf -Inf TRUE FALSE NA \n"
        'say "so"; or|two\nlines|ä\n'
        "09:07:59.000000"
    )


@pytest.mark.parametrize("params", [{}, {"delimiter": ";"}, R_PARAMS])
def test_parse_reads_it_back(project: SmallProject, params: dict[str, Any]) -> None:
    """Parsed, exported and parsed again: the same files, and no line is rejected. A changed day alone is written anew."""
    known = json.loads((REPO / "treatments" / "parse" / "treatment.json").read_text(encoding="utf-8"))["params"]
    if not params.keys() <= known.keys():
        pytest.skip("parse has no param `decimal`")
    for name in ("parse", "export_csv"):
        shutil.copytree(REPO / "treatments" / name, project.root / "treatments" / name)
    raw = project.root / "data" / "raw"
    raw.mkdir()
    sensors = ";".join(f"m{number}" for number in range(12))
    for day in (20, 21):
        rows = [f"2026-01-{day}T09:07:{second:02}.142308Z;{';'.join('7' * 12)};{second / 7}\n" for second in range(60)]
        holed = rows[0].replace(";7", ";", 3) + rows[1].rpartition(";")[0] + ";\n"
        text = f"ts;{sensors};outdoor_temp\n{holed}{''.join(rows[2:])}"
        (raw / f"a_2026-01-{day}.csv").write_text(text, encoding="utf-8")

    def run(name: str, source: str, target: str, given: dict[str, Any]) -> str:
        folders = ("--input", f"data/{source}", "--output", f"data/{target}")
        done = project.cli("runner", "--treatment", name, *folders, "--params", json.dumps(given))
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("parse", "raw", "parsed", {})
    assert run("export_csv", "parsed", "csv", params).endswith("  4 files\n")
    run("parse", "csv", "again", {"delimiter": ",", **params})
    first, second = (project.root / "data" / name for name in ("parsed", "again"))
    assert sorted(path.name for path in second.iterdir()) == sorted(path.name for path in first.iterdir())
    for path in first.iterdir():
        assert pq.read_table(second / path.name).equals(pq.read_table(path)), path.name

    late = raw / "b_2026-01-21.csv"
    late.write_text(f"ts;{sensors};outdoor_temp\n2026-01-21T10:00:00Z;{';'.join('8' * 12)};3.5\n", encoding="utf-8")
    run("parse", "raw", "parsed", {})
    assert run("export_csv", "parsed", "csv", params).endswith("  2 files\n")
    last = (project.root / "data" / "csv" / "environment__2026-01-21.csv").read_text(encoding="utf-8").splitlines()[-1]
    assert last.startswith("2026-01-21T10:00:00.000000Z")
