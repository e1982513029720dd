"""Every way for a treatment to end: the exact verdict, the runner alive, nothing published, nothing left."""

from __future__ import annotations

import ast
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.errors import TreatmentError
from pymyx.core.isolation import children
from pymyx.core.isolation.child import SHIM
from pymyx.core.runner import run_treatment

from ..conftest import REPO, SmallProject, processes_of, snapshot, wait_for_the_end

UNCHANGED = "note: nothing was published; `data/out` is unchanged\n"
ALONE = "hint: run it alone: python -m pymyx.core.runner --treatment {name} --input data/in --output scratch\n"
ENDED = "note: something in it ended the process, as os._exit() does, or closed its descriptors\n"
KILLED = "note: SIGKILL comes from outside: from the kernel when memory runs out, or from whoever sent it\n"
MORE_MEMORY = (
    "hint: give it more: limits.memory_mb in treatments/{name}/treatment.json, or --memory-mb, the stricter counts\n"
)

# what the runner says on its stderr, whole; the event holds the first lines of it
FAILURES = {
    "raises": """failed: KeyError: 'speed'
  at treatments/raises/run.py:5, in _inner
  Traceback (most recent call last):
    File "treatments/raises/run.py", line 10, in run
      _inner({"a": 1})
    File "treatments/raises/run.py", line 5, in _inner
      return values["speed"]
  KeyError: 'speed'
""",
    "raises_chain": """failed: RuntimeError: no calibration
  at treatments/raises_chain/run.py:10, in run
  because of: ValueError: invalid literal for int() with base 10: 'abc' (at treatments/raises_chain/run.py:6, in run)
  Traceback (most recent call last):
    File "treatments/raises_chain/run.py", line 6, in run
      int("abc")
  ValueError: invalid literal for int() with base 10: 'abc'
  \n  The above exception was the direct cause of the following exception:
  \n  Traceback (most recent call last):
    File "treatments/raises_chain/run.py", line 10, in run
      raise problem from error
  RuntimeError: no calibration
  looked for calibration.json
note: looked for calibration.json
""",
    "raises_context": """failed: ValueError: second
  at treatments/raises_context/run.py:8, in run
  while handling: KeyError: 'missing' (at treatments/raises_context/run.py:6, in run)
  Traceback (most recent call last):
    File "treatments/raises_context/run.py", line 6, in run
      {}["missing"]
  KeyError: 'missing'
  \n  During handling of the above exception, another exception occurred:
  \n  Traceback (most recent call last):
    File "treatments/raises_context/run.py", line 8, in run
      raise ValueError("second")
  ValueError: second
""",
    "raises_group": """failed: ExceptionGroup: two at once (2 sub-exceptions)
  at treatments/raises_group/run.py:5, in run
    + Exception Group Traceback (most recent call last):
    |   File "treatments/raises_group/run.py", line 5, in run
    |     raise ExceptionGroup("two at once", [ValueError("one"), TypeError("two")])
    | ExceptionGroup: two at once (2 sub-exceptions)
    +-+---------------- 1 ----------------
      | ValueError: one
      +---------------- 2 ----------------
      | TypeError: two
      +------------------------------------
""",
    "str_raises": """failed: run.Hostile: (its __str__ raised RuntimeError)
  at treatments/str_raises/run.py:10, in run
""",
    "keyword_only": """failed: run.Particular: code 5
  at treatments/keyword_only/run.py:11, in run
""",
    "surrogates": """failed: ValueError: bad name: caf\\udce9
  at treatments/surrogates/run.py:5, in run
""",
    "system_exit": """failed: SystemExit: 0
  at treatments/system_exit/run.py:7, in run
""",
    "keyboard_interrupt": """failed: KeyboardInterrupt
  at treatments/keyboard_interrupt/run.py:6, in run
""",
    "helper_syntax_error": """could not be loaded: SyntaxError: '(' was never closed
  at treatments/helper_syntax_error/broken.py:3
  Traceback (most recent call last):
    File "treatments/helper_syntax_error/run.py", line 3, in <module>
      import broken
    File "treatments/helper_syntax_error/broken.py", line 3
      def half(
  SyntaxError: '(' was never closed
""",
    "load_raises": """could not be loaded: ValueError: invalid literal for int() with base 10: 'many'
  at treatments/load_raises/run.py:3, in <module>
""",
    "run_vanishes": """could not be loaded: ImportError: cannot import name 'run' from 'run' (treatments/run_vanishes/run.py)
""",
    "exit_0": "ended before run() returned (exit code 0)\n" + ENDED,
    "exit_3": "ended before run() returned (exit code 3)\n" + ENDED,
    "closes_descriptors": "ended before run() returned (exit code 1)\n" + ENDED,
}


