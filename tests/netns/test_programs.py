"""Methods that are programs in the kernel: BPF_PROG_RUN of clones and of live frames."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench.base.values import Value
from bench.engines.core import Endpoint, OpenCell, Slice, SlicePlan
from bench.measure.accounting import Accounting, account, delivery_of
from bench.measure.counters import CounterReader, settle
from bench.model.cells import Cell
from bench.model.run import Run
from bench.topology import Topology, entered, ethtool
from bench.topology.kinds import up
from tests.running import Bench, assert_rounds, measured, needs_root, needs_setpriv, wait_for
from tests.vocabulary import WORDS

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]
anykernel = pytest.mark.anykernel

CPUS = sorted(os.sched_getaffinity(0))
THREADS = [1, 2] if len(CPUS) > 1 else [1]
QUEUES: dict[str, Any] = {"kind": "veth", "queues": len(CPUS)}
"""One for each CPU that sends: where two share one, the kernel counts its drops without a lock."""
GRO: dict[str, Any] = QUEUES | {"gro": True}
DROPPING = QUEUES | {"peer": "xdp_drop"}
PLAN = SlicePlan(window_ns=300_000_000, warmup_ns=1_000_000, drain_ns=60_000_000_000)
DEADLINE_NS = 10_000_000_000

UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def assert_sound(run: Run, rounds: int = 2) -> None:
    assert run.failures == {}
    assert_rounds(run, rounds)
    for sample in run.samples:
        assert sample.problem == ""
        # A sender may fill the peer's queue while others have the peer's CPU: that is explained.
        assert sample.delivered + sample.lost == sample.slice_completed
    for cell in run.cells:  # others may keep its CPU from a sender all through a window
        assert any(s.slice_completed > 0 for s in run.samples if s.cell == cell.id)


# What works


@needs_root
def test_clones_over_every_interface(tmp_path: Path) -> None:
    """Each frame is captured and compared; longer ones do not fit what a run takes from us."""
    axes = {
        "interface": ["lo", "veth", "ifb"],
        "method": ["tc_clone"],
        "frame_size": [14, 18, 1514, 2049, 16000],
        "threads": THREADS,
        "burst": [3],
        "fill": ["copy", "prefilled"],
    }
    run = measured(tmp_path, axes)
    assert_sound(run)
    for sample in run.samples:
        assert sample.total("completed") <= 3 * sample.total("calls")


@needs_root
def test_live_frames_over_a_veth(tmp_path: Path) -> None:
    """The counters of one whose peer drops them tell that they are whole."""
    axes = {
        "interface": [GRO, DROPPING],
        "method": ["xdp_live"],
        "frame_size": [14, 18, mmap.PAGESIZE - 728],
        "threads": THREADS,
        "burst": [3],
        "fill": ["copy", "prefilled"],
    }
    assert_sound(measured(tmp_path, axes))


@needs_root
def test_a_batch_may_have_as_many_frames_as_the_kernel_takes(tmp_path: Path) -> None:
    axes = {"interface": [GRO], "method": ["xdp_live"], "burst": [1, 256]}
    assert_sound(measured(tmp_path, axes))


@needs_root
def test_other_methods_go_by_a_veth_with_gro_as_by_any(tmp_path: Path) -> None:
    methods = ["sendto", "sendmmsg", "tx_ring", "tc_clone"]
    run = measured(tmp_path, {"interface": [GRO], "method": methods, "flows": [1, 7]})
    assert_sound(run)


def test_a_peer_has_gro_where_it_is_asked_for() -> None:
    for asked in (True, False):
        with up({"kind": "veth", "gro": asked}) as topology, entered(topology.rx[0].netns_fd):
            found = ethtool.read(topology.rx[0].ifname)["features"]
        assert ("rx-gro" in found) is asked


# A stream


@contextmanager
def opened(topology: Topology, **axes: Value) -> Iterator[OpenCell]:
    values: dict[str, Value | None] = dict.fromkeys(WORDS.axes)
    values |= {"frame_size": 64, "threads": 1, "fill": "prefilled", "burst": 64}
    values |= axes
    endpoint = Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = OpenCell(values, endpoint, CPUS[-1:])
    with cell:
        yield cell


def counted(topology: Topology, before: Any, reader: CounterReader, done: Slice) -> Accounting:
    """What the interface's counters say of a slice's frames."""
    cell = Cell("", {"method": "xdp_live", "frame_size": 64, "threads": 1})

    def judge(change: Any) -> Accounting:
        delivery = delivery_of(cell, topology.delivery)
        return account(change, delivery, frame_size=64, completed=done.slice_completed)

    return settle(reader, before, judge, topology.delivery.late_s)[0]


def threads() -> set[int]:
    return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}


@needs_root
def test_a_signal_of_others_ends_no_slice() -> None:
    """As SIGSTOP does with every thread: the call is made anew, and no frame is lost."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        up(GRO) as topology,
        opened(topology, method="xdp_live") as cell,
        CounterReader(topology) as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        before, known = reader.read(), threads()
        sliced = pool.submit(cell.run_slice, PLAN)
        wait_for(lambda: len(threads() - known) == 2, "the sender")
        sender = max(threads() - known)
        for _ in range(20):
            libc.tgkill(os.getpid(), sender, signal.SIGRTMAX)
            os.sched_yield()
        done = sliced.result()
        assert counted(topology, before, reader, done).problem == ""
    (thread,) = done.threads
    assert thread.completed > 0
    assert thread.wall_ns >= PLAN.window_ns


