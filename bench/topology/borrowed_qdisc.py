"""The root qdisc that an interface came with: reading it, and putting it back as it was.

Its options are kept as the bytes that the kernel dumps, whatever its kind, and handed back
unchanged. pyroute2 cannot: it decodes each kind. They are tried first on a scratch veth: if the
bytes read back differ, the real device is not touched.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench.base.errors import BenchError
from bench.system.netlink import codec
from bench.system.netns import private_netns
from bench.topology import Port
from bench.topology.link import ETHERNET_MTU, TX_NAME, add_link, rtnl

_NEWQDISC, _DELQDISC, _GETQDISC, _GETTCLASS, _GETTFILTER = 36, 37, 38, 42, 46


_KIND, _OPTIONS, _STAB = 1, 2, 8


_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1


_TCMSG = struct.Struct("=BBHiIII")


U32 = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True, slots=True)
class RootQdisc:
    """A root qdisc: ``options`` in hexadecimal as dumped, ``below`` its classes, filters, qdiscs.

    Handle 0: nobody set it; it is the kernel's default.
    """

    kind: str
    handle: U32
    options: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]
    below: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.handle >> 16:x}:" if self.handle else self.kind


def read(port: Port) -> RootQdisc:
    """The root qdisc of a port, and everything below it. Raises BenchError."""
    with codec.opened(port.netns_fd) as asking:
        return _read(asking, port.ifindex)


def why_not_restorable(port: Port, found: RootQdisc, queues: int) -> str:
    """Why a root qdisc could not be put back as it is; empty if it could.

    Anything that somebody put below it could not. Its options are tried on a veth in a scratch
    namespace, with the same number of transmit queues: they must read back the same there.
    """
    if set_below := [what for what in found.below if not what.startswith(_DEFAULT)]:
        return f"it has {set_below[0]}"
    if found.handle == 0:
        return ""
    with private_netns() as netns_fd:
        with rtnl(netns_fd) as ip:
            add_link(ip, "veth", ifname=TX_NAME, mtu=ETHERNET_MTU, num_tx_queues=queues)
            scratch = Port(netns_fd, ip.link("get", ifname=TX_NAME)[0]["index"], TX_NAME)
        try:
            with codec.opened(scratch.netns_fd) as asking:
                _add(asking, scratch.ifindex, found)
        except BenchError as error:
            return f"its options cannot be set as they are read back ({error})"
        return "" if read(scratch) == found else "its options do not come back as they are"


def put_back(port: Port, found: RootQdisc) -> None:
    """Put the root qdisc back. Raises BenchError if another one reads back."""
    present = read(port)
    if present == found:
        return
    with codec.opened(port.netns_fd) as asking:
        if present.handle:
            codec.ask(asking, _DELQDISC, 0, _TCMSG.pack(0, 0, 0, port.ifindex, 0, _ROOT, 0))
        if found.handle:
            _add(asking, port.ifindex, found)
    present = read(port)
    if present != found:
        raise BenchError(f"qdisc of {port.ifname}: {found} was there, {present} has come back")


def _add(asking: socket.socket, ifindex: int, wanted: RootQdisc) -> None:
    body = _TCMSG.pack(0, 0, 0, ifindex, wanted.handle, _ROOT, 0)
    body += codec.attribute(_KIND, wanted.kind.encode() + b"\0")
    if wanted.options:
        body += codec.attribute(_OPTIONS, bytes.fromhex(wanted.options))
    codec.ask(asking, _NEWQDISC, codec.CREATE | codec.EXCL, body)


# Reading it

_DEFAULT = "default "


def _read(asking: socket.socket, ifindex: int) -> RootQdisc:
    everything = _TCMSG.pack(0, 0, 0, ifindex, 0, 0, 0)
    root, below = RootQdisc("noqueue", 0, ""), []
    for handle, parent, attributes in _dump(asking, _GETQDISC, everything, ifindex):
        kind, options = _kind(attributes), attributes.get(_OPTIONS, b"").hex()
        if parent == _ROOT:
            root = RootQdisc(kind, handle, options)
            below += ["a size table"] if _STAB in attributes else []
        elif parent != _INGRESS:
            named = f"qdisc {kind} below it"
            below.append(f"{named} with handle {handle >> 16:x}:" if handle else _DEFAULT + named)
    for handle, _, attributes in _dump(asking, _GETTCLASS, everything, ifindex):
        # A class without options comes with its qdisc (tbf, mq), or is a live flow (fq_codel).
        if _OPTIONS in attributes:
            below.append(f"class {handle >> 16:x}:{handle & 0xFFFF:x}")
    for _, _, attributes in _dump(asking, _GETTFILTER, everything, ifindex):
        below.append(f"a {_kind(attributes)} filter")
    return RootQdisc(root.kind, root.handle, root.options, tuple(sorted(below)))


def _kind(attributes: dict[int, bytes]) -> str:
    return attributes.get(_KIND, b"").rstrip(b"\0").decode()


def _dump(
    asking: socket.socket, command: int, body: bytes, ifindex: int
) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """Handle, parent and attributes of each answer about an interface."""
    for message in codec.ask(asking, command, codec.DUMP, body):
        _, _, _, of, handle, parent, _ = _TCMSG.unpack_from(message)
        if of == ifindex:
            yield handle, parent, dict(codec.attributes(message[_TCMSG.size :]))
