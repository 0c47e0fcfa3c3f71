"""The row of one dream: from its sound, its original, and the judge's scores of both.

A row is flat, one line of examples.parquet (`schema`), and holds all that metrics and reports need; shard, offset and
length lead back to the audio. Columns that do not apply are null: the judge has no class for the target, the dataset
has no label, or the ontology cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augment.targets.classes import ClassList
from augment.targets.ontology import Ontology
from augment.targets.policies import Aim
from evaluation.dreams.lineage import Recording
from evaluation.dreams.measures import MEASURES, DreamPair
from evaluation.judges.class_map import ClassMap
from evaluation.judges.judge import Judgement
from evaluation.metrics import kinship, shifts
from evaluation.metrics.distortion import Original
from pipelines.dataset.record_reader import Reference
from pipelines.dataset.schema import ORIGINAL

LEVELS = {"category": 0, "subcategory": 1}
"""Levels of the ontology by column name: its roots, and the classes right below them."""

_TEXT, _FLAG, _INT, _FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()


@dataclass(frozen=True)
class RowContext:
    """What all rows of a dataset share: the judge's classes, its class map, and the ontology, if any."""

    classes: ClassList
    known: ClassMap
    ontology: Ontology | None


@dataclass(frozen=True, eq=False)
class ScoredOriginal:
    """The original of a clip's dreams: its sound and scores, its recording, and its record and labels.

    The latter two are None if it was read from its source.
    """

    sound: Original
    labels: tuple[str, ...] | None
    judgement: Judgement
    reference: Reference | None
    recording: Recording


def schema() -> pa.Schema:
    """Return the columns of examples.parquet."""
    columns = [
        *((name, _TEXT) for name in ("id", "source_id")),
        ("clip", _TEXT),  # sha256 of the source file and the frames: the same clip in any dataset
        ("recording", _TEXT),  # the recording behind it, through dreams of dreams (`evaluation.dreams.lineage`)
        ("recording_found", _FLAG),  # false where a dataset on the way to the recording cannot be read
        ("split", _TEXT),
        ("labels", pa.list_(_TEXT)),
        *((name, _TEXT) for name in ("recipe", "transform")),
        ("variant", _INT),
        ("target_index", _INT),  # of the dreaming model's classes, as the next two; the first, if it has several
        ("target_mid", _TEXT),
        ("target_name", _TEXT),
        ("away", _FLAG),
        ("top_before", pa.list_(_TEXT)),  # the judge's classes, best first
        ("top_before_scores", pa.list_(_FLOAT)),
        ("top_after", pa.list_(_TEXT)),
        ("top_after_scores", pa.list_(_FLOAT)),
        ("top_changed", _FLAG),
        *((f"target_rank_{when}", _INT) for when in ("before", "after")),
        *((f"target_score_{when}", _FLOAT) for when in ("before", "after")),
        ("result_top1", _TEXT),  # success, failed or skipped
        ("result_top5", _TEXT),
        ("label_before", _FLAG),  # a label of the dataset is among the top classes
        ("label_after", _FLAG),
        ("label_kept", _FLAG),  # it was there before, and still is
        ("outcome", _TEXT),  # kinship of the top class to the target
        *((f"{level}_{what}", _TEXT) for level in LEVELS for what in ("target", "before", "after")),
        *((name, _FLOAT) for name in MEASURES),
        *((name, _INT) for name in ("steps_taken", "sample_rate", "channels", "samples")),
        ("original_from", _TEXT),  # dataset or source
        ("shard", _TEXT),  # name of the file in the dataset; the record begins at the offset
        ("offset", _INT),
        ("length", _INT),
        ("original_shard", _TEXT),  # of the original, where the dataset holds it
        ("original_offset", _INT),
        ("original_length", _INT),
    ]
    return pa.schema(columns)


