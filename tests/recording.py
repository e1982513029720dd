"""Writes recordings like those of a valvometer: any number of days, the same bytes for the same names.

    python -m tests.recording                          writes the sample of data/00_raw again
    python -m tests.recording DIR [--days 30]          writes whole days, and what the animals did: _truth.csv
    python -m tests.recording DIR --kind m3=dead m5=swapped --open-is low

What is real about it (reference: Hall sensors on mussels and oysters, 1 Hz, 10 bits): a fixed sub-second phase, some
samples lost in transmission, one gap while a sensor was unplugged, noise of a few units, a slow drift; valves that
close within seconds, stay closed for minutes or hours and open slowly; one long rest a period, of a day for some
animals, of a tide for the others. What an animal is and does hangs on its name and the time alone: its levels, its
drift and its rhythm go on from day to day, and a closure may last over midnight.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

SENSORS = 12
PHASE_US = 142_308
LOST = 0.02
GAP_S = 240
ADC = 1_023
SAMPLE_DAYS = (date(2026, 1, 20), date(2026, 1, 21))
KINDS = ("alive", "dead", "never_closing", "saturated", "swapped")
PERIODS_S = (86_400, 44_712)  # a day; a tide (M2), 12.42 h
SLOTS = 16  # a period: at most one short closure, or dip, in each
CLOSING_S, OPENING_S = 4, 300
CLOSED_BELOW, OPEN_ABOVE = 0.10, 0.15  # what the truth calls closed


class Event(NamedTuple):
    """What an animal does: `begin_s` since 1970 it starts to close down to `depth` of its gape, for `length_s`."""

    kind: str
    begin_s: float
    length_s: float
    depth: float


class Animal:
    """One animal on one sensor, from its name alone."""

    def __init__(self, name: str, kind: str = "alive") -> None:
        random = _random(name)
        self.name, self.kind = name, kind
        self.period_s = PERIODS_S[random.randint(2)]
        self.shift = random.random_sample()
        self.closed, self.opened = random.randint(90, 140), random.randint(880, 980)
        if kind == "saturated":
            self.opened = 1_300
        if kind == "swapped":  # its magnet lies farther away
            self.closed, self.opened = 300, 700
        self.drift = random.uniform(-0.3, 0.3)  # counts a day

    def events(self, start_s: int, end_s: int) -> list[Event]:
        """What it does between two instants, and what it had begun before."""
        if self.kind == "dead":
            return []
        rests = [self._rest(cycle) for cycle in range(start_s // self.period_s - 2, end_s // self.period_s + 1)]
        slot_s = self.period_s / SLOTS
        shorts = [self._short(slot) for slot in range(int(start_s // slot_s) - 1, int(end_s // slot_s) + 1)]
        free = [
            one
            for one in shorts
            if one
            and all(
                one.begin_s > rest.begin_s + rest.length_s + slot_s or one.begin_s + slot_s < rest.begin_s
                for rest in rests
            )
        ]
        both = [one for one in rests + free if self.kind != "never_closing" or one.kind == "dip"]
        return sorted(one for one in both if one.begin_s < end_s and one.begin_s + one.length_s + OPENING_S > start_s)

    def gape(self, seconds: np.ndarray) -> np.ndarray:
        """Its gape at instants in order, in s since 1970: 0 closed, 1 as wide as it can."""
        if self.kind == "dead":
            return np.full(len(seconds), 0.4)
        shape = np.ones(len(seconds))
        for _, begin_s, length_s, depth in self.events(int(seconds[0]), int(seconds[-1]) + 1):
            part = slice(*np.searchsorted(seconds, [begin_s, begin_s + length_s + OPENING_S]))
            since = seconds[part] - begin_s
            shut = np.maximum(np.clip(1 - since / CLOSING_S, 0, 1), np.clip((since - length_s) / OPENING_S, 0, 1))
            shape[part] = np.minimum(shape[part], 1 - depth * (1 - shut))
        gape: np.ndarray = shape * self.level(seconds)
        return gape

    def counts(self, seconds: np.ndarray) -> np.ndarray:
        """What its sensor would give without noise: high while it is open."""
        days = (seconds - _seconds(SAMPLE_DAYS[0])) / 86_400
        drift = self.drift * days + 4 * np.sin(2 * np.pi * (days / 9 + self.shift))
        counts: np.ndarray = self.closed + (self.opened - self.closed) * self.gape(seconds) + drift
        return counts

    def level(self, seconds: np.ndarray | float) -> np.ndarray:
        """How far it opens: widest half a period after its rest."""
        level: np.ndarray = np.asarray(0.86 - 0.1 * np.cos(2 * np.pi * (seconds / self.period_s - self.shift)))
        return level

    def _rest(self, cycle: int) -> Event:
        random, slot_s = _random(f"{self.name} rests {cycle}"), self.period_s / SLOTS
        begin_s = (cycle + self.shift) * self.period_s + random.uniform(-1, 0) * slot_s
        return Event("closure", begin_s, random.uniform(1, 3) * slot_s, 1)

    def _short(self, slot: int) -> Event | None:
        """A closure, more often near its rest; or a dip; or nothing."""
        random, slot_s = _random(f"{self.name} in {slot}"), self.period_s / SLOTS
        near = np.cos(2 * np.pi * ((slot + 0.5) / SLOTS - self.shift))
        drawn, place, size = random.random_sample(3)
        if drawn < 0.25 + 0.2 * near:
            return Event("closure", (slot + 0.3 * place) * slot_s, 150 + size**2 * (0.5 * slot_s - 500), 1)
        if drawn < 0.75:
            return Event("dip", (slot + 0.2 + 0.5 * place) * slot_s, 20 + 20 * size, 0.25 + 0.25 * size)
        return None


class Rack(NamedTuple):
    """The animals on the sensors of one device, all `alive` but those of `kinds` (sensor: kind).

    A `swapped` one is an animal like the others until the UTC day `swap`, from then on another on the same sensor.
    """

    device: str = "mussel-1"
    kinds: dict[str, str] = {}  # noqa: RUF012  never changed
    swap: date = SAMPLE_DAYS[0] + timedelta(days=3)
    open_is: str = "high"

    def animals(self, day: date) -> dict[str, Animal]:
        """The animal on each sensor on a day."""
        kinds = {f"m{number}": self.kinds.get(f"m{number}", "alive") for number in range(SENSORS)}
        old = {sensor: "alive" if kind == "swapped" and day < self.swap else kind for sensor, kind in kinds.items()}
        return {sensor: Animal(f"{self.device} {sensor} {kind}", kind) for sensor, kind in old.items()}

    def truth(self, first: date, days: int) -> list[tuple[str, float, float]]:
        """Sensor, begin and end, in s since 1970, of each closure that begins within `days` whole UTC days.

        It begins when the gape falls below 10 % of the whole, and ends when it rises above 15 %.
        """
        found = []
        for day in (first + timedelta(days=number) for number in range(days)):
            start_s = _seconds(day)
            for sensor, animal in self.animals(day).items():
                for kind, begin_s, length_s, _ in animal.events(start_s, start_s + 86_400):
                    begins = begin_s + CLOSING_S * (1 - CLOSED_BELOW / animal.level(begin_s))
                    ends = begin_s + length_s + OPENING_S * OPEN_ABOVE / animal.level(begin_s + length_s)
                    if kind == "closure" and start_s <= begins < start_s + 86_400:
                        found.append((sensor, float(begins), float(ends)))
        return sorted(found)


def write_sample(folder: Path) -> list[Path]:
    """The sample: the evening of one day, and the morning of the next."""
    rack = Rack("mussel-35")  # each of them closes in those hours, three over midnight
    evening = write_day(folder / f"sample_{SAMPLE_DAYS[0]}.csv", SAMPLE_DAYS[0], rack, start_s=72_000, gap=True)
    morning = write_day(folder / f"sample_{SAMPLE_DAYS[1]}.csv", SAMPLE_DAYS[1], rack, end_s=14_400)
    return [evening, morning]


def write_days(folder: Path, *, days: int, first: date = SAMPLE_DAYS[0], rack: Rack = Rack()) -> list[Path]:  # noqa: B008  a tuple
    """`days` whole days, one file each, with one gap on the first; a missing folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    each = [first + timedelta(days=number) for number in range(days)]
    return [write_day(folder / f"{rack.device}_{day}.csv", day, rack, gap=day == first) for day in each]


