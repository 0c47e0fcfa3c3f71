"""Checks of one record that need its provenance, which is complete (`pipelines.dataset.provenance`).

As in `pipelines.verify.record_checks`: to add a check, write the function and list it in `PROVENANCE_CHECKS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydantic import ValidationError

from augment.recipes.recipe import Recipe, canonical_json
from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.config.run_config import describe
from pipelines.dataset.record_reader import stored_bytes
from pipelines.dataset.schema import ORIGINAL
from pipelines.verify.record_checks import Check, Entry


def check_audio(entry: Entry) -> Iterator[str]:
    """The samples are unchanged: those that were dreamed, or, in a lossy encoding, those that were stored."""
    lossy = AUDIO_ENCODINGS[entry.dataset.audio_encoding].lossy
    expected = entry.provenance.get("stored_sha256") if lossy else entry.provenance["output_sha256"]
    if hashlib.sha256(stored_bytes(entry.example)).hexdigest() != expected:
        yield "its samples are not those that were written (their sha256 is another)"


def check_identity(entry: Entry) -> Iterator[str]:
    """The id is the clip's, the recipe's name and the variant."""
    example, provenance = entry.example, entry.provenance
    clip = provenance["source"]["id"]
    end = ORIGINAL if example["recipe"] == ORIGINAL else f"{example['recipe']}:{provenance['variant']}"
    if example["id"] != f"{clip}:{end}":
        yield f"by its provenance its id is {f'{clip}:{end}'!r}"
    for name, value in (("source_id", clip), ("variant", provenance["variant"])):
        if example[name] != value:
            yield f"its {name} is {example[name]!r}, its provenance says {value!r}"


def check_piece(entry: Entry) -> Iterator[str]:
    """The audio is as long as the piece of the source, at its sample rate, with its channels."""
    source, samples = entry.provenance["source"], entry.samples
    found = (len(samples), samples.shape[1], int(entry.example["sample_rate"]))
    wanted = (source["stop"] - source["start"], source["channels"], source["sample_rate"])
    if found != wanted:
        yield "it has {} samples of {} channels at {} Hz".format(*found) + ", its source {} of {} at {}".format(*wanted)


def check_recipe(entry: Entry) -> Iterator[str]:
    """The recipe is the one of the digest and of run.json, and still valid, every field as it is written."""
    provenance, name = entry.provenance, entry.example["recipe"]
    if provenance["recipe"] is None:
        if entry.example["transform"] != ORIGINAL:
            yield f"it is an original, and its transform is {entry.example['transform']!r}"
        return
    try:
        recipe = Recipe.model_validate(provenance["recipe"])
    except ValidationError as error:
        yield describe(error, where="its recipe", root=Recipe)
        return
    now = recipe.model_dump(mode="json")
    for key, value in provenance["recipe"].items():
        if now[key] != value:
            yield f"its recipe says {key} {value!r}, which is read as {now[key]!r}"
            break
    digest = hashlib.sha256(canonical_json(provenance["recipe"]).encode()).hexdigest()
    if provenance["recipe_digest"] != digest:
        yield "its recipe_digest is not that of its recipe"
    of_run = entry.dataset.run["recipes"].get(name)
    if not isinstance(of_run, dict) or of_run.get("digest") != provenance["recipe_digest"]:
        yield f"its recipe {name!r} is not the one of run.json"
    if entry.example["transform"] != recipe.transform:
        yield f"its transform is {entry.example['transform']!r}, its recipe says {recipe.transform!r}"


def check_target(entry: Entry) -> Iterator[str]:
    """The target is that of the provenance."""
    target = entry.provenance["target"]
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
    objectives, taken = entry.provenance["objectives"], int(entry.example["steps_taken"])
    if not all(isinstance(each, (int, float)) for each in objectives):
        yield "its objectives are not all numbers"
    most = (entry.provenance["recipe"] or {}).get("steps", 0)
    if not isinstance(most, int):  # `check_recipe` reports it
        return
    if len(objectives) != taken or taken > most:
        yield f"it took {taken} steps of {most}, and has {len(objectives)} objectives"


def check_model(entry: Entry) -> Iterator[str]:
    """The weights are those of run.json."""
    of_run = entry.dataset.run.get("model")
    if entry.provenance["model"] != of_run:
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
