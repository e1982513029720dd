"""parse makes of any folder what an oracle makes of it that was written apart from it.

Folders of all three shapes, of one to three files, gz, BOM, CRLF, dated names, are made from a seed, and their bytes
damaged. In CI 200 folders; `PYMYX_EXAMPLES=3000 python -m pytest tests/parse/test_parse_oracle.py` for more.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import tempfile
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .parse_oracle import Expected, expected
from .test_parse import SMALL, parse

__all__ = ["parse"]  # a fixture, used by its name

EXAMPLES = int(os.environ.get("PYMYX_EXAMPLES", "200"))
COLUMNS = ["m0", "m1", "temp"]
NAMES = ["a.csv", "b_2026-01-20.csv", "c_2026-01-21.csv", "d_2025-12-31_2026-01-20.csv", "e_1234-01-01.csv", "f.CSV"]
INTEGERS = [
    "0",
    "12",
    "-7",
    "+3",
    "007",
    "-0",
    "9223372036854775807",
    "",
    "NaN",
    "nan",
    "n/a",
    " 5",
    "6 ",
    "-999",
    " 12",
]
FLOATS = ["18.94", "-0.0", ".5", "1e3", "5e-324", "0.1", "-12", "1.5e+2", "", "NA", "\t2.5", "1" * 30, "12"]
NO_INTEGERS = ["9223372036854775808", "1.0", "0x10", "1_0", "٣", "x", "--1"]
NO_FLOATS = ["1e400", "1e-400", "18.", "inf", "0x1p3", "1,5", "e5"]
NEARLY = ["18.", "1.", "-", "0." + "0" * 400 + "1", "9" * 400, "1-2", "2026-01-20T09:07Z", "2026-01-20T09Z", "2026-02-30T00:00:00Z", "", "12", "Z", ":"]  # fmt: skip
BITS = [b";", b";;", b'"', b"\0", b"\0\0\0\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xff", b" ", b"\t", b"\x0c", b":",
        b".", b"-", b"+", b"0x10", b"e", b"Z", b"T", b"m0", b"m0:1", b"M1", b"ts", b"TS;", b"boot\n", b"ts;m0;m1;temp\n",
        b"ts;m1;m0;temp\n", b'"ts";"m0";"m1";"temp"\n', b"ts;m0;m\n", b"time;m0;m1;temp\n", b"\xef\xbb\xbfts;m0;m1;temp\n",
        b"1970-01-01T00:00:00Z", b"2026-01-25T00:00:00Z", b"NaN", b";1\n", b";\n", "\u0661".encode(), b",", b"1768900078"]  # fmt: skip


def folder(seed: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a folder, and params, made from a seed."""
    chance = random.Random(seed)
    params = {**SMALL, "tz": chance.choice(["UTC", "UTC", "Europe/Paris", "+01:00"])}
    if chance.random() < 0.1:
        params["null_values"] = ["ERR", "-999", "12", "n.a."]
    files: dict[str, bytes] = {}
    for name in chance.sample(NAMES, chance.choice([1, 1, 2, 3])):
        data = content(chance)
        if files and chance.random() < 0.2:
            data = chance.choice(list(files.values()))
        for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
            data = damaged(data, chance)
        if chance.random() < 0.1:
            data = gzip.compress(data, mtime=0)
            files[f"{name}.gz"] = damaged(data, chance) if chance.random() < 0.2 else data
        else:
            files[name] = data
    return files, params


def content(chance: random.Random) -> bytes:
    """A file of some shape, not damaged yet."""
    shape = chance.choice(["header", "headerless", "keyed"])
    names = chance.sample(COLUMNS, chance.choice([3, 3, 3, 2, 1])) if shape != "headerless" else COLUMNS
    names = [*names, *(["note"] if chance.random() < 0.2 and shape != "headerless" else [])]
    if chance.random() < 0.04:
        names = ["a", "b", "c"]
    ways = [chance.choice(["Z", "Z", "Z", "+01:00", "-0130", ""])]
    if chance.random() < 0.2:
        ways += ["Z", ""]
    tidy = chance.random() < 0.6
    start = datetime(2026, 1, 20, chance.choice([9, 23]), 59, 50)
    if chance.random() < 0.1:
        start = chance.choice(
            [datetime(2026, 3, 29, 2, 0), datetime(2026, 10, 25, 2, 59, 50), datetime(2028, 2, 28, 23, 59, 55)]
        )
    nearly = tidy and chance.random() < 0.5  # nothing but plain rows, with one field of the bytes that those have
    if nearly:
        ways = ["Z"]
    lines = []
    for number in range(chance.choice([0, 1, 2, 3, 5, 12, 30])):
        moment = start + timedelta(seconds=number + chance.choice([0, 0, 0, 0, -1]))
        fraction = f".{chance.randrange(10**6):06d}"[: chance.choice([0, 2, 7])]
        stamp = f"{moment:%Y-%m-%d}{'T' if nearly else chance.choice('TTT ')}{moment:%H:%M:%S}{fraction}{chance.choice(ways)}"
        given = {name: value(name, chance, tidy) for name in names}
        if shape == "keyed":
            kept = [name for name in names if tidy or chance.random() < 0.9]
            lines.append(";".join([stamp, *(f"{name}:{given[name]}" for name in kept)]))
        else:
            lines.append(";".join([stamp, *given.values()]))
    if nearly and lines:
        place, odd = chance.randrange(len(lines)), chance.choice(NEARLY)
        lines[place] = (
            odd + lines[place][20:] if odd.startswith("2026") else lines[place].rpartition(";")[0] + f";{odd}"
        )
    if shape == "header":
        header = ["ts", *names]
        if chance.random() < 0.2:  # the timestamp anywhere
            place = chance.randrange(len(header))
            header.insert(place, header.pop(0))
            lines = [reordered(line, place) for line in lines]
        lines.insert(0, ";".join(header))
    if chance.random() < 0.1:
        lines = [f"{line};" for line in lines]
    if chance.random() < 0.1:
        lines.insert(0, chance.choice(["boot", "", "8;20;18.94", "\0\0" + "".join(lines[:1]), "Zeit;a;b", "p:18.94"]))
    if chance.random() < 0.1 and shape == "header":
        lines.insert(chance.randrange(len(lines) + 1), lines[0])
    end = chance.choice(["\n", "\n", "\r\n", "\r"])
    text = end.join(lines) + (end if chance.random() < 0.9 else "")
    return (b"\xef\xbb\xbf" if chance.random() < 0.1 else b"") + text.encode()


