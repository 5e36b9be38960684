# ruff: noqa: E501 (tables are compared as literal text)
"""What the tables look like, in each format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.base.values import Value
from bench.model.cells import Cell
from bench.model.counters import COUNTERS
from bench.model.results import Averages, CellResult, Estimate, Figures, Note, Tally
from bench.render import FORMATS, axes
from bench.render.document import Column, Fact, Table
from bench.render.report import Report
from bench.render.screen import PAPER, Screen
from bench.render.table import _FASTEST, document_of
from tests.builders import a_cell

LO: dict[str, Any] = {"kind": "lo"}
VETH: dict[str, Any] = {"kind": "veth", "queues": 4, "gro": False}
RING: dict[str, Any] = {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048}
COUNTED = {counter.name for counter in COUNTERS}
LOST = "the interface counted fewer frames than completed"
IMPRECISE = Note("imprecise", "the interval is wider than 1 % after 400 rounds")
FACTS = (
    Fact("kernel", "6.18.2-amd64 SMP PREEMPT_DYNAMIC", "kernel", {"release": "6.18.2-amd64"}),
    Fact("CPU", "AMD EPYC 7B13, 2 cores"),
    Fact("cores used", "1"),
    Fact(
        "mitigations",
        "spectre_v1: usercopy/swapgs barriers and __user pointer sanitization; "
        "spectre_v2: Retpolines; STIBP disabled; RSB filling",
    ),
    Fact("virtualisation", "kvm"),
    Fact("date", "2026-11-22 17:15 UTC"),
    Fact("core", "3f9c0a1b2d"),
)


def cell(**values: Value | None) -> Cell:
    known = dict.fromkeys(("method", "frame_size", "threads")) | values
    return a_cell(f"id-of-{known['method']}", **known)


def cells_of(method: str, **values: Value | None) -> Cell:
    """A cell with what the method reads, and one value for the rest."""
    knobs: dict[str, Value | None] = {
        "replica": 1,
        "threads": 1,
        "fill": "copy",
        "sndbuf": "default",
    }
    if method != "sendto":
        knobs["burst"] = 64
    if method == "tx_ring":
        knobs["ring"] = RING
    return cell(**{"method": method, "frame_size": 1514, **knobs, **values})


def estimate(value: float, half: float | None = None, n: int = 40) -> Estimate:
    """An estimate with a relative half-width; without one it has no interval."""
    if half is None:
        return Estimate(value, None, None, n)
    return Estimate(value, value * (1 - half), value * (1 + half), n)


def measured(
    of: Cell, pps: float, *, ratio: float | None = None, half: float | None = 0.004, **more: Any
) -> CellResult:
    """A cell that ran; its sender used all of one CPU."""
    n = 40 if half is not None else 4
    counts = {name: more.pop(name) for name in COUNTED & more.keys()}
    parts: dict[str, Any] = {
        "is_baseline": ratio is None,
        "tally": Tally(rounds=n),
        "figures": Figures(
            pps=estimate(pps, half, n),
            gbps=estimate(pps * of.frame_size * 8 / 1e9, half, n),
            ns_per_frame=estimate(1e9 / pps, half, n),
            ratio=None if ratio is None else estimate(ratio, half, n),
            ratio_ns=None if ratio is None else estimate(1 / ratio, half, n),
        ),
        "averages": Averages(
            frames_per_call=float(of.values["burst"] or 1),  # type: ignore[arg-type]
            cpu_share=0.994,
        ),
        "counts": {"completed_frames": 400_000, **counts},
    }
    return CellResult(of, **{**parts, **more})


def report(rows: Sequence[CellResult], **more: Any) -> Report:
    values: dict[str, Any] = {
        "name": "mmap_vs_sendto",
        "description": "Is a PACKET_MMAP TX ring faster than sendto()?",
        "run": "20261122-171503-5f1c",
        "facts": FACTS,
        "baseline": {"method": "sendto"},
    }
    return Report(rows=tuple(rows), **{**values, **more})


def two_interfaces() -> Report:
    """lo and veth, three methods; one cell failed, one is invalid, two have their doubts."""
    veth: Mapping[str, Any] = {"interface": VETH, "qdisc": {"kind": "noqueue"}}
    return report(
        [
            measured(cells_of("sendto", interface=LO), 720e3),
            measured(cells_of("sendmmsg", interface=LO), 840e3, ratio=1.1667),
            measured(cells_of("tx_ring", interface=LO), 1.2e6, ratio=1.6667, is_fastest=True),
            measured(cells_of("sendto", **veth), 432e3, notes=(IMPRECISE,)),
            measured(
                cells_of("sendmmsg", **veth),
                441e3,
                ratio=1.0208,
                is_fastest=True,
                tally=Tally(rounds=40, invalid=3, invalid_reason=LOST),
                drops=12_345,
                notes=(IMPRECISE,),
            ),
            CellResult(
                cells_of("tx_ring", **veth), tally=Tally(rounds=40, invalid=40, invalid_reason=LOST)
            ),
            CellResult(
                cells_of("tx_ring", **veth, burst=1),
                failure="setsockopt(PACKET_TX_RING): Cannot allocate memory; lower ring.block_nr",
            ),
        ],
        notes=("calibration drifted by 1.2 % over the run",),
    )


def many_axes() -> Report:
    """Seven varying axes, every column, notes in many rows."""
    rows = []
    for interface, method, size, fill, dontwait, bypass in product(
        (LO, VETH, {**VETH, "queues": 2}),
        ("sendto", "sendmmsg", "tx_ring"),
        (64, 65535),
        ("copy", "prefilled"),
        (False, True),
        (False, True),
    ):
        of = cells_of(
            method,
            interface=interface,
            frame_size=size,
            fill=fill,
            msg_dontwait=dontwait,
            qdisc_bypass=bypass,
            burst=None if method == "sendto" else 1024 if bypass else 64,
        )
        rows.append(
            measured(
                of,
                12.3456e6 if size == 64 else 0.2e6,
                ratio=None if method == "sendto" else 1.1,
                drops=123_456,
                eagain=1,
                enobufs=7,
                notes=(IMPRECISE, Note("starved", "the sender got 91 % of its CPU"))
                if bypass
                else (),
            )
        )
    return report(rows)


def printed(form: str, of: Report, screen: Screen = PAPER) -> str:
    return FORMATS[form](document_of(of), screen)


def terminal(of: Report, width: int = 120, colour: bool = False) -> str:
    return printed("terminal", of, Screen(width, colour))


def columns_of(of: Report) -> tuple[Column, ...]:
    (table,) = document_of(of).blocks
    assert isinstance(table, Table)
    return table.columns


def small() -> Report:
    """Two cells of a short run: too few rounds for intervals."""
    interface: dict[str, Value | None] = {"interface": LO, "frame_size": 64}
    rows = [
        measured(cells_of("sendto", **interface), 0.9e6, half=None),
        measured(cells_of("tx_ring", **interface), 1.1e6, ratio=1.2222, half=None, enobufs=950),
    ]
    return report(rows, description="", facts=(Fact("kernel", "6.18.2"),))


def test_many_rows_that_failed_alike_are_told_in_a_note() -> None:
    ran = measured(cells_of("sendto"), 1e6)
    alike = [
        CellResult(cells_of("tx_ring", burst=n), failure="8 threads: 2 CPUs here") for n in range(9)
    ]
    one = CellResult(cells_of("send"), failure="no such method")
    text = terminal(report([ran, *alike, one]))
    assert "9 cells are not shown, failed: 8 threads: 2 CPUs here" in text
    assert ("tx_ring" in table_of(text), "failed: no such method" in text) == (False, True)
    few = terminal(report([ran, *alike[1:], one]))
    assert table_of(few).count("tx_ring") == 8
    assert table_of(terminal(report(alike))).count("\n") >= 9


def table_of(text: str) -> str:
    """The table without what is above and below it."""
    title_and_facts = 2
    blocks = text.split("\n\n")[title_and_facts:]
    notes = [block for block in blocks if block.startswith("(1) ")]
    return "\n\n".join(blocks[: blocks.index(notes[0])] if notes else blocks).rstrip("\n")


# The terminal


def test_terminal_shows_facts_what_is_shared_a_row_per_cell_and_why_cells_are_doubtful() -> None:
    assert terminal(two_interfaces()) == TWO_INTERFACES


TWO_INTERFACES = """\
mmap_vs_sendto: Is a PACKET_MMAP TX ring faster than sendto()?

  run             20261122-171503-5f1c
  kernel          6.18.2-amd64 SMP PREEMPT_DYNAMIC
  CPU             AMD EPYC 7B13, 2 cores
  cores used      1
  mitigations     spectre_v1: usercopy/swapgs barriers and __user pointer sanitization; spectre_v2: Retpolines; STIBP
                  disabled; RSB filling
  virtualisation  kvm
  date            2026-11-22 17:15 UTC
  core            3f9c0a1b2d
  baseline        method sendto (ratio: pps to the baseline's in the same round)
  all cells       veth queues=4, qdisc noqueue (veth), frame_size 1514, threads 1, fill copy, ring v2 256x4096/2048
                  (tx_ring), sndbuf default

                                             ns/                         frames/    CPU
interface  method    burst   Mpps   Gb/s   frame  ratio  95 % interval      call  share  drops  notes
---------------------------------------------------------------------------------------------------------------------
lo         sendto        -  0.720   8.72  1388.9  1.000  baseline            1.0   99 %      0
lo         sendmmsg     64  0.840  10.17  1190.5  1.167  [1.162, 1.171]     64.0   99 %      0
lo         tx_ring      64  1.200  14.53   833.3  1.667  [1.660, 1.673]     64.0   99 %      0  fastest (1)

veth       sendto        -  0.432   5.23  2314.8  1.000  baseline            1.0   99 %      0  imprecise (2)
veth       sendmmsg     64  0.441   5.34  2267.6  1.021  [1.017, 1.025]     64.0   99 %  12345  fastest (1), (3), (2)
veth       tx_ring      64      -      -       -      -  -                     -      -      -  invalid (3)
veth       tx_ring       1      -      -       -      -  -                     -      -      -  failed (4)

(1) fastest: its pps is above that of each other cell on the same interface and qdisc with the same frame_size, threads,
    flows, vlan and malformed, in the same rounds (95 % intervals of the ratios are above 1); lossy cells compete among
    themselves
(2) imprecise: the interval is wider than 1 % after 400 rounds
(3) invalid: the interface counted fewer frames than completed
(4) failed: setsockopt(PACKET_TX_RING): Cannot allocate memory; lower ring.block_nr
calibration drifted by 1.2 % over the run
"""


def test_terminal_with_room_has_whole_labels_and_the_codes_of_all_notes() -> None:
    assert table_of(terminal(two_interfaces(), width=160)) == TWO_INTERFACES_WITH_ROOM


TWO_INTERFACES_WITH_ROOM = """\
interface  method    burst   Mpps   Gb/s  ns/frame  ratio  95 % interval   frames/call  CPU share  drops  notes
---------------------------------------------------------------------------------------------------------------------------------------------------
lo         sendto        -  0.720   8.72    1388.9  1.000  baseline                1.0       99 %      0
lo         sendmmsg     64  0.840  10.17    1190.5  1.167  [1.162, 1.171]         64.0       99 %      0
lo         tx_ring      64  1.200  14.53     833.3  1.667  [1.660, 1.673]         64.0       99 %      0  fastest (1)

veth       sendto        -  0.432   5.23    2314.8  1.000  baseline                1.0       99 %      0  imprecise (2)
veth       sendmmsg     64  0.441   5.34    2267.6  1.021  [1.017, 1.025]         64.0       99 %  12345  fastest (1), 3 invalid (3), imprecise (2)
veth       tx_ring      64      -      -         -      -  -                         -          -      -  invalid (3)
veth       tx_ring       1      -      -         -      -  -                         -          -      -  failed (4)"""


def test_terminal_says_so_where_there_is_no_interval() -> None:
    assert terminal(small()) == SMALL


SMALL = """\
mmap_vs_sendto

  run        20261122-171503-5f1c
  kernel     6.18.2
  baseline   method sendto (ratio: pps to the baseline's in the same round)
  all cells  interface lo, frame_size 64, threads 1, burst 64 (tx_ring), fill copy, ring v2 256x4096/2048 (tx_ring),
             sndbuf default

method    Mpps  Gb/s  ns/frame  ratio  95 % interval  frames/call  CPU share  ENOBUFS
-------------------------------------------------------------------------------------
sendto   0.900  0.46    1111.1  1.000  baseline               1.0       99 %        0
tx_ring  1.100  0.56     909.1  1.222  none (n = 4)          64.0       99 %      950
"""


def test_without_a_baseline_there_is_no_ratio() -> None:
    rows = [
        replace(row, is_baseline=False, figures=replace(row.figures, ratio=None))
        for row in small().rows
    ]
    assert terminal(report(rows, description="", facts=(), baseline=None)) == NO_BASELINE


NO_BASELINE = """\
mmap_vs_sendto

  run        20261122-171503-5f1c
  all cells  interface lo, frame_size 64, threads 1, burst 64 (tx_ring), fill copy, ring v2 256x4096/2048 (tx_ring),
             sndbuf default

method    Mpps  Gb/s  ns/frame  frames/call  CPU share  ENOBUFS
---------------------------------------------------------------
sendto   0.900  0.46    1111.1          1.0       99 %        0
tx_ring  1.100  0.56     909.1         64.0       99 %      950
"""


def test_a_cell_that_never_ran_says_so() -> None:
    text = terminal(report([CellResult(cells_of("sendto", interface=LO))], facts=(), baseline=None))
    assert table_of(text) == "notes\n-----------\nnot run (1)"
    assert "\n(1) not run: the run ended before the first sample of the cell\n" in text


def test_a_report_without_cells() -> None:
    assert terminal(report([], facts=(), baseline=None, description="")) == (
        "mmap_vs_sendto\n\n  run  20261122-171503-5f1c\n\nno cells\n"
    )


def test_a_wide_table_gives_up_the_least_important_columns() -> None:
    text = terminal(many_axes())
    header, *_ = table_of(text).split("\n---")
    assert header == MANY_AXES_HEADER
    assert "\nnot shown at this width: CPU share, frames/call, EAGAIN, ENOBUFS, drops\n" in text


MANY_AXES_HEADER = """\
                         frame                    dont  qdisc                      ns/
interface      method     size  burst  fill       wait  bypass    Mpps    Gb/s   frame  ratio  95 % interval   notes"""


@pytest.mark.parametrize("width", [120, 132, 160, 250])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for each in (small(), two_interfaces(), many_axes()):
        assert max(map(len, terminal(each, width).splitlines())) <= width


@pytest.mark.parametrize("width", [0, 20, 80, 120])
def test_rows_never_wrap_and_never_lose_what_matters(width: int) -> None:
    of = many_axes()
    lines = table_of(terminal(of, width)).splitlines()
    odd = ("not shown", "interface ")
    rows = [line for line in lines[3:] if line and not line.startswith(odd)]
    assert len(rows) == len(of.rows)
    assert {"Mpps", "frame", "ratio", "notes"} <= set(lines[1].split())


def test_where_columns_are_too_many_the_place_stands_above_its_rows() -> None:
    assert table_of(terminal(two_interfaces(), width=60)) == NARROW


NARROW = """\
                           ns/
method    burst   Mpps   frame  ratio  notes
----------------------------------------------------
interface lo:
sendto        -  0.720  1388.9  1.000
sendmmsg     64  0.840  1190.5  1.167
tx_ring      64  1.200   833.3  1.667  (1)

interface veth:
sendto        -  0.432  2314.8  1.000  (2)
sendmmsg     64  0.441  2267.6  1.021  (1), (3), (2)
tx_ring      64      -       -      -  (3)
tx_ring       1      -       -      -  (4)
not shown at this width: CPU share, frames/call, drops, Gb/s, 95 % interval"""


# Long tables, short headings


def long_report(groups: int = 3, **more: Any) -> Report:
    """Frame sizes with a baseline, 13 bursts and a failed cell each; burst 512 is the best."""
    rows = []
    for size in range(groups):
        base = measured(_named(cells_of("sendto", frame_size=64 + size), f"base{size}"), 1e6)
        rows.append(base)
        for power in range(13):
            of = cells_of("tx_ring", frame_size=64 + size, burst=1 << power)
            pps = 2e6 if power == 9 else 1.1e6 + power
            rows.append(measured(_named(of, f"ring{size}-{power}"), pps, ratio=pps / 1e6))
        broken = cells_of("send", frame_size=64 + size)
        rows.append(CellResult(_named(broken, f"broken{size}"), failure="no such thing"))
    baselines = {row.cell.id: f"base{row.cell.frame_size - 64}" for row in rows}
    return report(rows, baselines=baselines, **more)


def _named(of: Cell, name: str) -> Cell:
    return replace(of, id=name)


def in_short(of: Report) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    document = document_of(of, every=False)
    (table,) = document.blocks
    assert isinstance(table, Table)
    rows = zip(*(column.cells for column in table.columns), strict=True)
    return [*rows], document.notes


def test_a_long_table_in_short_has_the_best_of_each_group_its_baseline_and_what_failed() -> None:
    rows, notes = in_short(long_report())
    assert [row[:3] for row in rows] == [
        (method, str(size), burst)
        for size in (64, 65, 66)
        for method, burst in (("sendto", "-"), ("tx_ring", "512"), ("send", "64"))
    ]
    assert "9 of 45 cells" in notes[-1]
    assert "--all shows the other 36" in notes[-1]
    assert in_short(long_report(2))[0] == [*rows_of(long_report(2))]  # 30 rows are not long
    everything = document_of(long_report())
    assert not everything.notes
    assert len(everything.records.rows) == len(document_of(long_report(), False).records.rows) == 45


def rows_of(of: Report) -> list[tuple[str, ...]]:
    return [*zip(*(column.cells for column in columns_of(of)), strict=True)]


def test_what_the_rows_of_a_short_table_have_in_common_is_told() -> None:
    of = long_report()
    rows = tuple(row for row in of.rows if row.is_measured)
    shown, notes = in_short(replace(of, rows=(*rows, *_with_fill(rows[:2], "prefilled"))))
    assert "rows shown: burst 512 (tx_ring), fill copy" in notes
    assert [row[0] for row in shown] == ["sendto", "tx_ring"] * 3


def _with_fill(rows: Sequence[CellResult], fill: str) -> list[CellResult]:
    return [
        replace(
            row,
            cell=replace(
                row.cell, id=f"{row.cell.id}-{fill}", values={**row.cell.values, "fill": fill}
            ),
            figures=replace(row.figures, pps=estimate(1e5)),
        )
        for row in rows
    ]


def test_a_null_method_is_no_best_and_a_group_without_figures_has_none() -> None:
    of = long_report()
    null = measured(_named(cells_of("null", frame_size=64), "null"), 1e9, ratio=1e3)
    rows, _ = in_short(replace(of, rows=(*of.rows, null)))
    assert "null" not in {row[0] for row in rows}
    nulls = tuple(measured(_named(null.cell, f"null{n}"), 1e9) for n in range(50))
    assert len(in_short(replace(of, rows=nulls))[0]) == 50
    failed = tuple(CellResult(row.cell, failure=row.cell.id) for row in of.rows)
    assert len(in_short(replace(of, rows=failed))[0]) == len(of.rows)


def test_a_cell_whose_frames_were_dropped_is_best_only_where_all_are() -> None:
    of = long_report()
    lossy = Note("lossy", "its frames did not all arrive")
    fast = [row.cell.id for row in of.rows if row.cell.id.endswith("-9")]
    rows = tuple(replace(r, notes=(lossy,)) if r.cell.id in fast else r for r in of.rows)
    assert {row[2] for row in in_short(replace(of, rows=rows))[0] if row[0] == "tx_ring"} == {
        "4096"
    }
    every = tuple(replace(row, notes=(lossy,)) for row in of.rows)
    assert {row[2] for row in in_short(replace(of, rows=every))[0] if row[0] == "tx_ring"} == {
        "512"
    }


def test_a_short_heading_leaves_out_what_it_may_and_programs_have_it_all() -> None:
    facts = (
        Fact("kernel", "6.18.2 #1 SMP", "kernel", {"release": "6.18.2"}, "6.18.2"),
        Fact("memory", "2 GiB", "memory_bytes", 2 << 30, ""),
    )
    document = document_of(report(two_interfaces().rows, facts=facts))
    assert dict(document.shortened().shown())["kernel"] == "6.18.2"
    assert "memory" not in dict(document.shortened().shown())
    assert dict(document.shown())["memory"] == "2 GiB"
    text = FORMATS["json"](document.shortened(), PAPER)
    assert json.loads(text)["facts"]["memory_bytes"] == 2 << 30


def test_colour_changes_no_character_of_the_text() -> None:
    plain, coloured = (terminal(two_interfaces(), colour=colour) for colour in (False, True))
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert "\x1b" not in plain


def test_colour_reddens_rows_without_figures_and_marks_the_fastest() -> None:
    lines = terminal(two_interfaces(), colour=True).splitlines()
    red = [line for line in lines if line.startswith("\x1b[31m")]
    bold = [line for line in lines if line.startswith("\x1b[1m")]
    assert [line.split()[-2] for line in red] == ["invalid", "failed"]
    assert [line.split()[1] for line in bold[1:]] == ["tx_ring", "sendmmsg"]  # [0] is the title


def test_a_run_without_ratios_shows_the_intervals_of_pps() -> None:
    rows = [
        measured(cells_of("sendto"), 1e6, half=0.01, is_baseline=False),
        measured(cells_of("tx_ring"), 2e6, half=None, is_baseline=False),
    ]
    columns = {column.label: column.cells for column in columns_of(report(rows))}
    assert columns["95 % interval"] == ("[0.990, 1.010]", "none (n = 4)")
    without = {column.label for column in columns_of(report(rows[1:]))}
    assert "95 % interval" not in without


# Axes


def shown(axis: str, *values: Value | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How a column shows values of an axis, and what is left for the heading."""
    cells = [cell(**{axis: value}) for value in values]
    return axes.column(cells, axis), axes.shared(cells)


def test_the_heading_leaves_out_what_is_at_its_default_and_keeps_what_only_others_know() -> None:
    plain = {"kind": "veth", "queues": 1, "filters": 0}
    assert shown("interface", LO, plain) == (("lo", "veth"), ())
    assert shown("interface", plain)[1] == ("interface veth",)
    later = {**plain, "of_a_later_version": 0}
    assert shown("interface", LO, later) == (("lo", "veth"), ("veth of_a_later_version=0",))
    assert shown("interface", plain, {**plain, "queues": 2})[0] == (
        "veth queues=1",
        "veth queues=2",
    )


def test_only_options_that_differ_are_shown() -> None:
    assert shown("interface", LO, VETH, {**VETH, "queues": 2}) == (
        ("lo", "veth queues=4", "veth queues=2"),
        (),
    )
    assert shown("interface", LO, VETH) == (("lo", "veth"), ("veth queues=4",))
    assert shown("interface", VETH, {**VETH, "gro": True}) == (
        ("veth", "veth gro"),
        ("veth queues=4",),
    )


def test_rings() -> None:
    v3 = {**RING, "version": 3}
    assert shown("ring", RING, v3) == (("v2", "v3"), ("ring 256x4096/2048",))
    assert shown("ring", RING, {**RING, "block_nr": 64}) == (
        ("256x4096/2048", "64x4096/2048"),
        ("ring v2",),
    )
    assert shown("ring", {**v3, "block_nr": 64}, RING)[0] == ("v3 64x4096/2048", "v2 256x4096/2048")


def test_bytes_are_shown_in_the_largest_exact_unit() -> None:
    big = {"bytes": 8 << 20, "force": True}
    assert shown(
        "sndbuf", "default", big, {"bytes": 65536, "force": True}, {**big, "bytes": 1000}
    ) == (
        ("default", "8MiB", "64KiB", "1000"),
        ("sndbuf force",),
    )
    assert shown("sndbuf", big, {**big, "force": False})[0] == ("8MiB force", "8MiB")


def test_options_with_a_unit_are_written_as_in_a_matrix() -> None:
    tbf = {"kind": "tbf", "rate": 10**9, "burst": 32768, "limit": 1 << 20}
    pfifo = {"kind": "pfifo", "limit": 1024}
    assert shown("qdisc", tbf, pfifo, {"kind": "noqueue"}) == (
        ("tbf", "pfifo", "noqueue"),
        ("tbf rate=1gbit burst=32KiB limit=1MiB", "pfifo limit=1024"),
    )
    assert shown("qdisc", pfifo, {**pfifo, "limit": 50})[0] == (
        "pfifo limit=1024",
        "pfifo limit=50",
    )
    assert shown("qdisc", tbf, {**tbf, "rate": 1_500_000, "burst": 1600}) == (
        ("tbf rate=1gbit burst=32KiB", "tbf rate=1500kbit burst=1600"),
        ("tbf limit=1MiB",),
    )


def test_an_axis_with_one_value_is_shared_by_the_methods_that_have_it() -> None:
    cells = [cells_of(method, interface=LO) for method in ("sendto", "sendmmsg", "tx_ring")]
    assert axes.varying(cells) == ["method"]
    assert axes.shared(cells) == (
        "interface lo",
        "frame_size 1514",
        "threads 1",
        "burst 64 (sendmmsg, tx_ring)",
        "fill copy",
        "ring v2 256x4096/2048 (tx_ring)",
        "sndbuf default",
    )


def test_columns_of_numbers_are_aligned_to_the_right() -> None:
    rows = [
        measured(cells_of("sendto", threads=threads, msg_dontwait=threads == 1), 1e6)
        for threads in (1, 2, 16)
    ]
    right = {column.label: column.right for column in columns_of(report(rows))}
    assert right["threads"]
    assert not right["msg_dontwait"]


# Figures


def test_digits_of_a_column_are_alike() -> None:
    rows = [
        measured(cells_of("sendto", interface=LO), 0.9e6),
        measured(cells_of("tx_ring", interface=LO), 0.05e6, ratio=12.3456, drops=999_950),
    ]
    cells = {column.label: column.cells for column in columns_of(report(rows))}
    assert cells["ns/frame"] == ("1111", "20000")
    assert cells["kpps"] == ("900.00", "50.00")
    assert cells["ratio"] == ("1.000", "12.346")
    assert cells["95 % interval"] == ("baseline", "[12.296, 12.395]")
    assert cells["drops"] == ("0", "999950")


# Markdown


def test_markdown() -> None:
    assert printed("markdown", two_interfaces()) == MARKDOWN


MARKDOWN = """\
## mmap_vs_sendto

Is a PACKET_MMAP TX ring faster than sendto()?

- **run:** 20261122-171503-5f1c
- **kernel:** 6.18.2-amd64 SMP PREEMPT_DYNAMIC
- **CPU:** AMD EPYC 7B13, 2 cores
- **cores used:** 1
- **mitigations:** spectre_v1: usercopy/swapgs barriers and __user pointer sanitization; spectre_v2: Retpolines; STIBP disabled; RSB filling
- **virtualisation:** kvm
- **date:** 2026-11-22 17:15 UTC
- **core:** 3f9c0a1b2d
- **baseline:** method sendto (ratio: pps to the baseline's in the same round)
- **all cells:** veth queues=4, qdisc noqueue (veth), frame_size 1514, threads 1, fill copy, ring v2 256x4096/2048 (tx_ring), sndbuf default

| interface   | method   |   burst |   Mpps |   Gb/s |   ns/frame |   ratio | 95 % interval   |   frames/call |   CPU share |   drops | notes                                     |
|:------------|:---------|--------:|-------:|-------:|-----------:|--------:|:----------------|--------------:|------------:|--------:|:------------------------------------------|
| lo          | sendto   |       - |  0.720 |   8.72 |     1388.9 |   1.000 | baseline        |           1.0 |        99 % |       0 |                                           |
| lo          | sendmmsg |      64 |  0.840 |  10.17 |     1190.5 |   1.167 | [1.162, 1.171]  |          64.0 |        99 % |       0 |                                           |
| lo          | tx_ring  |      64 |  1.200 |  14.53 |      833.3 |   1.667 | [1.660, 1.673]  |          64.0 |        99 % |       0 | fastest (1)                               |
| veth        | sendto   |       - |  0.432 |   5.23 |     2314.8 |   1.000 | baseline        |           1.0 |        99 % |       0 | imprecise (2)                             |
| veth        | sendmmsg |      64 |  0.441 |   5.34 |     2267.6 |   1.021 | [1.017, 1.025]  |          64.0 |        99 % |   12345 | fastest (1), 3 invalid (3), imprecise (2) |
| veth        | tx_ring  |      64 |      - |      - |          - |       - | -               |             - |           - |       - | invalid (3)                               |
| veth        | tx_ring  |       1 |      - |      - |          - |       - | -               |             - |           - |       - | failed (4)                                |

1. fastest: its pps is above that of each other cell on the same interface and qdisc with the same frame_size, threads, flows, vlan and malformed, in the same rounds (95 % intervals of the ratios are above 1); lossy cells compete among themselves
2. imprecise: the interval is wider than 1 % after 400 rounds
3. invalid: the interface counted fewer frames than completed
4. failed: setsockopt(PACKET_TX_RING): Cannot allocate memory; lower ring.block_nr

calibration drifted by 1.2 % over the run
"""


def test_markdown_escapes_what_would_break_the_table() -> None:
    rows = [
        measured(cells_of("sendto", interface={"kind": "device", "name": name}), 1e6)
        for name in ("a|b", "c")
    ]
    rows = [replace(rows[0], notes=(Note("odd", "x|y <z>"),)), rows[1]]
    text = printed("markdown", report(rows))
    assert "| device name=a\\|b |" in text
    assert "\n1. odd: x\\|y \\<z>\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


# CSV


def test_csv() -> None:
    assert printed("csv", small()) == CSV


CSV = """\
run,cell,interface,qdisc,method,frame_size,threads,affinity,socket,burst,fill,ring,sndbuf,msg_dontwait,protocol,qdisc_bypass,flows,vlan,malformed,replica,failure,is_baseline,is_fastest,rounds,invalid_rounds,invalid_reason,moved_rounds,pps,pps_low,pps_high,pps_n,gbps,gbps_low,gbps_high,gbps_n,ns_per_frame,ns_per_frame_low,ns_per_frame_high,ns_per_frame_n,ratio,ratio_low,ratio_high,ratio_n,ratio_ns,ratio_ns_low,ratio_ns_high,ratio_ns_n,frames_per_call,cpu_share,user_share,steal_share,softirq_share,interrupts,involuntary_switches,foreign_frames,completed_frames,drops,eagain,enobufs,malformed_frames,full_waits,short_counts,wmem_high_bytes,sndbuf_bytes,slave_shares,notes
20261122-171503-5f1c,id-of-sendto,lo,,sendto,64,1,,,,copy,,default,,,,,,,1,,true,false,4,0,,0,900000.0,,,4,0.4608,,,4,1111.111111111111,,,4,,,,,,,,,1.0,0.994,,,,0,0,0,400000,0,0,0,0,0,0,0,0,,
20261122-171503-5f1c,id-of-tx_ring,lo,,tx_ring,64,1,,,64,copy,v2 256x4096/2048,default,,,,,,,1,,false,false,4,0,,0,1100000.0,,,4,0.5632,,,4,909.0909090909091,,,4,1.2222,,,4,0.8181966944853543,,,4,64.0,0.994,,,,0,0,0,400000,0,0,950,0,0,0,0,0,,
"""


def test_csv_reads_back() -> None:
    of = two_interfaces()
    records = list(csv.DictReader(io.StringIO(printed("csv", of))))
    assert [record["cell"] for record in records] == [row.cell.id for row in of.rows]
    for record, row in zip(records, of.rows, strict=True):
        assert record["failure"] == row.failure
        assert record["pps"] == ("" if row.figures.pps is None else str(row.figures.pps.value))
        assert record["ratio_low"] == (
            "" if row.figures.ratio is None else str(row.figures.ratio.low)
        )
        assert record["notes"] == "; ".join(map(str, row.notes))
    assert records[4]["drops"] == "12345"
    assert records[3]["interface"] == "veth queues=4"


def test_csv_without_cells_has_its_header_and_no_options() -> None:
    assert printed("csv", report([])) == CSV.splitlines()[0].replace(",ring,", ",") + "\n"


# JSON


def test_json_reads_back() -> None:
    of = two_interfaces()
    document = json.loads(printed("json", of))
    cells = document.pop("cells")
    assert document == {
        "format": 3,
        "name": of.name,
        "description": of.description,
        "run": of.run,
        "facts": {"kernel": {"release": "6.18.2-amd64"}},
        "provenance": {"run": of.run},
        "baseline": {"method": "sendto"},
        "notes": ["calibration drifted by 1.2 % over the run"],
    }
    assert [each["axes"] for each in cells] == [
        {"ring": None} | dict(row.cell.values) for row in of.rows
    ]
    assert [each["failure"] for each in cells] == [row.failure or None for row in of.rows]


def test_json_of_a_cell() -> None:
    text = printed("json", small())
    assert text[text.rindex('    {\n      "run"') :] == JSON_CELL


JSON_CELL = """\
    {
      "run": "20261122-171503-5f1c",
      "cell": "id-of-tx_ring",
      "axes": {
        "interface": {
          "kind": "lo"
        },
        "qdisc": null,
        "method": "tx_ring",
        "frame_size": 64,
        "threads": 1,
        "affinity": null,
        "socket": null,
        "burst": 64,
        "fill": "copy",
        "ring": {
          "version": 2,
          "block_size": 4096,
          "block_nr": 256,
          "frame_size": 2048
        },
        "sndbuf": "default",
        "msg_dontwait": null,
        "protocol": null,
        "qdisc_bypass": null,
        "flows": null,
        "vlan": null,
        "malformed": null,
        "replica": 1
      },
      "failure": null,
      "is_baseline": false,
      "is_fastest": false,
      "rounds": 4,
      "invalid_rounds": 0,
      "invalid_reason": null,
      "moved_rounds": 0,
      "pps": 1100000.0,
      "pps_low": null,
      "pps_high": null,
      "pps_n": 4,
      "gbps": 0.5632,
      "gbps_low": null,
      "gbps_high": null,
      "gbps_n": 4,
      "ns_per_frame": 909.0909090909091,
      "ns_per_frame_low": null,
      "ns_per_frame_high": null,
      "ns_per_frame_n": 4,
      "ratio": 1.2222,
      "ratio_low": null,
      "ratio_high": null,
      "ratio_n": 4,
      "ratio_ns": 0.8181966944853543,
      "ratio_ns_low": null,
      "ratio_ns_high": null,
      "ratio_ns_n": 4,
      "frames_per_call": 64.0,
      "cpu_share": 0.994,
      "user_share": null,
      "steal_share": null,
      "softirq_share": null,
      "interrupts": 0,
      "involuntary_switches": 0,
      "foreign_frames": 0,
      "completed_frames": 400000,
      "drops": 0,
      "eagain": 0,
      "enobufs": 950,
      "malformed_frames": 0,
      "full_waits": 0,
      "short_counts": 0,
      "wmem_high_bytes": 0,
      "sndbuf_bytes": 0,
      "slave_shares": null,
      "notes": []
    }
  ],
  "notes": []
}
"""


# The table of formats


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_in_one_newline(name: str) -> None:
    text = printed(name, two_interfaces())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_tables_in_the_documentation_explain_fastest_as_tables_do() -> None:
    root = Path(__file__).parents[2]
    for path in (root / "README.md", *(root / "docs").glob("*.md")):
        _, *explained = " ".join(path.read_text().split()).split("fastest: ")
        assert all(f"fastest: {text}".startswith(_FASTEST) for text in explained), path


def test_an_axis_of_a_later_version_tells_cells_apart_that_have_all_else_in_common() -> None:
    def later(method: str) -> Cell:
        return Cell("later", {**cells_of(method).values, "gso": True})

    cells = (cells_of("send"), later("send"))
    assert axes.varying(cells) == ["gso"]
    assert axes.column(cells, "gso") == ("-", "yes")
    assert not any("gso" in phrase for phrase in axes.shared(cells))
    queued = Cell("queued", {**cells[0].values, "of_tomorrow": {"kind": "pfifo", "limit": 7}})
    assert not any("limit" in phrase for phrase in axes.shared((cells[0], queued)))
    # Where a method alone has it, that says which cell it is.
    cells = (cells_of("sendto"), later("send"))
    assert axes.varying(cells) == ["method"]
    assert "gso yes (send)" in axes.shared(cells)
