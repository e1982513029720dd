"""parse: every value of the CSV in the parquet, exactly, or its line in the rejects with the reason; nothing is guessed.

The numbers in the names of tests are the rows of the table of inputs that parse was built by.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pymyx.core.errors import TreatmentError
from pymyx.core.incremental.files import day_of
from pymyx.core.runner import run_treatment

from ..conftest import REPO, SmallProject
from ..recording import write_days

PARSE = REPO / "treatments" / "parse"
DEFAULTS = json.loads((PARSE / "treatment.json").read_text(encoding="utf-8"))["params"]
SMALL = {
    **{name: param["default"] for name, param in DEFAULTS.items()},
    "domains": {"bio": ["m0", "m1"], "air": ["temp"]},
    "types": {"bio": "integer", "air": "float"},
}
HEADER = "ts;m0;m1;temp\n"
ROW = "2026-01-20T09:07:58Z;10;20;18.94\n"
KEYED = "2026-01-20T09:07:58Z;m0:10;m1:20;temp:18.94\n"
NO_TIME = "is no ISO 8601 timestamp such as 2026-01-20T09:07:58Z"


@pytest.fixture(scope="module")
def parse() -> Iterator[Callable[[str, str, dict[str, Any]], None]]:
    """The function `run` of parse, imported as the shim does."""
    sys.path.insert(0, str(PARSE))
    yield import_module("run").run
    sys.path.remove(str(PARSE))
    for name in ("run", "clean", "lines", "stamps", "write"):
        del sys.modules[name]


class Station:
    """A raw folder, and what parse makes of it."""

    def __init__(self, root: Path, parse: Callable[[str, str, dict[str, Any]], None]) -> None:
        self.raw, self.out = root / "raw", root / "out"
        self.raw.mkdir()
        self._parse = parse

    def write(self, text: str | bytes, name: str = "a.csv") -> None:
        """Put a file into the raw folder."""
        (self.raw / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def parse(self, **params: Any) -> dict[str, list[tuple[Any, ...]]]:
        """Parse the raw folder; the rows of each output, timestamps as ISO 8601 texts."""
        self.out.mkdir(exist_ok=True)
        for path in self.out.iterdir():
            path.unlink()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._parse(str(self.raw), str(self.out), {**SMALL, **params})
        self.said = [str(one.message) for one in caught]
        return {path.name: self.rows(path) for path in sorted(self.out.glob("*.parquet"))}

    def rows(self, path: Path) -> list[tuple[Any, ...]]:
        """The rows of one output without its domain, which is the same on every row."""
        table = pq.read_table(path)
        assert set(table["domain"].to_pylist()) == {path.name.partition("__")[0]}
        columns = [table[name].to_pylist() for name in table.column_names if name not in ("ts", "domain")]
        return list(zip([one.isoformat() for one in table["ts"].to_pylist()], *columns, strict=True))

    def rejects(self) -> list[tuple[Any, ...]]:
        """File, line, column, reason and text of each reject."""
        entries = [
            json.loads(line)
            for path in sorted(self.out.glob("_*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        return [tuple(entry[key] for key in ("file", "line", "column", "reason", "text")) for entry in entries]

    def error(self, **params: Any) -> str:
        """The message of parse's error, without the path of the raw folder."""
        with pytest.raises(ValueError) as caught:
            self.parse(**params)
        return str(caught.value).replace(f"{self.raw}/", "").replace(str(self.raw), "raw")


@pytest.fixture
def station(tmp_path: Path, parse: Callable[[str, str, dict[str, Any]], None]) -> Station:
    """A station with an empty raw folder."""
    return Station(tmp_path, parse)


PARSED: dict[str, list[tuple[Any, ...]]] = {
    "air__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", 18.94)],
    "bio__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", 10, 20)],
}

