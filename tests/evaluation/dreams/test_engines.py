"""Pipelines for engines that are not here: options parse, graphs translate, functions pickle, nothing local leaks."""

from __future__ import annotations

import base64
import bz2
import os
import re
import shlex
import sys
import zlib
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.portable_runner import PortableRunner
from paths import REPOSITORY

import evaluation.dreams.evaluation_graph
from augment.models.weights import OFFICIAL_IDENTITY
from augment.targets.classes import yamnet_classes
from evaluation.dreams.dream_evaluator import EvaluationPlan
from evaluation.dreams.dream_rows import RowContext
from evaluation.judges.class_map import map_classes
from evaluation.judges.judge import JudgeSpec
from pipelines.cli.beam_flags import beam_arguments
from pipelines.cli.runs.evaluate_run import read_source
from pipelines.config.run_config import ConfigError, load_config
from pipelines.dataset.reader import Dataset, open_dataset
from pipelines.dataset.scratch import Scratch
from pipelines.run.augmentation import is_local, pipeline_options
from pipelines.run.graph import build
from pipelines.run.staging import StagedWeights

ROOT = REPOSITORY
PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(command, comments=True)
    for block in BLOCKS
    for command in block.replace("\\\n", " ").splitlines()
    if command.startswith("dreambeam ") and "--runner" in command
]


def beam_flags(command: list[str]) -> list[str]:
    """Return what a documented command hands to Beam."""
    first = next(i for i, word in enumerate(command) if word.startswith("--runner"))
    return command[first:]


def graph(flags: list[str], place: str = "gs://bucket/scratch") -> beam_runner_api_pb2.Pipeline:
    """Translate the augmentation, as a run with these flags would."""
    pipeline = beam.Pipeline(options=pipeline_options(flags))
    scratch = Scratch(place)
    staged = StagedWeights(f"{place}/weights.npz", OFFICIAL_IDENTITY)
    build(pipeline, f"{place}/listing.jsonl", load_config(None, []), scratch, staged=staged)
    pool = ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"]
    environment = PortableRunner().default_environment(pipeline_options(pool))
    return pipeline.to_runner_api(default_environment=environment)


def test_documented_commands_name_each_engine() -> None:
    runners = {word.split("=")[1] for command in COMMANDS for word in command if word.startswith("--runner=")}
    assert runners >= {"FlinkRunner", "PortableRunner", "SparkRunner", "DataflowRunner"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]) + str(len(command)))
def test_the_flags_of_a_documented_command_are_ones_that_beam_knows(command: list[str]) -> None:
    flags = beam_arguments(beam_flags(command))
    assert not is_local(flags)
    assert pipeline_options(flags).get_all_options(drop_default=True)


@pytest.mark.parametrize("command", [each for each in COMMANDS if each[1] == "augment"], ids=lambda c: str(len(c)))
def test_the_graph_translates_for_a_documented_command(command: list[str]) -> None:
    proto = graph(beam_flags(command))
    again = beam_runner_api_pb2.Pipeline.FromString(proto.SerializeToString())
    primitives = {
        transform.spec.urn
        for transform in again.components.transforms.values()
        if not transform.subtransforms and set(transform.outputs.values()) - set(transform.inputs.values())
    }
    assert primitives <= {
        common_urns.primitives.IMPULSE.urn,
        common_urns.primitives.PAR_DO.urn,
        common_urns.primitives.FLATTEN.urn,
        common_urns.primitives.GROUP_BY_KEY.urn,
        common_urns.combine_components.COMBINE_GROUPED_VALUES.urn,
    }


def functions(proto: beam_runner_api_pb2.Pipeline) -> list[bytes]:
    """Return the pickled functions of a graph."""
    payloads = [
        beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
        for transform in proto.components.transforms.values()
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn
    ]
    return [each.do_fn.payload for each in payloads if each.do_fn.urn == python_urns.PICKLED_DOFN_INFO]


def evaluation_graph(published: Path) -> beam_runner_api_pb2.Pipeline:
    dataset, classes = open_dataset(str(published / "out")), yamnet_classes()
    elsewhere = Dataset(Path("/shared/out"))
    vars(elsewhere)["shards"] = ("/shared/out/train.tfrecord",)
    context = RowContext(classes, map_classes(classes, dataset.labels, {}, dict(dataset.label_classes)), None)
    pipeline = beam.Pipeline(options=pipeline_options(["--runner=PortableRunner"]))
    evaluation.dreams.evaluation_graph.build(
        pipeline, EvaluationPlan(elsewhere, JudgeSpec(), None, context), read_source, "/shared/parts"
    )
    return pipeline.to_runner_api()


def assert_nothing_local(proto: beam_runner_api_pb2.Pipeline) -> None:
    """Hold a graph, and all that is pickled in it, to name no folder of this machine but those of its packages."""
    found = [proto.SerializeToString()]
    for payload in functions(proto):
        data = base64.b64decode(payload)
        found.append(zlib.decompress(data) if data[:1] == b"x" else bz2.decompress(data))
    for part in found:
        own = part.replace(sys.prefix.encode(), b"").replace(sys.base_prefix.encode(), b"")  # Beam's and Python's code
        for local in {str(ROOT), os.getcwd(), f"{Path.home()}/", "/tmp/"}:
            assert local.encode() not in own, (local, own[max(0, own.find(local.encode()) - 200) :][:400])


def test_no_path_of_this_machine_is_in_the_graph_of_augment() -> None:
    assert_nothing_local(graph(["--runner=PortableRunner"]))


def test_no_path_of_this_machine_is_in_the_graph_of_evaluate(published: Path) -> None:
    assert_nothing_local(evaluation_graph(published))


def test_functions_and_what_they_hold_survive_pickling(published: Path) -> None:
    pickled = [*functions(graph(["--runner=PortableRunner"])), *functions(evaluation_graph(published))]
    assert len(pickled) > 25
    for payload in pickled:
        assert pickler.loads(payload)


def test_options_of_java_job_servers_are_handed_on_and_misspelt_ones_are_not() -> None:
    flags = ["--runner=FlinkRunner", "--number_of_execution_retries=3", "--execution_mode_for_batch=BATCH"]
    assert beam_arguments(flags) == flags
    with pytest.raises(ConfigError, match=r"did you mean --number_of_execution_retries\?"):
        beam_arguments(["--number_of_execution_retry=3"])


def test_the_container_has_the_beam_that_is_pinned_and_all_that_it_copies() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (beam_pin,) = re.findall(r"^apache-beam==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.findall(r"^FROM apache/beam_python3\.\d+_sdk:(\S+)$", text, re.MULTILINE) == [beam_pin]
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in let_in
