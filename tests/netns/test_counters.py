from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.measure.accounting import Accounting, Delta, account, delivered_bytes, delta
from bench.measure.counters import CounterReader
from bench.system import netns
from bench.topology import Port, Topology, entered
from bench.topology import link as link_module
from bench.topology.kinds import largest_frame, up
from bench.topology.link import rtnl
from tests.running import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20
FRAMES = 1000
TBF = {"kind": "tbf", "rate": "1gbit", "burst": "32KiB", "limit": "4MiB"}
HTB = {"kind": "htb", "rate": "1gbit", "burst": "32KiB"}
SLOW_AND_SHORT = {"kind": "tbf", "rate": "200kbit", "burst": 2000, "limit": 3000}
"""Full after 50 frames of 100 bytes, and empty again 0.12 s later: no sender is that slow."""
STANDING = {"kind": "tbf", "rate": "8kbit", "burst": 2000, "limit": 100_000}
"""Passes 10 frames of 100 bytes a second: what is queued is still there when it is looked at.

Some 270 fill the sender's sndbuf, and it waits.
"""


@dataclass
class Sent:
    """What a sender knows of its frames."""

    completed: int = 0
    refused: int = 0


def send(topology: Topology, count: int, size: int = 64, *, bypass: bool = False) -> Sent:
    """Send frames from a packet socket of protocol 0, which waits for room in its sndbuf alone."""
    with entered(topology.tx.netns_fd):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    frame = (topology.dst_mac + topology.src_mac + b"\x88\xb5").ljust(size, b"x")
    sent = Sent()
    with sender:
        sender.bind((topology.tx.ifname, 0))
        sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, int(bypass))
        for _ in range(count):
            try:
                sender.send(frame)
                sent.completed += 1
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                sent.refused += 1
    return sent


class Watched:
    """A topology whose counters were read when it was opened."""

    def __init__(self, topology: Topology, reader: CounterReader) -> None:
        self.topology = topology
        self.reader = reader
        self.before = reader.read()

    def change(self, *, drained: bool = True) -> Delta:
        """Once drained the last frame is under way: it is counted when nothing changes any more."""
        deadline = time.monotonic() + 30
        after = self.reader.read()
        while drained:
            time.sleep(0.01)
            last, after = after, self.reader.read()
            if not after.queued and (last.sinks, last.qdisc) == (after.sinks, after.qdisc):
                break
            assert time.monotonic() < deadline, "the qdisc does not drain"
        return delta(self.before, after)

    def account(self, sent: Sent, size: int = 64, *, drained: bool = True) -> Accounting:
        return account(
            self.change(drained=drained),
            self.topology.delivery,
            frame_size=size,
            completed=sent.completed,
            refused=sent.refused,
        )


@contextmanager
def watched(interface: str, qdisc: Any = "noqueue") -> Iterator[Watched]:
    with up(interface, qdisc, 9000) as topology, CounterReader(topology) as reader:
        yield Watched(topology, reader)


def set_state(port: Port, state: str) -> None:
    with rtnl(port.netns_fd) as ip:
        ip.link("set", index=port.ifindex, state=state)


# All that is sent is counted


