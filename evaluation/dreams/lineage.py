"""Lineage: the recording that a dream goes back to, through dreams of dreams.

A dataset may be dreamed from another of dreambeam's: its source is then a record of that one, which has a source of its
own. All that goes back to one recording counts as one source, as do the pieces that a recording was cut into: they are
not independent.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.files.tfrecord import FrameError, read_frame

_OFFSET = "record_offset"
_LONGEST = 100  # dreams of dreams, so that no file leads in circles


@dataclass(frozen=True)
class Recording:
    """What a clip goes back to.

    Attributes:
        identity: sha256 of the file, or of the record of a dataset that is not dreambeam's.
        found: it is the recording itself; else the way back was lost, as a dataset on it is not to be had.
    """

    identity: str
    found: bool


def recording_of(source: Mapping[str, Any]) -> Recording:
    """Return the recording that provenance's ``source`` goes back to.

    Args:
        source: of a record's provenance: uri, sha256, and record_offset where it is a record itself.
    """
    for _ in range(_LONGEST):
        if source.get(_OFFSET) is None:
            return Recording(str(source["sha256"]), True)
        above = _source_above(str(source["uri"]), int(source[_OFFSET]))
        if above is None:
            return Recording(str(source["sha256"]), False)
        if not above:
            return Recording(str(source["sha256"]), True)
        source = json.loads(above)
    return Recording(str(source["sha256"]), False)


def _source_above(uri: str, offset: int) -> str | None:
    """Return the source of the record at an offset, as JSON: "" if it has none, None if it cannot be read."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    path = os.fsdecode(urllib.parse.unquote_to_bytes(re.sub("^file://(localhost(?=/))?", "", uri)))
    try:
        with tf.io.gfile.GFile(path if uri.startswith("file://") else uri, "rb") as file:
            file.seek(offset)
            record = read_frame(file)
        if record is None:
            return None
        feature = tf.train.Example.FromString(record).features.feature["provenance"]
        if not feature.bytes_list.value:
            return ""
        source = json.loads(feature.bytes_list.value[0])["source"]
        return json.dumps({key: source[key] for key in ("uri", "sha256")} | {_OFFSET: source.get(_OFFSET)})
    except (OSError, tf.errors.OpError, FrameError, DecodeError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # of another origin, with a provenance of its own
        return ""
