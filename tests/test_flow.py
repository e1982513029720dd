"""Flows: checked wholly first, then step by step, stopping at the first failure."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pymyx.core.errors import FlowStopped, TreatmentError, UsageError
from pymyx.core.flow import run_flow

from .conftest import NOTHING, SmallProject, snapshot

COPY = """import os, shutil

def run(input_dir, output_dir, params):
    for name in os.listdir(input_dir):
        shutil.copy(os.path.join(input_dir, name), output_dir)
    open(os.path.join(output_dir, params["mark"]), "w").close()
"""


@pytest.fixture
def chain(project: SmallProject) -> SmallProject:
    """A project with a treatment that copies and leaves a mark, and a flow of three such steps."""
    project.treatment("copy", COPY, params={"mark": {"type": "string", "default": "copied"}})
    project.treatment("copy_again", COPY, params={"mark": {"type": "string"}})
    project.flow(
        {"treatment": "copy", "input": "in", "output": "a"},
        {"treatment": "copy_again", "input": "a", "output": "deeper/b", "params": {"mark": "again"}},
        {"treatment": "copy", "input": "deeper/b", "output": "c"},
    )
    return project


def test_steps_run_in_order(chain: SmallProject) -> None:
    """Each step reads what the one before published; a line per step tells duration and files."""
    done = chain.cli("flow", "--flow", "chain")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(chain.root / "data" / "c")) == ["a.csv", "again", "copied"]
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    assert [(line[0], line[-1]) for line in lines[:3]] == [
        ("1/3 copy: data/in -> data/a", "2 files"),
        ("2/3 copy_again: data/a -> data/deeper/b", "3 files"),
        ("3/3 copy: data/deeper/b -> data/c", "3 files"),
    ]
    assert lines[3][0].startswith("flow chain done: 3 steps, ")
    names = ["copy start", "copy success", "copy_again start", "copy_again success", "copy start", "copy success"]
    assert chain.statuses == names
    results = run_flow("chain", force=True)
    assert [(one.treatment, len(one.files)) for one in results] == [("copy", 2), ("copy_again", 3), ("copy", 3)]


def test_everything_is_checked_before_the_first_step(chain: SmallProject) -> None:
    """A fault in the last step keeps the first from running."""
    (chain.root / "treatments" / "copy_again" / "run.py").write_text("def run(", encoding="utf-8")
    done = chain.cli("flow", "--flow", "chain")
    assert (done.returncode, done.stdout, chain.events) == (2, "", [])
    assert done.stderr == "error: not Python: '(' was never closed\n  at treatments/copy_again/run.py:1:8\n  def run(\n"
    assert not (chain.root / "data" / "a").exists()


def test_missing_input_of_the_first_step(chain: SmallProject) -> None:
    """The raw folder must be there; those in between are made by the flow itself."""
    for path in chain.input.iterdir():
        path.unlink()
    chain.input.rmdir()
    done = chain.cli("flow", "--flow", "chain")
    assert (done.returncode, chain.events) == (2, [])
    assert done.stderr == (
        "error: the input folder `data/in` is missing\n  at flows/chain.json, steps[0].input\nnote: no flow writes it\n"
        "hint: create it and put the input files there\n"
    )


def test_unknown_flow(chain: SmallProject) -> None:
    """The names that there are are listed, the nearest is suggested."""
    done = chain.cli("flow", "--flow", "chian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no flow `chian`\n  at flows\n  accepted: chain\nhint: did you mean `chain`?\n"


def test_a_failure_stops_the_flow(chain: SmallProject) -> None:
    """Which step, which error, what was done, what was not run; the steps before stay published."""
    chain.misbehaving("segfault")
    chain.flow(
        {"treatment": "copy", "input": "in", "output": "a"},
        {"treatment": "segfault", "input": "in", "output": "b"},
        {"treatment": "copy", "input": "b", "output": "c"},
        {"treatment": "copy_again", "input": "c", "output": "d", "params": {"mark": "x"}},
    )
    before = snapshot(chain.input)
    done = chain.cli("flow", "--flow", "chain")
    assert done.returncode == 1
    assert done.stdout.startswith("1/4 copy: data/in -> data/a")
    assert done.stdout.count("\n") == 1
    assert "error: treatment `segfault` crashed after " in done.stderr
    assert "note: nothing was published; `data/b` is unchanged\n" in done.stderr
    assert done.stderr.endswith(
        "error: flow `chain` stopped at step 2/4 `segfault` (why: above)\n"
        "  done: copy   failed: segfault   not run: copy, copy_again\n"
        "hint: mend it, then run the flow again\n"
    )
    assert chain.statuses == ["copy start", "copy success", "segfault start", "segfault error"]
    assert (snapshot(chain.input), sorted(os.listdir(chain.root / "data" / "a"))) == (before, ["a.csv", "copied"])
    with pytest.raises(FlowStopped) as caught:
        run_flow("chain")
    error = caught.value
    assert (error.flow, error.step, error.done, error.failed) == ("chain", 2, ["copy"], ["segfault"])
    assert (error.not_run, error.exit_code) == (["copy", "copy_again"], 1)
    assert isinstance(error.__cause__, TreatmentError)


def test_data_root(chain: SmallProject) -> None:
    """--data names another data root: the same flow for another device."""
    device = chain.root / "station" / "device-2"
    (device / "in").mkdir(parents=True)
    done = chain.cli("flow", "--flow", "chain", "--data", "station/device-2")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(device / "c")) == ["again", "copied"]
    assert not (chain.root / "data" / "c").exists()
    assert chain.events[0]["input_dir"] == "station/device-2/in"
    with pytest.raises(UsageError):
        run_flow("chain", data="station/device-3")


def test_input_folder_with_a_typo_says_where_and_what_is_near(chain: SmallProject) -> None:
    """A folder that another step is to write is near, too, also before it is there."""
    chain.flow(
        {"treatment": "copy", "input": "in", "output": "10_parsed"},
        {"treatment": "copy", "input": "10_prased", "output": "b"},
    )
    done = chain.cli("flow", "--flow", "chain")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: the input folder `data/10_prased` is missing\n  at flows/chain.json, steps[1].input\n"
        "note: no flow writes it\nhint: did you mean `10_parsed`?\n",
    )


def test_what_a_step_prints_stands_under_its_name(chain: SmallProject) -> None:
    """Each step that has something to say is named before it, once."""
    code = COPY + "    print('from a library')\n    print('more')\n"
    chain.treatment("copy_again", code, params={"mark": {"type": "string"}})
    done = chain.cli("flow", "--flow", "chain")
    assert done.stderr == "2/3 copy_again:\nfrom a library\nmore\n"


def test_a_stub_says_so(chain: SmallProject) -> None:
    """A step whose `run` does nothing yet is not taken for one that found nothing."""
    chain.treatment("copy", NOTHING, params={"mark": {"type": "string", "default": ""}})
    for _ in range(2):
        done = chain.cli("flow", "--flow", "chain")
        assert [line.endswith("  stub") for line in done.stdout.splitlines()] == [True, False, True, False]


def test_interrupt(chain: SmallProject) -> None:
    """Ctrl-C stops the step at work and tells what was done."""
    chain.misbehaving("sleeps")
    chain.flow(
        {"treatment": "copy", "input": "in", "output": "a"}, {"treatment": "sleeps", "input": "in", "output": "b"}
    )
    with chain.at_work("flow", "--flow", "chain") as flow:
        flow.send_signal(signal.SIGINT)
        _, told = flow.communicate(timeout=50)
    assert told == (
        "error: interrupted (SIGINT)\nnote: nothing was published; `data/b` is unchanged\n"
        "error: flow `chain` stopped at step 2/2 `sleeps` (why: above)\n"
        "  done: copy   failed: sleeps   not run: none\nhint: mend it, then run the flow again\n"
    )
    assert flow.returncode == 130
    assert chain.statuses == ["copy start", "copy success", "sleeps start", "sleeps error"]


def test_links_do_not_hide_that_two_folders_are_one(chain: SmallProject) -> None:
    """A folder that is a link to another counts as that other folder."""
    (chain.root / "data" / "alias").symlink_to(chain.root / "data" / "a")
    chain.flow(
        {"treatment": "copy", "input": "in", "output": "a"}, {"treatment": "copy", "input": "in", "output": "alias"}
    )
    with pytest.raises(UsageError) as caught:
        run_flow("chain")
    assert caught.value.faults[0].what == "the output folder `alias` has two writers"


def test_output_folder_may_be_a_link_to_another_place(
    chain: SmallProject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A data folder that is a link (to a larger disk, say) is written through, and stays a link."""
    disk = tmp_path_factory.mktemp("disk")
    (chain.root / "data" / "a").symlink_to(disk)
    results = run_flow("chain")
    assert results[0].output_dir == "data/a"
    assert sorted(path.name for path in disk.iterdir()) == ["a.csv", "copied"]
    assert (chain.root / "data" / "a").is_symlink()
    assert not list(Path(disk.parent, ".pymyx").rglob("stage-*"))
