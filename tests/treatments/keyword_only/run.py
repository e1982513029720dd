"""Raises an exception that cannot be pickled."""


class Particular(Exception):
    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.lock = open("/dev/null")


def run(input_dir, output_dir, params):
    raise Particular(code=5)
