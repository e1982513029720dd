"""Leaves a sleeping child and a thread behind."""

import subprocess
import threading
import time


def run(input_dir, output_dir, params):
    subprocess.Popen(["sleep", "600"])
    threading.Thread(target=time.sleep, args=(600,)).start()
