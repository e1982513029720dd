"""A raw file that is compressed later is the same input: nothing is made again, nothing is frozen."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pymyx.core.errors import LateDataError
from pymyx.core.runner import run_treatment

from ..conftest import SmallProject

LISTS = (
    "import gzip, os\n"
    "def run(input_dir, output_dir, params):\n"
    "    for name in sorted(os.listdir(input_dir)):\n"
    "        path = os.path.join(input_dir, name)\n"
    "        if not os.path.exists(path):\n            continue\n"
    "        text = (gzip.open if name.lower().endswith('.gz') else open)(path, 'rt').read()\n"
    "        with open(os.path.join(output_dir, name.split('.')[0] + '.parquet'), 'w') as file:\n"
    "            file.write(name + ' ' + text)\n"
)
CSV = {"format": "csv", "description": "anything"}
DAYS: dict[str, Any] = {"days": {"before": 1, "after": 0}}


@pytest.fixture(params=[DAYS, {}], ids=["by day", "whole"])
def station(project: SmallProject, request: pytest.FixtureRequest) -> SmallProject:
    """A project with a treatment that reads plain and compressed files, and two days of input."""
    project.treatment("lists", LISTS, input=CSV, **request.param)
    (project.input / "a.csv").unlink()
    for number in (1, 2):
        raw(project, number).write_text(f"day {number}, some rows", encoding="utf-8")
    return project


def raw(project: SmallProject, number: int) -> Path:
    return project.input / f"m_2026-01-0{number}.csv"


def compress(path: Path, text: str = "") -> Path:
    """What stations do with old files: `x.csv` becomes `x.csv.gz`."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(text.encode() or path.read_bytes()))
    path.unlink()
    return packed


def test_a_file_that_is_compressed_later_is_the_same_input(station: SmallProject) -> None:
    """Up to date, no orphan, no event; its content alone counts, whatever it was compressed by; and back again."""
    run_treatment("lists", "data/in", "data/out")
    log = station.events
    packed = compress(raw(station, 1))
    result = run_treatment("lists", "data/in", "data/out")
    assert (result.days, result.plan.orphans, result.plan.reasons) == ((), (), {})
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()), compresslevel=1))
    assert run_treatment("lists", "data/in", "data/out").plan.idle
    raw(station, 1).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert run_treatment("lists", "data/in", "data/out").plan.idle
    assert station.events == log


def test_the_treatment_gets_the_file_as_it_lies_there(station: SmallProject) -> None:
    """A compressed file keeps its name in the folder that the treatment reads; the manifest names it without `.gz`."""
    compress(raw(station, 1))
    run_treatment("lists", "data/in", "data/out")
    made = station.output / "m_2026-01-01.parquet"
    assert made.read_text(encoding="utf-8") == "m_2026-01-01.csv.gz day 1, some rows"
    manifest = json.loads((station.root / "data" / ".pymyx" / "out" / "manifest.json").read_bytes())
    assert list(manifest["inputs"]) == ["m_2026-01-01.csv", "m_2026-01-02.csv"]
    assert manifest["inputs"]["m_2026-01-01.csv"]["unpacked"] == len("day 1, some rows")


def test_the_plain_file_is_read_where_both_lie_there(station: SmallProject) -> None:
    """The compressed one is named once, and hidden from the treatment; nothing is made again when it goes."""
    packed = station.input / f"{raw(station, 1).name}.gz"
    packed.write_bytes(gzip.compress(b"another text"))
    done = station.run("lists")
    assert done.returncode == 0
    why = "is passed over: `m_2026-01-01.csv` lies beside it, and is read"
    assert done.stderr == f"warning: `data/in/m_2026-01-01.csv.gz` {why}\n"
    assert (station.output / "m_2026-01-01.parquet").read_text(encoding="utf-8") == "m_2026-01-01.csv day 1, some rows"
    packed.unlink()
    assert run_treatment("lists", "data/in", "data/out").plan.idle


def test_other_files_are_named(station: SmallProject) -> None:
    """A file that is not input by its name is told, day by day as over the whole folder; what is hidden is not."""
    for name in ("a_2026-01-01.TXT", "README.md", "_notes.txt", ".hidden.txt", "z.csv.part"):
        (station.input / name).write_text("x", encoding="utf-8")
    (station.input / "old").mkdir()
    told = "note: not read in `data/in`, where files of csv end with .csv, .tsv or .dat: README.md, a_2026-01-01.TXT, z.csv.part\n"
    assert told in station.run("lists").stderr


def test_a_plain_name_that_is_no_file_hides_nothing(station: SmallProject) -> None:
    """Where the plain file is a link to nothing, the compressed one beside it is read."""
    compress(raw(station, 1))
    raw(station, 1).symlink_to("/nowhere/archive.csv")
    result = run_treatment("lists", "data/in", "data/out")
    assert "m_2026-01-01.parquet" in result.files


def test_sizes_are_those_of_the_content(station: SmallProject) -> None:
    """A compressed file is smaller only where its content is; one that cannot be unpacked is what it is, and read."""
    raw(station, 1).write_text("0" * 5000, encoding="utf-8")
    run_treatment("lists", "data/in", "data/out")
    packed = compress(raw(station, 1))
    assert packed.stat().st_size < 100
    assert run_treatment("lists", "data/in", "data/out").plan.idle
    packed.write_bytes(gzip.compress(b"0" * 4000))
    with pytest.raises(LateDataError, match="is smaller than it was: 5000 bytes then, 4000 now"):
        run_treatment("lists", "data/in", "data/out")
    packed.write_bytes(gzip.compress(b"0" * 6000))
    run_treatment("lists", "data/in", "data/out")
    assert (station.output / "m_2026-01-01.parquet").read_text(encoding="utf-8").endswith("0" * 6000)


def test_a_manifest_of_number_1_named_compressed_files_as_they_are(station: SmallProject) -> None:
    """Its days are made again, as the hashes are others now; they are not taken for archived."""
    compress(raw(station, 1))
    run_treatment("lists", "data/in", "data/out")
    path = station.root / "data" / ".pymyx" / "out" / "manifest.json"
    text = path.read_text(encoding="utf-8").replace('"m_2026-01-01.csv"', '"m_2026-01-01.csv.gz"')
    path.write_text(json.dumps({**json.loads(text), "manifest": 1}), encoding="utf-8")
    assert run_treatment("lists", "data/in", "data/out").plan.orphans == ()


@pytest.mark.parametrize("name", ["a_2026-01-03.tsv", "B_2026-01-03.DAT", "c_2026-01-03.tsv.gz", "D_2026-01-03.DAT.GZ"])
def test_other_endings_of_csv(station: SmallProject, name: str) -> None:
    """Loggers write .tsv and .dat, too, in any case; each also compressed."""
    text = b"some rows"
    (station.input / name).write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    run_treatment("lists", "data/in", "data/out")
    assert (station.output / f"{name.split('.')[0]}.parquet").read_text(encoding="utf-8") == f"{name} some rows"
