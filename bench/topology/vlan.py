"""A VLAN device on each end of a veth pair: the kernel tags frames, and takes the tag out again.

net/8021q/vlan_dev.c: ``vlan_dev_hard_start_xmit`` writes the tag beside the frame, which veth
carries so, and hands it to the device below. At the peer ``vlan_do_receive`` counts it for the VLAN
device, without its Ethernet header.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field

from bench.model.vocabulary import KindInfo
from bench.topology import Delivery, link, upper, veth


class VlanOptions(link.EthernetOptions):
    """Options of a VLAN device."""

    id: int = Field(default=1, strict=True, ge=1, le=4094)
    """The VLAN's number, in the tag of IEEE 802.1Q."""


@contextmanager
def create(options: VlanOptions, mtu: int) -> Iterator[link.Link]:
    with upper.pair(options, mtu) as lower:
        tag = {"vlan_id": options.id}
        end = veth.End(link.RX_NAME, link.RX_MAC)
        size = link.mtu_of(options, mtu)
        rx = upper.add("vlan", lower.rx, lower.rx.netns_fd, end, size, tag)
        yield link.Link(
            tx=upper.add_sender("vlan", lower.tx, options, mtu, **tag),
            rx=(rx,),
            sinks=(rx,),
            droppers=(lower.tx,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            delivery=Delivery(header_left_out=link.ETHERNET_HEADER),
        )


KIND = link.Kind(
    info=KindInfo(
        name="vlan",
        help="a VLAN device on a veth, and one at the peer: the kernel tags and untags",
        options=VlanOptions,
        refuses_xdp=lambda _options: "a VLAN device takes none; name another interface",
    ),
    create=create,
)
