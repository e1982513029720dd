"""The log: one append per event, no event lost or mixed, torn lines survived."""

from __future__ import annotations

import json
import multiprocessing
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonlines
import pytest

from pymyx.core.errors import PymyxError
from pymyx.core.logger import last_events, log_event


def log(path: Path, error: str | None = None) -> None:
    """Log one event of some kind."""
    log_event(
        path, treatment="clean", status="error", input_dir="data/in", output_dir="data/out", duration_ms=5, error=error
    )


def log_thousand(path: Path, writer: int) -> None:
    """Log 1,000 events of up to 9 kB that say whose they are."""
    for number in range(1_000):
        log(path, error=f"{writer} {number} {'é' * (number * 7 % 4_500)}")


def test_an_event(tmp_path: Path) -> None:
    """Exactly the seven keys, in their order, on one line, stamped with the time in UTC."""
    path = tmp_path / "pymyx.log"
    log(path, error='line one\nline "two" ü')
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(
        r'\{"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","treatment":"clean","status":"error",'
        r'"input_dir":"data/in","output_dir":"data/out","duration_ms":5,"error":"line one\\nline \\"two\\" ü"\}\n',
        text,
    )
    ts = datetime.fromisoformat(json.loads(text)["ts"])
    assert abs((datetime.now(UTC) - ts).total_seconds()) < 60


def test_ten_processes_at_once(tmp_path: Path) -> None:
    """Ten processes that log 1,000 events each lose none and mix none."""
    path = tmp_path / "pymyx.log"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=log_thousand, args=(path, number)) for number in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 10
    with jsonlines.open(path) as reader:
        events = list(reader)
    told = [event["error"].split(" ") for event in events]
    for each in range(10):
        mine = [(int(number), len(filling)) for who, number, filling in told if who == str(each)]
        assert mine == [(number, number * 7 % 4_500) for number in range(1_000)]
    assert len(events) == 10_000


@pytest.mark.parametrize(
    "torn", [b'{"ts":"2026-01-20T09:07:58.000Z","treat', b"\xff\xfe\0\0", '{"error":"é'.encode()[:-1], b"[1]", b"null"]
)
def test_torn_lines(tmp_path: Path, torn: bytes) -> None:
    """A line that a full disk or a power cut tore is passed over, and never swallows the next event."""
    path = tmp_path / "pymyx.log"
    log(path, error="first")
    with path.open("ab") as file:
        file.write(torn)
    assert [event["error"] for event in last_events(path)] == ["first"]
    log(path, error="second")
    log(path, error="third")
    assert [event["error"] for event in last_events(path)] == ["first", "second", "third"]
    assert path.read_bytes().count(b"\n") == 4


def test_no_log(tmp_path: Path) -> None:
    """A log that is not there yet has no events; one that cannot be written is an error."""
    assert last_events(tmp_path / "pymyx.log") == []
    with pytest.raises(PymyxError, match="the log cannot be written: No such file or directory"):
        log(tmp_path / "nowhere" / "pymyx.log")
    with pytest.raises(PymyxError, match="the log cannot be written: No space left on device"):
        log(Path("/dev/full"))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """A folder whose name is not UTF-8 is logged with its bytes escaped."""
    path = tmp_path / "pymyx.log"
    log_event(path, treatment="clean", status="start", input_dir="data/caf\udce9", output_dir="data/out")
    assert [event["input_dir"] for event in last_events(path)] == ["data/caf\\udce9"]


@pytest.mark.parametrize("torn", [b"", b'{"ts":"2026-0\n', b"\xff\n\n[1]\n"])
def test_last_events(tmp_path: Path, torn: bytes) -> None:
    """The last events that are whole come oldest first, however many lines between them are torn, and whatever they hold."""
    path = tmp_path / "pymyx.log"
    errors = [f"{number} \u2028 \x85 é" for number in range(7)]
    for error in errors:
        log(path, error)
        with path.open("ab") as file:
            file.write(torn)
    for number in (0, 1, 3, 7, 100):
        assert [event["error"] for event in last_events(path, number)] == errors[max(0, 7 - number) :]
    assert last_events(tmp_path / "none.log", 5) == []
