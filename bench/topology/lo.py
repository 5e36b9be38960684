"""The loopback interface of a namespace of its own: sender and receiver in one.

drivers/net/loopback.c: no qdisc (IFF_NO_QUEUE) and no device queue. ``loopback_xmit`` hands
the frame to ``netif_rx``, and counts it, without its Ethernet header, as sent and received if
the softnet backlog took it. If not, only the softnet counters show it; the sender gets no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.model.vocabulary import KindInfo
from bench.system import netns
from bench.topology import Delivery, link


class LoOptions(link.Options):
    """lo has no options."""


LO_MTU = 65536
_NO_MAC = bytes(6)


@contextmanager
def create(_options: LoOptions, mtu: int) -> Iterator[link.Link]:
    with netns.private_netns() as netns_fd:
        if mtu > LO_MTU:
            _raise_mtu(netns_fd, mtu)
        port = link.set_up(netns_fd, "lo")
        link.wait_until_up(port)
        yield link.Link(
            tx=port,
            rx=(port,),
            sinks=(port,),
            src_mac=_NO_MAC,
            dst_mac=_NO_MAC,
            delivery=Delivery(header_left_out=link.ETHERNET_HEADER, hidden_backlog=True),
        )


def _raise_mtu(netns_fd: int, mtu: int) -> None:
    with link.rtnl(netns_fd) as ip, link.refusals(f"interface lo with MTU {mtu}"):
        ip.link("set", index=link.port_of(netns_fd, "lo").ifindex, mtu=mtu)


KIND = link.Kind(
    info=KindInfo(
        name="lo",
        help="loopback: no qdisc, no device; the sender runs the receive path as well",
        options=LoOptions,
        takes_qdisc=False,
        refuses_xdp=lambda _options: "lo takes none; name another interface",
    ),
    create=create,
)
