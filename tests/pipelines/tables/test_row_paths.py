"""Paths in rows: as they are written by whomever, the file that is meant is found, or it is said where one lies."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from listings import table, tree

from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs
from pipelines.tables import row_paths


def listed(manifest: Path | str, **source: Any) -> tuple[list[Any], str]:
    listing = list_inputs([str(manifest)], SourceConfig(**source))
    return list(listing.items), "\n".join(listing.notes.lines)


def ids(manifest: Path | str, **source: Any) -> list[str]:
    return [item.id for item in listed(manifest, **source)[0] if isinstance(item, SoundFileRef)]


def test_kaggles_table_beside_its_folder_gives_labelled_clips(shared: Path) -> None:
    folder = shared / "cases/table_apart"
    found, note = listed(folder / "train.csv", root=str(folder / "train"))
    expected = [("dog_0.wav", "dog"), ("dog_1.wav", "dog"), ("rain0.wav", "rain"), ("rain1.wav", "rain")]
    assert [(item.id, *item.labels) for item in found] == expected
    assert note.endswith("labels from 2 columns of 0 and 1, `dog`, `rain`")
    _, note = listed(folder / "train.csv")
    assert f"4 of 4 paths lead to no file, such as 'dog_0': tried '{folder}/dog_0'" in note
    assert f"a file of that name is '{folder}/train/dog_0.wav': give --root '{folder}/train'" in note


def test_event_tables_and_lists_of_another_folder_need_the_root_alone(shared: Path) -> None:
    folder = shared / "cases"
    assert ids(folder / "event_table/strong.tsv", root=str(folder / "event_table/audio")) == [
        "a.flac",
        "a.flac",
        "b.flac",
    ]
    root = str(folder / "unquoted_tsv/clips")
    assert len(ids(folder / "unquoted_tsv/validated.tsv", root=root)) == 6
    assert ids(folder / "list_literals/meta.csv", root=str(folder / "list_literals/audio"))[0] == "dog_0.wav"


def test_paths_are_relative_to_the_root_and_then_to_the_tables_folder(tmp_path: Path) -> None:
    tree(tmp_path, "audio/a.wav", "audio/meta/a.wav", "audio/meta/b.wav")
    for name in ("x.csv", "x.txt"):
        path = tmp_path / "audio/meta" / name
        path.write_text("path\na.wav\nb.wav\nc.wav\n" if name == "x.csv" else "a.wav\nb.wav\nc.wav\n")
        assert ids(path, root=str(tmp_path / "audio")) == ["a.wav", "meta/b.wav", "c.wav"]
        assert ids(path) == ["a.wav", "b.wav", "c.wav"]


def test_globs_and_folders_of_a_list_are_relative_to_the_root(tmp_path: Path) -> None:
    tree(tmp_path, "audio/dog/a.wav", "audio/dog/b.wav", "lists/x.txt", "lists/cat/c.wav")
    (tmp_path / "lists/x.txt").write_text("dog/*.wav\ndog\n")
    assert ids(tmp_path / "lists/x.txt", root=str(tmp_path / "audio")) == ["dog/a.wav", "dog/b.wav"] * 2
    (tmp_path / "lists/x.txt").write_text("cat/*.wav\n")
    assert ids(tmp_path / "lists/x.txt", root=str(tmp_path)) == ["lists/cat/c.wav"]


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("a", "a.wav"),
        ("dog/a", "dog/a.FLAC"),
        ("2020.01.02", "2020.01.02.mp3"),
        ("dog\\a.wav", "dog/a.wav"),
        ("dog\\a", "dog/a.ogg"),
        ("a%20b.wav", "a b.wav"),
        ("dog%2Fa%26b", "dog/a&b.wav"),
        ("100%25.wav", "100%25.wav"),
        ("n\u00e9e.wav", "ne\u0301e.wav"),
        ("ne%CC%81e", "n\u00e9e.wav"),
        ("a.wav", "a.wav"),
    ],
)
def test_a_file_is_found_however_its_path_is_written(tmp_path: Path, written: str, there: str) -> None:
    tree(tmp_path, there)
    found, note = listed(table(tmp_path / "x.csv", ("path", "label"), (written, "x")))
    assert [item.uri for item in found] == [str(tmp_path / there)]
    assert unicodedata.normalize("NFC", found[0].id) == unicodedata.normalize("NFC", there)
    assert "no file" not in note


def test_what_is_written_goes_before_what_it_could_mean(tmp_path: Path) -> None:
    tree(tmp_path, "a%20b.wav", "a b.wav", "dog\\a.wav", "dog/a.wav", "x", "x.wav")
    manifest = table(tmp_path / "x.csv", ("path",), ("a%20b.wav",), ("dog\\a.wav",), ("x",))
    assert ids(manifest) == ["a%20b.wav", "dog\\a.wav", "x"]


def test_a_name_of_two_files_is_a_failure_that_names_both(tmp_path: Path) -> None:
    tree(tmp_path, "a.wav", "a.flac")
    (failure,), _ = listed(table(tmp_path / "x.csv", ("path",), ("a",)))
    assert isinstance(failure, Failure)
    assert "'a' is a file with each of the endings .wav, .flac; write one" in failure.error


@pytest.mark.parametrize(
    ("written", "there", "says"),
    [
        ("dog/a.wav", "audio/dog/a.wav", "give --root '{0}/audio'"),
        ("C:\\data\\a.wav", "audio/a.wav", "is '{0}/audio/a.wav': correct the path"),
        ("/nowhere/at/all/a.wav", "audio/a.wav", "is '{0}/audio/a.wav': correct the path"),
        ("a.mp3", "deep/er/A.wav", "is '{0}/deep/er/A.wav'"),
        ("a.wav", "b.wav", "no file of that name lies below '{0}': --root names another folder"),
    ],
)
def test_of_a_file_that_is_missing_it_is_said_where_one_of_its_name_lies(
    tmp_path: Path, written: str, there: str, says: str
) -> None:
    tree(tmp_path, there)
    found, note = listed(table(tmp_path / "x.csv", ("path",), (written,), (written,)))
    assert len(found) == 2
    assert "2 of 2 paths lead to no file" in note
    assert says.format(tmp_path) in note
    assert note.isprintable() or "\n" in note


def test_the_search_for_a_name_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_paths, "MAX_SEARCHED", 3)
    tree(tmp_path, *(f"{k}/{k}.wav" for k in range(9)))
    assert "no file of that name" in listed(table(tmp_path / "x.csv", ("path",), ("8.wav",)))[1]
