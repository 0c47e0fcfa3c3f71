"""Beam's own runners give what a run on this machine gives: the same bytes, figures, failures and counters.

Each engine is of several processes on this machine. The workers know dreambeam from its wheel alone, run in another
folder, and have an empty cache. `make test-cluster` runs these tests; `ENGINE=spark` chooses one engine.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pandas as pd
import pytest
from cluster_runs import assert_same_dataset, ends, metrics, start
from conftest import few_arguments
from engines import Engine, amid_a_batch, wait_until

pytestmark = pytest.mark.cluster

MANY_CLIPS = ("--config", "quickstart", "--set", "recipe.steps=2")


@pytest.fixture(scope="session")
def many_here(place: Path, many: Path) -> Path:
    ends(start("augment", "--input", many, "--output", place / "many-here", *MANY_CLIPS), code=3)
    return place / "many-here"


def test_augment_gives_the_dataset_and_the_counters_of_a_run_here(
    place: Path, many: Path, many_here: Path, engine: Engine
) -> None:
    output, cache = place / f"many-{engine.name}", place / "workers/cache"
    cached = sorted(cache.iterdir())
    ends(start("augment", "--input", many, "--output", output, *MANY_CLIPS, *engine.flags), code=3)
    assert_same_dataset(output, many_here)
    assert json.loads((output / "failures.jsonl").read_text())["stage"] == "decode"
    assert metrics(output) == metrics(many_here)
    if engine.shown:
        text = engine.shown()
        assert [name for name in metrics(output) if name not in text] == []
    assert sorted(cache.iterdir()) == cached  # the weights came with the run


def test_the_quickstart_is_the_same(place: Path, few: Path, engine: Engine) -> None:
    here, there = place / "quickstart", place / f"quickstart-{engine.name}"
    if not here.exists():
        ends(start("augment", "--input", few, "--output", here, "--config", "quickstart"), code=3)
    ends(start("augment", "--input", few, "--output", there, "--config", "quickstart", *engine.flags), code=3)
    assert_same_dataset(there, here)


def test_evaluate_gives_the_figures_of_a_run_here(place: Path, many_here: Path, engine: Engine) -> None:
    here, there = place / "report-here", place / f"report-{engine.name}"
    if not here.exists():
        ends(start("evaluate", many_here, "--report", here))
    ends(start("evaluate", many_here, "--report", there, *engine.flags))
    rows = [pd.read_parquet(report / "examples.parquet") for report in (there, here)]
    pd.testing.assert_frame_equal(rows[0], rows[1])
    found = [json.loads((report / "metrics.json").read_text()) for report in (there, here)]
    assert found[0]["success"] == found[1]["success"]
    assert found[0]["fad"] == pytest.approx(found[1]["fad"], rel=1e-6)


def test_robustness_gives_the_figures_of_a_run_here(place: Path, few: Path, engine: Engine) -> None:
    given = (few / "dog_bark", few / "rain", few / "rooster", "--snr-db", "20", "--steps", "2")
    here, there = place / "robust-here", place / f"robust-{engine.name}"
    if not here.exists():
        ends(start("robustness", *given, "--report", here))
    ends(start("robustness", *given, "--report", there, *engine.flags))
    rows = [pd.read_parquet(report / "robustness.parquet") for report in (there, here)]
    pd.testing.assert_frame_equal(rows[0], rows[1])


def test_an_interrupted_run_resumes(place: Path, few: Path, few_here: Path, engine: Engine) -> None:
    output = place / f"interrupted-{engine.name}"
    command = ("augment", *few_arguments(few, output), *engine.flags)
    run = start(*command)
    wait_until(lambda: amid_a_batch(output), "the first gradient step", 200)
    run.send_signal(signal.SIGINT)
    ends(run, code=130)
    assert not output.exists()
    ends(start(*command), code=3)
    assert_same_dataset(output, few_here, rerun=True)
