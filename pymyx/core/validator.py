"""Checks flows, folders and whole projects before anything runs, and finds every fault, not the first.

`python -m pymyx.core.validator [PATH …]` checks contract files for CI; see `check`.
"""

from __future__ import annotations

if __name__ == "__main__":  # first of all: cli imports this module again, by its own name
    from pymyx.cli.main import main

    main("validator")

from collections.abc import Iterable, Iterator
from pathlib import Path

from pymyx.core.contract.grants import grant_faults
from pymyx.core.contract.models import Flow, Step, Treatment, json_schema
from pymyx.core.contract.reading import place, read_contract, read_json
from pymyx.core.contract.treatment import CheckedStep, check_treatment, merge_params, name_faults, treatment_names
from pymyx.core.errors import ContractError, Fault, UsageError, did_you_mean, listed
from pymyx.core.places import check_input, check_output, flow_names
from pymyx.core.project import Project, absolute, find_project


def load_flow(project: Project, name: str) -> list[CheckedStep]:
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
            where = place(project.shown(project.flows / f"{name}.json"), ("steps", number, "input"))
            check_input(project, step.input_dir, where, outputs)
        check_output(project, step.input_dir, step.output_dir)
    return steps


def check_flow(project: Project, name: str) -> tuple[list[CheckedStep], list[Fault]]:
    """Check flows/<name>.json and every treatment it names; the steps are whole only when there is no fault."""
    flow, faults = read_flow(project, name)
    if not flow:
        return [], faults
    shown = project.shown(project.flows / f"{name}.json")
    faults += _graph_faults(project, flow.steps, shown)
    steps: list[CheckedStep] = []
    for number, step in enumerate(flow.steps):
        try:
            steps.append(_checked(project, step, shown, number))
        except ContractError as error:
            faults += error.faults
    if len(steps) == len(flow.steps):
        faults += _format_faults(steps, shown)
    return steps, list(dict.fromkeys(faults))


def read_flow(project: Project, name: str) -> tuple[Flow | None, list[Fault]]:
    """Read flows/<name>.json; what it names is not looked at. The model is None when there is no such flow."""
    names = flow_names(project)
    if name not in names:
        accepted = (f"accepted: {listed(names)}",)
        return None, [
            Fault(f"no flow `{name}`", project.shown(project.flows), accepted, hint=did_you_mean(name, names))
        ]
    path = project.flows / f"{name}.json"
    flow, faults = read_contract(path, project.shown(path), Flow)
    return flow, faults + (name_faults(flow.name, name, "file", project.shown(path)) if flow else [])


def _checked(project: Project, step: Step, shown: str, number: int) -> CheckedStep:
    treatment, faults = check_treatment(project, step.treatment, place(shown, ("steps", number, "treatment")))
    if treatment is None or faults:
        raise ContractError(*faults)
    params = merge_params(treatment, step.params, place(shown, ("steps", number, "params")))
    checked = CheckedStep(treatment, project.data / step.input, project.data / step.output, params)
    check_grants(project, checked)
    return checked


def _graph_faults(project: Project, steps: list[Step], shown: str) -> list[Fault]:
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
                faults.append(
                    Fault(f"the folder `{name}` is read too early", where, notes=(note,), hint="reorder the steps")
                )
    return faults


def _format_faults(steps: list[CheckedStep], shown: str) -> list[Fault]:
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


def check_grants(project: Project, step: CheckedStep) -> None:
    """See that a treatment may read nothing that it writes.

    Raises:
        ContractError: it may.
    """
    faults = grant_faults(project, step.treatment, step.output_dir)
    if faults:
        raise ContractError(*faults)


def check(paths: Iterable[str] = (), *, root: str | None = None) -> tuple[int, list[Fault]]:
    """Check contract files by meaning and against `schemas/`: the number of files checked, and every fault.

    A path is a project, a treatment's folder or a file of it, or a flow's file; without paths the whole
    project around the working directory is checked.

    Raises:
        UsageError: there is no project, or a path is no part of one.
    """
    targets = dict.fromkeys(target for path in paths or [""] for target in _targets(path, root))
    faults: list[Fault] = []
    for project, file in targets:
        meant = _meant_faults(project, file)
        faults += meant + _schema_faults(project, file, {fault.where for fault in meant})
    for project in dict.fromkeys(project for project, file in targets if file.parent == project.flows):
        checked = {file.stem for other, file in targets if other == project and file.parent == project.flows}
        faults += _shared_faults(project, checked)
    return len(targets), list(dict.fromkeys(faults))


def _shared_faults(project: Project, checked: set[str]) -> list[Fault]:
    """Folders that two flows, one of them `checked`, write from different steps: what one makes the other undoes."""
    writers: dict[Path, tuple[str, int, CheckedStep]] = {}
    faults = []
    for name in flow_names(project):
        steps, at_fault = check_flow(project, name)
        for number, step in enumerate([] if at_fault else steps):
            flow, first, other = writers.setdefault(step.output_dir.resolve(), (name, number, step))
            if flow == name or not {flow, name} & checked or _makes_the_same(step, other):
                continue
            how = ""
            if other.treatment == step.treatment:
                reads_the_same = other.input_dir.resolve() == step.input_dir.resolve()
                how = " with other params" if reads_the_same else f" from `{_in_data(project, other.input_dir)}`"
            folder = _in_data(project, step.output_dir)
            what = f"the output folder `{folder}` is written by two flows, from different steps"
            where = place(project.shown(project.flows / f"{name}.json"), ("steps", number, "output"))
            note = f"step {first + 1} `{other.treatment.name}` of flow `{flow}` writes it{how}"
            hint = "let each write to a folder of its own, or make the steps the same"
            faults.append(Fault(what, where, notes=(note,), hint=hint))
    return faults


def _makes_the_same(one: CheckedStep, other: CheckedStep) -> bool:
    """Whether two steps are one: the same treatment, input folder and params."""
    same_input = one.input_dir.resolve() == other.input_dir.resolve()
    return one.treatment == other.treatment and same_input and one.params == other.params


def _in_data(project: Project, folder: Path) -> str:
    """A folder as flows name it."""
    return folder.relative_to(project.data).as_posix()


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


def _meant_faults(project: Project, file: Path) -> list[Fault]:
    if file.parent == project.flows:
        return check_flow(project, file.stem)[1]
    return check_treatment(project, file.parent.name)[1]


def _schema_faults(project: Project, file: Path, known: set[str]) -> list[Fault]:
    """What the JSON Schema in `schemas/` (the model's own, where it is missing) finds beyond the `known` places."""
    import jsonschema

    model = Flow if file.parent == project.flows else Treatment
    name = f"{model.__name__.lower()}.schema.json"
    shown, document = project.shown(file), read_json(file, "")
    if document.faults:
        return []  # it is no JSON: said already
    schema = read_json(project.schemas / name, f"schemas/{name}") if (project.schemas / name).exists() else None
    if schema and schema.faults:
        return schema.faults
    validator = jsonschema.Draft202012Validator(schema.value if schema else json_schema(model))
    problems = [(place(shown, tuple(one.absolute_path)), one.message) for one in validator.iter_errors(document.value)]
    return [Fault(f"breaks schemas/{name}: {text[:200]}", where) for where, text in problems if where not in known]
