"""Writes schemas/ from the models: python -m tests.write_schemas. A test fails when the two differ."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from pymyx.core.contract.models import Event, Flow, Outcome, Treatment, json_schema

SCHEMAS = Path(__file__).parent.parent / "schemas"
MODELS: dict[str, type[BaseModel]] = {"treatment": Treatment, "flow": Flow, "event": Event, "outcome": Outcome}


def schema_texts() -> dict[str, str]:
    """What each file of schemas/ has to hold."""
    return {
        f"{name}.schema.json": json.dumps(json_schema(model), indent=2, ensure_ascii=False) + "\n"
        for name, model in MODELS.items()
    }


if __name__ == "__main__":
    for name, text in schema_texts().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
