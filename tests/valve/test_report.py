"""report: what the page says, against the tables it is made of; and what a browser makes of it."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import shutil
import subprocess
from datetime import date, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from ..conftest import REPO
from .tables import DAY, apply, read
from .test_picture import BINS, MISSING_EXTRA, grid

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(autouse=True)
def needs_matplotlib() -> None:
    """Skip where it is missing."""
    pytest.importorskip("matplotlib", reason=MISSING_EXTRA)


class Tables(HTMLParser):
    """The texts of all tables of a page: tables of rows of cells, each with its class."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[tuple[str, str]]]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", dict(attrs).get("class") or ""))
        self._open = tag in ("td", "th")

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            text, kind = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data.strip(), kind)


class Page:
    """A report, taken apart."""

    def __init__(self, text: str) -> None:
        self.text = text
        tables = Tables(text).tables
        self.calendar = {row[0][0]: row[1:] for row in tables[0][1:]}
        self.summary, *rest = [self._records(one) for one in tables[2:]]
        self.params = rest[-1] if rest else []
        self.rhythm = rest[0] if len(rest) > 1 else []

    @staticmethod
    def _records(table: list[list[tuple[str, str]]]) -> list[dict[str, str]]:
        head, *rows = [[text for text, _ in row] for row in table]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def images(self) -> list[np.ndarray]:
        """The actograms, in levels of opening: 0 to 10, 11 for no value."""
        image = pytest.importorskip("PIL.Image")
        sources = re.findall(r'src="data:image/png;base64,([^"]+)"', self.text)
        return [np.asarray(image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


@pytest.fixture
def reported(tmp_path: Path) -> Any:
    """Reports on valves, given in % by day, which activity sums up; without any, on those of before once more."""

    def run(days: dict[date, dict[str, Any]] | None = None, **params: Any) -> Page:
        if days:
            shutil.rmtree(tmp_path / "grid", ignore_errors=True)
            shutil.rmtree(tmp_path / "activity", ignore_errors=True)
            for day, valves in days.items():
                grid(tmp_path / "grid", valves, day=day)
            assert apply("activity", tmp_path / "grid", tmp_path / "activity") == []
        assert apply("report", tmp_path / "activity", tmp_path / "out", **params) == []
        return Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))

    return run


def lively(number: int, hours: float = 24) -> np.ndarray:
    """A day of a valve that closes for a part of each hour; nothing after `hours`."""
    random = np.random.RandomState(number)
    since = np.arange(BINS) % 360
    closed = since < np.repeat(random.randint(0, 200, 24), 360)
    opening = np.where(closed, 3, random.uniform(40, 95, BINS))
    return np.where(np.arange(BINS) < hours * 360, opening, np.nan)


def weekdays(count: int) -> list[date]:
    return [DAY + timedelta(days=number) for number in range(count)]


