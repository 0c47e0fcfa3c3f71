"""TFDS: datasets as sources, read as TFDS itself reads them."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from recordings import augment, dreambeam, load, record, samples, shards_of
from tfds_datasets import NAMES, build, digit_features, digits, good, listed, spoken_digit

from pipelines.clips.clips import decode
from pipelines.clips.listing import SourceError
from pipelines.clips.references import clip_ref, source_of


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    spoken_digit(folder)
    return folder


def as_tfds_reads(folder: Path, split: str) -> list[dict[str, Any]]:
    import tensorflow_datasets as tfds

    builder: Any = tfds.builder_from_directory(folder)
    return list(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)))


# What is read


def test_every_example_is_a_clip_with_the_samples_label_and_split_that_tfds_gives(data_dir: Path) -> None:
    listing = listed("tfds:spoken_digit", data_dir=str(data_dir), group_columns=["speaker"])
    assert (listing.classes, listing.groups) == (NAMES, ("speaker",))
    clips = good(listing)
    for split, count in (("train", 5), ("test", 2)):
        expected = as_tfds_reads(data_dir / "spoken_digit/1.0.0", split)
        assert len(expected) == count
        for number, example in enumerate(expected):
            ref = clips.pop(f"{split}/{number}")
            clip = decode(ref)
            np.testing.assert_array_equal(clip.waveform[:, 0] * 32768, example["audio"])
            assert (ref.labels, ref.split) == ((NAMES[example["label"]],), split)
            assert ref.groups == (("speaker", example["speaker"].decode()),)
            assert (ref.sample_rate, ref.channels) == (8000, 1)
    assert clips == {}


def test_a_dataset_is_found_by_name_version_and_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_dir / "spoken_digit/1.0.0"
    expected = good(listed(folder))
    assert len(expected) == 7
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    for given in ("tfds:spoken_digit", "tfds:spoken_digit:1.0.0", f"tfds:{folder}", f"{folder}/", folder.as_uri()):
        assert good(listed(given)) == expected


def test_the_last_version_and_the_config_that_is_named_are_read(data_dir: Path, tmp_path: Path) -> None:
    for path in ("digits/loud/1.2.0", "digits/loud/1.10.0", "digits/low/1.0.0"):
        shutil.copytree(data_dir / "spoken_digit/1.0.0", tmp_path / path)
    for given, version in (("digits/loud", "loud/1.10.0"), ("digits/loud:1.2.0", "loud/1.2.0"), ("digits/low", "low/")):
        clips = good(listed(f"tfds:{given}", data_dir=str(tmp_path)))
        assert {f"digits/{version}" in clip.uri for clip in clips.values()} == {True}


def test_ids_do_not_depend_on_the_number_of_shards(tmp_path: Path) -> None:
    digests = []
    for shards in (1, 3):
        splits = {"train": digits(11)}
        folder = build(tmp_path / str(shards), digit_features(), splits, shards)
        assert len(list(folder.glob("*.tfrecord-*"))) == shards
        digests.append({id_: decode(clip).sha256 for id_, clip in good(listed(folder)).items()})
    assert digests[0] == digests[1]
    assert sorted(digests[0]) == [f"train/{number:02d}" for number in range(11)]


def test_splits_can_be_chosen(data_dir: Path) -> None:
    folder = data_dir / "spoken_digit/1.0.0"
    assert set(good(listed(folder, splits=["test"]))) == {"test/0", "test/1"}
    with pytest.raises(SourceError, match="no split 'tset'; choices: test, train"):
        listed(folder, splits=["tset"])


def _kinds() -> dict[str, tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Give ways to store a sound in TFDS: arguments of the feature, what is stored, and the samples it stands for."""
    mono = np.random.default_rng(1).uniform(-0.5, 0.5, 2000).astype(np.float32)
    stereo = mono.reshape(-1, 2)
    integers = np.round(mono * 32768).astype(np.int16)
    return {
        "float": ({"shape": (None,), "dtype": np.float32}, mono, mono),
        "stereo": ({"shape": (None, 2), "dtype": np.float32}, stereo, stereo),
        "fixed": ({"shape": (2000,), "dtype": np.float32}, mono, mono),
        "int16": ({"shape": (None,), "dtype": np.int16}, integers, integers / 32768),
        "int32": ({"shape": (None,), "dtype": np.int32}, integers.astype(np.int32), integers / 32768),
        "zlib": ({"shape": (None, 2), "dtype": np.float32, "encoding": "zlib"}, stereo, stereo),
        "bytes": ({"shape": (None,), "dtype": np.int16, "encoding": "bytes"}, integers, integers / 32768),
        "float64": (
            {"shape": (None,), "dtype": np.float64, "encoding": "bytes"},
            mono.astype(np.float64),
            mono,
        ),
    }


