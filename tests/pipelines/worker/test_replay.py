"""Replay: every record of a real dataset made again, bit for bit, and what is said where that cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from published import CLIPS, RECIPES, copy, edit, edit_provenance, frames, shard
from recordings import augment, complaint, dreambeam, load, record, samples

from augment.determinism.draws import draw
from pipelines.clips.clips import segments
from pipelines.clips.references import SoundFileRef, clip_ref
from pipelines.dataset.reader import DamagedError, DatasetError, open_dataset
from pipelines.dataset.record_reader import read_example
from pipelines.worker.replay import ReplayError, replay

DREAM = "dog/a.wav:deep_dream:0"


@pytest.fixture
def dataset(published: Path) -> Path:
    return published / "out"


def doctored(dataset: Path, target: Path, id_: str, change: Any) -> Path:
    """Return a copy of the dataset in which the provenance of a record is changed."""
    copied = copy(dataset, target)
    opened = open_dataset(copied)
    for path in sorted(copied.glob("*.tfrecord-*")):
        for position, found in enumerate(frames(path)):
            if read_example(opened, found)["id"] == id_:
                edit_provenance(path, position, change)
                return copied
    raise AssertionError(id_)


# Bit-exact


def test_every_record_replays_bit_for_bit(dataset: Path):
    opened = open_dataset(dataset)
    examples = load(dataset)
    dreams = {f"{clip}:{recipe}:0" for clip in CLIPS for recipe in RECIPES}
    assert set(examples) == dreams | {f"{clip}:original" for clip in CLIPS}
    for id_, example in examples.items():
        found = replay(opened, id_)
        assert found.exact, id_
        np.testing.assert_array_equal(found.waveform, example["audio"], id_)
        assert found.sample_rate == example["sample_rate"]
        assert found.difference is not None
        assert (found.difference.snr_db, found.difference.peak) == (np.inf, 0)
        assert found.differing == {}


def test_a_dream_away_from_several_classes_and_a_paper_like_one_replay(published: Path, tmp_path: Path):
    changes = ("recipe.steps=2", "recipe.update=normalised", "include_original=false", "recipe.objective=logit")
    augment(published / "in/dog/a.wav", tmp_path / "out", "target=away", "target.classes=[Dog, Cat]", *changes)
    opened = open_dataset(tmp_path / "out")
    assert all(replay(opened, id_).exact for id_ in load(tmp_path / "out"))


def test_a_clip_reference_comes_back_from_what_provenance_says_of_it(published: Path):
    for ref in segments(
        SoundFileRef("x.ogg", str(published / "in/cat/long.ogg"), ("cat",), "test"), segment_seconds=1.25
    ):
        told = {
            name: getattr(ref, name) for name in ("id", "uri", "start", "stop", "sample_rate", "channels", "format")
        }
        again = clip_ref({**told, "sha256": "0"})
        assert {name: getattr(again, name) for name in told} == told


def test_a_recipe_without_fields_that_came_later_replays_by_their_defaults(dataset: Path, tmp_path: Path):
    def forget(told: dict[str, Any]) -> None:
        for name in ("octaves", "smoothing", "time_jitter", "gain_jitter", "flip", "layers", "change_lufs"):
            del told["recipe"][name]

    assert replay(open_dataset(doctored(dataset, tmp_path / "old", DREAM, forget)), DREAM).exact


def test_nothing_is_drawn_anew_that_the_provenance_tells(dataset: Path, tmp_path: Path):
    id_ = "dog/a.wav:noise:0"

    def forget(told: dict[str, Any]) -> None:
        told["target_policy"], told["target_classes"] = "keep", []

    assert replay(open_dataset(doctored(dataset, tmp_path / "policy", id_, forget)), id_).exact
    other = doctored(dataset, tmp_path / "seed", id_, lambda told: told.update(seed=told["seed"] + 1))
    assert draw(7, "dog/a.wav", 0, "start") != draw(8, "dog/a.wav", 0, "start")
    assert not replay(open_dataset(other), id_).exact


# Not the same


def test_a_change_of_the_recipe_is_measured_against_the_stored_audio(dataset: Path, tmp_path: Path):
    other = doctored(dataset, tmp_path / "x", DREAM, lambda told: told["recipe"].update(steps=1))
    found = replay(open_dataset(other), DREAM)
    stored = load(dataset)[DREAM]["audio"].astype(np.float64)[: len(found.waveform)]
    change = found.waveform - stored
    assert not found.exact
    assert found.difference is not None
    assert found.difference.peak == np.max(np.abs(change)) > 0
    assert found.difference.snr_db == pytest.approx(10 * np.log10(np.sum(stored**2) / np.sum(change**2)))
    assert 10 < found.difference.snr_db < 60


def test_other_versions_and_processors_are_named(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def other(told: dict[str, Any]) -> None:
        told["versions"].update(numpy="1.0.0", machine="abacus")
        told["recipe"]["steps"] = 1

    changed = doctored(dataset, tmp_path / "x", DREAM, other)
    told = json.loads((changed / "run.json").read_text())
    (changed / "run.json").write_text(json.dumps({**told, "processor": "a slide rule"}))
    found = replay(open_dataset(changed), DREAM)
    assert set(found.differing) == {"machine", "numpy", "processor"}
    assert found.differing["numpy"] == ("1.0.0", np.__version__)
    assert found.differing["processor"][0] == "a slide rule"
    output = tmp_path / "again.wav"
    assert dreambeam("replay", changed, "--id", DREAM, "--output", output) == 1
    printed = capsys.readouterr().out
    assert "is not the same: SNR " in printed
    assert f"numpy was 1.0.0, is {np.__version__}" in printed
    np.testing.assert_array_equal(samples(output), found.waveform)  # written all the same


# What is missing or has changed


def test_a_source_that_changed_or_went_is_said_and_can_be_named(published: Path, dataset: Path, tmp_path: Path):
    path = published / "in/dog/a.wav"
    opened, kept = open_dataset(dataset), path.read_bytes()
    try:
        path.write_bytes(kept[:-2] + b"\0\1")
        with pytest.raises(ReplayError, match=r"a\.wav' is not what .* was made from .*--source PATH"):
            replay(opened, DREAM)
        path.unlink()
        with pytest.raises(ReplayError, match=r"does not exist.*--source PATH"):
            replay(opened, DREAM)
        (tmp_path / "moved.wav").write_bytes(kept)
        assert replay(opened, DREAM, source=str(tmp_path / "moved.wav")).exact
    finally:
        path.write_bytes(kept)


def test_a_target_sound_that_changed_or_went_is_said_and_can_be_named(published: Path, dataset: Path, tmp_path: Path):
    path, id_ = published / "sound.wav", "dog/a.wav:like:0"
    opened, kept = open_dataset(dataset), path.read_bytes()
    try:
        path.write_bytes(kept[:-2] + b"\0\1")
        with pytest.raises(ReplayError, match=r"sound\.wav' is not the target sound of .*--sound PATH"):
            replay(opened, id_)
        path.unlink()
        with pytest.raises(ReplayError, match=r"the target sound of .* does not exist.*--sound PATH"):
            replay(opened, id_)
        (tmp_path / "moved.wav").write_bytes(kept)
        assert replay(opened, id_, sound=str(tmp_path / "moved.wav")).exact
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            lambda told: told["model"].update(identity="f" * 64),
            ReplayError,
            "weights of identity ffffffffffff.*--weights",
        ),
        (lambda told: told["recipe"].update(wobble=3), ReplayError, "no key 'wobble'.*made by dreambeam"),
        (
            lambda told: told["recipe"].update(transform="shallow"),
            ReplayError,
            "transform.*'shallow'.*made by dreambeam",
        ),
        (lambda told: told.pop("seed"), DamagedError, "not complete.*'seed'"),
        (lambda told: told["source"].pop("start"), DamagedError, "not complete.*'source.start'"),
        (lambda told: told["arithmetic"].update(colour=3), DamagedError, "'arithmetic.colour', which this version"),
        (lambda told: told["arithmetic"].pop("onednn"), DamagedError, "lacks 'arithmetic.onednn'"),
        (lambda told: told.update(versions="new"), DamagedError, "has 'versions' as 'new'"),
        (lambda told: told.update(recipe=[1]), DamagedError, r"has 'recipe' as \[1\]"),
        (lambda told: told["target"].update(classes=[]), DamagedError, "not complete"),
        (lambda told: told["target"].update(classes=["x"]), DamagedError, "not complete"),
    ],
    ids=[
        *("model", "unknown field", "unknown transform", "no seed", "no start", "unknown arithmetic", "no oneDNN"),
        *("no versions", "no recipe", "no target", "a class that is no number"),
    ],
)
def test_provenance_that_cannot_be_followed_is_said(dataset: Path, tmp_path: Path, change: Any, error: Any, match: str):
    with pytest.raises(error, match=match) as caught:
        replay(open_dataset(doctored(dataset, tmp_path / "x", DREAM, change)), DREAM)
    assert "\n" not in str(caught.value)


def test_an_unknown_id_gets_the_nearest_ones(dataset: Path):
    opened = open_dataset(dataset)
    with pytest.raises(DatasetError, match=r"no record .*; did you mean 'dog/a\.wav:deep_dream:0'"):
        replay(opened, "dog/a.wav:deepdream:0")
    with pytest.raises(DatasetError, match=r"did you mean 'dog/a\.wav:"):
        replay(opened, "dog/a.wav")
    with pytest.raises(DatasetError, match=r"did you mean 'cat/long\.ogg#t="):
        replay(opened, "cat/long.ogg")
    with pytest.raises(DatasetError, match=r"provenance\.parquet lists the ids"):
        replay(opened, "zzzzzzzz")


def test_a_damaged_shard_is_said(dataset: Path, tmp_path: Path):
    copied = copy(dataset, tmp_path / "x")
    for path in copied.glob("*.tfrecord-*"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedError, match=r"tfrecord-0000.* cannot be read: the file"):
        replay(open_dataset(copied), DREAM)


# Command line


def test_the_command_writes_a_float_wav_with_the_very_samples(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    id_, output = "dog/stereo.flac:deep_dream:0", tmp_path / "again.wav"
    assert dreambeam("replay", dataset, "--id", id_, "--output", output) == 0
    assert f"{id_} is bit-exact" in capsys.readouterr().out
    np.testing.assert_array_equal(samples(output), load(dataset)[id_]["audio"])
    assert soundfile.info(output).samplerate == 44_100
    assert dreambeam("replay", dataset, "--id", id_, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["exact"], told["max_difference"], told["differing"]) == (True, 0, {})


def test_stored_audio_that_is_not_what_was_dreamed_is_said(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    copied = copy(dataset, tmp_path / "x")

    def louder(features: Any) -> None:
        values = np.frombuffer(features["audio/value"].bytes_list.value[0], np.float32) * 2
        features["audio/value"].bytes_list.value[0] = values.tobytes()

    edit(shard(copied), 0, louder)
    id_ = read_example(open_dataset(copied), frames(shard(copied))[0])["id"]
    assert dreambeam("replay", copied, "--id", id_) == 1
    assert "the dataset holds other samples than its provenance says" in capsys.readouterr().out


def test_wrong_arguments_are_one_line(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "did you mean" in complaint(capsys, "replay", dataset, "--id", "dog/a.wav:deep_dream:1")
    assert "does not exist" in complaint(capsys, "replay", tmp_path / "nowhere", "--id", DREAM)
    assert "no run.json" in complaint(capsys, "replay", record(tmp_path / "x/a.wav").parent, "--id", DREAM)
    assert "must end in" in complaint(capsys, "replay", dataset, "--id", DREAM, "--output", "x.mp3")


def test_a_replay_overwrites_nothing_unless_it_is_told_to(published: Path, dataset: Path, capsys: Any, tmp_path: Path):
    recording = tmp_path / "precious.wav"
    shutil.copy(published / "in/dog/a.wav", recording)
    before = recording.read_bytes()
    assert "exists already" in complaint(capsys, "replay", dataset, "--id", DREAM, "--output", recording)
    assert "in the dataset" in complaint(capsys, "replay", dataset, "--id", DREAM, "--output", dataset / "x.wav")
    assert recording.read_bytes() == before
    assert dreambeam("replay", dataset, "--id", DREAM, "--output", recording, "--overwrite") == 0
    assert recording.read_bytes() != before