def test_as_the_tables_say(reported: Any, tmp_path: Path) -> None:
    """Calendar, summary and params are those of activity's tables, hours weighted by what is known of them."""
    page = reported({day: {"m0": lively(at), "m1": lively(at + 9, 20.7)} for at, day in enumerate(weekdays(3))})
    hours, daily = read(tmp_path / "activity", "hourly"), read(tmp_path / "activity", "daily")
    for (ts, rows), cell in zip(
        hours.groupby("ts"), [cell for row in page.calendar.values() for cell in row], strict=True
    ):
        known = rows.dropna(subset="vod_pct")
        expected = np.average(known["vod_pct"], weights=known["known_pct"])
        assert cell[0] == f"{expected:.0f}", ts
    assert list(page.calendar) == [str(day) for day in weekdays(3)]
    assert [row["valve"] for row in page.summary] == ["m0", "m1"]
    for row in page.summary:
        own = hours[(hours["valve"] == row["valve"]) & hours["vod_pct"].notna()].astype({"closures": float})
        known_h = own["known_pct"].sum() / 100
        open_h = own["vod_pct"] * own["known_pct"]
        assert row["state"] == "alive"
        assert row["VOD, %"] == f"{np.average(own['vod_pct'], weights=own['known_pct']):.1f}"
        assert row["VOA, %"] == f"{np.average(own['voa_pct'].fillna(0), weights=open_h):.1f}"
        assert row["closures"] == f"{own['closures'].sum():.0f}"
        assert row["closures a day"] == f"{own['closures'].sum() / known_h * 24:.1f}"
        assert (row["closed"], row["open"]) == ("201", "903")
        events = read(tmp_path / "activity", "events")
        longest = events[events["valve"] == row["valve"]].sort_values("duration_s").iloc[-1]
        assert row["longest closure, min"].removeprefix("≥ ") == f"{longest['duration_s'] / 60:.1f}"
    whole = float(page.summary[0]["VOD, %"])
    assert daily[daily["valve"] == "m0"]["vod_pct"].mean() == pytest.approx(whole, abs=0.06)
    assert page.params == [
        {
            "closed_below": "10.0",
            "open_above": "15.0",
            "least_closure_s": "60.0",
            "dip": "5.0",
            "dip_s": "30.0",
            "least_known": "0.5",
        }
    ]


def test_lines_and_actograms(reported: Any, tmp_path: Path) -> None:
    """Each day's VOD and VOA is a point of a line, a day alone a dot; an actogram has each day twice."""
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=3)]
    page = reported({day: {"m0": np.where(np.arange(BINS) < 4_320, 80, 2)} for day in days})
    paths = re.findall(r'<path class="(\w*)" stroke-width="(\d+)" d="([^"]+)"', page.text)
    mean = [d for kind, width, d in paths if (kind, width) == ("vod", "3")]
    assert mean == ["M0.5 50.0L1.5 50.0M3.5 50.0"]
    assert ("vod", "8", "M3.5 50.0h0") in paths
    assert [d for kind, width, d in paths if (kind, width) == ("voa", "2")] == ["M0.5 20.0L1.5 20.0M3.5 20.0"]
    (actogram,) = page.images()
    day, nothing = [10] * 12 + [0] * 12, [11] * 24
    assert actogram.tolist() == [day + day, day + nothing, nothing + day, day + nothing]


