"""The params of parse that state a format: each read exactly, each wrong value told in one sentence, nothing lost."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .test_parse import HEADER, PARSED, ROW, SMALL, Station, parse

__all__ = ["parse"]  # a fixture, used by its name

DAY_FIRST = "%d/%m/%Y %H:%M:%S"


@pytest.fixture
def station(tmp_path: Path, parse: Callable[[str, str, dict[str, Any]], None]) -> Station:
    """A station with an empty raw folder."""
    return Station(tmp_path, parse)


def test_lines_passed_over(station: Station) -> None:
    """What the params pass over is counted and said, each by its param; all other lines are rows or rejects."""
    station.write("Station 4\n\nts;of;it\n" + HEADER + "#;n;n;degC\n;;;\n" + ROW + "# boot\n" + "oops\n")
    assert station.parse(skip_lines=3, unit_lines=2, comment="# ") == PARSED
    assert station.said == [
        "rows rejected, see _rejected*.jsonl: 1, first: a.csv:9: 1 fields, expected 4",
        "lines passed over, as skip_lines says: 3, first: a.csv:1",
        "lines passed over, as comment says: 1, first: a.csv:8",
        "lines passed over, as unit_lines says: 2, first: a.csv:5",
    ]
    assert [reject[:2] for reject in station.rejects()] == [("a.csv", 9)]


@pytest.mark.parametrize("params", [{"skip_lines": 2}, {"skip_to": "ts"}, {"comment": "#"}, {"timestamp_format": "epoch_s"}, {"timestamp_format": DAY_FIRST}, {"columns": ["ts", "m0"]}])  # fmt: skip
def test_an_empty_file_has_no_line(station: Station, params: dict[str, Any]) -> None:
    """None of them is passed over, whatever the params say."""
    station.write("")
    assert station.parse(**params) == {}
    assert station.said == ["files without rows: 1, first: a.csv"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_skip_to(station: Station, mark: str) -> None:
    """The header is the first line that starts with it, quotes and all; a file without such a line is rejected."""
    header = '"ts";"m0";"m1";"temp"\n'
    station.write(mark + "Plot: ts;m0\n\n" + header + ROW)
    assert station.parse(skip_to='"ts"') == PARSED
    assert station.said == ["lines passed over, as skip_to says: 2, first: a.csv:1"]
    station.write(mark + header + ROW)
    assert (station.parse(skip_to='"ts"'), station.said) == (PARSED, [])
    assert station.parse(skip_to="ts;") == {}
    assert station.rejects() == [
        ("a.csv", None, None, "none of its lines starts with 'ts;', as the param skip_to says", "")
    ]
    station.write("x\nts;m0;m1;temp;\n\n2026-01-20T09:07:58Z;10;20;18.94;\n")
    assert station.parse(skip_to="ts;") == PARSED


@pytest.mark.parametrize(
    "text", ["ts{0};a}b;m0\n", "m0;{clock};%s\n", "a}b;c{d;{}\n", "{};m0,m1\n2026-01-20T09:07:58Z;1;2;3\n"]
)
def test_headers_with_braces(station: Station, text: str) -> None:
    """What is said of them shows them as they are."""
    station.write(text)
    assert station.parse() == {}
    shown = text.partition("\n")[0]
    assert shown in station.rejects()[0][3] + station.rejects()[0][4]


def test_columns(station: Station) -> None:
    """They name the fields in order, the timestamp anywhere; doubled names over them are passed over by skip_to."""
    names = ["temp", "", "ts", "m1", "m0"]
    station.write("18.94;x;2026-01-20T09:07:58Z;20;10\n")
    assert station.parse(columns=names) == PARSED
    station.write("units\nT;T;time;m0;m0\n18.94;x;2026-01-20T09:07:58Z;20;10\n")
    assert station.parse(columns=names, skip_to="T;") == PARSED
    assert station.parse(columns=names, skip_lines=2) == PARSED
    station.write("18.94,x,2026-01-20T09:07:58Z,20,10\n")
    assert station.parse(columns=names) == {}
    assert station.rejects()[0][3] == (
        "its lines have 1 field, expected 5; its delimiter seems to be ',': set the param `delimiter`"
    )


def test_a_repeated_header_that_is_a_comment(station: Station) -> None:
    """A LoRa node writes it at each boot, and the time in the third field."""
    station.write("# m0, m1, ts, temp\n10,20,1768900078,18.94\n# m0, m1, ts, temp\n")
    params = {"comment": "#", "columns": ["m0", "m1", "ts", "temp"], "timestamp_format": "epoch_s", "delimiter": ","}
    assert station.parse(**params) == PARSED
    assert station.said == ["lines passed over, as comment says: 2, first: a.csv:1"]


@pytest.mark.parametrize(
    ("how", "text", "instant"),
    [
        ("epoch_s", "1768900078", "2026-01-20T09:07:58+00:00"),
        ("epoch_s", "-1", "1969-12-31T23:59:59+00:00"),
        ("epoch_s", "-0.5", "1969-12-31T23:59:59.500000+00:00"),
        ("epoch_s", "1768900078.123456789", "2026-01-20T09:07:58.123456789+00:00"),
        ("epoch_ms", "1768900078123.456789", "2026-01-20T09:07:58.123456789+00:00"),
        ("epoch_ms", "-1", "1969-12-31T23:59:59.999000+00:00"),
        ("epoch_us", "1768900078123456.789", "2026-01-20T09:07:58.123456789+00:00"),
        (DAY_FIRST, "20/01/2026 09:07:58", "2026-01-20T09:07:58+00:00"),
        (DAY_FIRST, "20/1/2026  9:7:58", "2026-01-20T09:07:58+00:00"),
        ("%m/%d/%y %I:%M:%S %p", "01/20/26 12:07:58 AM", "2026-01-20T00:07:58+00:00"),
        ("%m/%d/%y %I:%M:%S %p", "1/20/69 12:07:58 pm", "1969-01-20T12:07:58+00:00"),
        ("%m/%d/%Y %I:%M %p", "1/20/2026 1:00 PM", "2026-01-20T13:00:00+00:00"),
        ("%d-%b-%Y %H:%M:%S.%f", "20-jan-2026 09:07:58.5", "2026-01-20T09:07:58.500000+00:00"),
        ("%B %d %Y %H", "May 20 2026 09", "2026-05-20T09:00:00+00:00"),
        ("%Y%m%d%H%M%S", "20260120090758", "2026-01-20T09:07:58+00:00"),
        ("%Y %j %H%M", "2026 20 0907", "2026-01-20T09:07:00+00:00"),
        ("%Y-%m-%dT%H:%M%z", "2026-01-20T10:07+01:00", "2026-01-20T09:07:00+00:00"),
        ("%d.%m.%Y", "20.01.2026", "2026-01-20T00:00:00+00:00"),
    ],
)
def test_time_stamps(station: Station, how: str, text: str, instant: str) -> None:
    """A stamp of the stated format is exact, in a clean line as in one that is read by itself."""
    station.write(f"{text};1;2;3\n {text} ;1;2;3\n")
    rows = station.parse(timestamp_format=how)
    assert [row for name in rows if name.startswith("bio") for row in rows[name]] == [(instant, 1, 2)] * 2
    assert station.rejects() == []


@pytest.mark.parametrize(
    ("how", "texts"),
    [
        ("epoch_s", ["", "1e9", "1768900078.1234567891", "9999999999", "0x10", "1,5", "2026-01-20T09:07:58Z", "9" * 5000]),
        ("epoch_us", ["1768900078123456.7891"]),
        (DAY_FIRST, ["01/20/2026 09:07:58", "20/01/26 09:07:58", "30/02/2026 09:07:58", "20/01/2026 24:00:00", "20/01/2026 09:07:60", "20/01/2026 09:07", "2026-01-20T09:07:58Z", "1768900078", "20/01/2026 09:07:58Z"]),
        ("%m/%d/%y %I:%M:%S %p", ["01/20/26 13:07:58 PM", "01/20/26 00:07:58 AM", "01/20/26 09:07:58"]),
        ("%Y%m%d%H%M%S", ["2026120090758", "202601200907588"]),
        ("%Y %j %H", ["2026 366 00", "2026 0 00"]),
    ],
)  # fmt: skip
def test_other_texts_are_rejects(station: Station, how: str, texts: list[str]) -> None:
    """Any other text in the field of the time stamp stays a reject, nothing is guessed."""
    good = {"epoch_s": "1768900078", "epoch_us": "1768900078000000"}
    first = good.get(how) or datetime(2026, 1, 20, 9, 7, 58).strftime(how)
    station.write("".join(f"{text};1;2;3\n" for text in (first, *texts)))
    rows = station.parse(timestamp_format=how)
    assert sum(len(rows[name]) for name in rows if name.startswith("bio")) == 1
    assert [(line, text.partition(";")[0]) for _, line, _, _, text in station.rejects()] == [
        (number, text[:4096]) for number, text in enumerate(texts, start=2)
    ]


def test_summer_time(station: Station) -> None:
    """Of local stamps, those that do not exist or stand for two times are rejects; a fixed offset has all."""
    for start, fails in ((datetime(2026, 3, 29, 1, 0), 60), (datetime(2026, 10, 25, 1, 0), 60)):
        minutes = [start + timedelta(minutes=minute) for minute in range(180)]
        station.write("".join(f"{minute:{DAY_FIRST}};1;2;3\n" for minute in minutes))
        rows = station.parse(timestamp_format=DAY_FIRST, tz="Europe/Paris")
        assert (sum(len(rows[name]) for name in rows if name.startswith("bio")), len(station.rejects())) == (120, fails)
        assert [line for _, line, *_ in station.rejects()] == list(range(61, 121))
        assert "set the param `tz` to +01:00" in station.rejects()[0][3]
        rows = station.parse(timestamp_format=DAY_FIRST, tz="+01:00")
        read = [row[0] for name in rows if name.startswith("bio") for row in rows[name]]
        assert read == [(minute - timedelta(hours=1)).replace(tzinfo=UTC).isoformat() for minute in minutes]


@pytest.mark.parametrize("text", ["date;m0;clock;m1;temp\n{};10;{};20;18.94\n", "{};{};10;20;18.94\n", "{};clock:{};m0:10;m1:20;temp:18.94\n"])  # fmt: skip
def test_date_and_time_apart(station: Station, text: str) -> None:
    """They are joined by a blank, with a header, without one, and by key; without a time there is no row."""
    params = {"time_column": "clock", "timestamp_column": "date" if text.startswith("date") else "ts"}
    expected = sorted(PARSED.values(), key=str)
    if params["timestamp_column"] == "ts":
        station.write(text.format("2026-01-20", "09:07:58"))
        assert sorted(station.parse(**params).values(), key=str) == expected
        station.write(text.format("20/01/2026", "9:07:58 AM"))
        assert sorted(station.parse(**params, timestamp_format="%d/%m/%Y %I:%M:%S %p").values(), key=str) == expected
        assert station.said == []
        station.write(text.format("20/01/2026", ""))
        assert station.parse(**params, timestamp_format="%d/%m/%Y %I:%M:%S %p") == {}
        assert station.rejects()[0][3] == "'20/01/2026 ' is no time stamp of the format %d/%m/%Y %I:%M:%S %p"
    else:
        station.write("date;m0;m1;temp\n2026-01-20;1;2;3\n")
        assert station.parse(**params) == {}
        assert station.rejects()[0][3] == "its header has no column `clock`: date;m0;m1;temp"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_comma(station: Station, delimiter: str) -> None:
    """With it, a point is no number."""
    lines = HEADER + ROW.replace("18.94", "18,94") + ROW.replace("18.94", '"1,5e1"') + ROW
    station.write(lines.replace(";", delimiter))
    rows = station.parse(decimal=",", delimiter=delimiter)["air__2026-01-20.parquet"]
    assert [value for _, value in rows] == [18.94, 15.0]
    assert [(line, reason) for _, line, _, reason, _ in station.rejects()] == [(4, "'18.94' is no float")]


def test_encodings(station: Station) -> None:
    """Any encoding of text; a line with bytes that are not of it is a reject, these bytes shown."""
    text = "ts;m0;m1;°C\n" + ROW
    params: dict[str, Any] = {"domains": {"bio": ["m0", "m1"], "air": ["°C"]}}
    for encoding in ("utf-16", "utf-16-be", "latin-1", "cp1252", "utf-8-sig", "UTF8"):
        station.write(text.replace("\n", "\r\n").encode(encoding))
        assert station.parse(encoding=encoding, **params) == PARSED
        assert (station.said, station.rejects()) == ([], [])
    station.write(text.encode("cp1252") + b"caf\x81;1\n" + ROW.encode())
    assert len(station.parse(encoding="cp1252", **params)["bio__2026-01-20.parquet"]) == 2
    assert station.rejects() == [("a.csv", 3, None, "it is not cp1252", "caf\\x81;1")]
    station.write((text + ROW).encode("utf-16-le")[:-1])
    station.parse(encoding="utf-16-le", **params)
    assert [(line, reason) for _, line, _, reason, _ in station.rejects()] == [(3, "it is not utf-16-le")]


def test_names_that_are_of_no_day(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows far from the date in the name are kept; day by day, it is an error with its mending."""
    station.write(ROW, "export_2026-02-03.csv")
    assert station.parse() == {}
    assert station.parse(dated_names=False) == PARSED
    monkeypatch.setenv("PYMYX_DAYS", "2026-02-03")
    assert station.error(dated_names=False) == (
        "param `dated_names` is false, so that no file is of one day, and parse is run day by day; "
        "take `days` out of the project's treatments/parse/treatment.json"
    )


