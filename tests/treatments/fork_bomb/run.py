"""Forks for a minute: a crowd that tries to grow, and some that start the next of them and end, each in a session of its own.

There are never more than some 160 of them at once, and they end by themselves.
"""

import os
import signal
import time

CROWD, COMETS, LONGEST_S = 128, 8, 60


def run(input_dir, output_dir, params):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.monotonic() + LONGEST_S
    reader, writer = os.pipe()
    os.write(writer, b"x" * CROWD)
    os.set_blocking(reader, False)
    for _ in range(COMETS):
        if os.fork() == 0:
            _rush(end)
    if os.fork() == 0:
        _multiply(reader, end)
    print("asleep", flush=True)
    while params.get("stays", True) and time.monotonic() < end:
        time.sleep(0.1)


def _rush(end):
    while time.monotonic() < end:
        if os.fork():
            break
        os.setsid()
    os._exit(0)


def _multiply(reader, end):
    while time.monotonic() < end:
        try:
            if os.read(reader, 1) and os.fork() == 0:
                os.setsid()
        except BlockingIOError:
            time.sleep(0.01)
    os._exit(0)
