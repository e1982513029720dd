"""Imports a package that is not installed."""

import os

import no_such_package

assert os


def run(input_dir, output_dir, params):
    pass
