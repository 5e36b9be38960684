"""Interfaces on others, into a program, or a sink: macvlan, vlan, bridge, tap, dummy.

Some kernels lack some of them: their tests are skipped there, with the reason.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError, UsageError
from bench.base.values import Value
from bench.engines import core
from bench.measure.accounting import Accounting, account
from bench.measure.counters import CounterReader, settle
from bench.topology import Topology, tap
from bench.topology.kinds import up
from bench.topology.link import rtnl
from tests.netns.conftest import why_not_up
from tests.netns.driving import check
from tests.netns.test_counters import Sent, send
from tests.netns.test_run import METHODS, RING, assert_sound
from tests.running import (
    UNPRIVILEGED,
    Bench,
    ended,
    inside,
    measured,
    needs_numpy,
    needs_root,
    needs_setpriv,
    wait_for,
)

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]
anykernel = pytest.mark.anykernel

TBF = {"kind": "tbf", "rate": "1gbit", "burst": 9000, "limit": 9000}
MODES = ("bridge", "private", "vepa", "passthru")
MACVLANS = {mode: {"kind": "macvlan", "mode": mode} for mode in MODES}
INTERFACES: dict[str, Value] = {
    "dummy": "dummy",
    "tap": "tap",
    "tap of 2 queues": {"kind": "tap", "queues": 2},
    "vlan": {"kind": "vlan", "id": 7},
    "bridge": "bridge",
    **{f"macvlan {mode}": value for mode, value in MACVLANS.items()},
}


@functools.cache
def why_not(name: str) -> str:
    return why_not_up(INTERFACES[name])


@pytest.fixture(params=INTERFACES)
def interface(request: pytest.FixtureRequest) -> Value:
    """Each of them that this kernel has."""
    if reason := why_not(request.param):
        pytest.skip(reason)
    return INTERFACES[request.param]


@pytest.fixture
def there() -> list[Value]:
    """All that this kernel has."""
    return [value for name, value in INTERFACES.items() if not why_not(name)]


def takes_flows(interface: Value) -> bool:
    return interface != MACVLANS["bridge"]


# What works


def test_every_method_and_frame_size(tmp_path: Path, interface: Value) -> None:
    """Each frame is captured and compared (a dummy's are counted), and each is accounted for."""
    methods = [*METHODS, *(name for name in ("af_xdp", "io_uring") if not core.probe(name))]
    axes = {
        "interface": [interface],
        "method": methods,
        "frame_size": [14, 60, 1514, 9000],
        "fill": ["copy"],
        "burst": [3],
        "ring": [{"version": 2, "slots": 16, "frame_size": 16384}],
        "xdp_ring": [64],
    }
    exclude = [{"method": "af_xdp", "frame_size": 9000}]
    assert_sound(measured(tmp_path, axes, exclude=exclude), rounds=2)


def test_queues_bursts_and_flows(tmp_path: Path, interface: Value) -> None:
    axes = {
        "interface": [interface],
        "method": ["send", "sendmmsg", "tx_ring"],
        "frame_size": [64],
        "flows": [1, 7] if takes_flows(interface) else [1],
        "burst": [5],
        "qdisc": [
            "noqueue",
            "pfifo",
            {"kind": "tbf", "rate": "1gbit", "burst": 9000, "limit": 9000},
        ],
        "ring": [RING],
        "msg_dontwait": [False, True],
    }
    assert_sound(measured(tmp_path, axes), rounds=2)


@needs_root
def test_clones_are_frames_like_others(interface: Value) -> None:
    assert check(interface, method="tc_clone", fill="copy", burst=3).slice_completed


def test_tagged_frames_arrive_as_they_are_meant(tmp_path: Path, interface: Value) -> None:
    """Through a VLAN device, too: then a frame has two tags on its way."""
    axes = {
        "interface": [interface],
        "method": ["send", "sendmmsg"],
        "vlan": [{"id": 9, "priority": 3}],
        "frame_size": [60, 1518],
    }
    assert_sound(measured(tmp_path, axes), rounds=2)


@anykernel
@needs_numpy
@needs_setpriv
def test_they_need_no_root(bench: Bench, there: list[Value]) -> None:
    axes = {"interface": there, "method": ["send", "tx_ring"], "burst": [8], "ring": [RING]}
    outcome = bench("run", bench.matrix(axes), prefix=UNPRIVILEGED)
    assert outcome.code == 0, outcome.out + outcome.err
    assert bench.stored().header.measure.privileges == "user namespace"
    assert_sound(bench.stored(), rounds=2)


@anykernel
def test_a_killed_run_leaves_nothing(bench: Bench, there: list[Value]) -> None:
    """What is left is looked for by the fixture: a tap's reader, say."""
    axes = {"interface": there, "method": ["send"], "frame_size": [64]}
    process = bench.start("run", bench.matrix(axes, rounds=500))
    wait_for(lambda: bench.samples() >= 3, "samples", process)
    reads = any("tap_reader" in command for command in bench.processes().values())
    assert reads is ("tap" in there)
    process.send_signal(signal.SIGKILL)
    assert ended(process).code == -signal.SIGKILL


@anykernel
@needs_numpy
def test_wrong_frames_are_found_on_them(bench: Bench, there: list[Value]) -> None:
    """But for a dummy, where none can be captured."""
    bench.environment["BENCH_CORE"] = "test"
    axes = {
        "interface": [value for value in there if value != "dummy"],
        "method": ["send", "test_zeros", "test_same", "test_liar"],
        "burst": [2],
    }
    assert bench("run", bench.matrix(axes)).code == 4
    run = bench.stored()
    for cell in run.cells:
        reason = run.failures.get(cell.id, "")
        assert reason.startswith("wrong frames: ") is (cell.method in ("test_zeros", "test_same"))
        if cell.method == "test_liar":
            assert all(sample.problem for sample in run.samples if sample.cell == cell.id)


# Counters


@contextmanager
def watched(interface: Value, qdisc: Value = "noqueue") -> Iterator[tuple[Topology, CounterReader]]:
    with up(interface, qdisc, 9000) as topology, CounterReader(topology) as reader:
        yield topology, reader


def told(topology: Topology, reader: CounterReader, before: Any, sent: Sent) -> Accounting:
    judge = functools.partial(
        account,
        delivery=topology.delivery,
        frame_size=200,
        completed=sent.completed,
        refused=sent.refused,
    )
    return settle(reader, before, judge, topology.delivery.late_s)[0]


@anykernel
@pytest.mark.parametrize("kind", ["veth", "ifb", "dummy", "tap", "macvlan", "vlan", "bridge"])
@pytest.mark.parametrize("option", ["mtu", "txqueuelen"])
def test_the_ends_of_a_range_are_what_the_kernel_takes(kind: str, option: str) -> None:
    if reason := why_not_up(kind):
        pytest.skip(reason)
    with pytest.raises(UsageError) as refused, up({"kind": kind, option: 2**31 - 1}):
        pass
    ends = re.findall(r"(\d+)(?= to |, or 0| or less|$)", str(refused.value))
    assert ends
    for end in map(int, ends):
        with up({"kind": kind, option: end}, "pfifo_fast"):
            pass


def test_a_fresh_one_is_silent(interface: Value) -> None:
    with watched(interface) as (_, reader):
        before = reader.read()
        after = reader.read()
    assert set(before.tx) == set(after.tx) == {0}
    assert {count for sink in after.sinks for count in sink} == {0}


@pytest.mark.parametrize("qdisc", ["noqueue", "pfifo"])
@pytest.mark.parametrize("name", ["vlan", "bridge", "macvlan private", "macvlan passthru"])
def test_a_frame_that_is_dropped_on_the_way_is_counted_once(name: str, qdisc: str) -> None:
    """By a veth whose peer has a smaller MTU: below the sender, or behind the bridge."""
    if reason := why_not(name):
        pytest.skip(reason)
    interface = INTERFACES[name]
    with watched(interface, qdisc) as (topology, reader):
        last = topology.rx[0]
        with rtnl(last.netns_fd) as ip:
            below = ip.link("get", index=last.ifindex)[0].get_attr("IFLA_LINK")
            lower = ip.link_lookup(ifname="lower1") or [last.ifindex]
            assert below is not None
            for index in {last.ifindex, *lower}:
                ip.link("set", index=index, mtu=100)
        before = reader.read()
        sent = send(topology, 100, 200)
        accounting = told(topology, reader, before, sent)
    assert sent.completed + sent.refused == 100
    assert (accounting.problem, accounting.delivered) == ("", 0)
    assert (accounting.device_drops, accounting.lost) == (100, sent.completed)


@pytest.mark.parametrize("qdisc", ["noqueue", "pfifo"])
def test_a_tap_drops_what_finds_its_ring_full(qdisc: str) -> None:
    """A short one; who sends past a qdisc is not told."""
    with watched({"kind": "tap", "txqueuelen": 2}, qdisc) as (topology, reader):
        before = reader.read()
        sent = send(topology, 3000, 200)
        accounting = told(topology, reader, before, sent)
    assert accounting.problem == ""
    assert accounting.delivered + accounting.lost == sent.completed
    if qdisc == "noqueue":
        assert accounting.device_drops == sent.refused
    assert topology.may_lose is (qdisc != "noqueue")


# What does not work


def test_frames_that_no_driver_takes_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"interface": ["dummy", "tap", "macvlan", "vlan", "bridge"], "method": ["xdp_live"]}
    outcome = inside(capsys, "plan", bench.matrix(axes))
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.complaints) == 5
    assert all("method xdp_live sends XDP frames: " in line for line in outcome.complaints)


