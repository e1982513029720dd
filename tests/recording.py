"""Writes recordings like those of a valvometer: any number of days, the same bytes for the same seed.

    python -m tests.recording                     writes the sample of data/00_raw again
    python -m tests.recording DIR [--days 30]     writes whole days

What is real about it (reference: Hall sensors on mussels, 1 Hz): a fixed sub-second phase, some samples lost
in transmission, one gap while a sensor was unplugged, slow drift, noise of a few units, and valves that
close within seconds, stay closed for minutes and open slowly.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

SENSORS = 12
PHASE_US = 142_308
LOST = 0.02
GAP_S = 240
SAMPLE_DAYS = (date(2026, 1, 20), date(2026, 1, 21))


def write_sample(folder: Path) -> list[Path]:
    """The sample: the last half hour of one day, and the first of the next."""
    evening = write_day(folder / f"sample_{SAMPLE_DAYS[0]}.csv", SAMPLE_DAYS[0], start_s=84_600, gap=True)
    morning = write_day(folder / f"sample_{SAMPLE_DAYS[1]}.csv", SAMPLE_DAYS[1], end_s=1_800)
    return [evening, morning]


def write_days(folder: Path, *, days: int, first: date = SAMPLE_DAYS[0], device: str = "mussel-1") -> list[Path]:
    """`days` whole days, one file each."""
    each = [first + timedelta(days=number) for number in range(days)]
    return [write_day(folder / f"{device}_{day}.csv", day, gap=day == first) for day in each]


def write_day(path: Path, day: date, *, start_s: int = 0, end_s: int = 86_400, gap: bool = False) -> Path:
    """The rows of one UTC day between two seconds of it; the day is the seed."""
    random = np.random.RandomState(day.toordinal())  # NumPy keeps its stream of numbers the same for ever
    seconds = np.arange(start_s, end_s)
    values = [_hall_sensor(random, seconds) for _ in range(SENSORS)]
    celsius = 12 + 6 * np.sin((seconds - 32_400) / 86_400 * 2 * np.pi) + random.normal(0, 0.05, len(seconds))
    kept = random.random_sample(len(seconds)) >= LOST
    if gap:
        middle = len(seconds) // 2
        kept[middle : middle + GAP_S] = False
    micros = np.datetime64(day, "us") + (seconds * 1_000_000 + PHASE_US).astype("timedelta64[us]")
    columns = {
        "ts": [f"{ts}Z" for ts in np.datetime_as_string(micros[kept])],
        **{f"m{number}": one[kept] for number, one in enumerate(values)},
        "outdoor_temp": np.round(celsius[kept], 2),
    }
    options = pa.csv.WriteOptions(delimiter=";", quoting_style="none", quoting_header="none")
    pa.csv.write_csv(pa.table(columns), path, options)
    return path


def _hall_sensor(random: np.random.RandomState, seconds: np.ndarray) -> np.ndarray:
    """One sensor: high while the valve is open, low while it is closed."""
    opened, closed = random.randint(3_000, 4_000), random.randint(1_500, 2_500)
    drift = random.normal(0, 0.02, len(seconds)).cumsum()
    gape = np.ones(len(seconds))
    for _ in range(1 + len(seconds) // 7_200):
        begin, length = random.randint(0, len(seconds)), random.randint(60, 900)
        since = np.arange(len(seconds)) - begin
        closing = np.clip(1 - since / 4, 0, 1)
        opening = np.clip((since - length) / 300, 0, 1)
        gape = np.minimum(gape, np.where(since < 0, 1, np.maximum(closing, opening)))
    noise = random.normal(0, 2, len(seconds))
    values: np.ndarray = np.rint(closed + (opened - closed) * gape + drift + noise).astype(np.int64)
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.recording", description="Write a recording.")
    parser.add_argument("dir", nargs="?", metavar="DIR", help="where to (default: the sample, in data/00_raw)")
    parser.add_argument("--days", type=int, default=30, metavar="N", help="whole days (default: 30)")
    options = parser.parse_args()
    if options.dir:
        written = write_days(Path(options.dir), days=options.days)
    else:
        written = write_sample(Path(__file__).parent.parent / "data" / "00_raw")
    print(f"{len(written)} files, {sum(path.stat().st_size for path in written):,} bytes")
