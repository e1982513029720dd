"""Writes one page for a browser, with no script and nothing to load: calendar, days, actograms, valves, rhythm, params.

Its text and style are in page.html, beside this file.
"""

import base64
import io
import json
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

try:
    from matplotlib import colormaps
    from PIL import Image  # which matplotlib needs
except ModuleNotFoundError:
    raise ImportError("`report` needs matplotlib, an extra of PyMyx: pip install 'pymyx[plot]'") from None

SCALE = (colormaps["cividis"](np.linspace(0, 1, 11))[:, :3] * 255).round().astype(int).tolist()  # from closed to open
NOTHING, GREY = len(SCALE), [217, 217, 217]  # the level and the colour of what has no value
COLOR = ".c{} {{ background: rgb({}, {}, {}); color: {} }}\n"


def run(input_dir: str, output_dir: str, params: dict) -> None:
    """Write report.html of all days of `activity`: hourly__DAY, daily__DAY and events__DAY, `ts` in UTC.

    A mean over hours counts each hour by what is known of it; an hour's own mean stands for its middle, `at_h`.
    Raises ValueError for a period that is no number above 0.
    """
    if not all(isinstance(period, int | float) and period > 0 for period in params["periods_h"]):
        raise ValueError(f"param `periods_h` must hold numbers above 0, not {params['periods_h']}")
    files = [sorted(Path(input_dir).glob(f"{name}__????-??-??.parquet")) for name in ("hourly", "daily", "events")]
    if not files[0]:
        return
    tables = [[pq.read_table(path) for path in each] for each in files]
    hours, days, events = (pa.concat_tables(each, promote_options="default").to_pandas() for each in tables)
    wall = hours["ts"].dt.tz_convert(params["tz"]).dt.tz_localize(None)
    hours["day"], hours["hour"] = wall.dt.floor("D"), wall.dt.hour
    hours["at_h"] = (hours["ts"] - hours["ts"].iloc[0] + (wall - hours["day"]).iloc[0]) / pd.Timedelta(hours=1) + 0.5
    hours["known_h"] = (hours["known_pct"] / 100).where(hours["vod_pct"].notna(), 0.0)
    hours["open_h"] = (hours["vod_pct"] / 100 * hours["known_h"]).fillna(0.0)
    each = pd.date_range(hours["day"].min(), hours["day"].max())
    low = min(np.nan_to_num(_open_pct(hours, each).min(axis=None)) // 10 * 10, 90.0)  # mussels are open nearly always
    daily = days.pivot(index="ts", columns="valve", values=["vod_pct", "voa_pct"]).astype(float)
    daily = daily.reindex(pd.date_range(daily.index[0], daily.index[-1]))
    valves = dict(list(hours.groupby("valve", sort=False)))
    cards = [_card(name, _open_pct(own, each), daily, low) for name, own in valves.items() if own["known_h"].any()]
    said = [json.loads((table.schema.metadata or {}).get(b"params", b"{}")) for table in tables[1]]
    page = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        colors="".join(COLOR.format(at, *rgb, "#fff" if at < 6 else "#000") for at, rgb in enumerate(SCALE)),
        first=f"{daily.index[0]:%Y-%m-%d}",
        last=f"{daily.index[-1]:%Y-%m-%d}",
        valves=len(valves),
        days=days["ts"].nunique(),
        tz=escape(params["tz"]),
        calendar=_calendar(_open_pct(hours, each), low),
        vod=_by_day(daily["vod_pct"], "VOD: time open, %", "vod"),
        voa=_by_day(daily["voa_pct"], "VOA: mean opening while open, %", "voa"),
        cards="".join(cards),
        summary=_table([_summary(name, own, days, events) for name, own in valves.items()]),
        rhythm=_table([_rhythm(name, own, params) for name, own in valves.items()]),
        cycles=f"{params['least_cycles']:g}",
        unsure=_unsure(params["periods_h"], hours["ts"].nunique()),
        params=_table(pd.DataFrame(said).astype(str).drop_duplicates()),
    )
    (Path(output_dir) / "report.html").write_text(page, encoding="utf-8")


def _open_pct(hours: pd.DataFrame, each: pd.DatetimeIndex) -> pd.DataFrame:
    """Time open in percent, a row for each day, a column for each hour of it; null where nothing is known."""
    sums = hours.groupby(["day", "hour"])[["open_h", "known_h"]].sum()
    return (sums["open_h"] / sums["known_h"] * 100).unstack().reindex(index=each, columns=range(24))


