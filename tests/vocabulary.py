"""A vocabulary of fixed words for tests that need no interface; what an engine says is real."""

from __future__ import annotations

from pydantic import BaseModel

from bench.engines import config
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
    }
)
_RING = _PLAIN | {"burst", "ring", "ring_wait", "packet_loss", "mmap_locked", "vnet_hdr"}

WORDS = Vocabulary(
    methods={
        "null": MethodInfo(
            "null", "", "", frozenset({"frame_size", "threads", "affinity", "burst", "fill"})
        ),
        "sendto": MethodInfo("sendto", "", "", _PLAIN),
        "sendmmsg": MethodInfo("sendmmsg", "", "", _PLAIN | {"burst"}, max_burst=1024),
        "tx_ring": MethodInfo("tx_ring", "", "", _RING),
    },
    interfaces={
        "lo": KindInfo("lo", "", NoOptions, takes_qdisc=False),
        "veth": KindInfo("veth", "", Veth),
    },
    qdiscs={"noqueue": KindInfo("noqueue", "", NoOptions), "pfifo": KindInfo("pfifo", "", Pfifo)},
    limits=Limits(
        max_threads=64,
        max_flows=4096,
        min_frame=14,
        max_frame=65535,
    ),
    check=config.check,
    largest_frame=lambda qdisc: 2000 if qdisc == {"kind": "pfifo", "limit": 7} else None,
)
