"""Report folders: what may be written over, and that nothing is left half."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.dreams.report_folder import ReportError, check_folder, parts_folder, write_text


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    "there",
    [
        (),
        ("metrics.json", "robustness.parquet", "my notes.txt"),
        ("first/metrics.json", "first/examples.parquet", "comparison.json"),
        ("head.npz", ".parts-1/x.parquet"),  # what a stopped run leaves
    ],
)
def test_a_new_folder_and_a_report_of_ours_can_be_written_over(tmp_path: Path, there: tuple[str, ...]) -> None:
    touch(*(tmp_path / "report" / name for name in there))
    assert check_folder(tmp_path / "report") == (tmp_path / "report").resolve()
    assert (tmp_path / "report").is_dir()


@pytest.mark.parametrize("there", [("mine.txt",), ("metrics.json", "model.keras"), ("run/metrics.json", "run/x.ckpt")])
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, there: tuple[str, ...]) -> None:
    touch(*(tmp_path / "report" / name for name in there))
    with pytest.raises(ReportError, match="holds something that is no report: give an empty or a new folder"):
        check_folder(tmp_path / "report")


def test_a_file_a_folder_below_a_file_and_one_in_a_dataset_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    for path, expected in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "x", "cannot be made: Not a directory"),
        (tmp_path / "link" / "report", "lies in the dataset"),
    ):
        with pytest.raises(ReportError, match=expected):
            check_folder(path, [str(tmp_path / "data")])


def test_parts_go_whatever_happens(tmp_path: Path) -> None:
    def stopped() -> None:
        with parts_folder(tmp_path) as parts:
            (Path(parts) / "x").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "one")
    write_text(tmp_path / "a.json", "two")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["two"]
