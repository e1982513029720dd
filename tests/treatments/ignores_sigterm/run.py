"""Ignores SIGTERM, says so, and sleeps."""

import signal
import time


def run(input_dir, output_dir, params):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("asleep", flush=True)
    time.sleep(600)
