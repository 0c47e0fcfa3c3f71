"""Common corruptions: what happens to a sound between its source and a classifier, at fixed severities.

Classifiers are tested on them, never trained, and they share no code with any augmentation. All take and return float32
[samples] at a sample rate in Hz; a whole number seeds each draw. Fixed severities make figures comparable, as for image
corruptions (Hendrycks & Dietterich, ICLR 2019). To add one, write the function and list it in `CORRUPTIONS`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.signal
import soundfile

Corrupt = Callable[[np.ndarray, int, int], np.ndarray]
"""Takes a waveform [samples], its Hz and a draw; returns a waveform of the same length."""


@dataclass(frozen=True)
class Corruption:
    """One corruption at one severity, with its title for tables."""

    title: str
    apply: Corrupt


def add_noise(waveform: np.ndarray, number: int, *, snr_db: float, exponent: float) -> np.ndarray:
    """Add noise at an SNR, with a power that falls with frequency to an exponent (0: white, 1: pink)."""
    rng = np.random.default_rng(number)
    spectrum = np.fft.rfft(rng.standard_normal(len(waveform)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (exponent / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, len(waveform))
    level = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (waveform + level * noise).astype(np.float32)


def reverberate(waveform: np.ndarray, sample_rate: int, number: int, *, seconds: float) -> np.ndarray:
    """Convolve a sound with noise that decays by 60 dB in `seconds`, and keep its rms.

    Polack 1988's model of late reverberation, with direct sound and reverberation at the same level.
    """
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    tail = np.random.default_rng(number).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    wet: np.ndarray = scipy.signal.fftconvolve(waveform.astype(np.float64), tail)[: len(waveform)]
    return _at_rms_of(waveform, wet)


def band_pass(waveform: np.ndarray, sample_rate: int, *, low_hz: float, high_hz: float) -> np.ndarray:
    """Apply a Butterworth band-pass of 4th order (24 dB an octave)."""
    sections = scipy.signal.butter(4, [low_hz, high_hz], "bandpass", fs=sample_rate, output="sos")
    passed: Any = scipy.signal.sosfilt(sections, waveform.astype(np.float64))
    return passed.astype(np.float32)


def clip_peaks(waveform: np.ndarray, *, share: float) -> np.ndarray:
    """Clip the loudest share of the samples, and keep the rms."""
    limit = float(np.quantile(np.abs(waveform), 1 - share))
    if limit == 0:
        return waveform
    return _at_rms_of(waveform, np.clip(waveform, -limit, limit))


def turn(waveform: np.ndarray, *, gain_db: float) -> np.ndarray:
    """Scale a sound, and round it to 16 bits as a file does."""
    turned = np.clip(waveform * 10 ** (gain_db / 20), -1, 1)
    return (np.rint(turned * 32767) / 32767).astype(np.float32)


def mp3(waveform: np.ndarray, sample_rate: int, *, compression: float) -> np.ndarray:
    """Encode a sound as MP3 and decode it; at 24 kbit/s and below the decoder delays it by 69 ms.

    The compression is from 0, the highest bit rate (160 kbit/s at 16 kHz), to 0.99, the lowest (8 kbit/s).
    """
    file = io.BytesIO()
    options = {"compression_level": compression, "bitrate_mode": "CONSTANT"}
    soundfile.write(file, np.clip(waveform, -1, 1), sample_rate, format="MP3", subtype="MPEG_LAYER_III", **options)
    file.seek(0)
    decoded = soundfile.read(file, dtype="float32")[0]
    return np.pad(decoded[: len(waveform)], (0, max(0, len(waveform) - len(decoded))))


def _at_rms_of(waveform: np.ndarray, changed: np.ndarray) -> np.ndarray:
    own, new = (np.sqrt(np.mean(np.square(each, dtype=np.float64))) for each in (waveform, changed))
    return (changed * (own / new if new else 0.0)).astype(np.float32)


CORRUPTIONS: dict[str, Corruption] = {
    **{
        f"{name}_noise_{snr}_db": Corruption(
            f"{name} noise, {snr} dB",
            lambda x, rate, n, snr=snr, exponent=exponent: add_noise(x, n, snr_db=snr, exponent=exponent),
        )
        for name, exponent in (("white", 0.0), ("pink", 1.0))
        for snr in (20, 10, 0)
    },
    **{
        f"reverberation_{name}": Corruption(
            f"reverberation, {seconds:g} s",
            lambda x, rate, n, seconds=seconds: reverberate(x, rate, n, seconds=seconds),
        )
        for name, seconds in (("room", 0.5), ("hall", 2.0))
    },
    "telephone": Corruption("300–3400 Hz", lambda x, rate, n: band_pass(x, rate, low_hz=300, high_hz=3400)),
    "narrow_band": Corruption("500–2000 Hz", lambda x, rate, n: band_pass(x, rate, low_hz=500, high_hz=2000)),
    "clipped_5": Corruption("5 % of the samples clipped", lambda x, rate, n: clip_peaks(x, share=0.05)),
    "clipped_25": Corruption("25 % of the samples clipped", lambda x, rate, n: clip_peaks(x, share=0.25)),
    "quiet_20_db": Corruption("20 dB down", lambda x, rate, n: turn(x, gain_db=-20)),
    "quiet_40_db": Corruption("40 dB down", lambda x, rate, n: turn(x, gain_db=-40)),
    "mp3_40": Corruption("MP3, 40 kbit/s", lambda x, rate, n: mp3(x, rate, compression=0.8)),
    "mp3_16": Corruption("MP3, 16 kbit/s", lambda x, rate, n: mp3(x, rate, compression=0.95)),
}
"""The corruptions by name, in the order of tables."""


def find_corruption(name: str) -> Corruption:
    """Return a corruption.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"there is no corruption {name!r}; choices: {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]
