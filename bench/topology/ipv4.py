"""What senders of UDP and of super-frames find at an interface that is made for a run.

No interface gets an address. The senders' addresses are local by a route alone (AnyIP), and
their frames go to a host that there is not, as those of the axis ``flows`` do (csrc/frame.c). A
frame with another host's MAC address ends where ``ip_rcv`` begins (net/ipv4/ip_input.c): the
receive side throws it away as early as a frame of no protocol.
"""

from __future__ import annotations

import socket
import struct

from bench.base.errors import BenchError
from bench.system.netlink import codec
from bench.system.netns import entered
from bench.topology import Port, ethtool
from bench.topology.link import refusals

SENDERS, SENDERS_BITS = bytes([198, 18, 0, 0]), 24
"""The last byte is a thread's index (RFC 2544, C.2.2: for benchmarks)."""
TARGET, TARGETS_BITS = bytes([198, 19, 0, 0]), 16
OTHER_HOST = 0x10000
"""The bit of a destination MAC that makes it another host's."""

CUT_BY_THE_DEVICE = ("tx-udp-segmentation", "tx-tcp-segmentation")
"""Of IPv4 alone. With no TCP segmentation at all a veth would hand its frames to the peer's GRO
(drivers/net/veth.c, ``veth_skb_is_eligible_for_gro``)."""

_RTM_NEWROUTE, _RTM_NEWNEIGH = 24, 28
_RTMSG = struct.Struct("=8BI")
_RTA_DST, _RTA_OIF = 1, 4
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_SCOPE_LINK, _SCOPE_HOST = 253, 254
_UNICAST, _LOCAL = 1, 2
_PROTOCOL_STATIC = 4
_NDMSG = struct.Struct("=B3xiHBB")
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_PERMANENT = 0x80
"""include/uapi/linux: rtnetlink.h, neighbour.h"""


def make_way(port: Port, dst_mac: bytes) -> None:
    """Have the kernel take the senders' addresses for its own, and send to TARGET by a port, to
    another host than ``dst_mac``. Raises BenchError."""
    other = (int.from_bytes(dst_mac) ^ OTHER_HOST).to_bytes(len(dst_mac))
    out = codec.attribute(_RTA_OIF, struct.pack("=I", port.ifindex))
    local = _route(SENDERS_BITS, _TABLE_LOCAL, _SCOPE_HOST, _LOCAL)
    remote = _route(TARGETS_BITS, _TABLE_MAIN, _SCOPE_LINK, _UNICAST)
    neighbour = _NDMSG.pack(socket.AF_INET, port.ifindex, _NUD_PERMANENT, 0, _UNICAST)
    neighbour += codec.attribute(_NDA_DST, TARGET) + codec.attribute(_NDA_LLADDR, other)
    setting = refusals(f"interface {port.ifname}: cannot route IPv4 by it")
    with codec.opened(port.netns_fd) as asking, setting:
        for command, body in (
            (_RTM_NEWROUTE, local + codec.attribute(_RTA_DST, SENDERS) + out),
            (_RTM_NEWROUTE, remote + codec.attribute(_RTA_DST, TARGET) + out),
            (_RTM_NEWNEIGH, neighbour),
        ):
            codec.ask(asking, command, codec.CREATE | codec.EXCL, body)


def _route(bits: int, table: int, scope: int, kind: int) -> bytes:
    return _RTMSG.pack(socket.AF_INET, bits, 0, 0, table, _PROTOCOL_STATIC, scope, kind, 0)


def cut_super_frames(port: Port) -> None:
    """Have the kernel cut super-frames before they reach the driver, so that every counter counts
    frames of a wire. lo, veth and ifb would take them whole, and nobody would ever cut them.

    Raises BenchError if the kernel refuses it.
    """
    with entered(port.netns_fd):
        try:
            ethtool.switch_off(port.ifname, CUT_BY_THE_DEVICE)
        except OSError as error:
            raise BenchError(f"segmentation of {port.ifname}: {error.strerror}") from error
