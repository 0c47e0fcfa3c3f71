"""Pages: one self-contained HTML file made of blocks.

A page is a title and blocks of `evaluation.pages.markup`: `section`, `headline` (cards), `table` (its columns sort),
`figures`, `notes` (what to know before believing the figures), `facts`, `folded`. `document` puts them into a file that
opens offline: style and script are inline and named by their hash in the page's Content-Security-Policy, which lets
nothing else run and nothing be fetched; pictures and sounds are ``data:`` URIs. The policy forbids style attributes,
too: blocks have classes only (data/page.css).

A share is shown as metrics.json has it, ``{value, low, high, n}``; nothing is computed here but its wording.
"""

from __future__ import annotations

import base64
import hashlib
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from evaluation.pages.markup import Markup, element, escape

NONE = "–"
"""What is shown where there is nothing to measure."""

MINUS = "\u2212"


@dataclass(frozen=True)
class Card:
    """One headline figure.

    Attributes:
        what: it is.
        value: as it is shown.
        how: interval, n and the like, small below it.
    """

    what: str
    value: str
    how: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: shown.
        order: what it is sorted by: a number in a column of numbers (None comes last), else the text.
        ends: interval or n, small behind the text.
    """

    text: object
    order: float | str | None = None
    ends: str = ""


@dataclass(frozen=True)
class Column:
    """A column's head.

    Attributes:
        title: shown.
        number: its cells are numbers.
    """

    title: str
    number: bool = True


def document(title: str, *blocks: object) -> str:
    """Return the file's text.

    Args:
        title: of the window; text.
        blocks: markup, or text that is escaped.
    """
    style, script = _part("page.css"), _part("page.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            "media-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    body = "\n".join(escape(block) for block in blocks)
    frame = string.Template(_part("page.html"))
    return frame.substitute(title=escape(title), policy=policy, style=style, script=script, body=body)


def section(title: object, *blocks: object) -> Markup:
    """Return blocks under a heading."""
    return element("section", element("h2", title), *blocks)


def headline(cards: Iterable[Card]) -> Markup:
    """Return the headline figures."""
    parts = (("value", "value"), ("what", "what"), ("how", "how"))
    return element(
        "ul",
        *(
            element("li", *(element("span", getattr(card, field), class_=class_) for field, class_ in parts))
            for card in cards
        ),
        class_="cards",
    )


def table(caption: object, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Markup:
    """Return a table whose columns sort; it scrolls by itself where it is wider than the page."""
    kinds = ["number" if column.number else None for column in columns]
    heads = (element("th", column.title, class_=kind, scope="col") for column, kind in zip(columns, kinds, strict=True))
    lines = (element("tr", *(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows)
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *lines),
        class_="sorts",
    )
    return element("div", whole, class_="scrolls", tabindex="0")


def figures(pictures: Iterable[tuple[Markup, object]]) -> Markup:
    """Return pictures, each with its caption."""
    return element(
        "div",
        *(element("figure", picture, element("figcaption", caption)) for picture, caption in pictures),
        class_="figures",
    )


def notes(title: str, texts: Sequence[object]) -> Markup | None:
    """Return what to know before believing the figures; None if there is nothing."""
    if not texts:
        return None
    listed = element("ul", *(element("li", text) for text in texts))
    return element("aside", element("h3", title), listed, class_="notes", aria_label=title)


def facts(pairs: Mapping[str, object]) -> Markup:
    """Return what is what, line by line."""
    lines = (element("div", element("dt", key), element("dd", value)) for key, value in pairs.items())
    return element("dl", *lines)


def folded(title: object, *blocks: object) -> Markup:
    """Return blocks that are shown on demand, and not printed unless they are open."""
    return element("details", element("summary", title), *blocks)


def percent(share: Mapping[str, Any]) -> str:
    """Word a share, without its interval."""
    return NONE if share["value"] is None else f"{100 * share['value']:.1f}\u00a0%"


def percent_ends(share: Mapping[str, Any]) -> str:
    """Word a share's interval; empty where there is none."""
    return "" if share.get("low") is None else f"{100 * share['low']:.0f} to {100 * share['high']:.0f}\u00a0%"


def percent_cell(share: Mapping[str, Any]) -> Cell:
    """Return the cell of a share: its value, interval and n."""
    if share["value"] is None:
        return Cell(NONE)
    return Cell(percent(share), share["value"], ", ".join(filter(None, (percent_ends(share), f"n {share['n']}"))))


def number(value: float | None, digits: int = 0) -> str:
    """Word a number."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def number_cell(value: float | None, digits: int = 0, ends: str = "") -> Cell:
    """Return the cell of a number; infinities are shown as such and sort as they are."""
    if value is None or math.isnan(value):
        return Cell(NONE)
    if math.isinf(value):
        return Cell("∞" if value > 0 else f"{MINUS}∞", value, ends)
    return Cell(number(value, digits), value, ends)


def _cell(cell: Cell, kind: str | None) -> Markup:
    order = "" if kind and cell.order is None else cell.order
    if isinstance(order, float) and math.isinf(order):
        order = "Infinity" if order > 0 else "-Infinity"  # as the script reads it
    ends = cell.ends.replace(" ", "\u00a0").replace(",\u00a0", ", ")  # lines break between interval and n only
    small = element("span", f" ({ends})", class_="ends") if cell.ends else None
    return element("td", cell.text, small, class_=kind, data_value=order)


def _part(file: str) -> str:
    return (resources.files("evaluation") / "data" / file).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
