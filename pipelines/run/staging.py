"""Staging: what the workers of a cluster get from the machine that starts a run, and what that machine gets back.

Weights go into one file beside the unfinished work, where all workers see them: they are fetched once for a run, and a
worker that finds other weights stops. Where the workers do not see the output's own folder, the unfinished work is in
another place (`shared_scratch`), from which `collect` brings the finished parts.

Conventions: places are local paths, or URIs that Beam's FileSystems opens.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from apache_beam.io.filesystems import FileSystems

from augment.models import weights
from augment.models.weights import WeightsError
from augment.models.yamnet import DreamingModel
from pipelines.dataset.output import OutputError
from pipelines.dataset.scratch import Scratch
from pipelines.files.locations import local_path, locate

_RAW = "uncompressed"


@dataclass(frozen=True)
class StagedWeights:
    """YAMNet's weights for the workers of a run."""

    uri: str  # of the file
    identity: str  # sha256 over the variables, which they must have


def stage_weights(source: str | None, scratch: Scratch) -> StagedWeights:
    """Put the weights (a path or handle, None for the usual places) where all workers see them.

    Raises `WeightsError`.
    """
    variables = weights.load_variables(weights.resolve_weights(source))
    packed = io.BytesIO()
    np.savez(packed, **variables)  # type: ignore[arg-type]
    uri = f"{scratch.root}/weights.npz"
    with FileSystems.create(uri, compression_type=_RAW) as out:
        out.write(packed.getvalue())
    return StagedWeights(uri, weights.identity(variables))


_loading = threading.Lock()


def staged_model(staged: StagedWeights) -> DreamingModel:
    """Load the dreaming model from staged weights, once for the whole process.

    Raises `WeightsError` if they have changed.
    """
    with _loading:
        return _load(staged)


@functools.lru_cache(maxsize=1)
def _load(staged: StagedWeights) -> DreamingModel:
    with FileSystems.open(staged.uri, compression_type=_RAW) as file:
        packed = io.BytesIO(file.read())
    with np.load(packed) as stored:
        variables = dict(stored)
    found = weights.identity(variables)
    if found != staged.identity:
        raise WeightsError(
            f"{staged.uri} holds weights with the identity {found}, but the run began with {staged.identity}: "
            "something wrote to the scratch folder; start the run again"
        )
    return DreamingModel(variables)


@contextlib.contextmanager
def shared_scratch(scratch: Scratch, place: str | None) -> Iterator[Scratch]:
    """Give the scratch folder that the workers use.

    `place` is a folder or bucket that all workers see, where a folder of the run is made and removed in the end; None
    if they see the run's own. Raises `OutputError` if nothing can be written there.
    """
    if place is None:
        yield scratch
        return
    work = Scratch(f"{locate(place)}/dreambeam-{uuid.uuid4().hex}")
    try:
        for folder in (work.root, work.spill, work.parts, work.progress):
            if local_path(folder) is not None:
                FileSystems.mkdirs(folder)  # object stores have no folders
        with FileSystems.create(f"{work.root}/.dreambeam", compression_type=_RAW) as marker:
            marker.write(b"")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"--scratch {place}: nothing can be written there ({' '.join(str(error).split())})"
        ) from error
    try:
        yield work
    finally:
        own = local_path(work.root)
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
        else:
            with contextlib.suppress(Exception):  # the run's own error, if there is one, is what counts
                FileSystems.delete([f"{work.root}/"])


def collect(work: Scratch, scratch: Scratch) -> None:
    """Bring the finished parts of a pipeline, and its manifest, from the workers' scratch folder to the run's own."""
    if work == scratch:
        return
    with FileSystems.open(work.manifest, compression_type=_RAW) as file:
        manifest = json.loads(file.read())
    for shard in manifest["shards"]:
        for key in ("path", "table"):
            shard[key] = _bring(shard[key], scratch)
    if manifest["failures"]:
        manifest["failures"]["path"] = _bring(manifest["failures"]["path"], scratch)
    with open(scratch.manifest, "w", encoding="utf-8") as out:
        json.dump(manifest, out)


def _bring(path: str, scratch: Scratch) -> str:
    own = f"{scratch.parts}/{path.rpartition('/')[2]}"
    with FileSystems.open(path, compression_type=_RAW) as source, open(own, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return own
