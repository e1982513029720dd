"""The contracts of treatment.json, flow.json, events and outcomes, as pydantic models; `schemas/` is written from them.

Whoever needs the meaning of a key finds it in its `description` here, in the JSON Schema, and in an
editor that follows `$schema`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

# JSON Schema's words for the param types: the one table that types, defaults and given params are checked by
PARAM_TYPES = {name: name for name in ("string", "integer", "float", "boolean", "object", "array")}
PARAM_TYPES["float"] = "number"

MOST_DAYS = 366  # how far one output day may look back, or ahead: a year
LONGEST_S = 21_600  # seconds that a child may take, when the contract does not say
LEAST_MB = 512  # megabytes: below, pyarrow hangs when it is imported

# https://semver.org, its own regular expression, with [0-9] for \d
SEMVER = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$"
)
NAME = "[a-z][a-z0-9_]*"
# no absolute path, no `..`, nothing hidden (PyMyx keeps its state in `.pymyx`)
FOLDER = r"^[^./\\:\x00-\x1f][^/\\:\x00-\x1f]*(/[^./\\:\x00-\x1f][^/\\:\x00-\x1f]*)*$"

Name = Annotated[str, Field(pattern=f"^{NAME}$", description="a lower-case name such as clean_v2")]
Version = Annotated[str, Field(pattern=SEMVER, description="a semantic version such as 1.0.0")]
Text = Annotated[str, Field(min_length=1, description="a text that says what it is")]
Folder = Annotated[
    str,
    Field(pattern=FOLDER, description="a folder under the data root such as 10_parsed, without `..` or a leading `.`"),
]
Granted = Annotated[
    str,
    Field(
        pattern=r"^[^\x00]*[^/.\x00][^\x00]*$",
        description="a file or folder such as calibration/sensors.csv, relative to the root",
    ),
]
SchemaUrl = Annotated[
    str | None, Field(alias="$schema", description="the JSON Schema that an editor checks this file by")
]


def _absent_is_not_null(schema: dict[str, Any]) -> None:
    """Say in JSON Schema that an optional key may be left out, but may not be null."""
    for definition in schema["properties"].values():
        if definition.get("default", ...) is None:
            del definition["default"]
            definition.update(definition.pop("anyOf", [{}])[0])


class Contract(BaseModel):
    """What all parts of a contract share: unknown keys are errors and no value is converted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, defer_build=True, json_schema_extra=_absent_is_not_null
    )


class Input(Contract):
    """What a treatment reads."""

    format: Literal["csv", "parquet"] = Field(
        description="the format of the files it reads; csv: *.csv, *.tsv, *.dat, each also .gz"
    )
    description: Text


class Output(Contract):
    """What a treatment writes."""

    format: Literal["parquet", "csv", "png", "svg", "html"] = Field(
        description="the format of the files it writes; a next step reads csv or parquet"
    )
    description: Text


def _default_of_its_type(schema: dict[str, Any]) -> None:
    """Say in JSON Schema what `reading.wrong_type` checks: a default has its param's own type, and so has a choice.

    The choices of an object or array are what may stand in it, of any type.
    """
    _absent_is_not_null(schema)
    schema["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {
                "properties": {"default": {"type": json_type}}
                | ({} if name in ("object", "array") else {"choices": {"items": {"type": json_type}}})
            },
        }
        for name, json_type in PARAM_TYPES.items()
    ]


class Param(Contract):
    """One param of a treatment; without a default it must be given."""

    model_config = ConfigDict(json_schema_extra=_default_of_its_type)

    type: Literal["string", "integer", "float", "boolean", "object", "array"] = Field(
        description="the type of its values"
    )
    default: Any = Field(default=None, description="the value when none is given; without it the param must be given")
    description: str = Field(default="", description="what the param does, with its unit")
    choices: list[Any] | None = Field(
        default=None,
        min_length=1,
        description="the values it accepts; for an array or object, those that may stand in it",
    )

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return "default" not in self.model_fields_set


