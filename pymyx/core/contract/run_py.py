"""Reads a run.py without importing it: is its one public function `run(input_dir, output_dir, params)`?"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from pymyx.core.errors import Fault, did_you_mean

SIGNATURE = "def run(input_dir, output_dir, params)"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_source(path: Path, shown: str) -> list[Fault]:
    """The faults of a run.py, each with its line; `shown` is how messages name the file."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes(), filename=shown)
            compile(tree, shown, "exec", dont_inherit=True)  # the parser lets `return` outside a function pass
    except FileNotFoundError:
        return [Fault(f"`{shown}` is missing", hint=f"write it with one function: {SIGNATURE}")]
    except SyntaxError as error:
        line = (error.text or "").strip()
        where = f"{shown}:{error.lineno}:{error.offset}" if error.lineno else shown
        return [Fault(f"not Python: {error.msg}", where, (line,) if line else ())]
    except (OSError, ValueError, RecursionError) as error:
        return [Fault(f"`{shown}` cannot be read: {error}")]
    public = [one for one in _functions(tree.body) if not one.name.startswith("_")]
    runs = [one for one in public if one.name == "run"]
    if not runs:
        hint = did_you_mean("run", [one.name for one in public]) or "add it"
        return [Fault("run.py has no function `run`", shown, (f"accepted: {SIGNATURE}",), hint=hint)]
    faults, only = [], ("accepted: run, and functions whose name starts with `_`",)
    for one in (one for one in public if one.name != "run"):
        what = f"run.py has a second public function `{one.name}`"
        hint = f"rename it to `_{one.name}`, or move it to a file beside run.py"
        faults.append(Fault(what, f"{shown}:{one.lineno}", only, hint=hint))
    twice = "run.py defines `run` twice"
    faults += [Fault(twice, f"{shown}:{one.lineno}", hint="keep one of them") for one in runs[1:]]
    if (header := _header(runs[0])) != SIGNATURE:
        where = f"{shown}:{runs[0].lineno}"
        faults.append(Fault(f"`run` is defined as `{header}`", where, (f"accepted: {SIGNATURE}",)))
    return faults


def is_stub(path: Path) -> bool:
    """Whether the `run` of a checked run.py does nothing yet."""
    run = {one.name: one for one in _functions(ast.parse(path.read_bytes()).body)}["run"]
    plain = [one.value if isinstance(one, ast.Expr) else one for one in run.body]
    return {type(one) for one in plain} <= {ast.Pass, ast.Constant}


def _functions(body: list[ast.stmt]) -> list[Function]:
    """The functions that a module defines at its top level, also under `if`, `try` or `with`."""
    functions: list[Function] = []
    for statement in body:
        if isinstance(statement, Function):
            functions.append(statement)
        elif not isinstance(statement, ast.ClassDef):
            for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
                functions += _functions(getattr(statement, inner, []))
    return functions


def _header(function: Function) -> str:
    """How a function is defined, its annotations taken off: `def run(input_dir, output_dir, params)`."""
    for one in ast.walk(function.args):
        if isinstance(one, ast.arg):
            one.annotation = None
    word = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    return f"{word} {function.name}({ast.unparse(function.args)})"
