"""The classifier that is tried, dreamed through itself: Keras models and SavedModels of any rate, and the crnn."""

from __future__ import annotations

import csv
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from ears import NAMES, RATE, classes_file, ear
from recordings import complaint, dreambeam, samples, sound

from augment.ascent.dreaming import Sound
from augment.models.mirror import demo_recording
from augment.sound.resampling import to_model
from evaluation.judges.judge import JudgeSpec
from evaluation.judges.judge_kinds import shared_judge
from evaluation.judges.white_box import why_not_through
from evaluation.robustness.attacks import JUDGE, YAMNET, shared_attack_model
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_plan import AttackedClip, Item, RobustnessPlan

pytestmark = pytest.mark.usefixtures("without_pages")

LABELS = ("helicopter", "rain", "rooster")
CLIP = 57_000  # samples at 44.1 kHz, 1.3 s: no whole quarter of a second
SNRS = (20, 10)
FLAGS = ("--snr-db=20,10", "--steps=10")


def crops(path: Path) -> list[np.ndarray]:
    """Return the parts of a real recording that are not silent, each [samples, 1]."""
    whole = samples(path)
    found = [whole[start : start + CLIP] for start in range(0, len(whole) - CLIP + 1, CLIP // 2)]
    return [each for each in found if np.sqrt(np.mean(np.square(each))) > 1e-3]


def train(clips: np.ndarray, labels: np.ndarray) -> Any:
    """Train a small network on clips [clips, samples], as they are and in white noise."""
    import keras

    keras.utils.set_random_seed(0)
    given = keras.Input((None, 1))
    signal = keras.layers.Conv1D(32, 128, strides=32, activation="relu")(given)
    signal = keras.layers.Conv1D(32, 9, strides=2, activation="relu")(signal)
    signal = keras.layers.BatchNormalization()(keras.layers.GlobalAveragePooling1D()(signal))
    model: Any = keras.Model(given, keras.layers.Dense(len(LABELS), activation="softmax")(signal))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    rms = np.sqrt(np.mean(np.square(clips), axis=1, keepdims=True))
    noise = rms * np.random.default_rng(0).normal(size=clips.shape)
    noisy = np.concatenate([clips, clips + 0.1 * noise, clips + 0.3 * noise]).astype(np.float32)
    model.fit(noisy[..., None], np.tile(labels, 3), epochs=12, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="module")
def made(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mine.keras and mine/ (the same, exported), trained at 8 kHz; classes.txt; data/ of real clips at 44.1 kHz."""
    folder = tmp_path_factory.mktemp("own")
    clips, labels = [], []
    for label, name in enumerate(LABELS):
        (folder / "data" / name).mkdir(parents=True)
        for number, path in enumerate(sorted((shared / "data/esc10-dev" / name).glob("*.ogg"))):
            own = crops(path)
            clips += [to_model(each, 44_100, RATE) for each in own]
            labels += [label] * len(own)
            if number < 5:
                soundfile.write(folder / "data" / name / f"{number}.wav", own[0], 44_100, subtype="FLOAT")
    model = train(np.stack(clips), np.array(labels))
    model.save(folder / "mine.keras")
    model.export(folder / "mine", verbose=False)
    classes_file(folder, LABELS)
    return folder


def arguments(made: Path, report: Path, judge: str, *more: str | Path) -> list[str]:
    own = ("--judge", str(made / judge), "--classes", str(made / "classes.txt"), "--sample-rate", str(RATE))
    return ["robustness", str(made / "data"), "--report", str(report), *own, *FLAGS, *map(str, more)]


@pytest.fixture(scope="module")
def report(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "keras"
    assert dreambeam(*arguments(made, folder, "mine.keras", "--through=judge")) == 0
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def curve(folder: Path) -> dict[tuple[str, float], float]:
    return {(point["perturbation"], point["snr_db"]): point["accuracy"] for point in metrics(folder)["curve"]}


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "robustness.parquet")


# Whole reports


def test_dreams_through_a_keras_model_take_what_white_noise_of_the_same_snr_leaves(report: Path):
    stored, found = metrics(report), curve(report)
    assert stored["clean_accuracy"] >= 0.8
    for snr in SNRS:
        assert found["untargeted", snr] <= found["white_noise", snr] - 0.5
    assert found["untargeted", 10] <= 0.1
    assert {name for name, _ in found} == {name for name, each in PERTURBATIONS.items() if each.through != YAMNET}
    assert stored["dreamed_through"]["judge"]["recipe"]["objective"] == "soft_margin"


def test_its_changes_meet_their_snr_exactly(report: Path):
    changed = rows(report).query("perturbation != 'clean'")
    np.testing.assert_allclose(changed["measured_snr_db"], changed["snr_db"], atol=5e-3)


@pytest.mark.slow
def test_a_saved_model_is_dreamed_through_as_the_keras_model_it_was_exported_from_and_through_yamnet(
    made: Path, report: Path, tmp_path: Path
):
    folder = tmp_path / "saved"
    assert dreambeam(*arguments(made, folder, "mine", "--untargeted")) == 0
    own, other = curve(folder), curve(report)
    assert set(metrics(folder)["dreamed_through"]) == {"judge", "yamnet"}
    assert ("untargeted_transfer", 20) in own
    for snr in SNRS:
        assert own["untargeted", snr] == pytest.approx(other["untargeted", snr], abs=0.1)
        assert own["white_noise", snr] == other["white_noise", snr]


@pytest.mark.slow
def test_workers_in_processes_of_their_own_give_the_same_report(made: Path, report: Path, tmp_path: Path):
    beam = ("--through=judge", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert dreambeam(*arguments(made, tmp_path / "again", "mine.keras", *beam)) == 0
    pd.testing.assert_frame_equal(rows(tmp_path / "again"), rows(report), atol=1e-3)
    assert metrics(tmp_path / "again")["curve"] == metrics(report)["curve"]


def test_with_several_labels_dreams_take_mean_average_precision(made: Path, tmp_path: Path):
    files = sorted((made / "data").rglob("*.wav"))
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        pairs = [(path.relative_to(made / "data").as_posix(), path.parent.name) for path in files]
        two = {"rain/0.wav": "rain;helicopter"}
        csv.writer(file).writerows([("path", "labels"), *((path, two.get(path, label)) for path, label in pairs)])
    flags = (f"--metadata={tmp_path / 'labels.csv'}", "--label-separator=;", "--through=judge", "--untargeted")
    assert dreambeam(*arguments(made, tmp_path / "report", "mine.keras", *flags)) == 0
    found = curve(tmp_path / "report")
    assert metrics(tmp_path / "report")["metric"] == "map"
    assert found["untargeted", 10] < found["white_noise", 10] - 0.3


@pytest.mark.slow
def test_the_crnn_is_dreamed_through(tmp_path: Path):
    bell = samples(demo_recording())[:, 0]
    for label, seconds in (("Bicycle bell", (8, 28)), ("No bicycle bell", (2, 42))):
        (tmp_path / "data" / label).mkdir(parents=True)
        for start in seconds:
            clip = bell[16_000 * start : 16_000 * (start + 2)]
            soundfile.write(tmp_path / "data" / label / f"{start}.wav", clip, 16_000, subtype="FLOAT")
    flags = ("--judge=crnn", "--through=judge", "--untargeted", "--snr-db=20", "--steps=4")
    assert dreambeam("robustness", tmp_path / "data", "--report", tmp_path / "report", *flags) == 0
    found = curve(tmp_path / "report")
    assert metrics(tmp_path / "report")["clean_accuracy"] == 1
    assert found["untargeted", 20] < found["white_noise", 20]


# What is dreamed through


def ear_spec(ears: Path, name: str) -> JudgeSpec:
    rate = None if name == "embeddings.keras" else RATE
    return JudgeSpec(str(ears / name), str(ears / "classes.txt"), rate)


def plan_of(spec: JudgeSpec, count: int) -> RobustnessPlan:
    names = NAMES[:count]
    return RobustnessPlan(spec, tuple(range(count)), names, ((names[0], 0),), (), ("untargeted",), (20.0,), 4, 0)


def attacked_clip(name: str, seconds: float, rate: int = 44_100, channels: int = 1) -> AttackedClip:
    waveform = sound(name, seconds, rate, channels).astype(np.float32)
    return AttackedClip(Item(name, name, name, ("Dog",), {}), Sound(waveform, rate), (0,), 1)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("crnn", 2.37),  # loaded by the test before
        ("whole.keras", 1.1),
        ("whole.keras", 2.37),
        ("whole", 2.37),
        ("second", 2.37),
        ("embeddings.keras", 1.1),
    ],
)
def test_a_clip_leads_by_the_scores_of_the_judge(ears: Path, name: str, seconds: float):
    spec = JudgeSpec("crnn") if name == "crnn" else ear_spec(ears, name)
    assert why_not_through(spec) is None
    judge, clip = shared_judge(spec), attacked_clip(f"{name}{seconds}", seconds)
    attack_model = shared_attack_model(plan_of(spec, len(judge.classes)), JUDGE)
    assert attack_model.sample_rate == judge.sample_rate
    sound_ = Sound(clip.sound.waveform, clip.sound.sample_rate, attack_model.sample_rate)
    scores = judge.judge(sound_.model_input).scores.astype(np.float64)
    expected = np.log(scores[1] / np.max(np.delete(scores, 1)))
    (lead,) = attack_model.leads([clip], [sound_], targeted=True)
    assert lead == pytest.approx(expected, abs=5e-3)


def test_a_change_is_made_at_the_judges_rate_and_brought_to_the_clips_own(ears: Path):
    clips = [attacked_clip("a", 1.1, channels=2), attacked_clip("b", 1.37), attacked_clip("c", 1.1, rate=RATE)]
    attack_model = shared_attack_model(plan_of(ear_spec(ears, "whole"), 3), JUDGE)
    changes = attack_model.changes(clips, 20.0, targeted=True)
    for clip, change in zip(clips, changes, strict=True):
        assert change is not None
        assert change.shape == clip.sound.waveform.shape
        assert change.any()
        power = np.square(np.abs(np.fft.rfft(change, axis=0))).sum(axis=1)
        hertz = np.fft.rfftfreq(len(change), 1 / clip.sound.sample_rate)
        assert power[hertz > RATE / 2 + 200].sum() < 1e-4 * power.sum()


# What cannot be dreamed through


@pytest.fixture
def blind(ears: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Judges with no gradient, as flags: a function, and a model that ends with a step; what is said of them."""
    (tmp_path / "level.py").write_text(
        textwrap.dedent("""
            import numpy as np

            def level(waveform):
                loud = float(np.clip(np.abs(waveform).mean(), 0, 1))
                return [loud, 1 - loud]

            level.classes, level.sample_rate = ["rain", "hum"], 8000
            """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = [f"--classes={ears / 'classes.txt'}", f"--sample-rate={RATE}"]
    return {
        "is a function, which has no gradient": ["--judge=level:level"],
        "judge steps.keras has no gradient to dream by": [f"--judge={ears / 'steps.keras'}", *own],
    }


@pytest.mark.parametrize("place", [0, 1])
def test_a_judge_with_no_gradient_is_tried_as_a_black_box_and_the_report_says_so(
    blind: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], place: int
):
    said, flags = list(blind.items())[place]
    for label in ("rain", "hum"):
        (tmp_path / "data" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "data" / label / "clip.wav", sound(label, 1.0), 16_000, subtype="FLOAT")
    (tmp_path / "own.csv").write_text('name,class\nrain,"rain, heavy"\n' if place else "name,class\nrain,rain\n")
    given = ["robustness", tmp_path / "data", "--report", tmp_path / "report", *flags, "--snr-db=20", "--steps=1"]
    given.append(f"--class-map={tmp_path / 'own.csv'}")
    assert dreambeam(*given) == 0
    stored = metrics(tmp_path / "report")
    assert any(each.startswith("the classifier is not dreamed through") and said in each for each in stored["warnings"])
    assert {PERTURBATIONS[name].through for name, _ in curve(tmp_path / "report")} <= {"yamnet", None}
    assert "judge" not in stored["dreamed_through"]
    capsys.readouterr()
    assert said in complaint(capsys, *given, "--through=judge")


@pytest.mark.parametrize(("name", "count"), [("sure", 2), ("sure.keras", 0)])
def test_clips_whose_scores_are_rounded_have_no_gradient_in_a_saved_model_and_are_warned_of(
    ears: Path, tmp_path: Path, name: str, count: int
):
    model = ear(gain=4000.0)
    model.save(tmp_path / "sure.keras")
    model.export(tmp_path / "sure", verbose=False)
    for each in ("a", "b"):
        (tmp_path / "data" / "Dog").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / "Dog" / f"{each}.wav", sound(each, 1.0), 16_000, subtype="FLOAT")
    own = (f"--judge={tmp_path / name}", f"--classes={ears / 'classes.txt'}", f"--sample-rate={RATE}")
    flags = (*own, "--through=judge", "--snr-db=20", "--steps=1")
    assert dreambeam("robustness", tmp_path / "data", "--report", tmp_path / "report", *flags) == 0
    stored = [each for each in metrics(tmp_path / "report")["warnings"] if "had no gradient" in each]
    assert [each.partition(" had")[0] for each in stored] == ([f"{count} clips of 2"] if count else [])


def test_only_a_judge_without_gradients_has_a_reason(ears: Path):
    assert why_not_through(JudgeSpec()) is None
    assert "no gradient" in (why_not_through(ear_spec(ears, "steps.keras")) or "")