class Days(Contract):
    """How many days before and after its own one output day looks at."""

    before: int = Field(ge=0, le=MOST_DAYS, description="a number of days")
    after: int = Field(ge=0, le=MOST_DAYS, description="a number of days")


class Limits(Contract):
    """What one child may use."""

    timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds of wall time that one child may take for all days it is given; "
        f"{LONGEST_S} ({LONGEST_S // 3600} h) when not said",
    )
    memory_mb: int | None = Field(
        default=None, ge=LEAST_MB, description=f"megabytes of data; pyarrow hangs below {LEAST_MB}"
    )


class Allow(Contract):
    """What a treatment may touch beyond its folders; nothing by default."""

    network: bool = Field(default=False, description="open network connections")
    read: list[Granted] = Field(
        default=[],
        description="read these paths; those under the root are signed with the code: a change makes all stale",
    )
    env: list[str] = Field(default=[], description="see these environment variables")
    shared_memory: bool = Field(
        default=False,
        description="share memory and queues with others: /dev/shm, as multiprocessing does, System V, POSIX",
    )


class Treatment(Contract):
    """treatment.json: what a treatment is, its formats and its typed params."""

    name: Name
    version: Version
    description: Text
    input: Input
    output: Output
    params: dict[str, Param] = Field(description="its params by name; {} when it has none")
    days: Days | None = Field(default=None, description="how far one output day looks; without it, at the whole folder")
    limits: Limits = Field(default=Limits(), description="what one child may use")
    allow: Allow = Field(default=Allow(), description="what it may touch beyond its folders")
    schema_url: SchemaUrl = None


class FlowStep(Contract):
    """One step of a flow: a treatment between two folders of the data root."""

    treatment: Name
    input: Folder
    output: Folder
    params: dict[str, Any] = Field(default={}, description="given params; they replace the treatment's defaults")


class Flow(Contract):
    """flows/<name>.json: an ordered list of steps."""

    name: Name
    version: Version
    description: Text
    steps: list[FlowStep] = Field(min_length=1, description="the steps, in the order they run")
    schema_url: SchemaUrl = None


class Event(Contract):
    """One line of pymyx.log, written before and after each execution of a treatment."""

    ts: str = Field(description="when, ISO 8601 UTC such as 2026-01-20T09:07:58.142Z")
    treatment: Name
    status: Literal["start", "success", "error"] = Field(description="what happened")
    input_dir: str = Field(description="the folder read, relative to the root where it lies under it")
    output_dir: str = Field(description="the folder written, relative to the root where it lies under it")
    duration_ms: int = Field(ge=0, description="how long the execution took, in milliseconds; 0 at start")
    error: str | None = Field(description="what went wrong, or null")


class Raised(Contract):
    """An exception: what it is and where in the treatment's own files it was raised, as far as that is known."""

    type: str = Field(description="its type, with the module when that is not builtins")
    message: str = Field(description="its text, cut when very long")
    file: str | None = Field(description="the file it was raised in")
    line: int | None = Field(description="the line in that file, from 1")
    function: str | None = Field(description="the function it was raised in")
    notes: list[str] = Field(description="its notes (PEP 678)")


class Link(Raised):
    """An exception that led to another: its `__cause__` (raise … from) or its `__context__`."""

    relation: Literal["cause", "context"] = Field(description="how the one before it came from this one")


class Success(Contract):
    """What the child says when `run` has returned."""

    status: Literal["success"]


class Failure(Raised):
    """What the child says when the treatment's code could not be loaded, or `run` raised."""

    status: Literal["error"]
    phase: Literal["confine", "load", "run"] = Field(description="whether run.py was being confined, loaded or run")
    traceback: str = Field(description="Python's traceback, from run.py on")
    chain: list[Link] = Field(description="the exceptions that led to it, nearest first")


class Outcome(RootModel[Annotated[Success | Failure, Field(discriminator="status")]]):
    """The one JSON object that the child writes to its stderr."""


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a contract."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