def value(name: str, chance: random.Random, tidy: bool) -> str:
    if name == "note":
        return chance.choice(["seen", "x y", "", "m", "3.3"])
    if tidy:
        return str(chance.randrange(4000)) if name != "temp" else f"{chance.uniform(-5, 25):.2f}"
    good, bad = (FLOATS, NO_FLOATS) if name == "temp" else (INTEGERS, NO_INTEGERS)
    return chance.choice(bad if chance.random() < 0.02 else good)


def reordered(line: str, place: int) -> str:
    fields = line.split(";")
    fields.insert(place, fields.pop(0))
    return ";".join(fields)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes of a file with one thing wrong in them, or not."""
    at = chance.randrange(len(data) + 1)
    how = chance.randrange(6)
    if how == 0:
        return data[:at] + chance.choice(BITS) + data[at:]
    if how == 1:
        return data[:at] + data[at + chance.choice([1, 1, 2, 30]) :]
    if how == 2:
        return data[:at] + bytes([chance.choice(b'0123456789;:.-TZ"\n\r\0 \tE')]) + data[at + 1 :]
    if how == 3:
        return data[:at] if chance.random() < 0.5 else data[at:]
    lines = re.split(rb"(?<=\n)", data)
    line = chance.randrange(len(lines))
    if how == 4:  # a whole line more: another, or a header
        lines.insert(line, chance.choice([*lines, *(one for one in BITS if one.endswith(b"\n"))]))
    else:
        lines[line] = chance.choice([lines[line] * 2, lines[line].strip(), b"\n", lines[line].replace(b";", b";;", 1)])
    return b"".join(lines)


def parsed(
    run: Callable[[str, str, dict[str, Any]], None], files: dict[str, bytes], params: dict[str, Any]
) -> tuple[Expected, list[str]]:
    """What parse makes of files, and what it says."""
    with tempfile.TemporaryDirectory() as root:
        raw, out = Path(root, "raw"), Path(root, "out")
        raw.mkdir()
        out.mkdir()
        for name, data in files.items():
            (raw / name).write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(str(raw), str(out), params)
        said = [str(one.message) for one in caught]
        rows = {}
        for path in out.glob("*.parquet"):
            table = pq.read_table(path).drop_columns(["domain"])
            columns = [table["ts"].cast(pa.int64()), *table.columns[1:]]
            rows[path.stem] = list(zip(*(column.to_pylist() for column in columns), strict=True))
        entries = [
            json.loads(line)
            for path in sorted(out.glob("_*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
    rejects = [(entry["file"], entry["line"], entry["column"], entry["text"]) for entry in entries]
    kinds = {
        "nul": "lines of NUL bytes skipped",
        "header": "repeated headers skipped",
        "empty": "empty cells, now null",
        "unended": "last lines without an end, which may be cut",
        "doubled": "rows of an instant that has one already",
    }
    counts = {}
    for kind, words in kinds.items():
        counts[kind] = sum(int(one[len(words) + 2 :].partition(",")[0]) for one in said if one.startswith(f"{words}: "))
    return Expected(rows, rejects, counts), said


def test_any_folder(parse: Callable[[str, str, dict[str, Any]], None]) -> None:
    """Rows, order, rejects, their places and texts, and what is counted are as the oracle says."""
    for seed in range(EXAMPLES):
        files, params = folder(seed)
        right, (made, _) = expected(files, params), parsed(parse, files, params)
        where = f"seed {seed}: {files}"
        assert {name: list(map(repr, rows)) for name, rows in made.rows.items()} == {
            name: list(map(repr, rows)) for name, rows in right.rows.items()
        }, where
        assert sorted(made.rejects, key=repr) == sorted(right.rejects, key=repr), where
        assert made.counts == right.counts, where
