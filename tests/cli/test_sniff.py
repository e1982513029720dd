"""`pymyx sniff`: what it proposes for real shapes, what it leaves to its user, what it refuses, and what it writes."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pymyx.cli.sniff import command
from pymyx.cli.sniff.evidence import Proposal
from pymyx.cli.sniff.names import device_in
from pymyx.cli.sniff.proposal import propose
from pymyx.cli.sniff.sample import MOST, sample_of
from pymyx.core.errors import PymyxError
from pymyx.core.project import find_project
from pymyx.core.runner import run_treatment

from ..conftest import REPO, SmallProject, snapshot
from ..shapes import SHAPES

PARAMS = json.loads((REPO / "treatments" / "parse" / "treatment.json").read_text(encoding="utf-8"))["params"]
DEFAULTS = {name: param["default"] for name, param in PARAMS.items()}


@pytest.fixture
def station(project: SmallProject) -> SmallProject:
    """A small project with the repository's own parse."""
    shutil.copytree(REPO / "treatments" / "parse", project.root / "treatments" / "parse")
    return project


def sniff_by_command(station: SmallProject, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `pymyx sniff` in the project's root."""
    return station.pymyx("sniff", *arguments, **options)


def sniff(station: SmallProject, *files: str, write: str | None = None) -> subprocess.CompletedProcess[str]:
    """What the command does, in this process, as it would be told: what is read is run in a child all the same."""
    said, shown, code = list[str](), list[str](), 0
    with contextlib.chdir(station.root):
        try:
            command.sniff(find_project(), files, write, said.append, shown.append)
        except PymyxError as error:
            code = error.exit_code
            shown += [f"error: {fault}\n" for fault in error.faults]
    return subprocess.CompletedProcess(files, code, "".join(f"{text}\n" for text in said), "".join(shown))


def proposed(text: str | bytes, name: str = "a.csv") -> Proposal:
    """What is proposed for one file."""
    return propose([sample_of(name, text.encode() if isinstance(text, str) else text)], DEFAULTS)


def why(proposal: Proposal, param: str) -> str:
    """From where a param was taken."""
    return next(one.why for one in proposal.because if one.param == param)


@pytest.mark.parametrize("kind", SHAPES)
def test_what_loggers_write(station: SmallProject, kind: str) -> None:
    """The params are those that state the shape, and parse, run with them, reads every value that the file says."""
    shape = SHAPES[kind]
    raw = station.root / "data" / "raw"
    raw.mkdir()
    for name, data in shape.files.items():
        (raw / name).write_bytes(data)
    before = snapshot(station.root)
    done = sniff(station, *(f"data/raw/{name}" for name in shape.files))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == shape.params
    assert done.stderr.endswith("it rejects 0 lines\n")
    assert "several devices" not in done.stderr
    assert snapshot(station.root) == before
    if not shape.params.get("dated_names", True):
        take_days_out(station)
    run_treatment("parse", raw, station.output, shape.params, root=station.root)
    assert not list(station.output.glob("_rejected*"))
    expected = {domain: Counter[tuple[Any, ...]]() for domain in shape.params["domains"]}
    for name, data in shape.files.items():
        device = (name.rpartition("_")[2].removesuffix(".csv"),) if "device" in shape.params else ()
        for instant, values in shape.read(data):
            assert sorted(values) == sorted(chain(*shape.params["domains"].values()))
            for domain, columns in shape.params["domains"].items():
                expected[domain][(instant, *(values[column] for column in columns), *device)] += 1
    assert sum(expected[domain].total() for domain in expected) > 0
    assert {domain: read_back(station.output, domain, shape.params) for domain in expected} == expected


def take_days_out(station: SmallProject) -> None:
    """Let parse run over the whole folder."""
    contract = station.root / "treatments" / "parse" / "treatment.json"
    document = json.loads(contract.read_text(encoding="utf-8"))
    del document["days"]
    contract.write_text(json.dumps(document), encoding="utf-8")


def read_back(folder: Path, domain: str, params: dict[str, Any]) -> Counter[tuple[Any, ...]]:
    """The rows of a domain, as often as each is there."""
    columns = [
        params.get("timestamp_column", "ts"),
        *params["domains"][domain],
        *(["device"] if "device" in params else []),
    ]
    rows = [row for path in folder.glob(f"{domain}__*.parquet") for row in pq.read_table(path).to_pylist()]
    kind = int if params["types"][domain] == "integer" else float
    assert all(isinstance(row[name], kind | None) for row in rows for name in params["domains"][domain])
    return Counter(tuple(row[name] for name in columns) for row in rows)


def test_the_projects_own_sample(station: SmallProject) -> None:
    """Nothing but the defaults is needed for the repository's own recording; all is told, in these words."""
    shutil.copy(REPO / "data" / "00_raw" / "sample_2026-01-20.csv", station.input)
    done = sniff_by_command(station, "data/in/sample_2026-01-20.csv")
    assert (done.returncode, done.stdout) == (0, "{}\n")
    assert (
        done.stderr
        == """\
sample_2026-01-20.csv: its first 999,963 bytes, 12,378 lines
  encoding          "utf-8"       all is ASCII
  delimiter         ";"           line 2: 14 fields, as in 12,377 rows
  header            14 names      line 1: names the columns
  timestamp_column  "ts"          line 2: `2026-01-20T20:00:00.142308Z` in field 1
  timestamp_format  "iso8601"     line 2: `2026-01-20T20:00:00.142308Z`
  decimal           "."           line 2: `11.28`
  dated_names       true          12,377 of 12,377 rows are at most a day from 2026-01-20, the date in the file's name
  column            m0 … m11      integer, no decimals in 12,377 values from line 2 on
  column            outdoor_temp  float, line 2: `11.28`
parse reads 12,377 rows; the first 3:
  ts            2026-01-20T20:00:00.142308Z  2026-01-20T20:00:01.142308Z  2026-01-20T20:00:02.142308Z
  m0            899                          904                          900
  m1            834                          837                          834
  m2            104                          106                          107
  m3            880                          877                          878
  m4            736                          737                          736
  m5            801                          803                          805
  m6            97                           96                           98
  m7            134                          136                          131
  m8            897                          894                          898
  m9            867                          870                          869
  m10           783                          785                          784
  m11           879                          881                          879
  outdoor_temp  11.28                        11.18                        11.22
it rejects 0 lines
"""
    )


HEAD = "Date,Temp,Light\n"
AMBIGUOUS = HEAD + "".join(f"03/04/2026 09:07:0{second},18.{second},{second}\n" for second in range(6))


def test_day_or_month_first_is_left_to_the_user(station: SmallProject) -> None:
    """Where no line decides the order it is said, both readings are shown, and no flow is written."""
    (station.input / "b.csv").write_text(AMBIGUOUS, encoding="utf-8")
    done = sniff_by_command(station, "data/in/b.csv", "--write", "light")
    assert done.returncode == 1
    assert "timestamp_format" not in json.loads(done.stdout)
    assert "by %d/%m/%Y %H:%M:%S, parse reads 6 rows; the first 3:\n  Date   2026-04-03T09:07:00Z  " in done.stderr
    assert "by %m/%d/%Y %H:%M:%S, parse reads 6 rows; the first 3:\n  Date   2026-03-04T09:07:00Z  " in done.stderr
    assert done.stderr.endswith(
        """\
error: the order of day and month is ambiguous: no line decides it
  at line 2: `03/04/2026 09:07:00` is 3 April 2026 or 4 March 2026
  a line with a day above 12, or rows that go on over midnight, would decide it
note: flows/light.json is not written
hint: add "timestamp_format": "%d/%m/%Y %H:%M:%S" or "timestamp_format": "%m/%d/%Y %H:%M:%S", or sniff a file that decides it
"""
    )
    assert list((station.root / "flows").iterdir()) == []


def rows_of(pattern: str, start: datetime, step: timedelta, count: int = 40) -> str:
    """A file with a header, and its rows."""
    return HEAD + "".join(f"{start + row * step:{pattern}},18.{row},{row}\n" for row in range(count))


DAY_FIRST, MONTH_FIRST = "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("written", "start", "step", "name", "how", "because"),
    [
        (DAY_FIRST, datetime(2026, 1, 12, 23, 59, 58), SECOND, "a.csv", DAY_FIRST, f"line 4: `13/01/2026 00:00:00`, which is none of {MONTH_FIRST}"),
        (MONTH_FIRST, datetime(2026, 1, 12, 23, 59, 58), SECOND, "a.csv", MONTH_FIRST, f"line 4: `01/13/2026 00:00:00`, which is none of {DAY_FIRST}"),
        (DAY_FIRST, datetime(2026, 3, 4, 9), SECOND, "a_2026-03-04.csv", DAY_FIRST, "the file's name says 2026-03-04, and the rows are of that day"),
        (MONTH_FIRST, datetime(2026, 3, 4, 9), SECOND, "20260304_SN003.csv", MONTH_FIRST, "the file's name says 2026-03-04, and the rows are of that day"),
        (DAY_FIRST, datetime(2026, 3, 4, 9), HOUR, "a.csv", DAY_FIRST, "`04/03/2026 23:00:00` and `05/03/2026 00:00:00` follow each other over midnight (line 17)"),
        (MONTH_FIRST, datetime(2026, 3, 4, 9), HOUR, "a.csv", MONTH_FIRST, "`03/04/2026 23:00:00` and `03/05/2026 00:00:00` follow each other over midnight (line 17)"),
    ],
)  # fmt: skip
def test_what_decides_day_or_month(
    written: str, start: datetime, step: timedelta, name: str, how: str, because: str
) -> None:
    """A day above 12, the day in the file's name, or rows that follow each other over midnight."""
    proposal = proposed(rows_of(written, start, step), name)
    assert proposal.params["timestamp_format"] == how
    assert why(proposal, "timestamp_format") == because


