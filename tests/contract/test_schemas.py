"""schemas/ is what the models say, and what is logged and stated fits it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pymyx.core.isolation.child import SHIM

from ..conftest import NOTHING, SmallProject
from ..write_schemas import SCHEMAS, schema_texts


def schema(name: str) -> dict[str, Any]:
    """A schema of the repository."""
    loaded: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


def test_schemas_are_written_from_the_models() -> None:
    """When this fails: python -m tests.write_schemas."""
    files = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert files == schema_texts()


@pytest.mark.parametrize("name", ["treatment", "flow", "event", "outcome"])
def test_schemas_are_schemas(name: str) -> None:
    """Each is a JSON Schema of 2020-12 by itself: no reference leads out of it."""
    document = schema(name)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)
    assert json.dumps(document).count('"$ref": "') == json.dumps(document).count('"$ref": "#/$defs/')


def test_events_fit_their_schema(project: SmallProject) -> None:
    """Every event that is logged fits the schema, whose keys are exactly those of an event."""
    project.treatment("nothing")
    project.misbehaving("raises")
    project.run("nothing")
    project.cli("runner", "--treatment", "raises", "--input", "data/in", "--output", "data/out-2")
    validator = jsonschema.Draft202012Validator(schema("event"))
    assert project.statuses == ["nothing start", "nothing success", "raises start", "raises error"]
    for event in project.events:
        validator.validate(event)
        assert list(event) == list(schema("event")["properties"]) == schema("event")["required"]
    assert not validator.is_valid({**project.events[0], "extra": 1})


@pytest.mark.parametrize(
    ("code", "status"),
    [(NOTHING, "success"), ("import nothing_of_this_name\n", "error"), (NOTHING.replace("pass", "1 / 0"), "error")],
)
def test_the_protocol_of_the_shim(tmp_path: Path, code: str, status: str) -> None:
    """Started as its docstring says, the shim states one outcome that fits the schema, and nothing else, on stderr."""
    (tmp_path / "run.py").write_text(code, encoding="utf-8")
    folders = {"treatment_dir": str(tmp_path), "input_dir": str(tmp_path), "output_dir": str(tmp_path)}
    report = os.memfd_create("report")
    job = {**folders, "params": {}, "sites": [], "runner": os.getpid(), "report": report, "keep": []}
    job |= {"deadline": time.monotonic() + 60, "grace_s": 3.0}
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-X", "faulthandler", "-X", "utf8", str(SHIM)],
        input=json.dumps({**job, "memory_mb": None, "confine": None}).encode(),
        pass_fds=[report],
        capture_output=True,
        check=False,
    )
    outcome = json.loads(done.stderr)
    jsonschema.Draft202012Validator(schema("outcome")).validate(outcome)
    used = json.loads(os.pread(report, 1000, 0))
    os.close(report)
    assert used["cpu_s"] > 0
    assert 5 < used["peak_mb"] < 100
    assert (outcome["status"], done.returncode, done.stdout) == (status, int(status == "error"), b"")
