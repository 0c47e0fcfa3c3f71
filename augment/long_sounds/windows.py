"""Windows over a sound that is too long to be dreamed at once: where they lie, and how their dreams become one.

Each window is dreamed on its own, toward the same aim, and alone: one has patches enough to keep the processor busy, so
that a batch of them would need more memory and be no faster. It begins on the grid of the model's patches, so that its
patches are patches of the whole sound. Near its edges, samples lie in fewer patches than within, so a margin at both
ends is thrown away. Between the margins neighbours are cross-faded.

Windows have budgets and leads of their own, so that neighbours' changes differ in level, by some dB as a rule, and are
hardly correlated after many steps. The fade is therefore slow (`FADE_SECONDS`), and its power goes straight from one
change's to the other's: with w the raised cosine from 0 to 1, of changes a and b the fade is

    g ((1 - w) a + w b),  g^2 = ((1 - w) A + w B) / ((1 - w)^2 A + w^2 B + 2 w (1 - w) C)

with A, B and C the mean of a^2, b^2 and a b over the fade, C not below 0. Without g, the level of changes that are not
correlated would dip by 3 dB in the middle. Where both are the same, g is 1 and the fade is a.

Positions are frames at the sound's own rate; sounds are float32 [samples, channels]. No file is opened here.

Source: cross-fades that know their signals' correlation: Fink, Holters & Zölzer 2016, "Signal-matched
power-complementary cross-fading and dry-wet mixing"; there the powers are equal, here they are not.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.models.ensembles import members_of
from augment.models.interface import AudioModel
from augment.sound.resampling import InputStream, Reel

WINDOW_SECONDS = 60.0
"""A window is at least as long; of YAMNet, 128 patches (61.9 s)."""

MARGIN_SECONDS = 2.0
"""At least so much is thrown away at a window's edges: two steps change nothing further in (a step reaches as far as a
patch, 0.975 s of YAMNet), and what more steps change there is small."""

FADE_SECONDS = 4.0
"""How long neighbours are cross-faded."""

_LONGEST_PATCH_SECONDS = 300.0  # that is looked for


@dataclass(frozen=True)
class Tiling:
    """Where the windows of a sound lie.

    Attributes:
        frames: of the sound, at its own rate.
        length: frames of a window; the last one may be shorter.
        starts: first frame of each window, ascending; the first is 0.
        offsets: the same in samples at the model's rate.
        model_input: samples of a window at the model's rate.
        fades: frames [start, stop) of the cross-fade of each window with the next.
    """

    frames: int
    length: int
    starts: tuple[int, ...]
    offsets: tuple[int, ...]
    model_input: int
    fades: tuple[tuple[int, int], ...]

    def stop(self, window: int) -> int:
        """Return the frame after a window's last one."""
        return min(self.frames, self.starts[window] + self.length)


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a sound.

    Attributes:
        waveform: float32 [samples, channels], at the sound's own rate.
        model_input: float32 [samples at the model's rate], cut from the model's input for the whole sound.
        offset: samples at the model's rate from the beginning of the sound.
    """

    waveform: np.ndarray
    model_input: np.ndarray
    offset: int


def patch_grid(model: AudioModel) -> tuple[int, int] | None:
    """Return the samples of a model's patch and from one patch to the next; None if it scores whole clips.

    Members of an ensemble have to agree.
    """
    grids = {_grid(member.model) for member in members_of(model)}
    return grids.pop() if len(grids) == 1 else None


def _grid(model: AudioModel) -> tuple[int, int] | None:
    longest = range(round(_LONGEST_PATCH_SECONDS * model.sample_rate))
    two, three = (bisect.bisect_left(longest, patches, key=lambda n: int(model.patch_count(n))) for patches in (2, 3))
    return None if three == len(longest) else (two - 1, three - two)


def tile(
    frames: int,
    sample_rate: int,
    model: AudioModel,
    *,
    window_seconds: float = WINDOW_SECONDS,
    margin_seconds: float = MARGIN_SECONDS,
    fade_seconds: float = FADE_SECONDS,
) -> Tiling:
    """Lay windows over a sound, evenly, so that all but the last are equally long and none is shorter than a patch.

    They begin at multiples of the model's patch hop that are whole frames, too: of YAMNet's 0.48 s at any multiple for
    the usual rates, at every 25th for the oddest. A model that scores whole clips has no grid, nor has one whose hop
    and the sound's rate have so little in common that they meet less often than once a window: then windows begin where
    a frame and a sample at the model's rate fall together.

    Args:
        frames: of the sound, at least 1.
        sample_rate: Hz.
        model: that will score the windows.
        window_seconds: shortest length of a window; it is longer if that leaves no room between two fades.
        margin_seconds: least that is thrown away at its edges.
        fade_seconds: that neighbours are cross-faded.
    """
    rate = model.sample_rate
    overlap = math.ceil((2 * margin_seconds + fade_seconds) * rate)
    (_, hop) = patch_grid(model) or (0, 1)
    step = _step(hop, rate, sample_rate)
    if step > window_seconds * rate:
        step = _step(1, rate, sample_rate)
    room = max(step, math.ceil(2 * fade_seconds * rate))  # between overlaps, so that no two fades meet
    samples = model.padded_length(max(math.ceil(window_seconds * rate), overlap + room))
    length, step_frames = samples * sample_rate // rate, step * sample_rate // rate
    last = max(0, -(-(frames - length) // step_frames))  # start of the last window, in steps
    count = -(-last // max(1, (samples - overlap) // step))
    steps = [0, *(last * number // count for number in range(1, count + 1))]
    starts = [each * step_frames for each in steps]
    fade = round(fade_seconds * sample_rate)
    middles = [(later + earlier + length) // 2 for earlier, later in itertools.pairwise(starts)]
    return Tiling(
        frames,
        length,
        tuple(starts),
        tuple(each * step for each in steps),
        samples,
        tuple((middle - fade // 2, middle - fade // 2 + fade) for middle in middles),
    )


def _step(hop: int, rate: int, sample_rate: int) -> int:
    """Return the least multiple of a hop, both in samples at the model's rate, that is a whole number of frames."""
    return hop * (rate // math.gcd(rate, hop * sample_rate))


def cut(blocks: Iterable[np.ndarray], tiling: Tiling, sample_rate: int, model_rate: int) -> Iterator[Window]:
    """Cut a stream into windows.

    Args:
        blocks: float32 [any, channels], the sound from its beginning; at least `tiling.frames` in all.
        tiling: where the windows lie.
        sample_rate: Hz, of the sound.
        model_rate: Hz, of the model.

    Raises:
        ValueError: the stream ends before the last window does.
    """
    sound, model_input, resampler = Reel(), Reel(), InputStream(sample_rate, model_rate)
    incoming = iter(blocks)
    total = round(tiling.frames * model_rate / sample_rate)
    for number, (start, offset) in enumerate(zip(tiling.starts, tiling.offsets, strict=True)):
        stop, end = tiling.stop(number), min(total, offset + tiling.model_input)
        while sound.end < tiling.frames and (sound.end < stop or model_input.end < end):
            block = next(incoming, None)
            if block is None:
                raise ValueError(f"the sound ends at frame {sound.end}, not at {tiling.frames}")
            block = block[: tiling.frames - sound.end]
            sound.add(block)
            model_input.add(resampler.add(block))
            if sound.end == tiling.frames:
                model_input.add(resampler.finish())
        yield Window(sound.piece(start, stop), model_input.piece(offset, end), offset)
        following = min(number + 1, len(tiling.starts) - 1)
        sound.forget(tiling.starts[following])
        model_input.forget(tiling.offsets[following])


class OverlapAdd:
    """Puts the dreams of windows together, as a stream that holds every frame once."""

    def __init__(self, tiling: Tiling, *, adds: bool):
        """Begin.

        Args:
            tiling: of the windows.
            adds: dreams are sources and a change, and the change is faded; else dreams replace the source.
        """
        self._tiling, self._adds = tiling, adds
        self._number = 0
        self._faded_out = np.zeros((0, 0))  # what the last window has to say of the coming fade, [fade, channels]

    def add(self, source: np.ndarray, dream: np.ndarray) -> np.ndarray:
        """Take the next window and return the frames that are finished.

        Args:
            source: float32 [samples, channels], the window as it was.
            dream: float32 of the same shape.

        Returns:
            float32 [finished, channels], which follow on those returned before.
        """
        tiling, number = self._tiling, self._number
        begin = tiling.starts[number]
        change = dream.astype(np.float64) - source if self._adds else dream.astype(np.float64)
        parts, kept = [], 0
        if number:
            start, stop = (frame - begin for frame in tiling.fades[number - 1])
            kept = stop
            faded = cross_fade(self._faded_out, change[start:stop])
            parts.append((source[start:stop] + faded if self._adds else faded).astype(np.float32))
        if number + 1 < len(tiling.starts):
            start, stop = (frame - begin for frame in tiling.fades[number])
            self._faded_out = change[start:stop].copy()
            parts.append(dream[kept:start])
        else:
            parts.append(dream[kept:])
        self._number += 1
        return np.concatenate(parts)


def cross_fade(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Fade from a to b, both float64 [samples, channels], their power going straight from one to the other."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(len(a)) + 0.5) / len(a))[:, None]
    mixed = (1 - rise) * a + rise * b
    powers: Any = np.mean(a * a), np.mean(b * b), max(0.0, float(np.mean(a * b)))
    wanted = (1 - rise) * powers[0] + rise * powers[1]
    found = (1 - rise) ** 2 * powers[0] + rise**2 * powers[1] + 2 * rise * (1 - rise) * powers[2]
    return mixed * np.sqrt(np.divide(wanted, found, out=np.ones_like(found), where=found > 0))
