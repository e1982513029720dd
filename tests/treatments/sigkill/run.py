"""Is killed, as by the kernel when memory runs out."""

import os
import signal


def run(input_dir, output_dir, params):
    open(output_dir + "/half.parquet", "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
