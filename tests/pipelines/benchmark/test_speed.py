"""Claims about pipelines.benchmark: what is compared is the same work, and nothing goes unmeasured."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from augment.models.yamnet import PATCH_FRAMES, DreamingModel
from augment.recipes.tables import TRANSFORMS, UPDATES
from pipelines.benchmark import naive, speed, timed_parts, timing, whole_runs
from pipelines.benchmark.speed_page import write_page
from pipelines.run.augmentation import THREADS, shared_cores


def test_the_plain_network_and_its_gradient_are_yamnets(model: DreamingModel):
    waveforms = tf.constant(np.random.default_rng(0).normal(0, 0.1, (3, 30_960)), tf.float32)

    def ours(given: tf.Tensor) -> tf.Tensor:
        return model.activations(given, ("scores",))["scores"]

    def plain(given: tf.Tensor) -> tf.Tensor:
        return naive.plain_scores(model, given, PATCH_FRAMES // 2)

    found = []
    for network in (ours, plain):
        with tf.GradientTape() as tape:
            tape.watch(waveforms)
            scores = network(waveforms)
            objective = tf.reduce_mean(scores[:, :, 5])
        found.append((scores.numpy(), np.asarray(tape.gradient(objective, waveforms))))
    (own_scores, own), (plain_scores, theirs) = found
    np.testing.assert_allclose(own_scores, plain_scores, atol=1e-5)
    assert np.abs(own - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_silence_has_no_gradient_and_no_nan(model: DreamingModel):
    waveforms = tf.zeros([1, 15_600])
    with tf.GradientTape() as tape:
        tape.watch(waveforms)
        objective = tf.reduce_sum(model.logits(waveforms)[:, :, 5])
    assert np.abs(np.asarray(tape.gradient(objective, waveforms))).max() == 0


@pytest.mark.parametrize("function", list(naive.FUNCTIONS))
def test_the_naive_loop_raises_its_score(model: DreamingModel, function: str):
    clip = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    (dreamed,) = naive.dream(model, [clip], [390], function=function, steps=3)
    before, after = (
        naive.plain_scores(model, tf.constant(each[None]), naive.HOP_FRAMES).numpy()[..., 390].mean()
        for each in (clip, dreamed)
    )
    assert after > before
    assert dreamed.shape == clip.shape


def test_ratios_are_of_amounts_for_the_same_time(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def takes(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    work = [
        timing.Work("a", "slow", takes(2.0), 1.0, "things / s", None),
        timing.Work("a", "twice as much in half the time", takes(1.0), 2.0, "things / s", "slow"),
    ]
    said: list[str] = []
    first, second = timing.timed(work, 3, said.append)
    assert (first.figure, first.ratio) == (0.5, None)
    assert (second.figure, second.ratio) == (2.0, 4.0)
    assert said == ["warming up", "round 1 of 3", "round 2 of 3", "round 3 of 3"]


def test_every_transform_and_update_is_measured():
    names = {name for _, name, _ in timed_parts.kinds_of_steps()}
    assert names == {*TRANSFORMS, *UPDATES, "fast"}


def test_quickly_the_default_and_the_fast_steps_are_measured(model: DreamingModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timed_parts, "CLIPS", 1)
    for module in (timed_parts, timing):
        monkeypatch.setattr(module, "SECONDS", 1)
    assert [work.name for work in timed_parts.gradients(model, quick=True)] == [
        "plain gradient",
        *timed_parts.QUICK_STEPS,
    ]
    quick, whole = (speed.expected_seconds(model, rounds=2, clips=8, quick=quick) for quick in (True, False))
    assert 20 < quick < whole


@pytest.mark.slow
def test_the_pipeline_is_run_from_files_to_dataset(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for module in (whole_runs, timing):
        monkeypatch.setattr(module, "SECONDS", 1)
    bound, pipeline, *start_up = whole_runs.pipeline(model, tmp_path, None, 2, 1, (1,))
    assert (pipeline.against, pipeline.ratio) == (bound.name, pipeline.figure / bound.figure)
    assert [row.unit for row in start_up] == ["s", "s"]
    assert (tmp_path / "dreamed-1-0" / "run.json").exists()


@pytest.mark.slow
def test_the_naive_loop_and_dreambeam_dream_the_same_clips(model: DreamingModel, tmp_path: Path):
    rows = whole_runs.against_naive(model, [clip[:16_000] for clip in timing.noise(9)], (1, 2))
    assert len(rows) == len({row.name for row in rows}) == 2 * 5 * len(naive.FUNCTIONS)
    for row in rows:
        base = {each.name: each for each in rows}.get(row.against or "")
        assert row.ratio == (base and pytest.approx(row.figure / base.figure))
    write_page(tmp_path, rows)
    write_page(tmp_path, [timing.Row("alone", "something", 1.0, "audio s / s")])
    page = (tmp_path / "speed.md").read_text()
    assert page.index("| something | 1.0 |") < page.index("| naive deep_dream, 1 steps |")


def test_worker_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(THREADS, raising=False)
    cores = len(os.sched_getaffinity(0))
    for flags, expected in (
        (["--direct_running_mode=multi_processing", f"--direct_num_workers={2 * cores}"], "1"),
        (["--direct_running_mode=multi_processing", "--direct_num_workers=1"], str(cores)),
        (["--direct_running_mode=multi_threading", "--direct_num_workers=2"], None),
    ):
        with shared_cores(flags):
            assert os.environ.get(THREADS) == expected
        assert THREADS not in os.environ
    monkeypatch.setenv(THREADS, "7")
    with shared_cores(["--direct_running_mode=multi_processing"]):
        assert os.environ[THREADS] == "7"
