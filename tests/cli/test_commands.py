"""Every command of `pymyx`, as a user runs it: from the built wheel, in a project made by `init`, no source tree near."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.contract.json_lines import lines_of

from ..conftest import REPO, heed_interrupts, snapshot, wait_for_the_end

Pymyx = Callable[..., subprocess.CompletedProcess[str]]
TREATMENTS = sorted(path.parent.name for path in REPO.glob("treatments/*/treatment.json"))
CONTRACTS = [*TREATMENTS, *REPO.glob("flows/*.json")]
COMMANDS = ["check", "describe", "flow", "init", "list", "log", "new", "run", "sniff", "status"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository, installed in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    listed = ["git", "ls-files", "-zco", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPO / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder / "wheel"), str(source)], check=True)
    [wheel] = (folder / "wheel").iterdir()
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site-packages"), str(wheel)], check=True)
    shutil.rmtree(source)
    return folder / "site-packages"


@pytest.fixture
def pymyx(installed: Path, tmp_path: Path) -> Pymyx:
    """Runs the installed `pymyx` in the station's folder."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        settings = {"cwd": tmp_path / "station", "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options}
        environment = {**os.environ, "PYTHONPATH": str(installed), **settings.pop("env", {})}
        argv = [sys.executable, str(installed / "bin" / "pymyx"), *arguments]
        return subprocess.run(
            argv, env=environment, stderr=subprocess.PIPE, encoding="utf-8", timeout=50, check=False, **settings
        )

    run.command = installed / "bin" / "pymyx"  # type: ignore[attr-defined]
    return run


def closing(root: Path, pymyx: Pymyx) -> str:
    """What `init` says of pictures, cron and devices."""
    command = f"{pymyx.command} flow"  # type: ignore[attr-defined]
    hourly = f"({command} valvometry_daily --quiet; {command} valve_activity --quiet)"
    return (
        "pymyx flow valvometry_daily; pymyx flow valve_activity\n"
        "the second draws data/91_pictures and data/92_report; that needs matplotlib: pip install 'pymyx[plot]'\n"
        f"each hour, by cron (crontab -e): 0 * * * * cd {root} && {hourly}\n"
        "flows that share a folder run after one another: pymyx flow a --quiet; pymyx flow b --quiet\n"
        "several devices: a data folder of its own for each, and the same flow: --data DIR\n"
    )


@pytest.fixture
def station(pymyx: Pymyx, tmp_path: Path) -> Path:
    """A project made by `pymyx init`."""
    done = pymyx("init", "station", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"made {tmp_path}/station: .github, .gitignore, .pre-commit-config.yaml, data, flows, schemas, treatments\n"
        "data/00_raw holds a sample recording; now: cd station && " + closing(tmp_path / "station", pymyx)
    )
    return tmp_path / "station"


def test_a_first_walk(pymyx: Pymyx, station: Path) -> None:
    """init, check, flow, status: in five minutes, with no manual."""
    assert pymyx("check").stdout == f"{len(CONTRACTS)} contract files checked: no fault\n"
    stale = pymyx("status", "valvometry_daily")
    assert stale.returncode == 1
    assert stale.stdout.splitlines()[:4] == [
        "valvometry_daily: not up to date",
        "1/5 parse -> data/10_parsed: stale",
        "  0 days, 0 files; never made",
        "  2026-01-20 to 2026-01-21 (2 days)  new",
    ]
    done = pymyx("flow", "valvometry_daily")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((station / "data" / "10_parsed").glob("*__2026-01-2[01].parquet"))) == 4
    assert pymyx("flow", "valvometry_daily").stdout.count("  up to date") == 5
    fresh = pymyx("status", "valvometry_daily")
    assert fresh.returncode == 0
    assert fresh.stdout.splitlines()[:2] == ["valvometry_daily: up to date", "1/5 parse -> data/10_parsed: up to date"]
    assert "  2 days, 4 files; last success " in fresh.stdout


