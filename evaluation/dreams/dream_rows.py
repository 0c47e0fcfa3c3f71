"""Examples: the row of one dream, from its sound, its original's, and what the judge says of both.

A row is flat, one line of examples.parquet (`SCHEMA`), and holds all that the metrics and a report need: the audio is
found again by shard, offset and length. Columns that do not apply are null: the judge does not know the target, the
dataset has no label, the ontology is not to be had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augment.targets.classes import ClassList
from augment.targets.ontology import Ontology
from augment.targets.policies import Aim
from evaluation.dreams.lineage import Recording
from evaluation.dreams.originals import ORIGINAL, Reference
from evaluation.judges.class_map import ClassMap
from evaluation.judges.judge import Judgement
from evaluation.metrics import kinship, shifts
from evaluation.metrics.distortion import Distortion

LEVELS = {"category": 0, "subcategory": 1}
"""Levels of the ontology by the columns' name: its roots, and what is right below them."""

_TEXT, _FLAG, _INT, _FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()

SCHEMA = pa.schema(
    [
        ("id", _TEXT),
        ("source_id", _TEXT),
        ("clip", _TEXT),  # sha256 of the source file and the frames: the same clip in any dataset
        ("recording", _TEXT),  # that it goes back to, through dreams of dreams (`evaluation.dreams.lineage`)
        ("recording_found", _FLAG),  # the way back was not lost
        ("split", _TEXT),
        ("labels", pa.list_(_TEXT)),
        ("recipe", _TEXT),
        ("transform", _TEXT),
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
        ("target_rank_before", _INT),
        ("target_rank_after", _INT),
        ("target_score_before", _FLOAT),
        ("target_score_after", _FLOAT),
        ("result_top1", _TEXT),  # success, failed or skipped
        ("result_top5", _TEXT),
        ("label_before", _FLAG),  # a label of the dataset is among the top classes
        ("label_after", _FLAG),
        ("label_kept", _FLAG),  # it was there before, and still is
        ("outcome", _TEXT),  # kinship of the top class to the target
        *((f"{level}_{what}", _TEXT) for level in LEVELS for what in ("target", "before", "after")),
        ("js_divergence", _FLOAT),
        ("embedding_distance", _FLOAT),
        *((field.name, _FLOAT) for field in dataclasses.fields(Distortion)),
        ("steps_taken", _INT),
        ("sample_rate", _INT),
        ("channels", _INT),
        ("samples", _INT),
        ("original_from", _TEXT),  # dataset or source
        ("shard", _TEXT),  # name of the file in the dataset; the record begins at the offset
        ("offset", _INT),
        ("length", _INT),
        ("original_shard", _TEXT),  # of the original, where the dataset holds it
        ("original_offset", _INT),
        ("original_length", _INT),
    ]
)
"""Columns of examples.parquet."""


@dataclass(frozen=True)
class Bearings:
    """What a row is made by: the same for a whole dataset.

    Attributes:
        classes: the judge's.
        known: the judge's classes for targets and labels.
        ontology: AudioSet's, None where it is not to be had.
    """

    classes: ClassList
    known: ClassMap
    ontology: Ontology | None


def make_row(
    example: Mapping[str, Any],
    reference: Reference,
    provenance: Mapping[str, Any],
    labels: Sequence[str],
    before: Judgement,
    after: Judgement,
    distortion: Distortion,
    bearings: Bearings,
    original: Reference | None,
    recording: Recording,
) -> dict[str, Any]:
    """Return the row of a dream.

    Args:
        example: of `evaluation.dreams.originals.read_example`.
        reference: of the record.
        provenance: of the record.
        labels: of its source clip.
        before: what the judge says of the original.
        after: of the dream.
        distortion: of the dream against the original.
        bearings: of the dataset.
        original: the original's record, None if it was read from its source.
        recording: that its source goes back to.
    """
    source, target = provenance["source"], provenance["target"]
    aim = bearings.known.aim(target["classes"], target["away"])
    tops = [shifts.top_classes(each.scores) for each in (before, after)]
    names = [[bearings.classes[index].name for index in top] for top in tops]
    scores = [[float(each.scores[i]) for i in top] for each, top in zip((before, after), tops, strict=True)]
    return {
        "id": reference.id,
        "source_id": reference.source_id,
        "clip": f"{source['sha256']}:{source['start']}-{source['stop']}",
        "recording": recording.identity,
        "recording_found": recording.found,
        "labels": list(labels),
        **{key: example[key] for key in ("split", "recipe", "transform", "target_mid", "target_name")},
        **{key: int(example[key]) for key in ("variant", "target_index", "steps_taken", "sample_rate")},
        "away": bool(target["away"]),
        "top_before": names[0],
        "top_before_scores": scores[0],
        "top_after": names[1],
        "top_after_scores": scores[1],
        "top_changed": tops[0][0] != tops[1][0],
        **_target(aim, before.scores, after.scores),
        **_label(bearings.known.known_labels(labels), tops[0], tops[1], len(bearings.classes)),
        **_kin(target, bearings, tops[0][0], tops[1][0]),
        "js_divergence": shifts.js_divergence(before.scores, after.scores),
        "embedding_distance": _embedding_distance(before, after),
        **dataclasses.asdict(distortion),
        "samples": len(example["audio"]),
        "channels": example["audio"].shape[1],
        "original_from": "source" if original is None else "dataset",
        **_place(reference, ""),
        **({} if original is None else _place(original, "original_")),
    }


def references(row: Mapping[str, Any], dataset: str) -> tuple[Reference, Reference | None]:
    """Return where a row's dream stands in its dataset, and its original; None if that was read from its source.

    Args:
        row: of examples.parquet.
        dataset: path of the dataset.
    """
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
    """Tell whether a label is among the top classes; of a judge of so few classes, whether it is the top one."""
    if not known:
        return {}
    top = shifts.TOP if classes > shifts.TOP else 1
    was, is_ = (not set(known).isdisjoint(heard[:top]) for heard in (before, after))
    return {"label_before": was, "label_after": is_, "label_kept": is_ if was else None}


def _kin(target: Mapping[str, Any], bearings: Bearings, top_before: int, top_after: int) -> dict[str, Any]:
    ontology = bearings.ontology
    mids = [bearings.known.dreamed[index].mid for index in target["classes"]]
    if ontology is None or not all(mids):  # classes of one's own are in no ontology
        return {}
    before, after = bearings.classes[top_before].mid, bearings.classes[top_after].mid
    found: dict[str, Any] = {"outcome": None if target["away"] else kinship.outcome(after, mids, ontology)}
    for level, depth in LEVELS.items():
        for what, mid in (("target", mids[0]), ("before", before), ("after", after)):
            found[f"{level}_{what}"] = kinship.category(mid, ontology, depth)
    return found


def _embedding_distance(before: Judgement, after: Judgement) -> float | None:
    if before.embeddings is None or after.embeddings is None:
        return None
    first, second = (each.mean(axis=0, dtype=np.float64) for each in (before.embeddings, after.embeddings))
    return shifts.cosine_distance(first, second)
