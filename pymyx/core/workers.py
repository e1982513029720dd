"""Work done on other machines: chunks go to a `concurrent.futures.Executor`, whatever engine stands behind it.

The runner plans, locks, makes the stages and publishes; a worker hashes the input, runs the child and hashes what it
wrote. All machines see the project and its data under the same paths, on one file system. A worker that would make
other results (other versions, other code) says so and runs nothing.

An engine may run a chunk twice: a worker that it takes for lost may be alive. So every attempt has a folder of its own
on the chunk's stage, and the runner renames the one attempt that it was told of. An attempt whose stage is gone ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pymyx.core.contract.models import Outcome, Treatment
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, PublishError, TreatmentError, UsageError
from pymyx.core.incremental.files import code_of
from pymyx.core.incremental.manifest import KnownFile
from pymyx.core.incremental.publish import Left
from pymyx.core.incremental.stage import Stage, remove_stage
from pymyx.core.isolation.child import Ending, Order, Stopped, own_locale
from pymyx.core.isolation.children import signals_held
from pymyx.core.options import Options
from pymyx.core.project import Project
from pymyx.core.work import Done, Here, Work, order_for, versions

LOOK_S = 1.0  # between two looks: of a worker, whether its stage is there; of the runner, what was begun
NOTE_S = 60.0  # that no worker takes anything, until that is told
SLACK_S = 600.0  # beyond the time of a child, for a worker to hash and to answer
SEEN_S = 60.0  # until a network disk shows what another machine wrote
CANCEL_S = 2.0  # for an engine to be told that work is not wanted any more


@dataclass
class Handed:
    """Work that was handed over; `attempts` have begun, and when the last of them did, or it was handed over."""

    work: Work
    since: float = field(default_factory=time.monotonic)
    attempts: int = 0


class Workers:
    """Work at an executor; of the same shape as `Here`.

    `tick` is called every `tick_s` seconds while it is waited for; `say` is told once that no worker takes any.
    """

    def __init__(
        self,
        executor: Executor,
        tick: Callable[[], None],
        tick_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._executor, self._say = executor, say
        self._tick, self._tick_s, self._ticked = tick, tick_s, time.monotonic()
        self._at_work: dict[Future[str], Handed] = {}
        self._said = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
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
                return work, _done(work, future)
            for future, handed in self._at_work.items():
                if why := self._overdue(handed):
                    del self._at_work[future]
                    future.cancel()
                    return handed.work, _not_done(handed.work, "lost", why)

    def _overdue(self, handed: Handed) -> str:
        """Why work is waited for no longer; nothing while it is."""
        work, now = handed.work, time.monotonic()
        begun = len([name for name in os.listdir(work.stage.output_dir.parent) if name.startswith("try-")])
        if begun > handed.attempts:
            handed.attempts, handed.since = begun, now
        timeout_s = work.options.timeout_of(work.step.treatment)
        if handed.attempts:
            return "its worker does not answer" if now - handed.since > timeout_s + SLACK_S else ""
        if not self._said and now - handed.since > NOTE_S and not any(one.attempts for one in self._at_work.values()):
            self._said = True
            self._say(f"no worker has taken a chunk for {NOTE_S:g} s; it is waited for, {timeout_s:g} s in all")
        return f"no worker took it in {timeout_s:g} s" if now - handed.since > timeout_s else ""


def _asked(work: Work) -> str:
    """What a worker is asked, as JSON: texts that any version can read, and no objects of ours to unpickle."""
    step, options = work.step, work.options
    return json.dumps(
        {
            "root": str(step.project.root),
            "data": str(step.project.data),
            "treatment": step.treatment.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "input_dir": str(step.input_dir),
            "output_dir": str(step.output_dir),
            "params": step.params,
            "stage": str(work.stage.output_dir.parent),
            "file_mode": work.stage.file_mode,
            "places": work.places,
            "known": {name: known.model_dump() for name, known in work.known.items()},
            "names": work.names,
            "days": work.days,
            "options": {name: getattr(options, name) for name in ("timeout_s", "memory_mb", "confine")},
            "locale": own_locale(),
            "same": _sameness(step.code_dir),
        }
    )


def _done(work: Work, future: Future[str]) -> Done:
    """How it went, as a worker tells; what it left is then on the work's own stage."""
    if future.cancelled():
        return _not_done(work, "lost", "its scheduler gave it up")
    if error := future.exception():  # whatever an engine has in the place of an answer
        return _not_done(work, "lost", f"{type(error).__name__}: {error}".rstrip(": "))
    told = json.loads(future.result())
    if told["refused"]:
        return _not_done(work, "refused", "\n".join(told["refused"]))
    if told["fault"]:
        raise PublishError(Fault(**told["fault"]))
    outcome = Outcome.model_validate(told["outcome"]).root if told["outcome"] else None
    ending = Ending(outcome=outcome, **told["ending"])
    if ending.output:
        work.show(ending.output)
    left = None
    if ending.succeeded:
        left = Left(work.stage.output_dir, **told["left"])
        try:
            os.replace(work.stage.output_dir.parent / Path(told["attempt"]).name / "output", left.folder)
        except OSError as error:
            return _not_done(work, "lost", f"what it made cannot be moved: {error.strerror}")
        if not _seen(left):
            return _not_done(work, "lost", f"what {told['host']} wrote is not to be seen here")
    inputs = {name: KnownFile.model_validate(known) for name, known in told["inputs"].items()}
    return Done(_order(work), ending, told["took_s"], inputs, told["passed_over"], left)


