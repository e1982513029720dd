"""Writes results, plans and the state of a project as text, as the commands show it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pymyx.core.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from pymyx.core.errors import Fault
    from pymyx.core.incremental.plan import Plan
    from pymyx.core.project import Project
    from pymyx.core.runner import Planned, Result

MAY_CHANGE = "may change, with what the steps before it make"


def summary(result: Result) -> str:
    """What one step did, and the days that its files are of: of many, the first and the last."""
    from pymyx.core.incremental.files import day_of
    from pymyx.core.incremental.plan import MOST_NAMED

    step = f"{result.treatment}: {result.input_dir} -> {result.output_dir}"
    stub = "  stub" if result.stub else ""
    if result.plan.idle:
        return f"{step}  {_idle(result.plan)}{stub}"
    took = f"{result.duration_ms / 1000:.2f} s ({result.cpu_s:.2f} s of processor, {result.peak_mb} MB)"
    if not result.plan.whole:
        days = sorted({day_of(name) for name in result.files})
        names = ", ".join(days) if len(days) <= MOST_NAMED else f"{days[0]} to {days[-1]}"
        took += f"  {counted(len(days), 'day')}{names and ': '}{names}"
    return f"{step}  {took}  {counted(len(result.files), 'file')}{stub}"


def plan_text(planned: Planned) -> str:
    """What a run would do for a step, and why."""
    step = f"{planned.treatment}: {planned.input_dir} -> {planned.output_dir}"
    if planned.plan is None:
        return f"{step}  {MAY_CHANGE}"
    plan = planned.plan
    if plan.idle:
        head = MAY_CHANGE if planned.may_change else _idle(plan)
    else:
        days = counted(len(plan.counted([*plan.stale, *plan.gone])), "day")
        head = "to make, over the whole folder" if plan.whole else f"{days} to make"
        head += f"; more {MAY_CHANGE}" if planned.may_change else ""
    lines = [f"{step}  {head}", *_days({day: plan.reasons[day] for day in plan.counted(plan.reasons)})]
    if plan.left:
        lines.append(f"  stale, but not chosen: {counted(len(plan.counted(plan.left)), 'day')}")
    return "\n".join(lines)


def _idle(plan: Plan) -> str:
    left = len(plan.counted(plan.left))
    return f"nothing to make of the days chosen; stale: {counted(left, 'day')}" if plan.left else "up to date"


def _days(reasons: dict[str, Any]) -> Iterable[str]:
    """Days with their reasons; days that follow each other and have the same reason share a line."""
    for reason, days in groupby(reasons, key=reasons.__getitem__):
        first, *rest = days
        yield f"  {first}{f' to {rest[-1]} ({len(rest) + 1} days)' if rest else ''}  {reason}"


def status_text(status: dict[str, Any]) -> str:
    """How a flow stands, step by step."""
    lines = [f"{status['flow']}: {'up to date' if status['up_to_date'] else 'not up to date'}"]
    for number, step in enumerate(status["steps"], start=1):
        state = f"{step['state']}{' (a stub)' if step['stub'] else ''}"
        lines.append(f"{number}/{len(status['steps'])} {step['treatment']} -> {step['output_dir']}: {state}")
        last = "never made"
        if step["last_success"]:
            ts = step["last_success"]
            last = f"last success {ts[:10]} {ts[11:19]} UTC, took {step['duration_ms'] / 1000:.2f} s"
        lines.append(f"  {counted(step['days'], 'day')}, {counted(step['files'], 'file')}; {last}")
        if step["running"]:
            holder = step["running"]
            on = f" on {holder['host']}" if holder["host"] else ""
            lines.append(f"  held by process {holder['pid']}{on} since {holder['since']}")
        if step["error"]:
            lines.append(f"  failed: {step['error']}")
        lines += _days(step["stale"])
    return "\n".join(lines)


def odd_steps(status: dict[str, Any]) -> list[str]:
    """A line for each step of a flow that has something to do, or has failed: its state, and why."""
    lines = []
    for number, step in enumerate(status["steps"], start=1):
        if step["state"] not in ("up to date", "may change"):
            why = step["error"] or (f"{counted(len(step['stale']), 'day')} to make" if step["stale"] else "")
            place = f"{status['flow']} {number}/{len(status['steps'])} {step['treatment']}"
            lines.append(f"{place}: {step['state']}{why and f', {why}'}")
    return lines


def closing_text(root: Path, given: str, command: str, *, sample: bool) -> str:
    """What to do next in a new project: by hand, by cron, for several devices."""
    import shlex

    there = "" if given == "." else f"cd {shlex.quote(given)} && "
    start = "data/00_raw holds a sample recording" if sample else "put your CSV files into data/00_raw"
    first = "" if sample else "set the params of parse first, to what your files are: treatments/parse/treatment.json\n"
    hourly = "; ".join(f"{command} flow {flow} --quiet" for flow in ("valvometry_daily", "valve_activity"))
    line = f"0 * * * * cd {shlex.quote(str(root))} && ({hourly})".replace("%", r"\%")
    return (
        f"{first}{start}; now: {there}pymyx flow valvometry_daily; pymyx flow valve_activity\n"
        "the second draws data/91_pictures and data/92_report; that needs matplotlib: pip install 'pymyx[plot]'\n"
        f"each hour, by cron (crontab -e): {line}\n"
        "flows that share a folder run after one another: pymyx flow a --quiet; pymyx flow b --quiet\n"
        "several devices: a data folder of its own for each, and the same flow: --data DIR"
    )


def listing_text(listing: dict[str, Any]) -> str:
    """The treatments and flows of a project, each with the first line of its description."""
    width = max((len(name) for names in listing.values() for name in names), default=0)
    lines = []
    for kind, names in listing.items():
        lines.append(f"{kind}:")
        for name, said in names.items():
            summary = (said or "at fault: pymyx check tells why").partition("\n")[0]
            lines.append(f"  {name:{width}}  {summary}")
        if not names:
            lines.append("  (none)")
    return "\n".join(lines)


def description_text(one: dict[str, Any]) -> str:
    """A contract as a person reads it."""
    from pymyx.core.contract.models import LONGEST_S

    stub = " (a stub)" if one.get("stub") else ""
    lines = [f"{one['kind']} {one['name']} {one['version']}{stub}", one["description"]]
    if one["kind"] == "flow":
        for number, step in enumerate(one["steps"], start=1):
            given = f"  {_short(step['params'])}" if step["params"] else ""
            lines.append(f"{number}. {step['treatment']}: {step['input']} -> {step['output']}{given}")
        return "\n".join(lines)
    lines += [f"{end}: {one[end]['format']}; {one[end]['description']}" for end in ("input", "output")]
    days, limits = one["days"], one["limits"]
    if not days:
        looks = "it looks at its whole folder: one changed file, and all is made again"
    elif any(days.values()):
        before, after = counted(days["before"], "day"), counted(days["after"], "day")
        looks = f"each is made from {before} before it to {after} after it"
    else:
        looks = "each is made from its own files"
    lines.append(f"days: {looks}")
    memory = f"{limits['memory_mb']} MB" if limits["memory_mb"] else "not limited"
    time = f"{limits['timeout_s'] or LONGEST_S:g} s"
    lines.append(f"limits: {time} for all days that one child is given, memory {memory}")
    allowed = [f"{name} {what}" if what is not True else name for name, what in one["allow"].items() if what]
    lines.append(f"allow: {', '.join(allowed) or 'nothing beyond its folders'}")
    if one["unsigned"]:
        lines.append(
            f"  outside of the project, so that PyMyx does not see a change there: {', '.join(one['unsigned'])}"
        )
    lines.append("params:" if one["params"] else "params: none")
    for name, param in one["params"].items():
        default = f" = {_short(param['default'])}" if "default" in param else ", to be given"
        lines.append(f"  {name} ({param['type']}{default})")
        if param.get("description"):
            lines.append(f"    {param['description']}")
        if param.get("choices"):
            choices = (one if isinstance(one, str) else _short(one) for one in param["choices"])
            lines.append(f"    one of: {', '.join(choices)}")
    return "\n".join(lines)


def _short(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def annotation(fault: Fault, project: Project) -> str:
    """A fault as an annotation of a GitHub workflow."""
    from pymyx.core.contract.json_lines import place_of

    file, line = place_of(fault.where, project)
    place = f" file={_escaped(file, ',:')}" + (f",line={line}" if line else "") if file else ""
    text = "\n".join(filter(None, [fault.what, *fault.evidence, *fault.notes, fault.hint]))
    return f"::error{place}::{_escaped(text)}"


def _escaped(text: str, also: str = "") -> str:
    for mark in "%\r\n" + also:
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text


def event_text(event: dict[str, Any]) -> str:
    """One event of the log."""
    took = f"  {event['duration_ms'] / 1000:.2f} s" if event["status"] != "start" else ""
    error = f"  {event['error']}" if event["error"] else ""
    folders = f"{event['input_dir']} -> {event['output_dir']}"
    return f"{event['ts']}  {event['status']:7}  {event['treatment']}: {folders}{took}{error}"
