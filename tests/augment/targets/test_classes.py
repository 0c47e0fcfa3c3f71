"""Claims about augment.targets.classes; what is expected is read off AudioSet's names, not computed."""

import csv
import hashlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paths import REPOSITORY

from augment.targets.classes import (
    YAMNET_CLASS_MAP,
    AmbiguousClassError,
    AudioClass,
    ClassList,
    ClassLookupError,
    UnknownClassError,
    yamnet_classes,
)

YAMNET = yamnet_classes()
# An independent reading of the file: [[index, mid, name], ...]
ROWS = list(csv.reader(YAMNET_CLASS_MAP.read_text(encoding="utf-8").splitlines()))[1:]


def class_list(*names: str) -> ClassList:
    return ClassList(tuple(AudioClass(index, f"/m/{index}", name) for index, name in enumerate(names)))


def outcome(query: "str | int") -> "AudioClass | ClassLookupError":
    try:
        return YAMNET.find(query)
    except ClassLookupError as error:
        return error


# The list ---------------------------------------------------------------------------------------------------


def test_the_class_map_is_the_file_that_its_readme_describes():
    digest = hashlib.sha256(YAMNET_CLASS_MAP.read_bytes()).hexdigest()
    assert digest in (YAMNET_CLASS_MAP.parent / "README.md").read_text(encoding="utf-8")


def test_yamnet_has_521_classes_in_the_order_of_its_scores():
    assert len(YAMNET) == len(ROWS) == 521
    assert [[str(item.index), item.mid, item.name] for item in YAMNET] == ROWS
    assert YAMNET.names == tuple(row[2] for row in ROWS)
    assert YAMNET[69] == AudioClass(index=69, mid="/m/0bt9lr", name="Dog")


def test_yamnet_classes_are_read_once():
    assert yamnet_classes() is YAMNET


@pytest.mark.parametrize("index", [-1, 521])
def test_an_index_outside_the_list_is_an_index_error(index):
    with pytest.raises(IndexError, match=r"0\.\.520"):
        YAMNET[index]


def test_a_class_list_refuses_an_index_that_is_not_the_position():
    with pytest.raises(ValueError, match=r"7 'Dog'.*expected index 0"):
        ClassList((AudioClass(7, "", "Dog"),))


def test_a_class_list_survives_pickling_after_use():
    assert len(YAMNET.names) == 521
    assert pickle.loads(pickle.dumps(YAMNET)) == YAMNET


def test_from_csv_reads_a_byte_order_mark_extra_columns_and_a_missing_mid(tmp_path: Path):
    path = tmp_path / "map.csv"
    path.write_text('index,mid,display_name,note\n0,,"Dog, big",x\n1,/m/1,Cat,y\n', encoding="utf-8-sig")
    assert tuple(ClassList.from_csv(path)) == (AudioClass(0, "", "Dog, big"), AudioClass(1, "/m/1", "Cat"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header is nothing; expected index,mid,display_name"),
        ("index,name\n0,Dog\n", "the header is index,name; expected"),
        ("index,mid,display_name\n", "no rows"),
        ("index,mid,display_name\n0,/m/0,Dog\n2,/m/2,Cat\n", "line 3: got index '2'.*expected index 1"),
        ("index,mid,display_name\none,/m/0,Dog\n", "line 2: got index 'one'"),
        ("index,mid,display_name\n0,/m/0\n", "line 2: .*a name"),
    ],
)
def test_from_csv_says_what_is_wrong_with_a_file_and_where(tmp_path: Path, text: str, message: str):
    path = tmp_path / "map.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        ClassList.from_csv(path)


# find -------------------------------------------------------------------------------------------------------


def test_every_class_is_found_by_its_name_mid_and_index():
    assert len(set(YAMNET.names)) == 521  # no name is given twice, so none is ambiguous
    for item in YAMNET:
        for query in (item.name, item.name.upper(), f" {item.name.lower()}\n"):
            assert YAMNET.find(query) is item
        for query in (item.mid, item.index, str(item.index)):
            assert YAMNET.find(query) is item


def test_every_class_is_found_without_its_punctuation():
    for item in YAMNET:
        bare = "".join(letter for letter in item.name if letter.isalnum() or letter == " ")
        assert YAMNET.find(bare) is item


@pytest.mark.parametrize("query", ["dog", "Dog", "DOG", "  dog\t", "dogs", "dog!", "/m/0bt9lr", 69, "69", " 69 "])
def test_dog_is_found_as_users_type_it(query: "str | int"):
    assert YAMNET.find(query).name == "Dog"


