"""Numbers of a column: one unit, and none that is not 0 reads 0."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bench.model.results import Averages, CellResult, Estimate, Figures
from bench.render import FORMATS
from bench.render.document import Table
from bench.render.figure_columns import figure_columns
from bench.render.scale import plain, si, si_text
from bench.render.table import document_of
from tests.builders import a_cell
from tests.render.test_render import measured, report

NUMBERS = st.floats(min_value=0, max_value=1e15, allow_subnormal=True)
CELL = a_cell("c", method="sendto", frame_size=64, threads=1)
PREFIXES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def test_a_slow_link_and_a_fast_one() -> None:
    assert (si([82.36, 85.5], "pps").label, si([82.36], "pps").texts([82.36, 85.5, None])) == (
        "pps",
        ("82.36", "85.50", "-"),
    )
    fast = si([0.731e6, 12.3456e6], "pps")
    assert (fast.label, fast.texts([0.731e6, 12.3456e6])) == ("Mpps", ("0.731", "12.346"))
    both = si([82.36, 12.3456e6], "pps")
    assert (both.label, both.texts([82.36, 12.3456e6])) == ("pps", ("82.36", "12345600.00"))
    assert si([], "pps").label == "pps"
    assert si_text(997_500, "b/s") == "997.5 kb/s"


@given(st.lists(NUMBERS, min_size=1), st.integers(0, 3))
def test_a_number_that_is_not_zero_does_not_read_zero(numbers: list[float], decimals: int) -> None:
    for scale in (si(numbers, "pps", decimals), plain(numbers, "ns/frame", decimals)):
        for number, text in zip(numbers, scale.texts(numbers), strict=True):
            assert (float(text) == 0) == (number == 0)


@given(st.lists(NUMBERS, min_size=1))
def test_a_column_is_in_one_unit_and_close_to_its_numbers(numbers: list[float]) -> None:
    scale = si(numbers, "pps")
    factor = PREFIXES[scale.label.removesuffix("pps")]
    for number, text in zip(numbers, scale.texts(numbers), strict=True):
        assert abs(float(text) * factor - number) <= 0.051 * number


figure = st.builds(
    lambda value, low, high: Estimate(value, min(value, low), max(value, high), 40),
    NUMBERS,
    NUMBERS,
    NUMBERS,
)
share = st.floats(min_value=0, max_value=1)
row = st.builds(
    lambda pps, ns, ratio, calls, cpu, drops, slave: CellResult(
        CELL,
        figures=Figures(pps, replace(pps, value=pps.value * 512e-9), ns, ratio),
        averages=Averages(frames_per_call=calls, cpu_share=cpu),
        counts={"drops": drops},
        slaves=(slave, 1 - slave),
    ),
    figure,
    figure,
    st.none() | figure,
    NUMBERS,
    share,
    st.integers(0, 2**63 - 1),
    share,
)


def numbers_in(text: str) -> list[float]:
    """Of a cell of any column: ``[0.1, 0.2]``, ``50/50``, ``98 %``; none of ``-``."""
    words = text.strip("[]").replace(",", " ").replace("/", " ").removesuffix("%").split()
    return [] if text == "-" else [float(word) for word in words]


@given(st.lists(row, min_size=1, max_size=6))
def test_no_column_of_figures_has_a_zero_that_is_none(rows: list[CellResult]) -> None:
    columns = {column.label: column.cells for column in figure_columns(rows)}
    plain_numbers = {
        "pps": [[r.figures.pps and r.figures.pps.value] for r in rows],
        "b/s": [[r.figures.gbps and r.figures.gbps.value] for r in rows],
        "ns/frame": [[r.figures.ns_per_frame and r.figures.ns_per_frame.value] for r in rows],
        "ratio": [[r.figures.ratio and r.figures.ratio.value] for r in rows],
        "frames/call": [[r.averages.frames_per_call] for r in rows],
        "CPU share": [[r.averages.cpu_share] for r in rows],
        "slaves %": [[*r.slaves] for r in rows],
        "drops": [[r.counts["drops"]] for r in rows],
    }
    for unit, wanted in plain_numbers.items():
        found = [c for label, c in columns.items() if label.split(" (")[0].endswith(unit)]
        assert len(found) == 1 or not any(n for numbers in wanted for n in numbers)
        for cells in found:
            for text, numbers in zip(cells, wanted, strict=True):
                shown = [number == 0 for number in numbers_in(text)]
                assert shown == [number == 0 for number in numbers if number is not None]


def test_every_text_format_has_the_unit_and_files_have_plain_numbers() -> None:
    of = report([measured(CELL, 82.36), measured(CELL, 85.5, ratio=0.0002)])
    document = document_of(of)
    (table,) = document.blocks
    assert isinstance(table, Table)
    assert {"pps", "kb/s", "ratio"} <= {column.label for column in table.columns}
    for form in ("terminal", "markdown"):
        assert "82.36" in FORMATS[form](document)
        assert "0.00020" in FORMATS[form](document)
    assert [c["pps"] for c in json.loads(FORMATS["json"](document))["cells"]] == [82.36, 85.5]
    assert ",82.36," in FORMATS["csv"](document)
