"""MPEG audio is decoded to its last frame, whatever its header says or leaves out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.clips.clips import decode, decode_blocks, segments
from pipelines.clips.references import SoundFileRef
from pipelines.files import mpeg
from pipelines.files.containers import ClipError
from pipelines.files.opening import bytes_opener
from pipelines.files.soundfiles import measure, read_frames

RATE = 16_000
ID3 = b"ID3\4\0\0\0\0\x20\0" + bytes(4096)  # 0x20 in the third of four 7-bit digits is 4096 bytes


def loud_and_quiet(order: str) -> np.ndarray:
    """Give 8 s at 16 kHz, of which a variable bit rate makes large and small frames."""
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (4 * RATE, 1)).astype(np.float32)
    parts = {"l": noise, "q": 1e-3 * noise}
    return np.concatenate([parts[letter] for letter in order])


def mp3(order: str = "lq", *, tag: bool = True, mode: str = "VARIABLE", rate: int = RATE) -> bytes:
    """Encode such a sound, with or without the tag that says how long it is."""
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, 1, format="MP3", bitrate_mode=mode, compression_level=0.5) as file:
        file.write(loud_and_quiet(order))
    data = out.getvalue()
    found = mpeg.find_frames(io.BytesIO(data), len(data), "it")
    assert found is not None
    assert found.announced
    return data if tag else data[_length_of_first_frame(data) :]


def _length_of_first_frame(data: bytes) -> int:
    return data.index(data[:2], 2)


def read(path: Path, segment_seconds: float | None = None) -> np.ndarray:
    file = SoundFileRef(path.name, str(path))
    return np.concatenate([decode(clip).waveform for clip in segments(file, segment_seconds=segment_seconds)])


def written(folder: Path, data: bytes) -> Path:
    path = folder / "a.mp3"
    path.write_bytes(data)
    return path


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize(
    ("name", "frames"), [("quiet_first_vbr.mp3", 65_664), ("cbr_noxing.mp3", 58_752)]
)  # as ffmpeg counts the first
def test_real_streams_without_a_length_are_decoded_to_the_last_frame(shared: Path, name: str, frames: int) -> None:
    path = shared / "cases/mp3_without_length" / name
    alone = read(path)
    assert alone.shape == (frames, 1)
    np.testing.assert_allclose(read(path, 1), alone, atol=1e-6)


@pytest.mark.parametrize("order", ["lq", "ql", "l"])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_without_a_tag_all_is_decoded_and_cut_exactly(tmp_path: Path, order: str, mode: str) -> None:
    tagged = read(written(tmp_path, mp3(order, mode=mode)))
    path = written(tmp_path, mp3(order, tag=False, mode=mode))
    alone = read(path)
    assert 0 <= len(alone) - len(tagged) < 3 * 1152  # what the tag says of the encoder's delay and padding
    delay = 576 + 529
    assert correlation(alone[delay : delay + len(tagged) - delay], tagged[: len(tagged) - delay]) > 0.999
    np.testing.assert_allclose(read(path, 1.5), alone, atol=1e-6)
    (clip,) = segments(SoundFileRef("a", str(path)), segment_seconds=None)
    np.testing.assert_array_equal(np.concatenate(list(decode_blocks(clip))), alone)


@pytest.mark.parametrize("between", [b"", ID3, b"APETAGEX" + b"\xff" * 3000])
@pytest.mark.parametrize("tag", [True, False])
def test_streams_that_are_joined_are_all_decoded(tmp_path: Path, between: bytes, tag: bool) -> None:
    one, two = mp3("lq", tag=tag), mp3("ql", tag=tag)
    first, second = (read(written(tmp_path, data)) for data in (one, two))
    path = written(tmp_path, one + between + two)
    both = read(path)
    assert len(first) + len(second) <= len(both) < len(first) + len(second) + 5 * 1152
    np.testing.assert_array_equal(both[: len(first) - 1152], first[: len(first) - 1152])
    end = len(second) // 2
    at = len(both) - end
    lags = [correlation(both[at - lag : len(both) - lag], second[-end:]) for lag in range(2400)]
    assert max(lags) > 0.999
    np.testing.assert_allclose(read(path, 3), both, atol=1e-6)


def test_an_id3_tag_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    for tag in (True, False):
        data = mp3("l", tag=tag, mode="CONSTANT")
        frame = _length_of_first_frame(data)
        middle = 50 * frame
        assert data[middle : middle + 2] == data[:2]
        alone = read(written(tmp_path, data))
        np.testing.assert_array_equal(read(written(tmp_path, data[:middle] + ID3 + data[middle:])), alone)


def test_tags_at_both_ends_change_nothing(tmp_path: Path) -> None:
    for data in (mp3("ql"), mp3("ql", tag=False)):
        alone = read(written(tmp_path, data))
        np.testing.assert_array_equal(read(written(tmp_path, ID3 + data + b"TAG" + bytes(125))), alone)


def test_a_tag_that_counts_too_few_frames_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(mp3("lq"))
    found = mpeg.find_frames(io.BytesIO(data), len(data), "it")
    assert found is not None
    assert found.tag_at is not None
    whole = read(written(tmp_path, bytes(data)))
    data[found.tag_at : found.tag_at + 4] = (100).to_bytes(4, "big")
    short = read(written(tmp_path, bytes(data)))
    np.testing.assert_array_equal(short[: len(whole)], whole)


def test_a_tag_that_counts_more_frames_than_there_are_is_a_truncated_file(tmp_path: Path) -> None:
    data = mp3("lq")
    with pytest.raises(ClipError, match="cut off"):
        read(written(tmp_path, data[: len(data) // 2]))


def test_a_file_with_a_tag_that_fits_is_read_as_it_is(tmp_path: Path) -> None:
    data = mp3("ql")
    found = mpeg.find_frames(io.BytesIO(data), len(data), "it")
    assert found is not None
    assert found.plain
    path = written(tmp_path, data)
    with soundfile.SoundFile(path) as file:
        expected = file.read(1 << 20, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read(path), expected)


def test_streams_of_different_rates_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"different sample rates.*part it"):
        read(written(tmp_path, mp3("l") + mp3("l", rate=22_050)))


def test_layer_two_is_counted_by_decoding(tmp_path: Path) -> None:
    frames = []
    for bits in (14, 2):  # 384 and 48 kbit/s at 48 kHz, all bands empty
        header = 0xFFFD_0000 | bits << 12 | 1 << 10
        size = {14: 1152, 2: 144}[bits]
        frames += [header.to_bytes(4, "big") + bytes(size - 4)] * 20
    assert read(written(tmp_path, b"".join(frames))).shape == (40 * 1152, 2)


def test_a_record_and_a_file_of_another_file_system_give_the_same(
    tmp_path: Path, memory_files: dict[str, bytes]
) -> None:
    data = mp3("ql", tag=False)
    alone = read(written(tmp_path, data))
    memory_files["mem://bucket/a.mp3"] = data
    (clip,) = segments(SoundFileRef("a", "mem://bucket/a.mp3"), segment_seconds=None)
    np.testing.assert_array_equal(decode(clip).waveform, alone)
    opener = bytes_opener(data, "it")
    shape = measure(opener, size=len(data), name="it")
    np.testing.assert_array_equal(read_frames(opener, shape, 0, "it").waveform, alone)


BASE = mp3("l", tag=False)[:6000]


@settings(max_examples=150)
@given(edits=st.lists(st.tuples(st.integers(0, 5999), st.integers(0, 255)), max_size=12), stop=st.integers(0, 6000))
def test_any_bytes_have_a_number_of_frames_or_a_reason(edits: list[tuple[int, int]], stop: int) -> None:
    data = bytearray(BASE)
    for at, byte in edits:
        data[at] = byte
    data = data[:stop]
    try:
        found = mpeg.find_frames(io.BytesIO(data), len(data), "it")
    except ClipError:
        return
    if found is not None:
        assert 0 < found.count <= len(data) // 24
        assert all(0 < start < end < len(data) for start, end in found.gaps)
        stream = mpeg.relaid(io.BytesIO(data), found)
        assert len(stream.read(len(data))) == len(data) - sum(end - start for start, end in found.gaps)
