"""Any differentiable classifier of waveforms as a model to dream through.

`WaveformModel` puts a function from a file (`augment.models.model_files`) together with its classes and with `Windows`,
the way in which it reads a clip. `augment.models.model_kinds` has the protocol that it keeps.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from augment.models.model_files import BEFORE, LOGITS, SCORES, Loaded, ModelError, digest, first_line
from augment.models.yamnet import mean_over_patches
from augment.targets.classes import ClassList

_BLOCK_SECONDS = 300  # of dreams that are made at a time, as 640 patches of YAMNet
_LOWEST, _HIGHEST = 1e-37, 1 - 6e-8  # of a score whose logarithm is taken

_NO_GRADIENT = "has no gradient to dream by; expected scores that are differentiable by the waveform"


@dataclass(frozen=True)
class Windows:
    """How a model reads a clip.

    Attributes:
        rate: Hz.
        window: samples of a patch; None: the whole clip is one.
        hop: samples from one patch to the next.
    """

    rate: int
    window: int | None = None
    hop: int = 1

    def patch_count(self, samples: Any) -> Any:
        """Return the number of patches of clips of these lengths."""
        if self.window is None:
            return np.ones_like(np.asarray(samples))
        return 1 + -(-np.maximum(0, np.asarray(samples) - self.window) // self.hop)

    def padded_length(self, samples: int) -> int:
        """Return the samples that a clip is padded to: up to 15 units exactly, beyond by an eighth at most."""
        unit = -(-self.rate // 4) if self.window is None else self.hop
        units = max(4, -(-samples // unit)) if self.window is None else int(self.patch_count(samples))
        grid = 1 << max(0, units.bit_length() - 4)
        units = -(-units // grid) * grid
        return units * unit if self.window is None else self.window + (units - 1) * unit


class _Unpadded(Windows):
    """The same for whole clips, without padding."""

    def padded_length(self, samples: int) -> int:
        """Return the samples as they are."""
        return samples


class WaveformModel:
    """A SavedModel or Keras model from waveforms to scores.

    Its scores are what the model gives. Its logits are their inverse sigmoids, log p − log(1 − p), whatever the model
    ends with: so that a sigmoid of them is the score. Where a Keras model ends with a sigmoid or softmax they are taken
    from before it, so that they have a gradient even where the score is rounded to 0 or 1.

    A model that gives one score for two classes gives the first's; the second has what is left of 1.
    """

    link = "sigmoid"
    objective = "soft_margin"  # of the recipe that works on what the classifier decides by

    def __init__(self, loaded: Loaded, classes: ClassList, windows: Windows, name: str):
        """Put a model together, and try it on two clips of noise and one of silence.

        Args:
            loaded: the function.
            classes: in the order of the scores.
            windows: how it reads a clip.
            name: for provenance and messages.

        Raises:
            ModelError: it gives something else than scores for the classes, or no gradient.
        """
        self.name, self.classes, self.sample_rate = name, classes, windows.rate
        self.identity = digest(loaded.identity, *classes.names, *map(str, dataclasses.astuple(windows)))
        self.layers = (*loaded.layers, LOGITS, SCORES)
        self._loaded, self._windows = loaded, windows
        shape = (3, windows.window or self.sample_rate)
        self._single = check_scores(lambda given: self._run(given, [SCORES])[SCORES], shape, classes, name)

    def unpadded(self) -> WaveformModel:
        """Return the model for whole clips without padding, as the judge of the same file reads them.

        Clips share a batch only if they are of one length, then. A model with windows stays as it is: its judge
        pads the last one, too.
        """
        if self._windows.window is not None:
            return self
        found = copy.copy(self)
        found._windows = _Unpadded(*dataclasses.astuple(self._windows))
        return found

    def patch_count(self, samples: Any) -> Any:
        """Return the number of patches of clips of these lengths."""
        return self._windows.patch_count(samples)

    def padded_length(self, samples: int) -> int:
        """Return the samples that a clip is padded to."""
        return self._windows.padded_length(samples)

    def batch_limit(self, samples: int) -> int:
        """Return how many clips of a padded length are dreamed at a time."""
        return max(1, _BLOCK_SECONDS * self.sample_rate // samples)

    def activations(self, waveforms: tf.Tensor, layers: Collection[str]) -> dict[str, tf.Tensor]:
        """Return layers by name (`AudioModel.activations`).

        Raises:
            ValueError: a layer has no such name.
        """
        if unknown := sorted({*layers} - {*self.layers}):
            raise ValueError(f"{self.name} has no layer {unknown[0]!r}; it has {', '.join(self.layers)}.")
        batch = tf.shape(waveforms)[0]
        patches = self._cut(waveforms)  # [batch * patches, samples of a patch]
        before = BEFORE if self._loaded.ends_with and LOGITS in layers else None
        wanted = {*layers} - {LOGITS} | ({before} if before else {SCORES} if LOGITS in layers else set())
        found = self._run(patches, sorted(wanted))
        if SCORES in found:
            found[SCORES] = scores_of(found[SCORES], tf.shape(patches)[0], len(self.classes), single=self._single)
        if LOGITS in layers:
            found[LOGITS] = self._logits_of(found[before]) if before else inverse_sigmoid(found[SCORES])
        return {name: _by_clip(found[name], batch) for name in layers}

    @cached_property
    def _score(self) -> Any:
        return tf.function(
            lambda waveforms, counts: mean_over_patches(self.activations(waveforms, (SCORES,))[SCORES], counts),
            input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )

    def scores(self, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the clips' scores, the mean over each clip's own patches: float32 [batch, classes]."""
        return self._score(waveforms, np.asarray(self.patch_count(lengths), np.int32)).numpy()

    def clip_scores(self, waveform: np.ndarray) -> np.ndarray:
        """Return the scores [classes] of one clip [samples], all at once."""
        padded = np.zeros((1, self.padded_length(len(waveform))), np.float32)
        padded[0, : len(waveform)] = waveform
        return self.scores(padded, np.array([len(waveform)]))[0]

    def _cut(self, waveforms: tf.Tensor) -> tf.Tensor:
        window, hop = self._windows.window, self._windows.hop
        if window is None:
            return waveforms
        samples: Any = tf.shape(waveforms)[1]
        missing: Any = tf.where(samples < window, window - samples, -(samples - window) % hop)
        frames = tf.signal.frame(tf.pad(waveforms, [[0, 0], [0, missing]]), window, hop, axis=1)
        return tf.reshape(frames, [-1, window])

    def _run(self, patches: tf.Tensor, names: list[str]) -> dict[str, tf.Tensor]:
        shape, run = self._loaded.shape, self._loaded.run
        if len(shape) == 3:
            return run(tf.expand_dims(patches, -1), names)
        if len(shape) == 2:
            return run(patches, names)
        return tf.map_fn(lambda row: run(row, names), patches, fn_output_signature=dict.fromkeys(names, tf.float32))

    def _logits_of(self, before: tf.Tensor) -> tf.Tensor:
        if self._loaded.ends_with == "sigmoid":
            return tf.concat([before, -before], axis=1) if self._single else before
        logs = tf.nn.log_softmax(before)
        return logs - tf.math.log1p(-tf.minimum(tf.exp(logs), _HIGHEST))


