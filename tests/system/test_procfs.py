"""What files of /proc and /sys say about CPUs, in the kernel's notations."""

from __future__ import annotations

import pytest

from bench.system.cpus import cpu_time
from bench.system.procfs import (
    Softirqs,
    cpu_list,
    kept_open,
    parse_cpus,
    parse_mask,
    softirqs,
    softnet_drops,
)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", ()), ("0", (0,)), ("0-2,5", (0, 1, 2, 5)), ("(null)", ()), ("0,2,64-65", (0, 2, 64, 65))],
)
def test_lists_of_cpus(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpus(text) == cpus
    assert parse_cpus(cpu_list(cpus)) == cpus


def test_masks_of_cpus() -> None:
    assert parse_mask("00000001,00000003") == (0, 1, 32)
    assert parse_mask("0") == parse_mask("") == ()


def test_softnet_drops_are_summed_over_cpus() -> None:
    text = (
        b"0000000a 00000001 00000002 00000000 00000000\n"
        b"00000010 0000001f 0000000f 00000000 00000000\n"
    )
    assert softnet_drops(text) == 32


def test_softirqs_are_summed_over_cpus() -> None:
    text = (
        b"                    CPU0       CPU1       \n"
        b"          HI:          9          9\n"
        b"      NET_TX:          4          1\n"
        b"      NET_RX:       1036       1308\n"
        b"       BLOCK:          0      32460\n"
    )
    assert softirqs(text) == Softirqs(5, 2344)


def test_what_this_machines_cpus_did_is_read_again_and_again() -> None:
    with kept_open("/proc/stat") as stat:
        first = cpu_time(stat(), [0], 1)
        last = cpu_time(stat(), [0], 2)
    assert 0 < first.interrupts <= last.interrupts
    assert first.softirq_ns <= last.softirq_ns
