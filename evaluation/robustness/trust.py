"""Is the robustness report to be trusted? Signs of an attack that is too weak, or of masked gradients.

Low success of gradient ascent shows robustness only if the ascent itself worked. Each check takes the curve and returns
the reasons to doubt it. A difference counts only where the two intervals do not overlap.

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
"""Accuracy that counts as about 0 % at the largest budget."""

WHITE_BOX = ("untargeted", "targeted")
TRANSFER = {"untargeted": "untargeted_transfer", "targeted": "targeted_transfer"}
ONE_STEP = "one_step"
NOISE = ("white_noise", "pink_noise", "smooth_filter")
DREAMS = (*WHITE_BOX, *TRANSFER.values(), ONE_STEP)


def has_white_box(points: Sequence[Point]) -> list[str]:
    """Only a dream through the classifier itself measures its robustness."""
    if _white_box(points):
        return []
    reason = "the dreams went through another model only (transfer): dreams through the classifier may be stronger, so "
    return [reason + "the accuracies are upper bounds"]


def falls_with_budget(points: Sequence[Point]) -> list[str]:
    """A larger budget includes the smaller one: accuracy must not rise as the change grows."""
    found = []
    for name in DREAMS:
        own = sorted((point for point in points if point.perturbation == name), key=lambda point: -point.snr_db)
        rises = ((less, more) for less, more in itertools.combinations(own, 2) if _above(more, less))
        for less, more in itertools.islice(rises, 1):
            found.append(
                f"{_title(name)}: accuracy rises from {less.accuracy:.0%} at {less.snr_db:g} dB to {more.accuracy:.0%} "
                f"at {more.snr_db:g} dB although the budget grew: the ascent fails; try more steps"
            )
    return found


def reaches_zero(points: Sequence[Point]) -> list[str]:
    """A white-box dream with a large budget must mislead nearly every clip."""
    name = _white_box(points)
    own = [point for point in points if point.perturbation == name]
    last = min(own, key=lambda point: point.snr_db, default=None)
    if name is None or last is None or last.accuracy <= ZERO:
        return []
    reason = f"{_title(name)}: the largest budget, {last.snr_db:g} dB, leaves an accuracy of {last.accuracy:.0%}, not "
    return [reason + "about 0 %: the ascent fails or the budget is too small; try more steps and --snr-db 0"]


def beats_transfer(points: Sequence[Point]) -> list[str]:
    """A dream through the classifier must be at least as strong as one through another model."""
    reason = "dreams through another model are stronger than through the classifier"
    return [text for white, transfer in TRANSFER.items() for text in _beaten(points, white, transfer, reason)]


def beats_one_step(points: Sequence[Point]) -> list[str]:
    """Several steps must be at least as strong as one."""
    white = _white_box(points)
    return [] if white is None else _beaten(points, white, ONE_STEP, "one step is stronger than several")


def beats_noise(points: Sequence[Point]) -> list[str]:
    """A dream must be at least as strong as chance."""
    return [text for name in NOISE for text in _beaten(points, WHITE_BOX[0], name, "chance is stronger than gradients")]


CHECKS: dict[str, Callable[[Sequence[Point]], list[str]]] = {
    "has_white_box": has_white_box,
    "falls_with_budget": falls_with_budget,
    "reaches_zero": reaches_zero,
    "beats_transfer": beats_transfer,
    "beats_one_step": beats_one_step,
    "beats_noise": beats_noise,
}
"""The checks: curve -> reasons to doubt it; the first line of a docstring describes its check in reports."""


def doubts(points: Sequence[Point]) -> dict[str, list[str]]:
    """Return the reasons to doubt a curve, by check; the list of a passed check is empty."""
    return {name: check(points) for name, check in CHECKS.items()}


def _white_box(points: Sequence[Point]) -> str | None:
    """Return the first white-box dream of a curve."""
    names = {point.perturbation for point in points}
    return next((name for name in WHITE_BOX if name in names), None)


def _title(name: str) -> str:
    return PERTURBATIONS[name].title


def _above(high: Point, low: Point) -> bool:
    """Return whether one accuracy lies above another beyond the intervals, or at all if there are none."""
    has_intervals = high.low == high.low and low.high == low.high  # not nan
    return high.low > low.high if has_intervals else high.accuracy > low.accuracy


def _beaten(points: Sequence[Point], white: str, other: str, what: str) -> list[str]:
    by_key = {(point.perturbation, point.snr_db): point for point in points}
    for snr in sorted({point.snr_db for point in points}, reverse=True):
        own, others = by_key.get((white, snr)), by_key.get((other, snr))
        if own and others and _above(own, others):
            left = f'"{_title(other)}" leaves an accuracy of {others.accuracy:.0%} and "{_title(white)}" '
            return [f"{what}: at {snr:g} dB {left}{own.accuracy:.0%}: the classifier's gradients may be masked"]
    return []
