"""A run from files to a published dataset: what it holds, who can read it, and that it is the same every time."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from recordings import augment, failures_of, load, raw_records, record, samples, shards_of

from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe, canonical_json
from pipelines.clips.listing import SourceError
from pipelines.config.run_config import ConfigError

EXAMPLE = {
    *("audio", "sample_rate", "label", "labels", "id", "source_id", "variant", "split", "recipe", "transform"),
    *("target_index", "target_mid", "target_name", "score_target_before", "score_target_after"),
    *("lufs_before", "lufs_after", "lufs_change", "peak"),
    *("top_before", "top_after", "snr_db", "steps_taken", "reached", "scores_before", "scores_after", "provenance"),
}
CHANGES = (
    *("recipe.steps=2", "recipe.snr_db=15", "recipe.hold=null", "recipe.keep=last", "variants=2", "shards=2", "seed=7"),
    *("recipes.deep_dream={}", "recipes.soft={transform: hard_cut_add, threshold: 0.002}"),
)
SOURCES = {"cat/c.wav": 1.0, "dog/a.wav": 1.0, "dog/b.wav": 1.3}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name, seconds in SOURCES.items():
        record(folder / name, seconds, subtype="PCM_16" if name.startswith("dog") else "FLOAT")
    return folder


@pytest.fixture(scope="module")
def dataset(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of two recipes, two variants, over three clips of two labels."""
    output = tmp_path_factory.mktemp("runs") / "dataset"
    augment(recordings, output, *CHANGES)
    return output


@pytest.fixture(scope="module")
def examples(dataset: Path) -> dict[str, dict[str, Any]]:
    return load(dataset)


# What a dataset holds


def test_each_clip_gives_one_record_for_each_recipe_and_variant_and_its_original(
    examples: dict[str, dict[str, Any]],
) -> None:
    dreams = {f"{name}:{recipe}:{variant}" for name in SOURCES for recipe in ("deep_dream", "soft") for variant in "01"}
    assert set(examples) == dreams | {f"{name}:original" for name in SOURCES}


def test_tfds_gives_every_field_with_its_type_shape_and_label(
    dataset: Path, examples: dict[str, dict[str, Any]]
) -> None:
    import tensorflow_datasets as tfds

    info: Any = tfds.builder_from_directory(dataset).info
    assert info.features["label"].names == ["cat", "dog"]
    assert info.splits["train"].num_examples == len(examples) == sum(info.splits["train"].shard_lengths)
    for id_, example in examples.items():
        source, recipe = id_.split(":")[:2]
        assert set(example) == EXAMPLE
        assert example["audio"].dtype == np.float32
        assert example["audio"].shape == (round(16_000 * SOURCES[source]),)
        assert example["sample_rate"] == 16_000
        assert info.features["label"].int2str(example["label"]) == source.split("/")[0]
        assert list(example["labels"]) == [example["label"]]
        assert (example["source_id"], example["split"], example["recipe"]) == (source, "train", recipe)
        assert example["scores_before"].shape == example["scores_after"].shape == (521,)
        assert example["scores_before"].dtype == example["scores_after"].dtype == np.float32


def test_an_original_holds_the_samples_of_its_file_exactly(
    recordings: Path, examples: dict[str, dict[str, Any]]
) -> None:
    for name in SOURCES:
        original = examples[f"{name}:original"]
        np.testing.assert_array_equal(original["audio"], samples(recordings / name)[:, 0])
        assert (original["snr_db"], original["target_index"], original["steps_taken"]) == (np.inf, -1, 0)
        np.testing.assert_array_equal(original["scores_before"], original["scores_after"])


def test_the_numbers_of_a_dream_follow_from_its_audio(
    examples: dict[str, dict[str, Any]], model: DreamingModel
) -> None:
    for id_, example in examples.items():
        source = examples[f"{example['source_id']}:original"]
        heard = model.clip_scores(example["audio"])
        np.testing.assert_allclose(example["scores_after"], heard, atol=1e-6)
        np.testing.assert_array_equal(example["scores_before"], source["scores_after"])
        assert example["top_after"] == model.classes.names[int(np.argmax(heard))]
        assert example["top_before"] == source["top_after"]
        if id_.endswith("original"):
            continue
        target = int(example["target_index"])
        assert model.classes[target].name == example["target_name"]
        assert model.classes[target].mid == example["target_mid"]
        assert example["score_target_before"] == example["scores_before"][target]
        assert example["score_target_after"] == example["scores_after"][target]
        assert example["reached"] == (np.argmax(heard) == target)
        change = example["audio"].astype(np.float64) - source["audio"]
        snr = 10 * np.log10(np.sum(source["audio"].astype(np.float64) ** 2) / np.sum(change**2))
        assert example["snr_db"] == pytest.approx(snr, abs=1e-3)
        assert snr >= 15 - 1e-3


