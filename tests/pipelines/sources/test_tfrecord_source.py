"""TFRecords of any origin: what is found in a tf.train.Example, and what is refused."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import augment, failures_of, load, sound
from tfds_datasets import example, found, good, listed, write_records

from pipelines.clips.clips import Clip, decode
from pipelines.clips.listing import SourceError
from pipelines.clips.references import Failure, clip_ref, source_of
from pipelines.clips.tf_examples import Layout, read_frames
from pipelines.files.containers import ClipError
from pipelines.files.soundfiles import Shape
from pipelines.files.tfrecord import frame

WAVEFORM = np.random.default_rng(3).uniform(-0.5, 0.5, 3000).astype(np.float32)
INTEGERS = np.round(WAVEFORM * 32768).astype("<i2")


def encoded(container: str, waveform: np.ndarray = WAVEFORM, **kwargs: Any) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, waveform, 16_000, format=container, **kwargs)
    return stream.getvalue()


def only(path: Path, **source: Any) -> Clip:
    (ref,) = good(listed(path, **source)).values()
    return decode(ref)


def refusal(path: Path, **source: Any) -> Failure:
    (failure,) = found(listed(path, **source)).values()
    assert isinstance(failure, Failure)
    assert failure.error.isprintable()
    return failure


# What is read


@pytest.mark.parametrize(
    ("audio", "audio_bytes", "expected"),
    [
        (WAVEFORM, "file", WAVEFORM),
        (INTEGERS, "file", INTEGERS / 32768),
        (WAVEFORM.astype("<f4").tobytes(), "float32", WAVEFORM),
        (INTEGERS.tobytes(), "int16", INTEGERS / 32768),
        (encoded("WAV", subtype="FLOAT"), "file", WAVEFORM),
        (encoded("FLAC", INTEGERS), "file", INTEGERS / 32768),
    ],
    ids=["floats", "integers", "float32 bytes", "int16 bytes", "wav", "flac"],
)
def test_a_sound_is_read_however_it_is_stored(tmp_path: Path, audio: Any, audio_bytes: str, expected: Any) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example(audio=audio, sample_rate=16_000)])
    clip = only(path, audio_bytes=audio_bytes)
    np.testing.assert_array_equal(clip.waveform[:, 0], np.float32(expected))
    assert (clip.ref.sample_rate, clip.ref.channels, clip.ref.split) == (16_000, 1, "train")
    again = decode(clip_ref(json.loads(json.dumps(source_of(clip.ref, clip.sha256)))))
    np.testing.assert_array_equal(again.waveform, clip.waveform)
    assert again.sha256 == clip.sha256


@pytest.mark.parametrize(("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_a_lossy_file_in_a_record_gives_what_the_file_alone_gives(tmp_path: Path, container: str, subtype: str) -> None:
    data = encoded(container, np.tile(WAVEFORM, 10), subtype=subtype)
    path = write_records(tmp_path / "a.tfrecord", [example(audio=data)])
    expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(only(path).waveform, expected, atol=1e-6)
    pieces = [decode(ref).waveform for ref in good(listed(path), segment_seconds=0.5).values()]
    assert len(pieces) > 2
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-6)


def test_names_of_features_labels_splits_groups_and_ids_are_those_that_are_given(tmp_path: Path) -> None:
    records = [
        example(wave=WAVEFORM, hz=8_000.0, tags=["dog", "wolf"], key="a", part="test", fold=3),
        example(wave=WAVEFORM, hz=8_000.0, tags=["cat"], key="b", part="train", fold=1),
    ]
    path = write_records(tmp_path / "a.tfrecord", records)
    names = {"audio": "wave", "sample_rate": "hz", "labels": "tags", "id": "key", "split": "part"}
    clips = good(listed(path, features=names, group_columns=["fold"]))
    assert {(ref.id, ref.labels, ref.split, ref.groups) for ref in clips.values()} == {
        ("a", ("dog", "wolf"), "test", (("fold", "3"),)),
        ("b", ("cat",), "train", (("fold", "1"),)),
    }
    assert {ref.sample_rate for ref in clips.values()} == {8_000}


def test_the_usual_names_need_not_be_given_and_integers_are_their_decimals(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x/a.tfrecord-00000-of-00001", [example(audio=WAVEFORM, label=-12)])
    (ref,) = good(listed(tmp_path / "x/*.tfrecord-*", sample_rate=22_050)).values()
    assert (ref.id, ref.labels, ref.sample_rate) == ("a.tfrecord-00000-of-00001/00000000", ("-12",), 22_050)
    for given in (path, f"tfrecord:{path.parent}", f"tfrecord:{path.parent}/*"):
        assert good(listed(given, sample_rate=22_050)).keys() == {ref.id}
    separated = write_records(tmp_path / "b.tfrecord", [example(audio=WAVEFORM, labels="dog; wolf", sample_rate=8_000)])
    assert only(separated).ref.labels == ("dog; wolf",)
    assert only(separated, label_separator=";").ref.labels == ("dog", "wolf")


# What is refused


@pytest.mark.parametrize(
    ("features", "stage", "says"),
    [
        ({"sound": WAVEFORM}, "decode", "no feature 'audio': it has 'sound'"),
        ({"audio": WAVEFORM}, "validate", "source.sample_rate"),
        ({"audio": WAVEFORM, "sample_rate": 3}, "validate", "says 3 Hz"),
        ({"audio": WAVEFORM, "sample_rate": float("nan")}, "validate", "sample rate"),
        ({"audio": b"text", "sample_rate": 8_000}, "decode", "not readable audio"),
        ({"audio": b"", "sample_rate": 8_000}, "read", "is empty"),
        ({"audio": np.zeros(0, np.float32), "sample_rate": 8_000}, "decode", "no feature 'audio'"),
        ({"audio": [b"a", b"b"], "sample_rate": 8_000}, "decode", "2 values"),
        ({"audio": encoded("WAV")[:3000]}, "decode", "cut off"),
        ({"audio": WAVEFORM, "sample_rate": 8_000, "split": "../x"}, "label", "'../x'"),
    ],
)
def test_a_record_that_can_not_be_used_is_a_failure(
    tmp_path: Path, features: dict[str, Any], stage: str, says: str
) -> None:
    features = {key: value for key, value in features.items() if not (isinstance(value, np.ndarray) and not len(value))}
    failure = refusal(write_records(tmp_path / "a.tfrecord", [example(**features)]))
    assert failure.stage == stage
    assert says in failure.error


def test_a_feature_that_the_user_named_has_to_be_there(tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example(audio=WAVEFORM, sample_rate=8_000)])
    assert "no feature 'species'" in refusal(path, features={"label": "species"}).error
    assert "no feature 'fold'" in refusal(path, group_columns=["fold"]).error


def test_bytes_that_are_no_whole_number_of_samples_and_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(10, 8_000, 1, "TFRecord/int16")
    with pytest.raises(ClipError, match="5 bytes, not a number of int16"):
        read_frames(example(audio=b"12345"), Layout(samples="int16"), shape, 0, "x")
    with pytest.raises(ClipError, match="do not fill 2 channels"):
        read_frames(example(audio=b"123456"), Layout(samples="int16", channels=2), shape, 0, "x")
    monkeypatch.setattr("pipelines.clips.tf_examples.MAX_DECODED_BYTES", 1 << 20)
    bomb = example(audio=zlib.compress(bytes(2 << 20), 9))
    assert len(bomb) < 3000
    with pytest.raises(ClipError, match="decompresses to more"):
        read_frames(bomb, Layout(samples="int16", compressed=True), shape, 0, "x")
    with pytest.raises(ClipError, match="damaged"):
        read_frames(example(audio=b"12345678"), Layout(samples="int16", compressed=True), shape, 0, "x")


def test_a_spoiled_record_does_not_hide_the_others_and_a_spoiled_length_hides_the_rest(tmp_path: Path) -> None:
    frames = [frame(example(audio=WAVEFORM, sample_rate=8_000)) for _ in range(3)]
    spoiled = frames[1][:50] + b"x" + frames[1][51:]
    (tmp_path / "a.tfrecord").write_bytes(b"".join((frames[0], spoiled, frames[2])))
    clips = found(listed(tmp_path / "a.tfrecord"))
    assert [isinstance(clip, Failure) for clip in clips.values()] == [False, True, False]
    assert "checksum" in str(clips["a.tfrecord/00000001"])
    (tmp_path / "a.tfrecord").write_bytes(frames[0] + struct.pack("<Q", 1 << 62) + frames[1][8:] + frames[2])
    clips = found(listed(tmp_path / "a.tfrecord"))
    assert list(clips) == ["a.tfrecord/00000000", "a.tfrecord/00000001"]
    assert "nothing after it can be read" in str(clips["a.tfrecord/00000001"])
    (tmp_path / "a.tfrecord").write_bytes(b"".join(frames)[:-5])
    assert [isinstance(clip, Failure) for clip in found(listed(tmp_path / "a.tfrecord")).values()] == [
        False,
        False,
        True,
    ]


def test_compressed_shards_and_other_files_are_refused(tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example(audio=WAVEFORM)], "GZIP")
    assert "compressed by gzip; expected plain TFRecords" in refusal(path).error
    (tmp_path / "b.tfrecord").write_text("I am a text")
    assert "is no TFRecord" in refusal(tmp_path / "b.tfrecord").error
    path = write_records(tmp_path / "c.tfrecord", [b"\xff\xff\xff"])
    assert "not a tf.train.Example" in refusal(path).error
    with pytest.raises(SourceError, match="does not exist"):
        listed(tmp_path / "nowhere.tfrecord")
    with pytest.raises(SourceError, match="no files at all"):
        listed(tmp_path / "*.tfrecords9")


# A run


def test_a_run_over_tfrecords_of_several_labels_fails_the_second_of_an_id_and_sorts_numbers(tmp_path: Path) -> None:
    def record(key: str, *labels: int) -> bytes:
        return example(audio=np.float32(sound(key)[:, 0]), sample_rate=16_000, labels=list(labels), id=key)

    write_records(tmp_path / "a.tfrecord", [record("a", 10, 9), record("b", 2), record("a", 3)])
    changes = ("source.features={id: id}", "target={policy: class, classes: [Cat], label_policy: both}")
    told = augment(tmp_path / "a.tfrecord", tmp_path / "out", *changes)
    assert told["counts"]["records"] == 4
    assert list(failures_of(tmp_path / "out")) == ["a"]
    assert "another clip has the same id" in failures_of(tmp_path / "out")["a"]["error"]
    examples = load(tmp_path / "out")
    import tensorflow_datasets as tfds

    info: Any = tfds.builder_from_directory(tmp_path / "out").info
    names = info.features["label"].names
    assert names == ["2", "9", "10", "Cat"]
    assert [names[index] for index in examples["a:original"]["labels"]] == ["10", "9"]
    assert [names[index] for index in examples["a:deep_dream:0"]["labels"]] == ["10", "9", "Cat"]
