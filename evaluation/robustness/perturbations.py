"""What is done to the clips of a robustness report: dreams, and fair controls at the same SNR.

A perturbation gives the direction of the change for each clip of a bench; `augment.sound.distance.at_snr` brings it to
exactly the SNR of the budget on the sound as it is written, so that all perturbations differ in direction only. Samples
beyond full scale are left as they are: a float file holds them, and a limit would make the budgets unequal. To add a
perturbation, write the function and list it in `PERTURBATIONS`.

Controls: noise (white, pink), a random smooth filter (the same at all times: what a microphone or a room does to a
sound), and the dream of another clip, which shows whether a dream says something of its own clip or is noise of a kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import soxr

from augment.ascent.tables import STARTS
from augment.determinism import draws
from evaluation.robustness.attacks import JUDGE, YAMNET, Bench

FILTER_DB = 6.0
"""Standard deviation of a smooth filter's gain at its knots, dB, before it is brought to its SNR."""

FILTER_LOW_HZ, FILTER_KNOTS_PER_OCTAVE = 50.0, 1

Changes = list[np.ndarray | None]
"""For each clip the change, float64 [samples, channels] at any scale; None where there is none."""


@dataclass(frozen=True)
class Perturbation:
    """A perturbation with what the rest of the program must know of it.

    Attributes:
        title: for tables and pictures.
        change: (bench, SNR in dB) -> changes.
        through: what it dreams through, None of a control.
        targeted: it aims at a target.
    """

    title: str
    change: Callable[[Bench, float], Changes]
    through: str | None = None
    targeted: bool = False


def untargeted(bench: Bench, snr_db: float) -> Changes:
    """Dream toward whichever wrong class is nearest, through the classifier."""
    return bench.dreams(JUDGE, snr_db, targeted=False)


def targeted(bench: Bench, snr_db: float) -> Changes:
    """Dream toward a random wrong class, through the classifier."""
    return bench.dreams(JUDGE, snr_db, targeted=True)


def one_step(bench: Bench, snr_db: float) -> Changes:
    """Take one step along the sign of the classifier's gradient (Goodfellow et al. 2015), untargeted."""
    del snr_db  # the same direction at all
    return bench.first_step()


def untargeted_transfer(bench: Bench, snr_db: float) -> Changes:
    """Dream toward whichever wrong class is nearest, through YAMNet."""
    return bench.dreams(YAMNET, snr_db, targeted=False)


def targeted_transfer(bench: Bench, snr_db: float) -> Changes:
    """Dream toward a random wrong class, through YAMNet."""
    return bench.dreams(YAMNET, snr_db, targeted=True)


def other_dream(bench: Bench, snr_db: float) -> Changes:
    """Return the change of another clip's dream: of the next one on the bench that is of another source.

    The next has the same place for all budgets. Its change is repeated or cut to the length, and is the same in all
    channels.
    """
    name = next(
        (each for each in bench.trial.perturbations if PERTURBATIONS[each].through and each != "one_step"), None
    )
    if name is None:
        return [None] * len(bench.subjects)
    changes, subjects, found = PERTURBATIONS[name].change(bench, snr_db), bench.subjects, []
    for place, subject in enumerate(subjects):
        others = [(place + step) % len(subjects) for step in range(1, len(subjects))]
        usable = (
            other
            for other in others
            if subjects[other].item.source != subject.item.source and changes[other] is not None
        )
        other = next(usable, None)
        if other is None:
            found.append(None)
            continue
        mono = np.asarray(changes[other]).mean(axis=1)
        rates = subjects[other].sound.sample_rate, subject.sound.sample_rate
        moved = mono if rates[0] == rates[1] else soxr.resample(mono, *rates)
        shape = subject.sound.waveform.shape
        found.append(np.repeat(np.resize(moved, shape[0])[:, None], shape[1], axis=1))
    return found


def white_noise(bench: Bench, snr_db: float) -> Changes:
    """Add white noise."""
    return _noise(bench, snr_db, "white")


def pink_noise(bench: Bench, snr_db: float) -> Changes:
    """Add pink noise."""
    return _noise(bench, snr_db, "pink")


def smooth_filter(bench: Bench, snr_db: float) -> Changes:
    """Filter the clip by a random smooth response: the change is what the filter adds to it or takes away."""
    del snr_db
    found: Changes = []
    for subject in bench.subjects:
        number = draws.draw(bench.trial.seed, subject.item.id, 0, "smooth_filter")
        found.append(filter_change(subject.sound.waveform, subject.sound.sample_rate, number))
    return found


def filter_change(waveform: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
    """Return (h * x) - x for a zero-phase filter h that is smooth over log frequency.

    The gain in dB is normally distributed at knots an octave apart, with cubic splines between them, so that
    x + a (h * x - x) is filtered by the response 1 + a (H - 1): smooth again, and the same at all times.

    Args:
        waveform: float32 [samples, channels].
        sample_rate: Hz.
        number: the draw.

    Returns:
        float64 [samples, channels].
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


def _noise(bench: Bench, snr_db: float, color: str) -> Changes:
    del snr_db  # the same noise at all
    found: Changes = []
    for subject in bench.subjects:
        number = draws.draw(bench.trial.seed, subject.item.id, 0, f"{color}_noise")
        found.append(STARTS[color](subject.sound.waveform, subject.sound.sample_rate, number).astype(np.float64))
    return found


PERTURBATIONS: dict[str, Perturbation] = {
    "untargeted": Perturbation("untargeted dream", untargeted, JUDGE),
    "targeted": Perturbation("targeted dream", targeted, JUDGE, targeted=True),
    "untargeted_transfer": Perturbation("untargeted, through YAMNet", untargeted_transfer, YAMNET),
    "targeted_transfer": Perturbation("targeted, through YAMNet", targeted_transfer, YAMNET, targeted=True),
    "one_step": Perturbation("one gradient step", one_step, JUDGE),
    "other_dream": Perturbation("another clip's dream", other_dream),
    "white_noise": Perturbation("white noise", white_noise),
    "pink_noise": Perturbation("pink noise", pink_noise),
    "smooth_filter": Perturbation("random smooth filter", smooth_filter),
}
"""The perturbations, in the order of tables."""
