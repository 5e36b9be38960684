"""rtnetlink by hand, where attributes are wanted as the bytes that the kernel has of them.

(include/uapi/linux: netlink.h, rtnetlink.h; native byte order.)
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from bench.base.errors import BenchError
from bench.system import privileges
from bench.system.netns import entered

ECHO, EXCL, CREATE, DUMP = 0x8, 0x200, 0x400, 0x300
"""Flags of a request."""


_REQUEST, _ACK = 0x1, 0x4


_ERROR, _DONE = 2, 3


_SOL_NETLINK, _GET_STRICT_CHK = 270, 12


_TYPE_MASK = 0x3FFF


_NLMSGHDR = struct.Struct("=IHHII")


_NLATTR = struct.Struct("=HH")


_CODE = struct.Struct("=i")


_ANSWER_SIZE, _MESSAGE_SIZE = 1 << 18, 1 << 16
"""Bytes of a part of a dump, and of one message: room that is large takes time to get."""


class Refused(BenchError):
    """What the kernel does not do, and as which error number (positive)."""

    def __init__(self, code: int) -> None:
        need = privileges.remedy("CAP_NET_ADMIN") if code == errno.EPERM else ""
        said = f"the kernel says {os.strerror(code)}"
        super().__init__("; ".join(filter(None, [said, need])))
        self.code = code


@contextmanager
def opened(netns_fd: int, strict: bool = False) -> Iterator[socket.socket]:
    """A socket in a namespace; a ``strict`` one has the kernel pick what a dump asks for."""
    with entered(netns_fd):
        asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with asking:
        asking.bind((0, 0))
        if strict:
            asking.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
        yield asking


def ask(asking: socket.socket, command: int, flags: int, body: bytes) -> list[bytes]:
    """The bodies of the answers to a request; none where it only has to be done.

    Raises Refused.
    """
    asking.send(_message(command, flags | _ACK, body))
    bodies: list[bytes] = []
    while True:
        left = asking.recv(_ANSWER_SIZE)
        while left:
            length, kind, *_ = _NLMSGHDR.unpack_from(left)
            message, left = left[_NLMSGHDR.size : length], left[(length + 3) & ~3 :]
            if kind == _DONE:
                return bodies
            if kind == _ERROR:
                (code,) = _CODE.unpack_from(message)
                if code:
                    raise Refused(-code)
                return bodies
            bodies.append(message)


class Question:
    """A request that is asked again and again, and that one message answers."""

    def __init__(self, asking: socket.socket, command: int, flags: int, body: bytes) -> None:
        self._socket = asking
        self._request = _message(command, flags, body)

    def answer(self) -> bytes:
        """The body of the answer. Raises Refused."""
        self._socket.send(self._request)
        # rtnetlink answers a single request within the call that makes it.
        message = self._socket.recv(_MESSAGE_SIZE, socket.MSG_DONTWAIT)
        if _NLMSGHDR.unpack_from(message)[1] == _ERROR:
            raise Refused(-_CODE.unpack_from(message, _NLMSGHDR.size)[0])
        return message[_NLMSGHDR.size :]


def _message(command: int, flags: int, body: bytes) -> bytes:
    return _NLMSGHDR.pack(_NLMSGHDR.size + len(body), command, flags | _REQUEST, 1, 0) + body


def attribute(kind: int, payload: bytes) -> bytes:
    padding = bytes(-len(payload) % 4)
    return _NLATTR.pack(_NLATTR.size + len(payload), kind) + payload + padding


def attributes(left: bytes) -> Iterator[tuple[int, bytes]]:
    while len(left) >= _NLATTR.size:
        length, kind = _NLATTR.unpack_from(left)
        yield kind & _TYPE_MASK, left[_NLATTR.size : length]
        left = left[max(_NLATTR.size, (length + 3) & ~3) :]


def payload_of(wanted: int, told: bytes) -> bytes:
    """What the first attribute of a kind has in it. Raises BenchError where there is none."""
    at = place_of(wanted, told)
    return told[at : at + _NLATTR.unpack_from(told, at - _NLATTR.size)[0] - _NLATTR.size]


def place_of(wanted: int, told: bytes) -> int:
    """Where the payload of the first attribute of a kind begins. Raises BenchError."""
    at = 0
    while at + _NLATTR.size <= len(told):
        length, kind = _NLATTR.unpack_from(told, at)
        if kind & _TYPE_MASK == wanted:
            return at + _NLATTR.size
        at += max(_NLATTR.size, (length + 3) & ~3)
    raise BenchError(f"the kernel's answer has no attribute {wanted}: cannot read its counters")
