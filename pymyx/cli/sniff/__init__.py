"""`pymyx sniff`: proposes parse's params for sample files, and says from which lines it took each.

sample    the first 1 MB of a file, as lines of text
layout    which of the lines are rows, and what the others are
stamps    how a column of timestamps is to be read
proposal  the params, with what each was taken from      (all of these are pure: bytes and names in)
trial     the project's own parse, run on the samples with them
command   what is told, printed and written
"""
