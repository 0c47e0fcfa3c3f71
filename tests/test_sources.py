"""Sources: which files the inputs name, what they are called, and which label they get."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines.clips import Failure, SoundFileRef, decode, segments
from pipelines.sources import Columns, SourceError, list_files


def tree(root: Path, *names: str) -> Path:
    """Make files that are only listed, not read."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def table(path: Path, *rows: tuple[str, ...], delimiter: str = ",") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return str(path)


def references(*inputs: Path | str, **kwargs: Any) -> list[SoundFileRef]:
    files = list(list_files([str(each) for each in inputs], **kwargs))
    assert not [file for file in files if isinstance(file, Failure)]
    return [file for file in files if isinstance(file, SoundFileRef)]


def listing(*inputs: Path | str, **kwargs: Any) -> dict[str, str | None]:
    """Give id to label, or to the error of a failure."""
    return {
        file.id: file.label if isinstance(file, SoundFileRef) else f"{file.stage}: {file.error}"
        for file in list_files([str(each) for each in inputs], **kwargs)
    }


def complaint(*inputs: Path | str, **kwargs: Any) -> str:
    with pytest.raises(SourceError) as caught:
        list_files([str(each) for each in inputs], **kwargs)
    assert str(caught.value).isprintable()
    return str(caught.value)


# Listing


def test_a_folder_is_listed_with_all_below_it_and_labelled_by_folders(tmp_path: Path) -> None:
    root = tree(tmp_path, "dog/b.wav", "dog/A.WAV", "cat/old/c.Flac", "top.ogg", "dog/notes.txt", "x.csv")
    assert listing(root) == {"cat/old/c.Flac": "old", "dog/A.WAV": "dog", "dog/b.wav": "dog", "top.ogg": None}


def test_the_result_is_sorted_by_id_whatever_the_order_of_the_inputs(tmp_path: Path) -> None:
    tree(tmp_path, "b/1.wav", "a/2.wav", "a/1.wav", "c.wav")
    inputs = [str(tmp_path / "b"), str(tmp_path / "a/*"), str(tmp_path / "c.wav"), str(tmp_path / "a/1.wav")]
    results = [tuple(references(*order)) for order in itertools.permutations(inputs)]
    assert len(set(results)) == 1
    assert [file.id for file in results[0]] == ["a/1.wav", "a/2.wav", "b/1.wav", "c.wav"]
    assert [file.label for file in results[0]] == ["a", "a", "b", None]


def test_the_root_is_the_folder_the_fixed_part_or_the_parent(tmp_path: Path) -> None:
    tree(tmp_path, "data/dogs/1.wav", "data/dolls/2.wav")
    data = tmp_path / "data"
    assert listing(data / "dogs") == {"1.wav": None}
    assert listing(data / "dogs/1.wav") == {"1.wav": None}
    assert listing(data / "d*/*.wav") == {"dogs/1.wav": "dogs", "dolls/2.wav": "dolls"}
    assert listing(data / "dogs", data / "dolls") == {"dogs/1.wav": "dogs", "dolls/2.wav": "dolls"}
    assert listing(data / "dogs/1.wav", data / "dolls/2.wav") == {
        "dogs/1.wav": "dogs",
        "dolls/2.wav": "dolls",
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.wav", ["top.wav"]),
        ("**/*.wav", ["a/1.wav", "a/b/2.wav", "b/3.wav", "top.wav"]),
        ("**", ["a/1.wav", "a/b/2.wav", "b/3.ogg", "b/3.wav", "top.wav"]),
        ("a/**", ["1.wav", "b/2.wav"]),
        ("**/b/*", ["a/b/2.wav", "b/3.ogg", "b/3.wav"]),
        ("[ab]", ["a/1.wav", "a/b/2.wav", "b/3.ogg", "b/3.wav"]),
        ("?/*.wav", ["a/1.wav", "b/3.wav"]),
        ("*/b", ["a/b/2.wav"]),
    ],
)
def test_globs(tmp_path: Path, memory_files: dict[str, bytes], pattern: str, expected: list[str]) -> None:
    names = ["a/1.wav", "a/b/2.wav", "b/3.wav", "b/3.ogg", "b/4.txt", "top.wav", ".hidden/5.wav", "a/.6.wav"]
    tree(tmp_path, *names)
    memory_files.update({f"mem://bucket/set/{name}": b"" for name in names})
    assert list(listing(tmp_path / pattern)) == expected
    assert list(listing(f"mem://bucket/set/{pattern}")) == expected


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    tree(tmp_path, "take [1].wav", "take 1.wav")
    assert list(listing(tmp_path / "take [1].wav")) == ["take [1].wav"]


