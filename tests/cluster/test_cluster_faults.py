"""Whatever dies amid a run: the dataset is the same, byte by byte, or there is none and a rerun makes it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from cluster_runs import assert_same_dataset, ends, start
from conftest import few_arguments
from engines import Engine, amid_a_batch, python_workers, wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture
def fragile(engine: Engine) -> Engine:
    """An engine that repeats what was lost; Prism gives up."""
    if engine.name == "prism":
        pytest.skip("Prism does not repeat a bundle whose worker died")
    return engine


@pytest.mark.parametrize("victim", ["worker", "host"])
def test_what_is_killed_amid_a_batch_costs_no_clip(
    place: Path, few: Path, few_here: Path, fragile: Engine, victim: str
) -> None:
    output = place / f"{victim}-killed-{fragile.name}"
    run = start("augment", *few_arguments(few, output), *fragile.flags)
    wait_until(lambda: amid_a_batch(output), "the first gradient step", 200)
    before = set(python_workers(fragile.hosts()))
    os.kill(fragile.busiest_worker() if victim == "worker" else fragile.busiest_host(), signal.SIGKILL)
    wait_until(lambda: bool(set(python_workers(fragile.hosts())) - before), "a worker in its place", 120)
    ends(run, code=3)
    assert_same_dataset(output, few_here)
    fragile.replace_host()


def test_a_job_that_is_killed_leaves_nothing_and_the_same_command_ends_it(
    place: Path, few: Path, few_here: Path, fragile: Engine
) -> None:
    output = place / f"job-killed-{fragile.name}"
    command = ("augment", *few_arguments(few, output), *fragile.flags)
    run = start(*command)
    wait_until(lambda: amid_a_batch(output), "the first gradient step", 200)
    fragile.kill_job()
    ends(run, code=1)
    assert not output.exists()
    ends(start(*command), code=3)
    assert_same_dataset(output, few_here, rerun=True)
