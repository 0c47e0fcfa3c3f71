"""Tables of an evaluation: groups of dreams as in metrics.json, and the dreams one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.pages import page, players
from evaluation.pages.markup import Markup, join, name
from evaluation.pages.page import Cell, Column

MOST_ROWS = 500
"""Most dreams in the list; examples.parquet has all."""

_OPEN_ROWS = 25  # longer tables are folded

COLUMNS = (
    *("dreams", "recordings", "on top", "in the top 5", "another on top", "label stays", "rank before", "after"),
    "SNR, dB",
)
"""Heads of `group_cells`."""

_TITLES = {
    "by_recipe": "recipe",
    "by_transform": "transform",
    "by_label": "label",
    "by_target": "target",
    "by_budget": "SNR, dB",
}


def groups(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    """Give a table for each grouping of the dreams in metrics.json."""
    for key, title in _TITLES.items():
        if blocks := metrics[key]:
            rows = [
                [Cell(name(each), order if key == "by_budget" else each), *group_cells(block)]
                for order, (each, block) in enumerate(blocks.items())
            ]
            columns = [Column(title, number=False), *map(Column, COLUMNS)]
            table = page.table(f"By {title}; in parentheses the interval and n.", columns, rows)
            yield table if len(rows) <= _OPEN_ROWS else page.folded(f"By {title} ({len(rows)})", table)


def group_cells(block: Mapping[str, Any]) -> list[Cell]:
    """Return a line of the table of groups, from a block of `evaluation.dreams.dream_metrics.block`."""
    snr, success = block["snr_db"], block["success"]
    shares = success["top1"], success["top5"], block["top_changed"], block["label_kept"]
    return [
        *(Cell(block[key], block[key]) for key in ("n_examples", "n_sources")),
        *map(page.percent_cell, shares),
        *(_rank_cell(block, when) for when in ("before", "after")),
        page.number_cell(snr["median"], 1, _number_ends(snr["low"], snr["high"], snr["n"], 1)),
    ]


def _rank_cell(block: Mapping[str, Any], when: str) -> Cell:
    value, low, high = (block["target_rank"][f"{when}_{end}"] for end in ("median", "low", "high"))
    return page.number_cell(value, 0, _number_ends(low, high, sum(block["results"].values())))


def _number_ends(low: float | None, high: float | None, n: int, digits: int = 0) -> str:
    return f"n {n}" if low is None else f"{page.number(low, digits)} to {page.number(high, digits)}, n {n}"


def listing(rows: pd.DataFrame) -> Markup:
    """Return the table of the dreams, rows of examples.parquet."""
    ranked = players.rank(rows)
    kept = ranked
    if len(ranked) > MOST_ROWS:
        kept = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, MOST_ROWS).round().astype(int))]
    columns = [
        *(Column(title, number=False) for title in ("id", "label", "recipe", "target", "result")),
        *map(Column, ("rank before", "after")),
        *(Column(title, number=False) for title in ("top class before", "top class after")),
        Column("SNR, dB"),
    ]
    lines = [_line({str(key): value for key, value in row.items()}) for row in kept.to_dict("records")]
    which = "all" if len(kept) == len(ranked) else f"{len(kept):,} of {len(ranked):,}, evenly spaced"
    caption = f"From the best to the worst: {which}. All columns are in examples.parquet."
    return page.folded(f"{len(kept):,} dreams", page.table(caption, columns, lines))


def _line(row: Mapping[str, Any]) -> list[Cell]:
    target = join("away from " if row["away"] else None, name(row["target_name"]))
    ranks = [row[f"target_rank_{when}"] for when in ("before", "after")]
    return [
        text_cell(row["id"]),
        text_cell(", ".join(row["labels"])),
        text_cell(row["recipe"]),
        Cell(target, row["target_name"]),
        text_cell(row["result_top1"] or page.NONE),
        *(page.number_cell(None if value is None else float(value)) for value in ranks),
        *(text_cell(row[f"top_{when}"][0]) for when in ("before", "after")),
        page.number_cell(row["snr_db"], 1),
    ]


def text_cell(text: object) -> Cell:
    """Return the cell of a user's text."""
    return Cell(name(text), str(text))
