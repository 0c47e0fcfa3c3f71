"""Claims about augment.models.yamnet: it is YAMNet, batched; the TF-Hub graph is the judge of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from augment.ascent.dreaming import pad_batch
from augment.models import weights
from augment.models.yamnet import (
    LAYERS,
    PATCH_HOP_SAMPLES,
    PATCH_SAMPLES,
    DreamingModel,
    mean_over_patches,
    padded_length,
    patch_count,
)
from augment.sound.samples import SAMPLE_RATE

REFERENCE = (
    *("dog_bark", "rain", "sea_waves", "baby_cry", "clock_tick", "person_sneeze", "helicopter", "chainsaw"),
    *("rooster", "fire_crackling", "zeros", "uniform_noise", "sine_440hz", "short_1000_samples"),
)
WITH_GRADIENT = ("dog_bark", "rain", "sea_waves", "baby_cry")


def chirp(samples: int) -> np.ndarray:
    seconds = np.arange(samples) / SAMPLE_RATE
    hiss = np.random.default_rng(0).normal(0, 0.01, samples)
    return (0.5 * np.sin(2 * np.pi * (200 + 600 * seconds) * seconds) + hiss).astype(np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def patch_values(model: DreamingModel, clip: np.ndarray, layer: str) -> np.ndarray:
    """Return what a layer gives for each of the clip's own patches."""
    waveforms, _ = pad_batch([clip])
    values = model.activations(tf.constant(waveforms), (layer,))[layer][0].numpy()
    return values if layer == "log_mel" else values[: int(patch_count(len(clip)))]


@pytest.fixture(scope="module")
def graph() -> Callable[..., Any]:
    """The TF-Hub graph, which shares no code with the dreaming model."""
    return weights.load_graph(weights.resolve_weights())


@pytest.fixture(scope="module")
def reference(shared: Path) -> Any:
    """What the TF-Hub graph gave, elsewhere; its origin is in the README of the shared folder."""
    with np.load(shared / "reference" / "yamnet_reference.npz") as stored:
        return dict(stored)


# Against the TF-Hub graph -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFERENCE)
def test_scores_embeddings_and_log_mel_agree_with_the_reference(model: DreamingModel, reference: Any, name: str):
    clip = reference[f"{name}/waveform"]
    for layer in ("scores", "embeddings", "log_mel"):
        expected = reference[f"{name}/{layer}"]
        found = patch_values(model, clip, layer)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_reference_holds_what_these_tests_ask_of_it(reference: Any):
    assert {key.split("/")[0] for key in reference} == set(REFERENCE)
    assert {key.split("/")[0] for key in reference if key.endswith("/gradient")} == set(WITH_GRADIENT)


@pytest.mark.parametrize("name", WITH_GRADIENT)
def test_gradients_agree_with_the_reference(model: DreamingModel, reference: Any, name: str):
    clip, expected = reference[f"{name}/waveform"], reference[f"{name}/gradient"]
    waveforms = tf.constant(pad_batch([clip])[0])
    with tf.GradientTape() as tape:
        tape.watch(waveforms)
        scores = model.activations(waveforms, ("scores",))["scores"][0]
        total = tf.reduce_sum(scores[: int(patch_count(len(clip))), int(reference[f"{name}/gradient_class"])])
    found = np.asarray(tape.gradient(total, waveforms))[0, : len(clip)]
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())


@pytest.mark.parametrize("samples", [32_000, 20_000, 3_000])
def test_the_model_agrees_with_the_tf_hub_graph(model: DreamingModel, graph: Callable[..., Any], samples: int):
    clip = chirp(samples)
    scores, embeddings, log_mel = (tensor.numpy() for tensor in graph(clip))
    np.testing.assert_allclose(patch_values(model, clip, "scores"), scores, atol=1e-4)
    np.testing.assert_allclose(patch_values(model, clip, "embeddings"), embeddings, atol=1e-4)
    np.testing.assert_allclose(patch_values(model, clip, "log_mel")[: len(log_mel)], log_mel, atol=1e-4)
    waveforms, lengths = pad_batch([clip])
    np.testing.assert_allclose(model.scores(waveforms, lengths)[0], scores.mean(axis=0), atol=1e-4)


