"""The arguments of each command, and its help, which fits a screen and gives one example."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, NoReturn

EXITS = "exit codes: 0 done, 1 failed, 2 wrong use, 75 busy, 129/130/143 ended by signal"
HELP = f"""usage: pymyx COMMAND [options]

PyMyx turns folders of sensor recordings into folders of results, step by step.

  init [DIR]       lay out a project, with a sample recording
  flow FLOW        run the steps of a flow: what changed, and nothing else
  status [FLOW]    tell what is up to date, what is stale, and why
  run TREATMENT    run one treatment, from a folder to a folder
  new NAME         write a new treatment to start from
  sniff FILE ...   propose how parse is to read files of your loggers
  check [PATH ...] check treatments and flows, without running them
  list             tell which treatments and flows there are
  describe NAME    tell all about a treatment or a flow
  log              show what was run last

  COMMAND --help   tells more, with an example
  --version        which PyMyx this is

example: pymyx init station && cd station && pymyx flow valvometry_daily
{EXITS}"""

FLEET = """machines: ls -d s/* | xargs -P9 -I{} srun pymyx flow FLOW --jobs 1 --data {}
sbatch -a0-9 --wrap 'set s/*;shift $SLURM_ARRAY_TASK_ID;pymyx flow F --data $1'
"""

ABOUT = {  # command: what --help says, its usage, its example
    "run": (
        "Run one treatment: what it makes of a folder appears in another.",
        "TREATMENT --input DIR --output DIR [options]",
        "parse --input data/00_raw --output data/10_parsed",
    ),
    "flow": (
        "Run the steps of a flow, in their order, between folders of the data root.",
        "FLOW [options]",
        "valvometry_daily --data stations/* --jobs 8",
    ),
    "check": (
        "Check treatment.json, run.py and flow files by meaning and against schemas/.",
        "[PATH ...] [options]",
        "treatments/parse flows/valvometry_daily.json",
    ),
    "status": (
        "Tell of each step what there is, when it was made, what is stale and why.\n"
        "Exits 0 when all is up to date, 1 when something is stale or failed.",
        "[FLOW] [options]",
        "valvometry_daily",
    ),
    "list": ("Tell which treatments and flows the project has.", "[options]", ""),
    "describe": ("Tell all that the contract of a treatment or a flow says.", "NAME [options]", "parse"),
    "new": ("Write treatments/NAME/, which validates and copies until it is changed.", "NAME [options]", "clean_v2"),
    "init": (
        "Lay out a project: treatments, a flow, schemas, data folders, a sample.\n"
        "They are the project's own from then on. Nothing that is there is replaced.",
        "[DIR] [options]",
        "station",
    ),
    "sniff": (
        "Propose the params that make parse read files such as these, and try them.\n"
        "Reads the first 1 MB of each. The params go to stdout, as one JSON object;\n"
        "from which lines each was taken, and the first rows, to stderr.",
        "FILE ... [options]",
        "~/download/hobo_2026-01-20.csv --write pier_hobo",
    ),
    "log": ("Show the last events of pymyx.log, oldest first.", "[-n N] [options]", "-n 5"),
}


class _Parser(argparse.ArgumentParser):
    """A parser that reports its errors as the core does."""

    def _print_message(self, message: str, file: object = None) -> None:
        from pymyx.cli.streams import say

        say(message.removesuffix("\n"))

    def format_help(self) -> str:
        """The help, without the empty line before its example: with it, the longest would not fit a screen."""
        return super().format_help().replace("\n\nexample: ", "\nexample: ")

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the arguments."""
        from pymyx.core.errors import Fault, UsageError, did_you_mean

        known = [option for action in self._actions for option in action.option_strings]
        word = message.rpartition(": ")[2].split()[0].partition("=")[0] if "unrecognized" in message else ""
        hint = did_you_mean(word, known) if word.startswith("-") else ""
        raise UsageError(Fault(message, hint=hint or f"{self.prog} --help"))


def parser_of(command: str, prog: str, *, flags: bool) -> argparse.ArgumentParser:
    """The parser of a command; with `flags`, what it is about is named by a flag (`--flow NAME`)."""
    about, usage, example = ABOUT[command]
    if flags:
        usage = usage.replace("TREATMENT ", "--treatment NAME ").replace("FLOW ", "--flow NAME ")
        example = {"run": "--treatment ", "flow": "--flow "}.get(command, "") + example
    widest = 24 if command in ("flow", "status") else 22  # of what stands left of the help
    parser = _Parser(
        prog=prog,
        usage=f"{prog} {usage}",
        description=about,
        epilog=f"example: {f'{prog} {example}'.rstrip()}\n{FLEET if command == 'flow' else ''}{EXITS}",
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=widest, width=80),
        allow_abbrev=False,
        add_help=False,
    )
    group = parser.add_argument_group()
    group.add_argument("--help", "-h", action="help", help=argparse.SUPPRESS)
    _add_own(group, command, flags=flags)
    if command in ("status", "list", "describe", "log", "check"):
        group.add_argument("--json", action="store_true", help="one JSON document, and nothing else")
    if command != "init":
        group.add_argument("--root", metavar="DIR", help="the project's root (default: found upwards from here)")
    return parser


def _add_own(group: argparse._ArgumentGroup, command: str, *, flags: bool) -> None:
    add, name = group.add_argument, "treatment" if command == "run" else command
    named = [f"--{name}"] if flags else [name]
    required: dict[str, Any] = {"required": True, "metavar": "NAME"} if flags else {"metavar": name.upper()}
    if command == "run":
        add(*named, help="its folder's name in treatments/", **required)
        add("--input", required=True, metavar="DIR", help="the folder it reads")
        add("--output", required=True, metavar="DIR", help="the folder its files are published to")
        add("--data", metavar="DIR", help="name both folders from here, as a flow does")
        add("--params", default="{}", metavar="JSON", help="params over its defaults: one JSON object")
        _add_run_options(group)
    elif command == "flow":
        add(*named, help="its file's name in flows/, without .json", **required)
        add("--data", nargs="+", metavar="DIR", help="the data root (default: data/); several: a device each")
        _add_run_options(group)
        add("--keep-going", action="store_true", help="go on with the next steps when some days failed")
    elif command == "check":
        add("path", nargs="*", metavar="PATH", help="a project, treatment or flow (default: this project)")
        add("--format", choices=("text", "github"), default="text", metavar="HOW", help="text, or github: annotations")
    elif command == "status":
        add("flow", nargs="?", metavar="FLOW", help="a flow's name (default: all)")
        add("--data", nargs="+", metavar="DIR", help="the data root (default: data/); several: a device each")
    elif command == "describe":
        add("name", metavar="NAME", help="of a treatment or a flow")
    elif command == "new":
        add("name", metavar="NAME", help="the treatment's: lower-case letters, digits and _")
    elif command == "init":
        add("dir", nargs="?", default=".", metavar="DIR", help="where (default: here)")
        add("--no-sample", action="store_true", help="leave the sample recording out")
    elif command == "sniff":
        add("file", nargs="+", metavar="FILE", help="files of one kind; several tell devices apart")
        add("--write", metavar="FLOW", help="write flows/FLOW.json, which parses with them")
    elif command == "log":
        add("-n", type=_count, default=20, metavar="N", help="how many events (default: 20)")


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of events")
    return int(text)


def _add_run_options(group: argparse._ArgumentGroup) -> None:
    """The options that runner and flow share."""
    add = group.add_argument
    add("--quiet", action="store_true", help="say nothing but warnings and errors, as for cron")
    add("--from", dest="from_", metavar="DAY", help="make only days from this one on (ISO date or instant)")
    add("--to", metavar="DAY", help="make only days up to this one, and this one")
    add("--force", action="store_true", help="make days again that are up to date")
    add("--dry-run", action="store_true", help="tell what would be made, and why; run nothing")
    add("--jobs", type=int, metavar="N", help="children at once (default: the processors)")
    add("--executor", metavar="AT", help="run children at dask:ADDRESS (default: on this machine)")
    add("--prune", action="store_true", help="let go what was made from archived input")
    add("--verify", type=int, default=0, metavar="N", help="prove `days`: make N days alone, and all at once")
    add("--timeout-s", type=float, metavar="S", help="let a child take S for all its days (default: 6 h)")
    add("--memory-mb", type=int, metavar="MB", help="limit the data of one process")
    add("--confine", default="auto", metavar="HOW", help="keep it to its contract: auto (default), require, off")
