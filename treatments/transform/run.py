"""Stub of `transform`: writes no file yet; treatment.json tells what it is to do."""


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Do nothing, so far."""
    # TODO: turn raw values into valve opening, 0 (closed) to 1 (open)
