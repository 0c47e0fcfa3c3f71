"""Checks of one record: what has to hold between its example and its dataset.

Each check takes an `Entry` and gives a line for each thing that is wrong. To add one, write the function and list it in
`EXAMPLE_CHECKS`; if it needs the provenance, in `pipelines.verify.provenance_checks`. `wrong_features` checks the
features before an example is decoded, `differences` the row of provenance.parquet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.dataset.provenance import short
from pipelines.dataset.reader import Dataset, Place
from pipelines.dataset.schema import DISTANCES, ORIGINAL
from pipelines.messages import one_line

FEATURES = (
    *("audio", "sample_rate", "label", "labels", "id", "source_id", "variant", "split", "recipe", "transform"),
    *("target_index", "target_mid", "target_name", "score_target_before", "score_target_after"),
    *("snr_db", "lufs_before", "lufs_after", "lufs_change", "peak", "top_before", "top_after"),
    *("steps_taken", "reached", "scores_before", "scores_after", "provenance"),
)
"""The features of records in every version of the schema."""

COLUMNS = (
    *(name for name in FEATURES if name not in ("audio", "labels", "scores_before", "scores_after")),
    *("channels", "samples", "source_uri", "source_sha256", "output_sha256", "shard", "position"),
)
"""The columns of every provenance.parquet."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A record that is checked."""

    dataset: Dataset  # that holds it
    place: Place  # where it is
    example: Mapping[str, Any]  # decoded (`pipelines.dataset.record_reader.read_example`)
    samples: np.ndarray  # float32 [samples, channels], of the example
    provenance: Mapping[str, Any]  # of the example; empty if it is not complete


Check = Callable[[Entry], Iterator[str]]


def wrong_features(dataset: Dataset, record: bytes) -> str:
    """Return how a serialised example departs from features.json; "" if it does not."""
    import tensorflow as tf

    kinds = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}
    wanted = {name: kinds[spec.dtype.name] for name, spec in dataset.features.tf_example_spec.items()}
    try:
        found = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # noqa: BLE001 - protobuf's, which is no public class
        return f"is no tf.train.Example ({one_line(error)})"
    for name in sorted(wanted.keys() | set(found)):
        if name not in found:
            return f"lacks the feature {name!r} of features.json"
        if name not in wanted:
            return f"has the feature {name!r}, which features.json has not"
        kind = found[name].WhichOneof("kind")
        if kind not in (wanted[name], None):
            return f"has the feature {name!r} as {kind}; features.json says {wanted[name]}"
    return ""


def differences(entry: Entry, row: Mapping[str, Any]) -> Iterator[str]:
    """Compare a row of provenance.parquet with the record in its place."""
    expected = _row(entry)
    if row.get("id") != expected["id"]:
        yield f"provenance.parquet has {row.get('id')!r} in its place"
        return
    for key, value in expected.items():
        if key in row and not _same(row[key], value):
            yield f"provenance.parquet says {key} {short(row[key])}, the record {short(value)}"


def check_split(entry: Entry) -> Iterator[str]:
    """The split is that of the shard."""
    if entry.example["split"] != entry.place.split:
        yield f"its split is {entry.example['split']!r}, its shard is of {entry.place.split!r}"


def check_labels(entry: Entry) -> Iterator[str]:
    """The labels are classes of the dataset, each once, the first of them `label`, -1 where there is none."""
    label, labels = int(entry.example["label"]), [int(each) for each in entry.example["labels"]]
    count = len(entry.dataset.labels)
    if label != (labels[0] if labels else -1):
        yield f"its label is {label}, its labels are {labels}"
    if any(not 0 <= each < count for each in labels) or len(set(labels)) < len(labels):
        yield f"its labels are {labels}; expected each once, from 0 to {count - 1}"


def check_samples(entry: Entry) -> Iterator[str]:
    """There are samples, all finite, and `peak` is their peak (where they are stored to the bit)."""
    samples = entry.samples
    if not samples.size:
        yield "it has no samples"
    elif not AUDIO_ENCODINGS[entry.dataset.audio_encoding].lossy:
        peak = np.float32(np.max(np.abs(samples)))
        if not np.isfinite(peak):
            yield "it has samples that are not finite"
        elif peak != np.float32(entry.example["peak"]):
            yield f"its peak is said to be {entry.example['peak']:g}, and is {peak:g}"


def check_numbers(entry: Entry) -> Iterator[str]:
    """Numbers are numbers: SNR may be infinite where nothing changed, loudness minus infinity in silence."""
    example = entry.example
    for name in DISTANCES:
        value = float(example[name])
        above = value == math.inf and name != "snr_db"
        if math.isnan(value) or above or (name == "peak" and not 0 <= value < math.inf):
            yield f"its {name} is {value}"
    if example["recipe"] == ORIGINAL and example["snr_db"] != math.inf:
        yield f"it is an original, and its snr_db is {example['snr_db']:g}, not infinite"
    for name in ("scores_before", "scores_after"):
        scores = np.asarray(example[name])
        if not ((scores >= 0) & (scores <= 1 + 1e-6)).all():  # a mean of ones may be rounded up
            yield f"its {name} are not all from 0 to 1"


def check_scores(entry: Entry) -> Iterator[str]:
    """The top classes and the target's scores follow from the scores."""
    example, names = entry.example, entry.dataset.classes.names
    target = int(example["target_index"])
    for when in ("before", "after"):
        scores = np.asarray(example[f"scores_{when}"])
        if len(scores) != len(names):
            continue
        if example[f"top_{when}"] != (top := names[int(np.argmax(scores))]):
            yield f"its top_{when} is {example[f'top_{when}']!r}, by its scores it is {top!r}"
        score = float(scores[target]) if 0 <= target < len(scores) else 0.0
        if example[f"score_target_{when}"] != score:
            yield f"its score_target_{when} is {example[f'score_target_{when}']:g}, by its scores it is {score:g}"


EXAMPLE_CHECKS: tuple[Check, ...] = (check_split, check_labels, check_samples, check_numbers, check_scores)


def _row(entry: Entry) -> dict[str, Any]:
    """Return what the row of a record has to hold, by column."""
    example, samples, labels = entry.example, entry.samples, entry.dataset.labels
    label = int(example["label"])
    plain = (str, bool, int, float, np.generic)
    values = {key: value for key, value in {**entry.provenance, **example}.items() if isinstance(value, plain)}
    values |= {
        "label": labels[label] if 0 <= label < len(labels) else None,
        "samples": len(samples),
        "channels": samples.shape[1],
        "shard": entry.place.shard,
        "position": entry.place.position,
    }
    if source := entry.provenance.get("source"):
        values |= {"source_uri": source["uri"], "source_sha256": source["sha256"]}
    return values


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # NaN is the same as NaN here
