"""A WAV whose header is wrong is read to its end, with a note; one that is truncated is refused."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import dreambeam, failures_of, load, record

from pipelines.clips.clips import Clip, decode, segments
from pipelines.clips.references import SoundFileRef, clip_ref, source_of
from pipelines.files.containers import ClipError
from pipelines.files.opening import bytes_opener
from pipelines.files.soundfiles import measure, read_frames

FRAMES = 5_001
SAMPLES = np.random.default_rng(5).uniform(-0.9, 0.9, (FRAMES, 1)).astype(np.float32)
KINDS: dict[str, Any] = {
    "pcm_16": {"format": "WAV", "subtype": "PCM_16"},
    "pcm_24": {"format": "WAV", "subtype": "PCM_24"},
    "float": {"format": "WAV", "subtype": "FLOAT"},
    "extensible": {"format": "WAVEX", "subtype": "PCM_16"},
    "big-endian": {"format": "WAV", "subtype": "PCM_16", "endian": "BIG"},
    "rf64": {"format": "RF64", "subtype": "PCM_16"},
}
UNFINISHED = {"0": 0, "2^31 - 1": 2**31 - 1, "2^31": 2**31, "2^31 - 36": 2**31 - 36, "sox": 0x7FFF_F000, "2^32 - 1": -1}


def wav(kind: str) -> tuple[bytearray, int, str, int]:
    """Write a WAV; give it, where its number of bytes is and how that is written, and where the samples begin."""
    out = io.BytesIO()
    soundfile.write(out, SAMPLES, 16_000, **KINDS[kind])
    data = bytearray(out.getvalue())
    start = data.index(b"data") + 8
    if kind == "rf64":
        return data, data.index(b"ds64") + 16, "<Q", start
    return data, start - 4, ">I" if kind == "big-endian" else "<I", start


def lie(kind: str, size: int) -> bytes:
    """Write a WAV that announces so many bytes of samples; -1 is the largest number of 32 bits."""
    data, at, layout, _ = wav(kind)
    data[at : at + struct.calcsize(layout)] = struct.pack(layout, size & 0xFFFF_FFFF)
    return bytes(data)


def read(path: Path) -> Clip:
    (clip,) = segments(SoundFileRef(path.name, str(path)), segment_seconds=None)
    return decode(clip)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "a.wav"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["len_zero", "len_zero_riff0", "len_80000000", "len_plus16"])
def test_real_headers_that_lie_are_read_to_the_end(shared: Path, name: str) -> None:
    path = shared / f"cases/wav_sizes/{name}.wav"
    clip = read(path)
    assert clip.waveform.shape == (19_200, 1)
    np.testing.assert_array_equal(clip.waveform[:, 0] * 32_768, np.frombuffer(path.read_bytes()[44:], "<i2"))
    assert "read to its end" in source_of(clip.ref, clip.sha256)["note"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", UNFINISHED)
@pytest.mark.parametrize("riff", [None, b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_an_unfinished_header_is_read_to_the_end(tmp_path: Path, kind: str, size: str, riff: bytes | None) -> None:
    right = read(written(tmp_path, bytes(wav(kind)[0])))
    data = bytearray(lie(kind, UNFINISHED[size]))
    data[4:8] = data[4:8] if riff is None else riff
    clip = read(written(tmp_path, bytes(data)))
    np.testing.assert_array_equal(clip.waveform, right.waveform)
    assert clip.waveform.shape == (FRAMES, 1)
    assert "the header announces" in clip.ref.note
    assert "note" not in source_of(right.ref, right.sha256)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [2, 16, "header", 256])
def test_a_few_bytes_too_many_are_noted(tmp_path: Path, kind: str, more: int | str) -> None:
    data, _, _, start = wav(kind)
    clip = read(written(tmp_path, lie(kind, len(data) - start + (start if isinstance(more, str) else more))))
    assert len(clip.waveform) == FRAMES
    assert f"the file has {len(data) - start}: it was read to its end" in clip.ref.note


@pytest.mark.parametrize("kind", KINDS)
def test_what_lacks_more_than_a_header_is_truncated(tmp_path: Path, kind: str) -> None:
    data, _, _, start = wav(kind)
    for size in (len(data) - start + 258, 2 * len(data), 10**9):
        with pytest.raises(ClipError, match="cut off"):
            read(written(tmp_path, lie(kind, size)))


def test_chunks_behind_no_samples_are_not_samples(tmp_path: Path) -> None:
    data = bytes(wav("pcm_16")[0][:40]) + bytes(4) + b"LIST" + struct.pack("<I", 8) + b"INFOISFT"
    with pytest.raises(ClipError, match="no samples") as caught:
        read(written(tmp_path, data))
    assert "remove" not in str(caught.value)


def test_a_record_is_read_as_its_file_is(tmp_path: Path) -> None:
    data = lie("pcm_16", 0)
    opener = bytes_opener(data, "it")
    shape = measure(opener, size=len(data), name="it")
    assert shape.note
    np.testing.assert_array_equal(read_frames(opener, shape, 0, "it").waveform, read(written(tmp_path, data)).waveform)


def test_the_note_goes_through_provenance_and_back(tmp_path: Path) -> None:
    clip = read(written(tmp_path, lie("pcm_16", 0)))
    told = json.loads(json.dumps(source_of(clip.ref, clip.sha256)))
    assert clip_ref(told).note == clip.ref.note
    del told["note"]  # as older datasets have it
    np.testing.assert_array_equal(decode(clip_ref(told)).waveform, clip.waveform)


def test_a_dataset_says_which_headers_were_wrong(tmp_path: Path) -> None:
    record(tmp_path / "in/dog/right.wav")
    (tmp_path / "in/dog/wrong.wav").write_bytes(lie("pcm_16", 2**31))
    out = tmp_path / "out"
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", out, "--steps", "1") == 0
    assert not failures_of(out)
    notes = {id_: json.loads(example["provenance"])["source"].get("note", "") for id_, example in load(out).items()}
    assert {id_ for id_, note in notes.items() if note} == {id_ for id_ in notes if "wrong" in id_}
    assert dreambeam("verify", out) == 0
    assert dreambeam("replay", out, "--id", "dog/wrong.wav:deep_dream:0", "--output", tmp_path / "again.wav") == 0