@needs_root
def test_threads_of_live_frames_share_a_program_and_each_counts_its_own_frames() -> None:
    """Two programs would not send at once where the kernel's preemption is full or lazy."""
    before = set(programs_of(os.getpid()))
    with (
        up(GRO) as topology,
        opened(topology, method="xdp_live", threads=2) as cell,
        CounterReader(topology) as reader,
    ):
        assert len(set(programs_of(os.getpid())) - before) == 1
        assert [cell.burst(thread, DEADLINE_NS) for thread in (1, 0, 1)] == [64, 64, 64]
        counters = reader.read()
        done = cell.run_slice(PLAN)
        assert counted(topology, counters, reader, done).problem == ""
    assert all(thread.completed > 0 for thread in done.threads)


@needs_root
def test_the_signal_that_ends_a_stream_means_afterwards_what_it_meant() -> None:
    seen = []
    former = signal.signal(signal.SIGRTMAX, lambda number, _frame: seen.append(number))
    try:
        with up(GRO) as topology, opened(topology, method="xdp_live") as cell:
            cell.run_slice(PLAN)
        assert seen == []
        signal.raise_signal(signal.SIGRTMAX)
        assert seen == [signal.SIGRTMAX]
    finally:
        signal.signal(signal.SIGRTMAX, former)


@needs_root
@pytest.mark.parametrize("method", ["tc_clone", "xdp_live"])
def test_whoever_sends_stays_in_the_namespace_that_it_is_in(method: str) -> None:
    with up(GRO) as topology, opened(topology, method=method) as cell:
        own = Path("/proc/thread-self/ns/net")
        home = own.readlink()
        assert cell.burst(0, DEADLINE_NS) == 64
        cell.run_slice(PLAN)
        assert own.readlink() == home


# What does not work


@anykernel
@needs_root
def test_what_takes_no_xdp_frames_is_refused_before_anything_is_sent(bench: Bench) -> None:
    axes = {"interface": ["lo", "veth", "ifb", GRO], "method": ["xdp_live", "send"]}
    outcome = bench("run", bench.matrix(axes))
    assert (outcome.code, outcome.out) == (2, "")
    said = outcome.complaints
    assert len(said) == 3
    assert all("method xdp_live sends XDP frames: " in line for line in said)
    assert "write gro: true or peer: xdp_drop, or exclude the pair" in said[1]


@anykernel
def test_frames_that_do_not_fit_a_program_are_refused(bench: Bench) -> None:
    axes = {"interface": [GRO], "method": ["xdp_live", "tc_clone"], "frame_size": [64, 65535]}
    said = bench("plan", bench.matrix(axes)).complaints
    assert len(said) == 2
    assert all("frame of 65535 bytes" in line and "at most" in line for line in said)


