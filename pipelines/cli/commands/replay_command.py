"""``dreambeam replay``: a record's audio, computed again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.ending import DONE, FAILED, complain
from pipelines.cli.quiet import start_tensorflow

if TYPE_CHECKING:
    from pipelines.worker.replayed import Agreement, Replayed

app = options.new_app()


@app.command()
def replay(
    dataset: str = Argument(..., metavar="DATASET_DIR", help="Dataset that dreambeam augment wrote."),
    id_: str = Option(..., "--id", help="The record's id, such as 'dog/a.wav:deep_dream:0'.", metavar="ID"),
    output: str | None = Option(
        None, "--output", "-o", help="Write the audio: .wav (exact), .flac, .ogg.", metavar="FILE"
    ),
    source: str | None = Option(None, help="The source file, if it was moved.", metavar="PATH"),
    sound: str | None = Option(None, help="The target sound, if it was moved.", metavar="PATH"),
    overwrite: bool = options.OVERWRITE,
    as_json: bool = options.AS_JSON,
    model: list[str] | None = Option(None, help="The model, if it was moved; repeat as in the run.", metavar="PATH"),
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Compute a record's audio again and compare it.

    The audio is computed from the record's source and provenance. Exit code 0: it is bit-exact, or it was made on other
    arithmetic and agrees in score and SNR. Otherwise 1.
    """
    from pipelines.clips.whole_files import check_writable, write_sound
    from pipelines.dataset.reader import DamagedError, find_folder, open_dataset
    from pipelines.files.containers import ClipError

    find_folder(dataset)
    if output:
        check_writable(output, overwrite=overwrite)
        if Path(output).resolve().is_relative_to(Path(dataset).resolve()):
            raise ClipError(f"cannot write {output!r}: it lies in the dataset; give another folder", "write")

    start_tensorflow()
    from augment.determinism.arithmetic import follow
    from pipelines.cli.watch import bar
    from pipelines.worker.replay import recorded_arithmetic, replay

    try:
        opened = open_dataset(dataset)
        with bar() as shown:
            task = shown.add_task("dreaming again", total=None)
            if made_on := recorded_arithmetic(opened, id_):
                follow(made_on)
            found = replay(
                opened,
                id_,
                source=source,
                sound=sound,
                weights=weights,
                models=model or [],
                on_step=lambda steps: shown.advance(task, steps),
            )
    except DamagedError as error:
        return complain(str(error)) or FAILED
    if output:
        write_sound(output, found.waveform, found.sample_rate)
    if as_json:
        print(json.dumps(_as_json(found), ensure_ascii=False))
    else:
        _print(found, output)
    same = found.exact or (found.agreement is not None and found.agreement.holds)
    return DONE if same and not _tampered(found) else FAILED


def _tampered(found: Replayed) -> bool:
    """Return whether the dataset holds other samples than its own provenance describes."""
    return found.exact and found.difference is not None and found.difference.peak > 0


def _print(found: Replayed, output: str | None) -> None:
    what = f"{output}: {found.id}" if output else found.id
    changes = ", ".join(f"{name} was {then}, is {now}" for name, (then, now) in found.differing.items())
    if found.exact:
        print(f"{what} is bit-exact" + (f" (although {changes})" if changes else ""))
        if _tampered(found):
            print("  but the dataset holds other samples than its provenance says: see dreambeam verify")
        return
    if found.agreement and found.arithmetic:
        _print_agreement(what, found.agreement, *found.arithmetic)
        return
    far = "the dataset holds no samples to compare with"
    if found.difference:
        far = f"SNR {found.difference.snr_db:.1f} dB, differs by {found.difference.peak:.3g} at most"
    print(f"{what} is not the same: {far}")
    if changes:
        print(f"  {changes}")
    elif found.arithmetic_known:
        print(
            "  versions and arithmetic are the same: the dataset or its source was changed, or ONEDNN_MAX_CPU_ISA was "
            "set after TensorFlow had computed something"
        )
    else:
        print(
            "  its arithmetic is not recorded (dreambeam before 0.4.0): another processor, or TensorFlow without oneDNN"
        )


def _print_agreement(what: str, agreement: Agreement, then: str, here: str) -> None:
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
