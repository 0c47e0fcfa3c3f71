"""A run of ``dreambeam augment`` around `pipelines.run.augmentation`: its export, its summary and its exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from rich.console import Console

from augment.counted import counted
from augment.determinism.arithmetic import Arithmetic
from augment.models.mirror import demo_recording
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED, complain
from pipelines.cli.quiet import only_own_messages
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
    beam_args: Sequence[str],
    *,
    export: tuple[str, str] | None,
    overwrite: bool,
    resume: bool,
    scratch: str | None,
    debug: bool,
) -> int:
    """Run the pipeline, export if wanted, and print a summary; return 3 if some clips failed or none has a label."""
    paths = [str(demo_recording()) if path == DEMO else path for path in inputs]
    local = is_local(beam_args)
    if export:
        check_export(export[1], resolve_output(output, paths), overwrite=overwrite, inputs=tuple(paths))
    with only_own_messages(local=local, debug=debug):
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
        print(f"{export[1]}: {files} files, described in metadata.csv")
    counts = content["counts"]
    lines = _summary(output, content, config) if counts["records"] else []
    console = Console(highlight=False, soft_wrap=True)
    for line in [*lines, *_skipped(content)]:
        console.print(line, markup=False)
    if counts["records"] and content["splits"]:
        _print_loading(console, output, content)
    for warning in content["warnings"]:
        complain(f"warning: {warning}")
    if not counts["records"]:
        complain(
            f"no clip could be used: {_failures(content)}, each with its reason in {output}/failures.jsonl: mend them, "
            "then run again with --overwrite"
        )
    elif content["table_labels"] == 0:
        complain("no clip has a label, though a table was given: name its column of labels with --label-column")
        return SOME_CLIPS_FAILED
    return SOME_CLIPS_FAILED if counts["failures"] else DONE


def _failures(content: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{count} at {stage}" for stage, count in content["failures_by_stage"].items())
    return f"{counted(content['counts']['failures'], 'failure')} ({stages})"


def _skipped(content: Mapping[str, Any]) -> list[str]:
    """Return lines that name the files that are not audio, and the folders that gave nothing."""
    skipped, lines = content["skipped"], []
    if skipped["files"]:
        found = list(skipped["endings"].items())
        kinds = ", ".join(f"{ending} {count}" for ending, count in found[:_SHOWN])
        rest = sum(count for _, count in found[_SHOWN:])
        lines.append(f"  {counted(skipped['files'], 'file')} skipped: {kinds}{f', other {rest}' if rest else ''}")
    if skipped["folders_in_all"]:
        lines.append(f"  no sound in {_named(skipped['folders'], skipped['folders_in_all'])}")
    found = content["folders_without_clips"]
    if found and content["counts"]["records"]:  # without records the last line says it of all
        lines.append(f"  nothing could be used of {_named(found, len(found))}: see failures.jsonl")
    return lines


def _named(folders: Sequence[str], count: int) -> str:
    shown = ", ".join(repr(folder) for folder in folders[:_SHOWN])
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"{'folder' if count == 1 else 'folders'} {shown}{more}"


def _summary(output: str, content: Mapping[str, Any], config: RunConfig) -> list[str]:
    counts, metrics, seconds = content["counts"], content["metrics"], content["seconds"]["pipeline"]
    dreams = counts["dreams"]
    lines = [
        (
            f"{output}: {counts['records']} records ({counts['originals']} originals, {dreams} dreams) "
            f"from {counts['clips']} clips, {counts['audio_seconds']:.0f} s of audio"
        )
    ]
    for name, found in content["recipes"].items():
        line = f"  {name}: {found['reached']} of {found['dreams']} dreams reached their target"
        if found["reused"]:
            line += f"; {found['reused']} of an earlier run, {found['reused_reached']} of them on target"
        lines.append(line)
    fresh = 1 - counts["reused"] / max(1, counts["records"])
    speed = fresh * counts["audio_seconds"] * dreams / max(1, counts["clips"]) / max(1e-9, seconds)
    lines.append(f"  took {seconds:.1f} s: {speed:.1f} s of audio dreamed a second")
    arithmetic = Arithmetic(**content["arithmetic"])
    fast = any(recipe.arithmetic == "fast" for recipe in config.named_recipes().values())
    lines.append(f"  arithmetic: {arithmetic}{f'; fast: products in {arithmetic.products}' if fast else ''}")
    if "batch_fill" in metrics and metrics.get("gradient_steps"):
        fill = metrics["batch_fill"]
        batches = f"{fill['count']} batches, {fill['mean']:.0f} % full"
        lines.append(f"  {metrics['gradient_steps']} gradient steps, each of one clip; {batches}")
    if not content["labels"]:
        lines.append("  no clip has a label: it is the name of its folder below --input, or in a table")
    if counts["reused"]:
        lines.append(f"  {counts['reused']} records were finished by an earlier run")
    if content["not_dreamed"]:
        splits = ", ".join(f"{split} ({clips} clips)" for split, clips in content["not_dreamed"].items())
        lines.append(f"  copied without dreams: {splits}; --augment-test dreams them, too")
    if counts["failures"]:
        lines.append(f"  {_failures(content)}: see {output}/failures.jsonl")
    return lines


def _print_loading(console: Console, output: str, content: Mapping[str, Any]) -> None:
    """Print code that loads the dataset."""
    split = "train" if "train" in content["splits"] else content["splits"][0]
    folder = local_path(output) or output
    features: Any = tfds.builder_from_directory(folder).info.features
    for text in (
        f'Load it: tfds.builder_from_directory("{output}").as_dataset(split="{split}")',
        f"or as {output}/load.py does (all fields, pandas), or by TensorFlow alone:\n",
        snippet(features, folder, name=content["config"]["name"], split=split),
    ):
        console.print(text, markup=False)
