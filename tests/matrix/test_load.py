"""Matrix files: what they become, and every message with its place."""
# ruff: noqa: E501 - the tables show whole messages, each on one line

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.base.written import BitRate, Bytes
from bench.matrix import load, schema
from bench.model.matrix import Mark, Matrix, Measure, Rounds
from bench.model.vocabulary import KindInfo
from tests.vocabulary import DEFAULTS, WORDS


class NoOptions(BaseModel):
    pass


class Bond(BaseModel):
    mode: Literal["balance-rr", "802.3ad"] = "balance-rr"
    slaves: Annotated[int, Field(ge=1, le=8)] = 2


class Device(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=15, pattern="^[^/]+$", examples=["eth1"])]


class Pfifo(BaseModel):
    limit: Annotated[int, Field(ge=1)] = 1000


class Tbf(BaseModel):
    rate: BitRate
    burst: Bytes
    limit: Bytes

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.burst > self.limit:
            raise ValueError(f"burst {self.burst} is above limit {self.limit}; write less")
        return self


KINDS = {"lo": NoOptions, "veth": NoOptions, "ifb": NoOptions, "bond": Bond, "device": Device}
QDISCS = {"noqueue": NoOptions, "pfifo": Pfifo, "tbf": Tbf}
VOCABULARY = replace(
    WORDS,
    interfaces={name: KindInfo(name, "", options) for name, options in KINDS.items()},
    qdiscs={name: KindInfo(name, "", options) for name, options in QDISCS.items()},
)

EXAMPLE = """\
name: mmap_vs_sendto
description: Is a PACKET_MMAP TX ring faster than sendto()?
axes:                       # the product of these; a scalar is a list of one
  interface: [lo, veth, {kind: bond, mode: balance-rr, slaves: 3}, {kind: device, name: eth0}]
  method: [sendto, sendmmsg, tx_ring]
  frame_size: [64, 1514, 9kB]
  threads: [1, 2]
  burst: 64
  fill: [copy, prefilled]   # copy each frame before each send, or once at start
  ring:
    - {version: 2, block_size: 4KiB, block_nr: 256, frame_size: 2048}
    - {block_size: 8192, block_nr: 1, frame_size: 2KiB}
  sndbuf: [default, {bytes: 8MiB, force: true}, 1MB]
  msg_dontwait: [false, true]
  qdisc_bypass: [false, true]
  qdisc: [noqueue, {kind: pfifo, limit: 50}, {kind: tbf, rate: 1gbit, burst: 32KiB, limit: 1MiB}]
zip: [[threads, fill]]
exclude:
  - {method: sendto, threads: 2}          # a value may be a list: any of them
  - {interface: [lo, {kind: bond, slaves: 3}], ring: {version: 2}, sndbuf: 1MB}
  - {qdisc: [{kind: tbf, rate: 1000mbit}, pfifo], method: [tx_ring, sendmmsg]}
include:
  - {method: tx_ring, burst: 1}           # extra cells; the rest from the first values
  - {method: "null", ring_wait: spin, interface: bond}
measure:
  window: 500us
  rounds: {min: 50, max: 300}
  openings: 5
  precision: 0.5%
  seed: 7
  cpus: [1, 0]
baseline: {method: sendto, interface: lo}
"""
HEAD = "name: m\naxes: {method: sendto}\n"


@pytest.fixture(autouse=True, scope="module")
def _models_are_made_once() -> Iterator[None]:
    models = schema.models_of(VOCABULARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "models_of", lambda _: models)
        yield


def parse(text: str) -> Matrix:
    return load.parse(text, "m.yaml", VOCABULARY)


def errors(text: str) -> list[str]:
    """The lines of the error, without the file's name."""
    with pytest.raises(UsageError) as refused:
        parse(text)
    return [line.removeprefix("m.yaml:") for line in str(refused.value).split("\n")]


# What a file becomes


