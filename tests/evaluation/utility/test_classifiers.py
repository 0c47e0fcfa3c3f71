import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from evaluation.utility import cnn
from evaluation.utility.adam import draw_batches
from evaluation.utility.classifiers import CLASSIFIERS


def examples(takes: str, count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of three classes that lie apart, and their soft labels."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    shape = {"embeddings": (1024,), "log_mels": (124, 64)}[takes]
    centres = np.random.default_rng(9).normal(size=(3, shape[-1]))
    noise = rng.normal(size=(count, *shape))
    lifted = centres[truth].reshape(count, *(1,) * (len(shape) - 1), -1)
    return (noise + lifted).astype(np.float32), np.eye(3)[truth]


@pytest.mark.parametrize("name", CLASSIFIERS)
@threadpool_limits.wrap(limits=1, user_api="blas")  # as in a study
def test_a_classifier_learns_separable_classes_and_the_same_again_from_the_same_seed(name, monkeypatch):
    monkeypatch.setattr(cnn, "STEPS", 60)  # enough for what lies so far apart
    classifier = CLASSIFIERS[name]
    features, labels = examples(classifier.takes)
    others, truth = examples(classifier.takes, seed=1)
    logits = classifier.fit(features, labels, 5)(others)
    assert logits.shape == (60, 3)
    assert np.mean(logits.argmax(axis=1) == truth.argmax(axis=1)) > 0.95
    np.testing.assert_array_equal(logits, classifier.fit(features, labels, 5)(others))


def test_the_examples_again_change_nothing_for_a_linear_head():
    features, labels = examples("embeddings")
    fit = CLASSIFIERS["linear"].fit
    once = fit(features, labels, 0)(features)
    again = fit(np.concatenate([features] * 3), np.concatenate([labels] * 3), 0)(features)
    np.testing.assert_allclose(once, again, atol=0.05 * np.abs(once).max())


def test_soft_labels_give_soft_answers():
    features, labels = examples("embeddings")
    doubtful = 0.7 * labels + 0.1
    logits = CLASSIFIERS["linear"].fit(features, doubtful, 0)(features)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), doubtful, atol=0.05)


def test_batches_take_each_example_as_often_as_any_other_to_one():
    batches = list(draw_batches(10, 4, 25, np.random.default_rng(0)))
    assert [len(rows) for rows in batches] == [4] * 25
    counts = np.bincount(np.concatenate(batches), minlength=10)
    assert counts.tolist() == [10] * 10
    assert (
        np.ptp(np.bincount(np.concatenate(list(draw_batches(10, 4, 7, np.random.default_rng(0)))), minlength=10)) <= 1
    )


def test_few_examples_fill_a_batch_by_coming_several_times():
    (rows,) = draw_batches(3, 8, 1, np.random.default_rng(0))
    assert len(rows) == 8
    assert set(rows) == {0, 1, 2}