def test_what_does_not_decide_day_or_month() -> None:
    """Neither one row a day, which may be one a month, nor a few hours on each of some days."""
    daily = "".join(f"0{day}/04/2026 09:00:00,18.1,{day}\n" for day in range(1, 9))
    visits = "".join(f"0{day}/04/2026 {hour:02}:00:00,18.1,{day}\n" for day in range(1, 4) for hour in range(9, 17))
    for rows in (daily, visits):
        assert proposed(HEAD + rows).choices == [DAY_FIRST, MONTH_FIRST]


@pytest.mark.parametrize(
    ("title", "how"), [("Date (DD/MM/YYYY HH:MM)", DAY_FIRST), ("MM/DD/YYYY", MONTH_FIRST), ("Date", "")]
)
def test_a_header_that_states_day_or_month(title: str, how: str) -> None:
    """Where the name of the column has the order, it is that."""
    proposal = proposed(AMBIGUOUS.replace("Date", title))
    assert (proposal.params.get("timestamp_format", ""), len(proposal.choices)) == (how, 0 if how else 2)


def test_a_year_of_two_digits() -> None:
    """HOBOware writes it first; of others that is not known, and is left to the user."""
    rows = "Date,m0\n" + "".join(f"26-01-20 09:07:{row},{row}\n" for row in range(10, 20))
    hobo = proposed(f"Plot Title: pier\n{rows}")
    assert hobo.params["timestamp_format"] == "%y-%m-%d %H:%M:%S"
    assert why(hobo, "timestamp_format") == "line 3: `26-01-20 09:07:10`, the year first, as HOBOware writes it"
    other = proposed(rows)
    assert other.choices == ["%d-%m-%y %H:%M:%S", "%y-%m-%d %H:%M:%S"]
    assert other.doubt == "line 2: `26-01-20 09:07:10` is 26 January 2020 or 20 January 2026"
    assert (
        str(command.left_open(other, None)).splitlines()[0]
        == "the order of day, month and year is ambiguous: no line decides it"
    )


