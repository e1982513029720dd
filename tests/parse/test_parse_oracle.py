"""parse makes of any folder what an oracle makes of it that was written apart from it.

Folders of one to three files are made from a seed, and their bytes damaged: by even seeds in the three shapes that
need no param, by odd ones in any combination of those that state a format. In CI 200 folders;
`PYMYX_EXAMPLES=3000 PYMYX_FIRST=200 python -m pytest tests/parse/test_parse_oracle.py` for more.
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

from .parse_oracle import Expected, declared_of, expected, times_of
from .test_parse import SMALL, parse

__all__ = ["parse"]  # a fixture, used by its name

EXAMPLES = int(os.environ.get("PYMYX_EXAMPLES", "200"))
FIRST = int(os.environ.get("PYMYX_FIRST", "0"))
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


ISO = "iso8601"
EPOCHS = {"epoch_s": 9, "epoch_ms": 6, "epoch_us": 3}
PATTERNS = [
    "%d/%m/%Y %H:%M:%S", "%m/%d/%y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d-%b-%Y %H:%M:%S",
    "%B %d %Y %H:%M:%S", "%a %d %b %y %H:%M:%S.%f", "%Y%m%d%H%M%S", "%Y%m%d %H%M%S", "%Y %j %H%M", "%Y-%m-%dT%H:%M:%S%z", "%y-%m-%d %I:%M:%S.%f %p", "%d/%m/%Y",
]  # fmt: skip
APART = [ISO, *(one for one in PATTERNS if " %H" in one or " %I" in one)]
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "+01:00", "-09:30"]
STARTS = [
    *[datetime(2026, 1, 20, 9, 59, 50), datetime(2026, 1, 20, 23, 59, 50)] * 4,
    datetime(2026, 1, 1, 0, 0),
    datetime(2026, 3, 29, 1, 59, 50),
    datetime(2026, 10, 25, 1, 59, 50),
    datetime(2026, 3, 8, 1, 59, 50),
    datetime(2026, 4, 5, 1, 29, 50),
    datetime(2028, 2, 28, 23, 59, 55),
    datetime(1969, 12, 31, 23, 59, 50),
]
LOGGER_NAMES = [
    "a_SN1.csv", "b_SN2_2026-01-20.csv", "c_SN2_2026-01-21.tsv", "SN3 2026-01-20.dat", "e_SN5.CSV", "f_SN6.tsv", "f_SN7_SN8.dat", "g.csv", "f_SN4_2026-10-25.csv", "g_SN1_1969-12-31.DAT", "h_SN2_1234-01-01.csv"
]  # fmt: skip
NO_STAMPS = ["", "now", "0", "-1", "-0.5", "1e9", "1768900078.1234567891", "2026-01-20T09:07:58Z", "20/01/2026 09:07:58", "30/02/2026 09:07:58", "01/20/26 13:07:58 PM", "01/20/26 00:07:58 AM", "9" * 30, "\u0661"]  # fmt: skip
JUNK = ["Station 4", "", "\0\0", '"Plot Title: pier"', "x;y;z", "a,b", "# made by", "sep=,", "a}b;{c", "{}", "ts", "2026-01-20T09:07:58Z;1;2;3", "m0;m1"]  # fmt: skip
STATED_BITS = [b"#", b"# boot\n", b"#\xff\n", b"!", b"\xe9", b"\x81", b"\0", b"\xff\xfe", b"\xd8\0", b"\0\xd8", b"\n\0", b"AM", b"pm", b"/", b"13", b"31", b"+01:00", b"1,5", b"9" * 20, b'""']  # fmt: skip


def folder_as_stated(seed: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a folder that params state the format of, and these."""
    chance = random.Random(seed)
    params = {**SMALL, "delimiter": chance.choice(";;,\t|"), "tz": chance.choice(ZONES)}
    if chance.random() < 0.3 and params["delimiter"] != ",":
        params["decimal"] = ","
    if chance.random() < 0.3:
        params["time_column"] = chance.choice(["clock", "heure"])
    params["timestamp_format"] = chance.choice(APART if params["time_column"] else [ISO, ISO, *EPOCHS, *PATTERNS])
    params["encoding"] = chance.choice(
        ["utf-8"] * 4 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
    )
    if chance.random() < 0.3:
        params["domains"] = {"bio": ["m0", "m1"], "air": ["°C"]}
    if chance.random() < 0.2:
        params["timestamp_column"] = "Date Time"
    params["comment"] = chance.choice(["", "", "#", "# ", "!"])
    params["skip_lines"] = chance.choice([0, 0, 0, 1, 2, 5])
    params["unit_lines"] = chance.choice([0, 0, 0, 1, 2])
    params["dated_names"] = chance.random() < 0.3
    params["device"] = chance.choice(["", "", "(SN[0-9]+)", "SN([0-9]?)"])
    if chance.random() < 0.2:
        params["null_values"] = ["ERR", "-999", "12", "n.a.", "3,5", "1768900078"]
    columns = declared_of(params)
    if chance.random() < 0.3:
        params["columns"] = columns = [
            *chance.sample(columns, len(columns)),
            *chance.sample(["", "note"], chance.choice([0, 1])),
        ]
    shape = "columns" if params["columns"] else chance.choice(["header", "header", "headerless", "keyed"])
    if shape == "header":
        columns = chance.sample([*columns, "note"], len(columns))
        columns = [*columns, *(name for name in times_of(params) if name not in columns)]
    head = params["delimiter"].join(columns)
    if (shape == "header" or (shape == "columns" and chance.random() < 0.5)) and chance.random() < 0.4:
        params["skip_to"] = head[: chance.choice([2, 4, len(head)])].rstrip() or head
    files: dict[str, bytes] = {}
    for name in chance.sample(LOGGER_NAMES, chance.choice([1, 1, 2, 3])):
        text = logged(chance, params, columns, shape, head)
        try:
            data = text.encode(params["encoding"])
        except UnicodeEncodeError:
            data = text.encode()
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 4])):
            data = damaged(data, chance, [*BITS, *STATED_BITS])
        packed = chance.random() < 0.1
        files[f"{name}.gz" if packed else name] = gzip.compress(data, mtime=0) if packed else data
    return files, params


