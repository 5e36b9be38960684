"""A device that swallows what is sent to it, alone in a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from bench.system import netns
from bench.topology import Delivery, link


def creator(
    kind: str, delivery: Delivery
) -> Callable[[link.EthernetOptions, int], AbstractContextManager[link.Link]]:
    """The ``create`` of a kind of the kernel; ``delivery``: its own counters that say delivered."""

    @contextmanager
    def create(options: link.EthernetOptions, mtu: int) -> Iterator[link.Link]:
        with netns.private_netns() as netns_fd:
            with link.rtnl(netns_fd) as ip:
                link.add_link(
                    ip,
                    kind,
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
                delivery=delivery,
            )

    return create
