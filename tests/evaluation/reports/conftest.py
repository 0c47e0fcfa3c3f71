"""Recordings of three classes, and datasets dreamed of them by the real pipeline; read-only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from recordings import augment

SOURCES = ("rooster", "rain", "sea_waves")
CHANGES = ("recipe.steps=2", "recipe.hold=null", "recipe.snr_db=15", "variants=2", "shards=2", "seed=1")


@pytest.fixture(scope="session")
def recordings(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one real recording of each class."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in SOURCES:
        (folder / name).mkdir()
        shutil.copy(crops / f"{name}.wav", folder / name / "clip.wav")
    return folder


@pytest.fixture(scope="session")
def dataset(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes, two variants, three clips, with their originals."""
    output = tmp_path_factory.mktemp("runs") / "dreams"
    augment(recordings, output, *CHANGES, "recipes.deep_dream={}", "recipes.cut={transform: hard_cut, snr_db: null}")
    return output


@pytest.fixture(scope="session")
def bare(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dreams by one of the recipes, without originals."""
    output = tmp_path_factory.mktemp("runs") / "bare"
    augment(recordings, output, *CHANGES, "recipes.deep_dream={}", "include_original=false")
    return output
