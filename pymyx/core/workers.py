"""Work done on other machines: chunks go to a `concurrent.futures.Executor`, whatever engine stands behind it.

The runner plans, locks, makes the stages and publishes; a worker hashes the input, runs the child and hashes what it
wrote. All machines see the project and its data under the same paths, on one file system. A worker that would make
other results (other versions, other code) says so and runs nothing.

An engine may run a chunk twice: a worker that it takes for lost may be alive. So every attempt has a folder of its own
on the chunk's stage, and the runner renames the one attempt that it was told of. An attempt whose stage is gone ends.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pymyx.core.errors import Fault, PublishError, TreatmentError, UsageError
from pymyx.core.incremental.facts import digest_of
from pymyx.core.incremental.files import code_of
from pymyx.core.incremental.publish import Left
from pymyx.core.incremental.stage import new_stage, remove_stage
from pymyx.core.isolation.child import Ending, Stopped, own_locale
from pymyx.core.isolation.children import signals_held
from pymyx.core.isolation.confinement import shortfall
from pymyx.core.isolation.output import Show
from pymyx.core.options import Options
from pymyx.core.work import Done, Here, Work, versions

LOOK_S = 1.0  # between two looks: of a worker, whether its stage is there; of the runner, what was begun
NOTE_S = 60.0  # that no worker takes anything, until that is told
SLACK_S = 600.0  # beyond the time of a child, for a worker to hash and to answer
SEEN_S = 60.0  # until a network disk shows what another machine wrote
CANCEL_S = 2.0  # for an engine to be told that work is not wanted any more

WORK, DONE = TypeAdapter(Work), TypeAdapter(Done)  # what travels, as JSON and back


@dataclass
class Handed:
    """Work that was handed over; `attempts` have begun, and when the last of them did, or it was handed over."""

    work: Work
    since: float = field(default_factory=time.monotonic)
    attempts: int = 0


class Workers:
    """Work at an executor; of the same shape as `Here`.

    `tick` is called every `tick_s` seconds while it is waited for; `show` with what children printed, once they have
    ended, and with a note when no worker takes any.
    """

    def __init__(self, executor: Executor, tick: Callable[[], None], tick_s: float, show: Show) -> None:
        self._executor, self._show = executor, show
        self._tick, self._tick_s, self._ticked = tick, tick_s, time.monotonic()
        self._at_work: dict[Future[str], Handed] = {}
        self._said = False

    def close(self) -> None:
        """Let go of what is not done yet."""
        # an engine that stands still would not answer; attempts end all the same, as their stages go
        futures = list(self._at_work)
        canceller = threading.Thread(target=lambda: [future.cancel() for future in futures], daemon=True)
        if futures:
            canceller.start()
            canceller.join(CANCEL_S)

    def start(self, work: Work) -> None:
        """Hand one more over; an engine that takes none has lost it."""
        try:
            future = self._executor.submit(attempt, _asked(work))
        except Exception as error:  # whatever an engine raises: it is shut down, broken, or its scheduler is gone
            future = Future()
            future.set_exception(error)
        self._at_work[future] = Handed(work)

    def wait(self) -> tuple[Work, Done]:
        """Wait until one of them is done, refused or lost.

        Raises:
            PublishError: what was left cannot be read.
        """
        while True:
            with signals_held(held=False):
                ended, _ = wait(self._at_work, min(LOOK_S, self._tick_s), FIRST_COMPLETED)
            if time.monotonic() - self._ticked >= self._tick_s:
                self._ticked = time.monotonic()
                self._tick()
            for future in ended:
                work = self._at_work.pop(future).work
                return work, self._done(work, future)
            for future, handed in self._at_work.items():
                if why := self._overdue(handed):
                    del self._at_work[future]
                    future.cancel()
                    return handed.work, _not_done("lost", why)

    def _overdue(self, handed: Handed) -> str:
        """Why work is waited for no longer; nothing while it is."""
        work, now = handed.work, time.monotonic()
        begun = len([name for name in os.listdir(work.stage.folder) if name.startswith("try-")])
        if begun > handed.attempts:
            handed.attempts, handed.since = begun, now
        if handed.attempts:
            return "its worker does not answer" if now - handed.since > work.terms.timeout_s + SLACK_S else ""
        if not self._said and now - handed.since > NOTE_S and not any(one.attempts for one in self._at_work.values()):
            self._said = True
            note = f"no worker has taken a chunk for {NOTE_S:g} s; it is waited for, {work.terms.timeout_s:g} s in all"
            self._show(f"note: {note}\n")
        return f"no worker took it in {work.terms.timeout_s:g} s" if now - handed.since > work.terms.timeout_s else ""

    def _done(self, work: Work, future: Future[str]) -> Done:
        """How it went, as a worker tells; what it left is then on the work's own stage."""
        if future.cancelled():
            return _not_done("lost", "its scheduler gave it up")
        if error := future.exception():  # whatever an engine has in the place of an answer
            return _not_done("lost", f"{type(error).__name__}: {error}".rstrip(": "))
        told = json.loads(future.result())
        if told.get("refused"):
            return _not_done("refused", "\n".join(told["refused"]))
        if told.get("fault"):
            raise PublishError(Fault(**told["fault"]))
        done = DONE.validate_python(told["done"])
        if done.ending.output:
            self._show(done.ending.output)
        if not done.left:
            return done
        attempted = work.stage.folder / done.left.folder.parent.name / "output"
        left = replace(done.left, folder=work.stage.output_dir)
        try:
            os.replace(attempted, left.folder)
        except OSError as error:
            return _not_done("lost", f"what it made cannot be moved: {error.strerror}")
        if not _seen(left):
            return _not_done("lost", f"what {told['host']} wrote is not to be seen here")
        return replace(done, left=left)