def without_usage(told: str) -> str:
    """A message without the line that tells processor and memory, which must be there."""
    line = r"note: it used \d+\.\d s of processor and at most \d+ MB of memory\n"
    assert len(re.findall(line, told)) == 1
    return re.sub(line, "", told)


@pytest.fixture
def published(project: SmallProject) -> SmallProject:
    """A project whose output folder holds files of an earlier run and of somebody else."""
    project.output.mkdir()
    (project.output / "half.parquet").write_bytes(b"published before")
    (project.output / "notes.txt").write_bytes(b"mine")
    return project


@pytest.mark.parametrize("name", FAILURES)
def test_failures(published: SmallProject, name: str) -> None:
    """Each is told whole and exactly; the output folder is byte for byte as before."""
    published.misbehaving(name)
    published.owned_by(name)
    before = snapshot(published.output)
    done = published.run(name)
    told = re.sub(r"(?m)^ *[~^]+\n", "", done.stderr)  # which parts of a line are marked differs between Pythons
    assert told == f"error: treatment `{name}` {FAILURES[name]}{UNCHANGED}"
    assert (done.returncode, done.stdout) == (1, "")
    assert snapshot(published.output) == before
    start, error = published.events
    assert (start["status"], error["status"]) == ("start", "error")
    assert error["error"].startswith(f"treatment `{name}` {FAILURES[name].partition(chr(10))[0]}")
    assert error["duration_ms"] > 0


def test_missing_package(published: SmallProject) -> None:
    """A missing package is named with the interpreter to install it for."""
    published.misbehaving("import_error")
    published.owned_by("import_error")
    done = published.run("import_error")
    first, place, unchanged, hint, end = done.stderr.split("\n")
    assert (
        first
        == "error: treatment `import_error` could not be loaded: ModuleNotFoundError: No module named 'no_such_package'"
    )
    assert (place, f"{unchanged}\n", end) == ("  at treatments/import_error/run.py:5, in <module>", UNCHANGED, "")
    assert hint.startswith("hint: install the package that provides `no_such_package`: /")


@pytest.mark.parametrize(
    ("code", "said"), [("none", "SystemExit"), ("3", "SystemExit: 3"), ("all done", "SystemExit: all done")]
)
def test_system_exit(published: SmallProject, code: str, said: str) -> None:
    """sys.exit() is no way to succeed, whatever it is given."""
    published.misbehaving("system_exit")
    published.owned_by("system_exit")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("system_exit", "data/in", "data/out", {"code": code})
    assert caught.value.faults[0].what == f"treatment `system_exit` failed: {said}"


