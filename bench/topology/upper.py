"""What stands on another device: a veth pair below, whose far end is in a second namespace.

A device above hands each frame to the one below (``dev_queue_xmit``), which has no qdisc. Where
that one drops it, both count it as tx_dropped, on some kernels the lower one alone: so the count of
the lower one is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.system import netns
from bench.topology import Port, link, veth

LOWER_TX, LOWER_RX = "lower0", "lower1"
_LOWER_MAC = link.TX_MAC[:4] + bytes([3, 0])
_FAR_MAC = link.TX_MAC[:4] + bytes([3, 0xFF])


@dataclass(frozen=True, slots=True)
class Lower:
    """Both ends of the pair, which are up."""

    tx: Port
    rx: Port


@contextmanager
def pair(options: link.EthernetOptions, mtu: int, near_mac: bytes = _LOWER_MAC) -> Iterator[Lower]:
    with netns.private_netns() as near, netns.private_netns() as far:
        ends = veth.End(LOWER_TX, near_mac), veth.End(LOWER_RX, _FAR_MAC)
        veth.add_pair(near, far, *ends, link.mtu_of(options, mtu), options.queues)
        rx = link.set_up(far, LOWER_RX)
        tx = link.set_up(near, LOWER_TX)
        link.wait_until_up(rx)
        link.wait_until_up(tx)
        yield Lower(tx, rx)


def add_sender(
    kind: str, lower: Port, options: link.EthernetOptions, mtu: int, **attributes: Any
) -> Port:
    """The device above that sends, with what EthernetOptions say of it."""
    here = {"num_tx_queues": options.queues, **link.queue_length(options), **attributes}
    end = veth.End(link.TX_NAME, link.TX_MAC)
    port = add(kind, lower, lower.netns_fd, end, link.mtu_of(options, mtu), here)
    link.add_egress_filters(port, options.filters)
    return port


def add(
    kind: str,
    lower: Port,
    netns_fd: int,
    end: veth.End,
    mtu: int,
    attributes: Mapping[str, Any],
) -> Port:
    """A device above another one, in whichever namespace; it is up."""
    with link.rtnl(lower.netns_fd) as ip:
        link.add_link(
            ip,
            kind,
            ifname=end.ifname,
            address=end.mac.hex(":"),
            link=lower.ifindex,
            mtu=mtu,
            net_ns_fd=netns_fd,
            **attributes,
        )
    port = link.set_up(netns_fd, end.ifname)
    link.wait_until_up(port)
    return port
