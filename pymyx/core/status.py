"""What a project has, and how it stands, as plain data for JSON and text alike; nothing is run or written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from pymyx.core.contract.grants import unsigned
from pymyx.core.contract.run_py import is_stub
from pymyx.core.contract.treatment import Step, check_treatment, load_treatment, treatment_names
from pymyx.core.errors import ContractError, UsageError, none_of
from pymyx.core.incremental.files import day_of
from pymyx.core.incremental.lock import holder
from pymyx.core.incremental.manifest import read_manifest
from pymyx.core.incremental.plan import Choice, late_faults, plan_step
from pymyx.core.project import Project
from pymyx.core.runner import set_aside_only
from pymyx.core.validator import check_flow, flow_names, read_flow


def status_of(project: Project, flow: str) -> dict[str, Any]:
    """How the steps of a flow stand, now.

    Raises:
        ContractError: there is no such flow, or it breaks a contract.
    """
    steps, faults = check_flow(project, flow)
    if faults:
        raise ContractError(*faults)
    changing: set[Path] = set()
    stands = []
    for step in steps:
        one = _stand(step, may_change=step.reads(changing))
        if one["state"] != "up to date":
            changing.add(step.output_dir)
        stands.append(one)
    return {"flow": flow, "up_to_date": not changing, "steps": stands}


def _stand(step: Step, *, may_change: bool) -> dict[str, Any]:
    plan, manifest, error = None, None, None
    try:
        if step.input_dir.is_dir():
            facts, plan = plan_step(step, Choice())
            manifest = facts.manifest
        elif not may_change:
            error = f"the input folder `{step.input_shown}` is missing"
    except UsageError as refused:
        error = refused.headline
    if plan is None:
        with suppress(UsageError):  # what is remembered of a step that cannot be looked at further
            manifest = read_manifest(step.output_dir, step.output_shown)
    last, outputs = (manifest.last_success, manifest.outputs) if manifest else (None, {})
    if plan and (late := late_faults(step, plan)):
        error = "; ".join(fault.headline for fault in late)
    elif manifest and (failure := set_aside_only(step, manifest)):
        error = error or failure.headline
    if manifest:
        unproven = dict.fromkeys(why for day, why in manifest.unproven.items() if day in manifest.days)
        error = error or manifest.last_error or "; ".join(unproven) or None
    running = holder(step.output_dir)
    state = "up to date" if plan and plan.idle and not may_change else "may change"
    if running:
        state = "running"
    elif error:
        state = "failed"
    elif plan and not plan.idle:
        state = "stale"
    return {
        "treatment": step.treatment.name,
        "input_dir": step.input_shown,
        "output_dir": step.output_shown,
        "state": state,
        "stub": is_stub(step.code_dir / "run.py"),
        "days": len({day_of(name) for name in outputs} - {""}),
        "files": len(outputs),
        "last_success": last.ts if last else None,
        "duration_ms": last.duration_ms if last else None,
        "error": error,
        "running": running,
        "stale": {day: plan.reasons[day] for day in plan.counted(plan.reasons)} if plan else {},
    }


def listing(project: Project) -> dict[str, Any]:
    """The treatments and flows of a project, by name, with their descriptions; null for one that is at fault."""
    treatments = {name: check_treatment(project, name)[0] for name in treatment_names(project)}
    flows = {name: read_flow(project, name)[0] for name in flow_names(project)}
    found: dict[str, dict[str, Any]] = {"treatments": treatments, "flows": flows}
    return {kind: {name: one and one.description for name, one in of.items()} for kind, of in found.items()}


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
        said = treatment.model_dump(exclude={"schema_url"})
        aside = {"params": params, "stub": stub, "unsigned": unsigned(project, treatment)}
        return {"kind": "treatment", **said, **aside}
    if name in flows:
        flow, faults = read_flow(project, name)
        if not flow:
            raise ContractError(*faults)
        return {"kind": "flow", **flow.model_dump(exclude={"schema_url"})}
    raise ContractError(none_of([*treatments, *flows], name, f"no treatment or flow `{name}`"))
