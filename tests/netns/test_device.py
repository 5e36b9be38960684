"""Runs on a device: the end of a veth pair stands for it, in a namespace that bench starts in."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.base import signals
from bench.base.errors import BenchError, NotAllowed, UsageError
from bench.engines.config import memory_of
from bench.measure.prepare import vocabulary
from bench.model.run import Run
from bench.plan import needs, plan
from bench.system import host as system_host
from bench.system.netns import entered, private_netns
from bench.topology import Port, borrowed_qdisc, device, ethtool, journal, link
from bench.topology.device import describe, restore_all
from bench.topology.kinds import QDISC_KINDS, up
from bench.topology.link import Allowed
from tests.netns.test_exec import BEGIN, sender
from tests.netns.test_schedulers import NEW, needs_qdisc
from tests.running import (
    UNPRIVILEGED,
    Bench,
    Outcome,
    assert_rounds,
    complaints,
    ended,
    inside,
    measured,
    needs_root,
    needs_setpriv,
    unfinish,
    wait_for,
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        not (shutil.which("ip") and shutil.which("tc")), reason="iproute2 is missing"
    ),
]

ALLOW = ("--allow-device", "eth1")
DEVICE = {"kind": "device", "name": "eth1"}
ETH1 = Allowed(("eth1",))
SET_BY_SOMEBODY = {
    "nobody": (),
    "pfifo": ("pfifo", "limit", "77"),
    "pfifo with a handle": ("handle", "5:", "pfifo", "limit", "77"),
    "noqueue": ("noqueue",),
    "tbf": ("handle", "9:", "tbf", *("rate", "9gbit", "burst", "30001"), *("limit", "1mb"),
            *("peakrate", "10gbit", "mtu", "9000")),
    "mq": ("handle", "8a:", "mq"),
    "pfifo with bench's handle": ("handle", "1:", "pfifo", "limit", "77"),
    "tbf with bench's handle": ("handle", "1:", "tbf", *("rate", "9gbit", "burst", "30001"),
            *("limit", "1mb")),
}  # fmt: skip
NOTHING = {"method": ["null"], "frame_size": [64]}
Command = Callable[..., Outcome]


@dataclass(frozen=True)
class Host:
    """A namespace with a device ``eth1``, whose peer ``far`` is in another; no IPv6."""

    netns_fd: int
    far_fd: int

    def sh(self, *command: str) -> str:
        with entered(self.netns_fd):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def set_qdisc(self, words: tuple[str, ...]) -> None:
        if words:
            self.sh("tc", "qdisc", "replace", "dev", "eth1", "root", *words)

    @property
    def port(self) -> Port:
        with entered(self.netns_fd):
            return Port(self.netns_fd, socket.if_nametoindex("eth1"), "eth1")

    def state(self) -> tuple[str, ...]:
        """All that a run may change, by other readers than those under test."""
        (shown,) = json.loads(self.sh("ip", "-j", "link", "show", "dev", "eth1"))
        mtu, flags = str(shown["mtu"]), " ".join(shown["flags"])
        return mtu, flags, *self.sh("tc", "qdisc", "show", "dev", "eth1").splitlines()

    def arrived(self) -> int:
        with entered(self.far_fd):
            shown = subprocess.run(
                ["ip", "-j", "-s", "link", "show", "dev", "far"], check=True, capture_output=True
            )
        return int(json.loads(shown.stdout)[0]["stats64"]["rx"]["packets"])


@contextmanager
def _host() -> Iterator[Host]:
    with private_netns() as near, private_netns() as far:
        with link.rtnl(near) as ip:
            peer = {"ifname": "far", "mtu": 9000, "net_ns_fd": far}
            link.add_link(ip, "veth", ifname="eth1", mtu=1500, num_tx_queues=2, peer=peer)
        link.set_up(far, "far")
        link.wait_until_up(link.set_up(near, "eth1"))
        yield Host(near, far)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    monkeypatch.setenv("BENCH_STATE", str(folder))
    return folder


@pytest.fixture
def host(state: Path) -> Iterator[Host]:
    """Afterwards no journal is left."""
    with _host() as made:
        yield made
        assert list(state.iterdir()) == []


@pytest.fixture
def on_host(bench: Bench, host: Host, state: Path) -> Iterator[Bench]:
    """A bench that is started in the host's namespace; this process is there, too."""
    bench.environment["BENCH_STATE"] = str(state)
    with entered(host.netns_fd):
        yield bench


@pytest.fixture
def run_here(on_host: Bench, capsys: pytest.CaptureFixture[str]) -> Command:
    """``bench run`` in this process, which is in the host's namespace."""
    return lambda *arguments: inside(capsys, "run", *arguments, "--results", on_host.results)


def device_matrix(bench: Bench, rounds: int = 5, **axes: Any) -> Path:
    wanted = {"interface": [DEVICE], "method": ["send"], "frame_size": [64]}
    return bench.matrix(wanted | axes, name="d", rounds=rounds)


