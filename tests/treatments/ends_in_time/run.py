"""Is soon done."""

import time


def run(input_dir, output_dir, params):
    print("asleep", flush=True)
    time.sleep(0.3)
    open(f"{output_dir}/done.parquet", "w").close()
