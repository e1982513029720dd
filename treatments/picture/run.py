"""Draws each day: one valve above the other, closures shaded, held and missing values told apart, temperature below."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

os.environ |= {"MPLCONFIGDIR": tempfile.gettempdir(), "MPL_IGNORE_SYSTEM_FONTS": "1"}  # it brings its own: no search
try:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
except ModuleNotFoundError:
    raise ImportError("`picture` needs matplotlib, an extra of PyMyx: pip install 'pymyx[plot]'") from None

LINE, AIR = "#0072B2", "#D55E00"  # colours that all eyes tell apart: Okabe and Ito
BANDS = {"closed": "#F4CE7F", "held over a short gap": "#CC79A7", "no value": "#D0D0D0"}
WIDTH, HEAD, ROW, STILL, BELOW, FOOT = 1600, 78, 92, 30, 120, 72  # pixels; STILL a valve without opening, BELOW the air


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write valves__DAY.png for each grid__DAY: `ts` in UTC, valves in % with flags, `coverage`, temperature in °C."""
    for path in sorted(Path(input_dir).glob("grid__????-??-??.parquet")):
        day = path.stem[-10:]
        reference = pd.read_parquet(path.with_name(f"reference__{day}.parquet")).set_index("valve")
        figure = _picture(pd.read_parquet(path), reference, day, params)
        figure.savefig(Path(output_dir) / f"valves__{day}.png", metadata={"Software": None})
        figure.clear()  # else what it holds piles up from day to day


def _picture(grid: pd.DataFrame, reference: pd.DataFrame, day: str, params: dict) -> Figure:
    """The recorded hours of one day: x in minutes of the UTC day, y in pixels, the first valve on top."""
    valves = [name for name in grid if f"{name}_flag" in grid][::-1]
    edges, air = np.linspace(0, 1440, len(grid) + 1), grid["temperature"].to_numpy(float)
    bins = np.flatnonzero(grid["coverage"]) if grid["coverage"].any() else np.arange(len(grid))
    first, last = np.floor(edges[bins[0]] / 60) * 60, np.ceil(edges[bins[-1] + 1] / 60) * 60
    rows = [BELOW * int(np.isfinite(air).any()), *(ROW if grid[valve].notna().any() else STILL for valve in valves)]
    height, margin = HEAD + sum(rows) + FOOT, 0.045 + 0.006 * max(map(len, valves), default=0)
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100)
    axes = figure.add_axes((margin, FOOT / height, 0.955 - margin, sum(rows) / height))
    axes.set(xlim=(first, last), ylim=(0, sum(rows) or 1), yticks=[], axisbelow=True)
    for valve, base, high in zip(valves, np.cumsum(rows), rows[1:], strict=False):
        opening, raw = grid[valve].to_numpy(float), reference.loc[valve]
        _bands(axes, (base, high), edges, opening, grid[f"{valve}_flag"].to_numpy(), params)
        ends = (("0", "100"), (f"{raw['closed']:.0f}", f"{raw['open']:.0f}")) if high == ROW else ()
        _row(axes, (base, high), edges, opening / 100, LINE, valve, *ends)
        if not ends:
            why = ": ".join(text for text in (raw["state"], raw["reason"]) if isinstance(text, str))
            axes.text((first + last) / 2, base + high / 2, why, ha="center", va="center")
    if rows[0]:
        low, top = np.floor(np.nanmin(air) - 0.2), np.ceil(np.nanmax(air) + 0.2)
        _row(axes, (0, ROW), edges, (air - low) / (top - low), AIR, "°C", (f"{low:.0f}", f"{top:.0f}"))
    axes.set_xticks(*_labels(day, first, last, params["tz"]))
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    told = f"recorded: {grid['coverage'].mean() * 100:.3g} % of the day; time of {params['tz']}; right: raw values"
    figure.text(margin, 1 - 32 / height, f"Valve opening in %, {day}", fontsize=17)
    figure.text(margin, 1 - 58 / height, told, fontsize=11)
    patches = [Patch(color=color, label=label) for label, color in BANDS.items()]
    figure.legend(handles=patches, loc="upper right", bbox_to_anchor=(0.96, 1 - 34 / height), ncols=3, frameon=False)
    return figure


def _bands(axes, place: tuple, edges: np.ndarray, opening: np.ndarray, flag: np.ndarray, params: dict) -> None:
    """Bands where a valve is closed or has no value, marks where its value is held; `place`: foot and height."""
    known = ~np.isnan(opening)
    opens = (opening > params["open_above"]) | (known & ~np.append(False, known[:-1]))  # as in `activity`, after a gap
    said = pd.Series(np.select([opening < params["closed_below"], opens], [1.0, 0.0], np.nan)).ffill().to_numpy()
    kinds = ((known & (said == 1), params["least_closure_s"], 0.92), (flag == 2, 0, 0.06), (~known, 0, 0.92))
    for (kind, least_s, share), color in zip(kinds, BANDS.values(), strict=True):
        begin, end = edges[np.flatnonzero(np.diff(kind, prepend=False, append=False))].reshape(-1, 2).T
        long = ((end - begin) * 60 >= least_s) | (begin == 0) | (end == 1440)  # what midnight cuts may be longer
        spans = np.column_stack([begin, end - begin])[long]
        axes.broken_barh(spans, (place[0] + 0.04 * place[1], share * place[1]), color=color, linewidth=0.8)


def _row(axes, place: tuple, edges: np.ndarray, share: np.ndarray, color: str, name: str, left=(), right=()) -> None:
    """A line of shares, 0 to 1, with its name, and at its left and right what 0 and 1 are."""
    texts = {(0, 0.5): f"{name}          "} | {(0, at): f"{text} " for at, text in zip((0.1, 0.9), left, strict=False)}
    texts |= {(1, at): f" {text}" for at, text in zip((0.1, 0.9), right, strict=False)}
    for (x, at), text in texts.items():
        y, side = place[0] + at * place[1], "left" if x else "right"
        axes.text(x, y, text, ha=side, va="center", transform=axes.get_yaxis_transform())
    y = place[0] + place[1] * (0.1 + 0.8 * np.append(share, share[-1]))
    axes.plot(edges, y, color=color, linewidth=0.9, drawstyle="steps-post")


def _labels(day: str, first: float, last: float, tz: str) -> tuple[list[float], list[str]]:
    """At most 13 places on the axis, in minutes, and their local times; date and offset stand where they are new."""
    every = next(one for one in (5, 10, 15, 30, 60, 120) if (last - first) / one <= 12)
    local = (pd.Timestamp(day, tz="UTC") + pd.to_timedelta(np.arange(first, last + 1), unit="min")).tz_convert(tz)
    local = local[(local.hour * 60 + local.minute) % every == 0]
    under = pd.Series([f"\n{one:%Y-%m-%d}\nUTC{one.isoformat()[-6:]}".replace("+00:00", "") for one in local])
    texts = local.strftime("%H:%M") + under.where(under != under.shift(), "")
    return ((local - pd.Timestamp(day, tz="UTC")).total_seconds() / 60).to_list(), texts.to_list()