def test_example() -> None:
    parsed = parse(EXAMPLE)
    assert parsed.name == "mmap_vs_sendto"
    assert parsed.description == "Is a PACKET_MMAP TX ring faster than sendto()?"
    assert parsed.axes == {
        "interface": (
            {"kind": "lo"},
            {"kind": "veth"},
            {"kind": "bond", "mode": "balance-rr", "slaves": 3},
            {"kind": "device", "name": "eth0"},
        ),
        "qdisc": (
            {"kind": "noqueue"},
            {"kind": "pfifo", "limit": 50},
            {"kind": "tbf", "rate": 1_000_000_000, "burst": 32768, "limit": 1_048_576},
        ),
        "method": ("sendto", "sendmmsg", "tx_ring"),
        "frame_size": (64, 1514, 9000),
        "threads": (1, 2),
        "burst": (64,),
        "fill": ("copy", "prefilled"),
        "ring": (
            {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048},
            {"version": 2, "block_size": 8192, "block_nr": 1, "frame_size": 2048},
        ),
        "sndbuf": (
            "default",
            {"bytes": 8_388_608, "force": True},
            {"bytes": 1_000_000, "force": False},
        ),
        "msg_dontwait": (False, True),
        "qdisc_bypass": (False, True),
    }
    assert parsed.zip == (("threads", "fill"),)
    assert parsed.exclude == (
        {"method": ("sendto",), "threads": (2,)},
        {
            "interface": ({"kind": "lo"}, {"kind": "bond", "slaves": 3}),
            "ring": ({"version": 2},),
            "sndbuf": ({"bytes": 1_000_000},),
        },
        {
            "qdisc": ({"kind": "tbf", "rate": 1_000_000_000}, {"kind": "pfifo"}),
            "method": ("tx_ring", "sendmmsg"),
        },
    )
    assert parsed.include == (
        {"method": "tx_ring", "burst": 1},
        {
            "interface": {"kind": "bond", "mode": "balance-rr", "slaves": 2},
            "method": "null",
            "ring_wait": "spin",
        },
    )
    assert parsed.measure == Measure(500_000, Rounds(50, 300), 5, 0.005, 7, (1, 0))
    assert parsed.baseline == {"interface": {"kind": "lo"}, "method": "sendto"}
    assert (parsed.file, parsed.text) == ("m.yaml", EXAMPLE)


def test_places() -> None:
    parsed = parse(EXAMPLE)
    assert parsed.where("axes", "frame_size", 1) == "m.yaml:6:20"
    assert parsed.where("axes", "burst", 0) == "m.yaml:8:10"
    assert parsed.where("axes", "ring", 0, "block_nr") == "m.yaml:11:48"
    assert parsed.where("exclude", 0, "threads", 0) == "m.yaml:19:31"
    assert parsed.where("include", 1, "ring_wait") == "m.yaml:24:33"
    assert parsed.where("measure", "cpus", 1) == "m.yaml:31:13"


def test_defaults() -> None:
    parsed = parse(HEAD)
    assert parsed.description == ""
    assert (parsed.zip, parsed.exclude, parsed.include, parsed.baseline) == ((), (), (), None)
    assert parsed.measure == Measure()


def ring(block_size: int, block_nr: int, frame_size: int, version: int = 2) -> dict[str, int]:
    return {
        "version": version,
        "block_size": block_size,
        "block_nr": block_nr,
        "frame_size": frame_size,
    }


def test_a_ring_in_slots_has_the_smallest_blocks_that_they_fill() -> None:
    text = HEAD.replace(
        "method: sendto",
        "ring: [{slots: 512, frame_size: 2048}, {version: 3, slots: 5, frame_size: 2KiB}, "
        "{slots: 3, frame_size: 8192}, {slots: 4, frame_size: 1536}]",
    )
    rules = "{slots: 3, frame_size: 8192}, {slots: 5, frame_size: 2048}, {block_size: 12288}"
    baseline = "baseline: {ring: {slots: 512, frame_size: 2048}}"
    parsed = parse(f"{text}exclude: [{{ring: [{rules}]}}]\n{baseline}\n")
    assert parsed.axes["ring"] == (
        DEFAULTS["ring"],
        ring(4096, 3, 2048, version=3),
        ring(8192, 3, 8192),
        ring(12288, 1, 1536),
    )
    assert parsed.exclude == (
        {
            "ring": (
                {"block_size": 8192, "block_nr": 3, "frame_size": 8192},
                {"block_size": 4096, "block_nr": 3, "frame_size": 2048},
                {"block_size": 12288},
            )
        },
    )
    assert parsed.baseline == {"ring": DEFAULTS["ring"]}


def test_every_axis_takes_its_default() -> None:
    text = yaml.safe_dump({"name": "m", "axes": dict(DEFAULTS)})
    assert parse(text).axes == {axis: (value,) for axis, value in DEFAULTS.items()}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("{window: 10s}", Measure(window_ns=10_000_000_000)),
        ("{window: 0.1 ms}", Measure(window_ns=100_000)),
        ("{rounds: 7}", Measure(rounds=Rounds(7, 7))),
        ("{rounds: {min: 9}}", Measure(rounds=Rounds(9, 400))),
        ("{openings: 40}", Measure(openings=40)),
        ("{precision: 0.25}", Measure(precision=0.25)),
        ("{cpus: auto}", Measure(cpus=None)),
        ("{cpus: [0]}", Measure(cpus=(0,))),
    ],
)
def test_measure(measure: str, expected: Measure) -> None:
    assert parse(f"{HEAD}measure: {measure}\n").measure == expected


