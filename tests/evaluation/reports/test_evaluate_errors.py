"""Evaluations of little, of nothing and of what is damaged: wrong input is one line."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from judged import judged
from recordings import augment, complaint, dreambeam, record

from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from pipelines.dataset.reader import DatasetError

pytestmark = pytest.mark.usefixtures("known_ontology", "without_pages")


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_one_example_is_evaluated_and_has_no_intervals(recordings: Path, tmp_path: Path) -> None:
    augment(recordings / "rain", tmp_path / "one", "recipe.steps=1")
    judged(tmp_path / "report", tmp_path / "one")
    stored = metrics(tmp_path / "report")
    assert (stored["n_examples"], stored["top_changed"]["low"]) == (1, None)
    assert any("no interval can be given" in warning for warning in stored["warnings"])
    assert not (tmp_path / "report/comparison.json").exists()


def test_a_dataset_of_failures_only_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in/dog").mkdir(parents=True)
    (tmp_path / "in/dog/a.wav").write_bytes(b"no sound")
    augment(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DatasetError, match=r"holds no records: all 1 clips failed \(see .*failures\.jsonl\)"):
        judged(tmp_path / "report", tmp_path / "out")


def test_missing_sources_are_one_line_each_and_counted(bare: Path, recordings: Path, tmp_path: Path) -> None:
    moved = tmp_path / "in"
    shutil.copytree(recordings, moved)
    augment(moved, tmp_path / "out", "include_original=false")
    (moved / "rain/clip.wav").unlink()
    shutil.copy(moved / "rooster/clip.wav", moved / "sea_waves/clip.wav")
    assert dreambeam("evaluate", tmp_path / "out", "--report", tmp_path / "report") == 3
    lines = [json.loads(line) for line in (tmp_path / "report/failures.jsonl").read_text().splitlines()]
    assert [(line["id"].split("/")[0], line["stage"]) for line in lines] == [
        ("rain", "original"),
        ("sea_waves", "original"),
    ]
    assert "rain/clip.wav" in lines[0]["error"]
    assert "is another file by now" in lines[1]["error"]
    stored = metrics(tmp_path / "report")
    assert (stored["n_examples"], stored["n_failed"]) == (1, 2)
    shutil.rmtree(moved)
    with pytest.raises(DatasetError, match=r"none of the 3 dreams .* could be evaluated; the first failed at original"):
        judged(tmp_path / "report", tmp_path / "out")


def test_what_is_wrong_on_the_command_line_is_one_line(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ("--report", tmp_path / "report")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").touch()
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\n")
    yamnet = _cached_yamnet()
    for arguments, expected in (
        ((tmp_path / "nowhere", *report), "does not exist"),
        ((tmp_path, *report), "has no run.json"),
        ((dataset, "--report", dataset / "report"), "lies in the dataset"),
        ((dataset, "--report", tmp_path / "notes"), "no report"),
        ((dataset, "--report", names), "is a file"),
        ((dataset, *report, "--judge", "vggish"), "expected yamnet, crnn"),
        ((dataset, *report, "--judge", "yamnet", "--sample-rate", "8000"), "takes 16000 Hz, not 8000"),
        ((dataset, *report, "--judge", yamnet, "--classes", names, "--sample-rate", "16000"), "output of 2 scores"),
        ((dataset, *report, "--class-map", tmp_path / "none.csv"), "cannot be read"),
        ((dataset, *report, "--clas", names), "did you mean --classes? (see dreambeam evaluate --help)"),
        ((dataset, "--direct_num_worker=2", *report), "did you mean --direct_num_workers?"),
        (("--direct_num_workers", "2", dataset, *report), "values with --flag=value"),
        (("--direct_num_workers=2", *report), "expected a dataset"),
    ):
        assert expected in complaint(capsys, "evaluate", *arguments)
    assert not (tmp_path / "report").exists() or not any((tmp_path / "report").iterdir())


def _cached_yamnet() -> Path:
    from augment.models.weights import resolve_weights

    return resolve_weights()


@pytest.mark.parametrize("mode", ["in_memory", pytest.param("multi_processing", marks=pytest.mark.slow)])
def test_a_damaged_shard_is_one_line(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bare, broken)
    shard = max(broken.glob("*.tfrecord-*"), key=os.path.getsize)
    with shard.open("r+b") as file:
        file.truncate(os.path.getsize(shard) - 100)
    assert dreambeam("evaluate", broken, "--report", tmp_path / "report", f"--direct_running_mode={mode}") == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert re.fullmatch(rf"dreambeam: {shard}, record \d+: the file is cut off within it; .*verify\n", printed.err)


def test_a_dataset_of_originals_alone_has_nothing_to_evaluate(tmp_path: Path) -> None:
    record(tmp_path / "in/xyzzy/a.wav")  # its label means no class, so that there is no target
    augment(tmp_path / "in", tmp_path / "out", "target=label")
    with pytest.raises(DatasetError, match="holds originals and no dreams"):
        judged(tmp_path / "report", tmp_path / "out")


def test_the_summary_is_printed(bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dreambeam("evaluate", "--direct_num_workers=1", bare, "--report", tmp_path / "report") == 0
    printed = capsys.readouterr().out
    for expected in (
        "bare: 6 dreams of 3 recordings, classified by yamnet",
        "target comes on top",
        "note: intervals come from",
    ):
        assert expected in printed
    assert shared_judge(JudgeSpec()) is shared_judge(JudgeSpec())
