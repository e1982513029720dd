"""What the tests share: small real projects in temporary folders, and the command lines run as a user runs them."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import configuration

from pymyx.core.logger import last_events

REPO = Path(__file__).parent.parent
MISBEHAVING = REPO / "tests" / "treatments"

# what Hypothesis keeps and commands compile goes at the end; they compile once what they import, whatever the environment
# says: else each of 1,500 commands would compile it again
KEPT = tempfile.mkdtemp()
atexit.register(shutil.rmtree, KEPT, ignore_errors=True)
configuration.set_hypothesis_home_dir(f"{KEPT}/hypothesis")
os.environ |= {"PYTHONPYCACHEPREFIX": f"{KEPT}/compiled", "PYTHONDONTWRITEBYTECODE": ""}

CONTRACT: dict[str, Any] = {
    "name": "double",
    "version": "1.0.0",
    "description": "A treatment of a test.",
    "input": {"format": "parquet", "description": "anything"},
    "output": {"format": "parquet", "description": "anything"},
    "params": {},
}
NOTHING = "def run(input_dir, output_dir, params):\n    pass\n"
STEP = {"treatment": "double", "input": "in", "output": "out"}
FLOW = {"name": "chain", "version": "1.0.0", "description": "A flow of a test.", "steps": [STEP]}


class SmallProject:
    """A project of a test: `in` is an input folder with one file, `out` an output folder that does not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.input = root / "data" / "in"
        self.output = root / "data" / "out"
        (root / "treatments").mkdir()
        (root / "flows").mkdir()
        self.input.mkdir(parents=True)
        (self.input / "a.csv").write_text("1;2\n", encoding="utf-8")

    def treatment(
        self, name: str, code: str = NOTHING, *, params: dict[str, Any] | None = None, **contract: Any
    ) -> Path:
        """Write treatments/<name>/; `contract` replaces keys of its treatment.json."""
        folder = self.root / "treatments" / name
        folder.mkdir(exist_ok=True)
        (folder / "run.py").write_text(code, encoding="utf-8")
        document = {**CONTRACT, "name": name, "params": params or {}, **contract}
        (folder / "treatment.json").write_text(json.dumps(document), encoding="utf-8")
        return folder

    def misbehaving(self, name: str) -> Path:
        """Copy one of tests/treatments/ into the project."""
        return Path(shutil.copytree(MISBEHAVING / name, self.root / "treatments" / name))

    def owned_by(self, name: str) -> None:
        """Let the output folder, and the parquet files in it, be those of a treatment."""
        state = self.root / "data" / ".pymyx" / "out"
        state.mkdir(parents=True)
        outputs = {
            path.name: {"stat": None, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in self.output.glob("*.parquet")
        }
        days = {"whole": {"code": "", "params": "", "inputs": {}, "outputs": outputs}}
        manifest = {"manifest": 2, "treatment": name, "input_dir": "data/in", "days": days}
        (state / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def flow(self, *steps: dict[str, Any], name: str = "chain") -> Path:
        """Write flows/<name>.json."""
        path = self.root / "flows" / f"{name}.json"
        path.write_text(json.dumps({**FLOW, "name": name, "steps": list(steps)}), encoding="utf-8")
        return path

    def cli(self, command: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `python -m pymyx.core.<command>` in the project's root."""
        return self._told(self.argv(command, *arguments), **options)

    def pymyx(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `pymyx <command>` in the project's root."""
        return self._told([sys.executable, "-m", "pymyx", *arguments], **options)

    def _told(self, argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=options.pop("cwd", self.root),
            env={**os.environ, "PYTHONPATH": str(REPO), **options.pop("env", {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=options.pop("timeout", 50),
            check=False,
            **options,
        )

    def argv(self, command: str, *arguments: str) -> list[str]:
        """The command line of `cli`."""
        return [sys.executable, "-m", f"pymyx.core.{command}", *arguments]

    def run(self, name: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one treatment from `in` to `out` by the runner's command line."""
        folders = ("--input", "data/in", "--output", "data/out")
        return self.cli("runner", "--treatment", name, *folders, *arguments, **options)

    def started(self, argv: list[str], stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """A command line in the background, in the project's root; signals end it as they would a user's."""
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(REPO)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=heed_interrupts,  # noqa: PLW1509  no other thread is running
        )

    @contextmanager
    def at_work(self, command: str, *arguments: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
        """A command line in the background, once its treatment has said `asleep`; ended in the end."""
        with self.started([*prefix, *self.argv(command, *arguments)]) as process:
            try:
                assert process.stderr
                heard = process.stderr.readline()
                if command == "flow":  # names the step before what it says
                    heard = process.stderr.readline()
                assert heard == "asleep\n"
                yield process
            finally:
                process.send_signal(signal.SIGCONT)
                process.terminate()

    @contextmanager
    def run_at_work(self, name: str, *options: str, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
        """The same for one treatment from `in` to `out`."""
        arguments = ("--treatment", name, "--input", "data/in", "--output", "data/out", *options)
        with self.at_work("runner", *arguments, prefix=prefix) as process:
            yield process

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the log."""
        return last_events(self.root / "pymyx.log")

    @property
    def statuses(self) -> list[str]:
        """Treatment and status of each event."""
        return [f"{event['treatment']} {event['status']}" for event in self.events]

    @property
    def stages(self) -> list[Path]:
        """What is left of stages, anywhere."""
        return list(self.root.rglob("stage-*"))


def heed_interrupts() -> None:
    """Let a process be ended even where the tests run in the background (SIGINT ignored) or by nohup (SIGHUP)."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder, with its mode and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def processes_of(root: Path) -> list[str]:
    """The processes that work below a folder, by their working folder or a path on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            inside = (process / "cwd").readlink().is_relative_to(root) or any(
                word.startswith(str(root)) for word in words
            )
        except OSError:  # it has ended since
            continue
        if inside and int(process.name) != os.getpid():
            found.append(f"{process.name}: {' '.join(words)}")
    return found


def wait_for_the_end(root: Path, patience_s: float = 5.0) -> None:
    """Wait until no process works below a folder: what follows a killed one ends after it, not at the same instant."""
    patience_ends = time.monotonic() + patience_s
    while processes_of(root) and time.monotonic() < patience_ends:
        time.sleep(0.01)
    assert processes_of(root) == []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallProject]:
    """A small project, which is the working directory; no test may leave a stage or a process in it."""
    monkeypatch.chdir(tmp_path)
    made = SmallProject(tmp_path)
    yield made
    assert made.stages == []
    assert processes_of(tmp_path) == []


@pytest.fixture
def pseudo_terminal(project: SmallProject) -> Callable[[list[str]], str]:
    """Runs a command on a terminal of its own; gives back all that it showed there."""

    def run(argv: list[str]) -> str:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "xterm"}
        with subprocess.Popen(
            argv, cwd=project.root, env=environment, stdout=theirs, stderr=theirs, stdin=theirs
        ) as done:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # the end of a terminal is an error on Linux
                while data := os.read(ours, 1 << 16):
                    shown += data
        os.close(ours)
        assert done.returncode == 0
        return shown.decode("utf-8")

    return run


@pytest.fixture
def repo_copy(tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of what git does not ignore of this repository: a fresh clone, without the need to commit first."""

    def copy() -> Path:
        names = subprocess.run(
            ["git", "ls-files", "-zco", "--exclude-standard"], cwd=REPO, capture_output=True, text=True, check=True
        ).stdout
        root = tmp_path / "clone"
        for name in filter(None, names.split("\0")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPO / name, root / name)
        return root

    return copy
