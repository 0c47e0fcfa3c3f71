"""Event tables: what is heard when, by any of the usual names; what was guessed is said, and what is not used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from listings import table, tree
from recordings import dreambeam, record

from pipelines.clips.clips import segments
from pipelines.clips.listing import SourceError
from pipelines.clips.references import Failure, SoundFileRef
from pipelines.config.run_config import SourceConfig
from pipelines.sources.inputs import list_inputs
from pipelines.tables.column_names import Times, find_times

EVENTS = (("a.wav", "0", "1.2", "dog"), ("a.wav", "1", "2.4", "rain"), ("b.wav", "1.2", "2.4", "dog"))


def items(manifest: Path | str, **source: Any) -> list[Any]:
    return list(list_inputs([str(manifest)], SourceConfig(**source)).items)


def pieces(manifest: Path | str, **source: Any) -> list[tuple[str, ...]]:
    return [(item.piece_id, *item.labels) for item in items(manifest, **source)]


def notes(*inputs: Path | str, **source: Any) -> str:
    listing = list_inputs([str(each) for each in inputs], SourceConfig(**source))
    list(listing.items)
    return "\n".join(listing.notes.lines)


def test_dcase_strong_labels_are_pieces_with_one_label_each(shared: Path) -> None:
    manifest = shared / "cases/event_table/audio/strong.tsv"
    found = items(manifest)
    assert [(item.piece_id, item.labels) for item in found] == [
        ("a.flac#t=0,1.2", ("dog",)),
        ("a.flac#t=1.2,2.4", ("rain",)),
        ("b.flac#t=1.2,2.4", ("dog",)),
    ]
    assert [clip.id for item in found for clip in segments(item, segment_seconds=None)][1] == "a.flac#t=1.2,2.4"
    assert "labels from column `event_label`, 2 classes; pieces from `onset` to `offset`" in notes(manifest)


@pytest.mark.parametrize(
    ("path", "start", "end", "label"),
    [
        ("filename", "onset", "offset", "event_label"),
        ("filename", "start_time_seconds", "end_time_seconds", "primary_label"),
        ("Begin File", "Begin Time (s)", "End Time (s)", "Species"),
        ("filename", "begin_time", "end_time", "class_name"),
        ("fname", "start", "end", "category"),
        ("Filename", "Start (s)", "End (s)", "ebird_code"),
        ("itemid", "START_TIME", "END_TIME", "Common Name"),
    ],
)
def test_columns_of_events_are_found_by_their_usual_names(
    tmp_path: Path, path: str, start: str, end: str, label: str
) -> None:
    manifest = table(tmp_path / "x.tsv", (path, start, end, label), *EVENTS, delimiter="\t")
    expected = [("a.wav#t=0,1.2", "dog"), ("a.wav#t=1,2.4", "rain"), ("b.wav#t=1.2,2.4", "dog")]
    assert pieces(manifest) == expected
    said = notes(manifest)
    assert f"labels from column `{label}`, 2 classes; pieces from `{start}` to `{end}`" in said
    assert "not used" not in said
    names = {"path_column": path, "label_column": label, "offset_column": start, "end_column": end}
    assert pieces(manifest, **names) == expected


def test_events_of_one_piece_are_one_sound_with_all_labels(tmp_path: Path) -> None:
    rows = [*EVENTS, ("b.wav", "0", "1", "cat"), ("b.wav", "1.2", "2.4", "cat"), ("c.wav", "", "", "")]
    manifest = table(tmp_path / "x.csv", ("file", "onset", "offset", "event_label"), *rows)
    assert pieces(manifest)[2:] == [("b.wav#t=1.2,2.4", "dog", "cat"), ("b.wav#t=0,1", "cat"), ("c.wav",)]


def test_an_offset_without_an_onset_is_where_a_piece_begins(tmp_path: Path) -> None:
    row = ("a.wav", "1", "2", "x")
    assert pieces(table(tmp_path / "x.csv", ("path", "offset", "duration", "label"), row)) == [("a.wav#t=1,3", "x")]
    assert pieces(table(tmp_path / "x.csv", ("path", "start", "duration", "label"), row)) == [("a.wav#t=1,3", "x")]
    assert pieces(table(tmp_path / "x.csv", ("path", "onset", "offset", "label"), row)) == [("a.wav#t=1,2", "x")]
    manifest = table(tmp_path / "x.csv", ("path", "from", "to", "label"), row)
    assert pieces(manifest) == [("a.wav", "x")]
    assert pieces(manifest, offset_column="from", end_column="to") == [("a.wav#t=1,2", "x")]
    assert pieces(manifest, offset_column="from", duration_column="to") == [("a.wav#t=1,3", "x")]


def test_slices_that_are_files_are_not_cut_again(tmp_path: Path) -> None:
    row = ("100032-3-0-0.wav", "10", "14", "dog_bark")
    manifest = table(tmp_path / "x.csv", ("slice_file_name", "start", "end", "class"), row)
    assert pieces(manifest) == [("100032-3-0-0.wav", "dog_bark")]
    assert "not used: `start`, `end`" in notes(manifest)
    named = {"offset_column": "start", "end_column": "end"}
    assert pieces(manifest, **named) == [("100032-3-0-0.wav#t=10,14", "dog_bark")]


def test_an_empty_name_takes_no_column(tmp_path: Path) -> None:
    manifest = table(tmp_path / "x.csv", ("path", "start", "end", "label"), *EVENTS)
    assert pieces(manifest, offset_column="")[0] == ("a.wav", "dog")
    assert pieces(manifest, end_column="")[1] == ("a.wav", "rain")
    assert find_times(["onset", "offset"], Times(start=""), "path") == Times()


def test_times_that_are_none_are_failures_that_name_the_flags(tmp_path: Path) -> None:
    rows = [("a.wav", "2", "1"), ("a.wav", "soon", "1"), ("a.wav", "0", "late"), ("a.wav", "1", "1")]
    found = items(table(tmp_path / "x.csv", ("path", "start", "end"), *rows))
    assert all(isinstance(item, Failure) for item in found)
    says = ["--duration-column", "--start-column", "--end-column", "ends at 1 s in column 'end', and begins at 1 s"]
    for failure, text in zip(found, says, strict=True):
        assert text in failure.error


def test_columns_that_contradict_each_other_stop_the_run(tmp_path: Path) -> None:
    manifest = table(tmp_path / "x.csv", ("path", "to", "long"), ("a.wav", "1", "2"))
    for names, says in (
        ({"end_column": "to"}, "none of starts; name it with --start-column"),
        ({"end_column": "to", "duration_column": "long"}, "give --end-column or --duration-column"),
        ({"end_column": "too"}, "did you mean 'to'"),
    ):
        with pytest.raises(SourceError, match=says):
            items(manifest, **names)
    with pytest.raises(SourceError, match="--path-column"):
        items(table(tmp_path / "x.csv", ("colour",), ("red",)))


def test_what_is_not_used_of_a_table_is_said(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.wav", "in/b.wav")
    header = ("", "filename", "category", "target", "fold")
    metadata = table(tmp_path / "x.csv", header, *((str(k), f"{k}.wav", "dog", "0", "1") for k in "abc"))
    lines = notes(tmp_path / "in", metadata=metadata, group_columns=["fold"]).splitlines()
    assert lines == [
        f"{metadata!r}: labels from column `category`, 1 class; not used: `target`",
        f"{metadata!r}: 1 of the 3 rows name no file among the inputs, such as 'c.wav' on line 4",
    ]
    assert "column" not in notes(metadata, label_column="category", group_columns=["fold", "target"])


def test_an_event_table_as_metadata_says_how_to_give_it(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.wav", "in/b.wav")
    metadata = table(tmp_path / "x.csv", ("filename", "onset", "offset", "event_label"), *EVENTS)
    failure, file = items(tmp_path / "in", metadata=metadata)
    assert isinstance(file, SoundFileRef)
    assert f"--input {metadata} --root FOLDER" in failure.error


def test_a_run_says_what_it_guessed_and_ends_with_3_where_no_label_was_found(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "a.wav", 1)
    manifest = table(tmp_path / "x.csv", ("path", "bird"), ("a.wav", "wren"))
    flags = ("--steps", "0", "-i", manifest)
    assert dreambeam("augment", *flags, "-o", tmp_path / "none") == 3
    said = capfd.readouterr().err
    assert said.count("not used: `bird`") == 1
    assert said.splitlines()[-1].startswith("dreambeam: no clip has a label, though a table was given")
    assert dreambeam("augment", *flags, "-o", tmp_path / "out", "--label-column", "bird") == 0
    assert capfd.readouterr().err == ""
    assert [json.loads((tmp_path / name / "run.json").read_text())["table_labels"] for name in ("none", "out")] == [
        0,
        1,
    ]
