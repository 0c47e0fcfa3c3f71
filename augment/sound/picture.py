"""A picture of a dream: the spectrogram before, of the change, and after."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOOR_DB = -80.0
"""dB below the loudest bin of the sound before; what is fainter is black."""


def draw_dream(path: str, before: np.ndarray, after: np.ndarray, sample_rate: int, title: str) -> None:
    """Draw three spectrograms side by side on one scale of dB and save them.

    Args:
        path: PNG, PDF or SVG, by its ending.
        before: float32 [samples, channels].
        after: float32 [samples, channels].
        sample_rate: Hz.
        title: one line above them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    panels = {"before": before, "change": after - before, "after": after}
    levels = {name: _levels(sound.mean(axis=1), sample_rate) for name, sound in panels.items()}
    top = max(float(levels["before"].max()), float(levels["after"].max()))
    drawn: Any = None
    for axis, (name, level) in zip(axes, levels.items(), strict=True):
        drawn = axis.imshow(
            level.T,
            origin="lower",
            aspect="auto",
            extent=(0, len(before) / sample_rate, 0, sample_rate / 2000),
            vmin=top + FLOOR_DB,
            vmax=top,
            cmap="magma",
            interpolation="nearest",
        )
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("seconds")
    axes[0].set_ylabel("kHz")
    figure.colorbar(drawn, ax=axes, label="dB", pad=0.01)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)


def _levels(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the spectrogram in dB, [frames, bins]: Hann frames of about 32 ms, hop a quarter."""
    frame = max(64, 1 << round(np.log2(sample_rate * 0.032)))
    padded = np.pad(mono, (frame // 2, frame))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[:: frame // 4]
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(frame), axis=1))
    return 20 * np.log10(magnitudes + 1e-6)
