"""Write each parquet file as CSV that R, spreadsheets, pandas and `parse` read back: every value exact.

Numbers become text by Arrow, which writes the fewest digits that read back as the same float.
"""

import re
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ISO = "ISO8601"


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write one `.csv` of the same name for each parquet file of `input_dir`.

    Its rows and their order are those of the file. Raises ValueError when the params do not fit the files, for a
    column of a type that one cell cannot hold, and when there is no parquet file.
    """
    try:
        _check(params)
        files = _parquet_files(Path(input_dir))
        found = {}
        for path in files:
            table = _read(path)
            found |= dict.fromkeys(table.column_names)
            table = _chosen(table, params["columns"])
            if table is not None:
                _write(Path(output_dir) / f"{path.stem}.csv", _with_local_time(_in_utc(table), params["tz"]), params)
        _check_columns(found, params["columns"])
    except _RefusedError as refused:
        raise ValueError(str(refused)) from None


class _RefusedError(Exception):
    """What is wrong with the params or the data, in words that need no traceback."""


def _check(params):
    if params["delimiter"] == params["decimal"]:
        raise _RefusedError("params `delimiter` and `decimal` are both `,`; set the delimiter to `;`")
    if params["timestamp_format"] != ISO and "%" not in params["timestamp_format"]:
        said = f"{params['timestamp_format']!r}; accepted: {ISO}, or a strftime format such as %d/%m/%Y %H:%M:%S"
        raise _RefusedError(f"param `timestamp_format` is {said}")
    wrong = [name for name in params["columns"] if not isinstance(name, str)]
    if wrong:
        raise _RefusedError(f"param `columns` must be an array of column names, not of {wrong[0]!r}")


def _parquet_files(folder):
    """The parquet files of a folder, by name; neither hidden nor set aside with `_`."""
    files = [path for path in sorted(folder.iterdir()) if re.search(r"^[^._].*\.parquet$", path.name, re.IGNORECASE)]
    if not files:
        raise _RefusedError(f"no parquet file in {folder}")
    return files


def _check_columns(found, columns):
    """See that some of the chosen columns are among those that were found; warn of those that are not."""
    missing = [name for name in columns if name not in found]
    if columns and len(missing) == len(columns):
        raise _RefusedError(f"param `columns`: no file has {', '.join(missing)}; accepted: {', '.join(found)}")
    if missing:
        warnings.warn(f"param `columns`: no file of these days has {', '.join(missing)}")


def _read(path):
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise _RefusedError(f"{path} cannot be read: {error}") from None


def _chosen(table, columns):
    """The table of the chosen columns, its timestamp first if that is not named; None if it has none but that."""
    time = _time_column(table.schema)
    names = [name for name in dict.fromkeys(columns or table.column_names) if name in table.column_names]
    if columns and not set(names) - {time}:
        return None
    return table.select(names if time is None or time in names else [time, *names])


def _time_column(schema):
    """The column that tells when: `ts`, else the first timestamp with a time zone; None if there is none."""
    names = [field.name for field in schema if pa.types.is_timestamp(field.type) and field.type.tz]
    return "ts" if "ts" in names else next(iter(names), None)


def _in_utc(table):
    """The table with all instants in UTC, whatever zone their columns name."""
    fields = [
        field.with_type(pa.timestamp(field.type.unit, "UTC")) if getattr(field.type, "tz", None) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _with_local_time(table, tz):
    """The table with the local time beside its timestamp."""
    name = _time_column(table.schema)
    if not tz or name is None:
        return table
    local = f"{name}_local"
    if local in table.column_names:
        raise _RefusedError(f"param `tz`: the column `{local}` is there already; leave it out by `columns`")
    column = table[name].cast(pa.timestamp(table[name].type.unit, tz))
    try:
        pc.hour(column)
    except pa.ArrowInvalid:
        raise _RefusedError(f"param `tz`: no time zone `{tz}`; use an IANA name such as Europe/Paris") from None
    return table.add_column(table.column_names.index(name) + 1, local, column)


def _write(path, table, params):
    delimiter = params["delimiter"]
    header = _quoted(pa.array(table.column_names, pa.string()), delimiter).to_pylist()
    texts = [_as_text(name, table[name].combine_chunks(), params) for name in table.column_names]
    lines = pc.binary_join_element_wise(*texts, delimiter, null_handling="replace", null_replacement="")
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(delimiter.join(header) + "\n")
        file.writelines(f"{line}\n" for line in lines.to_pylist())


def _as_text(name, column, params):
    """A column as an array of texts, null where it is null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(name, column.cast(kind.value_type), params)
    if pa.types.is_timestamp(kind):
        return _quoted(_time_text(column, params["timestamp_format"]), params["delimiter"])
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.replace_substring(_number_text(column), ".", params["decimal"])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _quoted(column.cast(pa.string()), params["delimiter"])
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "TRUE", "FALSE")  # in small letters R takes them for texts
    plain = (pa.types.is_null, pa.types.is_integer, pa.types.is_date, pa.types.is_time)
    if any(is_such(kind) for is_such in plain):
        return column.cast(pa.string())
    raise _RefusedError(f"column `{name}` is of the type {kind}, which no cell can hold; leave it out by `columns`")


def _number_text(column):
    """Floats as the shortest text that reads back as the same float, with a point or an exponent."""
    text = column.cast(pa.float32() if pa.types.is_float16(column.type) else column.type).cast(pa.string())
    if pa.types.is_decimal(column.type):
        return text
    text = pc.replace_substring_regex(text, r"^(-?\d+)$", r"\1.0")  # else a column of 20, 21 reads back as integers
    return pc.replace_substring(pc.replace_substring(text, "nan", "NaN"), "inf", "Inf")  # as R and pandas write them


def _time_text(column, chosen):
    """Instants with Z, local times with their offset, times of no known zone as they are; or all as `chosen`."""
    if chosen != ISO:
        shown = column.to_pandas().dt.strftime(chosen)
        return pa.array(shown, pa.string(), from_pandas=True)
    text = pc.replace_substring(_fewest_digits(column).cast(pa.string()), " ", "T", max_replacements=1)
    return pc.replace_substring_regex(text, r"([+-]\d\d)(\d\d)$", r"\1:\2")


def _fewest_digits(column):
    """The same instants in the coarsest unit that holds all of them."""
    for unit in ("s", "ms", "us"):
        try:
            return column.cast(pa.timestamp(unit, column.type.tz))
        except pa.ArrowInvalid:  # it would lose digits
            continue
    return column


def _quoted(texts, delimiter):
    """Texts as CSV has them: in quotes where they hold what has a meaning in CSV, or nothing at all."""
    special = pc.match_substring_regex(texts, f'^$|[{re.escape(delimiter)}"\r\n]')
    if not pc.any(special).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), texts)
