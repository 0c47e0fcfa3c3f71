"""``dreambeam classify``: YAMNet's top classes of audio files."""

from __future__ import annotations

import json

from typer import Argument, Option

from pipelines.cli import options
from pipelines.cli.ending import DONE, SOME_CLIPS_FAILED, WRONG_ARGUMENTS, complain
from pipelines.cli.quiet import start_tensorflow

app = options.new_app()


@app.command()
def classify(
    files: list[str] = Argument(..., metavar="FILE...", help="Audio files."),
    top: int = Option(5, min=1, max=521, help="How many classes to print."),
    as_json: bool = Option(False, "--json", help="Print one JSON object a line."),
    weights: str | None = options.WEIGHTS,
    debug: bool = options.DEBUG,
) -> int:
    """Print YAMNet's top classes of audio files.

    Exit code 3: some files could not be read; 2: none could.
    """
    from pipelines.clips.whole_files import DEMO, find_sound, read_sound

    if len(files) == 1 and files[0] != DEMO:
        find_sound(files[0])  # refuses a single bad file before TensorFlow is imported

    start_tensorflow()
    import numpy as np

    from augment.models.yamnet import load_dreaming_model
    from augment.sound.resampling import to_model
    from pipelines.files.containers import ClipError

    model = load_dreaming_model(weights)
    failed = 0
    for file in files:
        try:
            clip = read_sound(file)
        except ClipError as error:
            failed += 1
            complain(str(error))
            continue
        scores = model.clip_scores(to_model(clip.waveform, clip.ref.sample_rate))
        best = [(model.classes[int(index)], scores[index]) for index in np.argsort(-scores, kind="stable")[:top]]
        if as_json:
            classes = [
                {"index": each.index, "mid": each.mid, "name": each.name, "score": round(float(score), 6)}
                for each, score in best
            ]
            print(json.dumps({"file": file, "top": classes}, ensure_ascii=False))
        else:
            print(file, *(f"  {score:.3f}  {each.name}" for each, score in best), sep="\n")
    return DONE if not failed else WRONG_ARGUMENTS if failed == len(files) else SOME_CLIPS_FAILED