def check_scores(call: Callable[[tf.Tensor], Any], shape: tuple[int, int], classes: ClassList, name: str) -> bool:
    """Try a model on two rows of noise, loud and soft, and one of zeros.

    Args:
        call: from rows to scores, whatever their shape.
        shape: of its input; the rows are 3.
        classes: that the scores are of.
        name: of the model, for messages.

    Returns:
        Whether it gives one score for two classes.

    Raises:
        ModelError: it fails, gives something else than scores for the classes, or no gradient.
    """
    noise = np.random.Generator(np.random.PCG64(0)).normal(0, 0.1, shape).astype(np.float32)
    noise *= np.array([[1.0], [0.01], [0.0]], np.float32)
    given, count = tf.constant(noise), len(classes)
    with tf.GradientTape() as tape:
        tape.watch(given)
        try:
            raw = tf.convert_to_tensor(call(given))
        except Exception as error:  # whatever a user's model raises
            raise ModelError(f"model {name} cannot score an input of shape {shape}: {first_line(error)}") from error
        single = count == 2 and tuple(raw.shape) in ((3,), (3, 1))
        if not single and (raw.shape.rank < 2 or raw.shape[0] != 3 or raw.shape[-1] != count):
            raise ModelError(
                f"model {name} gives scores of shape {tuple(raw.shape)} for an input of shape {shape} and its class "
                f"list has {count} classes: expected [3, {count}]"
            )
        scores = scores_of(raw, 3, count, single=single)
        weighted = tf.reduce_sum(scores * tf.range(1.0, count + 1.0))
    _check_range(scores.numpy(), name)
    try:
        gradient: Any = tape.gradient(weighted, given)
    except Exception as error:  # an operation that has none
        raise ModelError(f"model {name} {_NO_GRADIENT}: {first_line(error)}") from error
    if gradient is None:
        raise ModelError(f"model {name} {_NO_GRADIENT}: nothing leads from its scores back to its input")
    slope = tf.convert_to_tensor(gradient).numpy()[:2]
    if not (np.isfinite(slope).all() and slope.any()):
        raise ModelError(f"model {name} {_NO_GRADIENT}: on noise it is {'0' if not slope.any() else 'not finite'}")
    return single


def scores_of(given: tf.Tensor, rows: Any, count: int, *, single: bool) -> tf.Tensor:
    """Bring what a model gives to scores [rows, classes]: axes between are averaged over, one score becomes two."""
    if single:
        first = tf.reduce_mean(tf.reshape(given, [rows, -1]), axis=1, keepdims=True)
        return tf.concat([first, 1 - first], axis=1)
    return tf.reduce_mean(tf.reshape(given, [rows, -1, count]), axis=1)


def inverse_sigmoid(scores: tf.Tensor) -> tf.Tensor:
    """Return log p − log(1 − p) of scores p, finite at both ends."""
    low, high = tf.maximum(scores, _LOWEST), tf.minimum(scores, _HIGHEST)
    return tf.math.log(low) - tf.math.log1p(-high)


def _check_range(scores: np.ndarray, name: str) -> None:
    if not (np.isfinite(scores).all() and scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6):
        raise ModelError(
            f"model {name} gives scores from {scores.min():.3g} to {scores.max():.3g}: expected probabilities from 0 "
            "to 1; put a sigmoid or softmax at its end"
        )


def _by_clip(values: tf.Tensor, batch: Any) -> tf.Tensor:
    """Part [batch * patches, ...] into [batch, patches, ...]."""
    sizes = tf.shape(values)
    return tf.reshape(values, tf.concat([[batch, sizes[0] // batch], sizes[1:]], 0))
