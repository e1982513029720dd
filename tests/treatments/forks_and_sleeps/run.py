"""Starts processes of every kind, says so, and sleeps."""

import multiprocessing
import subprocess
import time


def run(input_dir, output_dir, params):
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    print("asleep", flush=True)
    time.sleep(600)
