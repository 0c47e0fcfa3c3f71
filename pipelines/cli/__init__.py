"""The command line: ``dreambeam COMMAND``.

A module for each command, which is imported only when the command runs, so that ``--help`` is instant. Errors that a
user can mend are one line on stderr. Exit codes: 0 done; 1 the run failed; 2 the arguments or the configuration are
wrong; 3 done, but some clips failed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pipelines.cli.choices import (
    INPUT,
    TARGET,
    AgainstChoice,
    BenchmarkChoice,
    Classes,
    Debug,
    EncodingChoice,
    FileChoice,
    Model,
    ModelRate,
    Set,
    StartChoice,
    TransformChoice,
    Weights,
)
from pipelines.cli.ending import DONE, FAILED, STOPPED, STOPPED_SAYS, complain, explain, stop_on_signals

app = typer.Typer(
    name="dreambeam",
    help="Augment audio datasets by dreaming through YAMNet, and see what it did.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        print(f"dreambeam {importlib.metadata.version('dreambeam')}")
        raise typer.Exit()


@app.callback()
def _dreambeam(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Augment audio datasets by dreaming through YAMNet, and see what it did."""


@app.command(context_settings=_BEAM)
def augment(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Option("--input", "-i", help=f"{INPUT} May be repeated. 'demo': a street recording."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of the dataset to make.", metavar="DIR")],
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", help="YAML file, or a name that `dreambeam configs` lists.", metavar="FILE"),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(help="CSV, TSV, JSONL or Parquet with a row for each file; else folder names are labels."),
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Column of paths [found by its name].")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column or feature of labels [found by its name].")] = None,
    split_column: Annotated[str | None, typer.Option(help="Column of splits [found by its name].")] = None,
    start_column: Annotated[
        str | None,
        typer.Option(
            "--start-column",
            "--offset-column",
            help="A manifest's column of where pieces begin, in seconds [found by its name; '' for none].",
        ),
    ] = None,
    end_column: Annotated[str | None, typer.Option(help="A manifest's column of where they end.")] = None,
    duration_column: Annotated[str | None, typer.Option(help="A manifest's column of how long they are.")] = None,
    group_column: Annotated[
        list[str] | None, typer.Option(help="Column or feature to carry, such as fold or speaker; may be repeated.")
    ] = None,
    split: Annotated[list[str] | None, typer.Option(help="Split to read [all]; may be repeated.")] = None,
    augment_test: Annotated[
        bool, typer.Option("--augment-test", help="Dream test and validation splits, too, which else stay as they are.")
    ] = False,
    root: Annotated[
        str | None,
        typer.Option(help="Folder that the paths in manifests and lists lie in [their own].", metavar="DIR"),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="TFDS datasets [TFDS_DATA_DIR, ~/tensorflow_datasets].", metavar="DIR")
    ] = None,
    target: Annotated[str | None, typer.Option(help=f"{TARGET} [random]")] = None,
    transform: Annotated[TransformChoice | None, typer.Option(help="Activation-maximization function.")] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps.")] = None,
    sound: Annotated[
        str | None, typer.Option(help="Target sound, for the target filters, sound and matching.", metavar="FILE")
    ] = None,
    variants: Annotated[int | None, typer.Option(help="Dreams of each clip by each recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Most clips in one gradient step.")] = None,
    audio_encoding: Annotated[
        EncodingChoice | None,
        typer.Option(help="What records store: exact samples, half the size, or FLAC files of 24 bits. [float32]"),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the dataset, for croissant.json; best a URL. [none]", metavar="TEXT")
    ] = None,
    export: Annotated[
        tuple[FileChoice, str] | None,
        typer.Option(
            help="Write each record as a file, too, with a table: wav or flac, and where.", metavar="FORMAT DIR"
        ),
    ] = None,
    model: Model = None,
    classes: Classes = None,
    sample_rate: ModelRate = None,
    weights: Weights = None,
    set_: Set = None,
    scratch: Annotated[
        str | None,
        typer.Option(
            help="Folder or bucket for unfinished work that all workers see [beside --output].", metavar="DIR"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a dataset that is there.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with what a run that was stopped has finished.")] = True,
    debug: Debug = False,
) -> None:
    """Dream sounds into a dataset (TFRecords that tfds.builder_from_directory loads).

    Flags that are not listed here go to Beam, such as --runner=FlinkRunner or --direct_num_workers=2
    --direct_running_mode=multi_processing.
    """
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
        "recipe.transform": transform and transform.value,
        "recipe.steps": steps,
        "recipe.sound": sound,
        "variants": variants,
        "seed": seed,
        "batch_size": batch_size,
        "audio_encoding": audio_encoding and audio_encoding.value,
        "licence": licence,
        "weights": weights,
    }
    from pipelines.cli import preflight
    from pipelines.cli.options import model_settings

    given["model"] = model_settings(model, classes, sample_rate)
    settings = preflight.augment_config(config, given, set_ or [])
    preflight.check_augment(inputs, output, settings, overwrite=overwrite)
    flags = {"overwrite": overwrite, "resume": resume, "scratch": scratch, "debug": debug}
    files = (export[0].value, export[1]) if export else None
    raise typer.Exit(_command("augment")(inputs, output, settings, context.args, export=files, **flags))


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(metavar="DATASET_DIR", help="Output of dreambeam augment.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of files to make.", metavar="DIR")],
    file_format: Annotated[FileChoice, typer.Option("--format", help="Format of the files.")] = FileChoice.wav,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Write a dataset's records as files, with metadata.csv, for tools that want files."""
    from pipelines.dataset.export import open_dataset

    open_dataset(dataset)
    raise typer.Exit(_command("export")(dataset, output, file_format.value, overwrite=overwrite))


