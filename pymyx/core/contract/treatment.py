"""Checks a treatment's folder and the params that it is given, without running anything of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymyx.core.contract.grants import grant_faults, reads_granted
from pymyx.core.contract.models import Param, Treatment
from pymyx.core.contract.reading import found, json_path, odd_parts, parts_of, place, read_contract, wrong_type
from pymyx.core.contract.run_py import check_source
from pymyx.core.errors import ContractError, Fault, did_you_mean, none_of
from pymyx.core.project import Project

JSON_ONLY = "what JSON has: text keys, finite numbers, no type of Python's own"


@dataclass(frozen=True)
class Step:
    """A treatment between two folders of a project, checked and ready to run, in a flow or alone.

    Its folders are absolute paths, its `params` are merged over the defaults; `code_dir` is the treatment's own folder,
    `input_shown` and `output_shown` are how messages and events name the two others.
    """

    project: Project
    treatment: Treatment
    input_dir: Path
    output_dir: Path
    params: dict[str, Any]
    code_dir: Path = field(init=False)
    input_shown: str = field(init=False)
    output_shown: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code_dir", self.project.treatments / self.treatment.name)
        object.__setattr__(self, "input_shown", self.project.shown(self.input_dir))
        object.__setattr__(self, "output_shown", self.project.shown(self.output_dir))

    def reads(self, folders: Collection[Path]) -> bool:
        """Whether one of these folders is its input, or is, holds or lies in what it is granted."""
        return self.input_dir in folders or reads_granted(self.project, self.treatment, folders)


def treatment_names(project: Project) -> list[str]:
    """The names of the project's treatments: the folders in `treatments/` that are not hidden."""
    return [name for name in project.names_in(project.treatments) if (project.treatments / name).is_dir()]


def load_treatment(project: Project, name: str, where: str = "", output_dir: Path | None = None) -> Treatment:
    """The checked `treatments/<name>/`, as `check_treatment` does it.

    Raises:
        ContractError: there is none, or its treatment.json or run.py breaks the contract; holds every fault.
    """
    treatment, faults = check_treatment(project, name, where, output_dir)
    if treatment is None or faults:
        raise ContractError(*faults)
    return treatment


def check_step(
    project: Project, name: str, folders: tuple[Path, Path], params: dict[str, Any], where: str = ""
) -> Step:
    """A treatment between two `folders`, its contract, params and grants checked; `where` begins what names its keys.

    Raises:
        ContractError: there is no such treatment, or it or the params break its contract; holds every fault.
    """
    treatment = load_treatment(project, name, f"{where}treatment" if where else "", folders[1])
    return Step(project, treatment, *folders, merge_params(treatment, params, f"{where}params"))


def check_treatment(
    project: Project, name: str, where: str = "", output_dir: Path | None = None
) -> tuple[Treatment | None, list[Fault]]:
    """Check treatments/<name>/: treatment.json and run.py. The model is None when treatment.json is at fault.

    `where` is how messages name the place that asks for this treatment, `output_dir` the folder it is to write to.
    """
    folder, names = project.treatments / name, treatment_names(project)
    if name not in names:
        return None, [none_of(names, name, f"no treatment `{name}`", where)]
    shown = f"treatments/{name}/treatment.json"
    treatment, faults = read_contract(folder / "treatment.json", shown, Treatment)
    if treatment:
        faults += name_faults(treatment.name, name, "folder", shown)
        faults += _default_faults(treatment, shown)
    if treatment and treatment.allow.read:
        faults += grant_faults(project, treatment, output_dir)
    return treatment, faults + check_source(folder / "run.py", f"treatments/{name}/run.py")


def merge_params(treatment: Treatment, given: dict[str, Any], where: str) -> dict[str, Any]:
    """The params of one run: the given ones in place of the defaults, an object or array as a whole.

    An integer given for a float becomes a float. `where` is how messages name the place they were given at.

    Raises:
        ContractError: a param is unknown, missing or of another type; holds every fault.
    """
    declared, named = treatment.params, f"of treatment `{treatment.name}`"
    faults = []
    for name, value in given.items():
        if name in declared:
            faults += _value_faults(f"param `{{}}` {named}", name, declared[name], value, where)
        else:
            faults.append(none_of(declared, name, f"treatment `{treatment.name}` has no parameter `{name}`", where))
    for name, param in declared.items():
        if param.required and name not in given:
            what = f"param `{name}` {named} is missing: it has no default"
            faults.append(Fault(what, where, _accepted(param), hint=f"give `{name}`"))
    if faults:
        raise ContractError(*faults)
    values = {name: given.get(name, param.default) for name, param in declared.items()}
    return {
        name: float(value) if declared[name].type == "float" else copy.deepcopy(value) for name, value in values.items()
    }


def name_faults(name: str, expected: str, of: str, shown: str) -> list[Fault]:
    """The fault of a contract whose `name` is not that of its folder or file."""
    if name == expected:
        return []
    accepted = (f"accepted: {expected}, the name of its {of}",)
    return [Fault(f"`name` is {found(name)}", place(shown, ("name",)), accepted, hint=f"set it, or rename the {of}")]


def _default_faults(treatment: Treatment, shown: str) -> list[Fault]:
    faults = []
    for name, param in treatment.params.items():
        if not param.required:
            where = place(shown, ("params", name, "default"))
            faults += _value_faults("the default of param `{}`", name, param, param.default, where)
        if param.type not in ("object", "array"):
            for number, value in enumerate(param.choices or ()):
                if wrong_type(value, param.type):
                    where = place(shown, ("params", name, "choices", number))
                    faults.append(_type_fault(f"choice {number + 1} of param `{name}`", param, value, where))
    return faults


def _value_faults(subject: str, name: str, param: Param, value: Any, where: str) -> list[Fault]:
    """What is wrong with a value of a param, or with the parts of it; `{}` in `subject` stands for the part's path."""
    if wrong_type(value, param.type):
        return [_type_fault(subject.format(name), param, value, where)]
    odd = [(loc, part, JSON_ONLY, "") for loc, part in odd_parts(value)]
    if not odd and param.choices:
        choices = [(one, type(one) is bool) for one in param.choices]
        texts = [one for one in param.choices if isinstance(one, str)]
        accepted = ", ".join(one if isinstance(one, str) else json.dumps(one) for one in param.choices)
        odd = [
            (loc, part, accepted, did_you_mean(part, texts) if isinstance(part, str) else "")
            for loc, part in parts_of(value)
            if not isinstance(part, dict | list) and (part, type(part) is bool) not in choices  # `true` is not 1
        ]
    return [
        Fault(f"{subject.format(json_path((name, *loc)))} is {found(part)}", where, (f"accepted: {said}",), hint=hint)
        for loc, part, said, hint in odd
    ]


def _type_fault(subject: str, param: Param, value: object, where: str) -> Fault:
    hint = "write it in quotes" if param.type == "string" else ""
    if isinstance(value, str) and param.type in ("integer", "float", "boolean"):
        hint = "write it without quotes"
    return Fault(f"{subject} is {found(value)}", where, _accepted(param), hint=hint)


def _accepted(param: Param) -> tuple[str]:
    return (f"accepted: {param.type}{param.description and ': ' + param.description}",)
