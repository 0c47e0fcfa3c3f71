"""The page of a robustness report: report.html, from what is in metrics.json and the worst clips' sounds.

Blocks are those of `evaluation.pages.page`, `evaluation.pages.figures` and `evaluation.pages.players`; every figure is
one of metrics.json's, with its interval and n as they stand there. The same files give the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from augment.counted import counted
from evaluation.dreams.dream_evaluator import Failed
from evaluation.pages import figures, page, players
from evaluation.pages.markup import Markup, element, join, name
from evaluation.pages.page import Card, Cell, Column
from evaluation.pages.report_page import BEFORE_READING
from evaluation.robustness.attacks import YAMNET
from evaluation.robustness.curve_files import METRICS
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_metrics import main_dream
from evaluation.robustness.trust import CHECKS
from evaluation.robustness.worst_clips import Remade

_LARGEST = "at the largest change"


def robustness_page(metrics: Mapping[str, Any], worst: Iterable[Remade | Failed], command: str) -> str:
    """Return the page.

    Args:
        metrics: content of metrics.json.
        worst: the worst clips; asked for one by one, and not held.
        command: the command line.
    """
    what, judge = METRICS[metrics["metric"]], metrics["judge"]
    lead = (
        "Every clip is changed in several ways, each at the same signal-to-noise ratios (SNR), and heard again by ",
        name(judge),
        ": by dreams, which are gradient ascent toward a wrong answer, and by controls, which know nothing of it.",
        " 95 % intervals are drawn over source recordings (bootstrap).",
    )
    return page.document(
        f"{judge}: what it withstands",
        element("header", element("h1", name(judge), ": what it withstands"), element("p", *lead, class_="lead")),
        join(page.notes(BEFORE_READING, metrics["warnings"])),
        page.headline(_cards(metrics)),
        page.section(f"{what.capitalize()} against SNR", *_curves(metrics)),
        page.section("Does this report trust itself?", _checks(metrics)),
        page.section("Class by class", *_classes(metrics)),
        page.section("The worst, to hear and to see", *_worst(metrics, worst)),
        page.section("What was run", *_run(metrics, command)),
    )


def _cards(metrics: Mapping[str, Any]) -> Iterator[Card]:
    clean, doubts = metrics["clean"], sum(map(len, metrics["checks"].values()))
    n = f"n {counted(clean['n'], 'clip')} of {counted(clean['sources'], 'recording')}"
    what = METRICS[metrics["metric"]]
    yield Card(f"{what}, as they came", page.percent(clean), ", ".join(filter(None, (page.percent_ends(clean), n))))
    word = f"{counted(doubts, 'reason')} not to, above"
    passed = f"all {len(CHECKS)} checks passed"
    yield Card("the report trusts itself", "no" if doubts else "yes", word if doubts else passed)
    for key in _telling(metrics):
        own = [point for point in metrics["curve"] if point["perturbation"] == key]
        last = min(own, key=lambda point: point["snr_db"])
        ends = page.percent_ends(_share(last))
        told = (
            f"{page.percent(_share(last))} left at {last['snr_db']:g} dB{f' ({ends})' if ends else ''}, n {last['n']:,}"
        )
        yield Card(f"halved by: {PERTURBATIONS[key].title}", _halved(metrics, key), told)
    yield Card(
        "could not be used", f"{metrics['n_failed']:,}", f"beside {counted(metrics['n_clips'], 'clip')} that could"
    )


def _telling(metrics: Mapping[str, Any]) -> list[str]:
    """Return the main dream, and those that take most at the largest change: through another model, and a control."""
    order = list(metrics["halving"])
    main = main_dream(order)
    last = {point["perturbation"]: point["accuracy"] for point in metrics["curve"]}  # the last is the largest change
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
    main = main_dream(order)
    dreams = [key for key in order if PERTURBATIONS[key].through]
    controls = [key for key in order if not PERTURBATIONS[key].through]
    pictures = []
    for keys, caption in (
        (dreams, "Dreams. To the right the change is larger; bars are intervals."),
        ([*([main] if main and controls else []), *controls], "Controls at the same SNR, next to the first dream."),
    ):
        if keys:
            picture = figures.curve_figure(
                {PERTURBATIONS[key].title: _points(metrics, key) for key in keys},
                ("SNR of the sound against the change, dB", f"{what}, %"),
                f"{what} against SNR, with intervals: {', '.join(PERTURBATIONS[key].title for key in keys)}",
                level=("as they came", metrics["clean"]),
                apart=_apart(metrics),
                falling=True,
            )
            pictures.append((picture, caption))
    yield page.figures(pictures)
    budgets = _budgets(metrics["curve"])
    columns = [Column("change", number=False), *(Column(f"{snr:g} dB") for snr in budgets), Column("halved at")]
    rows = [
        [Cell(PERTURBATIONS[key].title, key), *_line(metrics["curve"], key, budgets), _halved_cell(metrics, key)]
        for key in order
    ]
    yield page.table(f"{what.capitalize()} by SNR; in parentheses the interval and n.", columns, rows)
    yield element(
        "p",
        f"Halved at: the SNR at which half of the {what} as they came is left, linear between the budgets; the lower "
        "it is, the more is withstood.",
        class_="quiet",
    )
    told = {PERTURBATIONS[key].title: _says(PERTURBATIONS[key].change) for key in order}
    yield page.folded("What each change is", page.facts(told))
    if metrics["reached"]:
        yield page.folded("How often targeted dreams are heard as their target", _reached(metrics))


def _reached(metrics: Mapping[str, Any]) -> Markup:
    found = metrics["reached"]
    budgets = _budgets(found)
    rows = [
        [
            Cell(PERTURBATIONS[key].title, key),
            *(
                page.percent_cell(next((p for p in found if (p["perturbation"], p["snr_db"]) == (key, snr)), _NOTHING))
                for snr in budgets
            ),
        ]
        for key in dict.fromkeys(point["perturbation"] for point in found)
    ]
    columns = [Column("dream", number=False), *(Column(f"{snr:g} dB") for snr in budgets)]
    return page.table("Share of clips; in parentheses the interval and n.", columns, rows)


def _checks(metrics: Mapping[str, Any]) -> Markup:
    rows = []
    for key, doubts in metrics["checks"].items():
        passed = Cell("passed", "passed") if not doubts else Cell(join(*(element("p", each) for each in doubts)), "no")
        rows.append([Cell(_says(CHECKS[key]), key), passed])
    return page.table(
        "Little success of dreams shows a robust classifier only if the dreaming itself worked. A difference counts "
        "where two intervals lie apart.",
        [Column("what must hold", number=False), Column("what came of it", number=False)],
        rows,
    )


def _classes(metrics: Mapping[str, Any]) -> Iterator[Markup]:
    budgets, order = _budgets(metrics["curve"]), list(metrics["halving"])
    columns = [
        Column("class", number=False),
        *map(Column, ("clips", "recordings", "as they came")),
        *(Column(f"{snr:g} dB") for snr in budgets),
    ]
    shown = main_dream(order) or order[0]
    for key in sorted(order, key=lambda each: each != shown):
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
        told = f'Under "{title}": share of the class\'s clips that are answered rightly, with interval and n.'
        whole = page.table(told, columns, rows)
        yield whole if key == shown else page.folded(title, whole)


def _worst(metrics: Mapping[str, Any], worst: Iterable[Remade | Failed]) -> Iterator[Markup]:
    main = main_dream(list(metrics["halving"]))
    if not metrics["worst"] or main is None:
        yield element("p", "No clip that was answered rightly was turned by a dream.", class_="quiet")
        return
    yield element(
        "p",
        f'Under "{PERTURBATIONS[main].title}": the clips that the smallest changes turned, of those that were answered '
        "rightly before; they were made again for this page. Spectrograms of a pair share one scale, of 80 dB below "
        "its loudest bin.",
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
        told = each.told
        answer = join(f"{told['score_before']:.2f} → {told['score_after']:.2f}")
        found: dict[str, object] = {
            "label": name(", ".join(told["labels"])),
            "its score": answer,
            "heard as": join(name(told["predicted"]), f" ({told['predicted_score']:.2f})"),
            "SNR": f"{told['snr_db']:g} dB",
        }
        if not each.same:
            found["made again"] = "the classifier hears something else in it than in the run"
        yield players.Pair(name(told["id"]), found, each.before, each.after, each.sample_rate)


def _run(metrics: Mapping[str, Any], command: str) -> Iterator[Markup]:
    judge = metrics["judge_details"]
    trained = judge["trained"]
    through = metrics["dreamed_through"]
    told = {
        "command": element("code", name(command)),
        "classifier": join(name(metrics["judge"]), f" ({judge['kind']})"),
        "its identity": element("code", name(judge["identity"])),
        "it hears": f"{judge['sample_rate']:,} Hz; {len(judge['classes']):,} classes compete",
        "trained": None if trained is None else _trained(trained),
        "YAMNet's weights": element("code", name(next(iter(through.values()))["weights"])) if through else None,
        "seed": metrics["seed"],
        "steps": f"{metrics['steps']} at most",
        "versions": name(", ".join(f"{package} {version}" for package, version in metrics["versions"].items())),
    }
    yield page.facts({key: value for key, value in told.items() if value is not None})
    yield page.folded("Classes that compete", element("p", name(", ".join(judge["classes"]))))
    for key, route in through.items():
        lines = json.dumps(route["recipe"], indent=2, ensure_ascii=False).splitlines()
        what = "the classifier" if key == "judge" else "YAMNet"
        text = Markup("\n".join(name(line) for line in lines))
        yield page.folded(f"Recipe of the dreams through {what}, {_LARGEST}", element("pre", text))


def _trained(trained: Mapping[str, Any]) -> str:
    right = page.percent({"value": trained["training_accuracy"]})
    return f"for this report, on {trained['clips']:,} clips that are not tried (of these it has {right} right)"


_NOTHING = {"value": None, "low": None, "high": None, "n": 0}


def _share(point: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: point[key] for key in ("low", "high", "n")}, "value": point["accuracy"]}


def _points(metrics: Mapping[str, Any], key: str) -> list[tuple[float, dict[str, Any]]]:
    return [(point["snr_db"], _share(point)) for point in metrics["curve"] if point["perturbation"] == key]


def _line(curve: Sequence[Mapping[str, Any]], key: str, budgets: Sequence[float]) -> Iterator[Cell]:
    own = {point["snr_db"]: _share(point) for point in curve if point["perturbation"] == key}
    return (page.percent_cell(own.get(snr, _NOTHING)) for snr in budgets)


def _budgets(curve: Iterable[Mapping[str, Any]]) -> list[float]:
    return sorted({point["snr_db"] for point in curve}, reverse=True)


def _apart(metrics: Mapping[str, Any]) -> float:
    """Return how far curves are drawn from each other, dB: a small part of the range."""
    budgets = _budgets(metrics["curve"])
    return -(max(budgets, default=0) - min(budgets, default=0)) / 100


def _halved(metrics: Mapping[str, Any], key: str) -> str:
    found, budgets = metrics["halving"][key], _budgets(metrics["curve"])
    if found["at"] == "above":
        return f"above {budgets[0]:g}\u00a0dB"
    return f"not down to {budgets[-1]:g}\u00a0dB" if found["snr_db"] is None else f"{found['snr_db']:.1f}\u00a0dB"


def _halved_cell(metrics: Mapping[str, Any], key: str) -> Cell:
    found = metrics["halving"][key]
    order = {"above": math.inf, "not reached": -math.inf}.get(found["at"], found["snr_db"])
    return Cell(_halved(metrics, key), order)


def _says(function: Any) -> str:
    """Return what a function's docstring says first, without its end."""
    return (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
