"""How well dreams reach their targets: pairs of clip and target, dreamed by each recipe and heard by the judge.

Each pair is a clip with a target drawn from all classes but those that the clip is predicted to be; all recipes get the
same pairs. A dream is written as a 32-bit float WAV at the clip's own sample rate and channels, read back, and scored
by a judge that is not the dreaming model. What the dreaming model says of it is not looked at.
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
from augment.ascent.recipe import Recipe
from augment.determinism import draws
from augment.models.yamnet import DreamingModel, padded_length
from augment.sound.distance import distance
from augment.sound.resampling import to_model
from augment.targets.policies import POLICIES, Aim, Situation
from evaluation.judges.yamnet_graph import YamnetGraph
from evaluation.metrics.intervals import interval

BATCH = 32

CURVE_SHARE = 5
"""The points of the curve are taken on one pair in so many."""


@dataclass(frozen=True)
class Row:
    """One recipe that is measured.

    Attributes:
        title: for the table.
        recipe: fields of `Recipe`.
        policy: of the targets.
        curve: it is a point of the filter's trade-off between SNR and success, on fewer pairs.
    """

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
    """A clip with the number of its target among the clip's targets."""

    recording: Recording
    variant: int


@dataclass
class Steering:
    """The measurement.

    Attributes:
        model: what is dreamed through.
        judge: what hears the dreams.
        seed: of the targets and of noise.
    """

    model: DreamingModel
    judge: YamnetGraph
    seed: int = 0
    _before: dict[str, np.ndarray] = field(default_factory=dict)

    def measure(
        self, name: str, pairs: Sequence[Pair], sound: Sound, on_pair: Callable[[int], None] | None = None
    ) -> pd.DataFrame:
        """Dream all pairs by one recipe of `ROWS`.

        Args:
            name: of the row.
            pairs: of clip and target.
            sound: the target sound of the recipes that filter by one.
            on_pair: called with the number of pairs that are done.

        Returns:
            A row for each pair: row, clip, variant, target, rank_before, rank_after, top1, top5, reached, steps, and
            the fields of `augment.sound.distance.Distance`.
        """
        dreamer = Dreamer(self.model, make_recipe(name), sound.heard)
        found: list[dict[str, Any]] = []
        by_length: dict[int, list[Pair]] = {}
        for pair in pairs:
            heard = to_model(pair.recording.waveform, pair.recording.sample_rate)
            by_length.setdefault(padded_length(len(heard)), []).append(pair)
        for same in by_length.values():
            for first in range(0, len(same), BATCH):
                batch = same[first : first + BATCH]
                found += self._measure_batch(name, dreamer, batch)
                if on_pair:
                    on_pair(len(batch))
        return pd.DataFrame(found)

    def _measure_batch(self, name: str, dreamer: Dreamer, batch: Sequence[Pair]) -> list[dict[str, Any]]:
        sounds = [Sound(pair.recording.waveform, pair.recording.sample_rate) for pair in batch]
        scores = self.model.scores(*pad_batch([sound.heard for sound in sounds]))
        aims = [self._aim(name, pair, row) for pair, row in zip(batch, scores, strict=True)]
        numbers = [draws.draw(self.seed, pair.recording.id, pair.variant, "start") for pair in batch]
        dreams = dream_batch(dreamer, sounds, scores, aims, numbers=numbers)
        found = []
        for pair, sound, aim, dream in zip(batch, sounds, aims, dreams, strict=True):
            written = _written(dream.waveform, sound.sample_rate)
            before, after = self._heard_before(pair.recording), self._heard(written, sound.sample_rate)
            # of noise, the start is not the clip: its distance is what the dream says
            far = (
                dream.distance
                if dreamer.recipe.start != "clip"
                else distance(sound.waveform, written, sound.sample_rate)
            )
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

    def _aim(self, name: str, pair: Pair, scores: np.ndarray) -> Aim:
        number = draws.draw(self.seed, pair.recording.id, pair.variant, "target")
        return POLICIES[ROWS[name].policy](Situation(scores, number=number))

    def _heard_before(self, recording: Recording) -> np.ndarray:
        if recording.id not in self._before:
            self._before[recording.id] = self._heard(recording.waveform, recording.sample_rate)
        return self._before[recording.id]

    def _heard(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        return self.judge.judge(to_model(waveform, sample_rate)).scores


def make_recipe(name: str) -> Recipe:
    """Return the recipe of a row; its target sound is a stand-in."""
    values = ROWS[name].recipe
    return Recipe.model_validate({**values, "sound": "given" if "target" in values.get("transform", "") else None})


def recipe_digest(name: str) -> str | None:
    """Return what tells whether a row is still the same, None for a row that there is not."""
    if name not in ROWS:
        return None
    return f"{make_recipe(name).digest()} {ROWS[name].policy} {SHARPNESS}"


def draw_pairs(recordings: Sequence[Recording], count: int, seed: int) -> list[Pair]:
    """Return so many pairs, every recording as often as any other, to one; the seed says which are first."""
    order = sorted(recordings, key=lambda each: draws.draw(seed, each.id, 0, "order"))
    return [Pair(order[number % len(order)], number // len(order)) for number in range(count)]


def summarise(found: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of one recipe's pairs, with their 95 % intervals over clips."""
    clips = list(found["clip"])
    ranks = (found["rank_before"] - found["rank_after"]).to_numpy(float)
    name = str(found["row"].iloc[0])
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
    summary["rank_change"] = float(np.median(ranks))
    summary["rank_change_interval"] = interval(ranks, clips, lambda values: float(np.median(values)))
    summary["snr_db"] = float(found["snr_db"].median())
    summary["snr_db_interval"] = interval(
        found["snr_db"].to_numpy(float), clips, lambda values: float(np.median(values))
    )
    summary["snr_db_min"] = float(found["snr_db"].min())
    summary["steps"] = float(found["steps"].median())
    return summary


def _written(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return what is read back of a waveform that is written."""
    file = io.BytesIO()
    soundfile.write(file, waveform, sample_rate, format="WAV", subtype="FLOAT")
    file.seek(0)
    return soundfile.read(file, dtype="float32", always_2d=True)[0]
