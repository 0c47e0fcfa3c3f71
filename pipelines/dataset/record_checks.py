"""Checks of one record: what has to hold between its example, its provenance and its dataset.

Each check takes an `Entry` and gives a line for each thing that is wrong, and nothing if all is well. To add one, write
the function and list it: in `EXAMPLE_CHECKS` what asks the example alone, in `PROVENANCE_CHECKS` what asks the
provenance too, which is complete by then. `provenance_of` sees to that, `wrong_kinds` to the features before an example
is decoded, `differences` to the row of provenance.parquet.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from augment.ascent.recipe import Recipe, canonical_json
from augment.models.model_files import told_classes
from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.config.run_config import describe
from pipelines.dataset.reader import Dataset, Place, stored_bytes
from pipelines.dataset.records import DISTANCES, ORIGINAL

FEATURES = (
    *("audio", "sample_rate", "label", "labels", "id", "source_id", "variant", "split", "recipe", "transform"),
    *("target_index", "target_mid", "target_name", "score_target_before", "score_target_after"),
    *("snr_db", "lufs_before", "lufs_after", "lufs_change", "peak", "top_before", "top_after"),
    *("steps_taken", "reached", "scores_before", "scores_after", "provenance"),
)
"""What the records of every version of the schema have."""

COLUMNS = (
    *(name for name in FEATURES if name not in ("audio", "labels", "scores_before", "scores_after")),
    *("channels", "samples", "source_uri", "source_sha256", "output_sha256", "shard", "position"),
)
"""The columns that every provenance.parquet has."""

_LIBRARIES = ("dreambeam", "numpy", "soundfile", "soxr", "tensorflow", "libsndfile", "machine")


@dataclass(frozen=True, eq=False)
class Entry:
    """A record that is checked.

    Attributes:
        dataset: that holds it.
        place: where it stands.
        example: decoded (`pipelines.dataset.reader.read_example`).
        samples: float32 [samples, channels], of the example.
        told: its provenance; empty until that is known to be complete.
    """

    dataset: Dataset
    place: Place
    example: Mapping[str, Any]
    samples: np.ndarray
    told: Mapping[str, Any]


Check = Callable[[Entry], Iterator[str]]

_SOURCE = {"id": str, "uri": str, "sha256": str, "format": str} | dict.fromkeys(
    ("start", "stop", "sample_rate", "channels"), int
)
_TARGET = {"index": int, "mid": str, "name": str, "classes": list, "away": bool}
_ALWAYS: dict[str, Any] = {
    "source": _SOURCE,
    "seed": int,
    "variant": int,
    "objectives": list,
    "model": {"name": str, "identity": str},
    "output_sha256": str,
}
_OF_AN_ORIGINAL: dict[str, Any] = dict.fromkeys(("target", "recipe", "recipe_digest"), type(None))
_OF_A_DREAM: dict[str, Any] = {
    "target": _TARGET,
    "recipe": dict,
    "recipe_digest": str,
    "target_policy": str,
    "target_classes": list,
    "label_policy": str,
    "sound_sha256": (str, type(None)),
}


def provenance_of(example: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Read an example's provenance.

    Returns:
        It, empty if it is not complete; and what is wrong with it.
    """
    text = example["provenance"]
    try:
        told = json.loads(text)
    except ValueError as error:
        return {}, [f"its provenance is not JSON ({error})"]
    if not isinstance(told, dict):
        return {}, ["its provenance is not a JSON object"]
    own = _OF_AN_ORIGINAL if example["recipe"] == ORIGINAL else _OF_A_DREAM
    wanted = {**_ALWAYS, **own, "versions": dict.fromkeys(_LIBRARIES, str)}
    if "arithmetic" in told:  # not before 0.4.0
        wanted["arithmetic"] = {"device": str, "instructions": str, "onednn": bool, "products": str}
    source = told.get("source")
    if isinstance(source, dict) and "note" in source:  # only of a file whose header is wrong, and not before 0.4.0
        wanted["source"] = {**_SOURCE, "note": str}
    wrong = [f"its provenance {each}" for each in _incomplete(told, wanted)]
    try:
        canonical = canonical_json(told) == text
    except ValueError:  # NaN or infinity
        canonical = False
    return {} if wrong else told, wrong + ([] if canonical else ["its provenance is not canonical JSON"])


def differences(entry: Entry, row: Mapping[str, Any]) -> Iterator[str]:
    """Compare a row of provenance.parquet with the record in its place."""
    expected = _row(entry)
    if row.get("id") != expected["id"]:
        yield f"provenance.parquet has {row.get('id')!r} in its place"
        return
    for key, value in expected.items():
        if key in row and not _same(row[key], value):
            yield f"provenance.parquet says {key} {_short(row[key])}, the record {_short(value)}"


# The example alone ------------------------------------------------------------------------------------------


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
        if not ((scores >= 0) & (scores <= 1)).all():
            yield f"its {name} are not all from 0 to 1"


def check_scores(entry: Entry) -> Iterator[str]:
    """What is said of the scores follows from them."""
    example, names = entry.example, told_classes(entry.dataset.run).names
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


# Example and provenance -------------------------------------------------------------------------------------


def check_audio(entry: Entry) -> Iterator[str]:
    """The samples are those that were dreamed, or, in a lossy encoding, those that were stored."""
    lossy = AUDIO_ENCODINGS[entry.dataset.audio_encoding].lossy
    expected = entry.told.get("stored_sha256") if lossy else entry.told["output_sha256"]
    if hashlib.sha256(stored_bytes(entry.example)).hexdigest() != expected:
        yield "its samples are not those that were written (their sha256 is another)"