# What is refused: one axis at a time, the value at 3:<column>

SIZE = 'write a whole number of bytes, or a number with B, kB, KiB, MB, MiB, GB, GiB ("64KiB")'
INTERFACES = "write lo, veth, ifb, bond or device"
METHODS = "write null, sendto, sendmmsg or tx_ring"
INT_MAX = 2**31 - 1


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("interface: vteh", f"14: interface kind: 'vteh' is unknown; {INTERFACES} (did you mean veth?)"),
        ("interface: {kind: bnod}", f"21: interface kind: 'bnod' is unknown; {INTERFACES} (did you mean bond?)"),
        ("interface: eth0", f"14: interface kind: 'eth0' is unknown; {INTERFACES}"),
        ("interface: 5", f"14: interface kind: 5 is unknown; {INTERFACES}"),
        ("interface: [[lo]]", f"15: interface kind: ['lo'] is unknown; {INTERFACES}"),
        ("interface: {mode: 1}", "14: interface: 'kind' is missing; it has to be given"),
        ("interface: device", "14: interface: 'name' is missing; write {kind: 'device', name: 'eth1'}"),
        ("interface: {kind: lo, mode: x}", "25: interface: unknown key 'mode'; the only one is kind"),
        ("interface: {kind: bond, slave: 3}", "27: interface: unknown key 'slave'; there are mode, slaves and kind (did you mean slaves?)"),
        ("interface: {kind: bond, slaves: 0}", "35: interface slaves: 0 is too small; write 1 or more"),
        ("interface: {kind: bond, slaves: 9}", "35: interface slaves: 9 is too large; write 8 or less"),
        ("interface: {kind: bond, slaves: '2'}", "35: interface slaves: '2' is text; write a whole number"),
        ("interface: {kind: bond, slaves: true}", "35: interface slaves: true is a boolean; write a whole number"),
        ("interface: {kind: bond, slaves: 2.5}", "35: interface slaves: 2.5 is a number with a point; write a whole number"),
        ("interface: {kind: bond, mode: balance}", "33: interface mode: 'balance' is unknown; write balance-rr or 802.3ad (did you mean balance-rr?)"),
        ("interface: {kind: device, name: 7}", "35: interface name: 7 is a number; write text"),
        ("interface: {kind: device, name: ''}", "35: interface name: '' is too short; the least is 1 characters"),
        ("interface: {kind: device, name: a/b}", "35: interface name: 'a/b' is not allowed; write text that matches ^[^/]+$"),
        ("interface: [veth, {kind: veth}]", "21: interface: {kind: 'veth'} repeats 'veth'; write each value once"),
        ("qdisc: {kind: pfifo, limit: 5MB}", "31: qdisc limit: '5MB' is text; write a whole number"),
        ("qdisc: {kind: tbf, rate: 1gbit, burst: 2kB, limit: 1kB}", "10: qdisc: burst 2000 is above limit 1000; write less"),
        ("qdisc: {kind: tbf, rate: 1gbit, burst: x, limit: 1kB}", f"42: qdisc burst: 'x' is not a size; {SIZE}"),
        ("method: [sendto, sento]", f"20: method: 'sento' is unknown; {METHODS} (did you mean sendto?)"),
        ("method: [sendto, null]", f"20: method: null is unknown; {METHODS} (the name null needs quotes)"),
        ("method: on", "11: on may be read as a boolean; write true or false, or quote it for text"),
        ("frame_size: [64, 13]", "20: frame_size: 13 is out of range; write 14 to 65535 bytes"),
        ("frame_size: 64KiB", "15: frame_size: '64KiB' is out of range; write 14 to 65535 bytes"),
        ("frame_size: '64'", f"15: frame_size: '64' is not a size; {SIZE.replace('64KiB', '64B')}"),
        ("frame_size: 64.0", f"15: frame_size: 64.0 is not a size; {SIZE.replace('64KiB', '64B')}"),
        ("frame_size: true", f"15: frame_size: true is not a size; {SIZE.replace('64KiB', '64B')}"),
        ("frame_size: [2000, 2kB]", "22: frame_size: '2kB' repeats 2000; write each value once"),
        ("frame_size: 1e3", "15: 1e3 may be read as text; write 1000"),
        ("threads: 65", "12: threads: 65 is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"),
        ("threads: '2'", "12: threads: '2' is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"),
        ("threads: true", "12: threads: true is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"),
        ("threads: 017", "12: 017 has a leading zero, which may mean octal; write 17, or 15 if octal is meant"),
        ("threads:", "11: threads: null is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"),
        ("burst: []", "10: burst: [] has too few values; the least is 1"),
        ("burst: 65537", "10: burst: 65537 is not allowed; write a whole number from 1 to 65536"),
        ("socket: shard", "11: socket: 'shard' is unknown; write own or shared (did you mean shared?)"),
        ("fill: 1", "9: fill: 1 is unknown; write copy or prefilled"),
        ("ring: 4096", "9: ring: 4096 is a number; write a mapping"),
        ("ring: {block_size: 4096, block_nr: 1}", "9: ring: 'frame_size' is missing; it has to be given"),
        ("ring: {slots: 4}", "9: ring: 'frame_size' is missing; it has to be given"),
        ("ring: {slots: 0, frame_size: 2048}", f"17: ring slots: 0 is not allowed; write a whole number from 1 to {INT_MAX}"),
        ("ring: {slots: 4, block_size: 4096, block_nr: 2, frame_size: 2048}", "10: ring: unknown key 'slots'; there are version, block_size, block_nr and frame_size"),
        ("ring: {slots: 1, frame_size: 1000001}", f"9: ring: slots of 1000001 bytes fill blocks of {1000001 * 4096} bytes, and no smaller ones; at most {INT_MAX}: write frame_size: 999424"),
        ("ring: 5", "9: ring: 5 is a number; write a mapping"),
        ("ring: {version: 4, block_size: 1, block_nr: 1, frame_size: 1}", "19: ring version: 4 is not allowed; write a whole number from 1 to 3"),
        ("ring: {version: true, block_size: 1, block_nr: 1, frame_size: 1}", "19: ring version: true is not allowed; write a whole number from 1 to 3"),
        ("ring: {block_size: 0, block_nr: 1, frame_size: 1}", f"22: ring block_size: 0 is out of range; write 1 to {INT_MAX} bytes"),
        ("ring: {block_size: 1, block_nr: 1, frame_size: 1, frame: 1}", "53: ring: unknown key 'frame'; there are version, block_size, block_nr and frame_size"),
        ("ring: {block_size: 64KiB, frame_size: 2KiB, frame_nr: 512}", "57: ring frame_nr: follows from block_size / frame_size slots in each block; write block_nr: 16 in its place"),
        ("ring: {block_size: 64KiB, block_nr: 16, frame_size: 2KiB, frame_nr: 512}", "71: ring frame_nr: follows from block_size / frame_size slots in each block; leave it out"),
        ("ring: {block_size: 1, frame_size: 0, frame_nr: x}", "50: ring frame_nr: follows from block_size / frame_size slots in each block; leave it out"),
        ("ring_wait: sleep", "14: ring_wait: 'sleep' is unknown; write block, poll or spin"),
        ("sndbuf: defalt", "11: sndbuf: 'defalt' is not allowed; write default, a size (8MiB) or {bytes: 8MiB, force: true}"),
        ("sndbuf: 0", f"11: sndbuf bytes: 0 is out of range; write 1 to {INT_MAX} bytes"),
        ("sndbuf: {force: true}", "11: sndbuf: 'bytes' is missing; it has to be given"),
        ("sndbuf: {bytes: 1, force: 1}", "29: sndbuf force: 1 is a number; write true or false"),
        ("sndbuf: [1kB, {bytes: 1000}]", "17: sndbuf: {bytes: 1000} repeats '1kB'; write each value once"),
        ("vlan: all", "9: vlan: 'all' is not allowed; write none or {id: 100, priority: 3}"),
        ("vlan: 4095", "9: vlan id: 4095 is not allowed; write a whole number from 0 to 4094"),
        ("vlan: {id: 1, priority: 8}", "27: vlan priority: 8 is not allowed; write a whole number from 0 to 7"),
        ("vlan: {priority: 1}", "9: vlan: 'id' is missing; it has to be given"),
        ("vlan: [5, {id: 5}]", "13: vlan: {id: 5} repeats 5; write each value once"),
        ("protocol: ip", "13: protocol: 'ip' is unknown; write none or all"),
        ("malformed: 60%", "14: malformed: '60%' is too large; write 50% or less"),
        ("malformed: 0.00000001", "14: malformed: 1e-08 is too fine; write 0.0001% to 99.9999%, or 0%"),
        ("malformed: 1", "14: malformed: 1 is not allowed; write a fraction above 0% and below 100% (1% or 0.01)"),
        ("malformed: [1%, 0.01]", "19: malformed: 0.01 repeats '1%'; write each value once"),
        ("msg_dontwait: 'true'", "17: msg_dontwait: 'true' is text; write true or false"),
        ("msg_dontwait: 0", "17: msg_dontwait: 0 is a number; write true or false"),
        ("qdisc_bypass: [true, off]", "24: off may be read as a boolean; write true or false, or quote it for text"),
        ("packet_loss: {}", "16: packet_loss: {} is a mapping; write true or false"),
        ("framesize: 64", f"3: axes: unknown axis 'framesize'; there are {', '.join([*WORDS.axes][:-1])} and replica (did you mean frame_size?)"),
    ],
)  # fmt: skip
def test_axis(axis: str, expected: str) -> None:
    assert errors(f"name: m\naxes:\n  {axis}\n") == [f"3:{expected}"]


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("vlan: [none, 7, {id: 100, priority: 3}]", ("none", {"id": 7, "priority": 0}, {"id": 100, "priority": 3})),
        ("protocol: [none, all]", ("none", "all")),
        ("malformed: [0, 0.0001%, 1%, 0.25]", ("0%", "0.0001%", "1%", "25%")),
    ],
)  # fmt: skip
def test_canonical_values_are_read_again_as_themselves(
    axis: str, values: tuple[Value, ...]
) -> None:
    name = axis.partition(":")[0]
    assert parse(f"name: m\naxes:\n  {axis}\n").axes[name] == values
    again = json.dumps({"name": "m", "axes": {name: list(values)}})
    assert parse(again).axes[name] == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: an empty file; a matrix file has at least the keys name and axes"]),
        ("# none\n", ["1:1: an empty file; a matrix file has at least the keys name and axes"]),
        (
            "- a\n- b\n",
            ["1:1: a YAML file that is a list; a matrix file has at least the keys name and axes"],
        ),
        (
            "name",
            [
                "1:1: a YAML file that is a single value; "
                "a matrix file has at least the keys name and axes"
            ],
        ),
        ("\n{}", ["2:1: 'axes' is missing; it has to be given", "2:1: 'name' is missing; it has to be given"]),
        (
            "name: M\naxes: {threads: 1}",
            [
                "1:7: name: 'M' is not allowed; write at most 64 of a-z, 0-9, _, . and -, "
                "and a letter or a digit first"
            ],
        ),
        (
            f"name: {'m' * 65}\naxes: {{threads: 1}}",
            [
                f"1:7: name: '{'m' * 56}... is not allowed; write at most 64 of a-z, 0-9, _, . "
                "and -, and a letter or a digit first"
            ],
        ),
        ("name: m\naxes: {}", ["2:7: axes: nothing is named; name at least one axis"]),
        ("name: m\naxes:", ["2:6: axes: null is no value; write a mapping"]),
        ("name: m\naxes: [threads]", ["2:7: axes: ['threads'] is a list; write a mapping"]),
        (
            f"{HEAD}descripton: x",
            [
                "3:1: unknown key 'descripton'; there are name, description, axes, zip, exclude, "
                "include, measure, baseline and thresholds (did you mean description?)"
            ],
        ),
        (f"{HEAD}description: [x]", ["3:14: description: ['x'] is a list; write text"]),
        (f"{HEAD}name: k", ["3:1: duplicate key 'name', first on line 1; write each key once"]),
        (f"{HEAD}---\n{HEAD}", ["3:1: a second document; a matrix file is a single one"]),
    ],
)  # fmt: skip
def test_file(text: str, expected: list[str]) -> None:
    assert errors(text) == expected


