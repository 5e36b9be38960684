"""A tap device, and a process that reads its frames: what a virtual machine or a VPN does.

drivers/net/tun.c: ``tun_net_xmit`` puts the frame into the ring of one of the queues, which has as
many slots as ``txqueuelen``, and wakes the reader. The frame counts as sent when it has been read
(``tun_put_user``): that is delivery. One that finds the ring full is dropped and counted; a sender
without a qdisc gets ENOBUFS (NET_XMIT_DROP), another one never learns.

The reader takes one frame with a system call, in about as long as a sender takes to send it. Where
it is the slower one, a cell measures it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

from pydantic import Field

from bench.base.errors import BenchError, UsageError
from bench.model.vocabulary import KindInfo
from bench.system import netns, privileges
from bench.topology import Delivery, Port, entered, link, peer

TUN = "/dev/net/tun"
MOST_QUEUES = 256
"""MAX_TAP_QUEUES"""
MOST_MTU = link.MOST_MTU - link.ETHERNET_HEADER
"""tun_net_init(): a tap's frames, and not their payload, have 65,535 bytes at most."""
LATE_S = 2.0
"""A reader that others keep off its CPU has a whole ring to take."""
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x0100
_IFREQ = struct.Struct("@16sH22x")
"""include/uapi/linux/if_tun.h"""


class TapOptions(link.EthernetOptions):
    """Options of a tap device."""

    mtu: Annotated[int, Field(strict=True), link.mtu_up_to(MOST_MTU)] = 0
    """Bytes of payload; 0: what the cells need, and 1500 at the least."""
    queues: int = Field(default=1, strict=True, ge=1, le=MOST_QUEUES)
    """Queues, all of which one process reads."""


@contextmanager
def create(options: TapOptions, mtu: int) -> Iterator[link.Link]:
    with ExitStack() as stack:
        netns_fd = stack.enter_context(netns.private_netns())
        with entered(netns_fd):
            fds = [_attached(stack, options.queues > 1) for _ in range(options.queues)]
        port = link.port_of(netns_fd, link.TX_NAME)
        _configure(port, options, link.mtu_of(options, mtu))
        ours, theirs = (stack.enter_context(end) for end in _mirror())
        stack.enter_context(
            peer.reading(
                "bench.topology.tap_reader",
                f"reader of tap {link.TX_NAME}",
                (theirs.fileno(), *fds),
            )
        )
        link.set_up(netns_fd, link.TX_NAME)
        link.wait_until_up(port)
        link.add_egress_filters(port, options.filters)
        yield link.Link(
            tx=port,
            rx=(),
            sinks=(port,),
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            delivery=Delivery(direction="tx", late_s=LATE_S),
            mirror=ours.fileno(),
            may_reorder=options.queues > 1,
            drops_untold=True,
        )


def _attached(stack: ExitStack, has_several: bool) -> int:
    """A queue of the tap device in the calling thread's namespace; the first one makes it."""
    flags = _IFF_TAP | _IFF_NO_PI | (_IFF_MULTI_QUEUE if has_several else 0)
    try:
        fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(link.TX_NAME.encode(), flags))
    except OSError as error:
        raise refusal(error) from error
    return fd


def refusal(error: OSError) -> BenchError:
    """What opening the device, or attaching to it, failed of."""
    doing = f"interface tap: {TUN}: {error.strerror}"
    if error.errno == errno.EPERM:
        return UsageError(f"{doing}: {privileges.remedy('CAP_NET_ADMIN')}")
    if error.errno == errno.EACCES:
        return UsageError(f"{doing}; open it to everybody (sudo chmod 666 {TUN}), or try sudo")
    missing = error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO)
    return BenchError(f"{doing}; {link.needs_config('CONFIG_TUN')}" if missing else doing)


def _configure(port: Port, options: TapOptions, mtu: int) -> None:
    attributes = {"mtu": mtu, "address": link.TX_MAC.hex(":"), **link.queue_length(options)}
    with (
        link.rtnl(port.netns_fd) as ip,
        link.refusals(f"interface tap with MTU {mtu}"),
    ):
        ip.link("set", index=port.ifindex, **attributes)


def _mirror() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


KIND = link.Kind(
    info=KindInfo(
        name="tap",
        help="a tap device that a process reads, as a virtual machine's host does",
        options=TapOptions,
        # tun_xdp_xmit() counts one drop where it refuses the rest of a batch.
        refuses_xdp=lambda _options: (
            "a tap does not count those that it drops; name another interface"
        ),
    ),
    create=create,
)
