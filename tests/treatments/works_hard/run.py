"""Does what honest treatments do: threads, processes, temporary files, pandas and pyarrow."""

import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import tempfile

import pandas as pd


def run(input_dir, output_dir, params):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    assert subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True).stdout == b"42\n"
    assert subprocess.run("echo $((6 * 7))", shell=True, capture_output=True, check=True).stdout == b"42\n"
    first, second = socket.socketpair()
    first.sendall(b"x")
    assert second.recv(1) == b"x"
    asyncio.run(asyncio.sleep(0))
    frame = pd.DataFrame({"ts": pd.date_range("2026-01-20", periods=3, tz="Europe/Paris"), "m0": [1, 2, 3]})
    os.makedirs("work")
    frame.to_parquet("work/a.parquet")
    os.replace("work/a.parquet", output_dir + "/a.parquet")
    assert os.path.exists(input_dir + "/a.csv")
    assert pd.read_parquet(output_dir + "/a.parquet").equals(frame)
