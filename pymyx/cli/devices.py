"""Runs a flow over the data roots of several devices, side by side, each as a process of its own.

Each is the flow as it is run for one device, with its own locks and state: a device that fails stops nobody. What it
says is shown as it comes, each line behind the device's name.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO, Any, NamedTuple

from pymyx.cli.streams import say, show
from pymyx.core.isolation.children import HEED_S, signals_held
from pymyx.core.options import SAID

WORST_FIRST = (1, 2, 75)  # exit codes, as the whole is judged by them
LONGEST_LINE = 1 << 16  # bytes; what is longer is shown in parts


class Device(NamedTuple):
    """One at work: its name, its process, and the start of a line that it has not ended yet, of each stream."""

    name: str
    process: subprocess.Popen[bytes]
    begun: dict[IO[bytes], bytes]


def names_of(roots: list[str]) -> dict[str, str]:
    """A name for each data root, in order: that of its folder, or the path as given where two folders have one name."""
    paths = {root: Path(os.path.abspath(root)) for root in roots}
    doubled = Counter(path.name for path in dict.fromkeys(paths.values()))
    first = {path: root for root, path in reversed(paths.items())}  # a folder that is given twice is one device
    return {root: path.name if doubled[path.name] == 1 else root for path, root in reversed(first.items())}


def commands_of(flow: str, options: dict[str, Any], roots: dict[str, str]) -> dict[str, list[str]]:
    """The command line for each device by name: the flow over its root with these `options`, one child at a time.

    What was said about the system, none of them says again.
    """
    shared = []
    for name, value in options.items():
        flag = f"--{name.rstrip('_').replace('_', '-')}"
        if value is True:
            shared.append(flag)
        elif value is not None and value is not False:
            shared += [flag, str(value)]
    begin = f"from pymyx.cli.devices import begin; begin({os.getpid()}, {sorted(SAID)})"
    program = f"{begin}; from pymyx.cli.main import main; main()"
    start = [sys.executable, "-P", "-c", program, "flow", flow, *shared, "--jobs", "1"]
    return {name: [*start, "--data", root] for root, name in roots.items()}


def begin(parent: int, said: list[str]) -> None:
    """In a device's process: be terminated when the process that started it ends, however that ends (Linux).

    `said` is what that one has said about the system.
    """
    SAID.update(said)
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it had ended before the kernel was told
        os._exit(128 + signal.SIGTERM)


def run_each(commands: dict[str, list[str]], at_once: int, processors: int = 1) -> dict[str, int]:
    """Run the commands, `at_once` side by side, which share the processors; the exit code of each device.

    None runs on in the end. One that cannot be started has failed.
    """
    waiting, codes = list(reversed(commands.items())), {}
    at_work: list[Device] = []
    share = max(1, processors // min(at_once, len(commands)))
    environment = {**os.environ, "OMP_NUM_THREADS": str(share)}
    # signals strike here in `select` alone, so that every device that was started is known; each lets them through
    with signals_held(), selectors.DefaultSelector() as selector:
        try:
            while waiting or at_work:
                while waiting and len(at_work) < at_once:
                    name, command = waiting.pop()
                    try:
                        device = _started(name, command, environment)
                    except OSError as error:
                        show(f"{name}: error: it cannot be started: {error.strerror}\n")
                        codes[name] = 1
                        continue
                    at_work.append(device)
                    for pipe in device.begun:
                        selector.register(pipe, selectors.EVENT_READ, device)
                with signals_held(held=False):
                    ready = selector.select(HEED_S) if at_work else []
                for key, _ in ready:
                    if not _relay(key.data, key.fileobj):  # type: ignore[arg-type]  # one of the pipes registered above
                        selector.unregister(key.fileobj)
                        key.data.begun.pop(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
                for device in [one for one in at_work if not one.begun]:
                    at_work.remove(device)
                    codes[device.name] = device.process.wait()
        finally:
            # each ends as it does alone: its children ended, its stage cleared, its event logged
            for device in at_work:
                device.process.terminate()
            for device in at_work:
                for pipe in list(device.begun):
                    while _relay(device, pipe):
                        pass
                    pipe.close()
                device.process.wait()
    return {name: codes[name] for name in commands}


def _started(name: str, command: list[str], environment: dict[str, str]) -> Device:
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    return Device(name, process, {process.stdout: b"", process.stderr: b""})


def _relay(device: Device, pipe: IO[bytes]) -> bool:
    """Show the whole lines that have come; False at the end, with what was begun."""
    data = os.read(pipe.fileno(), LONGEST_LINE)
    whole, newline, rest = (device.begun[pipe] + data).rpartition(b"\n")
    if not data or len(rest) > LONGEST_LINE:
        whole, newline, rest = whole + newline, rest, b""
    device.begun[pipe] = rest
    _show(device.name, whole + newline, stdout=pipe is device.process.stdout)
    return bool(data)


def _show(name: str, text: bytes, *, stdout: bool) -> None:
    for line in text.decode("utf-8", "replace").splitlines():
        say(f"{name}: {line}") if stdout else show(f"{name}: {line}\n")


def summed_up(codes: dict[str, int]) -> tuple[str, int]:
    """`998 done, 2 failed: s017, s203`, and the exit code of the whole: the worst."""
    busy = [name for name, code in codes.items() if code == 75]
    failed = [name for name, code in codes.items() if code not in (0, 75)]
    parts = [f"{len(codes) - len(busy) - len(failed)} done"]
    parts += [
        f"{len(names)} {word}: {', '.join(names)}" for word, names in (("failed", failed), ("busy", busy)) if names
    ]
    worst = {code if code in WORST_FIRST else 1 for code in codes.values() if code}
    return ", ".join(parts), next((code for code in WORST_FIRST if code in worst), 0)
