"""The robustness report's page, in the file and in a browser, of clips whose names and labels are hostile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser import Browser
from html_reader import Reader
from recordings import samples

from evaluation.dreams.dream_evaluator import Failed
from evaluation.dreams.originals import MissingSourceError
from evaluation.judges.judge import JudgeSpec
from evaluation.pages.markup import shown
from evaluation.pages.robustness_page import robustness_page
from evaluation.reports.robustness_report import Robustness, robustness
from evaluation.robustness.robustness_plan import Item
from evaluation.robustness.trials import Settings, make_plan
from evaluation.robustness.trust import CHECKS
from evaluation.robustness.worst_clips import Remade, remake
from pipelines.cli.runs.robustness_run import Data, list_items
from pipelines.cli.runs.study_clips import read_clip
from pipelines.run.augmentation import pipeline_options

LABELS = {
    "rooster": ("<script>alert(1) 犬", "Crowing, cock-a-doodle-doo"),
    "rain": ("\"'><img src=x onerror=alert(2)>", "Rain"),
    "helicopter": ("line\nbreak \u202egpj & $x^{2$", "Helicopter"),
}
SECONDS = 1
COMMAND = "dreambeam robustness '<u>in' --snr-db=30,0"


@pytest.fixture(scope="module")
def items(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("in") / "<b>in\u202e"
    for name, (label, _) in LABELS.items():
        (folder / label).mkdir(parents=True)
        sound = samples(crops / f"{name}.wav")[: SECONDS * 44_100]
        soundfile.write(folder / label / "<i onclick=alert(3)>.wav", sound, 44_100, subtype="PCM_16")
    _, found, lost = list_items([str(folder)], Data(), 0)
    assert (len(found), lost) == (len(LABELS), [])
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """YAMNet, of which three classes compete: dreams through itself at two budgets."""
    path = tmp_path_factory.mktemp("maps") / "map.csv"
    lines = ['"{}","{}"'.format(label.replace('"', '""'), class_) for label, class_ in LABELS.values()]
    path.write_text("name,class\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return Settings(class_map=str(path), budgets=(30.0, 0.0), steps=3)


@pytest.fixture(scope="module")
def done(items: list[Item], settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Robustness:
    folder = tmp_path_factory.mktemp("reports") / "report"
    return robustness(items, folder, settings, read_clip, pipeline_options([]), command=COMMAND)


@pytest.fixture(scope="module")
def text(done: Robustness) -> str:
    return (done.folder / "report.html").read_text("utf-8")


@pytest.fixture
def page(done: Robustness, window: Browser) -> Browser:
    window.open(done.folder / "report.html")
    return window


def made_again(done: Robustness, items: list[Item], settings: Settings, read: Any = read_clip) -> list[Remade | Failed]:
    from evaluation.judges.class_map import read_mapping
    from evaluation.judges.judge_kinds import shared_judge

    known = read_mapping(settings.class_map)
    plan = make_plan(items, shared_judge(JudgeSpec()), JudgeSpec(), known, settings, [])
    return list(remake(done.metrics["worst"], items, plan, read))


# What is made again


def test_what_is_made_again_has_the_scores_of_the_run_to_the_bit(
    done: Robustness, items: list[Item], settings: Settings
) -> None:
    assert done.metrics["worst"]
    for each in made_again(done, items, settings):
        assert isinstance(each, Remade)
        assert each.same
        row = done.rows.set_index(["id", "perturbation", "snr_db"]).loc[
            (each.entry["id"], each.entry["perturbation"], each.entry["snr_db"])
        ]
        from augment.sound.resampling import to_model
        from evaluation.judges.judge_kinds import shared_judge

        judge = shared_judge(JudgeSpec())
        columns = [judge.classes.find(name).index for name in done.metrics["judge_details"]["classes"]]
        heard = judge.judge(to_model(each.after, each.sample_rate)).scores[columns]
        np.testing.assert_array_equal(heard, row["scores"])


def test_a_clip_that_is_gone_is_said_and_the_page_is_written(
    done: Robustness, items: list[Item], settings: Settings
) -> None:
    def gone(where: Mapping[str, Any]) -> Any:
        raise MissingSourceError(f"{where['id']} is gone")

    again = made_again(done, items, settings, gone)
    found = robustness_page(done.metrics, again, COMMAND)
    assert "<audio" not in found
    assert found.count("cannot be played") == len(done.metrics["worst"])


# What is in the file


def test_names_and_labels_make_no_elements(text: str) -> None:
    found = Reader(re.sub("<(style|script)>.*?</\\1>", "", text, flags=re.DOTALL))
    tags = [tag for tag, _ in found.elements]
    assert not {"i", "b", "u"} & set(tags)
    assert tags.count("img") == 0
    assert not any(key.startswith("on") or key == "style" for _, attributes in found.elements for key in attributes)
    for each in [name for label, _ in LABELS.values() for name in (shown(label), "<i onclick=alert(3)>.wav")]:
        assert each in found.text
    assert not set(found.text) & set("\u202e\u2066")


def test_figures_warnings_and_what_was_run_are_those_of_metrics_json(done: Robustness, text: str) -> None:
    told, read = done.metrics, Reader(text).text.replace("\u00a0", " ")
    assert f"{100 * told['clean_accuracy']:.1f} %" in read
    for point in told["curve"]:
        ends = "" if point["low"] is None else f"{100 * point['low']:.0f} to {100 * point['high']:.0f} %, "
        assert f"{100 * point['accuracy']:.1f} % ({ends}n {point['n']})" in read
    for halved in told["halving"].values():
        assert halved["snr_db"] is None or f"{halved['snr_db']:.1f} dB" in read
    for warning in told["warnings"]:
        assert shown(warning) in read
    for package, version in told["versions"].items():
        assert f"{package} {version}" in read
    for each in (COMMAND, told["judge_details"]["identity"], told["dreamed_through"]["judge"]["weights"]):
        assert each in read
    assert set(told["checks"]) == set(CHECKS)


# What the browser makes of it


def test_the_page_loads_without_an_error_and_asks_for_nothing(done: Robustness, window: Browser) -> None:
    window.requests()
    window.open(done.folder / "report.html")
    assert window.console() == []
    assert window.requests() == [(done.folder / "report.html").as_uri()]


def test_before_and_after_of_each_of_the_worst_play(done: Robustness, page: Browser) -> None:
    assert page.run("return document.querySelectorAll('audio').length") == 2 * len(done.metrics["worst"])
    seconds, place = page.play()
    assert seconds == pytest.approx(SECONDS, abs=0.01)
    assert 0 < place <= SECONDS + 0.01


def test_a_press_sorts_the_classes(page: Browser) -> None:
    page.unfold()
    head = page.mark("clean", "unchanged")
    for falls in (False, True):
        page.press(f"{head} button")
        values = [float(cell.split("\u00a0")[0]) for cell in page.cells(head)]
        assert values == sorted(values, reverse=falls)
    head = page.mark("halved", "halved at")
    page.press(f"{head} button")
    assert len(page.cells(head)) == 7  # what YAMNet withstands of itself and of the controls


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window_or_the_paper(page: Browser, width: int) -> None:
    page.width(width)
    page.unfold()
    assert page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.devtools("Emulation.setEmulatedMedia", media="print")
    page.width(round((210 - 2 * 15) / 25.4 * 96))  # A4 without its margins
    wide = "return [...document.querySelectorAll('table')].filter((each) => each.scrollWidth > innerWidth).length"
    assert page.run(wide) == 0
    page.devtools("Emulation.setEmulatedMedia", media="")