def test_devices(station: Station) -> None:
    """The device of a file's name stands on every row; those of several are told apart, one name without is rejected."""
    hint, stamp = "rows of an instant that has one already", "2026-01-20T09:07:58+00:00"
    for number, name in enumerate(("sensor_1", "sensor_2", "sensor_2b")):
        station.write(ROW.replace(";10;", f";1{number};"), f"2026-01-20_{name}.csv")
    station.write(ROW, "2026-01-20.csv")
    rows = station.parse(device="sensor_([0-9]+)")["bio__2026-01-20.parquet"]
    assert rows == [(stamp, 10, 20, "1"), (stamp, 11, 20, "2"), (stamp, 12, 20, "2")]
    assert station.rejects()[0][3] == "no device is in its name: the param `device` is 'sensor_([0-9]+)'"
    assert [one for one in station.said if one.startswith(hint)] == [
        f"{hint}: 1, first: 2026-01-20_sensor_2.csv and 2026-01-20_sensor_2b.csv"
    ]


def test_what_is_compressed_later(station: Station) -> None:
    """x.csv.gz is x.csv in all that is written and said; where both are there, the plain one is read, the other named."""
    for name in ("a.tsv", "b.dat"):
        station.write(ROW, name)
    plain = {path.name: path.read_bytes() for path in station.out.iterdir()} if station.parse() else {}
    (station.raw / "b.dat").unlink()
    station.write(gzip.compress(ROW.encode()), "b.dat.gz")
    station.parse()
    assert {path.name: path.read_bytes() for path in station.out.iterdir()} == plain != {}
    station.write("oops\n" + ROW, "b.dat")
    station.parse()
    assert {path.name: path.read_bytes() for path in station.out.glob("*.parquet")} == plain
    assert station.rejects()[0][:2] == ("b.dat", 1)
    assert "files not read, as they are there without .gz, too: 1, first: b.dat.gz" in station.said


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"skip_lines": -1}, "param `skip_lines` must be a number of lines, from 0, not -1"),
        ({"unit_lines": -2}, "param `unit_lines` must be a number of lines, from 0, not -2"),
        ({"skip_to": "a\nb"}, "param `skip_to` must be what a line starts with, not 'a\\nb'"),
        ({"comment": " "}, "param `comment` must be what a line starts with, not ' '"),
        ({"columns": [1]}, "param `columns` must be an array of column names, not [1]"),
        ({"columns": ["m0"]}, "param `columns` lacks `ts`, the column of the time; it has: m0"),
        ({"columns": ["ts", "m0", "m0"]}, "param `columns` has `m0` twice"),
        ({"columns": ["ts", "a"]}, "param `columns` has none of the columns of `domains`: m0, m1, temp"),
        ({"timestamp_format": "iso"}, "param `timestamp_format`: `iso` is no format; accepted: iso8601, epoch_s, epoch_ms, epoch_us, or a strptime pattern such as %d/%m/%Y %H:%M:%S"),
        ({"timestamp_format": "%d/%m/%Y %T"}, "param `timestamp_format`: `%d/%m/%Y %T` has `%T`; accepted: iso8601, epoch_s, epoch_ms, epoch_us, or a strptime pattern of %Y %y %m %d %j %H %I %M %S %f %p %z %b %a %B %A"),
        ({"timestamp_format": "%d/%m %H"}, "param `timestamp_format`: `%d/%m %H` states no date: it takes a year (%Y or %y), a month (%m or %b) and a day (%d)"),
        ({"timestamp_format": "%d/%m/%Y %I:%M"}, "param `timestamp_format`: `%d/%m/%Y %I:%M`: a clock of twelve hours takes both %I and %p"),
        ({"timestamp_format": "%d/%m/%Y %H:%M %p"}, "param `timestamp_format`: `%d/%m/%Y %H:%M %p`: a clock of twelve hours takes both %I and %p"),
        ({"timestamp_format": "%d/%m/%Y/%d"}, "param `timestamp_format`: `%d/%m/%Y/%d` states one thing twice: %d and %d"),
        ({"timestamp_format": "%d/%m/%Y %H:%S"}, "param `timestamp_format`: `%d/%m/%Y %H:%S` states %S without %M"),
        ({"timestamp_format": "%d/%m/%Y %f"}, "param `timestamp_format`: `%d/%m/%Y %f` states %f without %S"),
        ({"timestamp_format": "%H:%M:%S.%f%d/%m/%Y"}, "param `timestamp_format`: `%H:%M:%S.%f%d/%m/%Y`: a fraction (%f) has no end where a number follows"),
        ({"time_column": "t", "timestamp_format": "epoch_s"}, "param `timestamp_format`: `epoch_s` is one number: it cannot be joined from two columns, as `time_column` states"),
        ({"time_column": "t", "timestamp_format": "%d/%m/%YT%H:%M"}, "param `timestamp_format`: `%d/%m/%YT%H:%M` must be the date, a blank and the time, as date and time stand apart"),
        ({"time_column": "ts"}, "param `time_column` must be another column than `timestamp_column`, not 'ts'"),
        ({"time_column": "m0"}, "param `domains`: the column `m0` of `bio` is taken already"),
        ({"tz": "+25:00"}, "param `tz`: no time zone `+25:00`; use an IANA name such as Europe/Paris, or an offset such as +01:00"),
        ({"decimal": ";"}, "param `decimal` must be . or , and not the delimiter, not ';'"),
        ({"decimal": ",", "delimiter": ","}, "param `decimal` must be . or , and not the delimiter, not ','"),
        ({"encoding": "utf-9"}, "param `encoding`: Python has no text encoding 'utf-9'; use one such as utf-16 or latin-1"),
        ({"encoding": "base64"}, "param `encoding`: Python has no text encoding 'base64'; use one such as utf-16 or latin-1"),
        ({"device": "sensor"}, "param `device`: 'sensor' has no group, such as in sensor_([0-9]+)"),
        ({"device": "("}, "param `device`: '(' is no regular expression: missing ), unterminated subpattern at position 0"),
        ({"device": "(a)", "domains": {"bio": ["device"]}}, "param `domains`: the column `device` of `bio` is taken already"),
    ],
)  # fmt: skip
def test_wrong_values(station: Station, params: dict[str, Any], message: str) -> None:
    """Each is told in one sentence, before anything is read."""
    assert station.error(**params) == message


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ('"ts";"m0";"m1";"temp"\n"2026-01-20T09:07:58Z";"10";"20";"18.94"\n', {}),
        ('"TOA5"\n"ts";"m0";"m1";"temp"\n"a"\n"2026-01-20 09:07:58",10,20,18.94\n'.replace(";", ","), {"delimiter": ",", "skip_lines": 1, "unit_lines": 1}),
        ('ts;m0;m1;temp;site\n2026-01-20T09:07:58Z;10;20;18.94;Jetée n° 4 — 水 🦪\n', {}),
        ('20/01/2026 09:07:58;10;20;18.94;"Jetée"\n', {"columns": ["ts", "m0", "m1", "temp", "site"], "timestamp_format": DAY_FIRST}),
    ],
)  # fmt: skip
def test_rows_that_are_read_at_once(station: Station, text: str, params: dict[str, Any]) -> None:
    """Quoted fields and words in any script leave a line clean: a day of a logger that writes them is as fast."""
    station.write(text)
    assert station.parse(**params) == PARSED
    every = {**SMALL, **params}
    lines, _ = sys.modules["lines"].lines_of(station.raw / "a.csv", every)
    _, indexes, rest = sys.modules["clean"].rows_of(lines, sys.modules["lines"].shape_of(lines, every), every, ())
    assert (len(indexes), rest.rows) == (1, {})


