"""Loops in C without ever letting go of the interpreter's lock."""

import re


def run(input_dir, output_dir, params):
    re.match(r"(a+)+$", "a" * 60 + "b")
