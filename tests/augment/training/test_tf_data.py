"""Dreams inside training: the batches they come in, the model as it is by then, and the example from end to end."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from ears import RATE, ear
from paths import REPOSITORY
from recordings import samples, sound

from augment.ascent.loop import Dreamer, pad_batch
from augment.models.model_files import ModelError
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe, RecipeError
from augment.targets.policies import Aim
from augment.training.tf_data import OUTSIDE, POLICIES, dream_batches, training_model

RECIPE = Recipe(steps=3, hold=None, snr_db=20)


def clips(count: int = 4, rate: int = RATE) -> np.ndarray:
    return np.stack([sound(str(each), 1.0, rate)[:, 0] for each in range(count)]).astype(np.float32)


def batches(labels: Any, *, size: int = 4, rate: int = RATE) -> Any:
    return tf.data.Dataset.from_tensor_slices((clips(len(labels), rate), labels)).batch(size)


def test_batches_are_dreamed_as_the_dreamer_dreams_them():
    model, labels = training_model(ear(), RATE), [0, 1, 2, 0]
    ((made, kept),) = dream_batches(batches(labels), model, RECIPE, sample_rate=RATE, share=1.0)
    aims = [Aim(tuple({0, 1, 2} - {label})) for label in labels]
    expected = Dreamer(model, RECIPE)(*pad_batch(list(clips()), model), aims).waveforms
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert list(kept.numpy()) == labels


def test_a_share_of_the_clips_is_dreamed_the_same_ones_each_time():
    model = training_model(ear(), RATE)
    data = dream_batches(batches([0, 1, 2, 0] * 4), model, RECIPE, sample_rate=RATE, share=0.5, seed=3)
    first, second = ([made.numpy() for made, _ in data] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    changed = np.any(np.concatenate(first) != clips(16), axis=1)
    assert 3 < changed.sum() < 13
    (none,) = (made for made, _ in dream_batches(batches([0] * 4), model, RECIPE, sample_rate=RATE, share=0.0))
    np.testing.assert_array_equal(none, clips())


def test_it_goes_through_the_model_as_it_is_by_then():
    network = ear()
    data = dream_batches(batches([0, 1, 2, 0]), training_model(network, RATE), RECIPE, sample_rate=RATE, share=1.0)
    (before,) = (made.numpy() for made, _ in data)
    network.set_weights([-each for each in network.get_weights()])
    (after,) = (made.numpy() for made, _ in data)
    ((expected, _),) = dream_batches(
        batches([0, 1, 2, 0]), training_model(network, RATE), RECIPE, sample_rate=RATE, share=1.0
    )
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, expected, atol=1e-6)


def test_yamnet_dreams_where_a_label_has_a_class_of_it(model: DreamingModel):
    data = batches([0, 1, 2, 0], rate=16_000)
    made = dream_batches(data, model, RECIPE, sample_rate=16_000, share=1.0, answers=[70, OUTSIDE, 494])
    ((found, _),) = made
    np.testing.assert_array_equal(np.any(found != clips(4, 16_000), axis=1), [True, False, True, True])


def test_policies_aim_at_other_classes_or_the_own():
    answers = tf.one_hot([2, 0, 4], 5)
    own = tf.gather(answers, [0, 1, 2, 0])
    seeds = tf.constant([1, 2], tf.int64)
    found = {name: policy(own, answers, seeds).numpy() for name, policy in POLICIES.items()}
    assert found["another"].tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 0, 1], [1, 0, 1, 0, 0], [1, 0, 0, 0, 1]]
    np.testing.assert_array_equal(found["own"], own)
    assert found["random"].sum(axis=1).tolist() == [1, 1, 1, 1]
    assert np.all(found["random"] <= found["another"])


def test_labels_may_be_rows_and_elements_may_have_weights():
    model = training_model(ear(), RATE)
    plain = dream_batches(batches([0, 1, 2, 0]), model, RECIPE, sample_rate=RATE, share=1.0)
    rows = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    more = tf.data.Dataset.from_tensor_slices((clips()[..., None], rows, [1.0, 2.0, 3.0, 4.0])).batch(4)
    ((made, labels, weights),) = dream_batches(more, model, RECIPE, sample_rate=RATE, share=1.0)
    ((expected, _),) = plain
    np.testing.assert_allclose(made[..., 0], expected, atol=1e-6)
    assert (labels.shape, weights.numpy().tolist()) == ((4, 3), [1.0, 2.0, 3.0, 4.0])


def given(waveforms: np.ndarray, labels: Any, size: int = 4) -> Any:
    """Return such a dataset, in batches unless their size is 0."""
    data = tf.data.Dataset.from_tensor_slices((waveforms, labels))
    return data.batch(size, drop_remainder=True) if size else data


@pytest.mark.parametrize(
    ("waveforms", "labels", "expected"),
    [
        (np.full((2, 800), np.nan, np.float32), [0, 1], "some are NaN or infinite"),
        (np.full((2, 800), 1.6, np.float32), [0, 1], "divide them by their full scale"),
        (np.zeros((2, 800), np.float32), [0, 3], "expected labels from 0 to 2"),
        (np.zeros((2, 800), np.float32), [0, -1], "expected labels from 0 to 2"),
        (np.zeros((2, 800), np.float32), [0.0, 0.5], "whole numbers"),
        (np.zeros((2, 800), np.float32), np.zeros((2, 3), np.float32), "a number above 0 in each"),
        (np.zeros((2, 800), np.float32), np.full((2, 3), np.nan, np.float32), "a number above 0 in each"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_only_the_samples_show_stops_the_dataset_with_our_words(
    waveforms: np.ndarray, labels: Any, expected: str, share: float
):
    data = dream_batches(
        given(waveforms, labels, 2), training_model(ear(), RATE), RECIPE, sample_rate=RATE, share=share
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"dream_batches: .*{expected}"):
        list(data)


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"sample_rate": 16_000}, ModelError, "takes 8000 Hz, not 16000"),
        ({"policy": "best"}, ValueError, "choices: another, own, random"),
        ({"share": 2.0}, ValueError, "0 to 1"),
        ({"answers": [7]}, ModelError, "7 is no class"),
        ({"recipe": Recipe(start="white")}, ValueError, "starts from the clip"),
        ({"recipe": Recipe(change_lu=-20)}, RecipeError, "limit snr_db"),
        ({"dataset": tf.data.Dataset.range(3)}, ValueError, "expected batches"),
        ({"sample_rate": "8000"}, ValueError, "a sample rate in Hz as a number, got '8000'"),
        ({"dataset": given(np.zeros((4, 800), np.int16), [0] * 4)}, ValueError, "got int16: divide by 32768"),
        ({"dataset": given(np.zeros((4, 2, 800), np.float32), [0] * 4)}, ValueError, "transpose"),
        ({"dataset": given(np.zeros((4, 800, 2), np.float32), [0] * 4)}, ValueError, "mix their channels"),
        ({"dataset": given(np.zeros((4, 800), np.float32), ["a"] * 4)}, ValueError, "labels as integers"),
        ({"dataset": given(np.zeros((4, 800), np.float32), np.zeros((4, 5)))}, ValueError, "rows of 3 labels"),
        ({"dataset": given(np.zeros((4, 2, 800), np.float32), [0] * 4, size=0)}, ValueError, "in batches"),
    ],
)
def test_what_is_wrong_is_one_line(changes: dict[str, Any], error: type[Exception], expected: str):
    arguments: dict[str, Any] = {"sample_rate": RATE, "share": 1.0, **changes}
    data, recipe = arguments.pop("dataset", batches([0, 1])), arguments.pop("recipe", RECIPE)
    with pytest.raises(error, match=expected):
        dream_batches(data, training_model(ear(), RATE), recipe, **arguments)


@pytest.mark.slow
def test_the_example_trains_and_tells_robust_accuracy_before_and_after(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for label in ("rooster", "rain"):
        (tmp_path / label).mkdir()
        for path in sorted((shared / "data/esc10-dev" / label).glob("*.ogg"))[:6]:
            soundfile.write(tmp_path / label / f"{path.stem}.wav", samples(path)[:60_000], 44_100)
    script = REPOSITORY / "docs/examples/adversarial_training.py"
    arguments = ["--data", str(tmp_path), "--epochs", "2", "--steps", "2", "--seconds", "0.5"]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    runpy.run_path(str(script), run_name="__main__")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("before", "after"))]
    assert [line[0] for line in lines] == ["before", "after"]
    assert all(0 <= float(each.rstrip("%")) <= 100 for line in lines for each in line[1:])