def logged(chance: random.Random, params: dict[str, Any], columns: list[str], shape: str, head: str) -> str:
    """What a logger writes in the format that params state, or nearly."""
    mark, lines, start = params["delimiter"], list[str](), chance.choice(STARTS)
    tidy, odd_stamps, quotes = chance.random() < 0.6, chance.random() < 0.2, chance.random() < 0.1
    step = chance.choice([1, 1, 60, 1800])
    for number in range(chance.choice([0, 1, 2, 3, 5, 12, 30])):
        moment = start + timedelta(seconds=step * (number + chance.choice([0, 0, 0, 0, -1])))
        stamps = stamps_of(moment, params, chance, tidy)
        if odd_stamps and chance.random() < 0.2:
            stamps[-1] = chance.choice(NO_STAMPS)
        fields = dict(zip(times_of(params), stamps, strict=False))
        for name in columns:
            if name not in fields:
                kind = "temp" if name == "°C" else name or "note"
                text = value(kind, chance, tidy)
                fields[name] = text.replace(".", params["decimal"]) if chance.random() < 0.98 else text
        if quotes or chance.random() < 0.01:
            fields = {name: f'"{text}"' for name, text in fields.items()}
        if shape == "keyed":
            first, *others = [name for name in fields if name != "note"]
            lines.append(mark.join([fields[first], *(f"{name}:{fields[name]}" for name in others)]))
        else:
            lines.append(mark.join(fields[name] for name in columns))
    lines = [f"{line}{mark}" for line in lines] if chance.random() < 0.05 else lines
    for _ in range(chance.choice([0, 0, 1, 2])):
        start_of_comment = params["comment"] or "#"
        lines.insert(chance.randrange(len(lines) + 1), f"{start_of_comment}{chance.choice(['', 'boot', head])}")
    if shape == "header" or params["skip_to"]:
        repeated = [head] if chance.random() < 0.1 else []
        for line in repeated:
            lines.insert(chance.randrange(len(lines) + 1), line)
        units = [mark.join(chance.choice(["s", "V", ""]) for _ in columns) for _ in range(params["unit_lines"])]
        lines = [head, *units, *lines]
    above = params["skip_lines"] + (chance.choice([0, 0, 1, 3]) if params["skip_to"] or chance.random() < 0.1 else 0)
    lines = [*(chance.choice(JUNK).replace(";", mark) for _ in range(above)), *lines]
    if chance.random() < 0.1:  # two files put together
        lines = [*lines, *lines[: above + 4]]
    end = chance.choice(["\n", "\n", "\r\n", "\r"])
    bom = "\ufeff" if params["encoding"] == "utf-8" and chance.random() < 0.2 else ""
    return bom + end.join(lines) + (end if chance.random() < 0.9 else "")


