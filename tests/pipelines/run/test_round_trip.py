"""The round trip: real recordings, dreamed, loaded by TFDS, train a small Keras model."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import augment, samples

LABELS = ("dog_bark", "rain")
SECONDS, RATE = 1.0, 44_100


@pytest.fixture(scope="module")
def recordings(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loudest second of two recordings of each label."""
    folder = tmp_path_factory.mktemp("recordings")
    source = shared / "data/esc10-dev"
    with (source / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for label in LABELS:
        (folder / label).mkdir()
        for row in [row for row in rows if row["label"] == label][:2]:
            whole = samples(source / row["path"])
            start = max(
                range(0, len(whole) - RATE, RATE // 2), key=lambda at: float(np.square(whole[at : at + RATE]).sum())
            )
            soundfile.write(folder / label / f"{Path(row['path']).stem}.wav", whole[start : start + RATE], RATE)
    return folder


@pytest.mark.parametrize("encoding", ["float32", "flac"])
def test_a_small_keras_model_trains_for_an_epoch_on_a_dreamed_dataset(
    recordings: Path, tmp_path: Path, encoding: str
) -> None:
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    augment(recordings, tmp_path / "out", "recipe.steps=1", f"audio_encoding={encoding}")
    builder: Any = tfds.builder_from_directory(tmp_path / "out")
    classes = builder.info.features["label"].num_classes
    records = builder.as_dataset(split="train", shuffle_files=False)
    waveforms = runpy.run_path(str(tmp_path / "out/load.py"))["with_waveforms"](records)

    def prepared(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        spectrum = tf.abs(tf.signal.stft(example["audio"], frame_length=1024, frame_step=512))
        mel = tf.signal.linear_to_mel_weight_matrix(32, 513, RATE, 125.0, 7500.0)
        return tf.math.log(tf.matmul(spectrum, mel) + 1e-3), example["label"]  # [frames, 32]

    batches = waveforms.map(prepared).shuffle(8, seed=0).padded_batch(4)
    keras.utils.set_random_seed(0)
    model: Any = keras.Sequential(
        [
            keras.layers.Input((None, 32)),
            keras.layers.Conv1D(8, 5, activation="relu"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    before = [np.array(weights) for weights in model.get_weights()]
    history = model.fit(batches, epochs=1, shuffle=False, verbose=0)
    assert classes == len(LABELS)
    assert builder.info.splits["train"].num_examples == 8
    assert np.isfinite(history.history["loss"]).all()
    after = model.get_weights()
    assert all(np.isfinite(new).all() and not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert model.predict(batches.map(lambda mel, _: mel), verbose=0).shape == (8, classes)
