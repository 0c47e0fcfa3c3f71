"""The bench: dreams that arrived are turned up or go on, and the dream of another clip is of another source."""

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
from evaluation.robustness.attacks import JUDGE, Bench, Item, Subject, Trial, shared_route
from evaluation.robustness.perturbations import PERTURBATIONS

CLASSES = ("Dog", "Rain", "Siren", "Music")
SMALL, LARGE = 40.0, 5.0


@pytest.fixture(scope="module")
def trial() -> Trial:
    columns = tuple(yamnet_classes().find(name).index for name in CLASSES)
    names = ("untargeted", "other_dream")
    return Trial(JudgeSpec(), columns, CLASSES, (("dog", 0),), (), names, (SMALL, LARGE), 4, 0)


def subject(
    name: str, source: str | None = None, rate: int = 16_000, seconds: float = 1.0, channels: int = 1
) -> Subject:
    waveform = sound(name, seconds, rate, channels).astype(np.float32)
    return Subject(Item(name, source or name, name, ("dog",), {}), Sound(waveform, rate), (0,), 1)


def test_a_dream_is_turned_up_dreamed_anew_or_goes_on_where_the_whole_budget_undoes_it(trial: Trial) -> None:
    subjects = [subject(name) for name in "abcdef"]
    bench, route = Bench(trial, subjects), shared_route(trial, JUDGE)

    def leads(each: Subject, changed: np.ndarray) -> bool:
        heard = Sound(changed.astype(np.float32), each.sound.sample_rate)
        return bool(route.leads([each], [heard], targeted=True)[0] >= route.hold)

    small = list(bench.dreams(JUDGE, SMALL, targeted=True))
    large = bench.dreams(JUDGE, LARGE, targeted=True)
    fresh = route.changes(subjects, LARGE, targeted=True)
    whole = route.changes(subjects, LARGE, targeted=True, every_step=True)
    ways = []
    for place, each in enumerate(subjects):
        before, after, new = (cast(np.ndarray, changes[place]) for changes in (small, large, fresh))
        waveform = each.sound.waveform
        if leads(each, at_snr(waveform, before, LARGE)):
            ways.append("turned up")
            expected = before
        elif leads(each, waveform + new) and not leads(each, at_snr(waveform, new, LARGE)):
            ways.append("went on")
            expected = cast(np.ndarray, whole[place])
        else:
            ways.append("anew")
            expected = new
        np.testing.assert_array_equal(after, expected)
    assert {"turned up", "went on"} <= set(ways)  # both happen among these sounds


def test_the_same_budget_again_gives_the_same_dreams_without_work_and_a_smaller_one_is_dreamed_anew(
    trial: Trial,
) -> None:
    bench = Bench(trial, [subject("a")])
    large = bench.dreams(JUDGE, LARGE, targeted=False)
    assert bench.dreams(JUDGE, LARGE, targeted=False) is large
    (small,) = bench.dreams(JUDGE, SMALL, targeted=False)
    (alone,) = shared_route(trial, JUDGE).changes(bench.subjects, SMALL, targeted=False)
    np.testing.assert_array_equal(cast(np.ndarray, small), cast(np.ndarray, alone))


def test_another_clips_dream_is_of_the_next_of_another_source_fitted_in_rate_length_and_channels(trial: Trial) -> None:
    takes = subject("one", "recording"), subject("two", "recording")
    other = subject("other", rate=44_100, seconds=0.5, channels=2)
    bench = Bench(trial, [*takes, other])
    own = [cast(np.ndarray, change) for change in PERTURBATIONS["untargeted"].change(bench, LARGE)]
    found = [cast(np.ndarray, change) for change in PERTURBATIONS["other_dream"].change(bench, LARGE)]
    fitted = soxr.resample(own[2].mean(axis=1), 44_100, 16_000)
    for change in found[:2]:  # both takes have the third's, repeated as it is half as long
        np.testing.assert_array_equal(change[:, 0], np.resize(fitted, 16_000))
    fitted = soxr.resample(own[0][:, 0], 16_000, 44_100)
    assert found[2].shape == (22_050, 2)
    for channel in found[2].T:
        np.testing.assert_array_equal(channel, fitted[:22_050])


def test_clips_of_one_source_alone_have_no_other_dream(trial: Trial) -> None:
    bench = Bench(trial, [subject("one", "recording"), subject("two", "recording")])
    assert PERTURBATIONS["other_dream"].change(bench, LARGE) == [None, None]