LISTS = "name: m\naxes: {threads: [1, 2], burst: [1, 2, 4], fill: [copy, prefilled]}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zip: [threads, fill]", ["3:7: zip: 'threads' is text; write a list", "3:16: zip: 'fill' is text; write a list"]),
        ("zip: [[threads]]", ["3:7: zip: ['threads'] has too few values; the least is 2"]),
        ("zip: [[threads, fil]]", [f"3:17: zip: 'fil' is unknown; write {', '.join([*WORDS.axes][:-1])} or replica (did you mean fill?)"]),
        ("zip: [[threads, ring]]", ["3:17: zip: ring is not in axes; give it values there"]),
        ("zip: [[threads, fill], [fill, ring]]", ["3:25: zip: fill is there twice; zip each axis once", "3:31: zip: ring is not in axes; give it values there"]),
        ("zip: [[threads, burst]]", ["3:7: zip: threads has 2, burst has 3 values; zipped axes need equally many"]),
        ("zip: {a: b}", ["3:6: zip: {a: 'b'} is a mapping; write a list"]),
        ("exclude: {threads: 1}", ["3:10: exclude: {threads: 1} is a mapping; write a list"]),
        ("exclude: [{}]", ["3:11: exclude: nothing is named; name at least one axis"]),
        ("exclude: [{threads: 3}]", ["3:21: threads: 3 matches nothing; the axis has 1, 2"]),
        ("exclude: [{threads: [1, 3, 4]}]", ["3:25: threads: 3 matches nothing; the axis has 1, 2", "3:28: threads: 4 matches nothing; the axis has 1, 2"]),
        ("exclude: [{ring_wait: spin}]", ["3:23: ring_wait: 'spin' matches nothing; the axis has 'block'"]),
        ("exclude: [{interface: veth}]", ["3:23: interface: {kind: 'veth'} matches nothing; the axis has {kind: 'lo'}"]),
        ("exclude: [{ring: {version: 3}}]", ["3:18: ring: {version: 3} matches nothing; the axis has {version: 2, block_size: 4096, block_nr: 256, frame_size:..."]),
        ("exclude: [{ring: {version: 0}}]", ["3:28: ring version: 0 is not allowed; write a whole number from 1 to 3"]),
        ("exclude: [{interface: {slaves: 2}}]", ["3:23: interface: 'kind' is missing; it has to be given"]),
        ("exclude: [{thread: 1}]", [f"3:12: exclude: unknown axis 'thread'; there are {', '.join([*WORDS.axes][:-1])} and replica (did you mean threads?)"]),
        ("include: [{}]", ["3:11: include: nothing is named; name at least one axis"]),
        ("include: [{threads: [1, 2]}]", ["3:21: threads: [1, 2] is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"]),
        ("include: [{ring: {version: 3}}]", [f"3:18: ring: '{key}' is missing; it has to be given" for key in ("frame_size", "slots")]),
        ("baseline: sendto", ["3:11: baseline: 'sendto' is text; write a mapping"]),
        ("baseline:", ["3:10: baseline: null is no value; write a mapping"]),
        ("baseline: {method: sendt}", [f"3:20: method: 'sendt' is unknown; {METHODS} (did you mean sendto?)"]),
        ("measure: {window: 10}", ['3:19: window: 10 is not a duration; write a number with ns, us, ms, s ("10ms")']),
        ("measure: {window: 99us}", ["3:19: window: 99000 ns is out of range; write 100us to 10s"]),
        ("measure: {rounds: 0}", ["3:19: rounds: 0 is not allowed; write a whole number from 1 to 100000 or {min: 40, max: 400}"]),
        ("measure: {rounds: {min: 5, max: 4}}", ["3:19: rounds: min 5 is above max 4; write min <= max"]),
        ("measure: {rounds: {min: 0, mx: 4}}", ["3:25: rounds min: 0 is not allowed; write a whole number from 1 to 100000", "3:28: rounds: unknown key 'mx'; there are min and max (did you mean max?)"]),
        ("measure: {openings: 0}", ["3:21: openings: 0 is not allowed; write a whole number from 1 to 1000"]),
        ("measure: {openings: 3, rounds: 2}", ["3:10: measure: openings 3 is above rounds min 2, and each takes a round; write openings: 1 to 2, or more rounds"]),
        ("measure: {openings: 41}", ["3:10: measure: openings 41 is above rounds min 40, and each takes a round; write openings: 1 to 40, or more rounds"]),
        ("measure: {precision: 1}", ["3:22: precision: 1 is not allowed; write a fraction above 0% and below 100% (1% or 0.01)"]),
        ("measure: {precision: 0%}", ["3:22: precision: '0%' is not allowed; write a fraction above 0% and below 100% (1% or 0.01)"]),
        ("measure: {seed: -1}", [f"3:17: seed: -1 is not allowed; write a whole number from 0 to {2**63 - 1}"]),
        (f"measure: {{seed: {2**63}}}", [f"3:17: seed: {2**63} is not allowed; write a whole number from 0 to {2**63 - 1}"]),
        ("measure: {cpus: 1}", ["3:17: cpus: 1 is not allowed; write auto or a list ([1, 2])"]),
        ("measure: {cpus: [1, x]}", ["3:21: cpus: 'x' is not allowed; write a whole number from 0 to 8191"]),
        ("measure: {cpus: [1, 1]}", ["3:21: cpus: 1 repeats 1; write each value once"]),
        ("measure: {cpus: []}", ["3:17: cpus: [] has too few values; the least is 1"]),
        ("measure: {windows: 10ms}", ["3:11: measure: unknown key 'windows'; there are window, rounds, openings, precision, seed and cpus (did you mean window?)"]),
    ],
)  # fmt: skip
def test_sections(text: str, expected: list[str]) -> None:
    assert errors(f"{LISTS}{text}\n") == expected


