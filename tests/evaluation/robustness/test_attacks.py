"""Attacks: arrived dreams are scaled up or take every step; another clip's dream is from another source."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import soxr
from recordings import sound

from augment.ascent.dreaming import Sound
from augment.sound.distance import at_snr
from augment.targets.classes import yamnet_classes
from evaluation.judges.judge import JudgeSpec
from evaluation.robustness.attacks import JUDGE, AttackBatch, shared_attack_model
from evaluation.robustness.perturbations import PERTURBATIONS
from evaluation.robustness.robustness_plan import AttackedClip, Item, RobustnessPlan

CLASSES = ("Dog", "Rain", "Siren", "Music")
SMALL, LARGE = 40.0, 5.0


@pytest.fixture(scope="module")
def plan() -> RobustnessPlan:
    columns = tuple(yamnet_classes().find(name).index for name in CLASSES)
    names = ("untargeted", "other_dream")
    return RobustnessPlan(JudgeSpec(), columns, CLASSES, (("dog", 0),), (), names, (SMALL, LARGE), 4, 0)


def clip(
    name: str, source: str | None = None, rate: int = 16_000, seconds: float = 1.0, channels: int = 1
) -> AttackedClip:
    waveform = sound(name, seconds, rate, channels).astype(np.float32)
    return AttackedClip(Item(name, source or name, name, ("dog",), {}), Sound(waveform, rate), (0,), 1)


def test_a_dream_is_scaled_up_dreamed_again_or_takes_every_step_where_scaling_loses_its_lead(
    plan: RobustnessPlan,
) -> None:
    clips = [clip(name) for name in "abcdef"]
    batch, model = AttackBatch(plan, clips), shared_attack_model(plan, JUDGE)

    def leads(each: AttackedClip, changed: np.ndarray) -> bool:
        model_input = Sound(changed.astype(np.float32), each.sound.sample_rate)
        return bool(model.leads([each], [model_input], targeted=True)[0] >= model.hold)

    small = list(batch.dreams(JUDGE, SMALL, targeted=True))
    large = batch.dreams(JUDGE, LARGE, targeted=True)
    fresh = model.changes(clips, LARGE, targeted=True)
    whole = model.changes(clips, LARGE, targeted=True, every_step=True)
    ways = []
    for place, each in enumerate(clips):
        before, after, new = (cast(np.ndarray, changes[place]) for changes in (small, large, fresh))
        waveform = each.sound.waveform
        if leads(each, at_snr(waveform, before, LARGE)):
            ways.append("scaled up")
            expected = before
        elif leads(each, waveform + new) and not leads(each, at_snr(waveform, new, LARGE)):
            ways.append("every step")
            expected = cast(np.ndarray, whole[place])
        else:
            ways.append("again")
            expected = new
        np.testing.assert_array_equal(after, expected)
    assert {"scaled up", "every step"} <= set(ways)  # both happen among these sounds


def test_the_same_budget_again_gives_the_same_dreams_without_work_and_a_smaller_one_is_dreamed_again(
    plan: RobustnessPlan,
) -> None:
    batch = AttackBatch(plan, [clip("a")])
    large = batch.dreams(JUDGE, LARGE, targeted=False)
    assert batch.dreams(JUDGE, LARGE, targeted=False) is large
    (small,) = batch.dreams(JUDGE, SMALL, targeted=False)
    (alone,) = shared_attack_model(plan, JUDGE).changes(batch.clips, SMALL, targeted=False)
    np.testing.assert_array_equal(cast(np.ndarray, small), cast(np.ndarray, alone))


def test_another_clips_dream_is_of_the_next_of_another_source_fitted_in_rate_length_and_channels(
    plan: RobustnessPlan,
) -> None:
    takes = clip("one", "recording"), clip("two", "recording")
    other = clip("other", rate=44_100, seconds=0.5, channels=2)
    batch = AttackBatch(plan, [*takes, other])
    own = [cast(np.ndarray, change) for change in PERTURBATIONS["untargeted"].change(batch, LARGE)]
    found = [cast(np.ndarray, change) for change in PERTURBATIONS["other_dream"].change(batch, LARGE)]
    fitted = soxr.resample(own[2].mean(axis=1), 44_100, 16_000)
    for change in found[:2]:  # both takes have the third's, repeated as it is half as long
        np.testing.assert_array_equal(change[:, 0], np.resize(fitted, 16_000))
    fitted = soxr.resample(own[0][:, 0], 16_000, 44_100)
    assert found[2].shape == (22_050, 2)
    for channel in found[2].T:
        np.testing.assert_array_equal(channel, fitted[:22_050])


def test_clips_of_one_source_alone_have_no_other_dream(plan: RobustnessPlan) -> None:
    batch = AttackBatch(plan, [clip("one", "recording"), clip("two", "recording")])
    assert PERTURBATIONS["other_dream"].change(batch, LARGE) == [None, None]
