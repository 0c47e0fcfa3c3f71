"""Plans: the arithmetic by hand, its laws, and the bytes that it goes by against those of a real run."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import REPOSITORY
from recordings import augment, complaint, dreambeam, record

from pipelines.benchmark.planning import (
    MAX_PATCHES,
    SHARD_BYTES,
    Job,
    PlanError,
    Rates,
    batch_patches,
    cost,
    plan,
    rates,
    whole,
)
from pipelines.cli.commands.plan_command import core_time, duration, money

AUDIOSET = Job(clips=2_000_000, workers=100)
DOCS = REPOSITORY / "docs"


def test_dreaming_takes_its_steps_over_the_cores() -> None:
    made = plan(Job(clips=1000, seconds=10, steps=19, workers=5, cores=2), Rates(steps=100, scoring=1, decoding=1e9))
    (dreaming,) = [part for part in made.parts if part.limit == "cores"]
    assert dreaming.seconds == pytest.approx(1000 * 10 * 20 / 100 / 10)
    assert made.core_hours == pytest.approx(2000 / 3600)


def test_output_is_originals_and_dreams_with_all_that_they_carry() -> None:
    made = plan(Job(clips=100, seconds=10, dreams=2, encoding="int16"), Rates(example_bytes=5000))
    assert made.records == 300
    assert made.output_bytes == 300 * (10 * 16_000 * 2 + 5000)
    assert plan(AUDIOSET).shards == -(-plan(AUDIOSET).output_bytes // (256 << 20))


@given(workers=st.integers(1, 5000), clips=st.integers(1, 10**7), steps=st.integers(0, 100))
def test_more_workers_never_take_longer_and_more_clips_never_less(workers: int, clips: int, steps: int) -> None:
    job = Job(clips=clips, workers=workers, steps=steps)
    made = plan(job)
    assert plan(dataclasses.replace(job, workers=2 * workers)).seconds <= made.seconds * (1 + 1e-9)
    assert plan(dataclasses.replace(job, clips=2 * clips)).seconds >= made.seconds * (1 - 1e-9)
    assert 0 < made.efficiency <= 1
    assert made.bottleneck.seconds == max(part.seconds for part in made.parts)


def test_at_some_number_of_workers_what_all_share_becomes_the_bottleneck() -> None:
    limits = [plan(dataclasses.replace(AUDIOSET, workers=workers)).bottleneck.limit for workers in (10, 100, 10_000)]
    assert limits[0] == "cores"
    assert limits[-1] != "cores"


def test_cost_is_what_the_workers_are_paid_while_the_run_lasts() -> None:
    made = plan(AUDIOSET)
    assert cost(made, core_hour=0.04, overhead=0.5) == pytest.approx(made.seconds / 3600 * 200 * 0.06)


def test_the_bytes_of_a_plan_are_those_of_a_run(tmp_path: Path) -> None:
    from pipelines.clips.clips import segments
    from pipelines.clips.references import SoundFileRef
    from pipelines.dataset.scratch import RecordRef

    for number in range(6):
        record(tmp_path / f"in/label/{number}.wav", 2.0)
    told = augment(tmp_path / "in", tmp_path / "out", "shards=1")
    found = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tfrecord-*"))
    made = plan(Job(clips=6, seconds=2.0))
    assert made.records == told["counts"]["records"]
    assert made.output_bytes == pytest.approx(found, rel=0.05)
    (ref,) = segments(SoundFileRef("label/0.wav", str(tmp_path / "in/label/0.wav"), ("label",)), segment_seconds=None)
    spilled = RecordRef("0" * 64, "train", f"{tmp_path}/out.incomplete/spill/{'0' * 64}/{'0' * 32}.records", 1, 1, 1)
    assert Rates().clip_bytes == pytest.approx(len(pickle.dumps(ref)), rel=0.5)
    assert Rates().record_bytes == pytest.approx(len(pickle.dumps(spilled)), rel=0.5)
    assert Rates().row_bytes * 6 == pytest.approx((tmp_path / "out/provenance.parquet").stat().st_size / 2, rel=0.9)


def test_the_counts_of_a_plan_are_those_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        record(tmp_path / f"in/label/{number}.wav", 2.0)
    changes = ("source.segment_seconds=1", "recipe.steps=2", "recipe.hold=null", "variants=2")
    told = augment(tmp_path / "in", tmp_path / "out", *changes)
    made = plan(Job(clips=6, seconds=1.0, steps=2, dreams=2, file_clips=2))
    assert made.files == told["files"]
    assert made.job.clips == told["metrics"]["clips_listed"] == told["metrics"]["clips_read"]
    assert made.records == told["metrics"]["records"] == told["counts"]["records"]
    assert made.shards == len(list((tmp_path / "out").glob("*.tfrecord-*")))
    assert made.job.clips * made.job.seconds * 1000 == told["metrics"]["audio_ms"]
    assert made.job.clips * made.job.dreams * made.job.steps == told["metrics"]["gradient_steps"]
    assert dreambeam("plan", "--clips", "6", "--seconds", "1", "--steps", "2", "--dreams", "2") == 0
    assert f"{made.records} records in {made.shards} shards" in capsys.readouterr().out


def test_shards_and_batches_are_those_of_the_pipeline() -> None:
    from augment.models import yamnet
    from pipelines.dataset import shards

    assert plan(AUDIOSET).shards == shards.shard_count(int(plan(AUDIOSET).output_bytes))
    assert (SHARD_BYTES, MAX_PATCHES) == (shards.SHARD_BYTES, yamnet.MAX_BATCH_PATCHES)
    for seconds in (0.5, 1.0, 2.0, 5.0, 10.0, 60.0):
        samples = int(seconds * yamnet.SAMPLE_RATE)
        assert batch_patches(seconds, 1) == yamnet.patch_count(samples)
    assert batch_patches(10.0, 64) == 20 * 32  # what YAMNet's batch limit leaves of it


def test_the_rate_of_steps_is_that_of_the_speed_page() -> None:
    rows = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))["rows"]
    figures = {row["name"]: row["figure"] for row in rows if row["part"] in ("gradient", "alone")}
    assert Rates().steps == pytest.approx(figures["plain gradient"] / 2, rel=0.15)  # of 2 cores
    assert Rates().scoring == pytest.approx(2 * figures["plain gradient"] / figures["scoring"], rel=0.3)


def test_the_page_prints_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "planning.md").read_text(encoding="utf-8")
    (first, *_), printed = re.findall(r"^dreambeam plan .*$", page, re.MULTILINE), page.split("```\n")[2]
    assert dreambeam(*shlex.split(first)[1:]) == 0
    assert capsys.readouterr().out == printed
    bucket = dataclasses.replace(AUDIOSET, encoding="flac")
    for workers in (10, 100, 1000):
        made, other = (
            plan(dataclasses.replace(job, workers=workers), Rates(shared_write=shared))
            for job, shared in ((AUDIOSET, 1e9), (bucket, 20e9))
        )
        dreaming, waiting = (
            next(duration(part.seconds) for part in made.parts if part.limit == limit)
            for limit in ("cores", "file system")
        )
        row = (
            f"| {workers} | {duration(made.seconds)}, {made.efficiency:.0%} dreaming | {dreaming} | {waiting} "
            f"| {made.bottleneck.name} | {duration(other.seconds)}, {other.efficiency:.0%} dreaming; "
            f"longest: {other.bottleneck.name} |"
        )
        assert row in page, row


def test_the_command_prints_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "--clips", "2e6", "--seconds", "10", "--steps", "20", "--workers", "100"]
    assert dreambeam(*arguments, "--core-hour", "0.05") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2000000 clips of 10 s, 1 dreams of each in 20 steps, on 100 workers of 2 cores: ")
    assert printed.count("the bottleneck") == 1
    assert all(f"with {workers} workers: " in printed for workers in (10, 100, 1000))
    assert dreambeam(*arguments, "--json", "--rate", "steps=50") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seconds"] == pytest.approx(plan(AUDIOSET, Rates(steps=50)).seconds)
    assert [each["job"]["workers"] for each in told["at"]] == [10, 100, 1000]


def test_a_small_plan_is_told_in_minutes_and_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("plan", "--clips", "100", "--seconds", "5", "--steps", "10", "--core-hour", "0.05")
    assert dreambeam(*arguments) == 0
    made = plan(Job(clips=100, seconds=5.0, steps=10))
    assert made.core_hours < 0.01
    assert (
        f"  {made.core_hours * 3600:.1f} core-seconds of work, {made.seconds * 2:.1f} core-seconds paid for: "
        f"{cost(made, core_hour=0.05):.2g} at 0.05 a core-hour\n"
    ) in capsys.readouterr().out


def test_work_and_prices_are_never_told_as_nothing() -> None:
    hours = [0.0001, 0.01, 0.1, 1.9, 2.0, 9.9, 10.4, 600.6]
    told = ["0.4 core-seconds", "36.0 core-seconds", "6.0 core-minutes", "114 core-minutes", "2.0 core-hours"]
    assert [core_time(each) for each in hours] == [*told, "9.9 core-hours", "10 core-hours", "601 core-hours"]
    assert [money(price) for price in (0.0, 0.0012, 0.05, 0.1, 56.157)] == ["0.00", "0.0012", "0.05", "0.10", "56.16"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "1.5"], "clips is 1.5: expected a whole number"),
        (["--clips", "0"], "clips is 0: expected a number above 0"),
        (["--clips", "9", "--rate", "step=3"], "there is no rate 'step'; did you mean 'steps'?"),
        (["--clips", "9", "--rate", "steps"], "rate 'steps': expected NAME=VALUE, such as steps=60"),
        (["--clips", "9", "--core-hour", "-3"], "a core-hour costs -3: expected a number of at least 0"),
        (["--clips", "9", "--rate", "steps=fast"], "rate steps is 'fast': expected a number"),
    ],
)
def test_what_is_wrong_with_a_plan_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in complaint(capsys, "plan", *arguments)


def test_rates_are_named_and_above_zero() -> None:
    assert rates(["steps=60", "shared_write=5e9"]) == Rates(steps=60, shared_write=5e9)
    with pytest.raises(PlanError, match="rate steps is -1: expected a number above 0"):
        rates(["steps=-1"])
    assert whole(2e6) == 2_000_000
