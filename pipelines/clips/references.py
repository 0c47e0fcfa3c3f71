"""References to sounds: a file or a piece of one, unopened, and a clip of known frames, unread.

A reference is cheap and may cross a shuffle. `source_of` and `clip_ref` turn a clip's reference into what its
provenance stores, and back.

Sources: W3C Media Fragments URI 1.0 (2012), section 4.2.1 (ids of segments).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.clips.tf_examples import Layout
from pipelines.files.containers import ClipError

Groups = tuple[tuple[str, str], ...]
"""What a clip has in common with others, such as fold or speaker: pairs of name and value, sorted by name."""


@dataclass(frozen=True)
class Failure:
    """A file or clip that could not be used: one line of failures.jsonl, after `dataclasses.asdict`."""

    uri: str  # the file
    id: str  # that the file or clip would have had
    stage: str  # as in `ClipError`
    error: str  # one line, what was wrong and the remedy
    records_lost: int = 0  # records that the dataset lacks because of it; 0 if the file never became a clip


@dataclass(frozen=True)
class SoundFileRef:
    """One file, or a piece of it, unopened."""

    id: str  # POSIX path relative to the root of the inputs
    uri: str  # absolute path, or a URI that Beam's FileSystems can open
    # classes of the recording, its `label` first; none where they are not known
    labels: tuple[str, ...] = ()
    split: str = "train"  # part of the dataset, such as "train"
    groups: Groups = ()  # what it has in common with others
    offset_seconds: float = 0.0  # where the piece begins
    duration_seconds: float | None = None  # how long the piece is; None: up to the end

    @property
    def piece_id(self) -> str:
        """The id, and "#t=START,END" in seconds where this is a piece of its file."""
        if not self.offset_seconds and self.duration_seconds is None:
            return self.id
        end = "" if self.duration_seconds is None else f",{seconds(self.offset_seconds + self.duration_seconds)}"
        return f"{self.id}#t={seconds(self.offset_seconds)}{end}"


@dataclass(frozen=True)
class ClipRef:
    """The frames [start, stop) of one sound, unread."""

    id: str  # the sound's id, and "#t=START,END" in seconds where the clip is a segment of it
    uri: str  # as in `SoundFileRef`; of the shard where the sound is a record
    labels: tuple[str, ...]  # as in `SoundFileRef`
    split: str  # as in `SoundFileRef`
    start: int  # first frame, at the sound's own rate
    stop: int  # frame after the last one
    sample_rate: int  # of the sound, Hz
    channels: int  # of the sound
    # libsndfile's container and subtype, such as "WAV/PCM_16"; "TFRecord/float32" and the like where the record holds
    # bare samples
    format: str
    groups: Groups = ()  # as in `SoundFileRef`
    record_offset: int | None = None  # of the record in its shard, bytes; None for a file
    layout: Layout | None = None  # how the record holds its sound; None for a file
    note: str = ""  # how the sound's header is wrong although it can be read to its end; "" where it is right

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return (self.stop - self.start) / self.sample_rate


def failure(ref: SoundFileRef | ClipRef, error: ClipError, records_lost: int = 0) -> Failure:
    """Return why `ref` could not be used."""
    id_ = ref.piece_id if isinstance(ref, SoundFileRef) else ref.id
    return Failure(uri=ref.uri, id=id_, stage=error.stage, error=str(error), records_lost=records_lost)


def source_of(ref: ClipRef, sha256: str) -> dict[str, Any]:
    """Return what provenance stores of a clip's source: what `clip_ref` needs to find it again, and its digest."""
    source: dict[str, Any] = {
        "id": ref.id,
        "uri": ref.uri,
        "sha256": sha256,
        "start": ref.start,
        "stop": ref.stop,
        "sample_rate": ref.sample_rate,
        "channels": ref.channels,
        "format": ref.format,
    }
    if ref.layout is not None:
        source |= {"record_offset": ref.record_offset, "layout": asdict(ref.layout)}
    if ref.note:
        source["note"] = ref.note
    return source


def clip_ref(source: Mapping[str, Any]) -> ClipRef:
    """Return the reference that `source_of` was given, without its labels.

    Raises:
        KeyError: a key is missing.
        TypeError: the layout has keys that are not known.
    """
    keys = ("id", "uri", "start", "stop", "sample_rate", "channels", "format")
    layout = source.get("layout")
    return ClipRef(
        **{key: source[key] for key in keys},
        labels=(),
        split="train",
        record_offset=source.get("record_offset"),
        layout=None if layout is None else Layout(**layout),
        note=source.get("note", ""),
    )


def seconds(value: float) -> str:
    """Print seconds with up to 3 decimals and no needless zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def tidy(labels: Iterable[str]) -> tuple[str, ...]:
    """Put labels into the form that a dataset can hold: each once, on one line, valid UTF-8, none empty."""
    lines = (" ".join(label.split()).encode("utf-8", "backslashreplace").decode() for label in labels)
    return tuple(dict.fromkeys(filter(None, lines)))
