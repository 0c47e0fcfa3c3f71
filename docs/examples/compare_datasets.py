"""How far two datasets of the same clips, recipes and seed differ, such as two made on unlike processors.

    python docs/examples/compare_datasets.py FIRST SECOND

Prints, for each recipe: dreams with equal samples; the SNR of one sound against the other; differences of the target's
score and of the SNR to the source; and dreams that reached their target in one of the datasets only.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

COLUMNS = ("recipe", "audio", "score_target_after", "snr_db", "reached")


def dreams(folder: str) -> pd.DataFrame:
    """Return the dreams of a dataset, by id."""
    builder = tfds.builder_from_directory(folder)
    rows = {
        example["id"].decode(): [example[name] for name in COLUMNS]
        for split in builder.info.splits
        for example in builder.as_dataset(split=split).as_numpy_iterator()
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    return table[table["recipe"] != b"original"]


def snr_db(one: np.ndarray, other: np.ndarray) -> float:
    """Return the SNR in dB of a sound against another, infinite where they are equal."""
    error = np.sum(np.square(one.astype(float) - other))
    return 10 * np.log10(np.sum(np.square(one.astype(float))) / error) if error else np.inf


def main(first: str, second: str) -> None:
    """Print the differences of two datasets."""
    both = pd.merge(dreams(first), dreams(second), left_index=True, right_index=True, suffixes=("", "_other"))
    for recipe, rows in both.groupby("recipe"):
        sounds = [snr_db(*pair) for pair in zip(rows["audio"], rows["audio_other"], strict=True)]
        score = (rows["score_target_after"] - rows["score_target_after_other"]).abs()
        snr = (rows["snr_db"] - rows["snr_db_other"]).abs()
        print(
            f"{recipe.decode()}: {len(rows)} dreams, {np.isinf(sounds).sum()} equal; "
            f"sounds: SNR {np.median(sounds):.0f} dB, least {min(sounds):.0f}; "
            f"score: {score.median():.3f}, most {score.max():.3f}; SNR to the source: {snr.median():.2f} dB, "
            f"most {snr.max():.1f}; reached in one only: {(rows['reached'] != rows['reached_other']).sum()}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
