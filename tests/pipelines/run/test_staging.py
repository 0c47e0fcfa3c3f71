"""What workers of a cluster get, and what comes back: weights that are checked, parts from another place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from recordings import augment, failures_of, record, shards_of

from augment.models.weights import WeightsError
from augment.models.yamnet import DreamingModel
from pipelines.dataset.output import OutputError
from pipelines.dataset.scratch import Scratch
from pipelines.run import counters
from pipelines.run.staging import shared_scratch, stage_weights, staged_model


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("cat/a.wav", "dog/b.wav"):
        record(folder / name)
    (folder / "dog/broken.wav").write_bytes(b"RIFF")
    return folder


def test_staged_weights_give_the_model_that_the_run_began_with(tmp_path: Path, model: DreamingModel) -> None:
    staged = stage_weights(None, Scratch(str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]
    assert staged.identity == staged_model(staged).identity == model.identity
    assert staged_model(staged) is staged_model(dataclasses.replace(staged))  # once for a process


def test_a_worker_refuses_weights_that_are_others(tmp_path: Path) -> None:
    staged = stage_weights(None, Scratch(str(tmp_path)))
    with pytest.raises(WeightsError, match=r"but the run began with 0000: something wrote to the scratch folder"):
        staged_model(dataclasses.replace(staged, identity="0000"))


def test_unfinished_work_in_another_place_gives_the_same_dataset_and_leaves_nothing(
    recordings: Path, tmp_path: Path
) -> None:
    augment(recordings, tmp_path / "usual", "shards=2")
    (tmp_path / "shared").mkdir()
    augment(recordings, tmp_path / "out", "shards=2", scratch_place=str(tmp_path / "shared"))
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "usual")
    assert failures_of(tmp_path / "out") == failures_of(tmp_path / "usual")
    assert len(failures_of(tmp_path / "out")) == 1
    assert not list((tmp_path / "shared").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "shared", "usual"]


def test_a_place_for_unfinished_work_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"^--scratch .*file: nothing can be written there \([^\n]*\)$"),
        shared_scratch(Scratch(str(tmp_path)), str(tmp_path / "file")),
    ):
        pass


def test_run_json_tells_what_was_counted_and_it_agrees_with_what_came_out(recordings: Path, tmp_path: Path) -> None:
    told = augment(recordings, tmp_path / "out", "recipe.steps=2", "recipe.hold=null", "variants=2")
    metrics, counts = told["metrics"], told["counts"]
    assert metrics["clips_listed"] == metrics["clips_read"] == counts["clips"] == 2
    assert (metrics["records"], metrics["dreamed"]) == (counts["records"], counts["dreams"]) == (6, 4)
    assert metrics.get("reached", 0) == counts["reached"]
    assert metrics["audio_ms"] == 1000 * counts["audio_seconds"]
    assert metrics["gradient_steps"] == 2 * 4
    (stage,) = told["failures_by_stage"]
    assert metrics[f"failed_{stage}"] == 1
    fill = metrics["batch_fill"]
    assert fill["count"] >= 1
    assert 0 < fill["min"] <= fill["mean"] <= fill["max"] <= 100
    assert json.loads((tmp_path / "out/run.json").read_text())["metrics"] == metrics


def test_an_engine_without_counters_has_those_of_the_workers(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("recipe.steps=2", "recipe.hold=null")
    expected = augment(recordings, tmp_path / "out", *changes)["metrics"]
    monkeypatch.setattr(counters, "read", lambda result: {})
    found = augment(recordings, tmp_path / "again", *changes)["metrics"]
    assert found == {name: value for name, value in expected.items() if name != "batch_fill"}
