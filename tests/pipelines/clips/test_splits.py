"""Splits: what they may be called, and which are dreamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfds_datasets import NAMES

from pipelines.clips.references import ClipRef, Failure, SoundFileRef
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import HELD_OUT, is_dreamed, split_fault, warnings
from pipelines.clips.tf_examples import Fields, Layout
from pipelines.config.run_config import RunConfig
from pipelines.dataset.schema import Vocabulary
from pipelines.run.clip_summary import ClipSummary, in_order
from pipelines.run.listing_file import SINGLE_ITEMS, listing_blocks, read_block, write_listing


@pytest.mark.parametrize("split", ["train", "unlabelled", "fold1", "testing", "tests", "training"])
def test_other_splits_are_dreamed(split: str) -> None:
    assert is_dreamed(split, augment_test=False)
    assert RunConfig(variants=3).records_of(split) == 4


@pytest.mark.parametrize("split", [*HELD_OUT, "TEST", "Validation"])
def test_held_out_splits_are_dreamed_only_where_that_is_asked_for(split: str) -> None:
    assert not is_dreamed(split, augment_test=False)
    assert is_dreamed(split, augment_test=True)
    for include_original in (True, False):
        assert RunConfig(variants=3, include_original=include_original).records_of(split) == 1
    assert RunConfig(variants=3, augment_test=True).records_of(split) == 4


def test_a_warning_names_the_held_out_splits_that_were_dreamed() -> None:
    clips = {"train": 3, "val": 1, "Test": 2}
    assert warnings(clips, augment_test=False) == []
    assert warnings({"train": 3}, augment_test=True) == []
    (line,) = warnings(clips, augment_test=True)
    assert "Test, val" in line
    assert "\n" not in line


@pytest.mark.parametrize("split", ["", "all", "../x", "a b", "a\nb", "-x", "a" * 65, "é"])
def test_a_name_that_can_not_be_part_of_a_files_name_is_a_fault(split: str) -> None:
    fault = split_fault(split)
    assert fault is not None
    assert repr(split) in fault
    assert split_fault("train") is split_fault("fold_1-a") is None


def test_labels_are_sorted_as_numbers_if_all_are_integers() -> None:
    assert in_order({"10", "9", "-1", "09"}) == ["-1", "09", "9", "10"]
    assert in_order({"10", "9", "x"}) == ["10", "9", "x"]
    assert in_order({"²", "1"}) == ["1", "²"]


def test_the_sources_own_order_of_classes_comes_first_then_other_labels_then_those_of_targets() -> None:
    summary = ClipSummary(Vocabulary(NAMES, (), ("fold",)), ("Cat", "one"))
    clips = [
        ClipRef(str(number), "/x", labels, split, 0, 8000, 8000, 1 + number, "WAV/PCM_16")
        for number, (labels, split) in enumerate([(("two", "zebra"), "train"), ((), "test"), (("ape",), "train")])
    ]
    halves = [summary.create_accumulator(), summary.create_accumulator()]
    for number, clip in enumerate(clips):
        halves[number % 2] = summary.add_input(halves[number % 2], clip)
    result = summary.extract_output(summary.merge_accumulators(halves))
    assert result.vocabulary == Vocabulary((*NAMES, "ape", "zebra", "Cat"), (1, 2, 3), ("fold",))
    assert (result.clips, result.seconds, result.clips_by_split) == (3, 3.0, {"test": 1, "train": 2})


def test_a_listing_reads_back_block_by_block_as_it_was_written(tmp_path: Path) -> None:
    items = [
        ShardRef(
            "a",
            "/a",
            "test",
            "test",
            7,
            3,
            Layout("x", "int16", 2, True),
            Fields(("label",), NAMES, groups=(("a", "b"),)),
        ),
        Failure("/b", "b\n", "list", "ö"),
        *(SoundFileRef(f"é{k}", f"/{k}", ("dog", "cat"), "train", (("a", "b"),), 0.5, None) for k in range(1200)),
    ]
    assert write_listing(str(tmp_path / "x"), items) == {"files": 1201, "failures": 1}
    blocks = list(listing_blocks(str(tmp_path / "x")))
    assert [lines for _, _, lines in blocks] == [1] * SINGLE_ITEMS + [64] * 3 + [10]
    assert [item for block in blocks for item in read_block(block)] == items
