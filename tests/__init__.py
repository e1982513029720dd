"""The tests of PyMyx, and what they share: a generator of recordings and a writer of `schemas/`."""
