"""TODO: say in one sentence what this treatment does.

With `days`, `input_dir` holds the days to make (PYMYX_DAYS: comma-separated, unset when all) and their neighbours:
write every day you see, neighbours' files are dropped. `output_dir` is private and flat, names carry their day, and
what is no longer written is taken away. `pymyx run ... --verify N` proves that `days` in treatment.json is enough.
There, `limits` is what one child may use (timeout_s for all its days, memory_mb), `allow` what it may touch beyond
its folders (network, read, env, shared_memory). `run` is the one public function: helpers' names begin with `_`.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write each file of `input_dir` to `output_dir`, under the same name, with its types and metadata."""
    for path in sorted(Path(input_dir).glob("[!._]*.parquet")):
        table = pq.read_table(path)
        frame = _change(table.to_pandas(types_mapper=pd.ArrowDtype), params)  # an integer column with gaps stays one
        made = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(table.schema.metadata)
        pq.write_table(made, Path(output_dir) / path.name, compression="zstd")


def _change(frame: pd.DataFrame, params: dict) -> pd.DataFrame:
    # TODO: change `frame` here; params are those of treatment.json
    return frame
