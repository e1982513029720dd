"""Stub of `clean`: writes no file yet; treatment.json tells what it is to do."""


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Do nothing, so far."""
    # TODO: remove doubled rows and spikes
