"""Dreams inside training: batches of a `tf.data.Dataset` with some clips dreamed, by the recipes of the pipeline.

`dream_batches` maps over a dataset of (waveforms, labels). What is dreamed through may be YAMNet, any
`augment.models.interface.AudioModel`, or the Keras model that is being trained (`training_model`): it is then dreamed
through as it is at that moment, which is adversarial training (Goodfellow et al. 2015; Madry et al. 2018, by projected
gradient ascent, with an SNR for the budget). All of it is one TensorFlow graph, without Python between the steps.

A dream depends on the seed, the number of its batch and its row. Clips are as long as the batch is wide, and every step
of the recipe is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from augment.ascent.loop import Dreamer
from augment.determinism.arithmetic import warn_if_slower
from augment.models.interface import AudioModel
from augment.models.model_files import ModelError, from_keras, named_classes
from augment.models.waveform_model import WaveformModel, Windows
from augment.recipes.recipe import Recipe, RecipeError
from augment.sound.samples import MAX_PEAK, check_float, check_rate

OUTSIDE = -1
"""In `answers`: a label that the model has no class for; its clips stay as they are."""


def toward_another(own: tf.Tensor, answers: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Aim at whichever class of another label is nearest: the dream errs as soon as it can."""
    del seeds
    others = tf.reduce_max(answers, axis=0, keepdims=True)
    return tf.nn.relu(others - own)