def write_truth(folder: Path, *, days: int, first: date = SAMPLE_DAYS[0], rack: Rack = Rack()) -> Path:  # noqa: B008  a tuple
    """The closures of those days as _truth.csv, which no treatment reads: sensor;begin;end."""
    path = folder / "_truth.csv"
    lines = [f"{sensor};{_text(begin)};{_text(end)}\n" for sensor, begin, end in rack.truth(first, days)]
    path.write_text("sensor;begin;end\n" + "".join(lines), encoding="utf-8")
    return path


def write_day(path: Path, day: date, rack: Rack, *, start_s: int = 0, end_s: int = 86_400, gap: bool = False) -> Path:
    """The rows of one UTC day between two seconds of it."""
    random = _random(f"{rack.device} {day}")
    seconds = np.arange(start_s, end_s)
    instants = _seconds(day) + seconds + PHASE_US / 1e6
    counts = {}
    for sensor, animal in rack.animals(day).items():
        high = np.rint(np.clip(animal.counts(instants) + random.normal(0, 2, len(seconds)), 0, ADC)).astype(np.int64)
        counts[sensor] = high if rack.open_is == "high" else ADC - high
    weather = 12 + 4 * np.sin((seconds - 32_400) / 86_400 * 2 * np.pi) + 2 * np.sin(instants / 544_320 * 2 * np.pi)
    celsius = weather + random.normal(0, 0.05, len(seconds))
    kept = random.random_sample(len(seconds)) >= LOST
    if gap:
        middle = len(seconds) // 2
        kept[middle : middle + GAP_S] = False
    micros = np.datetime64(day, "us") + (seconds * 1_000_000 + PHASE_US).astype("timedelta64[us]")
    columns = {
        "ts": [f"{ts}Z" for ts in np.datetime_as_string(micros[kept])],
        **{sensor: each[kept] for sensor, each in counts.items()},
        "outdoor_temp": np.round(celsius[kept], 2),
    }
    options = pa.csv.WriteOptions(delimiter=";", quoting_style="none", quoting_header="none")
    pa.csv.write_csv(pa.table(columns), path, options)
    return path


