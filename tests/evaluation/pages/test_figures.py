"""Figures: what is drawn is where the figures say, and the SVG fits a page that forbids styles."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from example_rows import table
from html_reader import HOSTILE

from evaluation.dreams.dream_metrics import block
from evaluation.pages import figures

SVG = "{http://www.w3.org/2000/svg}"


def share(value: float | None, low: float | None = None, high: float | None = None, n: int = 10) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n, "clips": n}


def intervals(name: str = "dog") -> str:
    found = {
        name: {"on top": share(0.5, 0.25, 0.75), "in the top 5": share(0.8, 0.7, 0.9)},
        "none": {"on top": share(None)},
    }
    return figures.interval_figure(found, "targets, %", "description")


def texts(picture: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(picture).iter(f"{SVG}text")]


def test_text_is_text_with_names_and_n() -> None:
    assert {"dog (10)", "on top", "in the top 5", "targets, %", "none (10)"} <= set(texts(intervals()))


def test_the_picture_needs_no_styles_takes_the_pages_colours_and_is_described() -> None:
    found = intervals()
    assert "style" not in found
    assert "#000000" not in found
    assert {"var(--data-1)", "var(--data-2)", "currentColor"} <= set(re.findall(r'"((?:var|cur)[^"]*)"', found))
    root = ET.fromstring(found)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "description"


def test_the_same_figures_give_the_same_bytes_and_ids_are_of_the_figure() -> None:
    assert intervals() == intervals()
    other = figures.interval_figure({"dog": {"on top": share(0.5)}}, "targets, %", "another")
    ids = [set(re.findall(r'\bid="([^"]*)"', each)) for each in (intervals(), other)]
    assert not ids[0] & ids[1]
    for picture, own in zip((intervals(), other), ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', picture)) <= own


@pytest.mark.parametrize("text", [*HOSTILE, "$\\frac{1}{", "x" * 500, ""])
def test_names_are_drawn_as_they_are(text: str) -> None:
    found = ET.fromstring(intervals(text))
    assert {each.tag.removeprefix(SVG) for each in found.iter()} == {
        each.tag.removeprefix(SVG) for each in ET.fromstring(intervals()).iter()
    }


def test_points_stand_at_their_shares() -> None:
    picture = figures.curve_figure(
        {"a": [(10.0, share(0.0)), (20.0, share(1.0)), (30.0, share(None))]}, ("SNR", "accuracy, %"), "curve"
    )
    uses = [use for use in ET.fromstring(picture).iter(f"{SVG}use") if "data-1" in (use.get("fill") or "")]
    heights = {round(float(use.get("y", 0)), 1) for use in uses}
    assert len(heights) >= 2


def test_matrix_cells_show_share_and_n_and_the_first_rows_only() -> None:
    cells = [{"source": f"s{n:02d}", "target": "t", "n": n + 1, "success_top1": n / 40} for n in range(30)]
    cells.append({"source": "s00", "target": "u", "n": 3, "success_top1": None})
    found = texts(figures.matrix_figure(cells, ("source", "target"), ("from", "to"), "success_top1", "matrix"))
    assert {"s00", "s15", "n 1", "n 3", "–", "5%"} <= set(found)
    assert "s16" not in found


def test_moves_are_shares_of_their_row() -> None:
    cells = [{"before": "a", "after": "a", "n": 1}, {"before": "a", "after": "b", "n": 3}]
    found = texts(figures.matrix_figure(cells, ("before", "after"), ("before", "after"), "n", "moves"))
    assert {"25%", "75%"} <= set(found)


def test_ranks_before_and_after_are_drawn_and_unknown_ones_left_out() -> None:
    known = block(table({"source_id": "a", "target_rank_before": 200, "target_rank_after": 1}))
    unknown = {"target_rank_before": None, "target_rank_after": None, "result_top1": None, "result_top5": None}
    found = texts(
        figures.rank_figure({"known": known, "unknown": block(table({"source_id": "a", **unknown}))}, "ranks")
    )
    assert "known (1)" in found
    assert not any(each.startswith("unknown") for each in found)
