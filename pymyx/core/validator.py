"""Checks flows, folders and whole projects before anything runs, and finds every fault, not the first.

`python -m pymyx.core.validator [PATH …]` checks contract files for CI; see `check`.
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli.main import main

    main("validator")

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymyx.core.contract.models import Flow, FlowStep, Treatment, json_schema
from pymyx.core.contract.reading import place, read_contract, read_json
from pymyx.core.contract.treatment import Step, check_step, check_treatment, name_faults, treatment_names
from pymyx.core.errors import ContractError, Fault, UsageError, did_you_mean, none_of
from pymyx.core.project import Project, absolute, find_project


def load_flow(project: Project, name: str) -> list[Step]:
    """The steps of `flows/<name>.json`, checked with all their treatments, params and folders.

    Raises:
        ContractError: there is no such flow, or something in it breaks a contract; holds every fault.
        UsageError: an input folder that no earlier step writes is missing.
    """
    steps, faults = check_flow(project, name)
    if faults:
        raise ContractError(*faults)
    outputs = [step.output_dir for step in steps]
    for number, step in enumerate(steps):
        if step.input_dir not in outputs[:number]:
            where = place(f"flows/{name}.json", ("steps", number, "input"))
            check_input(step, where, outputs)
        check_output(step)
    return steps


def load_step(project: Project, name: str, folders: tuple[Path, Path], params: dict[str, Any]) -> Step:
    """A treatment between an input and an output folder, checked with its params and both folders.

    Raises:
        ContractError: as `check_step`.
        UsageError: a folder cannot be read from, or written to.
    """
    step = check_step(project, name, folders, params)
    check_input(step)
    check_output(step)
    return step


def check_flow(project: Project, name: str) -> tuple[list[Step], list[Fault]]:
    """Check flows/<name>.json and every treatment it names; the steps are whole only when there is no fault."""
    flow, faults = read_flow(project, name)
    if not flow:
        return [], faults
    shown = f"flows/{name}.json"
    faults += _graph_faults(project, flow.steps, shown)
    steps: list[Step] = []
    for number, step in enumerate(flow.steps):
        try:
            folders = project.data / step.input, project.data / step.output
            where = f"{place(shown, ('steps', number))}."
            steps.append(check_step(project, step.treatment, folders, step.params, where))
        except ContractError as error:
            faults += error.faults
    if len(steps) == len(flow.steps):
        faults += _format_faults(steps, shown)
    return steps, list(dict.fromkeys(faults))


def read_flow(project: Project, name: str) -> tuple[Flow | None, list[Fault]]:
    """Read flows/<name>.json; what it names is not looked at. The model is None when there is no such flow."""
    names = flow_names(project)
    if name not in names:
        return None, [none_of(names, name, f"no flow `{name}`", project.shown(project.flows))]
    path = project.flows / f"{name}.json"
    flow, faults = read_contract(path, project.shown(path), Flow)
    return flow, faults + (name_faults(flow.name, name, "file", project.shown(path)) if flow else [])


def _graph_faults(project: Project, steps: list[FlowStep], shown: str) -> list[Fault]:
    """What keeps the steps from being an acyclic graph of folders with one writer each; links are followed."""
    reads = [(project.data / step.input).resolve() for step in steps]
    writes = [(project.data / step.output).resolve() for step in steps]
    faults = []
    for number, output in enumerate(writes):
        name, where = steps[number].output, place(shown, ("steps", number, "output"))
        if output in writes[:number]:
            first = writes.index(output) + 1
            note = f"step {first} `{steps[first - 1].treatment}` writes it already; a folder has one writer"
            faults.append(Fault(f"the output folder `{name}` has two writers", where, notes=(note,)))
        for reader, folder in enumerate(reads):
            what = f"step {reader + 1} `{steps[reader].treatment}` reads it"
            if output != folder and output.is_relative_to(folder):
                note = f"{what}; an input folder is never written to"
                inside = f"the output folder `{name}` lies inside the input folder `{steps[reader].input}`"
                faults.append(Fault(inside, where, notes=(note,)))
            elif output == folder and reader == number:
                faults.append(Fault(f"step {number + 1} writes its own input folder `{name}`", where))
            elif output == folder and reader < number:
                note = f"{what} before step {number + 1} `{steps[number].treatment}` writes it"
                early = f"the folder `{name}` is read too early"
                faults.append(Fault(early, where, notes=(note,), hint="reorder the steps"))
    return faults


def _format_faults(steps: list[Step], shown: str) -> list[Fault]:
    """Steps that read another format than the earlier step that writes their input folder leaves there."""
    written = {step.output_dir: (number, step.treatment) for number, step in enumerate(steps)}
    faults = []
    for number, step in enumerate(steps):
        writer, source = written.get(step.input_dir, (number, step.treatment))
        if writer < number and source.output.format != step.treatment.input.format:
            reads, holds = step.treatment.input.format, source.output.format
            what = f"treatment `{step.treatment.name}` reads {reads}, but its input folder holds {holds}"
            note = f"step {writer + 1} `{source.name}` writes that folder"
            faults.append(Fault(what, place(shown, ("steps", number, "input")), notes=(note,)))
    return faults


def check_input(step: Step, where: str = "", others: Iterable[Path] = ()) -> None:
    """See that an input folder exists; `where` is what names it, `others` are folders that may be meant.

    Raises:
        UsageError: it does not, or is no folder; says which step of which flow writes it, when one does.
    """
    project, input_dir = step.project, step.input_dir
    if input_dir.is_dir():
        return
    what = f"the input folder `{step.input_shown}` {'is no folder' if os.path.lexists(input_dir) else 'is missing'}"
    if writer := _writer(project, input_dir):
        flow, number, treatment = writer
        note = f"it is written by step {number} `{treatment}` of flow `{flow}`"
        data = "" if project.data == project.root / "data" else f" --data {project.shown(project.data)}"
        hint = f"python -m pymyx.core.flow --flow {flow}{data}"
        raise UsageError(Fault(what, where, notes=(note,), hint=hint))
    hint = _near_folder(project, input_dir, others, from_data=bool(where)) or "create it and put the input files there"
    raise UsageError(Fault(what, where, notes=("no flow writes it",), hint=hint))


def _near_folder(project: Project, folder: Path, others: Iterable[Path], *, from_data: bool) -> str:
    """The hint that names the folder nearest to one that is missing, as a flow names it or as messages do."""
    beside: Iterable[Path] = ()
    with suppress(OSError):
        beside = [path for path in folder.parent.iterdir() if path.name[0] not in "._" and path.is_dir()]

    def named(path: Path) -> str:
        inside = from_data and path.is_relative_to(project.data)
        return path.relative_to(project.data).as_posix() if inside else project.shown(path)

    return did_you_mean(named(folder), {named(path) for path in (*beside, *others)})


def check_output(step: Step) -> None:
    """See that a treatment may write to its output folder.

    Raises:
        UsageError: it is no folder, is read-only, holds the project, is part of its code or of its state, or lies
            inside the input folder, whose files are never touched.
    """
    project, output_dir, shown = step.project, step.output_dir, step.output_shown
    real, own = output_dir.resolve(), [folder.resolve() for folder in (project.treatments, project.flows)]
    if project.root.resolve().is_relative_to(real) or ".pymyx" in real.parts or any(map(real.is_relative_to, own)):
        what = f"the output folder `{shown}` holds the project, or is part of its code or state"
        raise UsageError(Fault(what, hint="name a folder of its own, such as data/10_parsed"))
    if os.path.lexists(output_dir) and not output_dir.is_dir():
        raise UsageError(Fault(f"the output folder `{shown}` is no folder", hint="name another with --output DIR"))
    if output_dir.is_dir() and not os.access(output_dir, os.W_OK | os.X_OK):
        raise UsageError(Fault(f"the output folder `{shown}` is read-only", hint="make it writable, or name another"))
    if real.is_relative_to(step.input_dir.resolve()):
        what = f"the output folder `{shown}` lies inside the input folder `{step.input_shown}`"
        notes, hint = ("an input folder is never written to",), "write to a folder beside it"
        raise UsageError(Fault(what, notes=notes, hint=hint))


def flow_names(project: Project) -> list[str]:
    """The names of the project's flows: the JSON files in `flows/` that are not hidden."""
    return [name.removesuffix(".json") for name in project.names_in(project.flows) if name.endswith(".json")]


