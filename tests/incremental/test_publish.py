"""Publishing: all or nothing, file by file in place, nobody else's files touched."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymyx.core.errors import PublishError, UsageError
from pymyx.core.incremental.files import hash_of
from pymyx.core.incremental.manifest import read_manifest
from pymyx.core.runner import run_treatment

from ..conftest import SmallProject, snapshot

WRITE = """import os

def run(input_dir, output_dir, params):
    for name in params["names"]:
        with open(os.path.join(output_dir, name), "w") as file:
            file.write(params["text"])
"""
NAMES = {
    "names": {"type": "array", "default": ["a.parquet", "b.parquet"]},
    "text": {"type": "string", "default": "new"},
}


@pytest.fixture
def writer(project: SmallProject) -> SmallProject:
    """A project with a treatment that writes files of given names."""
    project.treatment("write", WRITE, params=NAMES)
    return project


def test_files_are_replaced_and_others_left_alone(writer: SmallProject) -> None:
    """A file of the same name is replaced, one that is not made any more removed; what is somebody else's stays."""
    run_treatment("write", "data/in", "data/out", {"names": ["a.parquet", "old.parquet"]})
    (writer.output / "a.parquet").write_text("edited", encoding="utf-8")
    (writer.output / "notes.txt").write_text("mine", encoding="utf-8")
    result = run_treatment("write", "data/in", "data/out")
    assert result.files == ("a.parquet", "b.parquet")
    assert {path.name: path.read_text(encoding="utf-8") for path in writer.output.iterdir()} == {
        "a.parquet": "new", "b.parquet": "new", "notes.txt": "mine",
    }  # fmt: skip


def test_a_reader_of_the_old_file_keeps_it(writer: SmallProject) -> None:
    """Files are replaced by renaming: who has the old one open reads on in it."""
    run_treatment("write", "data/in", "data/out")
    with (writer.output / "a.parquet").open(encoding="utf-8") as old:
        inode = os.fstat(old.fileno()).st_ino
        run_treatment("write", "data/in", "data/out", {"text": "newer"})
        assert old.read() == "new"
        assert (writer.output / "a.parquet").stat().st_ino != inode


@pytest.mark.parametrize(
    ("name", "kind", "left"),
    [
        ("leaves_link", "link", "passwd.parquet"),
        ("leaves_hard_link", "hard link", "a.parquet"),
        ("leaves_fifo", "special file", "pipe.parquet"),
        ("leaves_folder", "folder", "2026"),
    ],
)
def test_only_regular_files_are_published(writer: SmallProject, name: str, kind: str, left: str) -> None:
    """Anything else is refused before the first file is moved, and told as an error event too."""
    writer.misbehaving(name)
    writer.output.mkdir()
    (writer.output / "a.png").write_text("old", encoding="utf-8")
    before, before_input = snapshot(writer.output), snapshot(writer.input)
    done = writer.run(name, "--confine", "off")  # confined, the hard link cannot even be made
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: the treatment left a {kind} in its output: `{left}`\n"
        "note: nothing was published; `data/out` is unchanged\nhint: leave regular files only, in no sub-folder\n"
    )
    assert (snapshot(writer.output), snapshot(writer.input)) == (before, before_input)
    assert writer.statuses == [f"{name} start", f"{name} error"]


def test_modes_are_made_ordinary(project: SmallProject) -> None:
    """Published files have the mode of any new file here, whatever the treatment set; closed folders are cleared."""
    project.misbehaving("leaves_modes")
    (project.root / "ordinary").touch()
    ordinary = stat.S_IMODE((project.root / "ordinary").stat().st_mode)
    run_treatment("leaves_modes", "data/in", "data/out")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in project.output.iterdir()}
    assert modes == dict.fromkeys(["nobody.parquet", "private.parquet", "setuid.parquet"], ordinary)


def test_modes_are_set_before_hashing(project: SmallProject) -> None:
    """A file that the treatment closed to itself is known by its bytes, and not made again for ever."""
    code = "import os\ndef run(input_dir, output_dir, params):\n    open(output_dir + '/a.parquet', 'w').close()\n    os.chmod(output_dir + '/a.parquet', 0)\n    os.chmod(output_dir, 0)\n"
    project.treatment("closes", code, input={"format": "csv", "description": "anything"})
    assert run_treatment("closes", "data/in", "data/out").days == ("whole",)
    manifest = read_manifest(project.output, "")
    assert manifest
    assert manifest.outputs["a.parquet"].sha256 == hash_of(project.output / "a.parquet") != "unreadable"
    assert run_treatment("closes", "data/in", "data/out").days == ()


def test_deep_folders_are_cleared(project: SmallProject) -> None:
    """However deep a treatment nests folders, in its output or its own: the run ends, and the next one is free."""
    code = (
        "import os\ndef run(input_dir, output_dir, params):\n"
        "    for top in (output_dir, os.environ['HOME']):\n"
        "        os.chdir(top)\n"
        "        for number in range(params['levels']):\n"
        "            os.mkdir('deep')\n            open('f', 'w').close()\n            os.chdir('deep')\n"
        "        os.chmod('.', 0)\n"
    )
    project.treatment("digs", code, params={"levels": {"type": "integer", "default": 1200}})
    for levels in (1200, 1):
        with pytest.raises(PublishError):
            run_treatment("digs", "data/in", "data/out", params={"levels": levels})
        assert project.stages == []


