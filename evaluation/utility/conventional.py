"""Conventional augmentation, the competition of dreams.

`Conventional` is a usual set of audiomentations (gain, shift, noise, pitch, stretch, filter), which needs the extra
``dreambeam[utility]``. SpecAugment (Park et al. 2019) and mixup (Zhang et al. 2018) work on a classifier's features.
All draws come from seed, clip and variant.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.determinism import draws
from augment.sound.samples import SAMPLE_RATE
from evaluation.utility.views import LoadedClip, View

MIXUP_ALPHA = 0.4
"""Of the Beta distribution of mixup's shares."""

FREQUENCY_MASKS, MAX_BANDS = 2, 12
TIME_MASKS, MAX_FRAMES = 2, 20
"""SpecAugment's, of 64 bands and 124 frames of 40 ms."""


class MissingExtraError(ValueError):
    """A library is missing; the message names its extra."""


@dataclass
class Conventional:
    """A usual set of audiomentations, drawn from a seed."""

    seed: int
    _apply: Any = field(default=None, init=False)

    def key(self) -> dict[str, Any]:
        """Return everything that shapes the views."""
        version = importlib.metadata.version("audiomentations")
        return {"kind": "conventional", "set": repr(_SETTINGS), "library": version, "seed": self.seed}

    def make(self, clips: Sequence[LoadedClip], variant: int) -> list[View]:
        """Augment the clips, and scale down peaks above full scale."""
        self._apply = self._apply or _usual_set()
        found = []
        for each in clips:
            with _drawn_from(draws.draw(self.seed, each.clip.id, variant, "conventional")):
                changed = np.asarray(self._apply(each.waveform, SAMPLE_RATE), np.float32)
            peak = float(np.max(np.abs(changed), initial=0.0))
            found.append(View(changed / max(1.0, peak), each.clip.label))
        return found


_SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PitchShift", {"min_semitones": -3, "max_semitones": 3, "p": 0.5}),
    ("TimeStretch", {"min_rate": 0.85, "max_rate": 1.2, "p": 0.5}),
    ("Shift", {"min_fraction": -0.5, "max_fraction": 0.5, "p": 0.5}),
    ("LowPassFilter", {"min_cutoff_freq": 1500, "max_cutoff_freq": 7000, "p": 0.3}),
    ("HighPassFilter", {"min_cutoff_freq": 50, "max_cutoff_freq": 800, "p": 0.3}),
    ("AddGaussianSNR", {"min_snr_in_db": 5, "max_snr_in_db": 40, "p": 0.5}),
    ("Gain", {"min_gain_in_db": -18, "max_gain_in_db": 6, "p": 0.5}),
)
"""Audiomentations' transforms, in their order."""


def check_library() -> None:
    """Import audiomentations.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # librosa warns that pkg_resources is deprecated
            importlib.import_module("audiomentations")
    except ImportError as error:
        raise MissingExtraError(
            "conventional augmentation needs audiomentations: pip install 'dreambeam[utility]', or name arms without "
            "it with --only"
        ) from error


def _usual_set() -> Any:
    check_library()
    library = importlib.import_module("audiomentations")  # no dependency of everyone's
    return library.Compose([getattr(library, name)(**values) for name, values in _SETTINGS])


@contextmanager
def _drawn_from(number: int) -> Iterator[None]:
    """Seed the global generators, from which the library draws, and restore them."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    seed = number % (1 << 32)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def mask_spectrogram(log_mel: np.ndarray, number: int) -> np.ndarray:
    """Return a log-mel [frames, bands] with bands and frames set to its mean: SpecAugment without the warping."""
    rng = np.random.default_rng(number)
    masked, fill = log_mel.copy(), log_mel.mean()
    for _ in range(FREQUENCY_MASKS):
        width = int(rng.integers(0, MAX_BANDS + 1))
        first = int(rng.integers(0, log_mel.shape[1] - width + 1))
        masked[:, first : first + width] = fill
    for _ in range(TIME_MASKS):
        width = int(rng.integers(0, MAX_FRAMES + 1))
        first = int(rng.integers(0, log_mel.shape[0] - width + 1))
        masked[first : first + width] = fill
    return masked


def draw_mix(count: int, number: int) -> tuple[int, float]:
    """Draw which of `count` examples another is mixed with, and its own share, at least a half."""
    rng = np.random.default_rng(number)
    share = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
    return int(rng.integers(count)), max(share, 1 - share)
