"""Finds the line of a JSON file that a fault speaks of, by the path that its message names."""

from __future__ import annotations

import json
import re

from pymyx.core.contract.reading import Loc, json_path
from pymyx.core.project import Project

WHERE = re.compile(r"(?P<file>[^:,]+)(:(?P<line>\d+))?(:\d+)?(, (?P<path>.*))?", re.DOTALL)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\]:,"]+')  # commas and colons tell nothing more


def place_of(where: str, project: Project) -> tuple[str, int]:
    """The file and line that a fault's `where` names; 0 when there is no line, an empty text when there is no file."""
    match = WHERE.fullmatch(where)
    if not match:
        return "", 0
    file, line = match["file"], int(match["line"] or 0)
    if match["path"] and file.endswith(".json"):
        try:
            line = lines_of((project.root / file).read_text(encoding="utf-8")).get(match["path"], 0)
        except (OSError, ValueError, StopIteration, RecursionError):  # it changed since, or is nested too deeply
            return file, 0
    return file, line


def lines_of(text: str) -> dict[str, int]:
    """The line of every key and every value of a JSON text, by its path."""
    lines: dict[str, int] = {}
    tokens = TOKEN.finditer(text)

    def note(loc: Loc, part: str, start: int) -> None:
        lines.setdefault(json_path(loc), text.count("\n", 0, start) + 1)
        for number, token in enumerate(tokens if part in ("{", "[") else ()):
            if token[0] in ("}", "]"):
                return
            key, value = (json.loads(token[0]), next(tokens)[0]) if part == "{" else (number, token[0])
            note((*loc, key), value, token.start())

    root = next(tokens)
    note((), root[0], root.start())
    return lines