def test_deep_folders_that_a_killed_run_left(project: SmallProject) -> None:
    """They do not lock an output folder; folders without rights, and thousands of files in one, do not either."""
    project.treatment("double")
    run_treatment("double", "data/in", "data/out")
    stage = project.root / "data" / ".pymyx" / "out" / "stage-left"
    top = os.open(project.root, os.O_RDONLY)
    try:
        stage.mkdir()
        os.chdir(stage)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        for number in range(2500):
            Path(f"f{number}").touch()
        os.chmod(".", 0)
    finally:
        os.chdir(top)
        os.close(top)
    run_treatment("double", "data/in", "data/out")
    assert not stage.exists()


def test_an_output_that_would_replace_a_folder(writer: SmallProject) -> None:
    """A folder of an output's name is never replaced; nothing is published then."""
    (writer.output / "b.parquet").mkdir(parents=True)
    with pytest.raises(PublishError) as caught:
        run_treatment("write", "data/in", "data/out")
    assert str(caught.value) == (
        "the output `b.parquet` would replace a folder\n  at data/out/b.parquet\n"
        "note: nothing was published; `data/out` is unchanged\nhint: move that folder away"
    )
    assert not (writer.output / "a.parquet").exists()


def test_an_output_that_is_a_link(writer: SmallProject) -> None:
    """A link of an output's name is replaced by the file; what it points to is not written to."""
    run_treatment("write", "data/in", "data/out")
    (writer.output / "a.parquet").unlink()
    (writer.output / "a.parquet").symlink_to(writer.input / "a.csv")
    before = snapshot(writer.input)
    run_treatment("write", "data/in", "data/out")
    assert not (writer.output / "a.parquet").is_symlink()
    assert snapshot(writer.input) == before


def test_names_that_are_no_text(writer: SmallProject) -> None:
    """Names that are not UTF-8 are published as they are."""
    result = run_treatment("write", "data/in", "data/out", {"names": ["caf\udce9.parquet", "ü \n.parquet"]})
    assert sorted(os.listdir(os.fsencode(writer.output))) == [b"caf\xe9.parquet", "ü \n.parquet".encode()]
    assert len(result.files) == 2
    (writer.root / "data" / "caf\udce9").mkdir()
    run_treatment("write", "data/caf\udce9", "data/out-2", {"names": ["caf\udce9.parquet"]})
    assert run_treatment("write", "data/caf\udce9", "data/out-2", {"names": ["caf\udce9.parquet"]}).plan.idle


def test_thousands_of_files(writer: SmallProject) -> None:
    """Thousands of files are published."""
    names = [f"{number}.parquet" for number in range(3_000)]
    result = run_treatment("write", "data/in", "data/out", {"names": names})
    assert len(result.files) == len(list(writer.output.iterdir())) == 3_000


def test_output_folder_that_is_a_file(writer: SmallProject) -> None:
    """It is told before anything runs."""
    writer.output.touch()
    done = writer.run("write")
    assert (done.returncode, writer.events) == (2, [])
    assert done.stderr == ("error: the output folder `data/out` is no folder\nhint: name another with --output DIR\n")


@pytest.fixture
def small_disk(writer: SmallProject) -> Iterator[Path]:
    """A file system of 256 kB below the project's data."""
    folder = writer.root / "data" / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_disk_full(writer: SmallProject, small_disk: Path) -> None:
    """A full disk is the treatment's error; nothing is published, the stage is gone."""
    code = "def run(input_dir, output_dir, params):\n    open(output_dir + '/small', 'w').close()\n    with open(output_dir + '/big', 'wb') as file:\n        file.write(bytes(1_000_000))\n"
    writer.treatment("fill", code)
    for output in ("data/disk", "data/disk/out"):
        done = writer.cli("runner", "--treatment", "fill", "--input", "data/in", "--output", output)
        assert done.returncode == 1
        assert "error: treatment `fill` failed: OSError: [Errno 28] No space left on device\n" in done.stderr
        assert {path.name for path in small_disk.rglob("*") if path.is_file()} == {"lock"}
    assert shutil.disk_usage(small_disk).used < 20_000


def test_the_stage_is_on_the_disk_of_the_output(writer: SmallProject, small_disk: Path) -> None:
    """An output folder that is a disk of its own has its stage inside, in `.pymyx`, so that files are moved at once."""
    result = writer.cli("runner", "--treatment", "write", "--input", "data/in", "--output", "data/disk")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in small_disk.iterdir()) == [".pymyx", "a.parquet", "b.parquet"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(writer: SmallProject) -> None:
    """A place that cannot be written to is told before anything runs."""
    (writer.root / "data").chmod(0o500)
    try:
        with pytest.raises(UsageError) as caught:
            run_treatment("write", "data/in", "data/out")
    finally:
        (writer.root / "data").chmod(0o700)
    assert caught.value.faults[0].what == "the output folder `data/out` cannot be written to: Permission denied"
    assert writer.events == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_output_folder(writer: SmallProject) -> None:
    """An output folder that cannot be written to is told before hours are spent on what goes there."""
    writer.output.mkdir(mode=0o500)
    done = writer.run("write")
    assert (done.returncode, writer.events) == (2, [])
    assert done.stderr == "error: the output folder `data/out` is read-only\nhint: make it writable, or name another\n"


def test_read_only_disk(writer: SmallProject, small_disk: Path) -> None:
    """The same for a disk that is mounted read-only, as root too."""
    (small_disk / "out").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for output, told in (
        ("data/disk/out", "is read-only"),
        ("data/disk/new", "cannot be written to: Read-only file system"),
    ):
        done = writer.cli("runner", "--treatment", "write", "--input", "data/in", "--output", output)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: the output folder `{output}` {told}\n")
    assert writer.events == []
