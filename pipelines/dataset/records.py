"""Records: a dream, or an unchanged clip, encoded for the dataset (`pipelines.dataset.schema`).

`provenance` is canonical JSON with all that is needed to make the audio again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.ascent.dreaming import Dreamed
from augment.determinism.arithmetic import arithmetic
from augment.models.interface import AudioModel
from augment.recipes.recipe import Recipe, canonical_json
from augment.sound.distance import distance
from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.clips.clips import Clip
from pipelines.clips.references import source_of
from pipelines.dataset.schema import ORIGINAL, Vocabulary, features
from pipelines.dataset.versions import versions


@dataclass(frozen=True)
class Record:
    """One example, encoded, with its row of provenance.parquet."""

    id: str  # of the record
    split: str  # of the dataset
    example: bytes  # a serialised tf.train.Example
    row: Mapping[str, Any]  # by column
    clip: str = ""  # `pipelines.worker.resume.clip_digest` of its clip, where that is known


@dataclass(frozen=True)
class Labelling:
    """Which labels a dream gets."""

    policy: str = "keep"  # keep (the clip's), target (the target's), both, or none
    # the dataset's own label for the name of a class, where it has one
    names: Mapping[str, str] = field(default_factory=dict)

    def labels(self, own: tuple[str, ...], targets: Iterable[str]) -> tuple[str, ...]:
        """Return the labels of a dream, each once, by the clip's own and the names of its target classes."""
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
        model_description: Mapping[str, Any] | None = None,
    ):
        """Prepare the features of the dataset.

        `audio_encoding` is a key of `encodings.AUDIO_ENCODINGS`, `model_description` from
        `pipelines.worker.run_model.describe_model`; None: of YAMNet.
        """
        from tensorflow_datasets.core import example_serializer

        self._features = features(vocabulary, len(model.classes), audio_encoding)
        self._encoding_name, self._encoding = audio_encoding, AUDIO_ENCODINGS[audio_encoding]
        self._serializer = example_serializer.ExampleSerializer(self._features.get_serialized_info())
        self._vocabulary, self._model = vocabulary, model
        self._model_description = dict(model_description or {"name": model.name, "identity": model.identity})
        self._seed, self._labelling = seed, labelling

    def original(self, clip: Clip, scores: np.ndarray) -> Record:
        """Return the record of an unchanged clip; it has no target, and its SNR is infinite."""
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
        """Return the record of a dream of a clip.

        Args:
            clip: the source.
            dream: of the clip.
            name: of the recipe, in this run.
            recipe: of the dream.
            variant: of the dream.
            resolved: the draws and policies as they were applied, for the provenance.
        """
        target, aim = dream.target, dream.aim
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
            "target": {**dataclasses.asdict(target), "classes": list(aim.classes), "away": aim.away},
            "recipe": recipe.model_dump(mode="json"),
            "recipe_digest": recipe.digest(),
            "objectives": [float(f"{value:.6g}") for value in dream.objectives],
            **resolved,
        }
        id_ = f"{clip.ref.id}:{name}:{variant}"
        labels = self._labelling.labels(clip.ref.labels, [self._model.classes[index].name for index in aim.classes])
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
        row["provenance"] = canonical_json(
            {
                "source": source_of(ref, clip.sha256),
                "target": None,
                "recipe": None,
                "recipe_digest": None,
                "objectives": [],
                "seed": self._seed,
                "variant": values["variant"],
                "model": self._model_description,
                "output_sha256": row["output_sha256"],
                "versions": versions(),
                "arithmetic": dataclasses.asdict(arithmetic()),
                **storage,
                **provenance,
            }
        )
        copied = ("id", "source_id", "split", "sample_rate", "top_before", "top_after", "provenance")
        example = {
            **{key: row[key] for key in copied},
            **values,
            "audio": stored[:, 0] if isinstance(stored, np.ndarray) and self._vocabulary.channels == (1,) else stored,
            "label": labels[0] if labels else -1,
            "labels": list(labels),
            "scores_before": before,
            "scores_after": after,
            **groups,
        }
        return Record(id_, ref.split, self._serialised(example), row)

    def _serialised(self, example: dict[str, Any]) -> bytes:
        """Return an example as tf.train.Example."""
        from tensorflow_datasets.core.features import Tensor

        audio = example["audio"]
        # sample by sample, protobuf takes longer than some gradient steps
        floats = isinstance(audio, np.ndarray) and audio.dtype == "<f4" and len(self._vocabulary.channels) == 1
        if floats:
            example = {**example, "audio": audio[:0]}
        encoded = self._features.encode_example(example)
        encoded["audio"] = Tensor.encode_example(self._features["audio"], example["audio"])  # Audio leaves BYTES undone
        proto = self._serializer.get_tf_example(encoded)
        if floats:
            proto.features.feature["audio"].float_list.ParseFromString(_packed(audio))
        return proto.SerializeToString(deterministic=True)


def _packed(values: np.ndarray) -> bytes:
    """Return what protobuf writes of a FloatList: field 1, packed, its length in bytes as a varint, the floats."""
    count, varint = values.size * 4, b""
    while count >= 128:
        varint, count = varint + bytes([count & 127 | 128]), count >> 7
    return b"\x0a" + varint + bytes([count]) + np.ascontiguousarray(values, "<f4").tobytes()