@pytest.mark.parametrize("kind", _kinds())
def test_a_sound_is_read_however_tfds_stores_it(tmp_path: Path, kind: str) -> None:
    import tensorflow_datasets as tfds

    arguments, stored, expected = _kinds()[kind]
    f = tfds.features  # its Audio encodes no arrays, although it decodes them
    feature = f.Tensor(**arguments) if "encoding" in arguments else f.Audio(**arguments)
    features = {"sound": feature, "rate": f.Scalar(np.int64)}
    folder = build(tmp_path, features, {"train": [{"sound": stored, "rate": 8000}]}, 1)
    names = {"audio": "sound", "sample_rate": "rate"}
    (ref,) = good(listed(folder, features=names)).values()
    np.testing.assert_array_equal(decode(ref).waveform, np.float32(expected).reshape(ref.stop, -1))
    np.testing.assert_array_equal(as_tfds_reads(folder, "train")[0]["sound"], stored)
    halves = good(listed(folder, features=names), segment_seconds=0.0625 if ref.stop == 1000 else 0.125)
    joined = np.concatenate([decode(clip).waveform for clip in halves.values()])
    np.testing.assert_array_equal(joined, decode(ref).waveform)


def test_a_sound_of_any_number_of_channels_and_a_file_inside_an_example_are_read(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    tensor = tfds.features.Tensor(shape=(None, None), dtype=np.float32, encoding="bytes")
    waveforms = [np.random.default_rng(n).uniform(-1, 1, (900, n)).astype(np.float32) for n in (1, 3)]
    features = {"audio": tensor, "sample_rate": tfds.features.Scalar(np.int64)}
    examples = [{"audio": waveform, "sample_rate": 16_000 + n} for n, waveform in enumerate(waveforms)]
    clips = [decode(ref) for ref in good(listed(build(tmp_path / "a", features, {"train": examples}, 1))).values()]
    for clip, example in zip(clips, examples, strict=True):
        np.testing.assert_array_equal(clip.waveform, example["audio"])
        assert clip.ref.sample_rate == example["sample_rate"]
    flac = io.BytesIO()
    soundfile.write(flac, waveforms[1], 22_050, format="FLAC")
    features = {"file": tfds.features.Text()}
    folder = build(tmp_path / "b", features, {"train": [{"file": flac.getvalue()}]}, 1)
    (ref,) = good(listed(folder, features={"audio": "file"})).values()
    assert (ref.format, ref.sample_rate, ref.channels) == ("FLAC/PCM_16", 22_050, 3)
    np.testing.assert_allclose(decode(ref).waveform, waveforms[1], atol=2**-15)


def test_labels_are_those_of_the_feature_that_is_named_or_usual(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    f = tfds.features
    features = {
        "audio": f.Audio(shape=(None,), dtype=np.float32, sample_rate=8000),
        "labels": f.Sequence(f.ClassLabel(names=["wolf", "dog"])),
        "number": f.Scalar(np.int64),
        "species": f.ClassLabel(names=["canis", "felis"]),
        "word": f.Text(),
    }
    example = {
        "audio": np.ones(999, np.float32),
        "labels": ["dog", "wolf"],
        "number": 7,
        "species": 0,
        "word": "bow\nwow",
    }
    folder = build(tmp_path / "a", features, {"train": [example]}, 1)
    for named, labels, classes in (
        (None, ("dog", "wolf"), ("wolf", "dog")),
        ("number", ("7",), ()),
        ("species", ("canis",), ("canis", "felis")),
        ("word", ("bow wow",), ()),
    ):
        listing = listed(folder, label_column=named)
        assert listing.classes == classes
        assert next(iter(good(listing).values())).labels == labels
    with pytest.raises(SourceError, match=r"no feature 'wrd'; choices: .*'word'"):
        listed(folder, label_column="wrd")
    del features["labels"], example["labels"]
    folder = build(tmp_path / "b", features, {"train": [example]}, 1)
    assert next(iter(good(listed(folder)).values())).labels == ("canis",)
    features["genus"] = features["species"]
    folder = build(tmp_path / "c", features, {"train": [{**example, "genus": 1}]}, 1)
    with pytest.raises(SourceError, match=r"several ClassLabels; choose one with --label-column: \w+, \w+$"):
        listed(folder)


def test_a_clip_is_found_again_from_what_its_provenance_says(data_dir: Path) -> None:
    for ref in good(listed(data_dir / "spoken_digit/1.0.0"), segment_seconds=0.1).values():
        clip = decode(ref)
        again = decode(clip_ref(json.loads(json.dumps(source_of(clip.ref, clip.sha256)))))
        np.testing.assert_array_equal(again.waveform, clip.waveform)
        assert again.sha256 == clip.sha256


# What is refused


def test_a_dataset_that_is_not_there_is_refused_with_what_to_do(data_dir: Path, tmp_path: Path) -> None:
    for given, says in (("tfds:spoken_digti", "build it first"), ("tfds:spoken_digit:9.9.9", "build it first")):
        with pytest.raises(SourceError, match=says) as caught:
            listed(given, data_dir=str(data_dir))
        assert str(data_dir) in str(caught.value)
    with pytest.raises(SourceError, match=r"features\.json"):
        listed(f"tfds:{tmp_path}/nowhere")
    for given in ("tfds:", "tfds:../../etc", "tfds:a/../b"):
        with pytest.raises(SourceError):
            listed(given, data_dir=str(data_dir))


def spoiled(data_dir: Path, target: Path, name: str, old: str, new: str) -> Path:
    shutil.copytree(data_dir / "spoken_digit/1.0.0", target)
    text = (target / name).read_text()
    assert old in text
    (target / name).write_text(text.replace(old, new))
    return target


def test_features_of_foreign_classes_are_not_imported(data_dir: Path, tmp_path: Path) -> None:
    name = "tensorflow_datasets.core.features.text_feature.Text"
    (tmp_path / "evil_module.py").write_text("raise SystemExit('executed')")
    folder = spoiled(data_dir, tmp_path / "set", "features.json", name, "evil_module.Text")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(SourceError, match=r"'evil_module\.Text', which is not of TFDS"):
            listed(folder)
    finally:
        sys.path.remove(str(tmp_path))
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            "dataset_info.json",
            '"fileFormat": "tfrecord"',
            '"fileFormat": "array_record"',
            "'array_record'; expected tfrecord",
        ),
        ("dataset_info.json", "{DATASET}-{SPLIT}", "../{DATASET}-{SPLIT}", "lies outside it"),
        ("dataset_info.json", '"name": "test"', '"name": "../test"', "expected letters"),
        ("dataset_info.json", "{", "[", "not readable JSON"),
        ("features.json", "{", "[" * 100_000, "not readable JSON"),
        ("features.json", "int64", "int65", "no dataset that TFDS can read"),
        ("features.json", '"sampleRate": "8000"', '"sampleRate": "0"', "source.sample_rate"),
    ],
)
def test_a_dataset_that_can_not_be_used_is_one_line(
    data_dir: Path, tmp_path: Path, name: str, old: str, new: str, says: str
) -> None:
    folder = spoiled(data_dir, tmp_path / "set", name, old, new)
    with pytest.raises(SourceError, match=says) as caught:
        listed(folder)
    assert "\n" not in str(caught.value)