def test_hidden_files_are_not_listed(tmp_path: Path) -> None:
    tree(tmp_path, "a.wav", "._a.wav", ".git/b.wav", "x/.cache/c.wav")
    assert list(listing(tmp_path)) == ["a.wav"]


def test_symlink_loops_end_and_what_is_linked_comes_once(tmp_path: Path) -> None:
    tree(tmp_path, "set/z/a.wav", "outside/b.wav")
    root = tmp_path / "set"
    (root / "z/loop").symlink_to(root)
    (root / "z/self").symlink_to(root / "z/self")
    (root / "alias").symlink_to(root / "z")
    (root / "linked").symlink_to(tmp_path / "outside")
    for inputs in (root, root / "**", root / "**/*.wav"):
        assert listing(inputs) == {"z/a.wav": "z", "linked/b.wav": "linked"}


def test_a_broken_link_is_listed_so_that_it_can_fail(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert list(listing(tmp_path)) == ["gone.wav"]


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = [
        "a b.wav",
        "e\u0301.wav",
        "\u00e9.wav",
        "#t=0,5.wav",
        "100%.wav",
        "new\nline.wav",
        "\u6c34/x.wav",
    ]
    tree(tmp_path, *names)
    files = list(list_files([str(tmp_path)]))
    assert sorted(file.id for file in files) == sorted(names)
    assert all(Path(file.uri).exists() for file in files)


def test_a_name_that_is_not_utf_8_shows_its_bytes_and_can_be_read(tmp_path: Path) -> None:
    waveform = np.zeros((8000, 1))
    try:
        soundfile.write(tmp_path / "a.wav", waveform, 8000)
        os.rename(tmp_path / "a.wav", os.fsencode(tmp_path) + b"/bad\xff.wav")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (file,) = references(tmp_path)
    assert file.id == r"bad\xff.wav"
    json.dumps(asdict(file), ensure_ascii=False).encode()
    assert len(decode(segments(file, segment_seconds=None)[0]).waveform) == 8000


def test_sound_in_a_format_that_is_not_read_is_a_failure_not_silence(tmp_path: Path) -> None:
    result = listing(tree(tmp_path, "a.wav", "b.m4a"))
    assert result["a.wav"] is None
    assert "ffmpeg" in str(result["b.m4a"])


def test_a_folder_that_can_not_be_listed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.wav", "locked/b.wav")
    listdir = os.listdir

    def guarded(path: str) -> list[str]:  # in place of chmod, which does not stop root
        if "locked" in path:
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", guarded)
    result = listing(tmp_path)
    assert list(result) == ["a.wav", "locked"]
    assert "Permission denied" in str(result["locked"])


def test_inputs_may_be_relative_one_string_a_path_or_a_file_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "s t/a.wav")
    monkeypatch.chdir(tmp_path)
    for inputs in (["s t"], "s t", ["./x/../s t/"], [Path("s t")], [(tmp_path / "s t").as_uri()]):
        assert [file.uri for file in list_files(inputs)] == [f"{tmp_path}/s t/a.wav"]


