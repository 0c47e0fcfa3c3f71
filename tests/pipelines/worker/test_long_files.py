"""Claims about pipelines.worker.long_files: a file of any length becomes a file of the same length."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from ears import NAMES, ear
from paths import REPOSITORY
from recordings import complaint, dreambeam, samples

from augment.ascent.loop import Dreamer
from augment.models.mirror import demo_recording
from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from augment.sound.distance import distance, lufs, snr_db
from augment.sound.resampling import to_model
from augment.targets.policies import Aim
from pipelines.cli.runs.dream_run import WHOLE_SECONDS
from pipelines.clips.whole_files import WriteError, find_sound, read_sound, write_sound, writing
from pipelines.files.containers import ClipError
from pipelines.worker import long_files
from pipelines.worker.long_files import LongDream, check_room, dream_file, score_file

RATE = 8_000


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """The street recording and its reverse, again and again: 400 s at 8 kHz, [samples]."""
    there = soxr.resample(soundfile.read(str(demo_recording()), dtype="float32")[0], 16_000, RATE)
    return np.tile(np.concatenate([there, there[::-1]]), 4)[: 400 * RATE]


@pytest.fixture(scope="module")
def long_wav(street: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little longer than what is dreamed as a whole."""
    path = tmp_path_factory.mktemp("long") / "street.wav"
    soundfile.write(path, street[: (WHOLE_SECONDS + 5) * RATE + 13], RATE)
    return path


class Stages:
    """Notes the stages of the work, and how much of each was told to be done."""

    def __init__(self) -> None:
        self.done: dict[str, list[int]] = {}

    def __call__(self, words: str, total: int) -> Callable[[int], None]:
        self.done[words] = [0, total]

        def advance(count: int) -> None:
            self.done[words][0] += count

        return advance


def dream(
    path: Path, output: Path, model: DreamingModel, recipe: Recipe, start: str = "clip"
) -> tuple[LongDream, Stages]:
    stages, ref = Stages(), find_sound(str(path))
    check_room(ref, str(output), model)
    scored = score_file(ref, model, stages)
    return dream_file(ref, scored, str(output), Dreamer(model, recipe), Aim((76,)), stages, start=start), stages


# From the command line


@pytest.mark.parametrize("ending", ["wav", *(pytest.param(each, marks=pytest.mark.slow) for each in ("flac", "ogg"))])
def test_a_long_file_is_dreamed_to_the_same_length_and_reported_like_a_short_one(
    long_wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: DreamingModel, ending: str
) -> None:
    output, picture = tmp_path / f"out.{ending}", tmp_path / "dream.png"
    more = ("--picture", picture) if ending == "flac" else ()
    assert dreambeam("dream", long_wav, output, "--target", "Siren", "--steps", "1", *more) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    before, after = samples(long_wav), samples(output)
    assert after.shape == before.shape
    assert soundfile.info(output).samplerate == RATE
    siren = model.classes.find("Siren").index
    heard = [model.clip_scores(to_model(each, RATE))[siren] for each in (before, after)]
    lines = printed.out.splitlines()
    assert lines[0].startswith(f"{output}: toward Siren: score {heard[0]:.3f} -> ")
    assert "1 steps in 6 windows" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == ["  before", "  after"]
    if ending == "wav":
        assert f"-> {heard[1]:.3f}" in lines[0]
        assert f"SNR {snr_db(before, after):.1f} dB" in lines[0]
    assert set(tmp_path.iterdir()) == {output, picture} if more else {output}


def test_a_long_file_keeps_to_the_policy_of_the_whole_files_scores(
    long_wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: DreamingModel
) -> None:
    assert dreambeam("dream", long_wav, tmp_path / "out.wav", "--target", "keep", "--steps", "0") == 0
    top = int(np.argmax(model.clip_scores(to_model(samples(long_wav), RATE))))
    assert f"toward {model.classes[top].name}: " in capsys.readouterr().out
    np.testing.assert_array_equal(samples(tmp_path / "out.wav"), samples(long_wav))  # no steps, no change


