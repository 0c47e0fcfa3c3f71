"""The steering study: how well dreams reach their targets, by recipe.

A pair is a clip with a target, drawn from all classes but the clip's predicted ones; all recipes get the same pairs. A
dream is written as a 32-bit float WAV at the clip's own sample rate and channels, read back, and scored by a judge. The
dreaming model's own scores are ignored.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from augment.ascent.dreaming import Sound, dream_batch
from augment.ascent.loop import Dreamer, pad_batch
from augment.ascent.objectives import SHARPNESS
from augment.determinism import draws
from augment.models.yamnet import DreamingModel, padded_length
from augment.recipes.recipe import Recipe
from augment.sound.distance import distance
from augment.sound.resampling import to_model
from augment.targets.policies import POLICIES, Situation
from evaluation.judges.yamnet_graph import YamnetGraph
from evaluation.metrics.intervals import interval

BATCH = 32

CURVE_SHARE = 5
"""The points of the curve use every fifth pair."""


@dataclass(frozen=True)
class Row:
    """A recipe of the study, with its target policy; points of the filter's curve against SNR have fewer pairs."""

    title: str
    recipe: dict[str, Any]
    policy: str = "random"
    curve: bool = False


ROWS: dict[str, Row] = {
    "default": Row("deep_dream (a), the default: 20 steps", {}),
    "additive": Row("deep_dream (a), 60 steps", {"steps": 60, "step_size": 0.14}),
    "additive_fast": Row(
        "deep_dream (a), 60 steps, fast arithmetic", {"steps": 60, "step_size": 0.14, "arithmetic": "fast"}
    ),
    "soft_cut_add": Row("soft_cut_add (c)", {"transform": "soft_cut_add"}),
    "soft_target_filter": Row("soft_target_filter (d)", {"transform": "soft_target_filter"}),
    "gain_filter": Row("gain_filter (b)", {"transform": "gain_filter"}),
    "away": Row(
        "deep_dream away from the top class, 60 steps", {"snr_db": 25.0, "steps": 60, "step_size": 0.14}, policy="away"
    ),
    "noise": Row("deep_dream from white noise", {"start": "white"}),
    **{
        f"gain_filter_{snr}_db": Row(
            f"gain_filter (b), {snr} dB", {"transform": "gain_filter", "snr_db": snr}, curve=True
        )
        for snr in (0, 5, 10, 20, 25, 30)
    },
}


@dataclass(frozen=True)
class Recording:
    """A clip: id, float32 [samples, channels], Hz."""

    id: str
    waveform: np.ndarray
    sample_rate: int


@dataclass(frozen=True)
class Pair:
    """A clip with the number of one of its targets."""

    recording: Recording
    variant: int


