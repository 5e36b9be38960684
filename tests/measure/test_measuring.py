"""The one order in which a command gets ready to measure."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.matrix import load
from bench.measure.measuring import measuring
from bench.measure.prepare import vocabulary
from bench.plan import plan
from bench.plan.plan import Plan
from bench.system import host, privileges
from bench.topology import device, kinds


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order; nothing of it really."""
    steps: list[str] = []

    def noted(owner: Any, name: str, step: str, answer: Any = None) -> None:
        def note(*_: object) -> Any:
            steps.append(step)
            return answer

        monkeypatch.setattr(owner, name, note)

    noted(device, "restore_all", "give devices back", ["eth1: given back"])
    noted(host, "fingerprint", "fingerprint", {"hostname": "here"})
    noted(host, "raise_file_limit", "file limit")
    noted(kinds, "load_modules", "load modules")
    noted(privileges, "gain", "gain privileges")
    noted(privileges, "shed", "shed privileges")
    return steps


def a_plan(interfaces: str) -> Plan:
    words = vocabulary()
    text = f"name: m\naxes: {{{interfaces}frame_size: [64]}}"
    return plan.make_plan(load.parse(text, "m.yaml", words), words)


LO, NOWHERE = "interface: [lo], method: [send], ", "method: ['null'], "


@pytest.mark.parametrize(
    ("interfaces", "privileged"),
    [(LO, ["load modules", "gain privileges"]), (NOWHERE, ["shed privileges"])],
)
def test_the_machine_is_seen_whole_before_privileges_change_and_devices_are_back_before_that(
    done: list[str],
    capsys: pytest.CaptureFixture[str],
    interfaces: str,
    privileged: list[str],
) -> None:
    def look() -> str:
        done.append("look")
        return "found"

    ready = measuring(a_plan(interfaces).topologies, look, lambda: done.append("check output"))
    with ready as seen:
        done.append("measure")
    assert done == [
        "check output",
        "give devices back",
        "fingerprint",
        "look",
        "file limit",
        *privileged,
        "measure",
    ]
    assert (seen.fingerprint, seen.found) == ({"hostname": "here"}, "found")
    assert capsys.readouterr().err == "bench: eth1: given back\n"


def test_nothing_is_done_where_the_result_could_not_be_written(done: list[str]) -> None:
    def refuse() -> None:
        raise BenchError("cannot write FILE")

    with (
        pytest.raises(BenchError, match="cannot write FILE"),
        measuring(a_plan(LO).topologies, lambda: None, refuse),
    ):
        pass
    assert done == []


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_raises_inside_and_is_as_before_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), measuring(a_plan(LO).topologies, lambda: None):
        signal.raise_signal(number)
    assert signal.getsignal(number) == before
