"""The names by which other tools know a cell from run to run."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from bench.model.cells import Cell, cell_id
from bench.render.export.measured import measured
from bench.render.export.names import LONGEST_NAME, names_of
from tests.builders import a_cell, a_run, a_sample

LO = {"kind": "lo"}


def name(**values: object) -> str:
    cell = a_cell("c", **{"method": "sendto", "interface": LO} | values)  # type: ignore[arg-type]
    return names_of("m", [cell])["c"]


def test_a_name_has_what_is_not_at_its_default() -> None:
    assert name() == "m/interface=lo/method=sendto/frame_size=64"
    assert name(burst=16) == "m/interface=lo/method=sendto/frame_size=64/burst=16"
    assert name(burst=64, msg_dontwait=False, packet_loss=False) == name()
    assert name(msg_dontwait=True).endswith("/msg_dontwait=yes")


def test_a_name_does_not_depend_on_the_other_cells_of_the_run() -> None:
    one, other = a_cell("1", interface=LO, burst=16), a_cell("2", interface=LO, burst=1)
    both = names_of("m", [one, other])
    assert names_of("m", [one]) == {"1": both["1"]}


def test_a_name_is_not_taken_for_a_number_of_cpus() -> None:
    assert "/qdisc=pfifo_7/" in name(qdisc={"kind": "pfifo-7"})


def test_the_sides_of_a_run_are_parts_of_names() -> None:
    a, b = a_cell("1"), a_cell("1b")
    samples = [a_sample(cell.id) for cell in (a, b)]
    header = {"sides": [{"label": "A"}, {"label": "B"}]}
    run = a_run(samples, [a, b], {"1b": "1"}, header=header)
    found = measured(run).cells
    assert [cell.side for cell in found] == ["A", "B"]
    assert [cell.name for cell in found] == [
        "m/side=A/method=1/frame_size=64",
        "m/side=B/method=1b/frame_size=64",
    ]


texts = st.text(max_size=30) | st.sampled_from(["a/b", "a b", "a_b", "a\tb", "eth-1", "eth_1"])
values = st.fixed_dictionaries(
    {"method": texts, "frame_size": st.integers(14, 65535), "threads": st.just(1)},
    optional={"burst": st.integers(1, 99), "fill": texts, "interface": texts, "x": texts},
)


@given(st.lists(values, max_size=6), texts)
def test_names_are_distinct_and_fit_for_every_reader(rows: list[Mapping[str, str]], m: str) -> None:
    cells = {cell_id(row): Cell(cell_id(row), row) for row in rows}
    names = names_of(m, [*cells.values()])
    assert names.keys() == cells.keys()
    assert len({*names.values()}) == len(cells)
    for of in names.values():
        assert 0 < len(of) <= LONGEST_NAME
        assert of.isprintable()
        assert " " not in of
