"""TFRecords as a source: shards of tf.train.Example of any origin, by the names of their features.

Takes paths, folders and globs of TFRecord files, and the names that the configuration gives; gives a `ShardRef` for
each file. Where a TFDS dataset's features.json lies beside the files, and the user named no features,
`pipelines.sources.tfds_source` lists them.

Conventions: ids are the path of the file below the root and the record's number in it, or the feature of ids. Files
are plain, not compressed.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.clips.listing import Item, Listing, SourceError
from pipelines.clips.references import Failure
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import DEFAULT_SPLIT
from pipelines.clips.tf_examples import Fields, Layout
from pipelines.config.run_config import SourceConfig
from pipelines.files.locations import as_text, as_uri
from pipelines.sources import tfds_source
from pipelines.sources.folders import find

PREFIX = "tfrecord:"


def list_tfrecords(inputs: Sequence[str], source: SourceConfig) -> Listing:
    """List TFRecord files.

    Inputs are paths, folders (all files below that have "tfrecord" in their name) and globs, with or without `PREFIX`.
    Raises `SourceError` if there are none.
    """
    files: dict[str, str] = {}
    failures: list[Failure] = []
    for given in inputs:
        name = given.removeprefix(PREFIX)
        found = find(name, endings=())
        failures += found.failures
        exact = [file for file in found.files if "tfrecord" in file.rpartition("/")[2].lower()]
        if given.startswith(PREFIX) and not exact:
            exact = found.files
        if not exact:
            raise SourceError(
                f"{name!r} names no TFRecords; expected files with .tfrecord in their names (or {PREFIX}...)"
            )
        files.update((file, file[len(found.root) + 1 :]) for file in exact)
    folders = {file.rpartition("/")[0] for file in files}
    if source.features is None and len(folders) == 1 and tfds_source.is_dataset(folder := folders.pop()):
        return tfds_source.list_dataset(folder, source, only=frozenset(files))
    names = source.features or {}
    labels = names.get("labels") or names.get("label") or source.label_column
    fields = Fields(
        labels=(labels,) if labels else ("labels", "label"),
        separator=source.label_separator or "",
        id=names.get("id", ""),
        split=names.get("split", "split"),
        groups=tuple((group, group) for group in sorted(source.group_columns)),
        required=tuple(filter(None, (labels, names.get("id"), names.get("split"), *source.group_columns))),
    )
    layout = Layout(
        audio=names.get("audio", "audio"),
        samples=source.audio_bytes,
        sample_rate=source.sample_rate or 0,
        rate=names.get("sample_rate", "sample_rate"),
    )
    shards: list[Item] = [
        ShardRef(
            id=as_text(below),
            uri=as_uri(file),
            split=DEFAULT_SPLIT,
            prefix=as_text(below),
            layout=layout,
            fields=fields,
        )
        for file, below in sorted(files.items())
    ]
    return Listing(iter([*failures, *shards]), groups=tuple(sorted(source.group_columns)))