def _writer(project: Project, folder: Path) -> tuple[str, int, str] | None:
    """The flow, number and treatment of the step that writes `folder`, if one does."""
    for name in flow_names(project):
        flow, _ = read_contract(project.flows / f"{name}.json", name, Flow)
        for number, step in enumerate(flow.steps if flow else [], start=1):
            if (project.data / step.output).resolve() == folder.resolve():
                return name, number, step.treatment
    return None


def check(paths: Iterable[str] = (), *, root: str | None = None) -> tuple[int, list[Fault]]:
    """Check contract files by meaning and against `schemas/`: the number of files checked, and every fault.

    A path is a project, a treatment's folder or a file of it, or a flow's file; without paths the whole
    project around the working directory is checked.

    Raises:
        UsageError: there is no project, or a path is no part of one.
    """
    targets = dict.fromkeys(target for path in paths or [""] for target in _targets(path, root))
    faults: list[Fault] = []
    flows: dict[Project, set[str]] = {}
    for project, file in targets:
        if file.parent == project.flows:
            flows.setdefault(project, set()).add(file.stem)
            meant = check_flow(project, file.stem)[1]
        else:
            meant = check_treatment(project, file.parent.name)[1]
        faults += meant + _schema_faults(project, file, {fault.where for fault in meant})
    for project, checked in flows.items():
        faults += _shared_faults(project, checked)
    return len(targets), list(dict.fromkeys(faults))


