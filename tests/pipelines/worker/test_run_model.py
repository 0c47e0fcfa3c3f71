"""A run through a model of one's own, from the command line to verify, replay and evaluate; and docs/models.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from ears import NAMES, RATE, classes_file, ear
from recordings import augment, complaint, dreambeam, load, record

from pipelines.config.run_config import load_config
from pipelines.dataset.reader import open_dataset
from pipelines.verify.verify import verify
from pipelines.worker.replay import ReplayError, replay
from pipelines.worker.run_model import specs_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mine.keras, classes.txt, sounds/ of two labels, and out/, dreamed through mine.keras."""
    folder = tmp_path_factory.mktemp("through")
    ear().save(folder / "mine.keras")
    classes_file(folder)
    for name, seconds, rate in (("Dog/a.wav", 1.0, 16_000), ("hum/b.wav", 1.1, 44_100), ("hum/c.wav", 2.6, RATE)):
        record(folder / "sounds" / name, seconds, rate)
    code = dreambeam(
        *("augment", "--input", folder / "sounds", "--output", folder / "out", "--steps", "2", "--target", "Dog"),
        *("--model", folder / "mine.keras", "--classes", folder / "classes.txt", "--sample-rate", str(RATE)),
    )
    assert code == 0
    return folder


def test_a_run_tells_its_model_and_classes(made: Path):
    run = json.loads((made / "out/run.json").read_text())
    assert [each["name"] for each in run["model_classes"]] == run["given_classes"][0] == list(NAMES)
    assert (run["model"]["name"], run["model"]["sample_rate"], len(run["model"]["identity"])) == (
        "mine.keras",
        RATE,
        64,
    )
    for example in load(made / "out").values():
        assert len(example["scores_after"]) == 3
        assert json.loads(example["provenance"])["model"] == run["model"]
        assert example["target_name"] in ("", "Dog")


def test_a_dataset_through_a_model_verifies(made: Path):
    assert verify(made / "out").problems == ()


def test_its_records_replay_also_where_the_files_have_moved(made: Path, tmp_path: Path):
    dataset = open_dataset(made / "out")
    for id_ in ("Dog/a.wav:deep_dream:0", "hum/c.wav:deep_dream:0"):
        found = replay(dataset, id_)
        assert found.difference is not None
        assert found.exact or found.difference.peak < 1e-5  # a model of one's own may round by the batch
    moved = str(shutil.copy(made / "mine.keras", tmp_path / "mine.keras"))
    here, there = (replay(dataset, "Dog/a.wav:deep_dream:0", models=models) for models in ((), (moved,)))
    assert here.found_sha256 == there.found_sha256


def test_a_replay_through_another_model_is_refused(made: Path, tmp_path: Path):
    dataset = open_dataset(made / "out")
    ear(gain=1.0).save(tmp_path / "mine.keras")
    for models, expected in (
        ([str(tmp_path / "mine.keras")], "dreamed with weights of identity"),
        (["nowhere.keras"], "is not there"),
        (["a", "b"], "names 2 models"),
    ):
        with pytest.raises(ReplayError, match=expected) as caught:
            replay(dataset, "Dog/a.wav:deep_dream:0", models=models)
        assert "--model" in str(caught.value)


def test_an_evaluation_knows_the_models_targets_by_name(made: Path, tmp_path: Path):
    code = dreambeam(
        *("evaluate", made / "out", "--report", tmp_path / "report", "--judge", made / "mine.keras"),
        *("--classes", made / "classes.txt", "--sample-rate", str(RATE)),
    )
    assert code == 0
    rows = pd.read_parquet(tmp_path / "report/examples.parquet").set_index("id")
    id_ = "Dog/a.wav:deep_dream:0"  # of a whole second: the model pads others to a quarter, the judge does not
    expected = load(made / "out")[id_]["score_target_after"]
    assert rows.loc[id_, "target_score_after"] == pytest.approx(float(expected), abs=1e-3)
    assert set(rows["target_name"]) == {"Dog"}


def test_an_ensemble_runs_and_replays(made: Path, tmp_path: Path):
    spec = f"{{path: {made / 'mine.keras'}, classes: {made / 'classes.txt'}, sample_rate: 16000}}"
    run = augment(made / "sounds/Dog", tmp_path / "out", f"model=[yamnet, {spec}]", "recipe.steps=1", "target=Dog")
    assert [each["name"] for each in run["model_classes"]] == ["Dog", "Hum"]
    assert run["given_classes"] == [None, list(NAMES)]
    assert verify(tmp_path / "out").problems == ()
    found = replay(open_dataset(tmp_path / "out"), "a.wav:deep_dream:0")
    assert found.difference is not None
    assert found.exact or found.difference.peak < 1e-5


def test_yamnet_by_name_is_yamnet_by_default():
    assert specs_of(load_config(None, ["model=yamnet"]).model) == specs_of(load_config(None).model) == ()
    (spec,) = specs_of(load_config(None, ["model=a.keras", "model.window_seconds=1"]).model)
    assert (spec.path, spec.window_seconds) == ("a.keras", 1.0)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--model", "mine.keras"), "give --classes FILE"),
        (("--model", "mine.keras", "--classes", "classes.txt"), "give --sample-rate HZ"),
        (("--model", "mine.keras", "--classes", "two.txt", "--sample-rate", "8000"), "class list has 2 classes"),
        (("--model", "classes.txt", "--classes", "classes.txt", "--sample-rate", "8000"), "is no model"),
        (("--classes", "classes.txt"), "name it with --model PATH"),
        (("--model", "crnn", "--classes", "classes.txt"), "it has its own"),
        (("--model", "mine.keras", "--classes", "classes.txt", "--sample-rate", "8000", "--target", "Cat"), "'Cat'"),
    ],
)
def test_what_is_wrong_with_the_flags_is_one_line(
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    expected: str,
):
    monkeypatch.chdir(made)
    (made / "two.txt").write_text("a\nb\n")
    assert expected in complaint(capsys, "dream", "sounds/Dog/a.wav", "never.wav", *flags)
