"""What one worker does: decodes clips, batches them by length, dreams them and encodes the records.

No Beam here: `DreamWorker.add` takes references as they come and gives results as they are there; `DreamWorker.finish`
gives the rest. Clips that are padded to the same length share a batch; memory is bounded by what waits for a batch,
whatever the number of clips. What an earlier run has finished is not made again (`pipelines.worker.resume`).

While a batch is dreamed the next clips are read, and the dreams of the batch before are resampled, measured and
encoded: there is one ascent at a time (`augment.ascent.loop`), and something for the other cores to do beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.recipe import Recipe
from augment.determinism import draws
from augment.models.interface import AudioModel
from augment.sound.encodings import EncodingError, check_encoding
from augment.sound.resampling import to_model
from augment.sound.samples import SAMPLE_RATE
from augment.targets import policies
from augment.targets.classes import ClassLookupError
from augment.targets.policies import Aim, Situation
from augment.targets.target_names import find_classes
from pipelines.clips.clips import Clip, decode
from pipelines.clips.references import ClipRef, Failure, failure
from pipelines.clips.splits import is_dreamed
from pipelines.clips.whole_files import read_sound
from pipelines.config.run_config import ConfigError, RunConfig
from pipelines.dataset.records import Encoder, Labelling, Lost, Record, Vocabulary
from pipelines.dataset.scratch import RecordRef, Scratch
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import source_sha256
from pipelines.progress import Counts
from pipelines.worker.resume import Finished, clip_digest, run_digest
from pipelines.worker.run_model import about, specs_of

MAX_WAITING_BYTES = 256 << 20
"""Decoded clips of odd lengths that wait for company; beyond it the fullest batch goes as it is."""


@dataclass(frozen=True)
class _Waiting:
    clip: Clip
    sound: Sound
    digest: str

    @property
    def size(self) -> int:
        return self.clip.waveform.nbytes + self.sound.heard.nbytes


class DreamWorker:
    """Dreams clips by a run's configuration."""

    def __init__(self, config: RunConfig, vocabulary: Vocabulary, model: AudioModel, scratch: Scratch):
        """Prepare the recipes.

        Args:
            config: of the run.
            vocabulary: of the run's clips.
            model: what is dreamed through.
            scratch: where progress is told, and finished work of an earlier run may be.

        Raises:
            ConfigError: a target class or a target sound is not to be had.
        """
        self._config, self._model, self._counts = config, model, Counts(scratch.progress)
        self._recipes = config.named_recipes()
        sounds = {
            name: load_sound(recipe.sound, model.sample_rate) for name, recipe in self._recipes.items() if recipe.sound
        }
        self._dreamers = {
            name: shared_dreamer(model, recipe, sounds.get(name)) for name, recipe in self._recipes.items()
        }
        self._sound_hashes = {name: sound.sha256 for name, sound in sounds.items()}
        self._targets = config.targets()
        self._sound_classes = {
            name: int(np.argmax(model.clip_scores(sound.heard)))
            for name, sound in sounds.items()
            if self._targets[name].policy == "sound"
        }
        self._classes = target_classes(config, model)
        self._label_classes = label_classes(config, vocabulary.labels, model)
        own: dict[str, str] = {}
        for label, index in self._label_classes.items():  # those that are mapped first, then the clips' own, in order
            if label in vocabulary.labels:
                own.setdefault(model.classes[index].name, label)
        labelling = Labelling(config.target.label_policy, own)
        told = about(model, specs_of(config.model))
        self._encoder = Encoder(vocabulary, model, config.seed, labelling, config.audio_encoding, told)
        self.run = run_digest(config, vocabulary, model.identity, self._sound_hashes)
        self._finished = Finished(scratch, self.run)
        self._waiting: dict[int, list[_Waiting]] = defaultdict(list)
        self._pool = ThreadPoolExecutor(2, "dream")
        self._dreaming: deque[Future[list[Record | Lost]]] = deque()
        self._stopped = threading.Event()

    @property
    def counts(self) -> Mapping[str, float]:
        """What was done so far (`pipelines.progress`)."""
        return self._counts.so_far

    def add(self, ref: ClipRef) -> Iterator[Record | RecordRef | Lost]:
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
            yield Lost(failure(ref, error), self._config.records_of(ref.split))
            return
        length = self._model.padded_length(len(sound.heard))
        queue = self._waiting[length]
        queue.append(_Waiting(clip, sound, clip_digest(ref, clip.sha256)))
        if len(queue) >= self._batch_size(length):
            yield from self._dream(length)
        elif self._waiting_bytes() > MAX_WAITING_BYTES:
            yield from self._dream(max(self._waiting, key=lambda key: sum(w.size for w in self._waiting[key])))
        yield from self._ended(1)

    def finish(self) -> Iterator[Record | Lost]:
        """Give what still waits for a batch, or is being dreamed."""
        for length in sorted(self._waiting):
            yield from self._dream(length)
            yield from self._ended(1)
        yield from self._ended(0)
        self._counts.write()

    def _ended(self, most: int) -> Iterator[Record | Lost]:
        """Give what has been dreamed, in order, until so many tasks at most are still on their way."""
        try:
            while self._dreaming and (len(self._dreaming) > most or self._dreaming[0].done()):
                yield from self._dreaming.popleft().result()
        except BaseException:  # of a dream, or Ctrl-C: what is under way ends with its next step
            self._stopped.set()
            raise

    def _reuse(self, ref: ClipRef) -> list[RecordRef]:
        """Return the clip's records if an earlier run has made them all from the same bytes."""
        digest = clip_digest(ref, source_sha256(ref.uri, ref.record_offset))
        records = self._finished.records(digest, self._config.records_of(ref.split))
        if records:
            seconds = (ref.stop - ref.start) / ref.sample_rate
            dreamed = is_dreamed(ref.split, augment_test=self._config.augment_test)
            steps = dreamed * sum(recipe.steps for recipe in self._recipes.values()) * self._config.variants
            self._counts.add(clips=1, reused=1, records=len(records), step_seconds=seconds * steps)
        return records

    def _batch_size(self, length: int) -> int:
        return min(self._config.batch_size, self._model.batch_limit(length))

    def _waiting_bytes(self) -> int:
        return sum(waiting.size for queue in self._waiting.values() for waiting in queue)

    def _dream(self, length: int) -> Iterator[Record | Lost]:
        batch = self._waiting.pop(length)
        scores = self._model.scores(*pad_batch([waiting.sound.heard for waiting in batch], self._model))
        seconds = [len(waiting.sound.heard) / self._model.sample_rate for waiting in batch]
        self._counts.add(clips=len(batch), audio_seconds=sum(seconds))
        self._counts.add(batch_clips=len(batch), batch_room=self._batch_size(length))
        dreamed = [is_dreamed(each.clip.ref.split, augment_test=self._config.augment_test) for each in batch]
        for waiting, row, also_dreamed in zip(batch, scores, dreamed, strict=True):
            if self._config.include_original or not also_dreamed:
                self._counts.add(records=1)
                yield dataclasses.replace(self._encoder.original(waiting.clip, row), clip=waiting.digest)
        if not any(dreamed):
            return
        batch, scores = list(itertools.compress(batch, dreamed)), scores[np.array(dreamed)]
        seconds = list(itertools.compress(seconds, dreamed))
        for name, recipe in self._recipes.items():
            for variant in range(self._config.variants):
                dreams = self._dream_variant(batch, scores, seconds, name, recipe, variant)
                self._dreaming.append(self._pool.submit(list, dreams))
                yield from self._ended(2)

    def _dream_variant(
        self,
        batch: list[_Waiting],
        scores: np.ndarray,
        seconds: list[float],
        name: str,
        recipe: Recipe,
        variant: int,
    ) -> Iterator[Record | Lost]:
        chosen: list[tuple[_Waiting, np.ndarray, Aim]] = []
        for waiting, row in zip(batch, scores, strict=True):
            ref = waiting.clip.ref
            known = Situation(
                row,
                self._classes[name],
                draws.draw(self._config.seed, ref.id, variant, "target"),
                next((self._label_classes[each] for each in ref.labels if each in self._label_classes), None),
                self._sound_classes.get(name),
            )
            try:
                aim = policies.POLICIES[self._targets[name].policy](known)
            except ValueError as error:
                yield self._failure(waiting, name, variant, "target", str(error))
                continue
            chosen.append((waiting, row, aim))
        if not chosen:
            return
        step_seconds = sum(seconds) / len(batch)

        def on_step(clips: int) -> None:
            if self._stopped.is_set():
                raise _StoppedError
            self._counts.add(step_seconds=step_seconds * clips, clip_steps=clips)

        dreams = dream_batch(
            self._dreamers[name],
            [waiting.sound for waiting, _, _ in chosen],
            np.stack([row for _, row, _ in chosen]),
            [aim for _, _, aim in chosen],
            on_step=on_step,
            numbers=[draws.draw(self._config.seed, each.clip.ref.id, variant, "start") for each, _, _ in chosen],
        )
        resolved = {
            "target_policy": self._targets[name].policy,
            "target_classes": self._classes[name],
            "label_policy": self._targets[name].label_policy,
            "sound_sha256": self._sound_hashes.get(name),
        }
        for (waiting, _, _), dream in zip(chosen, dreams, strict=True):
            if not (np.isfinite(dream.waveform).all() and np.isfinite(dream.objectives).all()):
                error = "the dream is not finite: lower recipe.step_size, or look at the sound's level"
                yield self._failure(waiting, name, variant, "dream", error)
                continue
            self._counts.add(records=1, dreams=1, reached=int(dream.reached))
            record = self._encoder.dreamed(waiting.clip, dream, name, recipe, variant, resolved)
            yield dataclasses.replace(record, clip=waiting.digest)

    def _failure(self, waiting: _Waiting, name: str, variant: int, stage: str, error: str) -> Lost:
        self._counts.add(failed=1)
        ref = waiting.clip.ref
        return Lost(Failure(ref.uri, f"{ref.id}:{name}:{variant}", stage, error), 1)


