"""Claims about augment.targets: which class a policy names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.draws import draw
from augment.targets import POLICIES, PREDICTED_SCORE

SCORES = np.array([0.1, 0.9, 0.2, 0.6, 0.0], np.float32)


def test_keep_is_the_top_class():
    assert POLICIES["keep"](SCORES, [0, 2], 17) == 1


def test_class_is_the_class_that_was_named():
    assert POLICIES["class"](SCORES, [4], 17) == 4


def test_random_covers_every_class_that_is_not_predicted():
    numbers = [draw(0, str(clip), 0, "target") for clip in range(200)]
    assert {POLICIES["random"](SCORES, [], number) for number in numbers} == {0, 2, 4}


def test_random_covers_the_list_and_nothing_else():
    numbers = [draw(0, str(clip), 0, "target") for clip in range(200)]
    assert {POLICIES["random"](SCORES, [3, 4, 0, 1], number) for number in numbers} == {4, 0}


def test_the_top_class_is_predicted_however_low_it_scores():
    scores = np.array([0.01, 0.02], np.float32)
    assert {POLICIES["random"](scores, [], number) for number in range(20)} == {0}


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20), st.integers(0, 2**256 - 1))
def test_random_never_picks_a_predicted_class(values: list, number: int):
    scores = np.array(values, np.float32)
    predicted = {int(scores.argmax()), *np.flatnonzero(scores >= PREDICTED_SCORE)}
    if len(predicted) == len(scores):
        with pytest.raises(ValueError, match="already predicted"):
            POLICIES["random"](scores, [], number)
    else:
        assert POLICIES["random"](scores, [], number) not in predicted


def test_a_list_of_predicted_classes_alone_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="name more classes"):
        POLICIES["random"](SCORES, [1, 3], 17)