def test_a_numpy_integer_is_an_index():
    assert YAMNET.find(np.int64(69)).name == "Dog"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        # a name that is whole beats all that merely contains it
        ("cat", "Cat"),
        ("cats", "Cat"),
        ("siren", "Siren"),
        ("rattle", "Rattle"),
        ("whimper", "Whimper"),
        ("mouse", "Mouse"),
        # punctuation, spacing, "and"
        ("rock & roll", "Rock and roll"),
        ("Rock And Roll", "Rock and roll"),
        ("drum & bass", "Drum and bass"),
        ("hi hat", "Hi-hat"),
        ("HiHat", "Hi-hat"),
        ("dentist\u2019s drill", "Dental drill, dentist's drill"),
        ("dishes pots & pans", "Dishes, pots, and pans"),
        ("chirp/tweet", "Chirp, tweet"),
        # endings
        ("church bells", "Church bell"),
        ("hand", "Hands"),
        ("buses", "Bus"),
        ("mosquitoes", "Mosquito"),
        ("rustling leaf", "Rustling leaves"),
        ("lullabies", "Lullaby"),
        # parts of comma names
        ("kid speaking", "Child speech, kid speaking"),
        ("Cattle", "Cattle, bovinae"),
        ("rooster", "Chicken, rooster"),
        ("roosters", "Chicken, rooster"),
        ("pots and pans", "Dishes, pots, and pans"),
        ("wolf", "Canidae, dogs, wolves"),
        ("airplane", "Fixed-wing aircraft, airplane"),
        ("police car", "Police car (siren)"),
        ("fire truck", "Fire engine, fire truck (siren)"),
    ],
)
def test_find_resolves_words_as_users_type_them(query: str, name: str):
    assert YAMNET.find(query).name == name


@pytest.mark.parametrize("query", ["glas", "bu", "chor", "ca", "dogss"])
def test_endings_are_not_cut_where_they_are_no_plural(query: str):
    with pytest.raises(UnknownClassError):
        YAMNET.find(query)


def test_an_exact_name_beats_every_other_reading():
    classes = class_list("Dogs", "Dog", "1", "Dog, big", "/m/1")
    assert classes.find("dog").index == 1
    assert classes.find("dogs").index == 0
    assert classes.find("1").index == 2  # a name, though it is also an index
    assert classes.find(1).index == 1
    assert classes.find("/m/1").index == 4  # a name, though it is also a MID


def test_names_that_differ_in_case_alone_are_told_apart_by_case():
    classes = class_list("Cat", "CAT")
    assert classes.find("CAT").index == 1
    with pytest.raises(AmbiguousClassError):
        classes.find("cat")


def test_a_name_given_twice_is_ambiguous_but_its_mid_and_index_are_not():
    classes = class_list("Rattle", "Dog", "Rattle")
    with pytest.raises(AmbiguousClassError, match="any of 2: 0 'Rattle', 2 'Rattle'") as error:
        classes.find("rattle")
    assert error.value.candidates == (classes[0], classes[2])
    assert classes.find("/m/2") is classes.find(2) is classes[2]


@pytest.mark.parametrize(
    ("query", "indices"),
    [("inside", [500, 501, 502]), ("outside", [503, 504]), ("jingle", [264, 489]), ("jingles", [264, 489])],
)
def test_a_part_of_several_names_is_ambiguous_and_all_are_listed(query: str, indices: list):
    with pytest.raises(AmbiguousClassError) as error:
        YAMNET.find(query)
    assert [item.index for item in error.value.candidates] == indices
    assert all(f"{index} {YAMNET[index].name!r}" in str(error.value) for index in indices)


def test_a_plural_of_two_names_is_ambiguous():
    with pytest.raises(AmbiguousClassError):
        class_list("Axe", "Axis", "Ax").find("axes")


@pytest.mark.parametrize(
    ("query", "suggested"),
    [
        ("Dgo", ["Dog"]),
        ("Sirne", ["Siren"]),
        ("dog barking", ["Dog", "Bark"]),
        ("crying baby", ["Crying, sobbing", "Baby cry, infant cry"]),
        ("sneezing", ["Sneeze"]),
        ("A cappella", ["A capella"]),
        ("lions", ["Roaring cats (lions, tigers)"]),
        ("food", ["Chopping (food)", "Frying (food)"]),
        ("vacuum", ["Vacuum cleaner"]),
        ("gun", ["Machine gun", "Gunshot, gunfire"]),
        ("/m/0bt9lx", ["Dog"]),
    ],
)
def test_an_unknown_name_gets_the_nearest_names(query: str, suggested: list):
    with pytest.raises(UnknownClassError) as error:
        YAMNET.find(query)
    message = str(error.value)
    assert repr(query) in message
    assert "did you mean" in message
    assert 1 <= len(error.value.candidates) <= 5
    for name in suggested:
        assert f"{YAMNET.names.index(name)} {name!r}" in message