def _asked(work: Work) -> str:
    """What a worker is asked, as JSON: texts that any version can read, and no objects of ours to unpickle.

    Any version reads `folders` (the treatment's own first) and `same`, and refuses by them before it reads the rest.
    """
    step, terms = work.step, replace(work.terms, locale=own_locale())
    asked = {
        "folders": [step.code_dir, step.input_dir, work.stage.folder],
        "same": _sameness(step.code_dir),
        "work": WORK.dump_python(replace(work, terms=terms), by_alias=True, exclude_unset=True),
    }
    return json.dumps(asked, default=str)  # of a path


def _not_done(stopped: Stopped, why: str) -> Done:
    return Done(Ending(None, why, 0, "", stopped, 0.0, 0, succeeded=False), 0.0, {}, {}, None)


def _seen(left: Left) -> bool:
    """Wait until this machine sees just the files that another wrote: NFS shows old listings for a while."""
    patience_ends = time.monotonic() + SEEN_S
    while time.monotonic() < patience_ends:
        with suppress(OSError):
            sizes = {name: (left.folder / name).lstat().st_size for name in left.sizes}
            if sizes == left.sizes and left.kinds.keys() <= {*os.listdir(left.folder)}:
                return True
        with signals_held(held=False):
            time.sleep(0.1)
    return False


def attempt(asked: str) -> str:
    """One attempt at a chunk, on a worker, whatever engine called it; JSON in, JSON out.

    Raises:
        FileNotFoundError: its stage is gone: it is not wanted any more.
    """
    ask, host = json.loads(asked), os.uname().nodename
    if refused := _refusals(ask, host):
        return json.dumps({"refused": refused})
    work = WORK.validate_python(ask["work"])
    stage = work.stage.folder
    own = replace(new_stage(stage, "try-"), file_mode=work.stage.file_mode)

    def look() -> None:
        if not work.stage.output_dir.exists():
            raise FileNotFoundError(f"the stage is gone: {stage}")

    try:
        with (
            open(os.devnull, "rb") as nothing,
            closing(Here(nothing.fileno(), look, LOOK_S, lambda text: None)) as here,
        ):
            here.start(replace(work, stage=own, terms=replace(work.terms, processors=Options().share_of(1))))
            _, done = here.wait()
    except PublishError as error:
        return json.dumps({"fault": vars(error.faults[0])})
    except TreatmentError as error:  # the interpreter did not start
        raise RuntimeError(error.headline) from None
    except FileNotFoundError:
        if not work.stage.output_dir.exists():
            remove_stage(stage)  # what the child made while the runner removed it
        raise
    return json.dumps({"host": host, "done": DONE.dump_python(done)}, default=str)  # of a path


def _refusals(ask: dict[str, Any], host: str) -> list[str]:
    """In what this worker differs from the runner."""
    code_dir, *_ = folders = [Path(folder) for folder in ask["folders"]]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        return [f"{folder} is not there on {host}" for folder in missing]
    here, there = _sameness(code_dir), ask["same"]
    if here != there:
        return [
            f"{name} is {here.get(name) or 'missing'} on {host}, {there.get(name) or 'missing'} at the runner"
            for name in sorted({*here, *there})
            if here.get(name) != there.get(name)
        ]
    try:
        shortfall(ask["work"]["terms"]["confine"])
    except UsageError as error:  # `require`, and its kernel cannot confine in full
        return [f"on {host} {fault.what}" for fault in error.faults]
    return []


def _sameness(code_dir: Path) -> dict[str, str]:
    """What results depend on, beside input and params."""
    return {
        **versions(),
        "the code of pymyx": _own_code(),
        f"the code in {code_dir}": digest_of(code_of(code_dir))[:12],
    }


@cache
def _own_code() -> str:
    """A version does not tell two commits apart."""
    files = code_of(Path(__file__).parents[1])
    return digest_of({name: sha256 for name, sha256 in files.items() if name.endswith(".py")})[:12]
