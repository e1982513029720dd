"""The contract "reads input_dir, writes output_dir" is kept by the kernel; what is refused says what would grant it."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pymyx.core.errors import TreatmentError
from pymyx.core.isolation.child import SHIM
from pymyx.core.isolation.confinement import FILTERED, FULL_ABI, landlock_abi, shortfall
from pymyx.core.runner import run_treatment

from ..conftest import REPO, SmallProject, snapshot

full = pytest.mark.skipif(landlock_abi() < FULL_ABI, reason="this kernel cannot confine in full")
CONTRACT_NOTE = "a treatment reads its input folder and its own, and writes to output_dir only"
WRITE_NOTE = "a treatment writes to output_dir only; what it reads is never changed"
NETWORK_NOTE = "a treatment has no network"


@pytest.fixture
def outreach(project: SmallProject) -> SmallProject:
    """A project with a treatment that reaches out, a secret, and other folders that are none of its business."""
    project.misbehaving("reaches_out")
    project.treatment("neighbour")
    (project.root / "data" / "other").mkdir()
    for name in ("secret.txt", "data/other/b.csv", "flows/f.json"):
        (project.root / name).write_text("secret", encoding="utf-8")
    return project


def reach(project: SmallProject, deed: str, path: object, way: str = "itself", confine: str = "auto") -> None:
    """Let the treatment do something."""
    params = {"deed": deed, "path": str(path), "way": way}
    run_treatment("reaches_out", "data/in", "data/out", params, confine=confine, force=True)


def grant(permission: str, name: str = "reaches_out") -> str:
    """The hint that names the key that would grant something."""
    hint = f'if it needs that, grant it in treatments/{name}/treatment.json: "allow": {{{permission}}}'
    return f"{hint}; or put the file into treatments/{name}/" if '"read"' in permission else hint


READING = [
    ("read", "ROOT/secret.txt", '"read": ["secret.txt"]'),
    ("read", "ROOT/data/other/b.csv", '"read": ["data/other/b.csv"]'),
    ("list", "ROOT/data/other", '"read": ["data/other"]'),
    ("read", "ROOT/flows/f.json", '"read": ["flows/f.json"]'),
    ("read", "ROOT/treatments/neighbour/run.py", '"read": ["treatments/neighbour/run.py"]'),
    ("read", "/etc/shadow", '"read": ["/etc/shadow"]'),
    ("list", "/root", '"read": ["/root"]'),
]


@full
@pytest.mark.parametrize(("deed", "path", "permission"), READING)
def test_what_is_none_of_its_business(outreach: SmallProject, deed: str, path: str, permission: str) -> None:
    """Other data, flows, treatments, the log, the system: refused, with the key that would grant it."""
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, deed, path.replace("ROOT", str(outreach.root)))
    fault = caught.value.faults[0]
    assert fault.what.startswith("treatment `reaches_out` failed: PermissionError: [Errno 13] Permission denied")
    assert fault.notes[0] == CONTRACT_NOTE
    assert fault.hint == grant(permission)


@full
@pytest.mark.parametrize(
    ("deed", "path"), [("write", "new.txt"), ("write", "data/other/new.csv"), ("make", "data/other/x")]
)
def test_nothing_is_written_elsewhere(outreach: SmallProject, deed: str, path: str) -> None:
    """Writing is for output_dir alone, and cannot be granted."""
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, deed, outreach.root / path)
    fault = caught.value.faults[0]
    assert fault.what == f"treatment `reaches_out` failed: PermissionError: [Errno 13] Permission denied: '{path}'"
    assert (fault.notes[0], fault.hint) == (WRITE_NOTE, "")
    assert not (outreach.root / path).exists()


@full
@pytest.mark.parametrize("deed", ["write", "append", "truncate", "remove", "rename"])
def test_raw_data_is_immutable(outreach: SmallProject, deed: str) -> None:
    """No way to change an input file is open."""
    before = snapshot(outreach.input)
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, deed, "INPUT/a.csv")
    assert "Permission denied" in caught.value.faults[0].what
    assert caught.value.faults[0].notes[0] == WRITE_NOTE
    assert snapshot(outreach.input) == before
    for path in (outreach.root / "treatments" / "reaches_out" / "run.py", os.__file__):
        with pytest.raises(TreatmentError, match="Permission denied"):
            reach(outreach, "append", path)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server on this machine that a treatment could reach."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@full
@pytest.mark.parametrize("way", ["itself", "thread", "fork", "subprocess"])
@pytest.mark.parametrize("deed", ["read", "tcp", "udp", "unix"])
def test_no_way_round(outreach: SmallProject, server: socket.socket, deed: str, way: str) -> None:
    """A thread, a fork and a subprocess are confined as well; TCP, UDP and unix sockets are all closed."""
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(outreach.root / "socket"))
        unix.listen()
        target = {"read": outreach.root / "secret.txt", "unix": outreach.root / "socket"}.get(
            deed, server.getsockname()[1]
        )
        with pytest.raises(TreatmentError) as caught:
            reach(outreach, deed, target, way)
        if way != "subprocess":
            assert "[Errno 13] Permission denied" in caught.value.faults[0].what
        else:
            assert "PermissionError: [Errno 13] Permission denied" in caught.value.output
        if deed != "read" and way in ("itself", "thread"):
            assert (caught.value.faults[0].notes[0], caught.value.faults[0].hint) == (
                NETWORK_NOTE,
                grant('"network": true'),
            )
        reach(outreach, deed, target, way, confine="off")  # so it was the confinement that kept it back


@full
def test_names_cannot_be_resolved(outreach: SmallProject) -> None:
    """A name look-up fails for want of a network; the hint says so."""
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, "resolve", "localhost.invalid")
    assert caught.value.faults[0].hint == grant('"network": true')


@contextmanager
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of a treatment's business."""
    with subprocess.Popen(["sleep", "60"], cwd="/") as other:
        try:
            yield other
        finally:
            other.kill()


