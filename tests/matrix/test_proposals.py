"""Whoever writes what a message proposes gets rid of it, and of no other error.

The files have one fault each. A proposal is what a message has after ``write``: a mapping, a key
with its value, numbers from and to, names, or an example in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.matrix import load
from bench.measure.prepare import vocabulary
from bench.plan.plan import make_plan

WORDS = vocabulary()

RIGHT: dict[str, Any] = {
    "interface": "veth",
    "qdisc": {"kind": "tbf", "rate": "1gbit", "burst": "64KiB", "limit": "1MiB"},
    "method": "tx_ring",
    "frame_size": 64,
    "burst": 16,
    "threads": 1,
    "fill": "copy",
    "ring": {"version": 2, "block_size": 4096, "block_nr": 64, "frame_size": 2048},
    "sndbuf": {"bytes": "1MiB", "force": True},
    "flows": 1,
    "msg_dontwait": False,
}
MEASURE = {"window": "10ms", "rounds": {"min": 40, "max": 80}, "precision": "1%", "seed": 1}


def errors(axes: dict[str, Any], measure: dict[str, Any]) -> list[str]:
    """The messages of a file, without their places."""
    text = yaml.safe_dump({"name": "m", "axes": axes, "measure": measure})
    try:
        make_plan(load.parse(text, "m", WORDS), WORDS)
    except UsageError as error:
        return [re.sub(r"^m:\d+:\d+: ", "", line) for line in str(error).split("\n")]
    return []


def proposed(message: str, wrong: Any) -> Iterator[Any]:
    """Each value that a message proposes in place of a wrong one; a set of keys goes into it."""
    write = message.rpartition("write ")[2] if "write " in message else ""
    if mapping := re.search(r"^\{.*\}$|(?<=or )\{.*\}", write):
        yield yaml.safe_load(mapping[0])
    if bounds := re.search(r"(\d+) to (\d+)( bytes)?(,|$)", write):
        yield from map(int, bounds.groups()[:2])
    rest = {}
    if isinstance(wrong, dict):
        rest = {
            key: value for key, value in wrong.items() if not message.startswith(f"ring {key}:")
        }
    if pairs := re.findall(r"(\w+): ([\w]+)(?=,|$| )", write.partition("{")[0]):
        yield {**rest, **dict(map(read, pairs))}
    if "leave it out" in message:
        yield rest
    yield from map(yaml.safe_load, re.findall(r"\(\"?([\w%]+)\"?\)", write))
    if "is unknown" in message:
        names = write.partition(" (")[0]
        for name in re.split(", | or ", names):
            at = message.split(":")[0].split()[-1]
            yield {**wrong, at: name} if isinstance(wrong, dict) else name
    if write == "true or false":
        yield from (True, False)


def read(pair: tuple[str, str]) -> tuple[str, Any]:
    return pair[0], yaml.safe_load(pair[1])


WRONG: list[tuple[str, Any]] = [
    ("interface", "vet"),
    ("interface", "device"),
    ("interface", {"kind": "bond", "mode": "round"}),
    ("qdisc", "tbf"),
    ("qdisc", "htb"),
    ("qdisc", {"kind": "tbf"}),
    ("qdisc", {"kind": "tbf", "rate": "1gbit", "burst": "64KiB"}),
    ("qdisc", {"kind": "tbf", "burst": "64KiB", "limit": "64KiB"}),
    ("qdisc", {"kind": "tbf", "rate": "1gbit", "latency": "50ms"}),
    ("qdisc", {"kind": "tbf", "rate": "1gbit", "latency": "50ms", "buffer": "32KiB"}),
    ("qdisc", {"kind": "tbf", "rate": "100gbit", "burst": "64KiB", "latency": "1s"}),
    ("qdisc", {"kind": "htb", "limit": 5}),
    ("method", "sendtoo"),
    ("frame_size", 13),
    ("frame_size", "64K"),
    ("burst", 0),
    ("threads", 0),
    ("fill", "none"),
    ("flows", 0),
    ("msg_dontwait", "maybe"),
    ("sndbuf", "much"),
    ("sndbuf", 0),
    ("ring", {"block_size": 65536, "frame_nr": 512, "frame_size": 2048}),
    ("ring", {"block_size": 65536, "block_nr": 4, "frame_nr": 128, "frame_size": 2048}),
    ("ring", {"slots": 2**31 - 1, "frame_size": 2**31 - 1}),
]


@pytest.mark.parametrize(("axis", "wrong"), WRONG)
def test_what_a_message_proposes_passes(axis: str, wrong: Any) -> None:
    holds(axis, wrong)


def holds(axis: str, wrong: Any) -> None:
    right = {key: value for key, value in RIGHT.items() if (axis, key) != ("interface", "qdisc")}
    messages = errors(right | {axis: wrong}, MEASURE)
    values = [*proposed(messages[0], wrong)]
    assert values, messages
    for value in values:
        left = errors(right | {axis: value}, MEASURE)
        # Another axis may let less of a range pass, or fewer methods, and says so itself.
        if isinstance(value, int) or axis == "method":
            left = [text for text in left if text == messages[0]]
        if axis == "interface" and value == "device":  # it has to have a name, which is proposed
            left = [text for text in left if "write {kind: 'device', name: 'eth1'}" not in text]
        assert {*left} <= {*messages[1:]}, (messages, value)


sizes = st.integers(1, 3 * 4096) | st.integers(1, 2**31 - 1)


@settings(max_examples=200, deadline=None)
@given(
    block_size=sizes,
    frame_nr=st.integers(1, 2**40),
    frame_size=sizes,
)
def test_of_any_ring_the_number_of_its_frames_is_put_right(
    block_size: int, frame_nr: int, frame_size: int
) -> None:
    """Whatever is then still wrong with it is none of what was proposed."""
    ring = {"block_size": block_size, "frame_nr": frame_nr, "frame_size": frame_size}
    (message,) = errors(RIGHT | {"ring": ring}, MEASURE)
    assert message.startswith("ring frame_nr: ")
    if found := re.search(r"write block_nr: (\d+)", message):
        mended = {"block_size": block_size, "frame_size": frame_size, "block_nr": int(found[1])}
        left = errors(RIGHT | {"ring": mended}, MEASURE)
        assert not any("kernel's table" in text for text in left), left


@pytest.mark.parametrize("axis", [axis for axis in RIGHT if isinstance(RIGHT[axis], dict)])
def test_a_colon_without_a_space_is_named(axis: str) -> None:
    """YAML takes {limit:50} for a key without a value."""
    for name, value in RIGHT[axis].items():
        if name == "kind":
            continue
        glued = {key: right for key, right in RIGHT[axis].items() if key != name}
        messages = errors(RIGHT | {axis: glued | {f"{name}:{value}": None}}, MEASURE)
        said = (
            f"{f'{name}:{value}'!r} is a key without a value; write {name}: {value}, with a space"
        )
        assert f"{axis}: {said}" in messages


@pytest.mark.parametrize("name", [name for name in WORDS.methods if name != "exec"])
def test_capitals_and_hyphens_do_not_hide_what_is_meant(name: str) -> None:
    for written in {name.upper(), name.title(), name.replace("_", "-")} - {name}:
        (message, *_) = errors(RIGHT | {"method": written}, MEASURE)
        assert message.endswith(f"(did you mean {name}?)")


def test_a_ring_as_the_kernel_s_struct_has_it_is_one_in_blocks() -> None:
    ring = {"tp_block_size": 4096, "tp_block_nr": 16, "tp_frame_size": 2048}
    messages = errors(RIGHT | {"ring": ring}, MEASURE)
    for name in ring:
        meant = f"(did you mean {name.removeprefix('tp_')}?)"
        assert any(f"unknown key '{name}'" in m and m.endswith(meant) for m in messages)


def test_a_proposal_is_never_cut() -> None:
    for axis, wrong in WRONG:
        for message in errors(RIGHT | {axis: wrong}, MEASURE):
            assert "..." not in message.rpartition("write ")[2], message


@pytest.mark.parametrize(
    ("option", "written", "meant"),
    [
        ("rate", "1Gbit", "1gbit"),
        ("rate", "1500Kbit", "1500kbit"),
        ("rate", "1Mibit", 1 << 20),
        ("burst", "32Kb", "32KiB"),
        ("burst", "1600b", 1600),
        ("limit", "8M", "8MiB"),
        ("latency", "50msec", "50ms"),
        ("latency", "100US", "100us"),
    ],
)
def test_what_tc_prints_is_told_as_it_is_written_here(
    option: str, written: str, meant: str | int
) -> None:
    qdisc = RIGHT["qdisc"] | {option: written}
    if option == "latency":
        del qdisc["limit"]
    (message,) = errors(RIGHT | {"qdisc": qdisc}, MEASURE)
    (value,) = re.findall(r"write what tc means by it \((\w+)\)$", message)
    assert yaml.safe_load(value) == meant
    assert errors(RIGHT | {"qdisc": qdisc | {option: meant}}, MEASURE) == []


@pytest.mark.parametrize("frame_size", [64, 1514, 9014])
@pytest.mark.parametrize(
    "ring",
    [
        {},
        {"slots": 512, "frame_size": 2048},
        {"slots": 512, "frame_size": 1514},
        {"slots": 64, "frame_size": 30},
        {"slots": 2**20 + 1, "frame_size": 2048},
        {"version": 3, "block_size": 4096, "block_nr": 64, "frame_size": 1514},
        {"block_size": 5000, "block_nr": 64, "frame_size": 30},
    ],
)
def test_what_is_proposed_of_a_ring_passes_however_it_is_written(
    ring: dict[str, int], frame_size: int
) -> None:
    axes = {**RIGHT, "frame_size": frame_size, "burst": 1}
    del axes["ring"]
    for message in errors(axes | ({"ring": ring} if ring else {}), MEASURE):
        write = message.rpartition("write ")[2].removesuffix(" in ring").partition(", or ")[0]
        if write.startswith("ring: "):
            mended = yaml.safe_load(write)["ring"]
        else:
            mended = ring | dict(map(read, re.findall(r"(\w+): (\d+)", write)))
        assert errors(axes | {"ring": mended}, MEASURE) == [], message


def test_what_is_proposed_for_a_baseline_passes() -> None:
    rings = [RIGHT["ring"], RIGHT["ring"] | {"version": 3}]
    interfaces = ["veth", {"kind": "veth", "mtu": 9000}]
    axes = {"method": ["sendto", "tx_ring"], "burst": 16, "ring": rings, "interface": interfaces}
    text = yaml.safe_dump({"name": "m", "axes": axes, "baseline": {"method": "tx_ring"}})
    with pytest.raises(UsageError) as refused:
        make_plan(load.parse(text, "m", WORDS), WORDS)
    proposed = re.findall(r"\{[^}]*\}", str(refused.value))
    assert [yaml.safe_load(each) for each in proposed] == rings
    for each in proposed:
        named = f"{text}\nbaseline: {{method: tx_ring, ring: {each}}}\n"
        named = named.replace("baseline:\n  method: tx_ring\n", "")
        assert make_plan(load.parse(named, "m", WORDS), WORDS).baselines


@pytest.mark.parametrize(
    ("axis", "meant"),
    [
        ("packet_size", "frame_size"),
        ("pkt_size", "frame_size"),
        ("packet-len", "frame_size"),
        ("batch_size", "burst"),
        ("iface", "interface"),
        ("streams", "flows"),
    ],
)
def test_what_others_call_an_axis_is_known(axis: str, meant: str) -> None:
    taken = {key: value for key, value in RIGHT.items() if key not in (meant, "qdisc")}
    (message,) = errors(taken | {axis: 64}, MEASURE)
    assert message.endswith(f"(did you mean {meant}?)")


@pytest.mark.parametrize(
    ("axis", "other"),
    [("interface", "vxlan"), ("interface", "ipvlan"), ("qdisc", "sfq"), ("qdisc", "taprio")],
)
def test_what_is_a_thing_of_its_own_is_not_taken_for_a_slip(axis: str, other: str) -> None:
    (message, *_) = errors(RIGHT | {axis: other}, MEASURE)
    assert "is unknown; write " in message
    assert "did you mean" not in message


def test_a_queue_that_its_latency_bounds_gets_a_limit_that_passes() -> None:
    """At a higher rate the same latency is a longer queue, which takes as long to leave."""
    qdisc = {"kind": "tbf", "rate": "1mbit", "burst": 1600, "latency": "5s"}
    axes = RIGHT | {"method": "sendto", "frame_size": 1514}
    axes |= {"sndbuf": {"bytes": "64MiB", "force": True}}
    (message,) = errors(axes | {"qdisc": qdisc}, MEASURE)
    assert "raise its rate" not in message
    (limit,) = re.findall(r"lower its limit to (\d+)", message)
    del qdisc["latency"]
    assert errors(axes | {"qdisc": qdisc | {"limit": int(limit)}}, MEASURE) == []
    (sndbuf,) = re.findall(r"lower sndbuf to (\d+KiB)", message)
    assert errors(axes | {"qdisc": qdisc | {"limit": "1MiB"}, "sndbuf": sndbuf}, MEASURE) == []