def check_identity(entry: Entry) -> Iterator[str]:
    """The id is the clip's, the recipe's name and the variant."""
    example, told = entry.example, entry.told
    clip = told["source"]["id"]
    end = ORIGINAL if example["recipe"] == ORIGINAL else f"{example['recipe']}:{told['variant']}"
    if example["id"] != f"{clip}:{end}":
        yield f"by its provenance its id is {f'{clip}:{end}'!r}"
    for name, value in (("source_id", clip), ("variant", told["variant"])):
        if example[name] != value:
            yield f"its {name} is {example[name]!r}, its provenance says {value!r}"


def check_piece(entry: Entry) -> Iterator[str]:
    """The audio is as long as the piece of the source, at its sample rate, with its channels."""
    source, samples = entry.told["source"], entry.samples
    found = (len(samples), samples.shape[1], int(entry.example["sample_rate"]))
    wanted = (source["stop"] - source["start"], source["channels"], source["sample_rate"])
    if found != wanted:
        yield "it has {} samples of {} channels at {} Hz".format(*found) + ", its source {} of {} at {}".format(*wanted)


def check_recipe(entry: Entry) -> Iterator[str]:
    """The recipe is the one of the digest and of run.json, and still valid, every field as it is written."""
    told, name = entry.told, entry.example["recipe"]
    if told["recipe"] is None:
        if entry.example["transform"] != ORIGINAL:
            yield f"it is an original, and its transform is {entry.example['transform']!r}"
        return
    try:
        recipe = Recipe.model_validate(told["recipe"])
    except ValidationError as error:
        yield describe(error, where="its recipe", root=Recipe)
        return
    now = recipe.model_dump(mode="json")
    changed = [key for key, value in told["recipe"].items() if now[key] != value]
    if changed:
        yield f"its recipe says {changed[0]} {told['recipe'][changed[0]]!r}, which is read as {now[changed[0]]!r}"
    digest = hashlib.sha256(canonical_json(told["recipe"]).encode()).hexdigest()
    if told["recipe_digest"] != digest:
        yield "its recipe_digest is not that of its recipe"
    of_run = entry.dataset.run["recipes"].get(name)
    if not isinstance(of_run, dict) or of_run.get("digest") != told["recipe_digest"]:
        yield f"its recipe {name!r} is not the one of run.json"
    if entry.example["transform"] != recipe.transform:
        yield f"its transform is {entry.example['transform']!r}, its recipe says {recipe.transform!r}"


def check_target(entry: Entry) -> Iterator[str]:
    """The target is that of the provenance."""
    target = entry.told["target"]
    if target is None:
        target = {"index": -1, "mid": "", "name": "", "classes": [-1]}
    for name in ("index", "mid", "name"):
        if entry.example[f"target_{name}"] != target[name]:
            found = entry.example[f"target_{name}"]
            yield f"its target_{name} is {found!r}, its provenance says {target[name]!r}"
    if target["classes"][:1] != [target["index"]]:
        yield f"its target's classes are {target['classes']}, the first of which is not {target['index']}"


def check_steps(entry: Entry) -> Iterator[str]:
    """There is one objective for each step, and not more than the recipe has steps."""
    objectives, taken = entry.told["objectives"], int(entry.example["steps_taken"])
    if not all(isinstance(each, (int, float)) for each in objectives):
        yield "its objectives are not all numbers"
    most = (entry.told["recipe"] or {}).get("steps", 0)
    if len(objectives) != taken or taken > most:
        yield f"it took {taken} steps of {most}, and has {len(objectives)} objectives"


def check_model(entry: Entry) -> Iterator[str]:
    """The weights are those of run.json."""
    of_run = entry.dataset.run.get("model")
    if entry.told["model"] != of_run:
        yield "the model of its provenance is not that of run.json"


PROVENANCE_CHECKS: tuple[Check, ...] = (
    check_audio,
    check_identity,
    check_piece,
    check_recipe,
    check_target,
    check_steps,
    check_model,
)


def _incomplete(told: Mapping[str, Any], wanted: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Name the keys that are missing or of another kind."""
    for key, kind in wanted.items():
        value = told.get(key)
        if key not in told:
            yield f"lacks {at + key!r}"
        elif isinstance(kind, dict):
            if isinstance(value, dict):
                yield from _incomplete(value, kind, f"{at}{key}.")
            else:
                yield f"has {at + key!r} as {_short(value)}"
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            yield f"has {at + key!r} as {_short(value)}"


def _row(entry: Entry) -> dict[str, Any]:
    """Give what the row of a record has to say, by column."""
    example, samples, labels = entry.example, entry.samples, entry.dataset.labels
    label = int(example["label"])
    plain = (str, bool, int, float, np.generic)
    values: dict[str, Any] = {key: value for key, value in entry.told.items() if isinstance(value, plain)}
    values.update((key, value) for key, value in example.items() if isinstance(value, plain))
    values.update(
        label=labels[label] if 0 <= label < len(labels) else None,
        samples=len(samples),
        channels=samples.shape[1],
        shard=entry.place.shard,
        position=entry.place.position,
    )
    if source := entry.told.get("source"):
        values.update(source_uri=source["uri"], source_sha256=source["sha256"])
    return values


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # NaN is the same as NaN here


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
