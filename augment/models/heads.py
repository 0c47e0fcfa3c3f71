"""Classifiers on top of YAMNet as models to dream through: a linear head, or some of YAMNet's own classes.

`Head` is a linear classifier of a clip's mean embedding. `HeadModel` and `Choice` are the dreaming model with other
logits, which `augment.ascent.loop.Dreamer` takes in its place: what is dreamed is then the gradient of that
classifier's own decision (white box).

Which decision that is. With e_p the embedding of patch p of n, a head says z = W mean_p(e_p) + b, and its scores are
softmax(z). Being linear it changes places with the mean: z = mean_p(W e_p + b), so that z is the mean over the patches
of the patch logits that `HeadModel` gives, and the objective `mean_margin` works on z itself. YAMNet takes its mean
after the sigmoid, mean_p(sigmoid(z_p)), which `soft_margin` works on: that is the objective for a `Choice`.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from augment.determinism.row_stable import dense, softmax
from augment.models.model_files import SCORES, Loaded, ModelError, digest, named_classes
from augment.models.waveform_model import check_scores, inverse_sigmoid, scores_of
from augment.models.yamnet import DreamingModel, mean_over_patches, sigmoid
from augment.targets.classes import AudioClass, ClassList

EMBEDDING = 1024
"""Size of YAMNet's embeddings."""


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier of YAMNet's mean embeddings.

    Attributes:
        kernel: float32 [1024, classes].
        bias: float32 [classes].
        names: of the classes.
    """

    kernel: np.ndarray
    bias: np.ndarray
    names: tuple[str, ...]

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the logits [..., classes] of mean embeddings [..., 1024], float64."""
        return np.asarray(embeddings, np.float64) @ self.kernel.astype(np.float64) + self.bias

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the softmax of the logits, float32 [..., classes]."""
        logits = self.logits(embeddings)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return (odds / odds.sum(axis=-1, keepdims=True)).astype(np.float32)

    @property
    def identity(self) -> str:
        """Sha256 of weights and names."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        for values in (self.kernel, self.bias):
            digest.update(np.ascontiguousarray(values, "<f4").tobytes())
        return digest.hexdigest()


class _Relabelled(DreamingModel):
    """The dreaming model with other logits.

    Attributes:
        classes: of the logits.
        objective: of the recipe that works on what the classifier decides by.
    """

    objective: str

    def __init__(self, model: DreamingModel, classes: ClassList, objective: str, name: str):  # no weights of its own
        tf.Module.__init__(self, name="relabelled")
        self._model, self._title, self.objective = model, name, objective
        self.classes = classes

    @property
    def name(self) -> str:
        """For provenance and messages."""
        return self._title

    def _needs(self) -> str:
        raise NotImplementedError

    def _relabel(self, values: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def activations(
        self, waveforms: tf.Tensor, layers: Collection[str], chosen: tf.Tensor | None = None, *, rough: bool = False
    ) -> dict[str, tf.Tensor]:
        """Return the activations of the named layers (`DreamingModel.activations`), the logits being its own."""
        needed = {*layers} - {"logits", "scores"} | {self._needs()}
        found = self._model.activations(waveforms, needed, chosen, rough=rough)
        own = self._relabel(found[self._needs()])
        more = {"logits": own, "scores": sigmoid(own)}
        return {name: more[name] if name in more else found[name] for name in layers}


class HeadModel(_Relabelled):
    """A head on YAMNet, with logits [batch, patches, classes of the head]."""

    link = "softmax"

    def __init__(self, model: DreamingModel, head: Head, name: str = "head"):
        """Put a head on the dreaming model."""
        super().__init__(model, named_classes(head.names), "mean_margin", name)
        self.identity = digest(model.identity, head.identity)
        self._head = tf.constant(head.kernel, tf.float32), tf.constant(head.bias, tf.float32)

    @cached_property
    def _score(self) -> Any:
        return tf.function(
            lambda waveforms, counts: softmax(mean_over_patches(self.logits(waveforms), counts)),
            input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)],
        )

    def _needs(self) -> str:
        return "embeddings"

    def _relabel(self, values: tf.Tensor) -> tf.Tensor:
        kernel, bias = self._head
        return dense(values, kernel) + bias


class Choice(_Relabelled):
    """YAMNet asked for the best of some of its classes, the others left out; logits [batch, patches, chosen]."""

    def __init__(self, model: DreamingModel, chosen: Sequence[int]):
        """Choose classes by their indices."""
        classes = [
            AudioClass(place, model.classes[index].mid, model.classes[index].name) for place, index in enumerate(chosen)
        ]
        super().__init__(model, ClassList(tuple(classes)), "soft_margin", model.name)
        self.identity = model.identity
        self._chosen = tf.constant(list(chosen), tf.int32)

    def _needs(self) -> str:
        return "logits"

    def _relabel(self, values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, self._chosen, axis=-1)


class EmbeddingModel(_Relabelled):
    """A model of one's own on YAMNet's embeddings, patch by patch; its logits are its scores' inverse sigmoids."""

    def __init__(self, model: DreamingModel, loaded: Loaded, classes: ClassList, name: str):
        """Put a function on the dreaming model.

        Args:
            model: YAMNet.
            loaded: from embeddings [rows, 1024] to scores [rows, classes].
            classes: in the order of the scores.
            name: for provenance and messages.

        Raises:
            ModelError: it gives something else, or no gradient.
        """
        super().__init__(model, classes, "soft_margin", name)
        self.identity = digest(model.identity, loaded.identity, *classes.names)
        self._loaded = loaded
        self._single = check_scores(self._given, (3, EMBEDDING), classes, name)

    def _given(self, rows: tf.Tensor) -> tf.Tensor:
        return self._loaded.run(rows, (SCORES,))[SCORES]

    def _needs(self) -> str:
        return "embeddings"

    def _relabel(self, values: tf.Tensor) -> tf.Tensor:
        sizes = tf.shape(values)
        rows = sizes[0] * sizes[1]
        given = self._given(tf.reshape(values, [rows, EMBEDDING]))
        scores = scores_of(given, rows, len(self.classes), single=self._single)
        return tf.reshape(inverse_sigmoid(scores), [sizes[0], sizes[1], len(self.classes)])


def save_head(head: Head, path: str | os.PathLike[str]) -> None:
    """Write a head as kernel, bias and names in one .npz."""
    with open(path, "wb") as file:
        np.savez(file, kernel=head.kernel, bias=head.bias, names=np.array(head.names))


def load_head(path: str | os.PathLike[str]) -> Head:
    """Read a head.

    Raises:
        ModelError: the file holds none.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            head = Head(stored["kernel"], stored["bias"], tuple(map(str, stored["names"])))
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"head {os.fspath(path)!r} cannot be read: {' '.join(str(error).split())}") from error
    if head.kernel.shape != (EMBEDDING, len(head.names)) or head.bias.shape != (len(head.names),):
        raise ModelError(
            f"head {os.fspath(path)!r} has a kernel {head.kernel.shape} and a bias {head.bias.shape} for "
            f"{len(head.names)} classes; expected [{EMBEDDING}, classes] and [classes]"
        )
    return head
