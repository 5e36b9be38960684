"""A capturing reader: takes every frame that arrives at an interface from a PACKET_RX_RING.

TPACKET_V3 hands over whole blocks (Documentation/networking/packet_mmap.rst): one turn of this
loop gives back thousands of frames, so Python is no bottleneck.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import socket
import struct
import sys

from bench.system import privileges
from bench.system.netns import entered

SOL_PACKET = 263
PACKET_RX_RING, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 5, 10, 23
TPACKET_V3 = 2
TP_STATUS_KERNEL = 0
ETH_P_ALL = 3
BLOCK_SIZE, BLOCK_NR, FRAME_SIZE = 1 << 20, 16, 2048
RETIRE_MS = 10
"""The kernel hands over a block that is not full after this long."""
STATUS_AT = 8
"""Offset of block_status in struct tpacket_block_desc, in bytes."""
PR_SET_PDEATHSIG = 1


def main() -> None:
    """``PARENT NETNS_FD IFNAME``: say "ready" on stdout, then read until killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent, netns_fd, ifname = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if os.getppid() != parent:
        return
    with entered(netns_fd):
        receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    receiver.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    frames = BLOCK_SIZE * BLOCK_NR // FRAME_SIZE
    request = struct.pack("=7I", BLOCK_SIZE, BLOCK_NR, FRAME_SIZE, frames, RETIRE_MS, 0, 0)
    receiver.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
    ring = mmap.mmap(receiver.fileno(), BLOCK_SIZE * BLOCK_NR)
    with entered(netns_fd):
        receiver.bind((ifname, ETH_P_ALL))
    privileges.shed(frozenset())
    print("ready", flush=True)
    _read(receiver, ring)


def _read(receiver: socket.socket, ring: mmap.mmap) -> None:
    statuses = memoryview(ring).cast("I")
    arrival = select.poll()
    arrival.register(receiver, select.POLLIN)
    block = 0
    while True:
        at = (block * BLOCK_SIZE + STATUS_AT) // 4
        if statuses[at] == TP_STATUS_KERNEL:
            arrival.poll()
        else:
            statuses[at] = TP_STATUS_KERNEL
            block = (block + 1) % BLOCK_NR
