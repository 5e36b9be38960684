"""A virtual machine under software emulation: boots, does one job, and is gone."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bench.base.errors import BenchError
from bench.engines import build as builder
from tools.guest import emulator
from tools.guest.architecture import Architecture
from tools.guest.archive import ROOT
from tools.guest.initramfs import Archive, build_environment, fetch_parts, write_system
from tools.guest.kernels import MODULES, Kernel

PYTHON = str(ROOT / ".venv/bin/python")
PYTEST = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider"]
TESTS = os.environ.get(
    "KERNELS_TESTS", "tests/netns/test_bond.py tests/netns/test_run.py tests/netns tests/native"
).split()
"""Tests that depend on the kernel, the longest first."""
COMMAND_LINE = (
    "quiet panic=-1 random.trust_cpu=1 mitigations=off init_on_alloc=0 "
    # Each process has the same code at the same place: emulated code is translated once.
    "norandmaps nokaslr"
)
ENVIRONMENT = {
    "PATH": f"{ROOT}/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": os.environ.get("TERM", "dumb") if sys.stdout.isatty() else "dumb",
}
PR_SET_PDEATHSIG = 1


def fetch(architecture: Architecture) -> None:
    """Put the common parts of an architecture's machines into the cache."""
    emulator.fetch(architecture)
    fetch_parts(architecture)


@contextmanager
def system(architecture: Architecture) -> Iterator[BinaryIO]:
    """The file system that every machine of this checkout starts with, from the present files.

    In memory, like every part of a machine: however this process ends, nothing is left.
    """
    for variant in ("", "test"):  # no machine has a compiler
        build = [PYTHON, "-c", f"from {builder.__name__} import ensure_built; ensure_built()"]
        _prepare(build, os.environ | {"BENCH_CORE": variant})
    _prepare([PYTHON, "-m", "compileall", "-q", "bench", "tests", "tools"], os.environ)
    _compile_tests()
    with _memory("system") as out:
        write_system(out, architecture)
        yield out


def _prepare(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:  # it has said why
        raise BenchError(f"no machine is started: {' '.join(command)} failed")


def _compile_tests() -> None:
    """Compile with pytest's assertion rewriting, so that failed assertions show their values.

    A file that cannot be collected here does no harm: the machine reports it.
    """
    writing = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
    collect = [*PYTEST, "--collect-only", "-qq", "-p", "no:hypothesispytest", *TESTS]
    subprocess.run(collect, cwd=ROOT, env=writing, check=False, capture_output=True)


@dataclass(frozen=True, slots=True)
class Job:
    """A command in the checkout's folder."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def booted(
    kernel: Kernel, system: BinaryIO, job: Job, console: BinaryIO | None = None
) -> Iterator[socket.socket]:
    """The other end of a running machine's second serial port; the machine ends with the context.

    The port closes when the machine ends. ``console`` takes the machine's output; None is standard
    output.
    """
    qemu = emulator.fetch(kernel.architecture)
    with ExitStack() as stack:
        initramfs = stack.enter_context(_memory("initramfs"))
        system.seek(0)
        shutil.copyfileobj(system, initramfs, 2**20)
        _add_job(initramfs, kernel, job)
        initramfs.flush()
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        with theirs:
            process = subprocess.Popen(
                [*qemu, *_arguments(kernel, initramfs.fileno(), theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=[initramfs.fileno(), theirs.fileno()],
                preexec_fn=_die_with_parent,
            )
        try:
            yield ours
        finally:
            process.kill()
            process.wait()


def _memory(name: str) -> BinaryIO:
    """A file in memory, without a name in any folder."""
    return open(os.memfd_create(f"bench-{name}"), "w+b")


def _add_job(out: BinaryIO, kernel: Kernel, job: Job) -> None:
    archive = Archive(out)
    modules = []
    for module in kernel.modules():
        path = Path(f"/modules/{module.name}.ko")
        archive.write(path, module.content)
        modules.append((str(path), module.parameters))
    told = {
        "serial": kernel.architecture.serial,
        "modules": modules,
        "command": list(job.command),
        "folder": str(ROOT),
        "environment": {
            **ENVIRONMENT,
            # No machine has a compiler: the core it gets must be its own.
            **build_environment(kernel.architecture),
            **job.environment,
        },
    }
    archive.write(Path("/job.json"), json.dumps(told))
    archive.close()


def _arguments(kernel: Kernel, initramfs: int, port: int) -> list[str]:
    computer = kernel.architecture
    options = f"console={computer.serial}0 {computer.command_line} {COMMAND_LINE}"
    # Those of drivers that are built in; init.py loads the others.
    options += "".join(f" {name}.{given}" for name, given in MODULES.items() if given)
    return [
        *("-accel", "tcg", *computer.computer, "-smp", "2", "-m", kernel.memory),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel.image), "-initrd", f"/dev/fd/{initramfs}", "-append", options),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=port,fd={port}", "-serial", "chardev:port"),
    ]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