def test_provenance_is_canonical_json_that_says_how_the_audio_was_made(
    recordings: Path, examples: dict[str, dict[str, Any]], model: DreamingModel
) -> None:
    recipes = {
        "deep_dream": Recipe(steps=2, snr_db=15, hold=None, keep="last"),
        "soft": Recipe(transform="hard_cut_add", threshold=0.002, steps=2, snr_db=15, hold=None, keep="last"),
    }
    for example in examples.values():
        told = json.loads(example["provenance"])
        path = recordings / example["source_id"]
        assert canonical_json(told) == example["provenance"]
        assert told["output_sha256"] == hashlib.sha256(example["audio"].tobytes()).hexdigest()
        assert told["source"] == {
            "id": example["source_id"],
            "uri": str(path),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "start": 0,
            "stop": len(example["audio"]),
            "sample_rate": 16_000,
            "channels": 1,
            "format": "WAV/PCM_16" if path.parent.name == "dog" else "WAV/FLOAT",
        }
        assert told["model"] == {"name": "yamnet", "identity": model.identity}
        assert (told["seed"], told["variant"]) == (7, example["variant"])
        assert {"dreambeam", "libsndfile", "numpy", "soxr", "tensorflow"} <= set(told["versions"])
        if example["recipe"] == "original":
            assert told["recipe"] is told["recipe_digest"] is told["target"] is None
            assert told["objectives"] == []
            continue
        recipe = recipes[example["recipe"]]
        assert Recipe.model_validate(told["recipe"]) == recipe
        assert told["recipe_digest"] == recipe.digest()
        assert told["recipe_digest"] == hashlib.sha256(canonical_json(told["recipe"]).encode()).hexdigest()
        assert told["target_policy"] == "random"
        assert told["target"]["index"] == example["target_index"]
        assert len(told["objectives"]) == example["steps_taken"] == 2


def test_provenance_parquet_has_a_row_for_each_record_and_knows_its_place(
    dataset: Path, examples: dict[str, dict[str, Any]]
) -> None:
    import tensorflow as tf

    table = pd.read_parquet(dataset / "provenance.parquet").set_index("id")
    assert set(table.index) == set(examples)
    assert len(table) == len(examples)
    for id_, row in table.to_dict(orient="index").items():
        example = examples[str(id_)]
        for key in set(table.columns) & EXAMPLE - {"label"}:
            assert row[key] == example[key], key
        assert row["label"] == example["source_id"].split("/")[0]
        assert (row["samples"], row["channels"]) == (len(example["audio"]), 1)
        assert row["output_sha256"] == json.loads(example["provenance"])["output_sha256"]
        shard = dataset / f"dreamed-{row['split']}.tfrecord-{row['shard']:05d}-of-00002"
        found = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())[row["position"]]
        assert tf.train.Example.FromString(found).features.feature["id"].bytes_list.value[0].decode() == id_


def test_run_json_adds_up(dataset: Path, examples: dict[str, dict[str, Any]]) -> None:
    told = json.loads((dataset / "run.json").read_text(encoding="utf-8"))
    reached = Counter(example["recipe"] for example in examples.values() if example["reached"])
    assert told["counts"] == {
        "clips": 3,
        "audio_seconds": 3.3,
        "records": 15,
        "originals": 3,
        "dreams": 12,
        "reached": sum(reached.values()),
        "reused": 0,
        "failures": 0,
        "records_lost": 0,
    }
    assert {name: found["dreams"] for name, found in told["recipes"].items()} == {"deep_dream": 6, "soft": 6}
    assert all(found["reached"] == reached[name] for name, found in told["recipes"].items())
    assert told["files"] == 3
    assert told["config"]["seed"] == 7
    assert (dataset / "failures.jsonl").read_text() == ""


def test_records_are_read_by_plain_tensorflow(dataset: Path, examples: dict[str, dict[str, Any]]) -> None:
    import tensorflow as tf

    spec = {
        "id": tf.io.FixedLenFeature([], tf.string),
        "audio": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "sample_rate": tf.io.FixedLenFeature([], tf.int64),
        "scores_after": tf.io.FixedLenFeature([521], tf.float32),
    }
    paths = sorted(str(path) for path in dataset.glob("*.tfrecord-*"))
    parsed = [tf.io.parse_single_example(found, spec) for found in tf.data.TFRecordDataset(paths)]
    assert len(parsed) == len(examples)
    for example in parsed:
        same = examples[example["id"].numpy().decode()]
        for key in ("audio", "label", "sample_rate", "scores_after"):
            np.testing.assert_array_equal(example[key].numpy(), same[key])


