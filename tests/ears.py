"""Small classifiers that tests make: Keras models of waveforms, seeded, untrained but not flat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMES = ("Dog", "hum", "rain, heavy")
RATE = 8_000


def ear(*, samples: int | None = None, ending: str = "softmax", classes: int = 3, gain: float = 40.0) -> Any:
    """Return a Keras model of waveforms at 8 kHz: [batch, samples], or [batch, samples, 1] of any length."""
    import keras

    def weights(seed: int, scale: float = 1.0) -> Any:
        return keras.initializers.RandomNormal(0.0, scale, seed)

    given = keras.Input((None, 1) if samples is None else (samples,))
    rows = given if samples is None else keras.layers.Reshape((samples, 1))(given)
    heard = keras.layers.Conv1D(8, 32, 16, activation="relu", kernel_initializer=weights(1), name="filters")(rows)
    level = keras.layers.GlobalAveragePooling1D(name="level")(heard)
    out = keras.layers.Dense(classes, activation=ending, kernel_initializer=weights(2, gain), name="decide")(level)
    return keras.Model(given, out, name="ear")


def classes_file(folder: Path, names: tuple[str, ...] = NAMES) -> str:
    """Write a class list; return its path."""
    path = folder / "classes.txt"
    path.write_text("".join(f"{name}\n" for name in names))
    return str(path)
