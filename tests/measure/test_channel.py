"""Messages from one end of a stream to the other, and what is not one of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import Any

import pytest

from bench.engines import core
from bench.measure.channel import DESCRIPTORS, LARGEST, LENGTH, Channel, NoMessage
from bench.measure.messages import (
    VERSION,
    Answer,
    Close,
    Descriptors,
    Done,
    Failure,
    Hello,
    Open,
    Opened,
    Request,
    RunSlice,
    Setup,
    Sliced,
)
from bench.measure.worker import serve
from bench.model.cells import Cell
from bench.model.parties import Party, PartyRole
from bench.model.problems import Code, Problem
from bench.model.samples import Sample, ThreadSample
from bench.model.shaper import Shaper
from bench.topology import Delivery, Port, Topology

PORT = Port(netns_fd=7, ifindex=2, ifname="bench0")
TOPOLOGY = Topology(
    qdisc={"kind": "tbf", "rate": 10**9, "limit": 3},
    tx=PORT,
    rx=(PORT,),
    sinks=(PORT, PORT),
    queues=(),
    droppers=(),
    src_mac=bytes(range(6)),
    dst_mac=b"\xff" * 6,
    delivery=Delivery("tx", late_s=0.25),
)
SLICES = core.SlicePlan(window_ns=10_000_000, warmup_ns=300_000, drain_ns=2_000_000_000)
CELL = Cell("0a1b2c3d4e", {"method": "tx_ring", "ring": {"version": 2}, "burst": 64, "vlan": None})
SENDER = Party(PartyRole.SENDER, "tx_ring", "tx", (1, 0), under_test=True)
SAMPLE = Sample(
    cell=CELL.id,
    round=3,
    at_ns=2**60,
    wall_ns=10_000_000,
    threads=(ThreadSample(cpu=1, wall_ns=1, cpu_ns=2), ThreadSample(cpu=2, wall_ns=3, cpu_ns=4)),
    slice_completed=2**64 - 1,
    delivered=5,
    problems=(Problem(Code.FOREIGN, 4),),
    per_sink=(2, 3),
)
REQUESTS = [
    Hello(VERSION, "f" * 64),
    Descriptors((7, 9)),
    Setup((TOPOLOGY, TOPOLOGY), SLICES),
    Open(CELL, SENDER, 1, Shaper(10**6, 1514, 97), check=True),
    Open(CELL, SENDER, None, None, check=False),
    Close(CELL.id),
    RunSlice(CELL.id, 3),
]
ANSWERS = [Done(), Opened({"sndbuf": 1, "cpus": [0]}), Sliced(SAMPLE), Failure("no", ends_run=True)]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("message", "expected"),
    [*((message, Request) for message in REQUESTS), *((message, Answer) for message in ANSWERS)],
    ids=lambda value: type(value).__name__,
)
def test_a_message_arrives_as_it_was(
    pair: tuple[socket.socket, socket.socket], message: Any, expected: Any
) -> None:
    ours, theirs = pair
    Channel[Any](ours, expected).send(message)
    received = Channel[Any](theirs, expected).receive(10)
    assert received == message
    assert type(received) is type(message)


def test_messages_that_come_together_are_told_apart(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    asking, asked = Channel[Any](ours, Answer), Channel[Any](theirs, Request)
    for request in REQUESTS:
        asking.send(request)
    assert [asked.receive(10) for _ in REQUESTS] == REQUESTS


def test_a_message_that_does_not_fit_the_buffers_comes_in_parts(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    setup = Setup((TOPOLOGY,) * 10_000, SLICES)
    sending = Thread(target=Channel[Any](ours, Answer).send, args=(setup,))
    sending.start()
    assert Channel[Any](theirs, Request).receive(60) == setup
    sending.join()


def test_a_message_that_is_there_is_taken_and_none_is_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    asking, asked = Channel[Any](ours, Answer), Channel[Any](theirs, Request)
    assert asked.waiting() is None
    for request in REQUESTS[:2]:
        asking.send(request)
    assert [asked.waiting(), asked.waiting(), asked.waiting()] == [*REQUESTS[:2], None]
    asking.close()
    with pytest.raises(EOFError):
        asked.waiting()


def test_descriptors_come_with_their_message_and_those_of_a_topology_are_then_ours(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    asking, asked = Channel[Any](ours, Answer), Channel[Any](theirs, Request)
    with open("/dev/null") as given:
        asking.send(Descriptors((given.fileno(),)), [given.fileno()])
        asking.send(Descriptors(tuple(range(DESCRIPTORS))), [given.fileno()] * DESCRIPTORS)
        first = asked.receive(10), asked.taken()
        second = asked.receive(10), asked.taken()
        try:
            assert [len(fds) for _, fds in (first, second)] == [1, DESCRIPTORS]
            assert first[0] == Descriptors((given.fileno(),))
            for fd in first[1] + second[1]:
                assert os.path.sameopenfile(fd, given.fileno())
                assert not os.get_inheritable(fd)
        finally:
            for fd in first[1] + second[1]:
                os.close(fd)


@pytest.mark.parametrize(
    "text",
    [
        b"\x80\x04N.",  # a pickle
        b'["RunSlice","0a1b2c3d4e",3]',
        b"\x93\xa8RunSlice\xa5abcde\xa1x",  # a round that is no number
        b"\x94\xa8RunSlice\xa5abcde\x01\x01",  # one thing too many
        b"\x92\xa4Quit\xa1x",
        b"",
    ],
)
def test_what_is_no_message_is_refused(
    pair: tuple[socket.socket, socket.socket], text: bytes
) -> None:
    ours, theirs = pair
    ours.sendall(len(text).to_bytes(LENGTH) + text)
    with pytest.raises(NoMessage):
        Channel[Any](theirs, Request).receive(10)


def test_more_than_the_largest_message_is_not_read(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.sendall((LARGEST + 1).to_bytes(LENGTH))
    with pytest.raises(NoMessage, match=f"{LARGEST} are the most"):
        Channel[Any](theirs, Request).receive(10)


def test_an_end_that_is_gone_is_seen_in_the_midst_of_a_message(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.sendall(b"\0")
    ours.close()
    with pytest.raises(EOFError):
        Channel[Any](theirs, Request).receive(10)


def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(TimeoutError):
        Channel[Any](pair[0], Answer).receive(0.001)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (Hello(VERSION + 1, core.info().hash), f"it speaks version {VERSION} of the messages"),
        (RunSlice("a", 0), f"it speaks version {VERSION} of the messages"),
        (Hello(VERSION, "another"), "the core's sources changed since the run began"),
    ],
)
def test_a_worker_refuses_who_does_not_speak_its_language(
    pair: tuple[socket.socket, socket.socket], first: Any, said: str
) -> None:
    ours, theirs = pair
    with closing(Channel[Any](ours, Answer)) as channel:
        channel.send(first)
        serve(Channel(theirs, Request))
        answer = channel.receive(10)
    assert isinstance(answer, Failure)
    assert answer.reason.startswith(said)
