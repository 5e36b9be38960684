"""What the tables of interfaces and qdiscs promise, without making any."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import msgpack
from pydantic import Field, TypeAdapter, ValidationError

from bench.base.errors import BenchError, UsageError
from bench.base.values import value_text
from bench.matrix.schema import documented
from bench.model.shaper import Shaper
from bench.topology import Delivery, Port, Topology, bond, peer
from bench.topology.kinds import INTERFACES, KINDS, QDISC_KINDS, largest_frame, shaper, up
from bench.topology.qdisc import QDISCS
from tests.vocabulary import WORDS

TBF = {"kind": "tbf", "rate": "1gbit", "burst": "32KiB", "limit": "1MiB"}
KINDS_KNOWN = "lo, veth, ifb, dummy, tap, macvlan, vlan, bridge, bond, device"
KNOWN = "noqueue, pfifo, bfifo, pfifo_fast, tbf, htb, fq_codel, fq, prio, netem, mq"


def test_the_tables_list_what_there_is() -> None:
    assert list(INTERFACES) == list(KINDS) == KINDS_KNOWN.split(", ")
    assert list(QDISC_KINDS) == list(QDISCS) == KNOWN.split(", ")


@pytest.mark.parametrize("table", [INTERFACES, QDISC_KINDS])
def test_every_row_is_named_like_its_key_and_explained(table: Any) -> None:
    for name, info in table.items():
        assert info.name == name
        assert info.help
        assert all(field.description for field in documented(info.options).model_fields.values())


def test_lo_alone_takes_no_qdisc() -> None:
    assert [name for name, info in INTERFACES.items() if not info.takes_qdisc] == ["lo"]


@pytest.mark.parametrize(
    ("kind", "given", "canonical"),
    [
        ("noqueue", {}, {}),
        ("pfifo", {}, {"limit": 1000}),
        ("bfifo", {"limit": "64KiB"}, {"limit": 65536}),
        ("bfifo", {}, {"limit": 1_514_000}),
        ("pfifo_fast", {}, {}),
        (
            "tbf",
            {"rate": "10mbit", "burst": "2KiB", "limit": 9000},
            {"rate": 10_000_000, "burst": 2048, "limit": 9000},
        ),
        ("htb", {"rate": "1gbit"}, {"rate": 10**9, "burst": 1600, "limit": 1000}),
        (
            "fq_codel",
            {"target": "5000us"},
            {
                "limit": 10_240,
                "flows": 1024,
                "target": "5ms",
                "interval": "100ms",
                "quantum": 1514,
                "memory_limit": 32 << 20,
            },
        ),
        ("fq", {"flow_limit": 7}, {"limit": 10_000, "flow_limit": 7}),
        ("prio", {}, {"bands": 3}),
        ("netem", {}, {"limit": 1000, "delay": "0ns", "loss": "0%"}),
        (
            "netem",
            {"delay": "0.5ms", "loss": 0.01},
            {"limit": 1000, "delay": "500us", "loss": "1%"},
        ),
        ("mq", {}, {"each": "pfifo_fast"}),
    ],
)
def test_options_are_spelled_out(
    kind: str, given: dict[str, Any], canonical: dict[str, int]
) -> None:
    assert QDISC_KINDS[kind].options(**given).model_dump() == canonical


def test_tables_show_an_option_in_the_unit_in_which_it_is_written() -> None:
    """That is a table of its own (bench/base/values.py), in which an option may be forgotten."""
    shown = {}
    for kind, info in (INTERFACES | QDISC_KINDS).items():
        for name, field in info.options.model_fields.items():
            option = TypeAdapter[Any](Annotated[field.annotation, *field.metadata, Field()])
            for written in ("64KiB", "2gbit"):
                with suppress(ValidationError):
                    value = option.validate_python(written)
                    if isinstance(value, int):
                        shown[kind, name, written] = value_text({"kind": kind, name: value})
    assert len(shown) == 8
    assert shown == {key: "{} {}={}".format(*key) for key in shown}


@pytest.mark.parametrize(
    ("written", "slaves", "canonical", "with_carrier"),
    [
        ("up", 2, "up", (0, 1)),
        ("down", 1, "down", ()),
        (["up", "up"], 2, "up", (0, 1)),
        (["up", "down", "up"], 3, "up,down,up", (0, 2)),
        ("down,up", 2, "down,up", (1,)),
    ],
)
def test_each_slave_of_a_bond_has_its_carrier(
    written: Any, slaves: int, canonical: str, with_carrier: tuple[int, ...]
) -> None:
    options = bond.BondOptions(slaves=slaves, carrier=written)
    assert options.model_dump()["carrier"] == canonical
    assert options.with_carrier == with_carrier


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["up"] * 3, "carrier has 3 values for 2 slaves; write one for each"),
        (["up", "off"], r"carrier: \['up', 'off'\] is not allowed; write up, down or a list"),
        ([], "is not allowed"),
        (True, "is not allowed"),
    ],
)
def test_another_carrier_is_refused(written: Any, message: str) -> None:
    value = {"kind": "bond", "slaves": 2, "carrier": written}
    with pytest.raises(UsageError, match=message), up(value):
        pass


def test_a_bond_without_any_carrier_is_refused_at_once() -> None:
    value = {"kind": "bond", "slaves": 2, "carrier": "down"}
    with pytest.raises(BenchError, match="no slave has a carrier"), up(value):
        pass


@pytest.mark.parametrize("table", [INTERFACES, QDISC_KINDS])
def test_no_row_takes_an_unknown_option(table: Any) -> None:
    for info in table.values():
        with pytest.raises(ValidationError):
            info.options(nonsense=1)


@pytest.mark.parametrize(
    ("interface", "qdisc", "message"),
    [
        ("wlan", "noqueue", f"interface 'wlan' is unknown; known are {KINDS_KNOWN}"),
        (
            {"peer": 1},
            "noqueue",
            f"interface None is unknown; known are {KINDS_KNOWN}",
        ),
        (
            {"kind": "veth", "x": 1},
            "noqueue",
            "interface veth: option x is unknown; "
            "known: mtu, queues, filters, txqueuelen, peer, rps, gro",
        ),
        (
            "veth",
            "red",
            f"qdisc 'red' is unknown; known are {KNOWN}",
        ),
        (
            "veth",
            True,
            f"qdisc True is unknown; known are {KNOWN}",
        ),
        ("veth", "tbf", "qdisc tbf: option rate is missing"),
        (
            "veth",
            {"kind": "pfifo", "size": 3},
            "qdisc pfifo: option size is unknown; known: limit",
        ),
        (
            "veth",
            {"kind": "pfifo", "limit": 0},
            "qdisc pfifo: limit: 0 is too small; write 1 or more",
        ),
        (
            "veth",
            {"kind": "bfifo", "limit": "5GiB"},
            "qdisc bfifo: limit: 5368709120 is out of range; write 1 to 4294967295",
        ),
        (
            "veth",
            TBF | {"rate": "1kbit", "burst": "1MiB"},
            "qdisc tbf: burst 1048576 lasts 8388 s at rate 1000; at most 274 s are allowed",
        ),
        ("lo", "pfifo", "interface lo takes no qdisc: pfifo; use noqueue"),
        (
            {"kind": "veth", "mtu": 67},
            "noqueue",
            "interface veth: mtu: 67 is out of range; "
            "write 68 to 65535, or 0 for what the cells need",
        ),
        (
            {"kind": "veth", "rps": "3-1"},
            "noqueue",
            "interface veth: rps: '3-1' is not allowed; write none, all or a list of CPUs (0,2-3)",
        ),
        (
            {"kind": "bond", "slaves": 0},
            "noqueue",
            "interface bond: slaves: 0 is too small; write 1 or more",
        ),
        (
            {"kind": "bond", "slaves": 33},
            "noqueue",
            "interface bond: slaves: 33 is too large; write 32 or less",
        ),
    ],
)
def test_a_value_that_no_table_knows_is_refused_in_one_line(
    interface: Any, qdisc: Any, message: str
) -> None:
    with pytest.raises(UsageError) as refused, up(interface, qdisc):
        pass
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("qdisc", "longest"),
    [
        (None, None),
        ("noqueue", None),
        ("pfifo", None),
        ({"kind": "bfifo", "limit": 1000}, 1000),
        (TBF, 32768),
        (TBF | {"limit": 500}, 500),
        ({"kind": "htb", "rate": "1gbit"}, None),
    ],
)
def test_the_longest_frame_that_passes_is_known_beforehand(qdisc: Any, longest: int | None) -> None:
    assert largest_frame(qdisc) == longest


def test_a_topology_can_be_sent_to_another_process() -> None:
    tx, rx = Port(7, 2, "bench0"), Port(9, 2, "bench1")
    topology = Topology(
        qdisc={"kind": "noqueue"},
        tx=tx,
        rx=(rx,),
        sinks=(rx,),
        queues=(tx,),
        droppers=(tx,),
        src_mac=bytes(6),
        dst_mac=bytes(6),
        delivery=Delivery(),
    )
    assert msgpack.decode(msgpack.encode(topology), type=Topology) == topology
    assert topology.netns_fds == topology.fds == (7, 9)
    assert replace(topology, mirror=5).fds == (7, 9, 5)
    there = replace(topology, mirror=5).by({7: 70, 9: 90, 5: 50})
    assert there.fds == (70, 90, 50)
    assert replace(there, mirror=5).by({70: 7, 90: 9, 5: 5}) == replace(topology, mirror=5)


def test_a_reader_that_never_gets_ready_is_an_error_and_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 20\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(subprocess, "Popen", Kept)
    monkeypatch.setattr(peer, "READY_S", 0.1, raising=False)
    with (
        Path("/dev/null").open() as netns,
        pytest.raises(BenchError, match=r"reader on veth9 was not ready within 0\.1 s"),
        peer.read_all(Port(netns.fileno(), 9, "veth9")),
    ):
        pytest.fail("it was taken for ready")
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_a_latency_is_the_limit_that_tc_makes_of_it() -> None:
    """iproute2's tc/q_tbf.c: what leaves in so long, and the bucket."""
    options = {"rate": "1gbit", "burst": "32KiB"}
    model = QDISC_KINDS["tbf"].options(**options, latency="50ms")
    assert model.model_dump() == {"rate": 10**9, "burst": 32768, "limit": 6_250_000 + 32768}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"latency": "50ms", "limit": 9}, "two ways to say one thing; write one of them"),
        ({"latency": "50ms", "burst": "1KiB"}, "rate"),
        ({"latency": "3600s"}, "a queue of 450000032768 bytes; at most 4294967295: write latency"),
        ({"latency": 50}, "50 is not a duration"),
    ],
)
def test_a_latency_that_makes_no_limit_is_refused(given: dict[str, Any], message: str) -> None:
    whole = given if "burst" in given else {"rate": "1gbit", "burst": "32KiB"} | given
    with pytest.raises(ValueError, match=message):
        QDISC_KINDS["tbf"].options(**whole)


