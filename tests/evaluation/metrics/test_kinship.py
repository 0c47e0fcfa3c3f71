"""Kinship of classes, in AudioSet's own ontology."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.targets.classes import yamnet_classes
from augment.targets.ontology import Ontology
from evaluation.metrics.kinship import category, outcome


@pytest.fixture(scope="module")
def ontology(shared: Path) -> Ontology:
    return Ontology.from_json(shared / "data" / "audioset_ontology.json")


def mid(ontology: Ontology, name: str) -> str:
    return ontology.nodes.find(name).mid


@pytest.mark.parametrize(
    ("predicted", "targets", "expected"),
    [
        ("Dog", ["Dog"], "hit"),
        ("Bark", ["Dog"], "child"),
        ("Dog", ["Bark"], "parent"),
        ("Animal", ["Bark"], "parent"),
        ("Cat", ["Dog"], "sibling"),
        ("Howl", ["Bark"], "sibling"),
        ("Siren", ["Dog"], "miss"),
        ("Dog", ["Siren", "Bark"], "parent"),
        ("Bark", ["Siren", "Bark"], "hit"),
    ],
)
def test_outcomes_of_known_relatives(ontology: Ontology, predicted: str, targets: list[str], expected: str) -> None:
    assert outcome(mid(ontology, predicted), [mid(ontology, each) for each in targets], ontology) == expected


def test_a_class_that_is_not_in_the_ontology_has_no_kin(ontology: Ontology) -> None:
    assert outcome("", [mid(ontology, "Dog")], ontology) is None
    assert outcome(mid(ontology, "Dog"), ["/m/nowhere"], ontology) is None
    assert category("", ontology) is None


def test_all_of_yamnets_classes_are_under_the_seven_roots(ontology: Ontology) -> None:
    roots = {category(item.mid, ontology) for item in yamnet_classes()}
    assert roots == {
        *("Human sounds", "Animal", "Music", "Natural sounds", "Sounds of things", "Source-ambiguous sounds"),
        "Channel, environment and background",
    }


def test_a_class_above_a_level_stands_for_itself(ontology: Ontology) -> None:
    assert category(mid(ontology, "Bark"), ontology, 0) == "Animal"
    assert category(mid(ontology, "Bark"), ontology, 1) == "Domestic animals, pets"
    assert category(mid(ontology, "Animal"), ontology, 1) == "Animal"
