"""The augmentation and the evaluation through Beam's job service and worker protocol, by Beam's own Prism.

Prism is not a cluster, but of the same release as our Beam, and its workers are processes of their own. It is tried
where there is a binary of it: `GOBIN=$PWD/build/flink go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from engines import prism, worker_pool
from fetch import BUILD
from runs import RECIPE, assert_same_dataset, ends, start

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def flags(place: Path, environment: dict[str, str]) -> Iterator[list[str]]:
    binary = shutil.which("prism", path=str(BUILD)) or shutil.which("prism")
    if binary is None:
        pytest.skip(f"there is no prism in {BUILD} or on the PATH; this file tells how to get it")
    with prism(binary, place) as address, worker_pool(place / "workers", environment) as pool:
        worker = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        yield ["--runner=PortableRunner", f"--job_endpoint={address}", *worker]


def test_augment_on_prism_gives_the_dataset_of_a_run_here(
    place: Path, recordings: Path, here: Path, flags: list[str]
) -> None:
    ends(start("augment", "--input", recordings, "--output", place / "on-prism", *RECIPE, *flags))
    assert_same_dataset(place / "on-prism", here)


def test_evaluate_on_prism_gives_the_rows_of_a_run_here(place: Path, here: Path, flags: list[str]) -> None:
    ends(start("evaluate", here, "--report", place / "report-prism", *flags))
    ends(start("evaluate", here, "--report", place / "report-local"))
    rows = [pd.read_parquet(place / name / "examples.parquet") for name in ("report-prism", "report-local")]
    pd.testing.assert_frame_equal(rows[0], rows[1])