def _random(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()))  # NumPy keeps its stream of numbers the same for ever


def _seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400


def _text(seconds: float) -> str:
    return f"{np.datetime64(round(seconds * 1000), 'ms')}Z"


def main(arguments: list[str]) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.recording", description="Write a recording.")
    parser.add_argument("dir", nargs="?", metavar="DIR", help="where to (default: the sample, in data/00_raw)")
    parser.add_argument("--days", type=int, default=30, metavar="N", help="whole days (default: 30)")
    parser.add_argument(
        "--device", default="mussel-1", metavar="NAME", help="other animals for another name (default: mussel-1)"
    )
    parser.add_argument(
        "--kind", nargs="+", default=[], metavar="SENSOR=KIND", help=f"animals that are {', '.join(KINDS[1:])}"
    )
    parser.add_argument(
        "--swap",
        type=date.fromisoformat,
        default=Rack().swap,
        metavar="DAY",
        help=f"when the swapped ones are (default: {Rack().swap})",
    )
    parser.add_argument(
        "--open-is", choices=("high", "low"), default="high", help="counts of an open valve (default: high)"
    )
    options = parser.parse_args(arguments)
    kinds = dict(one.partition("=")[::2] for one in options.kind)
    wrong = [
        f"{sensor}={kind}"
        for sensor, kind in kinds.items()
        if kind not in KINDS or sensor not in Rack().animals(SAMPLE_DAYS[0])
    ]
    if wrong:
        parser.error(f"{wrong[0]}: accepted are m0 to m{SENSORS - 1}, and {', '.join(KINDS)}")
    if options.dir:
        rack = Rack(options.device, kinds, options.swap, options.open_is)
        written = write_days(Path(options.dir), days=options.days, rack=rack)
        write_truth(Path(options.dir), days=options.days, rack=rack)
    else:
        written = write_sample(Path(__file__).parent.parent / "data" / "00_raw")
    print(f"{len(written)} files, {sum(path.stat().st_size for path in written):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