def test_the_gradient_agrees_with_the_tf_hub_graphs(model: DreamingModel, graph: Callable[..., Any]):
    clip = tf.constant(chirp(23_280))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(clip)
        theirs = tf.reduce_sum(graph(clip)[0][:, 494])
        ours = tf.reduce_sum(model.activations(clip[None], ("scores",))["scores"][0, :, 494])
    expected, found = (np.asarray(tape.gradient(total, clip)) for total in (theirs, ours))
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())


@pytest.mark.parametrize("samples", [1, 1_000, 15_600, 15_601, 23_280, 23_281, 80_000])
def test_patch_count_is_that_of_the_tf_hub_graph(graph: Callable[..., Any], samples: int):
    assert patch_count(samples) == len(graph(noise(samples))[0])


def test_patch_count_takes_many_lengths_at_once():
    np.testing.assert_array_equal(patch_count(np.array([0, 1, 15_600, 15_601, 23_281])), [1, 1, 1, 2, 3])


# What YAMNet's authors check ----------------------------------------------------------------------------------


def top_names(model: DreamingModel, clip: np.ndarray, count: int) -> list[str]:
    return [model.classes[index].name for index in np.argsort(-model.scores(*pad_batch([clip]))[0])[:count]]


def test_zeros_are_silence(model: DreamingModel):
    assert top_names(model, np.zeros(48_000, np.float32), 1) == ["Silence"]


def test_uniform_noise_is_white_noise(model: DreamingModel):
    clip = np.random.default_rng(51773).uniform(-1, 1, 48_000).astype(np.float32)
    assert "White noise" in top_names(model, clip, 10)


def test_a_440_hz_sine_is_a_sine_wave(model: DreamingModel):
    clip = np.sin(2 * np.pi * 440 * np.arange(48_000) / SAMPLE_RATE).astype(np.float32)
    assert "Sine wave" in top_names(model, clip, 10)


# Layers -------------------------------------------------------------------------------------------------------

# MobileNet v1 on 96 x 64 (Howard et al. 2017, table 1): output [time, frequency, channels] of layer1 to layer14
_BLOCKS = [
    *((48, 32, 32), (48, 32, 64), (24, 16, 128), (24, 16, 128), (12, 8, 256), (12, 8, 256)),
    *[(6, 4, 512)] * 6,
    *[(3, 2, 1024)] * 2,
]


def expected_shape(layer: str) -> tuple[int, ...]:
    number = int(layer.split("/")[0].removeprefix("layer"))
    time, frequency, channels = _BLOCKS[number - 1]
    if "depthwise" in layer:
        channels = _BLOCKS[number - 2][2]
    return time, frequency, channels


def test_every_layer_is_addressable_and_has_its_documented_shape(model: DreamingModel):
    found = model.activations(tf.constant(np.stack([chirp(23_280)] * 3)), LAYERS)
    assert tuple(found) == LAYERS
    assert len(LAYERS) == len(set(LAYERS)) == 1 + 2 + 13 * 4 + 3
    shapes = {"log_mel": (3, 144, 64), "embeddings": (3, 2, 1024), "logits": (3, 2, 521), "scores": (3, 2, 521)}
    for layer, values in found.items():
        shape = shapes.get(layer) or (3, 2, *expected_shape(layer))
        assert values.shape == shape, layer
        assert np.isfinite(values.numpy()).all()


def test_each_relu_is_its_batch_norm_without_what_is_negative(model: DreamingModel):
    names = ("layer1/conv/bn", "layer1/relu", "layer7/pointwise_conv/bn", "layer7/pointwise_conv/relu")
    found = model.activations(tf.constant(chirp(15_600)[None]), names)
    for before, after in (names[:2], names[2:]):
        np.testing.assert_array_equal(found[after].numpy(), np.maximum(0, found[before].numpy()))


