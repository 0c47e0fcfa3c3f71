"""croissant.json: the dataset described for machines, in MLCommons Croissant 1.1, with its origin in PROV.

Takes the files of a finished dataset; gives JSON-LD with paths relative to its folder: the files with their hashes; the
columns of provenance.parquet as a record set, which Croissant's readers load; and its origin: the dataset
`prov:wasDerivedFrom` the sources, and `prov:wasGeneratedBy` the run, which used a model, a seed and recipes. Time and
place of the run are left out: a rerun gives the same bytes.

Sources: Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html); PROV-O (W3C, 2013).
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augment.recipes.recipe import Recipe
from pipelines.files.raw_records import source_sha256

MAX_SOURCES = 1000
"""Sources that are listed one by one; of more, only the columns that hold them are named."""

TABLE = "provenance.parquet"

_TERMS = (
    *("arrayShape", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path"),
    *("recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
    "transform",
)
"""Croissant's own terms with the same name."""

CONTEXT: dict[str, Any] = dict(
    sorted(
        {
            **{name: f"cr:{name}" for name in _TERMS},
            "@language": "en",
            "@vocab": "https://schema.org/",
            "citeAs": "cr:citeAs",
            "conformsTo": "dct:conformsTo",
            "cr": "http://mlcommons.org/croissant/",
            "data": {"@id": "cr:data", "@type": "@json"},
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
            "dct": "http://purl.org/dc/terms/",
            "description": {"@container": "@language"},
            "examples": {"@id": "cr:examples", "@type": "@json"},
            "name": {"@container": "@language"},
            "prov": "http://www.w3.org/ns/prov#",
            "rai": "http://mlcommons.org/croissant/RAI/",
            "sc": "https://schema.org/",
        }.items(),
        key=lambda each: each[0].lower(),
    )
)

_NOTES = {
    "id": "Of the record.",
    "source_id": "Of the clip that the record was made from.",
    "label": "The first label.",
    "recipe": "Name of the recipe in this run, or 'original': the clip as it came.",
    "source_uri": "The file that the clip is from.",
    "source_sha256": "Of the source file's bytes.",
    "output_sha256": "Of the float32 samples as dreamed, little-endian.",
    "stored_sha256": "Of the bytes of `audio` as stored.",
    "provenance": "JSON with all that is needed to make the audio again: recipe, draws, objectives, model, versions.",
    "shard": "Number of the split's TFRecord file.",
    "position": "Of the record in that file.",
}

_EQUIVALENT = {"source_uri": "prov:wasDerivedFrom", "recipe": "prov:hadPlan", "provenance": "prov:wasGeneratedBy"}


@dataclass(frozen=True)
class Described:
    """What croissant.json has of a dataset, beside the content of its folder."""

    name: str  # of the dataset
    version: str  # of the dataset
    description: str  # a few sentences
    citation: str  # of the method
    recipes: Mapping[str, Recipe]  # by name
    seed: int  # of the run
    model: Mapping[str, str]  # name and identity of the model
    versions: Mapping[str, str]  # of all that shapes the audio
    shard_hashes: Mapping[str, str]  # sha256 by file name
    licence: str | None = None  # of the dataset, best a URL; None where the user gave none


def croissant(dataset: Path, described: Described) -> dict[str, Any]:
    """Return the description of a dataset's folder, with shards, provenance.parquet and TFDS's metadata, as JSON-LD."""
    sources = _sources(dataset / TABLE)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": described.name,
        "description": described.description,
        "version": described.version,
        "citeAs": described.citation,
        **({"license": described.licence} if described.licence else {}),
        "distribution": list(_distribution(dataset, described.shard_hashes)),
        "recordSet": [_record_set(pq.read_schema(dataset / TABLE))],
        "prov:wasDerivedFrom": sources,
        "prov:wasGeneratedBy": _activity(described, sources),
    }


def write_croissant(dataset: Path, described: Described) -> None:
    """Write croissant.json into a dataset's folder."""
    text = json.dumps(croissant(dataset, described), indent=1, ensure_ascii=False, allow_nan=False)
    (dataset / "croissant.json").write_text(text + "\n", encoding="utf-8")


