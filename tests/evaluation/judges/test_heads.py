"""Linear heads: fitted as calculus wants it, equal as judge and as dreaming model, white-box to the gradient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from recordings import sound

from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.objectives import ModelOutput
from augment.models.heads import Choice, Head, HeadModel, load_head, save_head
from augment.models.model_files import ModelError
from augment.models.yamnet import DreamingModel, patch_count
from augment.recipes.recipe import Recipe
from augment.recipes.tables import OBJECTIVES
from augment.targets.policies import Aim, aim_rows
from evaluation.judges.head_judge import PENALTY, fit_head
from evaluation.judges.judge import JudgeError, JudgeSpec
from evaluation.judges.judge_kinds import make_judge
from evaluation.judges.yamnet_graph import YamnetGraph


def clusters(per_class: int = 8, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (3, 1024))
    labels = ["rain", "dog", "sea"] * per_class
    return np.stack([centres[index % 3] for index in range(len(labels))]) + rng.normal(
        0, 0.7, (len(labels), 1024)
    ), labels


def random_head(seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return Head(
        rng.normal(0, 0.3, (1024, 3)).astype(np.float32), np.array([0.1, -0.2, 0.0], np.float32), ("a", "b", "c")
    )


def mono(name: str, seconds: float) -> np.ndarray:
    return sound(name, seconds)[:, 0].astype(np.float32)


def test_the_fit_is_where_the_gradient_of_the_penalised_likelihood_vanishes():
    embeddings, labels = clusters()
    head = fit_head(embeddings, labels)
    middle = embeddings.mean(axis=0)
    scale = np.sqrt(np.mean(np.sum((embeddings - middle) ** 2, axis=1)))
    off = scipy.special.softmax(head.logits(embeddings), axis=1) - (np.array(labels)[:, None] == np.array(head.names))
    weights = head.kernel.astype(float) * scale
    np.testing.assert_allclose((embeddings - middle).T @ off / scale, -PENALTY * weights, atol=2e-4)
    np.testing.assert_allclose(off.sum(axis=0), 0, atol=2e-4)


def test_a_head_tells_clusters_apart_whatever_the_order_of_the_clips():
    embeddings, labels = clusters()
    head = fit_head(embeddings, labels)
    assert head.names == ("dog", "rain", "sea")
    assert [head.names[index] for index in head.logits(embeddings).argmax(axis=1)] == labels
    order = np.random.default_rng(1).permutation(len(labels))
    again = fit_head(embeddings[order], [labels[index] for index in order])
    assert again.identity == head.identity


def test_scores_are_scipys_softmax():
    head, embeddings = random_head(), np.random.default_rng(2).normal(0, 1, (5, 1024))
    expected = scipy.special.softmax(embeddings @ head.kernel.astype(float) + head.bias, axis=1)
    np.testing.assert_allclose(head.scores(embeddings), expected, atol=1e-6)


def test_a_head_comes_back_from_its_file(tmp_path: Path):
    head = random_head()
    save_head(head, tmp_path / "head.npz")
    found = load_head(tmp_path / "head.npz")
    assert (found.identity, found.names) == (head.identity, head.names)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_file_that_holds_no_head_is_one_line(tmp_path: Path, content: bytes | None):
    path = tmp_path / "head.npz"
    if content is None:
        save_head(Head(np.zeros((3, 2), np.float32), np.zeros(2, np.float32), ("a", "b")), path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"head .*head\.npz") as caught:
        load_head(path)
    assert str(caught.value).isprintable()


def test_one_label_makes_no_head():
    with pytest.raises(JudgeError, match="two labels or more"):
        fit_head(np.zeros((4, 1024)), ["rain"] * 4)


def test_judge_model_and_numpy_agree_on_a_heads_logits(model: DreamingModel, tmp_path: Path):
    head, clip = random_head(), mono("clip", 2.6)
    save_head(head, tmp_path / "head.npz")
    embeddings = YamnetGraph().judge(clip).embeddings
    assert embeddings is not None
    expected = embeddings.mean(axis=0).astype(float) @ head.kernel.astype(float) + head.bias
    batch, _ = pad_batch([clip])
    patches = HeadModel(model, head).activations(tf.constant(batch), ("logits",))["logits"].numpy()[0]
    np.testing.assert_allclose(patches[: patch_count(len(clip))].mean(axis=0), expected, atol=2e-3)
    judge = make_judge(JudgeSpec(str(tmp_path / "head.npz")))
    np.testing.assert_allclose(judge.judge(clip).scores, scipy.special.softmax(expected), atol=1e-5)
    assert (judge.name, judge.classes.names) == ("head", head.names)


def test_a_choice_has_the_models_own_logits(model: DreamingModel):
    batch, _ = pad_batch([mono("clip", 1.5)])
    found = Choice(model, [7, 3, 500]).activations(tf.constant(batch), ("logits",))["logits"]
    np.testing.assert_array_equal(found, model.logits(tf.constant(batch)).numpy()[..., [7, 3, 500]])


def test_the_white_box_gradient_is_that_of_finite_differences(model: DreamingModel):
    own, clip = HeadModel(model, random_head()), mono("clip", 1.6)
    batch, lengths = pad_batch([clip])
    aims = tf.constant(aim_rows([Aim((1,))], 3))
    counts = tf.constant(patch_count(lengths).astype(np.int32))

    def value(x: tf.Tensor) -> tf.Tensor:
        outputs = ModelOutput(own.activations(x, ("logits",)), counts, aims)
        return OBJECTIVES["mean_margin"].value(outputs)[0]

    x = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(x)
        objective = value(x)
    gradient = np.asarray(tape.gradient(objective, x), np.float64)
    rng = np.random.default_rng(0)
    for direction in (gradient, gradient * rng.uniform(0.5, 1.5, gradient.shape)):
        unit = direction / np.linalg.norm(direction)
        step = 1e-3
        ends = [float(value(tf.constant((batch + way * step * unit).astype(np.float32)))) for way in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(np.sum(gradient * unit)), rel=0.05)


@pytest.mark.slow
def test_a_dream_through_a_head_reaches_its_target_on_the_graph(model: DreamingModel):
    head = random_head()
    recipe = Recipe.model_validate({"objective": "mean_margin", "steps": 12, "snr_db": 10, "hold": 1.0})
    clips = [mono("one", 1.4), mono("two", 1.35)]
    graph = YamnetGraph()

    def outputs(clip: np.ndarray) -> np.ndarray:
        embeddings = graph.judge(clip).embeddings
        assert embeddings is not None
        return head.logits(embeddings.mean(axis=0))

    targets = [int(np.argsort(outputs(clip))[0]) for clip in clips]
    made = Dreamer(HeadModel(model, head), recipe)(*pad_batch(clips), targets)
    for clip, target, dreamed in zip(clips, targets, made.waveforms, strict=True):
        assert int(np.argmax(outputs(dreamed[: len(clip)]))) == target != int(np.argmax(outputs(clip)))
