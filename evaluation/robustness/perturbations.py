"""The perturbations of a robustness report: dreams, and fair controls at the same SNR.

A perturbation gives the direction of the change for each clip of a batch. `augment.sound.distance.at_snr` scales it to
exactly the SNR of the budget on the written sound, so perturbations differ in direction only. Samples beyond full scale
stay: a float file holds them, and a limit would make the budgets unequal. To add a perturbation, write the function and
list it in `PERTURBATIONS`; the first line of its docstring describes it in reports.

Controls: noise (white, pink), a random smooth filter (constant in time, like a microphone or a room), and the dream of
another clip, which shows whether a dream depends on its own clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import soxr

from augment.determinism import draws
from augment.recipes.tables import STARTS
from evaluation.robustness.attacks import JUDGE, YAMNET, AttackBatch, Changes

FILTER_DB = 6.0
"""Standard deviation of a smooth filter's gain at its knots, dB, before it is scaled to its SNR."""

FILTER_LOW_HZ, FILTER_KNOTS_PER_OCTAVE = 50.0, 1


@dataclass(frozen=True)
class Perturbation:
    """A perturbation.

    Attributes:
        title: for tables and pictures.
        change: (batch, SNR in dB) -> changes.
        through: the model that it dreams through, None for a control.
        targeted: it aims at a target. None: it is neither of the two kinds of dreams that users choose between, and
            is part of every report.
        of_dreams: it needs a dream in the same report.
    """

    title: str
    change: Callable[[AttackBatch, float], Changes]
    through: str | None = None
    targeted: bool | None = False
    of_dreams: bool = False


def untargeted(batch: AttackBatch, snr_db: float) -> Changes:
    """Dream toward whichever wrong class is nearest, through the classifier."""
    return batch.dreams(JUDGE, snr_db, targeted=False)


def targeted(batch: AttackBatch, snr_db: float) -> Changes:
    """Dream toward a random wrong class, through the classifier."""
    return batch.dreams(JUDGE, snr_db, targeted=True)


def one_step(batch: AttackBatch, snr_db: float) -> Changes:
    """Take one step along the sign of the classifier's gradient (Goodfellow et al. 2015), untargeted."""
    del snr_db  # the direction is the same for all budgets
    return batch.first_step()


def untargeted_transfer(batch: AttackBatch, snr_db: float) -> Changes:
    """Dream toward whichever wrong class is nearest, through YAMNet."""
    return batch.dreams(YAMNET, snr_db, targeted=False)


def targeted_transfer(batch: AttackBatch, snr_db: float) -> Changes:
    """Dream toward a random wrong class, through YAMNet."""
    return batch.dreams(YAMNET, snr_db, targeted=True)


def other_dream(batch: AttackBatch, snr_db: float) -> Changes:
    """Use the change of another clip's dream: of the next clip in the batch from another source.

    The next clip is the same for all budgets. Its change is repeated or cut to the length, and equal in all channels.
    """
    kinds = (PERTURBATIONS[name] for name in batch.plan.perturbations)
    dream = next((each for each in kinds if each.through and each.targeted is not None), None)
    clips = batch.clips
    if dream is None:
        return [None] * len(clips)
    changes, found = dream.change(batch, snr_db), []
    for place, clip in enumerate(clips):
        others = ((place + step) % len(clips) for step in range(1, len(clips)))
        usable = (o for o in others if clips[o].item.source != clip.item.source and changes[o] is not None)
        other = next(usable, None)
        if other is None:
            found.append(None)
            continue
        mono = np.asarray(changes[other]).mean(axis=1)
        rates = clips[other].sound.sample_rate, clip.sound.sample_rate
        moved = mono if rates[0] == rates[1] else soxr.resample(mono, *rates)
        length, channels = clip.sound.waveform.shape
        found.append(np.repeat(np.resize(moved, length)[:, None], channels, axis=1))
    return found


def white_noise(batch: AttackBatch, snr_db: float) -> Changes:
    """Add white noise."""
    del snr_db  # the noise is the same for all budgets
    return _noise(batch, "white")


def pink_noise(batch: AttackBatch, snr_db: float) -> Changes:
    """Add pink noise."""
    del snr_db
    return _noise(batch, "pink")


def smooth_filter(batch: AttackBatch, snr_db: float) -> Changes:
    """Filter the clip by a random smooth response: the change is what the filter adds or removes."""
    del snr_db
    found: Changes = []
    for clip in batch.clips:
        number = draws.draw(batch.plan.seed, clip.item.id, 0, "smooth_filter")
        found.append(filter_change(clip.sound.waveform, clip.sound.sample_rate, number))
    return found


def filter_change(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return (h * x) - x, float64 [samples, channels], for a random zero-phase filter h, smooth over log frequency.

    The gain in dB is normally distributed at knots an octave apart, with cubic splines between them, so that
    x + a (h * x - x) is filtered by the response 1 + a (H - 1): smooth as well, and constant in time.
    """
    octaves = np.log2(max(sample_rate / 2 / FILTER_LOW_HZ, 2.0))
    knots = np.linspace(0, octaves, max(4, round(octaves * FILTER_KNOTS_PER_OCTAVE) + 1))
    gains = np.random.Generator(np.random.PCG64(number)).normal(0, FILTER_DB, len(knots))
    length = 2 * len(waveform)  # room for the response to ring out
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    places = np.clip(np.log2(np.maximum(frequencies, FILTER_LOW_HZ) / FILTER_LOW_HZ), 0, octaves)
    response = 10 ** (scipy.interpolate.CubicSpline(knots, gains)(places) / 20)
    spectra = np.fft.rfft(waveform.astype(np.float64), length, axis=0) * (response - 1)[:, None]
    return np.fft.irfft(spectra, length, axis=0)[: len(waveform)]


def _noise(batch: AttackBatch, color: str) -> Changes:
    found: Changes = []
    for clip in batch.clips:
        number = draws.draw(batch.plan.seed, clip.item.id, 0, f"{color}_noise")
        found.append(STARTS[color](clip.sound.waveform, clip.sound.sample_rate, number).astype(np.float64))
    return found


PERTURBATIONS: dict[str, Perturbation] = {
    "untargeted": Perturbation("untargeted dream", untargeted, JUDGE),
    "targeted": Perturbation("targeted dream", targeted, JUDGE, targeted=True),
    "untargeted_transfer": Perturbation("untargeted, through YAMNet", untargeted_transfer, YAMNET),
    "targeted_transfer": Perturbation("targeted, through YAMNet", targeted_transfer, YAMNET, targeted=True),
    "one_step": Perturbation("one gradient step", one_step, JUDGE, targeted=None),
    "other_dream": Perturbation("another clip's dream", other_dream, of_dreams=True),
    "white_noise": Perturbation("white noise", white_noise),
    "pink_noise": Perturbation("pink noise", pink_noise),
    "smooth_filter": Perturbation("random smooth filter", smooth_filter),
}
"""The perturbations, in the order of tables."""


def find_perturbation(name: str) -> Perturbation:
    """Return a perturbation.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"there is no perturbation {name!r}; choices: {', '.join(PERTURBATIONS)}")
    return PERTURBATIONS[name]
