"""Raises from another exception, with notes."""


def run(input_dir, output_dir, params):
    try:
        int("abc")
    except ValueError as error:
        problem = RuntimeError("no calibration")
        problem.add_note("looked for calibration.json")
        raise problem from error
