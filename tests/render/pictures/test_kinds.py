"""Each kind of picture: what it draws of known runs, and why it draws nothing of others."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.model.cells import Cell
from bench.render.pictures import KINDS, kind, theme
from bench.render.pictures.convert import standing_alone
from bench.render.pictures.picture import Choice, NotDrawn, Picture, Subject
from tests.builders import a_cell, a_run, a_sample
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


def test_ratios_far_apart_have_a_logarithmic_axis_with_its_labels_on_it() -> None:
    cells = cells_of(method=["sendto", "tx_ring", "af_xdp"])
    rates = {"sendto": 1e5, "tx_ring": 2e5, "af_xdp": 3e6}
    (picture, _) = pictures(
        "ratio", subject_of(run_of(cells, rate=lambda cell: rates[cell.method]))
    )
    (line,) = picture.draw(900)["vconcat"]
    x = line["hconcat"][0]["layer"][-1]["encoding"]["x"]
    low, high = x["scale"]["domain"]
    assert x["scale"]["type"] == "log"
    assert low < 1 < 30 < high
    labels = x["axis"]["values"]
    assert labels == sorted(labels)
    assert low <= labels[0] <= 1 < 20 <= labels[-1] <= high


@pytest.mark.parametrize(("width", "letters", "beside"), [(1040, 8, True), (350, 60, False)])
def test_long_names_stand_above_their_rows_and_short_ones_beside(
    width: int, letters: int, beside: bool
) -> None:
    names = [f"m{n}".ljust(letters, "x") for n in range(3)]
    subject = subject_of(run_of(cells_of(method=names), baseline={"method": names[0]}))
    (picture, _) = pictures("ratio", subject)
    (line,) = picture.draw(width)["vconcat"]
    panel = line["hconcat"][0]
    assert panel["width"] >= width / 2
    assert panel["layer"][-1]["encoding"]["y"]["axis"]["labels"] == beside


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


@pytest.mark.parametrize(
    ("sizes", "is_logarithmic"), [([64, 1514], True), ([1000, 1100, 1200], False)]
)
def test_sizes_far_apart_have_a_logarithmic_axis_that_holds_them_all(
    sizes: list[int], is_logarithmic: bool
) -> None:
    cells = cells_of(method=["sendto", "tx_ring"], frame_size=sizes)
    (picture,) = pictures("axis", subject_of(run_of(cells)))
    x = picture.draw(900)["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]["x"]
    low, high = x["scale"]["domain"]
    assert low < sizes[0] < sizes[-1] < high
    assert (x["scale"].get("type") == "log") == is_logarithmic
    assert x["axis"]["values"] == sizes


def test_a_count_that_may_be_none_has_no_logarithm() -> None:
    cells = cells_of(method=["sendto", "tx_ring"], flows=[0, 1, 64])
    (picture,) = pictures("axis", subject_of(run_of(cells)), x="flows")
    scale = picture.draw(900)["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]["x"]["scale"]
    assert scale.get("type") != "log"
    assert scale["domain"][0] < 0
    assert scale["domain"][1] - 64 == pytest.approx(-scale["domain"][0])


def test_values_that_are_no_numbers_stand_side_by_side() -> None:
    cells = cells_of(method=["sendto", "tx_ring"], fill=["copy", "prefilled"])
    (picture,) = pictures("axis", subject_of(run_of(cells)), x="fill")
    x = picture.draw(900)["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]["x"]
    assert (x["type"], x["scale"]["domain"]) == ("ordinal", ["copy", "prefilled"])
    assert {row["x"] for row in rows(picture)} == {"copy", "prefilled"}


def test_the_horizontal_axis_bears_the_name_of_what_it_has() -> None:
    cells = cells_of(method=["sendto", "tx_ring"], frame_size=[64, 128], burst=[1, 8])
    for axis, title in (("frame_size", "frame size (bytes)"), ("burst", "burst")):
        for picture in pictures("axis", subject_of(run_of(cells)), x=axis):
            (*_, last) = picture.draw(900)["vconcat"]
            x = last["hconcat"][0]["layer"][0]["encoding"]["x"]
            assert x["axis"]["title"] == title


def test_the_best_line_alone_has_intervals() -> None:
    cells = cells_of(method=["sendto"], frame_size=[64, 512], burst=[1, 8])
    cells += [a_cell(f"d{n}", **c.values) for n, c in enumerate(cells_of(method=["tx_ring"]))]
    (picture,) = pictures("axis", subject_of(run_of(cells, rounds=40)), x="frame_size")
    for row in rows(picture):
        bounds = (row["low"], row["high"])
        assert row["best"] or bounds == (None, None)
        if row["best"] and row["low"] is not None:
            assert row["low"] <= row["y"] <= row["high"]


def test_of_each_method_the_fastest_variant_is_the_best() -> None:
    rates = {1: 1e6, 8: 2e6, 64: 1.5e6}
    cells = cells_of(method=["sendto", "tx_ring"], frame_size=[64, 512], burst=[*rates])

    def rate(cell: Cell) -> float:
        return rates[cell.values["burst"]]  # type: ignore[index]

    (picture,) = pictures("axis", subject_of(run_of(cells, rate=rate)), x="frame_size")
    chains = {(row["chain"], row["best"]) for row in rows(picture)}
    assert chains == {
        (f"{method}, burst {burst}", burst == 8)
        for method in ("sendto", "tx_ring")
        for burst in rates
    }


def test_only_the_first_panel_of_a_line_has_labels(usual: Subject) -> None:
    (picture,) = pictures("axis", usual)
    for line in picture.draw(1040)["vconcat"]:
        for number, panel in enumerate(line["hconcat"]):
            axis = panel["layer"][0]["encoding"]["y"]["axis"]
            assert axis.get("labels", True) == (number == 0)
            assert (axis["title"] is None) == (number > 0)


def test_a_figure_is_drawn_from_nothing_to_above_its_highest_value(usual: Subject) -> None:
    (picture,) = pictures("axis", usual)
    for n, line in enumerate(picture.draw(1040)["vconcat"]):
        for panel in line["hconcat"]:
            low, high = panel["layer"][0]["encoding"]["y"]["scale"]["domain"]
            highest = max(row["y"] for m in (0, 1) for row in picture.data[f"panel{n}_{m}"])
            assert low == 0
            assert highest <= high < 1.2 * highest


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


def test_the_axis_of_threads_has_all_counts(threaded: Subject) -> None:
    (picture,) = pictures("threads", threaded)
    (line,) = picture.draw(900)["vconcat"]
    found = json.dumps(line["hconcat"][0])
    low, high = json.loads(found.split('"domain": ')[1].split("]")[0] + "]")[:2]
    assert 0 < low < 1
    assert 4 < high < 5


def test_a_speed_up_is_drawn_from_nothing_to_above_the_ideal(threaded: Subject) -> None:
    (picture,) = pictures("threads", threaded)
    (line,) = picture.draw(900)["vconcat"]
    low, high = line["hconcat"][0]["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert low == 0
    assert 4 < high < 5


# Heat


def test_fields_of_the_same_value_have_a_scale() -> None:
    cells = cells_of(method=["sendto", "tx_ring"], frame_size=[64, 128])
    samples = [a_sample(cell.id, round_) for round_ in range(20) for cell in cells]
    (picture,) = pictures("heat", subject_of(a_run(samples, cells)))
    (line,) = picture.draw(900)["vconcat"]
    low, high = line["hconcat"][0]["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert low == rows(picture)[0]["value"] < high


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


@pytest.mark.parametrize("end", ["x", "y"])
def test_one_axis_of_a_heat_map_is_chosen_and_the_others_follow(end: str, usual: Subject) -> None:
    made = pictures("heat", usual, **{end: "frame_size"})
    other = {"x": "y", "y": "x"}[end]
    titles = [(p.draw(900)["vconcat"][0]["hconcat"][0]["layer"][0]["encoding"]) for p in made]
    assert [of[end]["axis"]["title"] for of in titles] == ["frame_size"] * 2
    assert {of[other]["axis"]["title"] for of in titles} == {"interface", "method"}


@pytest.mark.parametrize(("number", "is_drawn"), [(15, True), (40, False)])
def test_a_heat_map_of_hundreds_of_fields_is_drawn_and_one_of_thousands_refused(
    number: int, is_drawn: bool
) -> None:
    cells = cells_of(frame_size=[64 + n for n in range(number)], burst=[*range(1, number + 1)])
    subject = subject_of(run_of(cells, rounds=1))
    if is_drawn:
        (picture,) = pictures("heat", subject)
        assert len(rows(picture)) == number**2
    else:
        with pytest.raises(NotDrawn, match="too many to read"):
            pictures("heat", subject)


# Time


def test_the_run_in_time_has_each_round_and_each_opening() -> None:
    (picture,) = pictures("time", subject_of(run_of(usual_cells(), rounds=30, openings=3)))
    assert [row["round"] for row in picture.data["openings"]] == [9.5, 19.5]
    assert {row["round"] for row in picture.data["speeds"]} == set(range(30))
    disturbed = sum(row["count"] for row in picture.data["odd"])
    assert disturbed > 0
    assert f"{disturbed} disturbed" in picture.caption


@pytest.mark.parametrize("rounds", [2, 30])
def test_the_axis_of_rounds_begins_with_the_first_and_ends_with_the_last(rounds: int) -> None:
    (picture,) = pictures("time", subject_of(run_of(usual_cells(), rounds=rounds)))
    found = re.findall(r'"domain": \[(-[\d.]+), ([\d.]+)\]', json.dumps(picture.draw(900)))
    assert found
    for low, high in found:
        assert -1 <= float(low) < 0
        assert rounds - 1 < float(high) <= rounds


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
