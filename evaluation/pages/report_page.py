"""The page of an evaluation: report.html, from metrics.json, examples.parquet and run.json.

Every figure comes from metrics.json or a row, with its interval and n. The same files give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from augment.counted import counted
from evaluation.dreams.originals import MissingSourceError, ReadSource
from evaluation.dreams.report_folder import Evaluation
from evaluation.metrics.kinship import OUTCOMES
from evaluation.pages import figures, page, players, report_tables
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Card, Cell, Column
from pipelines.dataset.reader import DatasetError

BEFORE_READING = "Before believing these figures"

_INTERVAL = "95 % intervals are drawn over source recordings (bootstrap)."


def evaluation_page(found: Evaluation, read_source: ReadSource, *more: Markup | None) -> str:
    """Return the page of one dataset.

    Args:
        found: the evaluation.
        read_source: reads originals that the dataset does not hold.
        more: sections to follow the first, such as a comparison of its recipes.
    """
    metrics = found.metrics
    lead = (
        f"{counted(metrics['n_examples'], 'dream')} of {counted(metrics['n_sources'], 'recording')}",
        ", classified by the judge ",
        name(metrics["judge"]),
        ". " + _INTERVAL,
    )
    return page.document(
        f"{found.name}: what dreaming did",
        element("header", element("h1", name(found.name), ": what dreaming did"), element("p", *lead, class_="lead")),
        join(page.notes(BEFORE_READING, metrics["warnings"])),
        page.headline(cards(metrics)),
        _success(metrics),
        *(each for each in more if each is not None),
        *_shifts(metrics),
        page.section("Some dreams, to listen to", *_chosen(found, read_source)),
        page.section("All groups", *report_tables.groups(metrics)),
        page.section("The dreams one by one", report_tables.listing(found.rows)),
        page.section("What was run", *_run(found)),
    )


def cards(metrics: Mapping[str, Any]) -> Iterator[Card]:
    """Give the headline figures of metrics.json."""
    for what, share in (
        ("target comes on top", metrics["success"]["top1"]),
        ("target comes into the top 5", metrics["success"]["top5"]),
        ("another class on top", metrics["top_changed"]),
        ("label stays in the top 5", metrics["label_kept"]),
    ):
        how = ", ".join(
            filter(None, (page.percent_ends(share), f"n {share['n']:,} of {counted(share['clips'], 'recording')}"))
        )
        yield Card(what, page.percent(share), how)
    ranks = metrics["target_rank"]
    medians = f"{page.number(ranks['before_median'])} → {page.number(ranks['after_median'])}"
    yield Card("median rank of the target", medians, f"{_rank_ends(ranks)}; n {sum(metrics['results'].values()):,}")
    snr = metrics["snr_db"]
    ends = "" if snr["low"] is None else f"{snr['low']:.1f} to {snr['high']:.1f}; "
    spread = f"p10 to p90 {page.number(snr['p10'], 1)} to {page.number(snr['p90'], 1)}; n {snr['n']:,}"
    same = f"; {snr['identical']:,} identical (∞ dB)" if snr["identical"] else ""
    yield Card("median SNR", f"{page.number(snr['median'], 1)} dB", ends + spread + same)
    n = metrics["fad_n"]
    yield Card(
        "Fréchet audio distance",
        page.number(metrics["fad"], 2),
        f"n {n['outputs']:,} patches of dreams, {n['originals']:,} of originals; no interval",
    )
    yield Card(
        "could not be evaluated", f"{metrics['n_failed']:,}", f"of {metrics['n_examples'] + metrics['n_failed']:,}"
    )


def _rank_ends(ranks: Mapping[str, Any]) -> str:
    parts = [
        f"{when} {ranks[f'{when}_low']:,.0f} to {ranks[f'{when}_high']:,.0f}"
        for when in ("before", "after")
        if ranks[f"{when}_low"] is not None
    ]
    return ", ".join(parts) or "no interval"


def _success(metrics: Mapping[str, Any]) -> Markup:
    by = metrics["by_recipe"]
    bands = {each if each == "identical" else f"{each} dB": block for each, block in metrics["by_budget"].items()}
    axis, shares = "targets reached, %", "Share of targets on top and in the top five"
    tradeoff = figures.curve_figure(
        {each: [_tradeoff(block)] for each, block in by.items()},
        ("median SNR, dB", "targets on top, %"),
        "Share of targets on top against the median SNR, by recipe, with intervals",
        joined=False,
    )
    pictures = [
        (success_figure(by, axis, f"{shares}, by recipe, with intervals"), first_of("Success by recipe, with n.", by)),
        (tradeoff, first_of("Success against SNR: a fainter change lies farther right. Intervals of both.", by)),
        (
            success_figure(bands, axis, f"{shares}, by measured SNR, with intervals"),
            "Success by measured SNR, of all recipes together, with n.",
        ),
    ]
    if any(block["target_rank"]["after_median"] is not None for block in by.values()):
        picture = figures.rank_figure(by, "Median rank of the target before and after, by recipe, with intervals")
        pictures.append((picture, first_of("The target's median rank, before and after, by recipe, with n.", by)))
    return page.section("Do dreams reach their targets?", page.figures(pictures))


def success_figure(groups: Mapping[str, Any], axis: str, description: str) -> Markup:
    """Draw success among the top 1 and top 5 for each group."""
    tops = {each: block["success"] for each, block in groups.items()}
    return figures.interval_figure(
        {each: {"on top": top["top1"], "in the top 5": top["top5"]} for each, top in tops.items()}, axis, description
    )


def _shifts(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    shifts, parts = metrics["shifts"], []
    if moves := shifts.get("category", {}).get("moves"):
        caption = "How the judge's top class moved between AudioSet's categories"
        titles = "top class before", "top class after"
        picture = figures.matrix_figure(moves, ("before", "after"), titles, "n", f"Heat map: {caption}")
        parts.append((picture, f"{caption}: shares of each row, with n."))
    for key, row in (("category", "top class before"), ("label", "label")):
        if targets := shifts.get(key, {}).get("targets"):
            caption = f"Targets on top, by {row} and the target's category, with n, without intervals."
            axes = row, "target"
            picture = figures.matrix_figure(targets, ("source", "target"), axes, "success_top1", f"Heat map: {caption}")
            parts.append((picture, caption + _too_many(targets)))
    tables = []
    if any(block["outcomes"] for block in metrics["by_recipe"].values()):
        columns = [Column("recipe", number=False), *map(Column, OUTCOMES)]
        rows = [[report_tables.text_cell(each), *_outcomes(block)] for each, block in metrics["by_recipe"].items()]
        tables.append(page.table("Kinship of the judge's top class to the target, by recipe.", columns, rows))
    if parts or tables:
        yield page.section("Which classes are predicted instead?", page.figures(parts) if parts else None, *tables)


def _outcomes(block: Mapping[str, Any]) -> list[Cell]:
    total = sum(block["outcomes"].values())
    counts = [block["outcomes"].get(each, 0) for each in OUTCOMES]
    return [Cell(f"{count}", count, f"{100 * count / total:.0f}\u00a0%" if total else "") for count in counts]


def _chosen(found: Evaluation, read_source: ReadSource) -> Iterator[Markup]:
    seed = 0
    chosen = players.choose(players.rank(found.rows), seed)
    yield element(
        "p",
        f"The best and the worst dreams, and some drawn from the middle fifth (seed {seed}), of different clips if "
        "there are enough. Best: the target is on top with the least change; worst: it is farthest from the top. "
        f"{players.SCALE}",
        class_="quiet",
    )
    missing: list[Markup] = []
    yield players.players(_pairs(found, chosen, read_source, missing))
    yield from missing


def _pairs(
    found: Evaluation, chosen: list[tuple[str, dict[str, Any]]], read_source: ReadSource, missing: list[Markup]
) -> Iterator[players.Pair]:
    for kind, row in chosen:
        try:
            sounds = players.read_pair(row, found.dataset, read_source)
        except (DatasetError, MissingSourceError) as error:
            missing.append(element("p", name(row["id"]), f" cannot be played: {error}", class_="quiet"))
            continue
        yield players.Pair(join(f"{kind}: ", name(row["id"])), _facts(row), *sounds)


def _facts(row: Mapping[str, Any]) -> dict[str, object]:
    tops = [join(name(row[f"top_{when}"][0]), f" ({row[f'top_{when}_scores'][0]:.2f})") for when in ("before", "after")]
    toward = "away from" if row["away"] else "toward"
    return {
        toward: join(name(row["target_name"]), f": rank {_rank(row, 'before')} → {_rank(row, 'after')}"),
        "top class": join(tops[0], " → ", tops[1]),
        "recipe": name(row["recipe"]),
        "SNR": f"{page.number_cell(row['snr_db'], 1).text} dB",
    }


def _rank(row: Mapping[str, Any], when: str) -> str:
    value = row[f"target_rank_{when}"]
    return page.NONE if value is None or math.isnan(value) else f"{value:.0f}"


def _run(found: Evaluation) -> Iterator[Markup]:
    metrics, run = found.metrics, found.dataset.run
    judge = metrics["judge_details"]
    same = "equal to the dreaming model" if judge["is_dreaming_model"] else "not the dreaming model (transfer)"
    yield page.facts(
        {
            "dataset": name(found.dataset.path),
            "dreamed": name(run.get("started", page.NONE)),
            "inputs": name(", ".join(map(str, run.get("inputs", [])))),
            "dreamed through": join(name(run["model"].get("name", "")), " ", element("code", run["model"]["identity"])),
            "judge": join(name(metrics["judge"]), f" ({judge['kind']}), {same}"),
            "judge's identity": element("code", judge["identity"]),
            "judge's input": f"{judge['sample_rate']:,} Hz; {judge['classes']:,} classes",
            "versions, evaluation": _versions(metrics["versions"]),
            "versions, dreaming": _versions(run.get("versions", {})),
        }
    )
    yield page.folded("Configuration of the run, with its recipes", page.json_block(run["config"]))


def _versions(versions: Mapping[str, Any]) -> Markup:
    return name(", ".join(f"{package} {version}" for package, version in versions.items()))


def _tradeoff(block: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    snr = block["snr_db"]
    return snr["median"], {**block["success"]["top1"], "x_low": snr["low"], "x_high": snr["high"]}


def first_of(text: str, groups: Mapping[str, Any]) -> str:
    """Return a caption that says how many of the groups are drawn."""
    return text if len(groups) <= figures.MOST else f"{text} The first {figures.MOST} of {len(groups)}."


def _too_many(cells: list[dict[str, Any]]) -> str:
    most = max(len({cell[key] for cell in cells}) for key in ("source", "target"))
    return f" The first {figures.MOST} of {most}." if most > figures.MOST else ""
