"""Classifiers of one's own as models to dream through: what they say, how they read a clip, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ears import NAMES, RATE, classes_file, ear, save_ears
from recordings import samples, sound

import augment
from augment.ascent.loop import Dreamer, pad_batch
from augment.models.heads import Head, HeadModel, save_head
from augment.models.interface import AudioModel, ModelSpec
from augment.models.mirror import demo_recording
from augment.models.model_files import ModelError
from augment.models.model_kinds import load_model
from augment.models.waveform_model import Windows
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe, RecipeError
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import make_judge


def mono(name: str, seconds: float) -> np.ndarray:
    return sound(name, seconds, RATE)[:, 0].astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of `save_ears`, head.npz, logits.keras, and some bad ones."""
    folder = tmp_path_factory.mktemp("ears")
    save_ears(folder)
    ear(ending="linear").save(folder / "logits.keras")
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.3, (1024, 3)).astype(np.float32)
    save_head(Head(kernel, np.zeros(3, np.float32), NAMES), folder / "head.npz")
    (folder / "nothing.keras").write_bytes(b"no zip")
    return folder


def spec(files: Path, name: str, **changes: Any) -> ModelSpec:
    return ModelSpec(str(files / name), **{"classes": str(files / "classes.txt"), "sample_rate": RATE, **changes})


@pytest.fixture(scope="module")
def whole(files: Path) -> AudioModel:
    return load_model(spec(files, "whole.keras"))


@pytest.fixture(scope="module")
def crnn() -> AudioModel:
    return load_model(ModelSpec("crnn"))


# Scores


@pytest.mark.parametrize("name", ["whole.keras", "whole", "second"])
def test_a_model_and_the_judge_of_its_file_give_the_same_scores(files: Path, name: str):
    model, clip = load_model(spec(files, name)), mono("a", 2.0)
    judge = make_judge(JudgeSpec(str(files / name), str(files / "classes.txt"), RATE))
    np.testing.assert_allclose(model.clip_scores(clip), judge.judge(clip).scores, atol=1e-6)
    assert model.classes.names == NAMES
    assert model.classes[0].mid == "/m/0bt9lr"


def test_the_crnn_and_its_judge_give_the_same_scores(crnn: AudioModel):
    street = samples(demo_recording())[:, 0][: 16_000 * 7 + 5000]
    np.testing.assert_allclose(crnn.clip_scores(street), make_judge(JudgeSpec("crnn")).judge(street).scores, atol=1e-5)


@pytest.mark.parametrize("name", ["whole.keras", "whole"])
def test_the_sigmoid_of_the_logits_is_the_score(files: Path, name: str):
    found = load_model(spec(files, name)).activations(tf.constant(mono("b", 1.0)[None]), ("logits", "scores"))
    np.testing.assert_allclose(tf.sigmoid(found["logits"]), found["scores"], atol=1e-6)


def test_the_logits_of_a_keras_model_have_a_gradient_where_its_scores_are_rounded(files: Path):
    ear(gain=4000.0).save(files / "sure.keras")
    model, x = load_model(spec(files, "sure.keras")), tf.constant(mono("c", 1.0)[None])
    scores = model.activations(x, ("scores",))["scores"].numpy()[0, 0]
    assert scores.max() == 1
    assert scores.min() < 1e-20
    with tf.GradientTape() as tape:
        tape.watch(x)
        low = tf.math.log_sigmoid(model.activations(x, ("logits",))["logits"])[0, 0, int(np.argmin(scores))]
    gradient: Any = tape.gradient(low, x)
    assert np.max(np.abs(gradient.numpy())) > 1


# Reading clips


def test_windows_count_as_the_judges_windows_do():
    read = Windows(RATE, 8000, 4000)
    assert [int(read.patch_count(n)) for n in (1, 8000, 8001, 12_000, 12_001)] == [1, 1, 2, 2, 3]
    assert [read.padded_length(n) for n in (1, 8001)] == [8000, 12_000]


@pytest.mark.parametrize("seconds", [1.0, 3.0, 5.0, 10.0, 60.0])
def test_whole_clips_of_whole_seconds_are_not_padded(seconds: float):
    assert Windows(44_100).padded_length(round(44_100 * seconds)) == 44_100 * seconds


@pytest.mark.parametrize("read", [Windows(RATE), Windows(RATE, 8000, 4000)])
def test_padding_adds_an_eighth_at_most_to_long_clips_and_has_few_shapes(read: Windows):
    lengths = range(RATE * 4, RATE * 60, 997)
    padded = {length: read.padded_length(length) for length in lengths}
    assert all(length <= found <= length * 9 / 8 + 8000 for length, found in padded.items())
    assert all(read.padded_length(found) == found for found in padded.values())
    assert len({*padded.values()}) <= 48


@pytest.mark.parametrize("name", ["whole.keras", "second"])
def test_a_batch_gives_what_each_clip_gives_alone(files: Path, name: str):
    """To float rounding: a library that rounds by the number of rows may run in a model that is not ours."""
    model = load_model(spec(files, name))
    clips = [mono(str(each), 1.9 + 0.01 * each) for each in range(5)]
    dreamer = Dreamer(model, Recipe(steps=3, hold=None))
    together = dreamer(*pad_batch(clips, model), [0, 1, 2, 0, 1]).waveforms
    for row, (clip, aim) in enumerate(zip(clips, [0, 1, 2, 0, 1], strict=True)):
        alone = dreamer(*pad_batch([clip], model), [aim]).waveforms[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-5)


