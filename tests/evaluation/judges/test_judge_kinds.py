"""The judge: the published graph, held to its reference outputs and to the dreaming model."""

from __future__ import annotations

import numpy as np
import pytest

from augment.sound.samples import SAMPLE_RATE
from evaluation.judges.yamnet_graph import YamnetGraph


@pytest.fixture(scope="module")
def judge():
    return YamnetGraph()


def test_judge_gives_the_reference_scores_and_embeddings(judge, shared):
    with np.load(shared / "reference" / "yamnet_reference.npz") as reference:
        for name in {key.split("/")[0] for key in reference.files}:
            found = judge.judge(reference[f"{name}/waveform"])
            np.testing.assert_allclose(found.scores, reference[f"{name}/scores"].mean(axis=0), atol=1e-4)
            np.testing.assert_allclose(found.embeddings, reference[f"{name}/embeddings"], atol=1e-4)


def test_judge_and_dreaming_model_agree_though_their_code_is_different(judge, model):
    rng = np.random.default_rng(0)
    for samples in (1_000, 15_600, 40_000):
        clip = rng.normal(0, 0.1, samples).astype(np.float32)
        np.testing.assert_allclose(judge.judge(clip).scores, model.clip_scores(clip), atol=1e-4)


@pytest.mark.parametrize(
    ("waveform", "expected"),
    [
        (np.zeros(3 * SAMPLE_RATE, np.float32), "Silence"),
        (np.random.default_rng(1).uniform(-1, 1, 3 * SAMPLE_RATE).astype(np.float32), "White noise"),
        (np.sin(2 * np.pi * 440 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32), "Sine wave"),
    ],
    ids=["zeros", "noise", "sine"],
)
def test_judge_passes_the_official_checks(judge, waveform, expected):
    scores = judge.judge(waveform).scores
    best = [judge.classes.names[index] for index in np.argsort(-scores)[:10]]
    assert expected in best[: 1 if expected == "Silence" else 10]
