"""Fixtures of the evaluation's tests: recordings and models that are made once, and reports without pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from recordings import samples


@pytest.fixture(scope="session")
def crops(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 2 s of one real recording of each of some classes, NAME.wav; read-only."""
    folder = tmp_path_factory.mktemp("crops")
    for name in ("rooster", "rain", "sea_waves", "helicopter"):
        path = min((shared / "data/esc10-dev" / name).glob("*.ogg"))
        soundfile.write(folder / f"{name}.wav", samples(path)[:88_200], 44_100, subtype="PCM_16")
    return folder


@pytest.fixture(scope="session")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small untrained models, those of `ears.save_ears`; read-only."""
    from ears import save_ears

    folder = tmp_path_factory.mktemp("ears")
    save_ears(folder)
    return folder


@pytest.fixture(scope="module")
def without_pages() -> Iterator[None]:
    """Let reports be made without their HTML, whose pictures and players take most of a small report's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluation.reports.dream_report._write_pages", lambda *given: None)
        patch.setattr("evaluation.reports.robustness_report.robustness_page", lambda *given: "")
        yield
