"""Send parquet days to PostgreSQL: each file replaces its UTC day in the table of its domain, in one transaction.

A transaction deletes the day and copies the file's rows in by ADBC, which speaks Arrow and PostgreSQL's binary COPY.
Before, it takes a lock that only transactions on the same day wait for: the server may still be at work for a run
that was killed, and without the lock the rows of both would stay.
"""

import hashlib
import os
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

try:
    from adbc_driver_postgresql import dbapi
except ModuleNotFoundError:
    raise ImportError("export_postgres needs the extra `postgres`: pip install 'pymyx[postgres]'") from None

# a server that is gone is noticed within a minute; who connects, and to what, libpq takes from the environment
URI = "postgresql://?connect_timeout=20&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=60000"
VARIABLES = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT")
LOCK_TIMEOUT_MS = 60_000
LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer ones without a word

INSTANT, LOCAL = "timestamp with time zone", "timestamp without time zone"
SQL = {  # the type of a column in PostgreSQL for each type in parquet
    **dict.fromkeys((pa.int8(), pa.uint8(), pa.int16()), "smallint"),
    **dict.fromkeys((pa.uint16(), pa.int32()), "integer"),
    **dict.fromkeys((pa.uint32(), pa.int64()), "bigint"),
    **dict.fromkeys((pa.float16(), pa.float32()), "real"),
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    **dict.fromkeys((pa.string(), pa.large_string(), pa.string_view()), "text"),
    **dict.fromkeys((pa.date32(), pa.date64()), "date"),
}
SENT = {  # the type that is sent for each type of a column in PostgreSQL
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "character varying": pa.string(),
    "date": pa.date32(),
    INSTANT: pa.timestamp("us", "UTC"),
    LOCAL: pa.timestamp("us"),
}
HOLDS = {  # the types of columns that hold values of a type exactly, where that is not only the type itself
    **dict.fromkeys(("smallint", "integer", "bigint"), ("smallint", "integer", "bigint", "double precision")),
    "real": ("real", "double precision"),
    "text": ("text", "character varying"),
}


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Send every file of `input_dir`, and leave a receipt of the same name for each in `output_dir`.

    Instants are sent in microseconds, the finest that PostgreSQL has; finer digits are cut off.
    Raises ValueError when the params, a file or its table do not fit, ConnectionError when the server cannot be
    reached or refuses the connection, and RuntimeError when it does not take the rows.
    """
    try:
        files = _files(Path(input_dir), params)
        with _connected() as connection:
            for file in files:
                table, sha256 = _read(file, params["device"])
                _replace(connection, file, table, params)
                _write_receipt(Path(output_dir) / file.path.name, file, table.num_rows, sha256, params["device"])
    except _RefusedError as refused:
        raise refused.kind(str(refused)) from None


class _RefusedError(Exception):
    """What is wrong, in words that need no traceback; `kind` is the exception that its user sees."""

    def __init__(self, message, kind=ValueError):
        super().__init__(message)
        self.kind = kind


class _File(NamedTuple):
    """One input file, and the table that it goes to."""

    path: Path
    day: date
    schema: str
    table: str

    @property
    def begin(self):
        return datetime.combine(self.day, time(), UTC)

    @property
    def end(self):
        return self.begin + timedelta(days=1)

    @property
    def shown(self):
        return f"{self.schema}.{self.table}"

    @property
    def quoted(self):
        return f"{_quoted(self.schema)}.{_quoted(self.table)}"


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _files(folder, params):
    """The parquet files of a folder, by name; neither hidden nor set aside with `_`."""
    paths = [path for path in sorted(folder.iterdir()) if re.search(r"^[^._].*\.parquet$", path.name, re.IGNORECASE)]
    if not paths:
        raise _RefusedError(f"no parquet file in {folder}")
    files = {}
    for path in paths:
        domain, day = _domain_and_day(path)
        file = _File(path, day, params["schema"], params["table"].replace("{domain}", domain))
        _check_name(file.schema, "schema")
        _check_name(file.table, "table")
        other = files.setdefault((file.table, day), file)
        if other != file:
            both = f"{other.path.name} and {path.name}"
            raise _RefusedError(f"param `table`: {both} would replace each other in {file.shown}; add {{domain}}")
    return list(files.values())


def _domain_and_day(path):
    try:
        domain, day = re.fullmatch(r"(.+)__(\d{4}-\d\d-\d\d)", path.stem, re.ASCII).groups()
        return domain, date.fromisoformat(day)
    except (AttributeError, ValueError):
        why = "is not named <domain>__<YYYY-MM-DD>.parquet, so there is no day to replace"
        raise _RefusedError(f"{path.name} {why}") from None


def _check_name(name, param):
    if not name or "\0" in name or len(name.encode()) > LONGEST_NAME:
        raise _RefusedError(f"param `{param}`: {name!r} is no name for PostgreSQL, which has 1 to {LONGEST_NAME} bytes")


def _connected():
    for name in ("PGHOST", "PGUSER", "PGDATABASE"):
        if re.search(r"://|password\s*=", os.environ.get(name, "")):
            raise _RefusedError(f"{name} holds a whole connection string; give its parts in {', '.join(VARIABLES)}")
    if os.environ.get("PGSSLMODE", "").startswith("verify") and not os.environ.get("PGSSLROOTCERT"):
        raise _RefusedError("PGSSLMODE asks for a certificate: set PGSSLROOTCERT to the file of the one to trust")
    try:
        return dbapi.connect(URI)
    except dbapi.Error as error:
        missing = [name for name in ("PGHOST", "PGUSER", "PGDATABASE") if not os.environ.get(name)]
        unset = f"; not set: {', '.join(missing)}" if missing else ""
        raise _RefusedError(f"no connection to PostgreSQL: {_said(error)}{unset}", ConnectionError) from None


def _said(error):
    """What the server or libpq said, on one line, without the statement and what the driver puts around it."""
    text = re.sub(r"\nLINE \d+: .*\n *\^|\. SQLSTATE: \w+$", "", str(error))
    for mark in ("ERROR:", "Failed to connect:", "[libpq]"):
        _, found, said = text.partition(mark)
        if found:
            return " ".join(said.split())
    return text


def _read(file, device):
    """The rows of a file as they are to be sent, and its sha256."""
    data = file.path.read_bytes()
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError) as error:
        raise _RefusedError(f"{file.path} cannot be read: {error}") from None
    table = table.select([field.name for field in table.schema if not pa.types.is_null(field.type)])  # null there too
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            kind = SENT[INSTANT if field.type.tz else LOCAL]
            table = table.set_column(number, field.name, _in_microseconds(table[field.name], kind))
    _refuse_column("device", bool(device), table, file)
    _refuse_column("ts", _time_column(table) is None, table, file)
    if _time_column(table) is None:
        table = table.add_column(0, "ts", pa.repeat(pa.scalar(file.begin, SENT[INSTANT]), table.num_rows))
    _check_day(table, file)
    if device:
        table = table.add_column(0, "device", pa.repeat(device, table.num_rows))
    return table, hashlib.sha256(data).hexdigest()


def _in_microseconds(column, kind):
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:  # it would lose digits
        return pc.floor_temporal(column, unit="microsecond").cast(kind)


def _refuse_column(name, needed, table, file):
    if needed and name in table.column_names:
        kind = table[name].type
        raise _RefusedError(f"column `{name}` of {file.path.name} is {kind}, where this treatment would put its own")


def _time_column(table):
    """The column that tells when: `ts`, else the first timestamp with a time zone; None if there is none."""
    names = [field.name for field in table.schema if getattr(field.type, "tz", None)]
    return "ts" if "ts" in names else next(iter(names), None)


def _check_day(table, file):
    """See that all rows are of the file's day: others would stay in the table when the day is replaced."""
    name = _time_column(table)
    inside = pc.and_(pc.greater_equal(table[name], file.begin), pc.less(table[name], file.end))
    others = table.num_rows - (pc.sum(inside).as_py() or 0)
    if others:
        what = f"{others} of {table.num_rows} rows of {file.path.name} are of no time or of another day, by `{name}`"
        raise _RefusedError(f"{what}; nothing of it was sent")


