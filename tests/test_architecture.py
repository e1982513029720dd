"""The house is as it is drawn: imports point one way, nothing heavy is imported early, no module grows too long."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPO

# each module may import those before it, never one of its own row or below
ROWS = [
    {"errors"},
    {"project"},
    {"models"},
    {"contract", "grants", "logger", "relay", "source", "stage"},
    {"treatments", "confinement", "child", "lock", "manifest", "places"},
    {"validator", "isolation", "folder"},
    {"verdict", "owner", "plan", "publish", "warned"},
    {"options", "removal", "survey"},
    {"batch", "notes", "record"},
    {"verify"},
    {"runner"},
    {"flow"},
    {"overview", "scaffold", "lines"},
    {"streams"},
    {"progress", "texts", "arguments"},
    {"cli"},
    {"__main__"},
]
MODULES = [path for path in sorted((REPO / "pymyx").rglob("*.py")) if path.parent.name not in ("shim", "template")]


def imports(tree: ast.AST) -> set[str]:
    """The modules of pymyx that are imported somewhere in a tree."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pymyx"):
            names.add((node.module or "").rpartition(".")[2])
        elif isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names if alias.name.startswith("pymyx")}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_one_way(path: Path) -> None:
    """A module imports only what stands before it; runner, flow and validator hand over to cli when they are run."""
    if path.name == "__init__.py":
        return
    body = ast.parse(path.read_text(encoding="utf-8")).body
    handing_over = [
        one for one in body if isinstance(one, ast.If) and ast.unparse(one.test) == "__name__ == '__main__'"
    ]
    assert [imports(one) for one in handing_over] == (
        [{"cli"}] if path.stem in ("runner", "flow", "validator", "__main__") else []
    )
    row = next(number for number, names in enumerate(ROWS) if path.stem in names)
    accepted = set().union(*ROWS[:row])
    assert imports(ast.Module([one for one in body if one not in handing_over], [])) <= accepted


def test_every_module_has_its_place() -> None:
    """A new module is given a row of its own choice, not an accident."""
    assert {path.stem for path in MODULES} - {"__init__"} == set().union(*ROWS)


def test_nothing_heavy_is_imported_by_a_parent() -> None:
    """A run's parent imports none of the libraries of treatments and of checking; `import pymyx` nearly nothing."""
    code = "import sys, json, pymyx; first = list(sys.modules); import pymyx.core.flow, pymyx.cli; print(json.dumps([first, list(sys.modules)]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, check=True)
    first, all_of_it = json.loads(done.stdout)
    assert not {"pymyx.core", "pydantic"} & set(first)
    assert not {"pandas", "pyarrow", "numpy", "jsonschema", "jsonlines"} & set(all_of_it)


def test_no_hint_names_prune_alone() -> None:
    """What `--prune` lets go is looked at before: hints say so in one place."""
    strings = {
        path.stem: [
            one.value
            for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(one, ast.Constant) and "--prune" in str(one.value)
        ]
        for path in MODULES
    }
    assert {name: texts for name, texts in strings.items() if texts and name not in ("errors", "arguments")} == {}


def test_every_error_has_its_exit_code() -> None:
    """The tree that errors.py draws is the tree that there is."""
    from pymyx.core import errors

    drawn = (errors.__doc__ or "").partition("PymyxError")[2]
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PymyxError)]
    for one in classes[1:]:
        assert f"── {one.__name__} " in drawn
    assert [one.exit_code for one in classes[:3]] == [1, 2, 2]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_short_and_say_what_they_are_for(path: Path) -> None:
    """One sentence opens each module; none is longer than 300 lines."""
    text = path.read_text(encoding="utf-8")
    assert (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].endswith((".", "?", ":", ";"))
    assert len(text.splitlines()) <= 300
