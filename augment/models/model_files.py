"""Models from files: what a SavedModel or a Keras file holds, as a function of tensors that gradients pass through.

`load_savedmodel` and `load_keras` give a `Loaded`: the shape of its one input, and a function from that input to
scores and to the layers that the file exposes. A Keras model exposes its layers by their names, a SavedModel the
outputs of its signature. What the numbers mean (`read_classes`) is not in the file and comes from a list beside it.

Both the models that are dreamed through (`augment.models.model_kinds`) and the judges of an evaluation are made of
these.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.targets.classes import AudioClass, ClassList, yamnet_classes

SCORES, LOGITS, EMBEDDINGS, LOG_MEL = "scores", "logits", "embeddings", "log_mel"

RESERVED = (SCORES, LOGITS, EMBEDDINGS, LOG_MEL)
"""Names that mean the same in every model; a Keras layer that is called so answers to ``keras/NAME``."""

BEFORE = "before the last activation"
"""Key of what the last sigmoid or softmax of a Keras model is taken of."""


class ModelError(ValueError):
    """A model cannot be used; the message is one line that says what to change."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a file holds.

    Attributes:
        path: of the file or folder.
        identity: sha256 of its files, with their names.
        shape: of its input; None is any size.
        run: (input, names) -> tensors by name; the names are out of `layers`, or `SCORES`, or `BEFORE`.
        layers: that it exposes beside its scores.
        ends_with: the activation that `BEFORE` is before, "sigmoid" or "softmax"; None if that is not known.
    """

    path: str
    identity: str
    shape: tuple[int | None, ...]
    run: Callable[[Any, Collection[str]], dict[str, Any]]
    layers: tuple[str, ...] = ()
    ends_with: str | None = None


FILE_KINDS = ("savedmodel", "keras", "head")


def file_kind(path: str | os.PathLike[str]) -> str | None:
    """Return what a path is: savedmodel, keras or head (`augment.models.heads.Head`); None if it is none of them."""
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return "savedmodel"
    endings = {".npz": "head", ".keras": "keras", ".h5": "keras", ".hdf5": "keras"}
    return endings.get(path.suffix) if path.is_file() else None


def load_savedmodel(path: str, count: int) -> Loaded:
    """Load a SavedModel by its serving signature: one input, and one output that is as wide as the class list.

    Args:
        path: of the folder.
        count: of the classes.

    Raises:
        ModelError: it is not such a model.
    """
    import tensorflow as tf

    try:
        model: Any = tf.saved_model.load(path)
    except Exception as error:  # TensorFlow raises whatever its loaders do
        raise ModelError(f"model {path!r} is not a readable SavedModel: {first_line(error)}") from error
    signatures = dict(model.signatures)
    call = signatures.get("serving_default") or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if call is None:
        raise ModelError(f"model {path!r} has no serving signature: export it with one (model.export)")
    inputs = call.structured_input_signature[1]
    if len(inputs) != 1:
        raise ModelError(f"model {path!r} takes {len(inputs)} inputs ({', '.join(inputs)}); expected one")
    ((argument, tensor),) = inputs.items()
    output = _output(path, call.structured_outputs, count)
    others = tuple(name for name in call.structured_outputs if name != output and name not in RESERVED)

    def run(given: Any, names: Collection[str]) -> dict[str, Any]:
        found = call(**{argument: given})
        found[SCORES], found[_MODEL] = found[output], model  # the model must live as long as its signature is called
        return {name: found[name] for name in names}

    files = [each for each in sorted(Path(path).rglob("*")) if each.is_file()]
    return Loaded(path, files_digest(files), _shape(tensor.shape), run, others)


_MODEL = "the model itself"


def load_keras(path: str) -> Loaded:
    """Load a Keras model; one that holds code of its own (a Lambda) is refused by Keras.

    Raises:
        ModelError: it is not such a model.
    """
    import keras

    try:
        model: Any = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its layers do
        raise ModelError(f"model {path!r} is not a readable Keras model: {first_line(error)}") from error
    return from_keras(model, path, files_digest([Path(path)]))


def from_keras(model: Any, path: str, identity: str) -> Loaded:
    """Take a Keras model that is in memory.

    Args:
        model: Functional, Sequential or subclassed; it runs as in inference.
        path: its name, for messages.
        identity: as of `Loaded`.

    Raises:
        ModelError: it does not take one input of a known shape.
    """
    import keras

    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or (shape and isinstance(shape[0], (tuple, list))):
        raise ModelError(f"model {path!r} has the input shapes {shape}; expected one input of a known shape")
    tensors = _keras_layers(model)
    last, kernel, ends_with = _last_activation(model)
    if last is not None:
        tensors[BEFORE] = last
    parts: dict[frozenset[str], Any] = {}

    def run(given: Any, names: Collection[str]) -> dict[str, Any]:
        wanted = frozenset(names) - {SCORES}
        found = {SCORES: model(given, training=False)} if SCORES in names else {}
        if wanted:
            if wanted not in parts:
                parts[wanted] = keras.Model(model.inputs[0], {name: tensors[name] for name in wanted})
            found.update(parts[wanted](given, training=False))
        if BEFORE in found and kernel is not None:
            found[BEFORE] = kernel(found[BEFORE])
        return {name: found[name] for name in names}

    layers = tuple(name for name in tensors if name != BEFORE)
    return Loaded(path, identity, shape, run, layers, ends_with)


def read_classes(path: str | os.PathLike[str]) -> ClassList:
    """Read a model's class list: a CSV with index, mid and display_name, or a name in each line.

    Raises:
        ModelError: it cannot be read, is empty, or names a class twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if "display_name" in text.split("\n", 1)[0]:
            return ClassList.from_csv(Path(path))
        return named_classes([line.strip() for line in text.splitlines() if line.strip()])
    except (OSError, ValueError) as error:
        raise ModelError(f"class list {os.fspath(path)!r}: {' '.join(str(error).split())}") from error


