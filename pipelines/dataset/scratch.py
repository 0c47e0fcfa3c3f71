"""The files of an unfinished run, beside its output under another name, until it is published.

Workers append records to files of their own and pass on a `RecordRef`, which crosses the shuffle in place of the
record. An attempt that fails leaves a file without references; it goes with the folder.

A record is three TFRecord frames: a header with its clip's digest, the example, and the row of provenance.parquet. So
the whole records of a killed run can be found in its files (`pipelines.worker.resume`).

The folder's name ends with ``.incomplete``: it never looks like a dataset.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.files.tfrecord import HEAD_BYTES, OVERHEAD_BYTES, frame

if TYPE_CHECKING:  # it brings TensorFlow, and the output is checked before that is imported
    from pipelines.dataset.records import Record

FRAMES = 3
"""Frames of a record: header, example, row."""


@dataclass(frozen=True)
class Scratch:
    """The folders of an unfinished run, on a file system that all workers see."""

    root: str

    @property
    def spill(self) -> str:
        """Folder of the workers' records, one for each digest of a run (`pipelines.worker.resume`)."""
        return f"{self.root}/spill"

    @property
    def finished(self) -> str:
        """Index of the records that an earlier, unfinished run left (`pipelines.worker.resume`)."""
        return f"{self.root}/finished.sqlite"

    @property
    def parts(self) -> str:
        """Folder of finished shards, tables and failures, under names of their own."""
        return f"{self.root}/parts"

    @property
    def progress(self) -> str:
        """Folder of the workers' counts."""
        return f"{self.root}/progress"

    @property
    def dataset(self) -> str:
        """Folder that becomes the output."""
        return f"{self.root}/dataset"

    @property
    def manifest(self) -> str:
        """File that says which parts make the dataset."""
        return f"{self.root}/manifest.json"


@dataclass(frozen=True)
class RecordRef:
    """Where a record lies in a worker's file."""

    key: str  # sha256 of the record's id, hex: records are in this order, which shuffles them
    split: str  # of the dataset
    path: str  # the worker's file
    offset: int  # of the example, bytes
    example_bytes: int  # length of the serialised example
    row_bytes: int  # length of the row of provenance.parquet, JSON, in the frame that follows it
    reused: bool = False  # an earlier run made it


class SpillWriter:
    """Appends records to a file of its own."""

    def __init__(self, folder: str):
        """Create the file, and the folder if it is not there."""
        from apache_beam.io.filesystems import FileSystems

        if not FileSystems.exists(folder):
            with contextlib.suppress(OSError):  # another worker has just made it; if not, the next line says so
                FileSystems.mkdirs(folder)
        self._path = FileSystems.join(folder, f"{uuid.uuid4().hex}.records")
        self._file = FileSystems.create(self._path, compression_type="uncompressed")
        self._offset = 0

    def append(self, record: Record) -> RecordRef:
        """Write a record; return its reference."""
        row = json.dumps(dict(record.row)).encode()
        key = hashlib.sha256(record.id.encode("utf-8", "surrogateescape")).hexdigest()
        header = json.dumps({"key": key, "split": record.split, "clip": record.clip}).encode()
        frames = [frame(part) for part in (header, record.example, row)]
        offset = self._offset + len(frames[0]) + HEAD_BYTES
        for part in frames:
            self._file.write(part)
            self._offset += len(part)
        return RecordRef(key, record.split, self._path, offset, len(record.example), len(row))

    def flush(self) -> None:
        """Hand everything to the file system, where it outlives this process."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def read_records(refs: Iterable[RecordRef]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Give the example and the row of each reference, in their order; one file is open at a time."""
    from apache_beam.io.filesystems import FileSystems

    path, file = None, None
    try:
        for ref in refs:
            if ref.path != path:
                if file is not None:
                    file.close()
                path, file = ref.path, FileSystems.open(ref.path, compression_type="uncompressed")
            assert file is not None
            file.seek(ref.offset)
            example = file.read(ref.example_bytes)
            file.seek(ref.offset + ref.example_bytes + OVERHEAD_BYTES)
            yield example, json.loads(file.read(ref.row_bytes))
    finally:
        if file is not None:
            file.close()
