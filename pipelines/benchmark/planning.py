"""Plans: what a run on many workers will take, and where it will be held up first, by arithmetic on measured counts.

Takes how many clips, how long, how many steps, how many workers (`Job`), and how fast things are (`Rates`: what was
measured, each with what it was measured on, and all of which a user may set); gives the seconds that each part of a
run takes (`Part`), how it scales, and what has to be held and moved (`Plan`). No Beam, no TensorFlow.

The model: parts follow each other, each as long as its work over the rate at which that work is done. Parts that are
spread take 1/workers of it, up to as many workers as they have pieces; parts of one machine, and what all share (the
file system), stay as long as they are. The longest part is the bottleneck.

Units: seconds, bytes, audio seconds; a step is a gradient step of one second of audio.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.messages import did_you_mean

SHARD_BYTES = 256 << 20  # as `pipelines.dataset.shards` makes them

PATCH_HOP_SECONDS = 0.48  # a patch of 0.96 s begins every 0.48 s
MAX_PATCHES = 640  # of a batch, as `augment.models.yamnet` has it

BYTES_PER_SAMPLE = {"float32": 4.0, "int16": 2.0, "flac": 2.2}
"""Of a record's audio, by encoding; FLAC's depends on the sound."""


@dataclass(frozen=True)
class Job:
    """What is to be done."""

    clips: int  # how many
    seconds: float = 10.0  # of each clip
    steps: int = 20  # gradient steps of each dream
    workers: int = 1  # processes that dream
    cores: int = 2  # of each worker
    dreams: int = 1  # of each clip: recipes times variants
    originals: bool = True  # whether unchanged clips are written, too
    sample_rate: int = 16_000  # Hz, of the clips
    encoding: str = "float32"  # of the records' audio, a key of `BYTES_PER_SAMPLE`
    file_clips: float = 1.0  # clips in each file of the source
    batch_size: int = 32  # most clips that are dreamed at once

    def __post_init__(self) -> None:
        for name in ("clips", "seconds", "workers", "cores", "dreams", "sample_rate", "file_clips", "batch_size"):
            if not 0 < getattr(self, name) < math.inf:
                raise PlanError(f"{name} is {getattr(self, name)}: expected a number above 0")
        if self.steps < 0:
            raise PlanError(f"steps is {self.steps}: expected 0 or more")
        if self.encoding not in BYTES_PER_SAMPLE:
            raise PlanError(f"encoding is {self.encoding!r}: expected one of {', '.join(BYTES_PER_SAMPLE)}")


class PlanError(ValueError):
    """A plan of such a job makes no sense; the message is one line."""


def whole(number: float) -> int:
    """Return a number of clips that was written like 2e6. Raises `PlanError` if it is no whole number."""
    if not (math.isfinite(number) and number == int(number)):
        raise PlanError(f"clips is {number:g}: expected a whole number, such as 2e6")
    return int(number)


def rates(changes: Iterable[str]) -> Rates:
    """Return the measured rates with changes like ``steps=60``.

    Raises `PlanError` for an unknown rate or no number above 0.
    """
    names = [field.name for field in dataclasses.fields(Rates)]
    values: dict[str, float] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if not text:
            raise PlanError(f"rate {change!r}: expected NAME=VALUE, such as steps=60")
        if name not in names:
            raise PlanError(f"there is no rate {name!r}{did_you_mean(name, names)} (expected {', '.join(names)})")
        try:
            values[name] = float(text)
        except ValueError as error:
            raise PlanError(f"rate {name} is {text!r}: expected a number") from error
        if not 0 < values[name] < math.inf:
            raise PlanError(f"rate {name} is {text}: expected a number above 0")
    return Rates(**values)


@dataclass(frozen=True)
class Rates:
    """How fast things are, and how large; docs/planning.md lists the defaults that were measured."""

    steps: float = 200.0  # audio seconds times gradient steps a second and core
    scoring: float = 0.85  # gradient steps that take as long as scoring a clip before and after
    decoding: float = 250.0  # audio seconds a second and core
    listing: float = 20_000.0  # files a second, on the machine that starts the run
    merging: float = 100_000.0  # records a second, there: provenance.parquet
    clip_bytes: float = 350.0  # that cross a shuffle for each clip
    record_bytes: float = 400.0  # that cross a shuffle for each record
    example_bytes: float = 8_000.0  # of a record beside its audio
    row_bytes: float = 1_000.0  # of a record in provenance.parquet
    worker_write: float = 100e6  # bytes a second that one worker reads or writes
    shared_write: float = 1e9  # bytes a second that the file system gives to all together
    start: float = 30.0  # seconds until workers dream: the process, TensorFlow, the model
    memory: float = 1e9  # bytes of a process that dreams, beside its batch
    patch_bytes: float = 5e6  # that a batch holds for each of YAMNet's patches in it


@dataclass(frozen=True)
class Part:
    """A part of a run."""

    name: str  # what is done
    seconds: float  # how long it takes
    limit: str  # "cores", "workers" (each one's reading and writing), "file system", "starting machine"


@dataclass(frozen=True)
class Plan:
    """What a run takes."""

    job: Job  # what was planned
    parts: tuple[Part, ...]  # in their order
    files: int  # how many are listed
    records: int  # how many
    output_bytes: float  # of the shards
    scratch_bytes: float  # that unfinished work takes at most
    moved_bytes: float  # read from and written to the shared file system
    shuffled_bytes: float  # that cross the engine's own shuffles
    shards: int  # how many
    core_hours: float  # of dreaming and all else that is spread
    memory_bytes: float  # of each worker, at its peak

    @property
    def seconds(self) -> float:
        """How long the run takes."""
        return sum(part.seconds for part in self.parts)

    @property
    def bottleneck(self) -> Part:
        """The part that takes longest."""
        return max(self.parts, key=lambda part: part.seconds)

    @property
    def efficiency(self) -> float:
        """The share of the run that workers dream."""
        return sum(part.seconds for part in self.parts if part.limit == "cores") / self.seconds


def plan(job: Job, rates: Rates = Rates()) -> Plan:
    """Plan a run, with parts that follow each other."""
    records = job.clips * (job.dreams + job.originals)
    audio_bytes = job.seconds * job.sample_rate * BYTES_PER_SAMPLE[job.encoding]
    output_bytes = records * (audio_bytes + rates.example_bytes)
    source_bytes = job.clips * job.seconds * job.sample_rate * 2  # 16 bits, as most collections are
    spilled = output_bytes + records * rates.row_bytes * 3  # rows of a worker's file are JSON
    moved = source_bytes + 2 * spilled + output_bytes
    shards = max(1, math.ceil(output_bytes / SHARD_BYTES))
    files = math.ceil(job.clips / job.file_clips)
    cores = min(job.workers, job.clips) * job.cores
    audio = job.clips * job.seconds
    dreaming = audio * job.dreams * (job.steps + rates.scoring) / rates.steps
    decoding = audio / rates.decoding
    writers, shard_bytes = min(job.workers, shards), output_bytes / shards  # each is read and written
    parts = (
        Part("list the inputs", files / rates.listing, "starting machine"),
        Part("start workers", rates.start, "workers"),
        Part("decode and dream", (dreaming + decoding) / cores, "cores"),
        Part("write unfinished records", spilled / rates.worker_write / job.workers, "workers"),
        Part("write shards", math.ceil(shards / writers) * shard_bytes * 2 / rates.worker_write, "workers"),
        Part("wait for the file system", max(0.0, moved / rates.shared_write), "file system"),
        Part("merge provenance", records / rates.merging, "starting machine"),
    )
    return Plan(
        job,
        parts,
        files,
        records,
        output_bytes,
        spilled + output_bytes,
        moved,
        job.clips * rates.clip_bytes + records * rates.record_bytes,
        shards,
        (dreaming + decoding) / 3600,
        rates.memory + rates.patch_bytes * batch_patches(job.seconds, job.batch_size),
    )


def batch_patches(seconds: float, batch_size: int) -> int:
    """Return how many of YAMNet's patches the largest batch of clips of this length has."""
    patches = max(1, math.ceil(seconds / PATCH_HOP_SECONDS) - 1)
    return patches * min(batch_size, max(1, MAX_PATCHES // patches))


def cost(made: Plan, *, core_hour: float, overhead: float = 0.0) -> float:
    """Return the price of a run: workers are paid for while it lasts.

    Args:
        made: the plan.
        core_hour: price of one core for an hour, memory included; at least 0, else a `PlanError`.
        overhead: share of time that is lost to failures and to machines that start and stop.
    """
    if not 0 <= core_hour < math.inf:
        raise PlanError(f"a core-hour costs {core_hour:g}: expected a number of at least 0")
    return made.seconds / 3600 * made.job.workers * made.job.cores * core_hour * (1 + overhead)
