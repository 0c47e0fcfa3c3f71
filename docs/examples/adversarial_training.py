"""Train a small Keras classifier twice, without dreams and with them, and print how robust each is.

    python docs/examples/adversarial_training.py --data recordings

The folder has a folder of recordings for each label. The classifier is a small convolutional network on log-mels of a
second or two, trained from scratch. "before" is training on the recordings as they are; "after" is the same number of
steps with half of every batch dreamed through the network as it is at that moment, toward whichever wrong label is
nearest. Both are then tested on recordings that neither has seen: as they are, and dreamed through the network itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import soundfile
import tensorflow as tf

from augment.recipes.recipe import Recipe
from augment.sound.resampling import to_model
from augment.training.tf_data import dream_batches, training_model

RATE, BATCH = 16_000, 32


class LogMel(keras.layers.Layer):
    """log(mel + 0.001) of waveforms [batch, samples] at 16 kHz: [batch, frames, 64, 1]."""

    def call(self, waveforms: Any) -> Any:
        """Compute it; gradients pass through."""
        spectra = tf.abs(tf.signal.stft(waveforms, 512, 256))
        mel = tf.signal.linear_to_mel_weight_matrix(64, 257, RATE, 60.0, 7600.0)
        return tf.math.log(tf.matmul(spectra, mel) + 0.001)[..., None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""
        return (input_shape[0], (input_shape[1] - 512) // 256 + 1, 64, 1)


def read(folder: Path, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return waveforms [clips, samples] (each file's loudest), labels [clips], which are for testing, and names."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    waveforms, labels, testing = [], [], []
    samples = round(seconds * RATE)
    for label, name in enumerate(names):
        files = sorted(path for path in (folder / name).iterdir() if path.suffix in (".wav", ".ogg", ".flac", ".mp3"))
        sources = sorted({path.stem.rpartition("-")[0] or path.stem for path in files})  # pieces of one recording
        for path in files:
            sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
            waveform = to_model(sound, rate, RATE)
            waveform = np.pad(waveform, (0, max(0, samples - len(waveform))))
            starts = range(0, len(waveform) - samples + 1, RATE // 4)
            start = max(starts, key=lambda at: float(np.sum(np.square(waveform[at : at + samples], dtype=np.float64))))
            waveforms.append(waveform[start : start + samples])
            labels.append(label)
            testing.append(sources.index(path.stem.rpartition("-")[0] or path.stem) % 3 == 0)
    return np.stack(waveforms), np.array(labels), np.array(testing), names


def network(samples: int, classes: int) -> Any:
    """Return a new network, from waveforms to scores; the same one each time."""
    keras.utils.set_random_seed(0)
    given = keras.Input((samples,))
    signal: Any = keras.layers.Normalization(mean=-3.0, variance=4.0)(LogMel()(given))
    for channels in (16, 32, 64):
        signal = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(signal)
        signal = keras.layers.MaxPooling2D(2 if channels > 16 else 4)(signal)
    signal = keras.layers.Dropout(0.2)(keras.layers.GlobalMaxPooling2D()(signal))
    model = keras.Model(given, keras.layers.Dense(classes, activation="softmax")(signal))
    optimizer = keras.optimizers.Adam(2e-3)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with a folder of recordings for each label")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=4, help="of a dream in training; three times as many in the test")
    parser.add_argument("--snr-db", type=float, default=40.0, help="budget, in training and in the test")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each recording that are used: the loudest")
    given = parser.parse_args()
    waveforms, labels, testing, names = read(given.data, given.seconds)
    print(f"{len(names)} labels, {np.sum(~testing)} recordings for training, {np.sum(testing)} for the test")
    train = tf.data.Dataset.from_tensor_slices((waveforms[~testing], labels[~testing]))
    train = train.shuffle(len(waveforms), seed=0).batch(BATCH)
    test = tf.data.Dataset.from_tensor_slices((waveforms[testing], labels[testing])).batch(BATCH)
    tuned: dict[str, Any] = {"snr_db": given.snr_db, "update": "sign", "hold": None}
    mild = Recipe(steps=given.steps, step_size=0.5, keep="last", **tuned)
    strong = Recipe(steps=3 * given.steps, **tuned)
    print("         clean  dreamed")
    for name in ("before", "after"):
        model = network(waveforms.shape[1], len(names))
        own = training_model(model, RATE, names)
        data = dream_batches(train, own, mild, sample_rate=RATE, share=0.5) if name == "after" else train
        model.fit(data, epochs=given.epochs, shuffle=False, verbose=0)
        dreamed = dream_batches(test, own, strong, sample_rate=RATE, share=1.0)
        clean, robust = (model.evaluate(each, verbose=0, return_dict=True)["accuracy"] for each in (test, dreamed))
        print(f"{name:7} {clean:6.1%}  {robust:6.1%}")


if __name__ == "__main__":
    main()
