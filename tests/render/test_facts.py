"""The facts above a table."""

from __future__ import annotations

import pytest

from bench.model.header import DeviceFacts, HostFacts
from bench.render import facts
from tests.builders import a_cell, a_run, a_sample


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (DeviceFacts(tx_queues=1), "1 tx queue"),
        (DeviceFacts(tx_queues=8), "8 tx queues"),
        (DeviceFacts(tx_queues=8, channels={"tx": 1, "combined": 2}), "3 tx queues"),
        (DeviceFacts(tx_queues=0), None),
        (DeviceFacts(speed_mbit=1000, duplex="full"), "1000 Mb/s full duplex"),
        (DeviceFacts(speed_mbit=None), "speed unknown"),
        (DeviceFacts(rings={"tx": 256}), "ring of 256"),
        (DeviceFacts(in_use=True), "in use by others"),
    ],
)
def test_a_device_is_what_figures_depend_on(device: DeviceFacts, said: str | None) -> None:
    parts = facts._device_text(device).split("; ")
    if said is None:
        assert not any("queue" in part for part in parts)
    else:
        assert said in parts


def rounds_of(**samples: int) -> str:
    run = a_run(
        [a_sample(cell, at) for cell, number in samples.items() for at in range(number)],
        [a_cell(cell) for cell in (*samples, "never")],
    )
    return " ".join(fact.text for fact in facts.of(run) if "rounds" in fact.text)


def test_the_rounds_are_those_that_cells_have() -> None:
    """A cell without any is told elsewhere."""
    assert "5 rounds" in rounds_of(a=5, b=5)
    assert "3 to 5 rounds" in rounds_of(a=3, b=5)


def test_the_machine_made_system_calls_and_copied_bytes() -> None:
    cells = [a_cell(name, frame_size=1000) for name in ("syscall", "null")]
    run = a_run(
        calibration=tuple(cells),
        calibration_samples=tuple(a_sample(of.id, r, 2e6) for of in cells for r in range(20)),
    )
    (speed,) = [fact for fact in facts.of(run) if fact.key == "machine_speed"]
    calls, copied = speed.text.split("; ")
    assert calls.startswith("2.000 M system calls/s (drift")
    assert copied.startswith("2.000 GB/s copied (drift")
    assert speed.short.count("of system calls") == speed.short.count("of copying") == 1


def test_a_slice_is_as_long_as_its_window_where_the_run_says_how_long_that_is() -> None:
    """Files of old do not."""
    for measure, said in (({"window_ns": 10_000_000}, "10 ms slices in"), ({}, "slices in")):
        run = a_run([a_sample("a")], header={"measure": measure})
        (measured,) = [fact for fact in facts.of(run) if fact.key == "measured"]
        assert measured.text.startswith(said)
        assert measured.value["window_ns"] == measure.get("window_ns")


def test_each_device_has_a_line_and_programs_have_all_of_them() -> None:
    two = {"eth1": {"driver": "igb"}, "eth2": {"driver": "ixgbe"}}
    found = facts.of(a_run(header={"devices": two}))
    assert [fact.label for fact in found if fact.label.startswith("device")] == [
        "device eth1",
        "device eth2",
    ]
    (of_all,) = [fact for fact in found if fact.key == "devices"]
    assert {name: of["driver"] for name, of in of_all.value.items()} == {
        "eth1": "igb",
        "eth2": "ixgbe",
    }
    assert not any(fact.key == "devices" for fact in facts.of(a_run()))


def test_memory_is_in_gib_and_programs_have_its_bytes() -> None:
    for number, text in ((16 << 30, "16.0 GiB"), (3 << 29, "1.5 GiB"), (0, "")):
        memory = facts._memory(HostFacts(memory_bytes=number))
        assert (memory.text, memory.value) == (text, number)
