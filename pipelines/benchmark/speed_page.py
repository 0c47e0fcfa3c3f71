"""``docs/speed.md``: the page that ``dreambeam benchmark --report DIR`` writes from `pipelines.benchmark.speed`.

The rows are kept beside it in ``speed.json``; those of a part that is measured again take the place of the old ones.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from pipelines.benchmark.timing import Row
from pipelines.dataset.versions import processor, versions

PARTS = {
    "matrix products": "What the machine can do: products of square matrices.",
    "gradient": """The gradient of the mean scores by TensorFlow's own operations, batched and traced, without any of
dreambeam's code. It is the reference for everything else.""",
    "one step of": "A whole step of each transform, with its filters, limits and update; 1 is as fast as the gradient.",
    "deep_dream by": "A step of `deep_dream` by each update rule.",
    "arithmetic": """`recipe.arithmetic=fast`: most steps compute only the patches that count most, and products are in
bfloat16 where the processor has instructions for it (`augment/ascent/fast_gradient.py`).""",
    "instructions": """Exact and fast steps of `deep_dream` with this processor's vector instructions and older ones
(`ONEDNN_MAX_CPU_ISA`); measured by `dreambeam benchmark instructions --report docs`.""",
    "alone": "Each part of the work by itself, compared with ten steps of dreaming.",
    "pipeline": """From files to a published dataset, compared with the time of the gradients and two scorings alone.
The time for one file is the start-up, which is subtracted: Beam and, the first time, the compilation of the recipe.""",
    "processes": "The same run by worker processes, each with its own model and its share of the threads.",
    "against naive": """The same clips, targets and steps by a plain loop: one clip at a time, each operation by
itself, patches every 0.1 s as in the paper (`pipelines/benchmark/naive.py`).""",
}
"""The parts of the page in their order, each with what it is."""


def write_page(folder: Path, rows: Sequence[Row]) -> None:
    """Write ``speed.json`` and ``speed.md``; parts that were not measured now stay as they were.

    Raises `OSError` if the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "speed.json"
    known = [Row(**row) for row in json.loads(kept.read_text())["rows"]] if kept.exists() else []
    new = {row.part for row in rows}
    merged = [row for part in PARTS for row in (rows if part in new else known) if row.part == part]
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()}, TensorFlow {versions()['tensorflow']}"
    content = {"machine": machine, "rows": [dataclasses.asdict(row) for row in merged]}
    kept.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "speed.md").write_text(_page(machine, merged), encoding="utf-8")


def _page(machine: str, rows: Sequence[Row]) -> str:
    about = f"""Measured by `dreambeam benchmark --report docs` (and `--against naive`) on: {machine}.
Clips are of 5 s. The figures of a part come from one run, measured in turn. × is the ratio to the row that the last
column names."""
    lines = ["# Speed", "", about]
    for part, about in PARTS.items():
        own = [row for row in rows if row.part == part]
        if own:
            lines += [
                "",
                f"## {part[0].upper()}{part[1:]}",
                "",
                about,
                "",
                "| | figure | | × | as |",
                "|---|--:|---|--:|---|",
            ]
            lines += [
                f"| {row.name} | {row.figure:.1f} | {row.unit} | {ratio_text(row)} | {row.against or ''} |"
                for row in own
            ]
    return "\n".join(lines) + "\n"


def ratio_text(row: Row) -> str:
    """Return a row's ratio for a table, empty if it has none."""
    if row.ratio is None:
        return ""
    return f"{row.ratio:.2f}" if row.ratio < 100 else f"{row.ratio:.0f}"
