"""The evaluation from datasets to reports, on real recordings dreamed by the real pipeline."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from judged import judged
from recordings import augment, load

from augment.sound.distance import distance
from augment.sound.resampling import to_model
from evaluation.dreams.dream_rows import references
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.yamnet_graph import YamnetGraph
from evaluation.metrics.shifts import js_divergence
from pipelines.dataset.reader import open_dataset
from pipelines.dataset.record_reader import read_reference, walk

SOURCES = ("rooster", "rain", "sea_waves")

pytestmark = pytest.mark.usefixtures("known_ontology", "without_pages")


@pytest.fixture(scope="module")
def report(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "report"
    judged(folder, dataset)
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "examples.parquet")


# What is written


def test_every_dream_has_a_row_and_the_metrics_count_them(dataset: Path, report: Path) -> None:
    found, measured = rows(report), metrics(report)
    dreams = sorted(id_ for id_ in load(dataset) if not id_.endswith(":original"))
    assert list(found["id"]) == dreams
    assert (measured["n_examples"], measured["n_sources"], measured["n_failed"]) == (12, 3, 0)
    assert measured["judge"] == "yamnet"
    assert measured["judge_details"]["is_dreaming_model"]
    assert set(measured["by_transform"]) == {"deep_dream", "hard_cut"}
    assert set(measured["by_label"]) == set(SOURCES)
    assert sorted(path.name for path in report.iterdir()) == [
        *("comparison.json", "examples.parquet", "failures.jsonl", "metrics.json"),
    ]


def test_rows_follow_from_the_audio_alone(dataset: Path, report: Path) -> None:
    judge, examples = YamnetGraph(), load(dataset)
    for row in rows(report).to_dict("records"):
        dream, original = examples[row["id"]], examples[f"{row['source_id']}:original"]
        before, after = (judge.judge(to_model(each["audio"][:, None], 44_100)).scores for each in (original, dream))
        assert row["target_rank_after"] == 1 + int(np.sum(after > after[dream["target_index"]]))
        assert row["target_score_before"] == pytest.approx(before[dream["target_index"]])
        assert list(row["top_after"]) == [judge.classes[i].name for i in np.argsort(-after)[:5]]
        assert row["js_divergence"] == pytest.approx(js_divergence(before, after))
        far = distance(original["audio"][:, None], dream["audio"][:, None], 44_100)
        assert (row["snr_db"], row["lufs_change"]) == pytest.approx((far.snr_db, far.lufs_change))
        assert row["snr_db"] == pytest.approx(dream["snr_db"], abs=1e-3)
        assert list(row["labels"]) == [row["source_id"].split("/")[0]]


def test_rows_lead_to_the_records_of_dream_and_original(dataset: Path, report: Path, bare: Path) -> None:
    examples, row = load(dataset), {str(name): value for name, value in rows(report).iloc[3].items()}
    dream, original = references(row, str(dataset))
    assert original is not None
    for reference, id_ in ((dream, row["id"]), (original, f"{row['source_id']}:original")):
        assert reference.id == id_
        found = read_reference(open_dataset(str(dataset)), reference)
        np.testing.assert_array_equal(found["audio"][:, 0], examples[id_]["audio"])
    assert references({**row, "original_shard": None}, str(bare))[1] is None


def test_metrics_are_those_that_pandas_makes_of_the_rows(report: Path) -> None:
    found, measured = rows(report), metrics(report)
    for name, own in [("", found), *found.groupby("transform")]:
        block = measured["by_transform"][name] if name else measured
        tried = own[own["result_top1"] != "skipped"]
        assert block["success"]["top1"]["value"] == pytest.approx((tried["result_top1"] == "success").mean(), abs=1e-5)
        assert block["top_changed"]["value"] == pytest.approx(own["top_changed"].mean(), abs=1e-5)
        assert block["snr_db"]["median"] == pytest.approx(own["snr_db"].median(), abs=1e-3)
        assert block["target_rank"]["after_median"] == own["target_rank_after"].median()
        assert block["label_kept"]["n"] == own["label_before"].sum()
        assert sum(block["outcomes"].values()) == len(own)


def test_scores_that_the_augmenter_stored_are_not_looked_at(dataset: Path, report: Path, tmp_path: Path) -> None:
    """Records whose stored scores are wrong, with right checksums, give the same rows."""
    import tensorflow as tf

    from pipelines.files.tfrecord import frame

    forged = tmp_path / "dreams"
    shutil.copytree(dataset, forged)
    for shard in forged.glob("*.tfrecord-*"):
        records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())  # type: ignore[call-overload]
        with shard.open("wb") as out:
            for each in records:
                example = tf.train.Example.FromString(each)
                for key in ("scores_after", "scores_before", "snr_db", "score_target_after"):
                    values = example.features.feature[key].float_list.value
                    values[:] = [0.5] * len(values)
                out.write(frame(example.SerializeToString()))
    judged(tmp_path / "report", forged)
    columns = ["target_rank_after", "target_score_before", "snr_db", "js_divergence"]
    pd.testing.assert_frame_equal(rows(tmp_path / "report")[columns], rows(report)[columns])


# The same figures every time


@pytest.mark.parametrize("mode", ["multi_threading", pytest.param("multi_processing", marks=pytest.mark.slow)])
def test_several_workers_give_the_same_files(dataset: Path, report: Path, tmp_path: Path, mode: str) -> None:
    beam = ("--direct_num_workers=2", f"--direct_running_mode={mode}")
    judged(tmp_path / "report", dataset, beam=beam)
    assert metrics(tmp_path / "report") == metrics(report)
    for name in ("metrics.json", "examples.parquet", "comparison.json"):
        assert (tmp_path / "report" / name).read_bytes() == (report / name).read_bytes()


def test_originals_read_from_their_source_give_what_those_in_the_dataset_give(
    bare: Path, report: Path, tmp_path: Path
) -> None:
    judged(tmp_path / "report", bare)
    found, expected = rows(tmp_path / "report"), rows(report)
    expected = expected[expected["recipe"] == "deep_dream"].reset_index(drop=True)
    assert set(found["original_from"]) == {"source"}
    columns = [
        name for name in map(str, found) if name != "original_from" and not name.endswith(("shard", "offset", "length"))
    ]
    pd.testing.assert_frame_equal(found[columns], expected[columns])


# Null case


def test_originals_against_themselves_show_no_shift_at_all(recordings: Path, tmp_path: Path) -> None:
    augment(recordings, tmp_path / "same", "recipe.steps=0", "include_original=false")
    judged(tmp_path / "report", tmp_path / "same")
    measured, found = metrics(tmp_path / "report"), rows(tmp_path / "report")
    for share in (measured["success"]["top1"], measured["success"]["top5"], measured["top_changed"]):
        assert (share["value"], share["low"], share["high"]) == (0, 0, 0)
    assert (found["js_divergence"] == 0).all()
    assert (found["embedding_distance"] == 0).all()
    assert (found["target_rank_before"] == found["target_rank_after"]).all()
    assert (measured["snr_db"]["median"], measured["snr_db"]["identical"]) == (None, 3)
    assert measured["fad"] == pytest.approx(0, abs=1e-6)
    assert set(measured["by_budget"]) == {"identical"}


# Several datasets


def test_datasets_are_reported_one_by_one_and_compared(dataset: Path, bare: Path, tmp_path: Path) -> None:
    same = tmp_path / "dreams"
    shutil.copytree(bare, same)
    done = judged(tmp_path / "report", dataset, bare, same)
    assert [each.name for each in done.evaluations] == ["dreams", "bare", "dreams-2"]
    for each in done.evaluations:
        assert metrics(tmp_path / "report" / each.name) == each.metrics
    measured = json.loads((tmp_path / "report/comparison.json").read_text())
    assert [entry["name"] for entry in measured["entries"]] == ["dreams/cut", "dreams/deep_dream", "bare", "dreams-2"]
    pairs = {(pair["a"], pair["b"]): pair for pair in measured["pairs"]}
    equal = pairs["dreams/deep_dream", "bare"]
    assert (equal["shared_sources"], equal["measures"]["snr_db"]["difference"]) == (3, 0)
    assert pairs["dreams/cut", "bare"]["measures"]["snr_db"]["difference"] > 0


# Another judge


def test_another_judge_is_asked_about_what_it_knows(bare: Path, tmp_path: Path) -> None:
    table = tmp_path / "map.csv"
    table.write_text("name,class\n" + "".join(f"{name},No bicycle bell\n" for name in SOURCES))
    judged(tmp_path / "report", bare, judge=JudgeSpec("crnn"), class_map=str(table))
    measured = metrics(tmp_path / "report")
    assert (measured["judge"], measured["judge_details"]["classes"]) == ("crnn", 2)
    assert not measured["judge_details"]["is_dreaming_model"]
    assert measured["success"]["top1"] == {"value": None, "low": None, "high": None, "n": 0, "clips": 0}
    assert measured["label_kept"]["n"] == 6
    assert measured["fad"] > 0  # YAMNet's embeddings, whoever judges
    assert any("has no class for the target of 6 of 6" in warning for warning in measured["warnings"])


def test_without_the_ontology_kinship_is_left_out_and_that_is_said(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augment.targets.ontology import audioset_ontology

    monkeypatch.setenv("DREAMBEAM_ONTOLOGY", str(tmp_path / "nowhere.json"))
    audioset_ontology.cache_clear()
    judged(tmp_path / "report", bare)
    audioset_ontology.cache_clear()
    measured = metrics(tmp_path / "report")
    assert (measured["outcomes"], measured["shifts"]) == ({}, {})
    assert any("nowhere.json" in warning for warning in measured["warnings"])


# Sources


def test_dreams_of_dreams_are_of_the_recordings_that_they_go_back_to(recordings: Path, tmp_path: Path) -> None:
    augment(recordings, tmp_path / "one", "variants=1")
    pattern = f"{tmp_path / 'one'}/*.tfrecord*"  # all of them, originals and dreams
    augment(pattern, tmp_path / "two", "recipe.steps=1")
    done = judged(tmp_path / "report", tmp_path / "two").evaluations[0]
    assert done.rows["source_id"].nunique() == done.rows["clip"].nunique() == 6
    sha256 = {hashlib.sha256(path.read_bytes()).hexdigest() for path in recordings.glob("*/*.wav")}
    assert set(done.rows["recording"]) == sha256
    assert (done.metrics["n_examples"], done.metrics["n_sources"], done.metrics["success"]["top1"]["clips"]) == (
        *(6, 3, 3),
    )
    shutil.rmtree(tmp_path / "one")
    done = judged(tmp_path / "again", tmp_path / "two").evaluations[0]
    assert done.metrics["n_sources"] == 6
    assert any("6 dreams are of dreams whose own dataset cannot be read" in each for each in done.metrics["warnings"])


def test_pieces_of_one_recording_are_one_source(recordings: Path, tmp_path: Path) -> None:
    augment(recordings / "rain", tmp_path / "pieces", "source.segment_seconds=0.5", "recipe.steps=1")
    measured = judged(tmp_path / "report", tmp_path / "pieces").evaluations[0].metrics
    assert (measured["n_examples"], measured["n_sources"]) == (4, 1)


# Audio encodings


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_a_source_is_classified_as_the_dataset_would_have_stored_it(
    recordings: Path, tmp_path: Path, encoding: str
) -> None:
    found = []
    for name, original in (("whole", "true"), ("bare", "false")):
        changes = ("recipe.steps=1", f"audio_encoding={encoding}", f"include_original={original}")
        augment(recordings, tmp_path / name, *changes)
        judged(tmp_path / f"{name}-report", tmp_path / name)
        found.append(rows(tmp_path / f"{name}-report"))
    same = [each for each in map(str, found[0]) if not each.endswith(("_from", "shard", "offset", "length"))]
    pd.testing.assert_frame_equal(found[0][same], found[1][same])


def test_references_lead_to_their_records(dataset: Path) -> None:
    opened, examples = open_dataset(str(dataset)), load(dataset)
    found = [reference for shard in opened.shards for reference in walk(shard)]
    assert sorted(reference.id for reference in found) == sorted(examples)
    for reference in found:
        example = read_reference(opened, reference)
        np.testing.assert_array_equal(example["audio"][:, 0], examples[reference.id]["audio"])
        assert (example["recipe"] == "original") == reference.original
        assert example["source_id"] == reference.source_id
