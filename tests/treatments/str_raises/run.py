"""Raises an exception whose __str__ raises."""


class Hostile(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


def run(input_dir, output_dir, params):
    raise Hostile()
