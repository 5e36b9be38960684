"""A program that sends by itself, for tests: ``sender.py WAY``, with what bench has in BENCH_*.

It imports nothing of bench, as nobody's program does.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

HEADER = struct.Struct("!6s6sH")


def mac(name: str) -> bytes:
    return bytes.fromhex(os.environ[name].replace(":", ""))


def frame() -> bytes:
    head = HEADER.pack(mac("BENCH_DESTINATION"), mac("BENCH_SOURCE"), 0x88B5)
    return head.ljust(int(os.environ["BENCH_FRAME_SIZE"]), b"B")


def first_of(pcap: str) -> bytes:
    """The first frame of a capture file."""
    content = Path(pcap).read_bytes()
    (length,) = struct.unpack_from("<I", content, 24 + 8)
    return content[40 : 40 + length]


def send(content: bytes, frames: int = sys.maxsize, seconds: float = math.inf) -> None:
    """At most so many, for so much CPU time, which stands still while it is stopped."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((os.environ["BENCH_INTERFACE"], 0))
    for _ in range(frames):
        sock.send(content)
        if time.process_time() > seconds:
            break


def main(way: str, *rest: str) -> None:
    match way:
        case "frames":
            send(frame())
        case "pcap":
            send(first_of(rest[0]))
        case "short":
            send(frame()[:-1])
        case "agrees":
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname()).close()
            send(frame())
        case "greets":
            send(frame() + b"B", seconds=30 if rest else 0.1)
            send(frame())
        case "other":
            send(bytes([0xFF]) + frame()[1:])
        case "mute":
            print("nothing to say")
            sys.stdout.flush()
            time.sleep(3600)
        case "dies":
            send(frame(), 2000)
            sys.exit("out of frames")
        case "killed":
            send(frame(), 2000)
            os.kill(os.getpid(), signal.SIGKILL)
        case "odd":
            send(frame(), 2000)
            os.kill(os.getpid(), signal.SIGRTMIN + 6)  # which has no name
        case "talks":  # more than anybody reads
            if os.fork() == 0:
                while True:
                    print("frame after frame after frame")
            send(frame())
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            send(frame())
        case "forks":  # the sender is a grandchild, in a session of its own, and the child is gone
            if os.fork() == 0:
                if os.fork() == 0:
                    os.setsid()
                    send(frame())
                os._exit(0)
            time.sleep(3600)
        case "threads":
            for _ in os.environ["BENCH_CPUS"].split(",")[1:]:
                if os.fork() == 0:
                    break
            send(frame())
        case "tells":
            names = ("INTERFACE", "DESTINATION", "PAYLOAD", "CPUS", "FRAME")
            told = [os.environ.get(f"BENCH_{name}", "-") for name in names]
            sys.exit("|".join([*rest, *told, str(os.sched_getaffinity(0))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
