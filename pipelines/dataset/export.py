"""Export: a dataset as sound files with a table, for tools that want files.

Takes a dataset of ``dreambeam augment``; gives a folder with a file for each record, by split and label, and
metadata.csv, which ``dreambeam augment --metadata`` reads back, as does Hugging Face's audiofolder. Records go one at a
time, in the order of the shards: memory does not grow with their number. The folder appears whole or not at all, and
its bytes depend on the dataset alone.

What is written, by what the dataset stores:

    float32   WAV: 32-bit float, exact     FLAC: 24 bits, rounded and clipped as in `encodings`
    int16     WAV: 16 bits, exact          FLAC: 16 bits, exact
    flac      WAV: 24 bits, exact          FLAC: the file as it is stored
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from augment.sound.encodings import EncodingError, flac_bytes, flac_samples, quantise
from pipelines.dataset.naming import label_folder, record_file
from pipelines.dataset.output import OutputError, check_output, replace_output, resolve_output, unfinished
from pipelines.dataset.reader import DamagedError, Dataset, open_dataset
from pipelines.dataset.record_reader import read_all
from pipelines.dataset.versions import versions

TABLE, ABOUT = "metadata.csv", "export.json"

_OWN_NAMES = re.compile(r".*-[0-9a-f]{12}\.(wav|flac)")


class ExportError(ValueError):
    """The format cannot hold a sound; the message is one line that names the remedy."""


def export_dataset(
    dataset: str | os.PathLike[str], output: str | os.PathLike[str], file_format: str, *, overwrite: bool = False
) -> int:
    """Write a dataset's records as files; return how many there are.

    Args:
        dataset: folder of a dataset.
        output: folder of the export; made at the end, whole.
        file_format: wav or flac.
        overwrite: replace an existing export.

    Raises:
        DatasetError: the dataset cannot be read.
        ExportError: the format cannot hold one of its sounds.
        OutputError: the output cannot be used.
    """
    opened = open_dataset(dataset, with_records=True)
    target = check_export(output, opened.folder, overwrite=overwrite)
    with unfinished(target, overwrite=overwrite, check=_check) as scratch:
        count = _write(opened, Path(scratch.dataset), file_format)
        replace_output(Path(scratch.dataset), target)
    return count


def check_export(
    output: str | os.PathLike[str], dataset: Path, *, overwrite: bool, inputs: tuple[str, ...] = ()
) -> Path:
    """Refuse an output before anything is done; return its path, links followed.

    The export must lie outside the dataset and must not hold any of the inputs. Raises `OutputError` with the remedy.
    """
    target = resolve_output(output, (str(dataset), *inputs))
    if target.is_relative_to(os.path.realpath(dataset)):
        raise OutputError(f"the export {os.fspath(output)} lies inside the dataset {dataset}: give another folder")
    _check(target, overwrite=overwrite)
    return target


def _foreign(output: Path) -> str:
    """Return why a folder is not an export of ours; the empty string if it is."""
    if not output.is_dir():
        return "it is a file"
    try:
        if "dreambeam" not in json.loads((output / ABOUT).read_text(encoding="utf-8")):
            return f"its {ABOUT} is another program's"
    except (OSError, ValueError, TypeError):
        return f"it has no {ABOUT} of ours"
    for place, folders, names in os.walk(output):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        own = {TABLE, ABOUT} if Path(place) == output else set()
        other = [*links, *(name for name in names if name not in own and not _OWN_NAMES.fullmatch(name))]
        if other:
            return f"it holds {min(other)!r}"
    return ""


_check = functools.partial(check_output, foreign=_foreign, what="export")


def _write(dataset: Dataset, folder: Path, file_format: str) -> int:
    """Write files, table and export.json; return the number of files."""
    encoding, count = dataset.audio_encoding, 0
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        table: csv.DictWriter[str] | None = None
        for example in _examples(dataset):
            content = _content(example, file_format, encoding)
            place = _place(example, file_format)
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as out:  # two records never share a file, not even by a collision of hashes
                out.write(content)
            row = _row(example, place, hashlib.sha256(content).hexdigest())
            if table is None:
                table = csv.DictWriter(file, list(row))
                table.writeheader()
            table.writerow(row)
            count += 1
    if count != dataset.records:
        raise DamagedError(
            f"{dataset.path} holds {count} records and should hold {dataset.records}: run the augmentation again"
        )
    about = {
        "dreambeam": versions()["dreambeam"],
        "dataset": dataset.run["config"]["name"],
        "format": file_format,
        "audio_encoding": encoding,
        "files": count,
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return count


def _content(example: Mapping[str, Any], file_format: str, encoding: str) -> bytes:
    try:
        return FORMATS[file_format][encoding](example["audio"], example["sample_rate"])
    except EncodingError as error:
        raise ExportError(f"{example['id']!r}: {error}: use --format wav") from error


def _examples(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Give a dataset's records, with the names of their labels."""
    names = dataset.labels
    for example in read_all(dataset):
        label = example["label"]
        example["label"] = names[label] if label >= 0 else None
        example["labels"] = [names[index] for index in example["labels"]] if names else None
        yield example


