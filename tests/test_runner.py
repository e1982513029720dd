"""The runner: params merged, a fresh child, files published, events logged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import pymyx
from pymyx.core.errors import ContractError, TreatmentError, UsageError
from pymyx.core.runner import run_treatment

from .conftest import SmallProject, snapshot

SAY = """import json
from pathlib import Path

def run(input_dir, output_dir, params):
    facts = {"params": params, "input_dir": input_dir, "files": sorted(p.name for p in Path(input_dir).iterdir())}
    (Path(output_dir) / "facts.json").write_text(json.dumps(facts))
"""


def facts(project: SmallProject) -> dict[str, object]:
    """What the treatment SAY was given."""
    loaded: dict[str, object] = json.loads((project.output / "facts.json").read_text(encoding="utf-8"))
    return loaded


def test_params_are_merged_with_the_defaults_and_success_is_logged(project: SmallProject) -> None:
    """run() gets the given params over the defaults; the log holds `start`, then `success`."""
    params = {
        "given": {"type": "integer", "default": 1},
        "kept": {"type": "string", "default": "as it was"},
        "deep": {"type": "object", "default": {"a": 1, "b": 2}, "description": "replaced whole"},
    }
    project.treatment("say", SAY, params=params)
    result = run_treatment("say", "data/in", "data/out", {"given": 7, "deep": {"a": 3}})
    assert facts(project)["params"] == {"given": 7, "kept": "as it was", "deep": {"a": 3}}
    assert facts(project)["input_dir"] == str(project.input)
    assert facts(project)["files"] == ["a.csv"]
    assert result.files == ("facts.json",)
    start, success = project.events
    assert (start["status"], start["duration_ms"], start["error"]) == ("start", 0, None)
    assert (success["status"], success["error"]) == ("success", None)
    assert success["duration_ms"] == result.duration_ms > 0
    for event in (start, success):
        assert list(event) == ["ts", "treatment", "status", "input_dir", "output_dir", "duration_ms", "error"]
        assert (event["treatment"], event["input_dir"], event["output_dir"]) == ("say", "data/in", "data/out")


def test_command_line(project: SmallProject) -> None:
    """The command line does the same; its summary is all there is on stdout."""
    project.treatment("say", SAY, params={"word": {"type": "string"}, "factor": {"type": "float", "default": 2}})
    done = project.run("say", "--params", '{"word": "ça", "factor": 3}')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("say: data/in -> data/out  ")
    assert done.stdout.endswith(" MB)  1 file\n")
    assert done.stderr == ""
    assert facts(project)["params"] == {"word": "ça", "factor": 3.0}
    assert isinstance(facts(project)["params"]["factor"], float)  # type: ignore[index]


def test_no_file_is_a_success(project: SmallProject) -> None:
    """A treatment that writes nothing succeeds, and the summary says so."""
    project.treatment("nothing")
    done = project.run("nothing")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("  0 files  stub\n")
    assert project.statuses == ["nothing start", "nothing success"]
    assert list(project.output.iterdir()) == []


def test_each_run_is_a_fresh_interpreter(project: SmallProject) -> None:
    """What one execution does to its process is unknown to the next one and to the runner."""
    project.treatment(
        "selfish",
        "import os, sys\n"
        "def run(input_dir, output_dir, params):\n"
        "    assert not hasattr(sys, 'been_here') and 'BEEN_HERE' not in os.environ\n"
        "    sys.been_here = os.environ['BEEN_HERE'] = 'yes'\n"
        "    os.chdir('/')\n"
        "    os.umask(0)\n",
    )
    before = os.getcwd()
    run_treatment("selfish", "data/in", "data/out")
    run_treatment("selfish", "data/in", "data/out")
    assert (os.getcwd(), "BEEN_HERE" in os.environ) == (before, False)


def test_own_helpers_are_imported_and_never_shadowed(project: SmallProject) -> None:
    """`import logger` gets the logger.py beside run.py; modules named like the shim's own imports do not break it."""
    code = "import logger, shim, errors\ndef run(input_dir, output_dir, params):\n    assert logger.MINE and shim.MINE and errors.MINE\n"
    folder = project.treatment("helped", code)
    for name in ("logger", "shim", "errors"):
        (folder / f"{name}.py").write_text("MINE = True\n", encoding="utf-8")
    for name in ("json", "os", "signal", "traceback"):
        (folder / f"{name}.py").write_text("raise RuntimeError('the standard library comes first')\n", encoding="utf-8")
    (folder / "pandas.py").write_text("MINE = True\n", encoding="utf-8")
    (folder / "run.py").write_text(f"import pandas\nassert pandas.MINE\n{code}", encoding="utf-8")
    run_treatment("helped", "data/in", "data/out")
    assert not (folder / "__pycache__").exists()


