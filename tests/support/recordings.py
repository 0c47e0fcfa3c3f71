"""Recordings that tests make, runs over them, and what is in the datasets."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines.config.run_config import load_config
from pipelines.run.augmentation import augment_dataset


def sound(name: str, seconds: float = 1.0, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """Return a chirping, noisy sound that depends on its name: float64 [samples, channels]."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    time = np.arange(round(seconds * rate)) / rate
    start, sweep = rng.uniform(100, 800), rng.uniform(-50, 200)
    tone = 0.3 * np.sin(2 * np.pi * (start + sweep * time) * time)
    return tone[:, None] * rng.uniform(0.2, 1, channels) + rng.normal(0, 0.03, (len(time), channels))


def record(path: Path, seconds: float = 1.0, rate: int = 16_000, channels: int = 1, **kwargs: Any) -> Path:
    """Write a sound of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(path.name, seconds, rate, channels), rate, **kwargs)
    return path


def samples(path: str | Path) -> np.ndarray:
    """Read a file as it is: float32 [samples, channels]."""
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def augment(inputs: Path | str | Sequence[str], output: Path | str, *changes: str, **kwargs: Any) -> dict[str, Any]:
    """Run the pipeline, without gradient steps unless they are asked for; return run.json's content."""
    given = [str(inputs)] if isinstance(inputs, (str, Path)) else list(inputs)
    return augment_dataset(given, output, load_config(None, ["recipe.steps=0", *changes]), **kwargs)


def load(output: Path, split: str = "train") -> dict[str, dict[str, Any]]:
    """Read a dataset as its users do, by TFDS: id to example, as NumPy values and text."""
    import tensorflow_datasets as tfds

    builder: Any = tfds.builder_from_directory(output)
    dataset = builder.as_dataset(split=split)
    examples = [_with_text(example) for example in tfds.as_numpy(dataset)]
    assert len({example["id"] for example in examples}) == len(examples)
    return {example["id"]: example for example in examples}


def raw_records(output: Path) -> dict[str, bytes]:
    """Read a dataset's records as they are, by id, with no help from TFDS."""
    import tensorflow as tf

    records: dict[str, bytes] = {}
    for path in sorted(output.glob("*.tfrecord-*")):
        serialised: Any = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for record in serialised:
            found = tf.train.Example.FromString(record).features.feature["id"].bytes_list.value[0]
            records[found.decode()] = record
    return records


def shards_of(output: Path) -> dict[str, bytes]:
    """Return the bytes of each shard, by file name."""
    return {path.name: path.read_bytes() for path in sorted(output.glob("*.tfrecord-*"))}


def failures_of(output: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of failures.jsonl by id."""
    lines = [json.loads(line) for line in (output / "failures.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


def dreambeam(*arguments: str | Path) -> int:
    """Run a command line in this process and return its exit code."""
    from pipelines.cli import main

    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command line that is wrong; return the one line that it prints."""
    code = dreambeam(*arguments)
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.count("\n")) == (2, "", 1), printed
    assert printed.err.startswith("dreambeam: ")
    return printed.err


def _with_text(example: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.decode() if isinstance(value, bytes) and key != "audio" else value for key, value in example.items()
    }