def _shared_faults(project: Project, checked: set[str]) -> list[Fault]:
    """Folders that two flows, one of them `checked`, write from different steps: what one makes the other undoes."""
    writers: dict[Path, tuple[str, int, Step]] = {}
    faults = []
    for name in flow_names(project):
        steps, at_fault = check_flow(project, name)
        for number, step in enumerate([] if at_fault else steps):
            flow, first, other = writers.setdefault(step.output_dir.resolve(), (name, number, step))
            same_input = other.input_dir.resolve() == step.input_dir.resolve()
            same_treatment = other.treatment == step.treatment
            makes_the_same = same_treatment and same_input and other.params == step.params
            if flow == name or not {flow, name} & checked or makes_the_same:
                continue
            folder, source = (path.relative_to(project.data).as_posix() for path in (step.output_dir, other.input_dir))
            how = ""
            if same_treatment:
                how = " with other params" if same_input else f" from `{source}`"
            what = f"the output folder `{folder}` is written by two flows, from different steps"
            where = place(f"flows/{name}.json", ("steps", number, "output"))
            note = f"step {first + 1} `{other.treatment.name}` of flow `{flow}` writes it{how}"
            hint = "let each write to a folder of its own, or make the steps the same"
            faults.append(Fault(what, where, notes=(note,), hint=hint))
    return faults


def _targets(path: str, root: str | None) -> Iterator[tuple[Project, Path]]:
    """The contract files that a path stands for, each with its project; all of the project for no path."""
    given = absolute(path)
    if not given.exists():
        raise UsageError(Fault(f"no file or folder `{path}`"))
    if not path or (given / "treatments").is_dir() or (given / "flows").is_dir():
        project = find_project(root, start=given)
        yield from ((project, project.treatments / name / "treatment.json") for name in treatment_names(project))
        yield from ((project, project.flows / f"{name}.json") for name in flow_names(project))
        return
    project = find_project(root, start=given.parent)
    parts = given.relative_to(project.root).parts if given.is_relative_to(project.root) else ()
    if len(parts) > 1 and parts[0] == "treatments":
        yield project, project.treatments / parts[1] / "treatment.json"
    elif len(parts) == 2 and parts[0] == "flows" and given.suffix == ".json":
        yield project, given
    else:
        accepted = ("accepted: a project, a treatment's folder or a file of it, a flow's file",)
        raise UsageError(Fault(f"`{path}` is no contract file", evidence=accepted))


def _schema_faults(project: Project, file: Path, known: set[str]) -> list[Fault]:
    """What the JSON Schema in `schemas/` (the model's own, where it is missing) finds beyond the `known` places."""
    import jsonschema

    model = Flow if file.parent == project.flows else Treatment
    name = f"{model.__name__.lower()}.schema.json"
    document, faults = read_json(file, "")
    if faults:
        return []  # it is no JSON: said already
    schema = json_schema(model)
    if (project.schemas / name).exists():
        schema, faults = read_json(project.schemas / name, f"schemas/{name}")
    if faults:
        return faults
    shown, validator = project.shown(file), jsonschema.Draft202012Validator(schema)
    problems = [(place(shown, tuple(one.absolute_path)), one.message) for one in validator.iter_errors(document)]
    return [Fault(f"breaks schemas/{name}: {text[:200]}", where) for where, text in problems if where not in known]
