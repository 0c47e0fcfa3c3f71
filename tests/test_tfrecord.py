"""TFRecord framing against TensorFlow's own writer."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipelines.tfrecord import HEAD_BYTES, OVERHEAD_BYTES, FrameError, frame, read_frames

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


def test_records_are_read_back_with_their_places() -> None:
    data = b"".join(map(frame, RECORDS))
    found = list(read_frames(io.BytesIO(data)))
    assert [record for _, record in found] == RECORDS
    assert [data[offset : offset + len(record)] for offset, record in found] == RECORDS
    assert found[0][0] == HEAD_BYTES


@pytest.mark.parametrize("cut", [1, 4, 12, 13, 15, 100])
def test_a_file_that_is_cut_off_gives_its_whole_records_and_then_an_error(cut: int) -> None:
    frames = read_frames(io.BytesIO((frame(b"first") + frame(b"x" * 100))[:-cut]))
    assert next(frames) == (HEAD_BYTES, b"first")
    with pytest.raises(FrameError, match="cut off"):
        next(frames)


@pytest.mark.parametrize("position", [0, 9, 13, 21])
def test_a_flipped_bit_is_an_error(position: int) -> None:
    damaged = bytearray(frame(b"a record"))
    damaged[position] ^= 1
    with pytest.raises(FrameError, match="damaged"):
        list(read_frames(io.BytesIO(bytes(damaged))))


def test_a_length_that_is_only_claimed_takes_no_memory() -> None:
    claim = (1 << 30).to_bytes(8, "little")
    import google_crc32c

    crc = google_crc32c.value(claim)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    with pytest.raises(FrameError, match="cut off"):
        list(read_frames(io.BytesIO(claim + masked.to_bytes(4, "little") + b"some bytes")))