def test_segments_of_a_file_are_clips_of_their_own(tmp_path: Path) -> None:
    path = record(tmp_path / "in/dog/long.wav", 3.5, rate=8_000)
    told = augment(tmp_path / "in", tmp_path / "out", "source.segment_seconds=1")
    examples = load(tmp_path / "out")
    ids = ["dog/long.wav#t=0,1", "dog/long.wav#t=1,2", "dog/long.wav#t=2,3.5"]
    assert told["counts"]["clips"] == 3
    joined = np.concatenate([examples[f"{id_}:original"]["audio"] for id_ in ids])
    np.testing.assert_array_equal(joined, samples(path)[:, 0])
    starts = [json.loads(examples[f"{id_}:original"]["provenance"])["source"]["start"] for id_ in ids]
    assert starts == [0, 8_000, 16_000]


def test_without_originals_there_are_dreams_only(recordings: Path, tmp_path: Path) -> None:
    told = augment(recordings, tmp_path / "out", "include_original=false")
    assert told["counts"]["records"] == told["counts"]["dreams"] == 3
    assert {example["recipe"] for example in load(tmp_path / "out").values()} == {"deep_dream"}


# The same every time


def test_shards_and_provenance_are_the_same_with_batches_of_one(
    recordings: Path, dataset: Path, tmp_path: Path
) -> None:
    augment(recordings, tmp_path / "out", *CHANGES, "batch_size=1")
    assert shards_of(tmp_path / "out") == shards_of(dataset)
    tables = [pd.read_parquet(folder / "provenance.parquet") for folder in (tmp_path / "out", dataset)]
    pd.testing.assert_frame_equal(tables[0], tables[1])


def test_shards_are_the_same_bytes_in_batches_of_five_and_however_the_files_are_named(
    recordings: Path, dataset: Path, tmp_path: Path
) -> None:
    named = [str(recordings / "dog/b.wav"), str(recordings / "c*/*"), str(recordings / "dog/a.wav")]
    augment(named, tmp_path / "out", *CHANGES, "batch_size=5")
    assert shards_of(tmp_path / "out") == shards_of(dataset)


@pytest.mark.parametrize(
    ("mode", "workers"), [("multi_threading", 4), pytest.param("multi_processing", 2, marks=pytest.mark.slow)]
)
def test_shards_are_the_same_bytes_with_several_workers(
    recordings: Path, dataset: Path, tmp_path: Path, mode: str, workers: int
) -> None:
    beam_args = [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}"]
    told = augment(recordings, tmp_path / "out", *CHANGES, beam_args=beam_args)
    assert told["beam_args"] == beam_args
    assert shards_of(tmp_path / "out") == shards_of(dataset)