def _level(percent: np.ndarray, low: float) -> np.ndarray:
    """The level (place in SCALE) of each percent, from `low` to 100."""
    level = np.clip(np.rint((percent - low) / (100 - low) * 10), 0, 10)
    return np.where(np.isnan(percent), NOTHING, level).astype(int)


def _calendar(percent: pd.DataFrame, low: float) -> str:
    """A row for each day (one for all of a week or more without a value), a cell for each hour; the scale below it."""
    empty = percent.isna().all(axis=1)
    run = empty.groupby((~empty).cumsum()).transform("sum").where(empty, 0)
    heads = np.where(run < 7, percent.index.strftime("%Y-%m-%d"), "… " + run.astype(str) + " days")
    rows, lines = percent.set_axis(heads)[~((run >= 7) & empty.shift(fill_value=False)).to_numpy()], []
    for head, one in [*zip(rows.index, rows.to_numpy(), strict=True), ("scale, %", np.linspace(low, 100, len(SCALE)))]:
        cells = [f'<td class="c{level}">{value:.0f}' for value, level in zip(one, _level(one, low), strict=True)]
        lines.append(f"<tr><th>{head}{''.join(cells)}\n")
    table = f"<tr><th>{''.join(f'<th>{hour}' for hour in percent)}\n{''.join(lines[:-1])}".replace(">nan", ">")
    return f'<table class="calendar" id="calendar">{table}</table>\n<table class="calendar scale">{lines[-1]}</table>'


def _by_day(each: pd.DataFrame, head: str, kind: str) -> str:
    """A daily measure: a line for each valve, and a thick one for their mean."""
    lines = [*((each[name], "", 1) for name in each), (each.mean(axis=1), kind, 3)]
    return f"<figure><h3>{head}</h3>{_lines(lines, 150) or 'No day is known well enough.'}</figure>\n"


def _lines(lines: list[tuple[pd.Series, str, int]], height: int) -> str:
    """Daily values from 0 to 100 as lines (values, class, width), broken where a day has none; one alone is a dot."""
    if not any(values.notna().any() for values, _, _ in lines):
        return ""
    days = lines[0][0].index
    paths = [("rule", 1, f"M0 0H{len(days)}M0 50H{len(days)}")]
    for values, kind, width in lines:
        points = {at: f"{at + 0.5} {100 - value:.1f}" for at, value in enumerate(values) if not np.isnan(value)}
        paths.append((kind, width, "".join(("L" if at - 1 in points else "M") + point for at, point in points.items())))
        alone = [point for at, point in points.items() if not points.keys() & {at - 1, at + 1}]
        paths.append((kind, width + 5, "".join(f"M{point}h0" for point in alone)))
    drawn = "".join(f'<path class="{kind}" stroke-width="{width}" d="{path}"/>' for kind, width, path in paths if path)
    svg = f'<svg viewBox="0 0 {len(days)} 100" preserveAspectRatio="none" style="height: {height}px">{drawn}</svg>'
    return _plot(svg, ["100", "50", "0"], [f"{day:%Y-%m-%d}" for day in days[[0, -1]].unique()])


def _plot(inside: str, side: list, foot: list) -> str:
    """A plot with texts from top to bottom at its left side, and from left to right at its foot."""
    spans = ["".join(f"<span>{text}</span>" for text in texts) for texts in (side, foot)]
    return f'<div class="plot"><div class="side">{spans[0]}</div>{inside}<div class="foot">{spans[1]}</div></div>'


