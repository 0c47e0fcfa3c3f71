"""Hostile input: none crashes a run, executes anything, or takes memory without bound."""

from __future__ import annotations

import io
import json
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import augment, dreambeam, failures_of, load, record
from tfds_datasets import example, listed, write_records

from pipelines.clips import shard_clips
from pipelines.clips.clips import decode, segments
from pipelines.clips.listing import SourceError
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import ConfigError, SourceConfig, load_config
from pipelines.files.containers import ClipError
from pipelines.sources.folders import list_files
from pipelines.sources.inputs import list_inputs
from pipelines.tables.table_reader import open_table

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Configurations


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['touch executed']",
        "recipe: !!python/object/new:os.system [touch executed]",
        "!!python/name:os.system",
        "source: !!python/module:antigravity",
    ],
)
def test_python_tags_in_yaml_are_refused_and_nothing_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is not plain YAML"):
        load_config("x.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


def test_aliases_that_blow_up_and_deep_nesting_are_refused(tmp_path: Path) -> None:
    laughs = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    texts = {"laughs": laughs, "itself": "recipes: &a [*a]", "deep": "recipe: " + "[" * 2000}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 2000


# Sounds


def test_a_flac_of_silence_that_decodes_to_gigabytes_is_given_up_and_takes_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.files.soundfiles.MAX_DECODED_BYTES", 40 << 20)
    path = tmp_path / "bomb.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(12):
            file.write(np.zeros(1 << 20, np.int16))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(ClipError, match="as a decompression bomb does") as caught:
            segments(SoundFileRef("bomb.flac", str(path)), segment_seconds=0.01)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    assert caught.value.stage == "validate"


def test_a_clip_that_memory_does_not_hold_is_a_failure_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 8, subtype="PCM_U8") as file:
        file.write(np.zeros((8, 8)))
    data = bytearray(path.read_bytes())
    frames = 40_000_000
    data[40:44] = (frames * 8).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(data)
        file.truncate(len(data) - 64 + frames * 8)  # sparse: it takes no room on the disk
    (whole,) = segments(SoundFileRef("long.wav", str(path)), segment_seconds=None)
    with pytest.raises(ClipError, match=r"more than 1 GiB of samples: let source\.segment_seconds cut it"):
        decode(whole)
    cuts = segments(SoundFileRef("long.wav", str(path)), segment_seconds=100)
    assert decode(cuts[1]).waveform.shape == (800_000, 8)


def test_links_that_loop_are_failures_and_the_rest_is_read(tmp_path: Path) -> None:
    record(tmp_path / "in/dog/a.wav", 0.3)
    for name in ("loop.wav", "dog/loop.wav"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "in" / name)
    (tmp_path / "in/dog/up").symlink_to(tmp_path / "in")
    augment(tmp_path / "in", tmp_path / "out")
    assert {id_: line["stage"] for id_, line in failures_of(tmp_path / "out").items()} == {
        "loop.wav": "read",
        "dog/loop.wav": "read",
    }
    assert len(load(tmp_path / "out")) == 2


# Names and labels


def test_names_and_labels_that_hold_markup_or_lines_or_escapes_are_carried_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["<script>alert(1)</script>", "[bold]x[/bold]", "=cmd|' /C calc'!A0", "a\nb", "{x}%s$(id)", "\x1b[31mred"]
    names = [
        "<img src=x onerror=alert(1)>.wav",
        "a\nb.wav",
        "[red]c.wav",
        "$(touch d).wav",
        "--output.wav",
        "é\u202e.wav",
    ]
    rows = []
    for name, label in zip(names, labels, strict=True):
        record(tmp_path / "in" / name, 0.3)
        rows.append({"path": name, "label": label})
    (tmp_path / "in/x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dreambeam("augment", "-i", tmp_path / "in/x.jsonl", "-o", tmp_path / "out", "--steps", "0") == 0
    printed = capsys.readouterr()
    assert (printed.err, "\x1b" in printed.out) == ("", False)
    import tensorflow_datasets as tfds

    info: Any = tfds.builder_from_directory(tmp_path / "out").info
    known = [" ".join(label.split()) for label in labels]
    assert info.features["label"].names == sorted(known)
    examples = load(tmp_path / "out")
    for name, label in zip(names, known, strict=True):
        assert info.features["label"].names[examples[f"{name}:original"]["label"]] == label
    assert set(pd.read_parquet(tmp_path / "out/provenance.parquet")["label"]) == set(known)


# Tables


def test_parquet_that_a_dictionary_blows_up_is_refused_and_columns_that_are_not_asked_for_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"path": ["a.wav"] * 1000, "label": ["x" * 100_000] * 1000, "audio": [b"y" * 100_000] * 1000}
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(rows), path, use_dictionary=True)
    assert path.stat().st_size < 1_000_000
    monkeypatch.setattr("pipelines.tables.table_reader.MAX_BATCH_BYTES", 5_000_000)
    with pytest.raises(SourceError, match="in 64 rows of the columns label, path; expected at most 5000000"):
        list_inputs([str(path)], SourceConfig())
    assert len(list(open_table(str(path)).rows(["path"]))) == 1000


