"""Markup: whatever text holds, it stays text, and shows what it holds."""

from __future__ import annotations

import html

import pytest
from html_reader import HOSTILE, Reader
from hypothesis import given
from hypothesis import strategies as st

from evaluation.pages.markup import Markup, element, escape, join, name, shown


@given(st.text())
def test_any_text_comes_back_as_the_text_of_the_one_element(text: str) -> None:
    found = Reader(element("p", text, title=text))
    assert found.elements == [("p", {"title": shown(text)})]
    assert found.text == shown(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_element_and_no_attribute(text: str) -> None:
    found = Reader(join(name(text), element("a", text, href=text, class_="x")))
    assert [tag for tag, _ in found.elements] == ["bdi", "a"]
    assert set(found.elements[1][1]) == {"href", "class"}


def test_what_hides_or_turns_text_is_spelled_out() -> None:
    assert shown("a\nb\tc\r\0") == "a\\nb\\tc\\r\\u0000"
    assert shown("\u202egpj.exe\u2066") == "\\u202egpj.exe\\u2066"
    assert shown("\ud800") == "\\ud800"
    assert shown("naïve שלום 犬 👩\u200d🚒") == "naïve שלום 犬 👩\u200d🚒"


def test_markup_stands_as_it_is_and_is_not_escaped_twice() -> None:
    inner = element("b", "a & b")
    assert element("p", inner, None, 3) == "<p><b>a &amp; b</b>3</p>"
    assert isinstance(escape(inner), Markup)
    assert html.unescape(escape("<&>")) == "<&>"


def test_attributes_are_named_as_html_names_them() -> None:
    assert element("audio", controls=True, muted=False, loop=None, data_value=1.5, class_="x") == (
        '<audio controls data-value="1.5" class="x"></audio>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize("wrong", ["a b", "onclick=x", "A", ""])
def test_a_name_that_is_none_is_an_error(wrong: str) -> None:
    with pytest.raises(ValueError, match="names no element or attribute"):
        element(wrong)
    with pytest.raises(ValueError, match="names no element or attribute"):
        element("p", **{wrong: 1})
