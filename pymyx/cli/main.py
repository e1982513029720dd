"""The command lines: parse arguments, make one core call, print, exit. Nothing else prints or exits.

What was done goes to stdout; what the treatments print, and errors, go to stderr.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from pymyx.cli.streams import ENDS, finish, hurry, prepare, say, show

if TYPE_CHECKING:
    from argparse import Namespace

    from pymyx.core.errors import PymyxError
    from pymyx.core.project import Project
    from pymyx.core.runner import Result


def main(module: str = "") -> NoReturn:
    """Run `pymyx` with the arguments of this process, or `python -m pymyx.core.<module>`, and exit."""
    if os.name != "posix":
        sys.exit("error: PyMyx runs on Linux, and with less isolation on macOS; on Windows use WSL")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # there are none: 5 ms for not looking
    gc.disable()  # what is imported is kept to the end, which comes soon: 10 ms less
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how a child ended
    prepare()
    _take_signals(_interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)  # whoever started this may hold them, and a mask is inherited
        code = _run(module, sys.argv[1:])
    except SystemExit as done:  # argparse, after --help
        code = int(done.code or 0)
    except Exception as error:
        from pymyx.core.errors import Fault, PymyxError

        told: Exception = error
        if isinstance(error, OSError):  # the system refused something: neither our mistake nor the user's
            told = PymyxError(Fault(f"{error.strerror or error}", str(error.filename or "")))
        if not isinstance(told, PymyxError):
            raise
        _take_signals(lambda signum, frame: os._exit(128 + signum))  # there is nothing left to clean up
        _report(told)
        code = told.exit_code
    os._exit(finish(code))  # all is written and nothing runs: taking the modules apart would take 18 ms


def _take_signals(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
    for signum in ENDS:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup and `&` ask for
            signal.signal(signum, handler)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    from pymyx.core.errors import Interrupted

    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)  # one is enough: the clean-up that follows takes seconds at most
    hurry()
    raise Interrupted(signum)


def _run(module: str, arguments: list[str]) -> int:
    from pymyx.cli.arguments import HELP, parser_of

    if module:
        command = {"runner": "run", "flow": "flow", "validator": "check"}[module]
        prog = f"python -m pymyx.core.{module}"
    else:
        command, *arguments = arguments or ["--help"]
        prog = f"pymyx {command}"
    if command in _COMMANDS:
        return _COMMANDS[command](parser_of(command, prog, flags=bool(module)).parse_args(arguments)) or 0
    if command in ("--help", "-h"):
        say(HELP)
    elif command == "--version":
        from importlib.metadata import version

        say(f"pymyx {version('pymyx')}")
    else:
        from pymyx.core.errors import UsageError, none_of

        what = f"no {'option' if command.startswith('-') else 'command'} `{command}`"
        raise UsageError(none_of([*_COMMANDS, "--help", "--version"], command, what))
    return 0


def _treatment(options: Namespace) -> None:
    from pymyx.cli.progress import Progress
    from pymyx.cli.texts import plan_text, summary
    from pymyx.core.isolation.children import orphans_adopted
    from pymyx.core.runner import plan_treatment, run_treatment

    params, how = _params(options.params), _run_options(options) | {"data": options.data}
    if options.dry_run:
        say(plan_text(plan_treatment(options.treatment, options.input, options.output, params, **how)))
        return
    with orphans_adopted(), Progress(show, quiet=options.quiet) as progress:
        how |= progress.options
        result = run_treatment(options.treatment, options.input, options.output, params, **how)
    if not options.quiet:
        say(summary(result))


def _flow(options: Namespace) -> int:
    from pymyx.cli.progress import Progress
    from pymyx.cli.texts import plan_text, summary
    from pymyx.core.flow import plan_flow, run_flow
    from pymyx.core.isolation.children import orphans_adopted

    def on_step(number: int, steps: int, result: Result) -> None:
        progress.clear()
        if not options.quiet:
            say(f"{number}/{steps} {summary(result)}")

    if several := _several(options):
        return _devices(options, several)
    how = _run_options(options) | {"data": options.data[0] if options.data else None}
    if options.dry_run:
        plans = plan_flow(options.flow, **how)
        for number, plan in enumerate(plans, start=1):
            say(f"{number}/{len(plans)} {plan_text(plan)}")
        return 0
    with orphans_adopted(), Progress(show, quiet=options.quiet) as progress:
        how |= {"keep_going": options.keep_going, "on_start": progress.on_start, **progress.options}
        results = run_flow(options.flow, on_step=on_step, **how)
    if not options.quiet:
        took_s = sum(one.duration_ms for one in results) / 1000
        say(f"flow {options.flow} done: {len(results)} steps, {took_s:.2f} s")
    return 0


def _several(options: Namespace) -> dict[str, str]:
    """The data roots with the names of their devices, where there are several."""
    if len(options.data or ()) < 2:
        return {}
    from pymyx.cli.devices import names_of

    roots = names_of(options.data)
    return roots if len(roots) > 1 else {}


def _devices(options: Namespace, roots: dict[str, str]) -> int:
    from pymyx.cli.devices import commands_of, run_each, summed_up
    from pymyx.core.options import options_and_listener

    how = _run_options(options)
    # a wrong option, or a scheduler that does not answer, is told once, not by each device
    chosen, listener = options_and_listener({name: value for name, value in how.items() if name != "root"})
    if chosen.executor and not options.dry_run:
        from pymyx.core.runner import connected

        with connected(chosen, listener):
            pass
    passed_on = {name: value for name, value in how.items() if name not in ("show", "jobs")}
    passed_on |= {name: getattr(options, name) for name in ("dry_run", "keep_going", "quiet")}
    codes = run_each(commands_of(options.flow, passed_on, roots), chosen.children, chosen.processors)
    text, code = summed_up(codes)
    if code or not options.quiet:
        say(f"flow {options.flow}: {text}")
    return code


def _check(options: Namespace) -> int:
    from dataclasses import asdict

    from pymyx.cli.texts import annotation
    from pymyx.core.errors import counted
    from pymyx.core.validator import check

    checked, faults = check(options.path, root=options.root)
    for fault in () if options.json else faults:
        if options.format == "github":
            say(annotation(fault, _project(options)))
        else:
            show(f"error: {fault}\n\n")
    text = f"{counted(checked, 'contract file')} checked: {counted(len(faults), 'fault') if faults else 'no fault'}"
    _say(options, {"checked": checked, "faults": [asdict(fault) for fault in faults]}, text)
    return 2 if faults else 0


def _status(options: Namespace) -> int:
    from pymyx.cli.texts import status_text
    from pymyx.core.status import status_of
    from pymyx.core.validator import flow_names

    if several := _several(options):
        return _status_of_devices(options, several)
    project = _project(options)
    flows = [status_of(project, name) for name in ([options.flow] if options.flow else flow_names(project))]
    up_to_date = all(flow["up_to_date"] for flow in flows)
    text = "\n\n".join(map(status_text, flows)) or "no flow in this project"
    _say(options, {"up_to_date": up_to_date, "flows": flows}, text)
    return 0 if up_to_date else 1


def _status_of_devices(options: Namespace, roots: dict[str, str]) -> int:
    from pymyx.cli.texts import odd_steps
    from pymyx.core.errors import UsageError
    from pymyx.core.project import find_project
    from pymyx.core.status import status_of
    from pymyx.core.validator import flow_names

    devices: dict[str, Any] = {}
    odd, code = [], 0
    for root, name in roots.items():
        try:
            project = find_project(options.root, data=root)
            names = [options.flow] if options.flow else flow_names(project)
            flows = [status_of(project, flow) for flow in names]
            devices[name] = {"data": root, "up_to_date": all(one["up_to_date"] for one in flows), "flows": flows}
            told = [line for one in flows for line in odd_steps(one)]
        except UsageError as error:
            devices[name], told = {"data": root, "up_to_date": False, "error": error.headline}, [error.headline]
            code = code or error.exit_code
        if told:
            odd.append(name)
            if not options.json:
                say("\n".join(f"{name}: {line}" for line in told))
    text = f"{len(roots) - len(odd)} up to date" + (f", {len(odd)} not: {', '.join(odd)}" if odd else "")
    _say(options, {"up_to_date": not odd, "devices": devices}, text)
    return 1 if any(one for one in devices.values() if not one["up_to_date"] and "error" not in one) else code


def _list(options: Namespace) -> None:
    from pymyx.cli.texts import listing_text
    from pymyx.core.status import listing

    found = listing(_project(options))
    _say(options, found, listing_text(found))


def _describe(options: Namespace) -> None:
    from pymyx.cli.texts import description_text
    from pymyx.core.status import description

    found = description(_project(options), options.name)
    _say(options, found, description_text(found))


def _new(options: Namespace) -> None:
    from pymyx.cli.scaffold import new_treatment

    project = _project(options)
    shown = project.shown(new_treatment(project, options.name))
    say(f"made {shown}: write what it does in {shown}/run.py, say so in {shown}/treatment.json")
    say(f"then: pymyx check; pymyx run {options.name} --input DIR --output DIR; or add a step to a flow")


def _init(options: Namespace) -> None:
    from pymyx.cli.scaffold import init_project
    from pymyx.cli.texts import closing_text

    root, made = init_project(options.dir, sample=not options.no_sample)
    say(f"made {root}: {', '.join(made)}")
    named = os.path.basename(sys.argv[0]) == "pymyx"
    command = os.path.abspath(sys.argv[0]) if named else f"{sys.executable} -m pymyx"  # cron looks in few folders
    say(closing_text(root, options.dir, command, sample=not options.no_sample))


def _sniff(options: Namespace) -> None:
    from pymyx.cli.sniff.command import sniff

    sniff(_project(options), options.file, options.write, say, show)


def _log(options: Namespace) -> None:
    from pymyx.cli.texts import event_text
    from pymyx.core.logger import last_events

    events = last_events(_project(options).log, options.n)
    if options.json or events:
        _say(options, events, "\n".join(event_text(event).replace("\n", r"\n") for event in events))


# each returns its exit code, or nothing for 0; a new one also has its texts and its own arguments in arguments.py:
# HELP, ABOUT, _add_own
_COMMANDS: dict[str, Callable[[Namespace], int | None]] = {
    "run": _treatment,
    "flow": _flow,
    "check": _check,
    "status": _status,
    "list": _list,
    "describe": _describe,
    "new": _new,
    "init": _init,
    "sniff": _sniff,
    "log": _log,
}


def _project(options: Namespace) -> Project:
    from pymyx.core.project import find_project

    data = getattr(options, "data", None)
    return find_project(options.root, data=data[0] if isinstance(data, list) else data)


def _run_options(options: Namespace) -> dict[str, Any]:
    """The options that runner and flow share, for the core."""
    names = ("root", "timeout_s", "memory_mb", "confine", "from_", "to", "force", "jobs", "executor", "prune", "verify")
    told = {"show": (lambda text: None) if options.quiet else show}
    return {**told, **{name: getattr(options, name) for name in names}}


def _params(text: str) -> dict[str, Any]:
    from pymyx.core.contract.reading import found, parse_json
    from pymyx.core.errors import Fault, UsageError

    params, faults = parse_json(text, "--params")
    if faults:
        raise UsageError(*faults)
    if not isinstance(params, dict):
        accepted = ("""accepted: one JSON object, such as '{"delimiter": ","}'""",)
        raise UsageError(Fault(f"--params is {found(params)}", evidence=accepted))
    return params


def _say(options: Namespace, document: Any, text: str) -> None:
    """Say what a command found: the JSON document where that is asked for, or else the text."""
    import json

    say(json.dumps(document, ensure_ascii=True, indent=2) if options.json else text)


def _report(error: PymyxError) -> None:
    for cause in getattr(error, "errors", ()):
        _report(cause)
    for fault in error.faults:
        show(f"error: {fault}\n".replace("\r", r"\r"))
