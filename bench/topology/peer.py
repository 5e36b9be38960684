"""The receiving end of a link: steering, XDP, and a process that reads."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.base.errors import BenchError, UsageError
from bench.base.units import parse_cpu_list
from bench.system import privileges
from bench.system.netns import entered
from bench.system.procfs import ProcFs
from bench.topology import Port, ethtool
from bench.topology.link import needs_config, refusals, rtnl

_libc = ctypes.CDLL(None, use_errno=True)

# Receive packet steering (Documentation/networking/scaling.rst)

_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000


def steer(port: Port, cpus: str) -> None:
    """Switch RPS on for every receive queue of a port: over all online CPUs, or a list ("0,2-3").

    Raises BenchError if the kernel lacks RPS or a CPU does not exist.
    """
    chosen = ProcFs().online() if cpus == "all" else parse_cpu_list(cpus)
    mask = sum(1 << cpu for cpu in chosen)
    words = [f"{mask >> shift & 0xFFFFFFFF:08x}" for shift in range(0, max(chosen) + 1, 32)]
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(_write_rps, port, cpus, ",".join(reversed(words))).result()


def _write_rps(port: Port, cpus: str, mask: str) -> None:
    """Needs a thread of its own: /sys shows the network namespace in which it was mounted."""
    with entered(port.netns_fd):
        _mount_own_sysfs()
        queues = sorted(Path(f"/sys/class/net/{port.ifname}/queues").glob("rx-*/rps_cpus"))
        if not queues:
            raise BenchError(f"RPS of {port.ifname}: {needs_config('CONFIG_RPS')}")
        for queue in queues:
            try:
                queue.write_text(mask)
            except PermissionError as error:
                need = privileges.remedy("CAP_NET_ADMIN")
                raise UsageError(f"RPS of {port.ifname}: not allowed: {need}") from error
            except OSError as error:
                raise BenchError(f"RPS of {port.ifname}: CPUs {cpus}: {error.strerror}") from error


def _mount_own_sysfs() -> None:
    for done in (
        _libc.unshare(_CLONE_NEWNS) == 0,
        _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0,
        _libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None) == 0,
    ):
        if not done:
            raise BenchError(
                f"RPS: cannot mount /sys for a namespace: {os.strerror(ctypes.get_errno())}"
            )


# XDP

_BPF_PROG_LOAD = 5
_BPF_PROG_TYPE_XDP = 6
_XDP_DROP = 1
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_RETURN_DROP = struct.pack("=BBhi", 0xB7, 0, 0, _XDP_DROP) + struct.pack("=BBhi", 0x95, 0, 0, 0)
"""r0 = XDP_DROP; exit"""


def drop_by_xdp(port: Port) -> None:
    """Attach a program that drops every frame on arrival; it goes with the interface.

    Raises BenchError if the kernel refuses it or a privilege is missing.
    """
    program = _load_xdp(_RETURN_DROP)
    try:
        with rtnl(port.netns_fd) as ip, refusals(f"XDP program on {port.ifname}"):
            ip.link("set", index=port.ifindex, xdp_fd=program)
    finally:
        os.close(program)


def _load_xdp(instructions: bytes) -> int:
    """The descriptor of a loaded program: bpf(BPF_PROG_LOAD), union bpf_attr in linux/bpf.h."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise BenchError(f"XDP program: bpf() is not known on {platform.machine()}")
    text = ctypes.create_string_buffer(instructions)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQI",
        _BPF_PROG_TYPE_XDP,
        len(instructions) // 8,
        ctypes.addressof(text),
        ctypes.addressof(licence),
        0,
        0,
        0,
        0,
    )
    program = _libc.syscall(number, _BPF_PROG_LOAD, attributes, len(attributes))
    if program < 0:
        code = ctypes.get_errno()
        if code == errno.EPERM:
            raise UsageError(f"XDP program: not allowed: {privileges.remedy('CAP_BPF')}")
        raise BenchError(f"XDP program: {os.strerror(code)}")
    return int(program)


# NAPI


def switch_gro_on(port: Port) -> None:
    """Generic receive offload: with it a veth has NAPI, and takes XDP frames (drivers/net/veth.c,
    ``veth_set_features``, from Linux 5.13 on). Raises BenchError if the kernel refuses it."""
    with entered(port.netns_fd):
        try:
            ethtool.switch_gro_on(port.ifname)
        except OSError as error:
            raise BenchError(f"GRO of {port.ifname}: {error.strerror}") from error


# A receiver

READY_S = 30.0
"""Some hundred times a reader's start: one that is silent for longer hangs."""


def read_all(port: Port) -> AbstractContextManager[None]:
    """A process that captures every frame on arrival at a port, as tcpdump would.

    Raises BenchError as ``reading`` does.
    """
    name = f"capturing reader on {port.ifname}"
    return reading("bench.topology.reader", name, (port.netns_fd,), port.ifname)


@contextmanager
def reading(module: str, name: str, fds: Sequence[int], *more: str) -> Iterator[None]:
    """A process that runs a module's ``main`` with this process' id, descriptors and ``more``.

    Raises BenchError if it does not start, or is not ready within READY_S.
    """
    arguments = [*map(str, (os.getpid(), *fds)), *more]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {module} import main; main()", *arguments],
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # a terminal's Ctrl-C is the runner's to handle
    )
    assert process.stdout is not None
    said = select.poll()  # select() takes no descriptor above 1023
    said.register(process.stdout)
    try:
        if not said.poll(READY_S * 1000):
            raise BenchError(f"the {name} was not ready within {READY_S:g} s")
        if not process.stdout.readline():
            raise BenchError(f"the {name} did not start")
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


CAPTURE = "capture"
RECEIVERS = {CAPTURE: read_all}
"""The receiving engines: each takes a port, and what arrives there while its context lasts."""
