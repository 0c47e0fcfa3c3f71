"""Claims about augment.recipes.recipe: a recipe is a value."""

from __future__ import annotations

import hashlib
import itertools
import json
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from augment.recipes.recipe import (
    Recipe,
    canonical_json,
)
from augment.recipes.tables import OBJECTIVES, TRANSFORMS

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "transform": st.sampled_from(["deep_dream", "hard_cut_add"]),
    "steps": st.integers(0, 1000),
    "step_size": st.floats(0, 10),
    "snr_db": st.floats(-100, 200),
    "objective": st.sampled_from(["margin", "logit"]) | st.just({"margin": 1.0, "score": 0.5}),
    "threshold": st.floats(0, 1, exclude_max=True),
    "power": st.floats(0, 100, exclude_min=True),
    "hop": st.integers(1, 512),
}


@given(st.fixed_dictionaries({}, optional=FIELDS), st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_fields(values: dict, order):
    items = list(values.items())
    order.shuffle(items)
    assert Recipe(**dict(items)).digest() == Recipe(**values).digest()


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_a_recipe_survives_the_round_trip_through_json(values: dict):
    recipe = Recipe(**values)
    back = Recipe.model_validate_json(recipe.canonical_json())
    assert back == recipe
    assert back.canonical_json() == recipe.canonical_json()


def test_the_digest_is_the_sha256_of_sorted_json_without_white_space():
    recipe = Recipe(transform="hard_cut", steps=3)
    text = json.dumps(recipe.model_dump(mode="json"), sort_keys=True).replace(": ", ":").replace(", ", ",")
    assert recipe.canonical_json() == text
    assert recipe.digest() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"snr_db": 25}, {"snr_db": 25.0}),
        ({"step_size": 1}, {"step_size": 1.0}),
        ({"snr_db": 0.0}, {"snr_db": -0.0}),
        ({"steps": 20}, {}),
    ],
)
def test_equal_recipes_have_equal_digests(one: dict, other: dict):
    assert Recipe(**one) == Recipe(**other)
    assert Recipe(**one).digest() == Recipe(**other).digest()


def test_every_field_changes_the_digest():
    changed = [
        *({"transform": "hard_cut_add"}, {"objective": "score"}, {"steps": 21}, {"step_size": 0.04}),
        *(
            {"step_unit": "full_scale"},
            {"start": "mix"},
            {"hold": None},
            {"keep": "last"},
            {"change_lu": -20},
            {"snr_db": 25},
            {"peak": 0.5},
            {"threshold": 0.2},
            {"power": 2},
        ),
        *({"frame_length": 512}, {"hop": 128}, {"transform": "hard_cut_add", "flip": True}),
        {"transform": "target_filter", "sound": "a.wav"},
    ]
    digests = {Recipe(**values).digest() for values in ({}, *changed)}
    assert len(digests) == 1 + len(changed)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frame_length": 1023}, "even and at least twice hop, got 1023"),
        ({"hop": 513}, "at least twice hop, got 1024 and 513"),
        ({"flip": True}, "flip is for hard_cut and hard_cut_add, not for deep_dream"),
        ({"transform": "gradients", "flip": True}, "flip is for"),
        ({"transform": "target_filter"}, "needs a target sound: give --sound"),
        ({"objective": "style"}, "style needs a target sound"),
        ({"layers": ["logits"]}, "layers is for the objectives"),
        ({"objective": {}}, "names nothing that counts"),
        ({"objective": {"margin": 0}}, "names nothing that counts"),
        ({"objective": {"margins": 1}}, "margin"),
        ({"transform": "hard_cut", "snr_db": 20}, "snr_db limits a change"),
        ({"transform": "gradients", "snr_db": 20}, "snr_db limits a change"),
        ({"transform": "deepdream"}, "'deep_dream'"),
        ({"objective": "loss"}, "'margin'"),
        ({"step_unit": "volt"}, "'clip_rms'"),
        ({"steps": -1}, "greater than or equal to 0"),
        ({"steps": 2.5}, "steps"),
        ({"step_size": -0.1}, "greater than or equal to 0"),
        ({"step_size": float("nan")}, "step_size"),
        ({"step_size": float("inf")}, "finite"),
        ({"snr_db": float("nan")}, "snr_db"),
        ({"snr_db": float("inf")}, "snr_db"),
        ({"peak": 0}, "greater than 0"),
        ({"threshold": 1}, "less than 1"),
        ({"threshold": float("nan")}, "threshold"),
        ({"power": 0}, "greater than 0"),
        ({"stepz": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(values: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        Recipe(**values)


@pytest.mark.parametrize(("name", "flip", "limited"), [*itertools.product(TRANSFORMS, [False, True], [False, True])])
def test_a_recipe_takes_flip_sound_and_snr_just_where_the_transform_does(name: Any, flip: bool, limited: bool):
    transform = TRANSFORMS[name]
    values = {"flip": flip, "snr_db": 20 if limited else None, "sound": "a.wav" if transform.needs_sound else None}
    if (flip and not transform.flips) or (limited and not transform.adds):
        with pytest.raises(ValidationError):
            Recipe(transform=name, **values)
    else:
        assert Recipe(transform=name, **values).transform == name


def test_canonical_json_refuses_what_json_has_no_sign_for():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


def test_canonical_json_keeps_letters_and_sorts_keys():
    assert canonical_json({"b": "\u00e9", "a": [1, None]}) == '{"a":[1,null],"b":"\u00e9"}'


def test_the_recipe_knows_the_transforms_objectives_updates_and_starts_that_there_are_and_what_they_take():
    for name, transform in TRANSFORMS.items():
        base = {"transform": name, "sound": "x.wav" if transform.needs_sound else None}
        for change, taken in (({"flip": True}, transform.flips), ({"snr_db": 20}, transform.adds)):
            with nullcontext() if taken else pytest.raises(ValueError, match=r"flip|snr_db"):
                Recipe.model_validate({**base, **change})


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_objective_asks_for_a_sound_just_where_it_compares_with_one(name: str):
    with pytest.raises(ValueError, match="target sound") if OBJECTIVES[name].reference else nullcontext():
        Recipe.model_validate({"objective": name})


def test_a_transforms_own_defaults_give_way_to_what_is_given_and_do_not_count_as_given():
    recipe = Recipe(transform="gain_filter")
    assert recipe.snr_db == TRANSFORMS["gain_filter"].defaults["snr_db"]
    assert Recipe(transform="gain_filter", snr_db=30).snr_db == 30
    assert recipe.model_dump(exclude_unset=True) == {"transform": "gain_filter"}
    assert Recipe.model_validate(recipe.model_dump()) == recipe


def test_without_a_budget_steps_are_relative_to_the_clip():
    recipe = Recipe(snr_db=None)
    assert (recipe.step_unit, recipe.step_size) == ("clip_rms", 0.02)


def test_noise_is_white():
    assert Recipe.model_validate({"start": "noise"}) == Recipe(start="white")