@pytest.mark.parametrize("line", ['"2026-01-20T09:07:58Z;10;20";18.94', '"2026-01-20T09:07:58Z";10;20;"18.94" ', '2026-01-20T09:07:58Z;10;20; "18.94"', '2026-01-20T09:07:58Z;1"0";20;18.94', '2026-01-20T09:07:58Z;"1""0";20;18.94', '"2026-01-20T09:07:58Z";10;20;18.94"'])  # fmt: skip
def test_quotes_that_are_no_marks_of_a_field(station: Station, line: str) -> None:
    """Beside rows that are read at once, each is a reject."""
    station.write(f'{HEADER}"2026-01-20T09:07:58Z";10;"20";18.94\n{line}\n')
    assert station.parse() == PARSED
    assert [(number, text) for _, number, _, _, text in station.rejects()] == [(3, line)]


@pytest.mark.parametrize("line", ["m0:10;m1:20;\\xff", "m0:10;m0:20", "m0:10;\x00m1:20"])
def test_a_file_whose_one_line_of_keys_is_damaged(station: Station, line: str) -> None:
    """The line is a reject: its other keys are declared, so nothing is wrong with the file."""
    station.write(f"2026-01-20T09:07:58Z;{line}\n".replace("\\xff", "\udcff").encode("utf-8", "surrogateescape"))
    assert station.parse() == {}
    assert [reject[1] for reject in station.rejects()] == [1]