def named_classes(names: Sequence[str]) -> ClassList:
    """Make a class list of names; YAMNet's own names bring their MIDs.

    Raises:
        ModelError: there are none, or one comes twice.
    """
    if not names:
        raise ModelError("it names no class")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelError(f"it names {name!r} twice")
        seen.add(name)
    mids = {item.name: item.mid for item in yamnet_classes()}
    return ClassList(tuple(AudioClass(index, mids.get(name, ""), name) for index, name in enumerate(names)))


def told_classes(run: Mapping[str, Any]) -> ClassList:
    """Return the classes of the model that a dataset was dreamed through, by its run.json, or YAMNet's."""
    listed = run.get("model_classes")
    if not isinstance(listed, list):
        return yamnet_classes()
    return ClassList(tuple(AudioClass(index, each["mid"], each["name"]) for index, each in enumerate(listed)))


def digest(*texts: str) -> str:
    """Return the sha256 of texts, in order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def first_line(error: BaseException) -> str:
    """Return an error's kind and the first line of what it says, for a message of one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{': ' + lines[0][:200] if lines else ''}"


def _output(path: str, outputs: Any, count: int) -> str:
    """Choose the output that holds the scores: the only one, or the only one as wide as the class list."""
    shapes = {name: _shape(tensor.shape) for name, tensor in outputs.items()}
    fitting = list(shapes) if len(shapes) == 1 else [name for name, s in shapes.items() if s and s[-1] == count]
    if len(fitting) != 1:
        said = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ModelError(f"model {path!r} gives {said}; expected one output of {count} scores, as in its class list")
    return fitting[0]


def _keras_layers(model: Any) -> dict[str, Any]:
    """Return the outputs of the layers that are called once and give one tensor with a batch axis and more."""
    found: dict[str, Any] = {}
    for layer in getattr(model, "layers", ()):
        nodes = getattr(layer, "_inbound_nodes", ())
        if len(nodes) != 1 or not getattr(nodes[0], "input_tensors", ()):  # not an input, and called just once
            continue
        outputs = nodes[0].output_tensors
        if len(outputs) == 1 and len(outputs[0].shape) > 1:
            found[f"keras/{layer.name}" if layer.name in RESERVED else layer.name] = outputs[0]
    return found


def _last_activation(model: Any) -> tuple[Any, Callable[[Any], Any] | None, str | None]:
    """Return what the model's last layer is given, what it does before its activation (None: nothing), and its name."""
    import keras
    import tensorflow as tf

    history = getattr((getattr(model, "outputs", None) or [None])[0], "_keras_history", None)
    layer = getattr(history, "operation", None)
    nodes = getattr(layer, "_inbound_nodes", ())
    names = {keras.activations.sigmoid: "sigmoid", keras.activations.softmax: "softmax"}
    ends_with = names.get(getattr(layer, "activation", None))
    if isinstance(layer, keras.layers.Softmax) and layer.axis == -1:
        ends_with = "softmax"
    if ends_with is None or len(nodes) != 1 or len(nodes[0].input_tensors) != 1 or len(model.outputs[0].shape) != 2:
        return None, None, None
    given = nodes[0].input_tensors[0]
    if isinstance(layer, (keras.layers.Activation, keras.layers.Softmax)):
        return given, None, ends_with
    if not isinstance(layer, keras.layers.Dense):
        return None, None, None

    def before(values: Any) -> Any:
        product = tf.matmul(values, tf.convert_to_tensor(layer.kernel))
        return product if layer.bias is None else product + tf.convert_to_tensor(layer.bias)

    return given, before, ends_with


def _shape(shape: Any) -> tuple[int | None, ...]:
    return () if shape.rank is None else tuple(shape.as_list())


def files_digest(files: Sequence[Path]) -> str:
    """Return the sha256 of files with their names, in order."""
    found = hashlib.sha256()
    for path in files:
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()