@anykernel
def test_clones_go_by_no_queue_that_tells_nobody_when_they_leave_it(bench: Bench) -> None:
    tbf = {"kind": "tbf", "rate": "1mbit", "burst": 2000, "limit": 100_000}
    axes = {"interface": ["veth"], "method": ["tc_clone", "send"], "qdisc": ["pfifo", tbf]}
    (said,) = bench("plan", bench.matrix(axes)).complaints
    assert "method tc_clone is not told when a frame has left qdisc tbf " in said


@anykernel
def test_a_plan_knows_that_a_call_of_live_frames_waits(bench: Bench) -> None:
    told_ns = []
    for method in ("sendmmsg", "xdp_live"):
        matrix = bench.matrix({"interface": [GRO], "method": [method]}, rounds=1000)
        facts = json.loads(bench("plan", matrix, "--format", "json").out)["facts"]
        told_ns.append(facts["time_ns"]["least"])
    assert told_ns[1] - told_ns[0] > 20_000_000_000


@needs_root
def test_frames_that_the_interface_throws_away_are_no_delivered_ones() -> None:
    """A call succeeds all the same: were its own count believed, it were the fastest of all."""
    with (
        up("veth") as topology,
        opened(topology, method="xdp_live") as cell,
        CounterReader(topology) as reader,
    ):
        before = reader.read()
        done = cell.run_slice(PLAN)
        told = counted(topology, before, reader, done)
    assert done.slice_completed > 0
    assert told.delivered == 0
    assert told.problem or told.lost == done.slice_completed  # Linux 6.1 counts them as drops


@needs_root
def test_clones_that_a_queue_refuses_are_counted() -> None:
    """A short queue behind 10 kbit takes a few frames; each refusal is one drop of the qdisc's."""
    slow = {"kind": "tbf", "rate": "10kbit", "burst": 200, "limit": 400}
    with (
        up("veth", slow) as topology,
        opened(topology, method="tc_clone", burst=8) as cell,
        CounterReader(topology) as reader,
    ):
        before = reader.read()
        done = cell.run_slice(SlicePlan(20_000_000, 0, 0))
        drops = reader.read().qdisc.drops - before.qdisc.drops
    (thread,) = done.threads
    assert thread.enobufs > 0
    assert done.slice_refused == drops
    assert thread.submitted < thread.requested


@needs_setpriv
@pytest.mark.parametrize("method", ["tc_clone", "xdp_live"])
def test_without_the_machine_s_cap_bpf_it_is_a_row_with_its_reason(
    bench: Bench, method: str
) -> None:
    matrix = bench.matrix({"interface": [GRO], "method": ["send", method]})
    outcome = bench("run", matrix, prefix=["setpriv", "--bounding-set=-sys_admin"])
    assert outcome.code == 4, outcome.err
    run = bench.stored()
    (reason,) = run.failures.values()
    assert reason.startswith(f"method {method}: bpf(BPF_PROG_LOAD) needs root (CAP_BPF and")
    assert_rounds(run, rounds=2)


@needs_root
@anykernel
def test_a_killed_run_leaves_no_program(bench: Bench) -> None:
    axes = {"interface": [GRO], "method": ["tc_clone", "xdp_live"]}
    process = bench.start("run", bench.matrix(axes, rounds=1000))
    wait_for(lambda: bench.samples() > 4, "samples", process)
    programs = programs_of(bench.worker())
    assert len(programs) == 2
    assert all(map(is_loaded, programs))
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(is_loaded, programs)), "the end of the programs")


def programs_of(pid: int) -> list[int]:
    """The ids of the BPF programs that a process has open."""
    words: list[list[str]] = []
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            words += [line.split() for line in file.read_text().splitlines()]
    return [int(found[1]) for found in words if found[0] == "prog_id:"]


def is_loaded(program: int) -> bool:
    """By bpf(BPF_PROG_GET_FD_BY_ID)."""
    return _fd_by_id(program) >= 0


def _fd_by_id(program: int) -> int:
    from bench.topology import peer

    number = peer._BPF_SYSCALL[os.uname().machine]
    attributes = (ctypes.c_uint32 * 3)(program)
    fd = int(ctypes.CDLL(None).syscall(number, 13, attributes, ctypes.sizeof(attributes)))
    if fd >= 0:
        os.close(fd)
    return fd
