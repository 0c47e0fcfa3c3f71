"""The robustness report's doubts in itself, each brought about by a curve made by hand."""

from __future__ import annotations

import re

import pytest

from evaluation.robustness.robustness_curves import Point
from evaluation.robustness.trust import CHECKS, doubts

SOUND = {
    "untargeted": (0.8, 0.3, 0.0),
    "targeted": (0.85, 0.5, 0.02),
    "untargeted_transfer": (0.85, 0.6, 0.3),
    "targeted_transfer": (0.9, 0.7, 0.4),
    "one_step": (0.85, 0.6, 0.5),
    "white_noise": (0.9, 0.85, 0.6),
}
"""Accuracy at 40, 25 and 10 dB, of an attack that works."""


def points(half: float = 0.05, **changes: tuple[float, ...] | None) -> list[Point]:
    """Make a curve with intervals of so much to both sides."""
    values = {name: kept for name, kept in {**SOUND, **changes}.items() if kept is not None}
    return [
        Point(name, snr, value, max(0.0, value - half), min(1.0, value + half), 80)
        for name, row in values.items()
        for snr, value in zip((40.0, 25.0, 10.0), row, strict=True)
    ]


def test_an_attack_that_works_raises_no_doubt():
    assert doubts(points()) == {name: [] for name in CHECKS}


FAULTS = {
    "has_white_box": {"untargeted": None, "targeted": None, "one_step": None},
    "falls_with_budget": {"untargeted_transfer": (0.85, 0.6, 0.75)},
    "reaches_zero": {"untargeted": (0.8, 0.3, 0.2)},
    "beats_transfer": {"targeted_transfer": (0.7, 0.7, 0.4)},
    "beats_one_step": {"one_step": (0.85, 0.15, 0.1)},
    "beats_noise": {"white_noise": (0.6, 0.6, 0.5)},
}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_each_check_finds_its_own_fault_and_no_other(name: str):
    made = points(**FAULTS[name])
    assert [check for check in CHECKS if CHECKS[check](made)] == [name]
    ((text,),) = filter(None, doubts(made).values())
    assert text.isprintable()
    assert not re.search("[a-z]_[a-z]", text)  # titles, not keys


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"has_white_box", "reaches_zero"}))
def test_what_lies_within_the_intervals_is_no_fault(name: str):
    assert CHECKS[name](points(half=0.2, **FAULTS[name])) == []


def test_without_intervals_the_figures_themselves_decide():
    bare = [Point("untargeted", 20.0, 0.5, float("nan"), float("nan"), 2)]
    worse = [*bare, Point("untargeted", 10.0, 0.6, float("nan"), float("nan"), 2)]
    assert not CHECKS["falls_with_budget"](bare)
    assert CHECKS["falls_with_budget"](worse)