def test_a_long_file_is_dreamed_through_another_model(
    long_wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ear().save(tmp_path / "ear.keras")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    through = ("--model", tmp_path / "ear.keras", "--classes", tmp_path / "classes.txt", "--sample-rate", str(RATE))
    assert dreambeam("dream", long_wav, tmp_path / "out.wav", "--target", "hum", "--steps", "2", *through) == 0
    assert "toward hum" in capsys.readouterr().out
    assert samples(tmp_path / "out.wav").shape == samples(long_wav).shape


def test_what_cannot_be_done_is_said_before_anything_is_dreamed(
    long_wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], street: np.ndarray
) -> None:
    bad = tmp_path / "bad.wav"
    spoiled = street[: 310 * RATE].copy()
    spoiled[305 * RATE] = np.nan
    soundfile.write(bad, spoiled, RATE, subtype="FLOAT")
    assert "NaN or infinite samples: 1 frames, the first at 305.000 s" in complaint(
        capsys, "dream", bad, tmp_path / "out.wav"
    )
    cut_off = tmp_path / "cut.wav"
    cut_off.write_bytes(long_wav.read_bytes()[:-1000])
    assert "cut off" in complaint(capsys, "dream", cut_off, tmp_path / "out.wav")
    many = tmp_path / "many.wav"
    soundfile.write(many, np.zeros((310 * 1000, 9), np.int16), 1000)
    assert "FLAC takes no 9 channels" in complaint(capsys, "dream", many, tmp_path / "out.flac")
    assert "names no class" in complaint(capsys, "dream", long_wav, tmp_path / "out.wav", "--target", "label")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.wav", "cut.wav", "many.wav"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("stage", ["dream", "write"])
def test_a_run_that_is_killed_leaves_what_was_there(
    long_wav: Path, tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    code = """
import os, sys
stage, number = sys.argv.pop(), int(sys.argv.pop())
def stop(*args, **kwargs):
    os.kill(os.getpid(), number)
if stage == "dream":
    from augment.long_sounds.windows import OverlapAdd
    OverlapAdd.add = stop
else:
    from pipelines.clips.whole_files import SoundWriter
    SoundWriter.write = stop
from pipelines.cli import main
main(sys.argv[1:])
"""
    (tmp_path / "out.wav").write_text("what was there")
    arguments = ("dream", long_wav, tmp_path / "out.wav", "--target", "Dog", "--steps", "0", "--overwrite")
    command = [sys.executable, "-c", code, *map(str, arguments), str(int(number)), stage]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert (tmp_path / "out.wav").read_text() == "what was there"
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "out.wav")
    assert all(name.endswith(".incomplete") for name in left)
    assert len(left) == (number == signal.SIGKILL and stage == "write")


# What is written


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(steps=2, hold=None),
        Recipe(steps=2, hold=None, change_lu=-30),
        Recipe(transform="hard_cut", steps=1),
        Recipe(transform="gradients", steps=1),
    ],
    ids=["snr", "loudness", "replaces", "gradients"],
)
def test_the_whole_keeps_to_the_recipes_limits_and_its_distance_is_what_is_told(
    street: np.ndarray, tmp_path: Path, model: DreamingModel, recipe: Recipe
) -> None:
    source = np.stack([street[: 130 * RATE], 0.3 * street[: 130 * RATE]], axis=1)
    source[: 40 * RATE] *= 0.05  # so that windows differ
    soundfile.write(tmp_path / "in.wav", source, RATE, subtype="FLOAT")
    made, stages = dream(tmp_path / "in.wav", tmp_path / "out.wav", model, recipe)
    before, after = samples(tmp_path / "in.wav"), samples(tmp_path / "out.wav")
    assert after.shape == before.shape
    found = distance(before, after, RATE)
    for name in ("snr_db", "lufs_before", "lufs_after", "lufs_change", "peak"):
        assert getattr(made.distance, name) == pytest.approx(getattr(found, name), abs=5e-3)
    assert np.abs(after).max() <= 1
    if recipe.transform == "gradients":
        assert np.abs(after).max() == pytest.approx(1)  # turned down as a whole, to full scale
    if recipe.snr_db is not None:
        assert recipe.snr_db <= found.snr_db < recipe.snr_db + 20
    if recipe.change_lu is not None:
        assert lufs(after.astype(np.float64) - before, RATE) <= lufs(before, RATE) + recipe.change_lu + 1e-3
    np.testing.assert_allclose(made.scores_after, model.clip_scores(to_model(after, RATE)), atol=2e-6)
    assert len(made.steps) == 3
    assert [done for done, _ in stages.done.values()] == [total for _, total in stages.done.values()]
    assert list(stages.done) == ["scoring", "toward Cat", "writing"]


@pytest.mark.parametrize("start", ["white", "pink", "silence", "mix"])
def test_a_long_dream_starts_from_one_piece_of_noise(
    street: np.ndarray, tmp_path: Path, model: DreamingModel, start: str
) -> None:
    soundfile.write(tmp_path / "in.wav", street[: 130 * RATE], RATE)
    made, _ = dream(tmp_path / "in.wav", tmp_path / "out.wav", model, Recipe(steps=0), start)
    found = samples(tmp_path / "out.wav")[:, 0]
    assert found.shape == (130 * RATE,)
    assert made.distance.snr_db == np.inf  # from what it started from
    noise = found - (samples(tmp_path / "in.wav")[:, 0] if start == "mix" else 0)
    spectrum = np.fft.rfft(noise, 2 * len(noise))
    echoes = np.fft.irfft(np.abs(spectrum) ** 2)[10 * RATE : 120 * RATE] / np.sum(noise**2)
    assert np.abs(echoes).max() < 0.02  # of windows that each had the same noise there would be an echo


