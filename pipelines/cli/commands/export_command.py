"""``dreambeam export``: a dataset's records as files."""

from __future__ import annotations

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.ending import DONE
from pipelines.cli.quiet import own_stderr, start_tensorflow

app = options.new_app()


@app.command()
def export(
    dataset: str = Argument(..., metavar="DATASET_DIR", help="Dataset that dreambeam augment wrote."),
    output: str = Option(..., "--output", "-o", help="Folder of the new files.", metavar="DIR"),
    file_format: options.FileFormat = Option("wav", "--format", help="Format of the files."),
    overwrite: bool = options.OVERWRITE,
    debug: bool = options.DEBUG,
) -> int:
    """Write a dataset's records as audio files with metadata.csv."""
    from pipelines.dataset.reader import check_records

    check_records(dataset)
    start_tensorflow()
    from pipelines.dataset.export import export_dataset

    with own_stderr():
        count = export_dataset(dataset, output, file_format, overwrite=overwrite)
    print(f"{output}: {count} files, described in metadata.csv")
    return DONE
