"""What the tests of the valve treatments share: tables by day, treatments as functions, and the data kept beside the checkout."""

from __future__ import annotations

import importlib.util
import json
import os
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ..conftest import REPO, SmallProject

CHAIN = ("flag", "opening", "grid", "activity")
DAY = date(2026, 1, 20)


def contract(name: str) -> dict[str, Any]:
    """The treatment.json of a treatment of this repository."""
    document: dict[str, Any] = json.loads((REPO / "treatments" / name / "treatment.json").read_text(encoding="utf-8"))
    return document


def apply(name: str, source: Path, target: Path, **params: Any) -> list[str]:
    """Run a treatment's function, loaded anew as in a child, and return its warnings; params are its defaults but these."""
    spec = importlib.util.spec_from_file_location(f"treatment_{name}", REPO / "treatments" / name / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    defaults = {param: about["default"] for param, about in contract(name)["params"].items()}
    assert set(params) <= set(defaults)
    target.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module.run(str(source), str(target), {**defaults, **params})
    return [str(one.message) for one in caught]


def instants(day: date | str, seconds: Any) -> pd.DatetimeIndex:
    """Instants of a UTC day, from its seconds."""
    nanoseconds = pd.to_timedelta(np.asarray(seconds, float), unit="s")
    return pd.DatetimeIndex(pd.Timestamp(day, tz="UTC") + nanoseconds, name="ts").as_unit("ns")


def write(folder: Path, name: str, ts: pd.DatetimeIndex, **columns: Any) -> Path:
    """Write a table as parse does, `name` is <domain>__<YYYY-MM-DD>."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    pd.DataFrame({"ts": ts, **columns, "domain": name.partition("__")[0]}).to_parquet(path, index=False)
    return path


def read(folder: Path, name: str) -> pd.DataFrame:
    """The tables of a folder whose names begin so, one after another."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob(f"{name}__*.parquet"))], ignore_index=True)


def oyster() -> Path:
    """The real oyster day: in `shared/data` beside the checkout, or where PYMYX_SHARED says; else the test is skipped."""
    beside = [REPO.parent / "shared", REPO.parent.parent / "shared"]  # the second for a worktree
    folders = [Path(os.environ["PYMYX_SHARED"])] if os.environ.get("PYMYX_SHARED") else beside
    paths = [folder / "data" / "oyster_hfni-1_2026-01-20.csv" for folder in folders]
    found = [path for path in paths if path.exists()]
    if not found:
        pytest.skip(f"there is no recording of an oyster at {paths[0]}; PYMYX_SHARED names the folder of data/")
    return found[0]


def tell_days(project: SmallProject, name: str) -> None:
    """Let a treatment of a project print the days it is asked for, as `asked:2026-01-20,2026-01-21` or `asked:all`."""
    with (project.root / "treatments" / name / "run.py").open("a", encoding="utf-8") as code:
        code.write('print("asked:" + os.environ.get("PYMYX_DAYS", "all"))\n')


def make_slow(project: SmallProject, folder: str) -> None:
    """Let an output folder remember that its days took a minute each: each of two is worth a child then."""
    state = project.root / "data" / ".pymyx" / folder / "manifest.json"
    slow = json.loads(state.read_bytes())
    slow["last_success"]["day_s"] = 60.0
    state.write_text(json.dumps(slow), encoding="utf-8")


def flow(project: SmallProject, name: str, *options: str) -> str:
    """Run a flow of a project; what it told."""
    done = project.cli("flow", "--flow", name, *options, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stderr