class _StoppedError(Exception):
    """The run is over before the dream is."""


def check_clip(audio_encoding: str, ref: ClipRef) -> None:
    """Refuse a clip that the run's encoding cannot hold.

    Raises:
        ClipError: of stage "encode".
    """
    try:
        check_encoding(audio_encoding, ref.sample_rate, ref.channels)
    except EncodingError as error:
        raise ClipError(str(error), "encode") from error


@dataclass(frozen=True)
class TargetSound:
    """A recipe's target sound: float32 [samples] at the model's rate, and the sha256 of its file."""

    heard: np.ndarray
    sha256: str


_making = threading.Lock()
_made: dict[tuple[str, str, str | None], Dreamer] = {}
_MOST_MADE = 64


def shared_dreamer(model: AudioModel, recipe: Recipe, sound: TargetSound | None) -> Dreamer:
    """Return what dreams by a recipe, made and compiled once for the whole process, however many threads ask.

    Raises:
        RecipeError: the recipe cannot be dreamed through the model.
    """
    key = (model.identity, recipe.digest(), sound and sound.sha256)
    with _making:
        if key not in _made:
            if len(_made) >= _MOST_MADE:
                _made.clear()
            _made[key] = Dreamer(model, recipe, sound and sound.heard)
        return _made[key]


