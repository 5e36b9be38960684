"""What the machine did between two moments."""

from __future__ import annotations

from bench.measure.moments import Moment, cpus_did, softirqs_ran
from bench.system.cpus import TICK_NS
from bench.system.procfs import Softirqs

STAT = b"cpu0 1 2 3 4 5 6 %d 8 9 0\nintr %d 0 7\n"
SOFTIRQS = b"NET_TX: %d 3\nNET_RX: %d 0\n"


def test_of_two_texts_it_is_what_rose_also_across_a_wrap() -> None:
    before = Moment(b"\n" + STAT % (7, 100), SOFTIRQS % (2**32 - 4, 9), 50)
    after = Moment(b"\n" + STAT % (9, 130), SOFTIRQS % (1, 12), 80)
    did = cpus_did(before, after, [0])
    assert (did.total_ns, did.softirq_ns, did.steal_ns) == (30, 2 * TICK_NS, 0)
    assert did.interrupts == 30
    assert softirqs_ran(before, after) == Softirqs(5, 3)
