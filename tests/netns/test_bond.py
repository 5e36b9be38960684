"""Bonds over veth pairs: which slaves carry the frames, and what a failover costs.

Few machines' kernels have bonding: `make test-kernels` boots some that do.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.analysis import summary
from bench.base.values import Value
from bench.measure import local
from bench.measure.accounting import account
from bench.measure.counters import CounterReader, settle
from bench.measure.frame_check import FrameCheck
from bench.model.cells import Cell
from bench.model.run import Run
from bench.topology import Port, Topology, bond
from bench.topology.kinds import up
from bench.topology.link import rtnl
from tests.netns.conftest import bonds, why_no_bond
from tests.netns.test_core import DEADLINE_NS, opened
from tests.netns.test_run import assert_sound
from tests.running import Bench, Quiet, assert_rounds, measured
from tests.vocabulary import WORDS

pytestmark = [pytest.mark.netns, bonds]


# Without bonding

MODULE = Path("/modules/bonding.ko")
"""Where the virtual machines of `make test-kernels` have it."""
_libc = ctypes.CDLL(None, use_errno=True)
_DELETE_MODULE, _FINIT_MODULE = {"x86_64": (176, 313), "aarch64": (106, 273)}[os.uname().machine]


@pytest.fixture
def no_bonding() -> Iterator[None]:
    """The kernel as it is if it has no bonding, else without its module for a while."""
    if why_no_bond():
        yield
        return
    if not MODULE.exists():
        pytest.skip("this kernel has bonding, and its module cannot be put back")
    assert _libc.syscall(_DELETE_MODULE, b"bonding", os.O_NONBLOCK) == 0
    try:
        yield
    finally:
        with MODULE.open("rb") as file:
            assert _libc.syscall(_FINIT_MODULE, file.fileno(), b"max_bonds=0", 0) == 0


@pytest.mark.usefixtures("no_bonding")
def test_without_bonding_its_cells_are_rows_with_the_reason(tmp_path: Path) -> None:
    axes = {"interface": ["ifb", "bond"], "method": ["send"], "frame_size": [64]}
    run = measured(tmp_path, axes)
    (reason,) = run.failures.values()
    assert re.match(r"bond, mode balance-rr: .*; this kernel may be without CONFIG_BONDING", reason)
    assert_rounds(run, rounds=2)


MODPROBE = f"""import ctypes, sys
names = {{"bonding": "bonding", "rtnl-link-bond": "bonding"}}
(name, *parameters) = [word for word in sys.argv[1:] if not word.startswith("-")]
if name not in names:
    sys.exit(1)
with open("{MODULE}", "rb") as file:
    parameters = " ".join(parameters).encode()
    sys.exit(ctypes.CDLL(None).syscall({_FINIT_MODULE}, file.fileno(), parameters, 0) != 0)
"""
"""For the one module: the machines have none of kmod's. The kernel itself starts it, too."""


@pytest.fixture
def modprobe(no_bonding: None, bench: Bench, tmp_path: Path) -> Iterator[None]:
    """A kernel without the module, which it can load; without it again afterwards."""
    if not MODULE.exists():
        pytest.skip("it takes a machine of `make test-kernels`, whose modules may come and go")
    setting = Path("/proc/sys/kernel/modprobe")
    before = setting.read_text()
    script = tmp_path / "modprobe"
    script.with_suffix(".py").write_text(MODPROBE)
    # A first line names no interpreter whose path has a space, as that of a checkout may have.
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -IS '{script}.py' \"$@\"\n")
    script.chmod(0o755)
    bench.environment["PATH"] = f"{tmp_path}:{bench.environment['PATH']}"
    setting.write_text(str(script))
    yield
    setting.write_text(before)
    _libc.syscall(_DELETE_MODULE, b"bonding", os.O_NONBLOCK)


@pytest.mark.usefixtures("modprobe")
def test_root_s_run_leaves_no_bond_of_the_module_s_own_on_the_host(bench: Bench) -> None:
    outcome = bench("run", bench.matrix({"interface": ["bond"], "method": ["send"]}))
    assert outcome.code == 0, outcome.err
    assert Path("/sys/module/bonding").exists()
    assert "bond0" not in [name for _, name in socket.if_nameindex()]


# Which slaves carry the frames

