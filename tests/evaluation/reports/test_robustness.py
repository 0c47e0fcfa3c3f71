"""The robustness report from end to end: real recordings, a trained head, dreams through it and through YAMNet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from recordings import complaint, dreambeam, record, samples

from augment.models.heads import load_head
from augment.models.mirror import demo_recording
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import make_judge
from evaluation.reports.robustness_report import batches
from evaluation.robustness.attacks import BATCH
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_curves import CLEAN
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.trained_head import overlap

LABELS = {"rooster": "Crowing, cock-a-doodle-doo", "rain": "Rain", "helicopter": "Helicopter"}
FLAGS = ("--snr-db=30,0", "--steps=8", "--seed=3")


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, two folds: 1.3 s of two real recordings for training, of one to be tried."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for label in LABELS:
        for number, path in enumerate(sorted((shared / "data/esc10-dev" / label).glob("*.ogg"))[:3]):
            name = f"{label}-{number}.wav"
            soundfile.write(folder / name, samples(path)[:57_000], 44_100, subtype="PCM_16")
            rows.append((name, label, "2" if number == 2 else "1"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "fold"), *rows])
    with (folder / "map.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "class"), *LABELS.items()])
    return folder


def arguments(data: Path, report: Path, *more: str) -> list[str]:
    metadata = (f"--metadata={data / 'labels.csv'}", "--train=fold=1", "--test=fold=2")
    return ["robustness", str(data), "--report", str(report), *metadata, *FLAGS, *more]


@pytest.fixture(scope="module")
def report(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "report"
    assert dreambeam(*arguments(data, folder, f"--yamnet-map={data / 'map.csv'}")) == 0
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "robustness.parquet")


def test_the_report_has_its_stable_keys_and_files(report: Path):
    stored = metrics(report)
    assert {"clean_accuracy", "curve", "trusted", "warnings", "judge", "seed", "versions", "per_class", "halving"} <= {
        *stored
    }
    assert {tuple(point) for point in stored["curve"]} == {("perturbation", "snr_db", "accuracy", "low", "high", "n")}
    assert {(p["perturbation"], p["snr_db"]) for p in stored["curve"]} == {
        (n, s) for n in PERTURBATIONS for s in (30, 0)
    }
    assert (stored["judge"], stored["n_clips"], stored["n_failed"], stored["seed"]) == ("head", 3, 0, 3)
    assert stored["judge_details"]["trained"]["clips"] == 6
    assert stored["judge_details"]["classes"] == sorted(LABELS)
    assert sorted(path.name for path in report.iterdir()) == [
        *("curve.csv", "failures.jsonl", "head.npz", "metrics.json", "report.html", "robustness.parquet"),
        "robustness.png",
    ]


def test_every_row_meets_its_snr_exactly_and_the_curve_follows_from_the_rows(report: Path):
    found, stored = rows(report), metrics(report)
    assert len(found) == 3 * (1 + 2 * len(PERTURBATIONS))
    changed = found[found["perturbation"] != CLEAN]
    np.testing.assert_allclose(changed["measured_snr_db"], changed["snr_db"], atol=5e-3)
    for point in stored["curve"]:
        own = found[(found["perturbation"] == point["perturbation"]) & (found["snr_db"] == point["snr_db"])]
        assert (point["accuracy"], point["n"]) == (pytest.approx(own["correct"].mean(), rel=1e-5), len(own))


def test_white_box_dreams_turn_what_noise_does_not(report: Path):
    curve = {(p["perturbation"], p["snr_db"]): p["accuracy"] for p in metrics(report)["curve"]}
    assert metrics(report)["clean_accuracy"] == 1
    assert curve["untargeted", 0] == 0
    assert curve["smooth_filter", 30] == curve["white_noise", 30] == 1


def test_the_trained_head_is_the_judge_of_the_rows(data: Path, report: Path):
    judge = make_judge(JudgeSpec(str(report / "head.npz")))
    clean = rows(report).query("perturbation == 'clean'")
    for row in clean.to_dict("records"):
        import soxr

        model_input = soxr.resample(samples(data / row["id"])[:, 0], 44_100, 16_000, quality="HQ")
        np.testing.assert_allclose(judge.judge(model_input).scores, row["scores"], atol=1e-3)
    assert load_head(report / "head.npz").names == tuple(sorted(LABELS))


@pytest.mark.slow
def test_the_report_is_the_same_from_two_workers(data: Path, report: Path, tmp_path: Path):
    beam = ("--direct_num_workers=2", "--direct_running_mode=multi_threading")
    assert dreambeam(*arguments(data, tmp_path / "again", f"--yamnet-map={data / 'map.csv'}", *beam)) == 0
    pd.testing.assert_frame_equal(rows(tmp_path / "again"), rows(report))
    assert metrics(tmp_path / "again") == metrics(report)
    assert (tmp_path / "again/report.html").read_bytes() == (report / "report.html").read_bytes()


def test_every_class_of_a_head_competes_though_no_clip_that_is_tried_has_it(data: Path, report: Path, tmp_path: Path):
    from evaluation.reports.robustness_report import robustness
    from evaluation.robustness.trials import Settings
    from pipelines.cli.runs.robustness_run import Data, list_items
    from pipelines.cli.runs.study_clips import read_clip
    from pipelines.run.augmentation import pipeline_options

    given = Data(str(data / "labels.csv"), test="fold=2")
    _, items, _ = list_items([str(data)], given, 0)
    few = [item for item in items if item.labels == ("rain",)]
    settings = Settings(JudgeSpec(str(report / "head.npz")), through="judge", budgets=(10.0,), steps=1, targeted=False)
    done = robustness(few, tmp_path / "few", settings, read_clip, pipeline_options([]))
    assert done.metrics["judge_details"]["classes"] == sorted(LABELS)
    assert len(done.rows["scores"].iloc[0]) == len(LABELS)


def test_batches_are_of_nearly_equal_size_and_do_not_depend_on_the_order():
    items = [Item(str(number), str(number), "", (), {}) for number in range(2 * BATCH + 1)]
    made = batches(items, 0)
    assert sorted(map(len, made)) == [21, 22, 22]
    assert batches(items[::-1], 0) == made
    assert batches(items, 1) != made


def test_a_clip_that_cannot_be_read_is_a_failure_and_the_others_are_tried(data: Path, tmp_path: Path):
    folder = tmp_path / "data"
    for label in ("rain", "helicopter"):
        (folder / label).mkdir(parents=True)
        (folder / label / "clip.wav").write_bytes((data / f"{label}-2.wav").read_bytes())
    (folder / "rain" / "broken.wav").write_bytes(b"RIFF")
    record(folder / "unheard" / "clip.wav")
    report = tmp_path / "report"
    assert dreambeam("robustness", folder, "--report", report, "--snr-db=10", "--steps=1", "--untargeted") == 3
    stored = metrics(report)
    assert (stored["judge"], stored["n_clips"], stored["n_failed"]) == ("yamnet", 2, 1)
    assert {p["perturbation"] for p in stored["curve"]} == {
        *("untargeted", "one_step", "other_dream", "white_noise", "pink_noise", "smooth_filter")
    }
    assert any("no class for 1 of 3 labels (unheard)" in each for each in stored["warnings"])


def test_several_labels_give_mean_average_precision_through_the_whole_report(data: Path, tmp_path: Path):
    labels = {"rooster-2.wav": "rooster", "rain-2.wav": "rain;helicopter", "helicopter-2.wav": "helicopter"}
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "labels"), *labels.items()])
    flags = (f"--metadata={tmp_path / 'labels.csv'}", "--label-separator=;", f"--class-map={data / 'map.csv'}")
    files = [data / name for name in labels]
    folder = tmp_path / "report"
    assert dreambeam("robustness", *files, "--report", folder, *flags, "--snr-db=20", "--steps=2") == 0
    stored, found = metrics(folder), rows(folder)
    assert (stored["metric"], stored["n_clips"]) == ("map", 3)
    assert set(found["truth"].map(len)) == {1, 2}
    names = stored["judge_details"]["classes"]
    for (name, snr), own in found.fillna({"snr_db": np.inf}).groupby(["perturbation", "snr_db"]):
        scores, truth = np.stack(list(own["scores"])), np.zeros((3, len(names)), bool)
        for line, positions in zip(truth, own["truth"], strict=True):
            line[positions] = True
        expected = np.mean([_average_precision(s, t) for s, t in zip(scores.T, truth.T, strict=True) if t.any()])
        point = next((p for p in stored["curve"] if (p["perturbation"], p["snr_db"]) == (name, snr)), None)
        value = stored["clean_accuracy"] if name == CLEAN else point and point["accuracy"]
        assert value == pytest.approx(expected, abs=1e-5)
    assert "mean average precision, unchanged" in (folder / "report.html").read_text("utf-8")


def _average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Average precision of scores that all differ, by its definition."""
    places = 1 + np.flatnonzero(truth[np.argsort(-scores)])
    return float(np.mean(np.arange(1, len(places) + 1) / places))


