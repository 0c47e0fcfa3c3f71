"""croissant.json: valid for MLCommons' own reader, true of the files, and RDF that says what was made from what."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordings import augment, dreambeam, record

from augment.models.yamnet import DreamingModel
from augment.recipes.recipe import Recipe
from pipelines.dataset import croissant
from pipelines.dataset.croissant import Described, write_croissant
from pipelines.dataset.versions import versions

# mlcroissant 1.1.1 calls what rdflib 7.6 and pandas 3.1 deprecate.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame"),
]

CHANGES = ("shards=3", "seed=7", "recipes.deep_dream={}", "recipes.soft={transform: hard_cut_add}")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("cat/<b> & 'c'.wav", "dog/a b.wav", "none.wav"):
        record(folder / name, 0.2)
    return folder


@pytest.fixture(scope="module")
def dataset(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "dataset"
    augment(recordings, output, *CHANGES)
    return output


@pytest.fixture(scope="module")
def told(dataset: Path) -> dict[str, Any]:
    return json.loads((dataset / "croissant.json").read_text(encoding="utf-8"))


def read(dataset: Path) -> tuple[list[dict[str, Any]], set[str]]:
    """Read the record set as Croissant's users do; return the rows and the reader's complaints."""
    import mlcroissant as mlc

    found = mlc.Dataset(jsonld=str(dataset / "croissant.json"))
    rows = [
        {
            key.removeprefix("records/"): value.decode() if isinstance(value, bytes) else value
            for key, value in row.items()
        }
        for row in found.records("records")
    ]
    issues = found.metadata.ctx.issues
    return rows, {*issues.errors, *issues.warnings}


def test_mlcroissant_finds_no_error(dataset: Path) -> None:
    command = [Path(sys.executable).parent / "mlcroissant", "validate", "--jsonld", dataset / "croissant.json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Done" in run.stderr
    assert "error" not in run.stderr.lower()


def test_mlcroissant_reads_the_rows_of_provenance_parquet_and_misses_only_what_is_the_users_to_say(
    dataset: Path,
) -> None:
    rows, complaints = read(dataset)
    table = pd.read_parquet(dataset / "provenance.parquet")
    assert len(rows) == len(table) == 9
    for row, expected in zip(rows, table.to_dict(orient="records"), strict=True):
        assert set(row) == set(table.columns)
        for key, value in row.items():
            if key != "label" or value is not None:
                np.testing.assert_array_equal(value, expected[key], err_msg=key)
    assert len(complaints) == 2
    assert all("datePublished" in complaint or "license" in complaint for complaint in complaints)


def test_every_file_of_the_dataset_is_named_with_its_size_and_hash(dataset: Path, told: dict[str, Any]) -> None:
    files = {each["@id"]: each for each in told["distribution"] if each["@type"] == "cr:FileObject"}
    unnamed = {"croissant.json", "run.json", "failures.jsonl", "label.labels.txt", "labels.labels.txt"}
    assert set(files) == {path.name for path in dataset.iterdir()} - unnamed
    for name, file in files.items():
        content = (dataset / name).read_bytes()
        assert file["contentUrl"] == name
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    (shards,) = (each for each in told["distribution"] if each["@type"] == "cr:FileSet")
    assert len(list(dataset.glob(shards["includes"]))) == 3


def test_rdf_says_what_was_derived_from_what_by_which_recipes_model_seed_and_software(
    recordings: Path, dataset: Path, model: DreamingModel
) -> None:
    from rdflib import Graph
    from rdflib.namespace import PROV, RDF, SDO

    graph = Graph().parse(data=(dataset / "croissant.json").read_text(encoding="utf-8"), format="json-ld")
    (thing,) = graph.subjects(RDF.type, SDO.Dataset)
    sources = {
        str(graph.value(source, PROV.atLocation)): str(graph.value(source, SDO.sha256))
        for source in graph.objects(thing, PROV.wasDerivedFrom)
    }
    assert sources == {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in recordings.glob("**/*.wav")}
    (activity,) = graph.objects(thing, PROV.wasGeneratedBy)
    assert (activity, RDF.type, PROV.Activity) in graph
    used = {str(graph.value(each, SDO.sha256)) for each in graph.objects(activity, PROV.used)}
    assert used == {model.identity, *sources.values()}
    (agent,) = graph.objects(activity, PROV.wasAssociatedWith)
    assert str(graph.value(agent, SDO.softwareVersion)) == versions()["dreambeam"]
    (association,) = graph.objects(activity, PROV.qualifiedAssociation)
    plans = {
        str(graph.value(plan, SDO.name)): (str(graph.value(plan, SDO.sha256)), str(graph.value(plan, PROV.value)))
        for plan in graph.objects(association, PROV.hadPlan)
    }
    recipes = {"deep_dream": Recipe(steps=0), "soft": Recipe(transform="hard_cut_add", steps=0)}
    assert plans == {name: (recipe.digest(), recipe.canonical_json()) for name, recipe in recipes.items()}
    properties = {
        str(graph.value(each, SDO.name)): str(graph.value(each, SDO.value))
        for each in graph.objects(activity, SDO.additionalProperty)
    }
    assert properties == {"seed": "7", **versions()}


def test_a_rerun_gives_the_same_bytes_in_every_file_but_run_json(recordings: Path, dataset: Path, tmp_path: Path):
    augment(recordings, tmp_path / "again", *CHANGES, "batch_size=1")
    files = {path.name: path.read_bytes() for path in dataset.iterdir() if path.name != "run.json"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir() if path.name != "run.json"}


def test_a_licence_is_told_as_the_user_gave_it_and_changes_nothing_else(
    recordings: Path, dataset: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    changes = [part for change in (*CHANGES, "recipe.steps=0") for part in ("--set", change)]
    given = ("--licence", "https://spdx.org/licenses/CC-BY-4.0")
    assert dreambeam("augment", "-i", recordings, "-o", tmp_path / "out", *changes, *given) == 0
    found = json.loads((tmp_path / "out/croissant.json").read_text(encoding="utf-8"))
    assert found.pop("license") == "https://spdx.org/licenses/CC-BY-4.0"
    assert found == told
    (complaint,) = read(tmp_path / "out")[1]
    assert "datePublished" in complaint
    for path in dataset.iterdir():
        if path.name not in ("run.json", "croissant.json"):
            assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes(), path.name


def test_neither_the_place_nor_the_time_of_the_run_is_in_it(dataset: Path, told: dict[str, Any]) -> None:
    run = json.loads((dataset / "run.json").read_text(encoding="utf-8"))
    without_sources = json.dumps({**told, "prov:wasDerivedFrom": None})
    for value in (run["host"], run["started"][:10], str(dataset), str(dataset.parent)):
        assert value not in without_sources


def described(told: dict[str, Any]) -> Described:
    shards = {each["@id"]: each["sha256"] for each in told["distribution"] if "tfrecord-" in each["@id"]}
    return Described("d", "1.0.0", "", "", {"r": Recipe()}, 0, {"name": "yamnet", "identity": "0"}, versions(), shards)


def test_of_very_many_sources_the_columns_are_named(
    dataset: Path, told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dataset, tmp_path / "out")
    monkeypatch.setattr(croissant, "MAX_SOURCES", 2)
    write_croissant(tmp_path / "out", described(told))
    found = json.loads((tmp_path / "out/croissant.json").read_text(encoding="utf-8"))
    (sources,) = found["prov:wasDerivedFrom"]
    assert [each["@id"] for each in sources["prov:value"]] == ["records/source_uri", "records/source_sha256"]
    assert {"@id": sources["@id"]} in found["prov:wasGeneratedBy"]["prov:used"]
    assert read(tmp_path / "out")[0]


def test_columns_of_any_name_and_lists_are_described(dataset: Path, told: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "out")
    table = pq.read_table(dataset / "provenance.parquet")
    name = 'group_<b>"ä" / \n'
    table = table.append_column(name, pa.array(["x"] * len(table)))
    table = table.append_column("tags", pa.array([["a", "b"]] * len(table), pa.list_(pa.string())))
    pq.write_table(table, tmp_path / "out/provenance.parquet")
    write_croissant(tmp_path / "out", described(told))
    fields = json.loads((tmp_path / "out/croissant.json").read_text(encoding="utf-8"))["recordSet"][0]["field"]
    assert [field["name"] for field in fields[-2:]] == [name, "tags"]
    assert fields[-1]["repeated"]
    rows, _ = read(tmp_path / "out")
    assert [list(row.values())[-2] for row in rows] == ["x"] * len(table)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
