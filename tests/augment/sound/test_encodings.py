"""Audio encodings: what comes back of a waveform, by how much it differs, and who can read it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recordings import augment, failures_of, load, record, samples, shards_of

from augment.sound.encodings import AUDIO_ENCODINGS, EncodingError, check_encoding, flac_bytes, flac_samples, quantise

BITS = {"int16": 16, "flac": 24}
CHANGES = ("recipe.steps=1", "recipe.hold=null", "recipe.keep=last")
WAVEFORMS = arrays(np.float32, (37, 2), elements=st.floats(-2, 2, width=32))


def snr_db(sound: np.ndarray, found: np.ndarray) -> float:
    error = found.astype(np.float64) - sound
    return float(10 * np.log10(np.sum(sound.astype(np.float64) ** 2) / np.sum(error**2)))


# Laws


@given(WAVEFORMS)
@settings(max_examples=30, deadline=None)
def test_float32_gives_back_every_bit(waveform: np.ndarray) -> None:
    encoding = AUDIO_ENCODINGS["float32"]
    assert encoding.restore(encoding.store(waveform, 16_000)).tobytes() == waveform.tobytes()
    assert encoding.kept(waveform).tobytes() == waveform.tobytes()


@pytest.mark.parametrize("name", BITS)
@given(waveform=WAVEFORMS)
@settings(max_examples=30, deadline=None)
def test_a_lossy_encoding_is_within_half_a_step_of_the_clipped_sound(name: str, waveform: np.ndarray) -> None:
    encoding, step = AUDIO_ENCODINGS[name], 2.0 ** (1 - BITS[name])
    found = encoding.restore(encoding.store(waveform, 16_000))
    np.testing.assert_array_equal(encoding.kept(waveform), found)
    assert encoding.kept(waveform).dtype == np.float32
    clipped = np.clip(waveform.astype(np.float64), -1, 1 - step)
    assert np.abs(found - clipped).max() <= step / 2
    assert found.dtype == np.float32


@pytest.mark.parametrize("name", AUDIO_ENCODINGS)
@given(waveform=WAVEFORMS)
@settings(max_examples=20, deadline=None)
def test_what_was_stored_is_stored_again_as_the_same_bytes(name: str, waveform: np.ndarray) -> None:
    encoding = AUDIO_ENCODINGS[name]
    once = encoding.store(waveform, 8_000)
    again = encoding.store(encoding.restore(once), 8_000)
    np.testing.assert_array_equal(once, again)


@given(arrays(np.int32, (50, 1), elements=st.integers(-(1 << 15), (1 << 15) - 1)))
@settings(max_examples=30, deadline=None)
def test_sounds_of_16_bits_lose_nothing_in_any_encoding(numbers: np.ndarray) -> None:
    waveform = numbers.astype(np.float32) / 32_768
    for encoding in AUDIO_ENCODINGS.values():
        np.testing.assert_array_equal(encoding.restore(encoding.store(waveform, 8_000)), waveform)


# By hand


def test_halves_are_rounded_to_even_and_full_scale_is_clipped() -> None:
    waveform = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 32_767, 32_768, -32_768, 1e6, -1e6], np.float32) / 32_768
    assert quantise(waveform, 16).tolist() == [0, 2, 2, 0, -2, 32_767, 32_767, -32_768, 32_767, -32_768]


@pytest.mark.parametrize("bits", [16, 24])
def test_a_flac_file_holds_the_integers_and_another_reader_finds_them(bits: int) -> None:
    full = 1 << (bits - 1)
    numbers = np.array([[0, -1], [1, full - 1], [-full, 12_345]], np.int32)
    file = flac_bytes(numbers, 48_000, bits)
    found, found_bits = flac_samples(file)
    assert found_bits == bits
    np.testing.assert_array_equal(found, numbers)
    heard, rate = soundfile.read(io.BytesIO(file), dtype="float64")
    assert rate == 48_000
    np.testing.assert_array_equal(heard, numbers / full)


@pytest.mark.parametrize(("rate", "channels"), [(700_000, 1), (96_001, 2), (44_100, 9)])
def test_flac_says_which_sounds_it_cannot_hold(rate: int, channels: int) -> None:
    with pytest.raises(EncodingError, match=rf"{rate} Hz and {channels} channels: use --audio-encoding"):
        check_encoding("flac", rate, channels)
    check_encoding("int16", rate, channels)


def test_a_sine_at_full_scale_keeps_98_db_in_16_bits_and_146_db_in_24() -> None:
    sine = np.sin(np.arange(48_000) * 0.1234567)[:, None]
    for bits, expected in ((16, 98.1), (24, 146.3)):  # 6.02 bits + 1.76 dB: Bennett (1948), a uniform error of a step
        assert snr_db(sine, quantise(sine, bits) / 2.0 ** (bits - 1)) == pytest.approx(expected, abs=0.5)


# In a dataset


@pytest.fixture(scope="module")
def recordings(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a real recording, and a sound beyond full scale."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "dog").mkdir()
    bark = samples(shared / "data/esc10-dev/dog_bark/1-100032-A.ogg")[88_200:132_300]  # where it barks
    soundfile.write(folder / "dog/bark.wav", bark, 44_100, subtype="FLOAT")
    loud = samples(record(folder / "loud/c.wav", 0.3)) * 4
    soundfile.write(folder / "loud/c.wav", loud, 16_000, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def exact(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    output = tmp_path_factory.mktemp("runs") / "exact"
    augment(recordings, output, *CHANGES)
    return load(output)


def integers(stored: Any) -> np.ndarray:
    """Return what a record of a lossy encoding holds, by means that are not dreambeam's."""
    if isinstance(stored, np.ndarray):
        return stored
    return np.asarray(soundfile.read(io.BytesIO(stored), dtype="int32")[0], np.int32) >> 8