@app.command()
def dream(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IN] OUT",
            help="Audio file to dream, of any length ('demo' is a street recording; none with --seconds), and file to "
            "write: .wav, .flac or .ogg.",
        ),
    ] = None,
    transform: Annotated[TransformChoice, typer.Option(help="Activation-maximization function.")] = (
        TransformChoice.deep_dream
    ),
    target: Annotated[str, typer.Option(help=TARGET)] = "keep",
    steps: Annotated[int | None, typer.Option(help="Gradient steps, at most [by transform and start].")] = None,
    snr: Annotated[float | None, typer.Option(help="Lowest SNR of the dream in dB [by transform and start].")] = None,
    sound: Annotated[
        str | None, typer.Option(help="Target sound, for the target filters, sound and matching.", metavar="FILE")
    ] = None,
    start: Annotated[StartChoice, typer.Option(help="What is dreamed; noise is white.")] = StartChoice.clip,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, max=300, help="Start from so much noise or silence, without an input.")
    ] = None,
    picture: Annotated[
        str | None, typer.Option(help="Draw the spectrograms before, of the change, and after.", metavar="FILE")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random targets and noise.")] = 0,
    model: Model = None,
    classes: Classes = None,
    sample_rate: ModelRate = None,
    weights: Weights = None,
    set_: Set = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Dream one audio file, or noise, and say what YAMNet (or the model) heard before and after."""
    if seconds is not None and start is StartChoice.clip:
        raise typer.BadParameter("--seconds takes no input: say what to start from, such as --start noise")
    given = paths or []
    if seconds is not None:
        source, output = None, given[0] if given else "dream.wav"
    else:
        source, output = (given[0], given[1]) if len(given) == 2 else (None, "")
    if len(given) > 2 or (seconds is None and len(given) < 2) or (seconds is not None and len(given) > 1):
        wanted = "OUT alone" if seconds is not None else "IN and OUT (or --start noise --seconds 5 and OUT)"
        raise typer.BadParameter(f"expected {wanted}, got {len(given)} file names")
    settings = {
        "transform": transform.value,
        "steps": steps,
        "snr_db": snr,
        "sound": sound,
        "start": None if start is StartChoice.clip else start.value,
    }
    from pipelines.cli import preflight
    from pipelines.cli.options import model_settings

    config = preflight.dream_config(settings, model_settings(model, classes, sample_rate), set_ or [])
    preflight.check_dream(source, output, picture, config, overwrite=overwrite)
    raise typer.Exit(_command("dream")(source, output, target, config, picture, seed, weights, seconds=seconds))


@app.command()
def classify(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Audio files.")],
    top: Annotated[int, typer.Option(min=1, max=521, help="How many classes to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Say what YAMNet hears in audio files."""
    from pipelines.cli import preflight

    preflight.check_heard(files)
    raise typer.Exit(_command("classify")(files, top, as_json, weights))


@app.command(context_settings=_BEAM)
def evaluate(
    context: typer.Context,
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET_DIR...", help="Folders that augment has written.")],
    report: Annotated[str, typer.Option(help="Folder for report.html and metrics.json.", metavar="DIR")],
    judge: Annotated[
        str,
        typer.Option(
            help="yamnet, crnn (does it hear a bicycle bell?), a SavedModel folder, a .keras file, or module:function."
        ),
    ] = "yamnet",
    classes: Annotated[
        str | None, typer.Option(help="Its classes: a name in each line, or a CSV like YAMNet's.", metavar="FILE")
    ] = None,
    sample_rate: Annotated[int | None, typer.Option(help="What it hears, in Hz.")] = None,
    judge_input: Annotated[
        str, typer.Option(help="waveform, or YAMNet's embeddings; auto tells by the shape.", metavar="KIND")
    ] = "auto",
    class_map: Annotated[
        str | None, typer.Option(help="CSV (name,class) from labels and YAMNet's classes to its own.", metavar="FILE")
    ] = None,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Hear every output of a dataset anew, and say what the dreaming did; several datasets are compared.

    Flags that are not listed here go to Beam, such as --direct_num_workers=2 --direct_running_mode=multi_processing.
    """
    from pipelines.cli import preflight

    preflight.check_evaluated([*datasets, *context.args])
    run = _command("evaluate")
    from evaluation.judges.judge import JudgeSpec

    spec = JudgeSpec(judge, classes, sample_rate, judge_input, weights)
    raise typer.Exit(run([*datasets, *context.args], report, spec, class_map, debug=debug))


@app.command(context_settings=_BEAM)
def robustness(
    context: typer.Context,
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Recordings: files, folders, globs.")],
    report: Annotated[str, typer.Option(help="Folder for report.html and metrics.json.", metavar="DIR")],
    metadata: Annotated[str | None, typer.Option(help="CSV of labels; else each folder is one.", metavar="CSV")] = None,
    path_column: Annotated[str | None, typer.Option(help="Its column of paths.", metavar="NAME")] = None,
    label_column: Annotated[str | None, typer.Option(help="Its column of labels.", metavar="NAME")] = None,
    label_separator: Annotated[
        str | None, typer.Option(help="Parts several labels of a clip; the figure is then mAP.", metavar="TEXT")
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="Its column of what was recorded together: intervals are drawn over these.", metavar="NAME"),
    ] = None,
    train: Annotated[
        str | None, typer.Option(help="Train a linear head on YAMNet on these, such as fold=1.", metavar="COLUMN=VALUE")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Try the classifier on these [all others].", metavar="COLUMN=VALUE")
    ] = None,
    judge: Annotated[
        str, typer.Option(help="yamnet, head.npz, crnn, a SavedModel folder, a .keras file, or module:function.")
    ] = "yamnet",
    classes: Annotated[
        str | None, typer.Option(help="Its classes: a name in each line, or a CSV like YAMNet's.", metavar="FILE")
    ] = None,
    sample_rate: Annotated[int | None, typer.Option(help="What it hears, in Hz.")] = None,
    judge_input: Annotated[
        str, typer.Option(help="waveform, or YAMNet's embeddings; auto tells by the shape.", metavar="KIND")
    ] = "auto",
    class_map: Annotated[
        str | None, typer.Option(help="CSV (name,class) from labels to its classes.", metavar="FILE")
    ] = None,
    yamnet_map: Annotated[
        str | None, typer.Option(help="The same to YAMNet's, for dreams through YAMNet.", metavar="FILE")
    ] = None,
    through: Annotated[
        str,
        typer.Option(
            help="Dream through the judge (any but a function or a model with no gradient), yamnet (transfer), or "
            "both [both, if the judge can be dreamed through and is not YAMNet].",
            metavar="WHAT",
        ),
    ] = "auto",
    snr_db: Annotated[
        str | None, typer.Option("--snr-db", help="Budgets in dB [40,35,30,25,20,15,10].", metavar="LIST")
    ] = None,
    untargeted: Annotated[
        bool | None, typer.Option("--untargeted/--targeted", help="Only dreams of this kind [both].")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of a dream, at most.")] = 20,
    limit: Annotated[int | None, typer.Option(min=1, help="So many files, drawn by the seed [all].")] = None,
    seed: Annotated[int, typer.Option(help="Of targets, noise and the draw of files.")] = 0,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Try a classifier: its accuracy against SNR under dreams, next to noise and filters at the same SNR.

    Dreams go through the classifier itself where it is YAMNet, a head on it, crnn, or a SavedModel or Keras model whose
    scores are differentiable by the waveform; a function is only tried by dreams through YAMNet.

    Flags that are not listed here go to Beam, such as --direct_num_workers=2 --direct_running_mode=multi_processing.
    """
    from pipelines.cli import preflight

    preflight.check_recordings([*data, *context.args], metadata)
    run = _command("robustness")
    from evaluation.judges.judge import JudgeSpec
    from evaluation.robustness.trials import Settings
    from pipelines.cli.commands.robustness_command import Data, read_budgets

    spec = JudgeSpec(judge, classes, sample_rate, judge_input, weights)
    settings = Settings(
        judge=spec,
        class_map=class_map,
        yamnet_map=yamnet_map,
        through=through,
        targeted=untargeted is not True,
        untargeted=untargeted is not False,
        budgets=read_budgets(snr_db),
        steps=steps,
        seed=seed,
        multi_label=label_separator is not None,
    )
    given = Data(metadata, path_column, label_column, label_separator, train, test, group_column, limit)
    raise typer.Exit(run([*data, *context.args], report, given, settings, debug=debug))


@app.command()
def utility(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Recordings: files, folders, globs.")],
    metadata: Annotated[str, typer.Option(help="Table of labels and folds, with a row for each file.", metavar="CSV")],
    fold_column: Annotated[str, typer.Option(help="Its column of folds.", metavar="NAME")] = "fold",
    group_column: Annotated[
        str | None, typer.Option(help="Its column of what belongs together, such as a recording [each file].")
    ] = None,
    class_column: Annotated[
        str | None, typer.Option(help="Its column of YAMNet's classes that the labels mean [by their names].")
    ] = None,
    path_column: Annotated[str | None, typer.Option(help="Its column of paths.", metavar="NAME")] = None,
    label_column: Annotated[str | None, typer.Option(help="Its column of labels.", metavar="NAME")] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config", "-c", help="Config of dreambeam augment, as an arm that is called as its file; may be repeated."
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Arms, by name; may be repeated [all].")] = None,
    classifier: Annotated[
        list[str] | None, typer.Option(help="linear, mlp or cnn; may be repeated [all].", metavar="NAME")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Training clips of each class, such as 1,2,5,10,all [2,all].", metavar="LIST")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the few clips and starts of the classifiers.")] = 5,
    white_box: Annotated[
        list[str] | None,
        typer.Option("--white-box", help="Dream against this arm's linear head through itself; may be repeated."),
    ] = None,
    report: Annotated[str | None, typer.Option(help="Folder for utility.md and utility.json.", metavar="DIR")] = None,
    work: Annotated[
        str | None, typer.Option(help="Folder where finished work is kept, to go on from [the cache].", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Train classifiers with and without dreamed data, and say whether it helped (an hour or two)."""
    from pipelines.cli import preflight

    preflight.check_recordings(data, metadata)
    run = _command("utility")
    from evaluation.utility.classifiers import CLASSIFIERS
    from pipelines.cli.commands.utility_command import Data, Plan, read_shots

    given = Data(metadata, fold_column, group_column, class_column, path_column, label_column)
    chosen = tuple(classifier or CLASSIFIERS)
    plan = Plan(tuple(only or ()), tuple(config or ()), chosen, read_shots(shots), seeds, tuple(white_box or ()))
    raise typer.Exit(run(data, given, plan, report, work, weights, as_json, debug=debug))


@app.command()
def configs(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this one.")] = None,
    debug: Debug = False,
) -> None:
    """List the configs that come with dreambeam, or print one."""
    from pipelines.cli.commands.configs_command import run

    raise typer.Exit(run(name))


@app.command()
def targets(
    words: Annotated[str, typer.Argument(metavar="WORDS", help="Part of a name ('siren'), or a branch ('Alarm/*').")],
    limit: Annotated[int, typer.Option(min=1, max=521, help="How many classes to show.")] = 10,
    ontology: Annotated[
        str | None, typer.Option(envvar="DREAMBEAM_ONTOLOGY", help="AudioSet's ontology.json [fetched once].")
    ] = None,
    debug: Debug = False,
) -> None:
    """Search the 521 classes that a sound can be dreamed toward, with their place in AudioSet's ontology."""
    from pipelines.cli.commands.targets_command import run

    raise typer.Exit(run(words, limit, ontology))


@app.command()
def plan(
    clips: Annotated[float, typer.Option(help="How many clips, such as 2e6.")],
    seconds: Annotated[float, typer.Option(help="Length of a clip in seconds.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Gradient steps of each dream.")] = 20,
    workers: Annotated[int, typer.Option(help="Processes that dream.")] = 1,
    cores: Annotated[int, typer.Option(help="Cores of each.")] = 2,
    dreams: Annotated[int, typer.Option(help="Dreams of each clip: recipes times variants.")] = 1,
    sample_rate: Annotated[int, typer.Option(help="Of the clips, in Hz.")] = 16_000,
    audio_encoding: Annotated[EncodingChoice, typer.Option(help="What records store.")] = EncodingChoice.float32,
    batch_size: Annotated[int, typer.Option(help="Most clips that are dreamed at once.")] = 32,
    rate: Annotated[
        list[str] | None,
        typer.Option(help="What was measured elsewhere, such as steps=60 or shared_write=5e9.", metavar="NAME=VALUE"),
    ] = None,
    core_hour: Annotated[float | None, typer.Option(help="Price of one core for an hour.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Say what a run on a cluster takes, and where it is held up first; docs/planning.md tells of the arithmetic."""
    from pipelines.benchmark.planning import Job, whole
    from pipelines.cli.commands.plan_command import run

    job = Job(
        whole(clips),
        seconds,
        steps,
        workers,
        cores,
        dreams,
        sample_rate=sample_rate,
        encoding=audio_encoding.value,
        batch_size=batch_size,
    )
    raise typer.Exit(run(job, rate or [], core_hour, as_json))


@app.command()
def replay(
    dataset: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that dreambeam augment wrote.")],
    id_: Annotated[str, typer.Option("--id", help="Of the record, such as 'dog/a.wav:deep_dream:0'.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write the audio: .wav (exact), .flac or .ogg.", metavar="FILE")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the source file is now.", metavar="PATH")] = None,
    sound: Annotated[str | None, typer.Option(help="Where the target sound is now.", metavar="PATH")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Where the model is now; repeated as it was.", metavar="PATH")
    ] = None,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Make a record's audio again from its source and provenance, and say whether it is the same.

    Ends with 0 if it is bit-exact, or was made on other arithmetic and agrees in score and SNR; else with 1.
    """
    from pipelines.dataset.reader import find_folder

    find_folder(dataset)
    flags = {"models": model or [], "overwrite": overwrite, "as_json": as_json}
    raise typer.Exit(_command("replay")(dataset, id_, output, source, sound, weights, **flags))


@app.command()
def verify(
    dataset: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that dreambeam augment wrote.")],
    sources: Annotated[
        bool, typer.Option("--sources/--no-sources", help="Hash the source files, too, each once.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Check a dataset: shards, checksums, hashes, schema, provenance, counts, and that its sources are unchanged."""
    from pipelines.dataset.reader import find_folder

    find_folder(dataset)
    raise typer.Exit(_command("verify")(dataset, sources=sources, as_json=as_json))


@app.command()
def doctor(weights: Weights = None, debug: Debug = False) -> None:
    """Check Python, libraries, weights and runners, and say what to do about what does not work."""
    raise typer.Exit(_command("doctor")(weights))


@app.command()
def benchmark(
    context: typer.Context,
    what: Annotated[
        BenchmarkChoice,
        typer.Argument(help="What to measure: speed, speed by vector instructions, or reached targets."),
    ] = (BenchmarkChoice.speed),
    data: Annotated[
        str | None,
        typer.Option(help="Folder of recordings, for steering or side by side; a folder deep at most.", metavar="DIR"),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of clip and target, for steering.")] = 300,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Rows of the steering table, by name; may be repeated.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help="Folder for the page and its rows (and steering's picture).", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, max=100, help="Rounds of speed; the figures are medians [5; quickly 2].")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Of speed: only the most important, in two minutes.")] = False,
    against: Annotated[
        AgainstChoice | None, typer.Option(help="Of speed: dream the same clips by a plain loop, side by side.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Of speed: files of the pipeline, or clips side by side.")] = 64,
    steps: Annotated[
        list[int] | None, typer.Option(min=1, help="Of each clip, side by side; may be given again [20 and 60].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of steering's targets.")] = 0,
    weights: Weights = None,
    debug: Debug = False,
) -> None:
    """Measure this machine, or how well dreams reach their targets (steering, an hour or two).

    Speed says at its start how long it will take: ten minutes and more, --quick under two.
    """
    from pipelines.cli import preflight

    came_from = {name: context.get_parameter_source(name) for name in context.params}
    written = [name for name, source in came_from.items() if source and source.name == "COMMANDLINE"]
    preflight.check_benchmark(written, what.value, against and against.value)
    if what is BenchmarkChoice.steering:
        if data is None:
            raise typer.BadParameter("steering needs recordings: --data DIR")
        raise typer.Exit(_command("steering")(data, pairs, only or [], report, as_json, seed, weights))
    raise typer.Exit(
        _command("benchmark")(
            what.value,
            as_json,
            rounds or (2 if quick else 5),
            weights,
            against and against.value,
            data,
            clips,
            steps or [20, 60],
            report,
            quick=quick,
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stopped = stop_on_signals()
    code: int | str | None
    try:
        code = typer.main.get_command(app)(given or ["--help"], prog_name="dreambeam", standalone_mode=False)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except (KeyboardInterrupt, SystemExit) as end:
        code = getattr(end, "code", STOPPED)
    except Exception as error:
        if "--debug" in given and not stopped:
            raise
        code = FAILED if stopped else explain(error)
    if stopped:
        complain(STOPPED_SAYS.get(given[0] if given else "", "stopped"))
        code = STOPPED
    sys.exit(code or DONE)


def _command(name: str) -> Any:
    """Import a command's module and return its function, TensorFlow's greetings silenced."""
    from pipelines.cli.quiet import import_tensorflow, show_messages

    import_tensorflow()
    show_messages()
    return importlib.import_module(f"pipelines.cli.commands.{name}_command").run
