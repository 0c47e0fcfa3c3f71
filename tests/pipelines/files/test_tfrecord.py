"""TFRecord framing against TensorFlow's own writer."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipelines.files.tfrecord import (
    HEAD_BYTES,
    OVERHEAD_BYTES,
    FrameError,
    RecordError,
    frame,
    read_frame,
    read_frames,
    skip_frames,
)

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


def test_a_length_that_is_only_claimed_takes_no_memory() -> None:
    claim = (1 << 30).to_bytes(8, "little")
    import google_crc32c

    crc = google_crc32c.value(claim)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    with pytest.raises(FrameError, match="cut off"):
        list(read_frames(io.BytesIO(claim + masked.to_bytes(4, "little") + b"some bytes")))


def test_frames_read_back_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"".join(map(frame, RECORDS)))
    with (tmp_path / "x").open("rb") as file:
        assert [read_frame(file) for _ in RECORDS] == RECORDS
        assert read_frame(file) is None
        for count, record in enumerate(RECORDS):
            file.seek(0)
            skip_frames(file, count)
            assert read_frame(file) == record


@pytest.mark.parametrize("position", range(OVERHEAD_BYTES + 8))
def test_any_flipped_bit_is_named_and_what_can_follow_is_read(tmp_path: Path, position: int) -> None:
    damaged = bytearray(frame(b"a record"))
    damaged[position] ^= 4
    (tmp_path / "x").write_bytes(bytes(damaged) + frame(b"next"))
    with (tmp_path / "x").open("rb") as file:
        if position < 12:
            with pytest.raises(FrameError, match="its length is damaged"):
                read_frame(file)
        else:
            with pytest.raises(RecordError, match="its bytes are damaged"):
                read_frame(file)
            assert read_frame(file) == b"next"


@pytest.mark.parametrize("size", range(1, OVERHEAD_BYTES + 8))
def test_a_file_that_is_cut_off_says_so(tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(frame(b"a record")[:size])
    for read in (read_frame, lambda file: skip_frames(file, 2)):
        with (tmp_path / "x").open("rb") as file, pytest.raises(FrameError, match="cut off"):
            read(file)


def test_a_record_beyond_the_end_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(frame(b"a record"))
    with (tmp_path / "x").open("rb") as file, pytest.raises(FrameError, match="ends before it"):
        skip_frames(file, 2)
