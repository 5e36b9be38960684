"""What became of a slice's frames, by the kernel's own counters: the rule, without the reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.engines.config import sends_xdp
from bench.model.cells import VLAN_TAG, Cell
from bench.model.problems import Code, Problem, joined
from bench.system.netlink.stats import LinkStats, QdiscStats
from bench.system.procfs import softnet_drops
from bench.topology import Delivery

ETH_ZLEN, ETH_FCS_LEN = 60, 4
"""include/uapi/linux/if_ether.h"""


FOREIGN_SHARE = 0.01
"""Of the completed frames: what others may send by a real device beside them. It could hide as
many that were lost, so it is less than the least difference that a comparison calls one (3 %)."""


# What is read


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading.

    ``tx`` is the sending interface, ``sinks`` are those that count delivered frames; devices on the
    way have ``dropped`` so many. ``qdisc`` and ``queued`` (frames) are sums over the interface's
    qdiscs, zeros where there is none. ``softnet`` is the text of /proc/net/softnet_stat, of the
    whole machine: it takes longer to understand than to read it.
    """

    tx: LinkStats
    sinks: tuple[LinkStats, ...]
    dropped: int
    qdisc: QdiscStats
    queued: int
    softnet: bytes


@dataclass(frozen=True, slots=True)
class Delta:
    """By how much the counters rose between two readings, and how much was queued at each.

    ``softnet_drops`` are those at the backlogs of the whole machine.
    """

    tx: LinkStats
    sinks: tuple[LinkStats, ...]
    dropped: int
    qdisc: QdiscStats
    softnet_drops: int
    queued_before: int
    queued_after: int


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of a slice's frames, by the kernel's counters; all in frames.

    ``lost`` frames were completed but not delivered, and drops explain it. The drops are as
    counted, those of refused frames included, and each is counted once: ``softnet_drops`` are what
    a full backlog dropped where the device does not tell (``hidden_backlog``), at most the missing
    frames, as softnet's counter is the whole machine's. ``foreign`` frames were delivered but not
    sent by us; a few of them explain themselves on a real device. ``problems`` is empty if all
    adds up, else what does not. ``per_sink`` is what each of several sinks counted.
    ``carrier_lost`` names the ports that lost their carrier, if it explains lost frames.
    """

    delivered: int
    lost: int
    qdisc_drops: int
    device_drops: int
    softnet_drops: int
    foreign: int
    problems: tuple[Problem, ...]
    per_sink: tuple[int, ...] = ()
    carrier_lost: str = ""

    @property
    def problem(self) -> str:
        """All problems as one text."""
        return joined(self.problems)

    def at_most(self, most: int, completed: int) -> Accounting:
        """The same, where a shaper lets ``most`` frames pass in a window: one that was held up
        itself (the hypervisor had its CPU) may pass later what it owes."""
        if completed <= most:
            return self
        too_many = Problem(Code.TOO_MANY, completed - most, completed=completed)
        return replace(self, problems=(*self.problems, too_many))

    @classmethod
    def of_sender(cls, completed: int) -> Accounting:
        """Without an interface there is nobody but the sender to count."""
        return cls(completed, 0, 0, 0, 0, 0, ())


# What a reading means


def delta(before: Counters, after: Counters) -> Delta:
    """The difference of two readings, also across a counter's wrap."""
    u32, u64 = 1 << 32, 1 << 64
    return Delta(
        tx=LinkStats(*_risen(before.tx, after.tx, u64)),
        sinks=tuple(
            LinkStats(*_risen(old, new, u64))
            for old, new in zip(before.sinks, after.sinks, strict=True)
        ),
        dropped=(after.dropped - before.dropped) % u64,
        # Its bytes have 64 bits, the others 32: include/uapi/linux/gen_stats.h
        qdisc=QdiscStats(
            *_risen(before.qdisc[:1], after.qdisc[:1], u64),
            *_risen(before.qdisc[1:], after.qdisc[1:], u32),
        ),
        softnet_drops=(softnet_drops(after.softnet) - softnet_drops(before.softnet)) % u32,
        queued_before=before.queued,
        queued_after=after.queued,
    )


def delivery_of(cell: Cell, delivery: Delivery) -> Delivery:
    """How frames of a cell are counted: an XDP frame whole also where an skb is without its header
    (drivers/net/veth.c, ``veth_xdp_rcv``), one with a tag without it where that is left out."""
    if sends_xdp(cell.engine):
        return replace(delivery, header_left_out=0)
    has_tag = isinstance(cell.values.get("vlan"), dict)
    if delivery.tag_left_out and has_tag:
        return replace(delivery, header_left_out=delivery.header_left_out + VLAN_TAG)
    return delivery


def arrivals(change: Delta, delivery: Delivery) -> tuple[int, ...]:
    """Frames that each sink counted."""
    rx = delivery.direction == "rx"
    return tuple(sink.rx_packets if rx else sink.tx_packets for sink in change.sinks)


