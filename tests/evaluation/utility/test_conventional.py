import random
import sys

import numpy as np
import pytest
from recordings import sound

from evaluation.utility.conventional import Conventional, MissingExtraError, check_library, draw_mix, mask_spectrogram
from evaluation.utility.folds import Clip
from evaluation.utility.views import LoadedClip

CLIPS = [LoadedClip(Clip(f"{name}.wav", name, "1", name), sound(name)[:, 0].astype(np.float32)) for name in ("a", "b")]


def test_without_the_library_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dreambeam\[utility\]'") as caught:
        check_library()
    assert "\n" not in str(caught.value)


def test_the_usual_set_is_drawn_from_seed_clip_and_variant_and_from_nothing_else():
    pytest.importorskip("audiomentations", reason="needs the extra dreambeam[utility]")
    states = random.getstate(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first = Conventional(0).make(CLIPS, 0)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], states[1])  # noqa: NPY002
    random.seed(5)
    again = Conventional(0).make(CLIPS[1:], 0)
    np.testing.assert_array_equal(first[1].waveform, again[0].waveform)
    others = [Conventional(1).make(CLIPS, 0), Conventional(0).make(CLIPS, 1)]
    for other in others:
        assert not np.array_equal(first[0].waveform, other[0].waveform)
    for made, loaded in zip(first, CLIPS, strict=True):
        assert made.waveform.shape == loaded.waveform.shape
        assert np.abs(made.waveform).max() <= 1
        assert made.label == loaded.clip.label


def test_masks_set_bands_and_frames_to_the_mean_and_leave_the_rest():
    log_mel = np.random.default_rng(0).normal(size=(124, 64)).astype(np.float32)
    masked = mask_spectrogram(log_mel, 4)
    changed = masked != log_mel
    np.testing.assert_allclose(masked[changed], log_mel.mean(), rtol=1e-6)
    whole = changed.all(axis=0)[None, :] | changed.all(axis=1)[:, None]
    np.testing.assert_array_equal(changed, whole)
    assert 0 < changed.mean() < 0.6
    np.testing.assert_array_equal(masked, mask_spectrogram(log_mel, 4))


def test_a_mixture_is_at_least_half_its_own():
    drawn = [draw_mix(5, number) for number in range(500)]
    assert min(share for _, share in drawn) >= 0.5
    assert {other for other, _ in drawn} == set(range(5))
