"""The augmentation and the evaluation on a real Flink cluster: the same records as here, whatever is killed.

A JobManager, two TaskManagers and the Python workers that these start are processes of their own on this machine. The
workers know dreambeam from its wheel alone, run in another folder, and have an empty cache. `make test-flink` runs
these tests.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from engines import Flink, flink_cluster, wait_until
from fetch import MissingError, fetch
from runs import RECIPE, assert_same_dataset, ends, start

from pipelines import progress

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def jars() -> dict[str, str]:
    try:
        return fetch()
    except MissingError as error:
        pytest.skip(f"no Flink here: {error}")


@pytest.fixture(scope="module")
def cluster(place: Path, jars: dict[str, str]) -> Iterator[Flink]:
    with flink_cluster(Path(jars["lib"]), place / "flink") as running:
        yield running


@pytest.fixture(scope="module")
def worker(place: Path, environment: dict[str, str]) -> str:
    """How a TaskManager starts a worker: each its own, as workers of a pool that two share would get the same names."""
    boot = place / "boot.sh"
    boot.write_text(f'#!/bin/sh\ncd {place}/workers\nexec {sys.executable} {Path(__file__).parent}/boot.py "$@"\n')
    boot.chmod(0o755)
    return json.dumps({"command": str(boot), "env": environment | {"TF_CPP_MIN_LOG_LEVEL": "2"}})


@pytest.fixture
def flags(cluster: Flink, worker: str, jars: dict[str, str]) -> list[str]:
    return [
        *("--runner=FlinkRunner", f"--flink_master={cluster.address}", "--flink_submit_uber_jar"),
        *(f"--flink_job_server_jar={jars['jar']}", "--parallelism=2"),
        *("--environment_type=PROCESS", f"--environment_config={worker}"),
    ]


def test_augment_on_flink_gives_the_dataset_of_a_run_here(
    place: Path, recordings: Path, here: Path, flags: list[str], cluster: Flink
) -> None:
    ends(start("augment", "--input", recordings, "--output", place / "on-flink", *RECIPE, *flags))
    assert_same_dataset(place / "on-flink", here)
    told = json.loads((place / "on-flink/run.json").read_text())["metrics"]
    assert {"clips_read", "dreamed", "gradient_steps", "batch_fill"} <= set(told)
    shown = cluster.accumulators()
    assert [name for name in told if name not in shown] == []
    assert not list((place / "workers/cache").iterdir())  # the weights came with the run


def test_evaluate_on_flink_gives_the_figures_of_a_run_here(place: Path, here: Path, flags: list[str]) -> None:
    ends(start("evaluate", here, "--report", place / "report-flink", *flags))
    ends(start("evaluate", here, "--report", place / "report-here"))
    rows = [pd.read_parquet(place / name / "examples.parquet") for name in ("report-flink", "report-here")]
    pd.testing.assert_frame_equal(rows[0], rows[1])
    found = [json.loads((place / name / "metrics.json").read_text()) for name in ("report-flink", "report-here")]
    assert found[0]["success"] == found[1]["success"]
    assert found[0]["fad"] == pytest.approx(found[1]["fad"], rel=1e-6)


def amid_a_batch(output: Path) -> bool:
    """Tell whether gradient steps were taken of dreams that are not finished."""
    counts = progress.total(f"{output}.incomplete/progress")
    return counts["step_seconds"] > 0 and not counts["dreams"]


def test_a_worker_that_is_killed_amid_a_batch_costs_no_clip(
    place: Path, recordings: Path, here: Path, flags: list[str], cluster: Flink
) -> None:
    output = place / "worker-killed"
    run = start("augment", "--input", recordings, "--output", output, *RECIPE, *flags)
    wait_until(lambda: amid_a_batch(output), "the first gradient step", 120)
    os.kill(cluster.busiest()[1], signal.SIGKILL)
    ends(run)
    assert cluster.attempts() > 1
    assert_same_dataset(output, here)


def test_a_task_manager_that_is_killed_amid_a_batch_costs_no_clip(
    place: Path, recordings: Path, here: Path, flags: list[str], cluster: Flink
) -> None:
    output = place / "task-manager-killed"
    run = start("augment", "--input", recordings, "--output", output, *RECIPE, *flags)
    wait_until(lambda: amid_a_batch(output), "the first gradient step", 120)
    cluster.busiest()[0].kill()
    ends(run)
    assert cluster.attempts() > 1
    assert_same_dataset(output, here)
    cluster.add_task_manager()  # in its place
