"""TFDS datasets that tests build with TFDS's own builders, and TFRecords that they write with TensorFlow's."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.clips.listing import Listing
from pipelines.clips.references import ClipRef, Failure
from pipelines.clips.shard_clips import ShardRef, clips
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs

NAMES = ("zero", "one", "two")


def build(
    data_dir: Path, features: Mapping[str, Any], splits: Mapping[str, list[dict[str, Any]]], shards: int = 2
) -> Path:
    """Build a dataset "spoken_digit" and return its folder."""
    import tensorflow_datasets as tfds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder: Any = tfds.dataset_builders.store_as_tfds_dataset(
            name="spoken_digit",
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={name: list(enumerate(examples)) for name, examples in splits.items()},
            disable_shuffling=True,
            data_dir=data_dir,
            download_config=tfds.download.DownloadConfig(num_shards=shards),
        )
    return Path(builder.data_path)


def digits(count: int = 5, shift: int = 0) -> list[dict[str, Any]]:
    """Return examples of integers, as TFDS stores 16-bit sounds, of lengths of their own."""
    rng = np.random.default_rng(count + shift)
    return [
        {
            "audio": rng.integers(-20_000, 20_000, 2000 + 100 * number),
            "label": NAMES[number % 3],
            "speaker": f"speaker {number % 2}",
        }
        for number in range(count)
    ]


def digit_features() -> dict[str, Any]:
    import tensorflow_datasets as tfds

    return {
        "audio": tfds.features.Audio(shape=(None,), dtype=np.int64, sample_rate=8000),
        "label": tfds.features.ClassLabel(names=list(NAMES)),
        "speaker": tfds.features.Text(),
    }


def spoken_digit(data_dir: Path, shards: int = 2) -> Path:
    """Build a dataset of 8 kHz sounds with a train and a test split."""
    return build(data_dir, digit_features(), {"train": digits(), "test": digits(2, shift=9)}, shards)


def example(**features: Any) -> bytes:
    """Serialise a tf.train.Example: floats, integers, text, bytes, or lists of these."""
    import tensorflow as tf

    train: Any = tf.train
    made = {}
    for name, value in features.items():
        values = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
        if all(isinstance(each, (str, bytes)) for each in values):
            encoded = [each.encode() if isinstance(each, str) else each for each in values]
            made[name] = train.Feature(bytes_list=train.BytesList(value=encoded))
        elif all(isinstance(each, (int, np.integer)) for each in values):
            made[name] = train.Feature(int64_list=train.Int64List(value=values))
        else:
            made[name] = train.Feature(float_list=train.FloatList(value=values))
    return train.Example(features=train.Features(feature=made)).SerializeToString()


def write_records(path: Path, records: Iterable[bytes], compression: Any = "") -> Path:
    """Write TFRecords as TensorFlow does."""
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def listed(*inputs: Path | str, **source: Any) -> Listing:
    return list_inputs([str(each) for each in inputs], SourceConfig(**source))


def found(listing: Listing, segment_seconds: float | None = None) -> dict[str, ClipRef | Failure]:
    """Walk the shards of a listing: id to clip or failure."""
    result: dict[str, ClipRef | Failure] = {}
    for item in listing.items:
        assert isinstance(item, ShardRef), item
        for clip in clips(item, segment_seconds=segment_seconds):
            assert clip.id not in result
            result[clip.id] = clip
    return result


def good(listing: Listing, segment_seconds: float | None = None) -> dict[str, ClipRef]:
    """Walk the shards of a listing in which nothing fails."""
    result = found(listing, segment_seconds)
    failures = [clip for clip in result.values() if isinstance(clip, Failure)]
    assert failures == []
    return {id_: clip for id_, clip in result.items() if isinstance(clip, ClipRef)}