@pytest.mark.slow
def test_a_black_box_is_tried_through_yamnet_and_the_report_says_what_that_is_worth(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "black_box.py").write_text(
        "from evaluation.judges.crnn_judge import Crnn\n"
        "crnn = Crnn()\n"
        "def bell(waveform): return crnn.judge(waveform).scores\n"
        "bell.classes, bell.sample_rate = list(crnn.classes.names), crnn.sample_rate\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    folder, bell = tmp_path / "data", samples(demo_recording())
    for label, sound in (("bell", bell[: 16_000 * 2]), ("street", samples(data / "rain-2.wav"))):
        (folder / label).mkdir(parents=True)
        soundfile.write(folder / label / "clip.wav", sound, 16_000 if label == "bell" else 44_100, subtype="PCM_16")
    for name, lines in (
        ("own", "bell,Bicycle bell\nstreet,No bicycle bell\n"),
        ("yamnet", "bell,Bicycle bell\nstreet,Rain\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(f"name,class\n{lines}")
    flags = (f"--class-map={tmp_path / 'own.csv'}", f"--yamnet-map={tmp_path / 'yamnet.csv'}", "--judge=black_box:bell")
    given = ("robustness", folder, "--report", tmp_path / "report", *flags, "--snr-db=20", "--steps=2")
    assert dreambeam(*given) == 0
    stored = metrics(tmp_path / "report")
    assert {point["perturbation"] for point in stored["curve"]} == {
        *("untargeted_transfer", "targeted_transfer", "other_dream", "white_noise", "pink_noise", "smooth_filter")
    }
    assert (stored["judge"], stored["trusted"], set(stored["dreamed_through"])) == (
        "black_box:bell",
        False,
        {"yamnet"},
    )
    assert any("upper bounds" in each for each in stored["warnings"])
    assert set(rows(tmp_path / "report")["scores"].map(len)) == {2}
    assert "upper bounds" in (tmp_path / "report/report.html").read_text("utf-8")


def test_takes_of_one_recording_count_as_one_source(data: Path):
    from pipelines.cli.runs.robustness_run import Data, list_items
    from pipelines.tables.columns import Columns

    with (data / "takes.csv").open("w", newline="") as file:
        names = [f"{label}-{number}.wav" for label in LABELS for number in range(3)]
        takes = ["a", "a", "b", "b", "b", "", "", "c", "c"]
        csv.writer(file).writerows(
            [("path", "label", "take"), *((n, n.split("-")[0], take) for n, take in zip(names, takes, strict=True))]
        )
    _, items, _ = list_items([str(data)], Data(str(data / "takes.csv"), Columns(groups=("take",))), 0)
    by_id = {item.id: item.source for item in items}
    assert overlap([item for item in items if item.source == "a"], [item for item in items if item.source != "a"]) == []
    (stored,) = overlap([item for item in items if item.id == "rooster-2.wav"], items)
    assert stored.startswith("1 recording both trained on and tested, such as b: ")
    found = [by_id[name] for name in names]
    assert found == ["a", "a", "b", "b", "b", "rain-2.wav", "helicopter-0.wav", "c", "c"]


WRONG = [
    (("--snr-db=loud",), "--snr-db is 'loud'"),
    (("--snr-db=1000",), "--snr-db takes SNRs from -20 to 100 dB"),
    (("--through=walls",), "--through is 'walls'; choices: auto"),
    (("--train=fold",), "--train is 'fold'; expected a column"),
    (("--train=fold=7",), "--train: no file has '7' in column 'fold'; it has 1, 2"),
    (("--train=fold=2",), "both fold=2"),
    (("--test=split=2",), "different columns"),
    (("--label-separator=;",), "a head is trained on one label"),
    (("--group-column=take",), "column 'take'"),
    (("--limits=3",), "did you mean --limit?"),
    (("--metadata=missing.csv",), "'missing.csv' does not exist"),
]


@pytest.mark.parametrize(("flags", "expected"), WRONG)
def test_wrong_arguments_are_one_line(
    flags: tuple[str, ...], expected: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert expected in complaint(capsys, *arguments(data, tmp_path / "report", *flags))


def test_a_judge_without_the_labels_or_a_report_that_is_a_file_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = ["robustness", data, "--report", tmp_path / "report", "--metadata", data / "labels.csv", "--judge=crnn"]
    assert "has no class for any of the labels" in complaint(capsys, *given)
    mapped = tmp_path / "map.csv"
    mapped.write_text("name,class\n" + "".join(f"{label},No bicycle bell\n" for label in LABELS))
    (tmp_path / "report").rmdir()
    (tmp_path / "report").write_text("")
    assert "is a file" in complaint(capsys, *given)
