"""picture: what a day looks like, read back from the pixels; and picture and report day by day, byte for byte."""

from __future__ import annotations

import importlib.util
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ..conftest import REPO, SmallProject
from .tables import DAY, apply, flow, instants, make_slow, tell_days

MISSING_EXTRA = "matplotlib is not installed: it is the extra `plot`"
BINS = 8_640
WIDTH, HEAD, ROW, STILL, BELOW, FOOT = 1600, 78, 92, 30, 120, 72  # as in treatments/picture/run.py
CLOSED, HELD, MISSING = (0xF4, 0xCE, 0x7F), (0xCC, 0x79, 0xA7), (0xD0, 0xD0, 0xD0)


def grid(folder: Path, valves: dict[str, Any], *, day: date = DAY, air: Any = np.nan, held: slice = slice(0)) -> None:
    """Write a day as grid does: valves in %, by bins of 10 s, null where nothing was recorded; and their references."""
    folder.mkdir(parents=True, exist_ok=True)
    opening = {name: np.broadcast_to(np.asarray(values, "float32"), BINS) for name, values in valves.items()}
    recorded = np.any([~np.isnan(values) for values in opening.values()], axis=0)
    flags = {}
    for name, values in opening.items():
        flags[f"{name}_flag"] = np.where(np.isnan(values), 9, 1).astype("uint8")
        flags[f"{name}_flag"][held] = 2
    head = {"ts": instants(day, np.arange(BINS) * 10), "coverage": recorded.astype("float32")}
    head["temperature"] = np.broadcast_to(np.asarray(air, "float32"), BINS)
    pd.DataFrame({**head, **opening, **flags}).to_parquet(folder / f"grid__{day}.parquet", index=False)
    moving = [bool((~np.isnan(values)).any()) for values in opening.values()]
    ends = {
        "closed": [201.0 if one else np.nan for one in moving],
        "open": [903.0 if one else np.nan for one in moving],
    }
    words = {
        "state": ["alive" if one else "no opening" for one in moving],
        "reason": [None if one else "moved by 3 counts only" for one in moving],
    }
    reference = pd.DataFrame({"valve": list(opening), **ends, "days": 1, "law": "linear", **words})
    reference.to_parquet(folder / f"reference__{day}.parquet", index=False)


def bins(hour: float) -> int:
    return round(hour * 360)


