"""Progress: the counts of several workers add up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines.progress import Counts, total


def test_counts_of_several_writers_add_up(tmp_path: Path) -> None:
    def work(number: int) -> None:
        counts = Counts(str(tmp_path))
        for _ in range(10):
            counts.add(clips=1, audio_seconds=0.5 * number)
        counts.write()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert total(str(tmp_path)) == {"clips": 40, "audio_seconds": 30.0}


def test_a_writers_counts_replace_each_other(tmp_path: Path) -> None:
    counts = Counts(str(tmp_path))
    for _ in range(3):
        counts.add(clips=1)
        counts.write()
    assert total(str(tmp_path)) == {"clips": 3}
    assert len(list(tmp_path.iterdir())) == 1


def test_where_there_is_no_folder_nothing_is_written(tmp_path: Path) -> None:
    counts = Counts(str(tmp_path / "nowhere"))
    counts.add(clips=1)
    counts.write()
    assert list(tmp_path.iterdir()) == []
    assert total(str(tmp_path / "nowhere")) == {}