@pytest.mark.parametrize(
    ("interface", "qdisc"),
    [
        ("lo", "noqueue"),
        ("veth", "noqueue"),
        ("veth", "pfifo"),
        ("veth", "bfifo"),
        ("veth", TBF),
        ("veth", HTB),
        ("ifb", "noqueue"),
        ("ifb", "pfifo"),
        ("ifb", TBF),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else value,
)
def test_every_frame_is_counted_once_with_its_length(interface: str, qdisc: Any) -> None:
    with watched(interface, qdisc) as opened:
        for size in (14, 64, 1514, 9000):
            link = Watched(opened.topology, opened.reader)
            sent = send(link.topology, FRAMES, size)
            change = link.change()
            accounting = link.account(sent, size)
            assert sent == Sent(FRAMES, 0)
            assert (accounting.delivered, accounting.problem) == (FRAMES, ""), size
            assert delivered_bytes(change, link.topology.delivery) == FRAMES * size


@pytest.mark.parametrize("qdisc", ["pfifo", TBF, HTB], ids=["pfifo", "tbf", "htb"])
def test_the_qdisc_counts_what_passes_through_it(qdisc: Any) -> None:
    with watched("veth", qdisc) as link:
        send(link.topology, FRAMES, 100)
        passed = link.change().qdisc
        send(link.topology, FRAMES, 100, bypass=True)
        assert link.change().qdisc == passed
    assert (passed.packets, passed.bytes, passed.drops) == (FRAMES, FRAMES * 100, 0)


def test_a_shaped_qdisc_reports_its_queue() -> None:
    with watched("veth", STANDING) as link:
        send(link.topology, 200, 100)
        queued = link.change(drained=False).queued_after
    assert 0 < queued <= 200


# Nothing else is


@pytest.mark.parametrize("interface", ["lo", "veth", "ifb"])
@pytest.mark.parametrize("may_write_sysctls", [True, False])
def test_a_fresh_link_is_silent(
    monkeypatch: pytest.MonkeyPatch, may_write_sysctls: bool, interface: str
) -> None:
    if not may_write_sysctls:  # in a container
        monkeypatch.setattr(netns, "_switch_ipv6_off", lambda: None)
    with watched(interface) as link:
        assert addresses(link.topology) == [], "who has one asks for neighbours, sooner or later"
        change = link.change()
    assert set(change.tx) == {0}
    assert set(change.sinks[0]) == {0}


def addresses(topology: Topology) -> list[str]:
    """IPv6 addresses in the link's namespaces, but for lo's: lines of /proc/net/if_inet6."""
    found = []
    for netns_fd in topology.netns_fds:
        with entered(netns_fd), suppress(FileNotFoundError):
            found += Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    return [line for line in found if line.split()[-1] != "lo"]


def test_with_ipv6_a_fresh_link_would_not_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    monkeypatch.setattr(netns, "_switch_ipv6_off", lambda: None)
    monkeypatch.setattr(link_module, "_keep_quiet", lambda *_: None)
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this kernel has no IPv6")
    with watched("veth") as link:
        assert addresses(link.topology)
        wait_for(lambda: link.account(Sent()).foreign, "frames of the link's own")


def test_foreign_frames_are_found() -> None:
    with watched("veth") as link:
        sent = send(link.topology, FRAMES)
        send(link.topology, 5, 100)
        accounting = link.account(sent)
    assert accounting.foreign == 5
    assert accounting.problem == "5 foreign frames"


@pytest.mark.parametrize("interface", ["lo", "veth", "ifb"])
def test_frames_of_another_length_are_found(interface: str) -> None:
    with watched(interface) as link:
        accounting = link.account(send(link.topology, FRAMES, 60), 64)
    assert accounting.problem == "wrong length: 60 bytes per frame, 64 meant"


# What is missing is explained, or not


@pytest.mark.parametrize("interface", ["veth", "ifb"])
def test_frames_refused_by_a_full_qdisc_are_not_missing(interface: str) -> None:
    with watched(interface, SLOW_AND_SHORT) as link:
        sent = send(link.topology, FRAMES, 100)
        accounting = link.account(sent, 100)
    assert sent.refused > 0
    assert sent.completed + sent.refused == FRAMES
    assert accounting == Accounting(
        delivered=sent.completed,
        lost=0,
        qdisc_drops=sent.refused,
        device_drops=0,
        softnet_drops=0,
        foreign=0,
        problems=(),
    )


def test_qdisc_drops_that_the_sender_was_not_told_of_explain_what_is_missing() -> None:
    with watched("veth", SLOW_AND_SHORT) as link:
        sent = send(link.topology, FRAMES, 100)
        blind = Sent(completed=FRAMES)
        accounting = link.account(blind, 100)
    assert accounting.delivered == sent.completed
    assert accounting.lost == sent.refused
    assert accounting.problem == ""


def test_device_drops_behind_a_qdisc_explain_what_is_missing() -> None:
    """The peer's MTU is too small: veth drops, and pfifo's sender is not told."""
    with watched("veth", "pfifo") as link:
        with rtnl(link.topology.rx[0].netns_fd) as ip:
            ip.link("set", index=link.topology.rx[0].ifindex, mtu=68)
        sent = send(link.topology, FRAMES, 200)
        accounting = link.account(sent, 200)
    assert sent == Sent(completed=FRAMES)
    assert (accounting.delivered, accounting.device_drops, accounting.lost) == (0, FRAMES, FRAMES)
    assert accounting.problem == ""


def test_device_drops_without_a_qdisc_are_refusals() -> None:
    with watched("veth") as link:
        with rtnl(link.topology.rx[0].netns_fd) as ip:
            ip.link("set", index=link.topology.rx[0].ifindex, mtu=68)
        sent = send(link.topology, FRAMES, 200)
        accounting = link.account(sent, 200)
    assert sent == Sent(refused=FRAMES)
    assert (accounting.delivered, accounting.device_drops, accounting.lost) == (0, FRAMES, 0)
    assert accounting.problem == ""


def test_frames_bypassing_the_qdisc_without_a_carrier_are_refused_by_the_device() -> None:
    with watched("veth") as link:
        set_state(link.topology.rx[0], "down")
        sent = send(link.topology, FRAMES, bypass=True)
        accounting = link.account(sent)
    assert sent == Sent(refused=FRAMES)
    assert (accounting.delivered, accounting.device_drops, accounting.lost) == (0, FRAMES, 0)
    assert accounting.problem == ""


@pytest.mark.parametrize("rate", ["10mbit", "10gbit", "100gbit"])
def test_a_frame_as_long_as_the_burst_passes_at_any_rate_and_a_longer_one_never(rate: str) -> None:
    tbf = {"kind": "tbf", "rate": rate, "burst": 2000, "limit": 100_000}
    assert largest_frame(tbf) == 2000
    with watched("veth", tbf) as link:
        assert send(link.topology, 10, 2000) == Sent(completed=10)
        assert send(link.topology, 10, 2001) == Sent(refused=10)


def test_frames_that_nothing_explains_are_a_problem() -> None:
    with watched("veth") as link:
        send(link.topology, FRAMES - 10)
        accounting = link.account(Sent(completed=FRAMES))
    assert accounting.problem == "delivered 990 of 1000 completed, 10 unexplained"


def test_frames_still_queued_at_either_edge_are_a_problem() -> None:
    with watched("veth", STANDING) as link:
        sent = send(link.topology, 200, 100)
        at_the_end = link.account(sent, 100, drained=False)
        later = Watched(link.topology, link.reader)
        at_the_start = later.account(Sent(), 100, drained=False)
    assert at_the_end.problem.endswith(" frames still in the qdisc")
    assert "frames in the qdisc before the slice" in at_the_start.problem


# The reader


def test_a_reader_holds_nothing_once_it_is_closed() -> None:
    with up("veth", TBF) as topology:
        before = [*Path("/proc/self/fd").iterdir()]
        reader = CounterReader(topology)
        with reader:
            assert len([*Path("/proc/self/fd").iterdir()]) == len(before) + 3
        assert [*Path("/proc/self/fd").iterdir()] == before
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            reader.read()


def test_a_link_that_is_gone_is_an_error_in_one_line() -> None:
    with watched("ifb") as link:
        with rtnl(link.topology.tx.netns_fd) as ip:
            ip.link("del", index=link.topology.tx.ifindex)
        with pytest.raises(
            BenchError, match=f"cannot read the kernel's counters: {os.strerror(errno.ENODEV)}"
        ):
            link.reader.read()
