"""Publishing: the output is whole or not there, and what is there is safe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paths import REPOSITORY
from recordings import augment, load, record, shards_of

from pipelines.dataset import output as output_folder
from pipelines.dataset import shards
from pipelines.dataset.output import OutputError
from pipelines.dataset.scratch import Scratch
from pipelines.run.augmentation import publish

KILLED = """
import os, signal, sys
from pipelines.dataset import shards
shards.write_shard = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
from pipelines.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for number in range(2):
        record(tmp_path / f"in/dog/{number}.wav")
    return tmp_path / "in"


def beside(recordings: Path) -> list[str]:
    return sorted(path.name for path in recordings.parent.iterdir() if path != recordings)


def test_an_output_that_exists_is_refused_and_overwrite_replaces_it(recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    augment(recordings, output)
    before = shards_of(output)
    with pytest.raises(OutputError, match="exists already: add --overwrite"):
        augment(recordings, output, "seed=1")
    assert shards_of(output) == before
    augment(recordings, output, "seed=1", "name=other", overwrite=True)
    assert set(shards_of(output)) == {"other-train.tfrecord-00000-of-00001"}
    assert len(load(output)) == 4
    assert beside(recordings) == ["out"]


def test_overwrite_replaces_nothing_but_a_dreambeam_dataset(recordings: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "thesis", tmp_path / "notes.txt"
    folder.mkdir()
    for path in (folder / "chapter.txt", file):
        path.write_text("years of work")
    for output in (folder, file):
        with pytest.raises(OutputError, match="not a dreambeam dataset"):
            augment(recordings, output, overwrite=True)
    assert (folder / "chapter.txt").read_text() == file.read_text() == "years of work"
    assert beside(recordings) == ["notes.txt", "thesis"]


def test_an_empty_folder_and_missing_parents_may_be_the_output(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    augment(recordings, tmp_path / "empty")
    augment(recordings, tmp_path / "a/b/c")
    assert shards_of(tmp_path / "empty") == shards_of(tmp_path / "a/b/c") != {}


def test_an_output_below_a_file_is_refused(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        augment(recordings, tmp_path / "file/out")


def test_an_output_that_is_not_local_is_refused(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recordings.parent)
    with pytest.raises(OutputError, match="must be a local folder"):
        augment(recordings, "gs://bucket/out")  # type: ignore[arg-type]
    assert beside(recordings) == []


@pytest.mark.slow
def test_a_run_killed_in_mid_pipeline_leaves_no_output_and_the_next_one_succeeds(
    recordings: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = ["augment", "-i", str(recordings), "-o", str(output), "--steps", "0"]
    run = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=REPOSITORY, capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not output.exists()
    assert "out.incomplete" in beside(recordings)
    augment(recordings, output)
    assert len(load(output)) == 4
    assert beside(recordings) == ["out"]


def test_a_second_run_into_the_same_place_is_refused_and_the_first_one_succeeds(
    recordings: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"

    @contextmanager
    def second(scratch: Scratch, listed: dict[str, int]) -> Iterator[None]:
        assert listed == {"files": 2, "failures": 0}
        with pytest.raises(OutputError, match="another run is writing"):
            augment(recordings, output)
        assert os.path.isdir(scratch.dataset)
        yield

    augment(recordings, output, watch=second)
    assert len(load(output)) == 4
    assert beside(recordings) == ["out"]


def test_a_run_that_is_overtaken_by_another_does_not_replace_its_output(recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    augment(recordings, output)
    with pytest.raises(OutputError, match="exists already"), output_folder.unfinished(output, overwrite=False):
        pytest.fail("entered")  # pragma: no cover
    assert beside(recordings) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_inside_the_pipeline_leaves_the_output_as_it_was_and_keeps_what_is_finished(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    output = tmp_path / "out"
    if overwrite:
        augment(recordings, output)
    before = shards_of(output)

    def full(*args: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_shard", full)
        with pytest.raises(Exception, match="the disk is full"):
            augment(recordings, output, "seed=1", overwrite=overwrite)
    assert shards_of(output) == before
    assert beside(recordings) == (["out", "out.incomplete"] if overwrite else ["out.incomplete"])
    counts = augment(recordings, output, "seed=1", overwrite=overwrite)["counts"]
    assert counts["reused"] == counts["records"] == 4
    assert beside(recordings) == ["out"]


def test_a_rename_that_fails_puts_the_old_dataset_back(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    augment(recordings, output)
    before = shards_of(output)
    replace = os.replace

    def fails(source: Any, target: Any) -> None:
        if Path(source).name == "dataset":
            raise OSError("no")
        replace(source, target)

    monkeypatch.setattr(publish.os, "replace", fails)
    with pytest.raises(OSError, match="no"):
        augment(recordings, output, "seed=1", overwrite=True)
    assert shards_of(output) == before
    assert beside(recordings) == ["out", "out.incomplete"]


def test_records_that_went_missing_fail_the_run(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = shards.write_shard
    monkeypatch.setattr(
        shards, "write_shard", lambda folder, key, refs, *more: write(folder, key, list(refs)[1:], *more)
    )
    with pytest.raises(RuntimeError, match="4 records were asked for, but 3 were written and 0 failed"):
        augment(recordings, tmp_path / "out")
    assert beside(recordings) == ["out.incomplete"]


def test_dataset_that_a_killed_run_was_replacing_comes_back(tmp_path: Path):
    output = tmp_path / "out"
    (tmp_path / "out.replaced").mkdir()
    (tmp_path / "out.replaced" / "run.json").write_text('{"versions": {"dreambeam": "0"}}')
    (tmp_path / "out.replaced" / ".dreambeam").touch()
    with pytest.raises(OutputError, match="exists already"), output_folder.unfinished(output, overwrite=False):
        pass
    assert (output / "run.json").exists()
    assert not (tmp_path / "out.replaced").exists()


def test_a_foreign_folder_in_the_way_is_refused_and_kept(recordings: Path, tmp_path: Path):
    for name in ("out.incomplete", "out.replaced"):
        foreign = tmp_path / name / "mine.txt"
        foreign.parent.mkdir()
        foreign.touch()
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(OutputError, match="in the way"):
            augment(recordings, tmp_path / "out")
        assert foreign.exists()
        foreign.unlink()
        foreign.parent.rmdir()


def test_inputs_below_the_output_and_the_working_directory_are_refused(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(OutputError, match="lies inside the output"):
        augment(recordings / "dog", recordings, overwrite=True)
    monkeypatch.chdir(recordings)
    for place in (".", ""):
        with pytest.raises(OutputError, match=r"working directory|must be a local folder"):
            augment(recordings, place)


def test_an_output_inside_a_dataset_is_refused(recordings: Path, tmp_path: Path):
    augment(recordings, tmp_path / "out")
    with pytest.raises(OutputError, match="lies inside the dataset"):
        augment(recordings, tmp_path / "out/in/deep")


def test_a_dataset_that_holds_files_of_others_is_not_overwritten(recordings: Path, tmp_path: Path):
    augment(recordings, tmp_path / "out", "recipe.steps=0")
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"holds 'notes.txt'"):
        augment(recordings, tmp_path / "out", overwrite=True)


def test_an_output_that_is_a_link_fills_the_folder_that_it_names(recordings: Path, tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "data")
    augment(recordings, tmp_path / "link", "recipe.steps=0")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "data" / "run.json").exists()


def test_a_run_without_a_usable_clip_replaces_nothing(recordings: Path, tmp_path: Path):
    augment(recordings, tmp_path / "out", "recipe.steps=0")
    before = shards_of(tmp_path / "out")
    bad = tmp_path / "bad" / "x.wav"
    bad.parent.mkdir()
    bad.write_text("no sound")
    with pytest.raises(RuntimeError, match="no clip could be used"):
        augment(bad, tmp_path / "out", overwrite=True)
    assert shards_of(tmp_path / "out") == before
