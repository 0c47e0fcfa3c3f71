"""Judges other than YAMNet: real models, made and saved here, and the wheel's; what is wrong is one clear line."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import samples, sound

from augment.models.mirror import demo_recording
from augment.models.model_files import ModelError, read_classes
from augment.sound.samples import SAMPLE_RATE
from evaluation.judges.crnn_judge import Crnn
from evaluation.judges.judge import JudgeError, JudgeSpec
from evaluation.judges.judge_kinds import JUDGES, make_judge

BELLS = ((8, 24), (27, 36), (56, 60))
QUIET = ((2, 6), (38, 54))
"""Seconds of the street recording with and without a bicycle bell, by the annotation that comes with it."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keras models: waveform.keras, wave/ (any length), window/ (a second), and embeddings/; classes.txt."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    (folder / "classes.txt").write_text("Dog\nhum\nrain, heavy\n")

    def levels(given: Any) -> Any:
        return keras.layers.Dense(3, activation="softmax", kernel_initializer="ones")(given)

    loudness = keras.layers.GlobalAveragePooling1D()
    wave = keras.Input((None, 1))
    model = keras.Model(wave, levels(loudness(keras.layers.Activation("relu")(wave))))
    model.save(folder / "waveform.keras")
    _export(model, folder / "wave")
    window = keras.Input((SAMPLE_RATE,))
    _export(keras.Model(window, keras.layers.Dense(3, activation="sigmoid")(window)), folder / "window")
    patches: Any = keras.Input((1024,))
    _export(keras.Model(patches, keras.layers.Dense(3, activation="softmax")(patches)), folder / "embeddings")
    _export(keras.Model(patches, keras.layers.Dense(3)(1e3 * patches)), folder / "logits")
    return folder


def _export(model: Any, path: Path) -> None:
    model.export(path, verbose=False)


def spec(models: Path, name: str, **changes: Any) -> JudgeSpec:
    given = {"classes": str(models / "classes.txt"), "sample_rate": SAMPLE_RATE, **changes}
    return JudgeSpec(str(models / name), **given)


@pytest.fixture(scope="module")
def crnn() -> Crnn:
    return Crnn()


def test_crnn_detects_the_bells_of_the_street_recording_where_they_are_annotated(crnn: Crnn) -> None:
    judge, street = crnn, samples(demo_recording())[:, 0]
    assert judge.classes.names == ("Bicycle bell", "No bicycle bell")
    assert judge.classes[0].mid == "/m/0gy1t2s"
    for seconds, expected in [*((each, 0) for each in BELLS), *((each, 1) for each in QUIET)]:
        scores = judge.judge(street[seconds[0] * SAMPLE_RATE : seconds[1] * SAMPLE_RATE]).scores
        assert int(np.argmax(scores)) == expected, seconds
        assert scores.sum() == pytest.approx(1)


def test_crnn_gives_what_the_models_own_call_gives_for_a_second(crnn: Crnn) -> None:
    judge, second = crnn, samples(demo_recording())[:SAMPLE_RATE, 0]
    own = float(judge._call(wav_16000_mono_input=second[None])["class_output"][0])
    assert judge.judge(second).scores[0] == pytest.approx(own, abs=1e-5)
    assert judge.judge(second[:100]).embeddings is None  # shorter than a window


@pytest.mark.parametrize("name", ["waveform.keras", "wave", "window", "embeddings"])
def test_a_saved_model_scores_waveforms(models: Path, name: str) -> None:
    judge = make_judge(spec(models, name))
    judgement = judge.judge(sound("a", seconds=2.5)[:, 0].astype(np.float32))
    assert judgement.scores.shape == (3,)
    assert 0 <= judgement.scores.min() <= judgement.scores.max() <= 1
    assert (judgement.embeddings is not None) == (name == "embeddings")
    assert judge.classes.names == ("Dog", "hum", "rain, heavy")
    assert judge.classes[0].mid == "/m/0bt9lr"  # YAMNet's own name brings its MID
    assert len(judge.identity) == 64


