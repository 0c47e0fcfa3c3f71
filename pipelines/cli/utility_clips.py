"""The clips of ``dreambeam utility``: from files and a table to clips with folds, groups and classes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from augment.targets.classes import yamnet_classes
from evaluation.judges.class_map import map_classes
from evaluation.utility.folds import Clip
from pipelines.clips.clips import decode, segments
from pipelines.clips.references import ClipRef, Failure, SoundFileRef
from pipelines.config.run_config import ConfigError
from pipelines.files.containers import ClipError
from pipelines.sources.folders import list_files
from pipelines.sources.metadata import Columns

SEGMENT_SECONDS = 10.0
"""Longer files are cut into clips of so many seconds, which belong together."""

_TOLD = 5  # of the files that are left out


@dataclass(frozen=True)
class Data:
    """Where the clips come from: names of the metadata's columns.

    Attributes:
        metadata: table with a row for each file.
        fold: column of folds.
        group: column of what belongs together; None takes each file by itself.
        class_: column of YAMNet's classes that labels mean; None goes by the labels' names.
        path: column of paths.
        label: column of labels.
    """

    metadata: str
    fold: str
    group: str | None = None
    class_: str | None = None
    path: str | None = None
    label: str | None = None


def read_clips(inputs: Sequence[str], data: Data) -> tuple[list[Clip], dict[str, str], int]:
    """List the clips, in the order of their ids.

    Returns:
        The clips, the class of YAMNet by label where there is a column of them, and how many files were left out.

    Raises:
        ConfigError: no file can be used.
        SourceError: nothing can be read there, or the table lacks a column.
    """
    wanted = [name for name in (data.fold, data.group, data.class_) if name is not None]
    columns = Columns(path=data.path, label=data.label, groups=tuple(dict.fromkeys(wanted)))
    clips: list[Clip] = []
    classes: dict[str, str] = {}
    lost: list[str] = []
    for file in list_files(inputs, metadata=data.metadata, columns=columns):
        if isinstance(file, Failure):
            lost.append(file.error)
            continue
        groups = dict(file.groups)
        if not file.labels or not groups.get(data.fold):
            lost.append(f"{file.id!r} has no {'fold' if file.labels else 'label'}")
            continue
        try:
            clips += _cut(file, groups[data.fold], groups.get(data.group or "") or file.id)
        except ClipError as error:
            lost.append(str(error))
            continue
        if data.class_ is not None:
            classes.setdefault(file.labels[0], groups[data.class_])
    for error in lost[:_TOLD]:
        print(f"dreambeam: left out: {error}", file=sys.stderr)
    if len(lost) > _TOLD:
        print(f"dreambeam: left out: {len(lost) - _TOLD} more", file=sys.stderr)
    if not clips:
        raise ConfigError(f"{', '.join(inputs)}: none of the {len(lost)} files can be used")
    return sorted(clips, key=lambda clip: clip.id), classes, len(lost)


def _cut(file: SoundFileRef, fold: str, group: str) -> list[Clip]:
    found = []
    for ref in segments(file, segment_seconds=SEGMENT_SECONDS):
        clip = decode(ref)
        content = f"{clip.sha256}:{ref.start}-{ref.stop}"
        found.append(Clip(ref.id, file.labels[0], fold, group, content, asdict(ref)))
    return found


def read_clip(where: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Read a clip: float32 [samples, channels], and its sample rate in Hz."""
    clip = decode(ClipRef(**where))
    return clip.waveform, clip.ref.sample_rate


def label_classes(labels: Sequence[str], given: Mapping[str, str]) -> dict[str, int]:
    """Return YAMNet's class of each label that means one, as the table says or else by its name."""
    return dict(map_classes(yamnet_classes(), labels, given, {}).labels)
