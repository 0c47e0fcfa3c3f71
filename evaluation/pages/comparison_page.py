"""The page that sets datasets or recipes side by side, from comparison.json's content (`evaluation.dreams.compare`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from augment.counted import counted
from evaluation.dreams.evaluated import Evaluation
from evaluation.pages import figures, page
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Cell, Column
from evaluation.pages.report_page import BEFORE_READING
from evaluation.pages.report_tables import COLUMNS, group_cells

MOST_PAIRS = 200
"""So many pairs are shown; all of them are in comparison.json."""

SHARES = {
    "success_top1": "target on top",
    "success_top5": "target in the top 5",
    "top_changed": "another class on top",
    "label_kept": "label stays in the top 5",
}
"""Measures that are shares, as they are called in the page; their differences are shown in points."""

NUMBERS = {
    "snr_db": ("SNR, dB", 1),
    "segmental_snr_db": ("segmental SNR, dB", 1),
    "log_spectral_distance_db": ("log-spectral distance, dB", 1),
    "js_divergence": ("JS divergence, bits", 3),
    "embedding_distance": ("embedding distance", 3),
}
"""The other measures, with the digits that are shown of them."""


def comparison_page(evaluations: Sequence[Evaluation], comparison: Mapping[str, Any]) -> str:
    """Return the page of several datasets, with links to their own."""
    title = "Side by side: " + ", ".join(each.name for each in evaluations)
    links = element("ul", *(element("li", _link(each), ": ", *_counts(each.metrics)) for each in evaluations))
    told = [join(name(each.name), f": {warning}") for each in evaluations for warning in each.metrics["warnings"]]
    return page.document(
        title,
        element(
            "header",
            element("h1", "Side by side"),
            element("p", "What dreaming did in each of these datasets; each has a report of its own:", class_="lead"),
            links,
        ),
        join(page.notes(BEFORE_READING, told)),
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
    told = "" if len(entries) <= figures.MOST else f" The first {figures.MOST} of {len(entries)}."
    picture = figures.interval_figure(
        {
            each: {"on top": block["success"]["top1"], "in the top 5": block["success"]["top5"]}
            for each, block in entries.items()
        },
        "targets that came up, %",
        "Share of targets that came on top and into the top five, with intervals",
    )
    return page.section(
        "Each by itself",
        page.figures([(picture, f"Success. In parentheses: n.{told}")]),
        page.table("In parentheses the interval and n.", columns, rows),
    )


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    yield element(
        "p",
        "Differences are taken over the clips and targets that two have in common (or the clips alone, where no target "
        "is shared), and their 95 % intervals over recordings: what is common to both, such as how hard a clip is, "
        "falls out. A difference whose interval holds 0 may be chance.",
        class_="quiet",
    )
    told = "" if len(pairs) <= MOST_PAIRS else f" The first {MOST_PAIRS} of {len(pairs)}; all are in comparison.json."
    counts = ("pairs", "recordings", "matched by")
    for measures, what, heads in ((SHARES, "Shares, in points.", counts), (NUMBERS, "Distances and SNR.", ())):
        titles = [title if isinstance(title, str) else title[0] for title in measures.values()]
        columns = [Column("b minus a", number=False), *(Column(each, each != "matched by") for each in heads)]
        rows = [
            [
                _names(pair),
                *(_counts_of(pair) if heads else ()),
                *(_difference(pair["measures"][key], key) for key in measures),
            ]
            for pair in pairs[:MOST_PAIRS]
        ]
        caption = f"{what} In parentheses the interval and n.{told}"
        yield page.table(caption, [*columns, *map(Column, titles)], rows)


def _names(pair: Mapping[str, Any]) -> Cell:
    return Cell(join(name(pair["b"]), " minus ", name(pair["a"])), f"{pair['b']} minus {pair['a']}")


def _counts_of(pair: Mapping[str, Any]) -> list[Cell]:
    matched = "clip and target" if len(pair["matched_by"]) > 1 else "clip"
    return [*(Cell(pair[key], pair[key]) for key in ("shared_units", "shared_sources")), Cell(matched, matched)]


def _difference(found: Mapping[str, Any], key: str) -> Cell:
    scale, digits = (100, 1) if key in SHARES else (1, NUMBERS[key][1])
    if found["difference"] is None:
        return Cell(page.NONE)
    value, low, high = (
        None if found[key] is None else f"{scale * found[key]:+.{digits}f}".replace("-", page.MINUS)
        for key in ("difference", "low", "high")
    )
    ends = f"n {found['n']}" if low is None else f"{low} to {high}, n {found['n']}"
    return Cell(value, found["difference"], ends)


def _link(found: Evaluation) -> Markup:
    return element("a", name(found.name), href=f"./{quote(found.name)}/report.html")


def _counts(metrics: Mapping[str, Any]) -> tuple[object, ...]:
    told = f"{counted(metrics['n_examples'], 'dream')} of {counted(metrics['n_sources'], 'recording')}"
    return told, ", heard by the judge ", name(metrics["judge"])
