"""The figures of the robustness report, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.robustness.robustness_curves import (
    CLEAN,
    Point,
    curve,
    figure,
    halving,
    mean_average_precision,
    per_class,
    worst,
)


def row(id_: str, name: str, snr: float | None, correct: bool, **more: Any) -> dict[str, Any]:
    truth, scores = more.get("truth", [0]), more.get("scores", [0.9, 0.1] if correct else [0.2, 0.8])
    return {
        "id": id_,
        "source": more.get("source", id_),
        "uri": f"/{id_}.wav",
        "labels": ["dog"],
        "truth": np.array(truth),
        "perturbation": name,
        "snr_db": snr,
        "measured_snr_db": snr,
        "predicted": int(np.argmax(scores)),
        "correct": correct,
        "target": None,
        "reached": None,
        "scores": np.array(scores, np.float32),
    }


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def points(*values: float, name: str = "untargeted") -> list[Point]:
    return [Point(name, snr, value, value, value, 4) for snr, value in zip((40.0, 30.0, 20.0), values, strict=False)]


def test_the_curve_is_the_share_of_right_answers_from_the_smallest_change_on():
    found = curve(
        table(
            *(row(id_, CLEAN, None, True) for id_ in "abcd"),
            *(row(id_, "untargeted", 20.0, id_ == "a") for id_ in "abcd"),
            *(row(id_, "untargeted", 40.0, id_ != "a") for id_ in "abcd"),
        ),
        ["untargeted", "targeted"],
        multi_label=False,
    )
    assert [(p.perturbation, p.snr_db, p.accuracy, p.n) for p in found] == [
        ("untargeted", 40.0, 0.75, 4),
        ("untargeted", 20.0, 0.25, 4),
    ]
    assert all(p.low <= p.accuracy <= p.high for p in found)


def test_clips_of_one_source_are_drawn_together():
    rows = table(*(row(f"{s}{i}", CLEAN, None, s == "a", source=s) for s in "ab" for i in range(50)))
    found = figure(rows, multi_label=False)
    assert (found.value, found.low, found.high, found.n, found.clips) == (0.5, 0.0, 1.0, 100, 2)


@pytest.mark.parametrize(
    ("values", "snr", "at"),
    [
        ((0.8, 0.6, 0.2), 25.0, "within"),  # 0.4 lies halfway from 0.6 to 0.2
        ((0.8, 0.4, 0.0), 30.0, "within"),
        ((0.4, 0.2, 0.0), 40.0, "within"),
        ((0.3, 0.2, 0.0), None, "above"),
        ((0.8, 0.7, 0.6), None, "not reached"),
        ((0.2,), None, "above"),
    ],
)
def test_the_budget_that_halves_a_clean_accuracy_of_80_percent(values: tuple[float, ...], snr: float | None, at: str):
    assert halving(points(*values), 0.8) == {"untargeted": {"snr_db": snr, "at": at}}


def test_average_precision_worked_by_hand():
    scores = np.array([[0.9], [0.8], [0.7], [0.6]])
    truth = np.array([[True], [False], [True], [False]])
    weights = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [1, 2, 0, 0]], float)
    found = mean_average_precision(scores, truth, weights)
    np.testing.assert_allclose(found, [(1 + 2 / 3) / 2, 1 / 2, 1])


def test_equal_scores_share_the_last_place_and_classes_without_clips_do_not_count():
    truth = np.array([[True, False], [False, False]])
    np.testing.assert_allclose(mean_average_precision(np.full((2, 2), 0.5), truth, np.ones((1, 2))), [0.5])


def test_several_labels_give_mean_average_precision():
    rows = table(
        row("a", CLEAN, None, True, truth=[0, 1], scores=[0.9, 0.8]),
        row("b", CLEAN, None, True, truth=[1], scores=[0.1, 0.9]),
        row("c", CLEAN, None, True, truth=[0], scores=[0.05, 0.85]),
    )
    # class 0: right are places 1 and 3; class 1: places 1 and 3
    assert figure(rows, multi_label=True).value == pytest.approx((1 + 2 / 3) / 2)


def test_each_class_has_its_own_curve():
    rows = table(
        *(row("a", name, snr, ok) for name, snr, ok in ((CLEAN, None, True), ("untargeted", 20.0, False))),
        *(
            row("b", name, snr, True, truth=[1], scores=[0.1, 0.9])
            for name, snr in ((CLEAN, None), ("untargeted", 20.0))
        ),
    )
    found = per_class(rows, ["dog", "cat", "cow"], ["untargeted"])
    assert [(each["class"], each["n"], each["clean"]["value"], each["curve"][0]["accuracy"]) for each in found] == [
        ("dog", 1, 1.0, 0.0),
        ("cat", 1, 1.0, 1.0),
    ]


def test_the_worst_are_right_when_clean_and_wrong_at_the_smallest_change():
    rows = table(
        *(row(id_, CLEAN, None, id_ != "d") for id_ in "abcd"),
        *(row(id_, "untargeted", 40.0, id_ != "b") for id_ in "abcd"),
        *(row(id_, "untargeted", 20.0, id_ == "c", scores=[0.1, 0.9] if id_ == "a" else [0.3, 0.7]) for id_ in "abcd"),
    )
    found = worst(rows, "untargeted", ["dog", "cat"])
    assert [(each["id"], each["snr_db"], each["predicted"]) for each in found] == [
        ("b", 40.0, "cat"),
        ("a", 20.0, "cat"),
    ]
    assert (found[0]["score_before"], found[0]["score_after"]) == (0.9, 0.2)


def test_an_accuracy_of_zero_cannot_be_halved() -> None:
    points = [Point("white_noise", snr, 0.0, 0.0, 0.0, 1) for snr in (40.0, 20.0)]
    assert halving(points, 0.0) == {"white_noise": {"snr_db": None, "at": "not reached"}}
