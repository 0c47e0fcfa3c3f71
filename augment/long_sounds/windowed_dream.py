"""Dreams of sounds that do not fit into memory: window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from augment.ascent.dreaming import Sound, dream_piece
from augment.ascent.loop import Dreamer, OnStep
from augment.long_sounds.windows import OverlapAdd, Tiling, cut
from augment.targets.policies import Aim


def dream_windows(
    dreamer: Dreamer,
    aim: Aim,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    tiling: Tiling,
    on_step: OnStep | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Dream a stream window by window.

    Args:
        dreamer: the ascent; its recipe starts from the clip.
        aim: of all windows.
        blocks: float32 [any, channels], the sound from its beginning (`cut`).
        sample_rate: Hz, of the sound.
        tiling: where the windows lie.
        on_step: called after each step of each window.

    Yields:
        For each window, what is finished with it: the sound's next frames and what became of them, both float32
        [finished, channels]; and the steps that the window took. Each window keeps to the recipe's limits; a dream that
        takes the sound's place may peak above full scale.
    """
    model, done = dreamer.model, 0
    joined = OverlapAdd(tiling, adds=dreamer.transform.adds)
    for start, window in zip(tiling.starts, cut(blocks, tiling, sample_rate, model.sample_rate), strict=True):
        sound = Sound(window.waveform, sample_rate, model.sample_rate, window.model_input)
        dream, steps = dream_piece(dreamer, sound, aim, window.offset, on_step)
        finished = joined.add(window.waveform, dream)
        yield window.waveform[done - start : done - start + len(finished)], finished, steps
        done += len(finished)
