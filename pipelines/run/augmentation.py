"""One run of the augmentation: from inputs to a published dataset."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import itertools
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from augment.determinism.arithmetic import arithmetic, warn_if_slower
from pipelines.clips.listing import SourceError
from pipelines.config.run_config import RunConfig
from pipelines.dataset.output import check_output, resolve_output, unfinished
from pipelines.dataset.records import Labelling
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import Scratch
from pipelines.dataset.versions import processor, versions
from pipelines.progress import wait_for
from pipelines.run import counters, publish
from pipelines.run.graph import build
from pipelines.run.listing_file import write_listing
from pipelines.run.staging import collect, shared_scratch, stage_weights
from pipelines.sources.inputs import class_list, list_inputs, place
from pipelines.worker.dreamers import load_sound, shared_dreamer
from pipelines.worker.resume import index_finished
from pipelines.worker.run_model import shared_model, specs_of
from pipelines.worker.target_choice import label_classes, target_classes

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""Beam's in-process runner by its full name: "DirectRunner" tries to download another one first."""

THREADS = "TF_NUM_INTRAOP_THREADS"
"""Environment variable for the threads that a TensorFlow operation may use."""

_log = logging.getLogger("dreambeam")


def augment_dataset(
    inputs: Sequence[str],
    output: str | os.PathLike[str],
    config: RunConfig,
    *,
    beam_args: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = True,
    scratch_place: str | None = None,
    watch: Callable[[Scratch, dict[str, int]], Any] | None = None,
) -> dict[str, Any]:
    """Dream audio files into a dataset; return run.json's content.

    Args:
        inputs: files, folders, globs and other sources (`pipelines.sources.inputs`).
        output: folder of the dataset; made at the end, whole.
        config: of the run.
        beam_args: Beam's own options, such as ``--direct_num_workers=2 --direct_running_mode=multi_processing``.
        overwrite: replace an existing dataset.
        resume: reuse the finished records of an earlier run into the same output that was stopped.
        scratch_place: folder or bucket that all workers see, for unfinished work; None: a folder beside the output.
            Nothing is resumed from there.
        watch: a context manager that is entered while the pipeline runs, given the scratch folder (whose progress
            folder holds the workers' counts) and the number of files and of failures already known.

    Raises:
        SourceError: nothing can be read there.
        OutputError: the output cannot be used, or is not local.
        ConfigError: a target class is unknown, or a target sound cannot be read.
        ModelError: a model cannot be used.
        WeightsError: there are no weights.
        DiskFullError: there is no space left for the output.
    """
    started, clock = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    target = resolve_output(output, [place(given) for given in inputs])
    check_output(target, overwrite=overwrite)
    listing = list_inputs(inputs, config.source)
    classes_given = class_list(config.source)
    vocabulary = Vocabulary(classes_given or listing.classes, (), listing.groups)
    first = next(listing.items, None)
    if first is None:
        which = f" in the splits {', '.join(config.source.splits)}" if config.source.splits else ""
        raise SourceError(f"there are no sounds{which} in {', '.join(inputs)}")
    warn_if_slower()
    model = shared_model(config.weights, specs_of(config.model))
    classes = target_classes(config, model)  # errors of the whole run come before it starts
    label_classes(config, (), model)
    chosen = [index for each in classes.values() for index in each] if all(classes.values()) else ()
    targets = [model.classes[index].name for index in dict.fromkeys(chosen)] or model.classes.names
    more_labels = Labelling(config.target.label_policy).possible(targets)
    for recipe in config.named_recipes().values():
        shared_dreamer(model, recipe, load_sound(recipe.sound, model.sample_rate) if recipe.sound else None)
    with (
        unfinished(target, overwrite=overwrite, resume=resume) as scratch,
        _full_disk(target),
        shared_scratch(scratch, scratch_place) as work,
    ):
        index_finished(scratch)
        staged = None if is_local(beam_args) or specs_of(config.model) else stage_weights(config.weights, work)
        path = f"{work.root}/listing.jsonl"
        listed = write_listing(path, itertools.chain([first], listing.items))
        for note in listing.notes.lines:
            _log.info(note)
        ready = time.monotonic()
        with (watch or _unwatched)(work, listed), _quiet_beam(), shared_cores(beam_args):
            pipeline = beam.Pipeline(options=pipeline_options(beam_args))
            resolved = config.with_classes(classes)  # workers need no ontology
            build(pipeline, path, resolved, work, more_labels, vocabulary, staged)
            result = pipeline.run()
            wait_for(result)
        collect(work, scratch)
        done = time.monotonic()
        run = {
            "started": started.isoformat(timespec="seconds"),
            "seconds": {"start_up": round(ready - clock, 3), "pipeline": round(done - ready, 3)},
            "command": sys.argv,
            "inputs": list(inputs),
            "files": listed["files"],
            "table_labels": len(listing.notes.labels) if listing.notes.tables else None,
            "skipped": listing.skipped.summary(),
            "beam_args": list(beam_args),
            "host": platform.node(),
            "cpus": os.cpu_count(),
            "processor": processor(),
            "arithmetic": dataclasses.asdict(arithmetic()),
            "metrics": counters.read(result) or counters.of_workers(work.progress, scratch.manifest),
            "versions": {**versions(), "apache-beam": beam.__version__, "python": platform.python_version()},
        }
        return publish.publish(scratch, target, config, model, run)


def pipeline_options(beam_args: Sequence[str]) -> PipelineOptions:
    """Read Beam's options; without a runner among them the pipeline runs here, in-process."""
    options = PipelineOptions(list(beam_args))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = LOCAL_RUNNER
    return options


def is_local(beam_args: Sequence[str]) -> bool:
    """Return whether the pipeline runs on this machine, where its progress can be watched."""
    return pipeline_options(beam_args).view_as(StandardOptions).runner == LOCAL_RUNNER


@contextmanager
def shared_cores(beam_args: Sequence[str]) -> Iterator[None]:
    """Let the worker processes of a local run share the cores: together their threads fill them.

    TensorFlow would start a thread for each core in every process. A value in the environment stays.
    """
    options = pipeline_options(beam_args).view_as(DirectOptions)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = options.direct_num_workers or cores
    if options.direct_running_mode != "multi_processing" or THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = str(max(1, cores // workers))  # processes that are started now inherit it
    try:
        yield
    finally:
        del os.environ[THREADS]


@contextmanager
def _unwatched(scratch: Scratch, listed: dict[str, int]) -> Iterator[None]:
    del scratch, listed
    yield


class DiskFullError(RuntimeError):
    """There is no space left for the output; the message is one line that says what to do."""


@contextmanager
def _full_disk(output: Path) -> Iterator[None]:
    """Turn the error of a full disk into one line, whatever Beam adds to it."""
    try:
        yield
    except Exception as error:
        if f"[Errno {errno.ENOSPC}]" not in str(error) and getattr(error, "errno", None) != errno.ENOSPC:
            raise
        raise DiskFullError(
            f"no space is left in {output.parent}: free some, then run the same command again"
        ) from error


@contextmanager
def _quiet_beam() -> Iterator[None]:
    """Hide Beam's messages, except for warnings."""
    root = logging.getLogger("apache_beam")
    level = root.level
    root.setLevel(logging.WARNING if not _log.isEnabledFor(logging.DEBUG) else logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
