"""From the user's settings and the clips' labels to the plan of a robustness report.

The plan fixes which of the classifier's classes compete, their labels, the models that are dreamed through, and so the
perturbations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from augment.targets.classes import yamnet_classes
from evaluation.dreams.report_folder import ReportError
from evaluation.judges.class_map import map_classes, read_mapping
from evaluation.judges.judge import Judge, JudgeError, JudgeSpec
from evaluation.judges.judge_kinds import judge_kind
from evaluation.judges.white_box import why_not_through
from evaluation.robustness.attacks import JUDGE, YAMNET
from evaluation.robustness.perturbations import PERTURBATIONS, Perturbation
from evaluation.robustness.robustness_plan import Item, RobustnessPlan

BUDGETS = (40.0, 35.0, 30.0, 25.0, 20.0, 15.0, 10.0)
"""Default SNRs in dB."""

BUDGET_RANGE = (-20.0, 100.0)

THROUGH = ("auto", "judge", "yamnet", "both")
"""auto: the classifier if it is YAMNet, both for any other that can be dreamed through, else YAMNet."""


@dataclass(frozen=True)
class Settings:
    """What the user may choose.

    Attributes:
        judge: the classifier; unused where a head is trained. Of YAMNet's 521 classes only those with a label compete,
            or a bark would be lost to "Animal"; of any other classifier all do.
        class_map: CSV from labels to the classifier's classes.
        yamnet_map: CSV from labels to YAMNet's classes, for dreams through it.
        through: one of `THROUGH`.
        targeted: dream toward random classes.
        untargeted: dream toward whichever wrong class is nearest.
        budgets: SNRs in dB.
        steps: of gradient ascent.
        seed: of targets, noise and batches.
        multi_label: clips may have several labels.
    """

    judge: JudgeSpec = field(default_factory=JudgeSpec)
    class_map: str | None = None
    yamnet_map: str | None = None
    through: str = "auto"
    targeted: bool = True
    untargeted: bool = True
    budgets: tuple[float, ...] = BUDGETS
    steps: int = 20
    seed: int = 0
    multi_label: bool = False


def check_settings(settings: Settings) -> None:
    """Refuse settings that make no sense.

    Raises:
        ReportError: with the choices.
    """
    low, high = BUDGET_RANGE
    if not settings.budgets or not all(low <= snr <= high for snr in settings.budgets):
        raise ReportError(f"--snr-db takes SNRs from {low:g} to {high:g} dB, such as 40,30,20")
    if settings.steps < 1:
        raise ReportError(f"--steps is {settings.steps}; expected at least 1")
    if settings.through not in THROUGH:
        raise ReportError(f"--through is {settings.through!r}; choices: {', '.join(THROUGH)}")
    if not (settings.targeted or settings.untargeted):
        raise ReportError("neither targeted nor untargeted dreams: choose one")


def make_plan(
    items: Sequence[Item],
    judge: Judge,
    spec: JudgeSpec,
    given: Mapping[str, str],
    settings: Settings,
    notes: list[str],
) -> RobustnessPlan:
    """Make the plan of a report.

    `given` is the user's mapping from labels to the classifier's classes; `notes` takes the report's warnings.

    Raises:
        JudgeError: the classifier has no class for any of the labels.
        ReportError: it cannot be dreamed through as the settings say.
    """
    labels = sorted({label for item in items for label in item.labels})
    known = map_classes(judge.classes, labels, given, {})
    columns = tuple(sorted(set(known.labels.values())))
    if not columns:
        raise JudgeError(
            f"judge {judge.name} has no class for any of the labels ({', '.join(labels[:5])}): map them with "
            "--class-map (name,class)"
        )
    if missing := [label for label in labels if label not in known.labels]:
        notes.append(
            f"the judge has no class for {len(missing)} of {len(labels)} labels ({', '.join(missing[:5])}): their "
            "clips are left out; map them with --class-map"
        )
    if judge_kind(spec.judge) != "yamnet" or len(columns) == 1:  # all classes of a user's own classifier compete
        columns = tuple(range(len(judge.classes)))
    position = {column: place for place, column in enumerate(columns)}
    truths = {label: position[column] for label, column in sorted(known.labels.items())}
    names = tuple(judge.classes[column].name for column in columns)
    through = _through(spec, settings, notes)
    answers: tuple[tuple[int, int], ...] = ()
    if YAMNET in through:
        answers = _answers(truths, names, settings, notes)
        through = through if answers else through - {YAMNET}

    def wanted(each: Perturbation) -> bool:
        if each.through is None:
            return bool(through) or not each.of_dreams
        kinds = {False: settings.untargeted, True: settings.targeted, None: True}
        return each.through in through and kinds[each.targeted]

    return RobustnessPlan(
        judge=spec,
        columns=columns,
        names=names,
        truths=tuple(truths.items()),
        answers=answers,
        perturbations=tuple(name for name, each in PERTURBATIONS.items() if wanted(each)),
        budgets=tuple(sorted(set(map(float, settings.budgets)), reverse=True)),
        steps=settings.steps,
        seed=settings.seed,
    )


def _through(spec: JudgeSpec, settings: Settings, notes: list[str]) -> set[str]:
    """Return the models to dream through."""
    if judge_kind(spec.judge) == "yamnet":
        return {JUDGE}
    if settings.through == "yamnet":
        return {YAMNET}
    if reason := why_not_through(spec):
        if settings.through != "auto":
            raise ReportError(
                f"--through {settings.through}: {reason}; expected yamnet, crnn, a head, or a SavedModel or Keras "
                "model with gradients: or use --through yamnet"
            )
        notes.append(f"the classifier is not dreamed through: {reason}")
        return {YAMNET}
    return {JUDGE} if settings.through == "judge" else {JUDGE, YAMNET}


def _answers(
    truths: Mapping[str, int], names: Sequence[str], settings: Settings, notes: list[str]
) -> tuple[tuple[int, int], ...]:
    """Return YAMNet's classes for the classes under test, by their labels or else by their own names."""
    positions = dict(truths)
    for position in set(range(len(names))) - set(truths.values()):
        positions.setdefault(names[position], position)
    found = map_classes(yamnet_classes(), positions, read_mapping(settings.yamnet_map), {})
    by_class: dict[int, set[int]] = {}
    for name, index in found.labels.items():
        by_class.setdefault(index, set()).add(positions[name])
    answers = tuple(sorted((index, min(places)) for index, places in by_class.items() if len(places) == 1))
    unknown = sorted(name for name in positions if found.labels.get(name) not in dict(answers))
    if unknown:
        notes.append(
            f"YAMNet has no class of its own for {len(unknown)} of {len(positions)} labels ({', '.join(unknown[:5])}): "
            "their clips have no dream through it; map them with --yamnet-map"
        )
    return answers if len({position for _, position in answers}) > 1 else ()
