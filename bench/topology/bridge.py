"""Two veth pairs with a bridge between them, as containers on one machine have it.

The sender has one end of the first pair, in a namespace of its own; the other end is a port of the
bridge, and so is one end of the second pair, whose other end receives, in a third namespace.
net/bridge/br_input.c: ``br_handle_frame`` takes a frame from the port, where it arrived in the
sender's softirq. The bridge knows the receiver's address (an entry of its table that does not age);
frames of several flows have others, which it floods to the one other port. Each veth counts what it
drops.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.model.vocabulary import KindInfo
from bench.system import netns
from bench.topology import Delivery, Port, link, veth

_PORTS = tuple(veth.End(f"port{n}", link.TX_MAC[:4] + bytes([4, n])) for n in range(2))
_NAME = "bridge"
_NTF_MASTER, _NUD_NOARP = 0x04, 0x40
"""include/uapi/linux/neighbour.h"""


class BridgeOptions(link.EthernetOptions):
    """Options of a bridge, and of the pairs on its sides."""


@contextmanager
def create(options: BridgeOptions, mtu: int) -> Iterator[link.Link]:
    with ExitStack() as stack:
        near, middle, far = (stack.enter_context(netns.private_netns()) for _ in range(3))
        size, length = link.mtu_of(options, mtu), link.queue_length(options)
        here, there = veth.End(link.TX_NAME, link.TX_MAC), veth.End(link.RX_NAME, link.RX_MAC)
        veth.add_pair(near, middle, here, _PORTS[0], size, options.queues, length)
        veth.add_pair(middle, far, _PORTS[1], there, size, options.queues)
        rx = link.set_up(far, link.RX_NAME)
        ports = _bridged(middle, size)
        tx = link.set_up(near, link.TX_NAME)
        for port in (rx, *ports, tx):
            link.wait_until_up(port)
        link.add_egress_filters(tx, options.filters)
        yield link.Link(
            tx=tx,
            rx=(rx,),
            sinks=(rx,),
            droppers=(tx, ports[1]),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            # The bridge has them beside the frames.
            delivery=Delivery(tag_left_out=True),
        )


def _bridged(netns_fd: int, mtu: int) -> tuple[Port, Port]:
    """Make the bridge, put both ports in, and tell it where the receiver is."""
    with link.rtnl(netns_fd) as ip:
        # A bridge that snoops for multicast groups may ask for their members.
        link.add_link(ip, "bridge", ifname=_NAME, mtu=mtu, br_mcast_snooping=0)
        bridge = link.set_up(netns_fd, _NAME)
        first, second = (link.set_up(netns_fd, end.ifname) for end in _PORTS)
        with link.refusals("bridge: cannot take its ports"):
            for port in (first, second):
                ip.link("set", index=port.ifindex, master=bridge.ifindex)
            ip.fdb(
                "replace",
                ifindex=second.ifindex,
                lladdr=link.RX_MAC.hex(":"),
                family=socket.AF_BRIDGE,
                flags=_NTF_MASTER,
                state=_NUD_NOARP,
            )
    return first, second


KIND = link.Kind(
    info=KindInfo(
        name="bridge",
        help="a veth into a bridge, and one out of it to the receiver",
        options=BridgeOptions,
        refuses_xdp=lambda _options: (
            "its veth has a port of a bridge as its peer, without NAPI; name another interface"
        ),
    ),
    create=create,
)
