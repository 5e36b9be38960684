"""Whole runs over lo, veth and ifb, and what becomes of them when something goes wrong."""

from __future__ import annotations

import dataclasses
import errno
import mmap
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.engines import core
from bench.measure.messages import Setup
from bench.measure.worker_process import WorkerProcess
from bench.model.cells import Cell
from bench.model.run import Run
from bench.plan import calibration
from bench.store import reader
from bench.system import host, privileges
from bench.topology import qdisc
from tests.netns.conftest import bonds, why_no_bond
from tests.running import (
    NO_USER_NAMESPACES,
    UNPRIVILEGED,
    Bench,
    Quiet,
    assert_rounds,
    complaints,
    ended,
    inside,
    measured,
    namespace_mounts,
    needs_root,
    needs_setpriv,
    needs_unshare,
    wait_for,
)

pytestmark = pytest.mark.netns
anykernel = pytest.mark.anykernel

CPUS = sorted(os.sched_getaffinity(0))
KINDS = ["lo", "veth", "ifb"]
METHODS = ["sendto", "send", "sendmsg", "sendmmsg", "tx_ring", "dgram"]
PAGE = mmap.PAGESIZE
RING = {"version": 2, "block_size": PAGE, "block_nr": 16, "frame_size": 2048}
needs_two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="two threads need two CPUs")


def assert_sound(run: Run, rounds: int) -> None:
    """Every cell was measured in every round, and what was delivered is what was completed."""
    assert run.failures == {}
    assert run.end == "done"
    assert_rounds(run, rounds)
    for sample in run.samples:
        assert sample.problem == ""
        assert sample.slice_completed > 0
        # On a busy machine the softnet backlog may overflow: such a loss is explained.
        assert sample.delivered + sample.lost == sample.slice_completed
        assert all(thread.cpu in CPUS for thread in sample.threads)


def cells(run: Run, **axes: object) -> list[Cell]:
    return [cell for cell in run.cells if all(cell.values[a] == v for a, v in axes.items())]


# What works


