"""The parts of a recipe that are chosen by name: transforms, objectives, update rules and starts.

To add a part, write its function in the module of its kind and give it one line here. Validation, error messages, the
choices in ``--help``, defaults and the tables in docs/recipes.md come from these tables. They import no TensorFlow: a
function is named by "module:name", and imported when it is used. A function itself will do, too.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Function = str | Callable[..., Any]
"""A function, or "module:name" of one in this folder."""

LOGITS = ("logits",)


def resolve(function: Function) -> Any:
    """Return a function of a table, imported if it is only named."""
    return pkgutil.resolve_name(f"augment.ascent.{function}") if isinstance(function, str) else function


@dataclass(frozen=True)
class Transform:
    """How a gradient changes a sound (`augment.ascent.transforms`).

    Attributes:
        function: (p, g, step) -> the next p; p are the parameters of the domain, g the direction of the step.
        description: one line.
        adds: it changes the sound by something that can be scaled; otherwise its result replaces the sound.
        flips: the paper has a flipped form.
        needs_sound: it filters by a target sound.
        domain: what the gradient is taken by (`augment.ascent.domains`).
        own_unit: steps are in the domain's own unit (nepers), not in the waveform's.
        defaults: of the recipe, where they differ from the fields' own.
    """

    function: Function
    description: str
    adds: bool = True
    flips: bool = False
    needs_sound: bool = False
    domain: str = "domains:SAMPLES"
    own_unit: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, p: Any, g: Any, step: Any) -> Any:
        """Take a step."""
        return resolve(self.function)(p, g, step)


@dataclass(frozen=True)
class Objective:
    """What a dream maximises (`augment.ascent.objectives`).

    Attributes:
        function: the output of the model -> [batch].
        description: one line.
        of_class: it is about a class, which can be reached.
        layers: that it reads; none if the recipe names them.
        default_layers: where the recipe names none.
        reference: the output for the target sound -> what to compare with; None if it needs no target sound.
        channel: it is of one channel.
        lead: the output of the model -> [batch], positive where a clip has arrived.
    """

    function: Function
    description: str
    of_class: bool = False
    layers: tuple[str, ...] = ()
    default_layers: tuple[str, ...] = ()
    reference: Function | None = None
    channel: bool = False
    lead: Function = "objectives:margin"

    def value(self, output: Any) -> Any:
        """Return the objective [batch]."""
        return resolve(self.function)(output)

    def keep(self, output: Any) -> Any:
        """Return what to compare with, by layer, from the output for the target sound."""
        return resolve(self.reference)(output) if self.reference else {}

    def layers_of(self, named: Sequence[str]) -> tuple[str, ...]:
        """Return the layers that it works on if the recipe names these."""
        return self.layers or tuple(named) or self.default_layers


@dataclass(frozen=True)
class Update:
    """From a gradient to the direction of a step (`augment.ascent.updates`)."""

    function: Function
    description: str

    def __call__(self, *given: Any) -> Any:
        """Return the direction, and what to remember."""
        return resolve(self.function)(*given)


@dataclass(frozen=True)
class Start:
    """What a dream starts from (`augment.ascent.starts`).

    Attributes:
        function: (waveform [samples, channels], Hz, draw) -> float32 of the same shape.
        description: one line.
        needs_clip: it cannot be made without a clip.
        streams: it can be made block by block, for files of any length.
        defaults: of the recipe; they go before the transform's.
    """

    function: Function
    description: str
    needs_clip: bool = False
    streams: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *given: Any) -> Any:
        """Make the start."""
        return resolve(self.function)(*given)


_REPLACING = {"snr_db": None, "objective": "margin", "step_unit": "clip_rms", "keep": "last", "hold": None}
_SOFT = {"snr_db": 15.0, "steps": 60, "step_size": 0.14, "power": 0.25}
_GAINS = {"snr_db": 15.0, "steps": 120, "step_size": 0.07, "power": 0.25, "frame_length": 65_536, "hop": 32_768}
_MAGNITUDES = {"snr_db": None, "steps": 60, "step_size": 0.15, "frame_length": 512, "hop": 256}

TRANSFORMS: dict[str, Transform] = {
    "deep_dream": Transform("transforms:deep_dream", "(a) Add the gradients."),
    "hard_cut": Transform(
        "transforms:hard_cut", "(b) Filter the sound by the gradients.", adds=False, flips=True, defaults=_REPLACING
    ),
    "hard_cut_add": Transform(
        "transforms:hard_cut_add",
        "(c) Add the gradients where the sound is strong.",
        flips=True,
        defaults={"snr_db": 15.0},
    ),
    "target_filter": Transform(
        "transforms:target_filter",
        "(d) Add the gradients where a target sound is strong.",
        needs_sound=True,
        defaults={"snr_db": 15.0},
    ),
    "gradients": Transform(
        "transforms:gradients", "The gradients themselves, sonified.", adds=False, defaults=_REPLACING
    ),
    "gain_filter": Transform(
        "transforms:deep_dream",
        "A filter that steers, as (b): gains of the sound's own bins.",
        domain="domains:GAINS",
        defaults=_GAINS,
    ),
    "soft_cut_add": Transform(
        "transforms:deep_dream",
        "(c) with a soft mask that stays: whatever passes it.",
        domain="domains:MASKED",
        defaults={**_SOFT, "threshold": 1e-3, "frame_length": 4096, "hop": 2048},
    ),
    "soft_target_filter": Transform(
        "transforms:deep_dream",
        "(d) with a soft mask of the target sound.",
        needs_sound=True,
        domain="domains:MASKED",
        defaults={**_SOFT, "threshold": 1e-2, "hop": 512},
    ),
    "spectrogram": Transform(
        "transforms:deep_dream",
        "Ascent in log magnitudes; phases by Griffin and Lim.",
        domain="domains:MAGNITUDES",
        own_unit=True,
        defaults=_MAGNITUDES,
    ),
}
"""A transform's defaults are the settings that it steers well with."""

