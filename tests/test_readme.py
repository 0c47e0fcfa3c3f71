"""The README and the pages of docs: commands and programs run, links resolve, tables are true."""

from __future__ import annotations

import itertools
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from paths import REPOSITORY
from recordings import dreambeam

from augment.recipes.recipe import Recipe
from augment.recipes.tables import OBJECTIVES, STARTS, TRANSFORMS, UPDATES
from augment.targets.policies import POLICIES
from evaluation.pages import steering_page, utility_page
from pipelines.benchmark import speed_page
from pipelines.dataset.schema import Vocabulary, features

DOCS = REPOSITORY / "docs"
PAGES = {path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
PAGES |= {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")

RUN = (
    "README.md",
    "docs/index.md",
    "docs/recipes.md",
    "docs/datasets.md",
    "docs/evaluation.md",
    "docs/reproducibility.md",
    "docs/planning.md",
    "docs/python.md",
)
"""Pages that run as written, in this order: each may use what an earlier one wrote."""

FEWER = {
    "augment": ["--steps", "1"],
    "dream": ["--steps", "1"],
    "robustness": ["--steps", "1", "--snr-db", "20", "--limit", "2"],
}
"""What makes a command cheap: an option that is given twice counts as it was given last."""


def blocks(page: str, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGES[page]) if found == kind]


def commands(page: str) -> list[list[str]]:
    lines = [line for text in blocks(page, "sh") for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("dreambeam ")]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages take for granted: labelled recordings, tables of labels, files."""
    rng = np.random.default_rng(0)
    labels, manifest = ["filename,label"], ["path,label,split,fold"]
    for label in ("bell", "street"):
        folder = tmp_path / "recordings" / label
        folder.mkdir(parents=True)
        for number, split in enumerate(("train", "test")):
            name = f"{label}{number}.wav"
            soundfile.write(folder / name, rng.normal(0, 0.1, 16_000).astype(np.float32), 16_000, subtype="FLOAT")
            labels.append(f"{name},{label}")
            manifest.append(f"recordings/{label}/{name},{label},{split},1")
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    (tmp_path / "manifest.csv").write_text("\n".join(manifest) + "\n")
    shutil.copy(tmp_path / "recordings/bell/bell0.wav", tmp_path / "bell.wav")
    shutil.copytree(REPOSITORY / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_commands_and_programs_run_as_written(workplace: Path, capsys: pytest.CaptureFixture[str]):
    seen = []
    for page in RUN:
        new = [command for command in commands(page) if command not in seen]
        seen += new
        for command in new:
            code = dreambeam(*command, *FEWER.get(command[0], []))
            assert code == 0, (page, command, capsys.readouterr().err)
        names: dict[str, object] = {}
        for program in blocks(page, "python"):
            exec(compile(program, page, "exec"), names)  # noqa: S102  our own pages
    assert (workplace / "cat.png").exists()
    assert not [page for page in PAGES if blocks(page, "python") and page not in RUN]


def test_commands_have_only_options_that_exist(capsys: pytest.CaptureFixture[str]):
    def options(*command: str) -> set[str]:
        assert dreambeam(*command, "--help") == 0
        return set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))

    found = [command for page in PAGES for command in commands(page)]
    known = {name: options(name) for name in {command[0] for command in found}}
    for command in found:
        own = itertools.takewhile(lambda word: not word.startswith("--runner"), command)  # what follows is Beam's
        assert {word for word in own if word.startswith("--")} <= known[command[0]], command


def test_links_and_files_that_pages_name_exist():
    for page, text in PAGES.items():
        folder = (REPOSITORY / page).parent
        for target in LINK.findall(text):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            file = folder / path if path else REPOSITORY / page
            assert file.exists(), (page, target)
            assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), (page, target)
        for name in re.findall(r"`((?:augment|pipelines|evaluation|configs|docs|tests)/[^`* ]*)`", text):
            assert (REPOSITORY / name).exists(), (page, name)


def test_the_tables_for_additions_are_where_they_are_said_to_be():
    table = PAGES["CONTRIBUTING.md"].split("| a new | function in | line in |\n")[1].split("\n\n")[0]
    for row in table.splitlines()[1:]:
        *_, file = re.findall(r"`([a-z_/]+\.py)`", row)
        for name in re.findall(r"`([A-Z][A-Za-z_]+|block)`", row):
            text = (REPOSITORY / file).read_text(encoding="utf-8")
            assert re.search(rf"^(def |class )?{name}\b", text, re.MULTILINE), (file, name)


def test_make_targets_are_listed():
    targets = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in {*targets} - {"help", "install", "clean"}:
        assert f"`make {target}" in PAGES["CONTRIBUTING.md"], target


def test_the_new_import_paths_of_the_changelog_exist():
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    table = text.split("| old import path | new |\n|---|---|\n")[1].split("\n\n")[0]
    for new in (line.split("|")[2] for line in table.splitlines()):
        for module in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", new):
            assert (REPOSITORY / module.replace(".", "/")).with_suffix(".py").exists(), module


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_recipes_has_every_field_part_and_policy():
    page = PAGES["docs/recipes.md"]
    for name, field in Recipe.model_fields.items():
        default = json.dumps(field.get_default()).strip('"')
        assert f"| `{name}` | `{default}` |" in page, name
    for name, part in {**TRANSFORMS, **STARTS}.items():
        own = ", ".join(f"{key} {json.dumps(value)}" for key, value in part.defaults.items()).replace('"', "")
        assert not own or f"| `{name}` | {own} |" in page, name
    for name in {*TRANSFORMS, *OBJECTIVES, *UPDATES, *STARTS, *POLICIES} - {"class"}:
        assert f"`{name}`" in page, name


def test_the_page_of_datasets_has_every_feature_of_a_record():
    for name in features(Vocabulary((), (1,)), class_count=521):
        assert f"`{name}`" in PAGES["docs/datasets.md"], name


def test_pages_of_figures_are_what_their_commands_write(tmp_path: Path):
    kept = {name: json.loads((DOCS / f"{name}.json").read_text()) for name in ("speed", "steering", "utility")}
    for name in kept:
        shutil.copy(DOCS / f"{name}.json", tmp_path)
    speed_page.write_page(tmp_path, [])
    about = {key: value for key, value in kept["steering"].items() if key != "rows"}
    pairs = pd.read_csv(DOCS / "steering.csv", keep_default_na=False)
    steering_page.write_page(tmp_path, kept["steering"]["rows"], pairs, about)
    about = {key: kept["utility"][key] for key in kept["utility"].keys() - {"rows", "dreams", "goals", "white_box"}}
    utility_page.write_page(tmp_path, [], {}, {}, {}, about)
    for name, page in (("speed", "speed"), ("steering", "steering"), ("utility", "utility-tables")):
        written = (tmp_path / f"{name}.md").read_text(encoding="utf-8").splitlines()
        stored = PAGES[f"docs/{page}.md"].splitlines()
        machine = [line for line in stored if line.startswith("Measured by")]  # which is this one in what is written
        assert [line for line in written if not line.startswith("Measured by")] == [
            line for line in stored if line not in machine
        ]


def test_the_table_of_the_utility_page_has_the_measured_figures():
    rows = json.loads((DOCS / "utility.json").read_text())["rows"]
    arms = ("none", "robust", "audiomentations", "robust_audiomentations")
    few = ("none", "fewshot", "audiomentations", "fewshot_audiomentations")
    wanted = [*((None, arm) for arm in arms), *((2, arm) for arm in few)]
    found = {(row["shots"], row["arm"]): row["sets"] for row in rows if row["classifier"] == "linear"}
    columns = ("clean", "corrupted", "dreamed", "transferred")
    expected = [[f"{100 * found[each][name]['accuracy']['value']:.1f}" for name in columns] for each in wanted]
    table = PAGES["docs/utility.md"].split("a linear head on YAMNet trained on")[1].split("\n\n")[0]
    assert [re.findall(r"\d+\.\d", line) for line in table.splitlines()[2:]] == expected


def test_the_figure_of_the_utility_page_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script, picture = DOCS / "examples/draw_utility.py", tmp_path / "utility.png"
    monkeypatch.setattr(sys, "argv", [str(script), str(DOCS / "utility.json"), str(picture)])
    runpy.run_path(str(script), run_name="__main__")
    assert picture.stat().st_size > 10_000