def _replace(connection, file, table, params):
    """Put the rows in place of those of the same day and device: all of it, or nothing."""
    column = _quoted(_time_column(table))
    delete = f"DELETE FROM {file.quoted} WHERE {column} >= $1 AND {column} < $2"  # noqa: S608  quoted as names
    values = (file.begin, file.end)
    if params["device"]:
        delete, values = f"{delete} AND device = $3", (*values, params["device"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            _lock(cursor, file.shown, params["device"], str(file.day))
            sent = _as_sent(table, _columns(cursor, file, table, params), file)
            cursor.execute(delete, values)
            cursor.adbc_ingest(file.table, sent, mode="append", db_schema_name=file.schema)
            connection.commit()
    except dbapi.Error as error:
        raise _RefusedError(f"PostgreSQL did not take a day of {file.shown}: {_said(error)}", RuntimeError) from None


def _lock(cursor, *names):
    """Wait for other transactions on the same; it is released with this one."""
    key = int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], signed=True)
    cursor.execute("SELECT pg_advisory_xact_lock($1) IS NULL", (key,))
    cursor.fetchall()


def _columns(cursor, file, table, params):
    """The columns of the file's table and their types; creates the table if it is missing, and it may."""
    found = _found_columns(cursor, file)
    if not found and params["create"]:
        _lock(cursor, file.shown)
        found = _found_columns(cursor, file)
        if not found:
            for statement in _create(file, table):
                cursor.execute(statement)
            found = _found_columns(cursor, file)
    if not found:
        raise _with_remedy(f"there is no table {file.shown}", "; ".join(_create(file, table)))
    if "device" in found and "device" not in table.column_names:
        raise _RefusedError(
            f"param `device` is empty, but {file.shown} has devices: days of all of them would be replaced"
        )
    return found


