"""``dreambeam classify``: what YAMNet hears in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import numpy as np

from augment.models.yamnet import load_dreaming_model
from augment.sound.resampling import to_model
from pipelines.clips.whole_files import read_sound
from pipelines.files.containers import ClipError


def run(files: Sequence[str], top: int, as_json: bool, weights: str | None) -> int:
    """Print the top classes of each file; return 3 if some could not be read, 2 if none could."""
    model = load_dreaming_model(weights)
    failed = 0
    for file in files:
        try:
            clip = read_sound(file)
        except ClipError as error:
            failed += 1
            print(f"dreambeam: {error}", file=sys.stderr)
            continue
        scores = model.clip_scores(to_model(clip.waveform, clip.ref.sample_rate))
        best = [int(index) for index in np.argsort(-scores, kind="stable")[:top]]
        if as_json:
            classes = [
                {
                    "index": index,
                    "mid": model.classes[index].mid,
                    "name": model.classes[index].name,
                    "score": round(float(scores[index]), 6),
                }
                for index in best
            ]
            print(json.dumps({"file": file, "top": classes}, ensure_ascii=False))
        else:
            print(file)
            for index in best:
                print(f"  {scores[index]:.3f}  {model.classes[index].name}")
    if not failed:
        return 0
    return 2 if failed == len(files) else 3
