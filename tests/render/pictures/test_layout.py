"""Panels side by side: they fill the width, no more, and none is lost."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from bench.render.pictures import layout, theme
from bench.render.pictures.convert import standing_alone
from bench.render.pictures.layout import GAP, LEAST, Panel, Place
from bench.render.pictures.picture import Picture

WIDTHS = pytest.mark.parametrize("width", [350, 700, 1040, 1600])
BORDERS = 30
"""Pixels that the frames of panels take besides."""


def lines_of(*numbers: int) -> list[list[Panel]]:
    return [
        [Panel(f"{n}.{m}", [{"at": m}], {}) for m in range(many)] for n, many in enumerate(numbers)
    ]


def drawn(numbers: tuple[int, ...], width: int, room: int) -> tuple[Any, list[Place]]:
    places: list[Place] = []

    def draw(_panel: Panel, place: Place) -> dict[str, Any]:
        places.append(place)
        return {}

    return layout.grid(lines_of(*numbers), width, room, draw), places


@WIDTHS
@pytest.mark.parametrize("room", [20, 100])
@pytest.mark.parametrize("numbers", [(1,), (2, 2), (3,), (7, 5)])
def test_panels_fill_the_width_and_no_more(numbers: tuple[int, ...], width: int, room: int) -> None:
    spec, places = drawn(numbers, width, room)
    longest = max(len(line["hconcat"]) for line in spec["vconcat"])
    assert {place.width for place in places} == {places[0].width}
    used = room + longest * places[0].width + (longest - 1) * GAP
    assert width - BORDERS <= used <= width
    if longest > 1:
        assert places[0].width >= LEAST - BORDERS
    if longest < max(numbers):  # there was no room for another
        assert room + (longest + 1) * (LEAST + GAP) > width


@WIDTHS
@pytest.mark.parametrize("numbers", [(1,), (2, 2), (7, 5)])
def test_every_panel_is_drawn_once_of_its_own_data(numbers: tuple[int, ...], width: int) -> None:
    spec, places = drawn(numbers, width, 20)
    data = layout.data(lines_of(*numbers))
    shown = [panel for line in spec["vconcat"] for panel in line["hconcat"]]
    titles = {panel["data"]["name"]: panel["title"]["text"] for panel in shown}
    assert titles.keys() == data.keys()
    assert len(shown) == sum(numbers)
    assert [*titles.values()] == [p.title for line in lines_of(*numbers) for p in line]
    firsts = [line["hconcat"][0]["title"]["text"] for line in spec["vconcat"]]
    assert [
        p["title"]["text"] for p, at in zip(shown, places, strict=True) if at.is_first
    ] == firsts
    assert places[-1].is_last
    assert not any(place.is_last for place in places[: -len(spec["vconcat"][-1]["hconcat"])])


def test_labels_have_room_for_all_their_letters() -> None:
    assert 0 < layout.room_for([]) < 40
    for short, long in itertools.pairwise(["a", "a" * 10, "a" * 40]):
        grown = layout.room_for(["b", long]) - layout.room_for([short, "b"])
        assert 5 <= grown / (len(long) - len(short)) <= 8
    assert layout.room_for(["a" * 40]) >= 5 * 40


@WIDTHS
@pytest.mark.parametrize("letters", [3, 12, 60])
def test_a_legend_has_as_many_columns_as_fit(letters: int, width: int) -> None:
    names = [f"{n}".ljust(letters, "x") for n in range(4)]
    legend = theme.series(names, names, width)["color"]["legend"]
    columns = legend["columns"]
    assert 1 <= columns <= 4
    assert columns == 1 or columns * (5 * letters + 20) <= width
    assert columns == 4 or (columns + 1) * (8 * letters + 50) > width


@WIDTHS
def test_a_caption_is_broken_where_the_picture_ends(width: int) -> None:
    words = "each of these words is drawn once " * 20
    picture = Picture(title="t", variant="", caption=words, data={}, draw=lambda _width: {})
    title = standing_alone(picture, width, theme.LIGHT, "below")["title"]
    below, *lines = title["subtitle"]
    assert below == "below"
    assert " ".join(lines).split() == words.split()
    longest = max(map(len, lines))
    assert 0.6 * width <= longest * 5.5 <= 1.1 * width
    assert json.dumps(title)