def test_pymyx_is_not_in_the_way(project: SmallProject) -> None:
    """Nothing of PyMyx is imported in the child, and its source folders are not on the treatment's path."""
    project.treatment(
        "curious",
        "import sys\n"
        "def run(input_dir, output_dir, params):\n"
        "    ours = [name for name in sys.modules if name.startswith('pymyx')]\n"
        "    paths = [path for path in sys.path if 'pymyx/core' in path]\n"
        "    assert not ours and not paths, (ours, paths)\n",
    )
    run_treatment("curious", "data/in", "data/out")


def test_environment_is_scrubbed(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A treatment sees a few variables; HOME, TMPDIR and the working folder are its own and gone afterwards."""
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("LC_TIME", "C")
    project.treatment(
        "env",
        "import json, os, tempfile\n"
        "def run(input_dir, output_dir, params):\n"
        "    tempfile.mkstemp()\n"
        "    open('note', 'w').close()\n"
        "    facts = {'env': dict(os.environ), 'cwd': os.getcwd()}\n"
        "    json.dump(facts, open(output_dir + '/facts.json', 'w'))\n",
    )
    result = run_treatment("env", "data/in", "data/out")
    seen = json.loads((project.output / "facts.json").read_text(encoding="utf-8"))
    assert set(seen["env"]) <= {
        "PATH",
        "LANG",
        "TZ",
        "HOME",
        "TMPDIR",
        "OMP_NUM_THREADS",
        "LC_TIME",
        "LC_ALL",
        "LC_CTYPE",
    }
    assert seen["env"]["LC_TIME"] == "C"
    assert seen["env"]["HOME"] == seen["env"]["TMPDIR"] == seen["cwd"]
    assert not Path(seen["cwd"]).exists()
    assert result.files == ("facts.json",)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"widnow": 3, "window": "3"},
            "treatment `typed` has no parameter `widnow`\n  at params\n  accepted: flag, name, window\n"
            "hint: did you mean `window`?\n"
            'param `window` of treatment `typed` is "3" (string)\n  at params\n'
            "  accepted: integer: rows\nhint: write it without quotes\n"
            "param `name` of treatment `typed` is missing: it has no default\n  at params\n"
            "  accepted: string\nhint: give `name`",
        ),
        (
            {"name": "x", "window": True},
            "param `window` of treatment `typed` is true (boolean)\n  at params\n  accepted: integer: rows",
        ),
        (
            {"name": 5},
            "param `name` of treatment `typed` is 5 (integer)\n  at params\n  accepted: string\nhint: write it in quotes",
        ),
        (
            {"name": "x", "flag": 1},
            "param `flag` of treatment `typed` is 1 (integer)\n  at params\n  accepted: boolean",
        ),
        (
            {"name": None},
            "param `name` of treatment `typed` is null (null)\n  at params\n  accepted: string\nhint: write it in quotes",
        ),
    ],
)
def test_wrong_params(project: SmallProject, params: dict[str, object], text: str) -> None:
    """Every wrong param is told, before anything runs or is logged."""
    declared = {
        "window": {"type": "integer", "default": 5, "description": "rows"},
        "name": {"type": "string"},
        "flag": {"type": "boolean", "default": False},
    }
    project.treatment("typed", params=declared)
    with pytest.raises(ContractError) as caught:
        run_treatment("typed", "data/in", "data/out", params)
    assert str(caught.value) == text
    assert project.events == []


def test_floats(project: SmallProject) -> None:
    """An integer is accepted for a float and arrives as one; what no finite float can hold is refused."""
    project.treatment("say", SAY, params={"x": {"type": "float"}})
    run_treatment("say", "data/in", "data/out", {"x": 2})
    assert repr(facts(project)["params"]) == "{'x': 2.0}"
    for bad in (float("nan"), float("inf"), 10**400, True, "1.0"):
        with pytest.raises(ContractError):
            run_treatment("say", "data/in", "data/out", {"x": bad})


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({1: "x"}, '`x` of treatment `say` is {"1": "x"} (object)'),
        ({"a": (1, 2)}, "`x.a` of treatment `say` is [1, 2] (Python's tuple)"),
        ({"a": float("nan")}, "`x.a` of treatment `say` is NaN (float)"),
        ({"a": [Path("x")]}, "`x.a[0]` of treatment `say` is PosixPath('x') (Python's PosixPath)"),
        ({"a": {"b c": {1, 2}}}, '`x.a["b c"]` of treatment `say` is {1, 2} (Python\'s set)'),
    ],
)
def test_params_that_json_has_not(project: SmallProject, value: dict[object, object], what: str) -> None:
    """What JSON cannot say is refused before the start, however deep it lies, by its key."""
    project.treatment("say", SAY, params={"x": {"type": "object"}})
    with pytest.raises(ContractError) as caught:
        run_treatment("say", "data/in", "data/out", {"x": value})
    assert str(caught.value) == (
        f"param {what}\n  at params\n  accepted: what JSON has: text keys, finite numbers, no type of Python's own"
    )
    assert project.events == []


def test_choices_of_a_param(project: SmallProject) -> None:
    """A value that a param does not offer is told with those that it does, a part of an object by its key."""
    one = {"type": "string", "default": "mean", "choices": ["mean", "median"]}
    each = {"type": "object", "default": {}, "choices": ["integer", "float", 1]}
    project.treatment("say", SAY, params={"one": one, "each": each})
    given = {"one": "median", "each": {"a": "float", "b": ["integer", 1]}}
    run_treatment("say", "data/in", "data/out", given)
    assert facts(project)["params"] == given
    done = project.run("say", "--params", '{"one": "medain", "each": {"a": "flaot", "b": [1, true]}}')
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        'error: param `one` of treatment `say` is "medain" (string)\n  at params\n  accepted: mean, median\n'
        "hint: did you mean `median`?\n"
        'error: param `each.a` of treatment `say` is "flaot" (string)\n  at params\n  accepted: integer, float, 1\n'
        "hint: did you mean `float`?\n"
        "error: param `each.b[1]` of treatment `say` is true (boolean)\n  at params\n  accepted: integer, float, 1\n",
    )


def test_large_params(project: SmallProject) -> None:
    """Five megabytes of params and keys of any script arrive as they are."""
    project.treatment("say", SAY, params={"x": {"type": "object"}})
    params = {"x": {"größe\n\0": "ü" * 2_500_000, "\U0001f9aa": ["\ud800"]}}
    run_treatment("say", "data/in", "data/out", params)
    assert facts(project)["params"] == params


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x": 1', "error: not JSON: Expecting ',' delimiter\n  at --params:1:8\n  {\"x\": 1\n"),
        ("[1]", 'error: --params is [1] (array)\n  accepted: one JSON object, such as \'{"delimiter": ","}\'\n'),
        ('{"x": NaN}', "error: `x` is nan\n  at --params, x\n  accepted: a finite number\n"),
        ('{"x": 1, "x": 2}', "error: the key `x` stands twice\n  at --params\nhint: keep one of them\n"),
    ],
)
def test_params_that_are_no_json(project: SmallProject, text: str, message: str) -> None:
    """--params is strict JSON: one object."""
    project.treatment("say", SAY, params={"x": {"type": "integer"}})
    done = project.run("say", "--params", text)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert project.events == []


def test_unknown_treatment(project: SmallProject) -> None:
    """The names that there are are listed, the nearest is suggested."""
    project.treatment("parse")
    project.treatment("clean")
    done = project.run("prase")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no treatment `prase`\n  accepted: clean, parse\nhint: did you mean `parse`?\n"


def test_missing_input_folder(project: SmallProject) -> None:
    """A missing input folder says which step of which flow writes it."""
    project.treatment("double")
    project.flow({**STEP_OF, "output": "mid"}, {**STEP_OF, "input": "mid"})
    done = project.cli("runner", "--treatment", "double", "--input", "data/mid", "--output", "data/out")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the input folder `data/mid` is missing\n"
        "note: it is written by step 1 `double` of flow `chain`\n"
        "hint: python -m pymyx.core.flow --flow chain\n"
    )
    done = project.cli("runner", "--treatment", "double", "--input", "data/in/a.csv", "--output", "data/out")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the input folder `data/in/a.csv` is no folder\nnote: no flow writes it\n"
        "hint: create it and put the input files there\n"
    )
    assert project.events == []


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--input", "input is an empty text\n  accepted: a folder"),
        ("--output", "output is an empty text\n  accepted: a folder"),
        ("--data", "data is an empty text\n  accepted: a folder"),
        ("--root", "root is an empty text\n  accepted: a folder"),
    ],
)
def test_empty_names_of_folders(project: SmallProject, flag: str, text: str) -> None:
    """An unset variable in a script is never the working directory."""
    project.treatment("double")
    given = {"--treatment": "double", "--input": "data/in", "--output": "data/out", flag: ""}
    done = project.cli("runner", *(word for pair in given.items() for word in pair))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {text}\n")
    assert project.events == []


@pytest.mark.parametrize("output", ["/", ".", "..", "treatments/double", "flows", "data/.pymyx/x"])
def test_output_never_holds_the_project(project: SmallProject, output: str) -> None:
    """Results are never put at the top of the disk, around the project, among its code or into the state."""
    project.treatment("double")
    before = snapshot(project.root)
    done = project.cli("runner", "--treatment", "double", "--input", "data/in", "--output", output)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output folder `")
    assert done.stderr.endswith("hint: name a folder of its own, such as data/10_parsed\n")
    assert snapshot(project.root) == before


def test_run_in_a_data_root(project: SmallProject) -> None:
    """--data names the folder that input and output are named from, as they are in a flow."""
    project.treatment("double")
    (project.root / "station" / "in").mkdir(parents=True)
    done = project.cli(
        "runner", "--treatment", "double", "--data", "station", "--input", "in", "--output", "out", cwd=project.root
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("double: station/in -> station/out  ")
    done = project.cli("runner", "--treatment", "double", "--data", "statoin", "--input", "in", "--output", "out")
    assert (done.returncode, done.stderr) == (
        2,
        f"error: the data root `{project.root}/statoin` is not a folder\nhint: name an existing folder with --data DIR\n",
    )


def test_input_folder_with_a_typo(project: SmallProject) -> None:
    """The nearest folder is named."""
    project.treatment("double")
    done = project.cli("runner", "--treatment", "double", "--input", "data/inn", "--output", "data/out")
    assert (done.returncode, done.stderr) == (
        2,
        "error: the input folder `data/inn` is missing\nnote: no flow writes it\nhint: did you mean `data/in`?\n",
    )


STEP_OF = {"treatment": "double", "input": "in", "output": "out"}


@pytest.mark.parametrize("output", ["data/in", "data/in/deeper", "data/link/deeper", "data/in/a.csv"])
def test_output_never_lies_in_the_input(project: SmallProject, output: str) -> None:
    """An input folder is never written to, also not by way of a link."""
    (project.root / "data" / "link").symlink_to(project.input)
    project.treatment("double")
    before = snapshot(project.root / "data")
    with pytest.raises(UsageError):
        run_treatment("double", "data/in", output)
    assert snapshot(project.root / "data") == before
    assert project.events == []


def test_project_is_found_upwards_or_by_root(project: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The project is the nearest folder upwards, or --root; elsewhere the message says what a project is."""
    project.treatment("double")
    here = ("--treatment", "double", "--input", ".")
    deeper = project.cli("runner", *here, "--output", "../out", cwd=project.input)
    assert deeper.returncode == 0, deeper.stderr
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    lost = project.cli("runner", *here, "--output", "../out", cwd=elsewhere)
    assert lost.returncode == 2
    assert lost.stderr == (
        f"error: no PyMyx project at or above `{elsewhere}`\n"
        "  a project is a folder that holds `treatments/` or `flows/`\n"
        "hint: change to the project's folder, or name it with --root DIR\n"
    )
    named = project.cli("runner", *here, "--output", "../out", "--root", str(project.root), cwd=elsewhere)
    assert named.returncode == 0, named.stderr
    assert [event["input_dir"] for event in project.events][::2] == ["data/in", str(elsewhere)]


def test_output_is_shown_and_never_mixes_with_the_summary(project: SmallProject) -> None:
    """What a treatment prints, by whatever way, goes to the runner's stderr; warnings are one line each."""
    project.treatment(
        "loud",
        "import ctypes, os, subprocess, sys, warnings\n"
        "def run(input_dir, output_dir, params):\n"
        "    print('print')\n"
        "    print('err', file=sys.stderr)\n"
        "    os.write(1, b'one\\n')\n"
        "    os.write(2, b'two\\n')\n"
        "    ctypes.CDLL(None).puts(b'c library')\n"
        "    ctypes.CDLL(None).fflush(None)\n"
        "    subprocess.run(['echo', 'child'], check=True)\n"
        "    warnings.warn('3 rows look odd')\n"
        '    print(\'{"status": "error"}\', file=sys.stderr)\n'
        "    print(f'wrote {output_dir}/x')\n"
        "    print('no newline', end='')\n",
    )
    done = project.run("loud")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    expected = ["print", "err", "one", "two", "c library", "child", "warning: 3 rows look odd", '{"status": "error"}']
    assert done.stderr.splitlines() == [*expected, f"wrote {project.output}/x", "no newline"]


def test_public_api() -> None:
    """The public names are there, and importing pymyx alone imports nothing else of it."""
    assert pymyx.run_treatment is run_treatment
    assert issubclass(TreatmentError, pymyx.PymyxError)
    assert set(pymyx.__all__) <= set(dir(pymyx))
    with pytest.raises(AttributeError):
        pymyx.nothing_of_this_name  # noqa: B018


def test_log_that_cannot_be_written(project: SmallProject) -> None:
    """Without a log nothing runs."""
    project.treatment("say", SAY)
    (project.root / "pymyx.log").mkdir()
    done = project.run("say")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the log cannot be written: Is a directory\n  at {project.root}/pymyx.log\n"
        "hint: make room, or make it writable\n"
    )
    assert not project.output.exists()