def load_sound(path: str, model_rate: int = SAMPLE_RATE) -> TargetSound:
    """Read a target sound, whole.

    Args:
        path: of the file.
        model_rate: Hz of what the model hears.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        clip = read_sound(path)
    except ClipError as error:
        raise ConfigError(f"recipe.sound: {error}") from error
    return TargetSound(to_model(clip.waveform, clip.ref.sample_rate, model_rate), clip.sha256)


def target_classes(config: RunConfig, model: AudioModel) -> dict[str, list[int]]:
    """Return the indices of the classes that each recipe's target names, by the recipe's name.

    Raises:
        ConfigError: a name means no class, or several; the message gives the nearest. Or a branch is named, and the
            ontology is not to be had.
    """
    found = {}
    for name, target in config.targets().items():
        where = f"recipes.{name}.target" if "target" in config.recipes.get(name, {}) else "target"
        try:
            found[name] = find_classes(target.classes, model.classes)
        except ValueError as error:
            near = difflib.get_close_matches(str(target.classes[0]), policies.POLICIES, n=1, cutoff=0.75)
            policy = f"; or did you mean the policy {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}: {error}{policy}") from error
    return found


def label_classes(config: RunConfig, labels: Iterable[str], model: AudioModel) -> dict[str, int]:
    """Return the class that each label means: as `target.labels` says, or by its name; a label may mean none.

    Raises:
        ConfigError: target.labels names no class, or several.
    """
    try:
        found = {label: model.classes.find(name).index for label, name in config.target.labels.items()}
    except ValueError as error:
        raise ConfigError(f"target.labels: {error}") from error
    for label in labels:
        if label not in found:
            with contextlib.suppress(ClassLookupError):
                found[label] = model.classes.find(label.replace("_", " ")).index
    return found
