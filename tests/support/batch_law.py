"""The law of the batch: a clip dreams the same bytes alone and in every batch, on any number of threads.

    python tests/support/batch_law.py                          every setting, each in a process of its own (`make
    test-batches`) python tests/support/batch_law.py check --sizes 2,9 ...    this process's setting

A setting is what oneDNN may use (``ONEDNN_MAX_CPU_ISA``) and the number of threads. Every transform is tried with every
objective and update rule, at every batch size from 1 to 33, with masks, jitters and clips that leave early; the
settings share these combinations out. Some of them are dreamed by every setting: a digest over all these dreams must be
the same for every number of threads.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

INSTRUCTIONS = ("SSE41", "AVX2", "DEFAULT")
THREADS = (1, 2, 4)
SIZES = tuple(range(1, 34))
COMMON = (0, 31)
"""The first, and every so manieth, of the combinations that every setting dreams."""

LENGTHS = (15_600, 23_000)
"""Samples, at most, of clips of one and of two patches."""


def combinations() -> list[dict[str, Any]]:
    """Return the recipes: every transform by every objective and update rule, and the fast arithmetic."""
    from augment.recipes.tables import OBJECTIVES, TRANSFORMS, UPDATES

    found: list[dict[str, Any]] = []
    for name, transform in TRANSFORMS.items():
        for number, objective in enumerate(OBJECTIVES):
            for update in UPDATES if transform.adds else ("normalised",):  # others take the gradient as it is
                found.append({"transform": name, "objective": objective, "update": update, **_tricks(len(found))})
                found[-1]["sound"] = "given"
                found[-1]["arithmetic"] = "fast" if (len(found) + number) % 12 == 0 else "exact"
    return found


def _tricks(number: int) -> dict[str, Any]:
    """Return what else is on in a numbered recipe: jitters, octaves and smoothing in every other one."""
    if number % 2:
        return {}
    return {"time_jitter": 0.01, "gain_jitter": 1.0, "octaves": 2, "smoothing": 0.5}


def clips(length: int) -> list[Any]:
    """Return 33 clips of one padded length: parts of a street recording, sines, noises, silence."""
    import numpy as np
    import soundfile

    from augment.models.mirror import demo_recording

    street, _ = soundfile.read(demo_recording(), dtype="float32")
    rng = np.random.default_rng(0)
    found = []
    for number in range(max(SIZES)):
        samples = length - 211 * number
        time = np.arange(samples) / 16_000
        kinds = (
            lambda number=number, samples=samples: street[number * 20_000 : number * 20_000 + samples],
            lambda samples=samples: rng.normal(0, 0.1, samples),
            lambda number=number, time=time: 0.3 * np.sin(2 * np.pi * (200 + 90 * number) * time),
            lambda number=number: street[number * 25_000 : number * 25_000 + samples],  # noqa: B023
            lambda samples=samples: np.zeros(samples) if samples % 2 else np.eye(1, samples)[0],
        )
        found.append(np.ascontiguousarray(kinds[number % len(kinds)](), np.float32))
    return found


def breaches(model: Any, recipe: dict[str, Any], sizes: Sequence[int], length: int, digest: Any) -> Iterator[str]:
    """Give a line for each batch in which a clip has other bytes than alone; put those alone into a digest."""
    import numpy as np

    from augment.ascent.loop import Dreamer, pad_batch
    from augment.recipes.recipe import Recipe

    sounds = clips(length)
    plain = Recipe.model_validate(recipe)
    hold = 0.0 if plain.has_class_objective else None
    dreamer = Dreamer(model, Recipe.model_validate({**recipe, "steps": 2, "hold": hold}), sounds[3])
    scores = model.scores(*pad_batch(sounds))
    second = np.argsort(-scores, axis=1)[:, 1]  # is soon the first: these clips leave early
    targets = np.where(np.arange(len(sounds)) % 3 == 0, second, 7 * np.arange(len(sounds)) % scores.shape[1])
    alone = [dreamer(*pad_batch([clip]), targets[[row]]) for row, clip in enumerate(sounds[: max(sizes)])]
    for each in alone:
        digest.update(each.waveforms.tobytes())
    for size in sizes:
        rows = [(size + place) % max(sizes) for place in range(size)]  # so that a clip stands in many places
        together = dreamer(*pad_batch([sounds[row] for row in rows]), targets[rows])
        wrong = [
            row
            for place, row in enumerate(rows)
            if together.waveforms[place].tobytes() != alone[row].waveforms[0].tobytes()
            or together.objectives[:, place].tobytes() != alone[row].objectives[:, 0].tobytes()
        ]
        if wrong:
            yield f"{recipe}, {length} samples, batch of {size}: clips {wrong} differ"


def check(sizes: Sequence[int], first: int, every: int) -> int:
    """Check every so manieth combination in this process; print the breaches and the digest; return how many."""
    from augment.models.yamnet import load_dreaming_model

    model, digest, found = load_dreaming_model(), hashlib.sha256(), 0
    for number, recipe in list(enumerate(combinations()))[first::every]:
        length = LENGTHS[number % 4 == 3]
        for line in breaches(model, recipe, sizes, length, digest):
            print(line, flush=True)
            found += 1
    print(f"digest {digest.hexdigest()}")
    return found


def process(instructions: str, threads: int, sizes: Sequence[int], first: int, every: int) -> tuple[int, str]:
    """Check in a process of its own; return its exit code and what it printed."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "TF_NUM_INTRAOP_THREADS": str(threads)}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    command = [sys.executable, "-W", "ignore", __file__, "check", f"--sizes={','.join(map(str, sizes))}"]
    command += [f"--first={first}", f"--every={every}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + (done.stderr if done.returncode not in (0, 1) else "")


def main() -> int:
    """Read the arguments, check, and return 0 if the law holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["all", "check"], default="all")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="batch sizes")
    parser.add_argument("--first", type=int, default=0, help="the first combination")
    parser.add_argument("--every", type=int, default=1, help="take one combination in so many")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    if given.what == "check":
        return int(check(sizes, given.first, given.every) > 0)
    settings = [(name, threads) for name in INSTRUCTIONS for threads in THREADS]
    failed = 0
    for number, (name, threads) in enumerate(settings):
        start = time.monotonic()
        code, printed = process(name, threads, sizes, given.first + number * given.every, len(settings) * given.every)
        failed += code != 0
        state = "holds" if code == 0 else f"FAILS:\n{printed}"
        print(f"{name}, {threads} threads, {time.monotonic() - start:.0f} s: the law of the batch {state}", flush=True)
    for name in INSTRUCTIONS:
        digests = {process(name, threads, [2], *COMMON)[1].split()[-1] for threads in THREADS}
        failed += len(digests) > 1
        print(f"{name}: {len(digests)} digest for {', '.join(map(str, THREADS))} threads", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
