"""Figures: matplotlib's pictures as inline SVG, from the blocks of metrics.json.

Inline pictures take the page's colours, light, dark and printed. The page's policy forbids style attributes, so `svg`
turns matplotlib's styles into presentation attributes, black into ``currentColor`` and the colours of `SERIES` into the
page's variables. Text stays text.

Series differ by marker as well as by colour. Names appear verbatim: matplotlib would read mathematics between two "$".
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evaluation.pages.markup import Markup, element, shown

SERIES = ("#0072b2", "#d55e00", "#00795a", "#b0528a", "#8a6d00")
"""Okabe and Ito's colours, darkened where they are too pale for white; data/page.css has those for dark paper."""

MARKERS = "osD^v"

MOST = 16
"""Most lines in a figure; captions say when there are more."""

_GREY = "#808080"  # visible on light and dark paper
_WIDTH = 5.0  # inches, the column of a page, so that text is as large on a phone
_LONGEST = 30  # characters of a name
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "both",
}


def interval_figure(
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]], axis_title: str, description: str, *, ranks: bool = False
) -> Markup:
    """Draw shares, or ranks, with their intervals, a line for each group.

    The groups, from above, hold {value, low, high, n} by the name of the series.
    """
    kept = dict(list(groups.items())[:MOST])
    series = list(dict.fromkeys(name for group in kept.values() for name in group))
    scale = 1 if ranks else 100

    def draw(axes: Any) -> None:
        for order, name in enumerate(series):
            place = (order - (len(series) - 1) / 2) * (0.2 if ranks else 0.22)
            points = [
                (scale * group[name]["value"], line + place, _ends(group[name], scale))
                for line, group in enumerate(kept.values())
                if name in group and group[name]["value"] is not None
            ]
            if points:
                xs, ys, ends = zip(*points, strict=True)
                _errorbar(axes, order, xs, ys, xerr=list(zip(*ends, strict=True)), label=name)
        if ranks:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(lambda value, _: "")
        else:
            axes.set_xlim(-2, 102)
        axes.set_xlabel(axis_title)
        ns = [max((share["n"] for share in group.values()), default=0) for group in kept.values()]
        _lines(axes, [f"{_short(name)} ({n})" for name, n in zip(kept, ns, strict=True)])
        if len(series) > 1:
            _legend(axes, len(series))

    return svg(draw, (_WIDTH, 1.1 + 0.36 * max(2, len(kept))), description)


def rank_figure(groups: Mapping[str, Mapping[str, Any]], description: str) -> Markup:
    """Draw the target's median rank before and after, of blocks of `evaluation.dreams.dream_metrics.block` by name."""
    shown: dict[str, dict[str, Any]] = {}
    for name, block in groups.items():
        ranks, n = block["target_rank"], sum(block["results"].values())
        if ranks["after_median"] is not None:
            shown[name] = {
                when: {
                    "value": ranks[f"{when}_median"],
                    "low": ranks[f"{when}_low"],
                    "high": ranks[f"{when}_high"],
                    "n": n,
                }
                for when in ("before", "after")
            }
    return interval_figure(shown, "median rank of the target (1 is the top)", description, ranks=True)


def curve_figure(
    curves: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]],
    axis_titles: tuple[str, str],
    description: str,
    *,
    joined: bool = True,
    level: tuple[str, Mapping[str, Any]] | None = None,
    apart: float = 0.0,
    falling: bool = False,
) -> Markup:
    """Draw shares against a number, with their intervals.

    The curves, by name, are points (x, {value, low, high}). ``x_low`` and ``x_high`` add an interval of x; points
    without a value are left out. `level` is the name and the share of a grey line. `apart` shifts the curves against
    each other, in x, so that their intervals do not overlap. `falling` lets x fall to the right.
    """
    kept = dict(list(curves.items())[:MOST])

    def draw(axes: Any) -> None:
        if level is not None and level[1]["value"] is not None:
            _level(axes, *level)
        for order, (name, points) in enumerate(kept.items()):
            there = [(x, share) for x, share in points if share["value"] is not None and x is not None]
            if there:
                aside = apart * (order - (len(kept) - 1) / 2)
                shifted = [(x + aside, share) for x, share in (sorted(there) if joined else there)]
                _curve(axes, order, name, shifted, joined=joined)
        if falling:
            axes.invert_xaxis()
        axes.set_ylim(-2, 102)
        axes.set_xlabel(axis_titles[0])
        axes.set_ylabel(axis_titles[1])
        axes.grid(alpha=0.25)
        _legend(axes, 2)

    return svg(draw, (_WIDTH, 3.1 + 0.2 * ((len(kept) + 1) // 2)), description)


def matrix_figure(
    cells: Sequence[Mapping[str, Any]], keys: tuple[str, str], titles: tuple[str, str], value: str, description: str
) -> Markup:
    """Draw a matrix as a heat map, each cell with its figure and n.

    The keys, with their titles, are those of row and column in the cells; `value` is the key of the share that colours
    a cell, and ``n`` stands for the share of the row's n.
    """
    rows, columns = (sorted({str(cell[key]) for cell in cells})[:MOST] for key in keys)
    totals = {row: sum(cell["n"] for cell in cells if str(cell[keys[0]]) == row) for row in rows}

    def draw(axes: Any) -> None:
        from matplotlib import colormaps
        from matplotlib.patches import Rectangle

        for cell in cells:
            row, column = (str(cell[key]) for key in keys)
            if row not in rows or column not in columns:
                continue
            share = cell["n"] / totals[row] if value == "n" else cell[value]
            x, y = columns.index(column), rows.index(row)
            known = share is not None
            colour = colormaps["cividis"](share) if known else "none"
            axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, edgecolor=_GREY, lw=0.4))
            ink = "#000000" if not known else "#ffffff" if share < 0.45 else "#111111"
            axes.text(x, y - 0.12, f"{share:.0%}" if known else "–", ha="center", va="center", color=ink)
            axes.text(x, y + 0.24, f"n {cell['n']}", ha="center", va="center", color=ink, fontsize=7)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [_short(row, 22) for row in rows])
        axes.set_xticks(range(len(columns)), [_short(each, 22) for each in columns], rotation=35, ha="right")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_ylabel(titles[0])
        axes.set_xlabel(titles[1])

    return svg(draw, (_WIDTH, 1.6 + 0.42 * len(rows)), description)


