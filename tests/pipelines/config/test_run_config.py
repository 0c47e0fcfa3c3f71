"""Configurations: what is read, and the one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from paths import REPOSITORY
from recordings import complaint

from augment.recipes.recipe import Recipe
from pipelines.config.run_config import ConfigError, RunConfig, TargetConfig, load_config

CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


def fault(*changes: str, path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, changes)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)
    return str(caught.value)


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_there_are_configs() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_of_the_repository_loads(path: Path) -> None:
    config = load_config(path)
    assert config.named_recipes()
    assert RunConfig.model_validate_json(config.canonical_json()) == config


def test_no_config_is_the_defaults() -> None:
    assert load_config(None) == RunConfig()
    assert load_config(None).named_recipes() == {"deep_dream": Recipe()}


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(yaml_file(tmp_path, "# nothing\n")) == RunConfig()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("audio_encoding=mp3", ["audio_encoding", "float32", "int16", "flac", "'mp3'"]),
        (
            "sed=1",
            ["'sed'", "did you mean 'seed'", "choices: audio_encoding, augment_test, batch_size,"],
        ),
        ("recipe.step=1", ["'recipe.step'", "did you mean 'steps'", "choices: arithmetic, change_lu"]),
        ("source.metdata=x", ["'source.metdata'", "did you mean 'metadata'", "segment_seconds"]),
        ("target.polcy=keep", ["'target.polcy'", "did you mean 'policy'", "classes, label_policy, labels, policy"]),
        ("recipes.a.stepz=3", ["recipes.a", "'stepz'", "did you mean 'steps'", "threshold"]),
        ("recipes.a.label_policy=both", ["recipes.a", "'label_policy'", "target, threshold"]),
        ("recipe.target=Dog", ["'recipe.target'", "of one recipes.NAME.target"]),
        ("recipes.a.steps=-3", ["recipes.a: steps", "greater than or equal to 0", "-3"]),
        ("recipes.original={}", ["'original' is no recipe name"]),
        ("recipes.a-b={}", ["'a-b' is no recipe name"]),
        ("recipe.transform=deepdream", ["recipe.transform", "'deep_dream', 'hard_cut'", "'deepdream'"]),
        ("recipe.objective=loss", ["recipe.objective", "recipe.objective: expected 'score', 'logit'", "'loss'"]),
        ("recipe.steps=many", ["recipe.steps", "integer", "'many'"]),
        ("recipe.steps=2.5", ["recipe.steps", "integer", "2.5"]),
        ("recipe.threshold=1", ["recipe.threshold", "less than 1"]),
        ("recipe.step_size=.inf", ["recipe.step_size", "finite"]),
        ("recipe.hop=1000", ["recipe", "frame_length", "1024 and 1000"]),
        ("recipe.flip=true", ["flip is for hard_cut and hard_cut_add, not for deep_dream"]),
        ("recipe.transform=target_filter", ["needs a target sound", "recipe.sound"]),
        ("recipe.objective=style", ["the objective style needs a target sound", "recipe.sound"]),
        ("recipe={transform: hard_cut, snr_db: 10}", ["snr_db limits a change of the sound; hard_cut replaces it"]),
        ("target={policy: nearer}", ["keep, class, random, nearest", "'nearer'"]),
        ("target={policy: sound}", ["set recipe.sound"]),
        ("target={policy: away, label_policy: both}", ["has no target to label"]),
        ("target={policy: class}", ["set target.classes"]),
        ("target={policy: keep, classes: [Dog]}", ["keep takes no classes"]),
        ("recipes.a={target: {policy: nearer}}", ["recipes.a.target", "keep, class, random, nearest", "'nearer'"]),
        ("recipes.a={target: {label_policy: both}}", ["recipes.a.target", "same for all recipes"]),
        ("recipes.a={target: 3.5}", ["recipes.a.target is 3.5", "such as label or random:Animal/*"]),
        ("recipes.a={target: sound}", ["set recipe.sound"]),
        ("seed=-1", ["seed", "greater than or equal to 0", "-1"]),
        ("variants=0", ["variants", "greater than or equal to 1"]),
        ("batch_size=0", ["batch_size", "greater than or equal to 1"]),
        ("shards=0", ["shards", "greater than or equal to 1"]),
        ("name=My Data", ["name", "[a-z][a-z0-9_]*", "'My Data'"]),
        ("licence=''", ["licence", "''"]),
        ('licence="CC0\\nor so"', ["licence", "CC0"]),
        ("source.segment_seconds=0.001", ["source.segment_seconds", "0.01"]),
        ("source=3", ["source", "3"]),
        ("recipe.steps", ["key=value", "recipe.steps=20", "'recipe.steps'"]),
        ("=3", ["key=value"]),
        ("recipe.steps=[1", ["recipe.steps", "not a YAML value"]),
        ("recipe.steps=!!python/object/apply:os.getcwd []", ["not a YAML value", "python/object/apply"]),
    ],
)
def test_a_wrong_setting_is_one_line_with_what_is_expected(change: str, said: list[str]) -> None:
    message = fault(change)
    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n- 2\n", "must hold keys and values"),
        ("seed: [1\n", "not plain YAML"),
        ("seed: !!python/object/apply:os.system ['touch owned']\n", "not plain YAML"),
        ("!!python/name:os.system\n", "not plain YAML"),
        ("1: 2\n", "keys should be strings"),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = yaml_file(tmp_path, text)
    message = fault(path=path)
    assert said.lower() in message.lower()
    assert str(path) in message
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "nowhere.yaml" in fault(path=tmp_path / "nowhere.yaml")
    assert str(tmp_path) in fault(path=tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: é".encode("latin-1"))
    assert "latin.yaml" in fault(path=tmp_path / "latin.yaml")


def test_changes_are_made_on_top_of_the_file_and_the_last_one_counts(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "seed: 1\nrecipe: {steps: 5, peak: 0.5}\ntarget: Dog\n")
    config = load_config(path, ["recipe.steps=6", "seed=2", "seed=3", "target.policy=keep", "recipe.snr_db=null"])
    assert config.seed == 3
    assert config.recipe == Recipe(steps=6, peak=0.5, snr_db=None)
    assert (config.target.policy, config.target.classes) == ("keep", ())


def test_a_recipe_may_have_a_target_of_its_own(tmp_path: Path) -> None:
    text = "target: {policy: nearest, classes: [Dog, Cat], labels: {bark: Dog}, label_policy: both}\n"
    text += "recipes: {near: {snr_db: 25}, more: {steps: 5, target: label}, far: {target: 'random:Animal/*'}}\n"
    path = yaml_file(tmp_path, text)
    config = load_config(path)
    targets = config.targets()
    assert [(each.policy, each.classes) for each in targets.values()] == [
        ("nearest", ("Dog", "Cat")),
        ("label", ()),
        ("random", ("Animal/*",)),
    ]
    assert all(each.labels == {"bark": "Dog"} and each.label_policy == "both" for each in targets.values())
    assert config.named_recipes()["more"] == Recipe(steps=5)
    found = config.with_classes({"near": [69, 76], "more": [], "far": [67, 68]})
    assert [each.classes for each in found.targets().values()] == [(69, 76), (), (67, 68)]
    assert {each.policy for each in load_config(path, ["target=farthest"]).targets().values()} == {"farthest"}
    assert load_config(path, ["target=label"]).target.labels == {"bark": "Dog"}
    assert load_config(path, ["target=label"]).target.label_policy == "both"
    with pytest.raises(ConfigError, match="no recipe 'neer' beside near, more, far"):
        load_config(path, ["recipes.neer.steps=3"])
    assert load_config(path, ["recipes.new={steps: 3}"]).named_recipes()["new"].steps == 3
    kept = load_config(path, ["target.label_policy=keep"]).targets()
    assert [(each.policy, each.label_policy) for each in kept.values()] == [
        ("nearest", "keep"),
        ("label", "keep"),
        ("random", "keep"),
    ]


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_config(None, ["source.metadata=a=b.csv"]).source.metadata == "a=b.csv"


def test_target_has_short_forms() -> None:
    assert load_config(None, ["target=keep"]).target.policy == "keep"
    assert load_config(None, ["target=random"]).target.policy == "random"
    for given in ("Dog", 69, "/m/0bt9lr"):
        target = load_config(None, [f"target={given}"]).target
        assert (target.policy, target.classes) == ("class", (given,))


def test_named_recipes_are_changes_to_the_recipe_and_a_transforms_name_chooses_it() -> None:
    config = load_config(
        None, ["recipe.steps=7", "recipes.hard_cut_add={threshold: 0.5}", "recipes.loud={step_size: 0.2}"]
    )
    assert config.named_recipes() == {
        "hard_cut_add": Recipe(transform="hard_cut_add", steps=7, threshold=0.5),
        "loud": Recipe(steps=7, step_size=0.2),
    }
    assert config.records_per_clip == 3


def test_a_recipe_may_have_another_transforms_name_if_it_says_so() -> None:
    config = load_config(None, ["recipes.hard_cut={transform: gradients}"])
    assert config.named_recipes()["hard_cut"].transform == "gradients"


@pytest.mark.parametrize("change", ["sed=1", "recipes.a.stepz=3", "recipe.transform=deepdream", "seed=x"])
def test_on_the_command_line_a_wrong_setting_is_exit_code_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    message = complaint(capsys, "augment", "-i", tmp_path, "-o", tmp_path / "out", "--set", change)
    assert fault(change) in message
    assert list(tmp_path.iterdir()) == []


def test_set_goes_before_what_the_named_recipes_say(tmp_path: Path):
    path = tmp_path / "two.yaml"
    path.write_text("recipes: {deep_dream: {snr_db: 20}, hard_cut_add: {threshold: 0.5}}")
    recipes = load_config(path, ["recipe.snr_db=30", "recipe.threshold=0.2"]).named_recipes()
    assert {name: (recipe.snr_db, recipe.threshold) for name, recipe in recipes.items()} == {
        "deep_dream": (30, 0.2),
        "hard_cut_add": (30, 0.2),
    }


def test_a_policy_given_in_short_survives_a_change_of_its_classes(tmp_path: Path):
    path = tmp_path / "target.yaml"
    path.write_text("target: random")
    assert load_config(path, ["target.classes=[Dog]"]).target == TargetConfig(policy="random", classes=("Dog",))