def test_every_method_and_frame_size_over_every_interface(tmp_path: Path) -> None:
    slots = {"slots": 4, "frame_size": 69632}
    axes = {
        "interface": KINDS,
        "method": METHODS,
        "frame_size": [14, 60, 64, 1514, 9000, 65535],
        "burst": [3],
        "ring": [{"version": version, **slots} for version in (1, 2, 3)],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 3 * 6 * (5 + 3)
    assert_sound(run, rounds=2)
    for sample in run.samples:
        (cell,) = [cell for cell in run.cells if cell.id == sample.cell]
        most = 3 if cell.method in ("sendmmsg", "tx_ring") else 1
        # A sender that others kept off its CPU all through a window of 1 ms has no calls.
        assert sample.total("completed") <= most * sample.total("calls")


@anykernel
def test_each_opening_has_a_worker_and_namespaces_of_its_own_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, namespaces = [], []
    make, start = subprocess.Popen, WorkerProcess.start

    def noted(self: WorkerProcess, setup: Setup) -> None:
        fds = [fd for topology in setup.topologies for fd in topology.netns_fds]
        namespaces.append({os.fstat(fd).st_ino for fd in fds})
        start(self, setup)

    def started(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = make(*arguments, **options)
        if any("bench.measure.worker" in str(word) for word in arguments[0]):  # git is one, too
            workers.append(process)
        return process

    monkeypatch.setattr(WorkerProcess, "start", noted)
    monkeypatch.setattr("bench.measure.worker_process.subprocess.Popen", started)
    axes = {"interface": KINDS, "method": ["sendto", "tx_ring"], "ring": [RING], "burst": [8]}
    measured(tmp_path / "first", axes)  # from here on, what is imported and cached is open
    workers.clear()
    namespaces.clear()
    before, mounts = {*Path("/proc/self/fd").iterdir()}, namespace_mounts()
    run = measured(tmp_path, axes, rounds=6, openings=3)
    assert_sound(run, rounds=6)
    assert [s.opening for s in run.samples] == sorted(2 * len(run.cells) * [0, 1, 2])
    assert len({worker.pid for worker in workers}) == 3
    assert [worker.poll() for worker in workers] == [0, 0, 0]
    assert all(of_one for of_one in namespaces)
    assert {*Path("/proc/self/fd").iterdir()} == before
    assert namespace_mounts() == mounts


@pytest.mark.parametrize("kind", ["veth", "ifb"])
def test_frames_queue_in_every_qdisc(tmp_path: Path, kind: str) -> None:
    axes = {
        "interface": [kind],
        "method": ["send", "tx_ring"],
        "frame_size": [64],
        "burst": [8],
        "ring": [RING],
        "msg_dontwait": [False, True],
        "qdisc": [
            "noqueue",
            {"kind": "pfifo", "limit": 50},
            {"kind": "bfifo", "limit": "100KiB"},
            {"kind": "tbf", "rate": "100mbit", "burst": "32KiB", "limit": "1MiB"},
            {"kind": "tbf", "rate": "100kbit", "burst": "128B", "limit": "256B"},
            {"kind": "htb", "rate": "100mbit", "burst": "32KiB", "limit": 10},
        ],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 24
    assert_sound(run, rounds=2)
    refused = {s.cell for s in run.samples if s.qdisc_drops and s.total("enobufs")}
    short = {cell.id for cell in run.cells if "'limit': 256" in str(cell.values["qdisc"])}
    assert short & refused  # two frames pass at once, four wait, a burst has eight


@needs_two_cpus
def test_two_threads_with_sockets_of_their_own_and_with_a_shared_one(tmp_path: Path) -> None:
    axes = {
        "interface": KINDS,
        "method": ["send", "sendmmsg", "tx_ring"],
        "frame_size": [64],
        "threads": [2],
        "socket": ["own", "shared"],
        "fill": ["copy", "prefilled"],
        "burst": [8],
        "ring": [RING],
    }
    run = measured(tmp_path, axes)
    assert_sound(run, rounds=2)
    for sample in run.samples:
        assert len({thread.cpu for thread in sample.threads}) == 2


def test_flows_over_every_interface_by_every_method(tmp_path: Path) -> None:
    """Bursts and rings that are no multiple of the flows; each frame is captured and compared."""
    axes = {
        "interface": KINDS,
        "method": METHODS,
        "frame_size": [50, 1514],
        "fill": ["copy", "prefilled"],
        "flows": [7],
        "burst": [3],
        "ring": [RING],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 3 * 6 * 2 * 2  # dgram knows no flows
    assert_sound(run, rounds=2)


@needs_root
def test_what_the_peer_of_a_veth_does_is_an_option(tmp_path: Path) -> None:
    peers = [{"peer": "stack"}, {"peer": "xdp_drop"}, {"peer": "capture"}, {"rps": "all"}]
    axes = {
        "interface": [{"kind": "veth"} | options for options in peers],
        "method": ["sendto", "tx_ring"],
        "frame_size": [1514],
        "flows": [1, 4],
        "fill": ["copy", "prefilled"],
        "burst": [8],
        "ring": [RING],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 32
    assert_sound(run, rounds=2)


def test_who_reads_at_the_peer_is_there_while_cells_send(tmp_path: Path) -> None:
    found: list[int] = []
    axes = {"interface": [{"kind": "veth", "peer": "capture"}, "veth"], "method": ["send"]}
    measured(tmp_path, axes, progress=Quiet(lambda: found.append(readers()), after=2))
    assert (found, readers()) == ([1], 0)


def readers() -> int:
    """Capturing readers that this process has started."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = " ".join(path.read_text() for path in children).split()
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    return sum("bench.topology.reader" in command for command in commands)


@needs_two_cpus
def test_threads_that_are_not_pinned(tmp_path: Path) -> None:
    axes = {
        "interface": KINDS,
        "method": ["sendto", "tx_ring"],
        "threads": [1, 2],
        "affinity": ["free"],
        "burst": [8],
        "ring": [RING],
    }
    run = measured(tmp_path, axes)
    assert_sound(run, rounds=2)


def test_knobs_are_in_effect(tmp_path: Path) -> None:
    axes = {
        "interface": ["veth"],
        "method": ["send", "tx_ring"],
        "frame_size": [64],
        "burst": [8],
        "ring": [RING],
        "ring_wait": ["block", "poll", "spin"],
        "msg_dontwait": [False, True],
        "qdisc_bypass": [False, True],
        "packet_loss": [False, True],
        "mmap_locked": [False, True],
        "sndbuf": ["default", {"bytes": "64KiB", "force": False}],
    }
    exclude = [
        {"ring_wait": ["poll", "spin"], "msg_dontwait": False},
        {"packet_loss": True, "qdisc_bypass": True},
        {"mmap_locked": True, "qdisc_bypass": True},
    ]
    run = measured(tmp_path, axes, exclude=exclude)
    assert_sound(run, rounds=2)
    for cell in run.cells:
        if cell.values["sndbuf"] == "default":
            assert run.facts[cell.id]["sndbuf"] == int(
                Path("/proc/sys/net/core/wmem_default").read_text()
            )
        else:
            assert run.facts[cell.id]["sndbuf"] == 2 * 64 * 2**10  # socket(7): doubled
        assert run.facts[cell.id]["ring_frames"] == (
            PAGE // 2048 * 16 if cell.method == "tx_ring" else 0
        )


@needs_root
def test_a_forced_send_buffer_is_in_effect(tmp_path: Path) -> None:
    forced = {"bytes": "64MiB", "force": True}
    axes = {"interface": ["veth"], "method": ["send", "tx_ring"], "burst": [8], "ring": [RING]}
    run = measured(tmp_path, {**axes, "sndbuf": [forced]})
    assert_sound(run, rounds=2)
    assert {facts["sndbuf"] for facts in run.facts.values() if facts["sndbuf"]} == {2 * 64 * 2**20}


@anykernel
def test_more_cells_than_files_may_be_open_at_first(bench: Bench) -> None:
    def few_files() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, most))

    axes = {"interface": ["lo"], "method": ["send"], "frame_size": list(range(64, 124))}
    outcome = bench("run", bench.matrix(axes, rounds=1), preexec_fn=few_files)
    assert outcome.code == 0, outcome.out
    assert_sound(bench.stored(), rounds=1)


@anykernel
def test_two_runs_at_the_same_time(bench: Bench) -> None:
    axes = {"interface": KINDS, "method": ["send", "tx_ring"], "frame_size": [64]}
    matrix = bench.matrix(axes, rounds=5)
    prefixes = [[], UNPRIVILEGED if shutil.which("setpriv") else []]
    both = [ended(p) for p in [bench.start("run", matrix, prefix=p) for p in prefixes]]
    assert [outcome.code for outcome in both] == [0, 0], both
    for path in bench.files():
        assert_sound(reader.read(path), rounds=5)


# Methods that crash, lie and fail


@anykernel
def test_a_cell_that_goes_wrong_is_a_row_and_the_others_go_on(bench: Bench) -> None:
    bench.environment["BENCH_CORE"] = "test"
    bad = ["test_crash", "test_zeros", "test_liar", "test_fail", "test_same"]
    axes = {"interface": ["lo", "veth"], "method": ["send", *bad], "burst": [2]}
    outcome = bench("run", bench.matrix(axes, rounds=4))
    assert outcome.code == 4
    run = bench.stored()
    assert run.end == "done"
    reasons = {
        (cell.method, cell.values["interface"]["kind"]): run.failures.get(cell.id, "")  # type: ignore[index]
        for cell in run.cells
    }
    assert reasons == {
        ("send", "lo"): "",
        ("send", "veth"): "",
        ("test_crash", "lo"): "the worker died of SIGSEGV in this cell",
        ("test_crash", "veth"): "the worker died of SIGSEGV in this cell",
        # lo's addresses are zeros as they should be
        ("test_zeros", "lo"): "wrong frames: frame 0: EtherType: byte 12 is 0x00, 0x88 meant",
        ("test_zeros", "veth"): (
            "wrong frames: frame 0: destination MAC: byte 0 is 0x00, 0x02 meant"
        ),
        ("test_liar", "lo"): "",
        ("test_liar", "veth"): "",
        ("test_fail", "lo"): "test_fail (thread 0): Input/output error",
        ("test_fail", "veth"): "test_fail (thread 0): Input/output error",
        ("test_same", "lo"): "wrong frames: frame 1: number: byte 14 is 0x00, 0x01 meant",
        ("test_same", "veth"): "wrong frames: frame 1: number: byte 14 is 0x00, 0x01 meant",
    }
    for reason in reasons.values():
        assert reason in outcome.out
    for cell in cells(run, method="send"):
        assert [s.round for s in run.samples if s.cell == cell.id and not s.problem] == [*range(4)]
    for cell in cells(run, method="test_liar"):
        problems = [sample.problem for sample in run.samples if sample.cell == cell.id]
        assert len(problems) == 4
        assert all("delivered " in problem for problem in problems)
        assert all(" completed, " in problem for problem in problems)
    assert "invalid" in outcome.out


@anykernel
def test_frames_are_checked_that_are_copied_too(bench: Bench) -> None:
    """test_zeros sends zeros only where the frame is not copied."""
    bench.environment["BENCH_CORE"] = "test"
    axes = {"interface": ["veth"], "method": ["test_zeros"], "fill": ["copy", "prefilled"]}
    assert bench("run", bench.matrix(axes)).code == 4
    run = bench.stored()
    assert list(run.failures) == [cell.id for cell in cells(run, fill="prefilled")]


# Interrupts


def axes_of_everything() -> dict[str, Any]:
    methods = ["send", "tx_ring"]
    return {"interface": KINDS, "method": methods, "burst": [8], "ring": [RING]}


@anykernel
@pytest.mark.parametrize(
    ("number", "after", "prefix"),
    [
        (signal.SIGINT, 0, []),
        (signal.SIGTERM, 7, []),
        (signal.SIGKILL, 20, []),
        pytest.param(signal.SIGKILL, 3, UNPRIVILEGED, marks=needs_setpriv),
    ],
)
def test_an_ended_run_leaves_nothing(
    bench: Bench, number: signal.Signals, after: int, prefix: list[str]
) -> None:
    """What is left is looked for by the fixture: no process has the namespaces open."""
    matrix = bench.matrix(axes_of_everything(), rounds=12, window="5ms")
    process = bench.start("run", matrix, prefix=prefix)
    wait_for(lambda: any(path.stat().st_size for path in bench.files()), "the run file", process)
    wait_for(lambda: bench.samples() >= after, "samples", process)
    assert namespaces_of(process.pid) or not after
    process.send_signal(number)
    outcome = ended(process)
    if number == signal.SIGKILL:
        assert outcome.code == -signal.SIGKILL
        assert outcome.err == ""
    else:
        assert outcome.code == -number
        assert len(outcome.complaints) == 1


def namespaces_of(pid: int) -> set[str]:
    """The network namespaces that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return {link for link in found if link.startswith("net:")}


@anykernel
def test_a_worker_that_is_killed_costs_one_cell_at_most(bench: Bench) -> None:
    """None where a slice was under way ahead: the one in hand is tried again alone."""
    process = bench.start("run", bench.matrix(axes_of_everything(), rounds=30, window="3ms"))
    wait_for(lambda: bench.samples() >= 20, "samples", process)
    os.kill(bench.worker(), signal.SIGKILL)
    outcome = ended(process)
    run = bench.stored()
    assert run.end == "done"
    assert len(run.failures) <= 1
    assert outcome.code == (4 if run.failures.keys() & {cell.id for cell in run.cells} else 0)
    for reason in run.failures.values():
        assert reason == "the worker died of SIGKILL in this cell"
        assert reason in outcome.out  # a note, where it was in a calibration cell
    for cell in run.cells:
        if cell.id not in run.failures:
            rounds = [s.round for s in run.samples if s.cell == cell.id]
            assert rounds[:30] == list(range(30))  # then what makes up for samples left out


# Privileges and disks


LACKING = {
    "net_raw": "method send: socket(AF_PACKET, SOCK_RAW) needs CAP_NET_RAW",
    "sys_admin": "not allowed to make a network namespace: needs root (CAP_SYS_ADMIN)",
    "net_admin": "interface lo: cannot set it up: not allowed: needs root (CAP_NET_ADMIN)",
}


@anykernel
@needs_setpriv
@pytest.mark.parametrize("capability", LACKING)
def test_whoever_lacks_a_capability_has_it_in_a_user_namespace(
    bench: Bench, capability: str
) -> None:
    matrix = bench.matrix({"interface": ["lo"], "method": ["send"]})
    outcome = bench("run", matrix, prefix=["setpriv", f"--bounding-set=-{capability}"])
    assert outcome.code == 0, outcome.err
    run = bench.stored()
    assert_sound(run, rounds=2)
    assert run.header.measure.privileges == "user namespace"


@anykernel
@needs_setpriv
@needs_unshare
@pytest.mark.parametrize(("capability", "said"), LACKING.items())
def test_where_user_namespaces_are_forbidden_it_is_one_line_and_no_file(
    bench: Bench, capability: str, said: str
) -> None:
    matrix = bench.matrix({"interface": ["lo"], "method": ["send"]})
    without = ["setpriv", f"--bounding-set=-{capability}"]
    outcome = bench("run", matrix, prefix=[*NO_USER_NAMESPACES, *without])
    assert outcome.code == 2
    (complaint,) = outcome.complaints
    assert complaint.startswith(said)
    if capability != "net_raw":
        assert complaint.endswith(
            " or a user namespace: user.max_user_namespaces is 0; "
            "try sudo, or sudo sysctl -w user.max_user_namespaces=10000"
        )
    assert not bench.results.exists()


@anykernel
@needs_setpriv
@needs_unshare
def test_where_user_namespaces_are_forbidden_the_rest_is_measured(bench: Bench) -> None:
    matrix = bench.matrix({"interface": ["lo"], "method": ["send", "null"]})
    forbidden = [*NO_USER_NAMESPACES, *UNPRIVILEGED]
    outcome = bench("run", matrix, prefix=forbidden)
    assert outcome.code == 4
    run = bench.stored()
    assert [cell.method for cell in run.cells if cell.id in run.failures] == ["send"]
    assert_rounds(run, rounds=2)
    assert "user.max_user_namespaces is 0" in outcome.out
    doctor = bench("doctor", matrix, prefix=forbidden)
    assert doctor.code == 0
    assert "1 of 2 cells cannot run here" in doctor.out
    methods = bench("methods", prefix=forbidden)
    assert methods.code == 0
    assert "send      no: socket(AF_PACKET, SOCK_RAW) needs CAP_NET_RAW" in methods.out
    assert "packet sockets: needs root (CAP_NET_RAW) or a user namespace: " in methods.out


def matrix_that_wants_more_than_a_user(bench: Bench) -> Path:
    forced = {"bytes": "64MiB", "force": True}
    tbf = {"kind": "tbf", "rate": "100mbit", "burst": "32KiB", "limit": "1MiB"}
    axes = {
        "interface": ["veth", "ifb" if why_no_bond() else "bond"],
        "method": ["send", "tx_ring"],
        "burst": [8],
        "ring": [RING],
        "qdisc_bypass": [False, True],
        "mmap_locked": [True],
        "sndbuf": ["default", forced],
        "qdisc": ["noqueue", tbf],
    }
    return bench.matrix(axes, exclude=[{"qdisc_bypass": True, "qdisc": tbf}])


@needs_setpriv
@pytest.mark.skipif(find_spec("numpy") is None, reason="the answer above a table takes numpy")
@bonds
def test_without_root_only_what_needs_more_than_a_user_namespace_fails(bench: Bench) -> None:
    def locks_little() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))

    matrix = matrix_that_wants_more_than_a_user(bench)
    outcome = bench("run", matrix, prefix=UNPRIVILEGED, preexec_fn=locks_little)
    assert outcome.code == 4, outcome.err
    run = bench.stored()
    assert run.header.measure.privileges == "user namespace"
    assert "privileges      user namespace: no SO_SNDBUFFORCE" in outcome.out
    failed = {cell.id for cell in run.cells if cell.values["sndbuf"] != "default"}
    assert set(run.failures) == failed
    assert set(run.failures.values()) == {
        "setsockopt(SO_SNDBUFFORCE, 67108864) needs root (CAP_NET_ADMIN): "
        + os.strerror(errno.EPERM)
    }
    assert {s.cell for s in run.samples} == {cell.id for cell in run.cells} - failed
    assert all(sample.problem == "" for sample in run.samples)
    rings = [cell for cell in cells(run, method="tx_ring") if cell.id not in failed]
    assert all(run.facts[cell.id]["mmap_unlocked"] for cell in rings)


@anykernel
@needs_setpriv
def test_without_root_doctor_and_methods_say_what_cannot_run(bench: Bench) -> None:
    doctor = bench("doctor", matrix_that_wants_more_than_a_user(bench), prefix=UNPRIVILEGED)
    assert doctor.code == 0
    assert "12 of 24 cells cannot run here" in doctor.out
    methods = bench("methods", prefix=UNPRIVILEGED)
    assert re.findall(r"^(\w+) +no: ", methods.out, re.MULTILINE) == [
        "tc_clone",
        "xdp_live",
        "pktgen",
    ]


@anykernel
@needs_setpriv
def test_without_root_a_peer_that_needs_it_fails_its_cells_alone(bench: Bench) -> None:
    peers = [{"peer": "xdp_drop"}, {"rps": "0"}, {"peer": "stack"}]
    axes = {"interface": [{"kind": "veth", **peer} for peer in peers], "method": ["send"]}
    assert bench("run", bench.matrix(axes), prefix=UNPRIVILEGED).code == 4
    run = bench.stored()
    assert [run.failures.get(cell.id, "") for cell in run.cells] == [
        "XDP program: not allowed: needs root (CAP_BPF outside of this user namespace); try sudo",
        "RPS of bench1: not allowed: "
        "needs root (CAP_NET_ADMIN outside of this user namespace); try sudo",
        "",
    ]


@anykernel
@needs_setpriv
def test_in_a_user_namespace_too_a_read_only_folder_is_not_written(bench: Bench) -> None:
    matrix = bench.matrix({"interface": ["lo"], "method": ["send"]})
    bench.folder.chmod(0o555)
    outcome = bench("run", matrix, prefix=UNPRIVILEGED)
    assert outcome.code == 1
    (complaint,) = outcome.complaints
    assert f"{os.strerror(errno.EACCES)}; choose another folder with --results" in complaint


@anykernel
@needs_setpriv
def test_a_machine_s_settings_are_seen_from_a_user_namespace_too(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    run_it = ["run", bench.matrix({"interface": ["lo"], "method": ["send"]})]
    assert inside(capsys, *run_it, "--results", bench.results).code == 0
    assert bench(*run_it, prefix=UNPRIVILEGED).code == 0
    hosts = [reader.read(path).header.host for path in bench.files()]
    assert hosts[0] == hosts[1]


def capability_sets(pid: int) -> dict[str, set[int]]:
    """By their names in /proc/pid/status, over all threads of a process; NoNewPrivs beside them."""
    found: dict[str, set[int]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread of a slice that has ended
            for line in (task / "status").read_text().splitlines():
                if line.startswith(("Cap", "NoNewPrivs")):
                    name, value = line.split(":")
                    found.setdefault(name, set()).add(int(value, 16))
    return found


@anykernel
@needs_setpriv
@pytest.mark.parametrize(
    ("prefix", "kept"),
    [([], privileges.CONTROLLER), (UNPRIVILEGED, privileges.GAINED)],
    ids=["root", "user"],
)
def test_what_is_not_needed_was_given_up_before_the_first_frame(
    bench: Bench, prefix: list[str], kept: frozenset[privileges.Capability]
) -> None:
    matrix = bench.matrix({"interface": ["lo"], "method": ["send"], "threads": [1]}, rounds=2000)
    process = bench.start("run", matrix, prefix=prefix)
    wait_for(lambda: bench.samples() >= 1, "a sample", process)
    found = [capability_sets(pid) for pid in (process.pid, bench.worker())]
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
    for sets, capabilities in zip(found, (kept, privileges.WORKER), strict=True):
        mask = {sum(1 << capability for capability in capabilities)}
        assert sets["CapEff"] == sets["CapPrm"] == sets["CapBnd"] == mask
        assert sets["CapInh"] == sets["CapAmb"] == {0}
        assert sets["NoNewPrivs"] == {1}


MODULES = {"bonding": "max_bonds=0", "ifb": "numifbs=0", "dummy": "numdummies=0"}


@anykernel
@needs_root
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_root_loads_modules_so_that_they_make_no_interfaces_on_the_host(
    bench: Bench, tmp_path: Path, command: str
) -> None:
    """Not one that is there already."""
    told = tmp_path / "told"
    modprobe = tmp_path / "modprobe"
    modprobe.write_text(f'#!/bin/sh\necho "$@" $(grep CapEff /proc/self/status) >>"{told}"\n')
    modprobe.chmod(0o755)
    bench.environment["PATH"] = f"{tmp_path}:{bench.environment['PATH']}"
    bench(command, bench.matrix({"interface": ["bond", "ifb", "dummy"], "method": ["send"]}))
    lines = told.read_text().splitlines() if told.exists() else []
    asked = [line.partition(" CapEff: ") for line in lines]
    missing = [name for name in MODULES if not Path("/sys/module", name).exists()]
    wanted = {f"--quiet {name} {MODULES[name]}" for name in missing}
    assert {words for words, _, _ in asked} == wanted
    kept = (int(mask, 16) for _, _, mask in asked)
    assert all(mask >> privileges.Capability.CAP_SYS_MODULE & 1 for mask in kept)


@anykernel
@needs_root
@needs_setpriv
def test_a_run_is_resumed_with_the_privileges_that_it_had_and_with_no_others(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix(axes_of_everything(), rounds=4)
    assert bench("run", matrix, prefix=UNPRIVILEGED).code == 0
    (path,) = bench.files()
    whole = bench.stored()
    assert whole.header.measure.privileges == "user namespace"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    before = path.read_bytes()
    resume = ["run", matrix, "--results", bench.results, "--resume"]
    (complaint,) = complaints(capsys, *resume)
    assert "it ran with other privileges than root; start a new run" in complaint
    assert path.read_bytes() == before
    assert bench(*resume, prefix=UNPRIVILEGED).code == 0
    assert path.read_bytes().startswith(before)
    run = bench.stored()
    assert (run.end, run.failures) == ("done", {})
    measured = [(sample.cell, sample.round) for sample in run.samples]
    assert len(measured) == len(set(measured))


@anykernel
def test_a_run_that_has_intervals_of_openings_goes_on(bench: Bench) -> None:
    """What computes them starts threads; with more capabilities than the process has kept they
    could not be placed on other CPUs."""
    axes = {"interface": ["veth"], "method": ["sendto", "send"]}
    matrix = bench.matrix(axes, measure={"window": "1ms", "rounds": 24, "openings": 4})
    assert bench("run", matrix).code == 0
    (path,) = bench.files()
    lines = path.read_text().splitlines(keepends=True)
    last = next(n for n, line in enumerate(lines) if '"opening":3' in line)
    path.write_text("".join(lines[: last + 8]))  # two of its rounds
    resumed = bench("run", matrix, "--resume")
    assert (resumed.code, bench.stored().end) == (0, "done"), resumed.err
    assert max(sample.opening for sample in bench.stored().samples) == 4
    assert re.search(r"from [34] openings", resumed.out)  # the last one may have made up for some


@anykernel
@needs_setpriv
@needs_unshare
def test_a_read_only_proc_sys_as_containers_have_it_is_no_obstacle(bench: Bench) -> None:
    script = (
        "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
        '! { echo 1 >/proc/sys/net/ipv4/ip_forward; } 2>/dev/null && exec "$@"'
    )
    matrix = bench.matrix({"interface": KINDS, "method": ["send"]})
    prefix = ["unshare", "-m", "sh", "-c", script, "sh"]
    outcome = bench("run", matrix, prefix=prefix)
    assert outcome.code == 0, outcome.err
    assert_sound(bench.stored(), rounds=2)


@anykernel
@needs_unshare
def test_a_full_disk_keeps_what_there_is(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A real one, of 32 KiB, in a mount namespace of its own; its file is copied out."""
    bench.results.mkdir()
    kept = bench.folder / "kept"
    script = (
        f'mount -t tmpfs -o size=32k none {bench.results} && "$@"; code=$?; '
        f"cp -r {bench.results} {kept}; exit $code"
    )
    matrix = bench.matrix(axes_of_everything(), rounds=40)
    outcome = bench("run", matrix, prefix=["unshare", "-m", "bash", "-c", script, "bash"])
    if "mount" in outcome.err:
        pytest.skip(outcome.err)
    assert outcome.code == 1
    assert len(outcome.complaints) == 1
    assert ": No space left on device; make room or choose" in outcome.err
    (path,) = kept.rglob("*.jsonl")
    assert reader.read(path).samples
    assert inside(capsys, "show", path).code == 0
    assert inside(capsys, "run", matrix, "--resume", path).code == 0
    assert reader.read(path).end == "done"


# In this process, with something made to fail


@anykernel
def test_cells_that_do_not_fit_beside_each_other_are_closed_and_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    close = WorkerProcess.close_cell

    def noted(self: WorkerProcess, cell: str) -> None:
        closed.append(cell)
        close(self, cell)

    rings = [RING | {"block_nr": number} for number in (16, 17, 18, 19)]
    axes = {"interface": KINDS, "method": ["tx_ring"], "ring": rings, "burst": [8]}
    one_ring = 20 * PAGE
    room = int(3.5 * one_ring / host.MEMORY_SHARE)
    monkeypatch.setattr(host, "available_memory", lambda: room)
    monkeypatch.setattr(WorkerProcess, "close_cell", noted)
    run = measured(tmp_path, axes, rounds=4)
    assert len(run.cells) == 12
    assert_sound(run, rounds=4)
    # Three fit; at random two slices in a row find theirs open now and then.
    assert 12 < len(closed) <= (12 + len(calibration.CALIBRATION)) * 5


@anykernel
def test_a_core_that_changes_in_mid_run_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that takes another's place would load the new one."""
    monkeypatch.setattr(core, "info", lambda: core.CoreInfo("another", ""))
    with pytest.raises(BenchError, match="the core's sources changed since the run began"):
        measured(tmp_path, {"method": ["null"]})


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, kind: str, reason: str) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise BenchError(reason)

    rows = {**qdisc.QDISCS, kind: dataclasses.replace(qdisc.QDISCS[kind], install=refuse)}
    with monkeypatch.context() as patch:
        patch.setattr(qdisc, "QDISCS", rows)
        yield


@anykernel
def test_an_interface_that_cannot_be_made_fails_its_cells_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bench.matrix({"interface": ["veth"], "method": ["send"], "qdisc": ["noqueue", "pfifo"]})
    arguments = ["run", path, "--results", bench.results]
    reason = "qdisc pfifo: this kernel has none"
    with refusing(monkeypatch, "pfifo", reason):
        outcome = inside(capsys, *arguments)
        assert outcome.code == 4
        assert reason in outcome.out
        run = bench.stored()
        assert list(run.failures.values()) == [reason]
        assert_rounds(run, rounds=2)
        alone = inside(capsys, *arguments, "--filter", "qdisc=pfifo")
        assert (alone.code, reason in " ".join(alone.out.split())) == (4, True)
    assert len(bench.files()) == 2
