"""Players: pairs of sounds, before and after, to hear and to see in a page.

Takes sounds as they are stored, float32 [samples, channels], and gives `evaluation.pages.markup`: for each pair its
spectrograms on one scale, and two players whose sounds are FLAC of 16 bits within the page. Pairs are few
(`choose`) and short (`SECONDS`), and stop where the page would get too heavy (`SOUND_BYTES`).
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from augment.determinism.draws import draw
from augment.sound.encodings import AUDIO_ENCODINGS
from evaluation.dreams.dream_rows import references
from evaluation.dreams.originals import Dataset, ReadSource, read_example
from evaluation.metrics.shifts import FAILED, SKIPPED, SUCCESS
from evaluation.pages.figures import svg
from evaluation.pages.markup import Markup, element, join
from evaluation.pages.page import facts

EACH = 2
"""So many pairs of each kind: best, middle, worst."""

SECONDS = 10.0
"""What is longer is cut off in the page."""

SOUND_BYTES = 8_000_000
"""FLAC in one page; base64 makes a third more of it."""

FLOOR_DB = -80.0
"""Below the loudest bin of a pair; what is fainter has the darkest colour."""

_FRAMES, _BINS = 320, 160  # of a spectrogram's picture, at most


@dataclass(frozen=True, eq=False)
class Pair:
    """A sound before and after.

    Attributes:
        title: of the pair.
        facts: what is to be said of it.
        before: float32 [samples, channels].
        after: likewise.
        sample_rate: Hz.
    """

    title: object
    facts: Mapping[str, object]
    before: np.ndarray
    after: np.ndarray
    sample_rate: int


def rank(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows from the best dream to the worst; targets that were on top before say nothing, and come last.

    A dream that reached its target is the better the higher its SNR; one that did not is the better the nearer the
    target came to the top (or, away from a class, the farther), then the higher its SNR. Where the judge does not know
    the targets, the better dream shifted its scores the more.
    """
    result = rows["result_top1"].map({SUCCESS: 0, FAILED: 1, SKIPPED: 3}).fillna(2)
    places = rows["target_rank_after"].astype(float).where(result == 1).fillna(0)
    keys = pd.DataFrame(
        {
            "result": result,
            "place": places.where(~rows["away"].astype(bool), -places),
            "shift": (-rows["js_divergence"]).where(result == 2).fillna(0),
            "snr": -rows["snr_db"].fillna(-math.inf),
            "id": rows["id"],
        }
    )
    return rows.loc[keys.sort_values([str(key) for key in keys]).index]


def choose(ranked: pd.DataFrame, seed: int = 0, each: int = EACH) -> list[tuple[str, dict[str, Any]]]:
    """Choose a few rows: of the best third, of the middle fifth and of the worst third, of different clips if possible.

    Args:
        ranked: of `rank`.
        seed: of the choice from the middle fifth.
        each: so many of each kind.

    Returns:
        Kind and row; no row twice.
    """
    told = ranked[ranked["result_top1"] != SKIPPED]
    rows = [{str(key): value for key, value in row.items()} for row in told.to_dict("records")]
    low, high, third = math.floor(0.4 * len(rows)), math.ceil(0.6 * len(rows)), math.ceil(len(rows) / 3)
    middle = sorted(rows[low:high], key=lambda row: draw(seed, row["id"], 0, "chosen for the report"))
    taken: list[tuple[str, dict[str, Any]]] = []
    for kind, ordered in (("Best", rows[:third]), ("Worst", rows[::-1][:third]), ("Middle", middle)):
        for _ in range(each):
            ids, clips = ({row[key] for _, row in taken} for key in ("id", "source_id"))
            free = [row for row in ordered if row["id"] not in ids]
            taken += [(kind, row) for row in ([row for row in free if row["source_id"] not in clips] or free)[:1]]
    order = ("Best", "Middle", "Worst")
    return sorted(taken, key=lambda pair: order.index(pair[0]))


def read_pair(row: Mapping[str, Any], dataset: Dataset, read_source: ReadSource) -> tuple[np.ndarray, np.ndarray, int]:
    """Read the original and the dream of a row, and their sample rate in Hz.

    Args:
        row: of examples.parquet.
        dataset: that it is of.
        read_source: reads an original that the dataset does not hold.

    Raises:
        DatasetError: a record is damaged.
        MissingSourceError: the original is not to be had.
    """
    import json

    dream, original = references(row, dataset.path)
    example = read_example(dataset, dream)
    if original is None:
        read = read_source(json.loads(example["provenance"])["source"])[0]
        before = AUDIO_ENCODINGS[dataset.encoding].kept(read)
    else:
        before = read_example(dataset, original)["audio"]
    return before, example["audio"], int(example["sample_rate"])