@pytest.mark.parametrize(
    ("above", "params"),
    [
        ("TOA5;pier\nts;m0;m1;temp\ns;V;V;degC\n;Avg;;\n", {"skip_lines": 1, "unit_lines": 2}),
        ("TOA5;ts\n\nts;m0;m1;temp\n", {"skip_to": "ts"}),
        ("x\nts;m0;m0;temp\n", {"skip_lines": 2, "columns": ["ts", "m0", "m1", "temp"]}),
    ],
)
def test_files_put_together(station: Station, above: str, params: dict[str, Any]) -> None:
    """What stood above the rows, or between them and the header, is passed over where it stands again, word for word."""
    station.write(above + ROW + above + "oops\n" + above)
    assert station.parse(**params) == PARSED
    assert [reject[4] for reject in station.rejects()] == ["oops"]
    again = sum(bool(line) for line in above.splitlines()) * 2
    first = len(above.splitlines()) + 2
    assert f"repeated headers skipped: {again}, first: a.csv:{first}" in station.said


def test_a_row_among_repeated_lines(station: Station) -> None:
    """Below a repeated header, what is not that which stood below the first is read."""
    station.write(HEADER + "s;V;V;C\n" + HEADER + ROW)
    assert station.parse(unit_lines=1) == PARSED
    assert station.said == [
        "lines passed over, as unit_lines says: 1, first: a.csv:2",
        "repeated headers skipped: 1, first: a.csv:3",
    ]
