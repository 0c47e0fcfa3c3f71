"""Claims about augment.determinism.draws: a draw is a sha256 of what it is for, and of nothing else."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from augment.determinism.draws import choose, draw


def test_a_draw_is_the_sha256_of_seed_variant_purpose_and_clip():
    key = b"7\n2\ntarget\ndog.wav"
    assert draw(7, "dog.wav", 2, "target") == int(hashlib.sha256(key).hexdigest(), 16)


def test_a_draw_does_not_depend_on_the_draws_before_it():
    keys = [(seed, clip, variant, "target") for seed in range(3) for clip in ("a", "b") for variant in range(3)]
    first = {key: draw(*key) for key in keys}
    random.Random(0).shuffle(keys)
    assert {key: draw(*key) for key in keys} == first


def test_seed_clip_variant_and_purpose_each_change_the_draw():
    draws = {draw(0, "a", 0, "target"), draw(1, "a", 0, "target"), draw(0, "b", 0, "target")}
    draws |= {draw(0, "a", 1, "target"), draw(0, "a", 0, "noise")}
    assert len(draws) == 5


@given(st.integers(), st.text(), st.integers(0, 99))
def test_any_seed_and_any_clip_name_can_be_drawn_for(seed: int, clip: str, variant: int):
    number = draw(seed, clip, variant, "target")
    assert 0 <= number < 2**256
    assert number == draw(seed, clip, variant, "target")


def test_a_file_name_that_is_not_utf8_can_be_drawn_for():
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    key = b"0\n0\ntarget\ncaf\xe9.wav"
    assert draw(0, name, 0, "target") == int(hashlib.sha256(key).hexdigest(), 16)


@given(st.integers(0, 2**256 - 1), st.integers(1, 1000))
def test_choose_is_one_of_the_choices(number: int, count: int):
    assert choose(number, count) in range(count)


def test_choices_are_equally_likely():
    counts = [0] * 10
    for clip in range(5000):
        counts[choose(draw(0, str(clip), 0, "target"), 10)] += 1
    # chi-square with 9 degrees of freedom: beyond 33.7 once in 10 000 (fixed draws, so this never flakes)
    assert sum((count - 500) ** 2 / 500 for count in counts) < 33.7