def _found_columns(cursor, file):
    cursor.execute(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        (file.quoted,),
    )
    return dict(cursor.fetchall())


def _create(file, table):
    columns = [f"{_quoted(field.name)} {_sql_type(field, file)}" for field in table.schema]
    index = [_quoted(name) for name in ("device", _time_column(table)) if name in table.column_names]
    return (
        f"CREATE TABLE {file.quoted} ({', '.join(columns)})",
        f"CREATE INDEX ON {file.quoted} ({', '.join(index)})",
    )


def _sql_type(field, file):
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_timestamp(kind):
        return INSTANT if kind.tz else LOCAL
    if kind not in SQL:
        raise _RefusedError(f"column `{field.name}` of {file.path.name} is of the type {kind}, which cannot be sent")
    return SQL[kind]


def _as_sent(table, columns, file):
    """The table in the types of PostgreSQL's columns; raises what has to be altered there."""
    faults, changes = [], []
    for field in table.schema:
        kind, name, there = _sql_type(field, file), _quoted(field.name), columns.get(field.name)
        if there is None:
            faults.append(f"it has no column `{field.name}`")
            changes.append(f"ADD COLUMN {name} {kind}")
        elif there not in HOLDS.get(kind, (kind,)):
            faults.append(f"its column `{field.name}` is {there}, not {kind}")
            changes.append(f"ALTER COLUMN {name} TYPE {kind}")
    if changes:
        what = f"table {file.shown} does not fit the files: {', '.join(faults)}"
        raise _with_remedy(what, f"ALTER TABLE {file.quoted} {', '.join(changes)}")
    return pa.table({name: _cast(table[name], SENT[columns[name]], name, file) for name in table.column_names})


def _cast(column, kind, name, file):
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise _RefusedError(f"column `{name}` of {file.path.name} does not fit that of {file.shown}: {error}") from None


def _with_remedy(what, statement):
    return _RefusedError(f"{what}\n  mend it by: {statement};")


def _write_receipt(path, file, rows, sha256, device):
    """Write what was sent; nothing of when, so that the same day sent again leaves the same bytes."""
    receipt = {"table": file.shown, "device": device, "rows": rows, "sha256": sha256}
    pq.write_table(pa.table({name: [value] for name, value in receipt.items()}), path)
