"""Thirty nights in a row, with a real cost: what does `bench nightly` say, and in which night?

A night is `bench nightly` of a small matrix: eight cells of ifb, four of veth. From night 20 on a
BPF program on the tracepoint netif_rx costs each frame of veth something, from night 25 on another
one on net_dev_queue costs every frame. Everything is written to FOLDER: the history, as it would be
committed, and README.md with what was said. It takes root, and some ten minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common import heading

NIGHTS, SOME, ALL = 30, 20, 25
MATRIX = """\
name: nights
description: A small matrix for thirty nights
axes:
  interface: [ifb, veth]
  method: [sendto, send, sendmsg, sendmmsg]
  frame_size: [64, 1514]
  burst: 64
exclude:
  - {interface: veth, method: [send, sendmsg]}
measure: {window: 10ms, rounds: 40, openings: 5}
baseline: {method: sendto}
"""
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


def night(number: int, matrix: Path, results: Path, turns: int) -> tuple[int, str]:
    with ExitStack() as stack:
        if number >= SOME:
            stack.enter_context(cost("netif_rx", turns))
        if number >= ALL:
            stack.enter_context(cost("net_dev_queue", turns))
        return bench("nightly", matrix, "--results", results, "--machine", "example")


def said(report: str) -> str:
    """The report without its last line, as one cell of a table."""
    lines = [line.strip() for line in report.strip().splitlines() if line.strip()]
    return "<br>".join(re.sub(r"[|<>]", " ", line) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=100, help="of the loop of each program")
    parser.add_argument("--nights", type=int, default=NIGHTS)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True)
    matrix = folder / "nights.yaml"
    matrix.write_text(MATRIX)
    heading(f"{options.nights} nights, programs of {options.turns} turns")
    rows = []
    for number in range(1, options.nights + 1):
        code, report = night(number, matrix, folder / "results", options.turns)
        print(f"night {number}: exit {code}\n{report}", flush=True)
        rows.append(f"| {number} | {code} | {said(report)} |")
    _, history = bench("history", matrix, "--results", folder / "results", "--machine", "example")
    print(history)
    (folder / "README.md").write_text(
        f"# {options.nights} nights\n\nMade by `benchmarks/nights.py`. From night {SOME} on each "
        f"frame of veth costs more, from night {ALL} on every frame.\n\n"
        "| night | exit | what was said |\n|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n```\n{history}```\n"
    )


if __name__ == "__main__":
    main()
