"""Stops itself, as Ctrl-Z does."""

import os
import signal


def run(input_dir, output_dir, params):
    os.kill(os.getpid(), signal.SIGSTOP)
