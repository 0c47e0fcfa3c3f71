"""Records: what one dreamed clip (or an original) becomes in the dataset.

A record is one tf.train.Example with the features of `features`, flat, and one row of provenance.parquet: the same
without the audio and the score vectors. `provenance` is canonical JSON with all that is needed to make the audio again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Dreamed
from augment.ascent.recipe import Recipe, canonical_json
from augment.determinism.arithmetic import arithmetic
from augment.models.interface import AudioModel
from augment.sound.distance import Distance, distance
from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.clips.clips import Clip
from pipelines.clips.references import Failure, source_of

DISTANCES = tuple(field.name for field in dataclasses.fields(Distance))
"""Features that say how far a dream is from what it started from."""

ORIGINAL = "original"
"""What stands in place of the recipe's name and transform in the record of a clip as it came."""


@dataclass(frozen=True)
class Vocabulary:
    """What all clips of a run have in common; the features of the dataset depend on it.

    Attributes:
        labels: the class names in their order; label numbers index them.
        channels: the channel counts that occur, ascending.
        groups: names of the groups that clips carry, sorted.
    """

    labels: tuple[str, ...]
    channels: tuple[int, ...]
    groups: tuple[str, ...] = ()

    @property
    def group_features(self) -> tuple[str, ...]:
        """Names of the features and columns that hold the groups."""
        return tuple(f"group_{name}" for name in self.groups)


@dataclass(frozen=True)
class Record:
    """One example, encoded, with its row of provenance.parquet.

    Attributes:
        id: of the record.
        split: of the dataset.
        example: a serialised tf.train.Example.
        row: by column.
        clip: `pipelines.worker.resume.clip_digest` of its clip, where that is known.
    """

    id: str
    split: str
    example: bytes
    row: Mapping[str, Any]
    clip: str = ""


@dataclass(frozen=True)
class Lost:
    """A failure, and how many records there are not because of it (none, if the file never became a clip)."""

    failure: Failure
    records: int


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


