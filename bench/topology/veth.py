"""A veth pair across two namespaces of its own: what is sent at one end arrives at the other.

drivers/net/veth.c: ``veth_xmit`` hands the frame to the peer's ``netif_rx``. Only then is it
counted, whole, as sent here and received there. If the softnet backlog is full it counts as
tx_dropped here, and a sender without a queueing qdisc is told (NET_XMIT_DROP, ENOBUFS).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field

from bench.model import KindInfo
from bench.topology import link, netns


class VethOptions(link.Options):
    """What a veth pair may have."""

    filters: int = Field(default=0, ge=0, le=link.MAX_FILTERS)
    """u32 filters on the sending end's egress hook, none of which matches."""


@contextmanager
def create(options: VethOptions, mtu: int) -> Iterator[link.Link]:
    with netns.private_netns() as near, netns.private_netns() as far:
        _add_pair(near, far, max(mtu, link.ETHERNET_MTU))
        # The peer first: then the sending end has its carrier when it is opened, and its qdisc
        # is attached there and then, not some time later by the link watch.
        rx = link.set_up(far, link.RX_NAME)
        tx = link.set_up(near, link.TX_NAME)
        link.wait_until_up(rx)
        link.add_egress_filters(tx, options.filters)
        yield link.Link(
            tx=tx,
            rx=rx,
            sinks=(rx,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            mtu=link.wait_until_up(tx),
        )


def _add_pair(near: int, far: int, mtu: int) -> None:
    """Both ends in one request, so that neither is ever in the other's namespace.

    The peer has the same MTU: ``is_skb_forwardable`` drops what is longer than its own.
    """
    peer = {
        "ifname": link.RX_NAME,
        "address": link.RX_MAC.hex(":"),
        "mtu": mtu,
        "net_ns_fd": far,
    }
    with link.rtnl(near) as ip:
        link.add_link(
            ip,
            "veth",
            ifname=link.TX_NAME,
            address=link.TX_MAC.hex(":"),
            mtu=mtu,
            peer=peer,
        )


KIND = link.Kind(
    info=KindInfo(
        name="veth",
        help="virtual Ethernet pair, the peer in a second namespace",
        options=VethOptions,
    ),
    create=create,
    delivery=link.Delivery(),
)
