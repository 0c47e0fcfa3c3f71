"""Dreamers by recipe, compiled once for the whole process, and the target sounds that some of them need."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from augment.ascent.loop import Dreamer
from augment.models.interface import AudioModel
from augment.recipes.recipe import Recipe
from augment.sound.resampling import to_model
from augment.sound.samples import SAMPLE_RATE
from pipelines.clips.whole_files import read_sound
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError


@dataclass(frozen=True, eq=False)
class TargetSound:
    """A recipe's target sound: float32 [samples] at the model's rate, and the sha256 of its file."""

    model_input: np.ndarray
    sha256: str


def load_sound(path: str, model_rate: int = SAMPLE_RATE) -> TargetSound:
    """Read a target sound, whole, at the rate of the model in Hz. Raises `ConfigError` if the file cannot be used."""
    try:
        clip = read_sound(path)
    except ClipError as error:
        raise ConfigError(f"recipe.sound: {error}") from error
    return TargetSound(to_model(clip.waveform, clip.ref.sample_rate, model_rate), clip.sha256)


_making = threading.Lock()
_made: dict[tuple[str, str, str | None, str | None], Dreamer] = {}
_MOST_MADE = 64


def shared_dreamer(
    model: AudioModel, recipe: Recipe, sound: TargetSound | None, products: str | None = None
) -> Dreamer:
    """Return the dreamer of a recipe, made and compiled once for the whole process, also among threads.

    `products` are those of the fast arithmetic; None: what this machine is fastest with. Raises `RecipeError` if the
    model lacks what the recipe names.
    """
    key = (model.identity, recipe.digest(), sound and sound.sha256, products)
    with _making:
        if key not in _made:
            if len(_made) >= _MOST_MADE:
                _made.clear()
            _made[key] = Dreamer(model, recipe, sound and sound.model_input, products=products)
        return _made[key]
