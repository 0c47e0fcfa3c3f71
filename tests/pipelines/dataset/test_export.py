"""Export: files that hold what the records hold, a table that is read back, and a folder that is whole or not there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import augment, complaint, dreambeam, load, record, samples

from augment.sound.encodings import AUDIO_ENCODINGS, quantise
from pipelines.dataset.export import ExportError, export_dataset, float_wav
from pipelines.dataset.output import OutputError
from pipelines.dataset.reader import DamagedError


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of two splits, whose names and labels are as bad as a file system lets them be."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = [("path", "label", "split")]
    for name, label, split in (
        ("dog/a.wav", "dog", "train"),
        ("dog/A.wav", "Dog", "train"),
        ("x/<img src=x onerror=alert(1)>\n.wav", '../../<b>, "quoted"', "test"),
        ("x/CON.wav", "con", "test"),
    ):
        record(folder / "in" / name, 0.2, subtype="FLOAT")
        rows.append((name, label, split))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def datasets(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in AUDIO_ENCODINGS:
        settings = (
            f"audio_encoding={name}",
            f"source.metadata={recordings / 'labels.csv'}",
            "shards=2",
            "augment_test=true",
        )
        augment(recordings / "in", folder / name, *settings)
    return {name: folder / name for name in AUDIO_ENCODINGS}


@pytest.fixture(scope="module")
def examples(datasets: dict[str, Path]) -> dict[str, dict[str, Any]]:
    return {id_: each for split in ("train", "test") for id_, each in load(datasets["float32"], split).items()}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("encoding", "file_format", "subtype"),
    [
        ("float32", "wav", "FLOAT"),
        ("float32", "flac", "PCM_24"),
        ("int16", "wav", "PCM_16"),
        ("int16", "flac", "PCM_16"),
        ("flac", "wav", "PCM_24"),
        ("flac", "flac", "PCM_24"),
    ],
)
def test_each_record_is_a_file_with_its_samples_and_a_row_that_says_what_it_is(
    datasets: dict[str, Path],
    examples: dict[str, dict[str, Any]],
    tmp_path: Path,
    encoding: str,
    file_format: str,
    subtype: str,
) -> None:
    output = tmp_path / "files"
    assert export_dataset(datasets[encoding], output, file_format) == 8
    rows = table(output)
    assert {row["id"] for row in rows} == set(examples)
    found = files(output)
    assert set(found) == {"metadata.csv", "export.json", *(row["file_name"] for row in rows)}
    for row in rows:
        content, example = found[row["file_name"]], examples[row["id"]]
        assert row["file_name"].startswith(f"{row['split']}/")
        assert row["file_name"].endswith(f".{file_format}")
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["target_name"], float(row["snr_db"])) == (example["target_name"], example["snr_db"])
        assert soundfile.info(io.BytesIO(content)).subtype == subtype
        heard, rate = soundfile.read(io.BytesIO(content), dtype="float64")
        assert rate == int(row["sample_rate"]) == 16_000
        bits = {"FLOAT": None, "PCM_16": 16, "PCM_24": 24}[subtype]
        sound = example["audio"]
        np.testing.assert_array_equal(heard, sound if bits is None else quantise(sound, bits) / 2.0 ** (bits - 1))


def test_an_export_read_back_has_the_labels_splits_and_samples_of_the_dataset(
    datasets: dict[str, Path], examples: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    import tensorflow_datasets as tfds

    export_dataset(datasets["float32"], tmp_path / "files", "wav")
    told = augment(tmp_path / "files", tmp_path / "out", f"source.metadata={tmp_path / 'files/metadata.csv'}")
    assert told["counts"]["failures"] == 0

    def labelled(examples: dict[str, dict[str, Any]], dataset: Path) -> dict[str, tuple[str, str]]:
        builder: Any = tfds.builder_from_directory(dataset)
        names = builder.info.features["label"].names
        return {
            hashlib.sha256(each["audio"].tobytes()).hexdigest(): (names[each["label"]], each["split"])
            for each in examples.values()
        }

    again = {**load(tmp_path / "out", "train"), **load(tmp_path / "out", "test")}
    assert labelled(again, tmp_path / "out") == labelled(examples, datasets["float32"])
    labels = {json.loads(row["labels"])[0] for row in table(tmp_path / "files")}
    assert labels == {"dog", "Dog", '../../<b>, "quoted"', "con"} == {row["label"] for row in table(tmp_path / "files")}


def test_an_export_is_the_same_bytes_every_time(
    datasets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_dataset(datasets["float32"], tmp_path / "one", "wav")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(datasets["float32"], tmp_path / "copy")
    export_dataset("copy", "two", "wav")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_clips_without_labels_stay_without_when_read_back(tmp_path: Path) -> None:
    record(tmp_path / "in/a.wav", 0.2, channels=2)
    augment(tmp_path / "in", tmp_path / "out")
    export_dataset(tmp_path / "out", tmp_path / "files", "wav")
    assert "label" not in table(tmp_path / "files")[0]
    augment(tmp_path / "files", tmp_path / "again", f"source.metadata={tmp_path / 'files/metadata.csv'}")
    assert {example["label"] for example in load(tmp_path / "again").values()} == {-1}


@pytest.mark.parametrize("channels", [1, 2, 9])
def test_a_wav_of_floats_is_read_by_libsndfile_to_the_bit(channels: int) -> None:
    waveform = np.random.default_rng(0).normal(0, 2, (101, channels)).astype(np.float32)
    found, rate = soundfile.read(io.BytesIO(float_wav(waveform, 44_100)), dtype="float32", always_2d=True)
    assert rate == 44_100
    assert found.tobytes() == waveform.tobytes()


# What is refused, and what is left


def test_what_is_no_dataset_is_refused_in_one_line(
    datasets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert "does not exist" in complaint(capsys, "export", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert "has no run.json" in complaint(capsys, "export", tmp_path / "empty", "-o", tmp_path / "out")
    inside = datasets["int16"] / "files"
    assert "lies inside the dataset" in complaint(capsys, "export", datasets["int16"], "-o", inside)
    outside = complaint(capsys, "export", datasets["int16"], "-o", datasets["int16"].parent)
    assert "lies inside the output" in outside
    assert sorted(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_a_folder_that_is_there_is_replaced_only_if_it_is_an_export_and_overwrite_is_said(
    datasets: dict[str, Path], tmp_path: Path
) -> None:
    output, mine = tmp_path / "files", tmp_path / "mine"
    export_dataset(datasets["int16"], output, "wav")
    before = files(output)
    with pytest.raises(OutputError, match="exists already: add --overwrite"):
        export_dataset(datasets["int16"], output, "flac")
    assert files(output) == before
    export_dataset(datasets["int16"], output, "flac", overwrite=True)
    assert {Path(name).suffix for name in files(output)} == {".flac", ".csv", ".json"}
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (output / "train/thesis.txt").write_text("years of work")
    for folder in (mine, output):
        with pytest.raises(OutputError, match="is not a dreambeam export"):
            export_dataset(datasets["int16"], folder, "wav", overwrite=True)
    assert (mine / "thesis.txt").exists()
    assert (output / "train/thesis.txt").exists()


def test_an_export_that_fails_leaves_nothing_behind(datasets: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(datasets["float32"], tmp_path / "data")
    shard = max((tmp_path / "data").glob("*.tfrecord-*"), key=lambda path: path.stat().st_size)
    whole = shard.read_bytes()
    for damaged in (whole[:-7], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], b""):
        shard.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"dreambeam verify|should hold"):
            export_dataset(tmp_path / "data", tmp_path / "files", "wav")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_flac_says_which_record_it_cannot_hold(tmp_path: Path) -> None:
    record(tmp_path / "in/dog/many.wav", 0.2, channels=9)
    augment(tmp_path / "in", tmp_path / "out")
    with pytest.raises(ExportError, match=r"many\.wav.*9 channels: use --format wav"):
        export_dataset(tmp_path / "out", tmp_path / "files", "flac")
    export_dataset(tmp_path / "out", tmp_path / "files", "wav")
    heard = {row["id"]: samples(tmp_path / "files" / row["file_name"]) for row in table(tmp_path / "files")}
    np.testing.assert_array_equal(heard["dog/many.wav:original"], samples(tmp_path / "in/dog/many.wav"))


# The command line


def test_augment_exports_what_it_made_and_export_makes_the_same(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ("augment", "-i", recordings / "in", "--steps", "0", "-o", tmp_path / "out", "--target", "Meow")
    labels = ("--set", "target.label_policy=both")
    assert dreambeam(*source, *labels, "--export", "flac", tmp_path / "files") == 0
    assert f"{tmp_path / 'files'}: 8 files" in capsys.readouterr().out
    assert dreambeam("export", tmp_path / "out", "--format", "flac", "-o", tmp_path / "again") == 0
    assert f"{tmp_path / 'again'}: 8 files" in capsys.readouterr().out
    assert files(tmp_path / "again") == files(tmp_path / "files")
    labelled = {row["id"]: json.loads(row["labels"]) for row in table(tmp_path / "files")}
    assert labelled["dog/a.wav:deep_dream:0"] == ["dog", "Meow"]


def test_a_wrong_export_is_said_before_the_run(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ("augment", "-i", recordings / "in/dog", "--steps", "0", "-o", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    assert "not a dreambeam export" in complaint(capsys, *source, "--export", "wav", tmp_path / "mine")
    assert "lies inside the dataset" in complaint(capsys, *source, "--export", "wav", tmp_path / "out/files")
    assert "'mp3'" in complaint(capsys, *source, "--export", "mp3", tmp_path / "files")
    assert os.listdir(tmp_path) == ["mine"]
