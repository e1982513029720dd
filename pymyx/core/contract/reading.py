"""Reads one contract file: strict JSON, then its model; what is wrong comes back as faults in our own words."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pymyx.core.contract.models import Contract, json_schema
from pymyx.core.errors import Fault, did_you_mean, listed

Loc = tuple[str | int, ...]
Model = TypeVar("Model", bound=Contract)


def read_contract(path: Path, shown: str, model: type[Model]) -> tuple[Model | None, list[Fault]]:
    """Read `path` as `model`; the model is None when there are faults. `shown` is how messages name the file."""
    document, faults = read_json(path, shown)
    if faults:
        return None, faults
    try:
        return model.model_validate(document), []
    except ValidationError as error:
        schema = json_schema(model)
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [_fault(one["type"], one["loc"], document, shown, schema) for one in problems]


def read_json(path: Path, shown: str) -> tuple[Any, list[Fault]]:
    """Read a file as strict JSON, UTF-8, as `parse_json` does its text."""
    try:
        return parse_json(path.read_text(encoding="utf-8"), shown)
    except FileNotFoundError:
        return None, [Fault(f"`{shown}` is missing")]
    except UnicodeDecodeError as error:
        return None, [Fault("not UTF-8 text", f"{shown}, byte {error.start}", hint="save it as UTF-8")]
    except OSError as error:
        return None, [Fault(f"`{shown}` cannot be read: {error.strerror}")]


def parse_json(text: str, shown: str) -> tuple[Any, list[Fault]]:
    """Parse a text as strict JSON, no NaN, no Infinity, no key twice; `shown` is how messages name where it stands."""
    doubled: list[tuple[dict[str, Any], str]] = []

    def note_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made, keys = dict(pairs), [key for key, _ in pairs]
        if len(made) < len(keys):
            doubled.extend((made, key) for key in made if keys.count(key) > 1)
        return made

    try:
        value = json.loads(text, object_pairs_hook=note_doubles)
        parts = list(parts_of(value))
    except json.JSONDecodeError as error:
        where = f"{shown}:{error.lineno}:{error.colno}"
        evidence = (text.split("\n")[error.lineno - 1].strip()[:100],) if text.strip() else ("it is empty",)
        return None, [Fault(f"not JSON: {error.msg}", where, evidence)]
    except ValueError as error:  # also an integer of more digits than Python converts
        return None, [Fault(f"not JSON: {error}", shown)]
    except RecursionError:
        return None, [Fault("not JSON that can be read: nested too deeply", shown)]
    places = {id(part): loc for loc, part in parts}
    faults = [
        Fault(f"the key `{key}` stands twice", place(shown, places.get(id(part), ())), hint="keep one of them")
        for part, key in doubled
    ]
    faults += [
        Fault(f"`{json_path(loc)}` is {part}", place(shown, loc), ("accepted: a finite number",))
        for loc, part in parts
        if isinstance(part, float) and not math.isfinite(part)
    ]
    return value, faults


def parts_of(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    """A JSON value and all that stands inside it, each with its place."""
    yield loc, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from parts_of(part, (*loc, key))


def json_path(loc: Loc) -> str:
    """`("steps", 1, "params")` as `steps[1].params`."""
    path = ""
    for key in loc:
        if isinstance(key, int):
            path += f"[{key}]"
        elif re.fullmatch(r"[\w$-]+", key):
            path += f".{key}" if path else key
        else:
            path += f"[{json.dumps(key)}]"
    return path


def place(shown: str, loc: Loc) -> str:
    """Where a fault stands: the file, and the JSON path inside it."""
    return f"{shown}, {json_path(loc)}" if loc else shown


def type_name(value: object) -> str:
    """The word of treatment.json for the type of a JSON value; Python's own for a type that JSON does not have."""
    names = {str: "string", bool: "boolean", int: "integer", float: "float", dict: "object", list: "array"}
    return "null" if value is None else names.get(type(value), f"Python's {type(value).__name__}")


def found(value: object) -> str:
    """A value and its type for a message, cut after 60 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type_name(value)})"


def wrong_type(value: object, declared: str) -> bool:
    """Whether `value` is not of the `declared` param type.

    A boolean is not an integer; an integer is accepted for a float; a float must be finite, and an integer given for
    one must fit it. The parts of an object or array may be of any type.
    """
    if declared == "float" and type(value) is int:
        return abs(value) > sys.float_info.max
    return type_name(value) != declared or (declared == "float" and next(odd_parts(value), None) is not None)


def odd_parts(value: Any) -> Iterator[tuple[Loc, Any]]:
    """The parts of a value that JSON cannot hold: NaN, keys that are not texts, types of Python's own."""
    for loc, part in parts_of(value):
        if isinstance(part, dict):
            odd = any(type(key) is not str for key in part)
        elif type(part) is float:
            odd = not math.isfinite(part)
        else:
            odd = type(part) not in (str, int, bool, list, type(None))
        if odd:
            yield loc, part


def _fault(kind: str, loc: Loc, value: Any, shown: str, schema: dict[str, Any]) -> Fault:
    parent, key = loc[:-1], str(loc[-1]) if loc else ""
    if kind == "missing":
        accepted = _accepted(_schema_at(schema, loc))
        return Fault(f"`{key}` is missing", place(shown, parent), (f"accepted: {accepted}",), hint=f"add `{key}`")
    if kind == "extra_forbidden":
        keys = _schema_at(schema, parent)["properties"]
        hint = did_you_mean(key, keys) or f"remove `{key}`"
        return Fault(f"unknown key `{key}`", place(shown, parent), (f"accepted: {listed(keys)}",), hint=hint)
    at, node = next(part for part_loc, part in parts_of(value) if part_loc == loc), _schema_at(schema, loc)
    hint = did_you_mean(at, node.get("enum", ())) if isinstance(at, str) else ""
    what = f"`{json_path(loc) or shown}` is {found(at)}"
    return Fault(what, place(shown, loc), (f"accepted: {_accepted(node)}",), hint=hint)


def _schema_at(schema: dict[str, Any], loc: Loc) -> dict[str, Any]:
    """The part of a JSON Schema that speaks of the value at `loc`."""
    node = schema
    for key in loc:
        inside = node["items"] if isinstance(key, int) else node.get("properties", {}).get(key)
        node = inside or node["additionalProperties"]
        if "$ref" in node:
            node = {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}
    return node


def _accepted(node: dict[str, Any]) -> str:
    """What a JSON Schema node accepts, in a few words."""
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return ", ".join(node["enum"])
    if "properties" in node:
        return f"object with {listed(node['properties'])}"
    bounds = {"minimum": "of at least {}", "exclusiveMinimum": "of more than {}", "maximum": "and at most {}"}
    bounds |= {"minItems": "not empty", "minLength": "not empty"}
    limits = [words.format(node[key]) for key, words in bounds.items() if key in node]
    return f"{' '.join([node['type'], *limits])}: {node['description']}"