def _place(example: Mapping[str, Any], file_format: str) -> str:
    """Return the path of a record's file: by split and label, or at the top where it has no label."""
    name = record_file(example["id"], f".{file_format}")
    return name if example["label"] is None else f"{example['split']}/{label_folder(example['label'])}/{name}"


def _row(example: Mapping[str, Any], place: str, sha256: str) -> dict[str, Any]:
    """Return a record's row of metadata.csv; without any label in the dataset there are no columns of labels."""
    labels = {"label": example["label"], "labels": json.dumps(example["labels"], ensure_ascii=False)}
    keys = ("id", "source_id", "recipe", "transform", "variant", "target_name", "target_mid", "snr_db", "reached")
    return {
        "file_name": place,
        "split": example["split"],
        **(labels if example["labels"] is not None else {}),
        **{key: example[key] for key in keys},
        "sample_rate": example["sample_rate"],
        "sha256": sha256,
        **{key: value for key, value in sorted(example.items()) if key.startswith("group_")},
    }


def float_wav(waveform: np.ndarray, sample_rate: int) -> bytes:
    """Return a WAV file of 32-bit floats; libsndfile's would hold the time at which it was written (chunk PEAK).

    Source: Microsoft, "Multimedia Programming Interface and Data Specifications" 1.0 (RIFF), and "New Multimedia Data
    Types" 3.0 (format 3, with a fact chunk).
    """
    samples = np.ascontiguousarray(waveform.reshape(len(waveform), -1), "<f4")
    size, channels = samples.nbytes, samples.shape[1]
    if size > 0xFFFFFFFF - 50:
        raise ExportError(f"WAV holds no {size >> 30} GiB: set source.segment_seconds in the augmentation")
    head = struct.pack("<4sI4s", b"RIFF", size + 50, b"WAVE")
    kind = struct.pack(
        "<4sIHHIIHHH", b"fmt ", 18, 3, channels, sample_rate, sample_rate * channels * 4, channels * 4, 32, 0
    )
    return (
        head
        + kind
        + struct.pack("<4sII", b"fact", 4, len(samples))
        + struct.pack("<4sI", b"data", size)
        + samples.tobytes()
    )


def _integer_wav(samples: np.ndarray, sample_rate: int, bits: int) -> bytes:
    out = io.BytesIO()
    scaled = samples.astype(np.int32) << (32 - bits)  # libsndfile takes the upper bits
    soundfile.write(out, scaled, sample_rate, format="WAV", subtype=f"PCM_{bits}")
    return out.getvalue()


def _flac_as_wav(stored: bytes, rate: int) -> bytes:
    samples, bits = flac_samples(stored)
    return _integer_wav(samples, rate, bits)


FORMATS: dict[str, dict[str, Callable[[Any, int], bytes]]] = {
    "wav": {
        "float32": float_wav,
        "int16": lambda stored, rate: _integer_wav(stored, rate, 16),
        "flac": _flac_as_wav,
    },
    "flac": {
        "float32": lambda stored, rate: flac_bytes(quantise(stored, 24), rate),
        "int16": lambda stored, rate: flac_bytes(stored, rate, 16),
        "flac": lambda stored, rate: stored,
    },
}
"""Functions from a record's stored audio and its sample rate to a file, by format and the dataset's encoding."""
