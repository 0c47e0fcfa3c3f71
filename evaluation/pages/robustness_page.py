"""The page of a robustness report: report.html, from metrics.json and the sounds of the worst clips.

Every figure comes from metrics.json, with its interval and n. The same files give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from augment.counted import counted
from evaluation.dreams.dream_evaluator import Failed
from evaluation.pages import figures, page, players
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Card, Cell, Column
from evaluation.pages.report_page import BEFORE_READING
from evaluation.robustness.attacks import JUDGE, YAMNET
from evaluation.robustness.curve_files import METRICS
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_metrics import main_dream
from evaluation.robustness.trust import CHECKS
from evaluation.robustness.worst_clips import Remade

_NOTHING = {"value": None, "low": None, "high": None, "n": 0}


def robustness_page(metrics: Mapping[str, Any], worst: Iterable[Remade | Failed], command: str) -> str:
    """Return the page.

    Args:
        metrics: content of metrics.json.
        worst: the worst clips, one in memory at a time.
        command: the command line.
    """
    what, judge = METRICS[metrics["metric"]], metrics["judge"]
    lead = (
        "Every clip is changed in several ways, each at the same signal-to-noise ratios (SNR), and re-classified by ",
        name(judge),
        ". Dreams are gradient ascent toward a wrong class; controls use no gradient.",
        " 95 % intervals are drawn over source recordings (bootstrap).",
    )
    return page.document(
        f"{judge}: robustness",
        element("header", element("h1", name(judge), ": robustness"), element("p", *lead, class_="lead")),
        join(page.notes(BEFORE_READING, metrics["warnings"])),
        page.headline(_cards(metrics)),
        page.section(f"{what.capitalize()} against SNR", *_curves(metrics)),
        page.section("Is this report to be trusted?", _checks(metrics)),
        page.section("Class by class", *_classes(metrics)),
        page.section("The worst clips, to listen to", *_worst(metrics, worst)),
        page.section("What was run", *_run(metrics, command)),
    )


def _cards(metrics: Mapping[str, Any]) -> Iterator[Card]:
    clean, doubts = metrics["clean"], sum(map(len, metrics["checks"].values()))
    n = f"n {counted(clean['n'], 'clip')} of {counted(clean['sources'], 'recording')}"
    yield Card(
        f"{METRICS[metrics['metric']]}, unchanged",
        page.percent(clean),
        ", ".join(filter(None, (page.percent_ends(clean), n))),
    )
    passed = f"all {len(CHECKS)} checks passed"
    yield Card("trusted", "no" if doubts else "yes", f"{counted(doubts, 'reason')}, above" if doubts else passed)
    for key in _headline_perturbations(metrics):
        own = [point for point in metrics["curve"] if point["perturbation"] == key]
        last = min(own, key=lambda point: point["snr_db"])
        ends = page.percent_ends(_share(last))
        left = f"{page.percent(_share(last))} left at {last['snr_db']:g} dB{f' ({ends})' if ends else ''}"
        yield Card(f"halved by: {PERTURBATIONS[key].title}", _halved(metrics, key), f"{left}, n {last['n']:,}")
    yield Card("could not be used", f"{metrics['n_failed']:,}", f"beside {counted(metrics['n_clips'], 'usable clip')}")


def _headline_perturbations(metrics: Mapping[str, Any]) -> list[str]:
    """Return the main dream, and the strongest transfer and control at the largest change."""
    order = list(metrics["halving"])
    main = main_dream(order)
    last = {point["perturbation"]: point["accuracy"] for point in metrics["curve"]}  # the largest change comes last
    found = [] if main is None else [main]
    kinds = (
        [key for key in order if PERTURBATIONS[key].through == YAMNET and key != main],
        [key for key in order if not PERTURBATIONS[key].through],
    )
    for keys in kinds:
        known = [key for key in keys if last[key] is not None]
        found += [min(known, key=lambda key: last[key])] if known else []
    return found


def _curves(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    what, order = METRICS[metrics["metric"]], list(metrics["halving"])
    main, budgets = main_dream(order), _budgets(metrics["curve"])
    dreams = [key for key in order if PERTURBATIONS[key].through]
    controls = [key for key in order if not PERTURBATIONS[key].through]
    pictures = []
    for keys, caption in (
        (dreams, "Dreams. The change grows to the right; bars are intervals."),
        ([*([main] if main and controls else []), *controls], "Controls at the same SNR, next to the first dream."),
    ):
        if keys:
            picture = figures.curve_figure(
                {PERTURBATIONS[key].title: _points(metrics, key) for key in keys},
                ("SNR of the sound against the change, dB", f"{what}, %"),
                f"{what} against SNR, with intervals: {', '.join(PERTURBATIONS[key].title for key in keys)}",
                level=("unchanged", metrics["clean"]),
                apart=-(max(budgets, default=0) - min(budgets, default=0)) / 100,
                falling=True,
            )
            pictures.append((picture, caption))
    yield page.figures(pictures)
    columns = [Column("change", number=False), *_snr_columns(budgets), Column("halved at")]
    rows = [
        [Cell(PERTURBATIONS[key].title, key), *_line(metrics["curve"], key, budgets), _halved_cell(metrics, key)]
        for key in order
    ]
    yield page.table(f"{what.capitalize()} by SNR; in parentheses the interval and n.", columns, rows)
    yield element(
        "p",
        f"Halved at: the SNR that leaves half of the {what} on unchanged clips, linear between budgets. A lower SNR "
        "means more robust.",
        class_="quiet",
    )
    descriptions = {PERTURBATIONS[key].title: _summary(PERTURBATIONS[key].change) for key in order}
    yield page.folded("The changes", page.facts(descriptions))
    if metrics["reached"]:
        yield page.folded("How often targeted dreams reach their target", _reached(metrics["reached"]))


def _reached(points: Sequence[Mapping[str, Any]]) -> Markup:
    budgets = _budgets(points)
    own = {(point["perturbation"], point["snr_db"]): point for point in points}
    rows = [
        [Cell(PERTURBATIONS[key].title, key), *(page.percent_cell(own.get((key, snr), _NOTHING)) for snr in budgets)]
        for key in dict.fromkeys(point["perturbation"] for point in points)
    ]
    columns = [Column("dream", number=False), *_snr_columns(budgets)]
    return page.table("Share of clips; in parentheses the interval and n.", columns, rows)


def _checks(metrics: Mapping[str, Any]) -> Markup:
    rows = []
    for key, doubts in metrics["checks"].items():
        passed = Cell("passed", "passed") if not doubts else Cell(join(*(element("p", each) for each in doubts)), "no")
        rows.append([Cell(_summary(CHECKS[key]), key), passed])
    return page.table(
        "Little success of dreams shows a robust classifier only if the dreaming itself worked. A difference counts "
        "where two intervals do not overlap.",
        [Column("what must hold", number=False), Column("result", number=False)],
        rows,
    )


def _classes(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    budgets, order = _budgets(metrics["curve"]), list(metrics["halving"])
    heads = map(Column, ("clips", "recordings", "unchanged"))
    columns = [Column("class", number=False), *heads, *_snr_columns(budgets)]
    main = main_dream(order) or order[0]
    for key in sorted(order, key=lambda each: each != main):
        rows = [
            [
                Cell(name(each["class"]), each["class"]),
                *(Cell(f"{each[field]:,}", each[field]) for field in ("n", "sources")),
                page.percent_cell(each["clean"]),
                *_line(each["curve"], key, budgets),
            ]
            for each in metrics["per_class"]
        ]
        title = PERTURBATIONS[key].title
        table = page.table(f'Accuracy under "{title}" on the class\'s clips, with interval and n.', columns, rows)
        yield table if key == main else page.folded(title, table)


def _worst(metrics: Mapping[str, Any], worst: Iterable[Remade | Failed]) -> Iterator[Markup]:
    main = main_dream(list(metrics["halving"]))
    if not metrics["worst"] or main is None:
        yield element("p", "No dream misled the classifier on a clip that it had right.", class_="quiet")
        return
    yield element(
        "p",
        f'Under "{PERTURBATIONS[main].title}": the clips that the smallest changes misled, among those that were right '
        f"before. They were made again for this page. {players.SCALE}",
        class_="quiet",
    )
    missing: list[Markup] = []
    yield players.players(_pairs(worst, missing))
    yield from missing


def _pairs(worst: Iterable[Remade | Failed], missing: list[Markup]) -> Iterator[players.Pair]:
    for each in worst:
        if isinstance(each, Failed):
            missing.append(element("p", name(each.id), f" cannot be played: {each.error}", class_="quiet"))
            continue
        entry = each.entry
        found: dict[str, object] = {
            "label": name(", ".join(entry["labels"])),
            "its score": f"{entry['score_before']:.2f} → {entry['score_after']:.2f}",
            "predicted": join(name(entry["predicted"]), f" ({entry['predicted_score']:.2f})"),
            "SNR": f"{entry['snr_db']:g} dB",
        }
        if not each.same:
            found["made again"] = "its scores differ from those of the run"
        yield players.Pair(name(entry["id"]), found, each.before, each.after, each.sample_rate)


def _run(metrics: Mapping[str, Any], command: str) -> Iterator[Markup]:
    judge = metrics["judge_details"]
    trained, through = judge["trained"], metrics["dreamed_through"]
    rows = {
        "command": element("code", name(command)),
        "classifier": join(name(metrics["judge"]), f" ({judge['kind']})"),
        "its identity": element("code", name(judge["identity"])),
        "its input": f"{judge['sample_rate']:,} Hz; {len(judge['classes']):,} classes compete",
        "trained": None if trained is None else _trained(trained),
        "YAMNet's weights": element("code", name(next(iter(through.values()))["weights"])) if through else None,
        "seed": metrics["seed"],
        "steps": f"{metrics['steps']} at most",
        "versions": name(", ".join(f"{package} {version}" for package, version in metrics["versions"].items())),
    }
    yield page.facts({key: value for key, value in rows.items() if value is not None})
    yield page.folded("Classes that compete", element("p", name(", ".join(judge["classes"]))))
    for key, model in through.items():
        title = f"Recipe of the dreams through {'the classifier' if key == JUDGE else 'YAMNet'}, at the largest change"
        yield page.folded(title, page.json_block(model["recipe"]))


def _trained(trained: Mapping[str, Any]) -> str:
    accuracy = page.percent({"value": trained["training_accuracy"]})
    return f"for this report, on {trained['clips']:,} other clips (training accuracy {accuracy})"


def _share(point: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: point[key] for key in ("low", "high", "n")}, "value": point["accuracy"]}


def _points(metrics: Mapping[str, Any], key: str) -> list[tuple[float, dict[str, Any]]]:
    return [(point["snr_db"], _share(point)) for point in metrics["curve"] if point["perturbation"] == key]


def _line(curve: Sequence[Mapping[str, Any]], key: str, budgets: Sequence[float]) -> Iterator[Cell]:
    own = {point["snr_db"]: _share(point) for point in curve if point["perturbation"] == key}
    return (page.percent_cell(own.get(snr, _NOTHING)) for snr in budgets)


def _snr_columns(budgets: Sequence[float]) -> list[Column]:
    return [Column(f"{snr:g} dB") for snr in budgets]


def _budgets(curve: Iterable[Mapping[str, Any]]) -> list[float]:
    return sorted({point["snr_db"] for point in curve}, reverse=True)


def _halved(metrics: Mapping[str, Any], key: str) -> str:
    found, budgets = metrics["halving"][key], _budgets(metrics["curve"])
    if found["at"] == "above":
        return f"above {budgets[0]:g}\u00a0dB"
    return f"not down to {budgets[-1]:g}\u00a0dB" if found["snr_db"] is None else f"{found['snr_db']:.1f}\u00a0dB"


def _halved_cell(metrics: Mapping[str, Any], key: str) -> Cell:
    found = metrics["halving"][key]
    order = {"above": math.inf, "not reached": -math.inf}.get(found["at"], found["snr_db"])
    return Cell(_halved(metrics, key), order)


def _summary(function: Any) -> str:
    """Return the first line of a function's docstring, without its full stop."""
    return (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