def _not_done(work: Work, stopped: Stopped, why: str) -> Done:
    ending = Ending(None, why, 0, "", stopped, 0.0, 0, succeeded=False)
    return Done(_order(work), ending, 0.0, {}, {}, None)


def _order(work: Work) -> Order:
    """The order of a child elsewhere, for messages."""
    return order_for(work, None, -1)


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
    ask = json.loads(asked)
    stage, host = Path(ask["stage"]), os.uname().nodename
    refused = _refusals(ask, stage, host)
    if refused:
        return json.dumps({"refused": refused})
    step = Step(
        Project(Path(ask["root"]), Path(ask["data"])),
        Treatment.model_validate(ask["treatment"]),
        Path(ask["input_dir"]),
        Path(ask["output_dir"]),
        ask["params"],
    )
    folder = Path(tempfile.mkdtemp(prefix="try-", dir=stage))
    own = Stage(folder / "output", folder / "scratch", folder / "view", ask["file_mode"])
    for part in (own.output_dir, own.scratch_dir, own.view_dir):
        part.mkdir()
    options = Options(**ask["options"])
    work = Work(
        step=step,
        stage=own,
        options=options,
        places=ask["places"],
        known={name: KnownFile.model_validate(known) for name, known in ask["known"].items()},
        names=ask["names"],
        days=ask["days"],
        processors=options.share_of(1),
        show=lambda text: None,
        locale=ask["locale"],
    )

    def look() -> None:
        if not (stage / "output").exists():
            raise FileNotFoundError(f"the stage is gone: {stage}")

    try:
        with open(os.devnull, "rb") as nothing, Here(nothing.fileno(), look, LOOK_S) as here:
            here.start(work)
            _, done = here.wait()
    except PublishError as error:
        return json.dumps({"refused": [], "fault": vars(error.faults[0])})
    except TreatmentError as error:  # the interpreter did not start
        raise RuntimeError(error.headline) from None
    except FileNotFoundError:
        if not (stage / "output").exists():
            remove_stage(stage)  # what the child made while the runner removed it
        raise
    ending = dict(vars(done.ending))
    outcome = ending.pop("outcome")
    left = done.left and {"kinds": done.left.kinds, "hashes": done.left.hashes, "sizes": done.left.sizes}
    return json.dumps(
        {
            "refused": [],
            "fault": None,
            "host": host,
            "attempt": folder.name,
            "outcome": outcome and outcome.model_dump(),
            "ending": ending,
            "took_s": done.took_s,
            "inputs": {name: known.model_dump() for name, known in done.inputs.items()},
            "passed_over": done.passed_over,
            "left": left,
        }
    )


def _refusals(ask: dict[str, Any], stage: Path, host: str) -> list[str]:
    """In what this worker differs from the runner."""
    code_dir = Path(ask["root"], "treatments", ask["treatment"]["name"])
    missing = [path for path in (code_dir, Path(ask["input_dir"]), stage) if not path.is_dir()]
    if missing:
        return [f"{path} is not there on {host}" for path in missing]
    here, there = _sameness(code_dir), ask["same"]
    refused = [
        f"{name} is {here.get(name) or 'missing'} on {host}, {there.get(name) or 'missing'} at the runner"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    try:
        Options(**ask["options"])
    except UsageError as error:  # `require`, and its kernel cannot confine in full
        refused += [f"on {host} {fault.what}" for fault in error.faults]
    return refused


def _sameness(code_dir: Path) -> dict[str, str]:
    """What results depend on, beside input and params."""
    code = json.dumps(code_of(code_dir), sort_keys=True).encode()
    return {
        **versions(),
        "the code of pymyx": _own_code(),
        f"the code in {code_dir}": hashlib.sha256(code).hexdigest()[:12],
    }


@cache
def _own_code() -> str:
    """A version does not tell two commits apart."""
    files = code_of(Path(__file__).parents[1])
    code = json.dumps({name: sha256 for name, sha256 in files.items() if name.endswith(".py")}, sort_keys=True)
    return hashlib.sha256(code.encode()).hexdigest()[:12]