CRASHES = {
    "segfault": (
        "SIGSEGV (segmentation fault)",
        "run.py:7, in _read",
        "note: a segmentation fault comes from native code",
    ),
    "abort": ("SIGABRT (aborted)", "run.py:8, in run", "note: SIGABRT comes from native code"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_native_crashes(published: SmallProject, name: str) -> None:
    """The signal is named, and the last Python line of the treatment before it."""
    published.misbehaving(name)
    published.owned_by(name)
    before = snapshot(published.output)
    done = published.run(name)
    words, place, note = CRASHES[name]
    told = without_usage(done.stderr[done.stderr.index("error: treatment") :])
    seconds = told.split(" s: ")[0].rpartition(" ")[2]
    assert told == (
        f"error: treatment `{name}` crashed after {seconds} s: {words}\n"
        f"  at treatments/{name}/{place} (last Python line before the crash)\n"
        f"{note}, not from a Python exception\n{UNCHANGED}{ALONE.format(name=name)}"
    )
    assert done.returncode == 1
    assert snapshot(published.output) == before
    assert published.statuses == [f"{name} start", f"{name} error"]
    assert words in published.events[1]["error"]


@pytest.mark.parametrize("name", ["sigkill", "kills_group"])
def test_killed(published: SmallProject, name: str) -> None:
    """SIGKILL is named, without a guess where it came from; a treatment can only kill its own process group."""
    published.misbehaving(name)
    published.owned_by(name)
    before = snapshot(published.output)
    done = published.run(name)
    first, _, rest = without_usage(done.stderr).partition("\n")
    assert first.startswith(f"error: treatment `{name}` crashed after ")
    assert first.endswith(" s: SIGKILL (killed)")
    assert rest == KILLED + UNCHANGED + ALONE.format(name=name)
    assert snapshot(published.output) == before
    assert published.statuses == [f"{name} start", f"{name} error"]


def test_forged_success(published: SmallProject) -> None:
    """Printing what a success looks like convinces nobody."""
    published.misbehaving("forged_success")
    published.owned_by("forged_success")
    done = published.run("forged_success")
    said = '{"status": "success"}\n' * 3
    assert (
        done.stderr
        == f"{said}error: treatment `forged_success` ended before run() returned (exit code 0)\n{ENDED}{UNCHANGED}"
    )


def test_huge_message(published: SmallProject) -> None:
    """A message of 10 MB is cut, with a mark, in the error, its parts and the event."""
    published.misbehaving("message_10mb")
    published.owned_by("message_10mb")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("message_10mb", "data/in", "data/out")
    text = str(caught.value)
    assert "x\n… (cut: 10,000,007 characters in all) …\nx" in text
    assert "xthe end\n  at treatments/message_10mb/run.py:5, in run\n" in text
    assert len(text) < 12_000
    assert len(published.events[1]["error"]) < 12_000
    assert caught.value.outcome
    assert len(str(caught.value.outcome["traceback"])) < 60_000


def test_recursion(published: SmallProject) -> None:
    """A thousand equal frames are told as such."""
    published.misbehaving("deep_recursion")
    published.owned_by("deep_recursion")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("deep_recursion", "data/in", "data/out")
    assert (
        caught.value.faults[0].what
        == "treatment `deep_recursion` failed: RecursionError: maximum recursion depth exceeded"
    )
    assert "more times]" in str(caught.value)
    assert len(caught.value.faults[0].evidence) < 15


def test_facts_are_attributes(published: SmallProject) -> None:
    """The error carries what the child stated, for code that wants to know."""
    published.misbehaving("raises_chain")
    published.owned_by("raises_chain")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("raises_chain", "data/in", "data/out")
    error = caught.value
    assert (error.treatment, error.signal, error.returncode, error.exit_code) == ("raises_chain", None, 1, 1)
    outcome = error.outcome
    assert outcome
    run_py = str(published.root / "treatments" / "raises_chain" / "run.py")
    facts = ("status", "phase", "type", "message", "file", "line", "function", "notes")
    assert [outcome[fact] for fact in facts] == [
        "error", "run", "RuntimeError", "no calibration", run_py, 10, "run", ["looked for calibration.json"],
    ]  # fmt: skip
    [cause] = outcome["chain"]  # type: ignore[misc]
    assert (cause["relation"], cause["type"], cause["line"]) == ("cause", "ValueError", 6)  # type: ignore[has-type]
    assert str(outcome["traceback"]).splitlines()[1] == f'  File "{run_py}", line 6, in run'


@pytest.mark.parametrize("name", ["prints_bytes", "reads_stdin", "breaks_streams", "leaves_child"])
def test_successes(project: SmallProject, name: str) -> None:
    """Odd, but no error; the end of run() is the end, whatever was left running."""
    project.misbehaving(name)
    done = project.run(name)
    assert (done.returncode, project.statuses) == (0, [f"{name} start", f"{name} success"])
    if name == "prints_bytes":
        assert done.stderr == "caf\ufffd \ufffd\ufffd \\x00 end\n\ufffd\n"


@pytest.mark.parametrize(("name", "size"), [("prints_100mb", 100_000_000), ("prints_one_line", 20_000_000)])
def test_endless_output_is_relayed_in_bounded_memory(project: SmallProject, name: str, size: int) -> None:
    """All of it is shown; the runner keeps its head and tail only."""
    project.misbehaving(name)
    shown = 0

    def show(text: str) -> None:
        nonlocal shown
        shown += len(text)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run_treatment(name, "data/in", "data/out", show=show)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert size <= shown <= size + 1
    assert grown_kb < 10_000


def test_head_and_tail_are_kept_for_the_report(project: SmallProject) -> None:
    """What a failed treatment printed is in the error: the first lines and the last."""
    lines = "    for number in range(100_000):\n        print(f'line {number}')\n    raise ValueError\n"
    project.treatment("wordy", "def run(input_dir, output_dir, params):\n" + lines)
    with pytest.raises(TreatmentError) as caught:
        run_treatment("wordy", "data/in", "data/out")
    assert caught.value.output.startswith("line 0\nline 1\n")
    assert "characters left out" in caught.value.output
    assert caught.value.output.endswith("line 99998\nline 99999\n")
    assert len(caught.value.output) < 20_000


@pytest.mark.parametrize(
    ("name", "signum", "code", "word"),
    [
        ("sleeps", signal.SIGINT, 130, "interrupted"),
        ("sleeps", signal.SIGTERM, 143, "terminated"),
        ("ignores_sigterm", signal.SIGINT, 130, "interrupted"),
    ],
)
def test_interrupts(published: SmallProject, name: str, signum: int, code: int, word: str) -> None:
    """Ctrl-C and SIGTERM stop the treatment, by force after the grace period; the error is logged, nothing is left."""
    published.misbehaving(name)
    published.owned_by(name)
    before = snapshot(published.output)
    with published.run_at_work(name) as runner:
        runner.send_signal(signum)
        runner.send_signal(signum)  # an impatient second time changes nothing
        _, told = runner.communicate(timeout=50)
    name_of_signal = signal.Signals(signum).name
    assert told == f"error: {word} ({name_of_signal})\n{UNCHANGED}"
    assert runner.returncode == code
    assert published.statuses == [f"{name} start", f"{name} error"]
    assert published.events[1]["error"] == f"{word} ({name_of_signal})"
    assert snapshot(published.output) == before


def test_a_hundred_at_once_from_threads(project: SmallProject) -> None:
    """Runs from many threads do not disturb each other, and leave no descriptor and no zombie."""
    project.treatment(
        "write",
        "def run(input_dir, output_dir, params):\n    open(f'{output_dir}/{params[\"n\"]}', 'w').close()\n",
        params={"n": {"type": "integer"}},
    )
    run_treatment("write", "data/in", "data/first", {"n": 0})
    before = len(os.listdir("/proc/self/fd"))
    done: list[str] = []

    def one(number: int) -> None:
        done.extend(run_treatment("write", "data/in", f"data/out{number}", {"n": number}).files)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done, key=int) == [str(number) for number in range(100)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert processes_of(project.root) == []
    assert len(project.events) == 202


def test_input_folder_that_goes_while_it_is_read(project: SmallProject) -> None:
    """A disk that is unmounted: what the treatment raised is told, though what it might read cannot be looked at."""
    project.treatment(
        "waits",
        "import os, time\n\n"
        "def run(input_dir, output_dir, params):\n"
        "    print('reading', flush=True)\n"
        "    while os.path.exists(input_dir):\n        time.sleep(0.01)\n"
        "    open(input_dir + '/a.csv')\n",
    )

    def unmount(text: str) -> None:
        if text == "reading\n":
            project.input.rename(project.root / "gone")

    with pytest.raises(TreatmentError, match=r"FileNotFoundError: .*No such file or directory: 'data/in/a.csv'"):
        run_treatment("waits", "data/in", "data/out", show=unmount)
    assert project.statuses == ["waits start", "waits error"]


def test_interpreter_that_is_none(published: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is missing, or is no Python, is told as such, with what it said."""
    published.treatment("nothing")
    published.owned_by("nothing")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("nothing", "data/in", "data/out")
    assert str(caught.value) == (
        "treatment `nothing` did not start: [Errno 2] No such file or directory: '/nowhere/python'"
    )
    monkeypatch.setattr("sys.executable", "/bin/ls")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("nothing", "data/in", "data/out")
    assert caught.value.faults[0].what == "treatment `nothing` did not run: its interpreter ended with exit code 2"
    assert "ls: " in caught.value.faults[0].evidence[0]
    assert published.statuses == ["nothing start", "nothing error"] * 2


def test_shim_stands_alone() -> None:
    """What is in the shim's folder imports the standard library only, and nothing of PyMyx imports it."""
    inside = {path.stem for path in SHIM.parent.glob("*.py")}
    assert inside == {"shim", "warden", "kernel", "describe"}
    for path in (REPO / "pymyx").rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        imported = {name for node in tree for name in _imported(node)}
        if path.parent == SHIM.parent:
            assert imported - {"run", "kernel"} <= sys.stdlib_module_names
        else:
            assert not imported & inside
            assert "pymyx.core.shim" not in path.read_text(encoding="utf-8")


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in node.names] if isinstance(node, ast.Import) else []


TIMED_OUT = ["loops", "loops_in_c", "ignores_sigterm", "stops_itself", "forks_and_sleeps"]


@pytest.mark.parametrize("name", TIMED_OUT)
def test_timeout(published: SmallProject, name: str) -> None:
    """At its time limit a treatment is ended, SIGTERM, three seconds, SIGKILL, with all it started."""
    published.misbehaving(name)
    published.owned_by(name)
    before = snapshot(published.output)
    done = published.run(name, "--timeout-s", "0.7")
    told = without_usage(done.stderr.removeprefix("asleep\n"))
    seconds = told.partition(" s: ")[0].rpartition(" ")[2]
    assert told == (
        f"error: treatment `{name}` was stopped after {seconds} s: its time was up (0.7 s)\n{UNCHANGED}"
        f"hint: give it more: limits.timeout_s in treatments/{name}/treatment.json, or --timeout-s, the stricter counts\n"
    )
    assert 0.7 <= float(seconds) <= 4.7
    assert (done.returncode, published.statuses) == (1, [f"{name} start", f"{name} error"])
    assert snapshot(published.output) == before


def test_the_stricter_limit_counts(project: SmallProject) -> None:
    """A limit of treatment.json is not widened from outside, and can be narrowed."""
    project.treatment(
        "naps", "import time\ndef run(input_dir, output_dir, params):\n    time.sleep(0.9)\n", limits={"timeout_s": 0.3}
    )
    with pytest.raises(TreatmentError, match="its time was up"):
        run_treatment("naps", "data/in", "data/out", timeout_s=60)
    project.treatment(
        "naps", "import time\ndef run(input_dir, output_dir, params):\n    time.sleep(0.9)\n", limits={"timeout_s": 60}
    )
    with pytest.raises(TreatmentError, match="its time was up"):
        run_treatment("naps", "data/in", "data/out", timeout_s=0.3)
    run_treatment("naps", "data/in", "data/out")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--timeout-s", "0", "timeout_s is 0\n  accepted: seconds, more than 0\n"),
        ("--timeout-s", "nan", "timeout_s is nan\n  accepted: seconds, more than 0\n"),
        ("--memory-mb", "511", "memory_mb is 511\n  accepted: megabytes, at least 512\nnote: pyarrow hangs below\n"),
    ],
)
def test_limits_that_cannot_be(project: SmallProject, option: str, value: str, message: str) -> None:
    """They are refused before anything runs."""
    project.treatment("nothing")
    done = project.run("nothing", option, value)
    assert (done.returncode, done.stderr, project.events) == (2, f"error: {message}", [])


