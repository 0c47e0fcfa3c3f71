"""``dreambeam replay``: a record's audio, made again."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from augment.determinism.arithmetic import follow
from pipelines.clips.whole_files import check_writable, write_sound
from pipelines.dataset.reader import DamagedError, open_dataset
from pipelines.files.containers import ClipError
from pipelines.worker.replay import Agreement, Replayed, recorded_arithmetic, replay


def run(
    folder: str,
    id_: str,
    output: str | None,
    source: str | None,
    sound: str | None,
    weights: str | None,
    *,
    models: Sequence[str] = (),
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """Make the record again, write it and say whether it is the same; return 0 if so, 1 if not."""
    if output:
        check_writable(output, overwrite=overwrite)
        if Path(output).resolve().is_relative_to(Path(folder).resolve()):
            raise ClipError(f"cannot write {output!r}: it lies in the dataset; give another folder", "write")
    try:
        dataset = open_dataset(folder)
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("dreaming again", total=None)
            if made_on := recorded_arithmetic(dataset, id_):
                follow(made_on)
            found = replay(
                dataset,
                id_,
                source=source,
                sound=sound,
                weights=weights,
                models=models,
                on_step=lambda steps: bar.advance(task, steps),
            )
    except DamagedError as error:
        print(f"dreambeam: {error}", file=sys.stderr)
        return 1
    if output:
        write_sound(output, found.waveform, found.sample_rate)
    if as_json:
        print(json.dumps(_as_json(found), ensure_ascii=False))
    else:
        _say(found, output)
    good = found.exact or (found.agreement is not None and found.agreement.holds)
    return 0 if good and not _tampered(found) else 1


def _tampered(found: Replayed) -> bool:
    """Tell whether the dataset holds other samples than its own provenance says."""
    return found.exact and found.difference is not None and found.difference.peak > 0


def _say(found: Replayed, output: str | None) -> None:
    what = f"{output}: {found.id}" if output else found.id
    changes = ", ".join(f"{name} was {then}, is {now}" for name, (then, now) in found.differing.items())
    if found.exact:
        print(f"{what} is bit-exact" + (f" (although {changes})" if changes else ""))
        if _tampered(found):
            print("  but the dataset holds other samples than its provenance says: see dreambeam verify")
        return
    if found.agreement and found.arithmetic:
        _say_agreement(what, found.agreement, *found.arithmetic)
        return
    difference = found.difference
    far = "the dataset holds no samples to measure it against"
    if difference:
        far = f"SNR {difference.snr_db:.1f} dB, differs by {difference.peak:.3g} at most"
    print(f"{what} is not the same: {far}")
    reason = "its arithmetic is not recorded (dreambeam before 0.4.0): another processor, or TensorFlow without oneDNN"
    if changes or found.arithmetic_known:
        reason = changes or (
            "versions and arithmetic are the same: the dataset or its source was changed, or ONEDNN_MAX_CPU_ISA was "
            "set after TensorFlow had computed something"
        )
    print(f"  {reason}")


def _say_agreement(what: str, agreement: Agreement, then: str, here: str) -> None:
    print(f"{what} was made on other arithmetic ({then}; here {here}), so its bits are not compared")
    (score, score_here), (snr, snr_here), (top, top_here) = agreement.score, agreement.snr_db, agreement.top
    state = "agrees" if agreement.holds else "DOES NOT AGREE"
    print(
        f"  the dream {state} with its record: target's score {score_here:.3f} (record {score:.3f}), "
        f"SNR {snr_here:.2f} dB ({snr:.2f}), first class {top_here} ({top})"
    )


def _as_json(found: Replayed) -> dict[str, object]:
    difference = found.difference
    return {
        "id": found.id,
        "exact": found.exact,
        "expected_sha256": found.expected_sha256,
        "found_sha256": found.found_sha256,
        "snr_db": None if difference is None or difference.peak == 0 else difference.snr_db,
        "max_difference": difference and difference.peak,
        "arithmetic": found.arithmetic and dict(zip(("then", "now"), found.arithmetic, strict=True)),
        "agreement": found.agreement and {**dataclasses.asdict(found.agreement), "holds": found.agreement.holds},
        "differing": {name: {"then": then, "now": now} for name, (then, now) in found.differing.items()},
    }
