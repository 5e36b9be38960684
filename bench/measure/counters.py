"""The kernel's own counters around a slice, and whether they agree with what was sent.

A reading takes microseconds: one request per interface and qdisc, and a file under /proc that stays
open. Counters are cumulative; only differences mean anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from bench.measure.accounting import Accounting, Counters, Delta, delta
from bench.system.netlink import codec
from bench.system.netlink.stats import (
    CarrierDowns,
    LinkCounters,
    LinkStats,
    QdiscCounters,
    QdiscStats,
)
from bench.system.procfs import kept_open
from bench.topology import NO_QDISC, Topology

_RETRY_S = 0.0005


class CounterReader:
    """Reads the counters of one topology, from any namespace, for as long as it is open.

    Use it as a context manager: it holds a netlink socket in each namespace whose interfaces
    it reads, and an open file. Raises BenchError if the kernel refuses a request.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._resources = ExitStack()
        self.last: Counters | None = None
        """As they were read last."""

    def __enter__(self) -> Self:
        tx, sinks, queues = self._topology.tx, self._topology.sinks, self._topology.queues
        droppers = self._topology.droppers
        with ExitStack() as stack:
            namespaces = {port.netns_fd for port in (tx, *sinks, *queues, *droppers)}
            sockets = {fd: stack.enter_context(codec.opened(fd)) for fd in namespaces}
            self._tx = LinkCounters(sockets[tx.netns_fd], tx.ifindex)
            self._qdiscs = [
                QdiscCounters(sockets[port.netns_fd], port.ifindex)
                for port in (queues if self._topology.qdisc["kind"] != NO_QDISC else ())
            ]
            self._sinks = [
                LinkCounters(sockets[sink.netns_fd], sink.ifindex)
                for sink in (sinks if sinks != (tx,) else ())
            ]
            self._droppers = [
                LinkCounters(sockets[port.netns_fd], port.ifindex)
                for port in (droppers if droppers != (tx,) else ())
            ]
            self._carriers = [
                (port.ifname, CarrierDowns(sockets[port.netns_fd], port.ifindex)) for port in queues
            ]
            self._downs = self._carrier_downs()
            self._softnet = stack.enter_context(kept_open("/proc/net/softnet_stat"))
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def carrier_lost(self) -> str:
        """The ports of the topology that lost their carrier since this was asked last."""
        before, self._downs = self._downs, self._carrier_downs()
        return ", ".join(name for name in before if self._downs[name] != before[name])

    def _carrier_downs(self) -> dict[str, int]:
        return {name: carrier.read() for name, carrier in self._carriers}

    def _dropping(self) -> list[LinkStats]:
        return [dropper.read() for dropper in self._droppers]

    def read(self) -> Counters:
        """One reading: counters are read one after the other, within tens of microseconds."""
        tx = self._tx.read()
        qdiscs = [qdisc.read() for qdisc in self._qdiscs]
        self.last = Counters(
            tx=tx,
            sinks=tuple(sink.read() for sink in self._sinks) or (tx,),
            dropped=sum(each.tx_dropped for each in self._dropping() or (tx,)),
            qdisc=QdiscStats(*_sums([stats for stats, _ in qdiscs], QdiscStats._fields)),
            queued=sum(queued for _, queued in qdiscs),
            softnet=self._softnet(),
        )
        return self.last

    def arrived(self) -> int:
        """As the function says, read without the rest, in half the time."""
        return arrived(tuple(sink.read() for sink in self._sinks) or (self._tx.read(),))


def arrived(sinks: Sequence[LinkStats]) -> int:
    """Frames at the sinks so far: only a rise means something."""
    return sum(sink.rx_packets + sink.tx_packets for sink in sinks)


def settle(
    reader: CounterReader,
    before: Counters,
    judge: Callable[[Delta], Accounting],
    late_s: float,
) -> tuple[Accounting, Delta]:
    """``judge`` what changed, and again while what does not add up may be a late counter."""
    deadline = time.monotonic() + late_s
    while True:
        change = delta(before, reader.read())
        accounting = judge(change)
        is_final = not accounting.problem or accounting.foreign  # these do not become fewer
        if is_final or time.monotonic() >= deadline:
            return accounting, change
        time.sleep(_RETRY_S)


def _sums(rows: Sequence[Sequence[int]], fields: Sequence[str]) -> list[int]:
    return [sum(row[column] for row in rows) for column in range(len(fields))]
