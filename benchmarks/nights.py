"""Thirty nights in a row, with a real cost: what does `bench nightly` say, and in which night?

A night is `bench nightly` of a small matrix: five cells of ifb, two of veth. From night 20 on a
BPF program on the tracepoint netif_rx costs each frame of veth something, from night 25 on another
one on net_dev_queue costs every frame. It takes root, and some four minutes.

The nights follow each other at once. Before each one a day passes: every date in the stored files,
in their names, too, becomes a day earlier. So the last night is today's, and the clock is right.
FOLDER gets the history, and README.md with what was said. --keep RESULTS makes of it what is small
enough to commit: README.md, what each night told, and the runs, packed by gzip, without what the
doctor found and without summaries: these are made again of the samples.

    python benchmarks/nights.py /tmp/nights
    python benchmarks/nights.py /tmp/nights --keep results     afterwards, or in one go
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path

from common import heading

MACHINE, NAME = "example", "nights"
NIGHTS, SOME, ALL = 30, 20, 25
MATRIX = """\
name: nights
description: A small matrix for thirty nights
axes:
  interface: [ifb, veth]
  method: [sendto, send, sendmmsg]
  frame_size: [64, 1514]
  burst: 64
exclude:
  - {interface: veth, method: send}
  - {interface: veth, frame_size: 1514}
  - {method: send, frame_size: 1514}
measure: {window: 10ms, rounds: 30, openings: 5}
baseline: {method: sendto}
"""
DATE = re.compile(rb"(?<![0-9])(20[0-9]{2})(-?)([0-9]{2})-?([0-9]{2})(?=T[0-9]{2}:?[0-9]{2})")
"""The day of a time, as bench writes it into files (2026-11-28T03:00) and names (20261128T0300)."""

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, RAW_TRACEPOINT, RAW_TRACEPOINT_OPEN = 5, 17, 17


@contextmanager
def cost(tracepoint: str, turns: int) -> Iterator[None]:
    """A BPF program of so many turns of a loop on a raw tracepoint. Raises OSError."""
    code = b"".join(
        struct.pack("<BBhi", *of)
        for of in (
            (0xB7, 0x01, 0, turns),  # r1 = turns
            (0x17, 0x01, 0, 1),  # r1 -= 1
            (0x55, 0x01, -2, 0),  # if r1 != 0: again
            (0xB7, 0x00, 0, 0),  # r0 = 0
            (0x95, 0x00, 0, 0),  # return
        )
    )
    text, name = ctypes.create_string_buffer(code, len(code)), ctypes.c_char_p(tracepoint.encode())
    free = ctypes.c_char_p(b"GPL")
    program = _bpf(
        PROG_LOAD, "<IIQQ", RAW_TRACEPOINT, len(code) // 8, _address(text), _address(free)
    )
    try:
        link = _bpf(RAW_TRACEPOINT_OPEN, "<QI4x", _address(name), program)
        try:
            yield
        finally:
            os.close(link)
    finally:
        os.close(program)


def _address(of: ctypes.c_char_p | ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.cast(of, ctypes.c_void_p).value or 0


def _bpf(command: int, layout: str, *values: int) -> int:
    attributes = struct.pack(layout, *values).ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(BPF_SYSCALL[os.uname().machine], command, attributes, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return fd


def bench(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def a_day_passes(results: Path) -> None:
    """Every stored time becomes a day earlier."""
    for path in [path for path in results.rglob("*") if path.is_file()]:
        path.write_bytes(DATE.sub(_day_before, path.read_bytes()))
        path.rename(path.with_name(DATE.sub(_day_before, path.name.encode()).decode()))


def _day_before(found: re.Match[bytes]) -> bytes:
    year, between, month, day = found.groups()
    before = date(int(year), int(month), int(day)) - timedelta(days=1)
    dash = between.decode()
    return before.strftime(f"%Y{dash}%m{dash}%d").encode()


def night(number: int, matrix: Path, results: Path, turns: int) -> tuple[int, str]:
    with ExitStack() as stack:
        if number >= SOME:
            stack.enter_context(cost("netif_rx", turns))
        if number >= ALL:
            stack.enter_context(cost("net_dev_queue", 2 * turns))
        return bench("nightly", matrix, "--results", results, "--machine", MACHINE, "--wait")


def said(report: str) -> str:
    """The report as one cell of a table."""
    lines = [line.strip() for line in report.strip().splitlines() if line.strip()]
    return "<br>".join(re.sub(r"[|<>]", " ", line) for line in lines)


def measure(folder: Path, nights: int, turns: int) -> None:
    """Nights, one after another, and README.md."""
    folder.mkdir(parents=True)
    matrix, results = folder / f"{NAME}.yaml", folder / "results"
    matrix.write_text(MATRIX)
    heading(f"{nights} nights, programs of {turns} turns")
    rows = []
    for number in range(1, nights + 1):
        a_day_passes(results)
        code, report = night(number, matrix, results, turns)
        print(f"night {number}: exit {code}\n{report}", flush=True)
        rows.append(f"| {number} | {code} | {said(report)} |")
    _, history = bench("history", NAME, "--results", results, "--machine", MACHINE)
    print(history)
    (folder / "README.md").write_text(
        f"# {nights} nights\n\nMade by `benchmarks/nights.py`, in one go: the dates are not those "
        f"of the measurements. From night {SOME} on each frame of veth costs more, from night "
        f"{ALL} on every frame.\n\n| night | exit | what was said |\n|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n`bench history {NAME} --machine {MACHINE}`:\n\n```\n{history}```\n"
    )


def keep(folder: Path, results: Path) -> None:
    """What is committed of a history; what is there of an earlier one is removed."""
    source, target = (root / MACHINE / NAME for root in (folder / "results", results))
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(folder / "README.md", target)
    for path in source.glob("*.told.json"):
        shutil.copy(path, target)
    for path in source.glob("*.jsonl"):
        (target / f"{path.name}.gz").write_bytes(gzip.compress(_bare(path).encode(), mtime=0))
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{target}: {size / 1e3:.0f} kB")


def _bare(run: Path) -> str:
    """A run's lines without those findings and summaries."""
    header, *others = map(json.loads, run.read_text().splitlines())
    header["doctor"]["findings"] = []
    kept = [header, *(line for line in others if line["type"] != "summaries")]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--turns", type=int, default=100, help="on netif_rx; twice as many on net_dev_queue"
    )
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--keep", metavar="RESULTS", type=Path, help="of FOLDER, measured or not")
    options = parser.parse_args()
    if not (options.keep and options.folder.exists()):
        measure(options.folder, options.nights, options.turns)
    if options.keep:
        keep(options.folder, options.keep)


if __name__ == "__main__":
    main()