ACCEPTED = {
    "header": HEADER + ROW,
    "3 headerless": ROW,
    "1 CRLF": (HEADER + ROW).replace("\n", "\r\n"),
    "1 lone CR": (HEADER + ROW).replace("\n", "\r"),
    "1 BOM": "\ufeff" + HEADER + ROW,
    "1 BOM headerless": "\ufeff" + ROW,
    "empty lines": "\n\n" + HEADER + "\n" + ROW + "\n \t\n",
    "11 another order": "temp;m1;ts;m0\n18.94;20;2026-01-20T09:07:58Z;10\n",
    "20 spaces": " ts ;m0;\tm1;temp\n2026-01-20T09:07:58Z ; 10;20\t; 18.94 \n",
    "13 quotes": '"ts";"m0";"m1";"temp"\n"2026-01-20T09:07:58Z";"10";"20";"18.94"\n',
    "25 offset": ROW.replace("Z", "+00:00"),
    "25 other offset": ROW.replace("T09:07:58Z", "T10:07:58+01:00"),
    "25 short offset": ROW.replace("T09:07:58Z", "T07:37:58-0130"),
    "26 naive": ROW.replace("T09:07:58Z", " 09:07:58"),
    "many zeros": ROW.replace(";10;", f";{'0' * 5000}10;"),
    "signs and zeros": ROW.replace(";10;", ";+10;").replace(";20;", ";0020;").replace("18.94", "+1.894e1"),
    "10 trailing delimiter": (HEADER + ROW).replace("\n", ";\n"),
    "10 trailing delimiter, not in the header": HEADER + ROW.replace("\n", ";\n"),
    "4 key:value": KEYED,
    "4 key:value, any order": "2026-01-20T09:07:58Z; temp: 18.94;m1:20;m0:10\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_shapes(station: Station, name: str) -> None:
    """Whatever its shape, lines, order, quotes and spaces: the same rows, and nothing to tell."""
    station.write(ACCEPTED[name])
    assert station.parse() == PARSED
    assert (station.said, station.rejects()) == ([], [])


REJECTED = {
    "14 text": ("2026-01-20T09:07:59Z;abc;20;1.5", 2, "'abc' is no integer"),
    "14 hexadecimal": ("2026-01-20T09:07:59Z;0x10;20;1.5", 2, "'0x10' is no integer"),
    "14 underscore": ("2026-01-20T09:07:59Z;1_0;20;1.5", 2, "'1_0' is no integer"),
    "14 exponent": ("2026-01-20T09:07:59Z;1e3;20;1.5", 2, "'1e3' is no integer"),
    "14 true": ("2026-01-20T09:07:59Z;True;20;1.5", 2, "'True' is no integer"),
    "14 thousands": ("2026-01-20T09:07:59Z;1,234;20;1.5", 2, "'1,234' is no integer"),
    "14 arabic digits": ("2026-01-20T09:07:59Z;١٢;20;1.5", 2, "'١٢' is no integer"),
    "14 no-break space": ("2026-01-20T09:07:59Z;\xa012;20;1.5", 2, "'\\xa012' is no integer"),
    "14 decimal comma": ("2026-01-20T09:07:59Z;10;20;18,94", 4, "'18,94' is no float"),
    "15 float": ("2026-01-20T09:07:59Z;12.0;20;1.5", 2, "'12.0' is no integer"),
    "16 beyond int64": ("2026-01-20T09:07:59Z;10;9223372036854775808;1.5", 3, "'9223372036854775808' is beyond int64"),
    "16 zeros": (f"2026-01-20T09:07:59Z;10;{'0' * 5000}x;1.5", 3, f"'{'0' * 100}' is no integer"),
    "16 far beyond int64": (f"2026-01-20T09:07:59Z;10;{'9' * 5000};1.5", 3, f"'{'9' * 100}' is beyond int64"),
    "19 infinity": ("2026-01-20T09:07:59Z;10;20;inf", 4, "'inf' is no float"),
    "19 too large": ("2026-01-20T09:07:59Z;10;20;1e400", 4, "'1e400' is beyond the range of a float"),
    "19 too small": ("2026-01-20T09:07:59Z;10;20;1e-400", 4, "'1e-400' is beyond the range of a float"),
    "19 small in digits": (f"2026-01-20T09:07:59Z;10;20;0.{'0' * 400}1", 4, f"'0.{'0' * 98}' is beyond the range of a float"),
    "19 large in digits": (f"2026-01-20T09:07:59Z;10;20;{'9' * 400}", 4, f"'{'9' * 100}' is beyond the range of a float"),
    "21 NUL in a value": ("2026-01-20T09:07:59Z;1\x002;20;1.5", 2, "'1\\x002' is no integer"),
    "21 NUL before a line": ("\x00\x002026-01-20T09:07:59Z;12;20;1.5", 1, f"'\\x00\\x002026-01-20T09:07:59Z' {NO_TIME}"),
    "22 cut float": ("2026-01-20T09:07:59Z;10;20;18.", 4, "'18.' is no float"),
    "24 no timestamp": (";10;20;1.5", 1, f"'' {NO_TIME}"),
    "24 now": ("now;10;20;1.5", 1, f"'now' {NO_TIME}"),
    "24 a date": ("2026-01-20;10;20;1.5", 1, f"'2026-01-20' {NO_TIME}"),
    "24 no seconds": ("2026-01-20T09:07Z;10;20;1.5", 1, f"'2026-01-20T09:07Z' {NO_TIME}"),
    "24 no seconds, with an offset": ("2026-01-20T09:07-05:00;10;20;1.5", 1, f"'2026-01-20T09:07-05:00' {NO_TIME}"),
    "24 an offset of 60 minutes": ("2026-01-20T09:07:59-0160;10;20;1.5", 1, f"'2026-01-20T09:07:59-0160' {NO_TIME}"),
    "24 half an offset": ("2026-01-20T09:07:59+02;10;20;1.5", 1, f"'2026-01-20T09:07:59+02' {NO_TIME}"),
    "24 American": ("03/04/2026 09:07:50;10;20;1.5", 1, f"'03/04/2026 09:07:50' {NO_TIME}"),
    "24 epoch": ("1768900078;10;20;1.5", 1, f"'1768900078' {NO_TIME}"),
    "27 ten digits": ("2026-01-20T09:07:59.0123456789Z;10;20;1.5", 1, f"'2026-01-20T09:07:59.0123456789Z' {NO_TIME}"),
    "27 no digit": ("2026-01-20T09:07:59.Z;10;20;1.5", 1, f"'2026-01-20T09:07:59.Z' {NO_TIME}"),
    "28 30 February": ("2026-02-30T09:07:59Z;10;20;1.5", 1, "'2026-02-30T09:07:59Z' is no time that exists"),
    "28 hour 24": ("2026-01-20T24:00:00Z;10;20;1.5", 1, "'2026-01-20T24:00:00Z' is no time that exists"),
    "28 second 60": ("2026-01-20T23:59:60Z;10;20;1.5", 1, "'2026-01-20T23:59:60Z' is no time that exists"),
    "28 year 9999": ("9999-01-20T09:07:59Z;10;20;1.5", 1, "'9999-01-20T09:07:59Z' is no time that exists"),
    "28 year 0001": ("0001-01-20T09:07:59Z;10;20;1.5", 1, "'0001-01-20T09:07:59Z' is no time that exists"),
    "8 short": ("2026-01-20T09:07:59Z;10", None, "2 fields, expected 4"),
    "9 long": ("2026-01-20T09:07:59Z;10;20;1.5;7", None, "5 fields, expected 4"),
    "13 open quote": ('2026-01-20T09:07:59Z;"10;20;1.5', None, 'a quote (") is not closed, or stands in the middle of a value'),
    "34 key:value among positional": ("2026-01-20T09:07:59Z;m0:1;m1:2;temp:3", 2, "'m0:1' is no integer"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
@pytest.mark.parametrize("header", [HEADER, ""], ids=["header", "headerless"])
def test_rejected_rows(station: Station, name: str, header: str) -> None:
    """A line that is no row goes verbatim to the rejects, with its place and the reason; the others are parsed."""
    line, column, reason = REJECTED[name]
    station.write(f"\n{header}{ROW}\n{line}\n{ROW}")
    number = 5 if header else 4
    assert {file: len(rows) for file, rows in station.parse().items()} == dict.fromkeys(PARSED, 2)
    [(file, *place, told, text)] = station.rejects()
    assert (file, place, told) == ("a.csv", [number, column], reason)
    assert text == line[:4096]
    assert station.said[0] == f"rows rejected, see _rejected*.jsonl: 1, first: a.csv:{number}: {reason}"
    station.write(f"{header}{ROW}{line}\n{ROW}")  # nothing else that is unusual
    assert {file: len(rows) for file, rows in station.parse().items()} == dict.fromkeys(PARSED, 2)
    assert [tuple(reject[1:4]) for reject in station.rejects()] == [(number - 2, column, reason)]
    station.write(f"{header}{ROW}{line}")  # 22: as the last line, cut
    assert {file: len(rows) for file, rows in station.parse().items()} == dict.fromkeys(PARSED, 1)
    assert station.rejects()[0][4] == line[:4096]


REJECTED_FILES: dict[str, tuple[str | bytes, str]] = {
    "33 comma": ((HEADER + ROW).replace(";", ","), "its header has no column `ts`: ts,m0,m1,temp; its delimiter seems to be ',': set the param `delimiter`"),
    "33 comma, headerless": (ROW.replace(";", ","), "its header has no column `ts`: 2026-01-20T09:07:58Z,10,20,18.94; its delimiter seems to be ',': set the param `delimiter`"),
    "no timestamp column": ("time;m0;m1;temp\n" + ROW, "its header has no column `ts`: time;m0;m1;temp"),
    "12 double name": ("ts;m0;m0;temp\n" + ROW, "its header names m0 twice"),
    "5 another header": (HEADER + ROW + "ts;m1;m0;temp\n" + ROW, "another header stands at line 3: ts;m1;m0;temp"),
    "5 another header, BOM": (HEADER + ROW + "\ufeffts;m1;m0;temp\n" + ROW, "another header stands at line 3: \ufeffts;m1;m0;temp"),
    "5 another header, capitals": (HEADER + ROW + "TS;m1;m0;temp\n" + ROW, "another header stands at line 3: TS;m1;m0;temp"),
    "5 another header, quotes": (HEADER + ROW + '"ts";"m1";"m0";"temp"\n' + ROW, 'another header stands at line 3: "ts";"m1";"m0";"temp"'),
    "5 another header, other name of the time": (HEADER + ROW + "time;m1;m0;temp\n" + ROW, "another header stands at line 3: time;m1;m0;temp"),
    "5 another header, longer": (HEADER + ROW + "ts;m0;m1;temp;battery\n" + ROW, "another header stands at line 3: ts;m0;m1;temp;battery"),
    "5 another header, headerless": (ROW + "ts;m1;m0;temp\n" + ROW, "another header stands at line 2: ts;m1;m0;temp"),
    "5 another header, key:value": (KEYED + KEYED + "ts;m1;m0;temp\n" + ROW, "another header stands at line 3: ts;m1;m0;temp"),
    "5 another header, glued": (HEADER + ROW.strip() + "ts;m1;m0;temp\n" + ROW, "another header stands at line 2: 2026-01-20T09:07:58Z;10;20;18.94ts;m1;m0;temp"),
    "5 another header, glued, headerless": (ROW + ROW.strip() + "ts;m1;m0;temp\n" + ROW, "another header stands at line 2: 2026-01-20T09:07:58Z;10;20;18.94ts;m1;m0;temp"),
    "5 another header, as long, ending in another column": ("ts;m0;temp;m10\n" + ROW + "ts;m0;temp;m1\n" + ROW, "another header stands at line 3: ts;m0;temp;m1"),
    "5 another header, names in other capitals": ("ts;m0;M0;temp\n" + ROW + "ts;M0;m0;temp\n" + ROW, "another header stands at line 3: ts;M0;m0;temp"),
    "6 no declared column": ("ts;a;b;c\n" + ROW * 10, "none of its columns is declared; it has: ts, a, b, c; declared are: m0, m1, temp"),
    "6 no declared key": ("2026-01-20T09:07:58Z;a:1;b:2\n" * 10, "none of its keys is declared; it has: ts, a, b; declared are: m0, m1, temp"),
    "names of columns that nobody declared": ("Zeit;a;b;c\n" + ROW, "its header has no column `ts`: Zeit;a;b;c"),
    "24 epoch": ("1768900078;nan;nan;18.94\n" * 2, "its first field '1768900078' is no timestamp such as 2026-01-20T09:07:58Z, and its first line names no declared column"),
    "9 every row longer": ("ts;m0;m1\n" + ROW + ROW, "every row is longer than its header: 4 fields, expected 3"),
    "9 every row longer, headerless": (ROW.replace("\n", ";1\n"), "every row is longer than the declared columns: 5 fields, expected 4"),
    "35 gzip": (gzip.compress(ROW.encode()), "it is compressed by gzip; name it .csv.gz"),
    "35 UTF-16": (ROW.encode("utf-16"), 'it is UTF-16; set "encoding": "utf-16", or save it as UTF-8'),
    "35 HTML": ("<!DOCTYPE html><html>404</html>", "it is an HTML page, no CSV"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED_FILES)
def test_rejected_files(station: Station, name: str) -> None:
    """A file that is no recording is one entry in the rejects, alone as beside others, which are parsed."""
    content, reason = REJECTED_FILES[name]
    station.write(content, "bad.csv")
    assert station.parse() == {}
    assert station.said[0] == f"files rejected, see _rejected*.jsonl: 1, first: bad.csv: {reason}"
    station.write(ROW)
    assert station.parse() == PARSED
    assert station.rejects() == [("bad.csv", None, None, reason, "")]
    assert station.said == [f"files rejected, see _rejected*.jsonl: 1, first: bad.csv: {reason}"]


def test_2_files_without_rows(station: Station) -> None:
    """Empty files, empty lines, headers alone: no rows, which is no fault, and said."""
    for number, text in enumerate(["", "\n\n", HEADER, HEADER.strip(), "\ufeff"]):
        station.write(text, f"{number}.csv")
    assert station.parse() == {}
    assert station.said == ["files without rows: 5, first: 0.csv"]
    station.write(ROW)
    assert station.parse() == PARSED


def test_4_keys(station: Station) -> None:
    """A key that is missing on a line is null there; a key twice, and a field without one, reject the row."""
    station.write(
        KEYED
        + "2026-01-20T09:07:59Z;m1:21\n2026-01-20T09:08:00Z;m0:1;m0:2\n2026-01-20T09:08:01Z;m0:1;7\n2026-01-20T09:08:02Z;m9:1\n"
    )
    assert station.parse()["bio__2026-01-20.parquet"][1:] == [
        ("2026-01-20T09:07:59+00:00", None, 21),
        ("2026-01-20T09:08:02+00:00", None, None),
    ]
    assert [(line, column, reason) for _, line, column, reason, _ in station.rejects()] == [
        (3, 3, "the key `m0` stands twice"),
        (4, 3, "'7' is no key:value, as most rows of this file are"),
    ]
    assert "files with columns that no domain names, not written (m9): 1, first: a.csv" in station.said


def test_4_keys_beside_a_line_that_is_left(station: Station) -> None:
    """A line of key:value rows that is not read at once is read as it stands in the file, keys and all."""
    station.write(KEYED + KEYED.replace("18.94", "1e+16") + KEYED.replace("18.94", "1e999"))
    assert [row[1] for row in station.parse()["air__2026-01-20.parquet"]] == [18.94, 1e16]
    assert [text for *_, text in station.rejects()] == [KEYED.replace("18.94", "1e999").strip()]


def test_what_is_nearly_clean(station: Station) -> None:
    """What could mislead the reading of many lines at once: one odd thing in a file that has no other."""
    two = {name: [*rows, *rows] for name, rows in PARSED.items()}
    station.write(HEADER + ROW + "\n" + ROW)  # a blank line, which a reader of CSV passes over
    assert station.parse() == two
    note = "ts;m0;m1;temp;note\n"
    station.write(note + "2026-01-20T09:07Z;10;20;18.94;:\n" + ROW.replace("\n", ";7\n"))  # colons that make up for one
    assert station.parse() == PARSED
    assert [line for _, line, *_ in station.rejects()] == [2]
    long = [ROW.replace("\n", f";{'x' * length}\n") for length in (1, 400_000, 600_000, 600_000, 1)]  # than a block
    station.write(note + "".join(long))
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 5
    words = ["a;b", '"x"', " y", "2026-01-20T09:07:58Z", "-1", "é"]  # no value, but not as they stand in a line
    lines = ["a;b;20;1", '"x";20;1', " y;20;1", "-1;20;1", " -1 ;20;1", "é;20;1", '"é";20;1', "10;20;18.94"]
    station.write("".join(f"2026-01-20T09:07:58Z;{line}\n" for line in lines))
    assert [row[1] for row in station.parse(null_values=words)["bio__2026-01-20.parquet"]] == [*[None] * 4, 10]
    assert [line for _, line, *_ in station.rejects()] == [1, 2, 3]
    station.write("boot;m0:1\n" + ROW)  # a damaged line tells nothing of the shape
    assert station.parse() == PARSED
    ending = ROW.replace("\n", ";\n")
    station.write(HEADER + ending + "\ufeff" + HEADER + ending)  # rows end with a delimiter, headers do not
    assert station.parse() == two


def test_block_boundaries(station: Station) -> None:
    """A file of several blocks is read whole: what stands at the end of one is seen together with what follows."""
    rows = [
        f"2026-01-20T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z;{n};{n % 97};{n % 100}.5\n" for n in range(20_000)
    ]
    for shift in range(4):
        station.write("".join([rows[0].replace(";0;0", f";{'0' * shift}0;0"), *rows[1:]]))
        assert [row[1] for row in station.parse()["bio__2026-01-20.parquet"]] == list(range(20_000))
        assert (station.said, station.rejects()) == ([], [])


@pytest.mark.parametrize("first", [HEADER + ROW, ROW * 2, KEYED * 2], ids=["header", "headerless", "key:value"])
@pytest.mark.parametrize("again", ["ts;m0;m1;temp", "\ufeffts;m0;m1;temp", '"ts";"m0";"m1";"temp"', "TS; M0;m1;temp;"])
def test_5_repeated_header(station: Station, first: str, again: str) -> None:
    """The same header again is skipped and counted, whatever stands round its names."""
    rows = first.count("\n") - (first[0] == "t")
    station.write(first + again + "\n" + first.splitlines()[1] + "\n")
    assert len(station.parse()["bio__2026-01-20.parquet"]) == rows + 1
    assert (station.said[0], station.rejects()) == ("repeated headers skipped: 1, first: a.csv:3", [])


@pytest.mark.parametrize("first", [HEADER + ROW, ROW * 2, KEYED * 2], ids=["header", "headerless", "key:value"])
@pytest.mark.parametrize("torn", ["ts", "ts;m0;", "ts;m0;m", "ts;m0;m1;te"])
def test_5_a_torn_header(station: Station, first: str, torn: str) -> None:
    """The beginning of the header, again, is a line that is no row."""
    station.write(first + torn + "\n" + first.splitlines()[1] + "\n")
    assert len(station.parse()["bio__2026-01-20.parquet"]) == first.count("2026") + 1
    assert [(line, reason) for _, line, _, reason, _ in station.rejects()] == [(3, "it is the beginning of a header")]


@pytest.mark.parametrize("row", [ROW, ROW.replace("Z", "+01:00"), ROW.replace("Z", ""), KEYED])
@pytest.mark.parametrize(
    "first", ["8;20;18.94", "\0\0{row}", "boot", ":20;temp:18.94", "18.94", "caf\xe9", '2026-01-20T09:07:58Z;"1']
)
def test_the_first_line_is_damaged(station: Station, first: str, row: str) -> None:
    """A damaged first line of a file without a header costs that line, whatever the shape of its rows."""
    damaged = first.replace("{row}", row.strip())
    station.write(damaged.encode("latin-1") + b"\n" + (row * 3).encode())
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 3
    assert [(line, len(text) > 0) for _, line, _, _, text in station.rejects()] == [(1, True)]


def test_doubled_names_that_nobody_declared(station: Station) -> None:
    """Names that stand twice in a header are no fault where nobody reads them."""
    station.write("ts;note;m0;note;m1;temp\n2026-01-20T09:07:58Z;a;10;b;20;18.94\n")
    assert station.parse() == PARSED


def test_blank_lines_and_form_feeds(station: Station) -> None:
    """Blank lines are no lines of either shape; a form feed is no blank."""
    station.write(KEYED + "\n \n\n" + KEYED + ROW)
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 2
    station.write(KEYED + KEYED.replace("m0", "\x0cm0") + KEYED)
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 2
    assert [(line, column) for _, line, column, *_ in station.rejects()] == [(2, 2)]


def test_6_7_missing_and_extra_columns(station: Station) -> None:
    """A missing column is null, a domain of which a file has nothing gets no rows, both are warned about."""
    station.write("ts;m1;battery\n2026-01-20T09:07:58Z;20;3.3\n")
    assert station.parse() == {"bio__2026-01-20.parquet": [("2026-01-20T09:07:58+00:00", None, 20)]}
    assert station.said == [
        "files without the columns m0, which are null: 1, first: a.csv",
        "files without any column of the domain `air`, which gets no rows of them: 1, first: a.csv",
        "files with columns that no domain names, not written (battery): 1, first: a.csv",
    ]
    station.write("ts;m1;note\n2026-01-20T09:07:58Z;20;seen\n")
    assert station.parse()["bio__2026-01-20.parquet"][0][2] == 20


def test_10_trailing_delimiter_with_a_value(station: Station) -> None:
    """A field too many is no trailing delimiter when it holds something, on however few rows."""
    station.write(HEADER + ROW.replace("\n", ";\n") * 2 + ROW.replace("\n", ";7\n"))
    assert station.parse() == {}
    assert [(line, reason) for _, line, _, reason, _ in station.rejects()] == [
        (None, "every row is longer than its header: 5 fields, expected 4")
    ]


def test_17_integers_never_pass_through_a_float(station: Station) -> None:
    """Nor is anything else changed: beside empty cells, at the ends of int64, in fractions of any length."""
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


def test_18_null_words(station: Station) -> None:
    """Empty cells and the words of `null_values` are null, and counted; no other word is."""
    words = ["", "NaN", "nan", "NAN", "NA", "null", "None", "N/A", "n/a", "#N/A"]
    station.write("".join(ROW.replace(";10;", f";{word};") for word in words))
    assert [row[1] for row in station.parse()["bio__2026-01-20.parquet"]] == [None] * 10
    assert "empty cells, now null: 10, first: a.csv:1" in station.said
    station.write(ROW + ROW.replace("18.94", "ERR") + ROW.replace("18.94", "NaN"))
    assert [row[1] for row in station.parse(null_values=["ERR"])["air__2026-01-20.parquet"]] == [18.94, None]
    assert [reason for *_, reason, _ in station.rejects()] == ["'NaN' is no float"]


def test_21_lines_of_nul_bytes(station: Station) -> None:
    """A power cut's run of NUL bytes is skipped and counted."""
    station.write(ROW.encode() + b"\0" * 5000 + b"\n" + ROW.encode())
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 2
    assert "lines of NUL bytes skipped: 1, first: a.csv:2" in station.said


def test_23_last_line_without_an_end(station: Station) -> None:
    """A whole last line is kept, and warned about: it cannot be told from a cut one."""
    station.write((HEADER + ROW).rstrip("\n"))
    assert station.parse() == PARSED
    assert station.said == ["last lines without an end, which may be cut: 1, first: a.csv:2"]


def test_26_time_zone(station: Station) -> None:
    """Timestamps without an offset are local times of `tz`; what that zone skips or has twice is rejected."""
    naive = "".join(
        f"{ts};1;1;1\n"
        for ts in (
            "2026-01-20T00:30:00",
            "2026-07-20T00:30:00",
            "2026-07-20T00:30:00Z",
            "2026-03-29T02:30:00",
            "2026-10-25T02:30:00",
        )
    )
    station.write(naive)
    rows = station.parse(tz="Europe/Paris")
    times = [row[0] for name in rows if name.startswith("bio") for row in rows[name]]
    assert times == ["2026-01-19T23:30:00+00:00", "2026-07-19T22:30:00+00:00", "2026-07-20T00:30:00+00:00"]
    assert [reason for *_, reason, _ in station.rejects()] == [
        f"'{ts}' {what}, for summer time; for one that never follows it, set the param `tz` to +01:00"
        for ts, what in (
            ("2026-03-29T02:30:00", "does not exist in Europe/Paris: clocks go forward then"),
            ("2026-10-25T02:30:00", "stands for two times in Europe/Paris: clocks go back then"),
        )
    ]
    rows = station.parse(tz="+01:00")
    times = [row[0][11:16] for name in rows if name.startswith("bio") for row in rows[name]]
    assert (times, station.rejects()) == (["23:30", "01:30", "23:30", "00:30", "01:30"], [])


def test_29_clock(station: Station) -> None:
    """In a dated file, rows more than a day from it are rejected; most of a file, and it is no such file at all."""
    lines = [
        f"{day}T12:00:00Z;1;1;1\n" for day in ("2026-01-19", "2026-01-20", "2026-01-21", "2026-01-22", "1970-01-01")
    ]
    station.write("".join(lines), "station_2026-01-20.csv")
    assert [name[-18:-8] for name in station.parse() if name.startswith("bio")] == [
        "2026-01-19",
        "2026-01-20",
        "2026-01-21",
    ]
    assert [(line, column) for _, line, column, *_ in station.rejects()] == [(4, 1), (5, 1)]
    assert (
        station.rejects()[0][3]
        == "clock: '2026-01-22T12:00:00Z' is more than a day from 2026-01-20, the day of the file's name"
    )
    assert [path.name for path in station.out.glob("_*")] == ["_rejected__2026-01-20.jsonl"]
    (station.raw / "station_2026-01-20.csv").rename(station.raw / "station_2026-02-20.csv")
    assert station.parse() == {}
    assert station.rejects()[0][3] == (
        "5 of its 5 rows are more than a day from 2026-02-20; a dump of many days wants a name without a date"
    )
    (station.raw / "station_2026-02-20.csv").rename(station.raw / "station.csv")
    assert len([name for name in station.parse() if name.startswith("bio")]) == 5
    assert "rows far from the others in time, kept (1970-01-01): 1, first: station.csv:5" in station.said


def test_29_a_clock_is_told_before_a_value(station: Station) -> None:
    """A row of another day is rejected for that, whatever else is wrong with it, and counts as such."""
    station.write(ROW + ROW + ROW.replace("2026-01-20", "1970-01-01").replace(";10;", ";x;"), "a_2026-01-20.csv")
    station.parse()
    assert [(line, column, reason[:6]) for _, line, column, reason, _ in station.rejects()] == [(3, 1, "clock:")]


def test_29_names_with_several_dates(station: Station) -> None:
    """The last date counts, and the message says so; beside it, one before 1970 is a number of something else."""
    station.write(ROW, "2026-01-20_to_2026-01-26.csv")
    assert station.parse() == {}
    assert station.rejects()[0][3] == (
        "1 of its 1 rows are more than a day from 2026-01-26, the last of the dates in its name, after 2026-01-20; "
        "a dump of many days wants a name without a date"
    )
    station.write(ROW.replace("20T", "25T") * 2 + ROW, "2026-01-20_to_2026-01-26.csv")
    station.parse()
    assert station.rejects()[0][3] == (
        "clock: '2026-01-20T09:07:58Z' is more than a day from 2026-01-26, the last of the dates in its name, after 2026-01-20"
    )
    (station.raw / "2026-01-20_to_2026-01-26.csv").unlink()
    station.write(ROW, "2026-01-20_SN1969-12-31.csv")
    assert station.parse() == PARSED


@pytest.mark.parametrize(
    ("name", "day"),
    [("a.csv", ""), ("a_2026-02-30.csv", ""), ("2026-01-20_SN1969-12-31.csv", "2026-01-20"), ("SN1969-12-31.csv", "1969-12-31"), ("a_2300-01-01.csv", "2300-01-01"), ("12026-01-201.csv", "2026-01-20")],
)  # fmt: skip
def test_29_the_day_in_a_name_is_the_cores(station: Station, name: str, day: str) -> None:
    """A day-wise run rests on both finding the same; its rejects are of that day."""
    station.write(ROW.replace("2026-01-20", day or "2026-01-20") + "oops\n", name)
    station.parse()
    assert [path.name for path in station.out.glob("_*")] == [f"_rejected{f'__{day}' if day else ''}.jsonl"]
    assert day_of(name) == day


def test_30_order_and_duplicates(station: Station) -> None:
    """All rows are kept, in the order of time, those of one instant as they were; both are counted."""
    station.write(
        "".join(f"2026-01-20T00:00:0{second}Z;{number};1;1\n" for number, second in enumerate((2, 1, 2, 3, 1)))
    )
    assert [row[1] for row in station.parse()["bio__2026-01-20.parquet"]] == [1, 4, 0, 2, 3]
    assert station.said == [
        "rows out of order: 2, first: a.csv:2",
        "rows of an instant that has one already: 2, first: a.csv",
    ]


def test_30_places_are_lines_of_the_file(station: Station) -> None:
    """What is out of order, or far in time, is told by its line, counting the header, empty and rejected lines."""
    rows = [f"2026-01-20T00:00:0{second}Z;1;1;1\n" for second in (3, 4, 2)]
    for damage in ("", "damaged\n"):
        station.write(HEADER + damage + "\n" + "".join(rows) + "1970-01-01T00:00:00Z;1;1;1\n")
        station.parse()
        line = 5 + bool(damage)
        assert f"rows out of order: 2, first: a.csv:{line}" in station.said
        assert f"rows far from the others in time, kept (1970-01-01): 1, first: a.csv:{line + 1}" in station.said


def test_31_days_are_utc_days_and_files_are_merged(station: Station) -> None:
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
    sources = {name: json.loads(pq.read_schema(station.out / name).metadata[b"sources"]) for name in rows}
    assert sources["bio__2026-01-19.parquet"] == ["b.csv"]
    assert sources["air__2026-01-21.parquet"] == ["a.csv", "b.csv"]


def test_32_identical_files(station: Station) -> None:
    """A file twice is parsed twice, and both are named."""
    station.write(ROW, "a.csv")
    station.write(ROW, "b.csv")
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 2
    assert station.said == [
        "files that are another's copy, byte for byte, all rows kept: 1, first: a.csv = b.csv",
        "rows of an instant that has one already: 1, first: a.csv and b.csv",
    ]


def test_30_instants_that_several_files_have(station: Station) -> None:
    """They are counted over all files of a day, naming two; files that differ in most are of two devices."""
    hint = "pairs of files with other values at the same instants (two devices want a data folder each, --data DIR, or the param `device`)"  # fmt: skip
    rows = [ROW.replace(":58Z", f":{second}Z") for second in range(10, 20)]
    other = [row.replace(";10;", ";11;") for row in rows]
    station.write("".join(rows), "a.csv")
    for same, differ, told in ((5, 5, False), (4, 6, True), (0, 6, True)):
        station.write("".join([*rows[:same], *other[same : same + differ], ROW]), "b.csv")
        assert len(station.parse()["bio__2026-01-20.parquet"]) == 11 + same + differ
        assert f"rows of an instant that has one already: {same + differ}, first: a.csv and b.csv" in station.said
        assert (f"{hint}: 1, first: a.csv and b.csv" in station.said) == told
    station.write("".join(other).replace(";11;", ";;"), "b.csv")  # no value is another value
    station.parse()
    assert f"{hint}: 1, first: a.csv and b.csv" in station.said
    station.write("ts;temp\n" + "".join(row.replace(";10;20;", ";") for row in rows), "b.csv")
    station.write("ts;m0;m1\n" + "".join(row.replace(";18.94", "") for row in rows), "a.csv")
    station.parse()
    assert not [one for one in station.said if "instant" in one]  # of two domains: no row stands beside another


def test_34_mixed_shapes(station: Station) -> None:
    """Rows of the shape that fewer have are rejected, whichever that is."""
    station.write(KEYED * 2 + ROW)
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 2
    assert [(line, column) for _, line, column, *_ in station.rejects()] == [(3, 2)]


def test_35_lines_that_are_no_text(station: Station) -> None:
    """A line that is not UTF-8 is rejected, its bytes escaped; a gzip file of the right name is read."""
    station.write(ROW.encode() + b"2026-01-20T09:07:59Z;caf\xe9;1;1\n")
    assert station.parse() == PARSED
    assert station.rejects() == [("a.csv", 2, None, "it is not UTF-8", "2026-01-20T09:07:59Z;caf\\xe9;1;1")]
    (station.raw / "a.csv").unlink()
    station.write(gzip.compress(ROW.encode()), "a.CSV.GZ")
    assert station.parse() == PARSED
    packed = gzip.compress(ROW.encode())
    for damaged in (packed[:-10], packed[:12] + b"\xff\xff" + packed[14:]):
        station.write(damaged, "cut.csv.gz")
        assert station.parse() == PARSED
        assert station.rejects()[0][0] == "cut.csv"


def test_36_huge_lines(station: Station) -> None:
    """A line of a megabyte is rejected, a prefix of it kept; an open quote swallows no line after it."""
    station.write(ROW + "x" * 1_000_000 + "\n" + '2026-01-20T09:07:58Z;"' + ROW * 100)
    assert len(station.parse()["bio__2026-01-20.parquet"]) == 100
    entries = [json.loads(line) for line in (station.out / "_rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(entry["line"], len(entry["text"]), entry.get("truncated")) for entry in entries] == [
        (2, 4096, True),
        (3, 54, None),
    ]


def test_37_which_files_are_read(station: Station) -> None:
    """Regular *.csv and *.csv.gz files in any case, links followed; nothing hidden, set aside or unfinished."""
    station.write(ROW, "a.CSV")
    station.write(ROW.replace(":58Z", ":57Z"), "elsewhere.txt")
    (station.raw / "c.csv").symlink_to("elsewhere.txt")
    (station.raw / "dangling.csv").symlink_to("nowhere")
    (station.raw / "folder.csv").mkdir()
    os.mkfifo(station.raw / "fifo.csv")
    for name in (".hidden.csv", "_aside.csv", "._x.csv", "a.csv~", "a.csv.part", "README.txt"):
        station.write("nonsense", name)
    assert [row[0][17:19] for row in station.parse()["bio__2026-01-20.parquet"]] == ["57", "58"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_38_unreadable_file(station: Station) -> None:
    """A file that cannot be read is one reject, with the system's reason."""
    station.write(ROW)
    station.write(ROW, "b.csv")
    (station.raw / "b.csv").chmod(0)
    assert station.parse() == PARSED
    assert station.rejects() == [("b.csv", None, None, "it cannot be read: Permission denied", "")]


def test_nothing_to_read(station: Station) -> None:
    """A folder without CSV says what is there instead; for what is in the files, parse never raises."""
    assert station.error() == "no CSV file in raw; found there: nothing"
    station.write("x", "notes.txt")
    assert station.error() == "no CSV file in raw; found there: notes.txt; if notes.txt is CSV, name it .csv"
    station.write(HEADER + "2026-01-20T09:07:59Z;abc;20;1.5\n")
    station.write("x", "b.TXT")
    assert station.parse() == {}
    assert station.said == ["rows rejected, see _rejected*.jsonl: 1, first: a.csv:2: 'abc' is no integer"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delimiter": "::"}, "param `delimiter` must be one character, not '::'"),
        *(
            (
                {"delimiter": one},
                f"param `delimiter` cannot be {one!r}; use one that no value holds, such as ; or a tab",
            )
            for one in '\0"7-.:+_T\n\r\u00a6'
        ),
        *(
            (
                {"tz": tz},
                f"param `tz`: no time zone `{tz}`; use an IANA name such as Europe/Paris, or an offset such as +01:00",
            )
            for tz in ("Europe/Pariss", "localtime", "+1:00", "+15:00", "01:00", "", "right/UTC")
        ),
        ({"null_values": [1]}, "param `null_values` must be an array of strings, not [1]"),
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


def test_other_params(station: Station) -> None:
    """Delimiter and timestamp column are as the params say; a new domain states its type."""
    station.write("time,ph\n2026-01-20T09:07:58Z,8.1\n")
    params = {"delimiter": ",", "timestamp_column": "time", "domains": {"water": ["ph"]}, "types": {"water": "float"}}
    station.out.mkdir()
    station._parse(str(station.raw), str(station.out), {**SMALL, **params})
    [row] = pq.read_table(station.out / "water__2026-01-20.parquet").to_pylist()
    assert (row["ph"], row["domain"], row["time"].isoformat()) == (8.1, "water", "2026-01-20T09:07:58+00:00")


def test_types_of_the_output(station: Station) -> None:
    """Instants in UTC to the nanosecond, int64, float64, the domain on every row, statistics for readers that skip."""
    station.write(HEADER + ROW)
    station.parse()
    file = pq.ParquetFile(station.out / "bio__2026-01-20.parquet")
    domain = pa.dictionary(pa.int32(), pa.string())
    expected = pa.schema(
        [("ts", pa.timestamp("ns", "UTC")), ("m0", pa.int64()), ("m1", pa.int64()), ("domain", domain)]
    )
    assert file.schema_arrow.remove_metadata() == expected
    assert file.metadata.row_group(0).column(0).statistics.has_min_max
    frame = pd.read_parquet(station.out / "bio__2026-01-20.parquet")
    assert [str(kind) for kind in frame.dtypes] == ["datetime64[ns, UTC]", "int64", "int64", "category"]


def test_equal_data_gives_equal_bytes(station: Station) -> None:
    """Whether read at once or line by line, today or tomorrow, beside other files or alone."""
    station.write(HEADER + ROW * 3)
    station.parse()
    first = {path.name: path.read_bytes() for path in station.out.iterdir()}
    station.write(HEADER + ROW * 2 + ROW.replace("18.94", "1894e-2") + "damaged\n")
    station.write(ROW.replace("2026-01-20", "2026-03-01"), "b.csv")
    station.parse()
    assert {name: (station.out / name).read_bytes() for name in first} == first


def test_generated_days(project: SmallProject) -> None:
    """Whole days of the generator come back value for value, through the runner, as pandas reads them."""
    (project.root / "treatments" / "parse").symlink_to(PARSE)
    files = write_days(project.input, days=2)
    (project.input / "a.csv").unlink()
    run_treatment("parse", project.input, project.output)
    for path in files:
        expected = pd.read_csv(path, sep=";", parse_dates=["ts"])
        for domain, columns in DEFAULTS["domains"]["default"].items():
            frame = pd.read_parquet(project.output / f"{domain}__{path.stem.rpartition('_')[2]}.parquet")
            for column in ["ts", *columns]:
                assert (frame[column].array == expected[column].array).all()


def test_a_bad_folder_through_the_runner(project: SmallProject) -> None:
    """A folder of which nothing is read has failed, by the first warning; its rejects are there to be looked at."""
    (project.root / "treatments" / "parse").symlink_to(PARSE)
    (project.input / "a.csv").write_text("ts,m0\n", encoding="utf-8")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("parse", project.input, project.output)
    fault = caught.value.faults[0]
    assert "first: a.csv: its header has no column `ts`: ts,m0; its delimiter seems to be ','" in str(fault)
    assert [path.name for path in project.output.iterdir()] == ["_rejected.jsonl"]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no second file system to put it on")
def test_by_hand_with_a_temporary_folder_on_another_disk(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """parse runs alone wherever temporary files lie: what it writes is moved from disk to disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != station.raw.stat().st_dev
        monkeypatch.setattr(tempfile, "tempdir", elsewhere)
        station.write(ROW)
        assert station.parse() == PARSED
        assert os.listdir(elsewhere) == []
