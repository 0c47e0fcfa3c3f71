"""Bad input: every clip becomes records or one failure, and the sums add up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recordings import complaint, dreambeam, failures_of, load, record, samples, sound

GOOD = {
    "dog/good.wav": {},
    "dog/low rate.wav": {"rate": 8_000},
    "dog/high rate.wav": {"rate": 192_000},
    "dog/six channels.wav": {"channels": 6},
    "Hündin & Wölfe/Ein Bellen – 犬 'wau' #1:2.wav": {},
    "dog/short.wav": {"seconds": 0.01},
}
BAD = {
    "dog/text.wav": ("decode", "not readable audio"),
    "dog/truncated.wav": ("decode", "cut off"),
    "dog/no samples.wav": ("validate", "no samples"),
    "dog/not numbers.wav": ("validate", "NaN"),
    "dog/empty.wav": ("read", "0 bytes"),
    "dog/phone.m4a": ("decode", "M4A, MP4, MOV, 3GP), which is not read; expected WAV"),
    "dog/VIDEO.WEBM": ("decode", "WebM or Matroska, which is not read"),
    "cat/only.wv": ("decode", "WavPack, which is not read"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad")
    for name, settings in GOOD.items():
        record(root / name, subtype="FLOAT", **settings)
    (root / "dog/text.wav").write_text("I am a text. " * 1000)
    whole = record(root / "dog/truncated.wav").read_bytes()
    (root / "dog/truncated.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(root / "dog/no samples.wav", np.zeros((0, 1)), 16_000)
    spoiled = sound("not numbers")
    spoiled[500] = np.nan
    soundfile.write(root / "dog/not numbers.wav", spoiled, 16_000, subtype="FLOAT")
    (root / "dog/empty.wav").touch()
    (root / "dog/phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (root / "dog/VIDEO.WEBM").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    (root / "cat").mkdir()
    (root / "cat/only.wv").write_bytes(b"wvpk" + bytes(100))
    for number in range(3):
        (root / f"dog/note{number}.txt").touch()
    (root / "papers").mkdir()
    (root / "papers/scan.pdf").touch()
    long = np.tile(sound("long", 10, 2_000)[:, 0], 30)
    soundfile.write(root / "dog/five minutes.wav", long, 2_000)
    silence = np.zeros(16_000)
    soundfile.write(root / "dog/silence.wav", silence, 16_000)
    return root


@pytest.fixture(scope="module")
def output(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "out"
    # Without gradient steps every clip is still decoded, resampled, scored, restored and written.
    assert dreambeam("augment", "-i", folder, "-o", output, "--steps", "0", "--set", "source.segment_seconds=60") == 3
    return output


def test_every_file_is_either_records_or_one_failure(folder: Path, output: Path) -> None:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.suffix not in (".txt", ".pdf")}
    dreamed = {example["source_id"].partition("#t=")[0] for example in load(output).values()}
    assert dreamed == {*GOOD, "dog/five minutes.wav", "dog/silence.wav"}
    assert set(failures_of(output)) == set(BAD) == files - dreamed


def test_a_failure_says_where_and_why(folder: Path, output: Path) -> None:
    for id_, found in failures_of(output).items():
        stage, why = BAD[id_]
        assert found["stage"] == stage
        assert why in found["error"]
        assert found["error"].isprintable()
        assert found["uri"] == str(folder / id_)


def test_the_sums_add_up(output: Path) -> None:
    told = json.loads((output / "run.json").read_text(encoding="utf-8"))
    counts = told["counts"]
    assert counts["clips"] - 1 == len(GOOD) + 5 + 1  # the one without numbers is only found out by decoding
    assert counts["failures"] == len(BAD) == sum(told["failures_by_stage"].values())
    assert counts["records_lost"] == sum(found["records_lost"] for found in failures_of(output).values()) == 2
    assert counts["records"] == counts["originals"] + counts["dreams"] == 2 * (counts["clips"] - 1)
    assert told["files"] == len(GOOD) + 2 + len(BAD)
    assert told["skipped"]["endings"] == {".txt": 3, ".pdf": 1}
    assert told["skipped"]["folders"] == ["papers"]
    assert told["folders_without_clips"] == ["cat"]


def test_the_summary_names_what_was_skipped_and_what_gave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "in/dog/a.wav")
    record(tmp_path / "in/wolf/hidden in a video.mp4", format="WAV")
    for name in ("dog/b.txt", "dog/c.txt", "cat/d.pdf", "fox/e.aac"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"\xff\xf1\x50\x80" * 500)
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", "--steps", "0") == 3
    said = capsys.readouterr().out
    assert "3 files skipped: .txt 2, .pdf 1\n" in said
    assert "no sound in folder 'cat'\n" in said
    assert "nothing could be used of folder 'fox': see failures.jsonl\n" in said
    assert "AAC, which is not read" in failures_of(tmp_path / "out")["fox/e.aac"]["error"]
    assert {example["source_id"] for example in load(tmp_path / "out").values()} == {
        "dog/a.wav",
        "wolf/hidden in a video.mp4",
    }


def test_real_files_of_other_endings_are_clips_or_failures(shared: Path, tmp_path: Path) -> None:
    folder = shared / "cases/endings"
    assert dreambeam("augment", "-i", folder, "-o", tmp_path / "out", "--steps", "0") == 3
    assert {example["source_id"] for example in load(tmp_path / "out").values()} == {"dog/fmt.sph"}
    found = failures_of(tmp_path / "out")
    assert set(found) == {"dog/wp.wv", "cat/opus.webm"}
    assert all("convert it to WAV or FLAC" in line["error"] for line in found.values())
    assert json.loads((tmp_path / "out/run.json").read_text())["folders_without_clips"] == ["cat"]


def test_good_clips_among_bad_ones_are_whole(folder: Path, output: Path) -> None:
    examples = load(output)
    for name in GOOD:
        found = examples[f"{name}:original"]
        np.testing.assert_array_equal(found["audio"], samples(folder / name))
        assert found["sample_rate"] == soundfile.info(folder / name).samplerate
        assert examples[f"{name}:deep_dream:0"]["audio"].shape == found["audio"].shape


def test_silence_and_very_short_and_very_loud_clips_are_dreamed_to_finite_sounds(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, waveform in {
        "silence": np.zeros(16_000),
        "one sample": np.ones(1) * 0.1,
        "loud": 100 * sound("loud")[:, 0],
        "deafening": 1e36 * sound("loud")[:, 0],
    }.items():
        soundfile.write(tmp_path / f"in/{name}.wav", waveform, 16_000, subtype="FLOAT")
    code = dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", "--steps", "2", "--seed", "3")
    examples = load(tmp_path / "out")
    lost = failures_of(tmp_path / "out")
    assert code == (3 if lost else 0)
    assert all(np.isfinite(example["audio"]).all() for example in examples.values())
    assert all(np.isfinite(example["scores_after"]).all() for example in examples.values())
    for name in ("silence", "one sample", "loud"):
        assert f"{name}.wav:deep_dream:0" in examples
    assert lost["deafening.wav"]["stage"] == "validate"


def test_a_file_without_a_row_in_the_csv_is_a_failure(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        record(tmp_path / "in" / name)
    (tmp_path / "labels.csv").write_text("path,label\na.wav,dog\nc.wav,\n")
    arguments = ("--metadata", tmp_path / "labels.csv", "--steps", "0")
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", *arguments) == 3
    found = failures_of(tmp_path / "out")
    assert {id_: line["stage"] for id_, line in found.items()} == {"b.wav": "label", "c.wav": "label"}
    assert "has no row" in found["b.wav"]["error"]
    assert "has no label" in found["c.wav"]["error"]
    assert {example["source_id"] for example in load(tmp_path / "out").values()} == {"a.wav"}


def test_a_run_of_failures_only_ends_and_lists_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.flac"):
        (tmp_path / "in" / name).write_text("text")
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out") == 3
    assert set(failures_of(tmp_path / "out")) == {"a.wav", "b.flac"}
    assert json.loads((tmp_path / "out/run.json").read_text())["counts"]["records"] == 0
    assert "no clip could be used: 2 failures" in capsys.readouterr().err


def _inputs(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/readme.txt").touch()
    return {"empty": tmp_path / "empty", "texts": tmp_path / "texts", "missing": tmp_path / "emty"}


@pytest.mark.parametrize(
    ("which", "said"),
    [("empty", "no files at all"), ("texts", "'readme.txt'"), ("missing", "did you mean")],
)
def test_an_input_without_sounds_is_exit_code_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], which: str, said: str
) -> None:
    given = _inputs(tmp_path)[which]
    message = complaint(capsys, "augment", "-i", given, "-o", tmp_path / "out")
    assert said in message
    assert str(given) in message
    assert not (tmp_path / "out").exists()


def test_labels_are_kept_on_one_line_and_files_with_one_id_are_told_apart(tmp_path: Path) -> None:
    for name in ("do\ng/a.wav", "dog /b.wav", "cat/c.wav"):
        record(tmp_path / "in" / name)
    for name in (b"x\xff.wav", rb"x\xff.wav"):
        (tmp_path / "in/cat" / os.fsdecode(name)).write_bytes((tmp_path / "in/cat/c.wav").read_bytes())
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", "--steps", "0") == 3
    names = (tmp_path / "out" / "label.labels.txt").read_text().split("\n")
    assert [name for name in names if name] == ["cat", "do g", "dog"]
    assert [line["stage"] for line in failures_of(tmp_path / "out").values()] == ["list"]


def test_a_split_that_tfds_reserves_is_a_failure(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        record(tmp_path / "in" / name)
    (tmp_path / "labels.csv").write_text("path,label,split\na.wav,dog,all\nb.wav,dog,test\n")
    arguments = ("--metadata", tmp_path / "labels.csv", "--steps", "0")
    assert dreambeam("augment", "-i", tmp_path / "in", "-o", tmp_path / "out", *arguments) == 3
    assert list(failures_of(tmp_path / "out")) == ["a.wav"]
