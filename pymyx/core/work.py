"""One child's part of a step, done where it runs: its input is hashed just before, its output just after.

`Here` runs it on this machine; `workers.Workers`, of the same shape, where an executor has its workers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from pymyx.core.contract.treatment import Step
from pymyx.core.incremental.files import read_inputs
from pymyx.core.incremental.manifest import KnownFile
from pymyx.core.incremental.publish import Left, take_stock
from pymyx.core.incremental.stage import Stage, link_inputs
from pymyx.core.isolation.child import Child, Ending, Order, Terms
from pymyx.core.isolation.children import Children, signals_held
from pymyx.core.isolation.output import Show

LIBRARIES = ("pymyx", "numpy", "pandas", "pyarrow")  # whose versions are recorded, not signed


@dataclass(eq=False, repr=False)
class Work:
    """What one child is to do, on a stage of its own; data alone, so that it can be done elsewhere."""

    step: Step
    stage: Stage
    terms: Terms
    places: dict[str, str]  # the input files that count, by name: their names on the disk
    known: dict[str, KnownFile]  # what was known of each when it was planned
    names: list[str] | None  # what it is to see, by names on the disk; None for the input folder as it is


@dataclass(frozen=True)
class Done:
    """How it went; data alone, as the work is."""

    ending: Ending
    took_s: float  # from its start to its end
    inputs: dict[str, KnownFile]  # as they were just before
    passed_over: dict[str, str]  # those that could not be read, by name on the disk, with the reason
    left: Left | None  # what it wrote, where it succeeded


class Here:
    """Work done by children of this process; to be closed in the end, as `Children`.

    `keep` is the descriptor that each child keeps open: that of the lock. `show` is called with what they print.
    """

    def __init__(self, keep: int, tick: Callable[[], None], tick_s: float, show: Show) -> None:
        self._keep, self._show, self._children = keep, show, Children(tick, tick_s)
        self.close = self._children.close
        self._at_work: dict[Child, tuple[Work, dict[str, KnownFile], dict[str, str]]] = {}

    def start(self, work: Work) -> None:
        """Hash what is to be read, and start a child.

        Raises:
            TreatmentError: the interpreter cannot be started.
        """
        with signals_held(held=False):  # it may take long, and a stage is all that there is to clear
            inputs, passed_over = read_inputs(work.step.input_dir, work.places, work.known)
        names = work.names
        if passed_over:
            seen = os.listdir(work.step.input_dir) if names is None else names
            names = sorted({*seen} - passed_over.keys())
        step, stage = work.step, work.stage
        view = step.input_dir if names is None else link_inputs(stage, [step.input_dir / name for name in names])
        order = Order(step, view, stage.output_dir, stage.scratch_dir, work.terms, self._keep, self._show)
        self._at_work[self._children.start(order)] = (work, inputs, passed_over)

    def wait(self) -> tuple[Work, Done]:
        """Wait until one of them has ended, and see what it left.

        Raises:
            PublishError: what it left cannot be read.
        """
        child, ending = self._children.wait()
        took_s = time.monotonic() - child.started
        work, inputs, passed_over = self._at_work.pop(child)
        left = take_stock(work.stage.output_dir, work.stage.file_mode) if ending.succeeded else None
        return work, Done(ending, took_s, inputs, passed_over, left)


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the libraries, by the names of their `dist-info`: reading it would take 10 ms."""
    found = {"python": sys.version.partition(" ")[0]}
    for folder in filter(os.path.isdir, sys.path):
        for entry in os.listdir(folder):
            name, _, version = entry.removesuffix(".dist-info").partition("-")
            if name in LIBRARIES and entry.endswith(".dist-info"):
                found.setdefault(name, version)
    return found
