r"""The augmentation as a Beam pipeline: listing -> clips -> dreams -> shards.

Only references cross a shuffle: files and clips by where they are, records by where a worker put them
(`pipelines.scratch`). Classes here only translate; the work is done in the modules they call, without Beam.

    listing -> [segment] -> ClipRef -> [dream] -> RecordRef -> by shard -> [write] -> manifest
                   \-> failures <------/
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsDict, AsList, AsSingleton, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipelines import shards
from pipelines.clips import ClipError, ClipRef, Failure, SoundFileRef, failure, segments
from pipelines.config import RunConfig
from pipelines.progress import Counts
from pipelines.records import Lost, Record, Vocabulary
from pipelines.scratch import RecordRef, Scratch, SpillWriter
from pipelines.worker import DreamWorker, shared_model

FAILED = "failed"


def build(
    pipeline: beam.Pipeline, listing: str, config: RunConfig, scratch: Scratch, more_labels: tuple[str, ...] = ()
) -> None:
    """Add the augmentation to a pipeline; it ends with the manifest in the scratch folder.

    Args:
        pipeline: on any runner whose workers see the scratch folder.
        listing: a file of `write_listing`.
        config: of the run.
        scratch: where unfinished work is kept.
        more_labels: that dreams may get beside those of the clips.
    """
    files = pipeline | "Listing" >> beam.Create([listing]) | "ReadListing" >> beam.FlatMap(read_listing)
    clips = (
        files
        | "SpreadFiles" >> beam.Reshuffle()
        | "Segment" >> beam.ParDo(SegmentFn(config.source.segment_seconds, scratch)).with_outputs(FAILED, main="clips")
    )
    summary = clips.clips | "Summarise" >> beam.CombineGlobally(ClipSummary(more_labels))
    dreams = (
        clips.clips
        | "SpreadClips" >> beam.Reshuffle()
        | "Dream" >> beam.ParDo(DreamFn(config, scratch), AsSingleton(summary)).with_outputs(FAILED, main="records")
    )
    failures = (
        (clips[FAILED], dreams[FAILED])
        | "Failures" >> beam.Flatten()
        | "OneFailureFile" >> beam.GroupBy(lambda _: 0)
        | "WriteFailures" >> beam.MapTuple(lambda _, found: shards.write_failures(scratch.parts, found))
    )
    counts = (
        dreams.records
        | "Bytes" >> beam.Map(lambda ref: (ref.split, ref.example_bytes))
        | "BytesOfSplit" >> beam.CombinePerKey(sum)
        | "Shards" >> beam.MapTuple(lambda split, size: (split, config.shards or shards.shard_count(size)))
    )
    written = (
        dreams.records
        | "ToShard" >> beam.Map(_to_shard, AsDict(counts))
        | "ByShard" >> beam.GroupByKey()
        | "WriteShards" >> beam.MapTuple(lambda key, refs: shards.write_shard(scratch.parts, key, refs))
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


def _to_shard(ref: RecordRef, counts: Mapping[str, int]) -> tuple[tuple[str, int, int], RecordRef]:
    """Key a record by split, number of the shard and number of shards; its id's hash alone decides."""
    count = counts[ref.split]
    return (ref.split, int(ref.key, 16) % count, count), ref


def write_listing(path: str, files: Iterable[SoundFileRef | Failure]) -> dict[str, int]:
    """Write what a source lists, one JSON line each; return how many files and how many failures there are.

    Labels are put on one line, as TFDS keeps them; of two files with one id (by bytes that are no text) the second is a
    failure.
    """
    counts = {"files": 0, "failures": 0}
    previous = None
    with open(path, "w", encoding="utf-8") as out:
        for item in files:
            if isinstance(item, SoundFileRef):
                if item.id == previous:
                    item = Failure(item.uri, item.id, "list", "another file has the same id: rename one of them")
                else:
                    previous = item.id
                    item = dataclasses.replace(item, label=" ".join((item.label or "").split()) or None)
            kind = "failures" if isinstance(item, Failure) else "files"
            counts[kind] += 1
            out.write(json.dumps({kind: dataclasses.asdict(item)}) + "\n")
    return counts


