"""TODO: say in one sentence what this treatment does."""

from pathlib import Path

import pandas as pd


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write each file of `input_dir` to `output_dir`, under the same name."""
    for path in sorted(Path(input_dir).glob("[!._]*.parquet")):
        table = pd.read_parquet(path)
        # TODO: change `table` here; params are those of treatment.json
        table.to_parquet(Path(output_dir) / path.name, index=False)
