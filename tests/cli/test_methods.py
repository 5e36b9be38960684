"""`bench methods NAME`: one method whole."""

from __future__ import annotations

import json
import os
import re

import pytest

from bench.engines import core
from bench.engines.config import check
from bench.model.axes import (
    Choice,
    Flag,
    Kind,
    OfCpus,
    Part,
    Ring,
    SendBuffer,
    Size,
    VlanTag,
    Whole,
)
from bench.model.vocabulary import Limits, axes_of
from bench.render.method import allowed_text
from tests.running import complaints, inside

METHODS = (
    "null",
    "sendto",
    "sendmmsg",
    "tx_ring",
    "dgram",
    "tc_clone",
    "xdp_live",
    "af_xdp",
    "io_uring",
    "pktgen",
)


@pytest.mark.usefixtures("built_core")
@pytest.mark.parametrize("name", ["af_xdp", "tc_clone", "xdp_live"])
def test_a_longer_frame_than_is_shown_is_refused_and_none_that_is_shorter(name: str) -> None:
    longest = core.methods()[name].longest
    assert longest < core.limits().max_frame
    shown = {"method": name, "threads": 1, "fill": "prefilled"}
    page = os.sysconf("SC_PAGE_SIZE")
    assert not check(shown | {"frame_size": longest}, page)
    assert [p.axis for p in check(shown | {"frame_size": longest + 1}, page)] == ["frame_size"]


@pytest.mark.usefixtures("built_core")
@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_shown_with_every_axis_that_it_reads(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    method, known = core.methods()[name], axes_of(core.methods())
    shown = json.loads(inside(capsys, "methods", name, "--format", "json").out)
    assert {row["option"] for row in shown["options"]} == method.knobs
    own = {row["option"] for row in shown["options"] if row["of"] == "method"}
    assert own == {option.name for option in method.options}
    for row in shown["options"]:
        assert (row["default"], row["help"]) == (
            known[row["option"]].default,
            known[row["option"]].help,
        )
        if row["option"] == "burst" and method.max_burst:
            assert row["allowed"] == f"1 to {method.max_burst}"
        if row["option"] == "frame_size":
            assert row["allowed"] == f"14 to {method.longest} bytes"
    assert shown["facts"]["path"] == method.path
    assert shown["facts"]["offered"] is not bool(shown["facts"]["reason"])
    text = inside(capsys, "methods", name).out
    for axis in known.values():
        assert axis.name in text or axis.name in ("method", "replica")  # read, or said not to be


@pytest.mark.usefixtures("built_core")
def test_the_list_says_of_each_knob_who_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = inside(capsys, "methods").out
    assert re.search(r"^  frame_size .*\n +read by: every method$", text, re.MULTILINE)
    assert re.search(r"^  sndbuf .*\n +read by: every method but null, syscall", text, re.MULTILINE)
    assert re.search(r"^  sqpoll .*\n +read by: io_uring$", text, re.MULTILINE)


@pytest.mark.usefixtures("built_core")
def test_the_nearest_method_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("tx_rnig", "packet_mmap"):
        (line,) = complaints(capsys, "methods", name)
        assert "did you mean tx_ring?" in line
    assert "sendmmsg" in line


def test_what_an_axis_allows_is_told_for_each_type() -> None:
    limits = Limits(max_threads=64, max_flows=4096, min_frame=14, max_frame=65535)
    kinds = {"interfaces": ["lo", "veth"], "qdiscs": ["pfifo"]}
    texts = {
        Whole(1, "max_threads"): "1 to 64",
        OfCpus(1, "max_threads"): "1 to 64, 1% to 100% of the CPUs, all",
        Size("min_frame", "max_frame"): "14 to 65535 bytes",
        Choice(("copy", "prefilled")): "copy, prefilled",
        Flag(): "true, false",
        Kind("interfaces"): "lo, veth",
        Kind("qdiscs"): "pfifo",
        VlanTag(): "none, an id, or id and priority",
        Part(500_000): "0% to 50%",
    }
    assert {type_: allowed_text(type_, kinds, limits) for type_ in texts} == texts
    assert "slots" in allowed_text(Ring(), kinds, limits)
    assert "force" in allowed_text(SendBuffer(), kinds, limits)
