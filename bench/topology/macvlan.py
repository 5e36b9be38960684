"""A macvlan on one end of a veth pair: a second address on a device, as containers have it.

drivers/net/macvlan.c: ``macvlan_queue_xmit`` hands a frame to the device below, whose peer gets it.
Only in mode ``bridge`` a frame to another macvlan of the same device stays on this machine: it
arrives at the device below (``dev_forward_skb``), and from there at that macvlan, which is in a
second namespace. If the softnet backlog is full, only the softnet counters show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from bench.model.vocabulary import KindInfo
from bench.topology import Delivery, link, upper, veth

TO_ANOTHER = Delivery(hidden_backlog=True, tag_left_out=True, late_s=1.0)
"""A frame in the backlog may wait for ksoftirqd, on a CPU that others use."""


class MacvlanOptions(link.EthernetOptions):
    """Options of a macvlan."""

    mode: Literal["bridge", "private", "vepa", "passthru"] = "bridge"
    """bridge: to another macvlan of the same device; the others: out of it, to its peer."""


@contextmanager
def create(options: MacvlanOptions, mtu: int) -> Iterator[link.Link]:
    mode = {"macvlan_mode": options.mode}
    # In mode passthru it takes over the address of the device below.
    near_mac = {"near_mac": link.TX_MAC} if options.mode == "passthru" else {}
    with upper.pair(options, mtu, **near_mac) as lower:
        to_another = options.mode == "bridge"
        rx = lower.rx
        if to_another:
            end = veth.End(link.RX_NAME, link.RX_MAC)
            size = link.mtu_of(options, mtu)
            rx = upper.add("macvlan", lower.tx, lower.rx.netns_fd, end, size, mode)
        yield link.Link(
            tx=upper.add_sender("macvlan", lower.tx, options, mtu, **mode),
            rx=(rx,),
            sinks=(rx,),
            droppers=(lower.tx,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            delivery=TO_ANOTHER if to_another else Delivery(),
        )


def _refuses_flows(options: Mapping[str, Any]) -> str:
    """``macvlan_hash_lookup`` knows the one address that the other macvlan has."""
    if options["mode"] != "bridge":
        return ""
    return "a macvlan in mode bridge sends to one other address; write mode: private"


KIND = link.Kind(
    info=KindInfo(
        name="macvlan",
        help="a macvlan on a veth; in mode bridge to another one on the same veth",
        options=MacvlanOptions,
        refuses_xdp=lambda _options: "a macvlan takes none; name another interface",
        refuses_flows=_refuses_flows,
    ),
    create=create,
)
