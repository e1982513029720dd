"""Finds the line of a fault: of a value of a JSON file by its path, as messages name it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pymyx.core.contract.reading import Loc, json_path
from pymyx.core.project import Project

WHERE = re.compile(r"(?P<file>[^:,]+)(:(?P<line>\d+))?(:\d+)?(, (?P<path>.*))?", re.DOTALL)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass
class _Frame:
    """An object or array that is open: `at` is the key or number of the part that comes."""

    is_object: bool
    at: str | int
    awaits_key: bool


def place_of(where: str, project: Project) -> tuple[str, int]:
    """The file and line that a fault's `where` names; 0 for no line, nothing for no file."""
    match = WHERE.fullmatch(where)
    if not match:
        return "", 0
    file, line = match["file"], int(match["line"] or 0)
    if match["path"] and file.endswith(".json"):
        try:
            line = lines_of((project.root / file).read_text(encoding="utf-8")).get(match["path"], 0)
        except (OSError, ValueError):
            return file, 0
    return file, line


def lines_of(text: str) -> dict[str, int]:
    """The line of every key and every value of a JSON text, by its path."""
    lines: dict[str, int] = {}
    frames: list[_Frame] = []
    for match in TOKEN.finditer(text):
        part, frame = match[0], frames[-1] if frames else None
        if part in ("}", "]"):
            frames.pop()
        elif part == "," and frame:
            frame.awaits_key = frame.is_object
            frame.at = frame.at + 1 if isinstance(frame.at, int) else frame.at
        elif part != ":":
            if frame and frame.awaits_key:
                frame.at, frame.awaits_key = json.loads(part), False
            loc: Loc = tuple(one.at for one in frames)
            lines.setdefault(json_path(loc), text.count("\n", 0, match.start()) + 1)
            if part in ("{", "["):
                frames.append(_Frame(part == "{", "" if part == "{" else 0, part == "{"))
    return lines