def test_a_keras_file_and_its_export_give_the_same_scores(models: Path) -> None:
    clip = sound("b")[:, 0].astype(np.float32)
    first, second = (make_judge(spec(models, name)).judge(clip).scores for name in ("waveform.keras", "wave"))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_model_of_a_fixed_length_scores_windows(models: Path) -> None:
    judge, clip = make_judge(spec(models, "window")), sound("c", seconds=1.5)[:, 0].astype(np.float32)
    padded = np.pad(clip, (0, SAMPLE_RATE // 2))
    halves = [judge.judge(padded[:SAMPLE_RATE]).scores, judge.judge(padded[SAMPLE_RATE:]).scores]
    np.testing.assert_allclose(judge.judge(clip).scores, np.mean(halves, axis=0), atol=1e-6)


def test_a_function_is_a_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _module(tmp_path, monkeypatch)
    judge = make_judge(JudgeSpec("my_ear:loud"))
    assert (judge.name, judge.sample_rate, judge.classes.names) == ("my_ear:loud", 8000, ("quiet", "loud"))
    np.testing.assert_allclose(judge.judge(np.full(100, 0.25, np.float32)).scores, [0.75, 0.25])
    plain = make_judge(JudgeSpec("my_ear:plain", str(_listed(tmp_path, "quiet", "loud")), 16_000))
    assert plain.judge(np.full(100, 0.25, np.float32)).scores[1] == 0.25


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my_ear.py").write_text(
        textwrap.dedent("""
            import numpy as np

            def plain(waveform):
                level = float(np.abs(waveform).mean())
                return [1 - level, level]

            def loud(waveform):
                return plain(waveform)

            loud.classes, loud.sample_rate = ["quiet", "loud"], 8000

            def broken(waveform):
                raise RuntimeError("no ears today")

            number = 3
            """)
    )
    monkeypatch.syspath_prepend(folder)


def _listed(folder: Path, *names: str) -> Path:
    path = folder / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names))
    return path


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("wave", {"classes": None}, "--classes"),
        ("wave", {"sample_rate": None}, "--sample-rate"),
        ("wave", {"sample_rate": 16}, "1000 to 768000 Hz, not 16"),
        ("wave", {"input": "image"}, "'image'"),
        ("wave", {"classes": "nowhere.txt"}, "nowhere.txt"),
        ("embeddings", {"sample_rate": 44_100}, "not 44100"),
        ("window", {"input": "embeddings"}, "expected YAMNet's embeddings, [batch, 1024]"),
        ("logits", {}, "sigmoid or softmax"),
        ("classes.txt", {}, "is no model"),
        ("nowhere", {}, "does not exist"),
    ],
)
def test_what_is_wrong_with_a_model_is_one_line(
    models: Path, name: str, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(JudgeError) as caught:
        make_judge(spec(models, name, **changes)).judge(sound("d")[:, 0].astype(np.float32))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["waveform.keras", "wave", "embeddings"])
def test_a_wrong_class_count_is_one_line_with_both_numbers(models: Path, tmp_path: Path, name: str) -> None:
    short = _listed(tmp_path, "one", "two")
    with pytest.raises(JudgeError, match=r"class list has 2|output of 2|\b3\b.*\b2\b"):
        make_judge(spec(models, name, classes=str(short)))


@pytest.mark.parametrize(
    ("judge", "changes", "expected"),
    [
        ("yamnet", {"sample_rate": 22_050}, "takes 16000 Hz, not 22050"),
        ("crnn", {"sample_rate": 44_100}, "takes 16000 Hz, not 44100"),
        ("yamnet", {"classes": "x.txt"}, "leave out --classes"),
        ("my_ear:loud", {"sample_rate": 16_000}, "takes 8000 Hz, not 16000"),
        ("my_ear:nothing", {}, "cannot be imported"),
        ("no_such_module:f", {}, "cannot be imported"),
        ("my_ear:number", {}, "is a int"),
        ("my_ear:plain", {}, "--classes"),
        ("my_ear:broken", {"sample_rate": 8000, "classes": "names.txt"}, "no ears today"),
        ("my ear", {}, "expected yamnet, crnn (bicycle bell or not), a head.npz, a SavedModel folder"),
    ],
)
def test_what_is_wrong_with_a_judge_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: str, changes: dict[str, Any], expected: str
) -> None:
    _module(tmp_path, monkeypatch)
    _listed(tmp_path, "quiet", "loud")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JudgeError) as caught:
        make_judge(JudgeSpec(judge, **changes))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_class_lists_are_read_from_yamnets_csv_or_lines(tmp_path: Path) -> None:
    from augment.targets.classes import YAMNET_CLASS_MAP

    assert len(read_classes(YAMNET_CLASS_MAP)) == 521
    assert read_classes(_listed(tmp_path, "one", "", "two, or so")).names == ("one", "two, or so")
    for names, expected in ((("a", "b", "a"), "'a' twice"), ((), "no class")):
        with pytest.raises(ModelError, match=expected):
            read_classes(_listed(tmp_path, *names))


def test_the_kinds_of_judges_are_listed() -> None:
    assert set(JUDGES) == {"yamnet", "head", "crnn", "savedmodel", "keras", "callable"}
