"""Which CPUs senders get, on machines that are faked trees of /proc and /sys."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.system import cpus
from bench.system.cpus import Device, Layout, choose, layout
from bench.system.procfs import CPU, ProcFs, cpu_list
from tests.trees import Tree, machine_of

FOUR = range(4)
CPU_0_LAST = "CPU 0 last among equals"


def tree(
    online: Iterable[int] = FOUR,
    *,
    isolated: str = "",
    tickless: str = "",
    cores: Iterable[tuple[int, ...]] = (),
    nodes: Iterable[str] = (),
) -> Tree:
    """A CPU that is in none of the cores has a core to itself."""
    core_of = {cpu: core for core in cores for cpu in core}
    siblings = {cpu: cpu_list(core_of.get(cpu, (cpu,))) for cpu in online}
    return {
        f"{CPU}/online": cpu_list(online),
        f"{CPU}/isolated": isolated,
        f"{CPU}/nohz_full": tickless,
        **{f"{CPU}/cpu{n}/topology/thread_siblings_list": text for n, text in siblings.items()},
        **{f"sys/devices/system/node/node{n}/cpulist": text for n, text in enumerate(nodes)},
    }


def test_what_the_kernel_tells_of_its_cpus(tmp_path: Path) -> None:
    files = tree(isolated="2-3", tickless="3", cores=[(0, 2), (1, 3)], nodes=["0,2", "1,3"])
    assert layout(machine_of(tmp_path, files)) == Layout(
        online=frozenset(FOUR),
        isolated=frozenset({2, 3}),
        tickless=frozenset({3}),
        core_of={0: (0, 2), 1: (1, 3), 2: (0, 2), 3: (1, 3)},
        node_of={0: 0, 1: 1, 2: 0, 3: 1},
    )


def test_a_kernel_that_tells_nothing_leaves_a_choice_too(tmp_path: Path) -> None:
    there = layout(ProcFs(tmp_path))
    assert there == Layout(frozenset(), frozenset(), frozenset(), {}, {})
    assert choose(there, [0, 1]).cpus == (1, 0)


# What they did

STAT = """\
cpu  9 9 9 9 9 9 9 9 9 0
cpu0 1 2 3 4 5 6 7 8 9 0
cpu1 10 20 30 40 50 60 70 80 90 0
cpu10 1 1 1 1 1 1 100 200 0 0
intr 12345 0 7
ctxt 99
"""


def test_steal_and_softirq_are_of_the_named_cpus_and_interrupts_of_all() -> None:
    one, both = (cpus.cpu_time(STAT.encode(), these, 7) for these in ([1], [0, 10]))
    tick = cpus.TICK_NS
    assert (one.total_ns, both.total_ns) == (7, 14), "the time of two CPUs is twice as long"
    assert (one.steal_ns, one.softirq_ns, one.interrupts) == (80 * tick, 70 * tick, 12345)
    assert (both.steal_ns, both.softirq_ns, both.interrupts) == (208 * tick, 107 * tick, 12345)


def test_a_cpu_that_is_offline_did_nothing_and_an_old_kernel_tells_less() -> None:
    assert cpus.stat_row(STAT, 2) == [0] * 8
    assert cpus.stat_row("cpu 1 2 3 4\ncpu0 1 2 3 4\n", 0) == [1, 2, 3, 4, 0, 0, 0, 0]


def test_a_counter_that_steps_back_counts_nothing() -> None:
    later = cpus.CpuTime(100, 20, 5, 9).since(cpus.CpuTime(40, 30, 5, 2))
    assert later == cpus.CpuTime(60, 0, 0, 7)


# The order


ETH0_ON_0 = Device("eth0", 0, frozenset())


@pytest.mark.parametrize(
    ("files", "allowed", "devices", "order", "why"),
    [
        pytest.param(tree(), FOUR, [], (1, 2, 3, 0), CPU_0_LAST, id="all alike"),
        pytest.param(tree(), (2, 3), [], (2, 3), "all alike", id="those of a cpuset"),
        pytest.param(tree(), (0,), [], (0,), "the only one", id="a single one"),
        pytest.param(
            tree(isolated="2-3"),
            FOUR,
            [],
            (2, 3, 1, 0),
            f"CPUs 2-3 first, isolated; {CPU_0_LAST}",
            id="isolated",
        ),
        pytest.param(
            tree(isolated="1-3", tickless="3"),
            (1, 2, 3),
            [],
            (3, 1, 2),
            "all isolated",
            id="isolated and tickless",
        ),
        pytest.param(
            tree(cores=[(0, 2), (1, 3)]),
            FOUR,
            [],
            (1, 2, 3, 0),
            f"one CPU of each core before its siblings; {CPU_0_LAST}",
            id="SMT",
        ),
        pytest.param(
            tree(cores=[(0, 2), (1, 3)]),
            (1, 2),
            [],
            (1, 2),
            "all alike",
            id="SMT, with siblings that a cpuset forbids",
        ),
        pytest.param(
            tree(cores=[(0, 1), (2, 3)], isolated="1,3"),
            FOUR,
            [],
            (1, 3, 2, 0),
            f"CPUs 1,3 first, isolated; one CPU of each core before its siblings; {CPU_0_LAST}",
            id="SMT, one of each core isolated",
        ),
        pytest.param(
            tree(range(6), nodes=["0-1", "2-5"]),
            range(6),
            [],
            (2, 3, 4, 5, 1, 0),
            f"node 1 first, which has the most of them; {CPU_0_LAST}",
            id="two nodes, no device",
        ),
        pytest.param(
            tree(nodes=["0-1", "2-3"], isolated="2"),
            FOUR,
            [],
            (2, 3, 1, 0),
            "CPU 2 first, isolated; node 1 first, which has the most of them; " + CPU_0_LAST,
            id="two nodes, beside the isolated ones",
        ),
        pytest.param(
            tree(range(6), nodes=["0-1", "2-5"]),
            range(6),
            [ETH0_ON_0],
            (1, 0, 2, 3, 4, 5),
            f"node 0 first, where eth0 is; {CPU_0_LAST}",
            id="two nodes, a device",
        ),
        pytest.param(
            tree(range(6), nodes=["0-1", "2-5"]),
            range(2, 6),
            [ETH0_ON_0],
            (2, 3, 4, 5),
            "all alike",
            id="two nodes, the device's not to be used",
        ),
        pytest.param(
            tree(cores=[(0, 2), (1, 3)], nodes=["0,2", "1,3"]),
            FOUR,
            [ETH0_ON_0],
            (2, 1, 0, 3),
            "one CPU of each core before its siblings; node 0 first, where eth0 is; " + CPU_0_LAST,
            id="a core on another node before a sibling on this one",
        ),
        pytest.param(
            tree(isolated="1-2"),
            FOUR,
            [Device("eth0", None, frozenset({1}))],
            (2, 3, 0, 1),
            "CPUs 1-2 first, isolated; CPU 1 last for the interrupts of eth0; " + CPU_0_LAST,
            id="interrupts",
        ),
        pytest.param(
            tree(),
            FOUR,
            [Device("eth0", None, frozenset({0, 1})), Device("eth1", None, frozenset({2, 3, 4}))],
            (1, 2, 3, 0),
            f"all take interrupts of eth0 and eth1; {CPU_0_LAST}",
            id="interrupts without a choice",
        ),
    ],
)
def test_the_best_cpus_come_first(
    tmp_path: Path,
    files: Tree,
    allowed: Iterable[int],
    devices: list[Device],
    order: tuple[int, ...],
    why: str,
) -> None:
    there = layout(machine_of(tmp_path, files))
    chosen = choose(there, tuple(allowed), devices)
    assert (chosen.cpus, chosen.why) == (order, f"auto: {why}")


@given(
    st.sets(st.integers(0, 9), min_size=1),
    st.sets(st.integers(0, 9)),
    st.sets(st.integers(0, 9)),
    st.sampled_from([(1,), (1, 2), (1, 2, 3)]),
)
def test_each_allowed_cpu_is_there_once_and_a_core_twice_only_when_each_is_there(
    allowed: set[int], isolated: set[int], interrupts: set[int], width: tuple[int, ...]
) -> None:
    size = len(width)
    cores = {cpu: tuple(range(cpu - cpu % size, cpu - cpu % size + size)) for cpu in range(10)}
    there = Layout(frozenset(range(10)), frozenset(), frozenset(), cores, {})
    order = choose(there, allowed).cpus
    assert sorted(order) == sorted(allowed)
    first = order[: len({cores[cpu] for cpu in allowed})]
    assert len({cores[cpu] for cpu in first}) == len(first)
    quiet = allowed - interrupts
    last = choose(
        Layout(there.online, frozenset(isolated), frozenset(), cores, {}),
        allowed,
        [Device("eth0", None, frozenset(interrupts))],
    ).cpus
    assert set(last[: len(quiet)]) == quiet


# Devices


def test_a_device_tells_its_node_and_where_its_interrupts_go(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "sys/class/net/eth0/device/numa_node": "1\n",
            "sys/class/net/eth0/device/irq": "9\n",
            "sys/class/net/eth0/device/msi_irqs/40": "msix\n",
            "sys/class/net/eth0/device/msi_irqs/41": "msix\n",
            "proc/irq/9/effective_affinity_list": "0\n",
            "proc/irq/40/effective_affinity_list": "2\n",
            "proc/irq/40/smp_affinity_list": "0-3\n",
            "proc/irq/41/effective_affinity_list": "\n",
            "proc/irq/41/smp_affinity_list": "4-5\n",
        },
    )
    assert cpus.device(machine, "eth0") == Device("eth0", 1, frozenset({2, 4, 5}))


def test_a_device_of_virtio_is_its_pci_function(tmp_path: Path) -> None:
    function = "sys/devices/pci0000:00/0000:00:03.0"
    machine = machine_of(
        tmp_path,
        {
            f"{function}/numa_node": "0\n",
            f"{function}/msi_irqs/38": "msix\n",
            f"{function}/virtio2/vendor": "0x1af4\n",
            "sys/class/net/eth0/ifindex": "2\n",
            "proc/irq/38/effective_affinity_list": "1\n",
        },
    )
    (tmp_path / "sys/class/net/eth0/device").symlink_to(tmp_path / function / "virtio2")
    assert cpus.device(machine, "eth0") == Device("eth0", 0, frozenset({1}))


def test_a_device_with_one_line_and_no_node_and_one_that_is_virtual(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "sys/class/net/eth0/device/numa_node": "-1\n",
            "sys/class/net/eth0/device/irq": "9\n",
            "proc/irq/9/effective_affinity_list": "3\n",
            "sys/class/net/veth0/ifindex": "3\n",
        },
    )
    assert cpus.device(machine, "eth0") == Device("eth0", None, frozenset({3}))
    assert cpus.device(machine, "veth0") == Device("veth0", None, frozenset())


# What may be used


class Mask:
    """A process's mask, in a cpuset."""

    def __init__(self, cpus: set[int], cpuset: set[int]) -> None:
        self.cpus, self.cpuset = cpus, cpuset

    def get(self, _pid: int) -> set[int]:
        return set(self.cpus)

    def set(self, _pid: int, wanted: Iterable[int]) -> None:
        if not self.cpuset & set(wanted):
            raise OSError(22, "Invalid argument")
        self.cpus = self.cpuset & set(wanted)


