"""TFDS: datasets of TensorFlow Datasets that are prepared on this machine or in a bucket, dreambeam's own included.

Takes "tfds:NAME[/CONFIG][:VERSION]", looked up in the data folder, or a folder that holds features.json and
dataset_info.json; gives a `ShardRef` for each TFRecord shard, which says by plain data where an example holds its sound
(`Layout`) and the rest (`Fields`). Nothing is downloaded, nothing is generated, and no code of the dataset runs: TFDS
imports whatever module features.json names, so that is looked through before.

Conventions: ids are SPLIT/NUMBER, the record's number in its split, which does not depend on the shards; dreambeam's
own datasets have ids. Integers of an Audio feature are 16-bit samples, as TFDS makes them.

Sources: tensorflow_datasets 4.9.10, core/features (serialised form of Audio, Tensor, ClassLabel).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.clips.listing import Listing, SourceError
from pipelines.clips.references import tidy
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import split_fault
from pipelines.clips.tf_examples import FILE, NUMBERS, Fields, Layout
from pipelines.config.run_config import SourceConfig
from pipelines.files.containers import ClipError, open_stream, read_state
from pipelines.files.locations import local_path, locate, nearest
from pipelines.messages import one_line

PREFIX = "tfds:"
GROUP_PREFIX = "group_"
"""Begins the names of the features that hold groups in dreambeam's own datasets."""

MAX_CLASSES = 1_000_000

_MAX_JSON_BYTES = 64 << 20
_FEATURES_MODULE = "tensorflow_datasets.core.features."


def is_dataset(folder: str) -> bool:
    """Tell whether a folder is a TFDS dataset."""
    location = locate(folder)
    if local_path(location) is not None:
        return all(os.path.isfile(f"{location}/{name}") for name in ("features.json", "dataset_info.json"))
    try:
        return all(read_state(f"{location}/{name}")[0] for name in ("features.json", "dataset_info.json"))
    except ClipError:
        return False


def list_tfds(given: str, source: SourceConfig) -> Listing:
    """List the shards of a dataset, by its name or folder.

    Args:
        given: with or without `PREFIX`.
        source: which splits, features and data folder.

    Raises:
        SourceError: there is no such dataset, or it can not be read; the message says what to do.
    """
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
    """List the shards of the dataset in a folder.

    Args:
        folder: path or URI.
        source: which splits and features.
        only: locations of the shards that are wanted; None: all.

    Raises:
        SourceError: it can not be read.
    """
    location = locate(folder)
    info = _load(location)
    features = _flat(info.features)
    layout = _layout(features, source, location)
    own = "source_id" in features and "provenance" in features and "id" in features
    groups = _groups(features, source, own, location)
    labels = _label_feature(features, source, location)
    classes = _classes(features[labels]) if labels else ()
    fields = Fields(
        labels=(labels,) if labels else (),
        classes=classes,
        separator=source.label_separator or "",
        id=(source.features or {}).get("id", "id" if own else ""),
        groups=tuple(groups.items()),
        group_classes=tuple((name, _classes(features[key])) for name, key in groups.items() if _classes(features[key])),
    )
    splits = dict(info.splits.items())
    for split in source.splits:
        if split not in splits:
            raise SourceError(f"{folder!r} has no split {split!r}; choices: {', '.join(sorted(splits))}")
    shards = _shards(location, {name: splits[name] for name in source.splits or sorted(splits)}, layout, fields, only)
    return Listing(iter(list(shards)), classes=tidy(classes), groups=tuple(sorted(groups)))


def _find(name: str, data_dir: str) -> str | None:
    """Look a dataset up as TFDS names it: NAME[/CONFIG][:VERSION]; the last version, and the only or first config."""
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
    """Load a dataset's features and splits, after a look at what they would import."""
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


def _flat(features: Any, prefix: str = "") -> dict[str, Any]:
    """Give the features by the names that they have in an example."""
    from tensorflow_datasets import features as f

    if not isinstance(features, f.FeaturesDict):
        return {prefix: features}
    found: dict[str, Any] = {}
    for name, feature in features.items():
        found |= _flat(feature, f"{prefix}/{name}" if prefix else name)
    return found


