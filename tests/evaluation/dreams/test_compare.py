"""Comparison: hand-worked pairs, and an interval that is narrower than two intervals apart."""

from __future__ import annotations

import numpy as np
import pytest
from example_rows import table

from evaluation.dreams.compare import compare, unique_names
from evaluation.dreams.dream_metrics import block


def success(value: bool) -> str:
    return "success" if value else "failed"


def test_names_are_made_unique_whatever_their_case() -> None:
    assert unique_names(["a", "b", "a", "A", "a-2"]) == ["a", "b", "a-2", "A-3", "a-2-2"]


def test_differences_are_those_of_the_clips_and_targets_that_are_shared() -> None:
    first = table(
        {"source_id": "a", "result_top1": "success", "snr_db": 20.0},
        {"source_id": "a", "result_top1": "failed", "snr_db": 10.0},  # a second dream of the unit: mean 0.5
        {"source_id": "b", "result_top1": "failed", "snr_db": 30.0},
        {"source_id": "only here", "result_top1": "success"},
    )
    second = table(
        {"source_id": "a", "result_top1": "success", "snr_db": 25.0},
        {"source_id": "b", "result_top1": "success", "snr_db": 36.0},
        {"source_id": "b", "result_top1": "failed", "target_index": 1, "snr_db": 1.0},  # another target
    )
    (pair,) = compare({"first": first, "second": second})["pairs"]
    assert (pair["a"], pair["b"]) == ("first", "second")
    assert (pair["matched_by"], pair["shared_sources"], pair["shared_units"]) == (["clip", "target_index"], 2, 2)
    found = pair["measures"]["success_top1"]
    assert (found["a"], found["b"], found["difference"], found["n"]) == (0.25, 1, 0.75, 2)
    snr = pair["measures"]["snr_db"]
    assert (snr["a"], snr["b"], snr["difference"]) == (22.5, 30.5, 8)
    assert (snr["low"], snr["high"]) == (6, 10)


def test_without_a_shared_target_clips_are_matched() -> None:
    first = table({"source_id": "a", "result_top1": "success"}, {"source_id": "b"})
    second = table({"source_id": "a", "target_index": 5}, {"source_id": "b", "target_index": 5})
    (pair,) = compare({"x": first, "y": second})["pairs"]
    assert (pair["matched_by"], pair["shared_units"]) == (["clip"], 2)
    assert pair["measures"]["success_top1"]["difference"] == -0.5


def test_nothing_shared_is_said_and_no_difference_made_up() -> None:
    (pair,) = compare({"x": table({"source_id": "a"}), "y": table({"source_id": "b"})})["pairs"]
    assert (pair["shared_sources"], pair["shared_units"]) == (0, 0)
    assert {each["n"] for each in pair["measures"].values()} == {0}
    assert pair["measures"]["success_top1"]["difference"] is None


def test_a_dataset_against_itself_differs_by_nothing() -> None:
    rows = table(*({"source_id": str(number % 7), "result_top1": success(number % 3 == 0)} for number in range(30)))
    (pair,) = compare({"x": rows, "x-2": rows})["pairs"]
    for name in ("success_top1", "top_changed", "js_divergence"):
        found = pair["measures"][name]
        assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)
    assert pair["measures"]["snr_db"]["n"] == 0  # infinite on both sides


def test_recipes_of_a_dataset_are_entries_of_their_own() -> None:
    rows = table(*({"source_id": "a", "recipe": name} for name in ("soft", "hard", "hard")))
    alone = compare({"set": rows})
    assert [entry["name"] for entry in alone["entries"]] == ["hard", "soft"]
    assert alone["entries"][0]["n_examples"] == 2
    both = compare({"set": rows, "other": rows[rows["recipe"] == "soft"]})
    assert [entry["name"] for entry in both["entries"]] == ["set/hard", "set/soft", "other"]
    assert len(both["pairs"]) == 3
    assert set(block(rows)) <= set(alone["entries"][0])


def test_pairing_takes_out_what_clips_have_in_common() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 6, 40)
    first = table(*({"source_id": str(n), "snr_db": float(hard[n])} for n in range(40)))
    second = table(*({"source_id": str(n), "snr_db": float(hard[n] + 1 + 0.1 * rng.normal())} for n in range(40)))
    found = compare({"x": first, "y": second})
    measured = found["pairs"][0]["measures"]["snr_db"]
    assert measured["difference"] == pytest.approx(1, abs=0.1)
    assert measured["high"] - measured["low"] < 0.1
    assert found["entries"][0]["snr_db"]["high"] - found["entries"][0]["snr_db"]["low"] > 1
