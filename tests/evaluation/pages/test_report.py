"""The report as a browser shows it: of real dreams whose names and labels are as hostile as file names can be."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile
from browser import Browser
from html_reader import Reader
from judged import judged
from recordings import augment, samples

from evaluation.dreams.originals import MissingSourceError
from evaluation.dreams.report_folder import Report
from evaluation.pages.markup import shown
from evaluation.pages.report_page import evaluation_page

LABELS = {
    "rooster": "<script>alert(1) 犬",
    "rain": "\"'><img src=x onerror=alert(2)>",
    "sea_waves": "line\nbreak \u202egpj & $x^{2$",
}
SECONDS = 1


pytestmark = pytest.mark.usefixtures("known_ontology")


@pytest.fixture(scope="module")
def inputs(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in") / "<b>in\u202e"
    for name, label in LABELS.items():
        (folder / label).mkdir(parents=True)
        sound = samples(crops / f"{name}.wav")[: SECONDS * 44_100]
        soundfile.write(folder / label / "<i onclick=alert(3)>.wav", sound, 44_100, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def done(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """Two datasets side by side, the first of two recipes with its originals, the second of one and without."""
    runs, report = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("reports") / "report"
    steps = ("recipe.steps=2", "recipe.hold=null", "recipe.snr_db=15", "variants=1")
    cut = "recipes.cut={transform: hard_cut, snr_db: null}"
    augment(inputs, runs / "two <u>recipes", *steps, "recipes.deep_dream={}", cut)
    augment(inputs, runs / "bare", *steps, "recipes.deep_dream={}", "include_original=false")
    return judged(report, runs / "two <u>recipes", runs / "bare"), report


@pytest.fixture
def page(done: tuple[Report, Path], window: Browser) -> Browser:
    """The page of the first dataset, just opened."""
    window.open(done[1] / "two <u>recipes" / "report.html")
    return window


def pages(done: tuple[Report, Path]) -> dict[str, str]:
    return {str(path.relative_to(done[1])): path.read_text("utf-8") for path in sorted(done[1].rglob("report.html"))}


# What is in the file


def test_each_dataset_has_a_page_and_the_comparison_one_at_the_top(done: tuple[Report, Path]) -> None:
    assert set(pages(done)) == {"report.html", "bare/report.html", "two <u>recipes/report.html"}
    files = {path.name for path in (done[1] / "bare").iterdir()}
    assert files == {"examples.parquet", "failures.jsonl", "metrics.json", "report.html"}


def test_names_and_labels_make_no_elements(done: tuple[Report, Path]) -> None:
    for text in pages(done).values():
        found = Reader(re.sub("<(style|script)>.*?</\\1>", "", text, flags=re.DOTALL))
        tags = [tag for tag, _ in found.elements]
        assert not {"i", "b", "u"} & set(tags)
        assert tags.count("img") == 0
        assert not any(key.startswith("on") or key == "style" for _, attributes in found.elements for key in attributes)
    text = Reader(pages(done)["two <u>recipes/report.html"]).text
    for label in LABELS.values():
        assert shown(label) in text
    assert not set(text) & set("\u202e\u2066")


def test_headline_figures_are_those_of_metrics_json(done: tuple[Report, Path]) -> None:
    for each in done[0].evaluations:
        told = json.loads((each.folder / "metrics.json").read_text())
        text = (each.folder / "report.html").read_text("utf-8")
        for share in (told["success"]["top1"], told["top_changed"], told["label_kept"]):
            value = "–" if share["value"] is None else f"{100 * share['value']:.1f}\u00a0%"
            assert f'<span class="value">{value}</span>' in text
            assert f"n {share['n']} of {share['clips']} recordings" in text
        assert f"{told['snr_db']['median']:.1f} dB" in text
        for warning in told["warnings"]:
            assert shown(warning) in Reader(text).text
        for package, version in told["versions"].items():
            assert f"{package} {version}" in text


def test_paired_differences_are_those_of_comparison_json(done: tuple[Report, Path]) -> None:
    told, text = (
        json.loads((done[1] / "comparison.json").read_text()),
        Reader(pages(done)["report.html"]).text.replace("\u00a0", " "),
    )
    assert len(told["pairs"]) == 3
    for pair in told["pairs"]:
        found = pair["measures"]["snr_db"]
        ends = f"{found['low']:+.1f} to {found['high']:+.1f}, n {found['n']}"
        assert f"{found['difference']:+.1f} ({ends})".replace("-", "\u2212") in text


def test_the_same_dataset_gives_the_same_page_from_two_workers_whatever_it_is_compared_with(
    done: tuple[Report, Path], tmp_path: Path
) -> None:
    beam = ("--direct_num_workers=2", "--direct_running_mode=multi_threading")
    judged(tmp_path / "again", Path(done[0].evaluations[1].dataset.path), beam=beam)
    assert (tmp_path / "again/report.html").read_text("utf-8") == pages(done)["bare/report.html"]


def test_an_original_that_is_gone_is_said_and_the_page_is_written(done: tuple[Report, Path]) -> None:
    def gone(source: Any) -> Any:
        raise MissingSourceError(f"{source['uri']} is gone")

    text = evaluation_page(done[0].evaluations[1], gone)
    assert "<audio" not in text
    assert text.count("cannot be played") == len(LABELS)


# What the browser makes of it


def test_pages_load_without_an_error_and_ask_for_nothing(done: tuple[Report, Path], window: Browser) -> None:
    for name in pages(done):
        window.requests()
        window.open(done[1] / name)
        assert window.console() == []
        assert window.requests() == [(done[1] / name).as_uri()]
        assert window.run("return getComputedStyle(document.querySelector('main')).maxWidth") != "none"


def test_the_policy_stops_what_is_not_the_pages_own(page: Browser) -> None:
    page.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.hit = 1\">');"
        "const own = document.createElement('script'); own.textContent = 'window.hit = 2'; document.body.append(own);"
        "return fetch('http://127.0.0.1:9/').catch(() => null)"
    )
    assert page.run("return window.hit ?? null") is None
    assert any("Content Security Policy" in message for message in page.console())


def test_a_player_plays_and_is_as_long_as_its_sound(page: Browser) -> None:
    assert page.run("return document.querySelectorAll('audio').length") >= 4
    played = page.play()
    assert played[0] == pytest.approx(SECONDS, abs=0.01)
    assert 0 < played[1] <= SECONDS + 0.01


def test_a_press_sorts_a_table_by_number_and_another_turns_it_round(done: tuple[Report, Path], page: Browser) -> None:
    rows = pd.read_parquet(done[1] / "two <u>recipes" / "examples.parquet")
    page.unfold()
    head = page.mark("examples", "SNR, dB")
    assert page.run("return document.querySelector(arguments[0]).ariaSort", head) == "none"
    for order, falls in (("ascending", False), ("descending", True)):
        page.press(f"{head} button")
        assert page.run("return document.querySelector(arguments[0]).ariaSort", head) == order
        values = [_number(text) for text in page.cells(head)]
        assert values == sorted(values, reverse=falls)
        assert values == pytest.approx(sorted(rows["snr_db"], reverse=falls), abs=0.06)


def test_the_keyboard_sorts_and_what_has_no_value_stays_last(page: Browser) -> None:
    page.unfold()
    head = page.mark("keys", "rank before")
    page.run(
        "const row = document.querySelector(arguments[0]).closest('table').tBodies[0].rows[0].cloneNode(true);"
        "for (const cell of row.cells) { cell.dataset.value = ''; cell.textContent = '–'; }"
        "document.querySelector(arguments[0]).closest('table').tBodies[0].prepend(row);"
        "document.querySelector(arguments[0] + ' button').focus()",
        head,
    )
    for falls in (False, True):
        page.type("\ue007")  # Enter
        *values, last = page.cells(head)
        assert last == "–"
        numbers = [_number(text) for text in values]
        assert numbers == sorted(numbers, reverse=falls)
        assert page.run("return document.activeElement.closest('th').ariaSort") == (
            "descending" if falls else "ascending"
        )


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(done: tuple[Report, Path], window: Browser, width: int) -> None:
    for name in pages(done):
        window.open(done[1] / name)
        window.width(width)
        window.unfold()
        assert window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_printed_tables_are_no_wider_than_the_paper(done: tuple[Report, Path], window: Browser) -> None:
    for name in pages(done):
        window.open(done[1] / name)
        window.devtools("Emulation.setEmulatedMedia", media="print")
        window.width(round((210 - 2 * 15) / 25.4 * 96))  # A4 without its margins
        wide = "return [...document.querySelectorAll('table')].filter((each) => each.scrollWidth > innerWidth).length"
        assert window.run(wide) == 0
    window.devtools("Emulation.setEmulatedMedia", media="")


def test_dark_paper_has_light_ink_and_print_no_players(page: Browser) -> None:
    ink = "return getComputedStyle(document.body).color.match(/\\d+/g).map(Number)"
    for scheme, is_light in (("light", False), ("dark", True)):
        page.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert (min(page.run(ink)) > 128) == is_light
    page.devtools("Emulation.setEmulatedMedia", media="print")
    assert page.run("return getComputedStyle(document.querySelector('audio')).display") == "none"
    page.devtools("Emulation.setEmulatedMedia", media="", features=[])
    assert page.pdf().startswith(b"%PDF")


def _number(text: str) -> float:
    return math.inf if text == "∞" else float(text.replace("\u2212", "-").replace(",", ""))
