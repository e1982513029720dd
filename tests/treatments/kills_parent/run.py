"""Kills its parent, having started a process in a session of its own."""

import os
import signal
import subprocess
import time


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
