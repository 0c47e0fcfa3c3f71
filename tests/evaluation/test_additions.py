"""An entry of one's own in each table is accepted, listed where a wrong name is refused, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from judged import judged
from recordings import complaint, sound
from typer.testing import CliRunner

from augment.models.model_files import named_classes
from augment.models.yamnet import DreamingModel
from evaluation.dreams.measures import MEASURES, Measure
from evaluation.judges.judge import JudgeError, Judgement, JudgeSpec
from evaluation.judges.judge_kinds import JUDGES, JudgeKind, forget_judges, judge_usage, make_judge
from evaluation.reports.robustness_report import robustness
from evaluation.robustness.attacks import AttackBatch
from evaluation.robustness.perturbations import PERTURBATIONS, Perturbation, find_perturbation
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.trials import Settings
from evaluation.utility.classifiers import CLASSIFIERS, Classifier
from evaluation.utility.corruptions import CORRUPTIONS, Corruption, find_corruption
from evaluation.utility.folds import Clip
from evaluation.utility.training_sets import TRAINING_SETS, Component, StudyData, TrainingSet
from evaluation.utility.utility_study import Condition, Study
from evaluation.utility.views import Corrupted, LoadedClip, ViewStore
from pipelines.run.augmentation import pipeline_options

RATE = 8_000


class Loudness:
    """Classifies by the power: a clip above 1/16 is loud."""

    name, identity, classes, sample_rate = "loudness", "1", named_classes(["loud", "quiet"]), RATE

    def judge(self, waveform: np.ndarray) -> Judgement:
        power = min(1.0, 8 * float(np.mean(np.square(waveform))))
        return Judgement(np.array([power, 1 - power], np.float32))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> JudgeSpec:
    """A judge of a kind of its own."""
    monkeypatch.setitem(JUDGES, "loudness", JudgeKind(lambda spec: Loudness(), "loudness", sample_rate=RATE))
    forget_judges()
    return JudgeSpec("loudness")


def test_a_kind_of_judge(judge: JudgeSpec) -> None:
    assert make_judge(judge).judge(np.ones(4, np.float32)).scores[0] == 1
    assert judge_usage().endswith("module:function, or loudness")
    for wrong in (JudgeSpec("nowhere"), JudgeSpec("loudness", sample_rate=16_000)):
        with pytest.raises(JudgeError, match=r"or loudness|loudness takes 8000 Hz, not 16000"):
            make_judge(wrong)


def test_a_perturbation(judge: JudgeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offset(batch: AttackBatch, snr_db: float) -> list[np.ndarray | None]:
        """Add a constant."""
        del snr_db
        return [np.ones(clip.sound.waveform.shape) for clip in batch.clips]

    monkeypatch.setitem(PERTURBATIONS, "offset", Perturbation("an offset", offset))
    with pytest.raises(ValueError, match=r"no perturbation 'offsett'; choices: untargeted, .*, offset"):
        find_perturbation("offsett")
    items = [Item(name, name, name, ("quiet",), {"name": name}) for name in ("one", "two")]

    def read(where: Any) -> tuple[np.ndarray, int]:
        return sound(where["name"], 0.5, RATE).astype(np.float32), RATE

    settings = Settings(judge, budgets=(20.0, -20.0))
    done = robustness(items, tmp_path / "report", settings, read, pipeline_options([]))
    accuracy = {point.snr_db: point.accuracy for point in done.points if point.perturbation == "offset"}
    assert accuracy == {20.0: 1.0, -20.0: 0.0}  # 20 dB more than the clip is loud
    page = (tmp_path / "report/report.html").read_text("utf-8")
    assert "an offset" in page
    assert "Add a constant" in page


def test_a_measure(judge: JudgeSpec, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crest = Measure("gain of the peak", lambda pair: pair.distortion.peak, 2, "quantiles", compared=True)
    monkeypatch.setitem(MEASURES, "gain", crest)
    (done,) = judged(tmp_path / "report", published / "out", judge=judge).evaluations
    rows = pd.read_parquet(tmp_path / "report/examples.parquet")
    np.testing.assert_array_equal(rows["gain"], rows["peak"])
    assert done.metrics["gain"] == done.metrics["peak"]
    assert "gain of the peak" in (tmp_path / "report/report.html").read_text("utf-8")


def test_a_corruption(model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CORRUPTIONS, "reversed", Corruption("played backwards", lambda x, rate, number: x[::-1]))
    with pytest.raises(ValueError, match=r"no corruption 'reverse'; choices: white_noise_20_db, .*, reversed"):
        find_corruption("reverse")
    clip = LoadedClip(Clip("a.wav", "a", "1", "a"), np.arange(4, dtype=np.float32))
    (view,) = Corrupted("reversed", 0).make([clip], 0)
    np.testing.assert_array_equal(view.waveform, [3, 2, 1, 0])
    study = study_of([clip.clip], model, tmp_path)
    assert "reversed" in study.tests


def test_a_classifier_and_a_training_set(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(features: np.ndarray, labels: np.ndarray, seed: int) -> Any:
        del features, seed
        return lambda views: np.tile(labels.mean(axis=0), (len(views), 1))

    monkeypatch.setitem(CLASSIFIERS, "prior", Classifier("the prior", "embeddings", fit, "none", examples=1))
    monkeypatch.setitem(TRAINING_SETS, "again", TrainingSet("again", "none", (Component("original"),), ("prior",)))
    condition = Condition("prior", None, 1)
    assert condition.sets(list(TRAINING_SETS))[-1] == "again"
    monkeypatch.setattr("evaluation.utility.utility_study.CORRUPTIONS", {})
    monkeypatch.setattr("evaluation.utility.utility_study.DREAMED", {})
    clips = [Clip(f"{number}.wav", label, str(number % 2), str(number)) for number, label in enumerate("aaaabb")]
    study = study_of(clips, model, tmp_path)
    np.testing.assert_array_equal(study.run(condition, "again")[:, 0], [1, 1, 1, 1, 0, 0])
    (tmp_path / "table.csv").write_text("path,label,fold\n")
    given = ("utility", tmp_path, "--metadata", tmp_path / "table.csv")
    assert "mlp, cnn, prior" in complaint(capsys, *given, "--classifier", "svm")
    assert "mixed_taught, again" in complaint(capsys, *given, "--only", "nothing")


def study_of(clips: list[Clip], model: DreamingModel, folder: Path) -> Study:
    store = ViewStore(clips, lambda where: (np.zeros((16_000, 1), np.float32), 16_000), model, folder / "views")
    labels = tuple(sorted({clip.label for clip in clips}))
    return Study(StudyData(store, model, {}, {}, labels), folder / "outcomes", TRAINING_SETS)


def test_help_lists_the_judges_of_the_table() -> None:
    from pipelines.cli.commands.evaluate_command import app

    printed = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert judge_usage() in printed
