"""The page of an evaluation: report.html, from what is in metrics.json, examples.parquet and run.json.

Blocks are those of `evaluation.pages.page`, `evaluation.pages.figures` and `evaluation.pages.players`; every figure is
one of metrics.json's or of a row, with its interval and n as they stand there. The same files give the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from augment.counted import counted
from evaluation.dreams.evaluated import Evaluation
from evaluation.dreams.originals import DatasetError, MissingSourceError, ReadSource
from evaluation.metrics.kinship import OUTCOMES
from evaluation.pages import figures, page, players, report_tables
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Card, Cell, Column

BEFORE_READING = "Before believing these figures"

_INTERVAL = "95 % intervals are drawn over source recordings (bootstrap)."


def evaluation_page(found: Evaluation, read_source: ReadSource, *more: Markup | None) -> str:
    """Return the page of one dataset.

    Args:
        found: what came out.
        read_source: reads originals that the dataset does not hold.
        more: sections that come after that on success, such as a comparison of its recipes.
    """
    metrics = found.metrics
    lead = (
        f"{counted(metrics['n_examples'], 'dream')} of {counted(metrics['n_sources'], 'recording')}",
        ", heard by the judge ",
        name(metrics["judge"]),
        ". " + _INTERVAL,
    )
    return page.document(
        f"{found.name}: what dreaming did",
        element("header", element("h1", name(found.name), ": what dreaming did"), element("p", *lead, class_="lead")),
        join(page.notes(BEFORE_READING, metrics["warnings"])),
        page.headline(cards(metrics)),
        *_success(metrics),
        *(each for each in more if each is not None),
        *_shifts(metrics),
        page.section("Hear and see a few", *_chosen(found, read_source)),
        page.section("All groups", *report_tables.groups(metrics)),
        page.section("The dreams one by one", *report_tables.listing(found.rows)),
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
    told = f"{page.number(ranks['before_median'])} → {page.number(ranks['after_median'])}"
    yield Card("median rank of the target", told, f"{_rank_ends(ranks)}; n {sum(metrics['results'].values()):,}")
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


def _success(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    by = metrics["by_recipe"]
    pictures = [
        (
            figures.interval_figure(
                {each: _tops(block) for each, block in by.items()},
                "targets that came up, %",
                "Share of targets that came on top and into the top five, by recipe, with intervals",
            ),
            _caption("Success by recipe. In parentheses: n.", by),
        ),
        (
            figures.curve_figure(
                {each: [_tradeoff(block)] for each, block in by.items()},
                ("median SNR, dB", "targets that came on top, %"),
                "Share of targets that came on top against the median SNR, by recipe, with intervals",
                joined=False,
            ),
            _caption("How much it takes: to the right the change is fainter. Intervals of both.", by),
        ),
        (
            figures.interval_figure(
                {_band(each): _tops(block) for each, block in metrics["by_budget"].items()},
                "targets that came up, %",
                "Share of targets that came on top and into the top five, by measured SNR, with intervals",
            ),
            "Success by the SNR that was measured, of all recipes together. In parentheses: n.",
        ),
    ]
    if any(block["target_rank"]["after_median"] is not None for block in by.values()):
        told = "The target's median rank, before and after, by recipe. In parentheses: n."
        picture = figures.rank_figure(by, "Median rank of the target before and after, by recipe, with intervals")
        pictures.append((picture, _caption(told, by)))
    yield page.section("Do dreams reach their targets?", page.figures(pictures))


def _shifts(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    shifts, parts = metrics["shifts"], []
    if shifts.get("category", {}).get("moves"):
        parts.append(
            (
                figures.matrix_figure(
                    shifts["category"]["moves"],
                    ("before", "after"),
                    ("top class before", "top class after"),
                    "n",
                    "Heat map: where the judge's top class went, by AudioSet's categories",
                ),
                "Where the judge's top class went, by AudioSet's categories: shares of each row, with n.",
            )
        )
    for key, row in (("category", "top class before"), ("label", "label")):
        if shifts.get(key, {}).get("targets"):
            told = f"Targets that came on top, by {row} and the target's category, with n, without intervals."
            picture = figures.matrix_figure(
                shifts[key]["targets"], ("source", "target"), (row, "target"), "success_top1", f"Heat map: {told}"
            )
            parts.append((picture, told + _too_many(shifts[key]["targets"])))
    tables = []
    if any(block["outcomes"] for block in metrics["by_recipe"].values()):
        columns = [Column("recipe", number=False), *map(Column, OUTCOMES)]
        rows = [[report_tables.cell_of(each), *_outcomes(block)] for each, block in metrics["by_recipe"].items()]
        tables.append(page.table("What the judge's top class is to the target, by recipe.", columns, rows))
    if parts or tables:
        yield page.section("What is heard instead?", page.figures(parts) if parts else None, *tables)


def _outcomes(block: Mapping[str, Any]) -> list[Cell]:
    total = sum(block["outcomes"].values())
    counts = [block["outcomes"].get(each, 0) for each in OUTCOMES]
    return [Cell(f"{count}", count, f"{100 * count / total:.0f}\u00a0%" if total else "") for count in counts]


def _chosen(found: Evaluation, read_source: ReadSource) -> Iterator[Markup]:
    seed = 0
    chosen = players.choose(players.rank(found.rows), seed)
    yield element(
        "p",
        "The best and the worst dreams, and some drawn from the middle fifth "
        f"(seed {seed}), of different clips where there are enough. Best: the target came on top with the least "
        "change; worst: it stayed farthest from the top. Spectrograms of a pair share one scale, of 80 dB below its "
        "loudest bin.",
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
    heard = [
        join(name(row[f"top_{when}"][0]), f" ({row[f'top_{when}_scores'][0]:.2f})") for when in ("before", "after")
    ]
    toward = "away from" if row["away"] else "toward"
    return {
        toward: join(name(row["target_name"]), f": rank {_rank(row, 'before')} → {_rank(row, 'after')}"),
        "heard": join(heard[0], " → ", heard[1]),
        "recipe": name(row["recipe"]),
        "SNR": f"{page.number_cell(row['snr_db'], 1).text} dB",
    }


def _rank(row: Mapping[str, Any], when: str) -> str:
    value = row[f"target_rank_{when}"]
    return page.NONE if value is None or math.isnan(value) else f"{value:.0f}"


def _run(found: Evaluation) -> Iterator[Markup]:
    metrics, run = found.metrics, _read_run(found.dataset.path)
    judge = metrics["judge_details"]
    same = "the dreaming model itself" if judge["is_dreaming_model"] else "another than the dreaming model (transfer)"
    yield page.facts(
        {
            "dataset": name(found.dataset.path),
            "dreamed": name(run.get("started", page.NONE)),
            "inputs": name(", ".join(map(str, run.get("inputs", [])))),
            "dreamed through": join(name(run["model"].get("name", "")), " ", element("code", run["model"]["identity"])),
            "judge": join(name(metrics["judge"]), f" ({judge['kind']}), {same}"),
            "judge's identity": element("code", judge["identity"]),
            "judge hears": f"{judge['sample_rate']:,} Hz, {judge['classes']:,} classes",
            "versions, evaluation": _versions(metrics["versions"]),
            "versions, dreaming": _versions(run.get("versions", {})),
        }
    )
    config = json.dumps(run["config"], indent=2, ensure_ascii=False)
    lines = Markup("\n".join(name(line) for line in config.splitlines()))
    yield page.folded("Configuration of the run, with its recipes", element("pre", lines))


def _versions(versions: Mapping[str, Any]) -> Markup:
    return name(", ".join(f"{package} {version}" for package, version in versions.items()))


def _read_run(dataset: str) -> dict[str, Any]:
    return json.loads((Path(dataset) / "run.json").read_text(encoding="utf-8"))


def _tops(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"on top": block["success"]["top1"], "in the top 5": block["success"]["top5"]}


def _tradeoff(block: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    snr = block["snr_db"]
    return snr["median"], {**block["success"]["top1"], "x_low": snr["low"], "x_high": snr["high"]}


def _band(name_: str) -> str:
    return name_ if name_ == "identical" else f"{name_} dB"


def _caption(text: str, groups: Mapping[str, Any]) -> str:
    return text if len(groups) <= figures.MOST else f"{text} The first {figures.MOST} of {len(groups)}."


def _too_many(cells: list[dict[str, Any]]) -> str:
    most = max(len({cell[key] for cell in cells}) for key in ("source", "target"))
    return f" The first {figures.MOST} of {most}." if most > figures.MOST else ""
