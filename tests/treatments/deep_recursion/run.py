"""Recurses for ever."""


def run(input_dir, output_dir, params):
    run(input_dir, output_dir, params)
