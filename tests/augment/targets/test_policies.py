"""Claims about augment.targets.policies: what a policy aims at, and when an aim is reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.determinism.draws import draw
from augment.targets.policies import POLICIES, PREDICTED_SCORE, Aim, Situation, split_target

SCORES = np.array([0.1, 0.9, 0.2, 0.6, 0.0], np.float32)


def aimed(
    policy: str, classes: tuple[int, ...] = (), number: int = 17, scores: np.ndarray = SCORES, **known: int
) -> Aim:
    return POLICIES[policy](Situation(scores, classes, number, **known))


def test_keep_is_the_top_class():
    assert aimed("keep") == Aim((1,))


def test_class_is_what_was_named_and_several_are_one_target():
    assert aimed("class", (4,)) == Aim((4,))
    assert aimed("class", (4, 0)) == Aim((4, 0))


def test_random_covers_every_class_that_is_not_predicted():
    numbers = [draw(0, str(clip), 0, "target") for clip in range(200)]
    assert {aimed("random", number=number).classes for number in numbers} == {(0,), (2,), (4,)}


def test_random_covers_the_list_and_nothing_else():
    numbers = [draw(0, str(clip), 0, "target") for clip in range(200)]
    assert {aimed("random", (3, 4, 0, 1), number).classes for number in numbers} == {(4,), (0,)}


def test_the_top_class_is_predicted_however_low_it_scores():
    scores = np.array([0.01, 0.02], np.float32)
    assert {aimed("random", number=number, scores=scores).classes for number in range(20)} == {(0,)}


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20), st.integers(0, 2**256 - 1))
def test_random_never_picks_a_predicted_class(values: list, number: int):
    scores = np.array(values, np.float32)
    predicted = {int(scores.argmax()), *np.flatnonzero(scores >= PREDICTED_SCORE)}
    if len(predicted) == len(scores):
        with pytest.raises(ValueError, match="already predicted"):
            aimed("random", number=number, scores=scores)
    else:
        assert aimed("random", number=number, scores=scores).classes[0] not in predicted


def test_a_list_of_predicted_classes_alone_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="name more classes"):
        aimed("random", (1, 3))


def test_nearest_scores_highest_and_farthest_lowest_of_what_is_not_predicted():
    assert aimed("nearest") == Aim((2,))
    assert aimed("nearest", (0, 4, 1)) == Aim((0,))
    assert aimed("farthest") == Aim((4,))
    assert aimed("farthest", (0, 2)) == Aim((0,))


def test_label_and_sound_are_the_classes_of_the_label_and_of_the_target_sound():
    assert aimed("label", label=3) == Aim((3,))
    assert aimed("sound", sound=2) == Aim((2,))
    with pytest.raises(ValueError, match=r"map it with target\.labels"):
        aimed("label")
    with pytest.raises(ValueError, match=r"set recipe\.sound"):
        aimed("sound")


def test_away_is_from_the_top_class_or_from_what_was_named():
    assert aimed("away") == Aim((1,), away=True)
    assert aimed("away", (0, 2)) == Aim((0, 2), away=True)


def test_an_aim_is_reached_at_the_top_and_left_below_the_fifth():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert Aim((0,)).reached(scores)
    assert Aim((3, 0)).reached(scores)
    assert not Aim((1,)).reached(scores)
    assert not Aim((4,), away=True).reached(scores)
    assert Aim((5,), away=True).reached(scores)
    assert not Aim((5, 0), away=True).reached(scores)
    assert [Aim((index,)).rank(scores) for index in range(7)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_row_is_one_toward_minus_one_away_and_zero_elsewhere():
    np.testing.assert_array_equal(Aim((1, 3)).row(5), [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(Aim((1,), away=True).row(3), [0, -1, 0])


@pytest.mark.parametrize(
    ("text", "policy", "names"),
    [
        ("Dog", "class", ["Dog"]),
        ("Dog/*", "class", ["Dog/*"]),
        (69, "class", [69]),
        ("random", "random", []),
        ("random:Animal/*", "random", ["Animal/*"]),
        ("away:Speech", "away", ["Speech"]),
        ("keep:Dog", "class", ["keep:Dog"]),
        ("class", "class", ["class"]),
    ],
)
def test_a_target_is_a_policy_with_what_it_names_or_a_class(text: str | int, policy: str, names: list):
    assert split_target(text) == (policy, names)
