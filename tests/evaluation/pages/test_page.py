"""Pages: what the policy allows, and blocks that show their figures with interval and n."""

from __future__ import annotations

import base64
import hashlib
import re

from html_reader import HOSTILE, Reader

from evaluation.pages import page
from evaluation.pages.page import Card, Cell, Column


def test_the_policy_names_style_and_script_by_their_hash_and_allows_nothing_to_be_fetched() -> None:
    found = page.document("title", page.section("heading"))
    policy = next(attributes["content"] for _, attributes in Reader(found).elements if "http-equiv" in attributes)
    allowed = dict(part.split(" ", 1) for part in (policy or "").split("; "))
    assert allowed["default-src"] == "'none'"
    assert {allowed["img-src"], allowed["media-src"]} == {"data:"}
    for tag, key in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", found, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert allowed[key] == f"'sha256-{digest}'"


def test_titles_captions_and_cells_from_outside_stay_text() -> None:
    plain = _all_blocks("x")
    for text in HOSTILE:
        assert [tag for tag, _ in Reader(_all_blocks(text)).elements] == [tag for tag, _ in Reader(plain).elements]


def _all_blocks(text: str) -> str:
    rows = [[Cell(text, text), Cell(text, 1.0, text)]]
    return page.document(
        text,
        page.headline([Card(text, text, text)]),
        page.section(text, page.table(text, [Column(text, number=False), Column(text)], rows)),
        page.figures([(page.facts({text: text}), text)]),
        page.notes(text, [text]),
        page.folded(text, text),
    )


def test_a_dollar_sign_is_no_placeholder() -> None:
    assert "$title ${body} $$" in page.document("t", page.section("$title ${body} $$"))


def test_shares_show_value_interval_and_n_and_what_cannot_be_said_a_dash() -> None:
    share = {"value": 0.123, "low": 0.05, "high": 0.2, "n": 40, "clips": 20}
    assert page.percent_cell(share) == Cell("12.3\u00a0%", 0.123, "5 to 20\u00a0%, n 40")
    assert page.percent_cell({**share, "low": None, "high": None}).ends == "n 40"
    assert page.percent_cell({**share, "value": None}) == Cell("–")


def test_infinite_figures_are_shown_as_such_and_sort() -> None:
    assert page.number_cell(float("inf")) == Cell("∞", float("inf"))
    assert page.number_cell(float("-inf")).text == "\u2212∞"
    assert page.number_cell(float("nan")) == page.number_cell(None) == Cell("–")
    assert page.number_cell(-1234.56, 1).text == "\u22121,234.6"


def test_cells_say_what_they_are_sorted_by() -> None:
    rows = [[Cell("x", "x"), Cell("1.0 %", 0.01)], [Cell("y"), Cell("–")], [Cell("z"), Cell("∞", float("inf"))]]
    found = Reader(page.table("", [Column("a", number=False), Column("b")], rows))
    cells = [attributes for tag, attributes in found.elements if tag == "td"]
    assert [each.get("data-value") for each in cells] == ["x", "0.01", None, "", None, "Infinity"]


def test_nothing_to_note_is_no_block() -> None:
    assert page.notes("title", []) is None