@pytest.fixture(autouse=True)
def needs_matplotlib(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where it is missing; its cache goes where the test's files are."""
    if "without_the_extra" not in request.node.name:
        pytest.importorskip("matplotlib", reason=MISSING_EXTRA)
        monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def pixels(path: Path) -> np.ndarray:
    """A picture, as (height, width, 3)."""
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as opened:
        assert opened.format == "PNG"
        assert opened.info.get("Software") is None
        return np.asarray(opened.convert("RGB")).astype(int)


@pytest.fixture
def drawn(tmp_path: Path) -> Any:
    """Draws the valves of one day, and reads the picture."""

    def run(
        valves: dict[str, Any], *, day: date = DAY, air: Any = np.nan, held: slice = slice(0), **params: Any
    ) -> np.ndarray:
        shutil.rmtree(tmp_path / "in", ignore_errors=True)
        grid(tmp_path / "in", valves, day=day, air=air, held=held)
        assert apply("picture", tmp_path / "in", tmp_path / "out", **params) == []
        return pixels(tmp_path / "out" / f"valves__{day}.png")

    return run


def x(hour: float, first: float = 0, last: float = 24, name: int = 2) -> int:
    """The column of an hour, in a picture from `first` to `last`, whose longest name has so many letters."""
    left = WIDTH * (0.045 + 0.006 * name)
    return round(left + (WIDTH * 0.955 - left) * (hour - first) / (last - first))


def near(picture: np.ndarray, y: int, column: int, color: tuple[int, int, int], within: int = 40) -> bool:
    """Whether a colour, or one that it is blended into, is at a place, two pixels around."""
    return bool((np.abs(picture[y - 1 : y + 2, column - 2 : column + 3] - color).max(axis=2) <= within).any())


def test_a_day(drawn: Any) -> None:
    """Closures that count are shaded, be they minutes short; held and missing values are told apart."""
    opening = np.full(BINS, 80.0)
    opening[bins(6) : bins(9)] = 2
    opening[bins(12) : bins(12) + 4] = 2  # 40 s: no closure
    opening[bins(15) : bins(15) + 7] = 2  # 70 s: less than a pixel
    opening[bins(20) : bins(21)] = np.nan
    picture = drawn({"m0": opening, "m1": 50.0}, held=slice(bins(18), bins(18) + 2))
    assert picture.shape == (HEAD + 2 * ROW + FOOT, WIDTH, 3)
    top, foot = HEAD + 8, HEAD + ROW - 7
    assert tuple(picture[top, x(7.5)]) == CLOSED
    assert tuple(picture[top, x(20.5)]) == MISSING
    assert near(picture, top, x(15), CLOSED)
    assert near(picture, foot, x(18), HELD)
    assert not near(picture, top, x(12), CLOSED)
    for hour in (3.3, 10.3, 17.3):  # not on a line of the grid
        assert (picture[top, x(hour)] == 255).all()
        assert not near(picture, foot, x(hour), HELD)
    closed = (picture[top, x(5) : x(10)] == CLOSED).all(axis=1).sum()
    assert closed == pytest.approx(x(9) - x(6), abs=2)
    row = picture[HEAD + ROW + 8, x(0) + 2 : x(24)]
    assert not (row == CLOSED).all(axis=1).any()


def test_shaded_by_the_state(drawn: Any) -> None:
    """Between the thresholds a valve is what it was, as in activity; after a gap it is open unless it is below."""
    opening = np.full(BINS, 80.0)
    opening[bins(4) : bins(6)] = 12
    opening[bins(8) : bins(9)] = 2
    opening[bins(9) : bins(10)] = 12
    opening[bins(10) : bins(11)] = np.nan
    opening[bins(11) : bins(12)] = 12
    picture = drawn({"m0": opening})
    shaded = [tuple(picture[HEAD + 8, x(hour)]) == CLOSED for hour in (5, 8.5, 9.5, 11.5)]
    assert shaded == [False, True, True, False]
    wider = drawn({"m0": opening}, closed_below=15.0, open_above=20.0)
    assert [tuple(wider[HEAD + 8, x(hour)]) == CLOSED for hour in (5, 8.5, 9.5, 11.5)] == [True, True, True, True]


def test_cropped_to_the_recorded_hours(drawn: Any) -> None:
    """Four hours fill the width; an hour with ten rows in it shows them."""
    opening = np.full(BINS, np.nan)
    opening[bins(20) :] = 80
    opening[bins(21) : bins(22)] = 2
    picture = drawn({"m0": opening})
    assert tuple(picture[HEAD + 8, x(21.5, 20)]) == CLOSED
    assert (picture[HEAD + 8, x(20.4, 20)] == 255).all()
    ten = np.full(BINS, np.nan)
    ten[bins(3.5) : bins(3.5) + 10] = 80
    picture = drawn({"m0": ten})
    known = (picture[HEAD + 8, x(3, 3, 4) + 3 : x(4, 3, 4)] == 255).all(axis=1).sum()
    assert known == pytest.approx(x(3 + 100 / 3600, 3, 4) - x(3, 3, 4), abs=4)


def test_later_looks_the_same(drawn: Any) -> None:
    """Twelve hours later, the same picture but for its labels; with warmth, the same valves."""
    opening = np.full(BINS, np.nan)
    opening[bins(2) : bins(6)] = np.where(np.arange(bins(4)) // 300 % 2, 90, 3)
    body = np.s_[HEAD : HEAD + ROW - 2, x(0) + 2 : x(24)]
    plain = drawn({"m0": opening})[body]
    assert (plain == drawn({"m0": np.roll(opening, bins(12))})[body]).all()
    warm = drawn({"m0": opening}, air=np.where(np.isnan(opening), np.nan, 12))
    assert warm.shape[0] == HEAD + ROW + BELOW + FOOT
    assert (plain == warm[body]).all()


def test_a_valve_without_opening(drawn: Any) -> None:
    """It takes a thin row that says why; the other rows stay as they are."""
    opening = np.where(np.arange(BINS) // 500 % 2, 90, 3)
    plain = drawn({"m0": opening})
    picture = drawn({"m0": opening, "m1": np.nan})
    assert picture.shape[0] == plain.shape[0] + STILL
    body = np.s_[HEAD : HEAD + ROW - 2, x(0) + 2 : x(24)]
    assert (picture[body] == plain[body]).all()
    row = picture[HEAD + ROW + STILL // 2]
    assert tuple(row[x(2)]) == MISSING
    assert (row[x(10) : x(14)] < 50).any()  # words
    dead = drawn({f"m{number}": np.nan for number in range(12)})
    assert dead.shape[0] == HEAD + 12 * STILL + FOOT


def labels(day: str, tz: str, first: float = 0, last: float = 1440) -> dict[float, str]:
    """The labels of the time axis, by minute."""
    spec = importlib.util.spec_from_file_location("picture", REPO / "treatments" / "picture" / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(zip(*module._labels(day, first, last, tz), strict=True))


def test_local_time() -> None:
    """Local hours of a UTC day, the date and the offset where they are new; an hour that comes twice stands twice."""
    winter = labels("2026-01-20", "Europe/Paris")
    assert winter[60] == "02:00\n2026-01-20\nUTC+01:00"
    assert winter[180] == "04:00"
    assert winter[1380] == "00:00\n2026-01-21\nUTC+01:00"
    spring = labels("2026-03-29", "Europe/Paris", 0, 240)
    assert [text.partition("\n")[0] for text in spring.values()] == [
        *("01:00", "01:30", "03:00", "03:30", "04:00", "04:30", "05:00", "05:30", "06:00"),
    ]
    assert spring[60] == "03:00\n2026-03-29\nUTC+02:00"
    autumn = labels("2026-10-25", "Europe/Paris", 0, 240)
    assert (autumn[0], autumn[60]) == ("02:00\n2026-10-25\nUTC+02:00", "02:00\n2026-10-25\nUTC+01:00")
    assert list(autumn.values())[:4] == [autumn[0], "02:30", autumn[60], "02:30"]
    for tz in ("America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"):
        assert len(labels("2026-01-20", tz)) == 12
    half = labels("2026-01-20", "Asia/Kolkata")
    assert half[30] == "06:00\n2026-01-20\nUTC+05:30"
    assert labels("2026-01-20", "UTC")[0] == "00:00\n2026-01-20\nUTC"
    for hours in range(1, 25):
        assert 4 <= len(labels("2026-01-20", "UTC", 0, hours * 60)) <= 13


def test_odd_days(tmp_path: Path) -> None:
    """Days of summer time, one row, nothing but warmth, an hour, a day of one bin: a picture each, no warning."""
    source, one = tmp_path / "in", np.full(BINS, np.nan)
    one[-1] = 50
    grid(source, {"m0": one}, day=date(2026, 3, 29))
    grid(source, {"m0": 50.0, "m1": np.nan}, day=date(2026, 10, 25), air=3.0)
    grid(source, {"m0": np.nan}, day=date(2026, 1, 1), air=np.where(np.arange(BINS) < 3, -40, np.nan))
    grid(source, {"m0": one[::-1]}, day=date(2026, 1, 4))
    frame = pd.read_parquet(source / "grid__2026-10-25.parquet").iloc[:1]
    frame.to_parquet(source / "grid__2026-01-05.parquet", index=False)  # period_s 86400
    shutil.copy(source / "reference__2026-10-25.parquet", source / "reference__2026-01-05.parquet")
    assert apply("picture", source, tmp_path / "out", tz="America/St_Johns") == []
    names = {path.stem[-10:] for path in (tmp_path / "out").glob("valves__*.png")}
    assert names == {"2026-03-29", "2026-10-25", "2026-01-01", "2026-01-04", "2026-01-05"}
    for path in (tmp_path / "out").glob("*.png"):
        assert pixels(path).shape[1] == WIDTH


STEPS: list[dict[str, Any]] = [
    {"treatment": "activity", "input": "31_grid", "output": "41_activity"},
    {"treatment": "picture", "input": "31_grid", "output": "91_pictures", "params": {"tz": "Europe/Paris"}},
    {"treatment": "report", "input": "41_activity", "output": "92_report", "params": {"tz": "Europe/Paris"}},
]


def station(project: SmallProject) -> None:
    """Give a project what looks at a grid."""
    for step in STEPS:
        name = str(step["treatment"])
        shutil.copytree(REPO / "treatments" / name, project.root / "treatments" / name)
    project.flow(*STEPS[1:], name="looks")


def looks(root: Path) -> dict[str, bytes]:
    """All pictures, and the report."""
    found = [*root.glob("91_pictures/*.png"), *root.glob("92_report/*.html")]
    return {path.name: path.read_bytes() for path in found}


def test_byte_for_byte(project: SmallProject, tmp_path: Path) -> None:
    """Two days, then a late and a changed one in two chunks: pictures and report are as from scratch, and verify."""
    station(project)
    tell_days(project, "picture")
    days = [DAY + timedelta(days=number) for number in range(3)]
    opening = {day: np.where((np.arange(BINS) + 700 * number) // 900 % 3, 80, 2) for number, day in enumerate(days)}
    data = project.root / "data"
    for day in (days[0], days[2]):
        grid(data / "31_grid", {"m0": opening[day], "m1": 40.0}, day=day, air=9.0)
    apply("activity", data / "31_grid", data / "41_activity")
    assert f"asked:{days[0]},{days[2]}\n" in flow(project, "looks")
    before = looks(data)
    grid(data / "31_grid", {"m0": opening[days[1]], "m1": 40.0}, day=days[1], air=9.0)
    grid(data / "31_grid", {"m0": opening[days[2]][::-1], "m1": 40.0}, day=days[2], air=9.0)
    apply("activity", data / "31_grid", data / "41_activity")
    make_slow(project, "91_pictures")
    told = flow(project, "looks", "--jobs", "2", "--verify", "3")
    after = looks(data)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"valves__{days[1]}.png", f"valves__{days[2]}.png", "report.html"}
    assert told.count(", the same: ") == 2
    asked = [word for word in told.split() if word.startswith("asked:")]
    chunks, proofs = [f"asked:{day}" for day in days[1:]], [f"asked:{day}" for day in days] + ["asked:all"]
    assert (sorted(asked[:2]), asked[2:]) == (chunks, proofs)
    for step in STEPS[1:]:
        source, target = data / str(step["input"]), tmp_path / "scratch" / str(step["output"])
        apply(str(step["treatment"]), source, target, **step["params"])
    assert looks(tmp_path / "scratch") == after


def test_without_the_extra(project: SmallProject) -> None:
    """Where matplotlib is missing, both end with the sentence that names the extra, and publish nothing; others work."""
    station(project)
    grid(project.root / "data" / "31_grid", {"m0": 50.0})
    for name in ("picture", "report"):  # as if it were not installed: what lies beside run.py is found first
        absent = "raise ModuleNotFoundError(\"No module named 'matplotlib'\", name='matplotlib')\n"
        (project.root / "treatments" / name / "matplotlib.py").write_text(absent, encoding="utf-8")
    for step in STEPS:
        name, folders = str(step["treatment"]), [f"data/{step['input']}", f"data/{step['output']}"]
        done = project.cli("runner", "--treatment", name, "--input", folders[0], "--output", folders[1])
        if name == "activity":
            assert done.returncode == 0, done.stderr
            continue
        assert done.returncode == 1
        first = f"error: treatment `{name}` could not be loaded: ImportError: "
        assert (
            done.stderr.splitlines()[0]
            == f"{first}`{name}` needs matplotlib, an extra of PyMyx: pip install 'pymyx[plot]'"
        )
        assert looks(project.root / "data") == {}
