"""What the doctor finds on machines that are well and on machines that are not.

Machines are faked trees of /proc and /sys: HEALTHY, and what each test makes otherwise.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench import doctor
from bench.base.errors import BenchError, CoreError, UsageError
from bench.base.values import Value
from bench.cli import doctor as command
from bench.doctor import Context, Finding, Level, Needs, ProcFs, cgroup
from bench.doctor.readings import Watched, read
from bench.engines import core
from bench.engines.config import memory_of
from bench.measure import trial
from bench.model.matrix import Mark, Matrix, Measure
from bench.plan import needs, plan
from bench.render import terminal
from bench.render.screen import Screen
from tests.trees import Tree, machine_of
from tests.vocabulary import WORDS

CPU = "sys/devices/system/cpu"
BOUND_ELSEWHERE = "0000 3      3    0003   2     1 0      0      100\n"
TAP = "0000 3      3    0003   0     1 0      0      200\n"
PACKET = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
MOUNTS = "30 20 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
MOUNTS_V1 = "30 20 0:27 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
GROUP = "sys/fs/cgroup/jobs/bench"


def config(*options: str) -> bytes:
    return gzip.compress("".join(f"CONFIG_{option}=y\n" for option in options).encode())


def stat(*rows: tuple[int, int, int]) -> str:
    """/proc/stat of CPUs 0, 1, ...: ticks of user, idle, steal of each."""
    return "cpu 1 2 3 4 5 6 7 8 0 0\n" + "".join(
        f"cpu{cpu} {user} 0 0 {idle} 0 0 0 {steal} 0 0\n"
        for cpu, (user, idle, steal) in enumerate(rows)
    )


def interrupts(nic: int, disk: int) -> str:
    """/proc/interrupts of CPUs 0 to 3: what CPU 1 took."""
    return (
        "            CPU0       CPU1       CPU2       CPU3\n"
        "  0:         40          0          0          0  IO-APIC   2-edge      timer\n"
        f" 24:          0  {nic}          0          0  PCI-MSIX-0000:00:03.0  0-edge  nic-tx\n"
        f" 25:          0  {disk}          9          0  PCI-MSIX-0000:00:04.0  0-edge  disk\n"
        "LOC:      90000      90000      90000      90000   Local timer interrupts\n"
        "ERR:          0\n"
    )


IDLE = stat(*[(1000, 9000, 0)] * 4)

HEALTHY: Tree = {
    **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n}\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpuidle/state1/name": "C1\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpuidle/state1/latency": "2\n" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpuidle/state1/disable": "0\n" for n in range(4)},
    f"{CPU}/intel_pstate/no_turbo": "1\n",
    f"{CPU}/online": "0-3\n",
    f"{CPU}/isolated": "1-3\n",
    f"{CPU}/nohz_full": "1-3\n",
    f"{CPU}/vulnerabilities/meltdown": "Not affected\n",
    f"{CPU}/vulnerabilities/retbleed": "Vulnerable\n",
    "sys/devices/system/node/node0/cpulist": "0-3\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/tracing/current_tracer": "nop\n",
    "sys/kernel/tracing/set_event": "",
    "sys/class/net/eth0/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/eth0/ifindex": "2\n",
    f"{GROUP}/cpu.max": "max 100000\n",
    "proc/1/comm": "systemd\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz ro quiet\n",
    "proc/config.gz": config("NO_HZ", "SLUB_DEBUG", "PREEMPT_NONE"),
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme tsc\n",
    "proc/interrupts": interrupts(1000, 50),
    "proc/irq/0/smp_affinity_list": "0\n",
    "proc/irq/24/effective_affinity_list": "1\n",
    "proc/irq/25/effective_affinity_list": "0\n",
    "proc/irq/25/smp_affinity_list": "0-3\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 4711\n",
    "proc/meminfo": "MemTotal:       16384000 kB\nMemAvailable:    8388608 kB\n",
    "proc/net/packet": PACKET,
    "proc/self/cgroup": "0::/jobs/bench\n",
    "proc/self/limits": "Limit   Soft Limit  Hard Limit  Units\n"
    "Max locked memory         8388608              8388608              bytes     \n",
    "proc/self/mountinfo": MOUNTS,
    "proc/self/status": "Name:\tbench\nCapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-3\n",
    "proc/self/uid_map": "         0          0 4294967295\n",
    "proc/stat": IDLE,
    "proc/sys/kernel/osrelease": "6.18.0\n",
    "proc/sys/net/core/wmem_max": "212992\n",
}
NEEDS = Needs(threads=2, memory=2**28, largest=2**24, locked=2**20, sndbuf=65536)


def findings_on(
    folder: Path,
    changes: Tree,
    needs: Needs | None = NEEDS,
    later: Tree | None = None,
    cpus: tuple[int, ...] = (1, 2),
) -> tuple[Finding, ...]:
    """Of HEALTHY with changes; ``later`` is what the second reading, 0.2 s on, finds otherwise."""
    machine = machine_of(folder / "before", {**HEALTHY, **changes})
    then = machine_of(folder / "after", {**HEALTHY, **changes, **(later or {})})
    return doctor.consult(then, Context(cpus, needs, Watched(read(machine), read(then), 0.2)))


def said(findings: tuple[Finding, ...], check: str) -> list[tuple[str, str, str]]:
    return [(str(f.level), f.found, f.mend) for f in findings if f.check == check]


# Well, and nothing there at all


def test_a_healthy_machine_is_found_healthy(tmp_path: Path) -> None:
    findings = findings_on(tmp_path, {})
    assert [(str(f.level), f.check, f.found) for f in findings] == [
        ("ok", "governor", "governor is performance on CPUs 1-2"),
        ("ok", "turbo", "turbo is off"),
        ("ok", "idle states", "the deepest idle state, C1, takes 2 us to leave"),
        ("ok", "SMT", "CPUs 1-2: no other CPU on the same core"),
        ("ok", "isolation", "senders are on isolated CPUs, without a tick"),
        ("ok", "NUMA", "senders are on node 0"),
        ("ok", "virtual machine", "none"),
        ("ok", "steal", "steal is 0.0 % of the busy time since boot"),
        ("ok", "load", "CPU 1 is 0 % busy, 0 other tasks running, load 0.10"),
        ("ok", "CPU quota", "no limit on CPU time"),
        ("ok", "CPU set", "CPUs 0-3 of 0-3 may be used"),
        ("ok", "irqbalance", "irqbalance is not running"),
        ("ok", "interrupts", "0 interrupts/s on CPUs 1-2, 1 routed there"),
        ("ok", "debug kernel", "no debugging that costs"),
        ("ok", "tracing", "no tracer and no trace event is on"),
        ("ok", "clock source", "clock source is tsc"),
        ("ok", "softirq time", "softirq time counts as the sender's"),
        ("ok", "mitigations", "no mitigation is active"),
        ("ok", "huge pages", "transparent huge pages: madvise"),
        ("ok", "taps", "no packet socket sees every frame"),
        ("ok", "RPS", "RPS is off"),
        ("ok", "memory", "the cells want 256 MiB, 8 GiB available"),
        ("ok", "locked memory", "rings of 1 MiB may be locked (CAP_IPC_LOCK)"),
        ("ok", "send buffer", "wmem_max 212992 allows sndbuf 65536"),
    ]
    assert doctor.verdict(findings) == "doctor: found nothing that would spoil a measurement"


def test_where_nothing_can_be_read_nothing_is_claimed(tmp_path: Path) -> None:
    findings = doctor.examine(ProcFs(tmp_path), [0], NEEDS, interval_s=0)
    assert [(str(f.level), f.found) for f in findings] == [
        ("unknown", "no frequency scaling to be seen"),
        ("unknown", "the kernel does not show which CPUs share a core"),
        ("unknown", "the kernel does not show its CPUs"),
        ("unknown", "nothing shows whether this is a virtual machine"),
        ("unknown", "/proc/stat cannot be read"),
        ("unknown", "/proc/loadavg and /proc/stat cannot be read"),
        ("unknown", "the control groups of this process cannot be seen"),
        ("unknown", "/proc/self/status cannot be read"),
        ("unknown", "other processes cannot be seen"),
        ("unknown", "/proc/interrupts cannot be read"),
        ("unknown", "the kernel's build options cannot be read"),
        ("unknown", "tracefs is not mounted, or not for this user"),
        ("unknown", "the clock source cannot be read"),
        ("unknown", "the kernel's build options cannot be read"),
        ("unknown", "the kernel does not show its mitigations"),
        ("unknown", "/proc/meminfo cannot be read"),
        ("unknown", "/proc/self/limits cannot be read"),
        ("unknown", "net.core.wmem_max cannot be read"),
        ("ok", "transparent huge pages are not built in"),
        ("ok", "no packet sockets here: the kernel is without AF_PACKET"),
        ("ok", "RPS is off"),
    ]


def test_another_kernels_wording_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    findings = findings_on(tmp_path, {"proc/net/packet": PACKET + "one two\n"})
    assert said(findings, "taps") == [
        ("unknown", "not understood: not enough values to unpack (expected 9, got 2)", "")
    ]


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("proc/stat", "steal"),
        ("proc/interrupts", "interrupts"),
        ("proc/self/cgroup", "CPU quota"),
        ("proc/self/mountinfo", "CPU quota"),
    ],
)
def test_counters_in_another_wording_are_unknown(tmp_path: Path, path: str, check: str) -> None:
    findings = findings_on(tmp_path, {path: "cpu0 x\n 1: y z\nq"})
    assert [found[0] for found in said(findings, check)] == ["unknown"]


# Each check


ONE_STATE: list[tuple[str, Tree, list[tuple[str, str, str]]]] = [
    (
        "governor",
        {f"{CPU}/cpu2/cpufreq/scaling_governor": "powersave\n"},
        [
            (
                "warn",
                "governor is powersave on CPU 2",
                f"echo performance | sudo tee /{CPU}/cpu*/cpufreq/scaling_governor",
            ),
            ("ok", "governor is performance on CPU 1", ""),
        ],
    ),
    (
        "turbo",
        {f"{CPU}/intel_pstate/no_turbo": "0\n"},
        [("warn", "turbo is on", f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo")],
    ),
    (
        "turbo",
        {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1\n"},
        [("warn", "turbo is on", f"echo 0 | sudo tee /{CPU}/cpufreq/boost")],
    ),
    ("turbo", {f"{CPU}/intel_pstate/no_turbo": None}, []),
    (
        "idle states",
        {
            f"{CPU}/cpu1/cpuidle/state3/name": "C6\n",
            f"{CPU}/cpu1/cpuidle/state3/latency": "133\n",
            f"{CPU}/cpu1/cpuidle/state3/disable": "0\n",
        },
        [
            (
                "note",
                "the deepest idle state, C6, takes 133 us to leave",
                "sudo cpupower idle-set -D 20",
            )
        ],
    ),
    (
        "idle states",
        {
            f"{CPU}/cpu1/cpuidle/state3/name": "C6\n",
            f"{CPU}/cpu1/cpuidle/state3/latency": "133\n",
            f"{CPU}/cpu1/cpuidle/state3/disable": "1\n",
        },
        [("ok", "the deepest idle state, C1, takes 2 us to leave", "")],
    ),
    (
        "SMT",
        {f"{CPU}/cpu{n}/topology/thread_siblings_list": "1-2\n" for n in (1, 2)},
        [("warn", "two senders on one core: 1-2", "threads: 1 at most: one per core")],
    ),
    (
        "SMT",
        {f"{CPU}/cpu{n}/topology/thread_siblings_list": "2-3\n" for n in (2, 3)},
        [
            (
                "note",
                "CPU 3, free for others, shares a core with a sender",
                f"echo off | sudo tee /{CPU}/smt/control",
            )
        ],
    ),
    (
        "isolation",
        {f"{CPU}/isolated": "\n"},
        [
            (
                "note",
                "no CPU is isolated",
                "boot with isolcpus=managed_irq,domain,1-3 nohz_full=1-3 rcu_nocbs=1-3",
            )
        ],
    ),
    (
        "isolation",
        {f"{CPU}/isolated": "2-3\n", f"{CPU}/nohz_full": "(null)\n"},
        [
            (
                "warn",
                "CPU 3 is isolated and unused",
                "taskset -c 0-3 bench run MATRIX, with measure: {cpus: [2, 3]} in it",
            )
        ],
    ),
    (
        "isolation",
        {f"{CPU}/isolated": "2\n"},
        [("note", "only CPU 2 of the senders' CPUs are isolated", "")],
    ),
    (
        "NUMA",
        {
            "sys/devices/system/node/node0/cpulist": "0-1\n",
            "sys/devices/system/node/node1/cpulist": "2-3\n",
        },
        [("note", "senders are on nodes 0, 1", "measure: {cpus: [1]} in the matrix")],
    ),
    (
        "virtual machine",
        {
            "proc/cpuinfo": "flags\t\t: fpu hypervisor tsc\n",
            "sys/class/dmi/id/sys_vendor": "QEMU\n",
        },
        [("note", "virtual machine (QEMU)", "")],
    ),
    (
        "CPU set",
        {"proc/self/status": "Cpus_allowed_list:\t1-2\n"},
        [
            (
                "note",
                "no CPU is left beside CPUs 1-2 of the senders",
                "taskset -c 0-3 bench run MATRIX, if no cpuset forbids it",
            )
        ],
    ),
    (
        "CPU set",
        {"proc/self/status": "Cpus_allowed_list:\t0-1\n"},
        [("bad", "CPU 2 may not be used", "measure: {cpus: [0, 1]} in the matrix")],
    ),
    (
        "CPU set",
        {"proc/self/status": "Cpus_allowed_list:\t1-2\n", f"{CPU}/online": "1-2\n"},
        [("note", "no CPU is left beside CPUs 1-2 of the senders", "one thread less")],
    ),
    (
        "irqbalance",
        {"proc/77/comm": "irqbalance\n"},
        [("warn", "irqbalance is running", "sudo systemctl stop irqbalance")],
    ),
    (
        "load",
        {"proc/loadavg": "3.50 2.00 1.00 3/100 4711\n"},
        [
            (
                "note",
                "CPU 1 is 0 % busy, 2 other tasks running, load 3.50",
                "stop what uses it: top -H -o %CPU shows it",
            )
        ],
    ),
    (
        "tracing",
        {"sys/kernel/tracing/current_tracer": "function\n"},
        [
            (
                "bad",
                "the function tracer is on",
                "echo nop | sudo tee /sys/kernel/tracing/current_tracer",
            )
        ],
    ),
    (
        "tracing",
        {"sys/kernel/tracing/set_event": "net:net_dev_queue\nnet:net_dev_xmit\n"},
        [
            (
                "warn",
                "2 trace events are on, net:net_dev_queue first",
                "echo | sudo tee /sys/kernel/tracing/set_event",
            )
        ],
    ),
    (
        "clock source",
        {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"},
        [
            (
                "bad",
                "clock source is hpet",
                "echo tsc | sudo tee "
                "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            )
        ],
    ),
    (
        "clock source",
        {
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "acpi_pm\n",
            "sys/devices/system/clocksource/clocksource0/available_clocksource": "acpi_pm\n",
        },
        [
            (
                "bad",
                "clock source is acpi_pm",
                "see dmesg | grep -i clocksource for why the tsc was given up",
            )
        ],
    ),
    (
        "softirq time",
        {"proc/config.gz": config("IRQ_TIME_ACCOUNTING")},
        [("note", "ns/frame leaves out softirq time", "boot with tsc=noirqtime (x86)")],
    ),
    (
        "softirq time",
        {
            "proc/config.gz": config("IRQ_TIME_ACCOUNTING"),
            "proc/cmdline": "tsc=reliable,noirqtime\n",
        },
        [("ok", "softirq time counts as the sender's (tsc=noirqtime)", "")],
    ),
    (
        "mitigations",
        {
            f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI\n",
            "proc/cmdline": "quiet mitigations=auto\n",
        },
        [("note", "1 mitigation is active (meltdown) mitigations=auto", "")],
    ),
    (
        "huge pages",
        {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n"},
        [
            (
                "note",
                "transparent huge pages are on for all memory",
                "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
            )
        ],
    ),
    (
        "RPS",
        {"sys/class/net/eth0/queues/rx-0/rps_cpus": "00000000,00000006\n"},
        [
            (
                "warn",
                "RPS of eth0 hands received frames to CPUs 1-2",
                "echo 0 | sudo tee /sys/class/net/eth0/queues/rx-*/rps_cpus",
            )
        ],
    ),
    (
        "RPS",
        {"sys/class/net/eth0/queues/rx-0/rps_cpus": "8\n"},
        [("note", "RPS of eth0 hands received frames to CPU 3", "")],
    ),
    (
        "memory",
        {"proc/meminfo": "MemAvailable:    262144 kB\n"},
        [
            (
                "warn",
                "the cells want 256 MiB, 256 MiB available",
                "smaller rings, fewer cells at a time (--filter)",
            )
        ],
    ),
    (
        "memory",
        {"proc/meminfo": "MemAvailable:    20480 kB\n"},
        [("bad", "one cell wants 16 MiB, 20 MiB available", "smaller rings, or more memory")],
    ),
    (
        "send buffer",
        {"proc/sys/net/core/wmem_max": "32768\n"},
        [
            (
                "warn",
                "sndbuf 65536 is asked for without force, wmem_max is 32768",
                "sudo sysctl -w net.core.wmem_max=65536",
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("check", "changes", "expected"),
    ONE_STATE,
    ids=[f"{check}: {(found or [('', 'nothing', '')])[0][1]}" for check, _, found in ONE_STATE],
)
def test_what_one_look_finds(
    tmp_path: Path, check: str, changes: Tree, expected: list[tuple[str, str, str]]
) -> None:
    assert said(findings_on(tmp_path, changes), check) == expected


def test_every_check_is_shown_healthy_or_sick_here() -> None:
    two_looks = {"steal", "CPU quota", "interrupts", "debug kernel", "taps", "locked memory", "XPS"}
    assert {check for check, _, _ in ONE_STATE} | two_looks == {c.name for c in doctor.CHECKS}


# SMT and isolation without a matrix


def test_without_a_matrix_smt_is_noted_with_one_cpu_of_each_core(tmp_path: Path) -> None:
    pairs = {
        f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n % 2},{n % 2 + 2}" for n in range(4)
    }
    findings = findings_on(tmp_path, pairs, needs=None, cpus=(0, 1, 2, 3))
    assert said(findings, "SMT") == [
        (
            "note",
            "SMT is on: 0,2 and 1,3 share a core each",
            "measure: {cpus: [0, 1]} in the matrix",
        )
    ]


def test_isolated_cpus_that_the_default_leaves_out_are_named_first(tmp_path: Path) -> None:
    isolated = {f"{CPU}/isolated": "3\n"}
    findings = findings_on(tmp_path, isolated, cpus=(1, 2, 0))
    assert said(findings, "isolation") == [
        (
            "warn",
            "CPU 3 is isolated and unused",
            "taskset -c 0-3 bench run MATRIX, with measure: {cpus: [3, 1]} in it",
        )
    ]


# What only two readings show


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (IDLE, IDLE, ("ok", "steal is 0.0 % of the busy time since boot")),
        (
            stat(*[(1000, 9000, 2)] * 4),
            stat(*[(1000, 9020, 2)] * 4),
            ("note", "steal is 0.2 % of the busy time since boot"),
        ),
        (
            stat(*[(1000, 9000, 31)] * 4),
            stat(*[(1000, 9020, 31)] * 4),
            ("warn", "steal is 3.0 % of the busy time since boot"),
        ),
        (IDLE, stat(*[(1015, 9000, 5)] * 4), ("bad", "steal is 25.0 % now")),
    ],
)
def test_steal(tmp_path: Path, before: str, after: str, expected: tuple[str, str]) -> None:
    findings = findings_on(tmp_path, {"proc/stat": before}, later={"proc/stat": after})
    assert [(level, found) for level, found, _ in said(findings, "steal")] == [expected]


@pytest.mark.parametrize(
    ("busy", "level"), [(0, "ok"), (1, "ok"), (2, "warn"), (9, "warn"), (10, "bad"), (20, "bad")]
)
def test_a_senders_cpu_that_is_busy(tmp_path: Path, busy: int, level: str) -> None:
    later = stat((1000, 9020, 0), (1000, 9020, 0), (1000 + busy, 9020 - busy, 0), (1020, 9000, 0))
    findings = findings_on(tmp_path, {}, later={"proc/stat": later})
    (load,) = said(findings, "load")
    cpu = 2 if busy else 1  # CPU 3, all busy, is no sender's
    assert load[:2] == (level, f"CPU {cpu} is {5 * busy} % busy, 0 other tasks running, load 0.10")


def test_interrupts_of_devices_on_senders_cpus(tmp_path: Path) -> None:
    later = {"proc/interrupts": interrupts(1500, 60)}
    findings = findings_on(tmp_path, {}, later=later)
    assert said(findings, "interrupts") == [
        (
            "warn",
            "2550 interrupts/s on CPUs 1-2, 1 routed there; most from nic-tx, 2500/s",
            "echo 0,3 | sudo tee /proc/irq/24/smp_affinity_list",
        )
    ]


@pytest.mark.parametrize(
    ("count", "level"), [(1019, "ok"), (1020, "note"), (1399, "note"), (1400, "warn")]
)
def test_few_interrupts_are_only_counted(tmp_path: Path, count: int, level: str) -> None:
    findings = findings_on(tmp_path, {}, later={"proc/interrupts": interrupts(count, 50)})
    assert [found[0] for found in said(findings, "interrupts")] == [level]


def test_where_every_cpu_sends_interrupts_have_nowhere_to_go(tmp_path: Path) -> None:
    findings = findings_on(
        tmp_path, {f"{CPU}/online": "1-2\n"}, later={"proc/interrupts": interrupts(1300, 50)}
    )
    assert [found[2] for found in said(findings, "interrupts")] == [
        "leave a CPU to the interrupts: fewer threads"
    ]


# Control groups


def quota(maximum: str, throttled: int) -> Tree:
    return {
        f"{GROUP}/cpu.max": maximum,
        f"{GROUP}/cpu.stat": f"usage_usec 5\nnr_periods 9\nnr_throttled {throttled}\n",
    }


LIFT = f"echo max | sudo tee /{GROUP}/cpu.max"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (quota("400000 100000", 0), {}, ("ok", "a quota of 4 CPUs for 2 senders", "")),
        (quota("200000 100000", 0), {}, ("warn", "a quota of 2 CPUs for 2 senders", LIFT)),
        (
            quota("400000 100000", 1),
            {},
            ("warn", "a quota of 4 CPUs for 2 senders, used up 1 time", LIFT),
        ),
        (quota("150000 100000", 0), {}, ("bad", "a quota of 1.5 CPUs for 2 senders", LIFT)),
        (
            quota("400000 100000", 7),
            quota("400000 100000", 9),
            ("bad", "a quota of 4 CPUs for 2 senders, used up 9 times, 2 of them now", LIFT),
        ),
    ],
)
def test_a_quota_of_cpu_time(
    tmp_path: Path, before: Tree, after: Tree, expected: tuple[str, str, str]
) -> None:
    assert said(findings_on(tmp_path, before, later=after), "CPU quota") == [expected]


def test_a_quota_of_a_group_around_counts(tmp_path: Path) -> None:
    findings = findings_on(tmp_path, {"sys/fs/cgroup/jobs/cpu.max": "50000 100000"})
    assert said(findings, "CPU quota") == [
        (
            "bad",
            "a quota of 0.5 CPUs for 2 senders",
            "echo max | sudo tee /sys/fs/cgroup/jobs/cpu.max",
        )
    ]


def test_a_quota_of_version_1(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/cpu/jobs"
    findings = findings_on(
        tmp_path,
        {
            "proc/self/mountinfo": MOUNTS_V1,
            "proc/self/cgroup": "3:memory:/else\n1:cpu,cpuacct:/jobs\n0::/\n",
            f"{folder}/cpu.cfs_quota_us": "100000\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
            f"{folder}/cpu.stat": "nr_periods 5\nnr_throttled 4\nthrottled_time 1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert said(findings, "CPU quota") == [
        (
            "bad",
            "a quota of 1 CPUs for 2 senders, used up 4 times",
            f"echo -1 | sudo tee /{folder}/cpu.cfs_quota_us",
        )
    ]


def test_a_container_sees_its_group_as_the_root(tmp_path: Path) -> None:
    """With the host's path in /proc/self/cgroup, and with the cgroup namespace's own."""
    mount = "30 20 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    for number, group in enumerate(("/docker/abc", "/")):
        machine = machine_of(
            tmp_path / str(number),
            {
                "proc/self/mountinfo": mount,
                "proc/self/cgroup": f"0::{group}\n",
                "sys/fs/cgroup/cpu.max": "100000 100000\n",
            },
        )
        assert [found.cpus for found in cgroup.quotas(machine) or ()] == [1.0]


# The kernel's debugging


@pytest.mark.parametrize(
    ("changes", "level", "found"),
    [
        (
            {"proc/config.gz": config("KASAN", "KASAN_GENERIC", "PROVE_LOCKING", "DEBUG_PREEMPT")},
            "bad",
            "the kernel debugs itself: KASAN, lockdep, DEBUG_PREEMPT",
        ),
        ({"proc/config.gz": config("KASAN"), "proc/cmdline": "kasan=off"}, "ok", ""),
        ({"proc/config.gz": config("KASAN", "KASAN_HW_TAGS")}, "ok", ""),
        ({"proc/cmdline": "quiet slub_debug"}, "bad", "the kernel debugs itself: slub_debug"),
        (
            {"proc/cmdline": "slab_debug=FZ,kmalloc-512"},
            "bad",
            "the kernel debugs itself: slub_debug",
        ),
        ({"proc/config.gz": config("SLUB_DEBUG_ON"), "proc/cmdline": "slub_debug=-"}, "ok", ""),
        ({"proc/cmdline": "kasan=on kmemleak=on"}, "ok", ""),
        (
            {"proc/config.gz": config("DEBUG_KMEMLEAK", "DEBUG_KMEMLEAK_DEFAULT_OFF")},
            "ok",
            "",
        ),
        (
            {
                "proc/config.gz": config("DEBUG_KMEMLEAK", "DEBUG_KMEMLEAK_DEFAULT_OFF"),
                "proc/cmdline": "kmemleak=on",
            },
            "bad",
            "the kernel debugs itself: kmemleak",
        ),
        ({"proc/lockdep": ""}, "bad", "the kernel debugs itself: lockdep"),
        (
            {"proc/config.gz": config("INIT_ON_ALLOC_DEFAULT_ON")},
            "note",
            "the kernel checks itself: init_on_alloc",
        ),
        (
            {
                "proc/config.gz": config("INIT_ON_ALLOC_DEFAULT_ON"),
                "proc/cmdline": "init_on_alloc=0",
            },
            "ok",
            "",
        ),
        (
            {"proc/config.gz": None, "proc/sys/kernel/osrelease": "6.8.5-301.fc40.x86_64+debug"},
            "warn",
            "by its name a debug kernel: 6.8.5-301.fc40.x86_64+debug",
        ),
        (
            {"proc/config.gz": None},
            "unknown",
            "the kernel's build options cannot be read",
        ),
        (
            {"proc/config.gz": None, "boot/config-6.18.0": "CONFIG_KCSAN=y\n"},
            "bad",
            "the kernel debugs itself: KCSAN",
        ),
        (
            {
                "proc/config.gz": b"no gzip",
                "lib/modules/6.18.0/config": "# CONFIG_KASAN is not set\n",
            },
            "ok",
            "",
        ),
    ],
)
def test_a_debug_kernel(tmp_path: Path, changes: Tree, level: str, found: str) -> None:
    (debug,) = said(findings_on(tmp_path, changes), "debug kernel")
    assert debug[:2] == (level, found or "no debugging that costs")


# Taps

STOP = "stop it: sudo ss --packet --processes shows whose it is (in each namespace)"


@pytest.mark.parametrize(
    ("release", "here", "elsewhere", "expected"),
    [
        # From 6.15 on a list for each namespace, and those of the run are new.
        ("6.15.0", TAP, TAP, ("ok", "1 packet socket sees every frame, none of the run's", "")),
        ("6.14.9", TAP, "", ("warn", "1 packet socket sees every frame", STOP)),
        # Another namespace's, as one of its processes shows it.
        ("6.1.0-18-amd64", "", TAP, ("warn", "1 packet socket sees every frame", STOP)),
        # Every process of a namespace shows the same socket.
        ("5.10.0", TAP, TAP, ("warn", "1 packet socket sees every frame", STOP)),
        (
            "5.10.0",
            TAP,
            TAP.replace("200", "300"),
            ("warn", "2 packet sockets see every frame", STOP),
        ),
        # One that is bound to an interface is on that interface's list.
        (
            "5.10.0",
            BOUND_ELSEWHERE,
            "",
            ("ok", "1 packet socket sees every frame, none of the run's", ""),
        ),
        # Other protocols, and sockets that are not bound yet.
        (
            "5.10.0",
            TAP.replace("0003", "88cc") + TAP.replace(" 1 0 ", " 0 0 "),
            "",
            ("ok", "no packet socket sees every frame", ""),
        ),
    ],
)
def test_taps(
    tmp_path: Path, release: str, here: str, elsewhere: str, expected: tuple[str, str, str]
) -> None:
    findings = findings_on(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": release,
            "proc/net/packet": PACKET + here,
            "proc/812/net/packet": PACKET + elsewhere,
        },
    )
    assert said(findings, "taps") == [expected]


# Real devices

DEVICE_NEEDS = Needs(threads=2, memory=1, largest=1, locked=0, sndbuf=0, devices=("eth0",))


@pytest.mark.parametrize("tap", [TAP, BOUND_ELSEWHERE])
def test_a_tap_on_a_real_device_matters_on_every_kernel(tmp_path: Path, tap: str) -> None:
    findings = findings_on(tmp_path, {"proc/net/packet": PACKET + tap}, DEVICE_NEEDS)
    assert said(findings, "taps") == [("warn", "1 packet socket sees every frame", STOP)]


def test_a_device_on_another_node(tmp_path: Path) -> None:
    findings = findings_on(
        tmp_path,
        {
            "sys/devices/system/node/node0/cpulist": "0-3\n",
            "sys/devices/system/node/node1/cpulist": "4-7\n",
            "sys/devices/system/node/node1/distance": "21 10\n",
            "sys/class/net/eth0/device/numa_node": "1\n",
        },
        DEVICE_NEEDS,
    )
    assert said(findings, "NUMA") == [
        (
            "warn",
            "eth0 is on node 1, senders on node 0 (distance 21)",
            "measure: {cpus: [...]} in the matrix, from 4-7",
        ),
        ("ok", "senders are on node 0", ""),
    ]


def test_transmit_queues_that_senders_share(tmp_path: Path) -> None:
    queues = "sys/class/net/eth0/queues"
    mend = f"echo MASK | sudo tee /{queues}/tx-N/xps_cpus, one CPU each"
    shared = {f"{queues}/tx-0/xps_cpus": "6\n", f"{queues}/tx-1/xps_cpus": "9\n"}
    unknown = {f"{queues}/tx-0/xps_cpus": "2\n", f"{queues}/tx-1/xps_cpus": "0\n"}
    assert said(findings_on(tmp_path / "1", shared, DEVICE_NEEDS), "XPS") == [
        ("warn", "CPUs 1-2 share queue tx-0 of eth0", mend)
    ]
    assert said(findings_on(tmp_path / "2", unknown, DEVICE_NEEDS), "XPS") == [
        ("note", "XPS of eth0 does not know CPU 2: a hash picks the queue", mend)
    ]
    assert said(findings_on(tmp_path / "3", shared), "XPS") == []


# Limits


@pytest.mark.parametrize(
    "unprivileged",
    [
        {"proc/self/status": "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-3\n"},
        {"proc/self/uid_map": "         0       1000          1\n"},  # all, in a user namespace
    ],
)
def test_locked_memory_without_the_capability(tmp_path: Path, unprivileged: Tree) -> None:
    asked = Needs(threads=1, memory=1, largest=1, locked=2**24, sndbuf=0)
    assert said(findings_on(tmp_path, unprivileged, asked), "locked memory") == [
        (
            "warn",
            "a ring of 16 MiB may not be locked: at most 8 MiB",
            "sudo prlimit --memlock=16777216 --pid $$, then run again",
        )
    ]


def test_without_a_matrix_nothing_is_said_of_what_it_would_want(tmp_path: Path) -> None:
    findings = findings_on(tmp_path, {}, needs=None)
    assert said(findings, "memory") == [("ok", "8 GiB available", "")]
    assert said(findings, "locked memory") == said(findings, "send buffer") == []


# The verdict and the whole


def finding(level: Level, found: str, mend: str = "mend it") -> Finding:
    return Finding(level, "check", found, "It matters.", mend)


def test_findings_come_with_the_most_serious_first(tmp_path: Path) -> None:
    sick = {
        f"{CPU}/isolated": "\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
        "sys/kernel/tracing/current_tracer": None,
        "proc/cmdline": "slub_debug",
    }
    levels = [str(f.level) for f in findings_on(tmp_path, sick)]
    assert levels[:5] == ["bad", "warn", "note", "unknown", "ok"]


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ([Level.OK, Level.NOTE], "doctor: found nothing that would spoil a measurement"),
        ([Level.WARN], "doctor: 1 warning: f0"),
        ([Level.WARN, Level.BAD, Level.NOTE, Level.WARN], "doctor: 1 bad, 2 warnings: f1; f0; f3"),
        ([Level.BAD] * 6, "doctor: 6 bad: f0; f1; f2; f3; 2 more"),
    ],
)
def test_the_verdict_is_one_line(levels: list[Level], text: str) -> None:
    findings = [finding(level, f"f{number}") for number, level in enumerate(levels)]
    assert doctor.verdict(findings) == text


def test_findings_as_json_are_what_a_header_can_hold(tmp_path: Path) -> None:
    findings = findings_on(tmp_path, {f"{CPU}/intel_pstate/no_turbo": "0\n"})
    document = json.loads(json.dumps(doctor.as_json(findings)))
    assert document[0] == {
        "level": "warn",
        "check": "turbo",
        "found": "turbo is on",
        "why": "Turbo lasts as long as heat and the other cores' load allow: the same code is "
        "slower beside a second sender, and on a warm machine.",
        "mend": f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo",
    }
    assert len(document) == len(findings)


def test_every_check_says_why_in_a_sentence() -> None:
    names = [check.name for check in doctor.CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.why.endswith(".") for check in doctor.CHECKS)


# Cells that cannot run


def planned_with(**axes: tuple[Value, ...]) -> plan.Plan:
    matrix = Matrix(
        file="m.yaml",
        text="",
        name="m",
        description="",
        axes=axes,
        zip=(),
        exclude=(),
        include=(),
        measure=Measure(cpus=tuple(sorted(os.sched_getaffinity(0))[:1])),
        baseline=None,
        marks={(): Mark(1, 1)},
    )
    return plan.make_plan(matrix, WORDS)


RING = {"version": 2, "block_size": 4096, "block_nr": 64, "frame_size": 2048}
FORCED: Value = {"bytes": 2**20, "force": True}
PLAIN: Value = {"bytes": 2**19, "force": False}


def test_what_a_matrix_needs() -> None:
    made = planned_with(
        method=("sendto", "tx_ring"),
        ring=(RING,),
        sndbuf=("default", FORCED, PLAIN),
        mmap_locked=(False, True),
    )
    memory = [memory_of(cell).bytes for cell in made.cells]
    assert needs.needs_of(made, memory_of) == Needs(
        threads=1, memory=sum(memory), largest=max(memory), locked=2**18, sndbuf=2**19
    )


def test_the_null_method_needs_nothing_and_runs_anywhere() -> None:
    made = planned_with(method=("null",), frame_size=(64, 1514))
    assert trial.unrunnable(made) == {}


class _Opened:
    """In place of the core's cells: refuses forced send buffers, and counts what it opens."""

    tried: list[Value | None]

    def __init__(self, values: Mapping[str, Value | None], *_rest: object) -> None:
        self.tried.append(values["frame_size"])
        if values["sndbuf"] == FORCED:
            raise CoreError(1, "setsockopt(SO_SNDBUFFORCE, 1048576) needs CAP_NET_ADMIN")

    def close(self) -> None:
        pass


