import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from paths import REPOSITORY
from recordings import complaint, dreambeam, load, record, samples

from augment.models.weights import WeightsError
from augment.recipes.recipe import Recipe
from evaluation.utility.classifiers import CLASSIFIERS
from evaluation.utility.corruptions import CORRUPTIONS
from evaluation.utility.dream_views import Dreams
from evaluation.utility.folds import Clip
from evaluation.utility.training_sets import DREAMS, TRAINING_SETS, StudyData, slots
from evaluation.utility.utility_study import CLEAN, CORRUPTED, DREAMED, Condition, Study, gather, summarise
from evaluation.utility.views import LoadedClip, ViewStore
from pipelines.cli.runs.utility_arms import Plan, config_arm, read_arms
from pipelines.cli.runs.utility_clips import label_classes
from pipelines.cli.runs.utility_run import transfer_models
from pipelines.config.run_config import load_config
from pipelines.run.augmentation import augment_dataset

CONFIGS = REPOSITORY / "configs"

COLUMNS = (CLEAN, CORRUPTED, *DREAMED)
TESTS = 1 + len(CORRUPTIONS) + len(DREAMED)


def outcomes(clean: list[float], rest: float = 0.0) -> np.ndarray:
    found = np.full((len(clean), TESTS), rest)
    found[:, 0] = clean
    return found


