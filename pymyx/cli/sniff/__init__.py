"""`pymyx sniff`: proposes parse's params for sample files, and says from which lines it took each.

sample    the first 1 MB of a file, as lines of text
layout    which of the lines are rows, and what the others are
stamps    how a column of timestamps is to be read
evidence  what a proposal says, and how it is told
proposal  the params, with what each was taken from      (all of these are pure: bytes and names in)
trial     the project's own parse, run on the samples with them, and how that is told
command   what is printed and written
"""
