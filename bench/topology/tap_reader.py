"""The reader of a tap device: takes every frame, and copies them to a socket while it is asked to.

A byte on the socket asks: MIRROR begins, SILENCE ends. The same byte comes back, behind the copies
of all frames that were read before. A frame has 14 bytes at the least: none is taken for an answer.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
from io import FileIO

from bench.system import privileges

MIRROR, SILENCE = b"+", b"-"
LONGEST = 65535 + 4
"""Bytes of a frame with a tag."""
IGNORED_S = 1.0
"""A socket that nobody reads for so long (a worker died) gets no further copies."""
PR_SET_PDEATHSIG = 1


def main() -> None:
    """``PARENT SOCKET TAP...``: say "ready" on stdout, then read until killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent, mirror, *taps = map(int, sys.argv[1:])
    if os.getppid() != parent:
        return
    reader = _Reader(socket.socket(fileno=mirror), taps)
    privileges.shed(frozenset())
    print("ready", flush=True)
    while True:
        reader.turn()


class _Reader:
    def __init__(self, mirror: socket.socket, taps: list[int]) -> None:
        mirror.settimeout(IGNORED_S)
        self._mirror = mirror
        self._is_asked = False
        self._buffer = memoryview(bytearray(LONGEST))
        # FileIO: readinto() takes half of what os.readv does beside the call itself.
        self._taps = {tap: FileIO(tap, "rb") for tap in taps}
        for tap in taps:
            os.set_blocking(tap, False)
        self._ready = select.poll()
        for descriptor in (mirror.fileno(), *taps):
            self._ready.register(descriptor, select.POLLIN)

    def turn(self) -> None:
        """Wait for something, and take all that is there."""
        for descriptor, _ in self._ready.poll():
            if descriptor == self._mirror.fileno():
                self._answer()
            elif self._is_asked:
                self._copy(descriptor)
            else:
                self._take(descriptor)

    def _answer(self) -> None:
        asked = self._mirror.recv(1)
        self._is_asked = asked == MIRROR
        self._tell(asked)

    def _take(self, tap: int) -> None:
        read, buffer = self._taps[tap].readinto, self._buffer
        while read(buffer) is not None:
            pass

    def _copy(self, tap: int) -> None:
        while self._is_asked and (length := self._taps[tap].readinto(self._buffer)) is not None:
            self._tell(self._buffer[:length])

    def _tell(self, data: bytes | memoryview) -> None:
        try:
            self._mirror.send(data)
        except TimeoutError:
            self._is_asked = False