@pytest.mark.parametrize(
    ("mask", "cpuset", "allowed"),
    [
        pytest.param({0}, {0, 1, 2, 3}, (0, 1, 2, 3), id="as isolcpus leaves it"),
        pytest.param({0}, {0, 1, 2}, (0, 1, 2), id="a cpuset without one of them"),
        pytest.param({0}, {0}, (0,), id="a cpuset without any of them"),
        pytest.param({0, 2}, {0, 1, 2, 3}, (0, 2), id="asked for by taskset"),
        pytest.param({2, 3}, {0, 1, 2, 3}, (2, 3), id="isolated ones alone"),
    ],
)
def test_isolated_cpus_may_be_used_unless_the_mask_is_somebodys_choice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mask: set[int],
    cpuset: set[int],
    allowed: tuple[int, ...],
) -> None:
    process = Mask(mask, cpuset)
    monkeypatch.setattr(os, "sched_getaffinity", process.get)
    monkeypatch.setattr(os, "sched_setaffinity", process.set)
    assert cpus.allowed(machine_of(tmp_path, tree(isolated="1-3"))) == allowed
    assert process.cpus == mask


def test_without_isolated_cpus_the_mask_is_all(tmp_path: Path) -> None:
    found = cpus.allowed(machine_of(tmp_path, tree()))
    assert found == tuple(sorted(os.sched_getaffinity(0)))


