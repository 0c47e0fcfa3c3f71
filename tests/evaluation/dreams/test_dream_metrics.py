"""Metrics: hand-worked rows, null cases, and chance."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from example_rows import table

from augment.targets.policies import Aim
from evaluation.dreams.dream_evaluator import ORIGINALS
from evaluation.dreams.dream_metrics import block, budget_bands, summarise, warnings_of
from evaluation.metrics.frechet import Sums
from evaluation.metrics.shifts import result

RNG = np.random.default_rng(0)
SUMS = {
    ORIGINALS: Sums.of(RNG.normal(size=(50, 8))),
    ("deep_dream", "deep_dream"): Sums.of(RNG.normal(1, 1, size=(40, 8))),
    ("hard_cut", "cut"): Sums.of(RNG.normal(2, 1, size=(30, 8))),
}
ROWS = table(
    {"source_id": "a", "result_top1": "success", "result_top5": "success", "target_rank_after": 1, "snr_db": 20.0},
    {"source_id": "a", "result_top5": "success", "target_rank_after": 4, "snr_db": 22.0, "label_kept": False},
    {"source_id": "b", "result_top1": "skipped", "result_top5": "skipped", "target_rank_before": 1, "snr_db": 30.0},
    {"source_id": "b", "top_changed": True, "label_before": False, "label_kept": None, "outcome": "sibling"},
    {
        "source_id": "c",
        "recipe": "cut",
        "transform": "hard_cut",
        "labels": [],
        "label_before": None,
        "label_after": None,
        "label_kept": None,
        "target_rank_before": None,
        "target_rank_after": None,
        "result_top1": None,
        "result_top5": None,
        "snr_db": -math.inf,
        "target_name": "Bark",
        "outcome": None,
    },
)


def test_shares_are_taken_over_what_they_apply_to() -> None:
    found = block(ROWS)
    assert (found["n_examples"], found["n_sources"]) == (5, 3)
    assert (found["success"]["top1"]["value"], found["success"]["top1"]["n"]) == (pytest.approx(1 / 3, abs=1e-6), 3)
    assert (found["success"]["top5"]["value"], found["success"]["top5"]["n"]) == (pytest.approx(2 / 3, abs=1e-6), 3)
    assert found["results"] == {"success": 1, "failed": 2, "skipped": 1}
    assert (found["top_changed"]["value"], found["top_changed"]["n"]) == (0.2, 5)
    assert (found["label_kept"]["value"], found["label_kept"]["n"]) == (pytest.approx(2 / 3, abs=1e-6), 3)
    assert found["outcomes"] == {"hit": 0, "child": 0, "sibling": 1, "parent": 0, "miss": 3}
    assert (found["target_rank"]["before_median"], found["target_rank"]["after_median"]) == (9, 6.5)


def test_snr_is_that_of_finite_values_and_the_others_are_counted() -> None:
    found = block(ROWS)["snr_db"]
    assert (found["median"], found["p10"], found["p90"]) == (22, 20.4, 28.4)
    assert (found["n"], found["identical"], found["silent"]) == (3, 1, 1)


def test_the_stable_keys_are_there_and_all_is_json() -> None:
    found = summarise(ROWS, SUMS)
    json.dumps(found, allow_nan=False)
    for name in ("top1", "top5"):
        assert {"value", "low", "high"} <= set(found["success"][name])
    for name in ("top_changed", "label_kept"):
        assert {"value", "low", "high"} <= set(found[name])
    assert {"before_median", "after_median"} <= set(found["target_rank"])
    assert {"median", "p10", "p90"} <= set(found["snr_db"])
    assert found["fad"] > 0
    assert set(found["by_transform"]) == {"deep_dream", "hard_cut"}
    assert set(found["by_recipe"]) == {"deep_dream", "cut"}
    assert set(found["by_target"]) == {"Cat", "Bark"}
    assert set(found["by_label"]) == {"dog"}
    assert set(found["by_budget"]) == {"below 10", "20 to 25", "30 to 35", "identical"}
    assert set(found["by_transform"]["hard_cut"]) == {*block(ROWS), "fad"}


def test_the_frechet_distance_of_all_is_that_of_the_sums_put_together() -> None:
    from evaluation.metrics.frechet import distance

    found, keys = summarise(ROWS, SUMS), list(SUMS)
    assert found["fad"] == pytest.approx(distance(SUMS[ORIGINALS], SUMS[keys[1]] + SUMS[keys[2]]), rel=1e-5)
    assert found["by_transform"]["hard_cut"]["fad"] == found["by_recipe"]["cut"]["fad"]
    assert found["by_recipe"]["cut"]["fad"] == pytest.approx(distance(SUMS[ORIGINALS], SUMS[keys[2]]), rel=1e-5)
    assert found["fad_n"] == {"originals": 50, "outputs": 70}


def test_budget_bands_begin_with_their_lower_edge() -> None:
    rows = table(*({"source_id": "a", "snr_db": snr} for snr in (9.99, 10.0, 24.9, 25.0, 40.0, math.inf, -math.inf)))
    expected = ["below 10", "10 to 15", "20 to 25", "25 to 30", "40 or more", "identical", "below 10"]
    assert list(budget_bands(rows)) == expected


def test_shift_matrices_count_targets_and_moves() -> None:
    rows = table(
        {"source_id": "a", "category_target": "Music", "category_after": "Music", "result_top1": "success"},
        {"source_id": "b", "category_target": "Music"},
        {"source_id": "c", "category_before": "Human sounds", "labels": ["cat", "dog"]},
    )
    found = summarise(rows, {})["shifts"]
    assert found["category"]["targets"] == [
        {"source": "Animal", "target": "Music", "n": 2, "success_top1": 0.5},
        {"source": "Human sounds", "target": "Animal", "n": 1, "success_top1": 0.0},
    ]
    assert {"before": "Animal", "after": "Music", "n": 1} in found["category"]["moves"]
    assert {"source": "cat", "target": "Animal", "n": 1, "success_top1": 0.0} in found["label"]["targets"]
    assert {"source": "dog", "target": "Music", "n": 2, "success_top1": 0.5} in found["label"]["targets"]


def test_nothing_that_changed_is_the_null_case() -> None:
    rows = table(*({"source_id": str(number)} for number in range(30)))
    same = Sums.of(RNG.normal(size=(50, 8)))
    found = summarise(rows, {ORIGINALS: same, ("deep_dream", "deep_dream"): same})
    for share in (found["success"]["top1"], found["success"]["top5"], found["top_changed"], found["js_divergence"]):
        assert (share["value"], share["low"], share["high"]) == (0, 0, 0)
    assert (found["snr_db"]["median"], found["snr_db"]["identical"]) == (None, 30)
    assert found["fad"] == pytest.approx(0, abs=1e-9)
    assert found["label_kept"]["value"] == 1
    assert set(found["by_budget"]) == {"identical"}


def test_a_shuffled_target_list_gives_chance() -> None:
    classes, examples, rows = 100, 3000, []
    for number in range(examples):
        before, after = RNG.random((2, classes))
        target = Aim((int(RNG.integers(classes)),))  # independent of the scores
        found = {f"result_top{top}": result(target, before, after, top) for top in (1, 5)}
        rows.append({"source_id": str(number % 500), **found})
    success = block(table(*rows))["success"]
    for top in (1, 5):
        chance, found = top / classes, success[f"top{top}"]
        assert found["low"] < chance < found["high"]
        assert found["value"] == pytest.approx(chance, abs=4 * math.sqrt(chance / examples))


def test_one_example_has_figures_without_intervals_and_says_so() -> None:
    rows = table({"source_id": "a", "result_top1": "success", "snr_db": 12.0})
    found = summarise(rows, {})
    assert found["success"]["top1"] == {"value": 1, "low": None, "high": None, "n": 1, "clips": 1}
    assert (found["snr_db"]["median"], found["snr_db"]["low"]) == (12, None)
    assert found["fad"] is None
    assert any("one source recording" in warning for warning in warnings_of(rows, {}))


def test_warnings_tell_what_the_figures_lack() -> None:
    stored = "\n".join(warnings_of(ROWS, {key: Sums.of(np.ones((3, 8))) for key in SUMS}))
    for expected in ("3 recordings", "with 8 or fewer", "target of 1 of 5", "1 targets were on top"):
        assert expected in stored
    unknown = table({"source_id": "a", "labels": ["clock_tick"], "label_before": None, "label_kept": None})
    assert "no class for 1 labels (clock_tick)" in "\n".join(warnings_of(unknown, {}))
    many = table(*({"source_id": str(number)} for number in range(20)))
    assert warnings_of(many, {key: Sums.of(RNG.normal(size=(20, 8))) for key in SUMS}) == []


def test_the_order_of_rows_in_the_parts_does_not_matter() -> None:
    shuffled = ROWS.sample(frac=1, random_state=1).sort_values("id", kind="stable", ignore_index=True)
    assert summarise(shuffled, SUMS) == summarise(ROWS, SUMS)
