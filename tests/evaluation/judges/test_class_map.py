"""Whose classes are whose: by MID, by name, by the user's table, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from augment.models.model_files import named_classes
from augment.targets.classes import yamnet_classes
from augment.targets.policies import Aim
from evaluation.judges.class_map import map_classes, read_mapping
from evaluation.judges.judge import JudgeError

OWN = named_classes(["Dog", "clock_tick", "noise", "3"])
YAMNET = yamnet_classes()


def test_yamnet_knows_its_own_classes_and_labels_by_name() -> None:
    found = map_classes(YAMNET, ["rain", "dog_bark", "sea_waves", "chainsaw"], {}, {"dog_bark": "Bark"})
    assert found.targets == {index: index for index in range(521)}
    assert {label: YAMNET[index].name for label, index in found.labels.items()} == {
        "rain": "Rain",
        "dog_bark": "Bark",
        "chainsaw": "Chainsaw",
    }


def test_another_judge_knows_what_has_its_name_or_is_mapped() -> None:
    given = {"Rain": "noise", "/m/07yv9": "noise", "dog_bark": "Dog"}
    found = map_classes(OWN, ["clock_tick", "dog_bark", "rain"], given, {})
    targets = {YAMNET[index].name: OWN[own].name for index, own in found.targets.items()}
    assert targets == {"Dog": "Dog", "Rain": "noise", "Vehicle": "noise"}
    assert found.labels == {"clock_tick": 1, "dog_bark": 0}


def test_the_class_that_a_run_knew_of_a_label_counts_for_another_judge_too() -> None:
    assert map_classes(OWN, ["woof"], {}, {"woof": "Dog"}).labels == {"woof": 0}


def test_a_number_is_no_index_of_the_judges() -> None:
    assert map_classes(OWN, ["3", "1"], {}, {}).labels == {"3": 3}
    assert map_classes(YAMNET, ["3", "1"], {}, {}).labels == {}


def test_a_target_is_known_whole_or_not_at_all() -> None:
    found = map_classes(OWN, [], {"Cat": "Dog"}, {})
    dog, cat, rain = (YAMNET.find(name).index for name in ("Dog", "Cat", "Rain"))
    assert found.aim([dog], away=False) == Aim((0,))
    assert found.aim([dog, cat], away=True) == Aim((0,), away=True)
    assert found.aim([dog, rain], away=False) is None
    assert found.known_labels(["x"]) == ()


def test_the_users_table_is_read_and_faults_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("name,class\ndog_bark, Dog \n,\n")
    assert read_mapping(str(path)) == {"dog_bark": "Dog"}
    assert read_mapping(None) == {}
    with pytest.raises(JudgeError, match=r"'dog_bark'.*'Dgo'.*did you mean"):
        map_classes(OWN, [], {"dog_bark": "Dgo"}, {})
    path.write_text("from,to\na,b\n")
    with pytest.raises(JudgeError, match="the header is from,to; expected name,class"):
        read_mapping(str(path))
    with pytest.raises(JudgeError, match="cannot be read"):
        read_mapping(str(tmp_path / "nowhere.csv"))