# Dreams


@pytest.mark.parametrize("name", ["whole.keras", "whole", "second"])
def test_dreams_move_the_models_own_scores_within_the_budget_at_the_sounds_own_rate(files: Path, name: str):
    model, clip = load_model(spec(files, name)), sound("d", 1.5, 44_100, 2).astype(np.float32)
    first = int(np.argmin(augment.dream(clip, 44_100, model=model, steps=0).scores_before))
    dreamed = augment.dream(clip, 44_100, target=first, model=model, steps=12, snr_db=15)
    assert dreamed.scores_after[first] > 1.5 * dreamed.scores_before[first]
    assert dreamed.snr_db >= 15 - 1e-3
    assert dreamed.waveform.shape == clip.shape


def test_dreams_through_the_crnn_ring_its_bell(crnn: AudioModel):
    clip = sound("a", 2.3)[:, 0].astype(np.float32)
    dreamed = augment.dream(clip, 16_000, target="Bicycle bell", model=crnn, steps=8, snr_db=20)
    assert dreamed.scores_after[0] > 2 * dreamed.scores_before[0]


def test_layers_of_a_keras_model_are_addressed_by_name(whole: AudioModel):
    assert {"filters", "level", "decide", "logits", "scores"} <= {*whole.layers}
    clip = mono("e", 1.0)
    found = whole.activations(tf.constant(clip[None]), ("filters", "level"))
    np.testing.assert_allclose(
        tf.reduce_mean(found["filters"], axis=2), found["level"], rtol=1e-4
    )  # [batch, patch, ...]
    dreamed = augment.dream(clip, RATE, model=whole, objective="channel", layers=("filters",), channel=3, steps=5)
    assert dreamed.objectives[-1] > dreamed.objectives[0]
    with pytest.raises(RecipeError, match="no layer 'layer7/pointwise_conv/relu'; it has filters"):
        Dreamer(whole, Recipe(objective="layer"))


def test_models_on_yamnets_embeddings_and_heads_are_dreamed_through(files: Path, model: DreamingModel):
    clip = sound("f", 1.2)[:, 0].astype(np.float32)
    for name in ("head.npz", "embeddings.keras"):
        given: dict[str, Any] = {} if name == "head.npz" else {"classes": str(files / "classes.txt")}
        own = load_model(ModelSpec(str(files / name), **given), lambda: model)
        judge = make_judge(JudgeSpec(str(files / name), **given))
        before = own.scores(*pad_batch([clip], own))[0]
        np.testing.assert_allclose(before, judge.judge(clip).scores, atol=1e-4)
        target = int(np.argmin(before))
        dreamed = augment.dream(clip, 16_000, target=target, model=own, steps=10)
        assert dreamed.scores_after[target] > before[target]
        assert judge.judge(dreamed.waveform).scores[target] == pytest.approx(dreamed.scores_after[target], abs=1e-3)


def test_identities_tell_models_apart_by_weights_classes_and_windows(files: Path, model: DreamingModel, tmp_path: Path):
    other = classes_file(tmp_path, ("Dog", "hum", "rain"))
    specs = [
        spec(files, "whole"),
        spec(files, "second"),
        spec(files, "whole", classes=other),
        spec(files, "whole", window_seconds=1.0),
        spec(files, "whole", sample_rate=16_000),
    ]
    found = [load_model(each).identity for each in specs]
    assert len({*found}) == len(found)
    assert load_model(specs[0]).identity == found[0]
    head = Head(np.ones((1024, 3), np.float32), np.zeros(3, np.float32), NAMES)
    assert HeadModel(model, head).identity != model.identity


# What is refused


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("whole", {"classes": None}, "--classes"),
        ("whole", {"sample_rate": None}, "--sample-rate"),
        ("whole", {"sample_rate": 16}, "1000 to 768000 Hz, not 16"),
        ("whole", {"classes": ("a", "b")}, "class list has 2 classes"),
        ("whole.keras", {"classes": ("a", "b", "c", "d")}, "class list has 4 classes"),
        ("second", {"window_seconds": 2.0}, "takes 8000 samples, 1 s at 8000 Hz, not 2 s"),
        ("whole", {"hop_seconds": 0.5}, "window_seconds"),
        ("logits.keras", {}, "sigmoid or softmax"),
        ("steps.keras", {}, "has no gradient to dream by"),
        ("nothing.keras", {}, "not a readable Keras model"),
        ("classes.txt", {}, "is no model"),
        ("nowhere", {}, "is not there"),
        ("head.npz", {}, "leave out --sample-rate"),
        ("embeddings.keras", {}, "leave out --sample-rate"),
    ],
)
def test_what_is_wrong_with_a_model_is_one_line(files: Path, name: str, changes: dict[str, Any], expected: str):
    with pytest.raises(ModelError) as caught:
        load_model(spec(files, name, **changes))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