@full
def test_others_are_neither_signalled_nor_spied_on(outreach: SmallProject) -> None:
    """Processes outside get no signal, and their environment stays theirs."""
    with neighbour() as other:
        for deed in ("signal", "spy"):
            with pytest.raises(TreatmentError, match="PermissionError"):
                reach(outreach, deed, other.pid)
        assert other.poll() is None


@full
def test_parent_cannot_be_killed(project: SmallProject) -> None:
    """The warden is out of reach."""
    project.misbehaving("kills_parent")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("kills_parent", "data/in", "data/out")
    assert (
        caught.value.faults[0].what
        == "treatment `kills_parent` failed: PermissionError: [Errno 1] Operation not permitted"
    )


def test_parent_killed_by_a_treatment_that_is_not_confined(project: SmallProject) -> None:
    """Without confinement it can kill its warden; even then nothing is published and no process is left."""
    project.misbehaving("kills_parent")
    done = project.run("kills_parent", "--confine", "off")
    assert done.returncode == 1
    assert "SIGKILL (killed)" in done.stderr
    assert not project.output.exists()


def allow(project: SmallProject, name: str, **permissions: object) -> None:
    """Grant permissions in a treatment.json."""
    path = project.root / "treatments" / name / "treatment.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "allow": permissions}), encoding="utf-8")


@full
def test_allow_read(outreach: SmallProject) -> None:
    """`allow.read` grants reading a path relative to the root, and no writing."""
    allow(outreach, "reaches_out", read=["data/other", "../" + outreach.root.name + "/secret.txt"])
    reach(outreach, "read", outreach.root / "data" / "other" / "b.csv")
    reach(outreach, "read", outreach.root / "secret.txt")
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, "write", outreach.root / "data" / "other" / "b.csv")
    assert caught.value.faults[0].notes[0] == WRITE_NOTE
    with pytest.raises(TreatmentError):
        reach(outreach, "read", outreach.root / "flows" / "f.json")


@full
def test_allow_network(outreach: SmallProject, server: socket.socket) -> None:
    """`allow.network` opens the network, and nothing else."""
    allow(outreach, "reaches_out", network=True)
    reach(outreach, "tcp", server.getsockname()[1])
    reach(outreach, "resolve", "localhost")
    with pytest.raises(TreatmentError):
        reach(outreach, "read", outreach.root / "secret.txt")


