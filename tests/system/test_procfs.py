"""What files of /proc and /sys say about CPUs, in the kernel's notations."""

from __future__ import annotations

import pytest

from bench.system.procfs import cpu_list, parse_cpus, parse_mask


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
