r"""The augmentation as a Beam pipeline: listing -> clips -> dreams -> shards.

Only references cross a shuffle: to files, to clips, and to records in workers' files (`pipelines.dataset.scratch`).
Classes here only translate; the modules they call do the work, without Beam.

    listing -> [segment] -> ClipRef -> [dream] -> RecordRef -> by shard -> [write] -> manifest
                   \-> failures <------/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsDict, AsList, AsSingleton, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from augment.models.interface import AudioModel
from pipelines.clips import shard_clips
from pipelines.clips.clips import segments
from pipelines.clips.listing import Item
from pipelines.clips.references import ClipRef, Failure, failure
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import is_dreamed
from pipelines.config.run_config import RunConfig
from pipelines.dataset import shards
from pipelines.dataset.records import Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import RecordRef, Scratch, SpillWriter
from pipelines.files.containers import ClipError
from pipelines.messages import did_you_mean
from pipelines.progress import Counts
from pipelines.run import counters
from pipelines.run.clip_summary import ClipSummary, Summary
from pipelines.run.listing_file import listing_blocks, read_block
from pipelines.run.staging import StagedWeights, staged_model
from pipelines.worker.dream_worker import DreamWorker
from pipelines.worker.run_model import shared_model, specs_of

FAILED = "failed"

NO_VOCABULARY = Vocabulary((), ())


def build(
    pipeline: beam.Pipeline,
    listing: str,
    config: RunConfig,
    scratch: Scratch,
    more_labels: tuple[str, ...] = (),
    vocabulary: Vocabulary = NO_VOCABULARY,
    staged: StagedWeights | None = None,
) -> None:
    """Add the augmentation to a pipeline; it ends with the manifest in the scratch folder.

    Args:
        pipeline: on any runner whose workers see the scratch folder.
        listing: a file of `listing_file.write_listing`.
        config: of the run.
        scratch: for unfinished work.
        more_labels: that dreams may get beside those of the clips.
        vocabulary: of the source: labels that come first, in this order, and groups.
        staged: the weights that workers use; None: those of the configuration, which each worker looks up.
    """
    blocks = pipeline | "Listing" >> beam.Create([listing]) | "Blocks" >> beam.FlatMap(listing_blocks)
    clips = (
        blocks
        | "SpreadFiles" >> beam.Reshuffle()
        | "ReadListing" >> beam.FlatMap(read_block)
        | "Segment" >> beam.ParDo(SegmentFn(config, vocabulary.labels, scratch)).with_outputs(FAILED, main="clips")
    )
    unique = (
        clips.clips
        | "ById" >> beam.WithKeys(_id)
        | "SpreadClips" >> beam.GroupByKey()
        | "OneForEachId" >> beam.ParDo(OneForEachIdFn()).with_outputs(FAILED, main="clips")
    )
    summary = unique.clips | "Summarise" >> beam.CombineGlobally(ClipSummary(vocabulary, more_labels))
    dreams = unique.clips | "Dream" >> beam.ParDo(DreamFn(config, scratch, staged), AsSingleton(summary)).with_outputs(
        FAILED, main="records"
    )
    failures = (
        (clips[FAILED], unique[FAILED], dreams[FAILED])
        | "Failures" >> beam.Flatten()
        | "FailureLines" >> beam.Map(shards.failure_line)
        | "OneFailureFile" >> beam.GroupBy(_one_group)
        | "WriteFailures" >> beam.Map(_write_failures, scratch.parts)
    )
    counts = (
        dreams.records
        | "Bytes" >> beam.Map(_split_and_bytes)
        | "BytesOfSplit" >> beam.CombinePerKey(sum)
        | "Shards" >> beam.Map(_split_and_shards, config.shards)
    )
    written = (
        dreams.records
        | "ToShard" >> beam.Map(_to_shard, AsDict(counts))
        | "ByShard" >> beam.GroupByKey()
        | "WriteShards" >> beam.Map(_write_shard, scratch.parts, vocabulary.group_features)
    )
    _ = (
        pipeline
        | "Manifest" >> beam.Create([scratch.manifest])
        | "WriteManifest"
        >> beam.Map(
            write_manifest,
            AsSingleton(summary),
            AsList(written),
            AsList(failures),
            AsDict(counts),
        )
    )


# Functions with names travel to workers by these; a lambda travels with its code, and the path of its file.


def _id(clip: Any) -> Any:
    return clip.id


def _one_group(_: Any) -> Any:
    return 0


def _split_and_bytes(ref: Any) -> Any:
    return ref.split, ref.example_bytes


def _split_and_shards(counted: Any, given: int | None) -> Any:
    split, size = counted
    return split, given or shards.shard_count(size)


def _write_failures(group: Any, folder: str) -> Any:
    return shards.write_failures(folder, group[1])


def _write_shard(group: Any, folder: str, group_features: tuple[str, ...]) -> Any:
    key, refs = group
    return shards.write_shard(folder, key, refs, group_features)


def _to_shard(ref: RecordRef, counts: Mapping[str, int]) -> tuple[tuple[str, int, int], RecordRef]:
    """Key a record by split, number of the shard and number of shards; its id's hash alone decides."""
    count = counts[ref.split]
    return (ref.split, int(ref.key, 16) % count, count), ref