@dataclass(frozen=True)
class Labelling:
    """Which labels a dream gets.

    Attributes:
        policy: keep (the clip's), target (the target's), both, or none.
        names: the dataset's own label for the name of a class, where it has one.
    """

    policy: str = "keep"
    names: Mapping[str, str] = field(default_factory=dict)

    def labels(self, own: tuple[str, ...], targets: Iterable[str]) -> tuple[str, ...]:
        """Return the labels of a dream, the first of which is its `label`, each once.

        Args:
            own: the clip's labels.
            targets: names of the target's classes.
        """
        new = tuple(self.names.get(name, name) for name in targets)
        return tuple(dict.fromkeys({"keep": own, "target": new, "both": own + new, "none": ()}[self.policy]))

    def possible(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Return the labels that dreams may get beside the dataset's own, if these are the names of all targets."""
        return tuple(targets) if self.policy in ("target", "both") else ()


class Encoder:
    """Turns dreams into records."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        model: AudioModel,
        seed: int,
        labelling: Labelling = Labelling(),
        audio_encoding: str = "float32",
        about_model: Mapping[str, Any] | None = None,
    ):
        """Prepare the features of the dataset.

        Args:
            vocabulary: of the run.
            model: what the clips are dreamed through.
            seed: of the run.
            labelling: of the dreams.
            audio_encoding: a key of `encodings.AUDIO_ENCODINGS`.
            about_model: what the provenance tells of the model (`pipelines.worker.run_model.about`); None: of YAMNet.
        """
        from tensorflow_datasets.core import example_serializer

        self._features = features(vocabulary, len(model.classes), audio_encoding)
        self._encoding_name, self._encoding = audio_encoding, AUDIO_ENCODINGS[audio_encoding]
        self._serializer = example_serializer.ExampleSerializer(self._features.get_serialized_info())
        self._vocabulary = vocabulary
        self._model = model
        self._about_model = dict(about_model or {"name": model.name, "identity": model.identity})
        self._seed = seed
        self._labelling = labelling

    def original(self, clip: Clip, scores: np.ndarray) -> Record:
        """Return the record of a clip as it came; it has no target, and its SNR is infinite."""
        values = {
            "variant": 0,
            "recipe": ORIGINAL,
            "transform": ORIGINAL,
            "target_index": -1,
            "target_mid": "",
            "target_name": "",
            "score_target_before": 0.0,
            "score_target_after": 0.0,
            **dataclasses.asdict(distance(clip.waveform, clip.waveform, clip.ref.sample_rate)),
            "steps_taken": 0,
            "reached": False,
        }
        id_ = f"{clip.ref.id}:{ORIGINAL}"
        return self._record(clip, id_, clip.waveform, clip.ref.labels, scores, scores, values, {})

    def dreamed(
        self, clip: Clip, dream: Dreamed, name: str, recipe: Recipe, variant: int, resolved: Mapping[str, Any]
    ) -> Record:
        """Return the record of a dream.

        Args:
            clip: the source.
            dream: what became of it.
            name: the recipe's, in this run.
            recipe: how it was dreamed.
            variant: its number.
            resolved: the draws and policies as they came out, for the provenance.
        """
        target = dream.target
        values = {
            "variant": variant,
            "recipe": name,
            "transform": recipe.transform,
            "target_index": target.index,
            "target_mid": target.mid,
            "target_name": target.name,
            "score_target_before": float(dream.scores_before[target.index]),
            "score_target_after": float(dream.scores_after[target.index]),
            **dataclasses.asdict(dream.distance),
            "steps_taken": len(dream.objectives),
            "reached": dream.reached,
        }
        provenance = {
            "target": {
                "index": target.index,
                "mid": target.mid,
                "name": target.name,
                "classes": list(dream.aim.classes),
                "away": dream.aim.away,
            },
            "recipe": recipe.model_dump(mode="json"),
            "recipe_digest": recipe.digest(),
            "objectives": [float(f"{value:.6g}") for value in dream.objectives],
            **resolved,
        }
        id_ = f"{clip.ref.id}:{name}:{variant}"
        names = [self._model.classes[index].name for index in dream.aim.classes]
        labels = self._labelling.labels(clip.ref.labels, names)
        before, after = dream.scores_before, dream.scores_after
        return self._record(clip, id_, dream.waveform, labels, before, after, values, provenance)

    def _record(
        self,
        clip: Clip,
        id_: str,
        audio: np.ndarray,
        labels: tuple[str, ...],
        before: np.ndarray,
        after: np.ndarray,
        values: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> Record:
        from tensorflow_datasets.core.features import Tensor

        ref, names = clip.ref, self._model.classes.names
        audio = np.ascontiguousarray(audio, "<f4")
        carried = dict(ref.groups)
        groups = {f"group_{name}": carried.get(name, "") for name in self._vocabulary.groups}
        stored = self._encoding.store(audio, ref.sample_rate)
        row = {
            "id": id_,
            "source_id": ref.id,
            "split": ref.split,
            "label": labels[0] if labels else None,
            **values,
            "sample_rate": ref.sample_rate,
            "channels": audio.shape[1],
            "samples": len(audio),
            "top_before": names[int(np.argmax(before))],
            "top_after": names[int(np.argmax(after))],
            "source_uri": ref.uri,
            "source_sha256": clip.sha256,
            "output_sha256": hashlib.sha256(audio.tobytes()).hexdigest(),
            **groups,
            "audio_encoding": self._encoding_name,
            "stored_sha256": hashlib.sha256(stored if isinstance(stored, bytes) else stored.tobytes()).hexdigest(),
        }
        storage = {key: row[key] for key in ("audio_encoding", "stored_sha256")} if self._encoding.lossy else {}
        whole = {
            "source": source_of(clip.ref, clip.sha256),
            "target": None,
            "recipe": None,
            "recipe_digest": None,
            "objectives": [],
            "seed": self._seed,
            "variant": values["variant"],
            "model": self._about_model,
            "output_sha256": row["output_sha256"],
            "versions": versions(),
            "arithmetic": dataclasses.asdict(arithmetic()),
            **storage,
            **provenance,
        }
        row["provenance"] = canonical_json(whole)
        example = {
            **{key: row[key] for key in ("id", "source_id", "split", "sample_rate", "top_before", "top_after")},
            **values,
            "audio": stored[:, 0] if isinstance(stored, np.ndarray) and self._vocabulary.channels == (1,) else stored,
            "label": labels[0] if labels else -1,
            "labels": list(labels),
            "scores_before": before,
            "scores_after": after,
            "provenance": row["provenance"],
            **groups,
        }
        plain = isinstance(stored, np.ndarray) and stored.dtype == "<f4" and len(self._vocabulary.channels) == 1
        floats = example["audio"]
        if plain:  # sample by sample, protobuf takes longer than some gradient steps
            example["audio"] = floats[:0]
        encoded = self._features.encode_example(example)
        encoded["audio"] = Tensor.encode_example(self._features["audio"], example["audio"])  # Audio leaves BYTES undone
        proto = self._serializer.get_tf_example(encoded)
        if plain:
            proto.features.feature["audio"].float_list.ParseFromString(_packed(floats))
        return Record(id_, ref.split, proto.SerializeToString(deterministic=True), row)


def _packed(values: np.ndarray) -> bytes:
    """Return what protobuf writes of a FloatList: field 1, packed, its length in bytes as a varint, the floats."""
    count, varint = values.size * 4, b""
    while count >= 128:
        varint, count = varint + bytes([count & 127 | 128]), count >> 7
    return b"\x0a" + varint + bytes([count]) + np.ascontiguousarray(values, "<f4").tobytes()


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of all that shapes the audio: a replay on the same ones is exact."""
    import soundfile

    packages = ("dreambeam", "numpy", "soundfile", "soxr", "tensorflow")
    found = {name: _version(name) for name in packages}
    return {**found, "libsndfile": soundfile.__libsndfile_version__, "machine": platform.machine()}


@functools.cache
def processor() -> str:
    """Return the name of this machine's processor: libraries choose their instructions, and so the last bits, by it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:  # another system than Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
