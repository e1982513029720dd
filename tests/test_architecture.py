"""The house is as it is drawn: imports point one way, in a circle nowhere, and one run is read in few places."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .conftest import REPO, SmallProject

# a part imports what stands in an earlier row, or beside it where nothing below forbids that
ROWS = (
    ("errors",),
    ("project",),
    ("contract",),
    ("logger", "validator", "isolation", "incremental"),
    ("options", "work", "engine", "workers", "chunks", "verify"),
    ("runner",),
    ("flow",),
    ("status", "cli"),
)
APART = ("isolation", "incremental", "validator")  # none of them knows another
HAND_OVER = ("runner", "flow", "validator")  # `python -m pymyx.core.NAME`: cli parses, prints and exits for them
MODULES = [path for path in sorted((REPO / "pymyx").rglob("*.py")) if not {"shim", "template"} & set(path.parts)]


def name_of(path: Path) -> str:
    """`pymyx.core.contract.models`."""
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    """The part of the house that a module belongs to: `contract`, `cli`, `runner`."""
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["core"] and len(parts) > 2 else parts[-1] if len(parts) < 3 else parts[1]


def is_hand_over(node: ast.AST) -> bool:
    """Whether it is `if __name__ == "__main__": …`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def imports(tree: ast.AST) -> set[str]:
    """The modules of pymyx that are imported anywhere in a tree, but for a hand-over."""
    names: set[str] = set()
    for node in [tree] if not isinstance(tree, ast.Module) else [one for one in tree.body if not is_hand_over(one)]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("pymyx"):
                whole = [f"{inner.module}.{alias.name}" for alias in inner.names]
                names |= {one if one in map(name_of, MODULES) else str(inner.module) for one in whole}
            elif isinstance(inner, ast.Import):
                names |= {alias.name for alias in inner.names if alias.name.startswith("pymyx")}
    return names


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


INNER = [path for path in MODULES if path.stem not in ("__init__", "__main__")]


@pytest.mark.parametrize("path", INNER, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    """A part imports earlier ones; isolation, incremental and validator do not know each other."""
    own = part_of(name_of(path))
    row = next(number for number, names in enumerate(ROWS) if own in names)
    for other in map(part_of, imports(parsed(path))):
        assert other in sum(ROWS[: row + 1], ()), f"{own} imports {other}"
        assert other == own or not {own, other} <= set(APART), f"{own} imports {other}"


def test_no_circle() -> None:
    """No module imports another that leads back to it, but for the three that hand over to the command line."""
    TopologicalSorter({name_of(path): imports(parsed(path)) for path in INNER}).prepare()
    handing = {path.stem: [one for one in parsed(path).body if is_hand_over(one)] for path in INNER}
    assert {name for name, found in handing.items() if found} == set(HAND_OVER)
    assert all(imports(found[0]) == {"pymyx.cli.main"} for found in handing.values() if found)


def test_packages_re_export_nothing() -> None:
    """A package's `__init__` imports nothing: what is not asked for is not loaded."""
    inside = [path for path in MODULES if path.stem == "__init__" and path.parent.name != "pymyx"]
    assert len(inside) == 6
    assert not any(imports(parsed(path)) for path in inside)


def test_nothing_heavy_is_imported_by_a_parent() -> None:
    """A run's parent imports none of the libraries of treatments and of checking; `import pymyx` nearly nothing."""
    code = "import sys, json, pymyx; first = list(sys.modules); import pymyx.core.flow, pymyx.cli.main; print(json.dumps([first, list(sys.modules)]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, check=True)
    first, all_of_it = json.loads(done.stdout)
    assert not {"pymyx.core", "pydantic"} & set(first)
    assert not {"pandas", "pyarrow", "numpy", "jsonschema", "jsonlines"} & set(all_of_it)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_say_what_they_are_for(path: Path) -> None:
    """One sentence opens each module."""
    assert (ast.get_docstring(parsed(path)) or "").partition("\n")[0].endswith((".", "?", ":", ";"))


def test_what_the_core_points_to_is_there() -> None:
    """Each file and name in the core's list of where a change begins exists."""
    text = ast.get_docstring(parsed(REPO / "pymyx/core/__init__.py")) or ""
    pointed = re.findall(r"((?:core|cli|treatments)/\S+\.py): ([\w, ]*\w)", text.partition("Where a change begins")[2])
    assert len(pointed) >= 15
    for file, names in pointed:
        root = REPO if file.startswith("treatments/") else REPO / "pymyx"
        body = (root / file).read_text(encoding="utf-8")
        for name in names.split(", "):
            assert re.search(rf"^(class |def |){name}\b", body, re.MULTILINE), f"{file}: {name}"


def test_every_error_has_its_exit_code() -> None:
    """The tree that errors.py draws is the tree that there is."""
    from pymyx.core import errors

    drawn = (errors.__doc__ or "").partition("PymyxError")[2]
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.PymyxError)]
    for one in classes[1:]:
        assert f"── {one.__name__} " in drawn
    assert [one.exit_code for one in classes[:3]] == [1, 2, 2]


PUBLIC = {"run_treatment", "run_flow", "plan_treatment", "plan_flow", "log_event"}


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """All functions and methods of a tree."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", INNER, ids=name_of)
def test_few_parameters(path: Path) -> None:
    """No function has more than five parameters, but for the public ones."""
    for one in functions(parsed(path)):
        arguments = [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs, one.args.vararg, one.args.kwarg]
        names = [argument.arg for argument in arguments if argument and argument.arg not in ("self", "cls")]
        assert len(names) <= 5 or one.name in PUBLIC, f"{one.name}: {names}"


def test_one_run_moves_little_between_modules(project: SmallProject) -> None:
    """A run of three days is read in few places: at most 80 calls lead from one module into another."""
    project.treatment("copy", COPY, days={"before": 0, "after": 0})
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        (project.input / f"x__{day}.parquet").write_text(day, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", PROFILED], capture_output=True, text=True, check=True)
    moves = json.loads(done.stdout)
    assert len(list(project.output.iterdir())) == 3
    assert len(moves) <= 80, "\n".join(moves)


COPY = """
import os, shutil
def run(input_dir, output_dir, params):
    for name in os.listdir(input_dir):
        shutil.copy(f"{input_dir}/{name}", output_dir)
"""
PROFILED = f"""
import json, sys
sys.path.insert(0, {str(REPO)!r})
from pymyx.core.runner import run_treatment
moves = []

def ours(frame):
    return frame.f_code.co_filename.startswith({str(REPO / "pymyx") + os.sep!r}) and frame.f_code.co_name != "<module>"

def look(frame, event, argument):
    if event == "call" and ours(frame):
        caller = frame.f_back
        while caller and not ours(caller):
            caller = caller.f_back
        if caller and caller.f_code.co_filename != frame.f_code.co_filename:
            moves.append(f"{{caller.f_code.co_qualname}} > {{frame.f_code.co_qualname}}")

sys.setprofile(look)
run_treatment("copy", "data/in", "data/out")
sys.setprofile(None)
print(json.dumps(moves))
"""
