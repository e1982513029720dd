"""Runs a command on what looks like an older kernel: python -m tests.without_landlock COMMAND …

A seccomp filter makes the kernel itself answer that it knows no Landlock, to the command and all it starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CREATE_RULESET = 444

if __name__ == "__main__":
    libc = ctypes.CDLL(None, use_errno=True)
    program = [
        (0x20, 0, 0, 4),
        (0x15, 0, 2, ARCHITECTURES[platform.machine()]),
        (0x20, 0, 0, 0),
        (0x15, 1, 0, CREATE_RULESET),
        (0x06, 0, 0, 0x7FFF0000),
        (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
    ]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(instructions))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter cannot be installed")
    os.execvp(sys.argv[1], sys.argv[1:])
