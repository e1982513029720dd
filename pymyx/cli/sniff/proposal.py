"""From samples to parse's params, each with the lines that it was taken from; what cannot be told is left open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pymyx.cli.sniff.columns import Cell, Column, column_of, decimal_of, entity_in
from pymyx.cli.sniff.evidence import Because, Found, Proposal, differing, see_that_they_are_alike
from pymyx.cli.sniff.header import declared, say_columns
from pymyx.cli.sniff.layout import KEY_VALUE, layout_of
from pymyx.cli.sniff.names import day_in, device_in
from pymyx.cli.sniff.order import MOSTLY, are_near, decide
from pymyx.cli.sniff.sample import Sample
from pymyx.cli.sniff.stamps import Instants, is_absolute, read
from pymyx.core.errors import Fault, PymyxError, counted, first_of

OFFSET = re.compile(r"\b(?:GMT|UTC)\s?([+-])(\d{1,2})(?::?(\d\d))?\b", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
UNSAID = {  # what a parse that has no such param takes for granted
    "encoding": "utf-8",
    "timestamp_format": "iso8601",
    "decimal": ".",
    "dated_names": True,
}
BY_KIND = {"integer": "integers", "float": "floats"}  # the domains of columns that no default names


def propose(samples: Sequence[Sample], defaults: dict[str, Any]) -> Proposal:
    """Propose the params by which parse, whose `defaults` are given, reads the rows of all samples.

    Raises:
        PymyxError: one of them has no rows, they are not of one shape, or they are a long table.
    """
    found = Found(list(samples), [layout_of(sample) for sample in samples])
    see_that_they_are_alike(found)
    made = Proposal()
    _say_text(made, found)
    names = say_columns(made, found, defaults)
    instants = _say_times(made, found, names, defaults)
    _say_values(made, found, _cells(found, names), instants, defaults)
    _say_names(made, found, instants)
    made.params = {name: value for name, value in made.params.items() if value != defaults.get(name, UNSAID.get(name))}
    return made


def _say_text(made: Proposal, found: Found) -> None:
    """Say the encoding, the delimiter, and the comments."""
    sample = next((one for one in found.samples if not one.data.isascii()), found.samples[0])
    made.say("encoding", sample.encoding, sample.because)
    layout = found.layout
    number = layout.rows[0][0]
    what = "key:value fields" if layout.keyed else f"{layout.width} fields"
    count = sum(len(one.rows) for one in found.layouts)
    first = found.samples[0].lines[0]
    stated = f"{found.place(1)}: `{first}`; " if first == f"sep={layout.delimiter}" else ""
    made.say("delimiter", layout.delimiter, f"{stated}{found.place(number)}: {what}, as in {counted(count, 'row')}")
    for at, one in enumerate(found.layouts):
        if one.comment:
            made.say("comment", one.comment, f"{found.lines(one.comments, at)}: starts with it, and is not a row")
            break


def _say_times(made: Proposal, found: Found, names: list[str], defaults: dict[str, Any]) -> Instants:
    """Say which column is the time, how it is read, and what it means where it has no offset.

    Returns the instants of all rows, by the first way to read them that may be right.
    """
    times = found.layout.times
    column = names[times.column] if names else defaults["timestamp_column"]
    clock = names[times.clock] if times.clock is not None else ""
    texts, title = [times.of(fields) for _, _, fields in found.rows], f"{column} {clock}"
    _, place, first = found.rows[0]
    made.say("timestamp_column", column, f"{place}: `{first[times.column]}` in field {times.column + 1}")
    if times.clock is not None:
        made.say("time_column", clock, f"{place}: `{first[times.clock]}` in field {times.clock + 1}")
    formats, why = decide(found, texts, title)
    if len(formats) > 1:
        made.choices, made.doubt = formats, why
    else:
        made.say("timestamp_format", formats[0], why)
    instants = read(texts, formats[0])
    read_rows = found.files[instants.notna()]
    if unread := {*found.files} - {*read_rows}:  # files of which nothing would be read
        rows = read_rows.index[0], found.files[found.files == min(unread)].index[0]
        raise differing("timestamps", {found.samples[found.files[row]].name: texts[row] for row in rows})
    if is_absolute(formats[0], texts):
        return instants
    offset = OFFSET.search(title)
    if not offset:
        made.notes.append("the timestamps have no offset and are read as UTC: if the clock keeps another time, add tz")
        return instants
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    tz = f"{offset[1]}{int(offset[2]):02}:{int(offset[3] or 0):02}" if ahead else "UTC"
    where = found.place(found.layout.header) if found.layout.header else place
    made.say("tz", tz, f"{where}: `{offset[0]}` in the column's name")
    return instants - ahead if offset[1] == "+" else instants + ahead


def _say_values(
    made: Proposal, found: Found, cells: dict[str, list[Cell]], instants: Instants, defaults: dict[str, Any]
) -> None:
    """Say the decimal sign, and of each column whether it holds integers or floats, by domain."""
    decimal, decimals = decimal_of(cells.values())
    seen = "{}: `{}`".format(*decimals[0]) if decimals else "no number has decimals"
    made.say("decimal", decimal, seen)
    if decimal == "," and all(THOUSANDS.fullmatch(text) for _, text in decimals):
        made.notes.append(f"commas are taken for decimal ones ({seen}): where they part thousands, remove them first")
    kinds = {name: column_of(column, defaults["null_values"], decimal) for name, column in cells.items()}
    entity, is_long = ("", False) if found.layout.keyed else entity_in(cells, kinds, instants, found.files)
    if is_long:
        raise _long_table(found, entity, cells[entity])
    taken = {made.params["timestamp_column"], "domain", "device", ""}
    kept = {name: column for name, column in kinds.items() if column.kind in BY_KIND and name not in taken}
    if not kept:
        what = f"no column of `{found.samples[0].name}` has numbers: parse has nothing to write"
        raise PymyxError(Fault(what, evidence=tuple(f"{name}: {one.kind}, {one.why}" for name, one in kinds.items())))
    home = declared(defaults)
    domains: dict[str, list[str]] = {domain: [] for domain in (*defaults["domains"], *BY_KIND.values())}
    for name in [*filter(kept.get, home), *(name for name in kept if name not in home)]:
        domains[home.get(name) or BY_KIND[kept[name].kind]].append(name)
    domains = {domain: columns for domain, columns in domains.items() if columns}
    types = {domain: defaults["types"].get(domain, "integer") for domain in domains}
    floats = {name for name, column in kept.items() if column.kind == "float"}
    types |= {domain: "float" for domain, columns in domains.items() if floats & {*columns}}
    made.params["domains"] = domains
    made.params["types"] = defaults["types"] if types.items() <= defaults["types"].items() else types
    made.because += [Because("domains", name, f"{column.kind}, {column.why}") for name, column in kept.items()]
    for name, column in kept.items():
        if column.odd:
            odd = f"`{name}` has values that are not of type {column.kind} ({column.odd})"
            made.notes.append(f"{odd}: rejects, unless null_values names them")
    made.notes += [_left_out(name, column, taken) for name, column in kinds.items() if name not in kept]
    if entity:
        told = f"the rows are of several devices, told apart by `{entity}` alone"
        made.notes.append(f"{told}: give each a file of its own")
    if set(domains) & set(BY_KIND.values()):
        named = "domains are named by the type of their values: rename them to what they hold"
        made.notes.append(f"{named}, as the default ones are: {', '.join(defaults['domains'])}")


def _cells(found: Found, names: list[str]) -> dict[str, list[Cell]]:
    """What stands in each column beside the time, by its name, or by its key."""
    times, cells = found.layout.times, dict[str, list[Cell]]()
    for _, place, fields in found.rows:
        if found.layout.keyed:
            pairs = [match.group(1, 2) for match in map(KEY_VALUE.fullmatch, fields[1:]) if match]
        else:
            pairs = [(names[at], text) for at, text in enumerate(fields) if at not in times]
        for name, text in pairs:
            cells.setdefault(name, []).append((place, text.strip(" \t")))
    return cells


def _left_out(name: str, column: Column, taken: set[str]) -> str:
    if name in taken:
        return f"the column `{name}` is left out: its name is {'missing' if not name else 'taken by parse'}"
    if column.kind == "empty":
        return f"the column `{name}` is left out: it has {column.why}; if it will have some, add it to a domain"
    return f"the column `{name}` is left out: it holds text, {column.why}"


def _long_table(found: Found, entity: str, cells: list[Cell]) -> PymyxError:
    named = dict.fromkeys(text for _, text in cells)
    told = first_of([f"`{text}`" for text in named], 3)
    what = f"`{found.samples[0].name}` is a long table, one entity a row: nothing is proposed"
    evidence = (f"the column `{entity}` names the entity of each row: {told}",)
    hint = "export it with one column per entity, or turn it with pandas: DataFrame.pivot"
    return PymyxError(Fault(what, cells[0][0], evidence, ("parse reads one column per sensor",), hint))


def _say_names(made: Proposal, found: Found, instants: Instants) -> None:
    """Say what the names of the files tell: whether the date in them is the day of their rows, and the device."""
    names = [sample.name for sample in found.samples]
    days = [day_in(name) for name in names]
    if any(days):
        near = are_near(instants, [days[at] for at in found.files])
        date = f"{days[0]}, the date in the file's name" if len(names) == 1 else "the dates in their files' names"
        why = f"{sum(near):,} of {len(near):,} rows are at most a day from {date}"
        made.say("dated_names", sum(near) >= MOSTLY * len(near), why)
    if None in days:
        undated = f"`{names[days.index(None)]}` has no date such as 2026-01-20 in its name"
        made.notes.append(f"{undated}: each change in its folder makes all days again")
    if len(names) > 1:
        spans = [(one.min().timestamp(), one.max().timestamp()) for _, one in instants.groupby(found.files)]
        pattern, devices = device_in(names, spans)
        if pattern:
            told = ", ".join(dict.fromkeys(devices[:3])) + (", …" if len(devices) > 3 else "")
            made.say("device", pattern, f"the files' names: {told}")
