"""What the benchmarks share: the CPU to send from, a cell opened by hand, verdicts and tables."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tabulate import tabulate

from bench.base.values import Value
from bench.engines import build
from bench.engines.core import Endpoint, OpenCell
from bench.model.axes import AXES, defaults
from bench.model.results import Estimate
from bench.system import host
from bench.topology import Topology, entered

BUSY = 0.3
"""A load average above this means that others run beside the benchmark."""


# What is measured


def pin_beside_sender() -> int:
    """The CPU to send from; this process keeps off it from now on, where there is another."""
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)
    os.sched_setaffinity(0, allowed - {cpu} or allowed)
    return cpu


@contextmanager
def open_cell(topology: Topology, cpu: int, **axes: Value) -> Iterator[OpenCell]:
    """A cell of one thread on a CPU; axes that are not named have their defaults."""
    endpoint = Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = OpenCell({**defaults(AXES), **axes}, endpoint, [cpu])
    with cell:
        yield cell


@contextmanager
def compiled(source: Path) -> Iterator[Path]:
    """A single C file as a program, optimised as the core is."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        program = Path(folder, source.stem)
        recipe = build.recipe()
        if recipe is None:
            raise SystemExit(f"{build.SOURCES}: the core's sources are needed")
        compiler = [*os.environ.get("CC", "gcc").split(), *recipe.CFLAGS, "-Werror"]
        subprocess.run([*compiler, "-o", str(program), str(source)], check=True)
        yield program


# What is printed


def heading(title: str) -> None:
    """A title and the machine, and a warning where others use it too."""
    load, known = os.getloadavg()[0], host.fingerprint()
    print(f"{title}\n{'=' * len(title)}")
    print(
        f"{known.cpu}, {len(os.sched_getaffinity(0))} CPUs, {known.virtualisation}, "
        f"Linux {os.uname().release}"
    )
    if load > BUSY:
        print(f"Load average {load:.2f}: others use this machine, take the figures with care.")
    print()


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(tabulate(rows, headers=headers, disable_numparse=True), end="\n\n")


def interval(figure: Estimate | None, digits: int = 3) -> str:
    """``value [low, high]``."""
    if figure is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.{digits}f} [-]"
    return f"{figure.value:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"


def at_least(goal: float, figure: Estimate | None) -> str:
    """Whether a figure reaches a goal; its interval may be too wide to tell."""
    if figure is None or figure.low is None or figure.high is None:
        return "undecided"
    if figure.low >= goal:
        return "met"
    return "missed" if figure.high < goal else "undecided"


def equal(figure: Estimate | None, within: float) -> str:
    """Whether a ratio is 1 within a fraction: the whole interval, or the whole of it beyond."""
    if figure is None or figure.low is None or figure.high is None:
        return "undecided"
    if figure.low >= 1 - within and figure.high <= 1 + within:
        return "met"
    return "missed" if figure.high < 1 - within or figure.low > 1 + within else "undecided"


def met(reached: bool) -> str:
    return "met" if reached else "missed"
