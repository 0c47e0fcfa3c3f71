"""Going on after a stop: what is reused is what the run would have made, and nothing else is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paths import REPOSITORY
from recordings import augment, dreambeam, failures_of, load, record, shards_of

from pipelines.clips.clips import segments
from pipelines.clips.references import SoundFileRef
from pipelines.config.run_config import load_config
from pipelines.dataset.records import Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import Scratch, SpillWriter, read_records
from pipelines.worker.resume import Finished, clip_digest, index_finished, run_digest

CHANGES = ("recipe.steps=1", "batch_size=1", "variants=2", "shards=2")
CLIPS = 5

KILLED = """
import os, signal, sys
from pipelines.dataset.scratch import SpillWriter
flush, batches = SpillWriter.flush, []
def killed(self):
    flush(self)
    batches.append(self)
    if len(batches) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
SpillWriter.flush = killed
from pipelines.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(CLIPS):
        record(folder / f"{'dog' if number % 2 else 'cat'}/{number}.wav")
    (folder / "dog/text.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def undisturbed(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    augment(recordings, output, *CHANGES)
    return output


@pytest.fixture(scope="module")
def killed_run(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what a run left that was killed at its third clip, whose dreams may be there."""
    output = tmp_path_factory.mktemp("killed") / "out"
    changes = [part for change in CHANGES for part in ("--set", change)]
    arguments = ["augment", "-i", str(recordings), "-o", str(output), *changes]
    run = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=REPOSITORY, capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not output.exists()
    return output.parent


@pytest.fixture
def killed(killed_run: Path, tmp_path: Path) -> Path:
    """The output of the killed run, its leftovers copied anew."""
    shutil.copytree(killed_run, tmp_path / "run")
    return tmp_path / "run/out"


@pytest.mark.slow
def test_after_a_kill_the_same_command_ends_with_the_same_dataset_and_reuses_what_was_finished(
    recordings: Path, undisturbed: Path, killed: Path
) -> None:
    counts = augment(recordings, killed, *CHANGES)["counts"]
    assert counts["reused"] in (2 * 3, 3 * 3)
    assert counts["records"] == CLIPS * 3
    assert shards_of(killed) == shards_of(undisturbed)
    assert failures_of(killed) == failures_of(undisturbed)
    assert (killed / "provenance.parquet").read_bytes() == (undisturbed / "provenance.parquet").read_bytes()
    assert [path.name for path in killed.parent.iterdir()] == ["out"]


def test_a_run_that_goes_on_says_which_dreams_it_did_not_make(
    recordings: Path, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [part for change in CHANGES for part in ("--set", change)]
    assert dreambeam("augment", "-i", recordings, "-o", killed, *changes) == 3  # one file is no sound
    told = json.loads((killed / "run.json").read_text())
    found = told["recipes"]["deep_dream"]
    assert (found["dreams"], found["reused"]) == (CLIPS * 2, told["counts"]["reused"] * 2 // 3)
    assert found["reused"] in (2 * 2, 3 * 2)
    printed = capsys.readouterr().out.splitlines()
    assert (
        f"  deep_dream: {found['reached']} of {CLIPS * 2} dreams reached their target; {found['reused']} of an earlier "
        f"run, {found['reused_reached']} of them on target"
    ) in printed
    assert f"  {told['counts']['reused']} records were finished by an earlier run" in printed


def test_a_run_that_goes_on_may_have_other_batches(recordings: Path, undisturbed: Path, killed: Path) -> None:
    counts = augment(recordings, killed, *CHANGES, "batch_size=4")["counts"]
    assert counts["reused"] in (2 * 3, 3 * 3)
    assert shards_of(killed) == shards_of(undisturbed)


def test_without_resume_a_run_starts_from_the_beginning(recordings: Path, undisturbed: Path, killed: Path) -> None:
    assert augment(recordings, killed, *CHANGES, resume=False)["counts"]["reused"] == 0
    assert shards_of(killed) == shards_of(undisturbed)


@pytest.mark.parametrize("change", ["seed=1", "recipe.snr_db=30", "variants=1", "include_original=false"])
def test_records_that_were_made_in_another_way_are_not_reused(recordings: Path, killed: Path, change: str) -> None:
    counts = augment(recordings, killed, *CHANGES, change)["counts"]
    assert counts["reused"] == 0
    assert len(load(killed)) == counts["records"]


def test_a_clip_whose_file_has_changed_is_dreamed_anew(recordings: Path, killed_run: Path, tmp_path: Path) -> None:
    # ids and targets go by the path below the inputs: a copy of the recordings gives the same records, but for the URI
    copy = tmp_path / "recordings"
    shutil.copytree(recordings, copy)
    clip = segments(SoundFileRef("dog/1.wav", str(copy / "dog/1.wav"), ("dog",)), segment_seconds=None)[0]
    before = clip_digest(clip, "a" * 64)
    assert clip_digest(clip, "b" * 64) != before
    assert clip_digest(replace(clip, start=1), "a" * 64) != before
    assert clip_digest(replace(clip, labels=("cat",)), "a" * 64) != before
    output = tmp_path / "out"
    shutil.copytree(killed_run / "out.incomplete", tmp_path / "out.incomplete")
    assert augment(copy, output, *CHANGES)["counts"]["reused"] == 0  # other URIs: other provenance


@pytest.mark.slow
def test_an_interrupted_command_says_how_to_go_on(recordings: Path, tmp_path: Path) -> None:
    code = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGTERM)")
    output = tmp_path / "out"
    changes = [part for change in CHANGES for part in ("--set", change)]
    arguments = ["augment", "-i", str(recordings), "-o", str(output), *changes]
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, capture_output=True, check=False, text=True
    )
    assert run.returncode == 130, run.stderr
    *_, kept, stopped = run.stderr.splitlines()
    assert f"kept in {tmp_path.resolve()}/out.incomplete: the same command resumes from there" in kept
    assert stopped == "dreambeam: stopped; no dataset was written"
    left = [path.name for path in (tmp_path / "out.incomplete").iterdir()]
    assert sorted(left) == [".dreambeam", "spill"]


# The index


def spill(scratch: Scratch, run: str, *records: Record) -> Path:
    before = set(Path(scratch.spill).glob("*/*"))
    writer = SpillWriter(f"{scratch.spill}/{run}")
    for each in records:
        writer.append(each)
    writer.close()
    (path,) = set(Path(scratch.spill).glob("*/*")) - before
    return path


RECORDS = [
    Record("a:original", "train", b"\0\1\2", {"id": "a:original"}, "clip a"),
    Record("a:x:0", "train", b"x" * 1000, {"id": "a:x:0"}, "clip a"),
    Record("b:original", "test", b"", {"id": "b:original"}, "clip b"),
]


def test_finished_records_are_found_by_their_clip_and_read_back(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    spill(scratch, "run", *RECORDS)
    assert index_finished(scratch) == 3
    finished = Finished(scratch, "run")
    found = list(read_records(finished.records("clip a", 2)))
    assert sorted(found, key=lambda item: item[1]["id"]) == [(each.example, dict(each.row)) for each in RECORDS[:2]]
    (other,) = finished.records("clip b", 1)
    assert (other.split, other.example_bytes, other.reused) == ("test", 0, True)


def test_a_clip_is_finished_only_with_all_of_its_records(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    spill(scratch, "run", RECORDS[0])
    spill(scratch, "other", RECORDS[1])
    index_finished(scratch)
    assert not Finished(scratch, "run").records("clip a", 2)
    assert not Finished(scratch, "run").records("clip c", 1)
    assert not Finished(scratch, "third").records("clip a", 1)


def test_a_record_that_two_workers_made_counts_once(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    spill(scratch, "run", RECORDS[0])
    spill(scratch, "run", RECORDS[0], RECORDS[1])
    assert index_finished(scratch) == 2
    assert len(Finished(scratch, "run").records("clip a", 2)) == 2


def test_of_a_file_that_was_cut_off_anywhere_the_whole_records_are_used(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    path = spill(scratch, "run", *RECORDS[:2])
    whole = path.read_bytes()
    path.unlink()
    first = spill(scratch, "run", RECORDS[0]).stat().st_size
    for size in (0, 1, first - 1, first, first + 1, first + 100, len(whole) - 1, len(whole)):
        shutil.rmtree(scratch.spill)
        path.parent.mkdir(parents=True)
        path.write_bytes(whole[:size])
        assert index_finished(scratch) == (size >= first) + (size == len(whole)), size


def test_an_empty_scratch_has_nothing_finished(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    assert index_finished(scratch) == 0
    assert not Finished(scratch, "run")
    assert Finished(scratch, "run").records("clip", 1) == []


def test_only_what_shapes_a_record_tells_ways_to_make_it_apart() -> None:
    def digest(*changes: str, labels: tuple[str, ...] = ("dog",), sound: str = "") -> str:
        config = load_config(None, list(changes))
        return run_digest(config, Vocabulary(labels, (1,)), "yamnet", {"x": sound})

    assert digest() == digest("batch_size=7", "shards=3", "weights=elsewhere", "licence=CC0-1.0")
    others = [digest("seed=1"), digest("recipe.steps=21"), digest(labels=("cat", "dog")), digest(sound="s")]
    others += [digest("target=Dog"), digest("recipes={other: {}}"), digest()]
    assert len(set(others)) == len(others)


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False)
    if mount.returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_one_clear_line_and_the_dataset_that_was_there(
    recordings: Path, small_disk: Path
) -> None:
    output = small_disk / "out"
    augment(recordings / "dog/1.wav", output)
    before = shards_of(output)
    arguments = ["augment", "-i", str(recordings), "-o", str(output), "--overwrite", "--set", "recipe.steps=0"]
    code = "import sys; from pipelines.cli import main; main(sys.argv[1:])"
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--variants", "5"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert run.returncode == 1, run.stderr
    complaints = [line for line in run.stderr.splitlines() if "kept in" not in line]
    place = small_disk.resolve()
    assert complaints == [f"dreambeam: no space is left in {place}: free some, then run the same command again"]
    assert shards_of(output) == before
    assert json.loads((output / "run.json").read_text())["counts"]["clips"] == 1
