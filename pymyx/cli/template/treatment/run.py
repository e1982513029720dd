"""TODO: say in one sentence what this treatment does.

With `days`, `input_dir` holds the days to make (PYMYX_DAYS: comma-separated, unset when all) and their neighbours:
write the days to make, neighbours' files are dropped. `output_dir` is private and flat, names carry their day, and
what is no longer written is taken away. `pymyx run ... --verify N` proves that `days` in treatment.json is enough.
There, `limits` is what one child may use (timeout_s for all its days, memory_mb), `allow` what it may touch beyond
its folders (network, read, env, shared_memory). `run` is the one public function: helpers' names begin with `_`.
"""

import os
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write the rows of each day, seen with the day before and the day after, with their types and metadata.

    Where a day needs no other, set `days` in treatment.json to 0 and 0, and let `around` be `own`.
    """
    asked = os.environ.get("PYMYX_DAYS", "")
    for path in sorted(Path(input_dir).glob("[!._]*__????-??-??.parquet")):
        domain, day = path.stem.rsplit("__", 1)
        if asked and day not in asked.split(","):
            continue
        beside = [path.with_name(f"{domain}__{date.fromisoformat(day) + timedelta(step)}.parquet") for step in (-1, 1)]
        own = pq.read_table(path)
        eve, morrow = (pq.read_table(one) if one.exists() else own[:0] for one in beside)
        around = pa.concat_tables([eve, own, morrow], promote_options="default")
        frame = around.to_pandas(types_mapper=pd.ArrowDtype)  # an integer column with gaps stays one
        changed = _change(frame, params)[len(eve) : len(eve) + len(own)]  # the day's own rows
        made = pa.Table.from_pandas(changed, preserve_index=False).replace_schema_metadata(own.schema.metadata)
        pq.write_table(made, Path(output_dir) / path.name, compression="zstd")


def _change(frame: pd.DataFrame, params: dict) -> pd.DataFrame:
    # TODO: change `frame` here, row by row in the same order; params are those of treatment.json
    return frame
