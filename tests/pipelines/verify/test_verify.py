"""Verification: a sound dataset passes, and each way to damage a copy of it is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import CLIPS, RECIPES, copy, edit, edit_json, edit_provenance, edit_table, frames, rewrite, shard
from recordings import augment, complaint, dreambeam

from augment.recipes.recipe import canonical_json
from pipelines.verify import findings
from pipelines.verify.verify import verify

RECORDS = len(CLIPS) * (len(RECIPES) + 1)


@pytest.fixture
def damaged(published: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return copy(published / "out", tmp_path / "copy")


def problems(dataset: Path, *, sources: bool = False) -> list[str]:
    """Return all problems, one line each."""
    report = verify(dataset, sources=sources)
    lines = list(map(str, report.problems))
    assert report.problem_count == len(lines)
    assert all(line.isprintable() for line in lines)
    return lines


def dream_at(path: Path) -> int:
    """Return the position of the first dream of a shard."""
    return next(i for i, found in enumerate(frames(path)) if b":original" not in found)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# A sound dataset


def test_a_dataset_as_it_was_published_has_no_problems_and_everything_was_read(published: Path):
    told: list[tuple[str, int, int]] = []
    report = verify(published / "out", on_progress=lambda *now: told.append(now))
    size = sum(path.stat().st_size for path in (published / "out").glob("*.tfrecord-*"))
    assert (report.problems, report.problem_count) == ((), 0)
    assert (report.shards, report.records, report.sources, report.shard_bytes) == (2, RECORDS, 4, size)
    assert ("records", size, size) in told
    assert [now[0] for now in told] == ["records"] * RECORDS + ["sources"] * 4


def test_a_dataset_of_which_every_clip_failed_is_sound(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.wav").write_bytes(b"RIFF")
    augment(tmp_path / "in", tmp_path / "out")
    report = verify(tmp_path / "out")
    assert (report.problems, report.records) == ((), 0)


def test_empty_shards_silence_and_unlabelled_clips_are_sound(tmp_path: Path):
    import soundfile

    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"in/{name}.wav", np.zeros(16_000), 16_000)
    augment(tmp_path / "in", tmp_path / "out", "shards=9")
    assert problems(tmp_path / "out", sources=True) == []


# Shards


def test_a_flipped_bit_of_a_record_is_named_and_the_other_records_are_read(damaged: Path):
    path = shard(damaged)
    flip(path, len(frames(path)[0]) + 16 + 500)
    assert problems(damaged) == [f"{path.name}, record 1: its bytes are damaged (their checksum is another)"]


def test_a_truncated_shard_is_named_with_what_it_lacks(damaged: Path):
    path = shard(damaged, 1)
    count = len(frames(path))
    path.write_bytes(path.read_bytes()[:-100])
    found = problems(damaged)
    assert f"{path.name}, record {count - 1}: the file is cut off within it" in found
    assert f"{path.name}: it has {count - 1} records, dataset_info.json says {count}" in found
    assert any(line.startswith("split train: its shards hold ") for line in found)


def test_a_missing_and_a_surplus_shard_are_named(damaged: Path):
    path = shard(damaged)
    lost = len(frames(path))
    path.rename(damaged / "dreamed-train.tfrecord-00007-of-00008")
    found = problems(damaged)
    assert f"{path.name}: the shard is missing" in found
    assert "dreamed-train.tfrecord-00007-of-00008: there is no such shard by dataset_info.json" in found
    assert f"run.json: its counts.records is {RECORDS}, the shards have {RECORDS - lost}" in found
    assert len(found) == 4  # and the split's bytes: nothing more follows from it


def test_two_records_in_each_others_place_are_named(damaged: Path):
    def swap(records: list[bytes]) -> None:
        records[0], records[1] = records[1], records[0]

    rewrite(shard(damaged), swap)
    found = problems(damaged)
    assert sum("provenance.parquet has " in line and "in its place" in line for line in found) == 2
    assert sum("it is out of the order of the ids' hashes" in line for line in found) == 1
    assert len(found) == 3


def test_a_record_in_another_shard_and_one_that_comes_twice_are_named(damaged: Path):
    first = frames(shard(damaged))[0]
    rewrite(shard(damaged, 1), lambda records: records.append(first))
    found = problems(damaged)
    assert any("another record has the same id" in line for line in found)
    assert any("by its id it belongs in shard 0" in line for line in found)
    assert any(line.startswith("provenance.parquet: it has no row for ") for line in found)


# Examples


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda f: f.pop("peak"), "lacks the feature 'peak' of features.json"),
        (lambda f: f["more"].int64_list.value.append(1), "has the feature 'more', which features.json has not"),
        (lambda f: f["peak"].int64_list.value.append(1), "has the feature 'peak' as int64_list"),
        (lambda f: f["sample_rate"].int64_list.value.append(1), "does not have the features of features.json"),
        (lambda f: set_value(f["label"].int64_list, 7), "its label is 7, its labels are ["),
        (lambda f: set_value(f["labels"].int64_list, 7), "expected each once, from 0 to 1"),
        (lambda f: set_value(f["peak"].float_list, 0.5), "its peak is said to be 0.5"),
        (lambda f: set_value(f["snr_db"].float_list, float("nan")), "its snr_db is nan"),
        (lambda f: set_value(f["lufs_after"].float_list, float("inf")), "its lufs_after is inf"),
        (lambda f: set_value(f["scores_after"].float_list, 1.5), "its scores_after are not all from 0 to 1"),
        (lambda f: set_value(f["scores_after"].float_list, 1.00001), "its scores_after are not all from 0 to 1"),
        (
            lambda f: set_value(f["score_target_after"].float_list, 0.123),
            "its score_target_after is 0.123, by its scores",
        ),
        (lambda f: set_value(f["top_before"].bytes_list, b"Nothing"), "its top_before is 'Nothing', by its scores"),
        (lambda f: set_value(f["split"].bytes_list, b"test"), "its split is 'test', its shard is of 'train'"),
        (lambda f: set_value(f["variant"].int64_list, 3), "its variant is 3, its provenance says 0"),
        (lambda f: set_value(f["source_id"].bytes_list, b"x"), "its source_id is 'x', its provenance says"),
        (lambda f: set_value(f["target_name"].bytes_list, b"x"), "its target_name is 'x', its provenance says"),
        (lambda f: set_value(f["transform"].bytes_list, b"x"), "its transform is 'x', its recipe says"),
        (lambda f: set_value(f["steps_taken"].int64_list, 9), "it took 9 steps of 2, and has 2 objectives"),
        (lambda f: set_value(f["sample_rate"].int64_list, 9), "channels at 9 Hz, its source "),
        (lambda f: set_value(f["provenance"].bytes_list, b"x"), "its provenance is not JSON"),
        (lambda f: set_value(f["provenance"].bytes_list, b"[]"), "its provenance is not a JSON object"),
        (lambda f: f["provenance"].bytes_list.value.append(f["provenance"].bytes_list.value.pop() + b" "), "canonical"),
    ],
)
def test_a_changed_feature_is_named(damaged: Path, change: Callable[[Any], Any], what: str):
    path = shard(damaged)
    position = dream_at(path)
    edit(path, position, change)
    found = problems(damaged)
    assert any(what in line and line.startswith(f"{path.name}, record {position}") for line in found), found
    assert all(line.startswith((path.name, "split train")) or "run.json: its" in line for line in found), found


def set_value(values: Any, value: Any) -> None:
    """Replace the first of a feature's values."""
    values.value[0] = value