def test_an_arm_that_tells_the_same_clips_right_gains_nothing_with_certainty():
    same = outcomes([1, 0, 1, 1], 0.5)
    rows = summarise(Condition("linear", None, 1), {"none": same, "mixup": same}, TRAINING_SETS, list("abcd"), COLUMNS)
    for figure in rows[1]["sets"].values():
        assert figure["gain"] == figure["over_best"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert rows[0]["sets"]["clean"]["accuracy"]["value"] == 0.75


def test_gains_are_paired_by_clip_and_held_against_the_best_conventional_arm_too():
    found = {
        "none": outcomes([1, 0, 0, 0]),
        "mixup": outcomes([1, 1, 0, 0]),
        "audiomentations": outcomes([1, 1, 1, 0]),
    }
    rows = {
        row["arm"]: row for row in summarise(Condition("linear", 2, 3), found, TRAINING_SETS, list("abcd"), COLUMNS)
    }
    assert rows["mixup"]["best_conventional"] == "audiomentations"
    assert rows["mixup"]["sets"]["clean"]["gain"]["value"] == 0.25
    assert rows["mixup"]["sets"]["clean"]["over_best"]["value"] == -0.25
    assert rows["mixup"]["shots"] == 2


def test_intervals_are_drawn_over_groups():
    rng = np.random.default_rng(0)
    gains = rng.integers(0, 2, 40).astype(float)
    found = {"none": outcomes([0.0] * 40), "mixup": outcomes(list(np.repeat(gains[:10], 4)))}
    widths = []
    for size in (1, 4):
        groups = [str(number // size) for number in range(40)]
        figure = summarise(Condition("linear", None, 1), found, TRAINING_SETS, groups, COLUMNS)[1]["sets"]["clean"][
            "gain"
        ]
        widths.append(figure["high"] - figure["low"])
    assert widths[1] > 1.5 * widths[0]


def test_corruptions_are_one_column_their_mean():
    given = np.zeros((2, TESTS))
    given[0, 1 : 1 + len(CORRUPTIONS)] = 1
    given[1, 1] = 1
    gathered = gather(given)
    assert gathered.shape == (2, len(COLUMNS))
    np.testing.assert_allclose(gathered[:, 1], [1, 1 / len(CORRUPTIONS)])


def test_a_classifier_has_only_the_arms_that_are_for_it():
    assert "specaugment" in Condition("cnn", None, 1).sets(list(TRAINING_SETS))
    assert "specaugment" not in Condition("linear", None, 1).sets(list(TRAINING_SETS))
    assert Condition("linear", None, 1).sets(["mixup", "none"]) == ["none", "mixup"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of two clips each of two classes, with a table."""
    root = tmp_path_factory.mktemp("utility")
    lines = ["path,label,fold,recording,class"]
    for fold in (1, 2):
        for label, name in (("bark", "Bark"), ("rain", "Rain")):
            for number in range(2):
                path = record(root / label / f"{label}{fold}{number}.wav", seconds=0.98)
                lines.append(f"{label}/{path.name},{label},{fold},{fold}{label}{number},{name}")
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where views are kept, for all tests."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the dreamed test sets take one step."""
    for name, spec in DREAMED.items():
        monkeypatch.setitem(DREAMED, name, dataclasses.replace(spec, recipe={**spec.recipe, "steps": 1}))


CONFIG = "variants: 1\ntarget: random\nrecipe: {steps: 1}\nrecipes: {deep_dream: {snr_db: 25}}\n"


@pytest.mark.slow
def test_a_run_tells_what_each_arm_is_worth_and_a_second_one_finds_all_its_work_done(
    recordings, work, tmp_path, capfd, monkeypatch
):
    config = tmp_path / "mine.yaml"
    config.write_text(CONFIG)
    command = ["utility", recordings, "--metadata", recordings / "table.csv", "--group-column", "recording"]
    command += ["--class-column", "class", "--config", config, "--only", "mixup", "--classifier", "linear"]
    command += ["--shots", "1,3,all", "--seeds", "2", "--report", tmp_path / "report", "--work", work]
    assert dreambeam(*command) == 0
    printed = capfd.readouterr()
    assert "mine" in printed.out
    assert "linear, all: mine" in printed.err
    assert "--shots 3: a class has 2 clips to train on" in printed.err
    stored = json.loads((tmp_path / "report/utility.json").read_text())
    assert stored["clips"] == stored["groups"] == 8
    assert [(row["shots"], row["arm"]) for row in stored["rows"]] == [
        (shots, arm) for shots in (1, 3, None) for arm in ("none", "mixup", "mine")
    ]
    for row in stored["rows"]:
        assert set(row["sets"]) == set(COLUMNS)
        assert all(0 <= figure["accuracy"]["value"] <= 1 for figure in row["sets"].values())
    assert stored["dreams"]["mine.deep_dream"]["policy"] == "random"
    page = (tmp_path / "report/utility.md").read_text()
    assert page.count("\n## ") == 5  # three courses, corruptions, dreams

    monkeypatch.setattr("evaluation.utility.training_sets.make_examples", None)  # nothing is trained again
    monkeypatch.setattr("evaluation.utility.utility_study.make_examples", None)
    assert dreambeam(*command) == 0
    assert (tmp_path / "report/utility.md").read_text() == page
    assert json.loads((tmp_path / "report/utility.json").read_text()) == stored


@pytest.mark.slow
def test_heads_are_dreamed_against_through_themselves_and_through_the_plain_one(
    recordings, work, tmp_path, capsys, monkeypatch
):
    for module in ("evaluation.utility.head_attacks", "pipelines.cli.runs.utility_run"):
        monkeypatch.setattr(f"{module}.SNRS", (10.0,))
    command = ["utility", recordings, "--metadata", recordings / "table.csv", "--class-column", "class"]
    command += ["--only", "mixup", "--classifier", "linear", "--shots", "all", "--seeds", "1"]
    command += ["--white-box", "mixup", "--report", tmp_path / "report", "--work", work]
    assert dreambeam(*command) == 0
    assert "linear heads dreamed against" in capsys.readouterr().out
    heads = json.loads((tmp_path / "report/utility.json").read_text())["white_box"]
    assert list(heads) == ["none", "mixup"]
    assert heads["none"]["own head, 10 dB"] == heads["none"]["head of none, 10 dB"]
    assert heads["mixup"]["own head, 10 dB"]["accuracy"]["value"] <= 0.5
    page = (tmp_path / "report/utility.md").read_text()
    assert "| | own head, 10 dB | head of none, 10 dB |" in page


def test_a_test_set_through_a_model_that_cannot_be_loaded_is_left_out_with_a_note(model, capsys, monkeypatch, tmp_path):
    def missing(spec):
        raise WeightsError(f"{spec.path} cannot be found")

    monkeypatch.setattr("pipelines.cli.runs.utility_run.load_model", missing)
    others = transfer_models()
    assert "left out: test set transferred: crnn cannot be found" in capsys.readouterr().err
    clips = [Clip(f"{label}{fold}", label, fold, f"{label}{fold}") for label in ("bark", "rain") for fold in "12"]
    study_data = StudyData(
        ViewStore(clips, lambda where: (np.zeros(1, np.float32), 16_000), model, tmp_path),
        model,
        {},
        {},
        ("bark", "rain"),
        others,
    )
    assert Study(study_data, tmp_path, TRAINING_SETS).columns == (CLEAN, CORRUPTED, "dreamed", "away", "filtered")


def test_what_cannot_be_measured_is_one_clear_line(recordings, tmp_path, capsys):
    table = recordings / "table.csv"
    given = ("utility", recordings, "--metadata", table)
    assert "there is no 'dreams'; choices: none, audiomentations" in complaint(capsys, *given, "--only", "dreams")
    assert "--classifier: there is no 'svm'; choices: linear, mlp, cnn" in complaint(
        capsys, *given, "--classifier", "svm"
    )
    assert "such as 2,10,all" in complaint(capsys, *given, "--shots", "two")
    assert "--report" in complaint(capsys, *given, "--report", table)
    assert "nowhere" in complaint(capsys, *given, "--fold-column", "nowhere", "--only", "mixup")
    config = tmp_path / "mine.yaml"
    config.write_text("target: {policy: label, labels: {bark: Bark, rain: No such}}\nrecipe: {steps: 1}\n")
    assert "No such" in complaint(capsys, *given, "--config", config)
    config.write_text("recipes: {one: {}, two: {target: Cat}}\n")
    assert "mine: recipe two: target.policy class cannot be an arm" in complaint(capsys, *given, "--config", config)
    assert "--only: there is no 'two'" in complaint(capsys, *given, "--config", config, "--only", "two")
    assert "--work" in complaint(capsys, *given, "--work", table)
    strange = tmp_path / "strange.csv"
    strange.write_text(table.read_text().replace(",rain,", ",zzz,"))
    refused = complaint(capsys, "utility", recordings, "--metadata", strange, "--only", "fewshot")
    assert "label 'zzz' names no class of YAMNet, and the arm fewshot" in refused
    assert "target.labels of a --config" in refused
    lines = table.read_text().splitlines()
    one = tmp_path / "one.csv"
    one.write_text("\n".join(line.replace(",2,", ",1,") for line in lines) + "\n")
    assert "fold '1'" in complaint(capsys, "utility", recordings, "--metadata", one, "--only", "mixup")


def test_a_config_gives_labels_their_classes_and_its_arm_is_named_as_its_file(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("target: {policy: label, labels: {zzz: Rain, woof: 70}}\nrecipe: {steps: 1}\n")
    arms, dreams, mapped = read_arms(Plan(only=("mixup", "mine"), configs=(str(config),), white_box=("mine",)))
    assert list(arms) == ["none", "mixup", "mine"]
    assert dreams["mine.deep_dream"].policy == "label"
    assert label_classes(("zzz", "woof"), mapped) == {"zzz": 283, "woof": 70}


@pytest.mark.parametrize(("name", "arm"), [("train_robust", "robust"), ("train_fewshot", "fewshot")])
def test_the_configs_that_ship_make_what_the_page_measured(name, arm):
    config = load_config(CONFIGS / f"{name}.yaml")
    made, components = config_arm(name, config)
    assert [each.label for each in components] == [each.label for each in TRAINING_SETS[arm].components]
    for mine, measured in zip(components, TRAINING_SETS[arm].components, strict=True):
        ours, theirs = made[mine.what], DREAMS[measured.what]
        assert Recipe.model_validate(ours.recipe).digest() == Recipe.model_validate(theirs.recipe).digest()
        assert (ours.policy, ours.seed, ours.classes) == (theirs.policy, theirs.seed, theirs.classes)
        assert mine.variants == config.variants == measured.variants == 1


@pytest.mark.parametrize("name", TRAINING_SETS)
def test_every_arm_has_as_many_examples_of_a_clip(name):
    for classifier in CLASSIFIERS.values():
        chosen = slots(TRAINING_SETS[name], classifier.examples)
        assert len(chosen) == classifier.examples
        assert {each.what for each, _ in chosen} == {each.what for each in TRAINING_SETS[name].components}
        assert all(variant < (each.variants or classifier.examples) for each, variant in chosen)


def test_an_arm_of_a_config_is_made_of_the_dreams_that_augment_makes(model, tmp_path):
    path = record(tmp_path / "in/bark/a.wav", seconds=0.98)
    config = load_config(CONFIGS / "train_robust.yaml", ["recipes={near: {snr_db: 25, steps: 2, target: random}}"])
    augment_dataset([str(tmp_path / "in")], tmp_path / "out", config)
    written = load(tmp_path / "out")["bark/a.wav:near:0"]
    made, components = config_arm("robust", config)
    loaded = LoadedClip(Clip("bark/a.wav", "bark", "1", "a"), samples(path)[:, 0])
    (dream,) = Dreams(made[components[0].what], model, {}).make([loaded], 0)
    np.testing.assert_allclose(dream.waveform, written["audio"].ravel(), atol=1e-6)
    assert not np.allclose(dream.waveform, loaded.waveform, atol=1e-6)
