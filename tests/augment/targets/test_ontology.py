"""Claims about augment.targets.ontology: on a small graph of our own, and on AudioSet's where it is at hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from augment.targets import ontology
from augment.targets.classes import ClassLookupError, yamnet_classes
from augment.targets.ontology import ONTOLOGY_SHA256, Ontology, OntologyError
from augment.targets.target_names import find_classes

SMALL = Ontology(
    names={"/m/a": "Animal", "/m/d": "Dog", "/m/b": "Bark", "/m/h": "Home", "/t/x": "Abstract"},
    children={"/m/a": ("/m/d",), "/m/d": ("/m/b",), "/m/b": (), "/m/h": ("/m/d",), "/t/x": ()},
)


@pytest.fixture(scope="module")
def real(shared: Path) -> Ontology:
    return Ontology.from_json(shared / "data" / "audioset_ontology.json")


def test_a_class_may_be_reached_in_several_ways():
    assert SMALL.paths("/m/b") == ["Animal > Dog > Bark", "Home > Dog > Bark"]
    assert SMALL.paths("/m/a") == ["Animal"]
    assert SMALL.paths("/m/none") == []


def test_a_branch_holds_the_class_and_all_below_it_once():
    assert SMALL.under("/m/a") == ["/m/a", "/m/d", "/m/b"]


def test_the_known_hash_is_that_of_audiosets_ontology(shared: Path):
    content = (shared / "data" / "audioset_ontology.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == ONTOLOGY_SHA256


def test_all_classes_but_none_other_stand_in_the_ontology(real: Ontology):
    assert len(real.names) == 632
    missing = [item.name for item in yamnet_classes() if item.mid not in real.names]
    assert missing == []


def test_dog_is_a_pet_and_its_branch_holds_the_bark(real: Ontology):
    classes = yamnet_classes()
    assert real.paths("/m/0bt9lr") == ["Animal > Domestic animals, pets > Dog"]
    names = [classes[index].name for index in real.branch("dog", classes)]
    assert names[:3] == ["Dog", "Bark", "Yip"]
    assert "Cat" not in names


def test_a_node_that_yamnet_does_not_score_has_a_branch(real: Ontology):
    classes = yamnet_classes()
    assert "Speech" in [classes[index].name for index in real.branch("Human sounds", classes)]
    with pytest.raises(ClassLookupError, match="no class is called"):
        real.branch("no such thing", classes)


def test_branches_and_names_can_be_mixed(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DREAMBEAM_ONTOLOGY", str(shared / "data" / "audioset_ontology.json"))
    ontology.audioset_ontology.cache_clear()
    try:
        found = find_classes(["Bark", "Dog/*", "Cat"], yamnet_classes())
    finally:
        ontology.audioset_ontology.cache_clear()
    assert found[:2] == [70, 69]
    assert len(set(found)) == len(found)
    assert yamnet_classes()[found[-1]].name == "Cat"


@pytest.mark.parametrize("content", ["", "[]", "{}", '[{"id": 1}]', '[{"id": "a", "name": "A", "child_ids": ["b"]}]'])
def test_what_is_no_ontology_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "ontology.json"
    path.write_text(content)
    with pytest.raises(OntologyError, match="is not AudioSet's ontology"):
        Ontology.from_json(path)


def test_without_a_network_the_error_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.delenv("DREAMBEAM_ONTOLOGY", raising=False)
    monkeypatch.setenv("DREAMBEAM_CACHE", str(tmp_path))
    monkeypatch.setattr(ontology.urllib.request, "urlopen", offline)
    ontology.audioset_ontology.cache_clear()
    with pytest.raises(OntologyError, match=r"put it at .*ontology\.json, or name it in DREAMBEAM_ONTOLOGY"):
        ontology.audioset_ontology()
    (tmp_path / "ontology.json").write_text(json.dumps([{"id": "/m/a", "name": "A", "child_ids": []}]))
    assert ontology.audioset_ontology().names == {"/m/a": "A"}
    ontology.audioset_ontology.cache_clear()