def test_changed_samples_are_named(damaged: Path):
    def quieter(features: Any) -> None:
        values = np.frombuffer(features["audio/value"].bytes_list.value[0], np.float32).copy()
        values[np.argmin(np.abs(values))] += np.float32(1e-6)  # the peak is as it was
        features["audio/value"].bytes_list.value[0] = values.tobytes()

    edit(shard(damaged), 0, quieter)
    assert [line.partition("': ")[2] for line in problems(damaged)] == [
        "its samples are not those that were written (their sha256 is another)"
    ]


# Provenance


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda told: told.pop("seed"), "its provenance lacks 'seed'"),
        (lambda told: told["source"].pop("start"), "its provenance lacks 'source.start'"),
        (lambda told: told["versions"].pop("soxr"), "its provenance lacks 'versions.soxr'"),
        (lambda told: told.pop("sound_sha256"), "its provenance lacks 'sound_sha256'"),
        (lambda told: told.update(seed="7"), "its provenance has 'seed' as '7'"),
        (lambda told: told.update(source=3), "its provenance has 'source' as 3"),
        (lambda told: told.update(recipe_digest="0"), "its recipe_digest is not that of its recipe"),
        (lambda told: told["recipe"].update(steps=3), "its recipe_digest is not that of its recipe"),
        (lambda told: redigest(told, steps=3), "is not the one of run.json"),
        (lambda told: redigest(told, steps=-3), "its recipe: steps: "),
        (lambda told: redigest(told, wobble=3), "its recipe: there is no key 'wobble'"),
        (lambda told: redigest(told, start="noise"), "its recipe says start 'noise', which is read as 'white'"),
        (lambda told: told["target"].update(classes=[]), "the first of which is not "),
        (lambda told: told.update(objectives=[1.0]), "and has 1 objectives"),
        (lambda told: told["model"].update(identity="x"), "the model of its provenance is not that of run.json"),
        (lambda told: told["source"].update(stop=1 << 30), " samples of 1 channels at "),
        (lambda told: told["source"].update(id="x"), "by its provenance its id is 'x:"),
    ],
)
def test_a_changed_provenance_is_named(damaged: Path, change: Callable[[dict[str, Any]], Any], what: str):
    path = next(
        path for path in sorted(damaged.glob("*.tfrecord-*")) if b"cat/long.ogg#t=1.25,2.6:" in path.read_bytes()
    )
    position = next(i for i, found in enumerate(frames(path)) if b"cat/long" in found and b":original" not in found)
    edit_provenance(path, position, change)
    found = problems(damaged)
    assert any(what in line and line.startswith(f"{path.name}, record {position} 'cat/long.ogg#") for line in found), (
        found
    )
    assert any("provenance.parquet says provenance " in line for line in found)


