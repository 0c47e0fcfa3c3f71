"""The page that compares datasets or recipes, from comparison.json's content (`evaluation.dreams.compare`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from augment.counted import counted
from evaluation.dreams.compare import SHARES
from evaluation.dreams.measures import MEASURES
from evaluation.dreams.report_folder import Evaluation
from evaluation.pages import page
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Cell, Column
from evaluation.pages.report_page import BEFORE_READING, first_of, success_figure
from evaluation.pages.report_tables import COLUMNS, group_cells

MOST_PAIRS = 200
"""Most pairs in a table; comparison.json has all."""


def comparison_page(evaluations: Sequence[Evaluation], comparison: Mapping[str, Any]) -> str:
    """Return the page of several datasets, with links to their own."""
    title = "Side by side: " + ", ".join(each.name for each in evaluations)
    links = element("ul", *(element("li", _link(each), ": ", *_counts(each.metrics)) for each in evaluations))
    warnings = [join(name(each.name), f": {text}") for each in evaluations for text in each.metrics["warnings"]]
    return page.document(
        title,
        element(
            "header",
            element("h1", "Side by side"),
            element("p", "The effect of dreaming in each dataset; each has its own report:", class_="lead"),
            links,
        ),
        join(page.notes(BEFORE_READING, warnings)),
        _entries(comparison),
        page.section("Pair by pair", *_pairs(comparison["pairs"])),
    )


def recipes_section(comparison: Mapping[str, Any]) -> Markup:
    """Return the comparison of one dataset's recipes, pair by pair, as a section of its page."""
    return page.section("Recipes side by side", *_pairs(comparison["pairs"]))


def _entries(comparison: Mapping[str, Any]) -> Markup:
    entries = {each["name"]: each for each in comparison["entries"]}
    columns = [Column("dataset or recipe", number=False), *map(Column, COLUMNS)]
    rows = [[Cell(name(each), each), *group_cells(block)] for each, block in entries.items()]
    description = "Share of targets on top and in the top five, with intervals"
    picture = success_figure(entries, "targets reached, %", description)
    return page.section(
        "Each by itself",
        page.figures([(picture, first_of("Success, with n.", entries))]),
        page.table("In parentheses the interval and n.", columns, rows),
    )


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    yield element(
        "p",
        "Differences are paired: over the clips and targets that both have (or over clips, if no target is shared). "
        "Their 95 % intervals are drawn over recordings. A difference whose interval includes 0 may be chance.",
        class_="quiet",
    )
    rest = "" if len(pairs) <= MOST_PAIRS else f" The first {MOST_PAIRS} of {len(pairs)}; all are in comparison.json."
    counts = ("pairs", "recordings", "matched by")
    numbers = {name: measure.title for name, measure in MEASURES.items() if measure.compared}
    for measures, what, heads in ((SHARES, "Shares, in points.", counts), (numbers, "Distances and SNR.", ())):
        columns = [Column("b minus a", number=False), *(Column(each, each != "matched by") for each in heads)]
        rows = [
            [
                _names(pair),
                *(_counts_of(pair) if heads else ()),
                *(_difference(pair["measures"][key], key) for key in measures),
            ]
            for pair in pairs[:MOST_PAIRS]
        ]
        caption = f"{what} In parentheses the interval and n.{rest}"
        yield page.table(caption, [*columns, *map(Column, measures.values())], rows)


def _names(pair: Mapping[str, Any]) -> Cell:
    return Cell(join(name(pair["b"]), " minus ", name(pair["a"])), f"{pair['b']} minus {pair['a']}")


def _counts_of(pair: Mapping[str, Any]) -> list[Cell]:
    matched = "clip and target" if len(pair["matched_by"]) > 1 else "clip"
    return [*(Cell(pair[key], pair[key]) for key in ("shared_units", "shared_sources")), Cell(matched, matched)]


def _difference(found: Mapping[str, Any], key: str) -> Cell:
    scale, digits = (100, 1) if key in SHARES else (1, MEASURES[key].digits)
    if found["difference"] is None:
        return Cell(page.NONE)
    value, low, high = (
        None if found[end] is None else f"{scale * found[end]:+.{digits}f}".replace("-", page.MINUS)
        for end in ("difference", "low", "high")
    )
    ends = f"n {found['n']}" if low is None else f"{low} to {high}, n {found['n']}"
    return Cell(value, found["difference"], ends)


def _link(found: Evaluation) -> Markup:
    return element("a", name(found.name), href=f"./{quote(found.name)}/report.html")


def _counts(metrics: Mapping[str, Any]) -> tuple[object, ...]:
    counts = f"{counted(metrics['n_examples'], 'dream')} of {counted(metrics['n_sources'], 'recording')}"
    return counts, ", classified by the judge ", name(metrics["judge"])
