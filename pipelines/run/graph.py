r"""The augmentation as a Beam pipeline: listing -> clips -> dreams -> shards.

Only references cross a shuffle: files and clips by where they are, records by where a worker put them
(`pipelines.dataset.scratch`). Classes here only translate; the work is done in the modules they call, without Beam.

    listing -> [segment] -> ClipRef -> [dream] -> RecordRef -> by shard -> [write] -> manifest
                   \-> failures <------/
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections import Counter
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
from pipelines.clips.references import ClipRef, Failure, SoundFileRef, failure, tidy
from pipelines.clips.shard_clips import ShardRef
from pipelines.clips.splits import is_dreamed
from pipelines.clips.tf_examples import Fields, Layout
from pipelines.config.run_config import RunConfig
from pipelines.dataset import shards
from pipelines.dataset.records import Lost, Record, Vocabulary
from pipelines.dataset.scratch import RecordRef, Scratch, SpillWriter
from pipelines.files.containers import ClipError
from pipelines.progress import Counts
from pipelines.run import counters
from pipelines.run.staging import StagedWeights, staged_model
from pipelines.worker.dream_worker import DreamWorker
from pipelines.worker.run_model import shared_model, specs_of

FAILED = "failed"

NOTHING_KNOWN = Vocabulary((), ())

SINGLE_ITEMS, BLOCK_ITEMS = 1000, 64
"""How many of a listing's items are spread over the workers one by one, and how many together after that."""


