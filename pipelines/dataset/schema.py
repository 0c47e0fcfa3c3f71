"""The schema of our datasets: the features of a record, and the columns of provenance.parquet.

A record is one flat tf.train.Example, and one row of provenance.parquet: the same without the audio and the score
vectors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augment.sound.distance import Distance
from augment.sound.encodings import AUDIO_ENCODINGS

DISTANCES = tuple(field.name for field in dataclasses.fields(Distance))
"""Features that say how far a dream is from what it started from."""

ORIGINAL = "original"
"""The recipe and transform of the record of an unchanged clip."""


@dataclass(frozen=True)
class Vocabulary:
    """What all clips of a run have in common; the features of the dataset depend on it."""

    labels: tuple[str, ...]  # the class names in their order; label numbers index them
    channels: tuple[int, ...]  # the channel counts that occur, ascending
    groups: tuple[str, ...] = ()  # names of the groups that clips carry, sorted

    @property
    def group_features(self) -> tuple[str, ...]:
        """Names of the features and columns that hold the groups."""
        return tuple(f"group_{name}" for name in self.groups)


def features(vocabulary: Vocabulary, class_count: int, audio_encoding: str = "float32") -> Any:
    """Return the `tfds.features.FeaturesDict` of the dataset.

    ``audio`` is [samples] where every clip is mono, else [samples, channels]; or a file's bytes (`encodings`).
    """
    from tensorflow_datasets import features as f

    label = f.ClassLabel(names=list(vocabulary.labels))
    scores = f.Tensor(shape=(class_count,), dtype=np.float32)
    number, integer, text = f.Scalar(np.float32), f.Scalar(np.int64), f.Text()
    return f.FeaturesDict(
        {
            "audio": AUDIO_ENCODINGS[audio_encoding].feature(vocabulary.channels),
            "sample_rate": integer,
            "label": label,
            "labels": f.Sequence(label),
            "id": text,
            "source_id": text,
            "variant": integer,
            "split": text,
            "recipe": text,
            "transform": text,
            "target_index": integer,
            "target_mid": text,
            "target_name": text,
            "score_target_before": number,
            "score_target_after": number,
            "top_before": text,
            "top_after": text,
            **dict.fromkeys(DISTANCES, number),
            "steps_taken": integer,
            "reached": f.Scalar(np.bool_),
            "scores_before": scores,
            "scores_after": scores,
            "provenance": text,
            **dict.fromkeys(vocabulary.group_features, text),
        }
    )


_TEXT, _INTEGER, _NUMBER = pa.string(), pa.int64(), pa.float32()


def provenance_schema(group_features: Iterable[str] = ()) -> pa.Schema:
    """Return the columns of provenance.parquet, one for each group at the end.

    ``shard`` and ``position`` are the record's place in the split's files.
    """
    return pa.schema(
        [
            *((name, _TEXT) for name in ("id", "source_id", "split", "label", "recipe", "transform")),
            *((name, _INTEGER) for name in ("variant", "target_index")),
            *((name, _TEXT) for name in ("target_mid", "target_name")),
            *((name, _NUMBER) for name in ("score_target_before", "score_target_after")),
            *((name, _TEXT) for name in ("top_before", "top_after")),
            *((name, _NUMBER) for name in DISTANCES),
            ("steps_taken", _INTEGER),
            ("reached", pa.bool_()),
            *((name, _INTEGER) for name in ("sample_rate", "channels", "samples")),
            *((name, _TEXT) for name in ("source_uri", "source_sha256", "output_sha256")),
            *((name, _TEXT) for name in ("audio_encoding", "stored_sha256", "provenance")),
            *((name, _INTEGER) for name in ("shard", "position")),
            *((name, _TEXT) for name in group_features),
        ]
    )
