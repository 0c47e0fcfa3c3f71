"""Claims about the steering benchmark: its pairs, its figures, and the page that it writes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from recordings import complaint, dreambeam

from augment.ascent.dreaming import dream
from augment.models.yamnet import DreamingModel
from evaluation.judges.yamnet_graph import YamnetGraph
from evaluation.metrics.intervals import interval
from evaluation.steering.steering_study import ROWS, Recording, draw_pairs, make_recipe, summarise

RATE, SOUNDS = 16_000, 3


def recordings() -> list[Recording]:
    rng = np.random.default_rng(0)
    return [Recording(f"{n}.wav", rng.normal(0, 0.1, (15_600, 1)).astype(np.float32), RATE) for n in range(SOUNDS)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for each in recordings():
        soundfile.write(folder / each.id, each.waveform, RATE, subtype="FLOAT")
    (folder / "notes.wav").write_text("no sound")
    return folder


def test_every_recording_has_as_many_pairs_as_any_other_to_one():
    pairs = draw_pairs(recordings(), 8, seed=1)
    counts = pd.Series([pair.recording.id for pair in pairs]).value_counts()
    assert counts.max() - counts.min() <= 1
    assert len({(pair.recording.id, pair.variant) for pair in pairs}) == 8


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_row_is_a_recipe(name: str):
    assert make_recipe(name).steps <= 200


@pytest.mark.slow
def test_the_benchmark_gives_the_judges_ranks_of_each_pair(
    data: Path,
    tmp_path: Path,
    model: DreamingModel,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    quick = dataclasses.replace(ROWS["away"], recipe={**ROWS["away"].recipe, "steps": 6})
    monkeypatch.setitem(ROWS, "away", quick)
    report = tmp_path / "report"
    arguments = [
        "benchmark",
        "steering",
        "--data",
        str(data),
        "--pairs",
        "4",
        "--only",
        "away",
        "--report",
        str(report),
        "--json",
    ]
    assert dreambeam(*arguments) == 0
    stored = json.loads(capsys.readouterr().out)
    pairs = pd.read_csv(report / "steering.csv")
    assert len(pairs) == 4
    assert stored["rows"][0]["pairs"] == 4
    assert stored["rows"][0]["reached"] == pytest.approx(pairs["reached"].mean())
    page = (report / "steering.md").read_text()
    assert ROWS["away"].title in page
    assert f"{100 * pairs['reached'].mean():.1f} %" in page
    # the same dream, made and classified here
    row = pairs.iloc[0]
    waveform = soundfile.read(data / row["clip"], dtype="float32")[0]
    dreamed = dream(waveform, RATE, target="away", recipe=make_recipe("away"), model=model)
    scores = YamnetGraph().judge(dreamed.waveform).scores
    assert model.classes[dreamed.aim.classes[0]].name == row["target"]
    assert dreamed.aim.rank(scores) == row["rank_after"]
    assert dreamed.snr_db == pytest.approx(row["snr_db"], abs=1e-3)
    assert len(dreamed.objectives) == row["steps"]
    # what is there is not measured again
    changed = pairs.assign(steps=99)
    changed.to_csv(report / "steering.csv", index=False)
    assert dreambeam(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["steps"] == 99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data DIR"),
        (["--data", "nowhere"], "nowhere"),
        (["--data", ".", "--only", "addtive"], "there is no row 'addtive'; choices: default"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, "benchmark", "steering", *arguments)


def test_an_interval_holds_the_value_and_is_wider_when_clips_repeat():
    rng = np.random.default_rng(0)
    values = (rng.random(200) < 0.7).astype(float)
    low, high = interval(values, range(200))
    assert low < values.mean() < high
    normal = 1.96 * np.sqrt(0.7 * 0.3 / 200)
    assert high - low == pytest.approx(2 * normal, rel=0.15)
    repeated = np.repeat(values[:50], 4)
    low, high = interval(repeated, list(np.repeat(np.arange(50), 4)))
    assert high - low == pytest.approx(4 * normal, rel=0.3)


def test_a_summary_counts_by_hand():
    found = pd.DataFrame(
        {
            "row": ["default"] * 4,
            "clip": list("aabb"),
            "rank_before": [100, 50, 20, 10],
            "rank_after": [1, 1, 4, 9],
            "top1": [True, True, False, False],
            "top5": [True, True, True, False],
            "reached": [True, True, False, False],
            "snr_db": [20.0, 21.0, 22.0, 23.0],
            "steps": [5, 6, 20, 20],
        }
    )
    summary = summarise(found)
    assert (summary["pairs"], summary["clips"]) == (4, 2)
    assert (summary["top1"], summary["top5"], summary["reached"]) == (0.5, 0.75, 0.5)
    assert summary["rank_change"] == np.median([99, 49, 16, 1])
    assert (summary["snr_db"], summary["snr_db_min"], summary["steps"]) == (21.5, 20.0, 13.0)
    assert summary["top1_interval"] == (0.0, 1.0)