def _layout(features: Mapping[str, Any], source: SourceConfig, folder: str) -> Layout:
    from tensorflow_datasets import features as f

    named = (source.features or {}).get("audio")
    sounds = [key for key, feature in features.items() if isinstance(feature, f.Audio)]
    audio = named or ("audio" if "audio" in features else sounds[0] if len(sounds) == 1 else None)
    feature = features.get(audio or "")
    tensor = _is_tensor(feature)
    whole = tensor and (getattr(feature, "_lazy_decode", False) or _is_text(feature))
    if audio is None or feature is None or not tensor or not (whole or 1 <= _rank(feature) <= 2):
        which = f"{len(sounds)} Audio features" if named is None else f"no Audio feature {named!r}"
        there = ", ".join(map(repr, sounds or features))
        raise SourceError(f"{folder!r} has {which}; name the one to read with source.features.audio: {there}")
    dtype: Any = feature.np_dtype
    samples = FILE if whole else np.dtype(dtype).name
    if samples not in (FILE, *NUMBERS):
        raise SourceError(f"{folder!r} has {audio!r} as {samples}; expected one of {', '.join(NUMBERS)}")
    rate_feature = (source.features or {}).get("sample_rate", "sample_rate")
    rate = source.sample_rate or getattr(feature, "sample_rate", None) or 0
    if not rate and rate_feature not in features and samples != FILE:
        raise SourceError(f"{folder!r} does not say its sample rate; give it with --set source.sample_rate=16000")
    return Layout(
        audio=audio,
        samples=samples,
        channels=feature.shape[1] or 0 if _rank(feature) == 2 else 1,
        compressed=feature._encoding.value == "zlib",
        sample_rate=int(rate),
        rate=rate_feature,
    )


def _label_feature(features: Mapping[str, Any], source: SourceConfig, folder: str) -> str:
    """Choose the feature of labels: the one that is named, "labels", "label", or the only ClassLabel."""
    from tensorflow_datasets import features as f

    names = source.features or {}
    named = names.get("labels") or names.get("label") or source.label_column
    if named is not None:
        if named not in features:
            raise SourceError(f"{folder!r} has no feature {named!r}; choices: {', '.join(map(repr, features))}")
        return named
    labels = [key for key, feature in features.items() if isinstance(_inner(feature), f.ClassLabel)]
    for usual in ("labels", "label"):
        if usual in labels or (usual in features and _is_plain(_inner(features[usual]))):
            return usual
    if len(labels) > 1:
        raise SourceError(f"{folder!r} has several ClassLabels; choose one with --label-column: {', '.join(labels)}")
    return labels[0] if labels else ""


def _groups(features: Mapping[str, Any], source: SourceConfig, own: bool, folder: str) -> dict[str, str]:
    """Give the features of groups by name; those of dreambeam's own datasets are always carried on."""
    found = {key.removeprefix(GROUP_PREFIX): key for key in features if own and key.startswith(GROUP_PREFIX)}
    for name in source.group_columns:
        if name not in found and not (name in features and _is_plain(_inner(features[name]))):
            raise SourceError(
                f"{folder!r} has no feature {name!r} to group by; choices: {', '.join(map(repr, features))}"
            )
        found.setdefault(name, name)
    return dict(sorted(found.items()))


def _inner(feature: Any) -> Any:
    """Give what a sequence is of, or the feature itself."""
    from tensorflow_datasets import features as f

    return feature.feature if isinstance(feature, f.Sequence) else feature


def _is_tensor(feature: Any) -> bool:
    from tensorflow_datasets import features as f

    return isinstance(feature, f.Tensor)


def _is_plain(feature: Any) -> bool:
    """Tell whether a feature is one text or number."""
    return _is_tensor(feature) and feature.shape == ()


def _is_text(feature: Any) -> bool:
    return _is_plain(feature) and np.dtype(feature.np_dtype).kind == "O"


def _rank(feature: Any) -> int:
    return len(feature.shape)


def _classes(feature: Any) -> tuple[str, ...]:
    """Give the names of a ClassLabel in its order; () where it has none."""
    from tensorflow_datasets import features as f

    label = _inner(feature)
    if not isinstance(label, f.ClassLabel) or not label.num_classes or label.num_classes > MAX_CLASSES:
        return ()
    return tuple("".join(tidy([label.int2str(index)])) for index in range(label.num_classes))


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
