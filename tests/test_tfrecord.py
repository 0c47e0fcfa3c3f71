"""TFRecord framing against TensorFlow's own writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.tfrecord import OVERHEAD_BYTES, frame

RECORDS = [b"", b"a", bytes(range(256)), b"\0" * 100_003]


def test_framed_records_are_the_bytes_that_tensorflow_writes(tmp_path: Path) -> None:
    import tensorflow as tf

    path = str(tmp_path / "theirs.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    assert b"".join(map(frame, RECORDS)) == Path(path).read_bytes()


@pytest.mark.parametrize("record", RECORDS, ids=len)
def test_framing_adds_its_overhead(record: bytes) -> None:
    assert len(frame(record)) == len(record) + OVERHEAD_BYTES


def test_a_flipped_bit_is_noticed_by_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    damaged = bytearray(frame(b"a record"))
    damaged[14] ^= 1
    (tmp_path / "x").write_bytes(damaged)
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "x")))
