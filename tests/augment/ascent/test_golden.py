"""Golden datasets: what an earlier version wrote parses, verifies and replays. Their origin: tests/golden/README.md."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from paths import REPOSITORY

from pipelines.dataset.provenance import read_provenance
from pipelines.dataset.reader import find, open_dataset, rows
from pipelines.dataset.record_reader import read_example, read_record
from pipelines.verify.verify import verify
from pipelines.worker.replay import read_recipe, replay

GOLDEN = REPOSITORY / "tests/golden"
VERSIONS = ("0.1.0", "0.2.0")
IDS = ("chirp/chirp.wav:deep_dream:0", "chirp/chirp.wav:noise:0", "chirp/chirp.wav:original")


def test_every_golden_dataset_is_listed():
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_records_parse(version: str):
    dataset = open_dataset(GOLDEN / version / "dataset")
    assert {row["id"] for row in rows(dataset, ["id"])} == set(IDS)
    for id_ in IDS:
        example = read_example(dataset, read_record(dataset, find(dataset, id_)))
        told, wrong = read_provenance(example["provenance"], original=example["recipe"] == "original")
        assert wrong == []
        assert example["id"] == id_
        assert example["audio"].shape == (2400,)
        assert told["versions"]["dreambeam"] == version
        assert told["recipe"] is None or read_recipe(id_, told).steps == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_dataset_has_no_problems(version: str):
    report = verify(GOLDEN / version / "dataset", sources=False)
    assert (report.problems, report.records) == ((), len(IDS))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("id_", IDS)
def test_golden_records_replay_exactly_or_say_what_differs(version: str, id_: str):
    found = replay(open_dataset(GOLDEN / version / "dataset"), id_, source=str(GOLDEN / version / "chirp.wav"))
    assert found.exact or found.differing
    assert found.difference is not None
    assert found.difference.snr_db > 60  # two normalised steps: another processor changes the last bits alone
    assert found.exact == (found.difference.peak == 0)


def test_the_golden_source_is_what_its_readme_says():
    samples, rate = soundfile.read(GOLDEN / "0.1.0" / "chirp.wav")
    time = np.arange(2400) / 8000
    assert rate == 8000
    np.testing.assert_allclose(samples, 0.4 * np.sin(2 * np.pi * (300 + 1500 * time) * time), atol=2**-15)


def test_a_golden_dataset_without_a_later_kind_of_file_opens(tmp_path: Path):
    shutil.copytree(GOLDEN / "0.1.0/dataset", tmp_path / "x")
    run = (tmp_path / "x/run.json").read_text(encoding="utf-8")
    line = next(line for line in run.splitlines(keepends=True) if '"processor"' in line)
    (tmp_path / "x/run.json").write_text(run.replace(line, ""), encoding="utf-8")
    found = replay(open_dataset(tmp_path / "x"), IDS[2], source=str(GOLDEN / "0.1.0/chirp.wav"))
    assert "processor" not in found.differing