def read_listing(path: str) -> Iterator[SoundFileRef | Failure]:
    """Give what `write_listing` wrote."""
    with FileSystems.open(path) as file:
        for line in file:
            item = json.loads(line)
            yield Failure(**item["failures"]) if "failures" in item else SoundFileRef(**item["files"])


class SegmentFn(beam.DoFn):
    """Cuts files into clips by their headers."""

    def __init__(self, segment_seconds: float | None, scratch: Scratch):
        self._segment_seconds = segment_seconds
        self._scratch = scratch

    def setup(self) -> None:
        """Start counting."""
        self._counts = Counts(self._scratch.progress)

    def process(self, file: SoundFileRef | Failure) -> Iterator[Any]:
        """Give the file's clips, or its failure."""
        if isinstance(file, Failure):
            yield TaggedOutput(FAILED, Lost(file, 0))
            return
        try:
            clips = segments(file, segment_seconds=self._segment_seconds)
            seconds = sum((clip.stop - clip.start) / clip.sample_rate for clip in clips)
            self._counts.add(listed_clips=len(clips), listed_seconds=seconds)
            yield from clips
        except ClipError as error:
            self._counts.add(failed=1)
            yield TaggedOutput(FAILED, Lost(failure(file, error), 0))

    def finish_bundle(self) -> None:
        """Write the counts."""
        self._counts.write()


@dataclasses.dataclass(frozen=True)
class Summary:
    """What all clips of a run have in common, and how many there are."""

    vocabulary: Vocabulary
    clips: int
    seconds: float


class ClipSummary(beam.CombineFn):
    """Combines clips to a `Summary`; labels that no clip has come after those of the clips."""

    def __init__(self, more_labels: tuple[str, ...] = ()):
        self._more_labels = more_labels

    def create_accumulator(self) -> tuple[set[str], set[int], int, float]:
        """Return the summary of no clip."""
        return set(), set(), 0, 0.0

    def add_input(
        self, accumulator: tuple[set[str], set[int], int, float], element: ClipRef
    ) -> tuple[set[str], set[int], int, float]:
        """Add a clip."""
        labels, channels, clips, seconds = accumulator
        if element.label is not None:
            labels.add(element.label)
        channels.add(element.channels)
        return labels, channels, clips + 1, seconds + (element.stop - element.start) / element.sample_rate

    def merge_accumulators(self, accumulators: Iterable[Any]) -> tuple[set[str], set[int], int, float]:
        """Add summaries up."""
        labels, channels, clips, seconds = zip(*accumulators, strict=True)
        return set().union(*labels), set().union(*channels), sum(clips), sum(seconds)

    def extract_output(self, accumulator: tuple[set[str], set[int], int, float]) -> Summary:
        """Put labels and channels in order."""
        labels, channels, clips, seconds = accumulator
        names = dict.fromkeys([*sorted(labels), *self._more_labels])
        return Summary(Vocabulary(tuple(names), tuple(sorted(channels))), clips, round(seconds, 3))


class DreamFn(beam.DoFn):
    """Dreams clips into records, which go to the worker's file; gives their references."""

    def __init__(self, config: RunConfig, scratch: Scratch):
        self._config = config
        self._scratch = scratch

    def setup(self) -> None:
        """Load the model, once a process."""
        self._model = shared_model(self._config.weights)
        self._worker: DreamWorker | None = None

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
        if isinstance(result, Lost):
            return TaggedOutput(FAILED, result)
        if isinstance(result, RecordRef):
            return result
        if self._spill is None:
            assert self._worker is not None
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
        "clips": summary.clips,
        "seconds": summary.seconds,
        "splits": dict(sorted(counts.items())),
        "shards": sorted(written, key=lambda shard: (shard["split"], shard["index"])),
        "failures": failures[0] if failures else None,
    }
    with FileSystems.create(path, compression_type="uncompressed") as out:
        out.write(json.dumps(manifest).encode())