def assert_sound(run: Run) -> None:
    assert run.failures == {}
    assert run.end == "done"
    for sample in run.samples:
        assert sample.problem == ""
        assert 0 < sample.delivered + sample.lost == sample.slice_completed


# What works


@pytest.mark.parametrize("found", ["nobody", "tbf"])
def test_a_run_sends_on_the_device_and_gives_it_back(
    host: Host, tmp_path: Path, found: str
) -> None:
    host.set_qdisc(SET_BY_SOMEBODY[found])
    before = host.state()
    axes = {
        "interface": [DEVICE],
        "method": ["send", "sendmmsg", "tx_ring"],
        "frame_size": [14, 64, 9000],
        "burst": [4],
        "ring": [{"slots": 8, "frame_size": 16384}],
        "qdisc": [{"kind": "pfifo", "limit": 50}],
    }
    with entered(host.netns_fd):
        run = measured(tmp_path, axes, allowed=ETH1)
    assert host.state() == before
    assert_sound(run)
    assert len(run.cells) == 9
    facts = run.header.devices["eth1"]
    assert (facts.driver, facts.mtu) == ("veth", 1500)
    assert facts.state in ("UP", "UNKNOWN")  # it is the link watch that says UP, in a moment
    assert (facts.speed_mbit, facts.duplex) == (10000, "full")
    assert "tx-scatter-gather" in facts.features
    assert not facts.in_use
    assert host.arrived() >= sum(sample.delivered for sample in run.samples)


@pytest.mark.anykernel
def test_a_run_tells_of_the_device(on_host: Bench, host: Host, run_here: Command) -> None:
    before = host.state()
    outcome = run_here(device_matrix(on_host, qdisc=["pfifo"]), *ALLOW)
    assert outcome.code == 0, outcome
    assert len(outcome.complaints) == 1
    assert "device eth1  " in outcome.out
    assert "veth 1.0; 10000 Mb/s full duplex; 2 tx queues; " in outcome.out
    assert host.state() == before
    assert_sound(on_host.stored())


@pytest.mark.parametrize("found", SET_BY_SOMEBODY)
def test_without_the_axis_the_device_keeps_its_own_qdisc(host: Host, found: str) -> None:
    host.set_qdisc(SET_BY_SOMEBODY[found])
    before = host.state()
    with entered(host.netns_fd), up(DEVICE, None, 1000, ETH1) as topology:
        assert host.state() == before
        assert topology.qdisc["kind"] == before[2].split()[1]
        assert topology.rx == ()
        assert topology.sinks == (topology.tx,)
        assert topology.delivery.direction == "tx"
        assert topology.src_mac[0] & 0b11 == 0b10
        assert not list(Path(os.environ["BENCH_STATE"]).iterdir())  # nothing to put back
    assert host.state() == before