def test_init_is_the_repositorys_own(pymyx: Pymyx, station: Path) -> None:
    """What it lays out are the repository's files, and a repetition is refused."""
    for name in ("treatments", "flows", "schemas"):
        ours = {path: data for path, (_, data) in snapshot(REPO / name).items() if "__pycache__" not in path}
        assert {path: data for path, (_, data) in snapshot(station / name).items()} == ours
    assert sorted(os.listdir(station / "data" / "00_raw")) == [
        ".gitkeep",
        "sample_2026-01-20.csv",
        "sample_2026-01-21.csv",
    ]
    again = pymyx("init")
    assert (again.returncode, again.stdout) == (2, "")
    assert (
        again.stderr
        == f"error: `{station}` is a project already: it has `treatments/`\nhint: name another folder: pymyx init DIR\n"
    )


def test_init_beside_other_files(pymyx: Pymyx, tmp_path: Path) -> None:
    """Files that are there stay as they are."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".gitignore").write_text("mine\n", encoding="utf-8")
    done = pymyx("init", "--no-sample", cwd=tmp_path / "mine")
    assert done.stdout == (
        f"made {tmp_path}/mine: .github, .pre-commit-config.yaml, data, flows, schemas, treatments\n"
        "set the params of parse first, to what your files are: treatments/parse/treatment.json\n"
        "put your CSV files into data/00_raw; now: " + closing(tmp_path / "mine", pymyx)
    )
    assert (tmp_path / "mine" / ".gitignore").read_text(encoding="utf-8") == "mine\n"
    assert os.listdir(tmp_path / "mine" / "data" / "00_raw") == [".gitkeep"]
    refused = pymyx("flow", "valvometry_daily", cwd=tmp_path / "mine")
    assert refused.returncode == 1
    assert "treatment `parse` failed: ValueError: no CSV file in data/00_raw; found there: .gitkeep\n" in refused.stderr


def test_new_treatment(pymyx: Pymyx, station: Path) -> None:
    """It validates and runs at once, day by day; a name that is taken or cannot be is refused."""
    done = pymyx("new", "clean_v2")
    assert done.stdout == (
        "made treatments/clean_v2: write what it does in treatments/clean_v2/run.py, say so in treatments/clean_v2/treatment.json\n"
        "then: pymyx check; pymyx run clean_v2 --input DIR --output DIR; or add a step to a flow\n"
    )
    assert pymyx("check", "treatments/clean_v2").stdout == "1 contract file checked: no fault\n"
    pymyx("run", "parse", "--input", "data/00_raw", "--output", "data/10_parsed")
    done = pymyx("run", "clean_v2", "--input", "data/10_parsed", "--output", "data/20_v2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("  2 days: 2026-01-20, 2026-01-21  4 files\n")
    assert pymyx("new", "clean_v2").stderr == (
        "error: there is a treatment `clean_v2` already\n  at treatments/clean_v2\nhint: name another\n"
    )
    assert pymyx("new", "Clean").stderr == (
        "error: `Clean` cannot be a treatment's name\n  accepted: a lower-case name such as clean_v2\n"
    )


def test_new_treatment_keeps_every_type(pymyx: Pymyx, station: Path) -> None:
    """Nullable integers stay integers, metadata stays, files are compressed by zstd; its docstring is the manual."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pymyx("new", "keep")
    columns = {
        "ts": pa.array([1, None], pa.timestamp("ns", "UTC")),
        "count": pa.array([None, 2**60 + 1], pa.int64()),
        "small": pa.array([1, None], pa.uint8()),
        "real": pa.array([float("nan"), None], pa.float32()),
        "flag": pa.array([None, True], pa.bool_()),
        "name": pa.array(["é", None], pa.string()),
        "list": pa.array([[1], None], pa.list_(pa.int16())),
        "when": pa.array([1, None], pa.date32()),
        "kind": pa.array(["a", None]).dictionary_encode(),
    }
    table = pa.table(columns).replace_schema_metadata({"sources": "a.csv"})
    folder = station / "data" / "typed"
    folder.mkdir()
    pq.write_table(table, folder / "m__2026-01-20.parquet")
    done = pymyx("run", "keep", "--data", "data", "--input", "typed", "--output", "kept")
    assert (done.returncode, done.stderr) == (0, "")
    file = pq.ParquetFile(station / "data" / "kept" / "m__2026-01-20.parquet")
    kept = file.read()
    assert kept.schema.equals(pq.read_schema(folder / "m__2026-01-20.parquet"), check_metadata=True)
    assert str(kept.to_pydict()) == str(table.to_pydict())
    assert file.metadata.row_group(0).column(1).compression == "ZSTD"
    text = (station / "treatments" / "keep" / "run.py").read_text(encoding="utf-8")
    lines = text.split('"""')[1].strip().splitlines()
    assert len(lines) == 2 + 5
    for word in (
        "`days`",
        "PYMYX_DAYS",
        "neighbours",
        "private and flat",
        "taken away",
        "--verify N",
        "`limits`",
        "`allow`",
        "`_`",
    ):
        assert word in text


