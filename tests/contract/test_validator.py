"""The validator: every way to break a contract has its own clear message, and all of them are told at once."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from pymyx.core.contract.models import Flow, Treatment, json_schema
from pymyx.core.validator import check

from ..conftest import CONTRACT, FLOW, NOTHING, REPO, STEP, SmallProject

Change = Callable[[dict[str, Any]], Any]


def changed(document: dict[str, Any], change: Change) -> dict[str, Any]:
    """A copy of `document` with a change made to it."""
    made = copy.deepcopy(document)
    change(made)
    return made


def set_to(value: object, *keys: str | int) -> Change:
    """The change that sets the value at a path of keys."""

    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


def param(**definition: object) -> Change:
    """The change that declares the param `window`."""
    return set_to({"window": definition}, "params")


JSON = "treatments/double/treatment.json"
KEYS = "$schema, allow, days, description, input, limits, name, output, params, version"
SEMVER = "  accepted: string: a semantic version such as 1.0.0"

# a change of a good treatment.json; the message, whole; whether a JSON Schema can see it
BAD_TREATMENTS: dict[str, tuple[Change, str, bool]] = {
    "no version": (
        lambda document: document.pop("version"),
        f"`version` is missing\n  at {JSON}\n{SEMVER}\nhint: add `version`",
        True,
    ),
    "no params": (
        lambda document: document.pop("params"),
        f"`params` is missing\n  at {JSON}\n  accepted: object: its params by name; {{}} when it has none\nhint: add `params`",
        True,
    ),
    "no input description": (
        lambda document: document["input"].pop("description"),
        f"`description` is missing\n  at {JSON}, input\n  accepted: string not empty: a text that says what it is\n"
        "hint: add `description`",
        True,
    ),
    "unknown key": (
        set_to("x", "desciption"),
        f"unknown key `desciption`\n  at {JSON}\n  accepted: {KEYS}\nhint: did you mean `description`?",
        True,
    ),
    "unknown key, nothing near": (
        set_to("x", "colour"),
        f"unknown key `colour`\n  at {JSON}\n  accepted: {KEYS}\nhint: remove `colour`",
        True,
    ),
    "unknown key of a param": (
        param(type="integer", defualt=3),
        f"unknown key `defualt`\n  at {JSON}, params.window\n  accepted: choices, default, description, type\n"
        "hint: did you mean `default`?",
        True,
    ),
    "two-part version": (
        set_to("1.0", "version"),
        f'`version` is "1.0" (string)\n  at {JSON}, version\n{SEMVER}',
        True,
    ),
    "version with leading zero": (
        set_to("1.02.0", "version"),
        f'`version` is "1.02.0" (string)\n  at {JSON}, version\n{SEMVER}',
        True,
    ),
    "version as number": (
        set_to(1, "version"),
        f"`version` is 1 (integer)\n  at {JSON}, version\n{SEMVER}",
        True,
    ),
    "name not the folder's": (
        set_to("single", "name"),
        f'`name` is "single" (string)\n  at {JSON}, name\n  accepted: double, the name of its folder\n'
        "hint: set it, or rename the folder",
        False,
    ),
    "name with capitals": (
        set_to("Double", "name"),
        f'`name` is "Double" (string)\n  at {JSON}, name\n  accepted: string: a lower-case name such as clean_v2',
        True,
    ),
    "empty description": (
        set_to("", "description"),
        f'`description` is "" (string)\n  at {JSON}, description\n  accepted: string not empty: a text that says what it is',
        True,
    ),
    "unknown format": (
        set_to("parqet", "input", "format"),
        f'`input.format` is "parqet" (string)\n  at {JSON}, input.format\n  accepted: csv, parquet\n'
        "hint: did you mean `parquet`?",
        True,
    ),
    "unknown output": (
        set_to("pgn", "output", "format"),
        f'`output.format` is "pgn" (string)\n  at {JSON}, output.format\n  accepted: parquet, csv, png, svg, html\n'
        "hint: did you mean `png`?",
        True,
    ),
    "input as text": (
        set_to("csv", "input"),
        f'`input` is "csv" (string)\n  at {JSON}, input\n  accepted: object with description, format',
        True,
    ),
    "params as list": (
        set_to([], "params"),
        f"`params` is [] (array)\n  at {JSON}, params\n  accepted: object: its params by name; {{}} when it has none",
        True,
    ),
    "unknown param type": (
        param(type="int"),
        f'`params.window.type` is "int" (string)\n  at {JSON}, params.window.type\n'
        "  accepted: string, integer, float, boolean, object, array\nhint: did you mean `integer`?",
        True,
    ),
    "param without type": (
        param(default=3),
        f"`type` is missing\n  at {JSON}, params.window\n  accepted: string, integer, float, boolean, object, array\n"
        "hint: add `type`",
        True,
    ),
    "default of another type": (
        param(type="integer", default="5", description="rows"),
        f'the default of param `window` is "5" (string)\n  at {JSON}, params.window.default\n  accepted: integer: rows\n'
        "hint: write it without quotes",
        True,
    ),
    "boolean for an integer": (
        param(type="integer", default=True),
        f"the default of param `window` is true (boolean)\n  at {JSON}, params.window.default\n  accepted: integer",
        True,
    ),
    "float for an integer": (
        param(type="integer", default=5.5),
        f"the default of param `window` is 5.5 (float)\n  at {JSON}, params.window.default\n  accepted: integer",
        True,
    ),
    "number for a string": (
        param(type="string", default=5),
        f"the default of param `window` is 5 (integer)\n  at {JSON}, params.window.default\n  accepted: string\n"
        "hint: write it in quotes",
        True,
    ),
    "null for an object": (
        param(type="object", default=None),
        f"the default of param `window` is null (null)\n  at {JSON}, params.window.default\n  accepted: object",
        True,
    ),
    "list for an object": (
        param(type="object", default=[1]),
        f"the default of param `window` is [1] (array)\n  at {JSON}, params.window.default\n  accepted: object",
        True,
    ),
    "infinite default": (
        param(type="float", default=float("inf")),
        f"`params.window.default` is inf\n  at {JSON}, params.window.default\n  accepted: a finite number",
        False,
    ),
    "negative days": (
        set_to({"before": -1, "after": 0}, "days"),
        f"`days.before` is -1 (integer)\n  at {JSON}, days.before\n  accepted: integer of at least 0 and at most 366: a number of days",
        True,
    ),
    "days before of more than a year": (
        set_to({"before": 1_000_000_000, "after": 0}, "days"),
        f"`days.before` is 1000000000 (integer)\n  at {JSON}, days.before\n"
        "  accepted: integer of at least 0 and at most 366: a number of days",
        True,
    ),
    "no choice": (
        param(type="string", choices=[]),
        f"`params.window.choices` is [] (array)\n  at {JSON}, params.window.choices\n"
        "  accepted: array not empty: the values it accepts; for an array or object, those that may stand in it",
        True,
    ),
    "choices of another type": (
        param(type="integer", choices=[1, "2"]),
        f'choice 2 of param `window` is "2" (string)\n  at {JSON}, params.window.choices[1]\n  accepted: integer\n'
        "hint: write it without quotes",
        True,
    ),
    "default that is no choice": (
        param(type="string", default="medain", choices=["mean", "median"]),
        f'the default of param `window` is "medain" (string)\n  at {JSON}, params.window.default\n'
        "  accepted: mean, median\nhint: did you mean `median`?",
        False,
    ),
    "default with a part that is no choice": (
        param(type="object", default={"a": "mean", "b": ["mena"]}, choices=["mean", "median"]),
        f'the default of param `window.b[0]` is "mena" (string)\n  at {JSON}, params.window.default\n'
        "  accepted: mean, median\nhint: did you mean `mean`?",
        False,
    ),
    "too little memory": (
        set_to({"memory_mb": 256}, "limits"),
        f"`limits.memory_mb` is 256 (integer)\n  at {JSON}, limits.memory_mb\n"
        "  accepted: integer of at least 512: megabytes of data; pyarrow hangs below 512",
        True,
    ),
    "no time": (
        set_to({"timeout_s": 0}, "limits"),
        f"`limits.timeout_s` is 0 (integer)\n  at {JSON}, limits.timeout_s\n"
        "  accepted: number of more than 0: seconds of wall time that one child may take for all days it is given; 21600 "
        "(6 h) when not said",
        True,
    ),
    "unknown permission": (
        set_to({"netwrok": True}, "allow"),
        f"unknown key `netwrok`\n  at {JSON}, allow\n  accepted: env, network, read, shared_memory\n"
        "hint: did you mean `network`?",
        True,
    ),
}

FLOW_JSON = "flows/chain.json"
BAD_FLOWS: dict[str, tuple[Change, str, bool]] = {
    "no steps": (
        set_to([], "steps"),
        f"`steps` is [] (array)\n  at {FLOW_JSON}, steps\n  accepted: array not empty: the steps, in the order they run",
        True,
    ),
    "unknown treatment": (
        set_to("duoble", "steps", 0, "treatment"),
        f"no treatment `duoble`\n  at {FLOW_JSON}, steps[0].treatment\n  accepted: double, table\nhint: did you mean `double`?",
        False,
    ),
    "unknown param": (
        set_to({"widnow": 3}, "steps", 0, "params"),
        f"treatment `double` has no parameter `widnow`\n  at {FLOW_JSON}, steps[0].params\n  accepted: how, window\n"
        "hint: did you mean `window`?",
        False,
    ),
    "param of another type": (
        set_to({"window": "3"}, "steps", 0, "params"),
        f'param `window` of treatment `double` is "3" (string)\n  at {FLOW_JSON}, steps[0].params\n'
        "  accepted: integer: rows\nhint: write it without quotes",
        False,
    ),
    "param that is no choice": (
        set_to({"how": "medain"}, "steps", 0, "params"),
        f'param `how` of treatment `double` is "medain" (string)\n  at {FLOW_JSON}, steps[0].params\n'
        "  accepted: mean, median\nhint: did you mean `median`?",
        False,
    ),
    "unknown key of a step": (
        set_to("x", "steps", 0, "ouput"),
        f"unknown key `ouput`\n  at {FLOW_JSON}, steps[0]\n  accepted: input, output, params, treatment\n"
        "hint: did you mean `output`?",
        True,
    ),
    "way out of the data root": (
        set_to("../elsewhere", "steps", 0, "output"),
        f'`steps[0].output` is "../elsewhere" (string)\n  at {FLOW_JSON}, steps[0].output\n'
        "  accepted: string: a folder under the data root such as 10_parsed, without `..` or a leading `.`",
        True,
    ),
    "absolute folder": (
        set_to("/data", "steps", 0, "input"),
        f'`steps[0].input` is "/data" (string)\n  at {FLOW_JSON}, steps[0].input\n'
        "  accepted: string: a folder under the data root such as 10_parsed, without `..` or a leading `.`",
        True,
    ),
    "the state of PyMyx": (
        set_to("mid/.pymyx", "steps", 0, "output"),
        f'`steps[0].output` is "mid/.pymyx" (string)\n  at {FLOW_JSON}, steps[0].output\n'
        "  accepted: string: a folder under the data root such as 10_parsed, without `..` or a leading `.`",
        True,
    ),
    "two writers": (
        set_to([STEP, {**STEP, "input": "more"}], "steps"),
        f"the output folder `out` has two writers\n  at {FLOW_JSON}, steps[1].output\n"
        "note: step 1 `double` writes it already; a folder has one writer",
        False,
    ),
    "read too early": (
        set_to([{**STEP, "input": "mid"}, {**STEP, "output": "mid"}], "steps"),
        f"the folder `mid` is read too early\n  at {FLOW_JSON}, steps[1].output\n"
        "note: step 1 `double` reads it before step 2 `double` writes it\nhint: reorder the steps",
        False,
    ),
    "its own input": (
        set_to([{**STEP, "output": "in"}], "steps"),
        f"step 1 writes its own input folder `in`\n  at {FLOW_JSON}, steps[0].output",
        False,
    ),
    "output inside an input": (
        set_to([STEP, {**STEP, "input": "out", "output": "in/deeper"}], "steps"),
        f"the output folder `in/deeper` lies inside the input folder `in`\n  at {FLOW_JSON}, steps[1].output\n"
        "note: step 1 `double` reads it; an input folder is never written to",
        False,
    ),
    "formats do not chain": (
        set_to([STEP, {"treatment": "table", "input": "out", "output": "last"}], "steps"),
        f"treatment `table` reads csv, but its input folder holds parquet\n  at {FLOW_JSON}, steps[1].input\n"
        "note: step 1 `double` writes that folder",
        False,
    ),
    "name not the file's": (
        set_to("train", "name"),
        f'`name` is "train" (string)\n  at {FLOW_JSON}, name\n  accepted: chain, the name of its file\n'
        "hint: set it, or rename the file",
        False,
    ),
}

RUN_PY = "treatments/double/run.py"
SIGNATURE = "def run(input_dir, output_dir, params)"
INDENTED = NOTHING.replace("\n    ", "\n        ")
BAD_CODE = {
    "no function": ("x = 1\n", f"run.py has no function `run`\n  at {RUN_PY}\n  accepted: {SIGNATURE}\nhint: add it"),
    "another name": (
        "def runn(input_dir, output_dir, params): pass\n",
        f"run.py has no function `run`\n  at {RUN_PY}\n  accepted: {SIGNATURE}\nhint: did you mean `runn`?",
    ),
    "a lambda": (
        "run = lambda i, o, p: None\n",
        f"run.py has no function `run`\n  at {RUN_PY}\n  accepted: {SIGNATURE}\nhint: add it",
    ),
    "another signature": (
        "def run(inp, out, params={}):\n    pass\n",
        f"`run` is defined as `def run(inp, out, params={{}})`\n  at {RUN_PY}:1\n  accepted: {SIGNATURE}",
    ),
    "more arguments": (
        "def run(input_dir, output_dir, params, *args, **more):\n    pass\n",
        f"`run` is defined as `def run(input_dir, output_dir, params, *args, **more)`\n  at {RUN_PY}:1\n  accepted: {SIGNATURE}",
    ),
    "a coroutine": (
        "async def run(input_dir, output_dir, params):\n    pass\n",
        f"`run` is defined as `async def run(input_dir, output_dir, params)`\n  at {RUN_PY}:1\n  accepted: {SIGNATURE}",
    ),
    "a second function": (
        f"{NOTHING}\ndef helper():\n    pass\n",
        f"run.py has a second public function `helper`\n  at {RUN_PY}:4\n"
        "  accepted: run, and functions whose name starts with `_`\n"
        "hint: rename it to `_helper`, or move it to a file beside run.py",
    ),
    "run twice": (
        f"try:\n    {INDENTED}except ImportError:\n    {INDENTED}",
        f"run.py defines `run` twice\n  at {RUN_PY}:5\nhint: keep one of them",
    ),
    "no Python": ("def run(:\n", f"not Python: invalid syntax\n  at {RUN_PY}:1:9\n  def run(:"),
    "no Python to the compiler": (
        f"{NOTHING}return 1\n",
        f"not Python: 'return' outside function\n  at {RUN_PY}:3:1\n  return 1",
    ),
}


@pytest.fixture
def good(project: SmallProject) -> SmallProject:
    """A project with no fault: a treatment with a param, one that reads CSV, and a flow."""
    window = {"type": "integer", "default": 5, "description": "rows"}
    how = {"type": "string", "default": "mean", "choices": ["mean", "median"]}
    project.treatment("double", params={"window": window, "how": how})
    project.treatment("table", input={"format": "csv", "description": "rows"})
    project.flow(STEP)
    assert check()[1] == []
    return project


def texts(*paths: str) -> str:
    """All faults, as one text."""
    return "\n".join(str(fault) for fault in check(paths)[1])


@pytest.mark.parametrize("name", BAD_TREATMENTS)
def test_bad_treatments(good: SmallProject, name: str) -> None:
    """Each fault of a treatment.json is told whole; JSON Schema alone sees all that it can express."""
    change, message, in_schema = BAD_TREATMENTS[name]
    document = changed(CONTRACT, change)
    (good.root / JSON).write_text(json.dumps(document), encoding="utf-8")
    assert texts("treatments/double") == message
    assert good.cli("validator").returncode == 2
    assert bool(list(jsonschema.Draft202012Validator(json_schema(Treatment)).iter_errors(document))) is in_schema


@pytest.mark.parametrize("name", BAD_FLOWS)
def test_bad_flows(good: SmallProject, name: str) -> None:
    """Each fault of a flow is told whole; JSON Schema alone sees all that it can express."""
    change, message, in_schema = BAD_FLOWS[name]
    document = changed(FLOW, change)
    (good.root / FLOW_JSON).write_text(json.dumps(document), encoding="utf-8")
    assert texts(FLOW_JSON) == message
    assert bool(list(jsonschema.Draft202012Validator(json_schema(Flow)).iter_errors(document))) is in_schema


@pytest.mark.parametrize("name", BAD_CODE)
def test_bad_code(good: SmallProject, name: str) -> None:
    """Each fault of a run.py is told with its line, and the file is never imported."""
    code, message = BAD_CODE[name]
    (good.root / RUN_PY).write_text(code + "open('imported', 'w')\n", encoding="utf-8")
    assert texts("treatments/double/run.py") == message
    assert not (good.root / "imported").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"not JSON: Expecting value\n  at {JSON}:1:1\n  it is empty"),
        (b'{"name": "double",\n "version" "1.0.0"}', f"not JSON: Expecting ':' delimiter\n  at {JSON}:2:12\n  \"version\" \"1.0.0\"}}"),
        (b'{"name": "double", "name": "double"}', f"the key `name` stands twice\n  at {JSON}\nhint: keep one of them"),
        (b'{"input": {"format": 1, "format": 2}}', f"the key `format` stands twice\n  at {JSON}, input\nhint: keep one of them"),
        (b'{"params": {"x": {"type": "float", "default": NaN}}}', f"`params.x.default` is nan\n  at {JSON}, params.x.default\n  accepted: a finite number"),
        (b'{"params": {"x": {"type": "float", "default": -1e999}}}', f"`params.x.default` is -inf\n  at {JSON}, params.x.default\n  accepted: a finite number"),
        (b"[]", f"`{JSON}` is [] (array)\n  at {JSON}\n  accepted: object with {KEYS}"),
        (b'{"name": "caf\xe9"}', f"not UTF-8 text\n  at {JSON}, byte 13\nhint: save it as UTF-8"),
        (b"\xef\xbb\xbf{}", f"not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)\n  at {JSON}:1:1\n  \ufeff{{}}"),
        (b"[" * 100_000, f"not JSON that can be read: nested too deeply\n  at {JSON}"),
    ],
)  # fmt: skip
def test_bad_json(good: SmallProject, content: bytes, message: str) -> None:
    """What is no strict JSON is told with its place."""
    (good.root / JSON).write_bytes(content)
    assert texts("treatments/double/treatment.json") == message


def test_missing_files(good: SmallProject) -> None:
    """A folder in treatments/ without its two files is at fault."""
    (good.root / JSON).unlink()
    (good.root / RUN_PY).unlink()
    assert texts("treatments/double") == (
        f"`{JSON}` is missing\n`{RUN_PY}` is missing\nhint: write it with one function: {SIGNATURE}"
    )


def test_everything_is_told_once(good: SmallProject) -> None:
    """All faults of all files are told in one go; those of a treatment not again for each flow that uses it."""
    (good.root / JSON).write_text(json.dumps({**CONTRACT, "version": "1", "colour": "x"}), encoding="utf-8")
    (good.root / RUN_PY).write_text("x = 1\n", encoding="utf-8")
    good.flow(STEP, {**STEP, "treatment": "nobody", "output": "b"}, name="second")
    done = good.cli("validator")
    assert done.returncode == 2
    assert done.stdout == "4 contract files checked: 4 faults\n"
    assert done.stderr.count("error: ") == 4
    for word in ("`version` is", "unknown key `colour`", "has no function `run`", "no treatment `nobody`"):
        assert done.stderr.count(word) == 1
    assert "pydantic" not in done.stderr.lower()


def test_paths(good: SmallProject) -> None:
    """A path may be a project, a treatment's folder or file, a flow; anything else is wrong use."""
    assert check()[0] == 3
    assert check([str(good.root)])[0] == 3
    assert check(["treatments/double", "treatments/double/run.py", FLOW_JSON])[0] == 2
    for path, words in (
        ("nowhere", "no file or folder `nowhere`"),
        ("data/in/a.csv", "`data/in/a.csv` is no contract file"),
    ):
        done = good.cli("validator", path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {words}\n")


def test_two_flows_that_write_one_folder(good: SmallProject) -> None:
    """Two flows may share a step, and write a folder from different ones never: each would make it anew for ever."""
    good.flow(STEP, name="other")
    assert check()[1] == []
    good.flow({**STEP, "params": {"window": 7}}, name="other")
    assert (
        texts()
        == texts("flows/other.json")
        == (
            "the output folder `out` is written by two flows, from different steps\n  at flows/other.json, steps[0].output\n"
            "note: step 1 `double` of flow `chain` writes it with other params\n"
            "hint: let each write to a folder of its own, or make the steps the same"
        )
    )
    good.flow({**STEP, "input": "more"}, name="other")
    assert "note: step 1 `double` of flow `chain` writes it from `in`\n" in texts()
    good.flow({**STEP, "treatment": "table"}, name="other")
    assert "note: step 1 `double` of flow `chain` writes it\n" in texts()


def test_a_picture_is_read_by_no_step(good: SmallProject) -> None:
    """A treatment may write pictures and pages; a next step reads only what its `input.format` can be."""
    good.treatment("draw", output={"format": "svg", "description": "a curve"})
    good.flow({**STEP, "treatment": "draw"}, {**STEP, "input": "out", "output": "more"})
    assert texts(FLOW_JSON) == (
        f"treatment `double` reads parquet, but its input folder holds svg\n  at {FLOW_JSON}, steps[1].input\n"
        "note: step 1 `draw` writes that folder"
    )


def test_schemas_of_the_project_are_used(good: SmallProject) -> None:
    """What the JSON Schema in schemas/ refuses is a fault even where the models accept it."""
    shutil.copytree(REPO / "schemas", good.root / "schemas")
    assert check()[1] == []
    path = good.root / "schemas" / "treatment.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    schema["properties"]["version"]["const"] = "2.0.0"
    path.write_text(json.dumps(schema), encoding="utf-8")
    assert (
        texts("treatments/double")
        == f"breaks schemas/treatment.schema.json: '2.0.0' was expected\n  at {JSON}, version"
    )
    path.write_text("{", encoding="utf-8")
    assert "not JSON" in texts("treatments/double")


@pytest.mark.parametrize(
    "change",
    [
        set_to("https://example.org/treatment.schema.json", "$schema"),
        set_to("1.0.0-rc.1+build.5", "version"),
        param(type="float", default=3),
        param(type="array", default=[{"deep": [None, 1.5, "x"]}]),
        param(type="string"),
        param(type="string", choices=["mean", "median"], default="mean"),
        param(type="float", choices=[1, 2.5], default=1.0),
        param(type="object", choices=["integer", "float"], default={"a": "float"}),
        param(type="array", choices=[1, 2, None], default=[1, [2, None]]),
        *(set_to(one, "output", "format") for one in ("csv", "png", "svg", "html")),
        set_to({"before": 1, "after": 0}, "days"),
        set_to({"before": 366, "after": 366}, "days"),
        set_to({"timeout_s": 0.5, "memory_mb": 512}, "limits"),
        set_to({"network": True, "read": ["calibration"], "env": ["TOKEN"], "shared_memory": False}, "allow"),
    ],
)
def test_good_treatments(good: SmallProject, change: Change) -> None:
    """What is optional is accepted, by meaning and by JSON Schema."""
    document = changed(CONTRACT, change)
    (good.root / JSON).write_text(json.dumps(document), encoding="utf-8")
    assert texts("treatments/double") == ""
    jsonschema.Draft202012Validator(json_schema(Treatment)).validate(document)


def test_private_functions_classes_and_annotations_are_free(good: SmallProject) -> None:
    """Only public functions are limited to `run`."""
    code = (
        "from os.path import join\nclass Model:\n    def fit(self): pass\ndef _helper(): pass\n"
        "def run(input_dir: str, output_dir: str, params: dict[str, object]) -> None:\n    def inner(): pass\n"
    )
    (good.root / RUN_PY).write_text(code, encoding="utf-8")
    assert texts("treatments/double") == ""


def test_this_repository() -> None:
    """The contracts that PyMyx ships have no fault."""
    checked, faults = check([str(REPO)])
    contracts = [*REPO.glob("treatments/*/treatment.json"), *REPO.glob("flows/*.json")]
    assert (checked, faults) == (len(contracts), [])


@pytest.mark.parametrize("kind", ["treatments", "flows"])
def test_contract_files_of_the_repository_fit_their_schema(kind: str) -> None:
    """Each names its schema for editors, and any JSON Schema validator accepts it by that."""
    files = list((REPO / kind).rglob("*.json"))
    assert files
    for path in files:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = json.loads((path.parent / document["$schema"]).resolve().read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(document)
