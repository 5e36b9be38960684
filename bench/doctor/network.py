"""Taps and steering on a frame's way that are not the run's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.doctor.finding import Check, Context, Found, Level
from bench.system.procfs import ProcFs, cpu_words, parse_mask

TAPS_PER_NAMESPACE = (6, 15)
"""From this Linux on, a tap is on a list of its network namespace (commit c353e8983e0d)."""
ETH_P_ALL = 0x0003


class _Tap(NamedTuple):
    """A packet socket that sees every frame: its inode, and its interface (0: all of them)."""

    inode: str
    ifindex: int


# Taps


def _taps(machine: ProcFs, context: Context) -> Found:
    own_lists = machine.kernel() >= TAPS_PER_NAMESPACE
    devices = _ifindices(machine, context)
    if own_lists:
        files = ["proc/net/packet"]
    else:  # one list for all namespaces; each process shows the taps of its own
        files = ["proc/net/packet", *machine.glob("proc/[0-9]*/net/packet")]
    texts = [text for path in files if (text := machine.text(path)) is not None]
    if not texts:
        return Found(Level.OK, "no packet sockets here: the kernel is without AF_PACKET")
    taps = {tap for text in texts for tap in _taps_in(text)}
    everywhere = {tap for tap in taps if tap.ifindex == 0} if devices or not own_lists else set()
    spoiling = everywhere | {tap for tap in taps if tap.ifindex in devices}
    if spoiling:
        what = f"{_sockets(len(spoiling))} every frame"
        mend = "stop it: sudo ss --packet --processes shows whose it is (in each namespace)"
        return Found(Level.WARN, what, mend)
    if taps:
        return Found(Level.OK, f"{_sockets(len(taps))} every frame, none of the run's")
    return Found(Level.OK, "no packet socket sees every frame")


def _sockets(count: int) -> str:
    return "1 packet socket sees" if count == 1 else f"{count} packet sockets see"


def _ifindices(machine: ProcFs, context: Context) -> set[int]:
    """The indices of the real interfaces that the matrix names."""
    names = context.needs.devices if context.needs else ()
    found = (machine.number(f"sys/class/net/{name}/ifindex") for name in names)
    return {ifindex for ifindex in found if ifindex is not None}


def _taps_in(text: str) -> Iterator[_Tap]:
    """``sk RefCnt Type Proto Iface R Rmem User Inode`` (packet_seq_show, af_packet.c)."""
    for line in text.splitlines()[1:]:
        _, _, _, protocol, ifindex, running, _, _, inode = line.split()
        if int(protocol, 16) == ETH_P_ALL and running == "1":
            yield _Tap(inode, int(ifindex))


# Steering


def _rps(machine: ProcFs, context: Context) -> Found:
    steered: dict[str, set[int]] = {}
    for path in machine.glob("sys/class/net/*/queues/rx-*/rps_cpus"):
        if mask := parse_mask(machine.text(path) or ""):
            steered.setdefault(path.split("/")[3], set()).update(mask)
    if not steered:
        return Found(Level.OK, "RPS is off")
    targets = set().union(*steered.values())
    what = f"RPS of {', '.join(steered)} hands received frames to {cpu_words(targets)}"
    if targets.isdisjoint(context.senders):
        return Found(Level.NOTE, what)
    files = " ".join(f"/sys/class/net/{device}/queues/rx-*/rps_cpus" for device in steered)
    return Found(Level.WARN, what, f"echo 0 | sudo tee {files}")


def _xps(machine: ProcFs, context: Context) -> Iterator[Found]:
    for device in context.needs.devices if context.needs else ():
        masks = {
            path.split("/")[-2]: set(parse_mask(machine.text(path) or ""))
            for path in machine.glob(f"sys/class/net/{device}/queues/tx-*/xps_cpus")
        }
        if len(masks) > 1:
            yield from _queues_of(device, masks, set(context.senders))


def _queues_of(device: str, masks: Mapping[str, set[int]], senders: set[int]) -> Iterator[Found]:
    """Findings about senders that have no transmit queue of a device for themselves."""
    mend = f"echo MASK | sudo tee /sys/class/net/{device}/queues/tx-N/xps_cpus, one CPU each"
    for queue, cpus in masks.items():
        if len(cpus & senders) > 1:
            what = f"{cpu_words(cpus & senders)} share queue {queue} of {device}"
            yield Found(Level.WARN, what, mend)
    lost = senders - set().union(*masks.values())
    if lost:
        what = f"XPS of {device} does not know {cpu_words(lost)}: a hash picks the queue"
        yield Found(Level.NOTE, what, mend)


CHECKS = (
    Check(
        "taps",
        "Each frame is cloned for every socket of ETH_P_ALL (dev_queue_xmit_nit), and again on "
        "arrival; PACKET_QDISC_BYPASS avoids the first. Before Linux 6.15 a socket bound to no "
        "interface costs senders in every namespace.",
        _taps,
    ),
    Check(
        "RPS",
        "RPS on any queue makes netif_rx() of lo and veth, too, choose a CPU per frame "
        "(rps_needed is one switch for the machine), and its target CPUs run the receive side.",
        _rps,
    ),
    Check(
        "XPS",
        "It picks the transmit queue by CPU: senders on one queue wait for each other's lock.",
        _xps,
    ),
)