def test_quiet(pymyx: Pymyx, station: Path) -> None:
    """--quiet: nothing at all when all is well; warnings and errors with the step's name, and what a failed one said."""
    for _ in range(2):
        done = pymyx("flow", "valvometry_daily", "--quiet", "--verify", "1")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = pymyx("run", "parse", "--input", "data/00_raw", "--output", "data/10_parsed", "--force", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    code = (
        "import warnings\n"
        "def run(input_dir, output_dir, params):\n"
        "    print('chatter')\n    warnings.warn('odd')\n    params['fail'] and int('x')\n"
    )
    (station / "treatments" / "clean" / "run.py").write_text(code, encoding="utf-8")
    contract = station / "treatments" / "clean" / "treatment.json"
    document = json.loads(contract.read_text(encoding="utf-8"))
    contract.write_text(json.dumps({**document, "params": {"fail": {"type": "boolean", "default": False}}}))
    done = pymyx("flow", "valvometry_daily", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "2/5 clean:\nwarning: odd\n")
    contract.write_text(json.dumps({**document, "params": {"fail": {"type": "boolean", "default": True}}}))
    done = pymyx("flow", "valvometry_daily", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("2/5 clean:\nwarning: odd\nchatter\nerror: treatment `clean` failed: ValueError: ")
    done = pymyx("flow", "valvometry_daily", "--quiet", "--dry-run")
    assert done.stdout.startswith("1/5 parse: ")


def test_list_and_describe(pymyx: Pymyx, station: Path) -> None:
    """What there is, and all that its contract says."""
    listed = json.loads(pymyx("list", "--json").stdout)
    assert list(listed["treatments"]) == TREATMENTS
    assert list(listed["flows"]) == ["valve_activity", "valvometry_daily"]
    assert "  clean             Stub: writes no file yet." in pymyx("list").stdout
    assert len(pymyx("list").stdout.splitlines()) == 1 + len(listed["treatments"]) + 1 + len(listed["flows"])
    told = pymyx("describe", "parse").stdout
    for text in (
        "treatment parse ",
        "days: each is made from 1 day before it to 1 day after it",
        '  tz (string = "UTC")',
        "limits: 21600 s for all days that one child is given, memory not limited",
        "allow: nothing beyond its folders",
    ):
        assert text in told
    assert pymyx("describe", "clean").stdout.startswith("treatment clean 0.1.0 (a stub)\n")
    contract = station / "treatments" / "clean" / "treatment.json"
    document = json.loads(contract.read_text(encoding="utf-8"))
    document |= {"limits": {"memory_mb": 1024}}
    document["params"] |= {"how": {"type": "string", "default": "mean", "choices": ["mean", "median"]}}
    contract.write_text(json.dumps(document), encoding="utf-8")
    told = pymyx("describe", "clean").stdout
    assert "limits: 21600 s for all days that one child is given, memory 1024 MB\n" in told
    assert told.endswith('  how (string = "mean")\n    one of: mean, median\n')
    one = json.loads(pymyx("describe", "parse", "--json").stdout)
    assert (one["kind"], one["days"], one["params"]["tz"]["default"]) == ("treatment", {"before": 1, "after": 1}, "UTC")
    assert "1. parse: 00_raw -> 10_parsed\n" in pymyx("describe", "valvometry_daily").stdout
    wrong = pymyx("describe", "prase")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("hint: did you mean `parse`?\n")
    (station / "treatments" / "parse" / "treatment.json").write_text("{", encoding="utf-8")
    assert "  parse             at fault: pymyx check tells why\n" in pymyx("list").stdout


def test_status_tells_failures_and_who_is_at_work(pymyx: Pymyx, station: Path) -> None:
    """Exit 1 when something failed; a folder whose lock is held is shown as running, and left alone."""
    pymyx("flow", "valvometry_daily")
    path = station / "treatments" / "clean" / "run.py"
    path.write_text('def run(input_dir, output_dir, params):\n    raise ValueError("spoiled")\n', encoding="utf-8")
    assert pymyx("flow", "valvometry_daily").returncode == 1
    status = json.loads(pymyx("status", "valvometry_daily", "--json").stdout)
    states = [step["state"] for step in status["flows"][0]["steps"]]
    assert states == ["up to date", "failed", "may change", "may change", "may change"]
    assert (
        status["flows"][0]["steps"][1]["error"]
        == "treatment `clean` failed: ValueError: spoiled (at treatments/clean/run.py:2, in run)"
    )
    assert status["up_to_date"] is False
    with (station / "data" / ".pymyx" / "10_parsed" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} 2026-01-20T00:00:00Z")
        lock.truncate()
        lock.flush()
        held = pymyx("status", "valvometry_daily")
        assert held.returncode == 1
        assert held.stdout.splitlines()[1:4:2] == [
            "1/5 parse -> data/10_parsed: running",
            f"  held by process {os.getpid()} since 2026-01-20T00:00:00Z",
        ]
    before = snapshot(station)
    pymyx("status")
    assert snapshot(station) == before


def test_log(pymyx: Pymyx, station: Path) -> None:
    """The last events, oldest first; the end of a long log is read without the rest."""
    assert (pymyx("log").stdout, pymyx("log", "--json").stdout) == ("", "[]\n")
    event = {
        "ts": "",
        "treatment": "parse",
        "status": "success",
        "input_dir": "a",
        "output_dir": "b",
        "duration_ms": 10,
        "error": None,
    }
    lines = [json.dumps({**event, "ts": f"2026-01-20T00:00:00.{number:06}Z"}) for number in range(20_000)]
    (station / "pymyx.log").write_text("\n".join([*lines[:10], "torn", *lines[10:]]) + "\n", encoding="utf-8")
    events = json.loads(pymyx("log", "-n", "3", "--json").stdout)
    assert [one["ts"][-5:-1] for one in events] == ["9997", "9998", "9999"]
    assert len(json.loads(pymyx("log", "-n", "30000", "--json").stdout)) == 20_000
    assert json.loads(pymyx("log", "-n", "0", "--json").stdout) == []
    shown = pymyx("log").stdout.splitlines()
    assert len(shown) == 20
    assert shown[-1] == "2026-01-20T00:00:00.019999Z  success  parse: a -> b  0.01 s"


def test_check_for_github(pymyx: Pymyx, station: Path) -> None:
    """Each fault is an annotation at its line, also where it lies deep in a JSON file."""
    path = station / "treatments" / "clean" / "treatment.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"default": 50.0', '"default": "a,\\n%"'), encoding="utf-8"
    )
    (station / "treatments" / "parse" / "run.py").write_text(
        "x = 1\ndef run(input, output):\n    pass\n", encoding="utf-8"
    )
    done = pymyx("check", "--format", "github")
    assert done.returncode == 2
    line = next(number for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if '"a,' in text)
    annotations = [one for one in done.stdout.splitlines() if one.startswith("::error")]
    assert annotations[0].startswith(
        f"::error file=treatments/clean/treatment.json,line={line}::the default of param `spike_threshold` is "
    )
    assert annotations[1].startswith("::error file=treatments/parse/run.py,line=2::`run` is defined as ")
    document = json.loads(pymyx("check", "--json").stdout)
    assert document["checked"] == len(CONTRACTS)
    assert document["faults"][0]["where"] == "treatments/clean/treatment.json, params.spike_threshold.default"
    assert list(document["faults"][0]) == ["what", "where", "evidence", "notes", "hint"]


def test_lines_of_json() -> None:
    """Every key and value has the line that it stands on."""
    text = '{\n "a": [1,\n  {"b c": "x{,}:\\"",\n   "d": []}],\n\n "e": {}, "f":\n 2}'
    assert lines_of(text) == {"": 1, "a": 2, "a[0]": 2, "a[1]": 3, 'a[1]["b c"]': 3, "a[1].d": 4, "e": 6, "f": 6}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_the_text_that_is_kept(pymyx: Pymyx, tmp_path: Path, command: str) -> None:
    """--help of each command, word by word (tests/cli/help.txt); it fits a screen of 80 columns and 24 lines."""
    done = pymyx(*filter(None, [command, "--help"]), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) <= 24
    assert max(map(len, done.stdout.splitlines())) <= 80
    kept = dict(
        zip(
            ["", *COMMANDS],
            (REPO / "tests" / "cli" / "help.txt").read_text(encoding="utf-8").split("\f\n"),
            strict=True,
        )
    )
    assert done.stdout == kept[command]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["flow", "valvometry_dayly"], "no flow `valvometry_dayly`\n  at flows\n  accepted: valve_activity, valvometry_daily\nhint: did you mean `valvometry_daily`?"),
        (["stauts"], "no command `stauts`\n  accepted: --help, --version, check, describe, flow, init, list, log, new, run, sniff, status\nhint: did you mean `status`?"),
        (["--versoin"], "no option `--versoin`\n  accepted: --help, --version, check, describe, flow, init, list, log, new, run, sniff, status\nhint: did you mean `--version`?"),
        (["flow", "valvometry_daily", "--frce"], "unrecognized arguments: --frce\nhint: did you mean `--force`?"),
        (["flow"], "the following arguments are required: FLOW\nhint: pymyx flow --help"),
        (["run", "prase", "--input", "data/00_raw", "--output", "x"], f"no treatment `prase`\n  accepted: {', '.join(TREATMENTS)}\nhint: did you mean `parse`?"),
        (["log", "-n", "-1"], "argument -n: `-1` is not a number of events\nhint: pymyx log --help"),
    ],
)  # fmt: skip
def test_wrong_words(pymyx: Pymyx, station: Path, arguments: list[str], text: str) -> None:
    """Each is told with what is accepted, and the nearest."""
    done = pymyx(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {text}\n")


@pytest.mark.parametrize(
    "command", [["status"], ["list"], ["describe", "parse"], ["log"], ["check"], ["new", "a"], ["flow", "x"]]
)
def test_outside_of_a_project(pymyx: Pymyx, tmp_path: Path, command: list[str]) -> None:
    """A command that needs a project says so."""
    done = pymyx(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: no PyMyx project at or above `{tmp_path}`\n")


def test_version(pymyx: Pymyx, tmp_path: Path) -> None:
    """The installed one."""
    assert pymyx("--version", cwd=tmp_path).stdout == "pymyx 0.1.0\n"


def test_closed_pipe(installed: Path, pymyx: Pymyx, station: Path) -> None:
    """`pymyx log | head` ends quietly, however much there is to tell."""
    line = '{"ts":"2026-01-20T00:00:00.000Z","treatment":"parse","status":"start","input_dir":"a","output_dir":"b","duration_ms":0,"error":null}\n'
    (station / "pymyx.log").write_text(line * 50_000, encoding="utf-8")
    command = f"{sys.executable} {installed}/bin/pymyx log -n 50000 | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        command, shell=True, cwd=station, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.mark.parametrize("command", [["list"], ["--help"], ["status", "--json"]])
def test_full_disk(pymyx: Pymyx, station: Path, command: list[str]) -> None:
    """Output that cannot be written is one clear error."""
    with Path("/dev/full").open("w") as full:
        done = pymyx(*command, stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: No space left on device\n")


def test_plain_surroundings(pymyx: Pymyx, station: Path) -> None:
    """No HOME, no language, no terminal."""
    done = pymyx("flow", "valvometry_daily", env={"HOME": "/nowhere", "LANG": "C", "LC_ALL": "C", "TERM": ""})
    assert (done.returncode, done.stderr) == (0, "")
    (station / "flows" / "grün.json").write_text("{", encoding="utf-8")
    done = pymyx("list", env={"LANG": "C", "LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write anywhere")
def test_folders_of_others(pymyx: Pymyx, station: Path) -> None:
    """What may not be read or written is told, never a traceback."""
    (station / "treatments").chmod(0)
    try:
        for command in (
            ["list"],
            ["status"],
            ["check"],
            ["describe", "parse"],
            ["flow", "valvometry_daily"],
            ["new", "a"],
        ):
            done = pymyx(*command)
            assert done.returncode in (1, 2)
            assert done.stderr.startswith("error: ")
            assert "Traceback" not in done.stderr
    finally:
        (station / "treatments").chmod(0o755)
    station.chmod(0o555)
    try:
        done = pymyx("init", "new")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: `{station}/new` cannot be written to: Permission denied\n")
    finally:
        station.chmod(0o755)


@pytest.mark.parametrize(
    ("signum", "code", "word"),
    [(signal.SIGINT, 130, "interrupted (SIGINT)"), (signal.SIGTERM, 143, "terminated (SIGTERM)")],
)
def test_interrupted(installed: Path, pymyx: Pymyx, station: Path, signum: int, code: int, word: str) -> None:
    """Ctrl-C and SIGTERM end a flow with one clear error and nothing left running."""
    code_ = (
        "import time\ndef run(input_dir, output_dir, params):\n    print('asleep', flush=True)\n    time.sleep(60)\n"
    )
    (station / "treatments" / "clean" / "run.py").write_text(code_, encoding="utf-8")
    argv = [sys.executable, str(installed / "bin" / "pymyx"), "flow", "valvometry_daily"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    with subprocess.Popen(
        argv,
        cwd=station,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=heed_interrupts,  # noqa: PLW1509  no other thread is running
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "2/5 clean:\n"
        assert process.stderr.readline() == "asleep\n"
        process.send_signal(signum)
        _, told = process.communicate(timeout=50)
    assert process.returncode == code
    assert told.startswith(f"error: {word}\nnote: nothing was published; `data/20_clean` is unchanged\nerror: flow ")
    wait_for_the_end(station)
    assert not list(station.rglob("stage-*"))


def test_the_old_ways_still_work(installed: Path, pymyx: Pymyx, station: Path) -> None:
    """`python -m pymyx` and `python -m pymyx.core.…` are the same commands."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def module(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=station, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert (
        module("pymyx", "check")
        == module("pymyx.core.validator")
        == f"{len(CONTRACTS)} contract files checked: no fault\n"
    )
    module("pymyx.core.runner", "--treatment", "parse", "--input", "data/00_raw", "--output", "data/10_parsed")
    assert module("pymyx", "flow", "valvometry_daily").startswith(
        "1/5 parse: data/00_raw -> data/10_parsed  up to date\n"
    )
    assert module("pymyx.core.flow", "--flow", "valvometry_daily").count("up to date") == 5


def test_nothing_but_what_is_needed_is_imported(installed: Path) -> None:
    """`--help` imports neither pydantic nor a module of the core; no command imports pandas or pyarrow."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    for command, absent in (
        (["--help"], ("pydantic", "pymyx.core.", "pandas")),
        (["list"], ("pandas", "pyarrow", "numpy", "jsonschema")),
    ):
        argv = [sys.executable, "-X", "importtime", "-m", "pymyx", *command]
        done = subprocess.run(argv, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "pymyx.cli.main" in imported
        assert not [name for name in imported if name.startswith(absent)]