def test_local_hours(reported: Any) -> None:
    """Cells are local hours: the hour that summer time takes is empty, the two that winter time gives are one."""
    valve = np.where(np.arange(BINS) // 360 == 1, 2, 80)  # closed from 1 to 2 UTC
    paris = reported({date(2026, 3, 29): {"m0": valve}, date(2026, 1, 20): {"m0": valve}}, tz="Europe/Paris").calendar
    winter, spring = (dict(enumerate(paris[day])) for day in ("2026-01-20", "2026-03-29"))
    assert [hour for hour, cell in winter.items() if cell[0] == "0"] == [2]
    assert winter[0] == ("", "c11")
    assert (spring[1][0], spring[2], spring[3][0]) == ("100", ("", "c11"), "0")
    assert len(spring) == 24
    autumn = reported({date(2026, 10, 25): {"m0": valve}}, tz="Europe/Paris").calendar["2026-10-25"]
    assert (autumn[2][0], autumn[3][0]) == ("50", "100")
    assert "… 66 days" in paris


def test_states_in_words(reported: Any, tmp_path: Path) -> None:
    """A valve without opening says why, and has neither card nor measures; a rack without any is a page too."""
    page = reported({DAY: {"m0": 80.0, "<b>&": np.nan}})
    assert [(row["valve"], row["state"]) for row in page.summary] == [
        ("m0", "alive"),
        ("<b>&", "no opening: moved by 3 counts only"),
    ]
    assert page.summary[1]["VOD, %"] == "–"
    assert "<b>&</td>" not in page.text
    assert "<h3>m0</h3>" in page.text
    assert page.text.count("<figure>") == 3
    dead = reported({day: {f"m{number}": np.nan for number in range(12)} for day in weekdays(2)})
    assert len(dead.summary) == 12
    assert {cell for row in dead.calendar.values() for cell in row} == {("", "c11")}
    assert "VOD, %" not in dead.summary[0]
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    assert apply("report", nothing, tmp_path / "none") == []
    assert list((tmp_path / "none").iterdir()) == []


def test_little_is_known(reported: Any) -> None:
    """Of a few hours there are measures, but no rates a day, no daily lines and no rhythm; one row is a page too."""
    page = reported({DAY: {"m0": lively(1, 5)}})
    assert page.summary[0]["known, h"] == "5.0"
    assert "closures a day" not in page.summary[0]
    assert page.text.count("No day is known well enough.") == 2
    assert page.rhythm == []
    one = np.full(BINS, np.nan)
    one[4_000] = 50
    assert reported({DAY: {"m0": one}}).summary == [
        {"valve": "m0", "state": "alive", "known, h": "0.0", "closed": "201", "open": "903"}
    ]


def test_closed_for_days(reported: Any) -> None:
    """A closure that is longer than what activity sees is marked as such, and its days are dark."""
    page = reported({day: {"m0": 2.0 if 0 < at < 5 else lively(at)} for at, day in enumerate(weekdays(6))})
    assert page.summary[0]["longest closure, min"].startswith("≥ ")
    assert {cell[0] for cell in page.calendar[str(DAY + timedelta(days=2))]} == {"0"}


def test_rhythm(reported: Any) -> None:
    """A planted tide comes back; so does a day, at its local hour, whatever summer time does; periods too near are told."""
    days = [date(2026, 3, 25) + timedelta(days=number) for number in range(8)]
    start = pd.Timestamp(days[0], tz="Europe/Paris")
    planted = {}
    for day in days:
        at_h = (pd.Timestamp(day, tz="UTC") - start).total_seconds() / 3600 + (np.arange(BINS) + 0.5) / 360
        waves = {"m0": (12.42, 5.5), "m1": (24, 21.25)}
        planted[day] = {
            name: 50 + 20 * np.cos(2 * np.pi * (at_h - peak) / period) for name, (period, peak) in waves.items()
        }
    page = reported(planted, tz="Europe/Paris")
    tide, daily = page.rhythm
    assert (tide["12.42 h power, %"], tide["12.42 h peak, h"]) == ("100.0", "5.5")
    assert float(tide["24 h power, %"]) < 2
    assert (daily["24 h power, %"], daily["24 h peak, h"]) == ("100.0", "21.2")
    assert "24 and 24.84 h are told apart from 29.6 days on only." in page.text
    only = reported(periods_h=[24.0], least_cycles=8.5)
    assert only.rhythm == []
    with pytest.raises(ValueError, match=r"^param `periods_h` must hold numbers above 0, not \[0\]$"):
        reported(periods_h=[0])


def test_rhythm_is_lomb_scargle() -> None:
    """Power and acrophase equal scipy's, with a floating mean, on hours with holes."""
    signal = pytest.importorskip("scipy.signal", reason="scipy is not installed: it is of the extra `oracles`")
    spec = importlib.util.spec_from_file_location("report", REPO / "treatments" / "report" / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    random = np.random.RandomState(1)
    at_h = np.flatnonzero(random.random_sample(700) < 0.7) + 0.5
    values = (
        60
        + 20 * np.cos(2 * np.pi * (at_h - 3) / 12.42)
        + 9 * np.cos(2 * np.pi * at_h / 24)
        + random.normal(0, 5, len(at_h))
    )
    for period in (12.42, 24.0, 24.84, 15.0):
        power, peak = module._cosinor(at_h, values, period)
        scargle = partial(signal.lombscargle, at_h, values, np.array([2 * np.pi / period]), floating_mean=True)
        assert power == pytest.approx(np.ravel(scargle(normalize=True))[0], abs=1e-11)
        (wave,) = np.ravel(scargle(normalize="amplitude"))
        assert peak == pytest.approx(np.angle(wave) / (2 * np.pi) * period % period, abs=1e-8)


def test_what_must_stay_equal(reported: Any) -> None:
    """An added empty valve adds a row to the summary, and changes nothing else; twelve hours later all is later."""
    opening = {day: lively(at) for at, day in enumerate(weekdays(2))}
    plain = reported({day: {"m0": values} for day, values in opening.items()})
    added = reported({day: {"m0": values, "m1": np.nan} for day, values in opening.items()})
    assert (added.calendar, added.rhythm, added.params) == (plain.calendar, plain.rhythm, plain.params)
    assert added.summary[0] == plain.summary[0]
    assert [image.tolist() for image in added.images()] == [image.tolist() for image in plain.images()]
    whole = np.concatenate([*opening.values(), np.full(BINS, np.nan)])
    shifted = np.roll(whole, 4_320)
    later = reported({day: {"m0": shifted[at * BINS : (at + 1) * BINS]} for at, day in enumerate(weekdays(3))})
    cells = [[cell for row in page.calendar.values() for cell in row] for page in (plain, later)]
    assert cells[1][12:60] == cells[0]
    for name in ("VOD, %", "VOA, %", "closures", "micro-closures", "known, h"):
        assert later.summary[0][name] == plain.summary[0][name]


def test_nothing_from_outside(reported: Any) -> None:
    """No script, no address but of what is inside; and the page forbids the browser to load anything."""
    text = reported({DAY: {"m0": lively(1), "m1": lively(2)}}).text
    assert "<script" not in text
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text))
    assert set(re.findall(r'(?:src|href)="(data:[^,"]*),', text)) == {"data:", "data:image/png;base64"}
    assert len(re.findall(r"\b(?:src|href|srcset|action|poster)=", text)) == text.count('="data:')
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in text


