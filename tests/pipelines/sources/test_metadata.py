"""Metadata: which label and split a file gets from a table."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from listings import complaint, listing, references, table, tree

from pipelines.clips.references import Failure
from pipelines.sources.folders import list_files
from pipelines.tables.columns import Columns


def test_the_esc10_manifest_labels_every_recording(shared: Path) -> None:
    root = shared / "data/esc10-dev"
    result = listing(root, metadata=str(root / "manifest.csv"))
    assert len(result) == 158
    assert result == listing(root)  # the folders say the same
    assert len(Counter(result.values())) == 10
    # a folder alone: the ids are shorter, the rows still found
    assert set(listing(root / "rain", metadata=str(root / "manifest.csv")).values()) == {"rain"}


def test_esc50_needs_no_renaming(tmp_path: Path) -> None:
    root = tree(tmp_path / "ESC-50", "audio/1-100032-A-0.wav", "audio/1-100038-A-14.wav")
    metadata = table(
        root / "meta/esc50.csv",
        ("filename", "fold", "target", "category", "esc10", "src_file", "take"),
        ("1-100032-A-0.wav", "1", "0", "dog", "True", "100032", "A"),
        ("1-100038-A-14.wav", "1", "14", "chirping_birds", "False", "100038", "A"),
        ("9-999999-A-14.wav", "1", "14", "chirping_birds", "False", "100038", "A"),
    )
    expected = {"1-100032-A-0.wav": "dog", "1-100038-A-14.wav": "chirping_birds"}
    assert listing(root / "audio", metadata=metadata) == expected


def test_urbansound8k_needs_no_renaming(tmp_path: Path) -> None:
    root = tree(tmp_path / "UrbanSound8K", "audio/fold5/100032-3-0-0.wav", "audio/fold1/7061-6-0-0.wav")
    metadata = table(
        root / "metadata/UrbanSound8K.csv",
        ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"),
        ("100032-3-0-0.wav", "100032", "0.0", "0.317551", "1", "5", "3", "dog_bark"),
        ("7061-6-0-0.wav", "7061", "0.0", "0.3", "1", "1", "6", "gun_shot"),
    )
    expected = {"fold1/7061-6-0-0.wav": "gun_shot", "fold5/100032-3-0-0.wav": "dog_bark"}
    assert listing(root / "audio", metadata=metadata) == expected


def test_fsd50k_names_files_without_extension_and_has_splits(tmp_path: Path) -> None:
    root = tree(tmp_path, "FSD50K.dev_audio/64760.wav", "FSD50K.dev_audio/64761.wav")
    metadata = table(
        root / "FSD50K.ground_truth/dev.csv",
        ("fname", "labels", "mids", "split"),
        ("64760", "Electric_guitar,Music", "/m/02sgy,/m/04rlf", "train"),
        ("64761", "Bark", "/m/05tny_", "val"),
    )
    files = references(root / "FSD50K.dev_audio", metadata=metadata)
    assert [(file.labels, file.split) for file in files] == [
        (("Electric_guitar", "Music"), "train"),
        (("Bark",), "val"),
    ]


@pytest.mark.parametrize(
    "written",
    [
        "dog/a.wav",
        "./dog/a.wav",
        "dog\\a.wav",
        "a.wav",
        "../set/dog/a.wav",
        "elsewhere/a.wav",
        "{root}/dog/a.wav",
    ],
)
def test_a_row_may_spell_its_file_in_many_ways(tmp_path: Path, written: str) -> None:
    root = tree(tmp_path / "set", "dog/a.wav", "dog/b.wav")
    rows = [("path", "label"), (written.format(root=root), "Bark"), ("b.wav", "x")]
    metadata = table(tmp_path / "meta/x.csv", *rows)
    assert listing(root, metadata=metadata) == {"dog/a.wav": "Bark", "dog/b.wav": "x"}


def test_a_table_may_spell_accents_in_another_form_than_the_file_system(tmp_path: Path) -> None:
    root = tree(tmp_path, "ne\u0301e.wav")
    metadata = table(tmp_path / "x.csv", ("path", "label"), ("n\u00e9e.wav", "x"))
    assert listing(root, metadata=metadata) == {"ne\u0301e.wav": "x"}


@pytest.mark.parametrize(("name", "delimiter"), [("x.csv", ","), ("x.csv", ";"), ("x.tsv", "\t"), ("x.TAB", "\t")])
def test_the_delimiter_is_found(tmp_path: Path, name: str, delimiter: str) -> None:
    metadata = table(tmp_path / name, ("path", "label"), ("a.wav", "Dog, large"), delimiter=delimiter)
    assert listing(tree(tmp_path, "a.wav"), metadata=metadata) == {"a.wav": "Dog, large"}


def test_a_table_with_a_byte_order_mark_and_capitals_is_understood(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("\ufeffFile_Name, Category ,SUBSET\r\na.wav, dog ,test\r\n".encode())
    (file,) = references(tree(tmp_path, "a.wav"), metadata=str(tmp_path / "x.csv"))
    assert (file.labels, file.split) == (("dog",), "test")


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    metadata = table(tmp_path / "x.csv", ("path", "label", "where", "what"), ("?", "?", "a.wav", "dog"))
    root = tree(tmp_path, "a.wav")
    assert listing(root, metadata=metadata, columns=Columns(path="where", label="What")) == {"a.wav": "dog"}
    message = complaint(root, metadata=metadata, columns=Columns(label="lable"))
    assert "'lable'" in message
    assert "'path', 'label', 'where', 'what'" in message
    assert "did you mean 'label'?" in message


def test_a_label_is_text_that_stays_as_it_is_on_one_line(tmp_path: Path) -> None:
    labels = [
        "two\nlines",
        "<script>1</script>",
        "=HYPERLINK(1)",
        "__import__('os')",
        "n\u00e9e \u6c34",
        "{x}",
    ]
    root = tree(tmp_path, *(f"{k}.wav" for k in range(len(labels))))
    rows = [(f"{k}.wav", label) for k, label in enumerate(labels)]
    metadata = table(tmp_path / "x.csv", ("path", "label"), *rows)
    assert list(listing(root, metadata=metadata).values()) == ["two lines", *labels[1:]]


def test_a_table_of_splits_alone_leaves_the_labels_to_the_folders(tmp_path: Path) -> None:
    metadata = table(tmp_path / "x.csv", ("path", "split"), ("dog/a.wav", "test"), ("dog/b.wav", ""))
    files = references(tree(tmp_path, "dog/a.wav", "dog/b.wav"), metadata=metadata)
    assert [(file.labels, file.split) for file in files] == [(("dog",), "test"), (("dog",), "train")]


def test_what_a_table_leaves_open_is_a_failure_of_that_file_alone(tmp_path: Path) -> None:
    names = ["good.wav", "absent.wav", "blank.wav", "short.wav", "twice.wav", "same.wav", "where.wav"]
    names += ["x/1.wav", "y/1.wav"]
    root = tree(tmp_path / "set", *names)
    metadata = table(
        tmp_path / "x.csv",
        ("path", "label", "split"),
        ("good.wav", "dog", "train"),
        ("blank.wav", " ", ""),
        ("short.wav",),
        ("twice.wav", "dog", ""),
        ("twice.wav", "cat", ""),
        ("same.wav", "dog", ""),
        ("same.wav", "dog", ""),
        ("where.wav", "dog", "../../etc"),
        ("1.wav", "dog", ""),
        ("not among the inputs.wav", "dog", ""),
    )
    files = {file.id: file for file in list_files([str(root)], metadata=metadata)}
    assert list(files) == sorted(names)
    failures = {name: file for name, file in files.items() if isinstance(file, Failure)}
    assert set(names) - set(failures) == {"good.wav", "same.wav"}
    assert {failure.stage for failure in failures.values()} == {"label"}
    says = {
        "absent.wav": "has no row in",
        "blank.wav": "no label on line 3",
        "short.wav": "no label on line 4",
        "twice.wav": "line 5 says 'dog', line 6 says 'cat'",
        "where.wav": "'../../etc'",
        "x/1.wav": "2 files share it",
    }
    for name, text in says.items():
        assert text in failures[name].error
        assert repr(metadata) in failures[name].error
        json.dumps(asdict(failures[name]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"colour,label\nred,dog\n", "no column that names files: its columns are 'colour', 'label'"),
        (b"path,fold\na.wav,1\n", "no column of labels"),
        (b"path,label\n", "no row below its header"),
        (b"path,label\nother.wav,dog\n", "no row of"),
        (b"path,label\n\xff\xfe.wav,dog\n", "not UTF-8"),
        (b'path,label\na.wav,"' + b"x" * 200_000 + b'"\n', "not a readable table"),
    ],
)
def test_a_table_that_can_not_be_used_stops_the_run(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    message = complaint(tree(tmp_path, "a.wav"), metadata=str(tmp_path / "x.csv"))
    assert says in message
    assert "x.csv" in message


def test_a_missing_table_names_what_is_near(tmp_path: Path) -> None:
    tree(tmp_path, "a.wav", "labels.csv")
    message = complaint(tmp_path, metadata=str(tmp_path / "label.csv"))
    assert f"did you mean {str(tmp_path / 'labels.csv')!r}" in message
    assert "cannot be read" in complaint(tmp_path, metadata=str(tmp_path))
