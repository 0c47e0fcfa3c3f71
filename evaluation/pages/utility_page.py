"""The page of a utility study: its goals, and a table for each classifier.

utility.md is for reading, utility.json has every figure with its interval.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augment.counted import counted
from evaluation.dreams.report_folder import write_text
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.corruptions import CORRUPTIONS
from evaluation.utility.dream_views import DreamSpec
from evaluation.utility.training_sets import TRAINING_SETS, TrainingSet
from evaluation.utility.utility_study import BASELINE, DREAMED

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A goal for dreamed data: the best of some training sets should gain so many points in a column.

    The gain is over none ("gain") or the best conventional set ("over_best"); `certain`: its interval excludes zero.
    """

    text: str
    sets: tuple[str, ...]
    classifier: str
    shots: int | None
    column: str
    over: str
    points: float
    certain: bool = False


_MIXTURES = (
    "robust_audiomentations",
    "fewshot_audiomentations",
    "fewshot_audiomentations_mixup",
    "own_noise_audiomentations",
    "own_noise_audiomentations_mixup",
    "mixed_audiomentations",
    "other_filter_audiomentations",
)

_HEADS = ("linear", "mlp")

GOALS: tuple[Goal, ...] = (
    *(
        Goal(text, (name,), classifier, None, column, over, points, certain)
        for text, column, over, points, certain in (
            ("clean: at most 1 point below the best conventional arm", "clean", "over_best", -1, False),
            ("dreamed: 20 points above none", "dreamed", "gain", 20, True),
            ("corrupted: above none, 0 outside the interval", "corrupted", "gain", 0, True),
        )
        for classifier in _HEADS
        for name in ("robust", "robust_audiomentations", "mixed_audiomentations")
    ),
    *(
        Goal(f"2 clips a class: {text}", (name,), classifier, 2, "clean", over, points)
        for text, name, over, points in (
            ("3 points above none", "fewshot", "gain", 3),
            ("above the best conventional arm", "fewshot_audiomentations", "over_best", 0),
            ("above the best conventional arm", "fewshot_audiomentations_mixup", "over_best", 0),
        )
        for classifier in CLASSIFIERS
    ),
    *(
        Goal("from scratch: 12 points above none", sets, "cnn", None, "clean", "gain", 12)
        for sets in (("robust", "fewshot"), _MIXTURES)
    ),
)
"""The goals of the page."""


