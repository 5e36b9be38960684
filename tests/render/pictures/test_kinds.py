"""Each kind of picture: what it draws of known runs, and why it draws nothing of others."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.render.pictures import KINDS, kind, theme
from bench.render.pictures.convert import standing_alone
from bench.render.pictures.picture import Choice, NotDrawn, Picture, Subject
from tests.builders import a_cell, a_run
from tests.drawn_runs import INTERFACES, cells_of, run_of, subject_of, usual_cells

WIDTHS = pytest.mark.parametrize("width", [350, 1040])


def pictures(name: str, subject: Subject, **choice: str) -> list[Picture]:
    return kind(name).pictures(subject, Choice(**choice))


def rows(picture: Picture) -> list[Any]:
    return [row for each in picture.data.values() for row in each]


def svg(picture: Picture, width: int = 900) -> str:
    spec = standing_alone(picture, width, theme.LIGHT, "below")
    return str(vl_convert.vegalite_to_svg(json.dumps(spec)))


@pytest.fixture(scope="module")
def usual() -> Subject:
    return subject_of(run_of(usual_cells()))


@pytest.fixture(scope="module")
def threaded() -> Subject:
    cells = cells_of(threads=[1, 2, 4], method=["sendto", "tx_ring"])
    return subject_of(run_of(cells, baseline={"threads": 1}))


# All


@WIDTHS
@pytest.mark.parametrize("name", ["ratio", "axis", "heat", "time"])
def test_pictures_are_as_wide_as_asked(name: str, width: int, usual: Subject) -> None:
    for picture in pictures(name, usual):
        drawn = svg(picture, width)
        found = int(drawn.split('width="')[1].split('"')[0])
        assert found <= width + 30


@pytest.mark.parametrize("name", KINDS)
def test_without_figures_each_kind_says_why(name: str) -> None:
    run = a_run(cells=usual_cells(), failures={"c0": "it failed"})
    with pytest.raises(NotDrawn):
        pictures(name, subject_of(run))


@pytest.mark.parametrize("name", KINDS)
def test_one_cell_is_drawn_or_refused(name: str) -> None:
    subject = subject_of(run_of(cells_of()))
    drawn = []
    with suppress(NotDrawn):
        drawn = pictures(name, subject)
    assert all(svg(picture) for picture in drawn)


HOSTILE = [
    "</script><script>alert(1)</script>",
    "datum.value",
    "\u2028",
    "\ud800",
    "x" * 500,
    "😀" * 90,
]


def test_hostile_texts_are_drawn() -> None:
    subject = subject_of(run_of(cells_of(method=HOSTILE, frame_size=[64, 128])))
    for name in ("axis", "heat"):
        drawn = svg(pictures(name, subject)[0])
        assert "<script" not in drawn


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=2, max_size=3, unique=True))
def test_texts_of_a_run_are_data_only(texts: list[str]) -> None:
    """Of whatever texts: a picture differs from that of harmless ones in its texts alone."""
    harmless = [f"m{n}" for n in range(len(texts))]

    def shapes(names: list[str]) -> list[object]:
        subject = subject_of(run_of(cells_of(method=[*names], frame_size=[64, 128]), rounds=4))
        found = [p for name in ("axis", "heat", "time") for p in pictures(name, subject)]
        return [skeleton(picture.spec(900)) for picture in found]

    assert shapes(texts) == shapes(harmless)


def skeleton(spec: Any) -> object:
    """The keys of a specification, and what is run or looked up by name."""
    if isinstance(spec, dict):
        named = {key: spec[key] for key in ("field", "filter", "test", "type") if key in spec}
        named = {key: value for key, value in named.items() if isinstance(value, str)}
        return sorted(named.items()), {key: skeleton(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [skeleton(each) for each in spec if isinstance(each, dict | list)]
    return None


# Ratios


def test_ratios_are_those_of_the_table(usual: Subject) -> None:
    (by_pps, by_time) = pictures("ratio", usual)
    expected = [r.figures.ratio.value for r in usual.rows if r.figures.ratio]
    assert sorted(row["value"] for row in rows(by_pps)) == sorted(expected)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows(by_pps))
    assert all(row["value"] < 1 for row in rows(by_time))


def test_there_is_a_panel_for_each_place_and_workload(usual: Subject) -> None:
    (picture, _) = pictures("ratio", usual)
    titles = [
        panel["title"]["text"]
        for line in picture.draw(1040)["vconcat"]
        for panel in line["hconcat"]
    ]
    assert titles == [f"{i}, {size} B" for size in (64, 512, 1514) for i in ("lo", "veth")]


def test_without_baseline_there_are_no_ratios() -> None:
    subject = subject_of(run_of(usual_cells(), baseline={"method": "none"}))
    with pytest.raises(NotDrawn, match="baseline"):
        pictures("ratio", subject)


def test_few_rounds_have_a_hollow_mark() -> None:
    subject = subject_of(run_of(usual_cells(), rounds=4))
    (picture, _) = pictures("ratio", subject)
    assert not any(row["sure"] for row in rows(picture))


# Against an axis


def test_lines_join_cells_that_differ_in_the_axis_alone(usual: Subject) -> None:
    (picture,) = pictures("axis", usual)
    chains = {(row["chain"], row["series"]) for row in picture.data["panel0_0"]}
    assert len(chains) == 3
    assert {row["x"] for row in rows(picture)} == {64, 512, 1514}


def test_a_method_without_the_axis_is_a_level() -> None:
    cells = [
        *cells_of(method=["sendto"], burst=[None]),
        *(
            a_cell(f"b{n}", **c.values)
            for n, c in enumerate(cells_of(method=["sendmmsg"], burst=[1, 64]))
        ),
    ]
    (picture,) = pictures("axis", subject_of(run_of(cells)))
    assert {row["series"]: row["flat"] for row in rows(picture)} == {
        "sendto": True,
        "sendmmsg": False,
    }


def test_an_axis_is_chosen(usual: Subject) -> None:
    with pytest.raises(NotDrawn, match=r"burst has not several values.*frame_size"):
        pictures("axis", usual, x="burst")
    assert [p.variant for p in pictures("axis", usual, x="frame_size")] == ["frame_size"]


def test_one_figure_is_chosen(usual: Subject) -> None:
    (picture,) = pictures("axis", usual, figure="gbps")
    assert picture.title.startswith("Gb/s") or picture.title.startswith("Mb/s")


# Threads


def test_speed_ups_are_against_one_thread(threaded: Subject) -> None:
    (picture,) = pictures("threads", threaded)
    found = {row["threads"]: row["value"] for row in rows(picture) if row["series"] == "tx_ring"}
    assert found == pytest.approx({1: 1, 2: 2**0.8, 4: 4**0.8}, rel=0.02)


def test_a_shared_socket_is_measured_against_one_thread_too() -> None:
    single = cells_of(threads=[1], socket=["own"])
    several = [
        a_cell(f"s{n}", **cell.values)
        for n, cell in enumerate(cells_of(threads=[2], socket=["own", "shared"]))
    ]
    (picture,) = pictures("threads", subject_of(run_of([*single, *several])))
    assert {row["series"] for row in rows(picture)} == {
        "socket own",
        "socket shared",
    }


def test_one_number_of_threads_does_not_scale(usual: Subject) -> None:
    with pytest.raises(NotDrawn, match="same number of threads"):
        pictures("threads", usual)


# Heat


def test_a_field_has_the_best_of_its_cells(usual: Subject) -> None:
    (picture,) = pictures("heat", usual, x="interface", y="method")
    best = {
        (row.cell.values["interface"]["kind"], row.cell.method): row.figures.pps.value / 1e6  # type: ignore[index, union-attr, call-overload]
        for row in usual.rows
        if row.cell.frame_size == 64
    }
    assert {(row["x"], row["y"]): row["value"] for row in rows(picture)} == pytest.approx(best)


def test_of_costs_the_lowest_is_best(usual: Subject) -> None:
    (picture,) = pictures("heat", usual, x="interface", y="method", figure="ns_per_frame")
    lowest = min(row.figures.ns_per_frame.value for row in usual.rows if row.figures.ns_per_frame)
    assert min(row["value"] for row in rows(picture)) == pytest.approx(lowest)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"x": "nothing"}, "nothing has not several values"),
        ({"x": "method", "y": "method"}, "two axes"),
    ],
)
def test_axes_of_a_heat_map_differ_and_vary(
    choice: dict[str, str], why: str, usual: Subject
) -> None:
    with pytest.raises(NotDrawn, match=why):
        pictures("heat", usual, **choice)


# Time


def test_the_run_in_time_has_each_round_and_each_opening() -> None:
    (picture,) = pictures("time", subject_of(run_of(usual_cells(), rounds=30, openings=3)))
    assert [row["round"] for row in picture.data["openings"]] == [9.5, 19.5]
    assert {row["round"] for row in picture.data["speeds"]} == set(range(30))
    disturbed = sum(row["count"] for row in picture.data["odd"])
    assert disturbed > 0
    assert f"{disturbed} disturbed" in picture.caption


# Numbers


def test_no_data_is_infinite_or_nothing(usual: Subject, threaded: Subject) -> None:
    """JSON has no such numbers."""
    for name, subject in (("ratio", usual), ("axis", usual), ("threads", threaded)):
        for picture in pictures(name, subject):
            numbers = [v for row in rows(picture) for v in row.values() if isinstance(v, float)]
            assert all(map(math.isfinite, numbers))


def test_interfaces_with_options_are_told_apart() -> None:
    queued = {"kind": "veth", "queues": 1}, {"kind": "veth", "queues": 2}
    cells = cells_of(interface=[*queued, INTERFACES["lo"]], method=["sendto", "tx_ring"])
    (picture, _) = pictures("ratio", subject_of(run_of(cells)))
    (line,) = picture.draw(1040)["vconcat"]
    titles = [panel["title"]["text"] for panel in line["hconcat"]]
    assert titles == ["veth queues=1", "veth queues=2", "lo"]