def test_what_is_held_against_the_axes_may_stand_before_them() -> None:
    text = """\
exclude: [{threads: [2, 9]}]
axes: {threads: [1, 2]}
name: m
"""
    assert errors(text) == ["1:25: threads: 9 matches nothing; the axis has 1, 2"]
    assert parse(text.replace(", 9]", "]")).exclude == ({"threads": (2,)},)


def test_all_errors_in_one_go_by_position() -> None:
    text = """\
axes:
  threads: [1, x]
  frame_size: [64, 64B]
  method: [no, sendt]
name: M
zip: [[threads, method], [frame_size, burst]]
exclude: [{threads: 9, frame_size: 70}]
extra: 1
measure: {window: 010}
"""
    assert errors(text) == [
        "2:16: threads: 'x' is not allowed; write a whole number from 1 to 64, 1% to 100% of the CPUs, or all",
        "3:20: frame_size: '64B' repeats 64; write each value once",
        "4:12: no may be read as a boolean; write true or false, or quote it for text",
        f"4:16: method: 'sendt' is unknown; {METHODS} (did you mean sendto?)",
        "5:7: name: 'M' is not allowed; write at most 64 of a-z, 0-9, _, . and -, "
        "and a letter or a digit first",
        "6:39: zip: burst is not in axes; give it values there",
        "8:1: unknown key 'extra'; there are name, description, axes, zip, exclude, include, measure, "
        "baseline and thresholds",
        "9:19: 010 has a leading zero, which may mean octal; write 10, or 8 if octal is meant",
    ]


