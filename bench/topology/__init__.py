"""Interfaces to send on, each with a qdisc, in network namespaces of their own.

A worker that receives a Topology imports this module, which needs only Python's own library.
``kinds`` has the tables of kinds and sets interfaces up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.system.netns import entered

__all__ = ["NO_QDISC", "Delivery", "Port", "Topology", "entered"]

NO_QDISC = "noqueue"


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link: an interface in a namespace."""

    netns_fd: int
    ifindex: int
    ifname: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the kernel counts frames that were delivered over a link.

    ``direction`` names the counters of the sinks: ``rx`` (rx_packets, rx_bytes) or ``tx``.
    ``header_left_out``: bytes per frame that the byte counter leaves out; ``tag_left_out``: and the
    VLAN tag of one that has it, which was taken out before (net/core/skbuff.c, ``skb_vlan_untag``).
    ``hidden_backlog``: a frame dropped at a full softnet backlog shows in no drop counter of
    the sending device, only in /proc/net/softnet_stat. ``copies`` of each frame arrive.
    ``late_s``: a counter may rise up to this many seconds after the sender got its frame back (in
    another CPU's softirq, or by hardware). ``others_send``: others may send by it, too; a few of
    their frames are no fault. ``may_pad``: the byte counter may count padding and FCS.
    ``tolerates_foreign``: a check of frames by these counters skips the frames of others.
    """

    direction: Literal["rx", "tx"] = "rx"
    header_left_out: int = 0
    tag_left_out: bool = False
    hidden_backlog: bool = False
    copies: int = 1
    late_s: float = 0.005
    others_send: bool = False
    may_pad: bool = False
    tolerates_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """An interface that is up with its qdisc; plain values, fit for another process.

    ``qdisc`` is the canonical value in effect. Senders open their sockets at ``tx``. Frames arrive
    and can be captured at ``rx`` (lo: the same port; ifb, dummy and device: none); a tap's reader
    copies them to the socket ``mirror`` while it is asked. The kernel counts delivered frames at
    ``sinks``, as ``delivery`` describes, and those that a device on the way drops at ``droppers``.
    Each of ``queues`` has a qdisc of its own (a bond: its slaves). ``rewrites_source``: frames may
    arrive with another source address; ``may_reorder``: or in another order; ``may_lose``: or not
    at all.
    """

    qdisc: dict[str, Any]
    tx: Port
    rx: tuple[Port, ...]
    sinks: tuple[Port, ...]
    queues: tuple[Port, ...]
    droppers: tuple[Port, ...]
    src_mac: bytes
    dst_mac: bytes
    delivery: Delivery
    mirror: int | None = None
    rewrites_source: bool = False
    may_reorder: bool = False
    may_lose: bool = False

    @property
    def netns_fds(self) -> tuple[int, ...]:
        """The descriptors of all its namespaces."""
        ports = (self.tx, *self.rx, *self.sinks, *self.queues, *self.droppers)
        return tuple(sorted({port.netns_fd for port in ports}))

    @property
    def fds(self) -> tuple[int, ...]:
        """The descriptors that another process needs."""
        return self.netns_fds if self.mirror is None else (*self.netns_fds, self.mirror)

    def by(self, fds: Mapping[int, int]) -> Topology:
        """The same, as a process has it that was handed its descriptors: each is now that here."""

        def moved(ports: tuple[Port, ...]) -> tuple[Port, ...]:
            return tuple(replace(port, netns_fd=fds[port.netns_fd]) for port in ports)

        return replace(
            self,
            tx=moved((self.tx,))[0],
            rx=moved(self.rx),
            sinks=moved(self.sinks),
            queues=moved(self.queues),
            droppers=moved(self.droppers),
            mirror=None if self.mirror is None else fds[self.mirror],
        )
