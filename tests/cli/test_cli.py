"""The command lines: what --help says, wrong use, closed pipes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from ..conftest import REPO, SmallProject

OPTIONS = {
    "runner": ["--treatment", "--input", "--output", "--params", "--root"],
    "flow": ["--flow", "--data", "--root"],
    "validator": ["PATH", "--root"],
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help(project: SmallProject, command: str) -> None:
    """--help fits a screen, names every option and the exit codes, and gives an example that can be run."""
    done = project.cli(command, "--help", env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) <= 24
    assert max(map(len, done.stdout.splitlines())) <= 100
    for word in (*OPTIONS[command], "exit codes: 0 done,"):
        assert word in done.stdout
    [example] = [line for line in done.stdout.splitlines() if line.startswith("example: ")]
    assert example.startswith(f"example: python -m pymyx.core.{command} ")
    arguments = example.split()[4:]
    if command == "validator":
        assert project.cli(command, *arguments, cwd=REPO).returncode == 0


@pytest.mark.parametrize(
    "arguments", [[], ["--treatmen", "x"], ["--treatment", "x", "--input", "a", "--output", "b", "more"]]
)
def test_wrong_use(project: SmallProject, arguments: list[str]) -> None:
    """Wrong arguments are told as every error is; options are not abbreviated."""
    done = project.cli("runner", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("\nhint: python -m pymyx.core.runner --help\n")


def test_closed_pipe(project: SmallProject) -> None:
    """A reader that goes away stops nothing: the treatment goes on to its end, quietly."""
    project.treatment(
        "double", "def run(input_dir, output_dir, params):\n    for _ in range(9):\n        print('x' * 99_999)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    argv = project.argv("runner", "--treatment", "double", "--input", "data/in", "--output", "data/out")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(argv, env=environment, stdout=writer, stderr=writer, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert project.statuses == ["double start", "double success"]


def test_working_folder_that_is_gone(project: SmallProject) -> None:
    """A working folder that was removed is told as such."""
    gone = project.root / "gone"
    gone.mkdir()
    script = f"rmdir {gone}; exec {' '.join(project.argv('flow', '--flow', 'x'))}"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(["sh", "-c", script], cwd=gone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: the working directory is gone\nhint: change to the project's folder\n"


PRINTS = (
    "def run(input_dir, output_dir, params):\n    print('said')\n    open(f'{output_dir}/a.parquet', 'w').close()\n"
)


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        (">&-", "said\nerror: the output cannot be written: Bad file descriptor\n"),
        ("2>&-", ""),
        (">&- 2>&-", ""),
        ("<&- >&- 2>&-", ""),
        (">/dev/full", "said\nerror: the output cannot be written: No space left on device\n"),
        ("2>/dev/full", ""),
        (">/dev/full 2>&1", ""),
    ],
)
def test_closed_and_full_streams_lose_the_text_and_nothing_else(project: SmallProject, streams: str, told: str) -> None:
    """All steps of a flow are run and published; it exits 1 because what was to be said could not be."""
    for number, kind in enumerate(("csv", "parquet")):
        project.treatment(f"prints_{number}", PRINTS, input={"format": kind, "description": "anything"})
    project.flow(
        {"treatment": "prints_0", "input": "in", "output": "first"},
        {"treatment": "prints_1", "input": "first", "output": "second"},
    )
    command = f"{' '.join(project.argv('flow', '--flow', 'chain'))} {streams}"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "2 steps" in done.stdout) == (1, not streams.startswith((">", "<")))
    assert done.stderr == (told.replace("said\n", "1/2 prints_0:\nsaid\n2/2 prints_1:\nsaid\n") if told else "")
    assert [path.name for path in (project.root / "data" / "second").iterdir()] == ["a.parquet"]
    assert project.statuses[-1] == "prints_1 success"


@pytest.mark.parametrize("words", ["--help", "list --json", "flow none"])
@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", ">/dev/full"])
def test_no_command_ends_in_a_traceback_for_want_of_a_stream(project: SmallProject, words: str, streams: str) -> None:
    """What cannot be told is lost; the exit code still says the truth."""
    command = f"{sys.executable} -m pymyx {words} {streams}"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    wrong = words == "flow none"
    lost = ">&- 2>&-" if wrong else ">"
    assert done.returncode == (2 if wrong else 1 if streams != "2>&-" and lost in streams else 0)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


HOSTILE = "clear \x1b[2J\x1b]0;title\x07 \x9b31m \x7f bell\rwell"


def test_escape_sequences_in_a_treatments_words_are_made_visible(
    project: SmallProject, pseudo_terminal: Callable[[list[str]], str]
) -> None:
    """In what it prints, in its error, in a warning, and in the log's text view, which keeps to one line an event."""
    code = (
        "import warnings\ndef run(input_dir, output_dir, params):\n"
        f"    words = {HOSTILE!r}\n    print(words)\n    warnings.warn(words)\n"
        "    raise ValueError(words + '\\nanother line')\n"
    )
    project.treatment("hostile", code)
    seen = r"clear \x1b[2J\x1b]0;title\x07 \x9b31m \x7f bell"
    done = project.run("hostile")
    assert done.stderr.startswith(f"{seen}\nwell\nwarning: {seen}\nwell\n")  # the carriage return moves on a terminal
    assert f"error: treatment `hostile` failed: ValueError: {seen}\\rwell\nanother line\n" in done.stderr
    shown = pseudo_terminal([sys.executable, "-m", "pymyx", "log"])
    assert f"ValueError: {seen}\\rwell\\nanother line" in shown
    assert len(shown.splitlines()) == 2
    for text in (done.stderr, shown):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


def test_a_signal_ends_a_command_whose_output_nobody_reads(project: SmallProject) -> None:
    """Also when all that was left to do is to tell."""
    line = '{"ts":"2026-01-20T00:00:00.000Z","treatment":"a","status":"start","input_dir":"a","output_dir":"b","duration_ms":0,"error":null}\n'
    (project.root / "pymyx.log").write_text(line * 2_000, encoding="utf-8")
    argv = [sys.executable, "-m", "pymyx", "log", "-n", "2000"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"2"
        process.terminate()
        assert process.wait(timeout=50) == 143
        assert process.stderr
        assert process.stderr.read() == b"error: terminated (SIGTERM)\n"