def make_row(
    example: Mapping[str, Any],
    reference: Reference,
    provenance: Mapping[str, Any],
    labels: Sequence[str],
    original: ScoredOriginal,
    after: Judgement,
    context: RowContext,
) -> dict[str, Any]:
    """Return the row of a dream.

    Takes its record (example), the record's place and provenance, the labels of its clip, the original, the judge's
    scores of the dream, and what all rows share.
    """
    source, target, before = provenance["source"], provenance["target"], original.judgement
    pair = DreamPair(original.sound, example["audio"], before, after)
    aim = context.known.aim(target["classes"], target["away"])
    tops = [shifts.top_classes(each.scores) for each in (before, after)]
    names = [[context.classes[index].name for index in top] for top in tops]
    scores = [[float(each.scores[i]) for i in top] for each, top in zip((before, after), tops, strict=True)]
    return {
        "id": reference.id,
        "source_id": reference.source_id,
        "clip": f"{source['sha256']}:{source['start']}-{source['stop']}",
        "recording": original.recording.identity,
        "recording_found": original.recording.found,
        "labels": list(labels),
        **{key: example[key] for key in ("split", "recipe", "transform", "target_mid", "target_name")},
        **{key: int(example[key]) for key in ("variant", "target_index", "steps_taken", "sample_rate")},
        "away": bool(target["away"]),
        **dict(zip(("top_before", "top_after"), names, strict=True)),
        **dict(zip(("top_before_scores", "top_after_scores"), scores, strict=True)),
        "top_changed": tops[0][0] != tops[1][0],
        **_target(aim, before.scores, after.scores),
        **_label(context.known.known_labels(labels), tops[0], tops[1], len(context.classes)),
        **_kin(target, context, tops[0][0], tops[1][0]),
        **{name: measure.compute(pair) for name, measure in MEASURES.items()},
        "samples": len(example["audio"]),
        "channels": example["audio"].shape[1],
        "original_from": "source" if original.reference is None else "dataset",
        **_place(reference, ""),
        **({} if original.reference is None else _place(original.reference, "original_")),
    }


def references(row: Mapping[str, Any], dataset: str) -> tuple[Reference, Reference | None]:
    """Return the places of a row's dream and original in a dataset; None for one that was read from its source."""
    found = []
    for what in ("", "original_"):
        shard, offset, length = (row[f"{what}{key}"] for key in ("shard", "offset", "length"))
        if isinstance(shard, str):
            id_ = row["id"] if not what else f"{row['source_id']}:{ORIGINAL}"
            place = f"{dataset}/{shard}", int(offset), int(length)
            found.append(Reference(*place, id_, row["source_id"], original=bool(what)))
    return found[0], found[1] if len(found) > 1 else None


def _place(reference: Reference, what: str) -> dict[str, Any]:
    shard = reference.shard.rpartition("/")[2]
    return {f"{what}shard": shard, f"{what}offset": reference.offset, f"{what}length": reference.length}


def _target(aim: Aim | None, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    if aim is None:
        return {}
    own = list(aim.classes)
    return {
        "target_rank_before": aim.rank(before),
        "target_rank_after": aim.rank(after),
        "target_score_before": float(before[own].max()),
        "target_score_after": float(after[own].max()),
        "result_top1": shifts.result(aim, before, after, 1),
        "result_top5": shifts.result(aim, before, after, shifts.TOP),
    }


def _label(known: tuple[int, ...], before: list[int], after: list[int], classes: int) -> dict[str, Any]:
    """Return whether a label is among the top classes; for a judge of at most `TOP` classes, whether it is the top."""
    if not known:
        return {}
    top = shifts.TOP if classes > shifts.TOP else 1
    was, is_ = (not set(known).isdisjoint(ranked[:top]) for ranked in (before, after))
    return {"label_before": was, "label_after": is_, "label_kept": is_ if was else None}


def _kin(target: Mapping[str, Any], context: RowContext, top_before: int, top_after: int) -> dict[str, Any]:
    ontology = context.ontology
    mids = [context.known.dreamed[index].mid for index in target["classes"]]
    if ontology is None or not all(mids):  # a user's own classes are in no ontology
        return {}
    before, after = context.classes[top_before].mid, context.classes[top_after].mid
    found: dict[str, Any] = {"outcome": None if target["away"] else kinship.outcome(after, mids, ontology)}
    for level, depth in LEVELS.items():
        for what, mid in (("target", mids[0]), ("before", before), ("after", after)):
            found[f"{level}_{what}"] = kinship.category(mid, ontology, depth)
    return found
