"""The command line: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
from paths import REPOSITORY
from recordings import complaint, dreambeam, failures_of, load, record, samples

from augment.models.yamnet import DreamingModel
from augment.sound.encodings import AUDIO_ENCODINGS
from augment.targets.policies import POLICIES
from pipelines.cli import COMMANDS, options, preflight
from pipelines.cli.runs import robustness_run, utility_clips
from pipelines.clips.listing import TableNotes
from pipelines.dataset import shards
from pipelines.dataset.export import FORMATS
from pipelines.run import augmentation
from pipelines.tables.columns import Columns


def in_a_process(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=os.environ)


@pytest.fixture
def dog(tmp_path: Path) -> Path:
    return record(tmp_path / "in/dog/a.wav")


# Help


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("dream", "-h"), *((name, "--help") for name in COMMANDS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'tensorflow', 'apache_beam', 'numpy', 'pandas', 'pyarrow', 'soundfile', 'matplotlib', 'rich.table'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "from pipelines.cli import main\n"
        "main()"
    )
    done = in_a_process(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "heavy: []"
    assert "Usage: dreambeam" in done.stdout


def test_help_lists_each_command_with_a_whole_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert dreambeam("--help") == 0
    lines = capsys.readouterr().out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_choices_are_those_of_the_tables_that_need_heavy_imports() -> None:
    assert get_args(options.Encoding) == tuple(AUDIO_ENCODINGS)
    assert get_args(options.FileFormat) == tuple(FORMATS)
    policies = options.TARGET.partition("or a policy: ")[2].partition(".")[0]
    assert sorted(["class", *policies.split(", ")]) == sorted(POLICIES)


# Wrong arguments: exit code 2 and one line


def _wrong(tmp_path: Path) -> dict[str, tuple[list[str], list[str]]]:
    wav, out = str(tmp_path / "in/dog/a.wav"), str(tmp_path / "out")
    augment = ["augment", "-i", str(tmp_path / "in"), "-o", out]
    dream = ["dream", wav, str(tmp_path / "out.wav")]
    return {
        "unknown command": (["augmnt"], ["'augmnt'"]),
        "no input": (["augment", "-o", out], ["--input"]),
        "own flag": ([*augment, "--stepz", "3"], ["--stepz", "did you mean --steps?"]),
        "beam's flag": ([*augment, "--direct_num_worker=2"], ["did you mean --direct_num_workers?"]),
        "beam's value": ([*augment, "--direct_num_workers=two"], ["--direct_num_workers", "'two'"]),
        "runner": ([*augment, "--runner=Nope"], ["'Nope'", "DirectRunner", "FlinkRunner"]),
        "runner's spelling": ([*augment, "--runner", "FlinkRuner"], ["did you mean FlinkRunner?"]),
        "stray word": ([*augment, "more"], ["'more'", "--input"]),
        "no number": ([*augment, "--steps", "many"], ["--steps", "valid integer"]),
        "bad number": ([*augment, "--steps", "-1"], ["recipe.steps", "-1"]),
        "dream to a folder": (["dream", wav, str(tmp_path / "out.wav/") + "/"], ["cannot write", "out.wav/"]),
        "no target sound": ([*augment, "--transform", "target_filter"], ["needs a target sound", "--sound FILE"]),
        "transform": ([*augment, "--transform", "dream"], ["'dream'", "deep_dream", "hard_cut"]),
        "export": ([*augment, "--export", "mp3", out], ["--export", "'mp3' is not one of wav, flac"]),
        "start": ([*dream, "--start", "brown"], ["'brown'", "white", "noise"]),
        "unknown class": ([*augment, "--target", "Guitr"], ["'Guitr'", "'Guitar'"]),
        "ambiguous class": ([*augment, "--target", "jingle"], ["264 'Jingle (music)'", "489"]),
        "config": ([*augment, "-c", "configs/nowhere.yaml"], ["configs/nowhere.yaml"]),
        "metadata": ([*augment, "--metadata", str(tmp_path / "nowhere.csv")], ["nowhere.csv", "does not exist"]),
        "output below a file": (["augment", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "file/x")], ["file"]),
        "output is a file": (["augment", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "file")], ["it is a file"]),
        "remote output": (["augment", "-i", str(tmp_path / "in"), "-o", "gs://a/b"], ["gs://a/b", "local folder"]),
        "dream: class": ([*dream, "--target", "Guitr"], ["'Guitr'", "'Guitar'"]),
        "dream: input": (["dream", str(tmp_path / "b.wav"), str(tmp_path / "out.wav")], ["b.wav", "does not exist"]),
        "empty input": (["augment", "-i", "", "-o", str(tmp_path / "out")], ["empty"]),
        "dream: over its input": (["dream", wav, wav], ["the input itself"]),
        "dream: a key of augment": ([*dream, "--set", "variants=9"], ["recipe.KEY=VALUE"]),
        "dream: ending": (["dream", wav, str(tmp_path / "out.mp3")], [".wav, .flac, .ogg"]),
        "dream: folder": (["dream", wav, str(tmp_path / "no/out.wav")], ["there is no such folder"]),
        "dream: picture": ([*dream, "--picture", str(tmp_path / "a.txt")], [".png"]),
        "dream: picture's folder": ([*dream, "--picture", str(tmp_path / "no/a.png")], ["there is no such folder"]),
        "dream: no sound": ([*dream, "--transform", "target_filter"], ["needs a target sound"]),
        "benchmark: of steering": (
            ["benchmark", "--pairs", "9"],
            ["--pairs belongs to dreambeam benchmark steering, not to dreambeam benchmark speed: leave it out"],
        ),
        "benchmark: of side by side": (
            ["benchmark", "--steps=20"],
            ["--steps belongs to", "speed --against naive, not to"],
        ),
        "benchmark: of two": (["benchmark", "--data", out], ["speed --against naive and dreambeam benchmark steering"]),
        "benchmark: side by side": (
            ["benchmark", "--against", "naive", "--rounds", "2"],
            ["speed and dreambeam benchmark instructions, not to dreambeam benchmark speed --against naive"],
        ),
        "benchmark: steering": (
            ["benchmark", "steering", "--data", out, "--clips", "64"],
            ["--clips belongs to", "speed"],
        ),
        "classify: file": (["classify", str(tmp_path / "b.wav")], ["b.wav", "does not exist"]),
    }


@pytest.mark.parametrize("case", list(_wrong(Path("nowhere"))))
def test_wrong_arguments_are_exit_code_2_and_one_line(
    dog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, said = _wrong(tmp_path)[case]
    (tmp_path / "file").touch()
    before = set(tmp_path.rglob("*"))
    message = complaint(capsys, *arguments)
    assert [part for part in said if part not in message] == [], message
    assert set(tmp_path.rglob("*")) == before


def _refused(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    wav, out, no = (str(tmp_path / name) for name in ("in/dog/a.wav", "out", "nowhere"))
    augment = ["augment", "-o", out, "-i"]
    return {
        "augment": ([*augment, no], "does not exist"),
        "augment: glob": ([*augment, f"{no}/*.wav"], "does not exist"),
        "augment: list": ([*augment, f"{no}.txt"], "does not exist"),
        "augment: manifest": ([*augment, f"{no}.csv"], "does not exist"),
        "augment: records": ([*augment, f"{no}.tfrecord"], "does not exist"),
        "augment: metadata": ([*augment, wav, "--metadata", f"{no}.csv"], "does not exist"),
        "augment: sound": ([*augment, wav, "--transform", "target_filter", "--sound", no], "does not exist"),
        "augment: config": ([*augment, wav, "-c", f"{no}.yaml"], "cannot read the config"),
        "augment: setting": ([*augment, wav, "--set", "recipe.stepz=3"], "did you mean 'steps'?"),
        "augment: output": (["augment", "-i", wav, "-o", wav], "lies inside the output"),
        "evaluate": (["evaluate", no, "--report", out], "does not exist"),
        "dream": (["dream", no, f"{out}.wav"], "does not exist"),
        "dream: sound": (["dream", wav, f"{out}.wav", "--set", f"recipe.sound={no}"], "does not exist"),
        "dream: folder": (["dream", wav, f"{no}/out.wav"], "there is no such folder"),
        "classify": (["classify", no], "does not exist"),
        "robustness": (["robustness", no, "--report", out], "does not exist"),
        "robustness: report": (["robustness", wav, "--report", f"{wav}/report"], "cannot write in"),
        "benchmark: report": (["benchmark", "--report", f"{wav}/report"], "cannot write in"),
        "utility": (["utility", wav, "--metadata", f"{no}.csv"], "does not exist"),
        "utility: work": (["utility", wav, "--metadata", wav, "--work", f"{wav}/work"], "cannot write in"),
        "replay": (["replay", no, "--id", "a"], "does not exist"),
        "verify": (["verify", no], "does not exist"),
        "export": (["export", no, "-o", out], "does not exist"),
    }


@pytest.mark.parametrize("case", list(_refused(Path("nowhere"))))
def test_what_is_not_there_is_refused_before_tensorflow_is_imported(dog: Path, tmp_path: Path, case: str) -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'apache_beam', 'pandas'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "from pipelines.cli import main\n"
        "main()"
    )
    arguments, said = _refused(tmp_path)[case]
    done = in_a_process(code, *arguments)
    assert (done.returncode, done.stdout) == (2, "heavy: []\n"), done.stderr
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


# augment


def test_augment_makes_a_dataset_and_says_how_to_load_it(
    dog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("seed: 4\nrecipe: {steps: 1}\n")
    flags = ("-c", config, "--seed", "5", "--target", "keep", "--variants", "2", "--set", "recipe.peak=0.9")
    assert dreambeam("augment", "-i", dog.parents[1], "-o", tmp_path / "out", *flags) == 0
    printed = capsys.readouterr()
    assert f"{tmp_path / 'out'}: 3 records (1 originals, 2 dreams) from 1 clips" in printed.out
    assert "tfds.builder_from_directory" in printed.out
    assert printed.err == ""
    told = json.loads((tmp_path / "out/run.json").read_text())
    assert (told["config"]["seed"], told["config"]["variants"]) == (5, 2)
    assert (told["config"]["recipe"]["steps"], told["config"]["recipe"]["peak"]) == (1, 0.9)
    assert told["config"]["target"]["policy"] == "keep"
    assert len(load(tmp_path / "out")) == 3


def test_flags_that_are_beams_reach_beam(dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.options.pipeline_options import DirectOptions

    seen: list[Any] = []
    options_of = augmentation.pipeline_options

    def noted(beam_args: Any) -> Any:
        seen.append(options_of(beam_args))
        return seen[-1]

    monkeypatch.setattr(augmentation, "pipeline_options", noted)
    flags = ("--direct_num_workers", "2", "--direct_running_mode=multi_threading", "--steps", "0")
    assert dreambeam("augment", "-i", dog, "-o", tmp_path / "out", *flags) == 0
    direct = seen[-1].view_as(DirectOptions)
    assert (direct.direct_num_workers, direct.direct_running_mode) == (2, "multi_threading")
    told = json.loads((tmp_path / "out/run.json").read_text())
    assert told["beam_args"] == ["--direct_num_workers", "2", "--direct_running_mode=multi_threading"]


def test_a_run_that_fails_is_exit_code_1_and_one_line_without_a_traceback(dog: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import pipelines.dataset.shards\n"
        "def full(*args):\n"
        "    raise OSError('the disk\\nis full')\n"
        "pipelines.dataset.shards.write_shard = full\n"
        "from pipelines.cli import main\n"
        "main()"
    )
    done = in_a_process(code, "augment", "-i", dog, "-o", tmp_path / "out", "--steps", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("dreambeam: the disk is full")
    assert not (tmp_path / "out").exists()


def test_debug_raises_what_went_wrong(dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.cli import main

    def full(*args: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(shards, "write_shard", full)
    with pytest.raises(Exception, match="the disk is full"):
        main(["augment", "-i", str(dog), "-o", str(tmp_path / "out"), "--steps", "0", "--debug"])


def test_augment_takes_a_target_sound(dog: Path, tmp_path: Path) -> None:
    given = ("--transform", "soft_target_filter", "--sound", dog, "--steps", "0")
    assert dreambeam("augment", "-i", dog.parents[1], "-o", tmp_path / "out", *given) == 0
    recipes = json.loads((tmp_path / "out/run.json").read_text())["config"]["recipe"]
    assert recipes["sound"] == str(dog)


def test_some_failed_clips_are_exit_code_3(dog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dog.with_name("b.wav").write_text("text")
    assert dreambeam("augment", "-i", dog.parents[1], "-o", tmp_path / "out", "--steps", "0") == 3
    assert "1 failure (1 at decode): see" in capsys.readouterr().out
    assert set(failures_of(tmp_path / "out")) == {"dog/b.wav"}


def test_where_no_clip_could_be_used_the_last_line_says_so_and_where_it_stands_why(
    dog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.wav", "b.wav"):
        dog.with_name(name).write_text("text")
    output = tmp_path / "out"
    assert dreambeam("augment", "-i", dog.parents[1], "-o", output, "--steps", "0") == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"dreambeam: no clip could be used: 2 failures (2 at decode), each with its reason in {output}/failures.jsonl: "
        "mend them, then run again with --overwrite\n"
    )
    assert set(failures_of(output)) == {"dog/a.wav", "dog/b.wav"}
    assert not list(output.glob("*.tfrecord*"))


# dream


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_dream_keeps_rate_channels_and_length(tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str) -> None:
    source = record(tmp_path / "in.wav", 1.2, rate=22_050, channels=2)
    output = tmp_path / f"out.{ending}"
    assert dreambeam("dream", source, output, "--target", "Siren", "--steps", "1") == 0
    before, after = soundfile.info(source), soundfile.info(output)
    assert (after.samplerate, after.channels, after.frames) == (before.samplerate, before.channels, before.frames)
    assert not np.array_equal(samples(source), samples(output))
    printed = capsys.readouterr()
    assert f"{output}: toward Siren: score" in printed.out
    assert printed.err == ""


def test_dream_is_the_same_twice_and_without_steps_it_is_the_source(tmp_path: Path) -> None:
    source = record(tmp_path / "in.wav")
    for output, steps in (("a.wav", "2"), ("b.wav", "2"), ("c.wav", "0")):
        assert dreambeam("dream", source, tmp_path / output, "--target", "random", "--steps", steps) == 0
    np.testing.assert_array_equal(samples(tmp_path / "a.wav"), samples(tmp_path / "b.wav"))
    np.testing.assert_array_equal(samples(tmp_path / "c.wav"), samples(source))


def test_dream_draws_a_picture(tmp_path: Path) -> None:
    source = record(tmp_path / "in.wav")
    picture = tmp_path / "dream.png"
    assert dreambeam("dream", source, tmp_path / "out.wav", "--steps", "1", "--picture", picture) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_dream_takes_a_target_sound_of_any_name(tmp_path: Path) -> None:
    source = record(tmp_path / "in.wav")
    sound = record(tmp_path / "[take 2]: #1, it's null.wav", 0.5)
    arguments = ("--transform", "target_filter", "--sound", sound, "--steps", "1")
    assert dreambeam("dream", source, tmp_path / "out.wav", *arguments) == 0


# classify


def test_classify_prints_the_top_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: DreamingModel
) -> None:
    path = record(tmp_path / "a.wav")
    scores = model.clip_scores(samples(path)[:, 0])
    best = np.argsort(-scores)[:3]
    assert dreambeam("classify", path, "--top", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [str(path), *(f"  {scores[i]:.3f}  {model.classes[int(i)].name}" for i in best)]


def test_classify_prints_json_lines_and_goes_on_after_a_bad_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [record(tmp_path / "ä.wav"), tmp_path / "missing.wav", record(tmp_path / "b.wav", rate=44_100, channels=2)]
    assert dreambeam("classify", *paths, "--json", "--top", "2") == 3
    printed = capsys.readouterr()
    found = [json.loads(line) for line in printed.out.splitlines()]
    assert [one["file"] for one in found] == [str(paths[0]), str(paths[2])]
    assert all(set(top) == {"index", "mid", "name", "score"} for one in found for top in one["top"])
    assert all(one["top"][0]["score"] >= one["top"][1]["score"] for one in found)
    assert printed.err.startswith("dreambeam: ")
    assert printed.err.count("\n") == 1


# doctor


def test_doctor_finds_that_all_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert dreambeam("doctor") == 0
    printed = capsys.readouterr().out
    assert "YAMNet classifies zeros as Silence" in printed
    assert "FAIL" not in printed
    assert printed.splitlines()[-1] == "All that is needed works."


def test_doctor_says_which_weights_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dreambeam("doctor", "--weights", tmp_path / "nowhere") == 1
    assert "nowhere" in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL"))


@pytest.mark.slow
def test_a_report_that_is_stopped_says_so_and_can_be_made_again(dog: Path, tmp_path: Path) -> None:
    code = """
