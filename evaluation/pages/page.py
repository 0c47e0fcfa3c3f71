"""Pages: one self-contained HTML file made of blocks.

A page is a title and blocks of `evaluation.pages.markup`: `section`, `headline` (cards), `table` (sortable),
`figures`, `notes` (warnings), `facts`, `folded`. `document` puts them into a file that opens offline. The page's
Content-Security-Policy names the inline style and script by their hash, and allows nothing else to run or be fetched;
pictures and sounds are ``data:`` URIs. It forbids style attributes: blocks have classes (data/page.css).

Shares have the form of metrics.json, ``{value, low, high, n}``; pages only format them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from evaluation.pages.markup import Markup, element, escape, name

NONE = "–"
"""Stands for a missing figure."""

MINUS = "\u2212"


@dataclass(frozen=True)
class Card:
    """One headline figure: its name, its value as text, and interval, n and the like in small print."""

    what: str
    value: str
    how: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its content, its sort key (None comes last), and its interval or n in small print."""

    text: object
    order: float | str | None = None
    ends: str = ""


@dataclass(frozen=True)
class Column:
    """The head of a column of numbers, or of text."""

    title: str
    number: bool = True


def document(title: str, *blocks: object) -> str:
    """Return the file's text, from the window's title and blocks of markup."""
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
    items = (
        element("li", *(element("span", getattr(card, part), class_=part) for part in ("value", "what", "how")))
        for card in cards
    )
    return element("ul", *items, class_="cards")


def table(caption: object, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Markup:
    """Return a sortable table, which scrolls if it is wider than the page."""
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
    drawn = (element("figure", picture, element("figcaption", caption)) for picture, caption in pictures)
    return element("div", *drawn, class_="figures")


def notes(title: str, texts: Sequence[object]) -> Markup | None:
    """Return warnings under a title; None if there are none."""
    if not texts:
        return None
    listed = element("ul", *(element("li", text) for text in texts))
    return element("aside", element("h3", title), listed, class_="notes", aria_label=title)


def facts(pairs: Mapping[str, object]) -> Markup:
    """Return a list of names and values."""
    return element("dl", *(element("div", element("dt", key), element("dd", value)) for key, value in pairs.items()))


def folded(title: object, *blocks: object) -> Markup:
    """Return blocks that open on demand, and are printed only when open."""
    return element("details", element("summary", title), *blocks)


def json_block(value: object) -> Markup:
    """Return a value as indented JSON, each line isolated."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).splitlines()
    return element("pre", Markup("\n".join(name(line) for line in lines)))


def percent(share: Mapping[str, Any]) -> str:
    """Format a share, without its interval."""
    return NONE if share["value"] is None else f"{100 * share['value']:.1f}\u00a0%"


def percent_ends(share: Mapping[str, Any]) -> str:
    """Format a share's interval; empty without one."""
    return "" if share.get("low") is None else f"{100 * share['low']:.0f} to {100 * share['high']:.0f}\u00a0%"


def percent_cell(share: Mapping[str, Any]) -> Cell:
    """Return the cell of a share: its value, interval and n."""
    if share["value"] is None:
        return Cell(NONE)
    return Cell(percent(share), share["value"], ", ".join(filter(None, (percent_ends(share), f"n {share['n']}"))))


def number(value: float | None, digits: int = 0) -> str:
    """Format a number."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def number_cell(value: float | None, digits: int = 0, ends: str = "") -> Cell:
    """Return the cell of a number, which may be infinite."""
    if value is None or math.isnan(value):
        return Cell(NONE)
    if math.isinf(value):
        return Cell("∞" if value > 0 else f"{MINUS}∞", value, ends)
    return Cell(number(value, digits), value, ends)


def _cell(cell: Cell, kind: str | None) -> Markup:
    order = "" if kind and cell.order is None else cell.order
    if isinstance(order, float) and math.isinf(order):
        order = "Infinity" if order > 0 else "-Infinity"  # JavaScript's spelling
    ends = cell.ends.replace(" ", "\u00a0").replace(",\u00a0", ", ")  # breaks between interval and n only
    small = element("span", f" ({ends})", class_="ends") if cell.ends else None
    return element("td", cell.text, small, class_=kind, data_value=order)


def _part(file: str) -> str:
    return (resources.files("evaluation") / "data" / file).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
