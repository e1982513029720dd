"""For any file: what was not damaged comes back identical, what was damaged stands in the rejects verbatim.

Files are made from known values, in all shapes, orders, offsets and fractions, and some lines are damaged. In CI
200 files; `PYMYX_EXAMPLES=2000 python -m pytest tests/parse/test_parse_property.py` for more.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .test_parse import Station, parse

__all__ = ["parse"]  # a fixture, used by its name

START = datetime(2026, 1, 20, 22, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
DIGITS = st.integers(0, 9)
OFFSETS = st.sampled_from([None, "Z", 0, 60, -570, 720])
SAMPLES = st.tuples(st.integers(0, 4 * 3600), st.integers(0, 999_999_999), DIGITS, OFFSETS, INTEGERS, INTEGERS, FLOATS)
DAMAGES = ["cut", "text", "nul", "long", "bytes", "point"]


def moment(second: int, fraction: int, digits: int) -> int:
    """Nanoseconds since 1970 of a sample whose fraction has `digits` digits."""
    whole = (START + timedelta(seconds=second) - EPOCH) // timedelta(seconds=1)
    unit = int(10 ** (9 - digits))
    return whole * 1_000_000_000 + fraction // unit * unit


def stamp(second: int, fraction: int, digits: int, offset: object) -> str:
    """The same as ISO 8601, with an offset in minutes, `Z` or nothing."""
    zone = timezone(timedelta(minutes=offset)) if isinstance(offset, int) else UTC
    local = (START + timedelta(seconds=second)).astimezone(zone)
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    text += f".{fraction:09d}"[: digits + 1] if digits else ""
    return text + (offset if isinstance(offset, str) else "" if offset is None else local.strftime("%z"))


def damaged(line: str, how: str) -> bytes:
    """A line that is no row any more."""
    first, *rest = line.split(";")
    return {
        "cut": first[:10].encode(),
        "text": ";".join([first, "oops", *rest[1:]]).encode() if ":" not in rest[0] else f"{first};m0:oops".encode(),
        "nul": b"\0\0" + line.encode(),
        "long": (line + ";1;2").encode(),
        "bytes": line.encode() + b"\xff",
        "point": first.encode() + b";" + (b"" if ":" not in rest[0] else b"m0:") + b"1." + b"".join(b";" + one.encode() for one in rest[1:]),
    }[how]  # fmt: skip


def text_of(value: object) -> str:
    """A value as a logger writes it."""
    return "" if value is None else repr(value)


@settings(
    max_examples=int(os.environ.get("PYMYX_EXAMPLES", "200")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    samples=st.lists(st.tuples(SAMPLES, st.sampled_from([None] * 12 + DAMAGES)), min_size=1, max_size=25),
    shape=st.sampled_from(["header", "headerless", "keyed"]),
    clean=st.booleans(),
    columns=st.permutations(["m0", "m1", "temp"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_nothing_is_lost_or_changed(
    parse: Callable[[str, str, dict[str, Any]], None],
    samples: list[tuple[tuple[Any, ...], str | None]],
    shape: str,
    clean: bool,
    columns: list[str],
    end: str,
) -> None:
    """Every undamaged value comes back identical, every damaged line is in the rejects verbatim."""
    if clean:  # as the fast way takes it: plain `Z`, nothing damaged
        samples = [
            ((second, fraction, digits, "Z", *values), None) for (second, fraction, digits, _, *values), _ in samples
        ]
    order = columns if shape == "header" else ["m0", "m1", "temp"]
    lines: list[bytes] = []
    good: list[tuple[Any, ...]] = []
    bad: list[str] = []
    for (second, fraction, digits, offset, *values), damage in samples:
        known = dict(zip(("m0", "m1", "temp"), values, strict=True))
        if shape == "keyed":
            fields = [f"{name}:{text_of(known[name])}" for name in columns]
        else:
            fields = [text_of(known[name]) for name in order]
        line = ";".join([stamp(second, fraction, digits, offset), *fields])
        if damage and (lines or shape == "header"):  # the first line tells the shape of a file without a header
            lines.append(damaged(line, damage))
            bad.append(lines[-1].decode("utf-8", "backslashreplace"))
        else:
            lines.append(line.encode())
            good.append((moment(second, fraction, digits), *values))
    header = [";".join(["ts", *order]).encode()] if shape == "header" else []
    with tempfile.TemporaryDirectory() as folder:
        station = Station(Path(folder), parse)
        station.write(b"".join(line + end.encode() for line in header + lines))
        if not good:
            assert station.parse() == {}
            return
        keyed_majority = shape != "keyed" or sum(b":" in line.partition(b";")[2] for line in lines) * 2 > len(lines)
        if not keyed_majority:
            return
        station.parse()
        read: list[tuple[Any, ...]] = []
        for path in sorted(station.out.glob("bio__*.parquet")):
            bio, air = pq.read_table(path), pq.read_table(station.out / path.name.replace("bio", "air"))
            assert bio["ts"].equals(air["ts"])
            parts = (bio["ts"].cast(pa.int64()), bio["m0"], bio["m1"], air["temp"])
            read += zip(*(part.to_pylist() for part in parts), strict=True)
        assert list(map(repr, read)) == list(map(repr, sorted(good, key=lambda row: row[0])))
        assert sorted(text for *_, text in station.rejects()) == sorted(bad)
