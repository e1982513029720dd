"""Leaves a sleeping child, one in a session of its own, and a daemon, all with its output open."""

import os
import signal
import subprocess
import time


def run(input_dir, output_dir, params):
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    time.sleep(0.2)
    open(output_dir + "/done.parquet", "w").close()