def test_allow_env(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """`allow.env` lets a variable through; without it, the hint names the key."""
    project.misbehaving("uses_variable")
    monkeypatch.setenv("STATION_TOKEN", "secret")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("uses_variable", "data/in", "data/out")
    assert caught.value.faults[0].what == "treatment `uses_variable` failed: KeyError: 'STATION_TOKEN'"
    assert caught.value.faults[0].notes[0] == "a treatment sees few environment variables"
    assert caught.value.faults[0].hint == grant('"env": ["STATION_TOKEN"]', "uses_variable")
    allow(project, "uses_variable", env=["STATION_TOKEN"])
    run_treatment("uses_variable", "data/in", "data/out")


def test_a_granted_variable_that_is_not_set_here_says_so(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the grant that is missing."""
    project.misbehaving("uses_variable")
    allow(project, "uses_variable", env=["STATION_TOKEN"])
    monkeypatch.delenv("STATION_TOKEN", raising=False)
    with pytest.raises(TreatmentError) as caught:
        run_treatment("uses_variable", "data/in", "data/out")
    fault = caught.value.faults[0]
    assert fault.notes[0] == "`STATION_TOKEN` is granted (allow.env), but it is not set here"
    assert fault.hint == "set it where PyMyx is started (a cron line has few variables): export STATION_TOKEN=…"


@full
def test_allow_shared_memory(project: SmallProject) -> None:
    """Queues and shared memory of multiprocessing are a clear error, and work when they are granted."""
    project.misbehaving("uses_queue")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("uses_queue", "data/in", "data/out")
    assert "PermissionError: [Errno 13] Permission denied" in caught.value.faults[0].what
    assert caught.value.faults[0].hint == grant('"shared_memory": true', "uses_queue")
    allow(project, "uses_queue", shared_memory=True)
    run_treatment("uses_queue", "data/in", "data/out")


@pytest.mark.parametrize("confine", ["auto", "off"])
def test_honest_work_is_not_disturbed(project: SmallProject, confine: str) -> None:
    """Threads, forks, subprocesses, temporary files, pandas and pyarrow work, confined or not."""
    project.misbehaving("works_hard")
    done = project.run("works_hard", "--confine", confine)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in project.output.iterdir()] == ["a.parquet"]


@full
def test_links_in_the_input_folder_are_followed(
    outreach: SmallProject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An input file that is a link to another disk can be read, and only it; an input folder that is one as well."""
    disk = tmp_path_factory.mktemp("disk")
    for name in ("far.csv", "private.csv"):
        (disk / name).write_text("far", encoding="utf-8")
    (outreach.input / "link.csv").symlink_to(disk / "far.csv")
    reach(outreach, "read", "INPUT/link.csv")
    with pytest.raises(TreatmentError):
        reach(outreach, "write", "INPUT/link.csv")
    with pytest.raises(TreatmentError):
        reach(outreach, "read", disk / "private.csv")
    (outreach.root / "data" / "linked").symlink_to(disk)
    params = {"deed": "read", "path": "INPUT/private.csv"}
    run_treatment("reaches_out", "data/linked", "data/out-2", params)


@full
def test_a_checkout_on_the_path_is_granted_by_its_packages(outreach: SmallProject) -> None:
    """An editable install puts a whole checkout on sys.path; a project in it does not become readable by that."""
    package = outreach.root / "package"
    package.mkdir()
    (package / "__init__.py").write_text("NAME = 'package'\n", encoding="utf-8")
    code = "import sys\nimport package\ndef run(input_dir, output_dir, params):\n    assert package.NAME == 'package'\n    open(params['path'])\n"
    outreach.treatment("imports", code, params={"path": {"type": "string"}})
    site = outreach.root / "some-packages"
    site.mkdir()
    job_sites = [str(outreach.root)]
    script = f"import sys; sys.path += {job_sites}\nimport pymyx.core.isolation.child as i\ni._sites = lambda: {job_sites}\nimport pymyx\npymyx.run_treatment('imports', 'data/in', 'data/out', {{'path': 'PATH'}})\n"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    for path, code_ in ((package / "__init__.py", 0), (outreach.root / "secret.txt", 1)):
        done = subprocess.run(
            [sys.executable, "-c", script.replace("PATH", str(path))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code_, done.stderr
        assert code_ == 0 or "Permission denied" in done.stderr


OLD_KERNEL = (sys.executable, "-m", "tests.without_landlock")


def on_an_old_kernel(project: SmallProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a treatment where the kernel says that it knows no Landlock."""
    argv = project.argv(
        "runner", "--treatment", "reaches_out", "--input", "data/in", "--output", "data/out", *arguments
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [*OLD_KERNEL, *argv], cwd=project.root, env=environment, capture_output=True, text=True, check=False
    )


def test_without_landlock(outreach: SmallProject, server: socket.socket) -> None:
    """Without Landlock treatments run, what is missing is said once; sockets stay closed."""
    read = ("--params", json.dumps({"deed": "read", "path": str(outreach.root / "secret.txt")}))
    done = on_an_old_kernel(outreach, *read)
    note = "note: this system cannot keep treatments from: access to files, truncation of files, signals to other processes\n"
    assert (done.returncode, done.stderr) == (0, note)
    tcp = ("--params", json.dumps({"deed": "tcp", "path": str(server.getsockname()[1])}))
    done = on_an_old_kernel(outreach, *tcp)
    assert done.returncode == 1
    assert "PermissionError: [Errno 13] Permission denied" in done.stderr
    assert on_an_old_kernel(outreach, *read, "--confine", "off").stderr == ""


def test_confinement_demanded_where_there_is_none(outreach: SmallProject) -> None:
    """`require` refuses to run where it cannot be had in full."""
    done = on_an_old_kernel(outreach, "--params", '{"deed": "list", "path": "/"}', "--confine", "require")
    assert (done.returncode, done.stdout, outreach.events) == (2, "", [])
    assert done.stderr == (
        "error: this system cannot keep treatments from: access to files, truncation of files, signals to other processes\n"
        "hint: run it where Linux is 6.12 or newer, or with --confine auto\n"
    )
    if landlock_abi() >= FULL_ABI:
        assert shortfall("require") == ""
        reach(outreach, "list", "INPUT", confine="require")


def test_unknown_mode(project: SmallProject) -> None:
    """A mode that there is not is told."""
    project.treatment("double")
    done = project.run("double", "--confine", "maybe")
    assert (done.returncode, done.stderr) == (2, "error: confine is `maybe`\n  accepted: require, auto, off\n")


def test_the_lock_is_not_the_treatments(project: SmallProject) -> None:
    """No descriptor of the runner reaches the treatment but its own four."""
    code = "import os\ndef run(input_dir, output_dir, params):\n    print(sorted(int(name) for name in os.listdir('/proc/self/fd')))\n"
    project.treatment("counts", code)
    shown: list[str] = []
    run_treatment("counts", "data/in", "data/out", show=shown.append)
    numbers = json.loads(shown[0])
    assert numbers[:3] == [0, 1, 2]
    assert len(numbers) <= 6  # these, the outcome, and what lists them


def test_a_thread_that_ends_takes_no_run_with_it(project: SmallProject) -> None:
    """A run started from a thread lives as long as its thread waits for it."""
    project.treatment("slow", "import time\ndef run(input_dir, output_dir, params):\n    time.sleep(0.5)\n")
    results: list[object] = []

    def start() -> None:
        inner = threading.Thread(target=lambda: results.append(run_treatment("slow", "data/in", "data/out")))
        inner.start()

    outer = threading.Thread(target=start)
    outer.start()
    outer.join()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon is False:
            thread.join()
    assert len(results) == 1
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN


@full
def test_socketpair_for_anything_but_stream_is_refused(outreach: SmallProject) -> None:
    """A datagram from one of a pair would reach a socket of others by its path; a stream reaches its peer alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("socket")
        other.settimeout(5)
        path = outreach.root / "socket"
        with pytest.raises(TreatmentError) as caught:
            reach(outreach, "datagram", path)
        assert caught.value.faults[0].what.endswith("PermissionError: [Errno 13] Permission denied")
        assert caught.value.faults[0].hint == grant('"network": true')
        reach(outreach, "datagram", path, confine="off")
        assert other.recv(1) == b"x"
    code = "import socket\ndef run(input_dir, output_dir, params):\n    a, b = socket.socketpair()\n    a.setblocking(False)\n    a.send(b'x')\n    assert b.recv(1) == b'x'\n"
    outreach.treatment("streams", code + "    import asyncio\n    asyncio.run(asyncio.sleep(0))\n")
    run_treatment("streams", "data/in", "data/out-2")


ON_OTHERS = ["limit", "priority", "affinity", "scheduler", "scheduling"]


@full
@pytest.mark.parametrize("deed", ON_OTHERS)
def test_limits_and_priorities_of_others_are_out_of_reach(outreach: SmallProject, deed: str) -> None:
    """A treatment sets them for itself alone: a limit of processor time would kill a neighbour."""
    with neighbour() as other:
        before = resource.prlimit(other.pid, resource.RLIMIT_CPU)
        with pytest.raises(TreatmentError, match="PermissionError"):
            reach(outreach, deed, other.pid)
        assert resource.prlimit(other.pid, resource.RLIMIT_CPU) == before
        assert os.getpriority(os.PRIO_PROCESS, other.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        reach(outreach, deed, 0)
        reach(outreach, deed, other.pid, confine="off")


@full
def test_priorities_of_a_whole_user_are_out_of_reach(outreach: SmallProject) -> None:
    """One call would slow down all that its user runs."""
    with pytest.raises(TreatmentError, match="PermissionError"):
        reach(outreach, "priority of user", 4_000_000)


UNUSED = {"sched_setattr": (314, 274), "ioprio_set": (251, 30), "add_key": (248, 217), "request_key": (249, 218)}


@full
@pytest.mark.parametrize("name", [*UNUSED, "keyctl"])
def test_calls_that_python_does_not_know_are_refused(outreach: SmallProject, name: str) -> None:
    """With arguments that make no sense they fail in any case, but with another error."""
    numbers = json.dumps(dict(zip(FILTERED, {**UNUSED, "keyctl": (250, 219)}[name], strict=True)))
    with pytest.raises(TreatmentError, match="Permission denied"):
        reach(outreach, "call", numbers)
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, "call", numbers, confine="off")
    assert "Permission denied" not in str(caught.value)


@full
@pytest.mark.parametrize("call", ["shmget", "semget", "msgget", "mq_open"])
def test_ipc_is_refused_unless_shared_memory_is_granted(outreach: SmallProject, call: str) -> None:
    """Memory, semaphores and queues that other processes could reach by a key or a name."""
    with pytest.raises(TreatmentError) as caught:
        reach(outreach, "share", call)
    assert "PermissionError: [Errno 13] Permission denied" in caught.value.faults[0].what
    assert caught.value.faults[0].hint == grant('"shared_memory": true')
    allow(outreach, "reaches_out", shared_memory=True)
    reach(outreach, "share", call)


def test_numbers_of_system_calls_are_those_of_the_headers() -> None:
    """On both machines, where the kernel's headers are installed."""
    from_headers = {machine: header_numbers(path) for machine, path in HEADERS.items() if path.exists()}
    if not from_headers:
        pytest.skip("no kernel headers")
    sys.path.insert(0, str(SHIM.parent))
    try:
        kernel = __import__("kernel")
    finally:
        sys.path.remove(str(SHIM.parent))
        del sys.modules["kernel"]
    of_processes = {name: numbers for name, (numbers, _) in kernel.ON_PROCESSES.items()}
    known = {**kernel.SOCKETS, **kernel.KEYRINGS, **kernel.IPC, **kernel.ON_A_PROCESS, **of_processes}
    for machine, numbers in from_headers.items():
        at = FILTERED.index(machine)
        assert {name: one[at] for name, one in known.items()} == {name: numbers[name] for name in known}
        assert kernel.SOCKETPAIR[at] == numbers["socketpair"]


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def header_numbers(path: Path) -> dict[str, int]:
    """The system calls that a header of the kernel defines."""
    return {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", path.read_text(encoding="utf-8"))}


@full
def test_fonts_are_readable(outreach: SmallProject) -> None:
    """What fontconfig and matplotlib look through for fonts, wherever it exists."""
    code = (
        "import os, shutil, subprocess\n"
        "def run(input_dir, output_dir, params):\n"
        "    for folder in filter(os.path.isdir, params['folders']):\n"
        "        for place, _, names in os.walk(folder, onerror=lambda error: (_ for _ in ()).throw(error)):\n"
        "            for name in names:\n"
        "                if os.path.exists(f'{place}/{name}'):\n"
        "                    open(f'{place}/{name}', 'rb').close()\n"
        "    if shutil.which('fc-list'):\n"
        "        done = subprocess.run(['fc-list'], capture_output=True, text=True, check=True)\n"
        "        assert not done.stderr, done.stderr\n"
    )
    outreach.treatment("draws", code, params={"folders": {"type": "array"}})
    folders = ["/etc/fonts", "/usr/share/fonts", "/usr/local/share/fonts", "/var/cache/fontconfig"]
    run_treatment("draws", "data/in", "data/out", {"folders": folders})


SPEAKS = [
    "OSError('Could not resolve host: api.example.org')",
    "RuntimeError('Failed to connect to 10.0.0.1 port 443')",
    "ConnectionRefusedError(111, 'Connection refused')",
    "OSError(101, 'Network is unreachable')",
    "ValueError('Temporary failure in name resolution')",
    "type('ConnectTimeout', (Exception,), {})('timed out')",
]


@full
@pytest.mark.parametrize("error", SPEAKS)
def test_a_failure_that_speaks_of_connecting_or_resolving_gets_the_hint(project: SmallProject, error: str) -> None:
    """Whatever library it comes from; but not where the network is granted, nor for a mistake in the code."""
    raising = f"def run(input_dir, output_dir, params):\n    raise {error}\n"
    project.treatment("fetches", raising)
    with pytest.raises(TreatmentError) as caught:
        run_treatment("fetches", "data/in", "data/out")
    assert caught.value.faults[0].notes[0] == NETWORK_NOTE
    assert caught.value.faults[0].hint == grant('"network": true', "fetches")
    allow(project, "fetches", network=True)
    with pytest.raises(TreatmentError) as caught:
        run_treatment("fetches", "data/in", "data/out")
    assert caught.value.faults[0].hint == ""
    project.treatment("fetches", "def run(input_dir, output_dir, params):\n    raise KeyError('connected')\n")
    with pytest.raises(TreatmentError) as caught:
        run_treatment("fetches", "data/in", "data/out")
    assert caught.value.faults[0].hint == ""


@full
def test_a_hint_never_names_a_grant_that_is_refused(outreach: SmallProject) -> None:
    """What a run writes cannot be granted: the error says why, and leaves the other way."""
    (outreach.root / "data" / "out").mkdir()
    (outreach.root / "data" / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    (outreach.root / "pymyx.log").touch()
    for path, shown, why in (
        ("data/out/notes.txt", "data/out/notes.txt", "it holds the output folder `data/out`, or lies in it"),
        ("pymyx.log", "pymyx.log", "it holds the log `pymyx.log`"),
        ("", ".", "it holds the log `pymyx.log`"),
        ("..", str(outreach.root.parent), "it holds the log `pymyx.log`"),
        ("data", "data", "it holds the state `.pymyx` of output folders"),
    ):
        real = outreach.root.joinpath(path).resolve()
        with pytest.raises(TreatmentError) as caught:
            reach(outreach, "list" if real.is_dir() else "read", real)
        [fault] = caught.value.faults
        assert fault.notes[0] == f"{CONTRACT_NOTE}; `{shown}` cannot be granted: {why}"
        assert fault.hint == "put the file into treatments/reaches_out/"
