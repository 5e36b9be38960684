"""An intermediate functional block device as a sink: the cheapest device to send to.

drivers/net/ifb.c: ``ifb_xmit`` counts every frame, whole, as received; one that did not come
by a redirect has nowhere to go and is freed at once, counted as rx_dropped. That is delivery.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.model.vocabulary import KindInfo
from bench.system import netns
from bench.topology import link


class IfbOptions(link.EthernetOptions):
    """Options of an ifb."""


@contextmanager
def create(options: IfbOptions, mtu: int) -> Iterator[link.Link]:
    with netns.private_netns() as netns_fd:
        with link.rtnl(netns_fd) as ip:
            link.add_link(
                ip,
                "ifb",
                ifname=link.TX_NAME,
                address=link.TX_MAC.hex(":"),
                mtu=link.mtu_of(options, mtu),
                num_tx_queues=options.queues,
                **link.queue_length(options),
            )
        port = link.set_up(netns_fd, link.TX_NAME)
        link.add_egress_filters(port, options.filters)
        link.wait_until_up(port)
        yield link.Link(
            tx=port,
            rx=(),
            sinks=(port,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
        )


KIND = link.Kind(
    info=KindInfo(
        name="ifb",
        help="a sink without a receive path: the cheapest device",
        options=IfbOptions,
        refuses_xdp=lambda _options: "an ifb takes none; name another interface",
    ),
    create=create,
    module=("ifb", "numifbs=0"),
)