def test_day_or_month_where_each_order_reads_a_line_alone() -> None:
    """A line that one order alone can read, beside one of the other, decides nothing, and is not what is shown."""
    proposal = proposed(HEAD + "13/01/2026 09:00:00,18.1,1\n01/13/2026 09:00:00,18.1,1\n01/02/2026 09:00:00,18.1,1\n")
    assert proposal.choices == [DAY_FIRST, MONTH_FIRST]
    assert proposal.doubt == "line 4: `01/02/2026 09:00:00` is 1 February 2026 or 2 January 2026"


@pytest.mark.parametrize(
    ("stamp", "how"),
    [
        ("2026-01-20T09:07:58.142308Z", "iso8601"),
        ("2026-01-20 09:07:58", "iso8601"),
        ("2026-01-20T09:07:58+01:00", "iso8601"),
        ("2026-01-20 09:07", "%Y-%m-%d %H:%M"),
        ("2026-01-20 9:07:58", "%Y-%m-%d %H:%M:%S"),
        ("2026/01/20 09:07:58.5", "%Y/%m/%d %H:%M:%S.%f"),
        ("20.01.2026 09:07:58", "%d.%m.%Y %H:%M:%S"),
        ("01/20/26 9:07:58 PM", "%m/%d/%y %I:%M:%S %p"),
        ("20.01.26 09:07", "%d.%m.%y %H:%M"),
        ("20-Jan-2026 09:07:58", "%d-%b-%Y %H:%M:%S"),
        ("20-May-2026 09:07:58", "%d-%b-%Y %H:%M:%S"),
        ("20260120 090758", "%Y%m%d %H%M%S"),
        ("20260120090758", "%Y%m%d%H%M%S"),
        ("1768900078", "epoch_s"),
        ("1768900078.25", "epoch_s"),
        ("1768900078123", "epoch_ms"),
        ("1768900078123456", "epoch_us"),
    ],
)
def test_formats_of_time_stamps(stamp: str, how: str) -> None:
    """Each is found, and left out where it is the default."""
    proposal = proposed(f"when;m0\n{stamp};3893\n")
    assert proposal.params.get("timestamp_format", "iso8601") == how
    assert proposal.params["domains"] == {"bio_signal": ["m0"]}


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("2026-01-20T09:07:58Z;m0:10;m1:12\n2026-01-20T09:07:59Z;m0:10\n", {"domains": {"bio_signal": ["m0", "m1"]}}),
        ("2026-01-20T09:07:58Z;m0:10;state:a\n2026-01-20T09:07:59Z;m0:10\n" * 3, {"domains": {"bio_signal": ["m0"]}}),
        ("ts;m0;outdoor_temp\n2026-01-20T09:07:58Z;10;18,5\n", {"decimal": ",", "domains": {"bio_signal": ["m0"], "environment": ["outdoor_temp"]}}),
        ("ts;m0\n2026-01-20T09:07:58Z;10.5\n", {"domains": {"bio_signal": ["m0"]}, "types": {"bio_signal": "float"}}),
        ("2026-01-20T09:07:58Z;" + ";".join("1" * 12) + ";18.5\n", {}),
        ("date;time;m0\n2026-01-20;09:07:58;10\n", {"timestamp_column": "date", "time_column": "time", "domains": {"bio_signal": ["m0"]}}),
        ("# a title\n\nts;m0\n2026-01-20T09:07:58Z;10\n", {"comment": "#", "domains": {"bio_signal": ["m0"]}}),
        ("Station 4\nPier\nNorth\nts;m0\n2026-01-20T09:07:58Z;10\n", {"skip_lines": 3, "domains": {"bio_signal": ["m0"]}}),
        ("Station 4\nts of it\n\nNorth\nts;m0\n2026-01-20T09:07:58Z;10\n", {"skip_to": "ts;m0", "domains": {"bio_signal": ["m0"]}}),
        ("_start,_stop,_time,m0\n" + "".join(f"2026-01-20T00:00:00Z,2026-01-21T00:00:00Z,2026-01-20T09:07:{row}Z,{row}\n" for row in range(10, 20)), {"delimiter": ",", "timestamp_column": "_time", "domains": {"bio_signal": ["m0"]}}),
        ("ts;m0\n" + "".join(f"2026-01-20 09:07:{row};{1_100_000_000 + row}\n" for row in range(10, 20)), {"domains": {"bio_signal": ["m0"]}}),
        ("m0;ts\n" + "".join(f"{1_100_000_000 + row};2026-01-20 09:07:{row}\n" for row in range(10, 20)), {"domains": {"bio_signal": ["m0"]}}),
        ("m0;when\n" + "".join(f"{1_500_000_000 - row % 3 * 99_999};{1_768_900_000 + row}\n" for row in range(10)), {"timestamp_column": "when", "timestamp_format": "epoch_s", "domains": {"bio_signal": ["m0"]}}),
        ("when;m0\n1768900078;1\n0;2\n" + "9" * 400 + ";3\n1768900079;4\n1768900080;5\n", {"timestamp_column": "when", "timestamp_format": "epoch_s", "domains": {"bio_signal": ["m0"]}}),
        ("Moment;m0;q\ns;V;V\n2026-01-20T09:07:58Z;10;1\n", {"timestamp_column": "Moment", "unit_lines": 1, "domains": {"bio_signal": ["m0"], "integers": ["q"]}, "types": {"bio_signal": "integer", "integers": "integer"}}),
        ("ts;m0\n" + "2026-01-20T09:07:58Z;10\n" * 3 + "%7\n" + "2026-01-20T09:07:58Z;10\n", {"domains": {"bio_signal": ["m0"]}}),
        ("ts;m0\n\0\0\0\n2026-01-20T09:0\n" + "2026-01-20T09:07:58Z;10\n" * 3, {"domains": {"bio_signal": ["m0"]}}),
        ("ts;m0\n2026-01-20T09:07:58Z;10\nts;m0\n2026-01-20T09:07:59Z;\n", {"domains": {"bio_signal": ["m0"]}}),
        ("ts;serial;m0\n2026-01-20T09:07:58Z;1234567890;10\n2026-01-20T09:07:59Z;1234567890;10\n", {"domains": {"bio_signal": ["m0"], "integers": ["serial"]}, "types": {"bio_signal": "integer", "integers": "integer"}}),
    ],
)  # fmt: skip
def test_layouts(text: str, params: dict[str, Any]) -> None:
    """What is stated is what differs from the defaults, and no more."""
    assert proposed(text).params == params


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("boot\n2026-01-20T09:07:58Z;" + ";".join("1" * 12) + ";18.5\n", "line 1 is not a row, and parse will reject it; if each file begins with 1 such line, add skip_lines 1"),
        ("ts;m0\n2026-01-20T09:07:58Z;1,234\n", "commas are taken for decimal ones (line 2: `1,234`): where they part thousands, remove them first"),
        (f"ts;m0;key\n2026-01-20T09:07:58Z;1;{2**63}\n", f"the column `key` is left out: it holds text, line 2: `{2**63}`"),
        ("ts;m0;domain\n2026-01-20T09:07:58Z;1;2\n", "the column `domain` is left out: its name is taken by parse"),
        ("ts;m0;\n2026-01-20T09:07:58Z;1;2\n", "the column `` is left out: its name is missing"),
        ("ts;m0;note\n2026-01-20T09:07:58Z;10;cleaned\n", "the column `note` is left out: it holds text, line 2: `cleaned`"),
        ("ts;m0;m1\n2026-01-20T09:07:58Z;10;\n", "the column `m1` is left out: it has no value in 1 row; if it will have some, add it to a domain"),
        ("ts;m0\n" + "2026-01-20T09:07:58Z;10\n" * 20 + "2026-01-20T09:07:58Z;ERR\n", "`m0` has values that are not of type integer (1, first line 22: `ERR`): rejects, unless null_values names them"),
        ("ts;m0\n2026-01-20 09:07:58;10\n", "the timestamps have no offset and are read as UTC: if the clock keeps another time, add tz"),
        ("ts;m0;m1;node\n" + "".join(f"2026-01-20T09:07:{row:02}Z;1{row};{row};n{row % 2}\n" for row in range(9)), "the rows are of several devices, told apart by `node` alone: give each a file of its own"),
    ],
)  # fmt: skip
def test_notes(text: str, note: str) -> None:
    """What its user should know is said."""
    assert note in proposed(text).notes


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "`a.csv` is empty: no params of parse fit it\nhint: take a file with rows in it"),
        (b"\n \r\n", "`a.csv` is blank: no params of parse fit it\nhint: take a file with rows in it"),
        (bytes(9), "`a.csv` is nothing but NUL bytes: no params of parse fit it\nhint: take a file with rows in it"),
        (bytes(range(256)) * 99, "`a.csv` is binary, not lines of text: no params of parse fit it\nhint: export it as CSV"),
        (b" <!DOCTYPE html>", "`a.csv` is an HTML page, not CSV: no params of parse fit it\nhint: download the file itself: the page may be an error, or a login"),
        (gzip.compress(b"a"), "`a.csv` is compressed by gzip, and its name does not say so: no params of parse fit it\nhint: name it .csv.gz"),
        (b"x" * (MOST + 1), "`a.csv` is one line of more than 1 MB: no params of parse fit it\nhint: take a file whose lines end"),
        (b"a,b\n1,2\n", "no line of `a.csv` has a timestamp and something beside it\n  1: a,b\n  2: 1,2\nhint: a row of parse is a timestamp, then one field per sensor"),
        (b"ts;a\n2026-01-20T09:07:58Z;b\n", "no column of `a.csv` has numbers: parse has nothing to write\n  a: text, line 2: `b`"),
        (
            b"entity_id,state,last_changed\nsensor.pier,11.5,2026-01-20T09:07:58.123Z\nsensor.sea,61,2026-01-20T09:07:58.123Z\n",
            "`a.csv` is a long table, one entity a row: nothing is proposed\n  at line 2\n  the column `entity_id` names the entity of each row: `sensor.pier`, `sensor.sea`\n"
            "note: parse reads one column per sensor\nhint: export it with one column per entity, or turn it with pandas: DataFrame.pivot",
        ),
        (
            b"#group,false,false,true\n#datatype,string,long,dateTime:RFC3339,double,string,string\n#default,_result,,,,,\n,result,table,_time,_value,_field,_measurement\n"
            b",,0,2026-01-20T09:07:58Z,11.5,temp,pier\n,,1,2026-01-20T09:07:58Z,61.5,hum,pier\n",
            "`a.csv` is a long table, one entity a row: nothing is proposed\n  at line 5\n  the column `_field` names the entity of each row: `temp`, `hum`\n"
            "note: parse reads one column per sensor\nhint: export it with one column per entity, or turn it with pandas: DataFrame.pivot",
        ),
        (
            "".join(f"2026-01-20T09:07:{row // 3:02}Z;{'abc'[row % 3]};{row}\n" for row in range(12)).encode(),
            "`a.csv` is a long table, one entity a row: nothing is proposed\n  at line 1\n  the column `field_2` names the entity of each row: `a`, `b`, `c`\n"
            "note: parse reads one column per sensor\nhint: export it with one column per entity, or turn it with pandas: DataFrame.pivot",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, error: str) -> None:
    """What holds no rows that parse could read is named, and nothing is proposed."""
    with pytest.raises(PymyxError) as raised:
        proposed(data)
    assert str(raised.value) == error
    assert raised.value.exit_code == 1