@pytest.mark.anykernel
def test_a_run_without_the_axis_counts_what_its_own_qdisc_does(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    host.set_qdisc(("tbf", "rate", "20mbit", "burst", "2kb", "limit", "10kb"))
    before = host.state()
    matrix = device_matrix(on_host, frame_size=[1000], sndbuf=["8MiB"])
    assert run_here(matrix, *ALLOW).code == 0
    assert host.state() == before
    run = on_host.stored()
    assert_sound(run)
    assert run.cells[0].values["qdisc"] is None
    assert sum(sample.qdisc_drops for sample in run.samples)


@pytest.mark.parametrize("found", SET_BY_SOMEBODY)
def test_the_qdisc_and_the_mtu_are_changed_while_it_is_borrowed(host: Host, found: str) -> None:
    host.set_qdisc(SET_BY_SOMEBODY[found])
    before = host.state()
    with (
        entered(host.netns_fd),
        up(DEVICE, {"kind": "pfifo", "limit": 50}, 8000, ETH1),
    ):
        mtu, _, *qdiscs = host.state()
        assert mtu == "8000"
        handle = "2:" if " 1: root" in before[2] else "1:"
        assert qdiscs == [f"qdisc pfifo {handle} root refcnt 3 limit 50p"]
    assert host.state() == before


@pytest.mark.parametrize("kind", QDISC_KINDS)
def test_any_qdisc_takes_the_place_of_one_with_its_own_handle(host: Host, kind: str) -> None:
    if kind in NEW:
        needs_qdisc(kind)
    host.set_qdisc(SET_BY_SOMEBODY["tbf with bench's handle"])
    before = host.state()
    bucket = {"rate": "1gbit", "burst": "32KiB", "limit": 65536}
    wanted = {"kind": kind} | (bucket if kind in ("tbf", "htb") else {})
    with entered(host.netns_fd), up(DEVICE, wanted, 0, ETH1) as topology:
        assert topology.qdisc["kind"] == kind
        assert host.state()[2] != before[2]
    assert host.state() == before


@pytest.mark.anykernel
def test_frames_go_to_the_address_that_is_named(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    with entered(host.far_fd):
        receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        receiver.bind(("far", 3))
    with receiver:
        interface = DEVICE | {"dst": "02:AA:00:00:00:07"}
        assert run_here(device_matrix(on_host, interface=[interface]), *ALLOW).code == 0
        frame = receiver.recv(100)
    assert frame[:6].hex(":") == "02:aa:00:00:00:07"
    assert frame[6:12] == link.TX_MAC
    assert frame[12:14].hex() == "88b5"
    assert len(frame) == 64


@pytest.mark.anykernel
def test_a_device_beside_interfaces_of_our_own(on_host: Bench, run_here: Command) -> None:
    matrix = device_matrix(on_host, interface=["lo", "veth", DEVICE])
    assert run_here(matrix, *ALLOW).code == 0
    assert_sound(on_host.stored())


@pytest.mark.anykernel  # and its answer takes numpy, which guests lack
def test_a_program_sends_on_the_device(on_host: Bench, host: Host, run_here: Command) -> None:
    """Each permission is asked for by itself."""
    before = host.state()
    matrix = device_matrix(on_host, method=["send", sender("frames", content=BEGIN)])
    refused = run_here(matrix, *ALLOW)
    assert (refused.code, on_host.files()) == (2, [])
    assert refused.complaints[0].endswith("allow it with --allow-exec")
    assert run_here(matrix, *ALLOW, "--allow-exec").code == 0
    assert host.state() == before
    run = on_host.stored()
    assert [cell.engine for cell in run.cells] == ["send", "exec"]
    assert_sound(run)
    assert host.arrived() >= sum(sample.delivered for sample in run.samples)


@contextmanager
def others_send(host: Host) -> Iterator[None]:
    """A frame each millisecond, by the same device."""
    done = threading.Event()
    with entered(host.netns_fd):
        other = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        other.bind(("eth1", 0))

    def send() -> None:
        while not done.wait(0.001):
            other.send(bytes(100))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()
        other.close()


@pytest.mark.anykernel
def test_frames_of_others_are_counted_apart(on_host: Bench, host: Host, run_here: Command) -> None:
    with others_send(host):
        outcome = run_here(device_matrix(on_host, rounds=20), *ALLOW)
    assert outcome.code == 0, outcome
    run = on_host.stored()
    assert sum(sample.foreign for sample in run.samples)
    assert not run.failures
    for sample in run.samples:
        assert sample.delivered + sample.lost == sample.slice_completed + sample.foreign


# Permission


@pytest.mark.anykernel
def test_a_device_has_to_be_named_on_the_command_line(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    matrix = device_matrix(on_host, interface=["veth", DEVICE])
    for arguments in ([], ["--allow-device", "eth2"], ["--allow-device-in-use"]):
        outcome = run_here(matrix, *arguments)
        assert outcome.code == 2
        assert outcome.complaints == [
            "device eth1: is a real interface, on which frames leave this machine; "
            "allow it with --allow-device eth1"
        ]
    assert not on_host.results.exists()
    assert host.arrived() == 0
    assert run_here(matrix, "--filter", "interface=veth").code == 0


@pytest.mark.anykernel
def test_a_plan_needs_no_permission_and_says_which_a_run_needs(
    on_host: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = inside(capsys, "plan", device_matrix(on_host, interface=[DEVICE, "lo"]))
    assert outcome.code == 0
    facts = [line.split(maxsplit=1) for line in outcome.out.splitlines()]
    assert ["needs", "--allow-device eth1"] in facts


USES = {
    "address 10.0.0.1/24": ["address add 10.0.0.1/24 dev eth1"],
    "address fd00::1/64": ["address add fd00::1/64 dev eth1"],
    "default route (IPv4)": ["route add default dev eth1"],
    "default route (IPv6)": ["-6 route add default dev eth1 table 77"],
    "default route (IPv4) among hops": [
        "link add eth2 type ifb",
        "link set eth2 up",
        "route add default table 78 nexthop dev eth2 nexthop dev eth1",
    ],
    "top is on top of it": ["link add top link eth1 type macvlan"],
}


@pytest.mark.parametrize("use", USES)
def test_a_device_in_use_is_refused_unless_that_is_allowed_too(host: Host, use: str) -> None:
    host.sh("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6")
    for command in USES[use]:
        host.sh("ip", *command.split())
    what = use.removesuffix(" among hops")
    with pytest.raises(NotAllowed) as refused, entered(host.netns_fd), up(DEVICE, None, 0, ETH1):
        pass
    assert str(refused.value) == (
        f"device eth1: is in use: {what}; take another one, or say --allow-device-in-use"
    )
    in_use = Allowed(("eth1",), in_use=True)
    with entered(host.netns_fd), up(DEVICE, "pfifo", 0, in_use) as topology:
        assert topology.qdisc["kind"] == "pfifo"


@pytest.mark.anykernel
def test_a_device_in_use_ends_the_whole_run(on_host: Bench, host: Host, run_here: Command) -> None:
    host.sh("ip", "address", "add", "10.0.0.1/24", "dev", "eth1")
    host.sh("ip", "route", "add", "default", "via", "10.0.0.2")
    matrix = device_matrix(on_host, interface=["veth", DEVICE])
    outcome = run_here(matrix, *ALLOW)
    assert outcome.code == 2
    assert outcome.complaints == [
        "device eth1: is in use: address 10.0.0.1/24; default route (IPv4); "
        "take another one, or say --allow-device-in-use"
    ]
    assert not on_host.results.exists()
    outcome = run_here(matrix, *ALLOW, "--allow-device-in-use")
    assert outcome.code == 0
    assert "in use by others" in outcome.out
    assert "10.0.0.1" not in Path(on_host.stored().path).read_text()


def test_an_address_that_every_link_has_is_no_use(host: Host) -> None:
    host.sh("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6")
    host.sh("ip", "address", "replace", "fe80::1/64", "dev", "eth1", "nodad")
    with entered(host.netns_fd), up(DEVICE, None, 0, ETH1):
        pass


# Bad input

UNFIT: dict[str, list[str]] = {
    "does not exist in this network namespace; there are eth7": [
        "set eth1 down",
        "set eth1 name eth7",
    ],
    "is down; bench sets no device up: ip link set eth1 up": ["set eth1 down"],
    "is a port of br0 (bridge); take it out: ip link set eth1 nomaster": [
        "add br0 type bridge",
        "set eth1 master br0",
    ],
}


@needs_root  # elsewhere it says that the host's own are not there
@pytest.mark.parametrize("reason", UNFIT)
def test_a_device_that_cannot_be_sent_on_is_a_line(host: Host, reason: str) -> None:
    for command in UNFIT[reason]:
        host.sh("ip", "link", *command.split())
    with pytest.raises(UsageError) as refused, entered(host.netns_fd), up(DEVICE, None, 0, ETH1):
        pass
    assert str(refused.value) == f"device eth1: {reason}"


@pytest.mark.anykernel
def test_it_is_a_row_where_there_are_others(on_host: Bench, host: Host, run_here: Command) -> None:
    host.sh("ip", "link", "set", "eth1", "down")
    reason = "device eth1: is down; bench sets no device up: ip link set eth1 up"
    matrix = device_matrix(on_host, interface=["veth", DEVICE])
    assert run_here(matrix, *ALLOW).code == 4
    run = on_host.stored()
    assert list(run.failures.values()) == [reason]
    assert_rounds(run, rounds=5)
    alone = run_here(matrix, *ALLOW, "--filter", "interface=device")
    assert (alone.code, alone.complaints) == (2, [reason])
    assert len(on_host.files()) == 1


def test_a_device_without_a_carrier_or_the_loopback_is_a_line(host: Host) -> None:
    with entered(host.far_fd):
        subprocess.run(["ip", "link", "set", "far", "down"], check=True)
    lo = {"kind": "device", "name": "lo"}
    for interface, said in (
        (DEVICE, "device eth1: has no carrier; plug a cable in, or set its peer up"),
        (lo, "device lo: is the loopback; name the interface kind lo"),
    ):
        with (
            pytest.raises(UsageError, match=f"^{said}$"),
            entered(host.netns_fd),
            up(interface, None, 0, Allowed(("eth1", "lo"))),
        ):
            pass


def test_what_takes_no_ethernet_frames_is_a_line() -> None:
    tun = {"flags": 0x10001, "ifi_type": 65534, "ifname": "tun0"}  # ARPHRD_NONE
    assert device._unfit(None, tun) == "is no Ethernet interface (its type is 65534)"


def test_an_mtu_that_the_device_cannot_have_is_a_line(host: Host) -> None:
    host.sh("ip", "link", "add", "v0", "link", "eth1", "type", "macvlan")
    host.sh("ip", "link", "set", "v0", "up")
    with (
        pytest.raises(BenchError, match=r"^device v0 with MTU 8986: "),
        entered(host.netns_fd),
        up({"kind": "device", "name": "v0"}, "pfifo", 8986, Allowed(("v0",))),
    ):
        pass


@pytest.mark.anykernel
@pytest.mark.parametrize(
    ("interface", "said"),
    [
        (
            {"kind": "device", "name": "a-name-of-16-byt"},
            "interface name: a-name-of-16-byt has 16 bytes; "
            "the name of an interface has at most 15",
        ),
        (
            {"kind": "device", "name": "a/b"},
            "interface name: 'a/b' is no name of an interface; write one such as eth1",
        ),
        (
            {"kind": "device", "name": "ä" * 8},
            f"interface name: {'ä' * 8} has 16 bytes; the name of an interface has at most 15",
        ),
        (
            DEVICE | {"dst": "ff:ff:ff:ff:ff:ff"},
            "interface dst: ff:ff:ff:ff:ff:ff is a group address, which floods; "
            "write that of one station",
        ),
        (
            DEVICE | {"dst": "2:0:0:0:0:1"},
            "interface dst: '2:0:0:0:0:1' is no MAC address; write one such as 02:62:65:6e:63:ff",
        ),
        ("device", "interface: 'name' is missing; write {kind: 'device', name: 'eth1'}"),
    ],
)
def test_a_bad_value_has_its_place(
    bench: Bench, capsys: pytest.CaptureFixture[str], interface: Any, said: str
) -> None:
    (complaint,) = complaints(capsys, "plan", device_matrix(bench, interface=[interface]))
    place, complaint = complaint.split(": ", 1)
    assert place.split(":")[1:] != ["1", "1"]
    assert complaint == said


@pytest.mark.anykernel
def test_a_device_is_there_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = device_matrix(bench, qdisc=["noqueue", "pfifo"])
    assert "device eth1 is wanted in 2 ways (" in complaints(capsys, "plan", matrix)[0]
    assert inside(capsys, "plan", matrix, "--filter", "qdisc=pfifo").code == 0


HTB = "qdisc add dev eth1 root handle 1: htb"
NOT_RESTORABLE = {
    "htb 1: could not be put back as it was: it has class 1:7": [
        HTB,
        "class add dev eth1 parent 1: classid 1:7 htb rate 1mbit",
    ],
    "htb 1: could not be put back as it was: it has a u32 filter": [
        HTB,
        "filter add dev eth1 parent 1: prio 1 protocol all u32 match u32 0 0 flowid 1:1",
    ],
    "htb 1: could not be put back as it was: its options cannot be set as they are read back "
    f"(the kernel says {os.strerror(errno.EINVAL)})": [f"{HTB} default 7"],
    "mq 1: could not be put back as it was: it has qdisc pfifo below it with handle 2:": [
        "qdisc add dev eth1 root handle 1: mq",
        "qdisc add dev eth1 parent 1:2 handle 2: pfifo",
    ],
    "pfifo 1: could not be put back as it was: it has a size table": [
        "qdisc add dev eth1 root handle 1: stab overhead 24 pfifo"
    ],
}


@pytest.mark.parametrize("reason", NOT_RESTORABLE)
def test_a_qdisc_that_could_not_be_put_back_is_not_touched(host: Host, reason: str) -> None:
    for command in NOT_RESTORABLE[reason]:
        host.sh("tc", *command.split())
    before = host.state()
    with (
        pytest.raises(UsageError) as refused,
        entered(host.netns_fd),
        up(DEVICE, "pfifo", 8000, ETH1),
    ):
        pass
    assert str(refused.value) == (
        f"device eth1: its qdisc {reason}; remove it, or name no qdisc in the matrix"
    )
    assert host.state() == before
    with entered(host.netns_fd), up(DEVICE, None, 8000, ETH1):  # the MTU alone is no obstacle
        assert host.state()[2:] == before[2:]
    assert host.state() == before


def test_what_filters_the_egress_stays_where_it_is(host: Host) -> None:
    host.sh("tc", "qdisc", "add", "dev", "eth1", "clsact")
    before = host.state()
    with entered(host.netns_fd), up(DEVICE, "pfifo", 0, ETH1):
        assert host.state() != before
    assert host.state() == before


# Privileges

OF_THE_HOST = "device eth1: not in this user namespace (none); the host's own devices need root"


@pytest.mark.anykernel
@needs_root
@needs_setpriv
@pytest.mark.parametrize("prefix", [UNPRIVILEGED, ["unshare", "-Urn"]])
def test_without_root_the_devices_of_the_host_are_out_of_reach(
    on_host: Bench, host: Host, prefix: list[str]
) -> None:
    matrix = device_matrix(on_host, interface=["ifb", DEVICE])
    outcome = on_host("run", matrix, *ALLOW, prefix=prefix)
    assert outcome.code == 4, outcome
    assert list(on_host.stored().failures.values()) == [OF_THE_HOST]
    alone = on_host("run", matrix, *ALLOW, "--filter", "interface=device", prefix=prefix)
    assert (alone.code, alone.complaints) == (2, [OF_THE_HOST])


@pytest.mark.anykernel
@needs_root
@needs_setpriv
def test_where_there_is_no_user_namespace_it_needs_root(on_host: Bench, host: Host) -> None:
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    outcome = on_host("run", device_matrix(on_host), *ALLOW, prefix=prefix)
    assert outcome.code == 2
    (complaint,) = outcome.complaints
    assert complaint.startswith("device eth1: a real interface needs root: ")


# Two at a time


@pytest.mark.anykernel
def test_a_second_run_on_the_device_is_refused_as_a_whole(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    before = host.state()
    first = on_host.start("run", device_matrix(on_host, rounds=5000, qdisc=["pfifo"]), *ALLOW)
    wait_for(lambda: on_host.samples() > 0, "samples", first)
    files = on_host.files()
    second = run_here(device_matrix(on_host, interface=["veth", DEVICE]), *ALLOW)
    assert second.code == 2
    assert second.complaints == [
        f"device eth1: another run (process {first.pid}) uses it; wait for its end"
    ]
    assert on_host.files() == files
    # A run of anything else goes on beside it, and leaves what it finds of it alone.
    beside = run_here(on_host.matrix(NOTHING, name="other", rounds=20))
    assert (beside.code, len(beside.complaints)) == (0, 1)
    assert host.state() != before
    first.send_signal(signal.SIGINT)
    assert ended(first).code == -signal.SIGINT
    assert host.state() == before


def test_everybody_who_asks_is_told_which_run_has_it(host: Host) -> None:
    with journal.locked(host.port):
        for _ in range(10):
            with pytest.raises(NotAllowed, match=f"process {os.getpid()}"):
                journal.locked(host.port).__enter__()


def test_a_device_of_the_same_name_in_another_namespace_is_another_one(host: Host) -> None:
    with _host() as other, ExitStack() as stack:
        for each in (host, other):
            with entered(each.netns_fd):
                stack.enter_context(up(DEVICE, "pfifo", 0, ETH1))
        assert host.port.ifindex == other.port.ifindex
        with pytest.raises(NotAllowed, match="another run"), entered(other.netns_fd):
            stack.enter_context(up(DEVICE, "pfifo", 0, ETH1))
    assert host.state()[2].startswith("qdisc noqueue 0:")


# Interrupts


@pytest.mark.anykernel
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_gives_it_back(
    on_host: Bench, host: Host, number: signal.Signals
) -> None:
    host.set_qdisc(SET_BY_SOMEBODY["tbf"])
    before = host.state()
    matrix = device_matrix(on_host, rounds=5000, frame_size=[9000], qdisc=["pfifo"])
    process = on_host.start("run", matrix, *ALLOW)
    wait_for(lambda: on_host.samples() > 0, "samples", process)
    assert host.state() != before
    process.send_signal(number)
    outcome = ended(process)
    assert outcome.code == -number
    assert len(outcome.complaints) == 1
    assert host.state() == before


@pytest.mark.anykernel
def test_what_a_killed_run_left_is_put_back_by_the_next_one(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    host.set_qdisc(SET_BY_SOMEBODY["tbf"])
    before = host.state()
    matrix = device_matrix(on_host, rounds=5000, frame_size=[9000], qdisc=["pfifo"])
    process = on_host.start("run", matrix, *ALLOW)
    wait_for(lambda: on_host.samples() > 0, "samples", process)
    process.kill()
    ended(process)
    wait_for(lambda: not on_host.processes(), "the end of the worker")
    assert host.state() != before
    following = run_here(on_host.matrix(NOTHING, name="other", rounds=20))
    assert following.code == 0
    assert following.complaints[0] == (
        "after a run that was killed: device eth1: MTU put back to 1500, qdisc put back to tbf 9:"
    )
    assert host.state() == before
    assert len(run_here(on_host.matrix(NOTHING, name="other", rounds=20)).complaints) == 1


@pytest.mark.anykernel
def test_a_run_that_is_resumed_finds_the_device_as_it_was(
    on_host: Bench, host: Host, run_here: Command
) -> None:
    matrix = device_matrix(on_host)
    assert run_here(matrix, *ALLOW).code == 0
    unfinish(*on_host.files())
    host.sh("ip", "link", "set", "eth1", "txqueuelen", "7")
    outcome = run_here(matrix, *ALLOW, "--resume")
    assert outcome.code == 2
    assert "a device is not as it was" in outcome.complaints[0]


# The journal


def left_by_a_killed_run(host: Host, **changed: Any) -> None:
    """As if a run had been killed; its lock is gone with it."""
    port = host.port
    found = {"name": "eth1", "mtu": 1500, "qdisc": borrowed_qdisc.read(port)}
    entry: dict[str, Any] = found | {"mtu_set": None, "qdisc_set": None} | changed
    journal.write(port, journal.Entry(**entry))


def restored(host: Host) -> list[str]:
    with entered(host.netns_fd):
        return [line.removeprefix("after a run that was killed: ") for line in restore_all()]


def test_a_run_that_was_killed_before_it_changed_anything_left_nothing_to_do(host: Host) -> None:
    left_by_a_killed_run(host, mtu_set=9000, qdisc_set="pfifo")
    before = host.state()
    assert restored(host) == []
    assert host.state() == before


def test_what_somebody_has_changed_since_is_left_alone(host: Host) -> None:
    left_by_a_killed_run(host, mtu_set=9000, qdisc_set="pfifo")
    host.sh("ip", "link", "set", "eth1", "mtu", "4000")
    host.set_qdisc(SET_BY_SOMEBODY["tbf"])
    before = host.state()
    assert restored(host) == [
        "device eth1: MTU 4000 left alone, which is not bench's, "
        "qdisc tbf 9: left alone, which is not bench's"
    ]
    assert host.state() == before


def test_a_restore_that_was_killed_midway_is_gone_on_with(host: Host) -> None:
    """Ours is deleted, and what was there is not yet set."""
    host.set_qdisc(SET_BY_SOMEBODY["tbf"])
    before = host.state()
    left_by_a_killed_run(host, qdisc_set="pfifo")
    host.sh("tc", "qdisc", "del", "dev", "eth1", "root")
    assert restored(host) == ["device eth1: qdisc put back to tbf 9:"]
    assert host.state() == before


def test_a_device_that_is_gone_is_forgotten(host: Host) -> None:
    left_by_a_killed_run(host, mtu_set=9000, qdisc_set="pfifo")
    host.sh("ip", "link", "del", "eth1")
    assert restored(host) == ["device eth1: is gone"]


def test_a_device_under_another_name_is_found(host: Host) -> None:
    left_by_a_killed_run(host, qdisc_set="pfifo")
    host.set_qdisc(SET_BY_SOMEBODY["pfifo"])
    for command in ("set eth1 down", "set eth1 name eth7", "set eth7 up"):
        host.sh("ip", "link", *command.split())
    assert restored(host) == ["device eth1: qdisc put back to noqueue"]
    assert host.sh("tc", "qdisc", "show", "dev", "eth7").startswith("qdisc noqueue 0:")


def test_the_next_run_on_the_device_takes_what_was_found_first_for_its_own(host: Host) -> None:
    """Not what the run that was killed has set."""
    left_by_a_killed_run(host, qdisc_set="pfifo")
    host.set_qdisc(SET_BY_SOMEBODY["pfifo"])
    with entered(host.netns_fd), up(DEVICE, "bfifo", 0, ETH1):
        pass
    assert host.state()[2].startswith("qdisc noqueue 0:")


def test_what_cannot_be_put_back_is_said_and_kept(host: Host, state: Path) -> None:
    left_by_a_killed_run(
        host, qdisc=borrowed_qdisc.RootQdisc("nosuch", 0x10000, ""), qdisc_set="pfifo"
    )
    for _ in range(2):
        (line,) = restored(host)
        (path,) = state.iterdir()
        assert line == (
            "device eth1: cannot be given back as it was found (MTU 1500, qdisc nosuch 1:): "
            f"the kernel says {os.strerror(errno.ENOENT)}; put that right, "
            f"then remove {path}"
        )
    with pytest.raises(BenchError, match="cannot be given back"), entered(host.netns_fd):
        up(DEVICE, None, 0, ETH1).__enter__()
    path.unlink()


def test_where_the_mtu_cannot_be_put_back_the_qdisc_is_all_the_same(
    host: Host, state: Path
) -> None:
    host.set_qdisc(SET_BY_SOMEBODY["tbf"])
    before = host.state()
    left_by_a_killed_run(host, mtu=60, mtu_set=1500, qdisc_set="pfifo")  # a veth takes 68 at least
    host.set_qdisc(SET_BY_SOMEBODY["pfifo"])
    (line,) = restored(host)
    assert "(MTU 60, qdisc tbf 9:): MTU 60: " in line
    assert host.state() == before
    for path in state.iterdir():
        path.unlink()


def test_all_that_cannot_be_put_back_is_said(host: Host, state: Path) -> None:
    nosuch = borrowed_qdisc.RootQdisc("nosuch", 0x10000, "")
    left_by_a_killed_run(host, mtu=60, mtu_set=1500, qdisc=nosuch, qdisc_set="pfifo")
    (line,) = restored(host)
    no_such_kind = os.strerror(errno.ENOENT)
    assert re.search(f"found .*: MTU 60: .*; the kernel says {no_such_kind}; put", line)
    for path in state.iterdir():
        path.unlink()


def test_a_journal_of_another_boot_or_of_another_user_says_nothing(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by_a_killed_run(host, mtu=1400, mtu_set=1500)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert restored(host) == []
    monkeypatch.undo()
    monkeypatch.setenv("BENCH_STATE", str(state))
    monkeypatch.setattr(system_host, "boot_id", lambda: "another")
    assert restored(host) == []
    assert host.state()[0] == "1500"
    for path in state.iterdir():
        path.unlink()


@pytest.mark.anykernel
@pytest.mark.parametrize("text", ["", "[]", "{}", "\udcff"])
def test_a_journal_that_is_none_is_one_line(host: Host, state: Path, text: str) -> None:
    path = journal.path_of(host.port)
    path.write_text(text, errors="surrogateescape")
    reason = "no JSON object with the id of a boot"
    assert restored(host) == [f"{path}: not what bench wrote ({reason}); remove it"]
    path.unlink()


@pytest.mark.anykernel
@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"mtu": "x"}, "mtu is 'x'"),
        ({"mtu_set": -5}, "mtu_set is -5"),
        ({"mtu": 2**32}, "mtu is 4294967296"),
        ({"qdisc": ["pfifo"]}, "qdisc is ['pfifo']"),
        ({"qdisc": {"handle": "1:"}}, "qdisc.kind is missing"),
        (
            {"qdisc": {"kind": "pfifo", "handle": 0, "options": "0g", "below": []}},
            "qdisc.options is '0g'",
        ),
    ],
)
def test_a_journal_with_an_odd_value_is_one_line(
    host: Host, state: Path, odd: dict[str, Any], reason: str
) -> None:
    left_by_a_killed_run(host, mtu_set=9000, qdisc_set="pfifo")
    (path,) = state.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | odd))
    assert restored(host) == [f"{path}: not what bench wrote ({reason}); remove it"]
    path.unlink()


def test_where_no_journal_can_be_written_nothing_is_changed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_STATE", "/nowhere")
    before = host.state()
    with (
        pytest.raises(
            BenchError,
            match=f"cannot note in /nowhere how it was found: {os.strerror(errno.ENOENT)}",
        ),
        entered(host.netns_fd),
        up(DEVICE, "pfifo", 0, ETH1),
    ):
        pass
    assert host.state() == before


def test_where_the_folder_is_full_nothing_is_left_in_it(host: Host) -> None:
    journal.path_of(host.port).with_suffix(".new").symlink_to("/dev/full")
    with (
        pytest.raises(BenchError, match="how it was found: No space left on device"),
        entered(host.netns_fd),
    ):
        up(DEVICE, "pfifo", 0, ETH1).__enter__()


def test_an_interrupt_while_it_is_given_back_comes_afterwards(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back = borrowed_qdisc.put_back

    def interrupted(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        put_back(*arguments)

    monkeypatch.setattr(borrowed_qdisc, "put_back", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        entered(host.netns_fd),
        signals.raising(),
        up(DEVICE, "pfifo", 0, ETH1),
    ):
        pass
    assert host.state()[2].startswith("qdisc noqueue 0:")


# The doctor


@pytest.mark.anykernel
def test_the_doctor_tries_a_device_that_is_allowed(
    on_host: Bench, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.set_qdisc(SET_BY_SOMEBODY["pfifo"])
    before = host.state()
    matrix = device_matrix(on_host, qdisc=["bfifo"])
    outcome = inside(capsys, "doctor", matrix, *ALLOW)
    assert outcome.code == 0
    assert "all 1 cells can run here" in outcome.out
    assert host.state() == before
    outcome = inside(capsys, "doctor", matrix, "--format", "json")
    assert outcome.code == 0
    (reason,) = json.loads(outcome.out)["unrunnable"].values()
    assert reason.endswith("allow it with --allow-device eth1")


@pytest.mark.anykernel
def test_the_doctor_knows_the_devices_of_a_matrix(bench: Bench) -> None:
    from bench.matrix import load

    loaded = load.load(device_matrix(bench, interface=["lo", DEVICE]), vocabulary())
    planned = plan.make_plan(loaded, vocabulary())
    assert needs.needs_of(planned, memory_of).devices == ("eth1",)


# What it is


def test_what_a_driver_does_not_tell_is_left_out(host: Host) -> None:
    with entered(host.netns_fd):
        facts = ethtool.read("eth1")
        assert ethtool.read("nosuch") == {}
    assert (facts["driver"], facts["channels"]) == ("veth", {"rx": 1, "tx": 2, "combined": 0})
    assert "rings" not in facts
    assert "bus" not in facts or facts["bus"]


@pytest.mark.skipif(shutil.which("ethtool") is None, reason="ethtool is missing")
def test_ethtool_says_the_same(host: Host) -> None:
    """Of the features to which it has given no names of its own: those are indented."""
    with entered(host.netns_fd):
        features = set(ethtool.read("eth1")["features"])
    shown = dict(re.findall(r"^\t([\w-]+): (on|off)", host.sh("ethtool", "-k", "eth1"), re.M))
    assert len(shown) > 5
    assert {name for name, state in shown.items() if state == "on"} <= features
    assert features.isdisjoint(name for name, state in shown.items() if state == "off")


def test_a_device_is_described_as_it_was_found(host: Host) -> None:
    host.set_qdisc(SET_BY_SOMEBODY["pfifo with a handle"])
    with entered(host.netns_fd):
        facts = describe(["eth1", "nosuch"])["eth1"]
    assert (facts.qdisc, facts.mtu, facts.tx_queues) == ("pfifo 5:", 1500, 2)


def test_what_another_run_has_set_is_not_how_a_device_was_found(host: Host) -> None:
    with (
        entered(host.netns_fd),
        up(DEVICE, "pfifo", 8000, ETH1),
        pytest.raises(NotAllowed, match="eth1: another run"),
    ):
        describe(["eth1"])


def test_nor_is_what_a_killed_run_has_left(host: Host) -> None:
    left_by_a_killed_run(host, mtu_set=9000, qdisc_set="pfifo")
    host.sh("ip", "link", "set", "eth1", "mtu", "9000")
    host.set_qdisc(SET_BY_SOMEBODY["pfifo"])
    with entered(host.netns_fd):
        facts = describe(["eth1"])["eth1"]
    assert (facts.qdisc, facts.mtu) == ("noqueue", 1500)


def test_permission_is_asked_for_every_device() -> None:
    with pytest.raises(UsageError) as refused:
        device.check_allowed(["eth1", "eth2"], Allowed(("eth3",)))
    assert len(str(refused.value).splitlines()) == 2