def test_the_last_layers_follow_from_one_another(model: DreamingModel):
    names = ("layer14/pointwise_conv/relu", "embeddings", "logits", "scores")
    found = {
        name: values.numpy() for name, values in model.activations(tf.constant(chirp(15_600)[None]), names).items()
    }
    np.testing.assert_allclose(found["embeddings"], found[names[0]].mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(found["scores"], 1 / (1 + np.exp(-found["logits"].astype(np.float64))), atol=1e-6)
    np.testing.assert_array_equal(model.logits(tf.constant(chirp(15_600)[None])).numpy(), found["logits"])


def test_only_the_layers_that_were_asked_for_are_given(model: DreamingModel):
    assert set(model.activations(tf.constant(chirp(15_600)[None]), ("layer3/depthwise_conv/bn",))) == {
        "layer3/depthwise_conv/bn"
    }


def test_an_unknown_layer_is_refused_and_the_layers_named(model: DreamingModel):
    with pytest.raises(ValueError, match=r"no layer 'layer15/relu'; it has log_mel, .*layer7/pointwise_conv/relu"):
        model.activations(tf.constant(chirp(15_600)[None]), ("scores", "layer15/relu"))


# Shapes -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**8))
def test_a_padded_length_holds_the_clips_patches_and_at_most_an_eighth_more(samples: int):
    padded, patches = padded_length(samples), int(patch_count(samples))
    held = (padded - PATCH_SAMPLES) // PATCH_HOP_SAMPLES + 1
    assert padded >= samples
    assert (padded - PATCH_SAMPLES) % PATCH_HOP_SAMPLES == 0
    assert patches <= held <= patches * 9 / 8
    assert held == patches or patches > 15
    assert padded_length(padded) == padded


def test_clips_of_many_lengths_share_few_shapes():
    assert len({padded_length(samples) for samples in range(1, 60 * SAMPLE_RATE, 97)}) < 45


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 6), st.data())
def test_the_mean_over_patches_is_numpys_over_each_clips_own(batch: int, patches: int, data: st.DataObject):
    counts = data.draw(st.lists(st.integers(1, patches), min_size=batch, max_size=batch))
    values = np.random.default_rng(0).normal(size=(batch, patches, 4)).astype(np.float32)
    found = mean_over_patches(tf.constant(values), tf.constant(counts)).numpy()
    expected = [row[:count].mean(axis=0) for row, count in zip(values, counts, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_clip_scores_the_same_alone_and_in_every_batch_and_order_bit_by_bit(model: DreamingModel):
    clips = [noise(length, seed) for seed, length in enumerate([15_601, 23_280, 16_000, 20_000, 22_222, 18_000])]
    alone = [model.scores(*pad_batch([clip]))[0] for clip in clips]
    for order in ([0, 1], [3, 2, 1, 0], [5, 4, 3, 2, 1, 0, 0, 1, 5]):
        together = model.scores(*pad_batch([clips[index] for index in order]))
        np.testing.assert_array_equal(together, [alone[index] for index in order])


def test_patches_beyond_a_clips_own_do_not_count(model: DreamingModel):
    clip = chirp(15_600)
    longer = np.zeros((1, PATCH_SAMPLES + 3 * PATCH_HOP_SAMPLES), np.float32)
    longer[0, :15_600] = clip
    found = model.scores(longer, np.array([15_600]))[0]
    np.testing.assert_allclose(found, model.scores(*pad_batch([clip]))[0], atol=1e-5)


@pytest.mark.parametrize("seconds", [1.0, 60.5, 125.3])
def test_the_scores_of_a_long_clip_in_blocks_are_those_of_the_whole(model: DreamingModel, seconds: float):
    clip = chirp(int(seconds * SAMPLE_RATE))
    np.testing.assert_allclose(model.clip_scores(clip), model.scores(*pad_batch([clip]))[0], atol=1e-5)


def test_one_trace_serves_batches_of_every_shape(model: DreamingModel):
    for count, samples in [(1, 100), (2, 16_000), (3, 40_000), (1, 90_000)]:
        assert model.scores(*pad_batch([noise(samples)] * count)).shape == (count, 521)
    assert model._score.experimental_get_tracing_count() == 1
