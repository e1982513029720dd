"""Runs a command and prints what it took: seconds of wall and processor, and the peak memory of its processes together.

A small process of its own: what is started from a large one begins with that one's memory in the kernel's books.
Memory is looked at every 20 ms: what each process has for itself, and once what they share.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def main(command: list[str]) -> int:
    """Run it; the exit code is the command's."""
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    ended, peak_mb = os.pidfd_open(pid), 0.0
    while not select.select([ended], [], [], 0.02)[0]:
        peak_mb = max(peak_mb, memory_mb(pid))
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.perf_counter() - started
    print(json.dumps({"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak_mb}))
    return os.waitstatus_to_exitcode(status)


def memory_mb(pid: int) -> float:
    """The memory of a process and all that came of it, in megabytes."""
    own, shared = 0, 0
    left = [pid]
    while left:
        one = left.pop()
        try:
            with open(f"/proc/{one}/statm", encoding="ascii") as file:
                _, resident, common, *_ = map(int, file.read().split())
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as file:
                left += map(int, file.read().split())
        except OSError:  # it has ended since
            continue
        own, shared = own + resident - common, max(shared, common)
    return (own + shared) * PAGE_MB


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
