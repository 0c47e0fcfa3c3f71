"""Provenance: the JSON that each record stores of how it was made, read and checked for completeness.

Datasets of every version are read: `arithmetic` and the source's `note` exist since dreambeam 0.4.0.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from augment.determinism.arithmetic import Arithmetic
from augment.recipes.recipe import canonical_json
from pipelines.clips.tf_examples import Layout
from pipelines.messages import one_line

_NONE = type(None)
_SOURCE = {"id": str, "uri": str, "sha256": str, "format": str} | dict.fromkeys(
    ("start", "stop", "sample_rate", "channels"), int
)
_ALWAYS: dict[str, Any] = {
    "source": _SOURCE,
    "seed": int,
    "variant": int,
    "objectives": list,
    "model": {"name": str, "identity": str},
    "output_sha256": str,
    "versions": dict.fromkeys(("dreambeam", "numpy", "soundfile", "soxr", "tensorflow", "libsndfile", "machine"), str),
}
_OF_AN_ORIGINAL: dict[str, Any] = dict.fromkeys(("target", "recipe", "recipe_digest"), _NONE)
_OF_A_DREAM: dict[str, Any] = {
    "target": {"index": int, "mid": str, "name": str, "classes": list, "away": bool},
    "recipe": dict,
    "recipe_digest": str,
    "target_policy": str,
    "target_classes": list,
    "label_policy": str,
    "sound_sha256": (str, _NONE),
}
_ARITHMETIC = {"device": str, "instructions": str, "onednn": bool, "products": str}
_OPTIONAL: dict[str, Any] = {"note": str, "record_offset": (int, _NONE), "layout": (dict, _NONE)}
"""Keys that a source may have."""


def read_provenance(text: str, *, original: bool) -> tuple[dict[str, Any], list[str]]:
    """Read the provenance of a record.

    Args:
        text: JSON.
        original: the record is an unchanged clip.

    Returns:
        The provenance, empty if it is not complete; and its faults as ends of messages, such as "lacks 'seed'".
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, [f"is not JSON ({one_line(error)})"]
    if not isinstance(found, dict):
        return {}, ["is not a JSON object"]
    try:
        canonical = canonical_json(found) == text
        finite = True
    except ValueError:
        canonical = finite = False
    source = found.get("source")
    optional = {key: kind for key, kind in _OPTIONAL.items() if isinstance(source, dict) and key in source}
    wanted = {**_ALWAYS, **(_OF_AN_ORIGINAL if original else _OF_A_DREAM), "source": {**_SOURCE, **optional}}
    if "arithmetic" in found:
        wanted["arithmetic"] = _ARITHMETIC
    faults = list(_incomplete(found, wanted))
    if not faults:
        faults += _unknown(found.get("arithmetic"), Arithmetic, "arithmetic")
        faults += _unknown(found["source"].get("layout"), Layout, "source.layout")
    if not finite:
        faults.append("holds NaN or infinity")
    return {} if faults else found, faults + ([] if canonical else ["is not canonical JSON"])


def _incomplete(found: Mapping[str, Any], wanted: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Name the keys that are missing or of another kind."""
    for key, kind in wanted.items():
        value = found.get(key)
        if key not in found:
            yield f"lacks {at + key!r}"
        elif isinstance(kind, dict) and isinstance(value, dict):
            yield from _incomplete(value, kind, f"{at}{key}.")
        elif isinstance(kind, dict) or not _is_of(value, kind):
            yield f"has {at + key!r} as {short(value)}"


def _is_of(value: Any, kind: Any) -> bool:
    """Return whether a value has a type: truth values are no integers, and text has to be valid UTF-8."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, str) and not value.isascii() and value.encode("utf-8", "ignore").decode() != value:
        return False
    return isinstance(value, kind)


def _unknown(values: Mapping[str, Any] | None, form: Any, at: str) -> Iterator[str]:
    """Name the first key that a dataclass has no field for."""
    unknown = sorted((values or {}).keys() - {each.name for each in dataclasses.fields(form)})
    if unknown:
        yield f"has {f'{at}.{unknown[0]}'!r}, which this version does not know"


def short(value: Any) -> str:
    """Print a value for a message, in at most 60 characters."""
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
