"""Rows of examples.parquet that tests make: what they do not say is that of a dream that changed nothing."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pyarrow as pa

from evaluation.dreams.dream_rows import schema

NOTHING: dict[str, Any] = {
    "split": "train",
    "recording_found": True,
    "labels": ["dog"],
    "recipe": "deep_dream",
    "transform": "deep_dream",
    "variant": 0,
    "target_index": 76,
    "target_mid": "/m/01yrx",
    "target_name": "Cat",
    "away": False,
    "top_before": ["Dog"],
    "top_before_scores": [0.9],
    "top_after": ["Dog"],
    "top_after_scores": [0.9],
    "top_changed": False,
    "target_rank_before": 9,
    "target_rank_after": 9,
    "target_score_before": 0.1,
    "target_score_after": 0.1,
    "result_top1": "failed",
    "result_top5": "failed",
    "label_before": True,
    "label_after": True,
    "label_kept": True,
    "outcome": "miss",
    **{f"category_{what}": "Animal" for what in ("target", "before", "after")},
    **{f"subcategory_{what}": "Domestic animals, pets" for what in ("target", "before", "after")},
    "js_divergence": 0.0,
    "embedding_distance": 0.0,
    "snr_db": math.inf,
    "segmental_snr_db": 35.0,
    "log_spectral_distance_db": 0.0,
    "lufs_before": -20.0,
    "lufs_after": -20.0,
    "lufs_change": -math.inf,
    "lufs_difference": 0.0,
    "peak": 0.5,
    "steps_taken": 0,
    "sample_rate": 16_000,
    "channels": 1,
    "samples": 16_000,
    "original_from": "dataset",
    "shard": "",
    "offset": 0,
    "length": 0,
}


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return rows as the evaluation reads them from its parts; each names its source at least."""
    whole = [
        {**NOTHING, "id": f"{n:05d}", "clip": row["source_id"], "recording": row["source_id"], **row}
        for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(whole, schema()).to_pandas()