def _card(name: str, percent: pd.DataFrame, daily: pd.DataFrame, low: float) -> str:
    """A valve's actogram, double-plotted so that midnight breaks no rhythm, and its daily lines."""
    levels = _level(np.hstack([percent, percent.shift(-1)]), low)
    png, pixels = io.BytesIO(), Image.fromarray(levels.astype(np.uint8))
    pixels.putpalette(np.ravel([*SCALE, GREY]).tolist())
    pixels.save(png, "PNG")
    source = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    height = len(percent) * min(max(240 // len(percent), 2), 16)
    image = f'<img src="{source}" alt="actogram of {escape(name)}" style="height: {height}px">'
    days, hours = [f"{day:%m-%d}" for day in percent.index[[0, -1]].unique()], [0, 6, 12, 18, 24, 6, 12, 18, 24]
    lines = _lines([(daily["voa_pct", name], "voa", 2), (daily["vod_pct", name], "vod", 2)], 60)
    return f"<figure><h3>{escape(name)}</h3>{_plot(image, days, hours)}{lines}</figure>\n"


def _summary(name: str, hours: pd.DataFrame, days: pd.DataFrame, events: pd.DataFrame) -> dict[str, str | float]:
    """What a valve did in all its known hours, by the heads of the columns; rates only where a day or more is known."""
    days, events = (table[table["valve"] == name] for table in (days, events))
    known_h, open_h = hours["known_h"].sum(), hours["open_h"].sum()
    sums = hours[["closures", "micro_closures", "moved_pct"]].sum(min_count=1).astype(float)
    counts, rates = sums.map("{:.0f}".format, na_action="ignore"), sums / (known_h if known_h >= 24 else np.nan) * 24
    states = days.groupby("state", sort=False)["reason"].last()
    words = [f"{state}: {reason}" if isinstance(reason, str) else state for state, reason in states.items()]
    longest = events.nlargest(1, "duration_s")[["complete", "duration_s"]].to_numpy()
    ends = days[["closed", "open"]].iloc[[0, -1]].map(lambda end: "–" if pd.isna(end) else f"{end:.0f}")
    return {
        "valve": name,
        "state": "; ".join(words),
        "known, h": hours["known_pct"].sum() / 100,
        "VOD, %": open_h / (known_h or np.nan) * 100,
        "VOA, %": (hours["voa_pct"] * hours["open_h"]).sum() / (open_h or np.nan),
        "closures": counts["closures"],
        "closures a day": rates["closures"],
        "micro-closures": counts["micro_closures"],
        "micro-closures a day": rates["micro_closures"],
        "longest closure, min": "".join(f"{'' if whole else '≥ '}{s / 60:.1f}" for whole, s in longest) or np.nan,
        "moved, % a day": rates["moved_pct"],
        "fastest closing, %/s": hours["closing_max_pct_s"].max(),
        "fastest opening, %/s": hours["opening_max_pct_s"].max(),
        "closed": " → ".join(ends["closed"].unique()),
        "open": " → ".join(ends["open"].unique()),
    }


def _table(rows: list[dict] | pd.DataFrame) -> str:
    """Rows as a table that scrolls where the window is narrow, without what has no value."""
    shown = {"index": False, "border": 0, "classes": "list", "na_rep": "–", "float_format": "{:.1f}".format}
    table = pd.DataFrame(rows).dropna(how="all").dropna(axis=1, how="all")
    return f'<div class="wide">{table.to_html(**shown)}</div>' if table.size else "<p>None.</p>"


def _rhythm(name: str, hours: pd.DataFrame, params: dict) -> dict[str, str | float]:
    """Power and first peak of each period in a valve's hourly mean opening; a power is no p value, and none is told."""
    row, known = {}, hours[["at_h", "mean_pct"]].dropna().to_numpy(float)
    for period_h in params["periods_h"]:
        if len(known) >= max(4, params["least_cycles"] * period_h) and np.ptp(known[:, 1]) > 0:
            power, peak_h = _cosinor(*known.T, period_h)
            row |= {f"{period_h:g} h power, %": 100 * power, f"{period_h:g} h peak, h": peak_h}
    return {"valve": name} | row if row else {}


def _cosinor(at_h: np.ndarray, values: np.ndarray, period_h: float) -> tuple[float, float]:
    """Power (0 to 1) and acrophase (hours, 0 to the period) of M + A cos(2 pi (t - peak) / P) by least squares."""
    angle = 2 * np.pi * at_h / period_h
    model = np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    (mean, cosine, sine), *_ = np.linalg.lstsq(model, values)
    rest, whole = values - model @ (mean, cosine, sine), values - values.mean()
    return 1 - rest @ rest / (whole @ whole), np.arctan2(sine, cosine) / (2 * np.pi) * period_h % period_h


def _unsure(periods_h: list[float], hours: int) -> str:
    """Which periods so many hours do not tell apart: their frequencies must differ by 1 / hours at least."""
    need_h = {pair: 1 / (1 / pair[0] - 1 / pair[1]) for pair in pairwise(sorted(set(periods_h)))}
    short = {pair: need / 24 for pair, need in need_h.items() if hours < need}
    return " ".join(f"{a:g} and {b:g} h are told apart from {days:.1f} days on only." for (a, b), days in short.items())
