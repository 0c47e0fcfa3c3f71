"""``dreambeam augment``: the command around `pipelines.run.augmentation`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import tensorflow_datasets as tfds
from rich.console import Console

from augment.counted import counted
from augment.determinism.arithmetic import Arithmetic
from augment.models.weights import demo_recording
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED, complain
from pipelines.cli.options import beam_arguments
from pipelines.cli.quiet import own_stderr
from pipelines.cli.watch import watch
from pipelines.clips.whole_files import DEMO
from pipelines.config.run_config import RunConfig
from pipelines.dataset.export import check_export, export_dataset
from pipelines.dataset.loader_code import snippet
from pipelines.dataset.output import resolve_output
from pipelines.files.locations import local_path
from pipelines.run.augmentation import augment_dataset, is_local

_SHOWN = 8
"""How many endings or folders a line names."""


def run(
    inputs: Sequence[str],
    output: str,
    config: RunConfig,
    extra: Sequence[str],
    *,
    export: tuple[str, str] | None,
    overwrite: bool,
    resume: bool,
    scratch: str | None,
    debug: bool,
) -> int:
    """Run the pipeline, export if asked to, and say where the data is; return 3 if something could not be used.

    Where nothing could be, or a table gave no clip a label, the last line says so.
    """
    beam_args = beam_arguments(extra)
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR)
    if not debug:  # it prints the traceback of what is raised again and explained in one line
        logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    paths = [str(demo_recording()) if path == DEMO else path for path in inputs]
    local = is_local(beam_args)
    if export:
        check_export(export[1], resolve_output(output, paths), overwrite=overwrite, inputs=tuple(paths))
    with own_stderr() if local and not debug else nullcontext():
        content = augment_dataset(
            paths,
            output,
            config,
            beam_args=beam_args,
            overwrite=overwrite,
            resume=resume,
            scratch_place=scratch,
            watch=watch(config) if local else None,
        )
        files = export_dataset(output, export[1], export[0], overwrite=overwrite) if export and content["splits"] else 0
    if export and files:
        print(f"{export[1]}: {files} files, and metadata.csv that says what they are")
    if content["counts"]["records"]:
        _summarise(output, content, config)
    for line in _passed_over(content):
        print(f"  {line}")
    for warning in content["warnings"]:
        print(f"dreambeam: warning: {warning}", file=sys.stderr)
    if not content["counts"]["records"]:
        complain(
            f"no clip could be used: {_failures(content)}, each with its reason in {output}/failures.jsonl: mend them, "
            "then run again with --overwrite"
        )
    elif content["table_labels"] == 0:
        complain("no clip has a label, though a table was given: name its column of labels with --label-column")
        return SOME_CLIPS_FAILED
    return SOME_CLIPS_FAILED if content["counts"]["failures"] else DONE


def _failures(content: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{count} at {stage}" for stage, count in content["failures_by_stage"].items())
    return f"{counted(content['counts']['failures'], 'failure')} ({stages})"


def _passed_over(content: Mapping[str, Any]) -> list[str]:
    """Say which files were no sounds, and which folders gave nothing."""
    skipped, lines = content["skipped"], []
    if skipped["files"]:
        found = list(skipped["endings"].items())
        kinds = ", ".join(f"{ending} {count}" for ending, count in found[:_SHOWN])
        rest = sum(count for _, count in found[_SHOWN:])
        lines.append(f"{counted(skipped['files'], 'file')} skipped: {kinds}{f', other {rest}' if rest else ''}")
    if skipped["folders_in_all"]:
        lines.append(f"no sound in {_named(skipped['folders'], skipped['folders_in_all'])}")
    found = content["folders_without_clips"]
    if found and content["counts"]["records"]:  # else all of them: the last line says so
        lines.append(f"nothing could be used of {_named(found, len(found))}: see failures.jsonl")
    return lines


def _named(folders: Sequence[str], count: int) -> str:
    shown = ", ".join(repr(folder) for folder in folders[:_SHOWN])
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"{'folder' if count == 1 else 'folders'} {shown}{more}"


def _arithmetic(content: Mapping[str, Any], config: RunConfig) -> str:
    found = Arithmetic(**content["arithmetic"])
    fast = any(recipe.arithmetic == "fast" for recipe in config.named_recipes().values())
    return f"{found}; fast: products in {found.products}" if fast else str(found)


def _summarise(output: str, content: Mapping[str, Any], config: RunConfig) -> None:
    counts, seconds = content["counts"], content["seconds"]
    console = Console(highlight=False, soft_wrap=True)
    dreams = counts["dreams"]
    fresh = 1 - counts["reused"] / max(1, counts["records"])
    speed = fresh * counts["audio_seconds"] * dreams / max(1, counts["clips"]) / max(1e-9, seconds["pipeline"])
    console.print(
        f"{output}: {counts['records']} records ({counts['originals']} originals, {dreams} dreams) "
        f"from {counts['clips']} clips, {counts['audio_seconds']:.0f} s of audio",
        markup=False,
    )
    for name, found in content["recipes"].items():
        told = f"{found['reached']} of {found['dreams']} dreams reached their target"
        if found["reused"]:
            told += f"; {found['reused']} were reused, of which {found['reused_reached']} had reached it"
        console.print(f"  {name}: {told}", markup=False)
    console.print(f"  took {seconds['pipeline']:.1f} s: {speed:.1f} s of audio dreamed a second", markup=False)
    console.print(f"  arithmetic: {_arithmetic(content, config)}", markup=False)
    metrics = content["metrics"]
    if "batch_fill" in metrics and metrics.get("gradient_steps"):
        fill = metrics["batch_fill"]
        steps, batches = metrics["gradient_steps"], f"{fill['count']} batches, {fill['mean']:.0f} % full"
        console.print(f"  {steps} gradient steps, each of one clip; {batches}", markup=False)
    if not content["labels"]:
        console.print("  no clip has a label: it is the name of its folder below --input, or in a table", markup=False)
    if counts["reused"]:
        console.print(f"  {counts['reused']} records were finished already by a run that was stopped", markup=False)
    if content["not_dreamed"]:
        splits = ", ".join(f"{split} ({clips} clips)" for split, clips in content["not_dreamed"].items())
        console.print(f"  kept as they came: {splits}; --augment-test dreams them, too", markup=False)
    if counts["failures"]:
        console.print(f"  {_failures(content)}: see {output}/failures.jsonl", markup=False)
    if content["splits"]:
        split = "train" if "train" in content["splits"] else content["splits"][0]
        console.print(f'Load it: tfds.builder_from_directory("{output}").as_dataset(split="{split}")', markup=False)
        console.print(f"or as {output}/load.py does (all fields, pandas), or by TensorFlow alone:\n", markup=False)
        folder = local_path(output) or output
        features: Any = tfds.builder_from_directory(folder).info.features
        console.print(snippet(features, folder, name=content["config"]["name"], split=split), markup=False)