def toward_own(own: tf.Tensor, answers: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Aim at the clip's own class: more of what it is."""
    del answers, seeds
    return own


def toward_random(own: tf.Tensor, answers: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Aim at one class of another label, drawn for each clip."""
    others = toward_another(own, answers, seeds)
    drawn = tf.random.stateless_uniform(tf.shape(others), seeds)
    return tf.one_hot(tf.argmax(drawn * others, axis=1), tf.shape(others)[1]) * others


POLICIES: dict[str, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "another": toward_another,
    "own": toward_own,
    "random": toward_random,
}
"""(own classes [batch, classes], answers [labels, classes], seed [2]) -> aims [batch, classes]."""


def dream_batches(
    dataset: Any,
    model: AudioModel,
    recipe: Recipe | None = None,
    *,
    sample_rate: int,
    policy: str = "another",
    share: float = 0.5,
    answers: Sequence[int] | None = None,
    sound: np.ndarray | None = None,
    seed: int = 0,
) -> Any:
    """Dream some of the clips of every batch.

    Args:
        dataset: `tf.data.Dataset` of (waveforms, labels) or (waveforms, labels, weights): waveforms float32
            [batch, samples] or [batch, samples, 1] with a known number of samples, labels integers [batch] or rows
            [batch, labels] (one-hot or soft: the largest counts).
        model: what is dreamed through.
        recipe: how; None is the default recipe. It need not be the one of a dataset: few steps do.
        sample_rate: Hz, of the waveforms.
        policy: a key of `POLICIES`.
        share: of the clips that are dreamed, in [0, 1], drawn clip by clip.
        answers: the model's class for each label, `OUTSIDE` for none; None where the labels are the model's classes.
        sound: the target sound, float32 [samples] at the model's rate, where the recipe uses one.
        seed: of the draws.

    Returns:
        A dataset of the same elements, the dreamed clips in place of theirs; labels stay as they are.

    Raises:
        ModelError: the model takes another sample rate, or lacks the class of an answer.
        RecipeError: the recipe lacks its target sound, or limits loudness.
        ValueError: the dataset is not as above, the sample rate is none, there is no such policy, or the recipe starts
            from something else than the clip.

    Samples that are not finite or peak beyond 1.5, and labels that are out of range, stop the dataset where they come:
    `tf.errors.InvalidArgumentError`, with the reason.
    """
    recipe = recipe or Recipe()
    if policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}; choices: {', '.join(POLICIES)}")
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; expected 0 to 1")
    if recipe.start != "clip":
        raise ValueError(f"recipe.start is {recipe.start!r}; inside training a dream starts from the clip")
    if recipe.change_lu is not None or recipe.change_lufs is not None:
        raise RecipeError("change_lu and change_lufs are not measured inside training: limit snr_db")
    if recipe.arithmetic != "exact":
        raise RecipeError("arithmetic: fast is not for dreams inside training; set recipe.arithmetic=exact")
    check_rate(sample_rate)
    if model.sample_rate != sample_rate:
        raise ModelError(f"model {model.name} takes {model.sample_rate} Hz, not {sample_rate}: resample the waveforms")
    known = _answer_rows(model, answers)
    count = len(model.classes if answers is None else answers)
    shape = _checked_spec(dataset.element_spec, count)
    warn_if_slower()
    dreamer = Dreamer(model, recipe, sound)

    def dreamed(number: tf.Tensor, element: tuple[Any, ...]) -> tuple[Any, ...]:
        waveforms, labels, *rest = element
        given = _checked_waveforms(tf.reshape(tf.cast(waveforms, tf.float32), [-1, shape[1]]))
        index = _checked_index(labels, tf.shape(given)[0], count)
        own = tf.gather(known, index)
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        aims = POLICIES[policy](own, known, seeds)
        apart: Any = tf.random.fold_in(seeds, 1)  # from the draws of the policy
        drawn = tf.random.stateless_uniform(tf.shape(index), apart) < share
        rows = tf.where(drawn & tf.reduce_any(own > 0, axis=1) & tf.reduce_any(aims > 0, axis=1))[:, 0]
        found = tf.cond(
            tf.size(rows) > 0,
            lambda: dreamer.ascend(tf.gather(given, rows), tf.gather(aims, rows)),
            lambda: tf.gather(given, rows),
        )
        result = tf.tensor_scatter_nd_update(given, rows[:, None], found)
        return (tf.cast(tf.reshape(result, tf.shape(waveforms)), waveforms.dtype), labels, *rest)

    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.inject_prefetch = False  # a batch is dreamed through the model as it is by then
    plain = tf.autograph.experimental.do_not_convert(dreamed)
    return dataset.enumerate().map(plain).with_options(options)


def training_model(model: Any, sample_rate: int, classes: Sequence[str] | None = None) -> AudioModel:
    """Take a Keras model that is in memory, such as the one being trained, to dream through it as it is at each moment.

    Args:
        model: from waveforms [batch, samples] or [batch, samples, 1] to scores [batch, classes] in [0, 1]; it runs as
            in inference. Through a Functional or Sequential model whose last layer has a sigmoid or softmax, dreams go
            on where its scores are rounded to 0 or 1.
        sample_rate: Hz, of what it takes.
        classes: their names; None numbers them.

    Raises:
        ModelError: the model is not like that.
    """
    loaded = from_keras(model, model.name, f"{model.name}, in training")
    count = model.output_shape[-1]
    names = [str(number) for number in range(max(2, count))] if classes is None else list(classes)
    window = loaded.shape[1] if len(loaded.shape) > 1 else None
    return WaveformModel(loaded, named_classes(names), Windows(sample_rate, window, window or 1), model.name)


def _checked_spec(spec: Any, labels: int) -> Any:
    """Return the shape of the waveforms in a dataset of batches.

    Raises:
        ValueError: they are not as `dream_batches` takes them.
    """
    shape = spec[0].shape if isinstance(spec, tuple) and len(spec) in (2, 3) else None
    if shape is None or shape.rank not in (2, 3) or shape[1] is None:
        raise ValueError(f"expected batches of (waveforms [batch, samples], labels), samples known, got {spec}")
    check_float(spec[0].dtype.as_numpy_dtype)
    if shape.rank == 3 and shape[2] != 1:
        remedy = "transpose them" if shape[2] is None or shape[1] < shape[2] else "mix their channels"
        raise ValueError(f"expected waveforms [batch, samples] or [batch, samples, 1], got {shape}: {remedy}")
    own = spec[1].shape
    if not spec[1].dtype.is_floating and not spec[1].dtype.is_integer:
        raise ValueError(f"expected labels as integers or rows of numbers, got {spec[1].dtype.name}")
    if own.rank not in (1, 2):
        raise ValueError(f"expected labels [batch] or [batch, labels], got {own}: are the clips in batches?")
    if None not in (own[0], shape[0]) and own[0] != shape[0]:
        raise ValueError(f"expected a label for each waveform, got {shape[0]} waveforms {shape} and {own[0]} labels")
    if own.rank == 2 and own[1] not in (None, 1, labels):
        raise ValueError(f"expected rows of {labels} labels, got {own}")
    return shape


def _checked_waveforms(waveforms: tf.Tensor) -> tf.Tensor:
    """Let finite waveforms of full scale 1 pass; else the dataset stops."""
    peak: Any = tf.reduce_max(tf.abs(waveforms))
    finite = tf.reduce_all(tf.math.is_finite(waveforms))
    checks = [
        _assertion(finite, "expected finite samples: some are NaN or infinite"),
        _assertion(
            ~finite | (peak <= MAX_PEAK),
            f"expected samples of full scale 1, a peak of at most {MAX_PEAK}: divide them by their full scale; got",
            peak,
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(waveforms)


def _checked_index(labels: tf.Tensor, batch: tf.Tensor, count: int) -> tf.Tensor:
    """Return the number of each clip's label, int32 [batch]; where one has none of `count`, the dataset stops."""
    if labels.shape.rank == 2 and labels.shape[1] != 1:
        rows = tf.cast(labels, tf.float32)
        right: Any = tf.reduce_max(rows, axis=1) > 0
        index = tf.argmax(rows, axis=1, output_type=tf.int32)
        checks = [_assertion(tf.reduce_all(right), "expected rows of labels with a number above 0 in each; got", rows)]
    else:
        given = tf.reshape(labels, [-1])
        index = tf.cast(given, tf.int32)
        whole = tf.equal(tf.cast(index, given.dtype), given)
        checks = [_assertion(tf.reduce_all(whole), "expected labels that are whole numbers; got", given)]
    within: Any = (index >= 0) & (index < count)
    checks += [
        _assertion(tf.reduce_all(within), f"expected labels from 0 to {count - 1}; got", index),
        _assertion(tf.equal(tf.size(index), batch), "expected a label for each waveform; labels:", tf.size(index)),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(index)


def _assertion(condition: Any, *said: Any) -> tf.Operation:
    return tf.debugging.Assert(condition, ["dream_batches: " + said[0], *said[1:]], summarize=20)


def _answer_rows(model: AudioModel, answers: Sequence[int] | None) -> tf.Tensor:
    """Return rows float32 [labels, classes], 1 at the model's class for each label."""
    count = len(model.classes)
    found = list(range(count)) if answers is None else list(answers)
    if wrong := [index for index in found if not OUTSIDE <= index < count]:
        raise ModelError(f"answers: {wrong[0]} is no class of {model.name}; expected {OUTSIDE} (none) to {count - 1}")
    return tf.one_hot(found, count)  # a row of zeros for OUTSIDE
