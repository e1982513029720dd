"""parse: every value of the CSV in the parquet, exactly, or a clear error that names file, line, column and value."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pymyx.core.errors import TreatmentError
from pymyx.core.runner import run_treatment

from .conftest import REPO
from .recording import write_days

SMALL = {"domains": {"bio": ["m0", "m1"], "air": ["temp"]}, "types": {"bio": "integer", "air": "float"}}


class Station:
    """A project that has parse, and a raw folder `raw`."""

    def __init__(self, root: Path) -> None:
        (root / "treatments").mkdir()
        (root / "treatments" / "parse").symlink_to(REPO / "treatments" / "parse")
        self.root = root
        self.raw = root / "raw"
        self.out = root / "out"
        self.raw.mkdir()
        self.said = ""

    def write(self, text: str | bytes, name: str = "a.csv") -> None:
        """Put a file into the raw folder."""
        (self.raw / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def parse(self, **params: Any) -> dict[str, list[tuple[Any, ...]]]:
        """Parse the raw folder; the rows of each output, timestamps as ISO 8601 texts."""

        def show(text: str) -> None:
            self.said += text

        run_treatment("parse", self.raw, self.out, {**SMALL, **params}, root=self.root, show=show)
        return {path.name: self.rows(path) for path in sorted(self.out.glob("*.parquet"))}

    def rows(self, path: Path) -> list[tuple[Any, ...]]:
        """The rows of one output without its domain, which is the same on every row."""
        table = pq.read_table(path)
        assert set(table["domain"].to_pylist()) == {path.name.partition("__")[0]}
        columns = [table[name].to_pylist() for name in table.column_names if name not in ("ts", "domain")]
        return list(zip([one.isoformat() for one in table["ts"].to_pylist()], *columns, strict=True))

    def error(self, **params: Any) -> str:
        """The message of parse's error, without the path of the raw folder."""
        with pytest.raises(TreatmentError) as caught:
            self.parse(**params)
        assert not list(self.out.glob("*"))
        prefix = "treatment `parse` failed: ValueError: "
        assert caught.value.faults[0].what.startswith(prefix)
        assert caught.value.faults[0].evidence == ()  # no traceback: the message says it all
        return caught.value.faults[0].what.removeprefix(prefix).removeprefix("raw/")


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A station with an empty raw folder."""
    return Station(tmp_path)


HEADER = "ts;m0;m1;temp\n"
ROW = "2026-01-20T09:07:58Z;10;20;18.94\n"
PARSED = {
    "air__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", 18.94)],
    "bio__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", 10, 20)],
}


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROW,
        ROW,
        ROW.removesuffix("\n"),
        (HEADER + ROW).replace("\n", "\r\n"),
        (HEADER + ROW).replace("\n", "\r"),
        "\ufeff" + HEADER + ROW,
        "\ufeff" + ROW,
        "\n\n" + HEADER + "\n" + ROW + "\n\n",
        "temp;m1;ts;m0\n18.94;20;2026-01-20T09:07:58Z;10\n",
        " ts ;m0;\tm1;temp\n2026-01-20T09:07:58Z ; 10;20\t; 18.94 \n",
        '"ts";"m0";"m1";"temp"\n"2026-01-20T09:07:58Z";"10";"20";"18.94"\n',
        ROW.replace("Z", "+00:00"),
        ROW.replace("T09:07:58Z", "T10:07:58+01:00"),
        ROW.replace("T09:07:58Z", " 09:07:58"),
        ROW.replace(";10;", ";+10;").replace(";20;", ";0020;").replace("18.94", "+1.894e1"),
    ],
)
def test_shapes(station: Station, text: str) -> None:
    """With or without a header, however lines end and columns are ordered: the same rows."""
    station.write(text)
    assert station.parse() == PARSED
    assert station.said == ""


def test_types_of_the_output(station: Station) -> None:
    """Instants in UTC to the nanosecond, int64, float64, and the domain on every row."""
    station.write(HEADER + ROW)
    station.parse()
    bio, air = (pq.read_schema(station.out / f"{name}__2026-01-20.parquet") for name in ("bio", "air"))
    domain = pa.dictionary(pa.int32(), pa.string())
    assert bio.remove_metadata() == pa.schema(
        [("ts", pa.timestamp("ns", "UTC")), ("m0", pa.int64()), ("m1", pa.int64()), ("domain", domain)]
    )
    assert air.field("temp").type == pa.float64()
    frame = pd.read_parquet(station.out / "bio__2026-01-20.parquet")
    assert [str(kind) for kind in frame.dtypes] == ["datetime64[ns, UTC]", "int64", "int64", "category"]


def test_values_are_never_modified(station: Station) -> None:
    """What no float can hold stays exact, fractions of any length stay exact, an empty cell is null."""
    station.write(
        "2026-01-20T00:00:00Z;9007199254740993;;0.1\n"
        "2026-01-20T00:00:01.5Z;-9223372036854775808;9223372036854775807;5e-324\n"
        "2026-01-20T00:00:02.123456789Z;-999;0;\n"
        "2026-01-20T00:00:03.000000001Z;1;1;-0.0\n"
    )
    rows = station.parse()["bio__2026-01-20.parquet"]
    assert [row[1:] for row in rows] == [(9007199254740993, None), (-(2**63), 2**63 - 1), (-999, 0), (1, 1)]
    table = pq.read_table(station.out / "air__2026-01-20.parquet")
    assert [repr(one) for one in table["temp"].to_pylist()] == ["0.1", "5e-324", "None", "-0.0"]
    nanos = [one % 1_000_000_000 for one in table["ts"].cast(pa.int64()).to_pylist()]
    assert nanos == [0, 500_000_000, 123_456_789, 1]


def test_days_are_utc_days_and_files_are_merged(station: Station) -> None:
    """Rows go to their UTC day whatever file they come from, in the order of time; those of one instant as read."""
    station.write(
        "2026-01-20T23:59:59Z;1;1;1\n2026-01-21T00:00:00Z;2;2;2\n2026-01-19T23:59:59.999999999Z;0;0;0\n", "b.csv"
    )
    station.write("2026-01-21T00:00:00Z;3;3;3\n2026-01-21T01:30:00+02:00;4;4;4\n", "a.csv")
    rows = station.parse()
    assert {name: [row[1] for row in rows[name]] for name in rows if name.startswith("bio")} == {
        "bio__2026-01-19.parquet": [0],
        "bio__2026-01-20.parquet": [4, 1],
        "bio__2026-01-21.parquet": [3, 2],
    }
    station.write("2026-01-20T00:00:00Z;9;9;9\n", "a.csv")
    assert [row[1] for row in station.parse()["bio__2026-01-20.parquet"]] == [9, 1]


def test_time_zone(station: Station) -> None:
    """Timestamps without an offset are local times of `tz`; those with one are not touched by it."""
    station.write("2026-01-20T00:30:00;1;1;1\n2026-07-20T00:30:00;2;2;2\n2026-07-20T00:30:00Z;3;3;3\n")
    rows = station.parse(tz="Europe/Paris")
    assert {name: [row[:2] for row in rows[name]] for name in rows if name.startswith("bio")} == {
        "bio__2026-01-19.parquet": [("2026-01-19T23:30:00+00:00", 1)],
        "bio__2026-07-19.parquet": [("2026-07-19T22:30:00+00:00", 2)],
        "bio__2026-07-20.parquet": [("2026-07-20T00:30:00+00:00", 3)],
    }


@pytest.mark.parametrize("local", ["2026-03-29T02:30:00", "2026-10-25T02:30:00"])
def test_local_times_that_are_none_or_two(station: Station, local: str) -> None:
    """A local time that the zone skips or has twice is an error."""
    station.write(ROW + f"{local};1;1;1\n")
    assert station.error(tz="Europe/Paris") == f"a.csv:2: column 1 `ts`: '{local}' is no single time in Europe/Paris"


def test_other_params(station: Station) -> None:
    """Delimiter and timestamp column are as the params say; a new domain states its type."""
    station.write("time,ph\n2026-01-20T09:07:58Z,8.1\n")
    params = {"delimiter": ",", "timestamp_column": "time", "domains": {"water": ["ph"]}, "types": {"water": "float"}}
    run_treatment("parse", station.raw, station.out, params, root=station.root)
    assert pq.read_table(station.out / "water__2026-01-20.parquet").to_pylist()[0]["ph"] == 8.1


def test_missing_and_extra_columns(station: Station) -> None:
    """A missing column is null, a domain of which a file has nothing gets no rows, both are warned about."""
    station.write("ts;m1;battery\n2026-01-20T09:07:58Z;20;3.3\n")
    assert station.parse() == {"bio__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", None, 20)]}
    assert station.said == (
        "warning: a.csv lacks m0, temp: null, or no rows for a domain of which it has nothing\n"
        "warning: a.csv has columns that no domain names; they are not written: battery\n"
    )


@pytest.mark.parametrize("text", ["", "\n\n", HEADER, HEADER.removesuffix("\n"), "\ufeff"])
def test_files_without_rows(station: Station, text: str) -> None:
    """A file without rows is warned about; the others are parsed."""
    station.write(ROW)
    station.write(text, "empty.csv")
    assert station.parse() == PARSED
    assert station.said == "warning: empty.csv holds no rows\n"


def test_which_files_are_read(station: Station) -> None:
    """Regular *.csv and *.csv.gz files in any case, links followed; nothing hidden, set aside or unfinished."""
    station.write(ROW, "a.CSV")
    station.write(gzip.compress(ROW.replace(":58Z", ":59Z").encode()), "b.csv.gz")
    station.write(ROW.replace(":58Z", ":57Z"), "elsewhere.txt")
    (station.raw / "c.csv").symlink_to("elsewhere.txt")
    (station.raw / "dangling.csv").symlink_to("nowhere")
    (station.raw / "folder.csv").mkdir()
    for name in (".hidden.csv", "_aside.csv", "._x.csv", "a.csv~", "a.csv.part", "README.txt"):
        station.write("nonsense", name)
    times = [row[0][17:19] for row in station.parse()["bio__2026-01-20.parquet"]]
    assert times == ["57", "58", "59"]


def test_nothing_to_read(station: Station) -> None:
    """A folder without CSV is an error that says what is there instead."""
    assert station.error() == "no CSV file in raw; found there: nothing"
    station.write("x", "notes.txt")
    assert station.error() == "no CSV file in raw; found there: notes.txt"


MALFORMED = {
    "text": ("2026-01-20T09:07:59Z;abc;20;1.5", "column 2 `m0`: 'abc' is no integer"),
    "float": ("2026-01-20T09:07:59Z;12.0;20;1.5", "column 2 `m0`: '12.0' is no integer"),
    "hexadecimal": ("2026-01-20T09:07:59Z;0x10;20;1.5", "column 2 `m0`: '0x10' is no integer"),
    "underscore": ("2026-01-20T09:07:59Z;1_0;20;1.5", "column 2 `m0`: '1_0' is no integer"),
    "arabic digits": ("2026-01-20T09:07:59Z;١٢;20;1.5", "column 2 `m0`: '١٢' is no integer"),
    "no-break space": ("2026-01-20T09:07:59Z;\xa012;20;1.5", "column 2 `m0`: '\\xa012' is no integer"),
    "nul": ("2026-01-20T09:07:59Z;1\x002;20;1.5", "column 2 `m0`: '1\\x002' is no integer"),
    "key:value": ("2026-01-20T09:07:59Z;m0:1;m1:2;temp:3", "column 2 `m0`: 'm0:1' is no integer"),
    "beyond int64": ("2026-01-20T09:07:59Z;10;9223372036854775808;1.5", "column 3 `m1`: '9223372036854775808' is beyond int64"),
    "decimal comma": ("2026-01-20T09:07:59Z;10;20;18,94", "column 4 `temp`: '18,94' is no float"),
    "cut float": ("2026-01-20T09:07:59Z;10;20;18.", "column 4 `temp`: '18.' is no float"),
    "infinity": ("2026-01-20T09:07:59Z;10;20;inf", "column 4 `temp`: 'inf' is no float"),
    "nan": ("2026-01-20T09:07:59Z;10;20;nan", "column 4 `temp`: 'nan' is no float"),
    "too large": ("2026-01-20T09:07:59Z;10;20;1e400", "column 4 `temp`: '1e400' is beyond the range of a float"),
    "too small": ("2026-01-20T09:07:59Z;10;20;1e-400", "column 4 `temp`: '1e-400' is beyond the range of a float"),
    "no timestamp": (";10;20;1.5", "column 1 `ts`: '' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "now": ("now;10;20;1.5", "column 1 `ts`: 'now' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "a date": ("2026-01-20;10;20;1.5", "column 1 `ts`: '2026-01-20' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "no seconds": ("2026-01-20T09:07Z;10;20;1.5", "column 1 `ts`: '2026-01-20T09:07Z' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "half an offset": ("2026-01-20T09:07:59+02;10;20;1.5", "column 1 `ts`: '2026-01-20T09:07:59+02' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "ten digits": ("2026-01-20T09:07:59.0123456789Z;10;20;1.5", "column 1 `ts`: '2026-01-20T09:07:59.0123456789Z' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"),
    "30 February": ("2026-02-30T09:07:59Z;10;20;1.5", "column 1 `ts`: '2026-02-30T09:07:59Z' is no time that exists"),
    "hour 24": ("2026-01-20T24:00:00Z;10;20;1.5", "column 1 `ts`: '2026-01-20T24:00:00Z' is no time that exists"),
    "second 60": ("2026-01-20T23:59:60Z;10;20;1.5", "column 1 `ts`: '2026-01-20T23:59:60Z' is no time that exists"),
    "year 9999": ("9999-01-20T09:07:59Z;10;20;1.5", "column 1 `ts`: '9999-01-20T09:07:59Z' is no time that exists"),
    "short": ("2026-01-20T09:07:59Z;10", "2 fields, expected 4: '2026-01-20T09:07:59Z;10'"),
    "long": ("2026-01-20T09:07:59Z;10;20;1.5;", "5 fields, expected 4: '2026-01-20T09:07:59Z;10;20;1.5;'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("header", [HEADER, ""], ids=["header", "headerless"])
def test_malformed_lines(station: Station, name: str, header: str) -> None:
    """The first thing that cannot be read is told with file, line, column and value; nothing is published."""
    line, message = MALFORMED[name]
    station.write(f"\n{header}{ROW}\n{line}\n{ROW}")
    assert station.error() == f"a.csv:{5 if header else 4}: {message}"


def test_malformed_files(station: Station) -> None:
    """What is wrong with a whole file is told with what would mend it."""
    cases = {
        "ts,m0,m1,temp\n": "a.csv:1: no column `ts` in the header: ['ts,m0,m1,temp']; the delimiter seems to be ',': set the param `delimiter`",
        "time;m0;m1;temp\n": "a.csv:1: no column `ts` in the header: ['time', 'm0', 'm1', 'temp']",
        "ts;m0;m0;temp\n": "a.csv:1: the header names m0 twice",
    }
    for header, message in cases.items():
        station.write(header + ROW)
        assert station.error() == message
    station.write(HEADER + ROW + HEADER + ROW)
    assert station.error() == "a.csv:3: column 1 `ts`: 'ts' is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"
    station.write(HEADER.encode() + b"2026-01-20T09:07:58Z;10;caf\xe9;1\n")
    assert station.error() == "a.csv:2: column 3 `m1`: 'caf\\udce9' is not UTF-8"
    station.write(f'ts;m0;note\n{ROW[:23]};"open\n{ROW[:23]};fine\n')
    assert station.error() == 'a.csv: 2 lines gave 1 rows; is there a quote (") that is not closed?'


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delimiter": "::"}, "param `delimiter` must be one character, not '::'"),
        (
            {"types": {"bio": "integer"}},
            "param `types` must say integer or float for the domain `air`; it says nothing",
        ),
        (
            {"types": {"bio": "int", "air": "float"}},
            "param `types` must say integer or float for the domain `bio`; it says int",
        ),
        ({"domains": {"bio": "m0"}}, "param `domains`: `bio` must be an array of column names, not 'm0'"),
        (
            {"domains": {"../bio": ["m0"]}},
            "param `domains`: '../bio' cannot be part of a file name; use letters, digits, _ and -",
        ),
        ({"domains": {"bio": ["m0"], "air": ["m0"]}}, "param `domains`: the column `m0` of `air` is taken already"),
        ({"domains": {"bio": ["ts"]}}, "param `domains`: the column `ts` of `bio` is taken already"),
    ],
)
def test_params_that_do_not_fit(station: Station, params: dict[str, Any], message: str) -> None:
    """Params that are of their types but cannot be meant are told."""
    station.write(ROW)
    assert station.error(**params) == message


def test_unknown_time_zone(station: Station) -> None:
    """A time zone that does not exist is told as such."""
    station.write(ROW)
    assert (
        station.error(tz="Europe/Pariss")
        == "param `tz`: no time zone `Europe/Pariss`; use an IANA name such as Europe/Paris"
    )


def test_generated_days(station: Station) -> None:
    """Whole days of the generator come back value for value, as pandas reads them."""
    files = write_days(station.raw, days=2)
    defaults = json.loads((REPO / "treatments" / "parse" / "treatment.json").read_text(encoding="utf-8"))["params"]
    run_treatment("parse", station.raw, station.out, root=station.root)
    for path in files:
        expected = pd.read_csv(path, sep=";", parse_dates=["ts"])
        for domain, columns in defaults["domains"]["default"].items():
            frame = pd.read_parquet(station.out / f"{domain}__{path.stem.rpartition('_')[2]}.parquet")
            for column in ["ts", *columns]:
                assert (frame[column].array == expected[column].array).all()
            assert set(frame["domain"]) == {domain}
