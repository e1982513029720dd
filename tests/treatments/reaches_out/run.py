"""Does what its params say, by itself or through a thread, a fork or a subprocess."""

import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import sys

DEEDS = {
    "read": lambda path: open(path).read(),
    "list": os.listdir,
    "write": lambda path: open(path, "w").write("changed"),
    "append": lambda path: open(path, "a").write("changed"),
    "truncate": lambda path: os.truncate(path, 0),
    "remove": os.remove,
    "rename": lambda path: os.rename(path, path + ".gone"),
    "make": os.mkdir,
    "tcp": lambda path: socket.create_connection(("127.0.0.1", int(path))),
    "udp": lambda path: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(path))),
    "unix": lambda path: socket.socket(socket.AF_UNIX).connect(path),
    "resolve": lambda path: socket.getaddrinfo(path, 80),
    "signal": lambda path: os.kill(int(path), signal.SIGTERM),
    "spy": lambda path: open(f"/proc/{path}/environ").read(),
}


def run(input_dir, output_dir, params):
    deed, way = DEEDS[params["deed"]], params["way"]
    path = params["path"].replace("INPUT", input_dir)
    if way == "thread":
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(deed, path).result()
    elif way == "fork":
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                deed(path)
                os.write(writer, b"done")
            except OSError as error:
                os.write(writer, str(error).encode())
            os._exit(0)
        os.wait()
        said = os.read(reader, 1000).decode()
        if said != "done":
            raise PermissionError(said)
    elif way == "subprocess":
        subprocess.run([sys.executable, __file__, params["deed"], path], check=True)
    else:
        deed(path)


if __name__ == "__main__":
    DEEDS[sys.argv[1]](sys.argv[2])