def redigest(told: dict[str, Any], **changes: Any) -> None:
    """Change the recipe and its digest."""
    told["recipe"].update(changes)
    told["recipe_digest"] = hashlib.sha256(canonical_json(told["recipe"]).encode()).hexdigest()


# provenance.parquet


def test_a_changed_value_of_the_table_is_named(damaged: Path):
    edit_table(damaged, lambda rows: rows[3].update(target_mid="/m/0"))
    edit_table(damaged, lambda rows: rows[4].update(label="bird"))
    edit_table(damaged, lambda rows: rows[5].update(source_sha256="0"))
    edit_table(damaged, lambda rows: rows[6].update(snr_db=3.25))
    found = [line.partition("': ")[2] for line in problems(damaged)]
    for what in ("target_mid '/m/0'", "label 'bird'", "source_sha256 '0'", "snr_db 3.25"):
        assert any(line.startswith(f"provenance.parquet says {what}, the record ") for line in found), found
    assert len(found) == 4


def test_a_row_too_few_too_many_or_out_of_order_is_named(damaged: Path):
    edit_table(damaged, lambda rows: rows.pop(2))
    path = shard(damaged)
    assert problems(damaged) == [f"provenance.parquet: it has no row for {path.name}, record 2"]
    edit_table(damaged, lambda rows: rows.insert(2, {**rows[0], "id": "more"}))
    assert "provenance.parquet: its row 'more' is out of order" in problems(damaged)
    edit_table(damaged, lambda rows: rows.append({**rows[-1], "id": "last", "position": 999}))
    assert any(
        "its row 'last' has no record: there is none at train, shard 1, record 999" in x for x in problems(damaged)
    )
    edit_table(damaged, lambda rows: rows.append({**rows[-1], "id": "lost", "split": "test"}))
    assert "provenance.parquet: its row 'lost' is of no shard" in problems(damaged)