def test_the_nearest_name_to_dgo_is_dog():
    with pytest.raises(UnknownClassError, match="did you mean 69 'Dog'"):
        YAMNET.find("Dgo")


@pytest.mark.parametrize("query", ["", "  ", "!?", "&", "and", "xqzvw", "\U0001f436"])
def test_words_that_are_near_nothing_get_what_is_expected_instead(query: str):
    with pytest.raises(UnknownClassError, match=r"expected a name, a MID or an index 0\.\.520$"):
        YAMNET.find(query)


@pytest.mark.parametrize(
    "query",
    [521, -1, 10**30, 10**5000, "521", "-1", "9" * 5000],
    ids=lambda query: "long" if query not in (521, -1, "521", "-1") else None,
)
def test_an_index_out_of_range_states_the_range(query: "str | int"):
    with pytest.raises(UnknownClassError, match=r"out of range; expected 0\.\.520") as error:
        YAMNET.find(query)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("query", [True, None, 69.0, ["dog"]])
def test_what_is_neither_text_nor_integer_is_unknown_and_says_its_type(query: object):
    with pytest.raises(UnknownClassError, match=f"is of type {type(query).__name__}; expected a name"):
        YAMNET.find(query)  # type: ignore[arg-type]


@pytest.mark.parametrize("query", ["Dgo", "inside"])
def test_lookup_errors_are_value_errors_and_survive_pickling(query: str):
    with pytest.raises(ClassLookupError) as error:
        YAMNET.find(query)
    assert isinstance(error.value, ValueError)
    copy = pickle.loads(pickle.dumps(error.value))
    assert type(copy) is type(error.value)
    assert str(copy) == str(error.value)
    assert copy.candidates == error.value.candidates


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("dogcats, &()-'\n\r\u2028s/m0129"), st.integers()))
@example("dog\ncat")
@example("a," * 500)
@example("dog " * 500)
@example("\ud800")
def test_anything_finds_a_class_or_gets_a_one_line_error(query: "str | int"):
    result = outcome(query)
    if isinstance(result, ClassLookupError):
        assert len(str(result).splitlines()) == 1
        assert set(result.candidates) <= set(YAMNET)
    else:
        assert result in YAMNET


@settings(deadline=None)
@given(st.sampled_from(YAMNET.classes), st.data())
def test_case_and_surrounding_space_never_matter(item: AudioClass, data: st.DataObject):
    cases = data.draw(st.lists(st.booleans(), min_size=len(item.name), max_size=len(item.name)))
    name = "".join(c.upper() if up else c.lower() for c, up in zip(item.name, cases, strict=True))
    space = data.draw(st.text(" \t\n", max_size=3))
    assert YAMNET.find(space + name + space) is item


# search -----------------------------------------------------------------------------------------------------


def test_search_ranks_exact_then_word_then_substring_then_spelling():
    classes = class_list("Sirne", "Sirenian", "Police car (siren)", "Dog", "Siren", "Air raid sirens", "Civil siren")
    assert [item.name for item in classes.search("siren")] == [
        "Siren",  # exact
        "Civil siren",  # the word, shortest name first
        "Police car (siren)",
        "Air raid sirens",
        "Sirenian",  # inside a word
        "Sirne",  # spelling
    ]


def test_search_for_siren_finds_all_five_sirens_of_yamnet():
    found = [item.index for item in YAMNET.search("siren")]
    assert found[0] == 390
    assert sorted(found[:5]) == [317, 318, 319, 390, 391]


def test_search_returns_at_most_limit_and_the_same_order():
    assert len(YAMNET.search("music")) == 10
    assert YAMNET.search("music", limit=3) == YAMNET.search("music", limit=100)[:3]
    assert YAMNET.search("music")[0].name == "Music"


def test_search_finds_nothing_for_no_words():
    assert YAMNET.search("") == YAMNET.search("?!") == []


def test_search_refuses_a_limit_below_one():
    with pytest.raises(ValueError, match="limit is 0; expected at least 1"):
        YAMNET.search("dog", limit=0)


@settings(deadline=None)
@given(st.text(), st.integers(1, 20))
def test_search_never_repeats_a_class_and_starts_with_what_find_finds(words: str, limit: int):
    found = YAMNET.search(words, limit=limit)
    assert len(set(found)) == len(found) <= limit
    item = outcome(words)
    if isinstance(item, AudioClass) and not re.fullmatch("[+-]?[0-9]+", words.strip()):  # search takes no index
        assert found[0] == item


def test_importing_classes_imports_neither_tensorflow_nor_numpy():
    script = "import sys, augment.targets.classes; print(*{'tensorflow', 'numpy'} & set(sys.modules))"
    root = REPOSITORY
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