def test_another_clip_does_not_change_the_records_of_the_others(
    recordings: Path, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(recordings, tmp_path / "in")
    record(tmp_path / "in/dog/0.wav")
    augment(tmp_path / "in", tmp_path / "out", *CHANGES)
    before, after = raw_records(dataset), raw_records(tmp_path / "out")
    here, there = str(recordings).encode(), str(tmp_path / "in").encode()
    assert len(after) == len(before) + 5
    for id_, found in before.items():
        assert _without_uri(after[id_], there) == _without_uri(found, here), id_


def _without_uri(serialised: bytes, folder: bytes) -> bytes:
    import tensorflow as tf

    example = tf.train.Example.FromString(serialised)
    (told,) = example.features.feature["provenance"].bytes_list.value
    assert folder in told
    example.features.feature["provenance"].bytes_list.value[:] = [told.replace(folder, b"")]
    return example.SerializeToString(deterministic=True)


def test_another_seed_gives_other_targets_and_the_same_originals(
    recordings: Path, examples: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    augment(recordings, tmp_path / "out", *CHANGES, "seed=8", "recipe.steps=0")
    others = load(tmp_path / "out")
    dreams = [id_ for id_ in examples if not id_.endswith("original")]
    assert sum(examples[id_]["target_index"] != others[id_]["target_index"] for id_ in dreams) >= len(dreams) - 2
    for id_ in set(examples) - set(dreams):
        np.testing.assert_array_equal(examples[id_]["audio"], others[id_]["audio"])


# Targets


def test_random_targets_differ_between_variants_are_shared_by_recipes_and_never_the_predicted_class(
    examples: dict[str, dict[str, Any]],
) -> None:
    targets = {id_: int(example["target_index"]) for id_, example in examples.items()}
    for name in SOURCES:
        assert targets[f"{name}:deep_dream:0"] == targets[f"{name}:soft:0"]
        assert targets[f"{name}:deep_dream:1"] == targets[f"{name}:soft:1"]
        assert targets[f"{name}:deep_dream:0"] != targets[f"{name}:deep_dream:1"]
    for id_, example in examples.items():
        assert example["target_name"] != example["top_before"], id_


def test_target_keep_is_each_clips_own_top_class(recordings: Path, tmp_path: Path) -> None:
    augment(recordings, tmp_path / "out", "target=keep")
    dreams = [example for id_, example in load(tmp_path / "out").items() if not id_.endswith("original")]
    assert len(dreams) == 3
    assert all(example["target_name"] == example["top_before"] for example in dreams)
    assert all(example["target_index"] == np.argmax(example["scores_before"]) for example in dreams)


# Labels and splits


def test_a_csv_gives_labels_and_each_split_its_own_files(tmp_path: Path) -> None:
    rows = [("filename", "fold", "target", "category", "esc10", "split")]
    for number, (label, split) in enumerate([("dog", "train"), ("rain", "test"), ("dog", "test"), ("rain", "train")]):
        record(tmp_path / f"audio/1-{number}-A.wav")
        rows.append((f"1-{number}-A.wav", "1", str(number % 2), label, "True", split))
    with (tmp_path / "esc.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    augment(tmp_path / "audio", tmp_path / "out", f"source.metadata={tmp_path / 'esc.csv'}", "name=esc")
    assert set(shards_of(tmp_path / "out")) == {f"esc-{s}.tfrecord-00000-of-00001" for s in ("train", "test")}
    found = {
        example["source_id"]: (split, ["dog", "rain"][example["label"]])
        for split in ("train", "test")
        for example in load(tmp_path / "out", split).values()
    }
    assert found == {row[0]: (row[5], row[3]) for row in rows[1:]}


def test_unlabelled_clips_have_label_minus_one(tmp_path: Path) -> None:
    record(tmp_path / "in/a.wav")
    augment(tmp_path / "in", tmp_path / "out")
    for example in load(tmp_path / "out").values():
        assert example["label"] == -1
        assert example["labels"].shape == (0,)
    assert pd.read_parquet(tmp_path / "out/provenance.parquet")["label"].isna().all()


def test_labelled_and_unlabelled_clips_go_together(tmp_path: Path) -> None:
    record(tmp_path / "in/a.wav")
    record(tmp_path / "in/dog/b.wav")
    augment(tmp_path / "in", tmp_path / "out", "include_original=false")
    labels = {example["source_id"]: int(example["label"]) for example in load(tmp_path / "out").values()}
    assert labels == {"a.wav": -1, "dog/b.wav": 0}


# Shapes


def test_stereo_clips_are_samples_by_channels(tmp_path: Path) -> None:
    path = record(tmp_path / "in/dog/a.wav", 1.0, rate=22_050, channels=2)
    augment(tmp_path / "in", tmp_path / "out", "recipe.steps=1")
    examples = load(tmp_path / "out")
    np.testing.assert_array_equal(examples["dog/a.wav:original"]["audio"], samples(path))
    dream = examples["dog/a.wav:deep_dream:0"]
    assert dream["audio"].shape == (22_050, 2)
    assert dream["sample_rate"] == 22_050
    assert not np.array_equal(dream["audio"], samples(path))


def test_clips_of_mixed_channel_counts_and_rates_load(tmp_path: Path) -> None:
    paths = [
        record(tmp_path / "in/dog/1.wav", rate=16_000, channels=1),
        record(tmp_path / "in/dog/2.wav", rate=44_100, channels=2),
        record(tmp_path / "in/cat/3.wav", rate=8_000, channels=3),
    ]
    augment(tmp_path / "in", tmp_path / "out")
    examples = load(tmp_path / "out")
    for path in paths:
        found = examples[f"{path.parent.name}/{path.name}:original"]
        np.testing.assert_array_equal(found["audio"], samples(path))
        assert found["sample_rate"] == soundfile.info(path).samplerate


def test_shards_that_no_record_fell_into_load(recordings: Path, tmp_path: Path) -> None:
    augment(recordings, tmp_path / "out", "shards=8", "include_original=false")
    sizes = [len(found) for found in shards_of(tmp_path / "out").values()]
    assert len(sizes) == 8
    assert sizes.count(0) >= 5
    assert len(load(tmp_path / "out")) == 3


# What stops a run before it starts


def test_a_wrong_target_or_source_is_said_before_the_run_and_leaves_nothing(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        augment(recordings, tmp_path / "out", "target=Dgo")
    with pytest.raises(ConfigError, match=r"recipe\.sound.*does not exist"):
        augment(recordings, tmp_path / "out", "recipe={transform: target_filter, sound: /nowhere.wav}")
    with pytest.raises(SourceError, match="does not exist"):
        augment(tmp_path / "nowhere", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# Real recordings


def test_real_recordings_with_a_manifest_end_to_end(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/esc10-dev"
    with (source / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for label in ("dog_bark", "rain") for row in [r for r in rows if r["label"] == label][:2]]
    for row in chosen:
        (tmp_path / "in" / row["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(source / row["path"], tmp_path / "in" / row["path"])
    told = augment(
        [f"{tmp_path}/in/*/*.ogg"],
        tmp_path / "out",
        *("recipe.transform=hard_cut_add", "recipe.steps=3", "recipe.threshold=0.002", "recipe.snr_db=15"),
        *("target=Siren", f"source.metadata={source / 'manifest.csv'}"),
    )
    examples = load(tmp_path / "out")
    assert told["counts"]["records"] == len(examples) == 8
    assert failures_of(tmp_path / "out") == {}
    for row in chosen:
        original, dream = (examples[f"{row['path']}:{part}"] for part in ("original", "hard_cut_add:0"))
        assert original["sample_rate"] == dream["sample_rate"] == 44_100
        np.testing.assert_array_equal(original["audio"], samples(tmp_path / "in" / row["path"])[:, 0])
        assert ["dog_bark", "rain"][original["label"]] == row["label"]
        assert dream["target_name"] == "Siren"
        told = json.loads(dream["provenance"])
        assert told["objectives"][-1] > told["objectives"][0]
        assert told["source"]["format"] == "OGG/VORBIS"


# Targets and labels


@pytest.mark.parametrize(
    ("policy", "first", "all_of_a_dog"),
    [("keep", "dog", ["dog"]), ("target", "Meow", ["Meow"]), ("both", "dog", ["dog", "Meow"]), ("none", None, [])],
)
def test_a_dream_gets_the_labels_of_the_label_policy(
    recordings: Path, tmp_path: Path, policy: str, first: str | None, all_of_a_dog: list[str]
):
    import tensorflow_datasets as tfds

    augment(recordings, tmp_path / "out", "target=Meow", f"target.label_policy={policy}", "target.labels={cat: Meow}")
    builder: Any = tfds.builder_from_directory(tmp_path / "out")
    labels = builder.info.features["label"].names
    for id_, example in load(tmp_path / "out").items():
        found = [labels[index] for index in example["labels"]]
        if id_.endswith(":original"):
            assert found == [id_.split("/")[0]]
        elif id_.startswith("dog/"):
            expected = ["cat" if name == "Meow" else name for name in all_of_a_dog]  # the dataset's own word for it
            assert found == expected
            assert example["label"] == (-1 if first is None else labels.index(expected[0]))


def test_a_label_that_names_no_class_is_a_failure_that_says_what_to_set(recordings: Path, tmp_path: Path):
    shutil.copytree(recordings, tmp_path / "in")
    (tmp_path / "in" / "cat").rename(tmp_path / "in" / "zzyzx")
    augment(tmp_path / "in", tmp_path / "out", "target=label")
    dreams = {id_: example for id_, example in load(tmp_path / "out").items() if not id_.endswith(":original")}
    assert {example["target_name"] for example in dreams.values()} == {"Dog"}
    assert [failure["stage"] for failure in failures_of(tmp_path / "out").values()] == ["target"]
    assert "target.labels" in next(iter(failures_of(tmp_path / "out").values()))["error"]


def test_a_dream_from_noise_holds_nothing_of_the_clip_and_differs_by_variant(recordings: Path, tmp_path: Path):
    augment(recordings / "dog", tmp_path / "out", "recipe.start=noise", "recipe.steps=1", "variants=2", "target=Siren")
    examples = load(tmp_path / "out")
    clip, one, two = (examples[f"a.wav:{end}"]["audio"] for end in ("original", "deep_dream:0", "deep_dream:1"))
    assert abs(np.corrcoef(clip, one)[0, 1]) < 0.1
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.5
