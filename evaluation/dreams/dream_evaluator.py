"""What one worker does: reads a clip and its dreams, has the judge hear them, and gives their rows.

No Beam here: `EvaluationWorker.evaluate` takes the references of one clip's records. It holds one original and one
dream at a time, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.sound.encodings import AUDIO_ENCODINGS
from augment.sound.resampling import to_model
from evaluation.dreams.dream_rows import Bearings, make_row
from evaluation.dreams.lineage import Recording, recording_of
from evaluation.dreams.originals import Dataset, DatasetError, MissingSourceError, ReadSource, Reference, read_example
from evaluation.judges.judge import Judge, JudgeError, Judgement, JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from evaluation.metrics.distortion import Original

ORIGINALS = "originals"
"""Key of the embeddings of originals; those of dreams go by transform and recipe."""


@dataclass(frozen=True)
class Plan:
    """What a worker needs to know; it crosses to other processes.

    Attributes:
        dataset: what is evaluated.
        judge: by whom.
        ears: YAMNet, for the embeddings, beside a judge that is another; None if there shall be none.
        bearings: for the rows.
        identity: of the judge that the evaluation began with; "" where any will do.
    """

    dataset: Dataset
    judge: JudgeSpec
    ears: JudgeSpec | None
    bearings: Bearings
    identity: str = ""


@dataclass(frozen=True)
class Row:
    """A line of examples.parquet."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A dream that could not be evaluated.

    Attributes:
        id: of the record.
        stage: original (it is not to be had), read (the record), or compare.
        error: one line.
    """

    id: str
    stage: str
    error: str


@dataclass(frozen=True, eq=False)
class Embeddings:
    """YAMNet's embeddings of one sound, for the Fréchet distance.

    Attributes:
        key: `ORIGINALS`, or transform and recipe.
        patches: float32 [patches, 1024].
    """

    key: str | tuple[str, str]
    patches: np.ndarray


@dataclass(frozen=True, eq=False)
class _Heard:
    original: Original
    labels: tuple[str, ...] | None
    judgement: Judgement
    reference: Reference | None
    recording: Recording


@dataclass
class EvaluationWorker:
    """Evaluates clips by a plan.

    Attributes:
        plan: of the evaluation.
        read_source: reads the clips that the dataset holds no original of.
    """

    plan: Plan
    read_source: ReadSource
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = shared_judge(self.plan.judge)
        if self.plan.identity not in ("", self._judge.identity):
            raise JudgeError(
                f"this worker's judge {self._judge.name!r} is {self._judge.identity}, but the evaluation began with "
                f"{self.plan.identity}: give all workers the same weights"
            )
        self._ears = None if self.plan.ears is None else shared_judge(self.plan.ears)

    def evaluate(self, references: Iterable[Reference]) -> Iterator[Row | Failed | Embeddings]:
        """Give the rows of one clip's dreams.

        Args:
            references: of all records of one clip, in any order, its original among them if the dataset has it.
        """
        ordered = sorted(references, key=lambda each: (not each.original, each.id, each.shard))
        originals = [each for each in ordered if each.original]
        heard: _Heard | None = None
        told = False
        for reference in ordered[len(originals) :]:
            stage = "read"
            try:
                example = read_example(self.plan.dataset, reference)
                provenance = json.loads(example["provenance"])
                stage = "original"
                heard = heard or self._original(originals, provenance["source"])
                stage = "compare"
                row, patches = self._compare(example, reference, provenance, heard)
            except (DatasetError, MissingSourceError) as error:
                yield Failed(reference.id, stage, str(error))
                continue
            if not told and heard.judgement.embeddings is not None:
                told = True
                yield Embeddings(ORIGINALS, heard.judgement.embeddings)
            if patches is not None:
                yield Embeddings((example["transform"], example["recipe"]), patches)
            yield Row(row)

    def _original(self, originals: list[Reference], source: Mapping[str, Any]) -> _Heard:
        """Hear the original as it stands in the dataset, or else its source, stored as the dataset stores."""
        if originals:
            example = read_example(self.plan.dataset, originals[0])
            names = tuple(self.plan.dataset.labels[index] for index in example["labels"])
            sound, rate, reference = example["audio"], int(example["sample_rate"]), originals[0]
        else:
            read, rate = self.read_source(source)
            names, sound, reference = None, AUDIO_ENCODINGS[self.plan.dataset.encoding].kept(read), None
        return _Heard(Original(sound, rate), names, self._hear(sound, rate), reference, recording_of(source))

    def _compare(
        self, example: Mapping[str, Any], reference: Reference, provenance: Mapping[str, Any], heard: _Heard
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        sound, rate, original = example["audio"], int(example["sample_rate"]), heard.original
        if (sound.shape, rate) != (original.sound.shape, original.sample_rate):
            raise DatasetError(
                f"{reference.id} has the shape {sound.shape} at {rate} Hz and its original {original.sound.shape} at "
                f"{original.sample_rate} Hz: they are not of one clip"
            )
        if not np.isfinite(sound).all():
            raise DatasetError(f"{reference.id} holds samples that are not finite")
        after = self._hear(sound, rate)
        labels = self._own_labels(example, provenance) if heard.labels is None else heard.labels
        row = make_row(
            example,
            reference,
            provenance,
            labels,
            heard.judgement,
            after,
            original.measure(sound),
            self.plan.bearings,
            heard.reference,
            heard.recording,
        )
        return row, after.embeddings

    def _own_labels(self, example: Mapping[str, Any], provenance: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the clip's labels as far as a dream's tell them, by the policy that it was labelled by."""
        names = tuple(self.plan.dataset.labels[index] for index in example["labels"])
        kept = {"keep": len(names), "both": 1}.get(provenance.get("label_policy", "keep"), 0)
        return names[:kept]

    def _hear(self, sound: np.ndarray, rate: int) -> Judgement:
        judgement = self._judge.judge(to_model(sound, rate, self._judge.sample_rate))
        if judgement.embeddings is not None or self._ears is None:
            return judgement
        embeddings = self._ears.judge(to_model(sound, rate, self._ears.sample_rate)).embeddings
        return Judgement(judgement.scores, embeddings)