_MIDDLE, _LAST = ("layer7/pointwise_conv/relu",), ("layer14/pointwise_conv/relu",)
_STYLE = tuple(f"layer{number}/pointwise_conv/relu" for number in (2, 4, 6))

OBJECTIVES: dict[str, Objective] = {
    "score": Objective("objectives:score", "The target's score: the paper's objective.", True, LOGITS),
    "logit": Objective("objectives:logit", "The target's mean logit.", True, LOGITS),
    "margin": Objective("objectives:margin", "log(target's score / best other score).", True, LOGITS),
    "soft_margin": Objective("objectives:soft_margin", "The margin over all other classes.", True, LOGITS),
    "mean_margin": Objective(
        "objectives:mean_margin", "The log odds by mean logits.", True, LOGITS, lead="objectives:mean_lead"
    ),
    "layer": Objective("objectives:layer", "The mean activation of layers.", default_layers=_MIDDLE),
    "channel": Objective("objectives:channel", "The mean of one channel.", default_layers=_LAST, channel=True),
    "embedding": Objective(
        "objectives:embedding",
        "Nearness to the target sound's mean embedding.",
        layers=("embeddings",),
        reference="objectives:keep_embedding",
    ),
    "layer_match": Objective(
        "objectives:layer_match",
        "Nearness to the target sound's layers, patch by patch.",
        default_layers=_MIDDLE,
        reference="objectives:keep_layers",
    ),
    "style": Objective(
        "objectives:style",
        "Nearness to the Gram matrices of the target sound's layers.",
        default_layers=_STYLE,
        reference="objectives:keep_grams",
    ),
}

UPDATES: dict[str, Update] = {
    "normalised": Update("updates:normalised", "Along the gradient: the paper's rule."),
    "sign": Update("updates:sign", "Along the gradient's sign."),
    "momentum": Update("updates:along_momentum", "Along the running sum of gradients."),
    "sign_momentum": Update("updates:sign_momentum", "Along the sign of that sum."),
    "adam": Update("updates:adam", "Adam."),
}

_NOISE = {"snr_db": None, "steps": 100, "step_unit": "clip_rms", "step_size": 0.1}
_SILENCE = {"snr_db": None, "steps": 100, "step_unit": "full_scale", "step_size": 0.002}

STARTS: dict[str, Start] = {
    "clip": Start("starts:clip", "The clip itself.", needs_clip=True),
    "white": Start("starts:white", "White noise, as loud as the clip.", defaults=_NOISE),
    "pink": Start("starts:pink", "Pink noise, as loud as the clip.", defaults=_NOISE),
    "silence": Start("starts:silence", "Near silence: white noise at -60 dB.", defaults=_SILENCE),
    "mix": Start("starts:mix", "The clip with white noise 6 dB below it.", needs_clip=True),
}
