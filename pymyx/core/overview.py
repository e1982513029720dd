"""What a project has, and how it stands, as plain data for JSON and text alike; nothing is run or written."""

from __future__ import annotations

from typing import Any

from pymyx.core.errors import ContractError, Fault, PymyxError, did_you_mean, listed
from pymyx.core.folder import day_of
from pymyx.core.lock import holder
from pymyx.core.manifest import read_manifest
from pymyx.core.plan import Choice
from pymyx.core.project import Project
from pymyx.core.runner import Planned, folders_of
from pymyx.core.source import is_stub
from pymyx.core.survey import survey
from pymyx.core.treatments import check_treatment, load_treatment, treatment_names
from pymyx.core.validator import CheckedStep, check_flow, flow_names, read_flow


def status_of(project: Project, flow: str) -> dict[str, Any]:
    """How the steps of a flow stand, now.

    Raises:
        ContractError: there is no such flow, or it breaks a contract.
    """
    steps, faults = check_flow(project, flow)
    if faults:
        raise ContractError(*faults)
    changing: set[str] = set()
    stands = []
    for step in steps:
        one = _stand(project, step, may_change=project.shown(step.input_dir) in changing)
        if one["state"] != "up to date":
            changing.add(one["output_dir"])
        stands.append(one)
    return {"flow": flow, "up_to_date": not changing, "steps": stands}


def _stand(project: Project, step: CheckedStep, *, may_change: bool) -> dict[str, Any]:
    planned, error = plan_of(project, step, Choice(), may_change=may_change)
    manifest = read_manifest(step.output_dir, planned.output_dir)
    last, outputs = (manifest.last_success, manifest.outputs) if manifest else (None, {})
    failed = error or (manifest.last_error if manifest else None)
    plan, running = planned.plan, holder(step.output_dir)
    if plan and plan.late:
        failed = failed or f"there is new input for days whose other input was archived: {', '.join(plan.late)}"
    state = "up to date"
    if running:
        state = "running"
    elif failed:
        state = "failed"
    elif plan is None or may_change:
        state = "stale" if plan and not plan.idle else "may change"
    elif not plan.idle:
        state = "stale"
    return {
        "treatment": planned.treatment,
        "input_dir": planned.input_dir,
        "output_dir": planned.output_dir,
        "state": state,
        "days": len({day_of(name) for name in outputs} - {""}),
        "files": len(outputs),
        "last_success": last.ts if last else None,
        "duration_ms": last.duration_ms if last else None,
        "error": failed,
        "running": running,
        "stale": dict(plan.reasons) if plan else {},
    }


def plan_of(project: Project, step: CheckedStep, choice: Choice, *, may_change: bool) -> tuple[Planned, str | None]:
    """What a run would do for a step, and what keeps it from being run, if something does."""
    folders = folders_of(project, step)
    plan, error = None, None
    if step.input_dir.is_dir():
        try:
            plan = survey(project, step).plan(choice)
        except PymyxError as refused:
            error = refused.headline
    elif not may_change:
        error = f"the input folder `{folders[0]}` is missing"
    return Planned(step.treatment.name, *folders, plan, may_change), error


def listing(project: Project) -> dict[str, Any]:
    """The treatments and flows of a project, by name, with their descriptions; null for one that is at fault."""
    treatments = {name: check_treatment(project, name)[0] for name in treatment_names(project)}
    flows = {name: read_flow(project, name)[0] for name in flow_names(project)}
    return {
        "treatments": {name: one.description if one else None for name, one in treatments.items()},
        "flows": {name: one.description if one else None for name, one in flows.items()},
    }


def description(project: Project, name: str) -> dict[str, Any]:
    """All that the contract of a treatment or flow says, defaults filled in.

    Raises:
        ContractError: there is none of that name, or it breaks its contract.
    """
    treatments, flows = treatment_names(project), flow_names(project)
    if name in treatments:
        treatment = load_treatment(project, name)
        params = {key: param.model_dump(exclude_unset=True) for key, param in treatment.params.items()}
        stub = is_stub(project.treatments / name / "run.py")
        return {"kind": "treatment", **treatment.model_dump(exclude={"schema_url"}), "params": params, "stub": stub}
    if name in flows:
        flow, faults = read_flow(project, name)
        if not flow:
            raise ContractError(*faults)
        return {"kind": "flow", **flow.model_dump(exclude={"schema_url"})}
    accepted = (f"accepted: {listed([*treatments, *flows])}",)
    raise ContractError(
        Fault(f"no treatment or flow `{name}`", "", accepted, hint=did_you_mean(name, [*treatments, *flows]))
    )