@anykernel
def test_flows_to_a_macvlan_that_has_one_address_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"interface": [*MACVLANS.values()], "method": ["send"], "flows": [1, 4]}
    outcome = inside(capsys, "plan", bench.matrix(axes))
    assert outcome.code == 2
    (complaint,) = outcome.complaints
    assert complaint.endswith(
        "4 flows have an address each: a macvlan in mode bridge sends to one other address; "
        "write mode: private, or exclude the pair"
    )


@anykernel
def test_frames_of_udp_to_a_macvlan_that_has_one_address_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"interface": [*MACVLANS.values()], "method": ["dgram", "udp", "gso"]}
    outcome = inside(capsys, "plan", bench.matrix(axes))
    assert outcome.code == 2
    assert [line.partition(": ")[2] for line in outcome.complaints] == [
        f"frames of {method} have another address: a macvlan in mode bridge sends to one other "
        "address; write mode: private, or exclude the pair"
        for method in ("udp", "gso")
    ]


@pytest.mark.parametrize(
    ("where", "said"),
    [("/dev/net/nothing", "this kernel may be without CONFIG_TUN"), ("/dev/null", "")],
)
def test_without_the_kernel_s_tap_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    monkeypatch.setattr(tap, "TUN", where)
    with pytest.raises(BenchError, match=rf"^interface tap: {where}: .*{said}$"), up("tap"):
        pass


@anykernel
def test_a_tap_that_not_everybody_may_make_is_one_line_with_what_to_do() -> None:
    refused = tap.refusal(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    assert isinstance(refused, UsageError)
    assert str(refused).endswith("open it to everybody (sudo chmod 666 /dev/net/tun), or try sudo")