def test_memory_limit(published: SmallProject) -> None:
    """Who wants more than its limit gets a MemoryError; pandas and pyarrow fit into the least limit there is."""
    published.misbehaving("memory_hog")
    published.owned_by("memory_hog")
    done = published.run("memory_hog", "--memory-mb", "2000")
    assert done.stderr.startswith(
        "error: treatment `memory_hog` failed: MemoryError\n  at treatments/memory_hog/run.py:7"
    )
    assert done.stderr.endswith(
        f"note: its limit is 2000 MB of data (memory_mb)\n{UNCHANGED}{MORE_MEMORY.format(name='memory_hog')}"
    )
    shutil.rmtree(published.root / "data" / ".pymyx")
    published.misbehaving("works_hard")
    published.owned_by("works_hard")
    assert published.run("works_hard", "--memory-mb", "512").returncode == 0


def test_usage_is_told(project: SmallProject) -> None:
    """Processor and peak memory are those of the treatment and what it started, not of the runner."""
    code = (
        "import subprocess, sys\ndef run(input_dir, output_dir, params):\n    kept = b'x' * 300_000_000\n"
        "    subprocess.run([sys.executable, '-c', 'sum(range(20_000_000))'], check=True)\n"
    )
    project.treatment("uses", code)
    project.treatment("nothing")
    result = run_treatment("uses", "data/in", "data/out")
    assert 290 < result.peak_mb < 400
    assert 0.1 < result.cpu_s < 30
    kept = b"x" * 300_000_000
    assert run_treatment("nothing", "data/in", "data/out-2").peak_mb < 100
    del kept
    assert "MB)" in project.run("uses", "--force").stdout