def write_page(
    folder: Path,
    rows: Sequence[Row],
    heads: Mapping[str, Any],
    sets: Mapping[str, TrainingSet],
    dreams: Mapping[str, DreamSpec],
    about: Mapping[str, Any],
) -> None:
    """Write utility.md and utility.json.

    Takes the rows of `evaluation.utility.utility_study.summarise`, those of
    `evaluation.utility.head_attacks.summarise_heads` or nothing, training sets and ways of dreaming by name, and what
    was run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, made, heads = _merge(folder, rows, heads, about)
    used = {each.what for chosen in sets.values() for each in chosen.components}
    made |= {name: asdict(spec) for name, spec in dreams.items() if name in used}
    goals = [found for goal in GOALS if (found := assess(goal, rows))]
    write_text(folder / "utility.json", _json({**about, "dreams": made, "goals": goals, "white_box": heads}, rows))
    tables = [*_conditions(rows), _heads(heads, rows), _corruptions(rows), _ways(made)]
    parts = [_head(about, rows), _goals(goals), *tables]
    write_text(folder / "utility.md", "\n".join(part for part in parts if part))


def _json(about: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return a JSON object with a line for each row."""
    head = json.dumps(about, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n'


def _merge(
    folder: Path, rows: Sequence[Row], heads: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[list[Row], dict[str, Any], dict[str, Any]]:
    """Add the stored conditions of an earlier study on the same data."""
    try:
        stored = json.loads((folder / "utility.json").read_text(encoding="utf-8"))
        same = all(stored.get(key) == value for key, value in about.items())
        earlier, dreams, attacked = stored["rows"], stored["dreams"], stored["white_box"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same, earlier, dreams, attacked = False, [], {}, {}
    now = {_condition(row) for row in rows}
    kept = [row for row in earlier if _condition(row) not in now] if same else []
    order, places = list(CLASSIFIERS), {name: place for place, name in enumerate(TRAINING_SETS)}

    def place(row: Row) -> tuple[float, ...]:
        return order.index(row["classifier"]), row["shots"] or math.inf, places.get(row["arm"], math.inf)

    found = sorted([*kept, *rows], key=place)
    return found, dict(dreams) if kept else {}, {**attacked, **heads} if same else dict(heads)


def _condition(row: Row) -> tuple[str, int | None]:
    return row["classifier"], row["shots"]


def assess(goal: Goal, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return a goal with the figure of its best training set, None if none was measured."""
    mine = [row for row in rows if row["arm"] in goal.sets and _condition(row) == (goal.classifier, goal.shots)]
    found = [(row["title"], row["sets"][goal.column][goal.over]) for row in mine if row["sets"][goal.column][goal.over]]
    if not found:
        return None
    title, figure = max(found, key=lambda each: each[1]["value"])
    reached = figure["value"] >= goal.points / 100 and (not goal.certain or figure["low"] > 0)
    about = {"goal": goal.text, "classifier": goal.classifier, "arm": title, "of": len(found)}
    return {**about, **figure, "reached": reached}


def _head(about: Mapping[str, Any], rows: Sequence[Row]) -> str:
    shipped = any(row["arm"] in ("robust", "fewshot") for row in rows)
    transferred = "transferred" in about["tests"]
    lost = f" ({counted(about['left_out'], 'file')} left out)" if about["left_out"] else ""
    examples = ", ".join(f"{name}: {each.examples}" for name, each in CLASSIFIERS.items())
    return (
        "# Does it help?\n\n"
        "Generated by `dreambeam utility`. Data: "
        f"`{about['data']}`, {about['clips']} clips{lost} of {about['classes']} classes in {len(about['folds'])} "
        "folds; each fold is tested once by classifiers that were trained on the others. Test clips are never used "
        f"for training. Every arm trains on each clip once as it came and several times more ({examples}), so that all "
        "arms of a classifier have the same number of examples and take the same number of steps.\n\n"
        "Figures are accuracies in percent, averaged over seeds (which draw the few clips and start the classifier). "
        "In parentheses: the difference from the arm *none* on the same clips, with its 95 % interval, drawn over the "
        f"{about['groups']} recordings that the clips are from.\n\n"
        f"Test sets:\n\n- *clean*: the clips as they are;\n- *corrupted*: the mean over {len(CORRUPTIONS)} corruptions "
        "that no arm trains on as such;\n- *dreamed*: `deep_dream` toward a random class, 25 dB, 20 steps;\n"
        "- *away*: the same, away from the top class;\n- *filtered*: `gain_filter` toward a random class, 20 dB"
        f"{_TRANSFERRED if transferred else '.'}\n\n*Dreamed*, *away* and *filtered* go through YAMNet, which is the "
        "network below the linear head and the MLP, and which the CNN does not use.\n\n"
        f"{_SHIPPED if shipped else ''}Seeds are few, and the dreams the same for all of them. Not tried: objectives "
        "that take a target sound (embeddings, timbre).\n"
    )


_TRANSFERRED = ";\n- *transferred*: away from the top class, 25 dB, through the detector `crnn`, unrelated to all."

_SHIPPED = (
    "The configs that ship were chosen among the arms below on ESC-10's folds 1 and 2: there their figures are "
    "optimistic. "
)


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    if not goals:
        return ""
    lines = ["## What it should reach\n", "| | classifier | arm | figure | |", "|---|---|---|--:|---|"]
    for each in goals:
        verdict = "reached" if each["reached"] else "**not reached**"
        best = f", the best of {each['of']}" if each["of"] > 1 else ""
        lines.append(f"| {each['goal']} | {each['classifier']} | {each['arm']}{best} | {_points(each)} | {verdict} |")
    return "\n".join(lines) + "\n"


def _section(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> str:
    """Return a table under a heading, with a first column of text and columns of figures by name."""
    lines = [f"## {title}\n", *([note] if note else []), f"| | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _conditions(rows: Sequence[Row]) -> Iterator[str]:
    for classifier, shots in dict.fromkeys(map(_condition, rows)):
        mine = [row for row in rows if _condition(row) == (classifier, shots)]
        amount = "all clips" if shots is None else f"{counted(shots, 'clip')} a class"
        names = list(mine[0]["sets"])
        cells = [[row["title"], *(_cell(row["sets"][name], row["arm"]) for name in names)] for row in mine]
        yield _section(f"{CLASSIFIERS[classifier].title}: {amount}, {counted(mine[0]['seeds'], 'seed')}", names, cells)


def _heads(heads: Mapping[str, Any], rows: Sequence[Row]) -> str:
    if not heads:
        return ""
    titles = {row["arm"]: row["title"] for row in rows}
    names = list(heads[BASELINE])
    cells = [[titles.get(arm, arm), *(_cell(each[name], arm) for name in names)] for arm, each in heads.items()]
    note = (
        "Through YAMNet and a head, toward the nearest wrong class, 20 steps: through the arm's own head, and through "
        "that of *none*, which an attacker has who knows the data but not the training. A gain in the tables above "
        "that is missing here protects against dreams that were not made for the classifier, not against an attacker "
        "who has it.\n"
    )
    return _section("White box: linear heads, each dreamed against through a head, all clips", names, cells, note)


def _corruptions(rows: Sequence[Row]) -> str:
    full = [row for row in rows if row["shots"] is None and row["kind"] in ("none", "conventional", "both")]
    mine = [row for row in full if row["classifier"] == full[0]["classifier"]] if full else []
    if not mine:
        return ""
    cells = [
        [corruption.title, *(f"{100 * row['by_corruption'][name]:.0f}" for row in mine)]
        for name, corruption in CORRUPTIONS.items()
    ]
    title = f"Corruption by corruption: {CLASSIFIERS[mine[0]['classifier']].title}, all clips"
    return _section(title, [row["arm"] for row in mine], cells)


def _ways(dreams: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["## How the dreams were made\n", "| | recipe | target |", "|---|---|---|"]
    for name, spec in [*dreams.items(), *((f"test set {name}", asdict(spec)) for name, spec in DREAMED.items())]:
        recipe = ", ".join(f"{key} {value}" for key, value in spec["recipe"].items())
        among = " of the labels' classes" if spec["among"] == "labels" else ""
        lines.append(f"| {name} | {recipe} | {spec['policy']}{among} |")
    return "\n".join(lines) + "\n"


def _cell(found: Mapping[str, Any], arm: str) -> str:
    accuracy = f"{100 * found['accuracy']['value']:.1f}"
    return accuracy if arm == BASELINE else f"{accuracy} ({_points(found['gain'])})"


def _points(found: Mapping[str, float]) -> str:
    return f"{100 * found['value']:+.1f}; {100 * found['low']:+.1f} to {100 * found['high']:+.1f}"
