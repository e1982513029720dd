"""The kernel's part of the shim: Landlock, seccomp, prctl and limits, by ctypes. Runs inside the child; Linux only.

Landlock keeps a process, and all it will ever start, to the files it was granted, from TCP and from
signalling others; a seccomp filter denies it sockets of every other kind, keyrings, memory and queues that
processes share, and setting limits or priorities of another process. Neither can be undone.
Numbers are those of the kernel's headers (linux/landlock.h, seccomp.h, filter.h, prctl.h).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without the cost of importing it
if TYPE_CHECKING:
    from typing import Any

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38

# rights of Landlock
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

# numbers on x86_64 and on aarch64: AUDIT_ARCH, where another calling convention begins, then system calls
ARCHITECTURE = (0xC000003E, 0xC00000B7)
FOREIGN = (0x40000000, 0xFFFFFFFF)
SOCKETS = {"socket": (41, 198), "io_uring_setup": (425, 425)}
SOCKETPAIR = (53, 199)
AF_UNIX, STREAM = (1,), (1, 0x801, 0x80001, 0x80801)  # SOCK_STREAM, with the flags of any type
KEYRINGS = {"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)}
MEMORY = {"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195)}
SEMAPHORES = {"semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192)}
MESSAGES = {"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)}
QUEUES = {"mq_open": (240, 180), "mq_unlink": (241, 181)}
IPC = {**MEMORY, **SEMAPHORES, **MESSAGES, **QUEUES}
# with the number of a process as the first argument, or as the second, after what it stands for (one process: 0, 1)
SCHEDULING = {"sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274)}
ON_A_PROCESS = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122), **SCHEDULING}
ON_PROCESSES = {"setpriority": ((141, 140), 0), "ioprio_set": ((251, 30), 1)}
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


def confine(rules: dict[str, Any], code: str) -> None:
    """Keep this process, and all it starts, to its rules, for ever; `code` is the folder of the shim, to be read too.

    The rules are these: `read` and `write` are paths, `root` is the project's, links followed; unless `network` there
    is none; unless `shared_memory` it shares no memory or queues by System V or POSIX names. `landlock` is the number
    of its first system call and its version, 0 for none; `machine` is the place of this machine in the tables of
    numbers, or None where system calls cannot be filtered. A path that is not there grants nothing.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)  # the kernel asks for it first: no set-uid program may be deceived by these rules
    if rules["landlock"][1]:
        restrict_files(rules, code)
    if rules["machine"] is not None:
        filter_calls(rules)


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


def restrict_files(rules: dict[str, Any], code: str) -> None:
    """Enter a Landlock domain: files, and as far as the kernel knows them, TCP and signals to others."""
    (create, abi), root, network = rules["landlock"], rules["root"], rules["network"]
    add, restrict = create + 1, create + 2  # the same numbers on every architecture
    handled = RIGHTS_BY_ABI[min(abi, 5)]  # what is not handled is not refused; an older kernel knows less
    attributes = struct.pack("=QQQ", handled, 0 if network else TCP, SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = call(libc.syscall, create, attributes, ctypes.c_size_t(len(attributes)), 0)
    readable = [*rules["read"], code, *python_paths(root), *SYSTEM, *(NETWORK if network else ())]
    granted = [(path, READ & handled) for path in dict.fromkeys(readable)]
    granted += [(entry, READ_DIR) for entry in sys.path if holds(entry, root)]  # names only, to find packages
    granted += [(path, (READ | WRITE) & handled) for path in (*rules["write"], "/dev/null")]
    for path, rights in granted:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        # a rule on a file that speaks of folders is refused, as is one that grants nothing
        if fitting := rights if stat.S_ISDIR(os.fstat(descriptor).st_mode) else rights & ON_FILES:
            call(libc.syscall, add, ruleset, 1, struct.pack("=Qi", fitting, descriptor), 0)
        os.close(descriptor)
    call(libc.syscall, restrict, ruleset, 0)
    os.close(ruleset)


def filter_calls(rules: dict[str, Any]) -> None:
    """Install a filter of system calls; what is refused fails with EACCES."""
    at, network = rules["machine"], rules["network"]
    refused = {**KEYRINGS, **({} if network else SOCKETS), **({} if rules["shared_memory"] else IPC)}
    itself = (0, os.getpid())
    # the same number is another call in a foreign calling convention, so those are refused first, as a whole
    program = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHITECTURE[at]), REFUSE]
    program += [(LOAD, 0, 0, 0), (AT_LEAST, 0, 1, FOREIGN[at]), REFUSE]  # what is loaded now is the call's number
    for numbers in refused.values():
        program += [(EQUAL, 0, 1, numbers[at]), REFUSE]
    for numbers in ON_A_PROCESS.values():
        program += only(numbers[at], [itself])
    for numbers, one_process in ON_PROCESSES.values():
        program += only(numbers[at], [(one_process,), itself])
    if not network:  # datagrams reach the sockets of others by their path, and can carry descriptors there
        program += only(SOCKETPAIR[at], [AF_UNIX, STREAM])
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