def build(
    pipeline: beam.Pipeline,
    listing: str,
    config: RunConfig,
    scratch: Scratch,
    more_labels: tuple[str, ...] = (),
    vocabulary: Vocabulary = NOTHING_KNOWN,
    staged: StagedWeights | None = None,
) -> None:
    """Add the augmentation to a pipeline; it ends with the manifest in the scratch folder.

    Args:
        pipeline: on any runner whose workers see the scratch folder.
        listing: a file of `write_listing`.
        config: of the run.
        scratch: where unfinished work is kept.
        more_labels: that dreams may get beside those of the clips.
        vocabulary: what the source says of all clips: labels that come first, in this order, and groups.
        staged: the weights that workers use; None: those of the configuration, from where each worker finds them.
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


def write_listing(path: str, items: Iterable[Item]) -> dict[str, int]:
    """Write what a source lists, one JSON line each; return how many files (or shards) and failures there are.

    Labels are put on one line, as TFDS keeps them.
    """
    counts = {"files": 0, "failures": 0}
    kinds = {kind: name for name, kind in _KINDS.items()}
    with FileSystems.create(path, compression_type="uncompressed") as out:
        for item in items:
            if isinstance(item, SoundFileRef):
                item = dataclasses.replace(item, labels=tidy(item.labels))
            counts["failures" if isinstance(item, Failure) else "files"] += 1
            out.write((json.dumps({kinds[type(item)]: dataclasses.asdict(item)}) + "\n").encode())
    return counts


Block = tuple[str, int, int]
"""Lines of a listing: its path, the offset of the first one in bytes, and how many. A million files are few blocks."""


def listing_blocks(path: str) -> Iterator[Block]:
    """Part what `write_listing` wrote: the first items one by one, as they may be long shards, then many at once."""
    start, lines, offset = 0, 0, 0
    with FileSystems.open(path) as file:
        for number, line in enumerate(file):
            lines += 1
            offset += len(line)
            if number < SINGLE_ITEMS or lines == BLOCK_ITEMS:
                yield path, start, lines
                start, lines = offset, 0
    if lines:
        yield path, start, lines


def read_block(block: Block) -> Iterator[Item]:
    """Give the items of a block, as they were given to `write_listing`."""
    path, start, lines = block
    with FileSystems.open(path) as file:
        file.seek(start)
        for _ in range(lines):
            ((name, values),) = json.loads(file.readline()).items()
            values = _tuples(values)
            if name == "shards":
                values |= {"layout": Layout(**values["layout"]), "fields": Fields(**values["fields"])}
            yield _KINDS[name](**values)


_KINDS: dict[str, Any] = {"files": SoundFileRef, "shards": ShardRef, "failures": Failure}


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {key: _tuples(each) for key, each in value.items()} if isinstance(value, dict) else value


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
                yield TaggedOutput(FAILED, Lost(clip, 0))
            else:
                dreamed = is_dreamed(clip.split, augment_test=self._config.augment_test)
                seconds = (clip.stop - clip.start) / clip.sample_rate * dreamed
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
                yield Failure(clip.uri, clip.id, "label", _not_a_class(unknown[0], self._classes)) if unknown else clip

    def finish_bundle(self) -> None:
        """Write the counts."""
        self._counts.write()


def _not_a_class(label: str, classes: Iterable[str]) -> str:
    near = difflib.get_close_matches(label, classes, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"label {label!r} is not in source.classes: add it there, or correct it{hint}"


class OneForEachIdFn(beam.DoFn):
    """Lets one clip of each id pass; others of the same id are failures, unless they are the same."""

    def process(self, clips: tuple[str, Iterable[ClipRef]]) -> Iterator[Any]:
        """Give the first clip, by where it lies."""
        first, *others = sorted(set(clips[1]), key=repr)
        yield first
        for other in others:
            error = (
                f"another clip has the same id, of {first.uri!r}, with labels {list(first.labels)}: leave one row of a "
                "table for each piece of a file, rename one of two files, or name a feature of ids"
            )
            counters.failed("list")
            yield TaggedOutput(FAILED, Lost(Failure(other.uri, other.id, "list", error), 0))


@dataclasses.dataclass(frozen=True)
class Summary:
    """What all clips of a run have in common, and how many there are, in all and of each split."""

    vocabulary: Vocabulary
    clips: int
    seconds: float
    clips_by_split: Mapping[str, int]


class ClipSummary(beam.CombineFn):
    """Combines clips to a `Summary`.

    Labels come in the order of the source's own list; then those of clips that are not in it, sorted, as numbers if all
    of them are; then labels that no clip has.
    """

    def __init__(self, vocabulary: Vocabulary, more_labels: tuple[str, ...] = ()):
        self._vocabulary = vocabulary
        self._more_labels = more_labels

    def create_accumulator(self) -> tuple[set[str], set[int], Counter[str], float]:
        """Return the summary of no clip."""
        return set(), set(), Counter(), 0.0

    def add_input(
        self, accumulator: tuple[set[str], set[int], Counter[str], float], element: ClipRef
    ) -> tuple[set[str], set[int], Counter[str], float]:
        """Add a clip."""
        labels, channels, clips, seconds = accumulator
        labels.update(element.labels)
        channels.add(element.channels)
        clips[element.split] += 1
        return labels, channels, clips, seconds + (element.stop - element.start) / element.sample_rate

    def merge_accumulators(self, accumulators: Iterable[Any]) -> tuple[set[str], set[int], Counter[str], float]:
        """Add summaries up."""
        labels, channels, clips, seconds = zip(*accumulators, strict=True)
        return set().union(*labels), set().union(*channels), sum(clips, Counter[str]()), sum(seconds)

    def extract_output(self, accumulator: tuple[set[str], set[int], Counter[str], float]) -> Summary:
        """Put labels and channels in order."""
        labels, channels, clips, seconds = accumulator
        names = dict.fromkeys([*self._vocabulary.labels, *in_order(labels), *self._more_labels])
        vocabulary = Vocabulary(tuple(names), tuple(sorted(channels)), self._vocabulary.groups)
        return Summary(vocabulary, clips.total(), round(seconds, 3), dict(sorted(clips.items())))


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort labels, as numbers if all are integers."""
    found = list(labels)
    if all(label.removeprefix("-").isdecimal() and len(label) < 20 for label in found):
        return sorted(found, key=lambda label: (int(label), label))
    return sorted(found)


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
        """Take a clip; give the records of the batch that it fills."""
        if self._worker is None:
            self._worker = DreamWorker(self._config, summary.vocabulary, self._model, self._scratch)
            self._spill: SpillWriter | None = None
        for result in self._worker.add(clip):
            yield self._emit(result)
        if self._spill is not None:
            self._spill.flush()  # what a batch gave outlives a worker that is killed

    def finish_bundle(self) -> Iterator[Any]:  # type: ignore[override]
        """Give the records of the batches that did not fill; a bundle's records stay with it."""
        if self._worker is None:
            return
        for result in self._worker.finish():
            output = self._emit(result)
            window = GlobalWindow()
            if isinstance(output, TaggedOutput):
                value = WindowedValue(output.value, window.max_timestamp(), (window,))
                yield TaggedOutput(FAILED, value)
            else:
                yield WindowedValue(output, window.max_timestamp(), (window,))
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _emit(self, result: Record | RecordRef | Lost) -> Any:
        assert self._worker is not None
        self._meter.tell(self._worker.counts)
        if isinstance(result, Lost):
            counters.failed(result.failure.stage)
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