@pytest.mark.parametrize("name", BITS)
def test_a_lossy_dataset_holds_the_exact_dreams_rounded_and_says_so(
    recordings: Path, exact: dict[str, dict[str, Any]], tmp_path: Path, name: str
) -> None:
    import tensorflow_datasets as tfds

    augment(recordings, tmp_path / "out", *CHANGES, f"audio_encoding={name}")
    examples = load(tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out/provenance.parquet").set_index("id")
    assert set(examples) == set(exact) == set(table.index)
    for id_, example in examples.items():
        stored, told, row = example["audio"], json.loads(example["provenance"]), table.loc[id_]
        sound = exact[id_]["audio"]
        np.testing.assert_array_equal(integers(stored), quantise(sound, BITS[name]))
        assert told["audio_encoding"] == row["audio_encoding"] == name
        assert told["output_sha256"] == row["output_sha256"] == hashlib.sha256(sound.tobytes()).hexdigest()
        kept = stored if isinstance(stored, bytes) else stored.astype("<i2").tobytes()
        assert told["stored_sha256"] == row["stored_sha256"] == hashlib.sha256(kept).hexdigest()
        np.testing.assert_array_equal(example["scores_after"], exact[id_]["scores_after"])
        assert example["snr_db"] == exact[id_]["snr_db"]
    info: Any = tfds.builder_from_directory(tmp_path / "out").info
    assert name in info.description.lower()
    augment(recordings, tmp_path / "again", *CHANGES, f"audio_encoding={name}", "batch_size=1")
    assert shards_of(tmp_path / "again") == shards_of(tmp_path / "out")


@pytest.mark.parametrize(("name", "least"), [("int16", 70), ("flac", 118)])
def test_rounding_a_real_dream_stays_far_below_the_dream(
    exact: dict[str, dict[str, Any]], name: str, least: float
) -> None:
    (dream,) = (example["audio"] for id_, example in exact.items() if id_.startswith("dog/") and "dream" in id_)
    encoding = AUDIO_ENCODINGS[name]
    found = snr_db(dream[:, None], encoding.restore(encoding.store(dream[:, None], 44_100)).reshape(-1, 1))
    print(f"{name}: {found:.1f} dB")
    assert found > least


def test_a_float32_dataset_says_nothing_new_in_its_records(exact: dict[str, dict[str, Any]]) -> None:
    for example in exact.values():
        assert not {"audio_encoding", "stored_sha256"} & set(json.loads(example["provenance"]))


@pytest.mark.parametrize("name", BITS)
def test_stereo_and_mixed_channel_counts_come_back(tmp_path: Path, name: str) -> None:
    stereo = record(tmp_path / "stereo/dog/a.wav", 0.2, channels=2)
    record(tmp_path / "mixed/dog/b.wav", 0.3, channels=1)
    shutil.copytree(tmp_path / "stereo", tmp_path / "mixed", dirs_exist_ok=True)
    for folder in ("stereo", "mixed"):
        augment(tmp_path / folder, tmp_path / f"{folder}-out", f"audio_encoding={name}")
        examples = load(tmp_path / f"{folder}-out")
        found = AUDIO_ENCODINGS[name].restore(examples["dog/a.wav:original"]["audio"])
        np.testing.assert_array_equal(found, samples(stereo))


def test_a_sound_that_flac_cannot_hold_is_a_failure_and_the_others_are_not(tmp_path: Path) -> None:
    record(tmp_path / "in/dog/a.wav", 0.2)
    record(tmp_path / "in/dog/many.wav", 0.2, channels=9)
    told = augment(tmp_path / "in", tmp_path / "out", "audio_encoding=flac")
    assert told["counts"]["records"] == 2
    failure = failures_of(tmp_path / "out")["dog/many.wav"]
    assert (failure["stage"], failure["records_lost"]) == ("encode", 2)
    assert "--audio-encoding float32" in failure["error"]