def browsed(page: Path, *, width: int = 1280) -> tuple[np.ndarray, set[str], list[str]]:
    """What a browser shows of a page (height, width, 3), the addresses it asked for, and what it logged."""
    image = pytest.importorskip("PIL.Image")
    assert BROWSER
    shot, log = page.with_name(f"{width}.png"), page.with_name(f"{width}.json")
    quiet = [f"--disable-{what}" for what in ("background-networking", "component-update", "sync", "extensions", "gpu")]
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars", *quiet),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={page.parent / 'profile'}"),
            *("--enable-logging=stderr", f"--log-net-log={log}", f"--window-size={width},1500"),
            *(f"--screenshot={shot}", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = {event["params"]["url"] for event in events if "url" in event.get("params", {})}
    hosts = {urlsplit(one).hostname or "" for one in asked}
    own = {host for host in hosts if host.endswith((".googleapis.com", ".google.com"))}  # the browser's own errands
    with image.open(shot) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    return pixels, hosts - own, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="there is no browser: apt-get install chromium")
def test_in_a_browser(reported: Any, tmp_path: Path) -> None:
    """It asks for nothing, logs nothing, and shows its calendar, wide and narrow; a page that does both is found out."""
    page = reported({day: {"m0": lively(at), "m1": lively(at + 9)} for at, day in enumerate(weekdays(3))})
    colors = {
        f"c{level}": (int(red), int(green), int(blue))
        for level, red, green, blue in re.findall(r"\.c(\d+) { background: rgb\((\d+), (\d+), (\d+)\)", page.text)
    }
    shown = {kind for row in page.calendar.values() for _, kind in row}
    for width in (1280, 400):
        pixels, asked, logged = browsed(tmp_path / "out" / "report.html", width=width)
        assert (asked, logged) == (set(), [])
        assert pixels.shape[1] == width
        for kind in shown:
            assert (pixels == colors[kind]).all(axis=2).sum() > 50
    outside = tmp_path / "out" / "outside.html"
    outside.write_text(
        "<img src='http://outside.invalid/a.png'><script>console.error('seen')</script>", encoding="utf-8"
    )
    _, asked, logged = browsed(outside)
    assert asked == {"outside.invalid"}
    assert len(logged) == 1
