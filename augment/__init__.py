"""What happens to one batch of waveforms: dreaming through YAMNet.

The short way is `dream`; `Dreamer` and `dream_batch` serve batches. Names are imported when they are used, so that
``import augment`` is instant.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow loads, which leaves it off without AVX-512:
# dreams take a third longer then; their bytes are the same (`augment.determinism.row_stable`)
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several processes may share a GPU, where there is one

if TYPE_CHECKING:
    from augment.ascent.dreaming import Dreamed, Dreamer, Sound, dream, dream_batch
    from augment.models.yamnet import DreamingModel, load_dreaming_model
    from augment.recipes.recipe import Recipe
    from augment.targets.classes import AudioClass, ClassList, yamnet_classes

_HOMES = {
    "AudioClass": "augment.targets.classes",
    "ClassList": "augment.targets.classes",
    "yamnet_classes": "augment.targets.classes",
    "Dreamed": "augment.ascent.dreaming",
    "Dreamer": "augment.ascent.dreaming",
    "Sound": "augment.ascent.dreaming",
    "dream": "augment.ascent.dreaming",
    "dream_batch": "augment.ascent.dreaming",
    "Recipe": "augment.recipes.recipe",
    "DreamingModel": "augment.models.yamnet",
    "load_dreaming_model": "augment.models.yamnet",
}

__all__ = [
    "AudioClass",
    "ClassList",
    "Dreamed",
    "Dreamer",
    "DreamingModel",
    "Recipe",
    "Sound",
    "dream",
    "dream_batch",
    "load_dreaming_model",
    "yamnet_classes",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'augment' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
