"""From a finished pipeline's manifest to a dataset: metadata, tables, and one rename that makes it visible.

The output is what `tfds.builder_from_directory` loads, with provenance.parquet, failures.jsonl, run.json, load.py
(which shows how to read it) and croissant.json beside the shards. All is put together in the scratch folder, so that
the output is either whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from augment.models.interface import AudioModel
from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.clips.listing import MOST
from pipelines.clips.splits import is_dreamed, warnings
from pipelines.config.run_config import RunConfig
from pipelines.dataset import shards
from pipelines.dataset.croissant import Described, write_croissant
from pipelines.dataset.loader_code import loader
from pipelines.dataset.naming import shard_name
from pipelines.dataset.output import replace_output
from pipelines.dataset.schema import ORIGINAL, Vocabulary, features
from pipelines.dataset.scratch import Scratch
from pipelines.dataset.versions import versions
from pipelines.worker.run_model import describe_model, described_classes, specs_of

DESCRIPTION = "Audio clips dreamed toward {} classes by dreambeam; provenance.parquet says how each was made."
VERSION = "1.0.0"
CITATION = "Cámara Halac, F. and Delgadino, M. DreamSound: Deep Activation Layer Sonification. ICAD 2021."

MAX_FOLDERS = 10_000
"""Folders of failures that are searched for clips, at most."""

_KINDS = ("dreams", "reached", "reused", "reused_reached")
"""Of dreams that are counted by recipe; reused are those that a run which was stopped had finished."""


def publish(
    scratch: Scratch, output: Path, config: RunConfig, model: AudioModel, run: Mapping[str, Any]
) -> dict[str, Any]:
    """Put the dataset together and give it its name; return run.json's content.

    Args:
        scratch: of a finished pipeline.
        output: folder of the dataset.
        config: of the run.
        model: that the clips were dreamed with.
        run: further content of run.json, such as times and the command.

    Raises:
        RuntimeError: the records and failures do not add up to the clips, or there is no record to replace a dataset.
    """
    manifest = json.loads(Path(scratch.manifest).read_text())
    if not manifest["shards"] and (output / "run.json").exists():
        raise RuntimeError(f"no clip could be used, so {output} was left as it was; {_first_failure(manifest)}")
    dataset = Path(scratch.dataset)
    tally: Counter[str] = Counter()
    for shard in manifest["shards"]:
        os.replace(shard["path"], dataset / shard_name(config.name, shard["split"], shard["index"], shard["count"]))
        tally.update(shard["tally"])
    for split, count in manifest["splits"].items():
        for index in range(count):  # a shard that no record fell into is an empty file
            (dataset / shard_name(config.name, split, index, count)).touch()
    tables = (shard["table"] for shard in manifest["shards"])
    shards.merge_tables(tables, str(dataset / "provenance.parquet"), _vocabulary(manifest).group_features)
    failures = manifest["failures"] or {"path": None, "stages": {}, "records_lost": 0}
    if failures["path"]:
        os.replace(failures["path"], dataset / "failures.jsonl")
    else:
        (dataset / "failures.jsonl").touch()
    content = {
        **run,
        "config": config.model_dump(mode="json"),
        "model": describe_model(model, specs_of(config.model)),
        **described_classes(model, specs_of(config.model)),
        "counts": _counts(manifest, tally, failures, config),
        "splits": list(manifest["splits"]),
        "not_dreamed": {
            split: clips
            for split, clips in manifest["clips_by_split"].items()
            if not is_dreamed(split, augment_test=config.augment_test)
        },
        "warnings": warnings(manifest["clips_by_split"], augment_test=config.augment_test),
        "labels": len(manifest["labels"]),
        "failures_by_stage": failures["stages"],
        "folders_without_clips": _folders_without_clips(dataset),
        "recipes": {
            name: {**{kind: tally[f"{name}/{kind}"] for kind in _KINDS}, "digest": recipe.digest()}
            for name, recipe in config.named_recipes().items()
        },
    }
    if manifest["shards"]:
        _write_tfds_metadata(dataset, manifest, config, len(model.classes))
        _write_loader(dataset, manifest, config)
        write_croissant(dataset, _described(manifest, config, model))
    (dataset / "run.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    replace_output(dataset, output)
    return content


def _first_failure(manifest: Mapping[str, Any]) -> str:
    if not manifest["failures"]:
        return "there was none"
    with open(manifest["failures"]["path"], encoding="utf-8") as lines:
        return f"the first failed at {(first := json.loads(next(lines)))['stage']}: {first['error']}"


def _folders_without_clips(dataset: Path) -> list[str]:
    """Name folders all of whose sounds are failures, the first of them by name: a class may be missing with them."""
    failed = set()
    with (dataset / "failures.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            folder = json.loads(line)["id"].partition("#t=")[0].rpartition("/")[0]
            if folder and len(failed) < MAX_FOLDERS:
                failed.add(folder)
    if failed and (dataset / "provenance.parquet").exists():
        for batch in pq.ParquetFile(dataset / "provenance.parquet").iter_batches(columns=["source_id"]):
            failed -= {each.rpartition("/")[0] for each in batch.column(0).to_pylist()}
    return sorted(failed)[:MOST]


def _counts(
    manifest: Mapping[str, Any], tally: Mapping[str, int], failures: Mapping[str, Any], config: RunConfig
) -> dict[str, Any]:
    """Count, and compare the sum with the number of records that the configuration asks for."""
    recipes = config.named_recipes()
    expected = sum(clips * config.records_of(split) for split, clips in manifest["clips_by_split"].items())
    records = sum(shard["examples"] for shard in manifest["shards"])
    lost = failures["records_lost"]
    if records + lost != expected:
        raise RuntimeError(f"{expected} records were asked for, but {records} were written and {lost} failed")
    return {
        "clips": manifest["clips"],
        "audio_seconds": manifest["seconds"],
        "records": records,
        "originals": tally.get(f"{ORIGINAL}/dreams", 0),
        "dreams": sum(tally.get(f"{name}/dreams", 0) for name in recipes),
        "reached": sum(tally.get(f"{name}/reached", 0) for name in recipes),
        "reused": sum(shard["reused"] for shard in manifest["shards"]),
        "failures": sum(failures["stages"].values()),
        "records_lost": lost,
    }


def _vocabulary(manifest: Mapping[str, Any]) -> Vocabulary:
    return Vocabulary(tuple(manifest["labels"]), tuple(manifest["channels"]), tuple(manifest["groups"]))


def _write_loader(dataset: Path, manifest: Mapping[str, Any], config: RunConfig) -> None:
    import tensorflow_datasets as tfds

    written: Any = tfds.builder_from_directory(dataset).info.features  # as users will see them
    text = loader(
        written,
        config.name,
        manifest["splits"],
        audio_encoding=config.audio_encoding,
        channels=tuple(manifest["channels"]),
        says=AUDIO_ENCODINGS[config.audio_encoding].says,
    )
    (dataset / "load.py").write_text(text, encoding="utf-8")


def _described(manifest: Mapping[str, Any], config: RunConfig, model: AudioModel) -> Described:
    hashes = {
        shard_name(config.name, split, index, count): hashlib.sha256(b"").hexdigest()
        for split, count in manifest["splits"].items()
        for index in range(count)
    }
    for shard in manifest["shards"]:
        hashes[shard_name(config.name, shard["split"], shard["index"], shard["count"])] = shard["sha256"]
    return Described(
        name=config.name,
        version=VERSION,
        description=_description(config),
        citation=CITATION,
        recipes=config.named_recipes(),
        seed=config.seed,
        model={"name": model.name, "identity": model.identity},
        versions=versions(),
        shard_hashes=hashes,
        licence=config.licence,
    )


def _description(config: RunConfig) -> str:
    specs = specs_of(config.model)
    whose = " and ".join(Path(spec.path).name for spec in specs) if specs else "YAMNet"
    return f"{DESCRIPTION.format(whose)} {AUDIO_ENCODINGS[config.audio_encoding].says}"


def _write_tfds_metadata(dataset: Path, manifest: Mapping[str, Any], config: RunConfig, class_count: int) -> None:
    import tensorflow_datasets as tfds

    vocabulary = _vocabulary(manifest)
    template = tfds.core.ShardedFileTemplate(
        data_dir=tfds.core.as_path(dataset),
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        dataset_name=config.name,
        filetype_suffix="tfrecord",
    )
    splits = []
    for split, count in manifest["splits"].items():
        own = {shard["index"]: shard for shard in manifest["shards"] if shard["split"] == split}
        lengths = [own[index]["examples"] if index in own else 0 for index in range(count)]
        size = sum(shard["bytes"] for shard in own.values())
        splits.append(
            tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=size, filename_template=template)
        )
    tfds.folder_dataset.write_metadata(
        data_dir=dataset,
        features=features(vocabulary, class_count, config.audio_encoding),
        split_infos=splits,
        version=VERSION,
        filename_template=template,
        check_data=False,
        description=_description(config),
        citation=CITATION,
    )
