"""Carries messages over a stream: each is MessagePack, after its length. Descriptors may come with
one (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import array
import select
import socket
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from bench.base.errors import BenchError

T = TypeVar("T")

LENGTH = 4
"""Bytes of a length, the highest first."""


LARGEST = 1 << 24
"""Bytes of a message: more are not read. A setup of 10,000 interfaces has some 4 MiB."""


DESCRIPTORS = 253
"""The most that come with a message: the kernel's SCM_MAX_FD (include/net/scm.h)."""


_PART = 1 << 16
_CONTROL = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)


class NoMessage(BenchError):
    """What came is none of the messages that are expected."""


class Channel(Generic[T]):
    """One end of a connected stream socket, by which messages of some types come."""

    def __init__(self, stream: socket.socket, expected: Any) -> None:
        """``expected`` is the union of the types T."""
        self._stream = stream
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(expected)
        self._begun = b""  # what came after the last message
        self._descriptors: list[int] = []

    def send(self, message: msgspec.Struct, fds: Sequence[int] = ()) -> None:
        """Raises OSError if the other end is gone, or may be sent no descriptors any more."""
        text = bytearray(LENGTH)
        self._encoder.encode_into(message, text, LENGTH)
        text[:LENGTH] = (len(text) - LENGTH).to_bytes(LENGTH)
        if fds:
            del text[: socket.send_fds(self._stream, [text], [*fds])]
        self._stream.sendall(text)

    def receive(self, timeout_s: float | None = None) -> T:
        """The next message.

        Raises TimeoutError, OSError or EOFError if the other end is gone, and NoMessage.
        """
        self._stream.settimeout(timeout_s)
        text, self._begun = self._begun, b""
        while len(text) < (end := self._end(text)):
            part = self._part()
            if not part:
                raise EOFError
            text += part
        self._begun = text[end:]
        try:
            message: T = self._decoder.decode(memoryview(text)[LENGTH:end])
        except msgspec.MsgspecError as error:
            raise NoMessage(f"no message of this version: {error}") from error
        return message

    def waiting(self, timeout_ms: int = 0) -> T | None:
        """The next message, if any of it is there within that time."""
        if timeout_ms and not self._begun:
            self._poll.poll(timeout_ms)
        try:
            self._begun = self._begun or self._part(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        if not self._begun:
            raise EOFError
        return self.receive()

    def _part(self, flags: int = 0) -> bytes:
        flags |= socket.MSG_CMSG_CLOEXEC
        part, control, _, _ = self._stream.recvmsg(_PART, _CONTROL, flags)
        for _, _, data in control:
            self._descriptors += array.array("i", data)
        return part

    def taken(self) -> list[int]:
        """The descriptors that came since this was asked last; who asks closes them."""
        descriptors, self._descriptors = self._descriptors, []
        return descriptors

    def _end(self, text: bytes) -> int:
        """Of the message that these bytes begin, as far as that is known."""
        if len(text) < LENGTH:
            return LENGTH
        length = int.from_bytes(text[:LENGTH])
        if length > LARGEST:
            raise NoMessage(f"a message of {length} bytes; {LARGEST} are the most")
        return LENGTH + length

    def close(self) -> None:
        self._stream.close()
