"""``dreambeam export``: the command around `pipelines.dataset.export.export_dataset`."""

from __future__ import annotations

from pipelines.cli.quiet import own_stderr
from pipelines.dataset.export import export_dataset


def run(dataset: str, output: str, file_format: str, *, overwrite: bool) -> int:
    """Export a dataset and say how many files there are."""
    with own_stderr():
        count = export_dataset(dataset, output, file_format, overwrite=overwrite)
    print(f"{output}: {count} files, and metadata.csv that says what they are")
    return 0