def test_a_table_that_is_missing_or_damaged_is_one_problem(damaged: Path):
    path = damaged / "provenance.parquet"
    path.write_bytes(path.read_bytes()[:-8])
    assert [line.partition(":")[0] for line in problems(damaged)] == ["provenance.parquet"]
    path.unlink()
    assert [line.partition(":")[0] for line in problems(damaged)] == ["provenance.parquet"]


# Metadata, failures, counts


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda run: run["counts"].update(records=99),
            f"run.json: its counts.records is 99, the shards have {RECORDS}",
        ),
        (lambda run: run["counts"].update(records=99), "99 records and 0 lost are not the 20 that were asked for"),
        (lambda run: run["counts"].update(originals=1), "run.json: its counts.originals is 1, there are 4"),
        (lambda run: run["counts"].update(reached=17), "run.json: its counts.reached is 17, there are "),
        (lambda run: run["counts"].pop("clips"), "run.json: its counts or its config are not complete"),
        (lambda run: run["counts"].update(failures=0), "run.json: its counts.failures is 0, failures.jsonl has 1"),
        (
            lambda run: run["counts"].update(records_lost=5),
            "run.json: its counts.records_lost is 5, failures.jsonl has 0",
        ),
        (lambda run: run["recipes"]["cut"].update(dreams=1), "run.json: its recipes.cut.dreams is 1, there are 4"),
        (lambda run: run["recipes"]["cut"].update(digest="x"), "its recipe 'cut' is not the one of run.json"),
        (lambda run: run["model"].update(identity="x"), "the model of its provenance is not that of run.json"),
        (lambda run: run.update(splits=["test"]), "its splits are ['train'], those of run.json ['test']"),
        (lambda run: run.pop("counts"), "run.json has no 'counts' as dreambeam augment writes it"),
    ],
)
def test_a_changed_run_json_is_named(damaged: Path, change: Callable[[dict[str, Any]], Any], what: str):
    edit_json(damaged / "run.json", change)
    assert any(what in line for line in problems(damaged)), problems(damaged)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda info: info["splits"][0].update(numBytes="3"), " bytes, dataset_info.json says 3"),
        (lambda info: info["splits"][0].update(shardLengths=["1", "2"]), " records, dataset_info.json says 2"),
        (lambda info: info["splits"][0].update(shardLengths=["1"]), "there is no such shard by dataset_info.json"),
        (lambda info: info.update(name="other"), "its name is 'other', that of run.json 'dreamed'"),
        (lambda info: info.update(splits=7), "dataset_info.json cannot be read"),
    ],
)
def test_a_changed_dataset_info_is_named(damaged: Path, change: Callable[[dict[str, Any]], Any], what: str):
    edit_json(damaged / "dataset_info.json", change)
    assert any(what in line for line in problems(damaged)), problems(damaged)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_metadata_that_is_missing_or_not_json_is_named(damaged: Path, name: str):
    path = damaged / name
    path.write_text(path.read_text()[:-20])
    assert [f"{name} cannot be read" in line for line in problems(damaged)] == [True]
    path.unlink()
    assert [f"{name} is missing" in line for line in problems(damaged)] == [True]


def test_a_schema_without_what_records_have_is_named(damaged: Path):
    edit_json(damaged / "features.json", lambda content: content["featuresDict"]["features"].pop("peak"))
    assert ["features.json lacks peak" in line for line in problems(damaged)] == [True]


def test_failures_that_cannot_be_read_or_were_not_counted_are_named(damaged: Path):
    path = damaged / "failures.jsonl"
    line = path.read_text()
    assert json.loads(line)["id"] == "cat/broken.wav"
    path.write_text(line + line.replace('"records_lost": 0', '"records_lost": 2') + "not JSON\n" + '{"id": "x"}\n')
    found = problems(damaged)
    for number in (3, 4):
        assert f"failures.jsonl, line {number}: it is not a failure as JSON" in found
    assert "run.json: its counts.failures is 1, failures.jsonl has 2" in found
    assert "run.json: its counts.records_lost is 0, failures.jsonl has 2" in found
    path.unlink()
    assert any(line.startswith("failures.jsonl: it cannot be read") for line in problems(damaged))


