"""Stub of `aggregate`: writes no file yet; treatment.json tells what it is to do."""


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Do nothing, so far."""
    # TODO: sum up opening, closures and time closed per sensor and period