def test_what_the_kernel_refuses_is_told_cell_by_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Opened, "tried", [], raising=False)
    monkeypatch.setattr(trial, "OpenCell", _Opened)
    monkeypatch.setattr(core, "probe", lambda method: "no ring" if method == "tx_ring" else "")
    made = planned_with(
        method=("sendto", "tx_ring"), sndbuf=("default", FORCED), frame_size=(64, 99)
    )
    refused = trial._refused(made.cells, None, (0,))
    assert [(c.method, c.values["sndbuf"], refused.get(c.id, "")) for c in made.cells[:2]] == [
        ("sendto", "default", ""),
        ("sendto", FORCED, "setsockopt(SO_SNDBUFFORCE, 1048576) needs CAP_NET_ADMIN"),
    ]
    assert {refused[c.id] for c in made.cells if c.method == "tx_ring"} == {
        "method tx_ring: no ring"
    }
    assert len(refused) == 6
    # Of cells that differ in their frames alone the largest, and both only if it was refused.
    assert _Opened.tried == [99, 99, 64, 99]


def test_a_topology_that_cannot_be_made_fails_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_spec: object) -> None:
        raise BenchError("interface veth: this kernel may be without CONFIG_VETH")

    monkeypatch.setattr(trial, "up", refusing)
    made = planned_with(method=("null", "sendto"), interface=({"kind": "veth", "queues": 1},))
    sendto = made.cells[1]
    assert trial.unrunnable(made) == {
        sendto.id: "interface veth: this kernel may be without CONFIG_VETH"
    }