FLOWS = 12
INTERFACES: Mapping[str, dict[str, Any]] = {
    **{f"balance-rr {n}": {"mode": "balance-rr", "slaves": n} for n in (1, 2, 3)},
    "active-backup": {"mode": "active-backup"},
    "broadcast": {"mode": "broadcast", "slaves": 3},
    **{
        f"balance-xor {policy}": {"mode": "balance-xor", "xmit_hash_policy": policy}
        for policy in bond.HASH_POLICIES
    },
    "802.3ad": {"mode": "802.3ad", "xmit_hash_policy": "layer3+4"},
    "balance-tlb": {"mode": "balance-tlb", "xmit_hash_policy": "layer3+4"},
    "balance-alb": {"mode": "balance-alb"},
}


@pytest.fixture(scope="module")
def every_mode(bonding: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every mode with one flow and with several; each frame is captured or counted on the way."""
    axes = {
        "interface": [{"kind": "bond"} | options for options in INTERFACES.values()],
        "method": ["sendto", "tx_ring"],
        "fill": ["copy", "prefilled"],
        "frame_size": [100],
        "flows": [1, FLOWS],
        "burst": [8],
        "ring": [{"version": 2, "slots": 24, "frame_size": 2048}],
    }
    folder = tmp_path_factory.mktemp("bond")
    return measured(folder, axes, rounds=1, zip=[["method", "fill"]])


def frames(run: Run, name: str, flows: int) -> list[list[int]]:
    """How many frames each slave carried, for each cell of an interface, in its only round: in the
    last slice of it, as one that lost its CPU is made up."""
    wanted = INTERFACES[name]
    found = []
    for cell in run.cells:
        interface = cell.values["interface"]
        assert isinstance(interface, dict)
        if wanted.items() <= interface.items() and cell.values["flows"] == flows:
            if "slaves" not in wanted and interface["slaves"] != 2:
                continue
            *_, carried = (sample.per_sink for sample in run.samples if sample.cell == cell.id)
            found.append(list(carried))
    assert len(found) == 2, name
    return found


def parts(run: Run, name: str, flows: int) -> list[list[float]]:
    """The part of the frames that each slave carried, for each cell of an interface."""
    return [[count / sum(carried) for count in carried] for carried in frames(run, name, flows)]


def test_all_frames_arrive_in_every_mode(every_mode: Run) -> None:
    assert len(every_mode.cells) == len(INTERFACES) * 2 * 2
    assert_sound(every_mode, rounds=1)


@pytest.mark.parametrize("slaves", [2, 3])
@pytest.mark.parametrize("flows", [1, FLOWS])
def test_balance_rr_gives_every_slave_an_equal_part(
    every_mode: Run, slaves: int, flows: int
) -> None:
    for carried in frames(every_mode, f"balance-rr {slaves}", flows):
        assert max(carried) - min(carried) <= 1
        assert min(carried) > 0


def test_a_bond_of_one_slave_has_nothing_to_spread(every_mode: Run) -> None:
    assert parts(every_mode, "balance-rr 1", 1) == [[], []]


@pytest.mark.parametrize("flows", [1, FLOWS])
def test_active_backup_uses_one_slave(every_mode: Run, flows: int) -> None:
    assert parts(every_mode, "active-backup", flows) == [[1, 0]] * 2


@pytest.mark.parametrize("flows", [1, FLOWS])
def test_broadcast_sends_every_frame_by_every_slave(every_mode: Run, flows: int) -> None:
    assert parts(every_mode, "broadcast", flows) == [[1 / 3] * 3] * 2


@pytest.mark.parametrize("name", [*(f"balance-xor {p}" for p in bond.HASH_POLICIES), "802.3ad"])
def test_one_flow_stays_on_one_slave_where_a_hash_chooses(every_mode: Run, name: str) -> None:
    for carried in parts(every_mode, name, 1):
        assert sorted(carried)[-1] == 1


@pytest.mark.parametrize(
    "name", [*(f"balance-xor {p}" for p in bond.HASH_POLICIES if p != "vlan+srcmac"), "802.3ad"]
)
def test_flows_spread_over_all_slaves_where_a_hash_chooses(every_mode: Run, name: str) -> None:
    for carried in parts(every_mode, name, FLOWS):
        assert min(carried) > 0.5 / len(carried)


def test_a_hash_of_the_source_mac_keeps_a_sender_s_flows_together(every_mode: Run) -> None:
    for carried in parts(every_mode, "balance-xor vlan+srcmac", FLOWS):
        assert sorted(carried) == [0, 1]


@pytest.mark.parametrize("name", ["balance-tlb", "balance-alb"])
def test_load_balancing_modes_keep_what_is_not_ip_on_the_active_slave(
    every_mode: Run, name: str
) -> None:
    """bond_alb_xmit; where the flows are depends on the loads of the last 10 s."""
    assert parts(every_mode, name, 1) == [[1, 0]] * 2


# A slave without a carrier

CARRIERS: Mapping[str, list[str]] = {
    "balance-rr": ["up", "down", "up"],
    "active-backup": ["down", "up"],
    "broadcast": ["up", "down", "up"],
    "balance-xor": ["down", "up"],
    "802.3ad": ["up", "down"],
}
"""Of each mode."""


@pytest.mark.usefixtures("bonding")
@pytest.mark.parametrize("mode", CARRIERS)
@pytest.mark.parametrize("qdisc", ["noqueue", "pfifo"])
def test_a_slave_without_a_carrier_carries_nothing_and_nothing_is_lost(
    mode: str, qdisc: str
) -> None:
    carrier = CARRIERS[mode]
    interface = {"kind": "bond", "mode": mode, "slaves": len(carrier), "carrier": carrier}
    axes: dict[str, Value] = {"method": "sendto", "fill": "copy"}
    values = dict.fromkeys(WORDS.axes) | {"frame_size": 64, "threads": 1} | axes
    with (
        up(interface, qdisc) as topology,
        opened(topology, **axes) as cell,
        closing(FrameCheck(topology)) as checking,
        CounterReader(topology) as reader,
    ):
        checking.check(Cell("cell", values), cell)
        before = reader.read()
        sent = sum(cell.burst(0, DEADLINE_NS) for _ in range(4))
        judge = functools.partial(
            account, delivery=topology.delivery, frame_size=64, completed=sent
        )
        accounting, _ = settle(reader, before, judge, late_s=1.0)
    assert (accounting.problem, accounting.lost) == ("", 0)
    carried = accounting.per_sink
    assert [count > 0 for count in carried] == [word == "up" for word in carrier]
    # bond_get_slave_by_id(): the next slave takes the turns of one without a carrier.
    shares = [carried[0], carried[-1] / 2] if mode == "balance-rr" else [*filter(None, carried)]
    assert max(shares) - min(shares) <= 2


# Failover


@contextmanager
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Topology]]:
    """The topologies of the runs inside."""
    made: list[Topology] = []

    @contextmanager
    def watched(*arguments: Any) -> Iterator[Topology]:
        with up(*arguments) as topology:
            made.append(topology)
            yield topology

    with monkeypatch.context() as patch:
        patch.setattr(local, "up", watched)
        yield made


def down_as_frames_arrive(port: Port) -> None:
    """Set a slave's peer down in the midst of a slice."""
    with rtnl(port.netns_fd) as ip:

        def arrived() -> int:
            return int(ip.link("get", index=port.ifindex)[0].get_attr("IFLA_STATS64")["rx_packets"])

        before = arrived()
        while arrived() < before + 100:
            time.sleep(0.001)
        ip.link("set", index=port.ifindex, state="down")


def failover(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What is measured while the active slave of a bond loses its carrier."""
    with ExitStack() as stack:
        made = stack.enter_context(captured(monkeypatch))

        def cut() -> None:
            thread = threading.Thread(target=down_as_frames_arrive, args=[made[0].sinks[0]])
            stack.callback(thread.join)
            thread.start()

        axes = {
            "interface": [{"kind": "bond", "mode": "active-backup", "miimon": 50}],
            "method": ["sendto", "tx_ring"],
            "frame_size": [100],
            "burst": [8],
        }
        return measured(folder, axes, progress=Quiet(cut, after=4), window="500ms")


@pytest.mark.usefixtures("bonding")
def test_frames_lost_in_a_failover_are_counted_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stops the sender until the bond has noticed loses none: then once more."""
    for attempt in range(5):
        (tmp_path / str(attempt)).mkdir()
        run = failover(tmp_path / str(attempt), monkeypatch)
        check_failover(run)
        if any(sample.lost + sample.slice_refused for sample in run.samples):
            return
    pytest.fail("no failover of five lost a frame")


def check_failover(run: Run) -> None:
    assert run.failures == {}
    mine = [sample for sample in run.samples if len(sample.per_sink) == 2]
    assert len(mine) == 4
    for sample in mine:
        assert sample.problem == ""
        assert sample.delivered + sample.lost == sample.slice_completed
    assert {sample.carrier_lost for sample in mine if sample.lost} <= {"slave0"}
    assert [count > 0 for count in mine[0].per_sink] == [True, False]
    assert [count > 0 for count in mine[-1].per_sink] == [False, True]
    for result in summary.summarise(run, 0.01):
        mine = [sample for sample in run.samples if sample.cell == result.cell.id]
        noted = any(str(note).startswith("failover: slave0") for note in result.notes)
        assert noted == any(sample.carrier_lost for sample in mine)
