"""A model as a recipe sees it: the objectives of its outputs, the lead of a clip, and the target sound.

It computes exactly, or with the recipe's fast arithmetic (`augment.ascent.fast_gradient`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from augment.ascent import fast_gradient, transforms
from augment.ascent.objectives import ModelOutput, margin
from augment.determinism.arithmetic import fast_products
from augment.models.ensembles import members_of
from augment.models.interface import AudioModel
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe, RecipeError
from augment.recipes.tables import OBJECTIVES, resolve

DITHER = 1e-6
"""Rms of the noise under the sound where its gradient is taken, -120 dB: digital silence has no gradient."""


_COUNTED = 4  # samples of noise that one count of the generator makes


def dither(samples: Any, offset: int = 0) -> tf.Tensor:
    """Return the noise that lies under a clip, float32 [1, samples], the same for every clip.

    The noise of a piece that begins `offset` samples within a sound is that piece of the sound's: where a sound is
    silent, its gradient has the noise's phase, and two windows of a sound would otherwise differ there.
    """
    key, counter, kind = tf.raw_ops.StatelessRandomGetKeyCounterAlg(seed=(0, 0))
    before = offset % _COUNTED
    counter += tf.constant([offset // _COUNTED, 0], tf.uint64)
    shape = (1, before + samples)
    noise: Any = tf.raw_ops.StatelessRandomNormalV2(shape=shape, key=key, counter=counter, alg=kind, dtype=tf.float32)
    return DITHER * noise[:, before:]


class ModelView:
    """A model, or several as one, seen by one recipe's objectives.

    Attributes:
        model: what is dreamed through.
        members: the models that it consists of.
        sound: the target sound, float32 [samples], one zero if there is none.
        rough: steps use the fast arithmetic.
        products: number format of its products (`augment.determinism.arithmetic`).
        picks: most steps look at some of a clip's patches only.
    """

    def __init__(self, model: AudioModel, recipe: Recipe, sound: np.ndarray | None, products: str | None = None):
        """Check the recipe against the model; with None, products are in this machine's fastest format.

        Raises:
            RecipeError: an objective lacks its target sound, or the model lacks the layer, channel or arithmetic.
        """
        self.model, self._recipe = model, recipe
        self.members = members_of(model)
        self._objectives = recipe.weighted_objectives()
        leads = [resolve(OBJECTIVES[name].lead) for name in self._objectives]
        self._lead = next((lead for lead in leads if lead is not margin), margin)
        self._compares = [name for name in self._objectives if OBJECTIVES[name].reference]
        if self._compares and (sound is None or not len(sound)):
            raise RecipeError(f"{self._compares[0]} needs a target sound that is not empty")
        self.sound = np.zeros(1, np.float32) if sound is None else sound
        self._layers = sorted({"logits", *(name for names in self._named().values() for name in names)})
        self.rough = recipe.arithmetic == "fast"
        if self.rough and not isinstance(model, DreamingModel):
            raise RecipeError("arithmetic: fast is for YAMNet and heads on it; set recipe.arithmetic=exact")
        self.products = products or (fast_products() if self.rough else "float32")
        self.picks = self.rough and self._layers == ["logits"]  # other layers are compared as a whole
        self._check_layers()
        self._references: dict[int, dict[str, tf.Tensor]] = {}

    def outputs(
        self,
        x: tf.Tensor,
        counts: tf.Tensor,
        aims: tf.Tensor,
        reference: dict[str, tf.Tensor],
        padded: tf.Tensor,
        noise: tf.Tensor,
        last_look: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> list[ModelOutput]:
        """Return what each member of the model gives for a batch.

        Args:
            x: float32 [batch, samples].
            counts: int [batch, members], patches of each clip.
            aims: float32 [batch, classes].
            reference: what the objectives keep of the target sound (`reference`).
            padded: int [members], samples that each member pads to.
            noise: float32 [batch, samples], under each clip (`dither`).
            last_look: the last logits and the patches to look at now, for the recipe's arithmetic; None: exactly.
        """
        alone, found = len(self.members) == 1, []
        for place, member in enumerate(self.members):
            given = x + noise if alone else member.padded(x + noise, padded[place])
            if last_look is None or not self.rough:
                activations = member.model.activations(given, self._layers)
            else:
                activations = self._fast_activations(given, *last_look)
            own_aims = aims if alone else member.aims(aims)
            kept = reference, (), self._recipe.channel, member.model.link
            found.append(ModelOutput(activations, counts[:, place], own_aims, *kept))
        return found

    def _fast_activations(self, given: tf.Tensor, logits: tf.Tensor, chosen: tf.Tensor) -> dict[str, tf.Tensor]:
        model: Any = self.model  # which `rough` says has this
        rough = self.products == "bfloat16"
        if not self.picks:
            return model.activations(given, self._layers, rough=rough)
        found = model.activations(given, self._layers, chosen, rough=rough)
        return {"logits": fast_gradient.put(logits, chosen, found["logits"])}

    def value(self, outputs: Sequence[ModelOutput]) -> tf.Tensor:
        """Return the objective [batch], the mean over the members."""
        values = [self._weighted(each) for each in outputs]
        return values[0] if len(values) == 1 else tf.add_n(values) / len(values)

    def _weighted(self, output: ModelOutput) -> tf.Tensor:
        named = self._named()
        parts = []
        for name, weight in self._objectives.items():
            sound = {key.partition(":")[2]: kept for key, kept in output.sound.items() if key.startswith(f"{name}:")}
            own = dataclasses.replace(output, layers=named[name], sound=sound)
            parts.append(weight * OBJECTIVES[name].value(own))
        return parts[0] if len(parts) == 1 else tf.add_n(parts)

    def lead(self, outputs: Sequence[ModelOutput]) -> tf.Tensor:
        """Return the lead [batch], the least of the members'."""
        leads = [self._lead(each) for each in outputs]
        return leads[0] if len(leads) == 1 else tf.reduce_min(tf.stack(leads), axis=0)

    def worth(self, outputs: Sequence[ModelOutput]) -> tf.Tensor:
        """Return what the best iterate is chosen by [batch]: the lead where a class is the aim, else the objective."""
        return self.lead(outputs) if self._recipe.has_class_objective else self.value(outputs)

    def fitted_sound(self, samples: int) -> tf.Tensor:
        """Return the target sound repeated or cut to the given samples, [1, samples]."""
        return transforms.fitted(tf.constant(self.sound, tf.float32), samples)

    def reference(self, samples: int) -> dict[str, tf.Tensor]:
        """Return what the objectives keep of the target sound, repeated or cut to the given samples."""
        kept = self._references.get(samples)  # other threads may dream other lengths
        if kept is None:
            kept = self._reference(samples)
            self._references = {samples: kept}  # the neighbours in length share a batch
        return kept

    def _reference(self, samples: int) -> dict[str, tf.Tensor]:
        if not self._compares:
            return {}
        activations = self.model.activations(self.fitted_sound(samples), self._layers)
        counts = tf.constant([int(self.model.patch_count(samples))])
        named, found = self._named(), {}
        for name in self._compares:
            output = ModelOutput(activations, counts, tf.zeros([1, 1]), layers=named[name])
            kept = OBJECTIVES[name].keep(output)
            found.update({f"{name}:{layer}": value for layer, value in kept.items()})
        return found

    def _named(self) -> dict[str, tuple[str, ...]]:
        """Return the layers of each objective."""
        return {name: OBJECTIVES[name].layers_of(self._recipe.layers) for name in self._objectives}

    def _check_layers(self) -> None:
        title = "YAMNet" if self.model.name == "yamnet" else self.model.name
        if unknown := [name for name in self._layers if name not in self.model.layers]:
            raise RecipeError(f"layers: {title} has no layer {unknown[0]!r}; it has {', '.join(self.model.layers)}")
        if any(OBJECTIVES[name].channel for name in self._objectives):
            sizes = self.model.activations(tf.zeros([1, self.model.padded_length(1)]), self._layers)
            for layer in self._named()["channel"]:
                channels = int(tf.shape(sizes[layer])[-1])
                if self._recipe.channel >= channels:
                    raise RecipeError(f"channel: {layer} has channels 0 to {channels - 1}")
