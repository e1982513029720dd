"""The floor: pyarrow only reads the files with the same types; nothing is checked, nothing is written."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

types = {
    "ts": pa.timestamp("ns", "UTC"),
    **{f"m{number}": pa.int64() for number in range(12)},
    "outdoor_temp": pa.float64(),
}
for path in sorted(Path(sys.argv[1]).glob("*.csv")):
    pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=";"),
        convert_options=pa.csv.ConvertOptions(column_types=types),
    )
