"""Texts of others in HTML: whatever they are, they stay texts."""

from __future__ import annotations

import html
import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from bench.base.printable import printable
from bench.render.page.markup import data, escaped, joined, tag


class Reader(HTMLParser):
    """What a browser sees: elements, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_a_text_is_one_text(text: str) -> None:
    seen = Reader(tag("p", text))
    assert (seen.elements, seen.text) == ([("p", {})], printable(text))


@given(st.text())
def test_a_value_of_an_attribute_stays_in_it(text: str) -> None:
    seen = Reader(tag("p", title=text))
    assert seen.elements == [("p", {"title": printable(text)})]


@given(st.text())
def test_data_end_no_script_and_are_read_again(text: str) -> None:
    made = data({"text": text}, "data")
    start, end = made.index(">") + 1, made.rindex("</script>")
    inside = made[start:end]
    assert not {"<", ">", "&", "\u2028", "\u2029"} & {*inside}
    assert json.loads(inside) == {"text": text}


def test_markup_is_escaped_once() -> None:
    assert joined([tag("b", "<"), "<"]) == "<b>&lt;</b>&lt;"
    assert escaped(escaped("&")) == html.escape("&")


def test_flags_have_no_value_and_those_that_are_off_are_not_there() -> None:
    assert (
        tag("input", hidden=True, disabled=False, class_="a") == '<input hidden class="a"></input>'
    )
