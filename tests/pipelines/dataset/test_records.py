"""Records: the features of a dataset, and provenance that depends on nothing but what shaped the audio."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from augment.ascent.dreaming import Dreamed
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.sound.distance import Distance
from augment.targets.policies import Aim
from pipelines.clips.clips import Clip
from pipelines.clips.references import ClipRef
from pipelines.dataset.records import Encoder, Labelling, Record
from pipelines.dataset.schema import Vocabulary, features
from pipelines.dataset.versions import versions


def clip(channels: int = 1, labels: tuple[str, ...] = ("dog",)) -> Clip:
    waveform = np.linspace(-1.5, 1.5, 300 * channels, dtype=np.float32).reshape(300, channels)
    ref = ClipRef("dög/a.wav", "/data/dög/a.wav", labels, "train", 10, 310, 8_000, channels, "WAV/FLOAT")
    return Clip(ref, waveform, "0" * 64)


def dreamed(model: DreamingModel, source: Clip, target: int) -> Dreamed:
    after = np.zeros(521, np.float32)
    after[target] = 0.75
    return Dreamed(
        waveform=source.waveform / 2,
        aim=Aim((target,)),
        target=model.classes[target],
        scores_before=np.full(521, 0.25, np.float32),
        scores_after=after,
        objectives=np.array([-1.23456789, np.float32(0.1)], np.float32),
        distance=Distance(6.0206, -20.0, -26.0, -26.5, 0.75),
        reached=True,
    )


def encode(model: DreamingModel, source: Clip) -> Record:
    encoder = Encoder(Vocabulary(("cat", "dog"), (source.ref.channels,)), model, seed=3)
    return encoder.dreamed(source, dreamed(model, source, 70), "mine", Recipe(), 4, {"target_policy": "class"})


def parse(record: Record, source: Clip) -> dict[str, Any]:
    vocabulary = Vocabulary(("cat", "dog"), (source.ref.channels,))
    return features(vocabulary, 521).deserialize_example_np(record.example)


@pytest.mark.parametrize("channels", [1, 2])
def test_an_example_reads_back_as_it_was_written(model: DreamingModel, channels: int) -> None:
    source = clip(channels)
    example = parse(encode(model, source), source)
    shape = (300,) if channels == 1 else (300, 2)
    np.testing.assert_array_equal(example["audio"], (source.waveform / 2).reshape(shape))
    assert example["id"].decode() == "dög/a.wav:mine:4"
    assert (example["label"], example["sample_rate"], example["variant"]) == (1, 8_000, 4)
    assert (example["target_index"], example["target_name"].decode()) == (70, model.classes.names[70])
    assert (example["score_target_before"], example["score_target_after"]) == (0.25, 0.75)
    assert example["top_after"].decode() == model.classes.names[70]


def test_the_row_holds_what_the_example_holds(model: DreamingModel) -> None:
    source = clip()
    record = encode(model, source)
    example = parse(record, source)
    assert (record.id, record.split) == (record.row["id"], record.row["split"]) == ("dög/a.wav:mine:4", "train")
    for key in ("variant", "transform", "target_mid", "snr_db", "steps_taken", "reached", "provenance"):
        found = example[key].decode() if isinstance(example[key], bytes) else example[key]
        assert found == pytest.approx(record.row[key], rel=1e-6) if key == "snr_db" else found == record.row[key]


def test_the_same_dream_is_the_same_bytes_from_another_encoder(model: DreamingModel) -> None:
    assert encode(model, clip()) == encode(model, clip())


def test_a_clip_without_a_label_is_encoded(model: DreamingModel) -> None:
    source = clip(labels=())
    record = encode(model, source)
    example = parse(record, source)
    assert example["label"] == -1
    assert len(example["labels"]) == 0
    assert record.row["label"] is None


def test_provenance_tells_where_the_piece_lies_in_its_file_and_every_resolved_choice(model: DreamingModel) -> None:
    told = json.loads(encode(model, clip()).row["provenance"])
    assert (told["source"]["start"], told["source"]["stop"]) == (10, 310)
    assert told["objectives"] == [-1.23457, 0.1]
    bark = model.classes[70]
    assert told["target"] == {"index": 70, "mid": bark.mid, "name": bark.name, "classes": [70], "away": False}
    assert (told["seed"], told["variant"], told["target_policy"]) == (3, 4, "class")
    assert told["versions"] == versions()


def test_versions_are_those_of_all_that_shapes_the_audio() -> None:
    found = versions()
    assert set(found) == {"dreambeam", "numpy", "soundfile", "soxr", "tensorflow", "libsndfile", "machine"}
    assert found["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("policy", "own", "labels"),
    [
        ("keep", ("dog",), ("dog",)),
        ("keep", ("dog", "wolf"), ("dog", "wolf")),
        ("keep", (), ()),
        ("target", ("dog",), ("Cat", "dog")),
        ("both", ("cat", "wolf"), ("cat", "wolf", "Cat", "dog")),
        ("both", ("dog",), ("dog", "Cat")),
        ("both", (), ("Cat", "dog")),
        ("none", ("dog",), ()),
    ],
)
def test_a_label_policy_says_which_labels_a_dream_gets(policy: str, own: tuple, labels: tuple):
    labelling = Labelling(policy, {"Bark": "dog"})  # the dataset's own word for a class goes before the class's name
    assert labelling.labels(own, ["Cat", "Bark"]) == labels
    assert labelling.possible(["Cat", "Bark"]) == (("Cat", "Bark") if policy in ("target", "both") else ())
