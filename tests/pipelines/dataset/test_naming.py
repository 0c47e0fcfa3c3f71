"""File names for records: nothing that a file system, a shell or a browser could take for anything but a name."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.dataset.naming import label_folder, record_file

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(TEXTS)
@example("../../etc/passwd")
@example("a/..")
@example("")
@example("x" * 5000)
@example("<script>alert(1)</script>\n.wav")
@example("犬" * 100)
def test_a_name_has_only_letters_digits_dashes_and_one_suffix(text: str) -> None:
    for name in (record_file(text, ".wav").removesuffix(".wav"), label_folder(text)):
        assert all(sign.isalnum() or sign in "-_" for sign in name)
        assert 0 < len(name.encode()) <= 100
        assert name.isprintable()


@given(st.lists(TEXTS, unique=True, max_size=20))
@example(["dog/a.wav", "Dog/A.wav", "dog:a.wav", "dog a.wav", "dog_a_wav"])
def test_names_differ_even_where_case_does_not(texts: list[str]) -> None:
    assert len({record_file(text, ".wav").casefold() for text in texts}) == len(texts)
    folders = {label_folder(text) for text in texts}
    assert len(folders) == len(texts)


@pytest.mark.parametrize("name", ["CON", "nul", "Aux", "com1", "LPT9", "clock"])
def test_names_of_devices_are_no_folders(name: str) -> None:
    assert label_folder(name).casefold() != name.casefold()
    assert record_file(name, ".wav").partition(".")[0].casefold() != name.casefold()


@pytest.mark.parametrize("label", ["dog", "dog_bark", "Hund-Bellen", "犬", "Müll", "3"])
def test_a_plain_label_is_its_folder(label: str) -> None:
    assert label_folder(label) == label


def test_a_name_shows_what_it_is_of() -> None:
    name = record_file("dog/a b.wav#t=0,1.5:deep_dream:0", ".flac")
    assert name.startswith("a_b_wav_t_0_1_5_deep_dream_0-")
    assert name.endswith(".flac")