class SegmentFn(beam.DoFn):
    """Cuts files and shards into clips."""

    def __init__(self, config: RunConfig, classes: tuple[str, ...], scratch: Scratch):
        self._config = config
        self._classes = frozenset(classes if config.source.classes is not None else ())
        self._scratch = scratch

    def setup(self) -> None:
        """Start counting."""
        self._counts = Counts(self._scratch.progress)

    def process(self, item: Item) -> Iterator[Any]:
        """Give the item's clips, or its failures."""
        for clip in self._cut(item):
            if isinstance(clip, Failure):
                self._counts.add(failed=not isinstance(item, Failure))
                counters.failed(clip.stage)
                yield TaggedOutput(FAILED, clip)
            else:
                dreamed = is_dreamed(clip.split, augment_test=self._config.augment_test)
                seconds = clip.seconds * dreamed
                self._counts.add(listed_clips=1, listed_seconds=seconds)
                counters.count("clips_listed")
                yield clip

    def _cut(self, item: Item) -> Iterator[ClipRef | Failure]:
        segment_seconds, splits = self._config.source.segment_seconds, self._config.source.splits
        if isinstance(item, Failure):
            yield item
            return
        if isinstance(item, ShardRef):
            clips = shard_clips.clips(item, segment_seconds=segment_seconds)
        else:
            try:
                clips = iter(segments(item, segment_seconds=segment_seconds))
            except ClipError as error:
                yield failure(item, error)
                return
        for clip in clips:
            if isinstance(clip, Failure):
                yield clip
            elif not splits or clip.split in splits:
                unknown = [label for label in clip.labels if self._classes and label not in self._classes]
                yield self._not_a_class(clip, unknown[0]) if unknown else clip

    def _not_a_class(self, clip: ClipRef, label: str) -> Failure:
        hint = did_you_mean(label, self._classes)
        error = f"label {label!r} is not in source.classes: add it there, or correct it{hint}"
        return Failure(clip.uri, clip.id, "label", error)

    def finish_bundle(self) -> None:
        """Write the counts."""
        self._counts.write()


class OneForEachIdFn(beam.DoFn):
    """Passes one clip of each id on; others of the same id are failures, unless they are the same."""

    def process(self, clips: tuple[str, Iterable[ClipRef]]) -> Iterator[Any]:
        """Give the first clip, in the order of files and frames."""
        first, *others = sorted(set(clips[1]), key=repr)
        yield first
        for other in others:
            error = (
                f"another clip has the same id, of {first.uri!r}, with labels {list(first.labels)}: leave one row of a "
                "table for each piece of a file, rename one of two files, or name a feature of ids"
            )
            counters.failed("list")
            yield TaggedOutput(FAILED, Failure(other.uri, other.id, "list", error))


class DreamFn(beam.DoFn):
    """Dreams clips into records, which go to the worker's file; gives their references."""

    def __init__(self, config: RunConfig, scratch: Scratch, staged: StagedWeights | None = None):
        self._config = config
        self._scratch = scratch
        self._staged = staged

    def setup(self) -> None:
        """Load the model, once a process."""
        self._model: AudioModel = (
            staged_model(self._staged)
            if self._staged
            else shared_model(self._config.weights, specs_of(self._config.model))
        )
        self._worker: DreamWorker | None = None
        self._meter = counters.Meter()

    def process(self, clip: ClipRef, summary: Summary) -> Iterator[Any]:
        """Give the records of the batch that a clip fills."""
        if self._worker is None:
            self._worker = DreamWorker(self._config, summary.vocabulary, self._model, self._scratch)
            self._spill: SpillWriter | None = None
        for result in self._worker.add(clip):
            yield self._emit(result)
        if self._spill is not None:
            self._spill.flush()  # its records outlive a worker that is killed

    def finish_bundle(self) -> Iterator[Any]:  # type: ignore[override]
        """Give the records of the batches that are not full; no record waits for the next bundle."""
        if self._worker is None:
            return
        for result in self._worker.finish():
            output = self._emit(result)
            tagged = isinstance(output, TaggedOutput)
            value = WindowedValue(output.value if tagged else output, GlobalWindow().max_timestamp(), (GlobalWindow(),))
            yield TaggedOutput(FAILED, value) if tagged else value
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _emit(self, result: Record | RecordRef | Failure) -> Any:
        assert self._worker is not None
        self._meter.update(self._worker.counts)
        if isinstance(result, Failure):
            counters.failed(result.stage)
            return TaggedOutput(FAILED, result)
        if isinstance(result, RecordRef):
            return result
        if self._spill is None:
            self._spill = SpillWriter(f"{self._scratch.spill}/{self._worker.run}")
        return self._spill.append(result)


def write_manifest(
    path: str,
    summary: Summary,
    written: list[dict[str, Any]],
    failures: list[dict[str, Any]],
    counts: Mapping[str, int],
) -> None:
    """Write which parts make the dataset; this is the last thing that a pipeline does."""
    manifest = {
        "labels": summary.vocabulary.labels,
        "channels": summary.vocabulary.channels,
        "groups": summary.vocabulary.groups,
        "clips": summary.clips,
        "clips_by_split": summary.clips_by_split,
        "seconds": summary.seconds,
        "splits": dict(sorted(counts.items())),
        "shards": sorted(written, key=lambda shard: (shard["split"], shard["index"])),
        "failures": failures[0] if failures else None,
    }
    with FileSystems.create(path, compression_type="uncompressed") as out:
        out.write(json.dumps(manifest).encode())
