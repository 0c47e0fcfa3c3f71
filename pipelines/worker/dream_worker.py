"""What one worker does: decodes clips, batches them by length, dreams them and encodes the records.

No Beam here: `DreamWorker.add` takes references as they come and gives results as soon as they are ready;
`DreamWorker.finish` gives the rest. Memory is bounded by what waits for a batch (`pipelines.worker.batches`), whatever
the number of clips. Records that an earlier run has finished are reused (`pipelines.worker.resume`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.loop import pad_batch
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.sound.encodings import EncodingError, check_encoding
from augment.targets.policies import Aim
from pipelines.clips.clips import decode
from pipelines.clips.references import ClipRef, Failure, failure
from pipelines.clips.splits import is_dreamed
from pipelines.config.run_config import RunConfig
from pipelines.dataset.records import Encoder, Labelling, Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import RecordRef, Scratch
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import source_sha256
from pipelines.progress import Counts
from pipelines.worker.background import Background
from pipelines.worker.batches import Batches, DecodedClip
from pipelines.worker.dreamers import load_sound, shared_dreamer
from pipelines.worker.resume import Finished, clip_digest, run_digest
from pipelines.worker.run_model import describe_model, specs_of
from pipelines.worker.target_choice import TargetChooser


class DreamWorker:
    """Dreams clips by a run's configuration.

    Attributes:
        run: `run_digest` of the run.
    """

    def __init__(self, config: RunConfig, vocabulary: Vocabulary, model: AudioModel, scratch: Scratch):
        """Prepare the recipes.

        `scratch` gets the counts, and may hold finished work of an earlier run. Raises `ConfigError` if a target class
        is unknown, or a target sound cannot be read.
        """
        self._config, self._model, self._counts = config, model, Counts(scratch.progress)
        self._recipes = config.named_recipes()
        sounds = {
            name: load_sound(recipe.sound, model.sample_rate) for name, recipe in self._recipes.items() if recipe.sound
        }
        self._dreamers = {
            name: shared_dreamer(model, recipe, sounds.get(name)) for name, recipe in self._recipes.items()
        }
        self._targets = TargetChooser(config, vocabulary.labels, model, sounds)
        self._encoder = Encoder(
            vocabulary,
            model,
            config.seed,
            Labelling(config.target.label_policy, self._targets.own_labels),
            config.audio_encoding,
            describe_model(model, specs_of(config.model)),
        )
        hashes = {name: sound.sha256 for name, sound in sounds.items()}
        self.run = run_digest(config, vocabulary, model.identity, hashes)
        self._finished = Finished(scratch, self.run)
        self._batches = Batches(model, config.batch_size)
        self._background: Background[Record | Failure] = Background()

    @property
    def counts(self) -> Mapping[str, float]:
        """The counts so far (`pipelines.progress`)."""
        return self._counts.so_far

    def add(self, ref: ClipRef) -> Iterator[Record | RecordRef | Failure]:
        """Take a clip; give its records if they are finished already, or those of the batch that it fills."""
        try:
            if self._finished and (records := self._reuse(ref)):
                yield from records
                return
            check_clip(self._config.audio_encoding, ref)
            clip = decode(ref)
            sound = Sound(clip.waveform, ref.sample_rate, self._model.sample_rate)
        except ClipError as error:
            self._counts.add(failed=1)
            yield failure(ref, error, self._config.records_of(ref.split))
            return
        yield from self._dream(self._batches.add(DecodedClip(clip, sound, clip_digest(ref, clip.sha256))))
        yield from self._background.results(1)

    def finish(self) -> Iterator[Record | Failure]:
        """Give what still waits for a batch, or is being dreamed."""
        for batch in self._batches.rest():
            yield from self._dream(batch)
            yield from self._background.results(1)
        yield from self._background.results(0)
        self._counts.write()

    def _reuse(self, ref: ClipRef) -> list[RecordRef]:
        """Return the clip's records if an earlier run has made them all from the same bytes."""
        digest = clip_digest(ref, source_sha256(ref.uri, ref.record_offset))
        records = self._finished.records(digest, self._config.records_of(ref.split))
        if records:
            steps = sum(recipe.steps for recipe in self._recipes.values()) * self._config.variants
            step_seconds = ref.seconds * steps * self._is_dreamed(ref)
            self._counts.add(clips=1, reused=1, records=len(records), step_seconds=step_seconds)
        return records

    def _is_dreamed(self, ref: ClipRef) -> bool:
        return is_dreamed(ref.split, augment_test=self._config.augment_test)

    def _dream(self, batch: Sequence[DecodedClip]) -> Iterator[Record | Failure]:
        """Give the originals of a batch, and dream it in the background by each recipe and variant."""
        if not batch:
            return
        scores = self._model.scores(*pad_batch([each.sound.model_input for each in batch], self._model))
        self._counts.add(clips=len(batch), audio_seconds=sum(each.seconds for each in batch))
        self._counts.add(batch_clips=len(batch), batch_room=self._batches.size_limit(batch[0]))
        dreamed = np.array([self._is_dreamed(each.clip.ref) for each in batch])
        for each, row, also_dreamed in zip(batch, scores, dreamed, strict=True):
            if self._config.include_original or not also_dreamed:
                self._counts.add(records=1)
                yield dataclasses.replace(self._encoder.original(each.clip, row), clip=each.digest)
        batch, scores = [each for each, chosen in zip(batch, dreamed, strict=True) if chosen], scores[dreamed]
        if not batch:
            return
        for name in self._recipes:
            for variant in range(self._config.variants):
                self._background.start(self._dream_variant(batch, scores, name, variant))
                yield from self._background.results(2)

    def _dream_variant(
        self, batch: Sequence[DecodedClip], scores: np.ndarray, name: str, variant: int
    ) -> Iterator[Record | Failure]:
        """Dream a batch by one recipe, one variant of each clip."""
        chosen: list[tuple[DecodedClip, np.ndarray, Aim]] = []
        for each, row in zip(batch, scores, strict=True):
            try:
                aim = self._targets.choose(name, each.clip.ref, variant, row)
            except ValueError as error:
                yield self._failure(each, name, variant, "target", str(error))
                continue
            chosen.append((each, row, aim))
        if not chosen:
            return
        clip_seconds = sum(each.seconds for each in batch) / len(batch)

        def on_step(clips: int) -> None:
            self._background.check()
            self._counts.add(step_seconds=clip_seconds * clips, clip_steps=clips)

        dreams = dream_batch(
            self._dreamers[name],
            [each.sound for each, _, _ in chosen],
            np.stack([row for _, row, _ in chosen]),
            [aim for _, _, aim in chosen],
            on_step=on_step,
            numbers=[draws.draw(self._config.seed, each.clip.ref.id, variant, "start") for each, _, _ in chosen],
        )
        resolved, recipe = self._targets.provenance(name), self._recipes[name]
        for (each, _, _), dream in zip(chosen, dreams, strict=True):
            if not (np.isfinite(dream.waveform).all() and np.isfinite(dream.objectives).all()):
                error = "the dream is not finite: lower recipe.step_size, or look at the sound's level"
                yield self._failure(each, name, variant, "dream", error)
                continue
            self._counts.add(records=1, dreams=1, reached=int(dream.reached))
            record = self._encoder.dreamed(each.clip, dream, name, recipe, variant, resolved)
            yield dataclasses.replace(record, clip=each.digest)

    def _failure(self, decoded: DecodedClip, name: str, variant: int, stage: str, error: str) -> Failure:
        self._counts.add(failed=1)
        ref = decoded.clip.ref
        return Failure(ref.uri, f"{ref.id}:{name}:{variant}", stage, error, records_lost=1)


def check_clip(audio_encoding: str, ref: ClipRef) -> None:
    """Refuse a clip that the run's encoding cannot hold with a `ClipError` of stage "encode"."""
    try:
        check_encoding(audio_encoding, ref.sample_rate, ref.channels)
    except EncodingError as error:
        raise ClipError(str(error), "encode") from error