# Runs


def test_a_run_over_a_tfds_dataset_keeps_its_classes_and_splits_and_chains(data_dir: Path, tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    arguments = ("--data-dir", data_dir, "--steps", "0", "--group-column", "speaker")
    assert dreambeam("augment", "-i", "tfds:spoken_digit", "-o", tmp_path / "one", *arguments) == 0
    builder: Any = tfds.builder_from_directory(tmp_path / "one")
    assert tuple(builder.info.features["label"].names) == NAMES
    assert len(load(tmp_path / "one", "train")) == 10
    kept = load(tmp_path / "one", "test")
    assert set(kept) == {"test/0:original", "test/1:original"}
    assert kept["test/1:original"]["group_speaker"] == "speaker 1"
    table = pd.read_parquet(tmp_path / "one/provenance.parquet").set_index("id")
    assert table.loc["train/3:original", "group_speaker"] == "speaker 1"

    told = augment(tmp_path / "one", tmp_path / "two", "source.splits=[train]", "variants=2")
    assert told["counts"]["clips"] == 10
    assert (told["splits"], told["counts"]["records"]) == (["train"], 30)
    chained = load(tmp_path / "two")
    first = load(tmp_path / "one")["train/2:deep_dream:0"]
    again = chained["train/2:deep_dream:0:original"]
    np.testing.assert_array_equal(again["audio"], first["audio"])
    assert (again["label"], again["group_speaker"], again["sample_rate"]) == (first["label"], "speaker 0", 8000)
    source = json.loads(again["provenance"])["source"]
    assert source["uri"].startswith(str(tmp_path / "one"))
    np.testing.assert_array_equal(decode(clip_ref(source)).waveform[:, 0], first["audio"])

    pattern = str(tmp_path / "one/dreamed-train.tfrecord*")
    assert augment(pattern, tmp_path / "three", "variants=2")["counts"] == told["counts"]
    assert shards_of(tmp_path / "two") == shards_of(tmp_path / "three")


def test_runs_chain_through_mixed_channels_and_from_real_recordings(shared: Path, tmp_path: Path) -> None:
    for path in sorted((shared / "data/esc10-dev/rooster").glob("*.ogg"))[:2]:
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "in")
    record(tmp_path / "in/stereo.wav", channels=2, subtype="FLOAT")
    augment(tmp_path / "in", tmp_path / "one")
    augment(tmp_path / "one", tmp_path / "two", "source.segment_seconds=1")
    examples = load(tmp_path / "two")
    for path in (tmp_path / "in").iterdir():
        pieces = {
            json.loads(example["provenance"])["source"]["start"]: example["audio"]
            for id_, example in examples.items()
            if id_.startswith(f"{path.name}:original") and id_.endswith(":original")
        }
        joined = np.concatenate([pieces[start] for start in sorted(pieces)])
        np.testing.assert_array_equal(joined, samples(path))
        assert path.suffix == ".wav" or len(pieces) > 1