# Sources


def test_a_source_or_target_sound_that_changed_or_went_is_named_once(published: Path, damaged: Path, tmp_path: Path):
    kept = {path: path.read_bytes() for path in (published / "in/cat/long.ogg", published / "sound.wav")}
    try:
        for path, content in kept.items():
            path.write_bytes(content + b"\0")
        found = problems(damaged, sources=True)
        assert [line.partition(": ")[0] for line in found] == [str(path) for path in kept]
        assert "the source has changed since 'cat/long.ogg#t=" in found[0]
        assert "the target sound has changed since '" in found[1]
        assert problems(damaged) == []
        for path in kept:
            path.unlink()
        assert ["does not exist" in line for line in problems(damaged, sources=True)] == [True, True]
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


# The report and the command


def test_the_first_problems_are_kept_and_all_are_counted(damaged: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(findings, "SHOWN_PROBLEMS", 3)
    edit_table(damaged, lambda rows: [row.update(top_after="x") for row in rows])
    report = verify(damaged, sources=False)
    assert (len(report.problems), report.problem_count) == (3, RECORDS)


def test_the_command_says_ok_or_each_problem_on_its_line(
    published: Path, damaged: Path, capsys: pytest.CaptureFixture[str]
):
    assert dreambeam("verify", published / "out") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{published / 'out'}: OK: {RECORDS} records in 2 shards (")
    first, made = printed.out.splitlines()
    assert first.endswith("4 source files")
    assert made.startswith("  made: 16 dreams on ")
    assert "; this machine: " in made
    assert printed.err == ""
    edit_table(damaged, lambda rows: rows[3].update(target_mid="/m/0"))
    assert dreambeam("verify", damaged, "--no-sources") == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "provenance.parquet says target_mid '/m/0'" in lines[0]
    assert lines[1].startswith(f"{damaged}: 1 problem: {RECORDS} records")
    assert dreambeam("verify", damaged, "--no-sources", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["problem_count"], told["records"]) == (False, 1, RECORDS)


def test_what_is_no_dataset_is_one_line(
    published: Path, damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert "does not exist" in complaint(capsys, "verify", tmp_path / "nowhere")
    assert "has no run.json" in complaint(capsys, "verify", published / "in")
    assert "is a file" in complaint(capsys, "verify", published / "sound.wav")
    assert "expected a local folder" in complaint(capsys, "verify", "gs://bucket/dataset")
    edit_json(damaged / "run.json", lambda run: run.pop("versions"))
    assert "is another program's" in complaint(capsys, "verify", damaged)
    half = tmp_path / "out.incomplete"
    half.mkdir()
    (half / ".dreambeam").touch()
    shutil.copytree(published / "out", half / "dataset")
    assert "has not finished" in complaint(capsys, "verify", half)


# Whatever a record's provenance holds


VALUES: tuple[Any, ...] = (None, -3, 1 << 70, 0.5, float("nan"), "x\x1b\n", "\ud800", [], {}, [1, "a"], {"a": None})


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each part of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [found for key, part in parts for found in [(*path, key), *_paths(part, (*path, key))]]


def test_whatever_the_provenance_holds_each_problem_is_a_line(damaged: Path):
    path = shard(damaged)
    kept, position = path.read_bytes(), dream_at(path)
    provenance: list[dict[str, Any]] = []
    edit_provenance(path, position, provenance.append)
    for number, place in enumerate(_paths(provenance[0])):
        for value in (VALUES[number % len(VALUES)], VALUES[(3 * number + 1) % len(VALUES)]):
            changed = json.loads(json.dumps(provenance[0]))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value

            def put(features: Any, text: bytes = json.dumps(changed).encode()) -> None:
                features["provenance"].bytes_list.value[0] = text

            path.write_bytes(kept)
            edit(path, position, put)
            assert problems(damaged), place
