"""Manifests and lists: rows and lines that name sounds, and the root that they stay in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from listings import table, tree
from recordings import augment, dreambeam, failures_of, load, record, samples

from pipelines.clips.clips import decode, segments
from pipelines.clips.listing import SourceError, TableNotes
from pipelines.clips.references import Failure, SoundFileRef, clip_ref, source_of
from pipelines.config.run_config import SourceConfig
from pipelines.files.containers import ClipError
from pipelines.sources.inputs import list_inputs
from pipelines.sources.manifests import list_manifests
from pipelines.tables.columns import Columns

ROWS = [
    {"path": "dog/a.wav", "labels": ["dog", "wolf"], "split": "test", "offset": 0.5, "duration": 0.25, "fold": 3},
    {"path": "b.wav", "labels": ["cat"], "split": "train", "offset": 0.0, "duration": None, "fold": 1},
]


def items(*inputs: Path | str, **source: Any) -> list[Any]:
    return list(list_inputs([str(each) for each in inputs], SourceConfig(**source)).items)


def errors(*inputs: Path | str, **source: Any) -> list[str]:
    found = items(*inputs, **source)
    assert all(isinstance(item, Failure) and item.error.isprintable() for item in found)
    return [f"{item.stage}: {item.error}" for item in found]


def write_manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format that the name says."""
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        cells = [{**row, "labels": "|".join(row["labels"])} if "labels" in row else row for row in rows]
        pd.DataFrame(cells).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


# What rows say


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.parquet"])
def test_a_row_is_a_sound_with_labels_split_groups_and_piece_whatever_the_format(tmp_path: Path, name: str) -> None:
    manifest = write_manifest(tmp_path / name, ROWS)
    assert items(manifest, group_columns=["fold"]) == [
        SoundFileRef("dog/a.wav", str(tmp_path / "dog/a.wav"), ("dog", "wolf"), "test", (("fold", "3"),), 0.5, 0.25),
        SoundFileRef("b.wav", str(tmp_path / "b.wav"), ("cat",), "train", (("fold", "1"),)),
    ]
    assert [item.split for item in items(manifest, splits=["test"])] == ["test"]


def test_columns_can_be_named_and_integers_are_their_decimals(tmp_path: Path) -> None:
    rows = [{"where": "a.wav", "what": 7, "from": 1, "for": 2.5}]
    for name in ("x.csv", "x.jsonl", "x.parquet"):
        manifest = write_manifest(tmp_path / name, rows)
        columns = {"path_column": "where", "label_column": "WHAT", "offset_column": "from", "duration_column": "for"}
        (item,) = items(manifest, **columns)
        assert (item.labels, item.offset_seconds, item.duration_seconds) == (("7",), 1.0, 2.5)
        with pytest.raises(SourceError, match=r"no column 'wat'.*did you mean 'what'"):
            items(manifest, path_column="where", label_column="wat")


@pytest.mark.parametrize(
    ("column", "text", "separator", "labels"),
    [
        ("labels", "dog,cat", None, ("dog", "cat")),
        ("tags", "dog; cat ;dog", None, ("dog", "cat")),
        ("labels", "Bark, loud|Cat", None, ("Bark, loud", "Cat")),
        ("labels", '["dog, big", "cat"]', None, ("dog, big", "cat")),
        ("labels", "Bark, loud", "/", ("Bark, loud",)),
        ("label", "Bark, loud", None, ("Bark, loud",)),
        ("label", "dog+cat", "+", ("dog", "cat")),
        ("label", '["dog", 3]', None, ("dog", "3")),
        ("label", "[sic", None, ("[sic",)),
        ("label", "two\nlines\x00", None, ("two lines\x00",)),
    ],
)
def test_text_of_several_labels_is_parted(
    tmp_path: Path, column: str, text: str, separator: str | None, labels: tuple[str, ...]
) -> None:
    manifest = write_manifest(tmp_path / "x.parquet", [{"path": "a.wav", column: text}])
    assert items(manifest, label_separator=separator)[0].labels == labels


def test_without_a_column_of_labels_folders_are_labels(tmp_path: Path) -> None:
    manifest = table(tmp_path / "x.csv", ("path",), ("dog/a.wav",), ("b.wav",))
    assert [item.labels for item in items(manifest)] == [("dog",), ()]


