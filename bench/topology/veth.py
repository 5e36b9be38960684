"""A veth pair across two namespaces of its own: what is sent at one end arrives at the other.

drivers/net/veth.c: ``veth_xmit`` hands the frame to the peer's ``netif_rx``. Only then is it
counted, whole, as sent here and received there. If the softnet backlog is full it counts as
tx_dropped here, and a sender without a queueing qdisc gets ENOBUFS (NET_XMIT_DROP).

Half of a sender's cost is the peer's receive side, which runs in the sender's softirq: the fate
of a frame there is an option.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bench.base.units import parse_cpu_list
from bench.model.vocabulary import KindInfo
from bench.system import netns
from bench.topology import Delivery, link, peer


def _rps(text: str) -> str:
    if text not in ("none", "all"):
        parse_cpu_list(text)
    return text


class VethOptions(link.EthernetOptions):
    """Options of a veth pair."""

    peer: Literal["stack", "xdp_drop", "capture"] = "stack"
    """What the peer does with a frame: the stack drops it, an XDP program does, or all are read."""
    rps: Annotated[str, AfterValidator(_rps)] = "none"
    """Receive packet steering of the peer: none, all CPUs, or a list of them ("0,2-3")."""
    gro: bool = Field(default=False, strict=True)
    """The peer has GRO, and so NAPI: the link takes XDP frames. Other frames go as without it."""


@dataclass(frozen=True, slots=True)
class End:
    """The name and the address of one end of a pair."""

    ifname: str
    mac: bytes


@contextmanager
def create(options: VethOptions, mtu: int) -> Iterator[link.Link]:
    with ExitStack() as stack:
        near = stack.enter_context(netns.private_netns())
        far = stack.enter_context(netns.private_netns())
        ends = End(link.TX_NAME, link.TX_MAC), End(link.RX_NAME, link.RX_MAC)
        length = link.queue_length(options)
        add_pair(near, far, *ends, link.mtu_of(options, mtu), options.queues, length)
        # The peer first: then the sending end has its carrier when it is opened, and its qdisc
        # is attached at once, not later by the link watch.
        rx = link.set_up(far, link.RX_NAME)
        tx = link.set_up(near, link.TX_NAME)
        link.wait_until_up(rx)
        link.add_egress_filters(tx, options.filters)
        if options.rps != "none":
            peer.steer(rx, options.rps)
        if options.gro:
            peer.switch_gro_on(rx)
        by_xdp = options.peer == "xdp_drop"
        if by_xdp:
            peer.drop_by_xdp(rx)
        link.wait_until_up(tx)
        yield link.Link(
            tx=tx,
            rx=() if by_xdp else (rx,),
            sinks=(rx,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            # veth_xdp_rcv() counts a frame without its Ethernet header.
            delivery=Delivery(header_left_out=link.ETHERNET_HEADER if by_xdp else 0),
            may_reorder=options.rps != "none",
        )


def _refuses_xdp(options: Mapping[str, Any]) -> str:
    """``veth_xdp_xmit`` gives a frame to the NAPI of the peer, which has one for GRO or XDP."""
    if options["gro"] or options["peer"] == "xdp_drop":
        return ""
    return "a veth takes them if its peer has NAPI; write gro: true or peer: xdp_drop"


def _receiver(options: Mapping[str, Any]) -> str:
    return peer.CAPTURE if options["peer"] == "capture" else ""


def add_pair(
    near: int,
    far: int,
    here: End,
    there: End,
    mtu: int,
    queues: int = 1,
    near_only: Mapping[str, int] | None = None,
) -> None:
    """Make both ends in one request, so that neither is ever in the other's namespace.

    Both have the same MTU: ``is_skb_forwardable`` drops a frame longer than the peer's.
    ``near_only`` has attributes of the near end alone.
    """
    common = {"mtu": mtu, "num_tx_queues": queues, "num_rx_queues": queues}
    with link.rtnl(near) as ip:
        link.add_link(
            ip,
            "veth",
            ifname=here.ifname,
            address=here.mac.hex(":"),
            peer={
                "ifname": there.ifname,
                "address": there.mac.hex(":"),
                "net_ns_fd": far,
                **common,
            },
            **common,
            **(near_only or {}),
        )


KIND = link.Kind(
    info=KindInfo(
        name="veth",
        help="virtual Ethernet pair, the peer in a second namespace",
        options=VethOptions,
        refuses_xdp=_refuses_xdp,
        receiver=_receiver,
    ),
    create=create,
)