def test_endless_output(published: SmallProject) -> None:
    """Who prints without end is stopped at 1 GiB, and told so."""
    published.misbehaving("prints_for_ever")
    published.owned_by("prints_for_ever")
    shown = 0

    def show(text: str) -> None:
        nonlocal shown
        shown += len(text)

    with pytest.raises(TreatmentError) as caught:
        run_treatment("prints_for_ever", "data/in", "data/out", show=show)
    assert re.fullmatch(
        r"treatment `prints_for_ever` was stopped after \d+\.\d s: it printed more than 1 GiB",
        caught.value.faults[0].what,
    )
    assert 1 << 30 < shown < (1 << 30) + 10_000_000


def test_nothing_is_left_running(project: SmallProject) -> None:
    """Children, sessions of their own, daemons: all end with the treatment, and the run does not wait for them."""
    project.misbehaving("leaves_processes")
    started = time.monotonic()
    result = run_treatment("leaves_processes", "data/in", "data/out")
    assert time.monotonic() - started < 5
    assert result.files == ("done.parquet",)
    assert processes_of(project.root) == []


def test_nothing_is_left_running_after_a_crash(project: SmallProject) -> None:
    """The same when the treatment itself is killed."""
    project.misbehaving("leaves_processes_and_dies")
    with pytest.raises(TreatmentError, match="SIGKILL"):
        run_treatment("leaves_processes_and_dies", "data/in", "data/out")
    assert processes_of(project.root) == []


