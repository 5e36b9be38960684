"""Which cells differ in one axis alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.matched import matched, varying
from bench.base.values import Value
from bench.model.cells import Cell
from tests.builders import a_cell

LO, VETH = {"kind": "lo"}, {"kind": "veth"}


def a_sender(id_: str, method: str = "send", **values: Value | None) -> Cell:
    return a_cell(id_, **{"method": method, "interface": LO, "burst": 1, **values})


def found(*cells: Cell, baseline: dict[str, Value] | None = None) -> list[tuple[str, str, str]]:
    """``axis value/over`` with the ids of each pair."""
    return [
        (f"{m.axis} {m.value}/{m.over}", a.id, b.id)
        for m in matched(cells, baseline or {})
        for a, b in m.pairs
    ]


def test_cells_match_that_differ_in_one_axis_alone() -> None:
    cells = [
        a_sender("a", fill="copy", burst=1),
        a_sender("b", fill="prefilled", burst=1),
        a_sender("c", fill="prefilled", burst=64),
    ]
    assert found(*cells) == [("burst 64/1", "c", "b"), ("fill prefilled/copy", "b", "a")]


def test_the_baselines_value_is_what_others_are_compared_with() -> None:
    cells = [a_sender("a", burst=1), a_sender("b", burst=64)]
    assert found(*cells, baseline={"burst": 64}) == [("burst 1/64", "a", "b")]


def test_a_value_without_a_match_at_the_first_is_compared_with_the_next() -> None:
    cells = [a_sender(str(burst), burst=burst, fill="copy") for burst in (1, 64, 256)]
    more = [a_sender(f"{burst}p", burst=burst, fill="prefilled") for burst in (64, 256)]
    assert found(*cells, *more)[:3] == [
        ("burst 64/1", "64", "1"),
        ("burst 256/1", "256", "1"),
        ("burst 256/64", "256p", "64p"),
    ]


def test_methods_match_whatever_only_one_of_them_reads() -> None:
    plain = a_sender("p", burst=None)
    rings = [a_sender(f"r{burst}", "tx_ring", burst=burst) for burst in (1, 64)]
    assert found(plain, *rings)[:2] == [
        ("method tx_ring/send", "r1", "p"),
        ("method tx_ring/send", "r64", "p"),
    ]


def test_an_effect_is_of_one_method_on_one_interface() -> None:
    cells = [
        a_sender(f"{m}{i['kind']}{b}", m, interface=i, burst=b)
        for m in ("send", "sendmmsg")
        for i in (LO, VETH)
        for b in (1, 64)
    ]
    among = [
        tuple(str(v["kind"] if isinstance(v, dict) else v) for v in m.among.values())
        for m in matched(cells, {})
        if m.axis == "burst"
    ]
    assert among == [("send", "lo"), ("send", "veth"), ("sendmmsg", "lo"), ("sendmmsg", "veth")]


def test_true_is_not_one() -> None:
    cells = [a_sender("a", burst=1, qdisc_bypass=True), a_sender("b", burst=1, qdisc_bypass=1)]
    assert found(*cells) == [("qdisc_bypass 1/True", "b", "a")]


axes = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["send", "sendmmsg"]),
        "interface": st.sampled_from([LO, VETH]),
        "frame_size": st.sampled_from([64, 1514]),
        "burst": st.sampled_from([None, 1, 64]),
        "fill": st.sampled_from(["copy", "prefilled"]),
    }
)


@given(st.lists(axes, max_size=12, unique_by=str))
def test_any_pairs_differ_in_their_axis_alone_and_none_is_there_twice(
    rows: list[dict[str, Value | None]],
) -> None:
    cells = [a_cell(str(number), **row) for number, row in enumerate(rows)]
    pairs = []
    for each in matched(cells, {}):
        for a, b in each.pairs:
            assert (a.values[each.axis], b.values[each.axis]) == (each.value, each.over)
            assert all(
                a.values[axis] == b.values[axis]
                for axis in rows[0]
                if axis != each.axis and None not in (a.values[axis], b.values[axis])
            )
            pairs.append((each.axis, a.id, b.id))
    assert len(pairs) == len(set(pairs))
    assert {axis for axis, _, _ in pairs} <= set(varying(cells))
