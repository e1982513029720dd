"""Runs one benchmark: python -m tests.benchmarks activity|executor|exports|fleet|incremental|parse [--help]."""

from __future__ import annotations

import sys

from tests.benchmarks import activity, executor, exports, fleet, incremental, parse

BENCHMARKS = {
    "activity": activity.main,
    "executor": executor.main,
    "exports": exports.main,
    "fleet": fleet.main,
    "incremental": incremental.main,
    "parse": parse.main,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHMARKS:
        sys.exit(f"usage: python -m tests.benchmarks {{{','.join(BENCHMARKS)}}} [options]")
    BENCHMARKS[sys.argv[1]](sys.argv[2:])