@pytest.mark.netns
def test_cells_are_really_opened(untouched_host: None) -> None:
    made = planned_with(method=("sendto", "tx_ring"), ring=(RING,), burst=(1, 4))
    assert trial.unrunnable(made) == {}


# This machine


def test_this_machine_is_examined_and_left_alone(untouched_host: None) -> None:
    assert doctor.examine(ProcFs(), sorted(os.sched_getaffinity(0)), NEEDS)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_command_fits_the_terminal_and_is_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.execute(parsed()) == 0
    lines = capsys.readouterr().out.splitlines()
    verdict = lines[lines.index("", len(lines) - 5) + 1 :]  # of several lines on a noisy machine
    assert verdict[0].startswith("doctor: ")
    assert max(map(len, lines)) <= 120


def test_the_command_gives_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = tmp_path / "m.yaml"
    matrix.write_text('name: m\naxes: {method: "null", frame_size: [64, 1514]}\n')
    assert command.execute(parsed(str(matrix), "--format", "json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.keys() >= {"verdict", "findings", "cells", "unrunnable"}
    assert (document["cells"], document["unrunnable"]) == (2, {})


def test_a_filter_without_a_matrix_is_bad_input() -> None:
    with pytest.raises(UsageError, match="it chooses cells of a MATRIX; name one"):
        command.execute(parsed("--filter", "method=sendto"))


def test_the_terminal_shows_why_and_what_mends_of_what_is_wrong() -> None:
    made = planned_with(method=("null",), frame_size=(64, 1514))
    first, second = made.cells
    findings = [
        Finding(
            Level.BAD,
            "clock source",
            "clock source is hpet",
            "A read costs a microsecond.",
            "echo tsc",
        ),
        Finding(Level.UNKNOWN, "tracing", "tracefs is not mounted", "It costs.", ""),
        Finding(Level.OK, "RPS", "RPS is off", "It costs.", ""),
    ]
    refused = {first.id: "method x: no", second.id: "method x: no"}
    text = terminal.render(command.document_of(findings, made, refused), Screen(60))
    assert text.splitlines() == [
        "bad      clock source  clock source is hpet",
        "                       why:  A read costs a microsecond.",
        "                       mend: echo tsc",
        "unknown  tracing       tracefs is not mounted",
        "ok       RPS           RPS is off",
        "",
        "2 of 2 cells cannot run here:",
        f"  2  method x: no ({first.id} {second.id})",
        "",
        "doctor: 1 bad: clock source is hpet",
    ]
    coloured = terminal.render(command.document_of(findings, None, {}), Screen(60, colour=True))
    assert coloured.startswith("\x1b[1;31mbad      \x1b[0mclock source  clock source is hpet\n")


def test_a_terminal_obeys_nothing_that_was_found() -> None:
    """A process gives itself any name."""
    finding = Finding(Level.WARN, "company", "\x1b[2J is busy", "\x9b31m", "kill \u202e")
    text = terminal.render(command.document_of([finding], None, {}), Screen(60))
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[2J is busy" in text
