"""What one worker does: batches, targets, failures, and a bound on what waits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import record

from augment.ascent import dreaming
from augment.determinism import draws
from augment.models import yamnet
from augment.models.yamnet import DreamingModel
from pipelines.clips import clips as clips_module
from pipelines.clips.clips import segments
from pipelines.clips.references import ClipRef, Failure, SoundFileRef
from pipelines.config.run_config import ConfigError, load_config
from pipelines.dataset.records import Record
from pipelines.dataset.schema import Vocabulary
from pipelines.dataset.scratch import Scratch
from pipelines.worker import batches as batching
from pipelines.worker import dream_worker
from pipelines.worker.dream_worker import DreamWorker
from pipelines.worker.target_choice import target_classes


def clip(path: Path) -> ClipRef:
    return segments(SoundFileRef(path.name, str(path), ("dog",)), segment_seconds=None)[0]


def make(model: DreamingModel, folder: Path, *changes: str) -> DreamWorker:
    config = load_config(None, ["recipe.steps=0", *changes])
    return DreamWorker(config, Vocabulary(("dog",), (1,)), model, Scratch(str(folder)))


def run(worker_: DreamWorker, clips: Iterable[ClipRef]) -> tuple[dict[str, Record], list[Failure]]:
    results = [result for ref in clips for result in worker_.add(ref)] + list(worker_.finish())
    records = {result.id: result for result in results if isinstance(result, Record)}
    lost = [result for result in results if isinstance(result, Failure)]
    assert len(records) + len(lost) == len(results)
    return records, lost


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Note each batch that is scored: clips, samples."""
    seen: list[tuple[int, int]] = []
    pad = dream_worker.pad_batch

    def noted(inputs: Any, model: Any) -> Any:
        waveforms, lengths = pad(inputs, model)
        seen.append(waveforms.shape)
        return waveforms, lengths

    monkeypatch.setattr(dream_worker, "pad_batch", noted)
    return seen


# Batches


def test_clips_of_one_padded_length_share_batches(
    model: DreamingModel, tmp_path: Path, batches: list[tuple[int, int]]
) -> None:
    seconds = [1.0, 2.0, 1.05, 2.05, 1.1]
    clips = [clip(record(tmp_path / f"{i}.wav", s)) for i, s in enumerate(seconds)]
    records, _ = run(make(model, tmp_path, "batch_size=2"), clips)
    assert len(records) == 10
    assert sorted(count for count, _ in batches) == [1, 2, 2]
    assert len({samples for _, samples in batches}) == 2


def test_a_batch_is_dreamed_as_soon_as_it_is_full(model: DreamingModel, tmp_path: Path) -> None:
    worker_ = make(model, tmp_path, "batch_size=2")
    first, second = (clip(record(tmp_path / f"{i}.wav")) for i in range(2))
    assert list(worker_.add(first)) == []
    originals = list(worker_.add(second))  # and the dreams as soon as they are there, with a later clip or at the end
    assert len(originals) >= 2
    assert len(originals) + len(list(worker_.finish())) == 4


def test_the_next_clip_is_read_while_a_batch_is_dreamed(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(record(tmp_path / f"{i}.wav")) for i in range(2)]
    read, in_time = threading.Event(), []

    def decode(ref: ClipRef) -> Any:
        if ref == clips[1]:
            read.set()
        return clips_module.decode(ref)

    def dream_batch(*given: Any, **more: Any) -> Any:
        in_time.append(read.wait(60))
        return dreaming.dream_batch(*given, **more)

    monkeypatch.setattr(dream_worker, "decode", decode)
    monkeypatch.setattr(dream_worker, "dream_batch", dream_batch)
    records, lost = run(make(model, tmp_path, "batch_size=1"), clips)
    assert (len(records), lost, in_time) == (4, [], [True, True])


def test_when_one_dream_fails_the_other_ends_with_its_next_step(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(record(tmp_path / f"{i}.wav")) for i in range(2)]
    worker_ = make(model, tmp_path, "batch_size=1", "recipe.steps=100000", "recipe.hold=null")
    first, under_way = threading.Lock(), threading.Event()

    def dream_batch(dreamer: Any, sounds: Any, scores: Any, aims: Any, *, on_step: Any, numbers: Any) -> Any:
        if first.acquire(blocking=False):
            assert under_way.wait(60)
            raise MemoryError("no room")

        def and_tell(clips: int) -> None:
            on_step(clips)
            under_way.set()

        return dreaming.dream_batch(dreamer, sounds, scores, aims, on_step=and_tell, numbers=numbers)

    monkeypatch.setattr(dream_worker, "dream_batch", dream_batch)
    with pytest.raises(MemoryError):
        run(worker_, clips)
    worker_._background.shutdown()  # waits for what is under way
    assert 0 < worker_.counts["clip_steps"] < 1000


