"""Random histories of a station: after each, every output byte is that of a build from scratch, and a second run does nothing.

PYMYX_SEEDS=200 python -m pytest tests/incremental/test_incremental_fuzz.py
"""

from __future__ import annotations

import json
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.errors import FlowStopped, LateDataError, PublishError, TreatmentError, UsageError
from pymyx.core.flow import run_flow
from pymyx.core.incremental import files as folder
from pymyx.core.incremental.files import day_of
from pymyx.core.runner import Result

from ..conftest import MISBEHAVING, REPO, SmallProject, wait_for_the_end

STEPS = [
    {"treatment": "split_days", "input": "in", "output": "split"},
    {"treatment": "rolling_mean", "input": "split", "output": "rolled"},
    {"treatment": "total", "input": "rolled", "output": "totals"},
]
NAMES = [step["treatment"] for step in STEPS]
OLD_NS = 1_700_000_000 * 10**9


def contents(place: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in place.iterdir()} if place.is_dir() else {}


class Station:
    """A project, what happens to it, and what is known of it beside what PyMyx knows."""

    def __init__(self, root: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.chance = random.Random(seed)
        for path in (root / "data" / "in").iterdir():
            path.unlink()
        for name in NAMES:
            shutil.copytree(MISBEHAVING / name, root / "treatments" / name)
        self.params: list[dict[str, Any]] = [{}, {}, {}]
        self.write_flow()
        self.made_from: dict[str, set[str]] = {}  # day: the raw files that it was last made from
        self.versions: dict[str, list[bytes]] = {}
        self.shrunk: list[str] = []
        self.done: list[str] = []
        self.operations = OPERATIONS
        if seed % 2:  # stats are trusted at once, as in ordinary life; but then nothing may write meanwhile
            monkeypatch.setattr(folder, "RACY_NS", 0)
            self.operations = [one for one in OPERATIONS if one != "live_writer"]
        for day in range(3, 3 + self.chance.randint(1, 5)):
            self.write(self.name(day), self.lines(day))

    @property
    def raw(self) -> Path:
        return self.root / "data" / "in"

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.raw.iterdir() if path.suffix == ".csv")

    def name(self, day: int) -> str:
        return f"m_2026-01-{day:02}.csv"

    def lines(self, day: int) -> bytes:
        """A few rows, now and then of the day before or after."""
        rows = []
        for _ in range(self.chance.randint(1, 4)):
            at = day + self.chance.choice([0, 0, 0, 0, -1, 1])
            rows.append(f"2026-01-{at:02}T{self.chance.randint(0, 23):02}:00:00Z;{self.chance.randint(0, 99)}\n")
        return "".join(rows).encode()

    def write(self, name: str, data: bytes) -> None:
        (self.raw / name).write_bytes(data)
        self.versions.setdefault(name, []).append(data)

    def write_flow(self) -> None:
        steps = [{**step, "params": params} for step, params in zip(STEPS, self.params, strict=True)]
        flow = {"name": "chain", "version": "1.0.0", "description": "The flow of the fuzz.", "steps": steps}
        (self.root / "flows" / "chain.json").write_text(json.dumps(flow), encoding="utf-8")

    def some(self) -> Path:
        return self.chance.choice(self.files)

    # what happens

    def append(self) -> None:
        path = self.files[-1]
        day = int(day_of(path.name)[8:] or 5)
        self.write(path.name, path.read_bytes() + self.lines(day))

    def new_day(self) -> None:
        day = max([int(day_of(path.name)[8:] or 0) for path in self.files]) + self.chance.randint(1, 3)
        if day < 28:
            self.write(self.name(day), self.lines(day))

    def grow(self, name: str, lines: bytes) -> None:
        path = self.raw / name
        self.write(name, (path.read_bytes() if path.exists() else b"") + lines)

    def late_file(self) -> None:
        day = self.chance.randint(2, 27)
        self.grow(self.name(day), self.lines(day))

    def second_device(self) -> None:
        day = self.chance.randint(2, 27)
        self.grow(f"other_2026-01-{day:02}.csv", self.lines(day))

    def revert(self) -> None:
        path = self.some()
        self.write(path.name, self.versions[path.name][0])
        os.utime(path, ns=(OLD_NS, OLD_NS))
        self.mend()
        self.run(prune=True)

    def shrink(self) -> None:
        """A dated file loses its end: what was made from it stays, and that is an error."""
        self.check()
        path = self.chance.choice([path for path in self.files if day_of(path.name)] or [self.raw])
        if path == self.raw or len(path.read_bytes().splitlines()) < 2:
            return
        before = contents(self.root / "data" / "split")
        path.write_bytes(b"".join(path.read_bytes().splitlines(True)[: self.chance.randint(0, 1)]))
        whole = (self.raw / "undated.csv").exists()
        days = {f"2026-01-{int(day_of(path.name)[8:]) + shift:02}" for shift in (-1, 0, 1)}
        with pytest.raises(FlowStopped) as caught:
            run_flow("chain", root=self.root, keep_going=True)
        assert isinstance(caught.value.errors[0], LateDataError)
        assert path.name in str(caught.value.errors[0])
        after = contents(self.root / "data" / "split")
        kept = {name: data for name, data in before.items() if whole or day_of(name) in days}
        assert {name: after[name] for name in kept} == kept
        self.shrunk.append(path.name)

    def regrow(self) -> None:
        """A file that had shrunk is whole again, or larger; its day is made again, and nothing is said."""
        if not self.shrunk:
            self.shrink()
        for name in self.shrunk:
            path, largest = self.raw / name, max(self.versions[name], key=len)
            if path.exists():
                self.write(name, largest + self.chance.choice([b"", largest.splitlines(True)[0] if largest else b""]))
        self.shrunk = []

    def same_size_and_time(self) -> None:
        path = self.some()
        data, status = path.read_bytes(), path.stat()
        if data and b"boom" not in data:
            digit = self.chance.choice(b"123456789")
            self.write(path.name, data[:-2] + bytes([digit]) + data[-1:])
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def touch(self) -> None:
        os.utime(self.some())

    def touch_future(self) -> None:
        future = time.time_ns() + 10**15
        os.utime(self.some(), ns=(future, future))

    def new_params(self) -> None:
        self.params = [{"scale": self.chance.randint(1, 3)}, {"window": self.chance.randint(1, 4)}, {}]
        self.write_flow()

    def new_code(self) -> None:
        path = self.root / "treatments" / self.chance.choice(NAMES) / "run.py"
        text = path.read_text(encoding="utf-8")
        old, new = self.chance.choice([(":.3f}", ":.2f}"), (":.2f}", ":.3f}"), ("> 50", "> 40"), ("> 40", "> 50")])
        path.write_text(text.replace(old, new), encoding="utf-8")

    def new_helper(self) -> None:
        treatment = self.root / "treatments" / self.chance.choice(NAMES)
        (treatment / "helper.py").write_text(f"NUMBER = {self.chance.randint(0, 9)}\n", encoding="utf-8")

    def hand_edit(self) -> None:
        outputs = [path for step in STEPS for path in (self.root / "data" / step["output"]).glob("*.parquet")]
        if outputs:
            path = self.chance.choice(outputs)
            path.write_bytes(path.read_bytes()[:-1] + b"9\n")

    def lose_output(self) -> None:
        outputs = [path for step in STEPS for path in (self.root / "data" / step["output"]).glob("*.parquet")]
        if outputs:
            self.chance.choice(outputs).unlink()

    def own_file(self) -> None:
        output = self.root / "data" / self.chance.choice(STEPS)["output"]
        if output.is_dir():
            (output / "_notes.txt").write_text("mine", encoding="utf-8")

    def undated(self) -> None:
        """A stray file of no day comes; or goes, and days that no other file is of stay as they are."""
        stray = self.raw / "undated.csv"
        if not stray.exists():
            self.write("undated.csv", self.lines(9))
            return
        self.check()
        if not self.made_from:
            windows = self.windows({path.name for path in self.files} - {stray.name})
            days = {day_of(name) for name in contents(self.root / "data" / "split")} - {""}
            self.made_from = {day: {stray.name, *windows.get(day, ())} for day in days}
            stray.unlink()

    def bad_day(self) -> None:
        path = self.some()
        day = day_of(path.name) or "2026-01-09"
        self.write(path.name, path.read_bytes() + f"{day}T00:00:00Z;boom\n".encode())

    def mend(self) -> None:
        for path in self.files:
            if b"boom" in path.read_bytes():
                self.write(path.name, path.read_bytes().replace(b"boom", b"0050"))

    def archive(self) -> None:
        if len(self.files) > 2 and not (self.raw / "undated.csv").exists():
            self.some().unlink()

    def archive_and_prune(self) -> None:
        self.mend()
        if len(self.files) > 2:
            self.some().unlink()
        self.run(prune=True)

    def some_days(self) -> None:
        self.late_file()
        self.new_params()
        first = self.chance.randint(1, 27)
        self.run(from_=f"2026-01-{first:02}", to=f"2026-01-{min(31, first + 5):02}")

    def force(self) -> None:
        self.run(force=True)

    def kill(self) -> None:
        """A real run, killed at a random moment; nothing of it goes on."""
        argv = [sys.executable, "-m", "pymyx.core.flow", "--flow", "chain", "--root", str(self.root), "--keep-going"]
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.chance.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for_the_end(self.root)
        self.unsure = True

    def crash_in_publishing(self) -> None:
        """A run that ends at a random rename of its publishing, as by a loss of power."""
        code = (
            "import os, sys\nleft = int(sys.argv[2])\nreplace = os.replace\n"
            "def counted(*a):\n    global left\n    left -= 1\n    if left < 0:\n        os.kill(os.getpid(), 9)\n    replace(*a)\n"
            "os.replace = counted\nfrom pymyx.core.flow import run_flow\nrun_flow('chain', root=sys.argv[1], keep_going=True)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        argv = [sys.executable, "-c", code, str(self.root), str(self.chance.randint(0, 25))]
        subprocess.run(argv, env=environment, capture_output=True, check=False)
        self.unsure = True

    def crash_then_revoke(self) -> None:
        """A file is half published when its run ends, and gone before the next."""
        path = self.raw / "gone_2026-01-27.csv"
        path.write_bytes(b"2026-01-27T00:00:00Z;10\n2026-01-27T01:00:00Z;90\n2026-01-28T00:00:00Z;90\n")
        known = self.made_from
        self.crash_in_publishing()
        path.unlink()
        self.made_from = known
        if any("gone_" in name for made in self.manifest_inputs() for name in made):
            self.run(prune=True)

    def manifest_inputs(self) -> list[dict[str, str]]:
        """What each day of the first step was made from, as far as the manifest can be read."""
        path = self.root / "data" / ".pymyx" / "split" / "manifest.json"
        try:
            return [made["inputs"] for made in json.loads(path.read_text(encoding="utf-8"))["days"].values()]
        except (OSError, ValueError, KeyError):
            return []

    def live_writer(self) -> None:
        """A collector appends and renames files into place while the flow runs."""
        stop = threading.Event()
        chance = random.Random(self.chance.random())
        day = int(day_of(self.files[-1].name)[8:] or 5)

        def collect() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                if chance.random() < 0.5:
                    with (self.raw / self.name(day)).open("ab") as file:
                        file.write(f"2026-01-{day:02}T00:00:{number % 60:02}Z;{number % 100:02}\n".encode())
                else:
                    new = self.raw / ".new"
                    new.write_bytes(f"2026-01-{day:02}T01:00:{number % 60:02}Z;{number % 100:02}\n".encode())
                    new.rename(self.raw / f"live_2026-01-{day:02}.csv")
                time.sleep(0.005)

        writer = threading.Thread(target=collect)
        writer.start()
        try:
            self.run()
        finally:
            stop.set()
            writer.join()
        for name in (self.name(day), f"live_2026-01-{day:02}.csv"):
            if (self.raw / name).exists():
                self.versions.setdefault(name, []).append((self.raw / name).read_bytes())

    def move(self) -> None:
        elsewhere = self.root.with_name(f"{self.root.name}_{len(self.done)}")
        self.root.rename(elsewhere)
        self.root = elsewhere

    def lose_state(self) -> None:
        """The manifest of a step is gone or damaged: nothing is run, until it is back, or the folder is begun anew."""
        self.check()
        step = self.chance.choice(STEPS)
        output = self.root / "data" / step["output"]
        path = output.parent / ".pymyx" / output.name / "manifest.json"
        text = path.read_bytes()
        path.unlink()
        if self.chance.random() < 0.5:
            path.write_bytes(text[: self.chance.randint(0, len(text) - 3)])
        if not list(output.glob("*.parquet")):
            path.write_bytes(text)
            return
        self.is_refused(**({} if step is STEPS[2] else {"prune": True}))
        names = {path.name for path in self.files}
        if self.frozen(names) or self.chance.random() < 0.3:
            path.write_bytes(text)
        elif step is STEPS[2] or (step is STEPS[0] and "undated.csv" in names):
            self.is_refused(force=True)
            shutil.rmtree(output)
            path.unlink(missing_ok=True)
        else:
            self.run(force=True, prune=True)

    def edit_manifest(self) -> None:
        """It is edited by somebody: what reaches outside is refused, other code than recorded makes its day stale."""
        self.check()
        step = self.chance.choice(STEPS)
        output = self.root / "data" / step["output"]
        path = output.parent / ".pymyx" / output.name / "manifest.json"
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        keep = self.root / "keep"
        keep.write_text("mine", encoding="utf-8")
        day = self.chance.choice(list(document["days"]) or ["whole"])
        outside = {"../../keep": {"stat": None, "sha256": "0"}}
        made = document["days"].get(day, {"code": "", "params": "", "inputs": {}, "outputs": {}})
        kind = self.chance.choice(["outputs", "pending", "day", "code"])
        if kind == "code":
            document["days"][day] = {**made, "code": "another"}
        elif kind == "pending":
            document["pending"] = {"../../keep": "0"}
        else:
            document["days"]["../../keep" if kind == "day" else day] = {**made, "outputs": outside}
        path.write_text(json.dumps(document), encoding="utf-8")
        if kind != "code":
            if list(output.glob("*.parquet")):
                self.is_refused()
            assert keep.read_text(encoding="utf-8") == "mine"
            path.write_text(text, encoding="utf-8")

    def is_refused(self, **options: Any) -> None:
        """A run does nothing at all."""
        before = {step["output"]: contents(self.root / "data" / step["output"]) for step in STEPS}
        with pytest.raises(UsageError):
            run_flow("chain", root=self.root, keep_going=True, **options)
        assert {step["output"]: contents(self.root / "data" / step["output"]) for step in STEPS} == before

    # what must hold

    def run(self, **options: Any) -> list[Result] | None:
        """Run the flow; None when some days failed, or there is late data."""
        before = contents(self.root / "data" / "split")
        names = {path.name for path in self.files}
        jobs = self.chance.choice([1, 2, 3])
        self.unsure = False
        try:
            results = run_flow("chain", root=self.root, jobs=jobs, keep_going=True, **options)
        except FlowStopped as stopped:
            print("\n".join(str(one) for one in stopped.errors))
            expected = TreatmentError | LateDataError | PublishError
            assert all(isinstance(one, expected) for one in stopped.errors), stopped.errors
            self.unsure = True
            return None
        if "from_" not in options and before is not None:
            self.remember(names, prune=bool(options.get("prune")))
        else:
            self.unsure = True
        return results

    def remember(self, names: set[str], *, prune: bool) -> None:
        frozen = set() if prune else self.frozen(names)
        windows = {} if "undated.csv" in names else self.windows(names)
        if "undated.csv" in names and not frozen:
            self.made_from = {}
            return
        self.made_from = {day: used for day, used in self.made_from.items() if day in frozen}
        self.made_from |= {day: used for day, used in windows.items() if day not in frozen}

    def windows(self, names: set[str]) -> dict[str, set[str]]:
        windows: dict[str, set[str]] = {}
        for name in names:
            for shift in (-1, 0, 1):
                windows.setdefault(f"2026-01-{int(day_of(name)[8:]) + shift:02}", set()).add(name)
        return windows

    def frozen(self, names: set[str]) -> set[str]:
        own = set(map(day_of, names))
        return {
            day
            for day, used in self.made_from.items()
            if used - names and (used - names != {"undated.csv"} or day not in own)
        }

    def check(self) -> None:
        """Run until nothing changes; compare with a build from scratch; see that a further run does nothing."""
        frozen_before = contents(self.root / "data" / "split")
        results = self.run()
        if results is None and any(b"boom" in path.read_bytes() for path in self.files):
            self.mend()
            results = self.run()
        if results is None:  # late data for frozen days
            results = self.run(prune=True)
            frozen_before = {}
            self.run()
        assert results is not None
        names = {path.name for path in self.files}
        frozen = self.frozen(names) if not self.unsure else set()
        with tempfile.TemporaryDirectory() as scratch:
            for number, step in enumerate(STEPS):
                built = Path(scratch) / str(number)
                built.mkdir()
                code = runpy.run_path(str(self.root / "treatments" / step["treatment"] / "run.py"))
                defaults = json.loads((MISBEHAVING / step["treatment"] / "treatment.json").read_text())["params"]
                params = {name: param["default"] for name, param in defaults.items()} | self.params[number]
                code["run"](str(self.root / "data" / step["input"]), str(built), params)
                expected = contents(built)
                found = contents(self.root / "data" / step["output"])
                found.pop("_notes.txt", None)
                if number == 0 and frozen:
                    expected = {name: data for name, data in expected.items() if day_of(name) not in frozen}
                    kept = {name: data for name, data in frozen_before.items() if day_of(name) in frozen}
                    expected |= kept
                assert found == expected, (step["treatment"], sorted(found), sorted(expected), sorted(frozen))
        self.second_run()

    def second_run(self) -> None:
        log = (self.root / "pymyx.log").read_bytes()
        before = {path: path.stat().st_mtime_ns for path in self.root.glob("data/[!.]*/*")}
        results = run_flow("chain", root=self.root)
        assert all(result.plan.idle for result in results), [result.plan.reasons for result in results]
        assert (self.root / "pymyx.log").read_bytes() == log
        assert {path: path.stat().st_mtime_ns for path in self.root.glob("data/[!.]*/*")} == before
        assert not list(self.root.rglob("stage-*"))


OPERATIONS = [
    "append",
    "new_day",
    "late_file",
    "second_device",
    "revert",
    "shrink",
    "regrow",
    "same_size_and_time",
    "touch",
    "touch_future",
    "new_params",
    "new_code",
    "new_helper",
    "hand_edit",
    "lose_output",
    "own_file",
    "undated",
    "undated",
    "bad_day",
    "mend",
    "archive",
    "archive",
    "archive_and_prune",
    "some_days",
    "some_days",
    "some_days",
    "force",
    "kill",
    "crash_in_publishing",
    "crash_then_revoke",
    "crash_then_revoke",
    "live_writer",
    "move",
    "lose_state",
    "edit_manifest",
]
SEEDS = int(os.environ.get("PYMYX_SEEDS", "6"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_history_ends_as_a_build_from_scratch(
    project: SmallProject, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happened, in whatever order."""
    (project.root / "station").mkdir()
    for name in ("treatments", "flows", "data"):
        (project.root / name).rename(project.root / "station" / name)
    station = Station(project.root / "station", seed, monkeypatch)
    station.check()
    for _ in range(8):
        for _ in range(station.chance.choice([1, 1, 2, 3])):
            operation = station.chance.choice(station.operations)
            station.done.append(operation)
            print(operation)
            getattr(station, operation)()
        station.done.append("check")
        print("check")
        station.check()
