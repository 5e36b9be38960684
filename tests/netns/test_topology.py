from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.model.vocabulary import DEVICE
from bench.system.netns import entered, private_netns
from bench.system.procfs import ProcFs
from bench.topology import Port, link, peer, qdisc, veth
from bench.topology.kinds import KINDS, up
from bench.topology.qdisc import QDISCS
from tests.netns.conftest import bonds, why_no_kind
from tests.running import needs_root, wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

TBF = {"kind": "tbf", "rate": "1gbit", "burst": "32KiB", "limit": "1MiB"}


@pytest.fixture(
    params=[
        pytest.param(kind, marks=bonds) if kind == "bond" else kind
        for kind in KINDS
        if kind != DEVICE
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of interface that is made, and that this kernel has."""
    if reason := why_no_kind(request.param):
        pytest.skip(reason)
    return str(request.param)


def here() -> int:
    """The network namespace of the calling thread."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def link_by_ip(port: Port) -> dict[str, Any]:
    """An interface as `ip` shows it: another reader than the one under test."""
    with entered(port.netns_fd):
        shown = subprocess.run(
            ["ip", "-d", "-j", "link", "show", "dev", port.ifname], check=True, capture_output=True
        )
    return dict(json.loads(shown.stdout)[0])


needs_ip = pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2's ip is missing")
needs_tc = pytest.mark.skipif(shutil.which("tc") is None, reason="iproute2's tc is missing")


# Namespaces


def test_a_new_namespace_is_empty_but_for_lo_and_leaves_this_thread_where_it_is() -> None:
    before = here()
    with private_netns() as netns_fd:
        assert here() == before
        with entered(netns_fd):
            assert here() != before
            assert socket.if_nameindex() == [(1, "lo")]


def test_entered_comes_back_after_an_exception() -> None:
    before = here()

    def fail_in(netns_fd: int) -> None:
        with entered(netns_fd):
            assert here() != before
            raise ZeroDivisionError

    with private_netns() as netns_fd:
        with pytest.raises(ZeroDivisionError):
            fail_in(netns_fd)
        assert here() == before


def test_entered_moves_the_calling_thread_alone() -> None:
    before, inside, go_on = here(), threading.Event(), threading.Event()

    def visit(netns_fd: int) -> None:
        with entered(netns_fd):
            inside.set()
            go_on.wait(5)

    with private_netns() as netns_fd:
        visitor = threading.Thread(target=visit, args=[netns_fd])
        visitor.start()
        assert inside.wait(5)
        assert here() == before
        go_on.set()
        visitor.join()


def test_entered_refuses_what_is_no_namespace_and_stays() -> None:
    before = here()
    with (
        open("/dev/null") as null,
        pytest.raises(BenchError, match="cannot enter the network namespace of descriptor"),
        entered(null.fileno()),
    ):
        pass
    assert here() == before


def test_a_private_namespace_has_no_ipv6() -> None:
    switch = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
    if not switch.exists():
        pytest.skip("this kernel has no IPv6")
    with private_netns() as netns_fd, entered(netns_fd):
        assert switch.read_text() == "1\n"


def test_where_the_way_back_is_barred_nobody_leaves() -> None:
    """In a user namespace without a network namespace of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("util-linux's unshare is missing")
    program = "from bench.topology.kinds import up\nwith up('lo'): pass"
    ran = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", program], capture_output=True, text=True
    )
    if "unshare" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.stderr.splitlines()[-1].startswith(
        "bench.base.errors.UsageError: could not come back to the present network namespace"
    )


# Interfaces


@needs_ip
def test_the_interface_is_up_with_its_mtu_and_address(kind: str) -> None:
    with up(kind, "noqueue", 9000) as topology:
        shown = link_by_ip(topology.tx)
    assert {"UP", "LOWER_UP"} <= set(shown["flags"])
    assert shown["mtu"] >= 9000
    assert shown["address"] == topology.src_mac.hex(":")
    assert shown["ifindex"] == topology.tx.ifindex


@needs_ip
@pytest.mark.parametrize(("kind", "mtu"), [("lo", 65536), ("veth", 1500), ("ifb", 1500)])
def test_the_mtu_of_the_kind_stays_where_less_is_wanted(kind: str, mtu: int) -> None:
    with up(kind, "noqueue", 50) as topology:
        assert link_by_ip(topology.tx)["mtu"] == mtu


@needs_ip
def test_the_mtu_holds_the_longest_frame(kind: str) -> None:
    with up(kind, "noqueue", 65535 - link.ETHERNET_HEADER) as topology:
        assert link_by_ip(topology.tx)["mtu"] >= 65535 - link.ETHERNET_HEADER


@needs_ip
def test_a_veth_peer_is_up_in_another_namespace_with_the_same_mtu() -> None:
    with up("veth", "noqueue", 9000) as topology:
        (peer,) = topology.rx
        shown = link_by_ip(peer)
        with entered(peer.netns_fd):
            beyond = here()
        with entered(topology.tx.netns_fd):
            assert here() != beyond
    assert {"UP", "LOWER_UP"} <= set(shown["flags"])
    assert shown["mtu"] == 9000
    assert shown["address"] == topology.dst_mac.hex(":")


def test_where_frames_arrive() -> None:
    with up("lo") as lo, up("veth") as pair, up("ifb") as ifb:
        assert lo.rx == (lo.tx,)
        assert pair.rx != (pair.tx,)
        assert ifb.rx == ()
        assert [t.sinks for t in (lo, pair, ifb)] == [(lo.tx,), pair.rx, (ifb.tx,)]


def test_many_topologies_stand_side_by_side() -> None:
    with contextlib.ExitStack() as stack:
        all_up = [stack.enter_context(up(kind)) for kind in ["lo", "veth", "ifb"] * 5]
        assert len({fd for topology in all_up for fd in topology.netns_fds}) == 20


def test_another_process_can_be_given_a_topology() -> None:
    program = (
        "import socket, sys\n"
        "from bench.topology import entered\n"
        "with entered(int(sys.argv[1])): print(socket.if_nameindex())\n"
    )
    with up("veth") as topology:
        ran = subprocess.run(
            [sys.executable, "-c", program, str(topology.tx.netns_fd)],
            pass_fds=topology.netns_fds,
            capture_output=True,
            text=True,
            check=True,
        )
        assert eval(ran.stdout) == [(1, "lo"), (topology.tx.ifindex, topology.tx.ifname)]


def links_in(netns_fd: int) -> list[str]:
    with entered(netns_fd):
        return [name for _, name in socket.if_nameindex()]


def test_all_of_it_vanishes() -> None:
    """The far namespace goes, so the near end goes, although this test holds its namespace."""
    with up("veth") as topology:
        near = os.dup(topology.tx.netns_fd)
    try:
        wait_for(lambda: links_in(near) == ["lo"], "the near end to go")
    finally:
        os.close(near)


def test_nothing_is_left_after_an_exception_inside() -> None:
    with pytest.raises(ZeroDivisionError), up("veth", TBF):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("interface", "mtu", "message"),
    [
        ("lo", 2**31, "interface lo with MTU 2147483648: "),
        ("veth", 70_000, "interface veth with MTU 70000: "),
    ],
)
def test_a_refused_mtu_is_named_and_nothing_is_left(interface: str, mtu: int, message: str) -> None:
    with pytest.raises(BenchError, match=message), up(interface, "noqueue", mtu):
        pass


def test_a_kind_that_the_kernel_lacks_is_named() -> None:
    with (
        private_netns() as netns_fd,
        link.rtnl(netns_fd) as ip,
        pytest.raises(
            BenchError,
            match=r"interface nosuch with MTU 1500: .*; this kernel may be without CONFIG_NOSUCH",
        ),
    ):
        link.add_link(ip, "nosuch", ifname="x", mtu=1500)


def test_a_link_without_a_carrier_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "CARRIER_TIMEOUT_S", 0.05)
    with private_netns() as near, private_netns() as far:
        veth.add_pair(
            near, far, veth.End("bench0", link.TX_MAC), veth.End("bench1", link.RX_MAC), 1500
        )
        state = "(DOWN|LOWERLAYERDOWN|UNKNOWN)"  # as the link watch has run
        no_carrier = rf"interface bench0: no carrier after 0\.05 s, its state is {state}$"
        with pytest.raises(BenchError, match=no_carrier):
            link.wait_until_up(link.set_up(near, "bench0"))


def test_a_link_that_is_gone_is_named() -> None:
    with private_netns() as netns_fd:
        with pytest.raises(BenchError, match="interface bench0: there is none of this name"):
            link.set_up(netns_fd, "bench0")
        with pytest.raises(
            BenchError, match=f"interface bench0: the kernel says {os.strerror(errno.ENODEV)}"
        ):
            link.wait_until_up(Port(netns_fd, 7, "bench0"))


# Options


@needs_ip
def test_a_veth_has_the_mtu_and_the_queues_that_were_asked_for() -> None:
    with up({"kind": "veth", "mtu": 3000, "queues": 3}, mtu=1500) as topology:
        for port in (topology.tx, *topology.rx):
            shown = link_by_ip(port)
            assert (shown["mtu"], shown["num_tx_queues"], shown["num_rx_queues"]) == (3000, 3, 3)


@needs_ip
def test_an_ifb_has_the_mtu_and_the_queues_that_were_asked_for() -> None:
    with up({"kind": "ifb", "mtu": 3000, "queues": 3}) as topology:
        shown = link_by_ip(topology.tx)
        assert (shown["mtu"], shown["num_tx_queues"]) == (3000, 3)


@needs_ip
@pytest.mark.parametrize(("kind_", "own"), [("veth", 1000), ("ifb", 32)])
def test_the_sending_end_has_the_queue_length_that_was_asked_for(kind_: str, own: int) -> None:
    for asked, there in ((0, own), (7, 7)):
        with up({"kind": kind_, "txqueuelen": asked}, "pfifo_fast") as topology:
            assert link_by_ip(topology.tx)["txqlen"] == there
            assert [link_by_ip(port)["txqlen"] for port in topology.rx if port != topology.tx] in (
                [],
                [own],
            )


@needs_root
@needs_ip
def test_an_xdp_program_drops_at_the_peer() -> None:
    with up({"kind": "veth", "peer": "xdp_drop"}) as topology:
        assert topology.rx == ()
        shown = link_by_ip(topology.sinks[0])
        assert shown["xdp"]["mode"] == 1  # by the driver, not the generic hook
        assert shown["xdp"]["prog"]["id"] > 0


@needs_root
def test_an_xdp_program_does_not_take_jumbo_frames() -> None:
    """One takes a frame that fits a page of the kernel with its head."""
    jumbo = {"kind": "veth", "peer": "xdp_drop", "mtu": min(2 * mmap.PAGESIZE, link.MOST_MTU)}
    with pytest.raises(BenchError, match=r"XDP program on bench1: .*MTU"), up(jumbo):
        pass


def test_a_capturing_reader_is_there_and_goes() -> None:
    def taps() -> int:
        with entered(topology.rx[0].netns_fd):
            return len(Path("/proc/thread-self/net/packet").read_text().splitlines()) - 1

    with up("veth") as topology:
        with peer.read_all(topology.rx[0]):
            assert taps() == 1
        assert taps() == 0


@needs_root
@pytest.mark.parametrize(
    ("rps", "mask"), [("all", sum(1 << cpu for cpu in ProcFs().online())), ("0", 1)]
)
def test_the_peer_s_frames_are_steered(rps: str, mask: int) -> None:
    with up({"kind": "veth", "rps": rps, "queues": 2}) as topology:
        shown = in_own_sysfs(topology.rx[0], "cat /sys/class/net/bench1/queues/rx-*/rps_cpus")
    assert [int(line.replace(",", ""), 16) for line in shown.split()] == [mask, mask]


def in_own_sysfs(port: Port, command: str) -> str:
    mounting = f"mount -t sysfs sysfs /sys && {command}"
    with entered(port.netns_fd):
        ran = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mounting], capture_output=True, text=True, check=True
        )
    return ran.stdout


@needs_root
def test_rps_on_a_cpu_that_is_not_there_is_refused() -> None:
    absent = {"kind": "veth", "rps": "8000"}
    with pytest.raises(BenchError, match=r"RPS of bench1: CPUs 8000: "), up(absent):
        pass


# Qdiscs


def root_by_tc(port: Port) -> dict[str, Any]:
    """The root qdisc as tc shows it: another reader than the one under test."""
    with entered(port.netns_fd):
        shown = subprocess.run(
            ["tc", "-j", "qdisc", "show", "dev", port.ifname, "root"],
            check=True,
            capture_output=True,
        )
    return dict(json.loads(shown.stdout)[0])


@needs_tc
@pytest.mark.parametrize("interface", ["veth", "ifb"])
@pytest.mark.parametrize(
    ("value", "shown", "options"),
    [
        ("noqueue", "noqueue", {}),
        ("pfifo", "pfifo", {"limit": 1000}),
        ({"kind": "pfifo", "limit": 50}, "pfifo", {"limit": 50}),
        ({"kind": "bfifo", "limit": "64KiB"}, "bfifo", {"limit": 65536}),
        ("pfifo_fast", "pfifo_fast", {"bands": 3}),
        (TBF, "tbf", {"rate": 125_000_000}),
        (
            {"kind": "tbf", "rate": "100gbit", "burst": 4096, "limit": 9000},
            "tbf",
            {"rate": 12_500_000_000},
        ),
        ({"kind": "htb", "rate": "1gbit"}, "htb", {"default": "0x1", "direct_packets_stat": 0}),
    ],
)
def test_tc_sees_the_qdisc_that_was_asked_for(
    interface: str, value: Any, shown: str, options: dict[str, Any]
) -> None:
    with up(interface, value) as topology:
        root = root_by_tc(topology.tx)
    assert root["kind"] == shown
    assert {name: root["options"][name] for name in options} == options


@pytest.mark.parametrize(
    ("value", "effective"),
    [
        ("noqueue", {"kind": "noqueue"}),
        ("pfifo", {"kind": "pfifo", "limit": 1000}),
        ("bfifo", {"kind": "bfifo", "limit": 1_514_000}),
        ("pfifo_fast", {"kind": "pfifo_fast"}),
        (TBF, {"kind": "tbf", "rate": 10**9, "burst": 32768, "limit": 1 << 20}),
        (
            {"kind": "htb", "rate": "1gbit"},
            {"kind": "htb", "rate": 10**9, "burst": 1600, "limit": 1000},
        ),
        (
            {"kind": "htb", "rate": "50gbit", "limit": 7},
            {"kind": "htb", "rate": 50 * 10**9, "burst": 1600, "limit": 7},
        ),
    ],
)
def test_the_qdisc_in_effect_is_read_back(value: Any, effective: dict[str, Any]) -> None:
    with up("veth", value) as topology:
        assert topology.qdisc == effective


@pytest.mark.parametrize(
    ("value", "effective"),
    [
        # Whole bytes a second.
        (
            {"kind": "tbf", "rate": "1001bit", "burst": 2000, "limit": 9000},
            {"kind": "tbf", "rate": 1000, "burst": 2000, "limit": 9000},
        ),
        # Ticks of 64 ns: 1000 bytes at 100 Gbit/s are 1.25 of them.
        (
            {"kind": "htb", "rate": "100gbit", "burst": 1000},
            {"kind": "htb", "rate": 100 * 10**9, "burst": 1600, "limit": 1000},
        ),
    ],
)
def test_a_value_that_the_kernel_rounded_is_the_one_in_effect(
    value: Any, effective: dict[str, Any]
) -> None:
    with up("veth", value) as topology:
        assert topology.qdisc == effective


def test_an_option_that_the_kernel_ignored_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_limit(ip: Any, ifindex: int, _options: Any) -> None:
        ip.tc("replace", "pfifo", ifindex, handle="1:")

    _with_installer(monkeypatch, "pfifo", forgets_the_limit)
    with (
        pytest.raises(BenchError, match="pfifo: limit 50 was asked, the kernel set 1000"),
        up("veth", {"kind": "pfifo", "limit": 50}),
    ):
        pass


def test_a_qdisc_that_did_not_take_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_installer(monkeypatch, "pfifo", lambda *_: None)
    with pytest.raises(BenchError, match="pfifo was set, but the kernel has"), up("ifb", "pfifo"):
        pass


def test_a_qdisc_that_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def install(ip: Any, ifindex: int, _options: Any) -> None:
        ip.tc("replace", "nosuch", ifindex)

    _with_installer(monkeypatch, "tbf", install)
    with (
        pytest.raises(BenchError, match=r"qdisc tbf on bench0: .*CONFIG_NET_SCH_TBF"),
        up("veth", TBF),
    ):
        pass


def _with_installer(monkeypatch: pytest.MonkeyPatch, kind: str, install: Any) -> None:
    row = QDISCS[kind]
    changed = qdisc.Qdisc(row.info, install, row.read, row.largest_frame)
    monkeypatch.setattr(qdisc, "QDISCS", {**QDISCS, kind: changed})