import os, sys
from evaluation.robustness.robustness_worker import RobustnessWorker
RobustnessWorker.run = lambda self, items: os.kill(os.getpid(), 2)
from pipelines.cli import main
main(sys.argv[1:])
"""
    given = (
        "robustness",
        dog.parent.parent,
        "--report",
        tmp_path / "report",
        "--snr-db=20",
        "--steps=1",
        "--untargeted",
    )
    ended = in_a_process(code, *given)
    assert ended.returncode == 130
    assert ended.stderr.splitlines()[-1] == "dreambeam: stopped before the report was finished"
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "report").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_leaves_nothing(dog: Path, tmp_path: Path, number: signal.Signals) -> None:
    code = """
import os, sys
number = int(sys.argv.pop())
from pipelines.worker.dream_worker import DreamWorker
DreamWorker.add = lambda self, clip: os.kill(os.getpid(), number)
from pipelines.cli import main
main(sys.argv[1:])
"""
    ended = in_a_process(code, "augment", "-i", dog, "-o", tmp_path / "out", str(int(number)))
    assert ended.returncode == 130
    assert ended.stderr.splitlines()[-1] == "dreambeam: stopped; no dataset was written"
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("*out*"))


def test_transform_and_a_config_with_named_recipes_exclude_each_other(
    dog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.yaml").write_text("recipes: {deep_dream: {}, soft: {threshold: 0.1}}")
    arguments = ["augment", "-i", str(dog), "-o", str(tmp_path / "out"), "-c", str(tmp_path / "two.yaml")]
    assert "deep_dream, soft" in complaint(capsys, *arguments, "--transform", "gradients")


def test_a_folder_is_tried_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in ("there", "there/a/b", "c"):
        preflight.check_folder("--report", str(tmp_path / folder))
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_rows_of_a_table_without_a_file_are_noted(dog: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label,fold\na.wav,dog,1\nb.wav,cat,1\n")
    inputs, notes = [str(dog.parent)], (TableNotes(), TableNotes())
    robustness_run.list_items(inputs, robustness_run.Data(str(table)), 0, notes[0])
    utility_clips.read_clips(inputs, utility_clips.Data(str(table), Columns(), "fold"), notes[1])
    assert all("1 of the 2 rows name no file among the inputs" in each.lines[-1] for each in notes)


def test_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert dreambeam("--version") == 0
    assert capsys.readouterr().out.startswith("dreambeam ")


ONTOLOGY = [
    {"id": "/m/0jbk", "name": "Animal", "child_ids": ["/m/0bt9lr"]},
    {"id": "/m/0bt9lr", "name": "Dog", "child_ids": ["/m/05tny_"]},
    {"id": "/m/05tny_", "name": "Bark", "child_ids": []},
]


@pytest.fixture
def ontology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small ontology of our own, named in the environment."""
    from augment.targets.ontology import audioset_ontology

    path = tmp_path / "ontology.json"
    path.write_text(json.dumps(ONTOLOGY))
    monkeypatch.setenv("DREAMBEAM_ONTOLOGY", str(path))
    audioset_ontology.cache_clear()
    yield path
    audioset_ontology.cache_clear()