def test_what_a_row_leaves_open_is_a_failure_of_that_row_alone(tmp_path: Path) -> None:
    rows = [
        '{"path": "good.wav", "label": "dog"}',
        "{",
        "[" * 100_000,
        "[1]",
        '{"path": {"a": 1}}',
        '{"path": "a.wav", "label": {"a": 1}}',
        '{"path": "a.wav", "label": [["a"]]}',
        '{"path": "a.wav", "label": "x", "split": "../x"}',
        '{"path": "a.wav", "label": "x", "offset": -1}',
        '{"path": "a.wav", "label": "x", "duration": 0}',
        '{"path": "a.wav", "label": "x", "duration": NaN, "offset": "soon"}',
        '{"path": "a.m4a", "label": "x"}',
        '{"path": "\\u0000", "label": "x"}',
        '{"path": "\\ud800.wav", "label": "x"}',
        '{"path": "b.wav", "label": "\\ud800"}',
        "",
        '{"path": null}',
        f'{{"path": "a.wav", "offset": {"9" * 5000}}}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(rows))
    found = items(tmp_path / "x.jsonl")
    good = [item for item in found if isinstance(item, SoundFileRef)]
    assert [item.id for item in good] == ["good.wav", "a.m4a", "b.wav"]
    assert good[2].labels == ("\\ud800",)
    assert len(found) == 16
    for item in found:
        json.dumps(vars(item)).encode()
        assert isinstance(item, SoundFileRef) or item.error.isprintable()


def test_a_manifest_that_can_not_be_used_stops_the_run(tmp_path: Path) -> None:
    for name, content, says in (
        ("a.csv", b"", "it is empty"),
        ("b.csv", b"colour\nred\n", "no column that names files"),
        ("c.csv", b"path,label\n", "no row below its header"),
        ("d.csv", b"path\n\xff\n", "not UTF-8"),
        ("e.jsonl", b"\n\n", "no column that names files: it is empty"),
        ("f.parquet", b"PAR1", "not readable Parquet"),
        ("g.parquet", b"", "not readable Parquet"),
        ("h.tsv", b"path\n" + b"x" * (2 << 20), "more than 1048576 characters on line 2"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=says) as caught:
            items(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(SourceError, match="does not exist; expected a table or list; did you mean"):
        items(tmp_path / "aa.csv")
    with pytest.raises(SourceError, match="several kinds"):
        items(tmp_path / "a.csv", tmp_path)
    with pytest.raises(SourceError, match="--metadata labels files"):
        items(tmp_path / "a.csv", metadata="x.csv")


# The root


def test_what_climbs_out_of_the_root_is_a_failure_that_names_the_flag(tmp_path: Path) -> None:
    tree(tmp_path, "set/dog/a.wav", "secret.wav", "settle/b.wav")
    os.symlink(tmp_path / "secret.wav", tmp_path / "set/link.wav")
    os.symlink(tmp_path, tmp_path / "set/up")
    os.symlink(tmp_path / "set/loop", tmp_path / "set/loop")
    climbing = ["../secret.wav", "link.wav", "up/secret.wav", "dog/../../secret.wav", "..\\secret.wav", "../secret"]
    climbing += ["../settle/b.wav", "%2e%2e/secret.wav", "..%2Fsecret.wav", ".", ".."]
    inside = ["dog/a.wav", str(tmp_path / "set/dog/a.wav"), "../set/dog/a.wav", "./dog//a.wav", "dog\\a.wav"]
    inside += [(tmp_path / "set/dog/a.wav").as_uri(), "up/set/dog/a.wav"]
    manifest = write_manifest(tmp_path / "set/x.jsonl", [{"path": path} for path in climbing])
    said = errors(manifest)
    assert len(said) == len(climbing)
    assert all(text.startswith("list: line") and "lies outside" in text and "--root" in text for text in said)
    manifest = write_manifest(tmp_path / "set/x.jsonl", [{"path": path} for path in inside])
    assert [item.id for item in items(manifest)] == ["dog/a.wav"] * 6 + ["up/set/dog/a.wav"]
    lines = tmp_path / "set/x.txt"
    lines.write_text("\n".join(climbing[:8]))
    assert all("--root" in text for text in errors(lines))
    lines.write_text("up/*.wav\nloop/*.wav\nloop\nmissing/*.wav")
    up, loops, loop, missing = items(lines)
    assert {item.stage for item in (up, loops, missing)} == {"list"}
    with pytest.raises(ClipError, match="loop"):
        segments(loop, segment_seconds=None)


def test_absolute_paths_of_a_table_that_the_user_gave_lead_anywhere_unless_a_root_is_given(tmp_path: Path) -> None:
    tree(tmp_path, "set/dog/a.wav", "other/cat/b.wav")
    absolute = [str(tmp_path / "other/cat/b.wav"), (tmp_path / "other/cat/b.wav").as_uri(), "gs://bucket/cat/b.wav"]
    for manifest in (
        write_manifest(tmp_path / "set/x.jsonl", [{"path": path} for path in absolute]),
        write_manifest(tmp_path / "set/x.csv", [{"path": path} for path in absolute]),
        tmp_path / "set/x.txt",
    ):
        if manifest.suffix == ".txt":
            manifest.write_text("\n".join(absolute))
        found = items(manifest)
        assert [item.uri for item in found] == [absolute[0], absolute[0], absolute[2]]
        assert [item.id for item in found] == [absolute[0][1:], absolute[0][1:], "bucket/cat/b.wav"]
        assert {item.labels for item in found} == {("cat",)}
        assert all("lies outside" in text for text in errors(manifest, root=str(tmp_path / "set")))
        assert [item.id for item in items(manifest, root=str(tmp_path))[:2] if isinstance(item, SoundFileRef)] == [
            "other/cat/b.wav"
        ] * 2


def test_another_root_can_be_given_and_ids_are_below_it(tmp_path: Path) -> None:
    tree(tmp_path, "audio/dog/a.wav", "meta/x.csv")
    manifest = table(tmp_path / "meta/x.csv", ("path", "label"), ("../audio/dog/a.wav", "x"))
    assert "--root" in errors(manifest)[0]
    (item,) = items(manifest, root=str(tmp_path))
    assert (item.id, item.uri) == ("audio/dog/a.wav", str(tmp_path / "audio/dog/a.wav"))
    (item,) = items(manifest, root=str(tmp_path / "audio"))
    assert item.id == "dog/a.wav"


def test_several_manifests_share_the_deepest_root(tmp_path: Path) -> None:
    one = table(tmp_path / "one/x.csv", ("path",), ("a.wav",))
    two = table(tmp_path / "two/x.csv", ("path",), ("a.wav",))
    assert [item.id for item in items(one, two)] == ["one/a.wav", "two/a.wav"]


def test_a_remote_manifest_names_files_beside_it_and_no_others(memory_files: dict[str, bytes], tmp_path: Path) -> None:
    rows = ["path", "a.wav", "x/../b.wav", "mem://bucket/set/c.wav", "../d.wav", "mem://other/e.wav", "/etc/passwd"]
    memory_files["mem://bucket/set/x.csv"] = "\n".join(rows).encode()
    found = items("mem://bucket/set/x.csv")
    assert [item.uri for item in found[:3]] == [f"mem://bucket/set/{name}.wav" for name in "abc"]
    assert [isinstance(item, Failure) for item in found] == [False] * 3 + [True, True, False]
    assert found[-1].uri == "mem://bucket/set/etc/passwd"
    memory_files["mem://bucket/set/x.txt"] = b"a.wav\n# a comment\n*.flac\n"
    memory_files["mem://bucket/set/f.flac"] = b""
    assert [item.id for item in items("mem://bucket/set/x.txt")] == ["a.wav", "f.flac"]


# Lists


def test_a_list_has_a_path_a_folder_or_a_glob_on_each_line(tmp_path: Path) -> None:
    tree(tmp_path, "dog/a.wav", "dog/b.flac", "cat/c.wav", "cat/d.txt", "e [1].wav", "f.m4a")
    (tmp_path / "x.txt").write_text("# sounds\n\ndog/*.wav\ncat\ne [1].wav\nmissing.wav\nf.m4a\nnowhere/*\n")
    found = items(tmp_path / "x.txt")
    assert [item.id for item in found[:4]] == ["dog/a.wav", "cat/c.wav", "e [1].wav", "missing.wav"]
    assert [item.labels for item in found[:4]] == [("dog",), ("cat",), (), ()]
    assert found[4].id == "f.m4a"  # what it is, its content decides
    assert [item.stage for item in found[5:]] == ["list"]
    (tmp_path / "x.txt").write_text("# nothing\n")
    with pytest.raises(SourceError, match="names no file"):
        items(tmp_path / "x.txt")


# Pieces


def test_a_piece_is_cut_from_its_file_and_named_by_its_time(tmp_path: Path) -> None:
    path = record(tmp_path / "a.wav", 3, 1000, subtype="FLOAT")
    expected = samples(path)
    for offset, duration, ids, start, stop in (
        (0.5, 1.0, ["a.wav#t=0.5,1.5"], 500, 1500),
        (0.5, None, ["a.wav#t=0.5,3"], 500, 3000),
        (0.0, 3.0, ["a.wav"], 0, 3000),
        (0.0, 3.009, ["a.wav"], 0, 3000),
        (0.25, 2.5, ["a.wav#t=0.25,1.25", "a.wav#t=1.25,2.75"], 250, 2750),
    ):
        file = SoundFileRef("a.wav", str(path), offset_seconds=offset, duration_seconds=duration)
        cuts = segments(file, segment_seconds=1.0 if len(ids) > 1 else None)
        assert [clip.id for clip in cuts] == ids
        joined = np.concatenate([decode(clip).waveform for clip in cuts])
        np.testing.assert_array_equal(joined, expected[start:stop])
        clip = decode(cuts[-1])
        np.testing.assert_array_equal(decode(clip_ref(source_of(clip.ref, clip.sha256))).waveform, clip.waveform)
    for offset, duration in ((3.0, None), (2.0, 2.0), (1e30, 1.0)):
        file = SoundFileRef("a.wav", str(path), offset_seconds=offset, duration_seconds=duration)
        with pytest.raises(ClipError, match="lasts 3 s and has no piece"):
            segments(file, segment_seconds=None)


# Runs


def test_a_run_over_a_manifest_keeps_pieces_labels_groups_and_leaves_test_splits_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "in/dog/a.wav", 2, subtype="FLOAT")
    record(tmp_path / "in/b.wav", 1, subtype="FLOAT")
    more = [
        {**ROWS[0], "offset": 1.0},
        {**ROWS[0], "split": "dev", "labels": []},
        ROWS[0],
        {**ROWS[1], "labels": ["x"]},
    ]
    manifest = write_manifest(tmp_path / "in/x.jsonl", [*ROWS, *more])
    flags = ("--steps", "0", "--group-column", "fold", "--variants", "2", "--set", "include_original=false")
    assert dreambeam("augment", "-i", manifest, "-o", tmp_path / "out", *flags) == 3
    printed = capsys.readouterr()
    assert "copied without dreams: test (2 clips)" in printed.out
    assert "--augment-test" in printed.out
    assert printed.err == ""
    assert {id_: line["stage"] for id_, line in failures_of(tmp_path / "out").items()} == {
        "dog/a.wav#t=0.5,0.75": "list",
        "b.wav": "list",
    }
    told = json.loads((tmp_path / "out/run.json").read_text())
    assert told["counts"]["records"] == 2 + 2
    test, train = load(tmp_path / "out", "test"), load(tmp_path / "out")
    assert set(test) == {f"dog/a.wav#t={piece}:original" for piece in ("0.5,0.75", "1,1.25")}
    assert set(train) == {"b.wav:deep_dream:0", "b.wav:deep_dream:1"}
    assert len(test["dog/a.wav#t=0.5,0.75:original"]["labels"]) == 2
    assert test["dog/a.wav#t=1,1.25:original"]["group_fold"] == "3"
    np.testing.assert_array_equal(
        test["dog/a.wav#t=1,1.25:original"]["audio"], samples(tmp_path / "in/dog/a.wav")[16_000:20_000, 0]
    )
    assert told["not_dreamed"] == {"test": 2}

    assert dreambeam("augment", "-i", manifest, "-o", tmp_path / "all", *flags, "--augment-test") == 3
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "warning: --augment-test: test was dreamed" in printed.err
    told = json.loads((tmp_path / "all/run.json").read_text())
    assert (told["counts"]["records"], told["not_dreamed"]) == (6, {})
    assert told["warnings"] == [printed.err.strip().removeprefix("dreambeam: warning: ")]


def test_the_order_of_classes_can_be_given_and_other_labels_are_failures(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    for name in ("dog/a.wav", "cat/b.wav", "bird/c.wav"):
        record(tmp_path / "in" / name, 0.3)
    (tmp_path / "classes.txt").write_text("wolf\ndog\n\ncat\n")
    (tmp_path / "classes.csv").write_text("index,display_name\n0,wolf\n1,dog\n2,cat\n")
    for number, classes in enumerate(("[wolf, dog, cat]", tmp_path / "classes.txt", tmp_path / "classes.csv")):
        output = tmp_path / str(number)
        augment(tmp_path / "in", output, f"source.classes={classes}")
        info: Any = tfds.builder_from_directory(output).info
        assert info.features["label"].names == ["wolf", "dog", "cat"]
        assert {id_: line["stage"] for id_, line in failures_of(output).items()} == {"bird/c.wav": "label"}
    with pytest.raises(SourceError, match="does not exist"):
        augment(tmp_path / "in", tmp_path / "x", f"source.classes={tmp_path}/nowhere.txt")


def test_a_row_of_labels_and_a_row_of_one_label_each_keep_theirs(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        record(tmp_path / f"{name}.wav", 0.2)
    lines = [{"path": "a.wav", "label": "x"}, {"path": "b.wav", "labels": ["y", "z"]}, {"path": "c.wav"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    items = list(list_manifests([str(tmp_path / "m.jsonl")], Columns(), None, TableNotes()))
    assert [item.labels for item in items if isinstance(item, SoundFileRef)] == [("x",), ("y", "z"), ()]


def test_a_row_that_names_no_file_is_a_failure_and_an_empty_one_is_nothing(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 0.2)
    (tmp_path / "m.csv").write_text("path,label\n,dog\n,\na.wav,cat\n")
    failure, item = list_manifests([str(tmp_path / "m.csv")], Columns(), None, TableNotes())
    assert isinstance(failure, Failure)
    assert failure.id == "m.csv#line=2"
    assert "names no file in column 'path'" in failure.error
    assert isinstance(item, SoundFileRef)