def delivered(change: Delta, delivery: Delivery) -> int:
    """Frames delivered, as the sinks' interface counters have it."""
    return sum(arrivals(change, delivery)) // delivery.copies


def delivered_bytes(change: Delta, delivery: Delivery) -> int:
    """Bytes of the frames that the sinks counted from destination MAC to end of payload."""
    rx = delivery.direction == "rx"
    counted = sum(sink.rx_bytes if rx else sink.tx_bytes for sink in change.sinks)
    return counted + sum(arrivals(change, delivery)) * delivery.header_left_out


def adds_up(
    before: Counters, after: Counters, delivery: Delivery, frame_size: int, completed: int
) -> bool:
    """Whether just the completed frames arrived, and none is queued. ``account`` then finds neither
    a problem nor a loss; it takes far longer, and so it may wait."""
    arrived = octets = 0
    for old, new in zip(before.sinks, after.sinks, strict=True):
        if delivery.direction == "rx":
            arrived += new.rx_packets - old.rx_packets
            octets += new.rx_bytes - old.rx_bytes
        else:
            arrived += new.tx_packets - old.tx_packets
            octets += new.tx_bytes - old.tx_bytes
    return (
        arrived == completed * delivery.copies
        and octets == arrived * (frame_size - delivery.header_left_out)
        and not before.queued
        and not after.queued
    )


def account(
    change: Delta,
    delivery: Delivery,
    *,
    frame_size: int,
    completed: int,
    refused: int = 0,
    pending: int = 0,
    carrier_lost: str = "",
    segments: int = 1,
) -> Accounting:
    """Set the frames that the sender counted against those that the kernel counted.

    ``completed`` frames were given back by the kernel as sent; ``refused`` is how often the
    sender was told that a frame was dropped (ENOBUFS): those are among the drops, and not
    missing. ``pending`` frames were handed over, in this slice or before, and not known to have
    left at its end: if they arrive, they are late, and not foreign. Further drops explain completed
    frames that were not delivered. Frames of ``frame_size`` bytes are checked through the byte
    counters. ``carrier_lost`` names ports that lost their carrier meanwhile: what is sent to one
    ends in its noop qdisc, which on most kernels counts nothing (net/sched/sch_generic.c,
    ``noop_enqueue``). A qdisc counts super-frames of so many ``segments``, which the kernel cuts
    behind it (net/core/dev.c, ``validate_xmit_skb``); interfaces count the frames.
    """
    arrived = delivered(change, delivery)
    qdisc_drops = change.qdisc.drops * segments
    drops = qdisc_drops + change.dropped
    if delivery.hidden_backlog:
        drops += change.softnet_drops
    unasked = max(0, arrived - completed)
    late = min(unasked, pending)
    foreign = unasked - late
    still_queued = change.queued_after * segments
    missing = max(0, completed - arrived - still_queued)
    lost = missing if carrier_lost else min(missing, max(0, drops - refused))
    unexplained = missing - lost
    few_foreign = delivery.others_send and foreign <= FOREIGN_SHARE * completed
    counted = {
        Code.QUEUED_BEFORE: change.queued_before * segments,
        Code.STILL_QUEUED: still_queued,
        Code.LATE: late,
        Code.FOREIGN: 0 if few_foreign else foreign,
    }
    problems = [Problem(code, count) for code, count in counted.items() if count]
    if unexplained:
        problems.append(
            Problem(Code.UNEXPLAINED, unexplained, delivered=arrived, completed=completed)
        )
    if not unasked:
        problems += _wrong_length(change, delivery, frame_size)
    return Accounting(
        delivered=arrived,
        lost=lost,
        qdisc_drops=qdisc_drops,
        device_drops=change.dropped,
        softnet_drops=min(missing, change.softnet_drops) if delivery.hidden_backlog else 0,
        foreign=foreign,
        problems=tuple(problems),
        per_sink=arrivals(change, delivery) if len(change.sinks) > 1 else (),
        carrier_lost=carrier_lost if lost else "",
    )


def _risen(before: Sequence[int], after: Sequence[int], wrap: int) -> list[int]:
    return [(new - old) % wrap for old, new in zip(before, after, strict=True)]


def _wrong_length(change: Delta, delivery: Delivery, frame_size: int) -> list[Problem]:
    """None where all lengths are right."""
    arrived, arrived_bytes = sum(arrivals(change, delivery)), delivered_bytes(change, delivery)
    lengths = [frame_size]
    if delivery.may_pad:  # some drivers count before padding, some after it, some with the FCS
        padded = max(frame_size, ETH_ZLEN)
        lengths += [padded, padded + ETH_FCS_LEN]
    if arrived_bytes in [arrived * length for length in lengths]:
        return []
    return [Problem(Code.WRONG_LENGTH, arrived, bytes=arrived_bytes, meant=frame_size)]