def svg(draw: Callable[[Any], None], size: tuple[float, float], description: str) -> Markup:
    """Return what `draw` draws on matplotlib's axes, of a size in inches, as an SVG element for a page."""
    import matplotlib
    from matplotlib.figure import Figure

    salt = hashlib.sha256(repr((description, size)).encode()).hexdigest()[:12]  # equal bytes, ids of its own
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # the browser has more fonts
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Markup(_inline(out.getvalue(), salt, description))


def _inline(document: str, salt: str, description: str) -> str:
    """Turn matplotlib's SVG file into an element without style attributes."""
    body = document[document.index("<svg") :].strip()
    body = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]*)"', rf'id="{salt}-\1"', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{salt}-", body)
    body = re.sub(r'\bstyle="([^"]*)"', lambda found: _attributes(found[1]), body)
    head, rest = body.split(">", 1)
    (box,) = re.findall(r'viewBox="[^"]*"', head)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img"'
    return f'{opening} stroke-linejoin="round" stroke-linecap="butt">{element("title", description)}{rest}'


def _attributes(style: str) -> str:
    found = []
    for part in filter(None, (each.strip() for each in style.split(";"))):
        key, value = (each.strip() for each in part.split(":", 1))
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            found.append(f'font-size="{size[1] if size else 9}" font-family="DejaVu Sans, Verdana, sans-serif"')
        else:
            found.append(f'{key}="{_COLOURS.get(value.lower(), value)}"')
    fills = any(each.startswith("fill=") for each in found)
    text = any(each.startswith("font-size") for each in found)
    return " ".join([*found, *(['fill="currentColor"'] if text and not fills else [])])


_COLOURS = {
    "#000000": "currentColor",
    **{colour: f"var(--data-{number})" for number, colour in enumerate(SERIES, 1)},
}


def _curve(axes: Any, order: int, name: str, points: Sequence[tuple[float, Any]], *, joined: bool) -> None:
    """Draw points (x, share), with the intervals of the shares, and of x if they have one."""
    xs, shares = zip(*points, strict=True)
    errors = {"yerr": [_ends(share, 100) for share in shares]}
    if all(share.get("x_low") is not None for share in shares):
        errors["xerr"] = [_ends({"value": x, "low": s["x_low"], "high": s["x_high"]}, 1) for x, s in points]
    _errorbar(
        axes,
        order,
        xs,
        [100 * share["value"] for share in shares],
        line="-" if joined else "",
        **{key: list(zip(*ends, strict=True)) for key, ends in errors.items()},
        markerfacecolor=SERIES[order % len(SERIES)] if order < len(SERIES) else "none",
        label=_short(name),
    )


def _errorbar(axes: Any, order: int, xs: Sequence[float], ys: Sequence[float], line: str = "", **kwargs: Any) -> None:
    """Draw points with error bars, in the marker and colour of a series."""
    marker, colour = MARKERS[order % len(MARKERS)], SERIES[order % len(SERIES)]
    axes.errorbar(xs, ys, fmt=marker + line, color=colour, capsize=2.5, markersize=5, **kwargs)


def _level(axes: Any, name: str, share: Mapping[str, Any]) -> None:
    axes.axhline(100 * share["value"], color=_GREY, linestyle="--", linewidth=1, label=_short(name))
    if share["low"] is not None:
        axes.axhspan(100 * share["low"], 100 * share["high"], color=_GREY, alpha=0.12, linewidth=0)


def _ends(share: Mapping[str, Any], scale: float) -> tuple[float, float]:
    """Return how far an interval extends below and above its value; 0 without an interval."""
    value = share["value"]
    low, high = (value if end is None else end for end in (share["low"], share["high"]))
    return scale * max(0.0, value - low), scale * max(0.0, high - value)


def _lines(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _legend(axes: Any, columns: int) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize=8, borderpad=0)


def _short(text: object, longest: int = _LONGEST) -> str:
    name = shown(text)
    return name if len(name) <= longest else name[: longest - 1] + "…"