def test_other_file_systems_are_listed_like_folders(memory_files: dict[str, bytes]) -> None:
    for name in ("dog/1.wav", "cat/2.ogg", "cat/readme.txt", ".hidden/3.wav"):
        memory_files[f"mem://bucket/set/{name}"] = b""
    memory_files["mem://bucket/set/labels.csv"] = b"path,label\ndog/1.wav,Dog\ncat/2.ogg,Cat\n"
    assert listing("mem://bucket/set") == {"cat/2.ogg": "cat", "dog/1.wav": "dog"}
    assert listing("mem://bucket/set/dog/1.wav") == {"1.wav": None}
    assert listing("mem://bucket/set/dog/", "mem://bucket/set/cat") == listing("mem://bucket/set")
    labelled = listing("mem://bucket/set", metadata="mem://bucket/set/labels.csv")
    assert labelled == {"cat/2.ogg": "Cat", "dog/1.wav": "Dog"}
    assert "no audio" in complaint("mem://bucket/other")
    assert "can not be listed" in complaint("nosuchsystem://bucket")
    assert "can not be read" in complaint("mem://bucket/set", metadata="mem://bucket/no.csv")


def test_inputs_of_two_file_systems_are_refused(tmp_path: Path, memory_files: dict[str, bytes]) -> None:
    memory_files["mem://bucket/a.wav"] = b""
    assert "different file systems" in complaint(tree(tmp_path, "a.wav"), "mem://bucket")


# Inputs that can not be used


def test_a_missing_input_names_what_is_near(tmp_path: Path) -> None:
    tree(tmp_path, "recordings/dog/a.wav")
    assert f"did you mean {str(tmp_path / 'recordings')!r}" in complaint(tmp_path / "recordngs/dog")
    assert f"did you mean {str(tmp_path / 'recordings/dog')!r}" in complaint(tmp_path / "recordings/dogs")
    assert "'zzzzzz' is not in it" in complaint(tmp_path / "zzzzzz/*.wav")


def test_inputs_without_audio_say_what_is_there_and_what_is_expected(tmp_path: Path) -> None:
    tree(tmp_path, "docs/readme.txt")
    (tmp_path / "empty").mkdir()
    assert "no files at all" in complaint(tmp_path / "empty")
    assert "'readme.txt'" in complaint(tmp_path / "docs")
    assert ".flac" in complaint(tmp_path / "docs")
    assert "glob" in complaint(tmp_path / "docs/*.wav")
    with pytest.raises(SourceError, match="no input"):
        list_files([])


def test_a_message_stays_on_one_line(tmp_path: Path) -> None:
    assert r"no\nwhere" in complaint(tmp_path / "no\nwhere")


# Labels from a table


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
    assert [(file.label, file.split) for file in files] == [
        ("Electric_guitar,Music", "train"),
        ("Bark", "val"),
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
    assert (file.label, file.split) == ("dog", "test")


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    metadata = table(tmp_path / "x.csv", ("path", "label", "where", "what"), ("?", "?", "a.wav", "dog"))
    root = tree(tmp_path, "a.wav")
    assert listing(root, metadata=metadata, columns=Columns(path="where", label="What")) == {"a.wav": "dog"}
    message = complaint(root, metadata=metadata, columns=Columns(label="lable"))
    assert "'lable'" in message
    assert "'path', 'label', 'where', 'what'" in message
    assert "did you mean 'label'?" in message


def test_a_label_is_text_and_stays_as_it_is(tmp_path: Path) -> None:
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
    assert list(listing(root, metadata=metadata).values()) == labels


def test_a_table_of_splits_alone_leaves_the_labels_to_the_folders(tmp_path: Path) -> None:
    metadata = table(tmp_path / "x.csv", ("path", "split"), ("dog/a.wav", "test"), ("dog/b.wav", ""))
    files = references(tree(tmp_path, "dog/a.wav", "dog/b.wav"), metadata=metadata)
    assert [(file.label, file.split) for file in files] == [("dog", "test"), ("dog", "train")]


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
    assert "can not be read" in complaint(tmp_path, metadata=str(tmp_path))


def test_importing_sources_does_not_import_beam() -> None:
    code = "import sys, pipelines.sources; sys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