TBF: dict[str, Any] = {"kind": "tbf", "rate": 10**6, "burst": 2000, "limit": 100_000}


@pytest.mark.parametrize(
    ("mode", "slaves", "flows", "ways"),
    [
        ("active-backup", 3, 8, 1),
        ("broadcast", 3, 8, 1),
        ("balance-rr", 3, 1, 3),
        ("balance-xor", 3, 2, 2),
        ("balance-xor", 3, 8, 3),
    ],
)
def test_a_bond_has_the_shapers_of_the_slaves_that_its_frames_may_take(
    mode: str, slaves: int, flows: int, ways: int
) -> None:
    bond = {"kind": "bond", "mode": mode, "slaves": slaves}
    values = dict.fromkeys(WORDS.axes) | {"frame_size": 64, "flows": flows, "qdisc": TBF}
    for bypass in (False, True, None):  # a slave is given its frames as anybody gives them
        found = shaper(values | {"interface": bond, "qdisc_bypass": bypass})
        assert found == Shaper(10**6, 2000, 100_000 // 64).spread(ways)


def test_who_goes_around_the_qdisc_meets_no_shaper() -> None:
    values = dict.fromkeys(WORDS.axes) | {"frame_size": 64, "interface": "veth", "qdisc": TBF}
    assert shaper(values | {"qdisc_bypass": False}) == Shaper(10**6, 2000, 100_000 // 64)
    assert shaper(values | {"qdisc_bypass": True}) is None
    assert shaper(values | {"qdisc_bypass": None}) is None, "AF_XDP does not read it"
    assert shaper(values | {"qdisc_bypass": False, "qdisc": "noqueue"}) is None
