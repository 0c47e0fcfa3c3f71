"""Sources: which files the inputs name, and what they are called."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listings import complaint, listing, references, tree
from paths import REPOSITORY

from pipelines.clips.clips import decode, segments
from pipelines.clips.listing import OTHER_SOUND_ENDINGS, SOUND_ENDINGS, Skipped, SourceError, TableNotes
from pipelines.sources.folders import list_files
from pipelines.sources.manifests import list_lists

ENDINGS = [*SOUND_ENDINGS, *OTHER_SOUND_ENDINGS, ".WebM", ".MP4", ".SPH"]

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
    assert [file.labels for file in results[0]] == [("a",), ("a",), ("b",), ()]


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


def test_a_file_that_may_be_sound_is_listed_so_that_its_content_decides(tmp_path: Path) -> None:
    names = ["a.wav", *(f"b{number}{ending}" for number, ending in enumerate(ENDINGS))]
    assert set(listing(tree(tmp_path, *names))) == set(names)


def test_what_is_no_sound_is_counted_by_ending_and_silent_folders_are_named(
    tmp_path: Path, memory_files: dict[str, bytes]
) -> None:
    names = [
        "dog/a.wav",
        "dog/a.TXT",
        "dog/b.txt",
        "dog/.hidden.wav",
        "cat/x.txt",
        "cat/deep/y",
        "bird/list.csv",
        "top.md",
    ]
    tree(tmp_path, *names)
    (tmp_path / "labels.csv").write_text("path,label\na.wav,Dog\n")
    skipped = Skipped()
    assert list(listing(tmp_path, metadata=str(tmp_path / "labels.csv"), skipped=skipped)) == ["dog/a.wav"]
    counts = {".txt": 3, ".md": 1, ".csv": 1, "no ending": 1}
    assert skipped.endings == {**counts, "hidden": 1}
    assert skipped.folders == ["bird", "cat"]
    (tmp_path / "fish/none").mkdir(parents=True)
    (tmp_path / "dog/.git").mkdir()
    again = Skipped()
    listing(tmp_path, skipped=again)
    assert again.folders == ["bird", "cat", "fish"]
    assert again.endings == {**counts, "hidden": 2, ".csv": 2}
    memory_files.update({f"mem://bucket/set/{name}": b"" for name in names})
    remote = Skipped()
    listing("mem://bucket/set", skipped=remote)
    assert (remote.endings, remote.folders) == (skipped.endings, skipped.folders)


def test_a_glob_counts_what_it_matches_and_a_list_what_its_folders_hold(tmp_path: Path) -> None:
    tree(tmp_path, "dog/a.wav", "dog/b.txt", "cat/c.txt")
    skipped = Skipped()
    listing(tmp_path / "*/*.wav", skipped=skipped)
    assert not skipped.endings
    (tmp_path / "list.txt").write_text("dog\n")
    assert len(list(list_lists([str(tmp_path / "list.txt")], None, TableNotes(), skipped))) == 1
    assert skipped.endings == {".txt": 1}


def test_run_json_names_the_most_frequent_endings_only() -> None:
    skipped = Skipped()
    for number in range(200):
        skipped.add(f"x.{number}")
        skipped.add("y.txt")
    told = skipped.summary()
    assert told["files"] == sum(told["endings"].values()) == 400
    assert next(iter(told["endings"])) == ".txt"
    assert len(told["endings"]) == 51


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
    assert "cannot be listed" in complaint("nosuchsystem://bucket")
    assert "cannot be read" in complaint("mem://bucket/set", metadata="mem://bucket/no.csv")


def test_inputs_of_two_file_systems_are_refused(tmp_path: Path, memory_files: dict[str, bytes]) -> None:
    memory_files["mem://bucket/a.wav"] = b""
    assert "different file systems" in complaint(tree(tmp_path, "a.wav"), "mem://bucket")


# Inputs that cannot be used


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


def test_importing_sources_does_not_import_beam() -> None:
    code = "import sys, pipelines.sources.folders; sys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