@pytest.mark.parametrize(
    ("axis", "value"), [("burst", "64"), ("qdisc", "noqueue"), ("threads", "2")]
)
def test_a_value_of_a_threshold_may_be_bare(axis: str, value: str) -> None:
    one, some = (
        parse(
            f"name: m\naxes: {{method: sendmmsg, {axis}: {value}}}\n"
            f"thresholds: [{{{axis}: {of}, min_effect: 5%}}]"
        )
        for of in (value, f"[{value}]")
    )
    assert one.thresholds == some.thresholds
    ((rule, effect),) = one.thresholds
    assert (len(rule[axis]), effect) == (1, 0.05)


# Files


def test_load(tmp_path: Path) -> None:
    file = tmp_path / "größe.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    loaded = load.load(file, VOCABULARY)
    assert loaded == replace(parse(HEAD), file=str(file))
    assert loaded.marks["name",] == Mark(1, 7)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfea\0", "is binary (it has NUL bytes); a matrix file is UTF-8 text"),
        (
            b"name: m\ndescription: gr\xf6\xdfe",
            "is not UTF-8 (byte 0xf6 on line 2); a matrix file is UTF-8 text",
        ),
        (b"#" * (1 << 20) + b"\n", "is larger than 1 MiB; a matrix file has at most that"),
    ],
)
def test_unreadable_content(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        load.load(file, VOCABULARY)
    assert str(refused.value) == f"{file}: {expected}"


def test_unreadable_paths(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    expected = {
        tmp_path: "is a directory; name a matrix file",
        tmp_path / "none": "does not exist; name a matrix file",
        loop: "cannot be read (Too many levels of symbolic links); name a readable file",
        Path("a\0b"): "cannot be read (embedded null byte); name a readable file",
    }
    for path, message in expected.items():
        with pytest.raises(UsageError) as refused:
            load.load(path, VOCABULARY)
        assert str(refused.value) == f"{path}: {message}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_forbidden_file(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(HEAD)
    file.chmod(0)
    with pytest.raises(UsageError, match=rf"cannot be read \({os.strerror(errno.EACCES)}\)"):
        load.load(file, VOCABULARY)


# Whatever is thrown at it


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "# comment\n" * 100_000,
        HEAD + "description: " + "x" * 1_000_000,
        HEAD + "include:\n" + "- {method: tx_ring, burst: 1}\n" * 30_000,
        "axes: {burst: [" + "0, " * 300_000 + "]}",
        "axes: {burst: [" + "no, " * 250_000 + "]}",
        "name: a\n" * 130_000,
        "[" * 1_000_000,
        "? " + "[a, " * 250_000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_mebibyte_takes_no_more_than_five_calls_a_byte(text: str) -> None:
    events = 0

    def count(*_: object) -> None:
        nonlocal events
        events += 1

    sys.setprofile(count)
    try:
        with suppress(UsageError):
            parse(text)
    finally:
        sys.setprofile(None)
    assert events <= 2 * 5 * len(text)  # a call and its return


def check(text: str) -> None:
    """A matrix, or an error of lines that each have a place, a fault and what is allowed."""
    try:
        parse(text)
    except UsageError as error:
        for line in str(error).split("\n"):
            assert re.fullmatch(r"m\.yaml:[1-9]\d*:[1-9]\d*: .+; .+", line)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    check(text)


scraps = st.sampled_from(
    [*"-?:,[]{}#&*!|>'\"%@` \n", "  ", "- ", ": ", "---\n", "<<", "a", "on", "017", "1e6"]
    + [f"{word}: " for word in ("name", "axes", "zip", "exclude", "measure", "kind", *WORDS.axes)]
)


@given(st.lists(scraps).map("".join))
@settings(max_examples=200, deadline=None)
def test_any_scraps_of_a_matrix(text: str) -> None:
    check(text)
    check(EXAMPLE[:300] + text)


names = st.sampled_from(
    [*WORDS.axes, "name", "axes", "zip", "exclude", "include", "measure", "baseline", "kind", "lo", "bond",
     "mode", "tbf", "rate", "bytes", "version", "rounds", "min", "cpus", "window"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
EXAMPLE_DATA = yaml.safe_load(EXAMPLE)


@given(st.dictionaries(names, values))
@settings(max_examples=200, deadline=None)
def test_any_data(data: dict[str, object]) -> None:
    check(yaml.safe_dump(data))
    check(yaml.safe_dump(EXAMPLE_DATA | data))


@given(st.sampled_from(["axes", "measure", "baseline"]), names, values)
@settings(max_examples=200, deadline=None)
def test_any_value_in_a_section(section: str, key: str, value: object) -> None:
    check(yaml.safe_dump(EXAMPLE_DATA | {section: EXAMPLE_DATA[section] | {key: value}}))
    check(yaml.safe_dump(EXAMPLE_DATA | {"exclude": [{key: value}], "include": [{key: value}]}))


# The schema


def test_schema_describes_what_users_write() -> None:
    schema = load.json_schema(VOCABULARY)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["name", "axes"]
    assert schema["additionalProperties"] is False
    definitions = schema["$defs"]
    axes = definitions["Axes"]
    assert {name: axis["description"] for name, axis in axes["properties"].items()} == {
        name: axis.help for name, axis in WORDS.axes.items()
    }
    assert axes["minProperties"] == 1
    number = {"type": "integer", "minimum": 1, "maximum": 64}
    share = {"type": "string", "pattern": "^(all|100%|[1-9][0-9]?%)$"}
    assert axes["properties"]["threads"]["anyOf"] == [
        *(number, share),
        {"type": "array", "items": {"anyOf": [number, share]}, "minItems": 1},
    ]
    assert axes["properties"]["qdisc"]["anyOf"][:4] == [
        {"type": "string", "enum": ["noqueue", "pfifo"]},  # tbf needs its options
        {"$ref": "#/$defs/noqueue"},
        {"$ref": "#/$defs/pfifo"},
        {"$ref": "#/$defs/tbf"},
    ]
    assert definitions["tbf"]["required"] == ["rate", "burst", "limit", "kind"]
    assert definitions["tbf_rule"]["required"] == ["kind"]
    assert definitions["Row"]["properties"]["method"]["enum"] == list(VOCABULARY.methods)
    measure = definitions["_Measure"]["properties"]
    assert {key: option["default"] for key, option in measure.items()} == {
        "window": "10ms",
        "rounds": {"min": 40, "max": 400},
        "openings": 1,
        "precision": "1%",
        "seed": 1,
        "cpus": "auto",
    }


@pytest.mark.parametrize("number", ["2026", "6.18"])
def test_a_name_that_is_a_number_is_told_to_be_quoted(number: str) -> None:
    said = f"1:7: name: {number} is a number; put the name in quotes"
    assert errors(f"name: {number}\naxes: {{method: sendto}}\n") == [said]
    assert parse(f"name: '{number}'\naxes: {{method: sendto}}\n").name == number
