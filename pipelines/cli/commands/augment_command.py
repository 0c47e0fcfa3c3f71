"""``dreambeam augment``: recordings into an augmented dataset."""

from __future__ import annotations

from typing import get_args

import typer
from typer import Option

from pipelines.cli import options
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command(context_settings=options.BEAM)
def augment(
    context: typer.Context,
    inputs: list[str] = Option(
        ...,
        "--input",
        "-i",
        help="Audio file, folder or glob; list of these (.txt); manifest (.csv, .tsv, .jsonl, .parquet); TFDS "
        "dataset (tfds:NAME or its folder); TFRecords (FILES.tfrecord*); or 'demo', a street recording. May be "
        "repeated.",
        metavar="INPUT",
    ),
    output: str = Option(..., "--output", "-o", help="Folder of the new dataset.", metavar="DIR"),
    config: str | None = Option(
        None, "--config", "-c", help="YAML file, or a name of `dreambeam configs`.", metavar="FILE"
    ),
    metadata: str | None = Option(
        None,
        help="Table with a row for each file: CSV, TSV, JSONL or Parquet. Without it, folder names are the labels.",
        metavar="FILE",
    ),
    path_column: str | None = options.PATH_COLUMN,
    label_column: str | None = options.LABEL_COLUMN,
    split_column: str | None = Option(None, help="Column of splits [found by its name].", metavar="NAME"),
    start_column: str | None = Option(
        None,
        "--start-column",
        "--offset-column",
        help="Manifest column of a piece's start in seconds [found by its name; '' for none].",
        metavar="NAME",
    ),
    end_column: str | None = Option(None, help="Manifest column of a piece's end in seconds.", metavar="NAME"),
    duration_column: str | None = Option(None, help="Manifest column of a piece's length in seconds.", metavar="NAME"),
    group_column: list[str] | None = Option(
        None, help="Column to copy into the records, such as fold or speaker. May be repeated.", metavar="NAME"
    ),
    split: list[str] | None = Option(None, help="Split to read [all]. May be repeated.", metavar="NAME"),
    augment_test: bool = Option(False, "--augment-test", help="Also dream test and validation splits [copy them]."),
    root: str | None = Option(
        None, help="Folder that paths in manifests and lists are relative to [the file's own folder].", metavar="DIR"
    ),
    data_dir: str | None = Option(None, help="TFDS datasets [TFDS_DATA_DIR, ~/tensorflow_datasets].", metavar="DIR"),
    target: str | None = Option(None, help=f"{options.TARGET} [random]", metavar="TARGET"),
    transform: str | None = options.transform(None),
    steps: int | None = Option(None, help="Gradient steps of a dream."),
    sound: str | None = options.SOUND,
    variants: int | None = Option(None, help="Dreams of each clip with each recipe."),
    seed: int | None = Option(None, help="Seed of every random draw."),
    batch_size: int | None = Option(None, help="Largest number of clips in one gradient step."),
    audio_encoding: options.Encoding | None = Option(
        None, help="Stored samples: float32 (exact), int16 (half the size) or flac (24 bits). [float32]"
    ),
    licence: str | None = Option(None, help="Licence for croissant.json, preferably a URL [none].", metavar="TEXT"),
    export: tuple[str, str] | None = Option(
        None,
        help="Also write each record as a file, with a table: the format (wav or flac) and the folder.",
        metavar="FORMAT DIR",
        callback=options.one_of(get_args(options.FileFormat)),
    ),
    model: list[str] | None = options.MODEL,
    classes: list[str] | None = options.CLASSES,
    sample_rate: int | None = options.MODEL_RATE,
    weights: str | None = options.WEIGHTS,
    set_: list[str] | None = options.SET,
    scratch: str | None = Option(
        None, help="Folder or bucket for unfinished work, visible to all workers [beside --output].", metavar="DIR"
    ),
    overwrite: bool = Option(False, "--overwrite", help="Replace an existing dataset."),
    resume: bool = Option(True, help="Continue a run that was stopped."),
    debug: bool = options.DEBUG,
) -> int:
    """Dream recordings into an augmented dataset.

    The dataset is a folder of TFRecords that tfds.builder_from_directory loads.

    Flags that are not listed here go to Beam, such as --runner=FlinkRunner or --direct_num_workers=2
    --direct_running_mode=multi_processing.
    """
    from pipelines.cli import preflight

    given = {
        "source.metadata": metadata,
        "source.path_column": path_column,
        "source.label_column": label_column,
        "source.split_column": split_column,
        "source.offset_column": start_column,
        "source.end_column": end_column,
        "source.duration_column": duration_column,
        "source.group_columns": group_column or None,
        "source.splits": split or None,
        "source.root": root,
        "source.data_dir": data_dir,
        "augment_test": augment_test or None,
        "target": target,
        "recipe.transform": transform,
        "recipe.steps": steps,
        "recipe.sound": sound,
        "variants": variants,
        "seed": seed,
        "batch_size": batch_size,
        "audio_encoding": audio_encoding,
        "licence": licence,
        "weights": weights,
        "model": preflight.model_settings(model, classes, sample_rate),
    }
    settings = preflight.augment_config(config, given, set_ or [])
    preflight.check_augment(inputs, output, settings, overwrite=overwrite)

    start_tensorflow()
    from pipelines.cli.beam_flags import beam_arguments
    from pipelines.cli.runs.augment_run import run

    beam_args = beam_arguments(context.args, context.command)
    flags = {"overwrite": overwrite, "resume": resume, "scratch": scratch, "debug": debug}
    return run(inputs, output, settings, beam_args, export=export, **flags)
