"""Makes a step again from its whole folder, in a throw-away stage, and compares some days with what is published.

Only this can show that `days` in a treatment.json says too little, or that a treatment makes other bytes
each time.
"""

from __future__ import annotations

import random

from pymyx.core.chunks import order_for
from pymyx.core.contract.treatment import Step
from pymyx.core.errors import Fault, TreatmentError
from pymyx.core.incremental.files import day_of, hash_of
from pymyx.core.incremental.manifest import WHOLE, Output
from pymyx.core.incremental.plan import Plan, in_words
from pymyx.core.incremental.stage import staged
from pymyx.core.isolation.children import Children, signals_held
from pymyx.core.isolation.failure import treatment_error
from pymyx.core.options import Listener, Options


def verify(step: Step, plan: Plan, output: Output, options: Options, listener: Listener) -> None:
    """Compare `options.verify` days, chosen at random among those that are up to date.

    Raises:
        TreatmentError: they differ, or the treatment failed.
    """
    sure = [day for day in output.manifest.days if day not in plan.orphans and day not in plan.left]
    chosen = sorted(random.sample(sure, min(options.verify, len(sure))))
    name = step.treatment.name
    if not chosen:
        return
    with signals_held(), staged(output.folder, output.shown) as stage:
        order = order_for(step, stage, None, options, output.lock)
        order.processors, order.show = options.processors, listener.show
        with Children() as children:
            children.start(order)
            _, ending = children.wait()
        if not ending.succeeded:
            unchanged = f"it was run to verify `{output.shown}`, which is left as it is"
            raise treatment_error(order, ending, ending.cpu_s, unchanged)
        made = {path.name: hash_of(path) for path in stage.output_dir.iterdir()}
    published = {day: {key: known.sha256 for key, known in output.manifest.days[day].outputs.items()} for day in chosen}
    of_day = {day: {key: one for key, one in made.items() if day in (WHOLE, day_of(key))} for day in chosen}
    wrong = [day for day in chosen if of_day[day] != published[day]]
    if wrong:
        first = min(key for key, _ in of_day[wrong[0]].items() ^ published[wrong[0]].items())
        raise TreatmentError(
            Fault(
                f"treatment `{name}` makes other files from its whole folder: {in_words(wrong)} differs",
                f"{output.shown}/{first}",
                notes=("what is published is left as it is",),
                hint=f"say more in `days` of treatments/{name}/treatment.json, or see what it does at random",
            ),
            treatment=name,
        )
    listener.show(f"note: made again from the whole folder, the same: {in_words(chosen)}\n")