def test_a_manifest_is_read_row_by_row_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        path.write_text("path,label\n" + "".join(f"{number}.wav,dog\n" for number in range(count)))
        tracemalloc.start()
        try:
            listing = list_inputs([str(path)], SourceConfig())
            assert sum(1 for _ in listing.items) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(4000) < peak(400) + 100_000


def test_many_tiny_files_are_listed_one_by_one_from_little_more_than_their_names(tmp_path: Path) -> None:
    count = 3000
    for number in range(count):
        (tmp_path / f"{number:04d}.wav").touch()
    tracemalloc.start()
    try:
        items = list_files(str(tmp_path))
        first = list(islice(items, 2))
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        assert sum(1 for _ in items) == count - 2
        assert tracemalloc.get_traced_memory()[1] - held < 100_000
    finally:
        tracemalloc.stop()
    assert [item.id for item in first] == ["0000.wav", "0001.wav"]
    assert held < 400 * count


def test_a_run_of_many_empty_files_ends_with_a_failure_for_each(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2000):
        (tmp_path / f"in/{number:04d}.wav").touch()
    told = augment(tmp_path / "in", tmp_path / "out")
    assert told["failures_by_stage"] == {"read": 2000}
    ids = [json.loads(line)["id"] for line in (tmp_path / "out/failures.jsonl").read_text().splitlines()]
    assert ids == [f"{number:04d}.wav" for number in range(2000)]


# Fuzzing: whatever the bytes, a clip or one line


def mutated(data: st.DataObject, original: bytes) -> bytes:
    content = bytearray(original)
    places = st.integers(0, min(60, len(content) - 1)) | st.integers(0, len(content) - 1)
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[at] = byte
    return bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])


def check(failure: Failure | Exception) -> None:
    text = failure.error if isinstance(failure, Failure) else str(failure)
    assert text.isprintable(), text
    if isinstance(failure, Failure):
        assert failure.stage in ("list", "label", "read", "decode", "validate")
        json.dumps(vars(failure)).encode()


def read_all(items: Any) -> None:
    for item in items:
        read_one(item)


def read_one(item: Any) -> None:
    try:
        if isinstance(item, Failure):
            check(item)
        elif isinstance(item, SoundFileRef):
            json.dumps(vars(item)).encode()
            for clip in islice(segments(item, segment_seconds=1), 5):
                assert np.isfinite(decode(clip).waveform).all()
        else:
            for clip in islice(shard_clips.clips(item, segment_seconds=1), 20):
                if isinstance(clip, Failure):
                    check(clip)
                else:
                    assert np.isfinite(decode(clip).waveform).all()
    except ClipError as error:
        check(error)


@FUZZ
@given(data=st.data(), kind=st.sampled_from(["WAV", "FLAC"]), inside=st.booleans())
def test_mutated_sound_files_give_clips_or_one_line_alone_and_inside_a_record(
    tmp_path: Path, data: st.DataObject, kind: str, inside: bool
) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.random.default_rng(0).uniform(-0.5, 0.5, 1500), 8000, format=kind)
    content = mutated(data, stream.getvalue())
    if inside:
        path = write_records(tmp_path / "x.tfrecord", [example(audio=content)])
    else:
        path = tmp_path / f"x.{kind.lower()}"
        path.write_bytes(content)
    read_all(list_inputs([str(path)], SourceConfig()).items)


@FUZZ
@given(data=st.data(), spoiled=st.sampled_from(["file", "record"]))
def test_mutated_tfrecords_give_clips_or_one_line(tmp_path: Path, data: st.DataObject, spoiled: str) -> None:
    record = example(audio=np.linspace(-1, 1, 300), label="dog", sample_rate=8_000, split="train", id="x")
    path = tmp_path / "x.tfrecord"
    if spoiled == "record":  # with checksums that match
        write_records(path, [mutated(data, record), record])
    else:
        path.write_bytes(mutated(data, write_records(path, [record, record]).read_bytes()))
    read_all(listed(path, features={"id": "id", "label": "label"}).items)


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.text(max_size=5), max_size=3),
)
LINES = st.one_of(
    st.text(max_size=60),
    st.dictionaries(st.sampled_from(["path", "label", "labels", "split", "offset", "duration"]), CELLS).map(json.dumps),
)


@FUZZ
@given(
    lines=st.lists(LINES, max_size=5),
    header=st.sampled_from(["path,label,split,offset,duration", '{"path": "a.wav"}', "path\tlabels", ""]),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".txt"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_manifests_and_lists_of_any_text_give_items_or_one_line(
    tmp_path: Path, lines: list[str], header: str, ending: str, newline: str
) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(newline.join([header, *lines]).encode("utf-8", "surrogatepass"))
    try:
        read_all(list_inputs([str(path)], SourceConfig()).items)
    except SourceError as error:
        check(error)


@FUZZ
@given(data=st.data())
def test_mutated_parquet_gives_rows_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"path": ["a.wav", "b.wav"], "labels": [["x"], []], "fold": [1, None]}), stream)
    path = tmp_path / "x.parquet"
    path.write_bytes(mutated(data, stream.getvalue()))
    try:
        read_all(list_inputs([str(path)], SourceConfig()).items)
    except SourceError as error:
        check(error)
