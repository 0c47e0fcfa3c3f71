"""Does the robustness report believe itself? Signs of an attack that is too weak, or of masked gradients.

Low success of gradient ascent shows robustness only if the ascent itself worked. Each check takes the curve and gives
the reasons not to believe it; a difference counts only where the two intervals lie apart.

Sources: Athalye, Carlini & Wagner 2018, section 3.1 (one-step beats iterated, black box beats white box, unbounded
attacks do not reach 100 %, random search beats gradients, more distortion does not bring more success); Carlini et
al. 2019, "On evaluating adversarial robustness", sections 5.1 to 5.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import Point

ZERO = 0.05
"""Accuracy up to which the largest budget counts as having reached about 0 %."""

WHITE_BOX = ("untargeted", "targeted")
TRANSFER = {"untargeted": "untargeted_transfer", "targeted": "targeted_transfer"}
ONE_STEP = "one_step"
NOISE = ("white_noise", "pink_noise", "smooth_filter")
DREAMS = (*WHITE_BOX, *TRANSFER.values(), ONE_STEP)


def has_white_box(points: Sequence[Point]) -> list[str]:
    """Only a dream through the classifier itself shows what it withstands."""
    if any(point.perturbation in WHITE_BOX for point in points):
        return []
    return [
        (
            "the dreams went through another model only (transfer): one through the classifier may do more, so the "
            "accuracies are upper bounds"
        )
    ]


def falls_with_budget(points: Sequence[Point]) -> list[str]:
    """A larger budget holds the smaller one: accuracy must not rise as the change grows."""
    found = []
    for name in DREAMS:
        own = sorted((point for point in points if point.perturbation == name), key=lambda point: -point.snr_db)
        rises = [(less, more) for less, more in itertools.combinations(own, 2) if _above(more, less)]
        if rises:
            less, more = rises[0]
            found.append(
                f"{_title(name)}: accuracy rises from {less.accuracy:.0%} at {less.snr_db:g} dB to {more.accuracy:.0%} "
                f"at {more.snr_db:g} dB although the budget grew: the ascent fails; try more steps"
            )
    return found


def reaches_zero(points: Sequence[Point]) -> list[str]:
    """A white-box dream of a large budget must turn about every clip."""
    own = [point for point in points if point.perturbation in WHITE_BOX]
    if not own:
        return []
    name = next(name for name in WHITE_BOX if any(point.perturbation == name for point in own))
    last = min((point for point in own if point.perturbation == name), key=lambda point: point.snr_db)
    if last.accuracy <= ZERO:
        return []
    return [
        (
            f"{_title(name)}: the largest budget, {last.snr_db:g} dB, leaves an accuracy of {last.accuracy:.0%}, not "
            "about 0 %: the ascent fails or the budget is too small; try more steps and --snr-db 0"
        )
    ]


def beats_transfer(points: Sequence[Point]) -> list[str]:
    """A dream through the classifier must do at least as much as one through another model."""
    return [
        text
        for white, transfer in TRANSFER.items()
        for text in _beaten(points, white, transfer, "dreams through another model do more than through the classifier")
    ]


def beats_one_step(points: Sequence[Point]) -> list[str]:
    """Several steps must do at least as much as one."""
    white = next((name for name in WHITE_BOX if any(point.perturbation == name for point in points)), None)
    return [] if white is None else _beaten(points, white, ONE_STEP, "one step does more than several")


def beats_noise(points: Sequence[Point]) -> list[str]:
    """A dream must do at least as much as chance."""
    return [text for name in NOISE for text in _beaten(points, WHITE_BOX[0], name, "chance does more than gradients")]


CHECKS: dict[str, Callable[[Sequence[Point]], list[str]]] = {
    "has_white_box": has_white_box,
    "falls_with_budget": falls_with_budget,
    "reaches_zero": reaches_zero,
    "beats_transfer": beats_transfer,
    "beats_one_step": beats_one_step,
    "beats_noise": beats_noise,
}
"""The checks: the curve -> why it is not to be trusted, nothing if it stands."""


def doubts(points: Sequence[Point]) -> dict[str, list[str]]:
    """Return the reasons not to trust a curve, by check; a check that finds none has an empty list."""
    return {name: check(points) for name, check in CHECKS.items()}


def _title(name: str) -> str:
    return PERTURBATIONS[name].title


def _above(high: Point, low: Point) -> bool:
    """Tell whether one accuracy lies above another beyond the intervals; without intervals, at all."""
    bottom, top = (
        (high.low, low.high) if high.low == high.low and low.high == low.high else (high.accuracy, low.accuracy)
    )
    return bottom > top


def _beaten(points: Sequence[Point], white: str, other: str, what: str) -> list[str]:
    by_key = {(point.perturbation, point.snr_db): point for point in points}
    for snr in sorted({point.snr_db for point in points}, reverse=True):
        own, others = by_key.get((white, snr)), by_key.get((other, snr))
        if own and others and _above(own, others):
            return [
                (
                    f'{what}: at {snr:g} dB an accuracy of {others.accuracy:.0%} is left by "{_title(other)}" and of '
                    f'{own.accuracy:.0%} by "{_title(white)}": the classifier\'s gradients may be masked'
                )
            ]
    return []
