"""The kernel's part of the shim: Landlock, seccomp, prctl and limits, by ctypes. Runs inside the child; Linux only.

Landlock keeps a process, and all it will ever start, to the files it was granted, from TCP and from
signalling others; a seccomp filter denies it sockets of every other kind, keyrings, memory and queues that
processes share, and setting limits or priorities of another process. Neither can be undone.
Numbers are those of the kernel's headers (linux/landlock.h, seccomp.h, filter.h, prctl.h); the system calls
of Landlock have the same number on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
TCP = 0b11  # bind, connect
SCOPES = 0b11  # abstract unix sockets, signals

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV)  # no devices: who is root could reach the disk through one

# what Python, pandas and pyarrow read beside their own folders
SYSTEM = (
    *(f"{prefix}/{part}" for prefix in ("", "/usr", "/usr/local") for part in ("bin", "sbin", "lib", "lib32", "lib64")),
    *("/usr/libexec", "/usr/share", "/usr/local/share"),
    *(f"/etc/{name}" for name in ("alternatives", "group", "ld.so.cache", "localtime", "mime.types", "nsswitch.conf")),
    *("/etc/passwd", "/etc/ssl", "/etc/timezone", "/dev/random", "/dev/urandom", "/dev/zero"),
    *("/proc/cpuinfo", "/proc/filesystems", "/proc/meminfo", "/proc/self", "/proc/stat"),
    *("/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu"),
    # fonts, beside those in /usr/share and /usr/local/share
    *("/etc/fonts", "/etc/X11/fonts", "/usr/X11/lib/X11/fonts", "/usr/X11R6/lib/X11/fonts"),
    *("/var/cache/fontconfig", "/var/lib/fonts"),
)
NETWORK = tuple(f"/etc/{name}" for name in ("resolv.conf", "hosts", "host.conf", "gai.conf", "services", "protocols"))

# numbers of system calls, by machine; the first three are AUDIT_ARCH, and where another calling convention begins
MACHINES = ("x86_64", "aarch64")
ARCHITECTURE = (0xC000003E, 0xC00000B7)
FOREIGN = (0x40000000, 0xFFFFFFFF)
SOCKETS = {"socket": (41, 198), "io_uring_setup": (425, 425)}
SOCKETPAIR = (53, 199)
AF_UNIX, STREAM = (1,), (1, 0x801, 0x80001, 0x80801)  # SOCK_STREAM, with the flags of any type
KEYRINGS = {"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)}
IPC = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
ON_A_PROCESS = {  # number of the process first
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}
ON_PROCESSES = {  # first what the number stands for, with its value for one process
    "setpriority": ((141, 140), 0),
    "ioprio_set": ((251, 30), 1),
}
EACCES = 13
LOAD, EQUAL, AT_LEAST, END = 0x20, 0x15, 0x35, 0x06  # what an instruction of a filter does
REFUSE, ALLOW = (END, 0, 0, 0x00050000 | EACCES), (END, 0, 0, 0x7FFF0000)
Instruction = tuple[int, int, int, int]

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Set one property of this process."""
    call(libc.prctl, option, ctypes.c_ulong(value), 0, 0, 0)


def call(function: object, *arguments: object) -> int:
    """Call a function of libc; raises OSError when it says -1."""
    result: int = function(*arguments)  # type: ignore[operator]
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def confine(
    *,
    abi: int,
    filtered: bool,
    root: str,
    read: list[str],
    write: list[str],
    network: bool,
    shared_memory: bool,
    code: list[str],
) -> None:
    """Keep this process, and all it starts, to the `read` and `write` paths; no network unless `network`.

    No memory or queues that it would share with others by System V or POSIX names unless `shared_memory`. `abi` is
    the version of Landlock to use, 0 for none; `filtered` says whether system calls can be filtered; `root` is the
    project's, links followed. What Python needs, and `code`, can be read too. A path that is not there grants nothing.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if abi:
        readable = [*read, *code, *python_paths(root), *SYSTEM, *(NETWORK if network else ())]
        searched = [entry for entry in sys.path if holds(entry, root)]
        restrict_files(abi, readable, searched, write, network)
    if filtered:
        filter_calls(network, shared_memory)


def python_paths(root: str) -> list[str]:
    """What this interpreter and its installed packages consist of.

    A folder of sys.path that holds the project (an editable install's) is granted by its packages, not as a whole;
    to find them there, Python has to list it.
    """
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    parts = ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")
    paths = [os.path.join(prefix, part) for prefix in prefixes for part in parts]
    for entry in sys.path:
        if not holds(entry, root):
            paths.append(entry)
        elif os.path.isdir(entry):
            inside = [os.path.join(entry, name) for name in os.listdir(entry)]
            paths += [path for path in inside if path.endswith(".py") or os.path.exists(f"{path}/__init__.py")]
    return paths


def holds(folder: str, path: str) -> bool:
    """Whether `path`, its links followed, is `folder` or lies in it."""
    return f"{path}/".startswith(f"{os.path.realpath(folder).rstrip('/')}/")


def restrict_files(abi: int, read: list[str], listed: list[str], write: list[str], network: bool) -> None:
    """Enter a Landlock domain: paths that can be read, whose names can be listed, that can be written."""
    handled = RIGHTS_BY_ABI[min(abi, 5)]
    attributes = struct.pack("=QQQ", handled, 0 if network else TCP, SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = call(libc.syscall, LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path in dict.fromkeys(read):
        grant(ruleset, path, READ & handled)
    for path in listed:
        grant(ruleset, path, READ_DIR)
    for path in (*write, "/dev/null"):
        grant(ruleset, path, (READ | WRITE) & handled)
    call(libc.syscall, LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def grant(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for all that is at or below `path`."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= ON_FILES
    if rights:
        call(libc.syscall, LANDLOCK_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0)
    os.close(descriptor)


def filter_calls(network: bool, shared_memory: bool) -> None:
    """Install a filter of system calls; what is refused fails with EACCES."""
    machine = MACHINES.index(os.uname().machine)
    refused = {**KEYRINGS, **({} if network else SOCKETS), **({} if shared_memory else IPC)}
    itself = (0, os.getpid())
    program = [
        (LOAD, 0, 0, 4),  # the architecture
        (EQUAL, 1, 0, ARCHITECTURE[machine]),
        REFUSE,
        (LOAD, 0, 0, 0),  # the number of the call
        (AT_LEAST, 0, 1, FOREIGN[machine]),
        REFUSE,
    ]
    for numbers in refused.values():
        program += [(EQUAL, 0, 1, numbers[machine]), REFUSE]
    for numbers in ON_A_PROCESS.values():
        program += only(numbers[machine], [itself])
    for numbers, one_process in ON_PROCESSES.values():
        program += only(numbers[machine], [(one_process,), itself])
    if not network:  # datagrams reach the sockets of others by their path, and can carry descriptors there
        program += only(SOCKETPAIR[machine], [AF_UNIX, STREAM])
    program.append(ALLOW)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(instructions))
    call(libc.prctl, PR_SET_SECCOMP, 2, header, 0, 0)


def only(number: int, accepted: list[tuple[int, ...]]) -> list[Instruction]:
    """Refuse a call unless each of its first arguments is one of those accepted for it.

    They are C ints: like the kernel, the filter looks at their lower halves only.
    """
    program: list[Instruction] = []
    for position, values in enumerate(accepted):
        program.append((LOAD, 0, 0, 16 + 8 * position))
        program += [(EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
        program.append(REFUSE)
    return [(EQUAL, 0, len(program) + 1, number), *program, ALLOW]