def players(pairs: Iterable[Pair]) -> Markup:
    """Return the pairs, as many as `SOUND_BYTES` has room for; say how many were left out."""
    shown, left, used = [], 0, 0
    for pair in pairs:
        before, after = _excerpts(pair)
        sounds = [_flac(each, pair.sample_rate) for each in (before, after)]
        if used + sum(map(len, sounds)) > SOUND_BYTES:
            left += 1
            continue
        used += sum(map(len, sounds))
        shown.append(_player(pair, before, after, sounds))
    told = element("p", f"{left} more are left out: their sounds are too long for a page.", class_="quiet")
    return join(*shown, told if left else None)


def spectrogram(sound: np.ndarray, sample_rate: int, top: float, description: str) -> Markup:
    """Draw the spectrogram of a sound.

    Args:
        sound: float32 [samples, channels]; the mean of its channels is drawn.
        sample_rate: Hz.
        top: dB of the brightest colour, as `levels` counts.
        description: for those who do not see it.
    """
    found = levels(sound, sample_rate)

    def paint(axes: Any) -> None:
        axes.imshow(
            found.T,
            origin="lower",
            aspect="auto",
            extent=(0, len(sound) / sample_rate, 0, sample_rate / 2000),
            vmin=top + FLOOR_DB,
            vmax=top,
            cmap="magma",
            interpolation="none",
        )
        axes.set_xlabel("seconds")
        axes.set_ylabel("kHz")

    return svg(paint, (3.4, 2.3), description)


def levels(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the power spectrogram in dB, [frames, bins], few enough to be seen in a picture.

    Hann frames of about 32 ms, hop a quarter; neighbouring frames and bins are averaged (in power).
    """
    mono = sound.mean(axis=1, dtype=np.float64)
    frame = max(64, 1 << round(math.log2(sample_rate * 0.032)))
    padded = np.pad(mono, (frame // 2, frame))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[:: frame // 4]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(frame), axis=1)))
    for axis, most in enumerate((_FRAMES, _BINS)):
        step = math.ceil(power.shape[axis] / most)
        starts = np.arange(0, power.shape[axis], step)
        counts = np.diff(np.append(starts, power.shape[axis]))
        power = np.add.reduceat(power, starts, axis=axis) / (counts[:, None] if axis == 0 else counts)
    return 10 * np.log10(power + 1e-12)


def _player(pair: Pair, before: np.ndarray, after: np.ndarray, sounds: list[bytes]) -> Markup:
    top = max(float(levels(each, pair.sample_rate).max()) for each in (before, after))
    panels = []
    for what, sound, encoded in (
        ("before", before, sounds[0]),
        ("after", after, sounds[1]),
        ("the change", after - before, None),
    ):
        audio = None
        if encoded is not None:
            uri = "data:audio/flac;base64," + base64.b64encode(encoded).decode()
            audio = element("audio", controls=True, preload="metadata", src=uri, aria_label=what)
        picture = spectrogram(sound, pair.sample_rate, top, f"spectrogram {what}, dB on the scale of the pair")
        panels.append(element("figure", element("figcaption", what), picture, audio))
    told = dict(pair.facts)
    if len(before) < len(pair.before):
        told["excerpt"] = f"the first {SECONDS:g} of {len(pair.before) / pair.sample_rate:.1f} s"
    return element(
        "article",
        element("h3", pair.title),
        element("div", *panels, class_="sounds"),
        facts(told),
        class_="player",
    )


def _excerpts(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Cut both, mix more than two channels down, and turn both down alike if one is above full scale."""
    cut = [each[: round(SECONDS * pair.sample_rate)] for each in (pair.before, pair.after)]
    cut = [each if each.shape[1] <= 2 else each.mean(axis=1, keepdims=True) for each in cut]
    peak = max(1.0, *(float(np.max(np.abs(each), initial=0.0)) for each in cut))
    return cut[0] / np.float32(peak), cut[1] / np.float32(peak)


def _flac(sound: np.ndarray, sample_rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
