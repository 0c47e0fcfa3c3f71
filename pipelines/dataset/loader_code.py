"""Loading: the code that reads a dataset back, made from its features.

`loader` gives load.py, which lies in each dataset and reads it in three ways: by TFDS, by TensorFlow alone, and its
table by pandas. It does not need dreambeam. `snippet` gives a few lines for the end of a run. Names that come from
users are only ever quoted.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

SNIPPET_KEYS = ("id", "audio", "sample_rate", "label")
"""Fields that the snippet parses; load.py parses all."""

_LOADER = string.Template(
    '''"""Read this dataset: by TensorFlow Datasets, by TensorFlow alone, and its table of provenance by pandas.

    python load.py [SPLIT]    shows a record as each of them gives it

$says
"""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
NAME = $name
SPLITS = $splits


def load_tfds(split=SPLITS[0]):
    """Give the records of a split as a tf.data.Dataset, by TensorFlow Datasets."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(FOLDER).as_dataset(split=split)


def load_tensorflow(split=SPLITS[0]):
    """Give the same records as a tf.data.Dataset, by TensorFlow alone."""
    import tensorflow as tf

    files = sorted(str(path) for path in FOLDER.glob(f"{NAME}-{split}.tfrecord-*"))
    return tf.data.TFRecordDataset(files).map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def load_table():
    """Give a row for each record, without its audio and its 521 scores, as a pandas.DataFrame."""
    import pandas

    return pandas.read_parquet(FOLDER / "provenance.parquet")


def parse(record):
    """Parse a record of the TFRecord files, a serialised tf.train.Example."""
    import tensorflow as tf

    spec = {
$spec
    }
    example = tf.io.parse_single_example(record, spec)
$finish
    return example


def waveform(audio):
    """Return the sound of a record's `audio`, given as NumPy or bytes: float32 $shape, full scale 1."""
$waveform


def with_waveforms(dataset):
    """Return the records of a tf.data.Dataset with the sound in `audio`: float32 $shape, full scale 1."""
$with_waveforms


def label_names():
    """Return the names of the labels, in the order of their numbers."""
    return [line for line in (FOLDER / "label.labels.txt").read_text(encoding="utf-8").split("\\n") if line]


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else SPLITS[0]
    for load in (load_tfds, load_tensorflow):
        for example in load(chosen).take(1):
            shape, rate = waveform(example["audio"].numpy()).shape, int(example["sample_rate"])
            print(f"{load.__name__}: {example['id'].numpy().decode()}: {shape} at {rate} Hz")
    print(load_table())
'''
)

_WAVEFORM = {
    "float32": ("    return audio", "    return dataset"),
    "int16": (
        """\
    import numpy

    return numpy.asarray(audio, numpy.float32) / numpy.float32(32768)""",
        """\
    import tensorflow as tf

    return dataset.map(lambda example: {**example, "audio": tf.cast(example["audio"], tf.float32) / 32768.0})""",
    ),
    "flac": (
        """\
    import io

    import soundfile

    return soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=$flat)[0]""",
        """\
    import tensorflow as tf

    def decode(example):
        audio = tf.numpy_function(waveform, [example["audio"]], tf.float32)
        return {**example, "audio": tf.ensure_shape(audio, $sizes)}

    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)""",
    ),
}
"""What turns `audio` into a sound, by encoding: for one record, and for a tf.data.Dataset."""


def loader(
    features: Any, name: str, splits: Iterable[str], *, audio_encoding: str, channels: tuple[int, ...], says: str
) -> str:
    """Return the text of load.py.

    Args:
        features: `schema.features` of the dataset.
        name: of the dataset, in TFDS.
        splits: of the dataset; "train", or else the first, is read unless another is named.
        audio_encoding: a key of `encodings.AUDIO_ENCODINGS`.
        channels: channel counts that occur.
        says: a sentence on the audio.
    """
    ordered = sorted(splits, key=lambda split: (split != "train", split))
    mono = channels in ((), (1,))
    one, many = (
        string.Template(text).substitute(flat=not mono, sizes="[None]" if mono else "[None, None]")
        for text in _WAVEFORM[audio_encoding]
    )
    return _LOADER.substitute(
        says=says,
        name=repr(name),
        splits=repr(ordered),
        spec="\n".join(f"        {key!r}: {spec}," for key, spec in _specs(features)),
        finish="\n".join(f"    {line}" for line in _finish(features, list(features))),
        waveform=one,
        with_waveforms=many,
        shape="[samples]" if mono else "[samples, channels]",
    )


def snippet(features: Any, folder: str, *, name: str, split: str) -> str:
    """Return a few lines that read `SNIPPET_KEYS` of a split by TensorFlow alone."""
    specs = {key: spec for key, spec in _specs(features) if key.partition("/")[0] in SNIPPET_KEYS}
    finish = _finish(features, SNIPPET_KEYS)
    lines = [
        "import pathlib, tensorflow as tf",
        f"files = sorted(map(str, pathlib.Path({folder!r}).glob({f'{name}-{split}.tfrecord-*'!r})))",
        "spec = {",
        *(f"    {key!r}: {spec}," for key, spec in specs.items()),
        "}",
        "def parse(record):",
        "    example = tf.io.parse_single_example(record, spec)",
        *(f"    {line}" for line in finish),
        "    return example",
        "dataset = tf.data.TFRecordDataset(files).map(parse)",
    ]
    return "\n".join(lines)


def _specs(features: Any) -> Iterator[tuple[str, str]]:
    """Give the name of each field of the tf.train.Example, and the text of its tf.io specification."""
    for key, info in sorted(features.get_serialized_info().items()):
        parts = {f"{key}/{part}": of for part, of in info.items()} if isinstance(info, dict) else {key: info}
        for name, of in parts.items():
            sizes, kind = list(of.shape), _kind(of.np_dtype)
            if sizes and sizes[0] is None:
                yield name, f"tf.io.FixedLenSequenceFeature({sizes[1:]}, {kind}, allow_missing=True)"
            else:
                yield name, f"tf.io.FixedLenFeature({sizes}, {kind})"


def _kind(dtype: Any) -> str:
    """Return the one of tf.train.Example's three kinds that holds a type."""
    kind = np.dtype(dtype).kind
    return "tf.float32" if kind == "f" else "tf.int64" if kind in "iub" else "tf.string"


def _finish(features: Any, keys: Iterable[str]) -> Iterator[str]:
    """Give the lines that turn parsed fields into what TFDS gives: bytes into samples, numbers into truth values."""
    for key in keys:
        info, stored = features[key].get_tensor_info(), features[key].get_serialized_info()
        dtype = np.dtype(info.np_dtype)
        if isinstance(stored, dict):  # of two unknown sizes
            raw = f"tf.io.decode_raw(example.pop({f'{key}/value'!r}), tf.{dtype.name})"
            yield f"example[{key!r}] = tf.reshape({raw}, example.pop({f'{key}/shape'!r}))"
        elif dtype.kind in "if" and np.dtype(stored.np_dtype).kind == "O":
            sizes = [-1 if size is None else size for size in info.shape]
            yield f"example[{key!r}] = tf.reshape(tf.io.decode_raw(example[{key!r}], tf.{dtype.name}), {sizes})"
        elif dtype.kind == "b":
            yield f"example[{key!r}] = tf.cast(example[{key!r}], tf.bool)"