# Who keeps off them


HERE = sorted(os.sched_getaffinity(0))


@pytest.mark.parametrize("senders", [HERE[-1:], HERE])
def test_all_threads_keep_off_the_senders_cpus_as_far_as_they_can(senders: list[int]) -> None:
    tids, ended = [], threading.Event()

    def other_thread() -> None:
        tids.append(threading.get_native_id())
        started.set()
        ended.wait()

    started = threading.Event()
    thread = threading.Thread(target=other_thread)
    thread.start()
    try:
        started.wait()
        expected = set(HERE) - set(senders) or {senders[-1]}
        with cpus.kept_off(senders):
            assert [os.sched_getaffinity(tid) for tid in (0, *tids)] == [expected, expected]
        assert [os.sched_getaffinity(tid) for tid in (0, *tids)] == [set(HERE), set(HERE)]
    finally:
        ended.set()
        thread.join()


def test_a_thread_that_ended_may_have_left_its_id_to_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        mask = os.sched_getaffinity(other.pid)
        ended = {other.pid: {min(mask)}}
        masks = cpus._masks
        monkeypatch.setattr(cpus, "_masks", lambda: masks() | ended)
        placed = []
        monkeypatch.setattr(cpus, "_place", lambda of: placed.append(dict(of)))
        with cpus.kept_off([max(mask)]):
            pass
        assert other.pid not in placed[-1]
        assert os.getpid() in placed[-1]
        other.communicate(b"\n")
