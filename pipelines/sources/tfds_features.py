"""TFDS features: where the examples of a dataset hold sound, labels, groups and ids.

Takes a `tfds.features.FeaturesDict` and the names that the configuration gives; gives `Layout` and `Fields`, plain
data.

Sources: tensorflow_datasets 4.9.10, core/features (serialised form of Audio, Tensor, ClassLabel).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_datasets import features as f

from pipelines.clips.listing import SourceError
from pipelines.clips.references import tidy
from pipelines.clips.tf_examples import FILE, NUMBERS, Fields, Layout
from pipelines.config.run_config import SourceConfig

GROUP_PREFIX = "group_"
"""Begins the names of the features that hold groups in dreambeam's own datasets."""

MAX_CLASSES = 1_000_000


def layout_and_fields(features: Any, source: SourceConfig, folder: str) -> tuple[Layout, Fields]:
    """Return where a dataset's examples hold their sound and the rest. Raises `SourceError` where that is not clear."""
    flat = _flat(features)
    own = "source_id" in flat and "provenance" in flat and "id" in flat  # of dreambeam
    layout, groups = _layout(flat, source, folder), _groups(flat, source, own, folder)
    labels = _label_feature(flat, source, folder)
    return layout, Fields(
        labels=(labels,) if labels else (),
        classes=_classes(flat[labels]) if labels else (),
        separator=source.label_separator or "",
        id=(source.features or {}).get("id", "id" if own else ""),
        groups=tuple(groups.items()),
        group_classes=tuple((name, names) for name, key in groups.items() if (names := _classes(flat[key]))),
    )


def _flat(features: Any, prefix: str = "") -> dict[str, Any]:
    """Return the features by the names that they have in an example."""
    if not isinstance(features, f.FeaturesDict):
        return {prefix: features}
    found: dict[str, Any] = {}
    for name, feature in features.items():
        found |= _flat(feature, f"{prefix}/{name}" if prefix else name)
    return found


def _layout(features: Mapping[str, Any], source: SourceConfig, folder: str) -> Layout:
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
    """Return the features of groups by name; those of dreambeam's own datasets are always carried on."""
    found = {key.removeprefix(GROUP_PREFIX): key for key in features if own and key.startswith(GROUP_PREFIX)}
    for name in source.group_columns:
        if name not in found and not (name in features and _is_plain(_inner(features[name]))):
            raise SourceError(
                f"{folder!r} has no feature {name!r} to group by; choices: {', '.join(map(repr, features))}"
            )
        found.setdefault(name, name)
    return dict(sorted(found.items()))


def _inner(feature: Any) -> Any:
    """Return the feature that a sequence repeats, or the feature itself."""
    return feature.feature if isinstance(feature, f.Sequence) else feature


def _is_tensor(feature: Any) -> bool:
    return isinstance(feature, f.Tensor)


def _rank(feature: Any) -> int:
    return len(feature.shape)


def _is_plain(feature: Any) -> bool:
    """Return whether a feature is one text or number."""
    return _is_tensor(feature) and feature.shape == ()


def _is_text(feature: Any) -> bool:
    return _is_plain(feature) and np.dtype(feature.np_dtype).kind == "O"


def _classes(feature: Any) -> tuple[str, ...]:
    """Return the names of a ClassLabel in its order; () where it has none."""
    label = _inner(feature)
    if not isinstance(label, f.ClassLabel) or not label.num_classes or label.num_classes > MAX_CLASSES:
        return ()
    return tuple("".join(tidy([label.int2str(index)])) for index in range(label.num_classes))