def stamps_of(moment: datetime, params: dict[str, Any], chance: random.Random, tidy: bool) -> list[str]:
    """The texts of a time stamp, one or two."""
    how, fraction = params["timestamp_format"], f"{chance.randrange(10**9):09d}"
    if how in EPOCHS:
        unit = 10 ** (9 - EPOCHS[how])
        whole = str(int((moment - datetime(1970, 1, 1)).total_seconds()) * unit)
        digits = fraction[: chance.choice([0, 0, 1, EPOCHS[how]])]
        return [f"{whole}{params['decimal']}{digits}" if digits else whole]
    pattern = "%Y-%m-%dT%H:%M:%S" if how == ISO else how
    if how == ISO and params["time_column"]:
        pattern = pattern.replace("T", " ")
    text = moment.strftime(pattern.replace("%f", fraction[: chance.choice([1, 3, 6, 9])]).replace("%z", "+01:00"))
    if how == ISO:
        text += "." + fraction[:3] if chance.random() < 0.2 else ""
        text += chance.choice(["", "", "Z", "+0130"]) if not tidy or params["tz"] == "UTC" else ""
    if chance.random() < (0.05 if tidy else 0.3):
        no_day = text.replace("20", "30", 1).replace("01", "02")  # most often 30 February
        text = chance.choice(
            [
                text.replace("/0", "/"),
                text.replace(" 0", " "),
                text.lower(),
                no_day,
                text.replace(" ", "  "),
                f" {text}",
            ]
        )
    if not params["time_column"]:
        return [text]
    clock = next(place for place, part in enumerate(pattern.split(" ")) if part[:2] in ("%H", "%I"))
    words = text.split(" ")
    return [" ".join(words[:clock]), " ".join(words[clock:])]


def folder(seed: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a folder, and params, made from a seed."""
    if seed % 2:
        return folder_as_stated(seed)
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


def damaged(data: bytes, chance: random.Random, bits: list[bytes] = BITS) -> bytes:
    """The bytes of a file with one thing wrong in them, or not."""
    at = chance.randrange(len(data) + 1)
    how = chance.randrange(6)
    if how == 0:
        return data[:at] + chance.choice(bits) + data[at:]
    if how == 1:
        return data[:at] + data[at + chance.choice([1, 1, 2, 30]) :]
    if how == 2:
        return data[:at] + bytes([chance.choice(b'0123456789;:.-TZ"\n\r\0 \tE')]) + data[at + 1 :]
    if how == 3:
        return data[:at] if chance.random() < 0.5 else data[at:]
    lines = re.split(rb"(?<=\n)", data)
    line = chance.randrange(len(lines))
    if how == 4:  # a whole line more: another, or a header
        lines.insert(line, chance.choice([*lines, *(one for one in bits if one.endswith(b"\n"))]))
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
            columns = [table[0].cast(pa.int64()), *table.columns[1:]]
            rows[path.stem] = list(zip(*(column.to_pylist() for column in columns), strict=True))
        entries = [
            json.loads(line)
            for path in sorted(out.glob("_*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
    keys = ("file", "line", "column", "text", "reason")
    rejects = [tuple(entry[key] for key in keys) for entry in entries]
    kinds = {
        "nul": "lines of NUL bytes skipped",
        "header": "repeated headers skipped",
        "empty": "empty cells, now null",
        "unended": "last lines without an end, which may be cut",
        "doubled": "rows of an instant that has one already",
        **{kind: f"lines passed over, as {kind} says" for kind in ("skip_lines", "skip_to", "comment", "unit_lines")},
    }
    counts = {}
    for kind, words in kinds.items():
        counts[kind] = sum(int(one[len(words) + 2 :].partition(",")[0]) for one in said if one.startswith(f"{words}: "))
    return Expected(rows, rejects, counts), said


def test_any_folder(parse: Callable[[str, str, dict[str, Any]], None]) -> None:
    """Rows, order, rejects, their places, texts and reasons, and what is counted are as the oracle says."""
    for seed in range(FIRST, FIRST + EXAMPLES):
        files, params = folder(seed)
        right, (made, _) = expected(files, params), parsed(parse, files, params)
        stated = {name: value for name, value in params.items() if value != SMALL[name]}
        where = f"seed {seed}: {files} {stated}"
        assert {name: list(map(repr, rows)) for name, rows in made.rows.items()} == {
            name: list(map(repr, rows)) for name, rows in right.rows.items()
        }, where
        ours, theirs = sorted(made.rejects, key=repr), sorted(right.rejects, key=repr)
        assert [one[:4] for one in ours] == [one[:4] for one in theirs], where
        for one, other in zip(ours, theirs, strict=True):
            assert one[4].startswith(other[4]), where
        assert made.counts == right.counts, where
