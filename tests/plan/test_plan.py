"""Expanding, collapsing, excluding, checking and ordering: all without a machine."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bench.base.errors import UsageError
from bench.base.values import Value, key_of
from bench.model.cells import cell_id
from bench.model.matrix import Mark, Matrix, Measure
from bench.model.needs import Memory
from bench.model.vocabulary import KindInfo, MethodInfo
from bench.plan import needs, plan, schedule, selection
from tests.trees import machine_of
from tests.vocabulary import DEFAULTS, WORDS

LO: Value = {"kind": "lo"}
VETH: Value = {"kind": "veth", "queues": 1}
NOQUEUE: Value = {"kind": "noqueue"}
RING = {"version": 2, "block_size": 4096, "block_nr": 4, "frame_size": 2048}


def matrix(**axes: tuple[Value, ...]) -> Matrix:
    return Matrix(
        file="m.yaml",
        text="",
        name="m",
        description="",
        axes=axes,
        zip=(),
        exclude=(),
        include=(),
        measure=Measure(),
        baseline=None,
        marks={(): Mark(1, 1), ("axes",): Mark(3, 3)},
    )


def planned(m: Matrix) -> plan.Plan:
    return plan.make_plan(m, WORDS)


def methods_and(made: plan.Plan, axis: str) -> list[tuple[str, Value | None]]:
    return [(cell.method, cell.values[axis]) for cell in made.cells]


def errors(m: Matrix) -> list[str]:
    with pytest.raises(UsageError) as caught:
        planned(m)
    return str(caught.value).splitlines()


def test_axes_multiply_and_unnamed_ones_have_their_default() -> None:
    made = planned(matrix(method=("sendto",), frame_size=(64, 1514), threads=(1,)))
    assert (made.combinations, made.excluded, made.collapsed, len(made.cells)) == (2, 0, 0, 2)
    assert [cell.frame_size for cell in made.cells] == [64, 1514]
    assert made.cells[0].values["interface"] == DEFAULTS["interface"]


def test_a_product_that_would_take_for_ever_is_refused_by_its_largest_axes() -> None:
    sizes, bursts = tuple(range(64, 1064)), tuple(range(1, 501))
    many = matrix(method=("sendmmsg",), frame_size=sizes, burst=bursts, threads=(1, 2, 4))
    assert errors(many) == [
        "m.yaml:3:3: 1,500,000 combinations; at most 1,000,000: the most values have "
        "frame_size (1000), burst (500)"
    ]
    zipped = replace(many, axes={**many.axes, "flows": sizes}, zip=(("flows", "frame_size"),))
    assert errors(zipped)[0].endswith("have flows and frame_size (1000), burst (500)")


def test_an_axis_that_a_method_ignores_collapses() -> None:
    made = planned(matrix(method=("sendto", "sendmmsg"), burst=(1, 8, 64)))
    assert (made.combinations, made.collapsed) == (6, 2)
    assert methods_and(made, "burst") == [
        ("sendto", None),
        ("sendmmsg", 1),
        ("sendmmsg", 8),
        ("sendmmsg", 64),
    ]


def test_an_axis_that_no_method_reads_is_no_axis_of_several_values() -> None:
    """They would be one cell, and nobody would see it."""
    marks = {("axes", "burst"): Mark(5, 10), ("axes", "ring_wait"): Mark(6, 14)}
    lost = matrix(method=("sendto", "null"), ring_wait=("poll", "spin"), burst=(64,))
    assert errors(replace(lost, marks=lost.marks | marks)) == [
        "m.yaml:6:14: 2 values of ring_wait, which no method of the matrix reads (null, sendto); "
        "name one value or none, or add a method that reads it: tx_ring"
    ]
    ringless = ({"method": ("tx_ring",)},)
    excluded = matrix(method=("sendto", "tx_ring"), burst=(1, 8, 64))
    assert len(planned(excluded).cells) == 4
    assert errors(replace(excluded, exclude=ringless, marks=excluded.marks | marks)) == [
        "m.yaml:5:10: 3 values of burst, which no method of the matrix reads (sendto); "
        "name one value or none, or add a method that reads it: null, sendmmsg, tx_ring"
    ]
    included = replace(excluded, exclude=ringless, include=({"method": "tx_ring"},))
    assert len(planned(included).cells) == 2


def test_null_needs_no_topology_and_lo_has_no_qdisc() -> None:
    made = planned(matrix(method=("null", "sendto"), interface=(LO, VETH)))
    assert [c.values["interface"] for c in made.cells] == [None, LO, VETH]
    assert [c.values["qdisc"] for c in made.cells] == [None, None, NOQUEUE]
    assert [t.interface for t in made.topologies] == [LO, VETH]
    assert made.cells[0].id not in made.topology_of


def test_a_topology_has_the_largest_mtu_that_its_cells_ask_for() -> None:
    made = planned(matrix(interface=(VETH,), frame_size=(64, 9000)))
    assert [t.mtu for t in made.topologies] == [9000 - 14]


# A device

ETH1: Value = {"kind": "device", "name": "eth1"}
ETH2: Value = {"kind": "device", "name": "eth2"}
PFIFO: Value = {"kind": "pfifo", "limit": 1000}


class Named(BaseModel):
    name: str


WITH_DEVICE = replace(
    WORDS,
    interfaces={
        **WORDS.interfaces,
        "device": KindInfo("device", "", Named, keeps_qdisc=True, is_borrowed=True),
        "macvlan": KindInfo("macvlan", "", Named),
    },
)


def with_device(**axes: tuple[Value, ...]) -> plan.Plan:
    return plan.make_plan(matrix(method=("sendto",), **axes), WITH_DEVICE)


def test_a_device_keeps_its_own_qdisc_where_the_axis_is_not_named() -> None:
    made = with_device(interface=(VETH, ETH1))
    assert [t.qdisc for t in made.topologies] == [NOQUEUE, None]
    made = with_device(interface=(VETH, ETH1), qdisc=(NOQUEUE,))
    assert [t.qdisc for t in made.topologies] == [NOQUEUE, NOQUEUE]


def test_devices_are_named_each_once() -> None:
    made = with_device(interface=(ETH2, VETH, ETH1), frame_size=(64, 128))
    assert made.devices == ("eth2", "eth1")
    assert with_device(interface=(VETH,)).devices == ()


def test_an_interface_of_ours_with_a_name_is_no_device() -> None:
    made = with_device(interface=({"kind": "macvlan", "name": "eth1"}, ETH2))
    assert made.devices == ("eth2",)
    assert needs.needs_of(made, lambda _cell: Memory()).devices == ("eth2",)


def test_a_device_can_be_one_thing_at_a_time() -> None:
    of_all = matrix(interface=(VETH, ETH1, ETH2), qdisc=(NOQUEUE, PFIFO), method=("sendto",))
    made = plan.make_plan(of_all, WITH_DEVICE)
    with pytest.raises(UsageError) as refused:
        selection.check_devices(made, of_all)
    assert str(refused.value) == (
        "m.yaml:3:3: device eth1 is wanted in 2 ways (device name=eth1 with qdisc noqueue; "
        "device name=eth1 with qdisc pfifo limit=1000), but is there once; "
        "leave one with exclude or --filter"
    )
    selection.check_devices(selection.select(made, {"qdisc": ["pfifo"]}), of_all)


def with_super_frames(segments: int, **axes: tuple[Value, ...]) -> list[str]:
    knobs = frozenset({"interface", "qdisc", "frame_size", "threads"})
    udp = MethodInfo("udp", "", "", knobs, by_route=True)
    words = replace(
        WITH_DEVICE,
        methods={**WORDS.methods, "udp": udp},
        segments=lambda _values: segments,
        is_shaped=lambda qdisc, _frame_size: qdisc == {"kind": "pfifo", "limit": 1},
    )
    with pytest.raises(UsageError) as refused:
        plan.make_plan(matrix(**axes), words)
    return str(refused.value).splitlines()


def test_what_bench_makes_of_its_own_interfaces_is_wanted_of_no_other() -> None:
    assert with_super_frames(1, method=("udp",), interface=(ETH1,)) == [
        "m.yaml:3:3: method udp sends by a route, which bench sets at no interface that it "
        "borrows; exclude the pair"
    ]
    assert with_super_frames(8, method=("sendto",), interface=(ETH1,)) == [
        "m.yaml:3:3: super-frames of 8 segments: a device that cuts them may count them whole; "
        "segments: 1, or exclude the pair"
    ]


def test_super_frames_fit_their_qdisc_which_makes_no_queue_of_them() -> None:
    short: Value = {"kind": "pfifo", "limit": 7}
    assert with_super_frames(8, interface=(VETH,), frame_size=(251,), qdisc=(short,)) == [
        "m.yaml:3:3: super-frame of 8 frames of 251 bytes: qdisc pfifo limit=7 drops every one "
        "longer than 2000; exclude the pair or raise its burst or limit"
    ]
    shaper: Value = {"kind": "pfifo", "limit": 1}
    assert with_super_frames(8, interface=(VETH,), qdisc=(shaper,)) == [
        "m.yaml:3:3: super-frames of 8 segments: qdisc pfifo limit=1 makes a queue, in which "
        "nobody counts their frames; segments: 1, or exclude the pair"
    ]


# Together and alone

SEVERAL: dict[str, list[Value]] = {
    "interface": [LO, VETH, {"kind": "veth", "queues": 2}],
    "qdisc": [NOQUEUE, {"kind": "mq"}, {"kind": "pfifo", "limit": 7}],
    "method": ["sendto", "sendmmsg", "tx_ring", "null"],
    "frame_size": [64, 1514, 2001, 9000],
    "threads": [1, 2, 63],
    "burst": [1, 64, 2000],
    "vlan": ["none", {"id": 5, "priority": 0}],
    "ring": [RING],
    "msg_dontwait": [False, True],
}


def outcome(m: Matrix) -> tuple[list[tuple[str, dict[str, Value | None]]], set[str]]:
    """The cells, or what is wrong with them."""
    try:
        return [(cell.id, dict(cell.values)) for cell in planned(m).cells], set()
    except UsageError as error:
        return [], set(str(error).splitlines())


@given(
    st.fixed_dictionaries(
        {},
        optional={
            a: st.lists(st.sampled_from(v), min_size=1, max_size=2, unique_by=key_of)
            for a, v in SEVERAL.items()
        },
    )
)
def test_a_cell_among_others_is_what_it_is_alone(axes: dict[str, list[Value]]) -> None:
    def part(values: tuple[Value, ...]) -> Matrix:
        alone = matrix(**{a: (v,) for a, v in zip(axes, values, strict=True)})
        return replace(alone, measure=Measure(cpus=(0,)))

    whole = replace(matrix(**{a: tuple(v) for a, v in axes.items()}), measure=Measure(cpus=(0,)))
    cells, problems = outcome(whole)
    parts = [outcome(part(values)) for values in itertools.product(*axes.values())]
    found = {line for _, wrong in parts for line in wrong}
    unread = {line for line in problems if "which no method of the matrix reads" in line}
    assert problems - unread == found
    if not problems:
        alone = dict(cell for of_part, _ in parts for cell in of_part)
        assert dict(cells) == alone
        assert len(cells) == len(alone)


# Zip, exclude, include


def test_zipped_axes_advance_together() -> None:
    m = replace(
        matrix(method=("sendmmsg",), frame_size=(64, 1514), burst=(8, 64), threads=(1, 1)),
        zip=(("frame_size", "burst"),),
        axes={"method": ("sendmmsg",), "frame_size": (64, 1514), "burst": (8, 64)},
    )
    assert [(c.frame_size, c.values["burst"]) for c in planned(m).cells] == [(64, 8), (1514, 64)]


def test_exclude_matches_before_collapsing_and_any_value_of_a_list() -> None:
    m = replace(
        matrix(method=("sendto", "sendmmsg"), burst=(1, 64), frame_size=(64, 128, 1514)),
        exclude=({"method": ("sendmmsg",), "burst": (1,), "frame_size": (64, 1514)},),
    )
    made = planned(m)
    assert (made.combinations, made.excluded, len(made.cells)) == (12, 2, 7)
    assert [c.frame_size for c in made.cells if c.values["burst"] == 1] == [128]


def test_a_mapping_in_a_rule_needs_to_name_only_a_part() -> None:
    m = replace(matrix(interface=(LO, VETH)), exclude=({"interface": ({"kind": "veth"},)},))
    assert [c.values["interface"] for c in planned(m).cells] == [LO]


def test_true_is_not_one() -> None:
    m = replace(matrix(msg_dontwait=(False, True)), exclude=({"msg_dontwait": (1,)},))
    assert len(planned(m).cells) == 2


def test_include_adds_cells_with_the_first_values_else() -> None:
    m = replace(
        matrix(method=("sendto",), frame_size=(64, 1514)),
        include=({"method": "tx_ring", "burst": 2}, {"method": "sendto"}),
    )
    made = planned(m)
    assert (made.combinations, made.collapsed) == (4, 1)
    assert [(c.method, c.frame_size, c.values["burst"]) for c in made.cells] == [
        ("sendto", 64, None),
        ("sendto", 1514, None),
        ("tx_ring", 64, 2),
    ]


def test_the_baseline_differs_in_the_named_axes_alone() -> None:
    m = replace(
        matrix(method=("sendto", "tx_ring"), frame_size=(64, 1514), burst=(8, 64)),
        baseline={"method": "sendto"},
    )
    made = planned(m)
    by_id = {cell.id: cell for cell in made.cells}
    pairs = {(by_id[a].method, by_id[a].frame_size, by_id[b].frame_size)
             for a, b in made.baselines.items()}  # fmt: skip
    assert len(made.baselines) == len(made.cells) == 6
    assert all(by_id[base].method == "sendto" for base in made.baselines.values())
    assert pairs == {(m, s, s) for m in ("sendto", "tx_ring") for s in (64, 1514)}


@pytest.mark.parametrize("bursts", [(8, 64), (64, 8)])
def test_a_baseline_that_names_several_cells_for_one_is_an_error(bursts: tuple[int, ...]) -> None:
    m = replace(
        matrix(method=("sendto", "sendmmsg", "tx_ring"), frame_size=(64, 1514), burst=bursts),
        baseline={"method": "tx_ring"},
        marks={(): Mark(1, 1), ("baseline",): Mark(9, 11)},
    )
    assert errors(m) == [
        "m.yaml:9:11: baseline: names several cells for sendto, which differ in burst; add burst: "
        f"one of {bursts[0]}, {bursts[1]}, or exclude all but one for sendto"
    ]
    named = planned(replace(m, baseline={"method": "tx_ring", "burst": 8}))
    assert {named_burst(named, base) for base in named.baselines.values()} == {8}
    one = replace(m, exclude=({"method": ("sendto",), "burst": (8,)},))
    assert {
        named_burst(made, made.baselines[cell.id])
        for made in [planned(one)]
        for cell in made.cells
        if cell.method == "sendto"
    } == {64}


def named_burst(made: plan.Plan, wanted: str) -> Value | None:
    (cell,) = [cell for cell in made.cells if cell.id == wanted]
    return cell.values["burst"]


def test_all_that_leaves_a_baseline_open_is_one_error() -> None:
    m = replace(
        matrix(
            method=("null", "sendto", "tx_ring"),
            interface=(LO, VETH),
            burst=(8, 64),
            vnet_hdr=(False, True),
        ),
        baseline={"method": "tx_ring"},
    )
    assert errors(m) == [
        "m.yaml:1:1: baseline: names several cells for null and sendto, which differ in interface "
        "and vnet_hdr and burst; add interface: one of {kind: 'lo'}, {kind: 'veth'} and vnet_hdr: "
        "one of false, true and burst: one of 8, 64, or exclude all but one for null and sendto"
    ]


def test_zipped_axes_leave_no_baseline_open() -> None:
    m = replace(
        matrix(method=("sendto", "tx_ring"), frame_size=(64, 1514), burst=(8, 64)),
        zip=(("frame_size", "burst"),),
        baseline={"method": "tx_ring"},
    )
    made = planned(m)
    assert {named_burst(made, base) for base in made.baselines.values()} == {8, 64}


def test_a_cell_whose_baseline_was_excluded_has_none() -> None:
    m = replace(
        matrix(method=("sendto", "tx_ring"), msg_dontwait=(False, True)),
        exclude=({"method": ("sendto",), "msg_dontwait": (True,)},),
        baseline={"method": "sendto"},
    )
    made = planned(m)
    without = [c for c in made.cells if c.id not in made.baselines]
    assert [(c.method, c.values["msg_dontwait"]) for c in without] == [("tx_ring", True)]


def test_an_id_depends_on_effective_values_alone() -> None:
    few = planned(matrix(method=("sendto",), frame_size=(1514,)))
    many = planned(matrix(method=("sendto", "tx_ring"), frame_size=(64, 1514), burst=(9,)))
    assert few.cells[0].id in {cell.id for cell in many.cells}
    assert cell_id({"method": "send", "burst": None}) == cell_id({"method": "send"})
    assert cell_id({"method": "send", "fill": "prefilled"}) == cell_id({"method": "send"})
    assert cell_id({"method": "send", "fill": "copy"}) != cell_id({"method": "send"})


@pytest.mark.parametrize(
    ("axes", "error"),
    [
        (
            {"method": ("tx_ring",), "frame_size": (2017,)},
            "frame of 2017 bytes does not fit a ring slot of 2048: v2 leaves 2016 bytes; "
            "exclude the pair, or write ring: {slots: 512, frame_size: 2064}",
        ),
        (
            {"method": ("tx_ring",), "ring": (RING | {"block_size": 6144},)},
            "ring block_size 6144 is no multiple of the page size 4096; "
            "write block_size: 8192, or slots instead, which fit any page",
        ),
        (
            {"method": ("tx_ring",), "ring": (RING | {"frame_size": 8192},), "burst": (4,)},
            "ring frame_size 8192 is larger than its block_size 4096; write block_size: 8192",
        ),
        (
            {"method": ("tx_ring",), "ring": (RING | {"frame_size": 16},), "burst": (4,)},
            "ring frame_size 16 is smaller than its header; "
            "write frame_size: 96, block_size: 24576",
        ),
        (
            {"method": ("tx_ring",), "ring": (RING | {"block_nr": 524289},), "burst": (4,)},
            "ring of 524289 blocks: the kernel's table has at most 524288; use larger blocks, "
            "such as block_size: 8192, block_nr: 262145",
        ),
        (
            {"method": ("tx_ring",), "ring": (RING | {"block_size": 12288, "frame_size": 1000},)},
            "ring frame_size 1000 is no multiple of 16; write frame_size: 1008",
        ),
        (
            {"method": ("tx_ring",), "burst": (9,), "ring": (RING,)},
            "burst of 9 frames in a ring of 8 slots; at most 8",
        ),
        (
            {"method": ("tx_ring",), "burst": (8,), "ring": (RING,), "flows": (9,)},
            "9 flows in a prefilled ring of 8 slots, each of which keeps its flow; "
            "at most 8, or fill: copy",
        ),
        (
            {"method": ("sendmmsg",), "burst": (1025,)},
            "1025 frames in one sendmmsg call; at most 1024",
        ),
        (
            {
                "method": ("tx_ring",),
                "ring": (RING,),
                "burst": (8,),
                "malformed": ("1%",),
            },
            "1% of a ring of 8 slots is none; at least 12.5%, or more slots",
        ),
        (
            {
                "method": ("tx_ring",),
                "ring": (RING,),
                "burst": (1,),
                "malformed": ("25%",),
                "packet_loss": (True,),
            },
            "a blocking call with packet_loss and nothing but a malformed slot waits for a frame "
            "that never leaves; at least 2, or msg_dontwait: true",
        ),
        (
            {"vlan": ({"id": 1, "priority": 0},), "frame_size": (19,)},
            "frame of 19 bytes has no room for a VLAN tag; at least 20, or exclude the pair",
        ),
        (
            {"interface": (VETH,), "qdisc": ({"kind": "mq"},)},
            "qdisc mq on veth with one transmit queue; write queues: 2 or more in interface, or "
            "exclude the pair",
        ),
        (
            {"qdisc": (NOQUEUE, {"kind": "pfifo", "limit": 50})},
            "qdisc pfifo limit=50 on lo, which has none; exclude the pair",
        ),
        (
            {
                "interface": (VETH,),
                "qdisc": ({"kind": "pfifo", "limit": 7},),
                "frame_size": (2001,),
            },
            "frame of 2001 bytes: qdisc pfifo limit=7 drops every one longer than 2000; "
            "exclude the pair or raise its burst or limit",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_set_up(
    axes: dict[str, tuple[Value, ...]], error: str
) -> None:
    assert f"m.yaml:3:3: {error}" in errors(matrix(**axes))


def test_a_tag_is_no_part_of_the_mtu() -> None:
    of_1500, tag = {**VETH, "mtu": 1500}, {"id": 1, "priority": 0}
    m = matrix(interface=(of_1500,), frame_size=(1514, 1518), vlan=("none", tag))
    assert errors(m) == [
        "m.yaml:3:3: frame of 1518 bytes on an interface with MTU 1500; at most 1514 (1518 with a "
        "tag: vlan), or exclude the pair"
    ]
    m = matrix(interface=(of_1500,), frame_size=(1519,), vlan=(tag,))
    assert errors(m) == [
        "m.yaml:3:3: frame of 1519 bytes on an interface with MTU 1500; at most 1518, "
        "or exclude the pair"
    ]
    (spec,) = planned(matrix(interface=(VETH,), frame_size=(1518,), vlan=(tag,))).topologies
    assert spec.mtu == 1500


def test_mq_needs_queues() -> None:
    several = {**VETH, "queues": 2}
    assert len(planned(matrix(interface=(several,), qdisc=({"kind": "mq"},))).cells) == 1


def test_more_threads_than_cpus_and_a_cpu_that_is_not_there() -> None:
    too_many = len(os.sched_getaffinity(0)) + 1
    assert errors(matrix(threads=(too_many,))) == [
        f"m.yaml:3:3: {too_many} threads on {too_many - 1} CPUs; at most {too_many - 1}"
    ]
    there = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
    assert errors(replace(matrix(), measure=Measure(cpus=(999,)))) == [
        f"m.yaml:1:1: CPU 999 is not there or may not be used; allowed: {there}"
    ]


def test_a_list_of_cpus_that_is_too_short_is_an_error_and_one_that_fits_is_taken() -> None:
    here = min(os.sched_getaffinity(0))
    short = replace(
        matrix(threads=(1, 2)),
        measure=Measure(cpus=(here,)),
        marks={(): Mark(1, 1), ("axes", "threads", 1): Mark(4, 15)},
    )
    assert errors(short) == ["m.yaml:4:15: 2 threads on 1 CPU; at most 1"]
    made = planned(replace(matrix(), measure=Measure(cpus=(here,))))
    assert (made.cpus, made.cpus_why) == ((here,), "as the matrix names them")


def test_auto_takes_what_there_is_and_tells_of_the_cells_that_want_more() -> None:
    here = len(os.sched_getaffinity(0))
    made = planned(matrix(interface=(LO, VETH), threads=(1, here + 1)))
    assert made.cpus_why.startswith("auto")
    assert [cell.threads for cell in made.cells] == [1, here + 1, 1, here + 1]
    assert [cell.threads for cell in made.runnable] == [1, 1]
    cpus = f"{here} CPU{'s' if here > 1 else ''}"
    assert set(made.unfit.values()) == {f"{here + 1} threads: {cpus} here"}
    with pytest.raises(UsageError, match=f"keeps nothing that can run here: {here + 1} threads"):
        selection.select(made, selection.parse_filters([f"threads={here + 1}"], WORDS.axes))
    assert selection.select(made, selection.parse_filters(["threads=1"], WORDS.axes)).unfit == {}


def test_what_else_is_wrong_with_a_cell_that_wants_more_cpus_is_an_error() -> None:
    m = matrix(method=("tx_ring",), threads=(1, 64), frame_size=(9000,))
    assert [line.split(";")[0] for line in errors(m)] == [
        "m.yaml:3:3: frame of 9000 bytes does not fit a ring slot of 2048: v2 leaves 2016 bytes"
    ]


def test_a_topology_that_only_cells_for_more_cpus_need_is_not_made() -> None:
    m = replace(
        matrix(method=("sendto",), threads=(1,)), include=({"interface": VETH, "threads": 64},)
    )
    made = planned(m)
    assert [t.interface for t in made.topologies] == [LO]
    assert made.topology_of.keys() == {cell.id for cell in made.runnable}


def test_a_named_device_decides_which_cpus_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "sys/devices/system/cpu/online": "0-3\n",
        "sys/devices/system/node/node0/cpulist": "0-1\n",
        "sys/devices/system/node/node1/cpulist": "2-3\n",
        "sys/class/net/eth7/device/numa_node": "1\n",
        "sys/class/net/eth7/device/irq": "9\n",
        "proc/irq/9/effective_affinity_list": "3\n",
    }
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    m = matrix(interface=({"kind": "device", "name": "eth7"},))
    made = plan.make_plan(m, WITH_DEVICE, machine_of(tmp_path, files))
    assert made.cpus == (2, 1, 0, 3)
    assert "node 1 first, where eth7 is; CPU 3 last for the interrupts of eth7" in made.cpus_why


def test_affinity_is_an_axis_and_pinned_cells_bear_the_ids_they_had() -> None:
    made = planned(matrix(method=("null", "sendto"), affinity=("pinned", "free")))
    assert methods_and(made, "affinity") == [
        ("null", "pinned"),
        ("null", "free"),
        ("sendto", "pinned"),
        ("sendto", "free"),
    ]
    assert made.cells[2].id == cell_id({})
    assert len({cell.id for cell in made.cells}) == 4


def test_all_problems_come_in_one_go_each_once_at_its_value() -> None:
    m = replace(
        matrix(method=("tx_ring",), frame_size=(2017, 64, 4000), msg_dontwait=(False, True)),
        marks={
            (): Mark(1, 1),
            ("axes", "frame_size", 0): Mark(5, 16),
            ("axes", "frame_size", 2): Mark(5, 26),
        },
    )
    assert [line.split(" bytes")[0] for line in errors(m)] == [
        "m.yaml:5:16: frame of 2017",
        "m.yaml:5:26: frame of 4000",
    ]


def test_a_problem_of_an_included_cell_is_told_at_its_row() -> None:
    rows: tuple[dict[str, Value], ...] = (
        {"method": "sendmmsg", "burst": 8},
        {"method": "sendmmsg", "burst": 2000},
        {"method": "tx_ring", "frame_size": 4000},
        {"method": "tx_ring", "frame_size": 64, "burst": 4},
    )
    m = replace(
        matrix(method=("sendto",), frame_size=(64, 4000)),
        include=rows,
        marks={(): Mark(1, 1), ("axes", "frame_size", 1): Mark(5, 20)}
        | {("include", row, axis): Mark(9 + row, 5) for row in range(4) for axis in rows[row]},
    )
    assert [line.split(" frames")[0].split(" bytes")[0] for line in errors(m)] == [
        "m.yaml:10:5: 2000",
        "m.yaml:11:5: frame of 4000",
    ]


def test_nothing_left_and_no_baseline_are_errors() -> None:
    gone = replace(matrix(), exclude=({"method": ("sendto",)},))
    assert errors(gone) == ["m.yaml:1:1: every combination is excluded; keep at least one"]
    baseless = replace(matrix(method=("sendmmsg",)), baseline={"method": "sendto"})
    assert errors(baseless) == [
        "m.yaml:1:1: no cell of the matrix is a baseline; it must name values that some cell has"
    ]


def test_filters_keep_the_baselines_of_what_they_keep() -> None:
    m = replace(
        matrix(method=("sendto", "sendmmsg", "tx_ring"), frame_size=(64, 1514)),
        baseline={"method": "sendto"},
    )
    kept = selection.select(
        planned(m), selection.parse_filters(["method=tx_ring", "frame_size=64"], WORDS.axes)
    )
    assert [(c.method, c.frame_size) for c in kept.cells] == [("sendto", 64), ("tx_ring", 64)]
    assert set(kept.baselines) == {c.id for c in kept.cells}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (["method"], "--filter method: not of the form AXIS=VALUE or AXIS=VALUE,VALUE"),
        (["batch=1"], "--filter batch=1: unknown axis, did you mean burst?; one of interface,"),
        (["packet_size=64"], "--filter packet_size=64: unknown axis, did you mean frame_size?;"),
        (["methd=x"], "--filter methd=x: unknown axis, did you mean method?; one of interface,"),
        (
            ["frame_size=65"],
            "--filter frame_size=65: no cell has that; frame_size is one of 1514, 64",
        ),
    ],
)
def test_a_bad_filter_says_what_there_is(filters: list[str], message: str) -> None:
    made = planned(matrix(frame_size=(64, 1514)))
    with pytest.raises(UsageError) as caught:
        selection.select(made, selection.parse_filters(filters, WORDS.axes))
    assert str(caught.value).startswith(message)


def test_a_round_is_shuffled_anew_and_the_same_for_the_same_seed() -> None:
    cells = [str(n) for n in range(50)]
    first = schedule.round_order(cells, 1, 0)
    assert sorted(first) == sorted(cells)
    assert first == schedule.round_order(cells, 1, 0)
    assert first != schedule.round_order(cells, 1, 1)
    assert first != schedule.round_order(cells, 2, 0)


def test_the_last_threshold_that_matches_a_cell_is_its_own() -> None:
    m = replace(
        matrix(method=("sendto", "sendmmsg"), frame_size=(64, 1514)),
        thresholds=(({"frame_size": (64,)}, 0.05), ({"method": ("sendmmsg",)}, 0.1)),
    )
    made = planned(m)
    found = {(c.method, c.frame_size): made.thresholds.get(c.id) for c in made.cells}
    assert found == {
        ("sendto", 64): 0.05,
        ("sendto", 1514): None,
        ("sendmmsg", 64): 0.1,
        ("sendmmsg", 1514): 0.1,
    }
