"""The command lines: what --help says, wrong use, closed pipes."""

from __future__ import annotations

import os
import subprocess

import pytest

from .conftest import REPO, SmallProject

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