def _distribution(dataset: Path, shard_hashes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    yield _file(dataset / TABLE, "application/x-parquet", "A row for each record, without its audio.")
    for name, what in (("features.json", "Fields of the records."), ("dataset_info.json", "Splits and shards.")):
        yield _file(dataset / name, "application/json", f"{what} For tfds.builder_from_directory.")
    yield _file(dataset / "load.py", "text/x-python", "Reads the dataset by TFDS, TensorFlow and pandas.")
    for name, sha256 in sorted(shard_hashes.items()):
        yield _file(dataset / name, "application/x-tfrecord", "Records: serialised tf.train.Example.", sha256)
    for pattern in sorted({name.rpartition(".tfrecord-")[0] for name in shard_hashes}):
        yield {
            "@type": "cr:FileSet",
            "@id": pattern,
            "name": pattern,
            "description": "All TFRecord files of a split.",
            "encodingFormat": "application/x-tfrecord",
            "includes": f"{pattern}.tfrecord-*",
        }


def _file(path: Path, kind: str, description: str, sha256: str | None = None) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": description,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": kind,
        "sha256": sha256 or source_sha256(str(path), None),
    }


def _record_set(schema: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": "A row for each record of the dataset: what it is, what it was made from, and how.",
        "key": {"@id": "records/id"},
        "field": [_field(column) for column in schema],
    }


def _field(column: pa.Field) -> dict[str, Any]:
    many = pa.types.is_list(column.type)
    field = {
        "@type": "cr:Field",
        "@id": f"records/{urllib.parse.quote(column.name)}",
        "name": column.name,
        "dataType": _data_type(column.type.value_type if many else column.type),
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": column.name}},
    }
    if column.name in _NOTES:
        field["description"] = _NOTES[column.name]
    if column.name in _EQUIVALENT:
        field["equivalentProperty"] = _EQUIVALENT[column.name]
    return {**field, "repeated": True} if many else field


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "cr:Int64"
    return "cr:Float32" if pa.types.is_floating(kind) else "sc:Text"


def _sources(table: Path) -> list[dict[str, Any]]:
    """Return the source files as PROV entities; of very many, the columns that hold them."""
    found: dict[tuple[str, str], None] = {}
    for uri, sha256 in _pairs(table):
        found[uri, sha256] = None
        if len(found) > MAX_SOURCES:
            columns = [{"@id": "records/source_uri"}, {"@id": "records/source_sha256"}]
            what = f"The files that the columns source_uri and source_sha256 of {TABLE} name."
            return [{"@type": "prov:Collection", "@id": "sources", "description": what, "prov:value": columns}]
    return [
        {
            "@type": "prov:Entity",
            "@id": f"sources/{number}",
            "name": _name(uri),
            "prov:atLocation": uri,
            "sha256": sha256,
        }
        for number, (uri, sha256) in enumerate(sorted(found))
    ]


def _pairs(table: Path) -> Iterator[tuple[str, str]]:
    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(columns=["source_uri", "source_sha256"]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _activity(described: Described, sources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    model = {"@type": "prov:Entity", "name": described.model["name"], "sha256": described.model["identity"]}
    return {
        "@type": "prov:Activity",
        "name": "dreambeam augment",
        "description": "Gradient ascent on the waveform through the model, by a recipe, from seeded draws.",
        "prov:used": [model, *({"@id": source["@id"]} for source in sources)],
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "name": "dreambeam",
            "softwareVersion": described.versions["dreambeam"],
        },
        "prov:qualifiedAssociation": {
            "@type": "prov:Association",
            "prov:hadPlan": [_plan(name, recipe) for name, recipe in described.recipes.items()],
        },
        "additionalProperty": list(_properties({"seed": described.seed, **described.versions})),
    }


def _plan(name: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "@type": "prov:Plan",
        "name": name,
        "sha256": recipe.digest(),
        "prov:value": recipe.canonical_json(),
    }


def _properties(values: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return ({"@type": "PropertyValue", "name": name, "value": value} for name, value in sorted(values.items()))


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]
