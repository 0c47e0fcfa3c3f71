"""Clips: cutting by the header, decoding what is there, and refusing what cannot be used."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.clips import clips
from pipelines.clips.clips import Clip, decode, segments
from pipelines.clips.references import ClipRef, SoundFileRef, failure
from pipelines.files import containers, soundfiles
from pipelines.files.containers import ClipError

FORMATS = {
    "pcm_u8.wav": ("WAV", "PCM_U8"),
    "pcm_16.wav": ("WAV", "PCM_16"),
    "pcm_24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "ima.wav": ("WAV", "IMA_ADPCM"),
    "gsm.wav": ("WAV", "GSM610"),
    "big.wav": ("RF64", "PCM_16"),
    "a.w64": ("W64", "PCM_16"),
    "a.aiff": ("AIFF", "PCM_16"),
    "a.au": ("AU", "PCM_16"),
    "a.caf": ("CAF", "PCM_16"),
    "a.flac": ("FLAC", "PCM_16"),
    "a.ogg": ("OGG", "VORBIS"),
    "a.opus": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
}


def noise(seconds: float, rate: int = 8000, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


def write(path: Path, waveform: np.ndarray | None = None, rate: int = 8000, **kwargs: Any) -> Path:
    soundfile.write(path, noise(1.0) if waveform is None else waveform, rate, **kwargs)
    return path


def write_as(folder: Path, name: str, seconds: float = 3.2) -> Path:
    container, subtype = FORMATS[name]
    return write(folder / name, noise(seconds), format=container, subtype=subtype)


def ref(path: Path | str) -> SoundFileRef:
    return SoundFileRef(id=Path(path).name, uri=str(path), labels=("dog",))


def whole(path: Path | str) -> Clip:
    (clip,) = segments(ref(path), segment_seconds=None)
    return decode(clip)


def cut(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def refusal(path: Path | str) -> ClipError:
    """Give the error that reading a file whole ends in."""
    with pytest.raises(ClipError) as caught:
        whole(path)
    message = str(caught.value)
    assert message.isprintable(), message
    assert repr(str(path)) in message
    assert caught.value.stage in {"read", "decode", "validate"}
    return caught.value


# Cutting


@pytest.mark.parametrize(
    ("seconds", "segment_seconds", "suffixes"),
    [
        (10, 5, ["#t=0,5", "#t=5,10"]),
        (10, None, [""]),
        (5.9, 5, [""]),
        (5, 5, [""]),
        (5.975, 5, ["#t=0,5", "#t=5,5.975"]),
        (12, 2.5, ["#t=0,2.5", "#t=2.5,5", "#t=5,7.5", "#t=7.5,10", "#t=10,12"]),
        (10.974, 5, ["#t=0,5", "#t=5,10.974"]),
        (60.103, 55, ["#t=0,55", "#t=55,60.103"]),
        (1.2, 0.5, ["#t=0,0.5", "#t=0.5,1.2"]),
        (0.1, 5, [""]),
    ],
)
def test_segments_are_named_by_media_fragments(
    tmp_path: Path, seconds: float, segment_seconds: float | None, suffixes: list[str]
) -> None:
    path = write(tmp_path / "a.wav", np.zeros((round(seconds * 1000), 1)), 1000)
    cuts = segments(ref(path), segment_seconds=segment_seconds)
    assert [clip.id for clip in cuts] == [f"a.wav{suffix}" for suffix in suffixes]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.integers(1, 40_000), rate=st.integers(1000, 3000), segment_seconds=st.floats(0.01, 50))
def test_segments_tile_the_file_and_have_unique_ids(
    tmp_path: Path, frames: int, rate: int, segment_seconds: float
) -> None:
    path = write(tmp_path / "a.wav", np.zeros((frames, 1)), rate, subtype="PCM_U8")
    cuts = segments(ref(path), segment_seconds=segment_seconds)
    assert cuts[0].start == 0
    assert cuts[-1].stop == frames
    assert [clip.stop for clip in cuts[:-1]] == [clip.start for clip in cuts[1:]]
    assert len({clip.id for clip in cuts}) == len(cuts)
    lengths = np.array([clip.stop - clip.start for clip in cuts])
    assert (np.abs(lengths[:-1] - segment_seconds * rate) <= 1).all()
    if len(cuts) > 1:
        assert lengths[-1] >= min(segment_seconds, clips.MIN_REMAINDER_SECONDS) * rate - 1


def test_a_clip_ref_carries_what_its_file_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(1, 48_000, 2), 48_000)
    file = SoundFileRef("x/a.flac", str(path), ("dog", "wolf"), "test", (("fold", "2"),))
    assert segments(file, segment_seconds=None) == [
        ClipRef("x/a.flac", str(path), ("dog", "wolf"), "test", 0, 48_000, 48_000, 2, "FLAC/PCM_16", (("fold", "2"),))
    ]


@pytest.mark.parametrize("segment_seconds", [0, -1.0, float("nan"), float("inf")])
def test_an_impossible_segment_length_is_the_runs_fault(tmp_path: Path, segment_seconds: float) -> None:
    path = write(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="segment_seconds") as caught:
        segments(ref(path), segment_seconds=segment_seconds)
    assert not isinstance(caught.value, ClipError)


def test_segments_of_a_20_minute_file_concatenate_to_the_file(tmp_path: Path) -> None:
    waveform = noise(1200.4, 2000)
    path = write(tmp_path / "long.flac", waveform, 2000, subtype="PCM_24")
    cuts = segments(ref(path), segment_seconds=5)
    assert len(cuts) == 240  # the last 0.4 s are shorter than a patch
    joined = np.concatenate([decode(clip).waveform for clip in cuts])
    assert joined.shape == waveform.shape
    np.testing.assert_allclose(joined, waveform, atol=2**-23)


@pytest.mark.parametrize("name", FORMATS)
def test_segments_of_any_format_concatenate_to_the_file(tmp_path: Path, name: str) -> None:
    path = write_as(tmp_path, name, seconds=7.3)
    joined = [decode(clip) for clip in segments(ref(path), segment_seconds=1)]
    alone = whole(path)
    assert len(joined) > 3
    assert alone.ref.format == "/".join(FORMATS[name])
    np.testing.assert_allclose(np.concatenate([clip.waveform for clip in joined]), alone.waveform, atol=1e-6)
    assert {clip.sha256 for clip in joined} == {alone.sha256}


def test_segments_of_real_ogg_recordings_concatenate_to_the_file(shared: Path) -> None:
    # libsndfile misplaces what follows a seek into the last page of these
    paths = sorted((shared / "data/esc10-dev").glob("*/*.ogg"))[::10]
    assert paths
    for path in paths:
        alone, rate = soundfile.read(path, dtype="float32", always_2d=True)
        cuts = segments(ref(path), segment_seconds=1)
        assert [clip.start for clip in cuts] == [k * rate for k in range(len(cuts))]
        np.testing.assert_array_equal(np.concatenate([decode(clip).waveform for clip in cuts]), alone)


@pytest.mark.parametrize("container", ["OGG", "MP3"])
def test_segments_far_from_both_ends_of_a_lossy_file_are_exact(tmp_path: Path, container: str) -> None:
    path = tmp_path / "long"
    with soundfile.SoundFile(path, "w", 8000, 1, format=container) as file:
        for block in np.split(noise(300), 300):  # libsndfile's Vorbis encoder crashes on one long write
            file.write(block)
    alone = whole(path).waveform
    assert len(alone) > 2 * soundfiles.VORBIS_PAGE_FRAMES
    for clip in segments(ref(path), segment_seconds=20.02)[1::3]:
        np.testing.assert_allclose(decode(clip).waveform, alone[clip.start : clip.stop], atol=1e-6)


# Decoding


@pytest.mark.parametrize(
    ("rate", "channels", "name"),
    [
        (8_000, 1, "a.wav"),
        (192_000, 1, "a.wav"),
        (16_000, 6, "a.flac"),
        (1_000, 64, "a.wav"),
        (768_000, 1, "a.wav"),
        (16_000, 2, "née \u6c34 \U0001f415 #1 [x].wav"),
        (16_000, 1, "upper.WAV"),
        (16_000, 1, "a wav that is named.mp3"),
    ],
)
def test_rates_channels_and_names_are_kept(tmp_path: Path, rate: int, channels: int, name: str) -> None:
    waveform = noise(0.05, rate, channels)
    container = "FLAC" if name.endswith("flac") else "WAV"
    path = write(tmp_path / name, waveform, rate, format=container, subtype="PCM_16")
    clip = whole(path)
    assert clip.waveform.dtype == np.float32
    assert (clip.ref.sample_rate, clip.ref.channels) == (rate, channels)
    assert clip.ref.id == name
    np.testing.assert_allclose(clip.waveform, waveform, atol=2**-15)


def test_samples_beyond_one_are_neither_clipped_nor_rescaled(tmp_path: Path) -> None:
    waveform = noise(1.0) * 5
    np.testing.assert_array_equal(whole(write(tmp_path / "a.wav", waveform, subtype="FLOAT")).waveform, waveform)


def test_the_digest_is_of_the_whole_files_bytes_and_follows_a_change(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    assert whole(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    write(path, noise(1.0) / 2)
    os.utime(path, ns=(1, 1))
    assert whole(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digest_of_a_long_file_is_computed_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(10))
    before = containers.sha256.cache_info().misses
    for clip in segments(ref(path), segment_seconds=1):
        decode(clip)
    assert containers.sha256.cache_info().misses == before + 1


def test_a_file_uri_is_a_local_path(tmp_path: Path) -> None:
    path = write(tmp_path / "a b.wav")
    assert len(whole(path.as_uri()).waveform) == 8000


def test_a_file_of_another_file_system_gives_what_it_gives_locally(
    tmp_path: Path, memory_files: dict[str, bytes]
) -> None:
    for name in ("pcm_16.wav", "a.ogg", "a.flac", "a.mp3"):
        path = write_as(tmp_path, name, seconds=3)
        uri = f"mem://bucket/{name}"
        memory_files[uri] = path.read_bytes()
        for local, remote in zip(*(segments(ref(at), segment_seconds=1) for at in (path, uri)), strict=True):
            ours, theirs = decode(local), decode(remote)
            np.testing.assert_array_equal(ours.waveform, theirs.waveform)
            assert ours.sha256 == theirs.sha256
            assert theirs.ref.uri == uri


def test_a_broken_file_of_another_file_system_is_refused(tmp_path: Path, memory_files: dict[str, bytes]) -> None:
    path = write(tmp_path / "a.wav")
    memory_files["mem://bucket/cut.wav"] = path.read_bytes()[:9000]
    memory_files["mem://bucket/empty.wav"] = b""
    assert "cut off" in str(refusal("mem://bucket/cut.wav"))
    assert "0 bytes" in str(refusal("mem://bucket/empty.wav"))
    assert refusal("mem://bucket/nowhere.wav").stage == "read"
    assert refusal("nosuchsystem://bucket/a.wav").stage == "read"


def test_a_connection_that_breaks_is_a_read_error(tmp_path: Path, memory_files: dict[str, bytes]) -> None:
    uri = "mem://bucket/a.wav"
    memory_files[uri] = write(tmp_path / "a.wav").read_bytes()
    (clip,) = segments(ref(uri), segment_seconds=None)
    memory_files["mem:break after"] = b"x" * 5000
    with pytest.raises(ClipError, match="connection reset") as caught:
        decode(clip)
    assert caught.value.stage == "read"


# What a header says


def test_a_wav_that_claims_a_billion_frames_takes_little_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "lie.wav", noise(1.0), subtype="PCM_U8")
    data = bytearray(path.read_bytes())
    assert data[36:40] == b"data"
    data[40:44] = struct.pack("<I", 10**9)
    path.write_bytes(data)
    tracemalloc.start()
    try:
        error = refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.stage == "decode"
    assert peak < 10e6


def test_a_flac_of_unannounced_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "streamed.flac", noise(10))
    expected = whole(path).waveform
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO's 36 bits of total samples: 0 says unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(whole(path).waveform, expected)
    joined = [decode(clip).waveform for clip in segments(ref(path), segment_seconds=3)]
    assert len(joined) == 4
    np.testing.assert_array_equal(np.concatenate(joined), expected)


def test_a_flac_that_claims_too_much_is_refused_before_it_becomes_a_million_segments(tmp_path: Path) -> None:
    path = write(tmp_path / "lie.flac")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(ClipError, match="68719476735 frames"):
        segments(ref(path), segment_seconds=1)


def test_silence_that_compresses_to_nothing_is_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "silence.flac", np.zeros((8000 * 600, 1)))
    assert path.stat().st_size * 64 < 8000 * 600
    assert segments(ref(path), segment_seconds=None)[0].stop == 8000 * 600


# What cannot be used


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    error = refusal(cut(write_as(tmp_path, name, seconds=5), 0.6))
    assert error.stage == "decode"


@pytest.mark.parametrize("part", [0.3, 0.9, 0.99])
def test_a_truncated_real_recording_is_refused(shared: Path, tmp_path: Path, part: float) -> None:
    path = Path(shutil.copy(sorted((shared / "data/esc10-dev").glob("*/*.ogg"))[0], tmp_path / "a.ogg"))
    assert "cut off" in str(refusal(cut(path, part)))


def test_a_wav_is_known_to_be_truncated_behind_many_other_chunks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    data = path.read_bytes()
    chunks = b"".join(b"j%03d" % k + struct.pack("<I", 3) + b"abc\0" for k in range(200))
    path.write_bytes(data[:36] + chunks + data[36:])
    assert len(whole(path).waveform) == 8000
    assert "cut off" in str(refusal(cut(path, 0.8)))


def test_a_small_shortfall_of_an_mp3_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write_as(tmp_path, "a.mp3", seconds=20)
    announced = segments(ref(path), segment_seconds=None)[0].stop
    clip = whole(cut(path, 0.995))
    assert announced * 0.99 <= len(clip.waveform) < announced
    assert clip.ref.stop == len(clip.waveform)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(tmp_path / "nowhere.wav"))


def test_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    assert "is a folder" in str(refusal(tmp_path / "folder.wav"))


def test_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in str(refusal(tmp_path / "pipe.wav"))


def test_null_character_in_a_name_is_refused() -> None:
    assert refusal("nul\0.wav").stage == "read"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.wav", b"not a sound\n" * 100, "Format not recognised"),
        ("page.mp3", b"<html><body>404</body></html>", "not readable audio"),
        ("empty.wav", b"", "0 bytes"),
        ("head.wav", b"RIFF", "not readable audio"),
        ("head.ogg", b"OggS\0", "cut off"),
        ("samples.raw", bytes(1000), "not readable audio"),
    ],
)
def test_file_without_sound_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in str(refusal(tmp_path / name))


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.flac"])
def test_file_of_zero_samples_is_refused(tmp_path: Path, name: str) -> None:
    refusal(write(tmp_path / name, np.zeros((0, 1))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    waveform = noise(1.0, channels=2)
    waveform[4000, 1] = bad
    error = refusal(write(tmp_path / "a.wav", waveform, subtype="FLOAT"))
    assert error.stage == "validate"
    assert "0.500 s" in str(error)


@pytest.mark.parametrize(("rate", "channels"), [(999, 1), (768_001, 1), (8000, 65)])
def test_rate_or_channels_that_no_recording_has_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    path = write(tmp_path / "a.wav", noise(0.1, rate, channels), rate, subtype="PCM_16")
    assert refusal(path).stage == "validate"


def test_file_that_changed_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    (clip,) = segments(ref(path), segment_seconds=None)
    write(path, noise(1.0, 16_000), 16_000)
    with pytest.raises(ClipError, match="changed since it was listed"):
        decode(clip)


def test_control_characters_of_a_name_do_not_break_the_message(tmp_path: Path) -> None:
    name = "evil\n\x1b[31m\u2028.wav"
    error = refusal(write(tmp_path / name, np.zeros((0, 1))))
    assert r"evil\n\x1b[31m\u2028.wav" in str(error)


def test_a_failure_is_a_line_of_text(tmp_path: Path) -> None:
    file = ref(tmp_path / "nowhere.wav")
    with pytest.raises(ClipError) as caught:
        segments(file, segment_seconds=None)
    record = failure(file, caught.value)
    assert (record.uri, record.id, record.stage) == (file.uri, "nowhere.wav", "read")
    assert record.error == str(caught.value)


def test_a_clip_error_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(ClipError("what and why", "label")))
    assert (str(error), error.stage) == ("what and why", "label")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["pcm_16.wav", "float.wav", "ima.wav", "a.ogg", "a.opus", "a.flac"]))
def test_broken_bytes_raise_nothing_but_clip_errors(tmp_path: Path, data: st.DataObject, name: str) -> None:
    original = tmp_path / name
    if not original.exists():
        write_as(tmp_path, name, seconds=1.2)
    content = bytearray(original.read_bytes())
    near_the_start = st.integers(0, min(len(content) - 1, 80))
    anywhere = st.integers(0, len(content) - 1)
    for at, byte in data.draw(
        st.lists(st.tuples(near_the_start | anywhere, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        content[at] = byte
    broken = tmp_path / f"broken_{name}"
    broken.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        waveforms = [decode(clip).waveform for clip in segments(ref(broken), segment_seconds=1)[:20]]
    except ClipError:
        return
    assert all(waveform.dtype == np.float32 and np.isfinite(waveform).all() for waveform in waveforms)


def test_integers_in_a_float_file_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.full(1000, 20_000, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(ClipError, match=r"peaks at 20000.*divide its samples"):
        decode(segments(SoundFileRef("loud.wav", str(path)), segment_seconds=None)[0])
