"""Lineage: the recording that a dream was made from, through dreams of dreams.

The source of a dream may be a record of another dataset of dreambeam's, which has a source of its own. All dreams of
one recording count as one source, as do the pieces that a recording was cut into: they are not independent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.dataset.reader import DamagedError
from pipelines.dataset.record_reader import read_at, texts

_OFFSET = "record_offset"
_LONGEST = 100  # dreams of dreams, so that no file leads in circles


@dataclass(frozen=True)
class Recording:
    """The recording that a clip was made from.

    Attributes:
        identity: sha256 of the file, or of the record of a dataset that is not dreambeam's.
        found: it is the recording itself; else a dataset on the way to it cannot be read.
    """

    identity: str
    found: bool


def recording_of(source: Mapping[str, Any]) -> Recording:
    """Return the recording of provenance's ``source``.

    Args:
        source: of a record's provenance: uri, sha256, and record_offset where it is a record itself.
    """
    for _ in range(_LONGEST):
        if source.get(_OFFSET) is None:
            return Recording(str(source["sha256"]), True)
        try:
            (provenance,) = texts(read_at(str(source["uri"]), int(source[_OFFSET])), ["provenance"])
        except DamagedError:
            return Recording(str(source["sha256"]), False)
        above = _source_in(provenance)
        if above is None:
            return Recording(str(source["sha256"]), True)
        source = above
    return Recording(str(source["sha256"]), False)


def _source_in(provenance: str) -> dict[str, Any] | None:
    """Return the source that a provenance of ours names; None of any other."""
    try:
        source = json.loads(provenance)["source"]
        return {"uri": source["uri"], "sha256": source["sha256"], _OFFSET: source.get(_OFFSET)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
