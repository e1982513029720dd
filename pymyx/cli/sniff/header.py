"""Which lines are passed over above the rows, and what the columns are called."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain, count
from typing import Any

from pymyx.cli.sniff.columns import column_of
from pymyx.cli.sniff.evidence import Because, Found, Proposal

LONGEST_PREAMBLE = 3  # lines; a longer one is taken for one of varying length


def say_columns(made: Proposal, found: Found, defaults: dict[str, Any]) -> list[str]:
    """Say which lines are passed over and where the names of the columns stand; returns those names."""
    layout, first = found.layout, found.layout.rows[0][0]
    if layout.keyed:
        _say_preamble(made, found)
        return []
    names = [*layout.names, *[""] * (layout.width - len(layout.names))]
    doubled = sorted(name for name, times in Counter(filter(None, names)).items() if times > 1)
    unnamed = "" in [names[place] for place in layout.times if place is not None]
    apart = layout.header and not layout.in_comment  # the names stand in a line of their own
    tells = apart and not doubled and not unnamed  # parse can go by that line
    if tells or not apart:
        _say_preamble(made, found)
    if tells:
        made.because.append(Because("header", names, f"{found.place(layout.header)}: names the columns"))
        if layout.units:
            made.say("unit_lines", len(layout.units), f"{found.lines(layout.units)}: not rows, below the header")
        return names
    if not layout.header:
        if _are_the_defaults(found, defaults):
            names = [defaults["timestamp_column"], *declared(defaults)]
            made.because.append(Because("header", [], f"{found.place(first)}: a row; the columns are as by default"))
            return names
        names = [f"field_{place}" for place in range(1, layout.width + 1)]
        names[layout.times.column] = defaults["timestamp_column"]
        hint = "give the columns the names of what they hold, in `columns` and `domains`"
        made.notes.append(f"there is no header: {hint}")
        made.say("columns", names, f"{found.place(first)}: a row, and no line above it names the columns")
        return names
    names = _unique(names)
    why = f"names {', '.join(f'`{name}`' for name in doubled)} twice, so they are numbered" if doubled else "names them"
    if apart:
        above = f"{found.place(first)}: the first row; parse cannot tell the columns apart by the header above it"
        made.say("skip_lines", first - 1, above)
        why = why if doubled else "does not name the time"
    made.say("columns", names, f"{found.place(layout.header)}: {why}")
    return names


def _say_preamble(made: Proposal, found: Found) -> None:
    """Say how the lines above the header, or above the first row, are passed over."""
    lengths = {layout.preamble for layout in found.layouts}
    layout, length = found.layout, max(lengths)
    if not length:
        return
    at = [one.preamble for one in found.layouts].index(length)
    if layout.header and not layout.in_comment:
        varies = len(lengths) > 1
        why = f"{found.place(found.layouts[at].header, at)}: the header, below {length} lines of other shapes"
        if varies or length > LONGEST_PREAMBLE:
            made.say("skip_to", _start_of_header(found), why + (", not as many in each file" if varies else ""))
        else:
            made.say("skip_lines", length, why.replace("1 lines of other shapes", "1 line of another shape"))
    elif len(lengths) == 1 and (length > 1 or len(found.samples) > 1):
        made.say("skip_lines", length, f"{found.place(length + 1)}: the first row, below lines of text")
    else:
        such = f"{length} such line{'s' if length > 1 else ''}"
        what = f"{found.place(length, at)} is not a row, and parse will reject it"
        made.notes.append(f"{what}; if each file begins with {such}, add skip_lines {length}")


def _start_of_header(found: Found) -> str:
    """What the header starts with, and no line above it."""
    sample, layout = found.samples[0], found.layout
    header, above = sample.lines[layout.header - 1], sample.lines[: layout.header - 1]
    ends = [*(match.start() for match in re.finditer(re.escape(layout.delimiter), header)), len(header)]
    starts = [header[:end] for end in ends if end]
    return next((one for one in starts if not any(line.startswith(one) for line in above)), header)


def _unique(names: list[str]) -> list[str]:
    """Names that are there twice numbered, and those that are missing made."""
    made: list[str] = []
    for place, name in enumerate(names, start=1):
        wanted = name or f"field_{place}"
        numbered = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
        made.append(next(one for one in numbered if one not in made))
    return made


def declared(defaults: dict[str, Any]) -> dict[str, str]:
    """The columns that the defaults declare, with their domains."""
    return {name: domain for domain, names in defaults["domains"].items() for name in names}


def _are_the_defaults(found: Found, defaults: dict[str, Any]) -> bool:
    """Whether rows without a header have the time, then as many columns as the defaults declare, of their types."""
    columns = declared(defaults)
    if found.layout.times != (0, None) or found.layout.width != len(columns) + 1:
        return False
    for place, domain in enumerate(columns.values(), start=1):
        cells = [(where, fields[place]) for _, where, fields in found.rows]
        kind = column_of(cells, defaults["null_values"], ".").kind
        if kind == "text" or (kind == "float" and defaults["types"][domain] == "integer"):
            return False
    return True
