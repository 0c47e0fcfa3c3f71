"""Loading: the code that lies in a dataset, and the lines that a run prints, give what TFDS gives."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recordings import augment, dreambeam, record, samples

from augment.sound.encodings import AUDIO_ENCODINGS
from pipelines.dataset.loader_code import loader, snippet
from pipelines.dataset.schema import Vocabulary, features


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    record(folder / "mono/cat/a.wav", 0.2)
    record(folder / "mono/dog/b.wav", 0.3)
    record(folder / "stereo/dog/c.wav", 0.2, channels=2)
    for part in ("mono", "stereo"):
        shutil.copytree(folder / part, folder / "mixed", dirs_exist_ok=True)
    return folder


def by_id(dataset: Any) -> dict[bytes, dict[str, Any]]:
    return {example["id"]: example for example in dataset.as_numpy_iterator()}


def assert_same(found: dict[bytes, dict[str, Any]], expected: dict[bytes, dict[str, Any]], keys: set[str]) -> None:
    assert set(found) == set(expected) != set()
    for id_, example in found.items():
        assert set(example) == keys
        for key, value in example.items():
            np.testing.assert_array_equal(value, expected[id_][key], err_msg=key)
            assert getattr(value, "dtype", None) == getattr(expected[id_][key], "dtype", None), key


@pytest.mark.parametrize(
    ("channels", "encoding"),
    [
        *(("mono", name) for name in AUDIO_ENCODINGS),
        *(("mixed", name) for name in ("float32", "flac")),
        ("stereo", "int16"),
    ],
)
def test_load_py_and_the_printed_lines_give_what_tfds_gives(
    recordings: Path, tmp_path: Path, channels: str, encoding: str
) -> None:
    import tensorflow_datasets as tfds

    output = tmp_path / 'it\'s [a] "dataset"'
    augment(recordings / channels, output, f"audio_encoding={encoding}", "recipe.steps=0")
    builder: Any = tfds.builder_from_directory(output)
    expected = by_id(builder.as_dataset(split="train"))
    keys = set(builder.info.features)

    code = runpy.run_path(str(output / "load.py"))
    assert_same(by_id(code["load_tfds"]()), expected, keys)
    assert_same(by_id(code["load_tensorflow"]("train")), expected, keys)
    assert set(code["load_table"]()["id"]) == {id_.decode() for id_ in expected}
    assert code["label_names"]() == builder.info.features["label"].names
    for example in code["with_waveforms"](code["load_tensorflow"]()).as_numpy_iterator():
        heard = example["audio"] if example["audio"].ndim == 2 else example["audio"][:, None]
        assert heard.dtype == np.float32
        if example["id"].endswith(b":original"):
            np.testing.assert_array_equal(heard, samples(recordings / channels / example["source_id"].decode()))
        np.testing.assert_array_equal(code["waveform"](expected[example["id"]]["audio"]), example["audio"])

    printed: dict[str, Any] = {}
    exec(snippet(builder.info.features, str(output), name="dreamed", split="train"), printed)  # noqa: S102
    assert_same(by_id(printed["dataset"]), expected, {"id", "audio", "sample_rate", "label"})


def test_load_py_runs_by_itself_from_anywhere(recordings: Path, tmp_path: Path) -> None:
    augment(recordings / "mono", tmp_path / "out", "audio_encoding=flac")
    (tmp_path / "out").rename(tmp_path / "moved")
    command = [sys.executable, "-I", tmp_path / "moved/load.py", "train"]
    run = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "load_tfds: " in run.stdout
    assert "load_tensorflow: " in run.stdout
    assert "[4 rows x" in run.stdout


def test_a_run_prints_lines_that_read_its_data(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        dreambeam("augment", "-i", recordings / "mono", "-o", "out", "--steps", "0", "--audio-encoding", "int16") == 0
    )
    told = capsys.readouterr().out
    found: dict[str, Any] = {}
    exec(told[told.index("import pathlib") :], found)  # noqa: S102
    ids = {example["id"].decode() for example in found["dataset"].as_numpy_iterator()}
    assert ids == set(pd.read_parquet("out/provenance.parquet")["id"])
    assert "out/load.py" in told


def test_names_that_users_choose_are_only_ever_quoted() -> None:
    import tensorflow_datasets as tfds

    hostile = 'group_"""\n+__import__("os").abort()#'
    with_group = tfds.features.FeaturesDict({**features(Vocabulary((), (1,)), 521), hostile: tfds.features.Text()})
    text = loader(with_group, "dreamed", [hostile], audio_encoding="float32", channels=(1,), says="")
    names: dict[str, Any] = {"__file__": "load.py", "__name__": "load"}
    exec(text, names)  # noqa: S102
    assert names["SPLITS"] == [hostile]
    compile(snippet(with_group, hostile, name="dreamed", split=hostile), "snippet", "exec")
