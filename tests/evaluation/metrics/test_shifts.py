"""Class shifts: hand-worked scores, and scipy as an independent source."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from augment.targets.policies import Aim
from evaluation.metrics.shifts import FAILED, SKIPPED, SUCCESS, cosine_distance, js_divergence, result, top_classes

BEFORE = np.array([0.9, 0.1, 0.5, 0.3, 0.2, 0.15, 0.05], np.float32)
AFTER = np.array([0.2, 0.8, 0.5, 0.3, 0.1, 0.15, 0.25], np.float32)

scores = st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7).map(lambda each: np.array(each, np.float32))


def test_top_classes_come_best_first_and_equal_ones_in_order() -> None:
    assert top_classes(BEFORE, 3) == [0, 2, 3]
    assert top_classes(np.array([0.5, 0.7, 0.5, 0.7]), 4) == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("aim", "top1", "top5"),
    [
        (Aim((0,)), SKIPPED, SKIPPED),  # rank 1 before
        (Aim((1,)), SUCCESS, SUCCESS),  # rank 6, then 1
        (Aim((2,)), FAILED, SKIPPED),  # rank 2, then 2
        (Aim((6,)), FAILED, SUCCESS),  # rank 7, then 4
        (Aim((4,)), FAILED, SKIPPED),  # rank 4, then 7
        (Aim((4, 1)), SUCCESS, SKIPPED),  # the best of several counts: rank 4, then 1
        (Aim((0,), away=True), SUCCESS, FAILED),  # rank 1, then 5
        (Aim((4,), away=True), SKIPPED, SUCCESS),  # rank 4, then 7
        (Aim((1,), away=True), SKIPPED, SKIPPED),  # rank 6 before
    ],
    ids=str,
)
def test_results_follow_from_the_ranks_before_and_after(aim: Aim, top1: str, top5: str) -> None:
    assert result(aim, BEFORE, AFTER, 1) == top1
    assert result(aim, BEFORE, AFTER, 5) == top5


@given(scores, st.integers(0, 6), st.booleans())
def test_nothing_succeeds_where_nothing_changed(same: np.ndarray, target: int, away: bool) -> None:
    assert result(Aim((target,), away), same, same, 1) != SUCCESS
    assert result(Aim((target,), away), same, same, 5) != SUCCESS


def test_there_is_no_result_among_all_classes_there_are() -> None:
    assert result(Aim((0,)), BEFORE[:5], AFTER[:5], 5) is None
    assert result(Aim((0,)), BEFORE[:2], AFTER[:2], 1) is not None


@example(  # nearly equal: rounding makes the divergence a tiny negative number
    np.array([0.77159035, 0.28484324, 0.7513311, 0, 0, 0.9981748, 2.2204460e-16], np.float32),
    np.array([0.77159035, 0.28484324, 0.7513309, 2.2204460e-16, 0, 0.9981748, 2.2204460e-16], np.float32),
)
@given(scores, scores)
def test_js_divergence_is_scipys_and_bounded(first: np.ndarray, second: np.ndarray) -> None:
    found = js_divergence(first, second)
    assert 0 <= found <= 1
    assert found == pytest.approx(js_divergence(second, first))
    if first.sum() > 0 and second.sum() > 0:
        p, q = (each.astype(float) / each.astype(float).sum() for each in (first, second))
        middle = (p + q) / 2
        expected = (scipy.stats.entropy(p, middle, base=2) + scipy.stats.entropy(q, middle, base=2)) / 2
        assert found == pytest.approx(expected, abs=1e-9)


def test_js_divergence_is_nothing_for_equal_and_a_bit_for_disjoint_scores() -> None:
    assert js_divergence(BEFORE, BEFORE) == 0
    assert js_divergence(BEFORE, BEFORE / 2) == pytest.approx(0, abs=1e-9)  # how attention is shared alone counts
    assert js_divergence(np.array([1.0, 0, 0]), np.array([0, 0.3, 0.3])) == pytest.approx(1)


def test_cosine_distance_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 2, (2, 1024)).astype(np.float32)
    assert cosine_distance(first, second) == pytest.approx(scipy.spatial.distance.cosine(first, second), abs=1e-6)
    assert cosine_distance(first, first) == 0
    assert cosine_distance(first, 3 * first) == pytest.approx(0, abs=1e-12)
    assert cosine_distance(first, -first) == pytest.approx(2)
    assert (cosine_distance(first, 0 * first), cosine_distance(0 * first, 0 * first)) == (1, 0)