def test_long_clips_make_smaller_batches(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(yamnet, "MAX_BATCH_PATCHES", 4)
    lengths = [1.0] * 4 + [6.0] * 2  # 6 s are 12 patches: more than fit, yet one clip always goes
    clips = [clip(record(tmp_path / f"{i}.wav", s)) for i, s in enumerate(lengths)]
    _, lost = run(make(model, tmp_path), clips)
    assert lost == []
    assert [count for count, samples in batches if samples > 90_000] == [1, 1]
    assert all(count <= 4 for count, _ in batches)


def test_clips_that_wait_are_bounded_and_the_fullest_batch_goes_first(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: list[tuple[int, int]]
) -> None:
    seconds = [1.0, 2.0, 2.0, 1.0, 3.0, 1.0, 2.0]
    clips = [clip(record(tmp_path / f"{i}.wav", s)) for i, s in enumerate(seconds)]
    limit = 5 * 16_000 * 8  # 5 s: a second is 16,000 samples, as decoded and as YAMNet takes them
    monkeypatch.setattr(batching, "MAX_WAITING_BYTES", limit)
    worker_ = make(model, tmp_path)
    for ref in clips:
        list(worker_.add(ref))
        assert worker_._batches.waiting_bytes <= limit
    assert [count for count, _ in batches] == [2, 3]  # of 2 s each, when 6 s wait; then of 1 s each, when 6 s wait
    list(worker_.finish())
    assert worker_._batches.waiting_bytes == 0
    assert sum(count for count, _ in batches) == len(clips)


def test_records_do_not_depend_on_the_batch(model: DreamingModel, tmp_path: Path) -> None:
    clips = [clip(record(tmp_path / f"{i}.wav", 1 + i / 100)) for i in range(3)]
    alone, together = (
        run(make(model, tmp_path, "recipe.steps=1", f"batch_size={size}"), order)[0]
        for size, order in ((1, clips), (32, clips[::-1]))
    )
    assert alone == together


# Targets


def test_a_target_class_is_found_by_name_mid_and_index(model: DreamingModel) -> None:
    siren = model.classes.find("Siren")
    for given in (siren.name, siren.mid, siren.index, str(siren.index), "siren"):
        assert target_classes(load_config(None, [f"target={given}"]), model) == {"deep_dream": [siren.index]}


def test_a_target_class_that_is_unknown_is_an_error_with_the_nearest(model: DreamingModel) -> None:
    with pytest.raises(ConfigError, match=r"target: no class is called 'Guitr'.*'Guitar'"):
        target_classes(load_config(None, ["target=Guitr"]), model)
    with pytest.raises(ConfigError, match=r"recipes\.a\.target: .*'lable'.* or did you mean the policy 'label'"):
        target_classes(load_config(None, ["recipes={a: {target: lable}}"]), model)


def test_random_draws_from_the_list_by_seed_clip_and_variant(model: DreamingModel, tmp_path: Path) -> None:
    ref = clip(record(tmp_path / "a.wav"))
    names = ["Siren", "Dog", "Rain", "Violin, fiddle"]
    changes = ["seed=5", "variants=6", f"target={{policy: random, classes: {json.dumps(names)}}}"]
    records, _ = run(make(model, tmp_path, *changes), [ref])
    scores = model.clip_scores(dream_worker.Sound(dream_worker.decode(ref).waveform, 16_000).model_input)
    assert not any(scores[model.classes.find(name).index] >= 0.5 for name in names)
    for variant in range(6):
        expected = names[draws.draw(5, "a.wav", variant, "target") % 4]
        assert records[f"a.wav:deep_dream:{variant}"].row["target_name"] == expected
    assert len({one.row["target_name"] for one in records.values()}) > 2


def test_a_clip_that_is_already_all_that_random_may_draw_is_a_failure_of_that_record(
    model: DreamingModel, tmp_path: Path
) -> None:
    clips = [clip(record(tmp_path / f"{i}.wav")) for i in range(2)]
    top = model.classes.names[int(np.argmax(model.clip_scores(dream_worker.decode(clips[0]).waveform[:, 0])))]
    records, lost = run(make(model, tmp_path, f"target={{policy: random, classes: ['{top}']}}"), clips[:1])
    assert set(records) == {"0.wav:original"}
    assert [(one.id, one.stage, one.records_lost) for one in lost] == [("0.wav:deep_dream:0", "target", 1)]
    assert "name more classes" in lost[0].error


def test_a_recipe_goes_to_its_own_target_and_provenance_says_so(model: DreamingModel, tmp_path: Path) -> None:
    ref = clip(record(tmp_path / "a.wav"))
    changes = ["target={policy: class, classes: [Siren], labels: {dog: Bark}}"]
    changes += ["recipes={a: {}, own: {target: label}, other: {target: {policy: class, classes: [Rain, Wind]}}}"]
    records, _ = run(make(model, tmp_path, *changes), [ref])
    found = {name: records[f"a.wav:{name}:0"].row for name in ("a", "own", "other")}
    assert {name: row["target_name"] for name, row in found.items()} == {"a": "Siren", "own": "Bark", "other": "Rain"}
    told = {name: json.loads(row["provenance"]) for name, row in found.items()}
    policies = {name: each["target_policy"] for name, each in told.items()}
    assert policies == {"a": "class", "own": "label", "other": "class"}
    assert (
        told["other"]["target"]["classes"]
        == told["other"]["target_classes"]
        == [model.classes.find(name).index for name in ("Rain", "Wind")]
    )
    assert told["own"]["target"]["classes"] == [model.classes.find("Bark").index]


# Target sounds


def test_target_filter_uses_the_sound_and_writes_its_hash_down(model: DreamingModel, tmp_path: Path) -> None:
    path = record(tmp_path / "target.wav", 0.5, rate=44_100, channels=2)
    changes = f"recipe={{transform: target_filter, steps: 1, sound: '{path}'}}"
    records, _ = run(make(model, tmp_path, changes), [clip(record(tmp_path / "a.wav"))])
    told = json.loads(records["a.wav:target_filter:0"].row["provenance"])
    assert told["sound_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.isfinite(records["a.wav:target_filter:0"].row["snr_db"])


# Failures


def test_a_clip_that_cannot_be_decoded_loses_all_its_records_and_the_others_none(
    model: DreamingModel, tmp_path: Path
) -> None:
    good, bad = (clip(record(tmp_path / name)) for name in ("good.wav", "bad.wav"))
    Path(bad.uri).unlink()
    records, lost = run(make(model, tmp_path, "variants=3"), [bad, good])
    assert len(records) == 4
    assert [(one.id, one.stage, one.records_lost) for one in lost] == [("bad.wav", "read", 4)]


def test_a_dream_that_is_not_finite_is_a_failure(
    model: DreamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dream_batch = dream_worker.dream_batch

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        first, *others = dream_batch(*args, **kwargs)
        return [dataclasses.replace(first, waveform=first.waveform * np.nan), *others]

    monkeypatch.setattr(dream_worker, "dream_batch", spoiled)
    clips = [clip(record(tmp_path / f"{i}.wav")) for i in range(2)]
    records, lost = run(make(model, tmp_path), clips)
    assert set(records) == {"0.wav:original", "1.wav:original", "1.wav:deep_dream:0"}
    assert [(one.id, one.stage, one.records_lost) for one in lost] == [("0.wav:deep_dream:0", "dream", 1)]


def test_counts_tell_clips_records_and_failures(model: DreamingModel, tmp_path: Path) -> None:
    from pipelines.progress import total

    (tmp_path / "progress").mkdir()
    clips = [clip(record(tmp_path / f"{i}.wav")) for i in range(3)]
    Path(clips[1].uri).unlink()
    run(make(model, tmp_path, "variants=2", "recipe.steps=2"), clips)
    counts = total(str(tmp_path / "progress"))
    assert counts["clips"] == counts["audio_seconds"] == 2
    assert (counts["records"], counts["dreams"], counts["failed"]) == (6, 4, 1)
    assert counts["step_seconds"] == 2 * 2 * 2