def test_runner_killed(published: SmallProject) -> None:
    """kill -9 of the runner: within a second nothing of the treatment runs; the next start clears the stage."""
    published.misbehaving("forks_and_sleeps")
    published.owned_by("forks_and_sleeps")
    before = snapshot(published.output)
    with published.run_at_work("forks_and_sleeps") as runner:
        assert len(processes_of(published.root)) >= 5  # runner, warden, treatment, and what it started
        runner.kill()
    wait_for_the_end(published.root, patience_s=1)
    assert len(published.stages) == 1
    assert snapshot(published.output) == before
    published.treatment("forks_and_sleeps")
    assert published.run("forks_and_sleeps", "--prune").returncode == 0
    assert published.stages == []


def test_warden_is_told_to_end(published: SmallProject) -> None:
    """SIGTERM to the warden from elsewhere ends the treatment, and is told as what it is."""
    published.misbehaving("sleeps")
    published.owned_by("sleeps")
    with published.run_at_work("sleeps") as runner:
        [warden] = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text(encoding="ascii").split()
        os.kill(int(warden), signal.SIGTERM)
        _, told = runner.communicate(timeout=50)
    assert "crashed after" in told
    assert "SIGTERM (terminated)" in told
    assert runner.returncode == 1


def test_clock_jumps(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations are told by a clock that nobody sets."""
    project.treatment("nothing")
    jumping = iter(range(0, -1_000_000, -1_000))
    monkeypatch.setattr("time.time", lambda: float(next(jumping)))
    assert 0 < run_treatment("nothing", "data/in", "data/out").duration_ms < 60_000


def test_ignored_sigchld(project: SmallProject) -> None:
    """A shell that ignores SIGCHLD does not hide how a child ended."""
    project.misbehaving("exit_3")
    argv = project.argv("runner", "--treatment", "exit_3", "--input", "data/in", "--output", "data/out")
    script = f"import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv({argv[0]!r}, {argv!r})"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "ended before run() returned (exit code 3)" in done.stderr


SAYS_DAYS = (
    "import os\ndef run(input_dir, output_dir, params):\n"
    "    print(os.environ.get('PYMYX_DAYS', 'unset'))\n"
    "    for name in os.listdir(input_dir):\n        open(f'{output_dir}/{name[:-4]}.parquet', 'w').close()\n"
)


def test_pymyx_days_names_the_days_a_child_is_asked_for(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not their neighbours; it is unset for a whole folder, whatever the runner's own environment says."""
    monkeypatch.setenv("PYMYX_DAYS", "forged")
    (project.input / "a.csv").unlink()
    for number in (1, 2, 3):
        (project.input / f"m_2026-01-0{number}.csv").write_text(f"{number}\n", encoding="utf-8")
    of_csv = {"format": "csv", "description": "anything"}
    project.treatment("says", SAYS_DAYS, days={"before": 1, "after": 0}, input=of_csv)
    shown: list[str] = []
    how: dict[str, Any] = {"show": shown.append, "jobs": 1}
    run_treatment("says", "data/in", "data/out", **how)
    (project.input / "m_2026-01-03.csv").write_text("changed\n", encoding="utf-8")
    run_treatment("says", "data/in", "data/out", **how)
    project.treatment("says", SAYS_DAYS, input=of_csv)
    run_treatment("says", "data/in", "data/whole", **how)
    asked = "2026-01-03,2026-01-04\n"  # the last day looks back on one that has a file, so it may get one of its own
    assert shown == [f"2026-01-01,2026-01-02,{asked}", asked, "unset\n"]


@pytest.mark.parametrize("name", ["große Muschel 貝", "it's", os.fsdecode(b"caf\xe9")])
def test_project_paths_of_any_letters_never_show_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In what is printed, raised and logged the real folders stand in place of the private ones; a crash has its line."""
    root = tmp_path / name
    root.mkdir()
    monkeypatch.chdir(root)
    odd = SmallProject(root)
    shows = (
        "import os\ndef run(input_dir, output_dir, params):\n"
        "    print(output_dir)\n    print(repr(input_dir))\n"
        "    try:\n        open(f'{output_dir}/none')\n"
        "    except OSError as error:\n        raise ValueError(f'{output_dir} is private') from error\n"
    )
    (odd.input / "a.csv").rename(odd.input / "a_2026-01-01.csv")
    days = {"before": 0, "after": 0}
    odd.treatment("shows", shows, days=days, input={"format": "csv", "description": "anything"})
    done = odd.run("shows")
    shown = str(root).encode("utf-8", "backslashreplace").decode()
    assert done.stderr.splitlines()[0] == f"{shown}/data/out"
    assert "data/out is private" in done.stderr
    assert "\n  at treatments/shows/run.py:8, in run\n" in done.stderr
    assert "because of: FileNotFoundError: [Errno 2] No such file or directory: " in done.stderr
    for told in (done.stderr, (root / "pymyx.log").read_text(encoding="utf-8")):
        assert "stage-" not in told
    odd.misbehaving("segfault")
    assert "at treatments/segfault/run.py:7, in _read (last Python line before the crash)" in odd.run("segfault").stderr


def test_memory_errors_of_libraries_get_the_note_and_a_hint(project: SmallProject) -> None:
    """numpy's and pyarrow's are MemoryErrors of another name."""
    hint = MORE_MEMORY.format(name="hog")
    wanted = {
        "numpy._core._exceptions._ArrayMemoryError": "import numpy\n    numpy.ones(10**9)",
        "pyarrow.lib.ArrowMemoryError": "import pyarrow\n    pyarrow.allocate_buffer(8 * 10**9)",
    }
    for name, code in wanted.items():
        project.treatment("hog", f"def run(input_dir, output_dir, params):\n    {code}\n")
        done = project.run("hog", "--memory-mb", "2000")
        assert done.stderr.startswith(f"error: treatment `hog` failed: {name}: ")
        assert done.stderr.endswith(f"note: its limit is 2000 MB of data (memory_mb)\n{UNCHANGED}{hint}")


def test_a_missing_folder_under_output_dir_says_that_the_stage_is_flat(project: SmallProject) -> None:
    """Whoever opens the file: Python, pandas or pyarrow."""
    path = "output_dir + '/sub/a.parquet'"
    for code in (
        f"open({path}, 'w')",
        f"import pandas\n    pandas.DataFrame({{'a': [1]}}).to_csv({path})",
        f"import pyarrow\n    pyarrow.OSFile({path}, 'w')",
    ):
        project.treatment("nests", f"def run(input_dir, output_dir, params):\n    {code}\n")
        with pytest.raises(TreatmentError) as caught:
            run_treatment("nests", "data/in", "data/out")
        assert (
            caught.value.faults[0].notes[0]
            == "output_dir is private, empty at first and flat: write files straight into it"
        )


def gone(project: SmallProject, but: int) -> bool:
    """Whether, within half a minute, no process works in a project any more but one."""
    for _ in range(600):
        if all(line.startswith(f"{but}:") for line in processes_of(project.root)):
            return True
        time.sleep(0.05)
    return False


def test_the_deadline_holds_while_the_runner_is_stopped(project: SmallProject) -> None:
    """The warden keeps it too; the runner, when it goes on, tells what happened."""
    project.misbehaving("ignores_sigterm")
    with project.run_at_work("ignores_sigterm", "--timeout-s", "1") as runner:
        runner.send_signal(signal.SIGSTOP)
        assert gone(project, runner.pid)
        runner.send_signal(signal.SIGCONT)
        _, told = runner.communicate(timeout=50)
    assert "its time was up (1 s)\n" in told
    assert runner.returncode == 1
    assert project.statuses == ["ignores_sigterm start", "ignores_sigterm error"]


def test_a_result_made_in_time_counts_though_the_runner_was_stopped_past_the_deadline(project: SmallProject) -> None:
    """It was the runner that was late, not the treatment."""
    project.misbehaving("ends_in_time")
    with project.run_at_work("ends_in_time", "--timeout-s", "2") as runner:
        runner.send_signal(signal.SIGSTOP)
        time.sleep(2.1)
        runner.send_signal(signal.SIGCONT)
        _, told = runner.communicate(timeout=50)
    assert (runner.returncode, told) == (0, "")
    assert [path.name for path in project.output.iterdir()] == ["done.parquet"]


def test_the_deadline_holds_while_nobody_reads_stderr(project: SmallProject) -> None:
    """The runner stands still in the middle of a line; its treatment does not live on."""
    project.misbehaving("floods")
    with project.run_at_work("floods", "--timeout-s", "1") as runner:
        assert gone(project, runner.pid)
        _, told = runner.communicate(timeout=50)
    assert "its time was up (1 s)\n" in told
    assert runner.returncode == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_obeyed_while_nobody_reads_stderr(project: SmallProject, signum: int) -> None:
    """The text that nobody reads is lost; the error is logged, the stage is cleared, the exit code says why."""
    project.misbehaving("floods")
    with project.run_at_work("floods") as runner:
        time.sleep(0.3)  # for the pipe to be full
        runner.send_signal(signum)
        assert runner.wait(timeout=50) == 128 + signum
    assert project.statuses == ["floods start", "floods error"]
    assert project.stages == []


def test_hangup_ends_a_run_as_sigterm_does(project: SmallProject) -> None:
    """A closed terminal: error event, stage cleared, exit 129."""
    project.misbehaving("sleeps")
    with project.run_at_work("sleeps") as runner:
        runner.send_signal(signal.SIGHUP)
        _, told = runner.communicate(timeout=50)
    assert (runner.returncode, told) == (129, f"error: hung up (SIGHUP)\n{UNCHANGED}")
    assert project.events[1]["error"] == "hung up (SIGHUP)"
    assert project.stages == []


def test_a_hangup_that_was_ignored_at_start_stays_ignored(project: SmallProject) -> None:
    """As nohup asks for."""
    project.misbehaving("ends_in_time")
    with project.run_at_work("ends_in_time", prefix=("nohup",)) as runner:
        runner.send_signal(signal.SIGHUP)
        _, told = runner.communicate(timeout=50)
    assert (runner.returncode, told) == (0, "")
    assert project.statuses == ["ends_in_time start", "ends_in_time success"]


@pytest.mark.parametrize("confine", ["auto", "off"])
def test_a_fork_bomb_is_ended_at_its_time_limit(project: SmallProject, confine: str) -> None:
    """All of it is stopped before any is killed; within its limit and 10 s."""
    project.misbehaving("fork_bomb")
    done = project.run("fork_bomb", "--timeout-s", "1", "--confine", confine)
    told = done.stderr.removeprefix("asleep\n")
    seconds = told.partition(" s: ")[0].rpartition(" ")[2]
    assert told.startswith(f"error: treatment `fork_bomb` was stopped after {seconds} s: its time was up (1 s)\n")
    assert 1 <= float(seconds) <= 11
    assert processes_of(project.root) == []


def test_a_fork_bomb_that_is_left_behind_is_ended(project: SmallProject) -> None:
    """The treatment itself has returned, so it is a success; what it left ends all the same."""
    project.misbehaving("fork_bomb")
    run_treatment("fork_bomb", "data/in", "data/out", {"stays": False})
    assert processes_of(project.root) == []


def test_an_outcome_can_be_forged_as_the_text_says(project: SmallProject) -> None:
    """What cannot be closed is said: a treatment that looks for the descriptor of its outcome is believed."""
    code = (
        "import os\ndef run(input_dir, output_dir, params):\n"
        "    for number in filter(lambda one: int(one) > 2, os.listdir('/proc/self/fd')):\n"
        '        try:\n            os.write(int(number), b\'{"status": "success"}\')\n'
        "        except OSError:\n            continue\n    os._exit(0)\n"
    )
    project.treatment("forges", code)
    run_treatment("forges", "data/in", "data/out")
    assert "/proc/self/fd" in (children.__doc__ or "")