def test_a_column_of_states_makes_no_long_table() -> None:
    """Words that change while time goes on tell of a state, not of an entity."""
    noise = "".join(f"2026-01-20T09:07:{row:02}Z;{row % 3};{row}\n" for row in range(30))
    assert proposed(f"ts;sensor1;sensor2\n{noise}").params["domains"] == {"integers": ["sensor1", "sensor2"]}
    for states in (["OK"] * 20 + ["LOW"] * 10, ["OK", "LOW", "OK"] * 10):
        rows = "".join(f"2026-01-20T09:07:{row:02}Z;{row};{state}\n" for row, state in enumerate(states))
        assert proposed(f"ts;m0;battery\n{rows}").params == {"domains": {"bio_signal": ["m0"]}}


@pytest.mark.parametrize("sensors", [["a", "b", "c"], ["7", "8", "9"]])
def test_a_column_named_for_sensors_makes_a_long_table(sensors: list[str]) -> None:
    """Whether they have names or numbers."""
    rows = "".join(f"2026-01-20T09:07:{row:02}Z;{sensors[row % 3]};{row}.5\n" for row in range(12))
    with pytest.raises(PymyxError, match="the column `sensor` names the entity of each row"):
        proposed(f"ts;sensor;value\n{rows}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(encoding: str) -> None:
    """By their mark, by the NUL of every second byte, or because they are no UTF-8; cut at a line end all the same."""
    row = "2026-01-20T09:07:58Z;10;18.5\n"
    data = ("ts;m0;température °C\n" + row * (MOST // len(row))).encode(encoding)
    sample = sample_of("a.csv", data)
    assert propose([sample], DEFAULTS).params.get("encoding", "utf-8") == encoding.replace("utf-8-sig", "utf-8")
    assert sample.cut == (len(data) > MOST)
    assert len(sample.data) <= MOST
    assert sample.data.decode(encoding).endswith(row)
    assert data.startswith(sample.data)


def test_one_damaged_line_makes_no_latin_1() -> None:
    """Bytes that no text has leave the file UTF-8."""
    data = "ts;m0;°C\n2026-01-20T09:07:58Z;10;1.5\n".encode() + b"\x80\xfe\x91;\n"
    assert "encoding" not in proposed(data).params


@pytest.mark.parametrize(
    ("names", "spans", "pattern", "devices"),
    [
        (["20260120_0906_00_SN003.csv", "20260120_0907_00_SN014.csv"], [(0, 9), (1, 9)], "(SN[0-9]+)", ["SN003", "SN014"]),
        (["oyster_hfni-1_2026-01-20.csv", "oyster_hfni-2_2026-01-20.csv"], [(0, 9), (1, 9)], "(hfni-[0-9]+)", ["hfni-1", "hfni-2"]),
        (["pier_north_2026-01-20.csv", "pier_south_2026-01-20.csv"], [(0, 9), (1, 9)], "pier_([A-Za-z0-9]+)", ["north", "south"]),
        (["north 2026-01-20.csv", "south 2026-01-20.csv"], [(0, 9), (1, 9)], "^([A-Za-z0-9]+)", ["north", "south"]),
        (["log_0001.csv", "log_0002.csv"], [(0, 4), (5, 9)], "", []),
        (["a_2026-01-20.csv", "a_2026-01-21.csv"], [(0, 9), (1, 9)], "", []),
        (["20260120-ax7-x7.csv", "m-y8.csv"], [(0, 9), (1, 9)], "", []),
        (["a_1_2026-01-20.csv", "a_1_2026-01-21.csv", "a_2_2026-01-20.csv"], [(0, 9), (10, 19), (1, 9)], "a_([0-9]+)", ["1", "1", "2"]),
    ],
)  # fmt: skip
def test_devices_in_names(names: list[str], spans: list[tuple[float, float]], pattern: str, devices: list[str]) -> None:
    """What differs wherever two files overlap in time tells devices; parts of one recording follow each other."""
    assert device_in(names, spans) == (pattern, devices)


@pytest.mark.parametrize(
    ("one", "other", "error"),
    [
        (
            b"ts;m0\n2026-01-20T09:07:58Z;10\n",
            b"ts;m0;m1\n2026-01-20T09:07:58Z;10;11\n",
            "`a.csv` and `b.csv` differ in their columns: no one set of params fits both\n  a.csv: ts, m0\n  b.csv: ts, m0, m1\n",
        ),
        (
            b"ts;m0\n2026-01-20T09:07:58Z;10\n2026-01-20T09:07:59Z;10\n",
            b"ts;m0\n13/01/2026T09:07:58Z;10\n",
            "`a.csv` and `b.csv` differ in their timestamps: no one set of params fits both\n  a.csv: 2026-01-20T09:07:58Z\n  b.csv: 13/01/2026T09:07:58Z\n",
        ),
    ],
)  # fmt: skip
def test_files_that_differ(one: bytes, other: bytes, error: str) -> None:
    """Files that no one set of params fits are named, with what they differ in; none of them is a reason to crash."""
    with pytest.raises(PymyxError) as raised:
        propose([sample_of("a.csv", one), sample_of("b.csv", other)], DEFAULTS)
    assert str(raised.value) == f"{error}hint: keep each kind in a folder of its own, and sniff each by itself"


def test_an_integer_of_more_digits_than_python_converts() -> None:
    """It is text, as any other that fits no column."""
    rows = "".join(f"2026-01-20T09:07:{second:02}Z;{second}\n" for second in range(50))
    proposal = proposed(f"ts;mass\n{rows}2026-01-20T09:08:00Z;{'9' * 5000}\n")
    assert proposal.params["domains"] == {"integers": ["mass"]}


def test_lines_that_end_by_a_carriage_return_alone_are_counted() -> None:
    """The line that a choice was taken from is that of an editor."""
    because = sample_of("a.csv", "ts;m0\r2026-01-20T09:07:58Z;10\r# °C\r".encode()).because
    assert because == "line 3 has bytes beyond ASCII, and is UTF-8"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nothing.csv"], "`nothing.csv` cannot be read: No such file or directory"),
        (["data"], "`data` is a folder\nhint: name a file in it"),
        (["fifo.csv"], "`fifo.csv` is not a regular file"),
        (["a.csv", "data/a.csv"], "`a.csv` and `data/a.csv` are one input file by their names\nhint: name each file once, and sniff those of different folders apart"),
        (["a.csv", "a.csv.gz"], "`a.csv` and `a.csv.gz` are one input file by their names\nhint: name each file once, and sniff those of different folders apart"),
        (["a.csv", "data/b.csv", "pier"], "the files lie in different folders, and a step reads one\nhint: put them into one"),
        (["a.csv", "theirs"], "the flow `chain` writes `10_theirs` already, and a folder has one writer\n  at flows/chain.json\nhint: name the new flow otherwise"),
        (["a.csv", "My flow"], "`My flow` cannot be a flow's name\n  accepted: a lower-case name such as pier_hobo"),
        (["a.csv", "mine"], "there is a flow `mine` already\n  at flows/mine.json\nhint: name another"),
    ],
)  # fmt: skip
def test_wrong_use(station: SmallProject, arguments: list[str], error: str) -> None:
    """Each is told before anything is read or run, and ends with 2."""
    os.mkfifo(station.root / "fifo.csv")
    (station.root / "flows" / "mine.json").write_text("mine", encoding="utf-8")
    station.flow({"treatment": "parse", "input": "in", "output": "10_theirs"})
    *files, last = arguments
    done = sniff(station, *files, write=last) if "." not in last and files else sniff(station, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {error}\n")
    assert (station.root / "flows" / "mine.json").read_text(encoding="utf-8") == "mine"


def test_no_file_is_named(station: SmallProject) -> None:
    """It is wrong use, and ends with 2."""
    done = sniff_by_command(station)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the following arguments are required: FILE\nhint: pymyx sniff --help\n"


def test_a_parse_without_the_params(station: SmallProject) -> None:
    """A project whose parse is older is told so, instead of what nobody can use."""
    contract = station.root / "treatments" / "parse" / "treatment.json"
    document = json.loads(contract.read_text(encoding="utf-8"))
    document["params"] = {name: param for name, param in document["params"].items() if name != "timestamp_format"}
    contract.write_text(json.dumps(document), encoding="utf-8")
    (station.input / "a.csv").write_text("ts;m0\n20.01.2026 09:07;10\n", encoding="utf-8")
    done = sniff(station, "data/in/a.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: these files need what the project's parse {document['version']} has no param for: timestamp_format\n"
        "  at treatments/parse/treatment.json\n"
        "hint: take treatments/parse of this PyMyx: pymyx init DIR lays it out\n"
    )


def test_only_the_beginning_is_read(station: SmallProject) -> None:
    """What stands beyond the first 1 MB is neither looked at nor parsed; packed and unpacked are the same."""
    row = b"2026-01-20T09:07:58Z;10\n"
    data = b"ts;m0\n" + row * (MOST // len(row) + 1) + b"<garbage>\n" * 9
    (station.input / "a_2026-01-20.csv").write_bytes(data)
    (station.input / "b_2026-01-20.csv.gz").write_bytes(gzip.compress(data))
    plain, packed = sniff(station, "data/in/a_2026-01-20.csv"), sniff(station, "data/in/b_2026-01-20.csv.gz")
    assert plain.returncode == 0, plain.stderr
    assert json.loads(plain.stdout) == {"domains": {"bio_signal": ["m0"]}}
    assert plain.stderr.startswith("a_2026-01-20.csv: its first 999,990 bytes, 41,667 lines\n")
    assert plain.stderr.endswith("it rejects 0 lines\n")
    assert (packed.stdout, packed.stderr.replace("b_2026", "a_2026")) == (plain.stdout, plain.stderr)


def test_rejects_are_shown(station: SmallProject) -> None:
    """A line that parse rejects is told with its reason, as parse gives it."""
    text = "ts;m0\n2026-01-20T09:07:58Z;10\n2026-01-20T09:07:59Z;1O\n" + "2026-01-20T09:08:00Z;10\n" * 20
    (station.input / "a.csv").write_text(text, encoding="utf-8")
    done = sniff(station, "data/in/a.csv")
    assert done.returncode == 0
    assert done.stderr.endswith(
        "it rejects 1 line; the first 1:\n  a.csv, line 3, field 2: '1O' is no integer\n    2026-01-20T09:07:59Z;1O\n"
    )


def test_a_parse_that_fails(station: SmallProject) -> None:
    """What parse says is told, and nothing is proposed to a script."""
    (station.input / "a.csv").write_text("ts;m0\n2026-01-20T09:07:58Z;10\n", encoding="utf-8")
    code = "def run(input_dir, output_dir, params):\n    raise ValueError('no luck')\n"
    (station.root / "treatments" / "parse" / "run.py").write_text(code, encoding="utf-8")
    done = sniff(station, "data/in/a.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "error: parse, run with what is proposed, read nothing\n  treatment `parse` failed: ValueError: no luck\n"
    )
    assert not (station.root / "pymyx.log").exists()


def test_write_a_flow(station: SmallProject) -> None:
    """The flow is whole and runs at once; it has an output folder of its own, and is never written over."""
    shutil.rmtree(station.input)
    (station.root / "data" / "00_pier").mkdir()
    (station.root / "data" / "00_pier" / "a_2026-01-20.csv").write_text(
        "time,Temp °C\n2026-01-20T09:07:58Z,18.5\n2026-01-20T09:07:59Z,18.6\n", encoding="utf-8"
    )
    done = sniff_by_command(station, "data/00_pier/a_2026-01-20.csv", "--write", "pier")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("\nmade flows/pier.json, which reads 1 file of data/00_pier; now: pymyx flow pier\n")
    path = station.root / "flows" / "pier.json"
    assert (
        path.read_text(encoding="utf-8")
        == """\
{
  "$schema": "../schemas/flow.schema.json",
  "name": "pier",
  "version": "0.1.0",
  "description": "Parses files such as a_2026-01-20.csv, as pymyx sniff proposed.",
  "steps": [
    {
      "treatment": "parse",
      "input": "00_pier",
      "output": "10_pier",
      "params": {
        "delimiter": ",",
        "timestamp_column": "time",
        "domains": {"floats": ["Temp °C"]},
        "types": {"floats": "float"}
      }
    }
  ]
}
"""
    )
    assert station.cli("flow", "--flow", "pier").returncode == 0
    assert pq.read_table(station.root / "data" / "10_pier" / "floats__2026-01-20.parquet").num_rows == 2
    written = path.read_bytes()
    again = sniff_by_command(station, "data/00_pier/a_2026-01-20.csv", "--write", "pier")
    assert (again.returncode, again.stdout) == (2, "")
    assert path.read_bytes() == written


def test_write_a_flow_for_files_elsewhere(station: SmallProject) -> None:
    """Files that lie outside of the data root have a folder to be put into."""
    (station.root / "a.csv").write_text("ts;m0\n2026-01-20T09:07:58Z;10\n", encoding="utf-8")
    done = sniff(station, "a.csv", write="pier")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("\nmade flows/pier.json; put the files into data/00_pier, then: pymyx flow pier\n")
    step = json.loads((station.root / "flows" / "pier.json").read_text(encoding="utf-8"))["steps"][0]
    assert (step["input"], step["output"]) == ("00_pier", "10_pier")


def test_names_that_parse_does_not_read(station: SmallProject) -> None:
    """A .txt is tried under the name that it has to be given."""
    (station.input / "a.txt").write_text("ts;m0\n2026-01-20T09:07:58Z;10\n", encoding="utf-8")
    done = sniff(station, "data/in/a.txt")
    assert done.returncode == 0, done.stderr
    assert "\nnote: parse does not read `a.txt` by that name: rename it to a.csv\n" in done.stderr


def test_stdout_that_is_no_utf_8(station: SmallProject) -> None:
    """The JSON is JSON in every encoding."""
    (station.input / "a.csv").write_text("ts;°C\n2026-01-20T09:07:58Z;10\n", encoding="utf-8")
    done = sniff_by_command(station, "data/in/a.csv", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert json.loads(done.stdout)["domains"] == {"integers": ["°C"]}


@pytest.mark.parametrize(
    ("title", "tz"),
    [("Time, GMT+02:00", "+02:00"), ("Date (UTC-3)", "-03:00"), ("GMT+0530", "+05:30"), ("UTC+0", "UTC")],
)
def test_offsets_in_the_name_of_the_time(title: str, tz: str) -> None:
    """An offset from UTC that the header states is the zone of the clock."""
    proposal = proposed(f'"{title}",m0\n2026-01-20 09:00:00,1\n')
    assert (proposal.params.get("tz", "UTC"), "has no offset" in str(proposal.notes)) == (tz, False)
    assert why(proposal, "tz").startswith("line 1: `")


def test_instants_are_those_of_the_offset() -> None:
    """A name's day is compared with the UTC days of rows, not with those of their clock."""
    rows = "".join(f"2026-01-20 {hour:02}:00:00,{hour}\n" for hour in range(24))
    proposal = proposed(f'"Time, GMT-11:00",m0\n{rows}', "a_2026-01-22.csv")
    assert proposal.params["tz"] == "-11:00"
    near = sum(abs((datetime(2026, 1, 20, hour, tzinfo=UTC) + timedelta(hours=11)).day - 22) <= 1 for hour in range(24))
    assert why(proposal, "dated_names").startswith(f"{near} of 24 rows")
    assert proposal.params["dated_names"] is False
