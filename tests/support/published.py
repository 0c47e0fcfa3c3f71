"""A small published dataset with a bit of everything, and ways to damage copies of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from recordings import augment, record

from pipelines.files.tfrecord import frame, read_frame

CLIPS = ("cat/long.ogg#t=0,1.25", "cat/long.ogg#t=1.25,2.6", "dog/a.wav", "dog/stereo.flac")
RECIPES = ("cut", "deep_dream", "like", "noise")
CHANGES = (
    *("recipe.steps=2", "shards=2", "seed=7", "source.segment_seconds=1.25", "batch_size=3"),
    *("recipes.deep_dream={hold: null}", "recipes.cut={transform: hard_cut}"),
    "recipes.noise={start: noise, time_jitter: 0.05, gain_jitter: 6, octaves: 2, smoothing: 3, change_lu: -10}",
)


def publish(root: Path) -> Path:
    """Make sound files in root/in and root/sound.wav, and the dataset root/out of them."""
    record(root / "in/dog/a.wav", subtype="PCM_16")
    record(root / "in/dog/stereo.flac", 1.1, rate=44_100, channels=2)
    record(root / "in/cat/long.ogg", 2.6, rate=22_050, subtype="VORBIS")
    (root / "in/cat/broken.wav").write_bytes(b"RIFF")
    sound = record(root / "sound.wav", 0.7, rate=8_000)
    augment(root / "in", root / "out", *CHANGES, f"recipes.like={{transform: target_filter, sound: {sound}}}")
    return root / "out"


def copy(dataset: Path, target: Path) -> Path:
    """Copy a dataset to be damaged."""
    shutil.copytree(dataset, target)
    return target


def shard(dataset: Path, number: int = 0) -> Path:
    """Return the file of a shard."""
    return sorted(dataset.glob("*.tfrecord-*"))[number]


def frames(path: Path) -> list[bytes]:
    """Read all records of a shard."""
    with path.open("rb") as file:
        return list(iter(lambda: read_frame(file), None))


def rewrite(path: Path, change: Callable[[list[bytes]], Any]) -> None:
    """Change the list of a shard's records, framed anew."""
    records = frames(path)
    change(records)
    path.write_bytes(b"".join(map(frame, records)))


def edit(path: Path, position: int, change: Callable[[Any], Any]) -> None:
    """Change the features of one record, a mapping of names to tf.train.Feature."""
    import tensorflow as tf

    def changed(records: list[bytes]) -> None:
        example = tf.train.Example.FromString(records[position])
        change(example.features.feature)
        records[position] = example.SerializeToString(deterministic=True)

    rewrite(path, changed)


def edit_provenance(path: Path, position: int, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the provenance of one record, and write it canonically."""
    from augment.recipes.recipe import canonical_json

    def changed(features: Any) -> None:
        told = json.loads(features["provenance"].bytes_list.value[0])
        change(told)
        features["provenance"].bytes_list.value[0] = canonical_json(told).encode()

    edit(path, position, changed)


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def edit_table(dataset: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the rows of provenance.parquet."""
    path = dataset / "provenance.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
