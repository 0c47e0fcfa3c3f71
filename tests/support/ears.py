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


def save_ears(folder: Path) -> None:
    """Write whole.keras and whole/ (of any length), second/ (8000 samples), embeddings.keras and steps.keras.

    embeddings.keras takes those of YAMNet; nothing differentiable leads to the scores of steps.keras. Their class list
    is beside them.
    """
    import keras

    classes_file(folder)
    ear().save(folder / "whole.keras")
    ear().export(folder / "whole", verbose=False)
    ear(samples=RATE).export(folder / "second", verbose=False)
    rows: Any = keras.Input((1024,))
    weights: Any = keras.initializers.RandomNormal(0, 0.3, 1)
    decide = keras.layers.Dense(3, activation="softmax", kernel_initializer=weights)
    keras.Model(rows, decide(rows)).save(folder / "embeddings.keras")
    given: Any = keras.Input((None,))
    mean: Any = keras.ops.mean(given, axis=1, keepdims=True)
    steps: Any = keras.ops.cast(mean > 0, "float32")
    keras.Model(given, keras.ops.concatenate([steps, 1 - steps, 0 * steps], axis=1)).save(folder / "steps.keras")
