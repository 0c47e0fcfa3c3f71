"""TFDS as a source: datasets that are prepared on this machine or in a bucket, dreambeam's own included.

Takes "tfds:NAME[/CONFIG][:VERSION]", looked up in the data folder, or a folder that holds features.json and
dataset_info.json; gives a `ShardRef` for each TFRecord shard. Nothing is downloaded or generated, and no code of the
dataset runs: TFDS imports whatever module features.json names, so that is checked before.

Conventions: ids are SPLIT/NUMBER, the record's number in its split, which does not depend on the shards; dreambeam's
own datasets have ids. Integers of an Audio feature are 16-bit samples, as TFDS makes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.clips.listing import Listing, SourceError
from pipelines.clips.references import tidy
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import split_fault
from pipelines.clips.tf_examples import Fields, Layout
from pipelines.config.run_config import SourceConfig
from pipelines.files.containers import ClipError, open_stream, read_state
from pipelines.files.locations import local_path, locate, nearest
from pipelines.messages import one_line

PREFIX = "tfds:"
_MAX_JSON_BYTES = 64 << 20
_FEATURES_MODULE = "tensorflow_datasets.core.features."


def is_dataset(folder: str) -> bool:
    """Return whether a folder is a TFDS dataset."""
    location = locate(folder)
    if local_path(location) is not None:
        return all(os.path.isfile(f"{location}/{name}") for name in ("features.json", "dataset_info.json"))
    try:
        return all(read_state(f"{location}/{name}")[0] for name in ("features.json", "dataset_info.json"))
    except ClipError:
        return False


def list_tfds(given: str, source: SourceConfig) -> Listing:
    """List the shards of a dataset, by its name (with or without `PREFIX`) or folder. Raises `SourceError`."""
    name = given.removeprefix(PREFIX)
    if is_dataset(name):
        return list_dataset(name, source)
    data_dir = source.data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    folder = _find(name, locate(data_dir))
    if folder is None:
        there = f"{name!r} is no folder of a TFDS dataset, nor a dataset in {data_dir!r}"
        word = name.split("/")[0].split(":")[0]
        if "/" not in name.rstrip("/") and not name.startswith(("~", ".")):
            hint = f"build it first (python -m tensorflow_datasets.scripts.cli.main build {word}), or give --data-dir"
        else:
            hint = f"expected one that holds features.json and dataset_info.json{nearest(locate(name))}"
        raise SourceError(f"{there}; {hint}")
    return list_dataset(folder, source)


def list_dataset(folder: str, source: SourceConfig, *, only: frozenset[str] | None = None) -> Listing:
    """List the shards of the dataset in a folder, or only those at certain locations. Raises `SourceError`."""
    from pipelines.sources.tfds_features import layout_and_fields  # imports TensorFlow Datasets

    location = locate(folder)
    info = _load(location)
    layout, fields = layout_and_fields(info.features, source, location)
    splits = dict(info.splits.items())
    for split in source.splits:
        if split not in splits:
            raise SourceError(f"{folder!r} has no split {split!r}; choices: {', '.join(sorted(splits))}")
    shards = _shards(location, {name: splits[name] for name in source.splits or sorted(splits)}, layout, fields, only)
    return Listing(
        iter(list(shards)), classes=tidy(fields.classes), groups=tuple(sorted(name for name, _ in fields.groups))
    )


def _find(name: str, data_dir: str) -> str | None:
    """Find a dataset by the name that TFDS gives it; the last version, and the only or first config."""
    from tensorflow_datasets.core.utils.version import Version

    path, _, version = name.partition(":")
    parts = path.split("/")
    if not all(part and part not in (".", "..") for part in parts) or len(parts) > 3 or local_path(data_dir) is None:
        return None
    folder = Path(data_dir, *parts)
    if version:
        parts.append(version)
        folder /= version
    for _ in range(3):
        if is_dataset(str(folder)):
            return str(folder)
        inside = [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
        versions = [each for each in inside if Version.is_valid(each.name)]
        if versions:
            folder = max(versions, key=lambda each: Version(each.name))
        elif inside:
            folder = min(inside)
        else:
            return None
    return None


def _load(folder: str) -> Any:
    """Load a dataset's features and splits, after a check of the classes that they import."""
    try:
        _check_classes(_read_json(f"{folder}/features.json"), f"{folder}/features.json")
        info = _read_json(f"{folder}/dataset_info.json")
    except ClipError as error:
        raise SourceError(str(error)) from error
    kind = str(info.get("fileFormat", "tfrecord")) if isinstance(info, dict) else "unknown"
    if kind != "tfrecord":
        raise SourceError(
            f"{folder!r} is stored as {kind[:40]!r}; expected tfrecord: convert it "
            "(python -m tensorflow_datasets.scripts.cli.main convert_format)"
        )
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder).info
    except Exception as error:  # TFDS raises what its parsers raise
        raise SourceError(
            f"{folder!r} is no dataset that TFDS can read ({one_line(error)[:300]}); build it anew"
        ) from error


def _read_json(uri: str) -> Any:
    size = read_state(uri)[0]
    if size > _MAX_JSON_BYTES:
        raise SourceError(f"{uri!r} has {size} bytes; expected at most {_MAX_JSON_BYTES}")
    try:
        with open_stream(uri) as stream:
            return json.loads(stream.read(size))
    except (ValueError, RecursionError, OSError) as error:
        raise SourceError(f"{uri!r} is not readable JSON ({one_line(error)}); build the dataset anew") from error


def _check_classes(node: Any, uri: str) -> None:
    """Refuse features of classes that are not TFDS's own."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for key in ("pythonClassName", "python_class_name", "type"):
                name = each.get(key)
                if isinstance(name, str) and "." in name and not name.startswith(_FEATURES_MODULE):
                    raise SourceError(f"{uri!r} names the class {name!r}, which is not of TFDS; it is not imported")
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _shards(
    folder: str, splits: Mapping[str, Any], layout: Layout, fields: Fields, only: frozenset[str] | None
) -> Iterator[ShardRef]:
    real_folder = os.path.realpath(folder) if local_path(folder) is not None else folder
    for split, info in splits.items():
        if fault := split_fault(split):
            raise SourceError(f"{folder!r} has a split {fault}")
        digits = len(str(max(0, info.num_examples - 1)))
        first = 0
        for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
            uri = os.fspath(path)
            real = os.path.realpath(uri) if local_path(uri) is not None else uri
            if not real.startswith(real_folder + "/"):
                raise SourceError(f"{folder!r} has a shard {uri!r} that lies outside it; copy it there")
            if only is None or uri in only:
                yield ShardRef(
                    id=os.path.basename(uri),
                    uri=uri,
                    split=split,
                    prefix=split,
                    first=first,
                    digits=digits,
                    layout=layout,
                    fields=fields,
                )
            first += length
