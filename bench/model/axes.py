"""Axes and their values.

Axis values are *canonical*: ``str``, ``int``, ``bool`` or a ``dict`` of those with every
option spelled out, so that two spellings of one value are equal, hash alike in a cell's id and
can be written as JSON. ``None`` stands for an axis that is no knob of the cell's method.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.base.values import Value

AXES = (
    "interface",
    "qdisc",
    "method",
    "frame_size",
    "threads",
    "affinity",
    "socket",
    "burst",
    "fill",
    "ring",
    "ring_wait",
    "sndbuf",
    "msg_dontwait",
    "qdisc_bypass",
    "packet_loss",
    "mmap_locked",
    "vnet_hdr",
    "flows",
    "replica",
)
"""Every axis, in the order in which tables show them. ``replica`` is no knob: it opens the same
cell several times, so that a run shows what its own noise makes of A against A."""


DEFAULTS: Mapping[str, Value] = {
    "interface": {"kind": "lo"},
    "qdisc": {"kind": "noqueue"},
    "method": "sendto",
    "frame_size": 64,
    "threads": 1,
    "affinity": "pinned",
    "socket": "own",
    "burst": 64,
    "fill": "prefilled",
    "ring": {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048},
    "ring_wait": "block",
    "sndbuf": "default",
    "msg_dontwait": False,
    "qdisc_bypass": False,
    "packet_loss": False,
    "mmap_locked": False,
    "vnet_hdr": False,
    "flows": 1,
    "replica": 1,
}
"""What an axis is where a matrix does not name it, on a kernel with pages of 4 KiB. Ids leave out
axes at their default, so a knob that a later version adds does not rename the cells of today."""