@pytest.mark.parametrize("rate", [16_000, 44_100, 12_345])
def test_every_rate_keeps_its_length_to_the_frame(
    street: np.ndarray, tmp_path: Path, model: DreamingModel, rate: int
) -> None:
    sound = soxr.resample(street[: 70 * RATE], RATE, rate)
    stereo = np.stack([sound, sound[::-1]], axis=1)[: 65 * rate + 1]
    soundfile.write(tmp_path / "in.flac", stereo, rate)
    dream(tmp_path / "in.flac", tmp_path / "out.wav", model, Recipe(steps=1, hold=None, keep="last"))
    before, after = samples(tmp_path / "in.flac"), samples(tmp_path / "out.wav")
    assert after.shape == before.shape
    assert 20 <= snr_db(before, after) < 60


def test_a_lossy_file_is_as_long_as_it_decodes_to(street: np.ndarray, tmp_path: Path, model: DreamingModel) -> None:
    soundfile.write(tmp_path / "in.mp3", soxr.resample(street[: 70 * RATE], RATE, 16_000), 16_000)
    dream(tmp_path / "in.mp3", tmp_path / "out.wav", model, Recipe(steps=0))
    np.testing.assert_array_equal(samples(tmp_path / "out.wav"), read_sound(str(tmp_path / "in.mp3")).waveform)


# Room


def test_a_disk_that_is_too_small_is_said_before_the_work(
    long_wav: Path, tmp_path: Path, model: DreamingModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(long_files.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(ClipError, match=r"takes up to 0\.0 GB of disk .* 0\.0 GB are free"):
        check_room(find_sound(str(long_wav)), str(tmp_path / "out.wav"), model)


def test_a_window_that_would_not_fit_into_memory_is_refused(tmp_path: Path, model: DreamingModel) -> None:
    soundfile.write(tmp_path / "wide.flac", np.zeros((7 * 655_350, 8)), 655_350)
    with pytest.raises(ClipError, match="more than 1 GiB: mix it down"):
        check_room(find_sound(str(tmp_path / "wide.flac")), str(tmp_path / "out.wav"), model)


# Writing


def test_a_wav_file_beyond_4_gb_is_rf64(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (1000, 2)).astype(np.float32)
    for frames, kind in ((1000, "WAV"), (1 << 29, "RF64")):
        with writing(str(tmp_path / "a.wav"), 16_000, 2, frames) as file:
            file.write(noise)
        assert soundfile.info(tmp_path / "a.wav").format == kind
        np.testing.assert_array_equal(samples(tmp_path / "a.wav"), noise)


def test_a_sound_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_sound(str(path), np.zeros((10, 1), np.float32), 16_000)

    def be_stopped() -> None:
        with writing(str(path), 16_000, 1, 20) as file:
            file.write(np.ones((20, 1), np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_stopped()
    assert not samples(path).any()
    assert list(tmp_path.iterdir()) == [path]
    link = tmp_path / "link.wav"
    link.symlink_to(path)
    write_sound(str(link), np.ones((10, 1), np.float32), 16_000)
    assert link.is_symlink()
    assert samples(path).all()


def test_a_disk_that_fills_up_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
import numpy as np
from pipelines.clips.whole_files import write_sound
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    write_sound(sys.argv[1], np.random.default_rng(0).normal(0, 0.1, (900_000, 1)).astype(np.float32), 16_000)
except Exception as error:
    print(type(error).__name__, error)
"""
    for ending in ("wav", "flac", "ogg"):
        command = [sys.executable, "-c", code, str(tmp_path / f"a.{ending}")]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, env=os.environ)
        assert ended.stdout.startswith(f"{WriteError.__name__} '{tmp_path}/a.{ending}' could not be written (")
        assert list(tmp_path.iterdir()) == []


def test_progress_reaches_its_end_when_windows_arrive_early(
    street: np.ndarray, tmp_path: Path, model: DreamingModel
) -> None:
    soundfile.write(tmp_path / "in.wav", street[: 130 * RATE], RATE)
    made, stages = dream(tmp_path / "in.wav", tmp_path / "out.wav", model, Recipe(steps=20, hold=0.0))
    assert min(made.steps) < 20
    done: Any = stages.done["toward Cat"]
    assert done == [60, 60]