def test_dream_from_noise_needs_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "dog.wav"
    arguments = ["dream", out, "--start", "noise", "--seconds", "1.5", "--target", "Dog", "--steps", "3"]
    assert dreambeam(*arguments) == 0
    assert samples(out).shape == (24_000, 1)
    assert "toward Dog" in capsys.readouterr().out
    assert "exists already" in complaint(capsys, *arguments)
    assert dreambeam(*arguments, "--seed", "1", "--set", "recipe.steps=0", "--overwrite") == 0
    assert 0.05 < np.std(samples(out)) < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dream", "a.wav"], "expected IN and OUT"),
        (["dream"], "expected IN and OUT"),
        (["dream", "a.wav", "b.wav", "c.wav"], "expected IN and OUT"),
        (["dream", "b.wav", "--seconds", "3"], "say what to start from"),
        (["dream", "a.wav", "b.wav", "--seconds", "3", "--start", "noise"], "expected OUT alone"),
        (["dream", "b.wav", "--seconds", "3", "--start", "mix"], "needs a clip"),
        (["dream", "b.wav", "--seconds", "1", "--start", "pink", "--target", "label"], "names no class"),
        (
            [
                *("dream", "b.wav", "--seconds", "1", "--start", "pink"),
                *("--set", "recipe.objective=layer", "--set", "recipe.layers=[layer99]"),
            ],
            "no layer 'layer99'",
        ),
    ],
)
def test_dream_says_which_files_it_expects(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(capsys, *arguments)


def test_targets_searches_the_classes_with_their_ontology_path(
    ontology: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dreambeam("targets", "bark") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["70", "/m/05tny_", "Bark"]
    assert lines[1].strip() == "Animal > Dog > Bark"
    assert dreambeam("targets", "Animal/*") == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" " * 5)]
    assert named == ["67", "69", "70"]


def test_targets_searches_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert dreambeam("targets", "siren", "--limit", "3") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" " * 5)]
    assert lines[0].split() == ["390", "/m/03kmc9", "Siren"]
    assert len(lines) == 3
    assert dreambeam("targets", "xyzzyxyzzy") == 2