@dataclass
class Steering:
    """Measures recipes by dreams through a model and the scores of a judge; the seed draws targets and noise."""

    model: DreamingModel
    judge: YamnetGraph
    seed: int = 0
    _before: dict[str, np.ndarray] = field(default_factory=dict)

    def measure(
        self, name: str, pairs: Sequence[Pair], sound: Sound, on_pair: Callable[[int], None] | None = None
    ) -> pd.DataFrame:
        """Dream all pairs by one recipe of `ROWS`; `sound` is the target sound of recipes that filter by one.

        Returns:
            A row for each pair: row, clip, variant, target, rank_before, rank_after, top1, top5, reached, steps, and
            the fields of `augment.sound.distance.Distance`.
        """
        dreamer = Dreamer(self.model, make_recipe(name), sound.model_input)
        found: list[dict[str, Any]] = []
        by_length: dict[int, list[Pair]] = {}
        for pair in pairs:
            model_input = to_model(pair.recording.waveform, pair.recording.sample_rate)
            by_length.setdefault(padded_length(len(model_input)), []).append(pair)
        for same in by_length.values():
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                found += self._measure_batch(name, dreamer, batch)
                if on_pair:
                    on_pair(len(batch))
        return pd.DataFrame(found)

    def _measure_batch(self, name: str, dreamer: Dreamer, batch: Sequence[Pair]) -> list[dict[str, Any]]:
        sounds = [Sound(pair.recording.waveform, pair.recording.sample_rate) for pair in batch]
        scores = self.model.scores(*pad_batch([sound.model_input for sound in sounds]))
        aims = []
        for pair, row in zip(batch, scores, strict=True):
            number = draws.draw(self.seed, pair.recording.id, pair.variant, "target")
            aims.append(POLICIES[ROWS[name].policy](Situation(row, number=number)))
        numbers = [draws.draw(self.seed, pair.recording.id, pair.variant, "start") for pair in batch]
        dreams = dream_batch(dreamer, sounds, scores, aims, numbers=numbers)
        found = []
        for pair, sound, aim, dream in zip(batch, sounds, aims, dreams, strict=True):
            written, rate = _written(dream.waveform, sound.sample_rate), sound.sample_rate
            before, after = self._scores_before(pair.recording), self._scores(written, rate)
            # a dream from noise is compared with its start, not with the clip
            from_clip = dreamer.recipe.start == "clip"
            far = distance(sound.waveform, written, rate) if from_clip else dream.distance
            found.append(
                {
                    "row": name,
                    "clip": pair.recording.id,
                    "variant": pair.variant,
                    "target": self.model.classes[aim.classes[0]].name,
                    "rank_before": aim.rank(before),
                    "rank_after": aim.rank(after),
                    "top1": aim.rank(after) == 1,
                    "top5": aim.rank(after) <= 5,
                    "reached": aim.reached(after),
                    "steps": len(dream.objectives),
                    **asdict(far),
                }
            )
        return found

    def _scores_before(self, recording: Recording) -> np.ndarray:
        if recording.id not in self._before:
            self._before[recording.id] = self._scores(recording.waveform, recording.sample_rate)
        return self._before[recording.id]

    def _scores(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        return self.judge.judge(to_model(waveform, sample_rate)).scores


def make_recipe(name: str) -> Recipe:
    """Return the recipe of a row, with a placeholder for its target sound."""
    values = ROWS[name].recipe
    return Recipe.model_validate({**values, "sound": "given" if "target" in values.get("transform", "") else None})


def recipe_digest(name: str) -> str | None:
    """Return a text that changes with a row's recipe, None if there is no such row."""
    if name not in ROWS:
        return None
    return f"{make_recipe(name).digest()} {ROWS[name].policy} {SHARPNESS}"


def draw_pairs(recordings: Sequence[Recording], count: int, seed: int) -> list[Pair]:
    """Return pairs from recordings in an order drawn from the seed, with equal numbers of pairs up to one."""
    order = sorted(recordings, key=lambda each: draws.draw(seed, each.id, 0, "order"))
    return [Pair(order[number % len(order)], number // len(order)) for number in range(count)]


def summarise(found: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of one recipe's pairs, with their 95 % intervals over clips."""
    name, clips, snr_db = str(found["row"].iloc[0]), list(found["clip"]), found["snr_db"]
    summary: dict[str, Any] = {
        "row": name,
        "recipe": recipe_digest(name),
        "pairs": len(found),
        "clips": found["clip"].nunique(),
    }
    for column in ("top1", "top5", "reached"):
        values = found[column].to_numpy(float)
        summary[column] = float(values.mean())
        summary[f"{column}_interval"] = interval(values, clips)
    for column, values in (("rank_change", found["rank_before"] - found["rank_after"]), ("snr_db", snr_db)):
        summary[column] = float(values.median())
        summary[f"{column}_interval"] = interval(values.to_numpy(float), clips, lambda each: float(np.median(each)))
    return {**summary, "snr_db_min": float(snr_db.min()), "steps": float(found["steps"].median())}


def _written(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Write a waveform as a float WAV, and read it back."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="FLOAT")
    file.seek(0)
    return soundfile.read(file, dtype="float32", always_2d=True)[0]
