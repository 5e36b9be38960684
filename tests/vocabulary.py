"""A vocabulary of fixed words for tests that need no interface; what an engine says is real."""

from __future__ import annotations

from pydantic import BaseModel

from bench.engines import config
from bench.model.axes import Axis, Choice, Flag, Ring, Whole, defaults
from bench.model.vocabulary import KindInfo, Limits, MethodInfo, Vocabulary


class NoOptions(BaseModel):
    pass


class Veth(BaseModel):
    queues: int = 1


class Pfifo(BaseModel):
    limit: int = 1000


_PLAIN = frozenset(
    {
        "interface",
        "qdisc",
        "frame_size",
        "threads",
        "affinity",
        "socket",
        "fill",
        "sndbuf",
        "msg_dontwait",
        "qdisc_bypass",
        "flows",
        "vlan",
        "protocol",
    }
)

RING_OPTIONS = (
    Axis(
        "ring",
        Ring(),
        {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048},
        "TPACKET version, block size and number, frame size",
        after="fill",
    ),
    Axis(
        "ring_wait",
        Choice(("block", "poll", "spin")),
        "block",
        "when no slot is free: block in send(), poll() or spin",
        at_opening=False,
        after="fill",
    ),
    *(
        Axis(name, Flag(), False, help_, after="qdisc_bypass")
        for name, help_ in (
            ("packet_loss", "PACKET_LOSS: skip a malformed slot instead of stopping at it"),
            ("mmap_locked", "map the ring with MAP_LOCKED"),
            (
                "vnet_hdr",
                "PACKET_VNET_HDR: the kernel copies the frame instead of referring to its pages",
            ),
        )
    ),
    Axis(
        "segments",
        Whole(1, 128),
        1,
        "frames of one skb, which the kernel cuts (GSO); 1: it cuts none",
        after="burst",
    ),
    Axis(
        "gso_type",
        Choice(("udp", "tcp")),
        "udp",
        "frames that are cut: of UDP (Linux 6.2) or of TCP",
        after="burst",
    ),
)
"""Of tx_ring, as csrc/engines/tx_ring.c declares them (tests/native/test_options.py)."""
_RING = _PLAIN | {"burst", "malformed", *(option.name for option in RING_OPTIONS)}

WORDS = Vocabulary(
    methods={
        "null": MethodInfo(
            "null", "", "", frozenset({"frame_size", "threads", "affinity", "burst", "fill"})
        ),
        "sendto": MethodInfo("sendto", "", "", _PLAIN),
        "sendmmsg": MethodInfo("sendmmsg", "", "", _PLAIN | {"burst"}, max_burst=1024),
        "tx_ring": MethodInfo("tx_ring", "", "", _RING, options=RING_OPTIONS),
    },
    interfaces={
        "lo": KindInfo("lo", "", NoOptions, takes_qdisc=False),
        "veth": KindInfo("veth", "", Veth),
    },
    qdiscs={
        "noqueue": KindInfo("noqueue", "", NoOptions),
        "pfifo": KindInfo("pfifo", "", Pfifo),
        "mq": KindInfo("mq", "", NoOptions, needs_queues=True),
    },
    limits=Limits(
        max_threads=64,
        max_flows=4096,
        min_frame=14,
        max_frame=65535,
    ),
    check=config.check,
    largest_frame=lambda qdisc: 2000 if qdisc == {"kind": "pfifo", "limit": 7} else None,
)

DEFAULTS = defaults(WORDS.axes)
"""What every axis is where a matrix does not name it, on pages of 4 KiB."""
