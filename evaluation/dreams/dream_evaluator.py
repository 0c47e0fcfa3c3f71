"""What one worker does: reads a clip and its dreams, classifies them with the judge, and gives their rows.

No Beam here: `EvaluationWorker.run` takes the references of one clip's records. It holds one original and one
dream at a time, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augment.sound.encodings import AUDIO_ENCODINGS
from augment.sound.resampling import to_model
from evaluation.dreams.dream_rows import RowContext, ScoredOriginal, make_row
from evaluation.dreams.lineage import recording_of
from evaluation.dreams.originals import MissingSourceError, ReadSource
from evaluation.judges.judge import Judge, JudgeError, Judgement, JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from evaluation.metrics.distortion import Original
from pipelines.dataset.reader import Dataset, DatasetError
from pipelines.dataset.record_reader import Reference, read_reference

ORIGINALS = "originals"
"""Key of the embeddings of originals; those of dreams have transform and recipe."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What a worker needs to know; it crosses to other processes.

    Attributes:
        dataset: what is evaluated.
        judge: the classifier.
        embedder: YAMNet, for the embeddings beside another judge; None for no embeddings.
        context: for the rows.
        identity: of the judge that the evaluation began with; "" accepts any.
    """

    dataset: Dataset
    judge: JudgeSpec
    embedder: JudgeSpec | None
    context: RowContext
    identity: str = ""


@dataclass(frozen=True)
class Failed:
    """A record or clip that could not be used: id, stage (original, read or compare), and the error in one line."""

    id: str
    stage: str
    error: str


@dataclass(frozen=True, eq=False)
class Embeddings:
    """YAMNet's embeddings of one sound, float32 [patches, 1024]; the key is `ORIGINALS`, or transform and recipe."""

    key: str | tuple[str, str]
    patches: np.ndarray


@dataclass
class EvaluationWorker:
    """Evaluates clips by a plan; `read_source` reads originals that the dataset does not hold."""

    plan: EvaluationPlan
    read_source: ReadSource
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = shared_judge(self.plan.judge)
        if self.plan.identity not in ("", self._judge.identity):
            raise JudgeError(
                f"this worker's judge {self._judge.name!r} is {self._judge.identity}, but the evaluation began with "
                f"{self.plan.identity}: give all workers the same weights"
            )
        self._embedder = None if self.plan.embedder is None else shared_judge(self.plan.embedder)

    def size(self, element: tuple[str, Sequence[Reference]]) -> int:
        """Return the number of records."""
        return len(element[1])

    def run(self, element: tuple[str, Sequence[Reference]]) -> Iterator[dict[str, Any] | Failed | Embeddings]:
        """Give the rows of one clip's dreams.

        Args:
            element: id of the clip, and all its references in any order, with its original if the dataset has it.
        """
        ordered = sorted(element[1], key=lambda each: (not each.original, each.id, each.shard))
        originals = [each for each in ordered if each.original]
        original: ScoredOriginal | None = None
        embeddings_given = False
        for reference in ordered[len(originals) :]:
            stage = "read"
            try:
                example = read_reference(self.plan.dataset, reference)
                provenance = json.loads(example["provenance"])
                stage = "original"
                original = original or self._original(originals, provenance["source"])
                stage = "compare"
                row, patches = self._compare(example, reference, provenance, original)
            except (DatasetError, MissingSourceError) as error:
                yield Failed(reference.id, stage, str(error))
                continue
            if not embeddings_given and original.judgement.embeddings is not None:
                embeddings_given = True
                yield Embeddings(ORIGINALS, original.judgement.embeddings)
            if patches is not None:
                yield Embeddings((example["transform"], example["recipe"]), patches)
            yield row

    def _original(self, originals: list[Reference], source: Mapping[str, Any]) -> ScoredOriginal:
        """Classify the original in the dataset, or else its source, quantised as the dataset stores audio."""
        if originals:
            example = read_reference(self.plan.dataset, originals[0])
            names = tuple(self.plan.dataset.labels[index] for index in example["labels"])
            sound, rate, reference = example["audio"], int(example["sample_rate"]), originals[0]
        else:
            read, rate = self.read_source(source)
            names, sound, reference = None, AUDIO_ENCODINGS[self.plan.dataset.audio_encoding].kept(read), None
        judgement = self._classify(sound, rate)
        return ScoredOriginal(Original(sound, rate), names, judgement, reference, recording_of(source))

    def _compare(
        self, example: Mapping[str, Any], reference: Reference, provenance: Mapping[str, Any], original: ScoredOriginal
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        sound, rate, before = example["audio"], int(example["sample_rate"]), original.sound
        if (sound.shape, rate) != (before.sound.shape, before.sample_rate):
            raise DatasetError(
                f"{reference.id} has the shape {sound.shape} at {rate} Hz and its original {before.sound.shape} at "
                f"{before.sample_rate} Hz: they are not of one clip"
            )
        if not np.isfinite(sound).all():
            raise DatasetError(f"{reference.id} holds samples that are not finite")
        after = self._classify(sound, rate)
        labels = self._own_labels(example, provenance) if original.labels is None else original.labels
        return make_row(example, reference, provenance, labels, original, after, self.plan.context), after.embeddings

    def _own_labels(self, example: Mapping[str, Any], provenance: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the clip's labels as far as its dream's labels contain them, by the label policy."""
        names = tuple(self.plan.dataset.labels[index] for index in example["labels"])
        kept = {"keep": len(names), "both": 1}.get(provenance.get("label_policy", "keep"), 0)
        return names[:kept]

    def _classify(self, sound: np.ndarray, rate: int) -> Judgement:
        judgement = self._judge.judge(to_model(sound, rate, self._judge.sample_rate))
        if judgement.embeddings is not None or self._embedder is None:
            return judgement
        embeddings = self._embedder.judge(to_model(sound, rate, self._embedder.sample_rate)).embeddings
        return Judgement(judgement.scores, embeddings)
