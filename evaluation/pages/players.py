"""Players: pairs of sounds, before and after, with spectrograms.

Takes stored sounds, float32 [samples, channels], and gives `evaluation.pages.markup`: for each pair its spectrograms on
one scale, and two players with FLAC of 16 bits. Pairs are few (`choose`) and short (`SECONDS`), and limited to the size
of a page (`SOUND_BYTES`).
"""

from __future__ import annotations

import base64
import io
import json
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
from evaluation.dreams.originals import ReadSource
from evaluation.metrics.shifts import FAILED, SKIPPED, SUCCESS
from evaluation.pages.figures import svg
from evaluation.pages.markup import Markup, element, join
from evaluation.pages.page import facts
from pipelines.dataset.reader import Dataset
from pipelines.dataset.record_reader import read_reference

EACH = 2
"""Pairs of each kind: best, middle, worst."""

SECONDS = 10.0
"""Longest sound in a page; longer ones are cut."""

SOUND_BYTES = 8_000_000
"""Most FLAC in one page; base64 adds a third."""

FLOOR_DB = -80.0
"""Level of the darkest colour, against the loudest bin of a pair."""

SCALE = "The spectrograms of a pair share one scale, down to 80 dB below its loudest bin."
"""For captions."""

_FRAMES, _BINS = 320, 160  # of a spectrogram's picture, at most


@dataclass(frozen=True, eq=False)
class Pair:
    """A sound before and after, float32 [samples, channels], with a title, and facts by name."""

    title: object
    facts: Mapping[str, object]
    before: np.ndarray
    after: np.ndarray
    sample_rate: int


def rank(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows from the best dream to the worst; skipped ones, whose targets were on top before, come last.

    Dreams that reached their targets come first, by SNR. Then come the others by the target's rank (away from a class,
    the highest number first) and SNR. Without known targets, the larger shift of the scores is better.
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
    """Choose `each` rows of the best third, the middle fifth and the worst third, of different clips if possible.

    Takes the rows of `rank`; the seed draws from the middle fifth. Returns kind and row; no row twice.
    """
    tried = ranked[ranked["result_top1"] != SKIPPED]
    rows = [{str(key): value for key, value in row.items()} for row in tried.to_dict("records")]
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
    """Read the original and the dream of a row of examples.parquet, and their sample rate in Hz.

    Raises:
        DatasetError: a record is damaged.
        MissingSourceError: the original cannot be read.
    """
    dream, original = references(row, dataset.path)
    example = read_reference(dataset, dream)
    if original is None:
        read = read_source(json.loads(example["provenance"])["source"])[0]
        before = AUDIO_ENCODINGS[dataset.audio_encoding].kept(read)
    else:
        before = read_reference(dataset, original)["audio"]
    return before, example["audio"], int(example["sample_rate"])


def players(pairs: Iterable[Pair]) -> Markup:
    """Return players for pairs within `SOUND_BYTES`, and a note on the rest."""
    shown, left, used = [], 0, 0
    for pair in pairs:
        before, after = _excerpts(pair)
        sounds = [_flac(each, pair.sample_rate) for each in (before, after)]
        if used + sum(map(len, sounds)) > SOUND_BYTES:
            left += 1
            continue
        used += sum(map(len, sounds))
        shown.append(_player(pair, before, after, sounds))
    note = element("p", f"{left} more are left out: their sounds are too long for a page.", class_="quiet")
    return join(*shown, note if left else None)


def spectrogram(sound: np.ndarray, sample_rate: int, top: float, description: str) -> Markup:
    """Draw the spectrogram of a sound.

    Args:
        sound: float32 [samples, channels]; the mean of its channels is drawn.
        sample_rate: Hz.
        top: dB of the brightest colour, on the scale of `levels`.
        description: alternative text.
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
    """Return the power spectrogram in dB, [frames, bins], at the resolution of a picture.

    Hann frames of about 32 ms, hop a quarter; the power of neighbouring frames and bins is averaged.
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
    shown = dict(pair.facts)
    if len(before) < len(pair.before):
        shown["excerpt"] = f"the first {SECONDS:g} of {len(pair.before) / pair.sample_rate:.1f} s"
    sounds_block = element("div", *panels, class_="sounds")
    return element("article", element("h3", pair.title), sounds_block, facts(shown), class_="player")


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
